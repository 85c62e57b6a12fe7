/** Spend limits with their counters, for the decisions that meet them; for a batch they are read under the wallets' locks. */
import { micros } from '../../domain/credits/micros.ts';
import type { LimitWindow } from '../../domain/limits/plan-limit.ts';
import type { SpendCount, SpendLimit, SpendLimitScope } from '../../domain/limits/spend-limit.ts';
import type { Spender } from '../../domain/spender.ts';
import type { Instant } from '../../domain/time/instant.ts';
import type { Queryable } from '../connection.ts';

export interface LoadedSpendLimit {
  readonly wallet_id: string;
  readonly limit: SpendLimit;
  /** Null where nothing was ever counted. */
  readonly count: SpendCount | null;
}

interface Row {
  id: string;
  wallet_id: string;
  scope: SpendLimitScope;
  target_id: string | null;
  per: LimitWindow;
  credits_micros: bigint;
  window_start: Instant | null;
  used_micros: bigint;
}

/** Those of the wallets that limit one of the spenders, be there ever so many others. */
export async function loadSpendLimits(
  sql: Queryable,
  walletIds: readonly string[],
  spenders: readonly Spender[],
): Promise<LoadedSpendLimit[]> {
  const named = (idOf: (spender: Spender) => string | null) => [
    ...new Set(spenders.map(idOf).filter((id) => id !== null)),
  ];
  const rows = await sql<Row[]>`
    SELECT l.id, l.wallet_id, l.scope, coalesce(l.project_id::text, l.user_id, l.api_key_id::text) AS target_id, l.per,
           l.credits_micros, c.window_start, c.used_micros
    FROM spend_limit l
    LEFT JOIN spend_counter c ON c.wallet_id = l.wallet_id AND c.limit_code = l.id::text
    WHERE l.wallet_id = ANY(${walletIds}::uuid[]) AND l.removed_at IS NULL
      AND (l.scope = 'ORGANIZATION'
        OR l.project_id::text = ANY(${named(({ projectId }) => projectId)}::text[])
        OR l.user_id = ANY(${named(({ userId }) => userId)}::text[])
        OR l.api_key_id::text = ANY(${named(({ apiKeyId }) => apiKeyId)}::text[]))`;
  return rows.map((row) => ({
    wallet_id: row.wallet_id,
    limit: {
      id: row.id,
      scope: row.scope,
      targetId: row.target_id,
      window: row.per,
      credits: micros(row.credits_micros),
    },
    count:
      row.window_start === null
        ? null
        : { counter: row.id, windowStart: row.window_start, used: micros(row.used_micros) },
  }));
}
