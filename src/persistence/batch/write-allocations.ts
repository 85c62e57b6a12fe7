/** Writes what a batch did to allocations. The engine holds the wallets' locks, so that nobody else writes them. */
import type { WalletBook } from '../../domain/posting/wallet-book.ts';
import { amounts, instants } from '../columns.ts';
import type { Queryable } from '../connection.ts';

/** To be sent before the lots that name new ones. */
export function insertAllocations(sql: Queryable, books: readonly WalletBook[]) {
  const rows = books.flatMap(({ snapshot, now, lots }) =>
    lots.allocations.made.map((allocation) => ({ walletId: snapshot.id, now, ...allocation })),
  );
  if (rows.length === 0) return null;
  return sql`
    INSERT INTO allocation (id, wallet_id, project_id, user_id, exclusive, created_at)
    SELECT * FROM unnest(
      ${rows.map((row) => row.id)}::uuid[],
      ${rows.map((row) => row.walletId)}::uuid[],
      ${rows.map((row) => row.projectId)}::uuid[],
      ${rows.map((row) => row.userId)}::text[],
      ${rows.map((row) => row.exclusive)}::boolean[],
      ${instants(rows.map((row) => row.now))}::timestamptz[])`;
}

/** Adds what became of their lots, also to those that were not loaded. */
export function updateAllocations(sql: Queryable, books: readonly WalletBook[]) {
  const changed = books.flatMap(({ lots }) => lots.allocations.differences);
  const restated = new Map(
    books.flatMap(({ lots }) => lots.allocations.restated).map((row) => [row.id, row.exclusive]),
  );
  const unchanged = { available: 0n, pinned: 0n, frozen: 0n, used: 0n };
  const known = new Set(changed.map(({ id }) => id));
  const rows = [...changed, ...[...restated.keys()].filter((id) => !known.has(id)).map((id) => ({ id, ...unchanged }))];
  if (rows.length === 0) return null;
  return sql`
    UPDATE allocation
    SET available_micros = available_micros + changed.available, pinned_micros = pinned_micros + changed.pinned,
        frozen_micros = frozen_micros + changed.frozen, used_micros = greatest(0, used_micros + changed.used),
        exclusive = coalesce(changed.exclusive, allocation.exclusive)
    FROM unnest(
      ${rows.map((row) => row.id)}::uuid[],
      ${amounts(rows.map((row) => row.available))}::bigint[],
      ${amounts(rows.map((row) => row.pinned))}::bigint[],
      ${amounts(rows.map((row) => row.frozen))}::bigint[],
      ${amounts(rows.map((row) => row.used))}::bigint[],
      ${rows.map((row) => restated.get(row.id) ?? null)}::boolean[]
    ) AS changed (id, available, pinned, frozen, used, exclusive)
    WHERE allocation.id = changed.id`;
}
