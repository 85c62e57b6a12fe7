/** Which wallets have charges to collect while nobody is there to pay. */
import type { Tenant } from '../../domain/identity/caller.ts';
import type { Instant } from '../../domain/time/instant.ts';
import type { Queryable } from '../connection.ts';

export interface ChargePage {
  /** The payment provider that was asked. */
  readonly provider: string;
  /** Wallets that are left for a while. */
  readonly except: readonly string[];
  readonly limit: number;
}

/** Those with a charge that is due by their organization's clock, or whose answer is not known. Frozen wallets wait. */
export async function walletsToCharge(sql: Queryable, { provider, except, limit }: ChargePage): Promise<Tenant[]> {
  const rows = await sql<{ id: string; organization_id: string }[]>`
    SELECT id, organization_id FROM (
      (SELECT id, organization_id FROM wallet
       WHERE next_charge_at <= clock_timestamp() AND frozen_at IS NULL AND id <> ALL(${except}::uuid[])
       ORDER BY next_charge_at LIMIT ${limit})
      UNION
      (SELECT w.id, w.organization_id
       FROM organization o
       JOIN wallet w ON w.organization_id = o.id
       WHERE o.test_clock_offset_ms > 0 AND w.frozen_at IS NULL AND w.id <> ALL(${except}::uuid[])
         AND w.next_charge_at <= clock_timestamp() + o.test_clock_offset_ms * interval '1 millisecond'
       LIMIT ${limit})
      UNION
      (SELECT w.id, w.organization_id
       FROM purchase p
       JOIN wallet w ON w.organization_id = p.organization_id
       WHERE p.off_session AND p.status = 'PENDING' AND p.provider_reference IS NULL AND p.provider = ${provider}
         AND w.frozen_at IS NULL AND w.id <> ALL(${except}::uuid[])
       LIMIT ${limit})
    ) due
    LIMIT ${limit}`;
  return rows.map((row) => ({ walletId: row.id, organizationId: row.organization_id }));
}

/** When the organization's next charge is due, by its clock; null where none is. */
export async function upcomingCharge(sql: Queryable, organizationId: string): Promise<Instant | null> {
  const [row] = await sql<{ next_charge_at: Instant | null }[]>`
    SELECT next_charge_at FROM wallet WHERE organization_id = ${organizationId} AND frozen_at IS NULL`;
  return row?.next_charge_at ?? null;
}

/** The organization's purchases that nobody is there to pay and the provider has not answered for, oldest first. */
export async function unansweredCharges(sql: Queryable, organizationId: string, provider: string): Promise<string[]> {
  const rows = await sql<{ id: string }[]>`
    SELECT id FROM purchase
    WHERE organization_id = ${organizationId} AND off_session AND status = 'PENDING' AND provider_reference IS NULL
      AND provider = ${provider}
    ORDER BY id`;
  return rows.map((row) => row.id);
}
