/** Another plan takes the place of a subscription's present one, at once; and the plan before comes back. */
import type { Actor } from '../actor.ts';
import type { PlanSale } from '../purchases/purchase.ts';
import { isFree, isUpgrade, type PlanOffer, type SubscriptionPolicies } from '../subscriptions/plan-offer.ts';
import { NOTHING_PAID, type Subscription } from '../subscriptions/subscription.ts';
import { billingPeriod, dayOfMonth, type Period } from '../time/calendar.ts';
import { type TakeUp, takeUpPlan } from './take-up-plan.ts';
import type { WalletBook } from './wallet-book.ts';

interface Change {
  readonly planKey: string;
  readonly plan: PlanOffer;
  readonly actor: Actor;
  /** What has paid for it; null where it costs nothing. */
  readonly purchaseId: string | null;
}

export function changeNow(
  book: WalletBook,
  subscription: Subscription,
  { planKey, plan, actor, purchaseId }: Change,
  policies: SubscriptionPolicies,
): void {
  const { now, snapshot } = book;
  const goesOn = periodGoesOn(subscription, plan, policies) || isFree(plan);
  const status = endsTrial(subscription, plan) ? 'ACTIVE' : subscription.status;
  // A period that is paid in full is a full one.
  const anchorDay = goesOn ? subscription.anchorDay : dayOfMonth(now, snapshot.timeZone);
  const period = periodUnder(book, subscription, { plan, anchorDay }, policies);
  const paid = paidAfterChange(subscription, plan, purchaseId, period !== subscription.period);
  book.changeSubscription({ ...subscription, ...paid, status, planKey, anchorDay, period, scheduledPlanKey: null });
  takeUpPlan(book, { plan, anchorDay, isUpgrade: isUpgradeOf(subscription, plan, policies), purchaseId, actor });
}

/** A free plan gives up what was paid. A change for which nothing is paid keeps it, unless it has bought a period of its own. */
function paidAfterChange(
  { price, paidBy }: Subscription,
  plan: PlanOffer,
  purchaseId: string | null,
  isNewPeriod: boolean,
): Pick<Subscription, 'price' | 'paidBy'> {
  if (isFree(plan)) return NOTHING_PAID;
  if (purchaseId !== null) return { price: plan.price, paidBy: [...paidBy, purchaseId] };
  return { price: isNewPeriod && price !== null ? plan.price : price, paidBy };
}

export function isUpgradeOf(
  { planKey }: Subscription,
  plan: PlanOffer,
  { plansEverSold }: SubscriptionPolicies,
): boolean {
  const current = plansEverSold.get(planKey);
  return current === undefined || isUpgrade(current, plan);
}

/**
 * A running period goes on, and so does a trial, unless it is given up for a free plan; where the plans are billed at different
 * intervals a new one begins.
 */
export function periodUnder(
  { now, snapshot }: WalletBook,
  running: Subscription | null,
  { plan, anchorDay }: Pick<TakeUp, 'plan' | 'anchorDay'>,
  policies: SubscriptionPolicies,
): Period {
  if (running && periodGoesOn(running, plan, policies)) return running.period;
  return { start: now, end: billingPeriod(plan.interval, now, anchorDay, snapshot.timeZone).end };
}

function periodGoesOn(subscription: Subscription, plan: PlanOffer, { plansEverSold }: SubscriptionPolicies): boolean {
  if (subscription.status === 'TRIALING') return !endsTrial(subscription, plan);
  return plansEverSold.get(subscription.planKey)?.interval === plan.interval;
}

/** A free plan is active at once. */
const endsTrial = ({ status }: Subscription, plan: PlanOffer): boolean =>
  status === 'TRIALING' && isFree(plan) && plan.trialDays === 0;

/**
 * The money of a change went back: the plan that it took the place of goes on, if that was paid. False where there is none.
 */
export function undoChange(
  book: WalletBook,
  subscription: Subscription,
  { sale, purchaseId, actor }: { readonly sale: PlanSale; readonly purchaseId: string; readonly actor: Actor },
  policies: SubscriptionPolicies,
): boolean {
  const { planKey, fromPlanKey } = sale;
  const paidBy = subscription.paidBy.filter((id) => id !== purchaseId);
  const plan = fromPlanKey === null ? undefined : policies.plansEverSold.get(fromPlanKey);
  if (subscription.planKey !== planKey || fromPlanKey === null || !plan || paidBy.length === 0) return false;
  const { interval } = policies.plansEverSold.get(planKey) ?? plan;
  if (interval !== plan.interval) return false;
  changeNow(
    book,
    { ...subscription, price: plan.price, paidBy },
    { planKey: fromPlanKey, plan, actor, purchaseId: null },
    policies,
  );
  return true;
}
