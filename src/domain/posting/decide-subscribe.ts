/**
 * Selecting a plan: the first one, or another in its place, now or at the end of the period. What is decided here moves no
 * money: only free plans can be selected.
 */
import { type Conflict, type InvalidInput, invalidInput, type NotFound, notFound } from '../refusals.ts';
import { isFree, isUpgrade, type PlanOffer, type SubscriptionPolicies } from '../subscriptions/plan-offer.ts';
import { type Subscription, stateAfter, stateOf } from '../subscriptions/subscription.ts';
import { addDays, billingPeriod, dayOfMonth, type Period } from '../time/calendar.ts';
import type { SubscribeCommand } from './commands.ts';
import { type Outcome, refused } from './outcomes.ts';
import { type TakeUp, takeUpPlan } from './take-up-plan.ts';
import type { WalletBook } from './wallet-book.ts';

/** What of the command only the books and the catalog in force can tell to be impossible. */
export function checkPlan(
  book: WalletBook,
  { planKey, when }: Pick<SubscribeCommand, 'planKey' | 'when'>,
  { plansOnSale }: SubscriptionPolicies,
): NotFound | InvalidInput | null {
  const plan = plansOnSale.get(planKey);
  if (!plan) return notFound('plan');
  if (!isFree(plan)) return invalidInput(['planId'], 'has a price: only free plans can be selected');
  return when === 'PERIOD_END' && !isLive(book.subscription)
    ? invalidInput(['when'], 'must be NOW: a first plan begins at once')
    : null;
}

const isLive = (subscription: Subscription | null): subscription is Subscription =>
  subscription !== null && subscription.status !== 'CANCELED';

export function decideSubscribe(
  book: WalletBook,
  command: SubscribeCommand,
  policies: SubscriptionPolicies,
  newId: () => string,
): Outcome {
  const refusal = selectPlan(book, command, policies, newId);
  if (refusal) return refused(refusal, book.available);
  if (!book.subscription) throw new Error('a plan was selected and there is no subscription');
  const { available } = book;
  return { status: 'subscribed', subscriptionId: book.subscription.id, available, availableNow: available };
}

/** Changes the subscription as the command asks; the conflict where its state forbids that. */
export function selectPlan(
  book: WalletBook,
  command: Pick<SubscribeCommand, 'planKey' | 'when' | 'actor'>,
  policies: SubscriptionPolicies,
  newId: () => string,
): Conflict | null {
  const { planKey } = command;
  const plan = policies.plansOnSale.get(planKey);
  if (!plan) throw new Error(`the plan ${planKey} is not on sale`);
  const { subscription } = book;
  if (!isLive(subscription)) {
    begin(book, subscription, { ...command, plan }, policies, newId);
    return null;
  }
  const state = stateOf(subscription);
  if (stateAfter(state, 'CHANGE_PLAN') === null) {
    return { code: 'CONFLICT', currentState: state, reason: 'the plan of this subscription cannot be changed' };
  }
  if (subscription.planKey === planKey) {
    if (subscription.scheduledPlanKey === null) {
      return { code: 'CONFLICT', currentState: state, reason: 'there is a subscription to this plan' };
    }
    book.changeSubscription({ ...subscription, scheduledPlanKey: null });
    return null;
  }
  if (timeOfChange(subscription, { ...command, plan }, policies) === 'PERIOD_END') {
    book.changeSubscription({ ...subscription, scheduledPlanKey: planKey });
  } else {
    changeNow(book, subscription, { ...command, plan }, policies);
  }
  return null;
}

interface Selection extends Pick<SubscribeCommand, 'planKey' | 'when' | 'actor'> {
  readonly plan: PlanOffer;
}

const upgrades = ({ planKey }: Subscription, plan: PlanOffer, { plansEverSold }: SubscriptionPolicies): boolean => {
  const current = plansEverSold.get(planKey);
  return current === undefined || isUpgrade(current, plan);
};

/** An upgrade begins now and everything else at the end of the period, unless the caller says when. */
function timeOfChange(
  subscription: Subscription,
  { when, plan }: Selection,
  policies: SubscriptionPolicies,
): 'NOW' | 'PERIOD_END' {
  return when ?? (upgrades(subscription, plan, policies) ? 'NOW' : 'PERIOD_END');
}

/**
 * A subscription that was canceled and begins again within its last period goes on with that period and its anchor, so that
 * nothing is granted twice. There is one trial, with the first plan.
 */
function begin(
  book: WalletBook,
  earlier: Subscription | null,
  { planKey, plan, actor }: Selection,
  policies: SubscriptionPolicies,
  newId: () => string,
): void {
  const { now, snapshot } = book;
  const goesOn = earlier !== null && now < earlier.period.end;
  const anchorDay = goesOn ? earlier.anchorDay : dayOfMonth(now, snapshot.timeZone);
  const isTrial = earlier === null && plan.trialDays > 0;
  const status = stateAfter(stateOf(earlier), isTrial ? 'BEGIN_TRIAL' : 'BEGIN');
  if (status !== 'ACTIVE' && status !== 'TRIALING') throw new Error('a subscription cannot begin here');
  book.changeSubscription({
    id: earlier?.id ?? newId(),
    planKey,
    status,
    anchorDay,
    period: periodUnder(book, goesOn ? earlier : null, { plan, anchorDay }, policies),
    trialEndsAt: isTrial ? addDays(now, plan.trialDays, snapshot.timeZone) : null,
    cancelAtPeriodEnd: false,
    scheduledPlanKey: null,
  });
  takeUpPlan(book, { plan, anchorDay, isUpgrade: false, actor });
}

function changeNow(
  book: WalletBook,
  subscription: Subscription,
  { planKey, plan, actor }: Selection,
  policies: SubscriptionPolicies,
): void {
  const { anchorDay } = subscription;
  const period = periodUnder(book, subscription, { plan, anchorDay }, policies);
  book.changeSubscription({ ...subscription, planKey, period, scheduledPlanKey: null });
  takeUpPlan(book, { plan, anchorDay, isUpgrade: upgrades(subscription, plan, policies), actor });
}

/** A running period goes on; where the plans are billed at different intervals a new one begins, with the same anchor. */
function periodUnder(
  { now, snapshot }: WalletBook,
  running: Subscription | null,
  { plan, anchorDay }: Pick<TakeUp, 'plan' | 'anchorDay'>,
  { plansEverSold }: SubscriptionPolicies,
): Period {
  if (running && plansEverSold.get(running.planKey)?.interval === plan.interval) return running.period;
  return { start: now, end: billingPeriod(plan.interval, now, anchorDay, snapshot.timeZone).end };
}
