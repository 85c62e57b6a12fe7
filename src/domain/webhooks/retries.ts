/** When a delivery that failed is tried again. */

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** The distances between attempts: eleven of them, a little more than three days in all. */
const DISTANCES = [
  5 * SECOND,
  MINUTE,
  5 * MINUTE,
  30 * MINUTE,
  2 * HOUR,
  5 * HOUR,
  8 * HOUR,
  10 * HOUR,
  14 * HOUR,
  16 * HOUR,
  20 * HOUR,
];
/** By how much of a distance an attempt may come later, so that deliveries that failed together do not return together. */
const JITTER = 0.1;
/** The longest that a receiver is listened to that asks for patience. */
const LONGEST_WAIT_MILLISECONDS = 24 * HOUR;

export const MAX_ATTEMPTS = DISTANCES.length + 1;

export interface FailedAttempt {
  /** How many attempts were made, this one included, since it was collected or asked for again. */
  readonly attempts: number;
  /** What the receiver asked for (`Retry-After`); null where it did not. */
  readonly retryAfterMilliseconds: number | null;
  /** From 0 to 1. */
  readonly random: number;
}

/** Milliseconds until the next attempt; null where there is none. */
export function retryDelay({ attempts, retryAfterMilliseconds, random }: FailedAttempt): number | null {
  const distance = DISTANCES[attempts - 1];
  if (distance === undefined) return null;
  const wanted = Math.min(retryAfterMilliseconds ?? 0, LONGEST_WAIT_MILLISECONDS);
  return Math.round(Math.max(distance, wanted) * (1 + JITTER * random));
}
