/**
 * The catalog: everything that an operator decides about a credits product, as data. Buckets, plans, packages, rates and
 * policies come from one YAML file and nothing of them is in code.
 */
import type { AlertCriterion } from '../alerts/alert.ts';
import { type Decimal, decimalFromMicros, quotient } from '../credits/decimal.ts';
import { type Micros, plus } from '../credits/micros.ts';
import { frequencyCapsOf } from '../limits/frequency-cap.ts';
import type { PlanLimit } from '../limits/plan-limit.ts';
import type { Policies } from '../posting/decide-batch.ts';
import { isCounted, type Rate, type RateCard } from '../pricing/rate-card.ts';
import type { PromoCode } from '../promotions/promo-code.ts';
import type { TopUpTerms } from '../purchases/top-up.ts';
import type { PlanOffer, RenewalPolicies } from '../subscriptions/plan-offer.ts';
import type { Instant } from '../time/instant.ts';
import type { BucketKind, RefreshInterval } from '../wallet/snapshot.ts';

/** An amount of money in minor units (cents) of an ISO 4217 currency. Never negative in a catalog. */
export interface Money {
  readonly amountMinor: bigint;
  readonly currency: string;
}

export interface CatalogBucket {
  readonly key: string;
  readonly name: string;
  readonly kind: BucketKind;
  /** Lower burns first. */
  readonly burnPriority: number;
  /** Days after which credits granted into it expire unless the grant says otherwise; null for never. */
  readonly expiresAfterDays: number | null;
}

export interface PlanAllowance {
  readonly bucketKey: string;
  readonly interval: RefreshInterval;
  readonly credits: Micros;
  /** The most of a period's rest that is carried into the next; null for nothing. */
  readonly rolloverLimit: Micros | null;
}

export interface Plan {
  readonly key: string;
  readonly name: string;
  readonly description: string | null;
  readonly price: Money;
  readonly interval: 'MONTH' | 'YEAR';
  readonly trialDays: number;
  readonly allowances: readonly PlanAllowance[];
  /** The most that may be charged a local day; null for no cap. */
  readonly dailyCreditCap: Micros | null;
  /** How far spending may go into debt where a call allows it. */
  readonly overdraft: Micros;
  /** At most one for each key and window. What is not named is not limited. */
  readonly limits: readonly PlanLimit[];
  /** How credits can be bought on top; null for not at all. */
  readonly topUp: TopUpTerms | null;
  readonly features: readonly string[];
  /** What subscribers are told of unless they remove it. No two alike. */
  readonly alerts: readonly AlertCriterion[];
}

export interface Package {
  readonly key: string;
  readonly name: string;
  readonly price: Money;
  readonly credits: Micros;
  readonly bonusCredits: Micros;
  /** The bucket that its lots go to. */
  readonly bucketKey: string;
  /** Days after payment until its credits expire; null for never. */
  readonly expiresAfterDays: number | null;
}

export interface Catalog {
  readonly buckets: readonly CatalogBucket[];
  readonly plans: readonly Plan[];
  readonly packages: readonly Package[];
  readonly promoCodes: readonly PromoCode[];
  readonly rates: readonly Rate[];
  readonly policies: {
    /** The most that one command may move. */
    readonly commandCeiling: Micros;
    /** How old `occurredAt` may be. */
    readonly latenessDays: number;
    readonly holds: {
      /** Life of a hold where a caller does not say. */
      readonly defaultSeconds: number;
      /** Life of a hold at most, extensions included. */
      readonly maxSeconds: number;
      /** How long after a pinned lot's expiry a hold may be extended. */
      readonly graceSeconds: number;
    };
    readonly renewals: RenewalPolicies;
    readonly receipts: {
      /** Begins the numbers of receipts, which have no gaps per issuer. */
      readonly issuer: string;
    };
    readonly refunds: {
      /** What becomes of a refund whose lot has expired. */
      readonly expiredLots: 'NEW_LOT' | 'FORFEIT';
      /** Life of the new lot, and of lots that expired while a dispute that was won had frozen them. */
      readonly graceDays: number;
      /** Whether the money of purchases is refunded whose credits were spent in part: not at all, or the part is owed. */
      readonly spentCredits: 'REFUSE' | 'DEBT';
    };
  };
  /** From when the rates price usage; null for the moment they are applied. Everything else changes when applied. */
  readonly ratesEffectiveAt: Instant | null;
}

/** A catalog as it was applied. Versions are numbered from 1 and never change. */
export interface CatalogVersion {
  readonly version: number;
  readonly catalog: Catalog;
  /** From when its rates price usage; never before that of the version before. */
  readonly effectiveAt: Instant;
}

const MILLISECONDS_PER_SECOND = 1_000;
const MILLISECONDS_PER_DAY = 86_400_000;

/** Cheapest first: by price, then credits, then key. Prices of different currencies sort by currency. */
export function cheapestFirst<T extends { readonly price: Money; readonly key: string }>(items: readonly T[]): T[] {
  return items.toSorted((a, b) => {
    if (a.price.currency !== b.price.currency) return a.price.currency < b.price.currency ? -1 : 1;
    if (a.price.amountMinor !== b.price.amountMinor) return a.price.amountMinor < b.price.amountMinor ? -1 : 1;
    return a.key < b.key ? -1 : 1;
  });
}

export const totalCredits = (offer: Package): Micros => plus(offer.credits, offer.bonusCredits);

/** What one credit costs, bonus included, in major units of the currency; six fraction digits, half away from zero. */
export function costPerCredit(offer: Package, minorDigits: number): Decimal {
  return quotient(
    { coefficient: offer.price.amountMinor, scale: minorDigits },
    decimalFromMicros(totalCredits(offer)),
    6,
  );
}

/** The bonus as a percentage of the credits paid for; two fraction digits, half away from zero. */
export function bonusPercent(offer: Package): Decimal {
  const hundredfold = { coefficient: offer.bonusCredits * 100n, scale: 6 };
  return quotient(hundredfold, decimalFromMicros(offer.credits), 2);
}

/**
 * The part of a catalog that posting decisions need. `plans` are all that somebody may be subscribed to, those no longer on
 * sale included.
 */
export function postingPolicies(
  { version, catalog: { buckets, plans: onSale, packages, promoCodes, policies } }: Omit<CatalogVersion, 'effectiveAt'>,
  plans: readonly Plan[],
  rateCards: readonly RateCard[],
): Policies {
  const withExpiry = buckets.flatMap(({ key, expiresAfterDays: days }): [string, number][] =>
    days === null ? [] : [[key, days]],
  );
  const { holds, refunds } = policies;
  const purchased = buckets.find(({ kind }) => kind === 'PURCHASED');
  return {
    catalogVersion: version,
    rateCards,
    commandCeiling: policies.commandCeiling,
    latenessMilliseconds: policies.latenessDays * MILLISECONDS_PER_DAY,
    defaultExpiryDays: new Map(withExpiry),
    planTerms: new Map(
      plans.map((plan) => {
        const { key, dailyCreditCap, overdraft } = plan;
        return [key, { dailyCreditCap, overdraft, frequencyCaps: frequencyCapsOf(plan) }];
      }),
    ),
    plansOnSale: new Map(onSale.map((plan) => [plan.key, offerOf(plan)])),
    plansEverSold: new Map(plans.map((plan) => [plan.key, offerOf(plan)])),
    promoCodes: new Map(promoCodes.map((promotion) => [promotion.code, promotion])),
    planAlerts: new Map(plans.flatMap(({ key, alerts }) => (alerts.length === 0 ? [] : [[key, alerts]]))),
    topUpSales: {
      packages: new Map(packages.map((offer) => [offer.key, offer])),
      plans: new Map(plans.map(({ key, name, topUp }) => [key, { name, topUp }])),
      bucket: purchased ? { key: purchased.key, expiresAfterDays: purchased.expiresAfterDays } : null,
    },
    countsUnits: rateCards.some((card) => card.rates.some(isCounted)),
    countsSpending: plans.some((plan) => plan.dailyCreditCap !== null),
    countsOperations: plans.some((plan) => frequencyCapsOf(plan).length > 0),
    cappedOffers: cheapestFirst(onSale).map((plan) => ({ planKey: plan.key, frequencyCaps: frequencyCapsOf(plan) })),
    holds: {
      defaultLife: holds.defaultSeconds * MILLISECONDS_PER_SECOND,
      maxLife: holds.maxSeconds * MILLISECONDS_PER_SECOND,
      heldGrace: holds.graceSeconds * MILLISECONDS_PER_SECOND,
    },
    renewals: policies.renewals,
    receiptIssuer: policies.receipts.issuer,
    frozenGraceDays: refunds.graceDays,
    spentCredits: refunds.spentCredits,
    expiredLotRefund:
      refunds.expiredLots === 'NEW_LOT' ? { kind: 'NEW_LOT', graceDays: refunds.graceDays } : { kind: 'FORFEIT' },
  };
}

const offerOf = ({ name, price, interval, trialDays, allowances }: Plan): PlanOffer => ({
  name,
  price,
  interval,
  trialDays,
  allowances,
});
