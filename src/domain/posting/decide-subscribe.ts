/**
 * Selecting a plan: the first one, or another in its place, now or at the end of the period. What costs nothing now is done at
 * once; what is to be paid first is a purchase, and `fulfil-plan.ts` does it once that is paid.
 */
import type { Money } from '../money/money.ts';
import { type Conflict, type InvalidInput, invalidInput, type NotFound, notFound } from '../plain-refusals.ts';
import type { PlanSale } from '../purchases/purchase.ts';
import { isFree, type PlanOffer, type SubscriptionPolicies } from '../subscriptions/plan-offer.ts';
import { prorate } from '../subscriptions/proration.ts';
import { NOTHING_PAID, type Subscription, stateAfter, stateOf } from '../subscriptions/subscription.ts';
import { addDays, dayOfMonth } from '../time/calendar.ts';
import type { Instant } from '../time/instant.ts';
import { changeNow, isUpgradeOf, periodUnder } from './change-plan.ts';
import type { SubscribeCommand } from './commands.ts';
import { fulfilPlan } from './fulfil-plan.ts';
import { type Outcome, refused } from './outcomes.ts';
import { beginPlanPurchase } from './plan-purchase.ts';
import { takeUpPlan } from './take-up-plan.ts';
import type { WalletBook } from './wallet-book.ts';

/** How long the price of a preview holds. */
const PREVIEW_HOLDS_MILLISECONDS = 10 * 60_000;

export type Selection = Pick<SubscribeCommand, 'planKey' | 'when' | 'prorationAt'>;

/** What of the command only the books and the catalog in force can tell to be impossible. */
export function checkPlan(
  book: WalletBook,
  { planKey, when, prorationAt }: Selection,
  policies: SubscriptionPolicies,
): NotFound | InvalidInput | null {
  if (!offerFor(book, planKey, policies)) return notFound('plan');
  if (when === 'PERIOD_END' && !isLive(book.subscription)) {
    return invalidInput(['when'], 'must be NOW: a first plan begins at once');
  }
  return prorationAt === null ? null : checkProration(book, prorationAt);
}

function checkProration({ now, subscription }: WalletBook, prorationAt: Instant): InvalidInput | null {
  if (prorationAt > now) return invalidInput(['prorationAt'], 'lies ahead: it is the instant of a preview');
  const isOld = now - prorationAt > PREVIEW_HOLDS_MILLISECONDS;
  const isOfEarlierPeriod = subscription !== null && prorationAt < subscription.period.start;
  return isOld || isOfEarlierPeriod
    ? invalidInput(['prorationAt'], 'no longer holds: a preview does for 10 minutes of its period; ask for another')
    : null;
}

/** A plan on sale, or the present one: that can be paid, and a change of it taken back, though it is no longer sold. */
function offerFor({ subscription }: WalletBook, planKey: string, { plansOnSale, plansEverSold }: SubscriptionPolicies) {
  const isOwn = isLive(subscription) && subscription.planKey === planKey;
  return plansOnSale.get(planKey) ?? (isOwn ? plansEverSold.get(planKey) : undefined);
}

const isLive = (subscription: Subscription | null): subscription is Subscription =>
  subscription !== null && subscription.status !== 'CANCELED';

export function decideSubscribe(
  book: WalletBook,
  command: SubscribeCommand,
  policies: SubscriptionPolicies,
  newId: () => string,
): Outcome {
  if (command.exceeded) return refused(command.exceeded, book.available);
  const selected = selectPlan(book, command, policies, newId);
  const { available } = book;
  if (selected.kind === 'forbidden') return refused(selected.conflict, available);
  if (selected.kind === 'to-pay') {
    const { id: purchaseId } = beginPlanPurchase(
      book,
      { ...command, ...selected, isOffSession: false },
      policies,
      newId,
    );
    return { status: 'plan-purchase-begun', purchaseId, available, availableNow: available };
  }
  if (!book.subscription) throw new Error('a plan was selected and there is no subscription');
  return { status: 'subscribed', subscriptionId: book.subscription.id, available, availableNow: available };
}

/** What selecting a plan comes to: it is done, it is to be paid first, or the subscription's state forbids it. */
export type Selected =
  | { readonly kind: 'done'; readonly creditedMinor: bigint }
  | { readonly kind: 'to-pay'; readonly sale: PlanSale; readonly price: Money; readonly creditedMinor: bigint }
  | { readonly kind: 'forbidden'; readonly conflict: Conflict };

const DONE: Selected = { kind: 'done', creditedMinor: 0n };

const forbidden = (currentState: string, reason: string): Selected => ({
  kind: 'forbidden',
  conflict: { code: 'CONFLICT', currentState, reason },
});

const fullPrice = (plan: PlanOffer, sale: Pick<PlanSale, 'planKey' | 'purpose'> & Partial<PlanSale>): Selected => ({
  kind: 'to-pay',
  sale: { fromPlanKey: null, periodStart: null, ...sale },
  price: plan.price,
  creditedMinor: 0n,
});

/** Changes the subscription as the command asks, or says what keeps it from that. */
export function selectPlan(
  book: WalletBook,
  command: Selection & Pick<SubscribeCommand, 'actor'>,
  policies: SubscriptionPolicies,
  newId: () => string,
): Selected {
  const { planKey, when } = command;
  const plan = offerFor(book, planKey, policies);
  if (!plan) throw new Error(`the plan ${planKey} is not on sale`);
  const { subscription } = book;
  if (!isLive(subscription)) {
    const isTrial = subscription === null && plan.trialDays > 0;
    if (!isFree(plan) && !isTrial) return fullPrice(plan, { planKey, purpose: 'BEGINNING' });
    begin(book, subscription, { ...command, plan }, policies, newId);
    return DONE;
  }
  const state = stateOf(subscription);
  if (subscription.payment !== null && subscription.planKey === planKey) {
    return payOwed(book, plan, { planKey, since: subscription.payment.since, actor: command.actor }, policies, newId);
  }
  if (stateAfter(state, 'CHANGE_PLAN') === null) {
    const due = 'the plan of this subscription is to be paid: pay it by selecting it, or cancel';
    return forbidden(state, subscription.payment ? due : 'the subscription ends with its period: resume it first');
  }
  if (subscription.planKey === planKey) return selectAgain(book, subscription, plan);
  if ((when ?? defaultTime(subscription, plan, policies)) === 'PERIOD_END') {
    book.changeSubscription({ ...subscription, scheduledPlanKey: planKey });
    return DONE;
  }
  return selectNow(book, subscription, { ...command, plan }, policies);
}

interface Owed extends Pick<SubscribeCommand, 'planKey' | 'actor'> {
  readonly since: Instant;
}

/** What is due is paid at a checkout, unless the plan has come to cost nothing. */
function payOwed(
  book: WalletBook,
  plan: PlanOffer,
  { planKey, since, actor }: Owed,
  policies: SubscriptionPolicies,
  newId: () => string,
): Selected {
  const sale = { planKey, purpose: 'RENEWAL', fromPlanKey: null, periodStart: since } as const;
  if (!isFree(plan)) return fullPrice(plan, sale);
  fulfilPlan(book, { sale, purchaseId: null, actor, begunAt: book.now, lastEffectiveAt: book.now }, policies, newId);
  return DONE;
}

/** The present plan takes back a change that was to follow; a trial of it can be paid before it ends. */
function selectAgain(book: WalletBook, subscription: Subscription, plan: PlanOffer): Selected {
  const { planKey, scheduledPlanKey, status } = subscription;
  if (scheduledPlanKey !== null) {
    book.changeSubscription({ ...subscription, scheduledPlanKey: null });
    return DONE;
  }
  if (status === 'TRIALING' && !isFree(plan)) return fullPrice(plan, { planKey, purpose: 'BEGINNING' });
  return forbidden(status, 'there is a subscription to this plan');
}

/**
 * An upgrade begins now and everything else at the end of the period, unless the caller says when. A year that was paid is
 * not given up for a month.
 */
function defaultTime(
  subscription: Subscription,
  plan: PlanOffer,
  policies: SubscriptionPolicies,
): 'NOW' | 'PERIOD_END' {
  const isYear = policies.plansEverSold.get(subscription.planKey)?.interval === 'YEAR';
  const givesUpAYear = isYear && plan.interval === 'MONTH' && subscription.price !== null;
  return isUpgradeOf(subscription, plan, policies) && !givesUpAYear ? 'NOW' : 'PERIOD_END';
}

interface Chosen extends Selection, Pick<SubscribeCommand, 'actor'> {
  readonly plan: PlanOffer;
}

/** A plan with a price is paid in full from a free one, and for the rest of the period from another with a price. */
function selectNow(
  book: WalletBook,
  subscription: Subscription,
  { planKey, plan, prorationAt, actor }: Chosen,
  policies: SubscriptionPolicies,
): Selected {
  const change = { planKey, plan, actor, purchaseId: null };
  const isTrial = subscription.status === 'TRIALING';
  if (isFree(plan) || (isTrial && plan.trialDays > 0)) {
    changeNow(book, subscription, change, policies);
    return DONE;
  }
  const interval = policies.plansEverSold.get(subscription.planKey)?.interval ?? plan.interval;
  const { price } = subscription;
  if (isTrial || price === null) return fullPrice(plan, { planKey, purpose: 'BEGINNING' });
  if (price.currency !== plan.price.currency) {
    return forbidden('OTHER_CURRENCY', 'the plan is priced in another currency: change at the end of the period');
  }
  const { period, planKey: fromPlanKey } = subscription;
  const { dueNow, credited: creditedMinor } = prorate({ price, interval }, plan, period, prorationAt ?? book.now);
  if (dueNow === 0n) {
    changeNow(book, subscription, change, policies);
    return { kind: 'done', creditedMinor };
  }
  return {
    kind: 'to-pay',
    sale: { planKey, purpose: 'CHANGE', fromPlanKey, periodStart: period.start },
    price: { amountMinor: dueNow, currency: plan.price.currency },
    creditedMinor,
  };
}

/**
 * A free plan, or the trial of one with a price, whose period is the trial. A subscription that was canceled and begins again within its last period goes
 * on with that period and its anchor, so that nothing is granted twice. There is one trial, with the first plan.
 */
function begin(
  book: WalletBook,
  earlier: Subscription | null,
  { planKey, plan, actor }: Chosen,
  policies: SubscriptionPolicies,
  newId: () => string,
): void {
  const { now, snapshot } = book;
  const goesOn = earlier !== null && now < earlier.period.end;
  const anchorDay = goesOn ? earlier.anchorDay : dayOfMonth(now, snapshot.timeZone);
  const isTrial = earlier === null && plan.trialDays > 0;
  const status = stateAfter(stateOf(earlier), isTrial ? 'BEGIN_TRIAL' : 'BEGIN');
  if (status !== 'ACTIVE' && status !== 'TRIALING') throw new Error('a subscription cannot begin here');
  const trialEndsAt = isTrial ? addDays(now, plan.trialDays, snapshot.timeZone) : null;
  const isPaidAfterTrial = trialEndsAt !== null && !isFree(plan);
  book.changeSubscription({
    id: earlier?.id ?? newId(),
    planKey,
    status,
    anchorDay,
    period: isPaidAfterTrial
      ? { start: now, end: trialEndsAt }
      : periodUnder(book, goesOn ? earlier : null, { plan, anchorDay }, policies),
    trialEndsAt,
    cancelAtPeriodEnd: false,
    scheduledPlanKey: null,
    payment: null,
    ...NOTHING_PAID,
  });
  takeUpPlan(book, { plan, anchorDay, isUpgrade: false, purchaseId: null, actor });
}
