/**
 * Holds: credits reserved for work under way. A hold pins particular lots, so that what it reserved is there when the work
 * ends, whatever else is spent or expires meanwhile. It ends once: captured, released or expired.
 */
import type { Actor } from '../actor.ts';
import type { Attribution } from '../attribution.ts';
import type { JsonObject } from '../canonical.ts';
import type { Micros } from '../credits/micros.ts';
import type { OperationCount } from '../limits/frequency-cap.ts';
import type { PricedLine } from '../pricing/price.ts';
import type { Instant } from '../time/instant.ts';
import type { LotSnapshot } from '../wallet/lot.ts';

export type HoldStatus = 'OPEN' | 'CAPTURED' | 'RELEASED' | 'EXPIRED';

/** Room in the window of a limit that a hold has taken; what it does not use goes back to that window. */
export interface Reservation {
  /** What the limit's counter is kept under. */
  readonly counter: string;
  readonly windowStart: Instant;
}

/** What of a hold never changes. */
export interface HoldFacts {
  readonly id: string;
  readonly walletId: string;
  readonly amount: Micros;
  readonly idempotencyKey: string;
  /** As priced when it was made. */
  readonly lines: readonly PricedLine[];
  /** The rate card in effect when it was made; captures are priced by it. */
  readonly rateCardVersion: number;
  readonly actor: Actor;
  readonly attribution: Attribution;
  readonly metadata: JsonObject | null;
  readonly reservations: readonly Reservation[];
  readonly createdAt: Instant;
}

/** What of a hold changes; kept with the answer to a call, so that a replay shows the hold as the first answer did. */
export interface HoldState {
  readonly status: HoldStatus;
  /** Captured so far, overage included. */
  readonly captured: Micros;
  /** Still pinned; 0 once it is not open. */
  readonly remaining: Micros;
  /** It is valid while now is before this. */
  readonly expiresAt: Instant;
}

export interface Pin {
  readonly lot: LotSnapshot;
  readonly pinned: Micros;
}

export interface HoldSnapshot {
  readonly facts: HoldFacts;
  readonly state: HoldState;
  /** What it has reserved of frequency caps and not used; none once it is not open. */
  readonly operations: readonly OperationCount[];
  /** In the burn order of when it was made. */
  readonly pins: readonly Pin[];
}

/** What the catalog says about the life of holds, in milliseconds. */
export interface HoldPolicies {
  /** Where a caller does not say. */
  readonly defaultLife: number;
  /** From making to expiry, extensions included. */
  readonly maxLife: number;
  /** How long after a pinned lot's expiry a hold may be extended. */
  readonly heldGrace: number;
}
