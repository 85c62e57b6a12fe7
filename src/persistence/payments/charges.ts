/** Which wallets have charges to collect while nobody is there to pay. */
import type { Tenant } from '../../domain/identity/caller.ts';
import type { Instant } from '../../domain/time/instant.ts';
import { fragment, type Queryable } from '../connection.ts';
import { type Due, type DuePage, dueTenants } from '../due-wallets.ts';

const CHARGE: Due = { at: fragment`w.next_charge_at`, onFrozen: false };

/** Those with a charge that is due by their organization's clock, or whose answer by this provider is not known. */
export function walletsToCharge(sql: Queryable, provider: string, page: DuePage): Promise<Tenant[]> {
  const unanswered = fragment`
       FROM purchase p
       JOIN wallet w ON w.organization_id = p.organization_id
       WHERE p.off_session AND p.status = 'PENDING' AND p.provider_reference IS NULL AND p.provider = ${provider}`;
  return dueTenants(sql, CHARGE, page, unanswered);
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
