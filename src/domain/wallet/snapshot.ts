/**
 * What the posting decisions know about one wallet: its row, its buckets with the aggregates kept under its lock, the
 * prefix of its spendable lots in burn order, and what is due. A snapshot is read under the wallet's lock and is true
 * until that lock is given up.
 */
import type { Micros } from '../credits/micros.ts';
import type { Instant } from '../time/instant.ts';

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
  readonly frozen: boolean;
  readonly purchaseId: string | null;
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
  /** Spendable lots in burn order: all of them, or a prefix where `truncated`. */
  readonly lots: readonly LotSnapshot[];
  readonly truncated: boolean;
}

export interface AllowanceSnapshot {
  readonly bucketId: string;
  readonly interval: RefreshInterval;
  readonly amount: Micros;
  readonly anchorDay: number;
  readonly lastRefreshedAt: Instant | null;
  readonly nextRefreshAt: Instant;
}

export interface WalletSnapshot {
  readonly id: string;
  readonly organizationId: string;
  readonly timeZone: string;
  /** The batch's instant for this wallet: its organization's clock, never before its newest posting. */
  readonly now: Instant;
  readonly balance: Micros;
  readonly debt: Micros;
  readonly sequence: bigint;
  readonly version: bigint;
  readonly headHash: string;
  readonly frozen: boolean;
  readonly nextTransitionAt: Instant | null;
  readonly subscriptionStatus: SubscriptionStatus | null;
  readonly buckets: readonly BucketSnapshot[];
  readonly allowances: readonly AllowanceSnapshot[];
  /** Lots whose start or expiry may be due; at most the batch's bound of them, earliest first. */
  readonly dueLots: readonly LotSnapshot[];
  /** True where more lots are due than were loaded. */
  readonly moreDue: boolean;
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
