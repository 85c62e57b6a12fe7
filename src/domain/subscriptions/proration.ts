/**
 * What a change of plan within a paid period costs: the new plan's price for the rest of the period, less the present one's.
 * Time counts by whole seconds; what is due is rounded up and what is credited down, so that the sum is off by less than one
 * minor unit, in the platform's favour. A change never pays money out.
 */
import type { Period } from '../time/calendar.ts';
import type { Instant } from '../time/instant.ts';
import type { PlanOffer } from './plan-offer.ts';

export interface Proration {
  /** In minor units of the new plan's currency. */
  readonly dueNow: bigint;
  /** What of the present plan's price is counted towards it, in the same. */
  readonly credited: bigint;
}

const MILLISECONDS = 1_000;
const seconds = (from: Instant, to: Instant): bigint => BigInt(Math.max(0, Math.floor((to - from) / MILLISECONDS)));

/** Both plans are priced in one currency. Where they are billed at different intervals a period of the new plan begins. */
export function prorate(
  from: Pick<PlanOffer, 'price' | 'interval'>,
  to: Pick<PlanOffer, 'price' | 'interval'>,
  period: Period,
  at: Instant,
): Proration {
  if (from.price.currency !== to.price.currency) throw new Error('prices in two currencies cannot be set off');
  const total = seconds(period.start, period.end);
  const rest = total === 0n ? 0n : seconds(at, period.end);
  const ofPeriod = (amount: bigint): bigint => (total === 0n ? 0n : amount * rest);
  const unused = total === 0n ? 0n : ofPeriod(from.price.amountMinor) / total;
  if (from.interval !== to.interval) return setOff(to.price.amountMinor, unused);
  const difference = ofPeriod(to.price.amountMinor) - ofPeriod(from.price.amountMinor);
  return difference <= 0n ? NOTHING : { dueNow: (difference + total - 1n) / total, credited: unused };
}

const NOTHING: Proration = { dueNow: 0n, credited: 0n };

const setOff = (price: bigint, unused: bigint): Proration =>
  unused >= price ? { dueNow: 0n, credited: price } : { dueNow: price - unused, credited: unused };
