/** Writes the counters that a batch moved. The engine holds the wallets' locks, so that nobody else writes them. */
import { formatDecimal } from '../../domain/credits/decimal.ts';
import type { WalletBook } from '../../domain/posting/wallet-book.ts';
import { amounts, instants } from '../columns.ts';
import type { Queryable } from '../connection.ts';

export function writeCounters(sql: Queryable, books: readonly WalletBook[]) {
  return [writeSpending(sql, books), writeOperations(sql, books), writeTiers(sql, books)];
}

function writeSpending(sql: Queryable, books: readonly WalletBook[]) {
  const rows = books.flatMap(({ snapshot: { id: walletId }, counters }) =>
    counters.changedSpend.map((count) => ({ walletId, ...count })),
  );
  if (rows.length === 0) return null;
  return sql`
    INSERT INTO spend_counter (wallet_id, limit_code, window_start, used_micros)
    SELECT * FROM unnest(
      ${rows.map((row) => row.walletId)}::uuid[],
      ${rows.map((row) => row.counter)}::text[],
      ${instants(rows.map((row) => row.windowStart))}::timestamptz[],
      ${amounts(rows.map((row) => row.used))}::bigint[])
    ON CONFLICT (wallet_id, limit_code) DO UPDATE
    SET window_start = excluded.window_start, used_micros = excluded.used_micros`;
}

function writeOperations(sql: Queryable, books: readonly WalletBook[]) {
  const rows = books.flatMap(({ snapshot: { id: walletId }, operations }) =>
    operations.changed.map((count) => ({ walletId, ...count })),
  );
  if (rows.length === 0) return null;
  return sql`
    INSERT INTO operation_counter (wallet_id, key, per, window_start, operations)
    SELECT * FROM unnest(
      ${rows.map((row) => row.walletId)}::uuid[],
      ${rows.map((row) => row.key)}::text[],
      ${rows.map((row) => row.window)}::text[],
      ${instants(rows.map((row) => row.windowStart))}::timestamptz[],
      ${rows.map((row) => row.operations)}::bigint[])
    ON CONFLICT (wallet_id, key, per) DO UPDATE
    SET window_start = excluded.window_start, operations = excluded.operations`;
}

function writeTiers(sql: Queryable, books: readonly WalletBook[]) {
  const rows = books.flatMap(({ snapshot: { id: walletId }, counters }) =>
    counters.changedTiers.map((count) => ({ walletId, ...count })),
  );
  if (rows.length === 0) return null;
  return sql`
    INSERT INTO tier_counter (wallet_id, meter, rate, period_start, quantity)
    SELECT * FROM unnest(
      ${rows.map((row) => row.walletId)}::uuid[],
      ${rows.map((row) => row.meter)}::text[],
      ${rows.map((row) => row.rate)}::text[],
      ${instants(rows.map((row) => row.periodStart))}::timestamptz[],
      ${rows.map((row) => formatDecimal(row.quantity))}::numeric[])
    ON CONFLICT (wallet_id, meter, rate) DO UPDATE
    SET period_start = excluded.period_start, quantity = excluded.quantity`;
}
