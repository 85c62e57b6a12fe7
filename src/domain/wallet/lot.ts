/** A lot: credits that came in together, spent and expiring together. Its amounts are never negative. */
import type { Micros } from '../credits/micros.ts';
import type { Instant } from '../time/instant.ts';

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

/** When a lot starts or expires next; null once it has nothing left to do. */
export function lotTransitionAt(lot: LotSnapshot): Instant | null {
  if (lot.remaining === 0n) return null;
  return lot.inForce ? lot.expiresAt : lot.effectiveAt;
}
