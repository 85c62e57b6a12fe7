/**
 * Loads what one batch of posting decisions needs, or an estimate. For a batch the wallets are locked first, in id order, so
 * that no two batches wait for each other in a circle; the clock is read after the locks. All statements are sent at once and
 * cost one round trip; wallets with something due cost another, and one more where holds have lapsed.
 */
import { type AllocationSnapshot, type AllocationStanding, NO_STANDING } from '../../domain/allocations/allocation.ts';
import { micros } from '../../domain/credits/micros.ts';
import { groupBy } from '../../domain/group-by.ts';
import type { HoldSnapshot } from '../../domain/holds/hold.ts';
import type { OperationCount } from '../../domain/limits/frequency-cap.ts';
import type { SpendCount } from '../../domain/limits/spend-limit.ts';
import type { Money } from '../../domain/money/money.ts';
import { type Command, type KeyedCommand, keyedCommands } from '../../domain/posting/commands.ts';
import type { BatchInput } from '../../domain/posting/decide-batch.ts';
import type { IdempotencyRecord } from '../../domain/posting/idempotency.ts';
import type { Policies } from '../../domain/posting/policies.ts';
import type { TierCount, WalletSnapshot } from '../../domain/posting/wallet-snapshot.ts';
import { type Spender, spenderOf } from '../../domain/spender.ts';
import type { PaymentDue, Subscription, SubscriptionStatus } from '../../domain/subscriptions/subscription.ts';
import { calendarWindow } from '../../domain/time/calendar.ts';
import { formatInstant, type Instant, instant, later } from '../../domain/time/instant.ts';
import type { AllowanceSnapshot, BucketKind, BucketSnapshot, RefreshInterval } from '../../domain/wallet/bucket.ts';
import { ALERT_COLUMNS, type AlertsRow, alertsOf } from '../alerts.ts';
import { holdCatalogs } from '../catalogs.ts';
import type { Queryable } from '../connection.ts';
import { loadNamedLots } from '../lots.ts';
import { AUTO_TOP_UP_COLUMNS, type AutoTopUpRow, autoTopUpOf, loadTopUpSpending } from '../payments/auto-top-ups.ts';
import { loadRedemptions } from '../redemptions.ts';
import { ZONE_COLUMNS, type ZoneRow, zoneOfRow } from '../time-zones.ts';
import { decodeAnswer } from './answer-codec.ts';
import { earmarksWanted, loadAllocationBounds, loadAllocations } from './load-allocations.ts';
import { loadOperationCounts, loadSpendCounts, loadTierCounts } from './load-counters.ts';
import { loadHolds } from './load-holds.ts';
import { findPinningHolds, loadPurchases } from './load-purchases.ts';
import { loadRefundables } from './load-refundables.ts';
import { type LoadedSpendLimit, loadSpendLimits } from './load-spend-limits.ts';
import { LOT_COLUMNS, type LotRow, lotSnapshot } from './lot-rows.ts';

/** Bounds that keep a batch's memory and time in hand. */
export interface LoadLimits {
  /** Lots loaded per bucket, in burn order. */
  readonly lotsPerBucket: number;
  /** Due lots, and as many lapsed holds, loaded per wallet. */
  readonly duePerWallet: number;
}

export interface LoadedBatch
  extends Pick<BatchInput, 'wallets' | 'records' | 'refundables' | 'purchases' | 'lots' | 'redemptions'> {
  /** The newest version of the catalog once the wallets were locked; 0 where there is none. */
  readonly catalogVersion: number;
}

/** Counters that the catalog makes worth loading. */
export type CounterNeeds = Pick<Policies, 'countsUnits' | 'countsSpending' | 'countsOperations'>;

interface WalletRow extends AutoTopUpRow, AlertsRow, ZoneRow {
  id: string;
  organization_id: string;
  balance_micros: bigint;
  debt_micros: bigint;
  sequence: bigint;
  version: bigint;
  head_hash: string;
  last_posted_at: Instant;
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
  organization_clock: bigint;
  catalog_version: number;
}

interface BucketRow {
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

interface RecordRow {
  organization_id: string;
  key: string;
  operation: string;
  request_hash: string;
  outcome: unknown;
}

/** A plan begins when it is selected, or when its payment is known. */
const BEGIN_PLANS: ReadonlySet<Command['kind']> = new Set<Command['kind']>([
  'subscribe',
  'resolve-purchase',
  'collect',
]);

/** Begins the transaction, locks and loads. The caller commits or rolls back. */
export function beginAndLoad(
  sql: Queryable,
  commands: readonly Command[],
  limits: LoadLimits,
  needs: CounterNeeds,
): Promise<LoadedBatch> {
  const walletIds = [...new Set(commands.map((command) => command.walletId))].sort();
  // A subscription that is begun while a catalog is applied must get what that catalog gives to the plan's subscribers.
  const selecting = commands.flatMap((command) => (BEGIN_PLANS.has(command.kind) ? [command.walletId] : []));
  const locking = [
    sql`BEGIN ISOLATION LEVEL READ COMMITTED`,
    ...(selecting.length > 0 ? [holdCatalogs(sql)] : []),
    sql`SELECT 1 FROM wallet WHERE id = ANY(${walletIds}::uuid[]) ORDER BY id FOR UPDATE`,
  ];
  return load(sql, { locking, walletIds, selecting, spenders: [], commands }, limits, needs);
}

export interface Reading {
  readonly walletId: string;
  /** True where what allowances have granted is asked for. */
  readonly selectsPlan: boolean;
  /** Who would spend; null where nobody does. */
  readonly spender: Spender | null;
}

/** Reads one wallet as it is, locking nothing. The caller rolls back. */
export function beginAndRead(
  sql: Queryable,
  { walletId, selectsPlan, spender }: Reading,
  limits: LoadLimits,
  needs: CounterNeeds,
): Promise<LoadedBatch> {
  const locking = [sql`BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY`];
  const selecting = selectsPlan ? [walletId] : [];
  const spenders = spender ? [spender] : [];
  return load(sql, { locking, walletIds: [walletId], selecting, spenders, commands: [] }, limits, needs);
}

interface Wanted {
  /** What begins the transaction. */
  readonly locking: readonly Promise<unknown>[];
  readonly walletIds: readonly string[];
  /** Those on which a plan may begin. */
  readonly selecting: readonly string[];
  /** Those who would spend without a command. */
  readonly spenders: readonly Spender[];
  readonly commands: readonly Command[];
}

async function load(
  sql: Queryable,
  { locking, walletIds, selecting, spenders, commands }: Wanted,
  limits: LoadLimits,
  needs: CounterNeeds,
): Promise<LoadedBatch> {
  const keyed = keyedCommands(commands);
  const namedHolds = keyed.flatMap((command) => ('holdId' in command ? [command.holdId] : []));
  const refunded = keyed.flatMap((command) => (command.kind === 'refund' ? [command.transactionId] : []));
  const namedLots = keyed.flatMap((command) => ('lotId' in command ? [command.lotId] : []));
  const purchaseIds = commands.flatMap((command) => ('purchaseId' in command ? [command.purchaseId] : []));
  const earmarks = earmarksWanted(commands, spenders);
  const loading = Promise.all([
    loadWallets(sql, walletIds),
    loadBuckets(sql, walletIds),
    loadLots(sql, walletIds, limits.lotsPerBucket),
    selecting.length > 0 ? loadGrantedLots(sql, selecting) : [],
    loadRecords(sql, keyed),
    loadPurchases(sql, purchaseIds, walletIds),
    findPinningHolds(sql, purchaseIds, walletIds),
    loadHolds(sql, namedHolds, walletIds),
    loadRefundables(sql, refunded, walletIds),
    loadNamedLots(sql, namedLots, walletIds),
    loadRedemptions(sql, keyed),
    needs.countsSpending ? loadSpendCounts(sql, walletIds) : NO_COUNTS,
    needs.countsOperations ? loadOperationCounts(sql, walletIds) : NO_COUNTS,
    needs.countsUnits ? loadTierCounts(sql, walletIds) : NO_COUNTS,
    loadAllocations(sql, earmarks, { walletIds, lotsPerAllocation: limits.lotsPerBucket }),
    loadAllocationBounds(sql, commands),
  ]);
  loading.catch(() => undefined);
  // Where the transaction cannot begin, that is the fault; the statements behind it merely find it aborted.
  await Promise.all(locking);
  const [
    wallets,
    buckets,
    lots,
    grantedLots,
    records,
    purchases,
    pinning,
    holds,
    refundables,
    revocable,
    redemptions,
    spendCounts,
    operationCounts,
    tierCounts,
    allocations,
    allocationBounds,
  ] = await loading;
  // Nothing is due on most wallets most of the time: those where something is pay for another round trip or two.
  const due = wallets.filter(isDue);
  const [dueLots, lapsed] =
    due.length === 0
      ? [[], []]
      : await Promise.all([loadDueLots(sql, due, limits.duePerWallet), findLapsed(sql, due, limits.duePerWallet)]);
  const wanted = new Set([...lapsed.map((row) => row.id), ...pinning]);
  const missing = [...wanted].filter((id) => !namedHolds.includes(id));
  const allHolds = [...holds, ...(await loadHolds(sql, missing, walletIds))];
  const limited = [
    ...keyed.flatMap((command) => ('attribution' in command ? [spenderOf(command)] : [])),
    ...allHolds.map(({ facts }) => spenderOf(facts)),
    ...refundables.map((charge) => charge.spender),
    ...spenders,
  ];
  const assembly: Assembly = {
    buckets: groupBy(buckets, (row) => row.wallet_id),
    lots: groupBy(lots, (row) => row.bucket_id),
    grantedLots: groupBy(grantedLots, (row) => row.wallet_id),
    dueLots: groupBy(dueLots, (row) => row.wallet_id),
    holds: groupBy(allHolds, (hold) => hold.facts.walletId),
    lapsed: groupBy(lapsed, (row) => row.wallet_id),
    spendLimits: groupBy(await spendLimitsOf(sql, wallets, limited), (row) => row.wallet_id),
    spendCounts: groupBy(spendCounts, (row) => row.wallet_id),
    operationCounts: groupBy(operationCounts, (row) => row.wallet_id),
    tierCounts: groupBy(tierCounts, (row) => row.wallet_id),
    allocations: groupBy(allocations, (row) => row.walletId),
    allocationStandings: new Map(allocationBounds.map(({ walletId, standing }) => [walletId, standing])),
    topUpSpending: await topUpSpendingOf(sql, commands, wallets),
    limits,
  };
  return {
    wallets: wallets.map((row) => walletSnapshot(row, assembly)),
    records: records.map(recordOf),
    purchases,
    refundables,
    lots: revocable,
    redemptions,
    catalogVersion: wallets[0]?.catalog_version ?? 0,
  };
}

/** This month's, where charges are collected from a wallet that tops itself up; else nothing is asked. */
async function topUpSpendingOf(
  sql: Queryable,
  commands: readonly Command[],
  wallets: readonly WalletRow[],
): Promise<ReadonlyMap<string, bigint>> {
  const collected = new Set(commands.flatMap(({ kind, walletId }) => (kind === 'collect' ? [walletId] : [])));
  const wanted = wallets.filter((row) => row.top_up_enabled !== null && collected.has(row.id));
  if (wanted.length === 0) return new Map();
  return loadTopUpSpending(
    sql,
    wanted.map((row) => ({ walletId: row.id, since: calendarWindow('MONTH', nowOf(row), zoneOfRow(row)).start })),
  );
}

/** Wallets without spend limits, which are most, cost nothing; those that have some pay for another round trip. */
async function spendLimitsOf(
  sql: Queryable,
  wallets: readonly WalletRow[],
  spenders: readonly Spender[],
): Promise<readonly LoadedSpendLimit[]> {
  const limited = wallets.filter((row) => row.limits_spending).map((row) => row.id);
  return limited.length === 0 || spenders.length === 0 ? [] : loadSpendLimits(sql, limited, spenders);
}

const NO_COUNTS: readonly never[] = [];

const nowOf = (row: WalletRow): Instant => later(instant(Number(row.organization_clock)), row.last_posted_at);

const isDue = (row: WalletRow): boolean => row.next_transition_at !== null && row.next_transition_at <= nowOf(row);

function loadWallets(sql: Queryable, walletIds: readonly string[]) {
  return sql<WalletRow[]>`
    SELECT w.id, w.organization_id, w.balance_micros, w.debt_micros, w.sequence, w.version,
           encode(w.head_hash, 'hex') AS head_hash, w.last_posted_at, w.next_transition_at,
           w.frozen_at IS NOT NULL AS frozen,
           EXISTS (SELECT 1 FROM spend_limit l WHERE l.wallet_id = w.id AND l.removed_at IS NULL) AS limits_spending,
           ${ZONE_COLUMNS}, s.id AS subscription_id, s.status AS subscription_status,
           s.plan_key, s.anchor_day, s.current_period_start, s.current_period_end, s.trial_ends_at,
           s.cancel_at_period_end, s.scheduled_plan_key, s.payment_due_since, s.grace_ends_at,
           s.failed_attempts AS failed_renewals, s.next_attempt_at AS next_renewal_at, s.charging_purchase_id,
           s.price_minor, s.price_currency, to_jsonb(s.paid_by) AS paid_by, ${AUTO_TOP_UP_COLUMNS},
           ${ALERT_COLUMNS},
           floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint + coalesce(o.test_clock_offset_ms, 0)
             AS organization_clock,
           coalesce((SELECT max(version) FROM catalog_version), 0) AS catalog_version
    FROM wallet w
    JOIN organization o ON o.id = w.organization_id
    LEFT JOIN plan_subscription s ON s.organization_id = w.organization_id
    LEFT JOIN auto_top_up t ON t.wallet_id = w.id
    WHERE w.id = ANY(${walletIds}::uuid[])`;
}

function loadBuckets(sql: Queryable, walletIds: readonly string[]) {
  return sql<BucketRow[]>`
    SELECT b.id, b.wallet_id, b.key, b.kind, b.burn_priority, b.available_micros, b.pinned_micros, b.frozen_micros,
           b.earmarked_micros, a.interval, a.amount_micros, a.rollover_limit_micros, a.anchor_day, a.last_refreshed_at, a.next_refresh_at
    FROM bucket b
    LEFT JOIN allowance a ON a.bucket_id = b.id
    WHERE b.wallet_id = ANY(${walletIds}::uuid[])`;
}

/** What allowances have granted for periods that ran when the wallet was last posted to. */
function loadGrantedLots(sql: Queryable, walletIds: readonly string[]) {
  return sql<LotRow[]>`
    SELECT ${LOT_COLUMNS}
    FROM lot
    JOIN wallet w ON w.id = lot.wallet_id
    WHERE w.id = ANY(${walletIds}::uuid[]) AND lot.source IN ('PLAN_GRANT', 'ALLOWANCE')
      AND lot.expires_at > w.last_posted_at
    ORDER BY lot.id`;
}

/** The first spendable lots of every bucket that are earmarked for nobody, in burn order; the index lot_burn_order answers it without a sort. */
function loadLots(sql: Queryable, walletIds: readonly string[], perBucket: number) {
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

interface DueWallets {
  readonly ids: readonly string[];
  readonly nows: readonly string[];
}

/** What is due is judged by the clock that the decision uses. */
const clocksOf = (rows: readonly WalletRow[]): DueWallets => ({
  ids: rows.map((row) => row.id),
  nows: rows.map((row) => formatInstant(nowOf(row))),
});

/** Lots to expire or start, in the order of domain/posting/transitions.ts; one beyond the bound tells of more. */
function loadDueLots(sql: Queryable, wallets: readonly WalletRow[], perWallet: number) {
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

interface LapsedRow {
  id: string;
  wallet_id: string;
  expires_at: Instant;
}

/** Open holds past their expiry, earliest first; one beyond the bound tells of more. */
function findLapsed(sql: Queryable, wallets: readonly WalletRow[], perWallet: number) {
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

/** One index probe per key; a plain join would scan the table where PostgreSQL has no statistics of it yet. */
async function loadRecords(sql: Queryable, keyed: readonly KeyedCommand[]): Promise<readonly RecordRow[]> {
  if (keyed.length === 0) return [];
  return sql<RecordRow[]>`
    SELECT r.organization_id, r.key, r.operation, encode(r.request_hash, 'hex') AS request_hash, r.outcome
    FROM unnest(${keyed.map((command) => command.organizationId)}::uuid[],
                ${keyed.map((command) => command.idempotencyKey)}::text[]) AS wanted (organization_id, key)
    CROSS JOIN LATERAL (
      SELECT * FROM idempotency_record
      WHERE organization_id = wanted.organization_id AND key = wanted.key
      LIMIT 1
    ) r`;
}

interface Assembly {
  readonly buckets: ReadonlyMap<string, readonly BucketRow[]>;
  readonly lots: ReadonlyMap<string, readonly LotRow[]>;
  readonly grantedLots: ReadonlyMap<string, readonly LotRow[]>;
  readonly dueLots: ReadonlyMap<string, readonly LotRow[]>;
  readonly holds: ReadonlyMap<string, readonly HoldSnapshot[]>;
  readonly lapsed: ReadonlyMap<string, readonly LapsedRow[]>;
  readonly spendLimits: ReadonlyMap<string, readonly LoadedSpendLimit[]>;
  readonly spendCounts: ReadonlyMap<string, readonly SpendCount[]>;
  readonly operationCounts: ReadonlyMap<string, readonly OperationCount[]>;
  readonly tierCounts: ReadonlyMap<string, readonly TierCount[]>;
  readonly allocations: ReadonlyMap<string, readonly AllocationSnapshot[]>;
  readonly allocationStandings: ReadonlyMap<string, AllocationStanding>;
  readonly topUpSpending: ReadonlyMap<string, bigint>;
  readonly limits: LoadLimits;
}

function walletSnapshot(row: WalletRow, assembly: Assembly): WalletSnapshot {
  const { buckets, lots, grantedLots, dueLots, holds, lapsed, spendCounts, operationCounts, tierCounts } = assembly;
  const { allocations, allocationStandings, topUpSpending, limits } = assembly;
  const spendLimits = assembly.spendLimits.get(row.id) ?? [];
  const ofWallet = buckets.get(row.id) ?? [];
  const due = dueLots.get(row.id) ?? [];
  return {
    id: row.id,
    organizationId: row.organization_id,
    timeZone: zoneOfRow(row),
    now: nowOf(row),
    balance: micros(row.balance_micros),
    debt: micros(row.debt_micros),
    sequence: row.sequence,
    version: row.version,
    headHash: row.head_hash,
    frozen: row.frozen,
    nextTransitionAt: row.next_transition_at,
    subscription: subscriptionOf(row),
    autoTopUp: autoTopUpOf(row),
    topUpSpentMinor: topUpSpending.get(row.id) ?? 0n,
    alerts: alertsOf(row),
    alertNumber: row.alert_number,
    buckets: ofWallet.map((bucket) => bucketSnapshot(bucket, lots.get(bucket.id) ?? [], limits)),
    allowances: ofWallet.flatMap(allowanceSnapshot),
    allocations: allocations.get(row.id) ?? [],
    allocationStanding: allocationStandings.get(row.id) ?? NO_STANDING,
    grantedLots: (grantedLots.get(row.id) ?? []).map(lotSnapshot),
    dueLots: due.slice(0, limits.duePerWallet).map(lotSnapshot),
    moreDue: due.length > limits.duePerWallet,
    holds: holds.get(row.id) ?? [],
    lapsesLoadedTo: lapsesLoadedTo(lapsed.get(row.id) ?? [], limits),
    spendLimits: spendLimits.map(({ limit }) => limit),
    spendCounts: [...(spendCounts.get(row.id) ?? []), ...spendLimits.flatMap(({ count }) => count ?? [])],
    operationCounts: operationCounts.get(row.id) ?? [],
    tierCounts: tierCounts.get(row.id) ?? [],
  };
}

function subscriptionOf(row: WalletRow): Subscription | null {
  const { subscription_id: id, subscription_status: status, plan_key: planKey, anchor_day: anchorDay } = row;
  if (id === null || status === null || planKey === null || anchorDay === null) return null;
  return {
    id,
    status,
    planKey,
    anchorDay,
    period: { start: row.current_period_start, end: row.current_period_end },
    trialEndsAt: row.trial_ends_at,
    cancelAtPeriodEnd: row.cancel_at_period_end,
    scheduledPlanKey: row.scheduled_plan_key,
    payment: paymentOf(row),
    price: priceOf(row),
    paidBy: row.paid_by ?? [],
  };
}

const priceOf = ({ price_minor: amountMinor, price_currency: currency }: WalletRow): Money | null =>
  amountMinor === null || currency === null ? null : { amountMinor, currency };

function paymentOf(row: WalletRow): PaymentDue | null {
  const { payment_due_since: since, grace_ends_at: graceEndsAt } = row;
  if (since === null || graceEndsAt === null) return null;
  return {
    since,
    graceEndsAt,
    failedAttempts: row.failed_renewals,
    nextAttemptAt: row.next_renewal_at,
    purchaseId: row.charging_purchase_id,
  };
}

/** Null where all lapsed holds were loaded. */
function lapsesLoadedTo(lapsed: readonly LapsedRow[], { duePerWallet }: LoadLimits): Instant | null {
  return lapsed.length > duePerWallet ? (lapsed.at(-1)?.expires_at ?? null) : null;
}

function bucketSnapshot(row: BucketRow, lots: readonly LotRow[], limits: LoadLimits): BucketSnapshot {
  return {
    id: row.id,
    key: row.key,
    kind: row.kind,
    burnPriority: row.burn_priority,
    available: micros(row.available_micros),
    pinned: micros(row.pinned_micros),
    frozen: micros(row.frozen_micros),
    earmarked: micros(row.earmarked_micros),
    lots: lots.map(lotSnapshot),
    truncated: lots.length === limits.lotsPerBucket,
  };
}

function allowanceSnapshot(row: BucketRow): AllowanceSnapshot[] {
  const {
    rollover_limit_micros: rolloverLimit,
    interval,
    amount_micros: amount,
    anchor_day: anchorDay,
    next_refresh_at: nextRefreshAt,
  } = row;
  if (interval === null || amount === null || anchorDay === null || nextRefreshAt === null) return [];
  return [
    {
      bucketId: row.id,
      interval,
      amount: micros(amount),
      rolloverLimit: rolloverLimit === null ? null : micros(rolloverLimit),
      anchorDay,
      lastRefreshedAt: row.last_refreshed_at,
      nextRefreshAt,
    },
  ];
}

function recordOf(row: RecordRow): IdempotencyRecord {
  return {
    organizationId: row.organization_id,
    idempotencyKey: row.key,
    operation: row.operation,
    requestHash: row.request_hash,
    answer: decodeAnswer(row.outcome),
  };
}
