/**
 * The catalog: everything that an operator decides about a credits product, as data. Buckets, plans, packages, rates and
 * policies come from one YAML file and nothing of them is in code.
 */
import type { AlertCriterion } from '../alerts/alert.ts';
import type { Micros } from '../credits/micros.ts';
import type { LimitedPlan } from '../limits/plan-limit.ts';
import type { Rate } from '../pricing/rate-card.ts';
import type { PromoCode } from '../promotions/promo-code.ts';
import type { Package } from '../purchases/package.ts';
import type { TopUpTerms } from '../purchases/top-up.ts';
import type { PlanOffer, RenewalPolicies } from '../subscriptions/plan-offer.ts';
import type { Instant } from '../time/instant.ts';
import type { BucketKind } from '../wallet/bucket.ts';

export interface CatalogBucket {
  readonly key: string;
  readonly name: string;
  readonly kind: BucketKind;
  /** Lower burns first. */
  readonly burnPriority: number;
  /** Days after which credits granted into it expire unless the grant says otherwise; null for never. */
  readonly expiresAfterDays: number | null;
}

export interface Plan extends PlanOffer, LimitedPlan {
  readonly description: string | null;
  /** The most that may be charged a local day; null for no cap. */
  readonly dailyCreditCap: Micros | null;
  /** How far spending may go into debt where a call allows it. */
  readonly overdraft: Micros;
  /** How credits can be bought on top; null for not at all. */
  readonly topUp: TopUpTerms | null;
  readonly features: readonly string[];
  /** What subscribers are told of unless they remove it. No two alike. */
  readonly alerts: readonly AlertCriterion[];
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
