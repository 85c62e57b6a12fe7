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
import type { AllowanceSnapshot, BucketSnapshot } from '../wallet/bucket.ts';
import type { LotSnapshot } from '../wallet/lot.ts';

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
