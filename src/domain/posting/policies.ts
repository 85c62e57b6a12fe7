/** What the catalog says about posting, each decision's part of it in the decision's own words. */
import type { CatalogVersion, Plan } from '../catalog/catalog.ts';
import { frequencyCapsOf } from '../limits/frequency-cap.ts';
import { cheapestFirst } from '../money/money.ts';
import { isCounted, type RateCard } from '../pricing/rate-card.ts';
import type { PlanOffer, SubscriptionPolicies } from '../subscriptions/plan-offer.ts';
import type { TopUpPolicies } from './collect-top-up.ts';
import type { BucketPolicies } from './decide-grant.ts';
import type { HoldingPolicies } from './decide-hold.ts';
import type { PurchasePolicies } from './decide-purchase.ts';
import type { PromotionPolicies } from './decide-redeem.ts';
import type { RefundPolicies } from './decide-refund.ts';
import type { AlertPolicies } from './watch-alerts.ts';

export interface Policies
  extends HoldingPolicies,
    BucketPolicies,
    RefundPolicies,
    SubscriptionPolicies,
    PromotionPolicies,
    TopUpPolicies,
    AlertPolicies,
    PurchasePolicies {}

const MILLISECONDS_PER_SECOND = 1_000;
const MILLISECONDS_PER_DAY = 86_400_000;

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
