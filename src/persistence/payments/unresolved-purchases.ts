/** Purchases whose payment provider may have told something that was not heard, or was asked for something when a process died. */
import type { Tenant } from '../../domain/identity/caller.ts';
import type { Queryable } from '../connection.ts';

export interface UnresolvedPurchase {
  readonly id: string;
  readonly tenant: Tenant;
  /** The provider's own id of the checkout or charge; null only where a refund is under way. */
  readonly reference: string | null;
  /** True where its money is being given back; else its payment is awaited. */
  readonly isRefunding: boolean;
}

/** In milliseconds of the real clock. */
export interface Spacing {
  readonly first: number;
  readonly longest: number;
}

/**
 * Takes purchases that are due to be asked about, the longest due first, and puts each off by twice the time of before:
 * nobody else takes it meanwhile, and one whose process dies is taken again then.
 */
export async function takeUnresolved(
  sql: Queryable,
  provider: string,
  { first, longest }: Spacing,
  limit: number,
): Promise<UnresolvedPurchase[]> {
  const rows = await sql<
    { id: string; organization_id: string; wallet_id: string; reference: string | null; is_refunding: boolean }[]
  >`
    WITH due AS MATERIALIZED (
      SELECT id FROM purchase
      WHERE ((status = 'PENDING' AND provider_reference IS NOT NULL)
          OR (status = 'PAID' AND refund_requested_at IS NOT NULL))
        AND provider = ${provider} AND check_at <= clock_timestamp()
      ORDER BY check_at
      LIMIT ${limit}
      FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE purchase p
    SET checks = checks + 1,
        check_at = clock_timestamp()
          + least(${first} * power(2::float8, least(checks + 1, 30)), ${longest}) * interval '1 millisecond'
    FROM due, wallet w
    WHERE p.id = due.id AND w.organization_id = p.organization_id
    RETURNING p.id, p.organization_id, w.id AS wallet_id, p.provider_reference AS reference,
      p.refund_requested_at IS NOT NULL AS is_refunding`;
  return rows.map(({ id, organization_id: organizationId, wallet_id: walletId, reference, ...row }) => ({
    id,
    tenant: { organizationId, walletId },
    reference,
    isRefunding: row.is_refunding,
  }));
}
