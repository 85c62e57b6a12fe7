/**
 * What the payment for a plan does. A purchase holds for the subscription as it was when it was begun: where that has changed by
 * the time it is paid, it does nothing, and the money goes back.
 */
import type { Actor } from '../actor.ts';
import type { PlanSale } from '../purchases/purchase.ts';
import type { PlanOffer, SubscriptionPolicies } from '../subscriptions/plan-offer.ts';
import { NOTHING_PAID, stateAfter, stateOf, subscriptionAfter } from '../subscriptions/subscription.ts';
import { billingPeriod, billingPeriodSince, calendarWindow, dayOfMonth } from '../time/calendar.ts';
import { type Instant, later } from '../time/instant.ts';
import { changeNow } from './change-plan.ts';
import { grantOwed } from './refresh-allowance.ts';
import { takeUpPlan } from './take-up-plan.ts';
import type { WalletBook } from './wallet-book.ts';

/** How long the checkout of a change keeps the price that was worked out for it. */
const PRICE_HOLDS_MILLISECONDS = 24 * 3_600_000;

export interface PaidSale {
  readonly sale: PlanSale;
  /** Null for a renewal that costs nothing any more. */
  readonly purchaseId: string | null;
  readonly actor: Actor;
  /** When the purchase was begun. */
  readonly begunAt: Instant;
  /** Nothing is granted to count before it. */
  readonly lastEffectiveAt: Instant | null;
}

/** Does what was paid for. False where the subscription is no longer what it was paid for: then nothing is done. */
export function fulfilPlan(
  book: WalletBook,
  paid: PaidSale,
  policies: SubscriptionPolicies,
  newId: () => string,
): boolean {
  const plan = policies.plansEverSold.get(paid.sale.planKey);
  if (!plan) return false;
  switch (paid.sale.purpose) {
    case 'BEGINNING':
      return beginPaid(book, plan, paid, newId);
    case 'CHANGE':
      return changePaid(book, plan, paid, policies);
    case 'RENEWAL':
      return renewPaid(book, plan, paid);
  }
}

/** What a period is paid with in full; nothing where it costs nothing. */
const paidFor = ({ price }: PlanOffer, purchaseId: string | null) =>
  purchaseId === null ? NOTHING_PAID : { price, paidBy: [purchaseId] };

/** A period begins now, in full, unless the present one was paid for. */
function beginPaid(
  book: WalletBook,
  plan: PlanOffer,
  { sale, purchaseId, actor }: PaidSale,
  newId: () => string,
): boolean {
  const { now, snapshot, subscription: earlier } = book;
  const status = stateAfter(stateOf(earlier), 'BEGIN');
  if (status !== 'ACTIVE' || (earlier?.status === 'ACTIVE' && earlier.price !== null)) return false;
  const anchorDay = dayOfMonth(now, snapshot.timeZone);
  book.changeSubscription({
    id: earlier?.id ?? newId(),
    planKey: sale.planKey,
    status,
    anchorDay,
    period: { start: now, end: billingPeriod(plan.interval, now, anchorDay, snapshot.timeZone).end },
    trialEndsAt: earlier?.trialEndsAt ?? null,
    cancelAtPeriodEnd: false,
    scheduledPlanKey: null,
    payment: null,
    ...paidFor(plan, purchaseId),
  });
  takeUpPlan(book, { plan, anchorDay, isUpgrade: earlier !== null, purchaseId, actor });
  return true;
}

function changePaid(
  book: WalletBook,
  plan: PlanOffer,
  { sale, purchaseId, actor, begunAt }: PaidSale,
  policies: SubscriptionPolicies,
): boolean {
  const { subscription, now } = book;
  const isAsItWas =
    subscription !== null &&
    now - begunAt <= PRICE_HOLDS_MILLISECONDS &&
    stateOf(subscription) === 'ACTIVE' &&
    subscription.planKey === sale.fromPlanKey &&
    subscription.period.start === sale.periodStart;
  if (!isAsItWas) return false;
  changeNow(book, subscription, { planKey: sale.planKey, plan, actor, purchaseId }, policies);
  return true;
}

/** The period that was due begins, however late it is paid; what it grants counts from its beginning where it still can. */
function renewPaid(book: WalletBook, plan: PlanOffer, { sale, purchaseId, actor, lastEffectiveAt }: PaidSale): boolean {
  const { now, snapshot, subscription: before } = book;
  const { payment } = before ?? {};
  const renewed = before && subscriptionAfter(before, 'PAID');
  if (!renewed || !payment || payment.since !== sale.periodStart || before.planKey !== sale.planKey) return false;
  const { since } = payment;
  if (before.status === 'TRIALING') {
    const anchorDay = dayOfMonth(since, snapshot.timeZone);
    const { start, end } = billingPeriod(plan.interval, now, anchorDay, snapshot.timeZone);
    book.changeSubscription({
      ...renewed,
      anchorDay,
      period: { start: later(start, since), end },
      ...paidFor(plan, purchaseId),
    });
    takeUpPlan(book, { plan, anchorDay, isUpgrade: true, purchaseId, actor });
    return true;
  }
  const ended = { start: since, end: since };
  const period = billingPeriodSince(plan.interval, ended, now, before.anchorDay, snapshot.timeZone);
  book.changeSubscription({ ...renewed, period, ...paidFor(plan, purchaseId) });
  // A month that is over gets no more entries.
  const { start: month } = calendarWindow('MONTH', now, snapshot.timeZone);
  grantOwed(book, later(later(since, month), lastEffectiveAt ?? since), purchaseId);
  return true;
}
