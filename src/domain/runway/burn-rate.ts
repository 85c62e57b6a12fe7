/** How many credits a day are spent at present: a mean of the last days in which the newer ones count more. */
import { divideRounded } from '../credits/decimal.ts';
import { type Micros, micros, ZERO } from '../credits/micros.ts';
import { type Instant, instant } from '../time/instant.ts';
import { DAY_MILLISECONDS } from '../usage/rollup.ts';

/** Days that count, today included. */
export const WINDOW_DAYS = 30;

/** Of today and the six days before, 2^16 × 2^(−age ÷ 7); the days of each week before weigh half of these, rounded down. */
const WEEK_OF_WEIGHTS = [65_536n, 59_358n, 53_761n, 48_693n, 44_102n, 39_945n, 36_179n] as const;

/** What was charged for usage on one day, in UTC. */
export interface DayOfUsage {
  readonly startsAt: Instant;
  readonly credits: Micros;
}

export interface BurnHistory {
  /** Days of the window on which something was charged, in any order. */
  readonly days: readonly DayOfUsage[];
  /** True where something was charged before the window. */
  readonly isOlder: boolean;
}

export const dayOf = (at: Instant): Instant => instant(Math.floor(at / DAY_MILLISECONDS) * DAY_MILLISECONDS);

/** The first day that counts. */
export const windowStart = (now: Instant): Instant => instant(dayOf(now) - (WINDOW_DAYS - 1) * DAY_MILLISECONDS);

export function creditsPerDay({ days, isOlder }: BurnHistory, now: Instant): Micros {
  const today = dayOf(now);
  const window = windowStart(now);
  const counted = days.filter(({ startsAt, credits }) => startsAt >= window && startsAt <= today && credits > ZERO);
  if (counted.length === 0) return ZERO;
  const first = isOlder ? window : Math.min(...counted.map(({ startsAt }) => startsAt));
  const spent = counted.reduce((sum, { startsAt, credits }) => sum + weightOf(today - startsAt) * credits, 0n);
  let passed = 0n;
  for (let day: number = first; day <= today; day += DAY_MILLISECONDS) {
    const isPart = day === today && day !== first;
    passed += weightOf(today - day) * BigInt(isPart ? now - today : DAY_MILLISECONDS);
  }
  return micros(divideRounded(spent * BigInt(DAY_MILLISECONDS), passed));
}

function weightOf(milliseconds: number): bigint {
  const age = milliseconds / DAY_MILLISECONDS;
  const [weeks, day] = [Math.floor(age / WEEK_OF_WEIGHTS.length), age % WEEK_OF_WEIGHTS.length];
  return (WEEK_OF_WEIGHTS[day] ?? 0n) >> BigInt(weeks);
}
