/**
 * What is paid for a plan, and what the payment does. A purchase holds for the subscription as it was when it was begun: where
 * that has changed by the time it is paid, it does nothing, and the money goes back.
 */
import type { Actor } from '../actor.ts';
import type { Money } from '../catalog/catalog.ts';
import { ZERO } from '../credits/micros.ts';
import type { PlanSale } from '../purchases/purchase.ts';
import { isFree, isUpgrade, type PlanOffer, type SubscriptionPolicies } from '../subscriptions/plan-offer.ts';
import {
  type PaymentDue,
  type Subscription,
  stateAfter,
  stateOf,
  subscriptionAfter,
} from '../subscriptions/subscription.ts';
import { addDays, billingPeriod, billingPeriodSince, dayOfMonth, type Period } from '../time/calendar.ts';
import { type Instant, later } from '../time/instant.ts';
import type { SubscribeCommand } from './commands.ts';
import type { NewPurchase } from './new-purchase.ts';
import { grantOwed } from './refresh-allowance.ts';
import { type TakeUp, takeUpPlan } from './take-up-plan.ts';
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

export interface PaidSale {
  readonly sale: PlanSale;
  /** Null for a renewal that costs nothing any more. */
  readonly purchaseId: string | null;
  readonly actor: Actor;
  /** Nothing is granted to count before it. */
  readonly lastEffectiveAt: Instant | null;
}

/** Does what was paid for. False where the subscription is no longer what it was paid for: then nothing is done. */
export function applyPlanSale(
  book: WalletBook,
  paid: PaidSale,
  policies: SubscriptionPolicies,
  newId: () => string,
): boolean {
  const plan = policies.plansEverSold.get(paid.sale.planKey);
  if (!plan) return false;
  switch (paid.sale.purpose) {
    case 'BEGINNING':
      return beginPaid(book, plan, paid, policies, newId);
    case 'CHANGE':
      return changePaid(book, plan, paid, policies);
    case 'RENEWAL':
      return renewPaid(book, plan, paid);
  }
}

/** A period begins now, in full, unless the present one was paid for. */
function beginPaid(
  book: WalletBook,
  plan: PlanOffer,
  { sale, purchaseId, actor }: PaidSale,
  { plansEverSold }: SubscriptionPolicies,
  newId: () => string,
): boolean {
  const { now, snapshot, subscription: earlier } = book;
  const status = stateAfter(stateOf(earlier), 'BEGIN');
  const present = earlier?.status === 'ACTIVE' ? plansEverSold.get(earlier.planKey) : undefined;
  if (status !== 'ACTIVE' || (present && !isFree(present))) return false;
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
    paidBy: purchaseId,
  });
  takeUpPlan(book, { plan, anchorDay, isUpgrade: earlier !== null, purchaseId, actor });
  return true;
}

function changePaid(
  book: WalletBook,
  plan: PlanOffer,
  { sale, purchaseId, actor }: PaidSale,
  policies: SubscriptionPolicies,
): boolean {
  const { subscription } = book;
  const isAsItWas =
    subscription !== null &&
    stateOf(subscription) === 'ACTIVE' &&
    subscription.planKey === sale.fromPlanKey &&
    subscription.period.start === sale.periodStart;
  if (!isAsItWas) return false;
  changeNow(
    book,
    { ...subscription, paidBy: purchaseId },
    { planKey: sale.planKey, plan, actor, purchaseId },
    policies,
  );
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
    book.changeSubscription({ ...renewed, anchorDay, period: { start: later(start, since), end }, paidBy: purchaseId });
    takeUpPlan(book, { plan, anchorDay, isUpgrade: true, purchaseId, actor });
    return true;
  }
  const ended = { start: since, end: since };
  const period = billingPeriodSince(plan.interval, ended, now, before.anchorDay, snapshot.timeZone);
  book.changeSubscription({ ...renewed, period, paidBy: purchaseId });
  grantOwed(book, later(since, lastEffectiveAt ?? since), purchaseId);
  return true;
}

/** A charge of what was due was declined: it is tried again, and the subscription ends where nothing was ever paid. */
export function failRenewal(book: WalletBook, { renewals }: SubscriptionPolicies): void {
  const { now, snapshot, subscription: before } = book;
  const failed = before && subscriptionAfter(before, 'PAYMENT_FAILS');
  if (!failed) return;
  if (failed.payment === null) {
    book.changeSubscription(failed);
    book.replaceAllowances([]);
    return;
  }
  const { failedAttempts } = failed.payment;
  const gap = renewals.retryDays[failedAttempts];
  const payment: PaymentDue = {
    ...failed.payment,
    failedAttempts: failedAttempts + 1,
    nextAttemptAt: gap === undefined ? null : addDays(now, gap, snapshot.timeZone),
    purchaseId: null,
  };
  book.changeSubscription({ ...failed, payment });
}

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
  const { anchorDay } = subscription;
  const period = periodUnder(book, subscription, { plan, anchorDay }, policies);
  book.changeSubscription({ ...subscription, planKey, period, scheduledPlanKey: null });
  takeUpPlan(book, { plan, anchorDay, isUpgrade: isUpgradeOf(subscription, plan, policies), purchaseId, actor });
}

export function isUpgradeOf(
  { planKey }: Subscription,
  plan: PlanOffer,
  { plansEverSold }: SubscriptionPolicies,
): boolean {
  const current = plansEverSold.get(planKey);
  return current === undefined || isUpgrade(current, plan);
}

/** A running period goes on; where the plans are billed at different intervals a new one begins, with the same anchor. */
export function periodUnder(
  { now, snapshot }: WalletBook,
  running: Subscription | null,
  { plan, anchorDay }: Pick<TakeUp, 'plan' | 'anchorDay'>,
  { plansEverSold }: SubscriptionPolicies,
): Period {
  if (running && plansEverSold.get(running.planKey)?.interval === plan.interval) return running.period;
  return { start: now, end: billingPeriod(plan.interval, now, anchorDay, snapshot.timeZone).end };
}
