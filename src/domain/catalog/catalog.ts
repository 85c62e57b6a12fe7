/**
 * The catalog: everything that an operator decides about a credits product, as data. Buckets, plans, packages, rates and
 * policies come from one YAML file and nothing of them is in code.
 */
import { type Decimal, quotient } from '../credits/decimal.ts';
import { type Micros, plus } from '../credits/micros.ts';
import type { Policies } from '../posting/decide-batch.ts';
import type { Rate, RateCard } from '../pricing/rate-card.ts';
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
}

export interface Plan {
  readonly key: string;
  readonly name: string;
  readonly description: string | null;
  readonly price: Money;
  readonly interval: 'MONTH' | 'YEAR';
  readonly trialDays: number;
  readonly allowances: readonly PlanAllowance[];
  readonly features: readonly string[];
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
  readonly rates: readonly Rate[];
  readonly policies: {
    /** The most that one command may move. */
    readonly commandCeiling: Micros;
    /** How old `occurredAt` may be. */
    readonly latenessDays: number;
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

const micrometric = (amount: Micros): Decimal => ({ coefficient: amount, scale: 6 });

/** What one credit costs, bonus included, in major units of the currency; six fraction digits, half away from zero. */
export function costPerCredit(offer: Package, minorDigits: number): Decimal {
  return quotient({ coefficient: offer.price.amountMinor, scale: minorDigits }, micrometric(totalCredits(offer)), 6);
}

/** The bonus as a percentage of the credits paid for; two fraction digits, half away from zero. */
export function bonusPercent(offer: Package): Decimal {
  const hundredfold = { coefficient: offer.bonusCredits * 100n, scale: 6 };
  return quotient(hundredfold, micrometric(offer.credits), 2);
}

/** The part of the catalog that posting decisions need. */
export function postingPolicies(
  { version, catalog }: Omit<CatalogVersion, 'effectiveAt'>,
  rateCards: readonly RateCard[],
): Policies {
  const withExpiry = catalog.buckets.flatMap(({ key, expiresAfterDays: days }): [string, number][] =>
    days === null ? [] : [[key, days]],
  );
  return {
    catalogVersion: version,
    rateCards,
    commandCeiling: catalog.policies.commandCeiling,
    latenessMilliseconds: catalog.policies.latenessDays * MILLISECONDS_PER_DAY,
    defaultExpiryDays: new Map(withExpiry),
  };
}
