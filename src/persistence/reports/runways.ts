/** What runways are worked out from: two statements, sent at once, whatever the number of wallets. */
import { micros, minus, sum } from '../../domain/credits/micros.ts';
import { groupBy } from '../../domain/group-by.ts';
import type { BurnHistory } from '../../domain/runway/burn-rate.ts';
import { WINDOW_DAYS } from '../../domain/runway/burn-rate.ts';
import type { RunwayBucket, Supply } from '../../domain/runway/depletion.ts';
import type { SubscriptionStatus } from '../../domain/subscriptions/subscription.ts';
import { type Instant, instant } from '../../domain/time/instant.ts';
import type { RefreshInterval } from '../../domain/wallet/bucket.ts';
import { WALLET_CLOCK } from '../clock.ts';
import type { Queryable } from '../connection.ts';

export interface RunwayFacts extends Omit<Supply, 'creditsPerDay' | 'refreshesUntil'> {
  readonly walletId: string;
  readonly history: BurnHistory;
  /** Null where there never was one. */
  readonly subscription: {
    readonly status: SubscriptionStatus;
    readonly periodEnd: Instant;
    readonly cancelAtPeriodEnd: boolean;
  } | null;
}

/** Lots of a bucket that are known singly: so many that are earmarked for nobody, and so many that are. */
const LOTS_PER_BUCKET = 500;

interface BucketRow {
  wallet_id: string;
  now: Instant;
  debt_micros: bigint;
  status: SubscriptionStatus | null;
  current_period_end: Instant;
  cancel_at_period_end: boolean;
  available_micros: bigint;
  interval: RefreshInterval | null;
  amount_micros: bigint;
  next_refresh_at: Instant;
  /** What can be spent, as text, and when it expires in milliseconds, by expiry; null where there is nothing. */
  lots: readonly (readonly [string, number | null])[] | null;
}

export async function loadRunwayFacts(sql: Queryable, walletIds: readonly string[]): Promise<RunwayFacts[]> {
  const [buckets, usage] = await Promise.all([loadSupplies(sql, walletIds), loadUsage(sql, walletIds)]);
  const usageOf = groupBy(usage, (row) => row.wallet_id);
  return [...groupBy(buckets, (row) => row.wallet_id)].flatMap(([walletId, rows]) => {
    const [wallet] = rows;
    if (!wallet) return [];
    const { now, status, current_period_end: periodEnd, cancel_at_period_end: cancelAtPeriodEnd } = wallet;
    return [
      {
        walletId,
        now,
        debt: micros(wallet.debt_micros),
        subscription: status === null ? null : { status, periodEnd, cancelAtPeriodEnd },
        buckets: rows.map(bucketOf),
        history: historyOf(usageOf.get(walletId) ?? []),
      },
    ];
  });
}

function loadSupplies(sql: Queryable, walletIds: readonly string[]) {
  return sql<BucketRow[]>`
    SELECT w.id AS wallet_id, ${WALLET_CLOCK} AS now, w.debt_micros, s.status, s.current_period_end, s.cancel_at_period_end,
           b.available_micros, a.interval, a.amount_micros, a.next_refresh_at, l.lots
    FROM wallet w
    JOIN organization o ON o.id = w.organization_id
    LEFT JOIN plan_subscription s ON s.organization_id = w.organization_id
    JOIN bucket b ON b.wallet_id = w.id
    LEFT JOIN allowance a ON a.bucket_id = b.id
    CROSS JOIN LATERAL (
      SELECT jsonb_agg(jsonb_build_array(available::text, floor(extract(epoch FROM expires_at) * 1000)::bigint)
        ORDER BY expires_at NULLS LAST) AS lots
      FROM (
        SELECT expires_at, sum(available) AS available
        FROM (
          (
            SELECT lot.expires_at, lot.remaining_micros - lot.pinned_micros AS available
            FROM lot
            WHERE lot.bucket_id = b.id AND lot.spendable AND lot.allocation_id IS NULL
            ORDER BY lot.expires_at NULLS LAST, lot.paid, lot.effective_at, lot.id
            LIMIT ${LOTS_PER_BUCKET}
          ) UNION ALL (
            SELECT lot.expires_at, lot.remaining_micros - lot.pinned_micros
            FROM allocation
            JOIN lot ON lot.allocation_id = allocation.id AND lot.bucket_id = b.id AND lot.spendable
            WHERE allocation.wallet_id = w.id
            ORDER BY lot.expires_at NULLS LAST
            LIMIT ${LOTS_PER_BUCKET}
          )
        ) first
        GROUP BY expires_at
      ) together
    ) l
    WHERE w.id = ANY(${[...walletIds]}::uuid[])
    ORDER BY b.burn_priority, b.key COLLATE "C"`;
}

function bucketOf(row: BucketRow): RunwayBucket {
  const lots = (row.lots ?? []).map(([available, expiresAt]) => ({
    available: micros(BigInt(available)),
    expiresAt: expiresAt === null ? null : instant(expiresAt),
  }));
  const { interval, amount_micros: amount, next_refresh_at: nextRefreshAt } = row;
  return {
    lots,
    beyond: minus(micros(row.available_micros), sum(lots.map(({ available }) => available))),
    refresh: interval === null ? null : { amount: micros(amount), interval, nextRefreshAt },
  };
}

interface UsageRow {
  wallet_id: string;
  /** Null for what was charged before the window. */
  starts_at: Instant | null;
  credits: string;
}

/** By day, and whether anything was charged before them; the primary key of the rollups finds both. */
function loadUsage(sql: Queryable, walletIds: readonly string[]) {
  return sql<UsageRow[]>`
    SELECT w.id AS wallet_id, u.starts_at, u.credits
    FROM wallet w
    JOIN organization o ON o.id = w.organization_id
    CROSS JOIN LATERAL (SELECT ${WALLET_CLOCK} - (${WINDOW_DAYS}::int * interval '24 hours') AS begins) window_of
    CROSS JOIN LATERAL (
      SELECT starts_at, sum(credits_micros)::text AS credits
      FROM usage_rollup
      WHERE wallet_id = w.id AND grain = 'DAY' AND starts_at > window_of.begins
      GROUP BY starts_at
      UNION ALL (
        SELECT NULL, '0'
        FROM usage_rollup
        WHERE wallet_id = w.id AND grain = 'DAY' AND starts_at <= window_of.begins
        LIMIT 1
      )
    ) u
    WHERE w.id = ANY(${[...walletIds]}::uuid[])`;
}

function historyOf(rows: readonly UsageRow[]): BurnHistory {
  return {
    isOlder: rows.some((row) => row.starts_at === null),
    days: rows.flatMap(({ starts_at: startsAt, credits }) =>
      startsAt === null ? [] : [{ startsAt, credits: micros(BigInt(credits)) }],
    ),
  };
}
