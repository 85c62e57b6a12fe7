/** A plan as it is subscribed to, and how two of them compare. */
import type { Micros } from '../credits/micros.ts';
import type { Money } from '../money/money.ts';
import type { RefreshInterval } from '../wallet/bucket.ts';

export interface PlanAllowance {
  readonly bucketKey: string;
  readonly interval: RefreshInterval;
  readonly credits: Micros;
  /** The most of a period's rest that is carried into the next; null for nothing. */
  readonly rolloverLimit: Micros | null;
}

export interface PlanOffer {
  readonly name: string;
  readonly price: Money;
  readonly interval: 'MONTH' | 'YEAR';
  readonly trialDays: number;
  readonly allowances: readonly PlanAllowance[];
}

/** What the catalog says about subscribing. */
export interface SubscriptionPolicies {
  /** The version of the catalog that they are of. */
  readonly catalogVersion: number;
  /** By key. */
  readonly plansOnSale: ReadonlyMap<string, PlanOffer>;
  /** All that were ever on sale, in their newest form: subscriptions outlive the plans on sale. */
  readonly plansEverSold: ReadonlyMap<string, PlanOffer>;
  readonly renewals: RenewalPolicies;
}

/** What happens where a renewal is not paid. */
export interface RenewalPolicies {
  /** How many days after one attempt that failed the next one follows; none after the last. */
  readonly retryDays: readonly number[];
  /** How many days after a payment has come due a subscription ends for want of it. */
  readonly graceDays: number;
}

export const isFree = ({ price }: PlanOffer): boolean => price.amountMinor === 0n;

/**
 * True for a higher price or, at the same price, for more credits. Prices are compared per year. Prices in different
 * currencies are not compared, except that something costs more than nothing.
 */
export function isUpgrade(from: PlanOffer, to: PlanOffer): boolean {
  if (isFree(from) !== isFree(to)) return isFree(from);
  const difference = from.price.currency === to.price.currency ? pricePerYear(to) - pricePerYear(from) : 0n;
  return difference === 0n ? creditsPerMonth(to) > creditsPerMonth(from) : difference > 0n;
}

const MONTHS_PER_YEAR = 12n;
const DAYS_PER_MONTH = 30n;

const pricePerYear = ({ price, interval }: PlanOffer): bigint =>
  interval === 'YEAR' ? price.amountMinor : price.amountMinor * MONTHS_PER_YEAR;

const creditsPerMonth = ({ allowances }: PlanOffer): bigint =>
  allowances.reduce((total, { interval, credits }) => total + credits * (interval === 'DAY' ? DAYS_PER_MONTH : 1n), 0n);
