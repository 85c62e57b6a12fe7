/**
 * Loads what one batch of posting decisions needs. The wallets are locked first, in id order, so that no two batches wait
 * for each other in a circle; the clock is read after the locks. All statements are sent at once and cost one round trip;
 * wallets with something due cost another.
 */
import { micros } from '../domain/credits/micros.ts';
import { groupBy } from '../domain/group-by.ts';
import type { Command } from '../domain/posting/commands.ts';
import { isKeyed } from '../domain/posting/commands.ts';
import type { BatchInput } from '../domain/posting/decide-batch.ts';
import type { IdempotencyRecord } from '../domain/posting/idempotency.ts';
import { type Instant, instant, later } from '../domain/time/instant.ts';
import type {
  AllowanceSnapshot,
  BucketKind,
  BucketSnapshot,
  LotSnapshot,
  LotSource,
  RefreshInterval,
  SubscriptionStatus,
  WalletSnapshot,
} from '../domain/wallet/snapshot.ts';
import { decodeAnswer } from './answer-codec.ts';
import { fragment, type Queryable } from './connection.ts';
import { type LoadedPurchase, loadPurchases } from './load-purchases.ts';

/** Bounds that keep a batch's memory and time in hand. */
export interface LoadLimits {
  /** Lots loaded per bucket, in burn order. */
  readonly lotsPerBucket: number;
  /** Due lots loaded per wallet. */
  readonly dueLotsPerWallet: number;
}

export interface LoadedBatch extends Pick<BatchInput, 'wallets' | 'records'> {
  readonly purchases: readonly LoadedPurchase[];
  /** The newest version of the catalog once the wallets were locked; 0 where there is none. */
  readonly catalogVersion: number;
}

interface WalletRow {
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
  time_zone: string;
  subscription_status: SubscriptionStatus | null;
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
  interval: RefreshInterval | null;
  amount_micros: bigint | null;
  anchor_day: number | null;
  last_refreshed_at: Instant | null;
  next_refresh_at: Instant | null;
}

interface LotRow {
  id: string;
  wallet_id: string;
  bucket_id: string;
  source: LotSource;
  granted_micros: bigint;
  remaining_micros: bigint;
  pinned_micros: bigint;
  paid: boolean;
  effective_at: Instant;
  expires_at: Instant | null;
  in_force: boolean;
  frozen: boolean;
  purchase_id: string | null;
}

interface RecordRow {
  organization_id: string;
  key: string;
  operation: string;
  request_hash: string;
  outcome: unknown;
  created_at: Instant;
}

/** Begins the transaction, locks and loads. The caller commits or rolls back. */
export async function beginAndLoad(
  sql: Queryable,
  commands: readonly Command[],
  limits: LoadLimits,
): Promise<LoadedBatch> {
  const walletIds = [...new Set(commands.map((command) => command.walletId))].sort();
  const [, , wallets, buckets, lots, records, purchases] = await Promise.all([
    sql`BEGIN ISOLATION LEVEL READ COMMITTED`,
    sql`SELECT 1 FROM wallet WHERE id = ANY(${walletIds}::uuid[]) ORDER BY id FOR UPDATE`,
    loadWallets(sql, walletIds),
    loadBuckets(sql, walletIds),
    loadLots(sql, walletIds, limits.lotsPerBucket),
    loadRecords(sql, commands),
    loadPurchases(
      sql,
      commands.flatMap((command) => (command.kind === 'resolve-purchase' ? [command.purchaseId] : [])),
    ),
  ]);
  // Nothing is due on most wallets most of the time: those where something is pay for another round trip.
  const dueIds = wallets.filter(isDue).map((row) => row.id);
  const dueLots = dueIds.length === 0 ? [] : await loadDueLots(sql, dueIds, limits.dueLotsPerWallet);
  const assembly: Assembly = {
    buckets: groupBy(buckets, (row) => row.wallet_id),
    lots: groupBy(lots, (row) => row.bucket_id),
    dueLots: groupBy(dueLots, (row) => row.wallet_id),
    limits,
  };
  return {
    wallets: wallets.map((row) => walletSnapshot(row, assembly)),
    records: records.map(recordOf),
    purchases,
    catalogVersion: wallets[0]?.catalog_version ?? 0,
  };
}

const nowOf = (row: WalletRow): Instant => later(instant(Number(row.organization_clock)), row.last_posted_at);

const isDue = (row: WalletRow): boolean => row.next_transition_at !== null && row.next_transition_at <= nowOf(row);

function loadWallets(sql: Queryable, walletIds: readonly string[]) {
  return sql<WalletRow[]>`
    SELECT w.id, w.organization_id, w.balance_micros, w.debt_micros, w.sequence, w.version,
           encode(w.head_hash, 'hex') AS head_hash, w.last_posted_at, w.next_transition_at,
           w.frozen_at IS NOT NULL AS frozen, o.time_zone, s.status AS subscription_status,
           floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint + coalesce(o.test_clock_offset_ms, 0)
             AS organization_clock,
           coalesce((SELECT max(version) FROM catalog_version), 0) AS catalog_version
    FROM wallet w
    JOIN organization o ON o.id = w.organization_id
    LEFT JOIN plan_subscription s ON s.organization_id = w.organization_id
    WHERE w.id = ANY(${walletIds}::uuid[])`;
}

function loadBuckets(sql: Queryable, walletIds: readonly string[]) {
  return sql<BucketRow[]>`
    SELECT b.id, b.wallet_id, b.key, b.kind, b.burn_priority, b.available_micros, b.pinned_micros, b.frozen_micros,
           a.interval, a.amount_micros, a.anchor_day, a.last_refreshed_at, a.next_refresh_at
    FROM bucket b
    LEFT JOIN allowance a ON a.bucket_id = b.id
    WHERE b.wallet_id = ANY(${walletIds}::uuid[])`;
}

/** The first spendable lots of every bucket in burn order; the index lot_burn_order answers it without a sort. */
function loadLots(sql: Queryable, walletIds: readonly string[], perBucket: number) {
  return sql<LotRow[]>`
    SELECT l.*
    FROM bucket b
    CROSS JOIN LATERAL (
      SELECT id, wallet_id, bucket_id, source, granted_micros, remaining_micros, pinned_micros, paid, effective_at,
             expires_at, in_force, frozen, purchase_id
      FROM lot
      WHERE bucket_id = b.id AND spendable
      ORDER BY expires_at NULLS LAST, paid, effective_at, id
      LIMIT ${perBucket}
    ) l
    WHERE b.wallet_id = ANY(${walletIds}::uuid[])`;
}

/** Lots to expire or start, in the order of domain/posting/transitions.ts; one beyond the bound tells of more. */
function loadDueLots(sql: Queryable, walletIds: readonly string[], perWallet: number) {
  return sql<LotRow[]>`
    SELECT l.*
    FROM wallet w
    JOIN organization o ON o.id = w.organization_id
    CROSS JOIN LATERAL (
      SELECT id, wallet_id, bucket_id, source, granted_micros, remaining_micros, pinned_micros, paid, effective_at,
             expires_at, in_force, frozen, purchase_id
      FROM lot
      WHERE wallet_id = w.id AND NOT frozen
        AND next_transition_at <= ${ORGANIZATION_NOW}
      ORDER BY next_transition_at, in_force DESC, id
      LIMIT ${perWallet + 1}
    ) l
    WHERE w.id = ANY(${walletIds}::uuid[])`;
}

/** The organization's clock when the statement began, which is after the locks, and never before the newest posting. */
const ORGANIZATION_NOW = fragment`greatest(w.last_posted_at,
    statement_timestamp() + coalesce(o.test_clock_offset_ms, 0) * interval '1 millisecond')`;

/** One index probe per key; a plain join would scan the table where PostgreSQL has no statistics of it yet. */
function loadRecords(sql: Queryable, commands: readonly Command[]) {
  const keyed = commands.filter(isKeyed);
  return sql<RecordRow[]>`
    SELECT r.organization_id, r.key, r.operation, encode(r.request_hash, 'hex') AS request_hash, r.outcome, r.created_at
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
  readonly dueLots: ReadonlyMap<string, readonly LotRow[]>;
  readonly limits: LoadLimits;
}

function walletSnapshot(row: WalletRow, { buckets, lots, dueLots, limits }: Assembly): WalletSnapshot {
  const ofWallet = buckets.get(row.id) ?? [];
  const due = dueLots.get(row.id) ?? [];
  return {
    id: row.id,
    organizationId: row.organization_id,
    timeZone: row.time_zone,
    now: nowOf(row),
    balance: micros(row.balance_micros),
    debt: micros(row.debt_micros),
    sequence: row.sequence,
    version: row.version,
    headHash: row.head_hash,
    frozen: row.frozen,
    nextTransitionAt: row.next_transition_at,
    subscriptionStatus: row.subscription_status,
    buckets: ofWallet.map((bucket) => bucketSnapshot(bucket, lots.get(bucket.id) ?? [], limits)),
    allowances: ofWallet.flatMap(allowanceSnapshot),
    dueLots: due.slice(0, limits.dueLotsPerWallet).map(lotSnapshot),
    moreDue: due.length > limits.dueLotsPerWallet,
  };
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
    lots: lots.map(lotSnapshot),
    truncated: lots.length === limits.lotsPerBucket,
  };
}

function allowanceSnapshot(row: BucketRow): AllowanceSnapshot[] {
  const { interval, amount_micros: amount, anchor_day: anchorDay, next_refresh_at: nextRefreshAt } = row;
  if (interval === null || amount === null || anchorDay === null || nextRefreshAt === null) return [];
  return [
    {
      bucketId: row.id,
      interval,
      amount: micros(amount),
      anchorDay,
      lastRefreshedAt: row.last_refreshed_at,
      nextRefreshAt,
    },
  ];
}

function lotSnapshot(row: LotRow): LotSnapshot {
  return {
    id: row.id,
    bucketId: row.bucket_id,
    source: row.source,
    granted: micros(row.granted_micros),
    remaining: micros(row.remaining_micros),
    pinned: micros(row.pinned_micros),
    paid: row.paid,
    effectiveAt: row.effective_at,
    expiresAt: row.expires_at,
    inForce: row.in_force,
    frozen: row.frozen,
    purchaseId: row.purchase_id,
  };
}

function recordOf(row: RecordRow): IdempotencyRecord {
  return {
    organizationId: row.organization_id,
    idempotencyKey: row.key,
    operation: row.operation,
    requestHash: row.request_hash,
    answer: decodeAnswer(row.outcome),
    createdAt: row.created_at,
  };
}
