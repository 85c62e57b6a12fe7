/**
 * Caps and limits on credits within a window: how much may be charged a day or a month. A counter holds what was charged
 * or reserved in its present window; a new window starts at zero.
 */
import { type Micros, ZERO } from '../credits/micros.ts';
import type { Period } from '../time/calendar.ts';
import type { Instant } from '../time/instant.ts';

/** The plan's cap on credits a local day (requirement C10). */
export const DAILY_CREDIT_CAP = 'daily_credit_cap_exceeded';

/** A limit as it applies to one charge. */
export interface SpendLimit {
  /** What a refusal calls it. */
  readonly limitCode: string;
  readonly limit: Micros;
  readonly window: Period;
}

/** A limit as a charge found it. */
export interface CheckedLimit {
  readonly limitCode: string;
  readonly limit: Micros;
  /** Charged or reserved in the window before. */
  readonly used: Micros;
  /** True where it refused the charge. */
  readonly blocked: boolean;
}

/** What a counter holds for the window that begins at `windowStart`. */
export interface SpendCount {
  readonly limitCode: string;
  readonly windowStart: Instant;
  readonly used: Micros;
}

/** Finds what a charge of `cost` meets. Free work passes every limit on credits. */
export function checkLimit({ limitCode, limit }: SpendLimit, used: Micros, cost: Micros): CheckedLimit {
  return { limitCode, limit, used, blocked: cost > ZERO && used + cost > limit };
}
