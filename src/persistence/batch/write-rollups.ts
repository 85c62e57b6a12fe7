/** Adds what a batch used to the rollups of reports. */
import { formatDecimal } from '../../domain/credits/decimal.ts';
import type { WalletBook } from '../../domain/posting/wallet-book.ts';
import { carriedUsage } from '../../domain/statements/carried-usage.ts';
import { rollUp } from '../../domain/usage/rollup.ts';
import { amounts, instants } from '../columns.ts';
import type { Queryable } from '../connection.ts';

export function addRollups(sql: Queryable, books: readonly WalletBook[]) {
  const rows = rollUp(books.flatMap((book) => book.transactions));
  if (rows.length === 0) return null;
  return sql`
    INSERT INTO usage_rollup (wallet_id, grain, starts_at, meter, model, modality, operation, user_id, project_id,
      api_key_id, quantity, credits_micros, events)
    SELECT * FROM unnest(
      ${rows.map((row) => row.walletId)}::uuid[],
      ${rows.map((row) => row.grain)}::"RollupGrain"[],
      ${instants(rows.map((row) => row.startsAt))}::timestamptz[],
      ${rows.map((row) => row.meter)}::text[],
      ${rows.map((row) => row.model)}::text[],
      ${rows.map((row) => row.modality)}::text[],
      ${rows.map((row) => row.operation)}::text[],
      ${rows.map((row) => row.userId)}::text[],
      ${rows.map((row) => row.projectId)}::text[],
      ${rows.map((row) => row.apiKeyId)}::text[],
      ${rows.map((row) => formatDecimal(row.quantity))}::numeric[],
      ${amounts(rows.map((row) => row.credits))}::bigint[],
      ${amounts(rows.map((row) => row.events))}::bigint[])
    ON CONFLICT (wallet_id, grain, starts_at, meter, model, modality, operation, user_id, project_id, api_key_id)
    DO UPDATE SET quantity = usage_rollup.quantity + excluded.quantity,
      credits_micros = usage_rollup.credits_micros + excluded.credits_micros,
      events = usage_rollup.events + excluded.events`;
}

/** Adds what statements count in another month than reports; most batches have nothing of the kind. */
export function carryUsage(sql: Queryable, books: readonly WalletBook[]) {
  const rows = books.flatMap(({ transactions, snapshot }) => carriedUsage(transactions, snapshot.timeZone));
  if (rows.length === 0) return null;
  return sql`
    INSERT INTO carried_usage (wallet_id, starts_at, meter, model, user_id, project_id, quantity, credits_micros, events)
    SELECT * FROM unnest(
      ${rows.map((row) => row.walletId)}::uuid[],
      ${instants(rows.map((row) => row.startsAt))}::timestamptz[],
      ${rows.map((row) => row.meter)}::text[],
      ${rows.map((row) => row.model)}::text[],
      ${rows.map((row) => row.userId)}::text[],
      ${rows.map((row) => row.projectId)}::text[],
      ${rows.map((row) => formatDecimal(row.quantity))}::numeric[],
      ${amounts(rows.map((row) => row.credits))}::bigint[],
      ${amounts(rows.map((row) => row.events))}::bigint[])
    ON CONFLICT (wallet_id, starts_at, meter, model, user_id, project_id)
    DO UPDATE SET quantity = carried_usage.quantity + excluded.quantity,
      credits_micros = carried_usage.credits_micros + excluded.credits_micros,
      events = carried_usage.events + excluded.events`;
}
