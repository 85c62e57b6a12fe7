/** A bucket: the lots of one kind in a wallet, with the sums kept under the wallet's lock, and the allowance that refreshes it. */
import type { Micros } from '../credits/micros.ts';
import type { Instant } from '../time/instant.ts';
import type { LotSnapshot } from './lot.ts';

export type BucketKind = 'ALLOWANCE' | 'PLAN' | 'PURCHASED' | 'PROMOTIONAL';
export type RefreshInterval = 'DAY' | 'MONTH';

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
