/** What a top-up that begins by itself buys, and for how much, by the catalog in force. */

import { formatCredits, type Micros, ZERO } from '../credits/micros.ts';
import type { Money } from '../money/money.ts';
import { type InvalidInput, invalidInput, type NotFound, notFound } from '../plain-refusals.ts';
import { isRefusal } from '../refusals.ts';
import { maySpend, type SubscriptionStatus } from '../subscriptions/subscription.ts';
import type { TopUpChoice } from './auto-top-up.ts';
import type { Package } from './package.ts';
import { priceTopUp, type TopUpTerms } from './top-up.ts';

/** What the catalog sells beside plans. */
export interface TopUpSales {
  /** Packages on sale, by key. */
  readonly packages: ReadonlyMap<string, Package>;
  /** All plans that somebody may be subscribed to, by key. */
  readonly plans: ReadonlyMap<string, { readonly name: string; readonly topUp: TopUpTerms | null }>;
  /** Where credits go that are bought in increments; null where the catalog has no such bucket. */
  readonly bucket: { readonly key: string; readonly expiresAfterDays: number | null } | null;
}

export interface TopUpOffer {
  readonly name: string;
  readonly packageKey: string | null;
  readonly credits: Micros;
  readonly bonusCredits: Micros;
  readonly bucketKey: string;
  /** Days after payment until the credits expire; null for never. */
  readonly expiresAfterDays: number | null;
  readonly price: Money;
}

interface Subscribed {
  readonly planKey: string;
  readonly status: SubscriptionStatus;
}

/** The offer, or why there is none: the field that names what cannot be bought, and the reason. */
export function topUpOffer(
  { packageKey, credits }: TopUpChoice,
  subscription: Subscribed | null,
  sales: TopUpSales,
): TopUpOffer | NotFound | InvalidInput {
  if (packageKey !== null) return packageOffer(packageKey, sales);
  if (subscription === null || !maySpend(subscription.status)) {
    return invalidInput(['credits'], 'needs an active subscription to a plan that has top-ups');
  }
  const plan = sales.plans.get(subscription.planKey);
  if (!plan?.topUp || !sales.bucket) {
    return invalidInput(['credits'], `cannot be bought: the plan ${plan?.name ?? subscription.planKey} has no top-ups`);
  }
  const priced = priceTopUp(plan.topUp, credits);
  if (isRefusal(priced)) {
    if (priced.code === 'INVALID_INPUT') return priced;
    return invalidInput(['credits'], `must be a whole multiple of ${formatCredits(priced.increment)} credits`);
  }
  const { key: bucketKey, expiresAfterDays } = sales.bucket;
  return {
    name: 'Top-up',
    packageKey,
    credits,
    bonusCredits: ZERO,
    bucketKey,
    expiresAfterDays,
    price: priced.price,
  };
}

/** What costs nothing would be bought for ever: no ceiling bounds it. */
function packageOffer(packageKey: string, { packages }: TopUpSales): TopUpOffer | NotFound | InvalidInput {
  const offer = packages.get(packageKey);
  if (!offer) return notFound('package');
  if (offer.price.amountMinor === 0n) return invalidInput(['packageId'], 'names a package that costs nothing');
  const { name, credits, bonusCredits, bucketKey, expiresAfterDays, price } = offer;
  return { name, packageKey, credits, bonusCredits, bucketKey, expiresAfterDays, price };
}

/** Why what was bought before cannot be bought any more, for people. */
export function reasonUnsold({ packageKey, credits }: TopUpChoice, refusal: NotFound | InvalidInput): string {
  if (refusal.code === 'NOT_FOUND') return `the package ${packageKey} is no longer on sale`;
  if (packageKey !== null) return `it ${refusal.reason}`;
  return `a top-up of ${formatCredits(credits)} credits ${refusal.reason}`;
}
