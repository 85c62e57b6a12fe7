/** Counters of caps and of rates; for a batch they are read under the wallets' locks. */
import { parseDecimalSum } from '../../domain/credits/decimal.ts';
import { micros } from '../../domain/credits/micros.ts';
import type { OperationCount } from '../../domain/limits/frequency-cap.ts';
import type { LimitWindow } from '../../domain/limits/plan-limit.ts';
import { DAILY_CREDIT_CAP, type SpendCount } from '../../domain/limits/spend-limit.ts';
import type { TierCount } from '../../domain/posting/wallet-snapshot.ts';
import type { Instant } from '../../domain/time/instant.ts';
import type { Queryable } from '../connection.ts';

/** What belongs to a wallet. */
export type OfWallet<Row> = Row & { readonly wallet_id: string };

/** Of the plan's cap; those of spend limits are loaded with them. */
export async function loadSpendCounts(sql: Queryable, walletIds: readonly string[]): Promise<OfWallet<SpendCount>[]> {
  const rows = await sql<{ wallet_id: string; limit_code: string; window_start: Instant; used_micros: bigint }[]>`
    SELECT wallet_id, limit_code, window_start, used_micros
    FROM spend_counter WHERE wallet_id = ANY(${walletIds}::uuid[]) AND limit_code = ${DAILY_CREDIT_CAP}`;
  return rows.map((row) => ({
    wallet_id: row.wallet_id,
    counter: row.limit_code,
    windowStart: row.window_start,
    used: micros(row.used_micros),
  }));
}

/** One row per cap that has counted operations: as many as a plan has caps. */
export async function loadOperationCounts(
  sql: Queryable,
  walletIds: readonly string[],
): Promise<OfWallet<OperationCount>[]> {
  const rows = await sql<
    { wallet_id: string; key: string; per: LimitWindow; window_start: Instant; operations: bigint }[]
  >`SELECT wallet_id, key, per, window_start, operations
    FROM operation_counter WHERE wallet_id = ANY(${walletIds}::uuid[])`;
  return rows.map((row) => ({
    wallet_id: row.wallet_id,
    key: row.key,
    window: row.per,
    windowStart: row.window_start,
    operations: Number(row.operations),
  }));
}

/** One row per rate that has counted units: as many as the catalog has such rates. */
export async function loadTierCounts(sql: Queryable, walletIds: readonly string[]): Promise<OfWallet<TierCount>[]> {
  const rows = await sql<
    { wallet_id: string; meter: string; rate: string; period_start: Instant; quantity: string }[]
  >`SELECT wallet_id, meter, rate, period_start, quantity::text AS quantity
    FROM tier_counter WHERE wallet_id = ANY(${walletIds}::uuid[])`;
  return rows.map((row) => {
    const quantity = parseDecimalSum(row.quantity);
    if (!quantity) throw new Error(`a tier counter holds ${row.quantity}`);
    const { wallet_id, meter, rate, period_start: periodStart } = row;
    return { wallet_id, meter, rate, periodStart, quantity };
  });
}
