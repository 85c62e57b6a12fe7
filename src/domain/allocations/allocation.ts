/**
 * Allocations: credits earmarked for one project or member. What is earmarked lies in lots of its own, which keep the source,
 * life and purchase of the lots that they were split from.
 */
import { type Micros, plus } from '../credits/micros.ts';
import type { LotSnapshot } from '../wallet/lot.ts';

/** Whom credits are earmarked for: exactly one of the two. */
export interface AllocationTarget {
  readonly projectId: string | null;
  readonly userId: string | null;
}

export interface AllocationAmounts {
  /** Σ (remaining − pinned) over its lots in force and not frozen. */
  readonly available: Micros;
  /** Σ pinned by open holds. */
  readonly pinned: Micros;
  /** Σ (remaining − pinned) over its frozen lots. */
  readonly frozen: Micros;
  /** What was charged to it and not refunded, since it was last emptied by choice. */
  readonly used: Micros;
}

export interface AllocationSnapshot extends AllocationTarget, AllocationAmounts {
  readonly id: string;
  /** True where its project or member spends nothing else. */
  readonly exclusive: boolean;
  /** Its spendable lots in burn order: all of them, or a prefix where `truncated`. */
  readonly lots: readonly LotSnapshot[];
  readonly truncated: boolean;
}

/** What a wallet has of them in all; known where they are set. */
export interface AllocationStanding {
  /** How many there are, empty ones included. */
  readonly allocations: number;
  /** Lots that were split off and expire. */
  readonly expiringSplits: number;
  /** The granted lots that spendable ones were split from: what is given back goes to them. */
  readonly origins: readonly LotSnapshot[];
}

export const NO_STANDING: AllocationStanding = { allocations: 0, expiringSplits: 0, origins: [] };

/** What was earmarked: what is left of it, what holds have of it, and what was used. Expiry makes it less. */
export const creditsOf = ({ available, pinned, frozen, used }: AllocationAmounts): Micros =>
  plus(plus(available, pinned), plus(frozen, used));

/** Whether it is earmarked for one of these. */
export const isFor = (allocation: AllocationTarget, { projectId, userId }: AllocationTarget): boolean =>
  (allocation.projectId !== null && allocation.projectId === projectId) ||
  (allocation.userId !== null && allocation.userId === userId);
