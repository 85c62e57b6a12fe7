/**
 * What is read of the wallets of a batch, or of an estimate: their own rows, their buckets and lots, and what is due on them.
 * For a batch it is read under their locks.
 */
import type { SubscriptionStatus } from '../../domain/subscriptions/subscription.ts';
import { formatInstant, type Instant } from '../../domain/time/instant.ts';
import type { BucketKind, RefreshInterval } from '../../domain/wallet/bucket.ts';
import { ALERT_COLUMNS, type AlertsRow } from '../alerts.ts';
import { CLOCK_COLUMNS, type ClockRow, nowOfRow } from '../clock.ts';
import type { Queryable } from '../connection.ts';
import { AUTO_TOP_UP_COLUMNS, type AutoTopUpRow } from '../payments/auto-top-ups.ts';
import { ZONE_COLUMNS, type ZoneRow } from '../time-zones.ts';
import { LOT_COLUMNS, type LotRow } from './lot-rows.ts';

/** Bounds that keep a batch's memory and time in hand. */
export interface LoadLimits {
  /** Lots loaded per bucket, in burn order. */
  readonly lotsPerBucket: number;
  /** Due lots, and as many lapsed holds, loaded per wallet. */
  readonly duePerWallet: number;
}

export interface WalletRow extends ClockRow, AutoTopUpRow, AlertsRow, ZoneRow {
  id: string;
  organization_id: string;
  balance_micros: bigint;
  debt_micros: bigint;
  sequence: bigint;
  version: bigint;
  head_hash: string;
  next_transition_at: Instant | null;
  frozen: boolean;
  limits_spending: boolean;
  subscription_id: string | null;
  current_period_start: Instant;
  current_period_end: Instant;
  trial_ends_at: Instant | null;
  cancel_at_period_end: boolean;
  scheduled_plan_key: string | null;
  payment_due_since: Instant | null;
  grace_ends_at: Instant | null;
  failed_renewals: number;
  next_renewal_at: Instant | null;
  charging_purchase_id: string | null;
  price_minor: bigint | null;
  price_currency: string | null;
  paid_by: string[] | null;
  subscription_status: SubscriptionStatus | null;
  plan_key: string | null;
  anchor_day: number | null;
  catalog_version: number;
}

export interface BucketRow {
  id: string;
  wallet_id: string;
  key: string;
  kind: BucketKind;
  burn_priority: number;
  available_micros: bigint;
  pinned_micros: bigint;
  frozen_micros: bigint;
  earmarked_micros: bigint;
  interval: RefreshInterval | null;
  amount_micros: bigint | null;
  rollover_limit_micros: bigint | null;
  anchor_day: number | null;
  last_refreshed_at: Instant | null;
  next_refresh_at: Instant | null;
}

export interface LapsedRow {
  id: string;
  wallet_id: string;
  expires_at: Instant;
}

/** True where something must be posted before anything else. */
export const isDue = (row: WalletRow): boolean =>
  row.next_transition_at !== null && row.next_transition_at <= nowOfRow(row);

export function loadWallets(sql: Queryable, walletIds: readonly string[]) {
  return sql<WalletRow[]>`
    SELECT w.id, w.organization_id, w.balance_micros, w.debt_micros, w.sequence, w.version,
           encode(w.head_hash, 'hex') AS head_hash, w.next_transition_at,
           w.frozen_at IS NOT NULL AS frozen,
           EXISTS (SELECT 1 FROM spend_limit l WHERE l.wallet_id = w.id AND l.removed_at IS NULL) AS limits_spending,
           ${ZONE_COLUMNS}, s.id AS subscription_id, s.status AS subscription_status,
           s.plan_key, s.anchor_day, s.current_period_start, s.current_period_end, s.trial_ends_at,
           s.cancel_at_period_end, s.scheduled_plan_key, s.payment_due_since, s.grace_ends_at,
           s.failed_attempts AS failed_renewals, s.next_attempt_at AS next_renewal_at, s.charging_purchase_id,
           s.price_minor, s.price_currency, to_jsonb(s.paid_by) AS paid_by, ${AUTO_TOP_UP_COLUMNS},
           ${ALERT_COLUMNS},
           ${CLOCK_COLUMNS},
           coalesce((SELECT max(version) FROM catalog_version), 0) AS catalog_version
    FROM wallet w
    JOIN organization o ON o.id = w.organization_id
    LEFT JOIN plan_subscription s ON s.organization_id = w.organization_id
    LEFT JOIN auto_top_up t ON t.wallet_id = w.id
    WHERE w.id = ANY(${walletIds}::uuid[])`;
}

export function loadBuckets(sql: Queryable, walletIds: readonly string[]) {
  return sql<BucketRow[]>`
    SELECT b.id, b.wallet_id, b.key, b.kind, b.burn_priority, b.available_micros, b.pinned_micros, b.frozen_micros,
           b.earmarked_micros, a.interval, a.amount_micros, a.rollover_limit_micros, a.anchor_day, a.last_refreshed_at, a.next_refresh_at
    FROM bucket b
    LEFT JOIN allowance a ON a.bucket_id = b.id
    WHERE b.wallet_id = ANY(${walletIds}::uuid[])`;
}

/** The first spendable lots of every bucket that are earmarked for nobody, in burn order; the index lot_burn_order answers it without a sort. */
export function loadLots(sql: Queryable, walletIds: readonly string[], perBucket: number) {
  return sql<LotRow[]>`
    SELECT l.*
    FROM bucket b
    CROSS JOIN LATERAL (
      SELECT ${LOT_COLUMNS}
      FROM lot
      WHERE bucket_id = b.id AND spendable AND allocation_id IS NULL
      ORDER BY expires_at NULLS LAST, paid, effective_at, id
      LIMIT ${perBucket}
    ) l
    WHERE b.wallet_id = ANY(${walletIds}::uuid[])`;
}

/** What allowances have granted for periods that ran when the wallet was last posted to. */
export function loadGrantedLots(sql: Queryable, walletIds: readonly string[]) {
  return sql<LotRow[]>`
    SELECT ${LOT_COLUMNS}
    FROM lot
    JOIN wallet w ON w.id = lot.wallet_id
    WHERE w.id = ANY(${walletIds}::uuid[]) AND lot.source IN ('PLAN_GRANT', 'ALLOWANCE')
      AND lot.expires_at > w.last_posted_at
    ORDER BY lot.id`;
}

interface DueWallets {
  readonly ids: readonly string[];
  readonly nows: readonly string[];
}

/** What is due is judged by the clock that the decision uses. */
const clocksOf = (rows: readonly WalletRow[]): DueWallets => ({
  ids: rows.map((row) => row.id),
  nows: rows.map((row) => formatInstant(nowOfRow(row))),
});

/** Lots to expire or start, in the order of domain/posting/transitions.ts; one beyond the bound tells of more. */
export function loadDueLots(sql: Queryable, wallets: readonly WalletRow[], perWallet: number) {
  const { ids, nows } = clocksOf(wallets);
  return sql<LotRow[]>`
    SELECT l.*
    FROM unnest(${ids}::uuid[], ${nows}::timestamptz[]) AS due (wallet_id, now)
    CROSS JOIN LATERAL (
      SELECT ${LOT_COLUMNS}
      FROM lot
      WHERE wallet_id = due.wallet_id AND NOT frozen AND next_transition_at <= due.now
      ORDER BY next_transition_at, in_force DESC, id
      LIMIT ${perWallet + 1}
    ) l`;
}

/** Open holds past their expiry, earliest first; one beyond the bound tells of more. */
export function findLapsed(sql: Queryable, wallets: readonly WalletRow[], perWallet: number) {
  const { ids, nows } = clocksOf(wallets);
  return sql<LapsedRow[]>`
    SELECT h.id, h.wallet_id, h.expires_at
    FROM unnest(${ids}::uuid[], ${nows}::timestamptz[]) AS due (wallet_id, now)
    CROSS JOIN LATERAL (
      SELECT id, wallet_id, expires_at
      FROM hold
      WHERE wallet_id = due.wallet_id AND status = 'OPEN' AND expires_at <= due.now
      ORDER BY expires_at, id
      LIMIT ${perWallet + 1}
    ) h`;
}
