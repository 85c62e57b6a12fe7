/** How what was read of wallets becomes the snapshots that are decided upon. */
import { NO_STANDING } from '../../domain/allocations/allocation.ts';
import { micros } from '../../domain/credits/micros.ts';
import { groupBy } from '../../domain/group-by.ts';
import type { HoldSnapshot } from '../../domain/holds/hold.ts';
import type { OperationCount } from '../../domain/limits/frequency-cap.ts';
import type { SpendCount } from '../../domain/limits/spend-limit.ts';
import type { Money } from '../../domain/money/money.ts';
import type { TierCount, WalletSnapshot } from '../../domain/posting/wallet-snapshot.ts';
import type { PaymentDue, Subscription } from '../../domain/subscriptions/subscription.ts';
import type { Instant } from '../../domain/time/instant.ts';
import type { AllowanceSnapshot, BucketSnapshot } from '../../domain/wallet/bucket.ts';
import { alertsOf } from '../alerts.ts';
import { nowOfRow } from '../clock.ts';
import { autoTopUpOf } from '../payments/auto-top-ups.ts';
import { zoneOfRow } from '../time-zones.ts';
import type { AllocationBounds, LoadedAllocation } from './load-allocations.ts';
import type { OfWallet } from './load-counters.ts';
import type { LoadedSpendLimit } from './load-spend-limits.ts';
import { type LotRow, lotSnapshot } from './lot-rows.ts';
import type { BucketRow, LapsedRow, LoadLimits, WalletRow } from './wallet-rows.ts';

/** What was read beside the wallets' own rows, of all of them together. */
export interface LoadedRows {
  readonly buckets: readonly BucketRow[];
  readonly lots: readonly LotRow[];
  readonly grantedLots: readonly LotRow[];
  readonly dueLots: readonly LotRow[];
  readonly holds: readonly HoldSnapshot[];
  readonly lapsed: readonly LapsedRow[];
  readonly spendLimits: readonly LoadedSpendLimit[];
  readonly spendCounts: readonly OfWallet<SpendCount>[];
  readonly operationCounts: readonly OfWallet<OperationCount>[];
  readonly tierCounts: readonly OfWallet<TierCount>[];
  readonly allocations: readonly LoadedAllocation[];
  readonly allocationBounds: readonly AllocationBounds[];
  /** Only of wallets of which it was asked. */
  readonly topUpSpending: ReadonlyMap<string, bigint>;
}

export function walletSnapshots(
  wallets: readonly WalletRow[],
  loaded: LoadedRows,
  limits: LoadLimits,
): readonly WalletSnapshot[] {
  const assembly = assemble(loaded, limits);
  return wallets.map((row) => walletSnapshot(row, assembly));
}

/** Finds what was read by its wallet, lots of the pool by their bucket. */
function assemble(loaded: LoadedRows, limits: LoadLimits) {
  return {
    buckets: groupBy(loaded.buckets, (row) => row.wallet_id),
    lots: groupBy(loaded.lots, (row) => row.bucket_id),
    grantedLots: groupBy(loaded.grantedLots, (row) => row.wallet_id),
    dueLots: groupBy(loaded.dueLots, (row) => row.wallet_id),
    holds: groupBy(loaded.holds, (hold) => hold.facts.walletId),
    lapsed: groupBy(loaded.lapsed, (row) => row.wallet_id),
    spendLimits: groupBy(loaded.spendLimits, (row) => row.wallet_id),
    spendCounts: groupBy(loaded.spendCounts, (row) => row.wallet_id),
    operationCounts: groupBy(loaded.operationCounts, (row) => row.wallet_id),
    tierCounts: groupBy(loaded.tierCounts, (row) => row.wallet_id),
    allocations: groupBy(loaded.allocations, (row) => row.walletId),
    allocationStandings: new Map(loaded.allocationBounds.map(({ walletId, standing }) => [walletId, standing])),
    topUpSpending: loaded.topUpSpending,
    limits,
  };
}

type Assembly = ReturnType<typeof assemble>;

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
    now: nowOfRow(row),
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
