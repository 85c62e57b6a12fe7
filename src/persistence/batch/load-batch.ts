/**
 * Loads what one batch of posting decisions needs, or an estimate. For a batch the wallets are locked first, in id order, so
 * that no two batches wait for each other in a circle; the clock is read after the locks. All statements are sent at once and
 * cost one round trip; wallets with something due, spend limits or top-ups to collect cost another, and one more where holds
 * have lapsed.
 */
import { type Command, keyedCommands } from '../../domain/posting/commands.ts';
import type { BatchInput } from '../../domain/posting/decide-batch.ts';
import type { Policies } from '../../domain/posting/policies.ts';
import { type Spender, spenderOf } from '../../domain/spender.ts';
import { calendarWindow } from '../../domain/time/calendar.ts';
import { holdCatalogs } from '../catalogs.ts';
import { nowOfRow } from '../clock.ts';
import type { Queryable } from '../connection.ts';
import { loadNamedLots } from '../lots.ts';
import { loadTopUpSpending } from '../payments/auto-top-ups.ts';
import { loadRedemptions } from '../redemptions.ts';
import { zoneOfRow } from '../time-zones.ts';
import { earmarksWanted, loadAllocationBounds, loadAllocations } from './load-allocations.ts';
import { loadOperationCounts, loadSpendCounts, loadTierCounts } from './load-counters.ts';
import { loadHolds } from './load-holds.ts';
import { findPinningHolds, loadPurchases } from './load-purchases.ts';
import { loadRecords } from './load-records.ts';
import { loadRefundables } from './load-refundables.ts';
import { type LoadedSpendLimit, loadSpendLimits } from './load-spend-limits.ts';
import {
  findLapsed,
  isDue,
  type LoadLimits,
  loadBuckets,
  loadDueLots,
  loadGrantedLots,
  loadLots,
  loadWallets,
  type WalletRow,
} from './wallet-rows.ts';
import { walletSnapshots } from './wallet-snapshots.ts';

export interface LoadedBatch
  extends Pick<BatchInput, 'wallets' | 'records' | 'refundables' | 'purchases' | 'lots' | 'redemptions'> {
  /** The newest version of the catalog once the wallets were locked; 0 where there is none. */
  readonly catalogVersion: number;
}

/** Counters that the catalog makes worth loading. */
export type CounterNeeds = Pick<Policies, 'countsUnits' | 'countsSpending' | 'countsOperations'>;

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
  const spendLimits = await spendLimitsOf(sql, wallets, limited);
  const topUpSpending = await topUpSpendingOf(sql, commands, wallets);
  const loaded = {
    buckets,
    lots,
    grantedLots,
    dueLots,
    holds: allHolds,
    lapsed,
    spendLimits,
    spendCounts,
    operationCounts,
    tierCounts,
    allocations,
    allocationBounds,
    topUpSpending,
  };
  return {
    wallets: walletSnapshots(wallets, loaded, limits),
    records,
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
    wanted.map((row) => ({ walletId: row.id, since: calendarWindow('MONTH', nowOfRow(row), zoneOfRow(row)).start })),
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
