/**
 * What the passing of time does to a subscription, and a charge that is declined: its trial ends, its period ends, a payment
 * that is due is tried again and given up. No credits move by that alone. A period that costs something begins once it is
 * paid.
 */
import { isFree, type PlanOffer, type SubscriptionPolicies } from '../subscriptions/plan-offer.ts';
import {
  NOTHING_PAID,
  type PaymentDue,
  type Subscription,
  type SubscriptionEvent,
  stateOf,
  subscriptionAfter,
  type UpcomingEvent,
} from '../subscriptions/subscription.ts';
import { addDays, billingPeriodSince } from '../time/calendar.ts';
import { type Instant, later } from '../time/instant.ts';
import type { AllowanceSnapshot } from '../wallet/bucket.ts';
import type { WalletBook } from './wallet-book.ts';

/** A plan that no catalog knows any more is billed by the month. */
const DEFAULT_INTERVAL = 'MONTH';

export function postSubscriptionEvent(book: WalletBook, upcoming: UpcomingEvent, policies: SubscriptionPolicies): void {
  const before = book.subscription;
  const event = before && eventOf(before, upcoming, policies);
  const payment = event === 'PAYMENT_DUE' ? paymentDue(book, upcoming.at, policies) : undefined;
  const after = event && subscriptionAfter(before, event, payment);
  if (!after) throw new Error(`nothing is due on the subscription of wallet ${book.snapshot.id}`);
  if (after.status === 'CANCELED') {
    book.changeSubscription(after);
    book.replaceAllowances([]);
  } else if (event === 'PAYMENT_DUE') {
    fallDue(book, after, upcoming, policies);
  } else if (event === 'PERIOD_ENDS') {
    renew(book, after, policies);
  } else {
    // What is to follow a trial that costs nothing does so as its period ends.
    book.changeSubscription(after);
  }
}

/** It is charged at once, and given up after the days of grace, both counted from when somebody noticed. */
function paymentDue({ now, snapshot }: WalletBook, since: Instant, { renewals }: SubscriptionPolicies): PaymentDue {
  const graceEndsAt = addDays(now, renewals.graceDays, snapshot.timeZone);
  return { since, graceEndsAt, failedAttempts: 0, nextAttemptAt: now, purchaseId: null };
}

/** When the next payment comes due by the passing of time; null where none does. Periods within a trial cost nothing. */
export function paymentDueAt(subscription: Subscription, policies: SubscriptionPolicies): Instant | null {
  const { status, trialEndsAt, period, cancelAtPeriodEnd, payment } = subscription;
  if (payment !== null || cancelAtPeriodEnd || !costs(nextPlan(subscription, policies))) return null;
  if (status === 'TRIALING') return trialEndsAt;
  return status === 'ACTIVE' ? period.end : null;
}

/** The end of a trial, or of a period that was not on trial, is a payment due where the plan that follows has a price. */
function eventOf(
  subscription: Subscription,
  { event }: UpcomingEvent,
  policies: SubscriptionPolicies,
): SubscriptionEvent {
  const isPaidFor = event === 'TRIAL_ENDS' || (event === 'PERIOD_ENDS' && stateOf(subscription) === 'ACTIVE');
  return isPaidFor && costs(nextPlan(subscription, policies)) ? 'PAYMENT_DUE' : event;
}

const costs = (plan: PlanOffer | undefined): boolean => plan !== undefined && !isFree(plan);

const nextPlan = (
  { scheduledPlanKey, planKey }: Subscription,
  { plansEverSold }: SubscriptionPolicies,
): PlanOffer | undefined => plansEverSold.get(scheduledPlanKey ?? planKey);

/** Until it is paid nothing is granted; what rolls over does so now. */
function fallDue(
  book: WalletBook,
  subscription: Subscription,
  { at: since, event }: UpcomingEvent,
  policies: SubscriptionPolicies,
): void {
  const { scheduledPlanKey, planKey, anchorDay } = subscription;
  book.changeSubscription({ ...subscription, planKey: scheduledPlanKey ?? planKey, scheduledPlanKey: null });
  // What is paid is the plan as it is now, which catalogs since may have given other allowances.
  if (event !== 'PERIOD_ENDS') return;
  const isSame = scheduledPlanKey === null;
  followBy(book, nextPlan(subscription, policies), { begins: since, anchorDay, isSame });
}

/**
 * The period that contains now begins, that of the plan which was to follow if there is one. Periods that passed unseen are
 * skipped: nobody paid for them and nothing was granted.
 */
function renew(book: WalletBook, subscription: Subscription, policies: SubscriptionPolicies): void {
  const { period: ended, anchorDay, status, trialEndsAt } = subscription;
  // A plan that is to follow a trial waits for its end.
  const isTrial = status === 'TRIALING' && trialEndsAt !== null;
  const following = isTrial ? null : subscription.scheduledPlanKey;
  const planKey = following ?? subscription.planKey;
  const plan = policies.plansEverSold.get(planKey);
  const interval = plan?.interval ?? DEFAULT_INTERVAL;
  const { start, end } = billingPeriodSince(interval, ended, book.now, anchorDay, book.snapshot.timeZone);
  // What follows a trial is shorter.
  const period = { start: later(start, ended.end), end };
  const scheduledPlanKey = following === null ? subscription.scheduledPlanKey : null;
  book.changeSubscription({ ...subscription, planKey, scheduledPlanKey, period, ...NOTHING_PAID });
  if (following !== null) followBy(book, plan, { begins: ended.end, anchorDay, isSame: false });
}

interface Following {
  /** When the period of the plan that follows begins. */
  readonly begins: Instant;
  readonly anchorDay: number;
  /** True for the plan of before, as the catalog has it by now. */
  readonly isSame: boolean;
}

/** The allowances of a plan that follows take the place of those before, from the period that begins now. */
function followBy(book: WalletBook, plan: PlanOffer | undefined, { begins, anchorDay, isSame }: Following): void {
  if (!plan) return;
  const allowances = plan.allowances.map(({ bucketKey, interval, credits, rolloverLimit }): AllowanceSnapshot => {
    const bucketId = book.requireBucket(bucketKey).facts.id;
    const before = book.allowances.find((allowance) => allowance.bucketId === bucketId);
    return {
      bucketId,
      interval,
      amount: credits,
      rolloverLimit,
      anchorDay,
      // The lot of the period that ends is still known by it, so that the new plan carries over what its limit lets it.
      lastRefreshedAt: before?.lastRefreshedAt ?? null,
      // Periods that were missed count as unspent for their own plan alone.
      nextRefreshAt: before && isSame ? before.nextRefreshAt : later(begins, before?.nextRefreshAt ?? begins),
    };
  });
  book.replaceAllowances(allowances);
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
