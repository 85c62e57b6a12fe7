/**
 * What the posting decisions know about one wallet: its row, its buckets with the aggregates kept under its lock, the
 * prefix of its spendable lots in burn order, and what is due. For a batch it is read under the wallet's
 * lock and is true until that lock is given up; for an estimate it is true of one moment.
 */
import type { Alert } from '../alerts/alert.ts';
import type { AllocationSnapshot, AllocationStanding } from '../allocations/allocation.ts';
import type { Decimal } from '../credits/decimal.ts';
import type { Micros } from '../credits/micros.ts';
import type { HoldSnapshot } from '../holds/hold.ts';
import type { OperationCount } from '../limits/frequency-cap.ts';
import type { SpendCount, SpendLimit } from '../limits/spend-limit.ts';
import type { AutoTopUp } from '../purchases/auto-top-up.ts';
import type { Subscription } from '../subscriptions/subscription.ts';
import type { Instant } from '../time/instant.ts';
import type { Zone } from '../time/zone.ts';

export type BucketKind = 'ALLOWANCE' | 'PLAN' | 'PURCHASED' | 'PROMOTIONAL';
export type RefreshInterval = 'DAY' | 'MONTH';
export type SubscriptionStatus = 'TRIALING' | 'ACTIVE' | 'PAST_DUE' | 'CANCELED';
export type LotSource =
  | 'PLAN_GRANT'
  | 'ALLOWANCE'
  | 'PURCHASE'
  | 'BONUS'
  | 'PROMOTION'
  | 'ADJUSTMENT'
  | 'REFUND'
  | 'ROLLOVER';

export interface LotSnapshot {
  readonly id: string;
  readonly bucketId: string;
  readonly source: LotSource;
  readonly granted: Micros;
  readonly remaining: Micros;
  /** The part that open holds have pinned. */
  readonly pinned: Micros;
  readonly paid: boolean;
  readonly effectiveAt: Instant;
  readonly expiresAt: Instant | null;
  readonly inForce: boolean;
  /** True once its expiry has been posted; what is left then is pinned. */
  readonly closed: boolean;
  readonly frozen: boolean;
  /** True once it was taken back: nothing that comes back to it stays. */
  readonly revoked: boolean;
  readonly purchaseId: string | null;
  /** Whom it is earmarked for; null for nobody. */
  readonly allocationId: string | null;
  /** The granted lot that it was split from; null for that lot itself. */
  readonly originId: string | null;
}

export interface BucketSnapshot {
  readonly id: string;
  readonly key: string;
  readonly kind: BucketKind;
  readonly burnPriority: number;
  /** Σ (remaining − pinned) over lots in force and not frozen. */
  readonly available: Micros;
  readonly pinned: Micros;
  readonly frozen: Micros;
  /** The part of what is available that is earmarked. */
  readonly earmarked: Micros;
  /** Spendable lots that are earmarked for nobody, in burn order: all of them, or a prefix where `truncated`. */
  readonly lots: readonly LotSnapshot[];
  readonly truncated: boolean;
}

export interface AllowanceSnapshot {
  readonly bucketId: string;
  readonly interval: RefreshInterval;
  readonly amount: Micros;
  /** The most of a period's rest that is carried into the next; null for nothing. */
  readonly rolloverLimit: Micros | null;
  readonly anchorDay: number;
  readonly lastRefreshedAt: Instant | null;
  readonly nextRefreshAt: Instant;
}

/** Units that one rate has charged in one billing period. */
export interface TierCount {
  readonly meter: string;
  /** The rate within its meter, see `rateKey`. */
  readonly rate: string;
  readonly periodStart: Instant;
  readonly quantity: Decimal;
}

export interface WalletSnapshot {
  readonly id: string;
  readonly organizationId: string;
  readonly timeZone: Zone;
  /** The batch's instant for this wallet: its organization's clock, never before its newest posting. */
  readonly now: Instant;
  readonly balance: Micros;
  readonly debt: Micros;
  readonly sequence: bigint;
  readonly version: bigint;
  readonly headHash: string;
  readonly frozen: boolean;
  readonly nextTransitionAt: Instant | null;
  /** As it is or was last; null where there never was one. */
  readonly subscription: Subscription | null;
  /** Null where nobody has configured it. */
  readonly autoTopUp: AutoTopUp | null;
  /** What it has spent this month, in minor units of its ceiling's currency; loaded where charges are collected, else 0. */
  readonly topUpSpentMinor: bigint;
  /** In force, and those that stay away as long as the plan lasts. */
  readonly alerts: readonly Alert[];
  /** Number of the newest event of its alerts. */
  readonly alertNumber: bigint;
  readonly buckets: readonly BucketSnapshot[];
  readonly allowances: readonly AllowanceSnapshot[];
  /** Those of the batch's spenders, and those that its commands set. */
  readonly allocations: readonly AllocationSnapshot[];
  /** Loaded where allocations are set. */
  readonly allocationStanding: AllocationStanding;
  /** What allowances have granted for periods that may still run; loaded where a plan is selected. */
  readonly grantedLots: readonly LotSnapshot[];
  /** Lots whose start or expiry may be due; at most the batch's bound of them, earliest first. */
  readonly dueLots: readonly LotSnapshot[];
  /** True where more lots are due than were loaded. */
  readonly moreDue: boolean;
  /** Holds that the batch's commands name, and those that have lapsed: at most the batch's bound, earliest first. */
  readonly holds: readonly HoldSnapshot[];
  /** The expiry of the last lapsed hold in their order that was loaded, where more have lapsed; null where all were. */
  readonly lapsesLoadedTo: Instant | null;
  /** Spend limits: all that whoever spends or gets back in the batch may meet. */
  readonly spendLimits: readonly SpendLimit[];
  /** Of the plan's cap and of the spend limits. */
  readonly spendCounts: readonly SpendCount[];
  readonly operationCounts: readonly OperationCount[];
  /** Of the rates that the batch's usage may meet. */
  readonly tierCounts: readonly TierCount[];
}

/** Statuses under which credits may be spent (requirement C6). */
export function maySpend(status: SubscriptionStatus | null): boolean {
  return status === 'ACTIVE' || status === 'TRIALING';
}

/** When a lot starts or expires next; null once it has nothing left to do. */
export function lotTransitionAt(lot: LotSnapshot): Instant | null {
  if (lot.remaining === 0n) return null;
  return lot.inForce ? lot.expiresAt : lot.effectiveAt;
}
