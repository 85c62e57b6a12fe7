/** Which wallets have something due. */
import type { Tenant } from '../domain/identity/caller.ts';
import type { Queryable } from './connection.ts';

/** Those of the organizations whose next transition has come by their own clock. Frozen wallets wait. */
export async function dueWallets(sql: Queryable, organizationIds: readonly string[]): Promise<Tenant[]> {
  const rows = await sql<{ id: string; organization_id: string }[]>`
    SELECT w.id, w.organization_id
    FROM wallet w
    JOIN organization o ON o.id = w.organization_id
    WHERE w.organization_id = ANY(${organizationIds}::uuid[]) AND w.frozen_at IS NULL
      AND w.next_transition_at <= greatest(w.last_posted_at,
        clock_timestamp() + coalesce(o.test_clock_offset_ms, 0) * interval '1 millisecond')`;
  return rows.map((row) => ({ walletId: row.id, organizationId: row.organization_id }));
}
