/** The purchase by which a plan is paid, before it begins. */

import { ZERO } from '../credits/micros.ts';
import type { Money } from '../money/money.ts';
import type { PlanSale } from '../purchases/purchase.ts';
import type { PlanOffer, SubscriptionPolicies } from '../subscriptions/plan-offer.ts';
import type { SubscribeCommand } from './commands.ts';
import type { NewPurchase } from './new-purchase.ts';
import type { WalletBook } from './wallet-book.ts';

interface PlanPurchase extends Pick<SubscribeCommand, 'actor' | 'organizationId' | 'provider'> {
  readonly sale: PlanSale;
  readonly price: Money;
  readonly isOffSession: boolean;
}

/** Begins the purchase by which a plan is paid. */
export function beginPlanPurchase(
  book: WalletBook,
  { sale, price, organizationId, provider, actor, isOffSession }: PlanPurchase,
  { plansEverSold, catalogVersion }: SubscriptionPolicies,
  newId: () => string,
): NewPurchase {
  const plan = plansEverSold.get(sale.planKey);
  if (!plan) throw new Error(`the plan ${sale.planKey} was never sold`);
  const purchase: NewPurchase = {
    id: newId(),
    organizationId,
    kind: 'PLAN',
    description: describe(sale, plan),
    packageKey: null,
    catalogVersion,
    credits: ZERO,
    bonusCredits: ZERO,
    bucketKey: null,
    expiresAfterDays: null,
    price,
    provider,
    isOffSession,
    plan: sale,
    actor,
    createdAt: book.now,
  };
  book.newPurchases.push(purchase);
  return purchase;
}

/** "Team plan: a month", "Team plan: the rest of a month" */
function describe({ purpose }: PlanSale, { name, interval }: PlanOffer): string {
  const period = interval === 'YEAR' ? 'year' : 'month';
  return `${name} plan: ${purpose === 'CHANGE' ? `the rest of a ${period}` : `a ${period}`}`;
}
