/** Lots that commands name. */
import type { Tenant } from '../domain/identity/caller.ts';
import type { LotSnapshot } from '../domain/wallet/lot.ts';
import { LOT_COLUMNS, type LotRow, lotSnapshot } from './batch/lot-rows.ts';
import type { Queryable } from './connection.ts';

/** Those of these lots that belong to one of the wallets, and the lots that were split from them. */
export async function loadNamedLots(
  sql: Queryable,
  ids: readonly string[],
  walletIds: readonly string[],
): Promise<LotSnapshot[]> {
  if (ids.length === 0) return [];
  const rows = await sql<LotRow[]>`
    SELECT ${LOT_COLUMNS} FROM lot
    WHERE (lot.id = ANY(${ids}::uuid[]) OR lot.origin_id = ANY(${ids}::uuid[])) AND lot.wallet_id = ANY(${walletIds}::uuid[])`;
  return rows.map(lotSnapshot);
}

/** Whose lot it is; null for an unknown one. */
export async function tenantOfLot(sql: Queryable, lotId: string): Promise<Tenant | null> {
  const [row] = await sql<{ organization_id: string; wallet_id: string }[]>`
    SELECT w.organization_id, w.id AS wallet_id FROM lot JOIN wallet w ON w.id = lot.wallet_id WHERE lot.id = ${lotId}`;
  return row ? { organizationId: row.organization_id, walletId: row.wallet_id } : null;
}
