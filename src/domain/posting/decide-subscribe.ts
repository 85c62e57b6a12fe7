/** Beginning a subscription: its first period and its first allowances, granted at once. */
import type { Micros } from '../credits/micros.ts';
import { type InvalidInput, invalidInput, type NotFound, notFound } from '../refusals.ts';
import { billingPeriod, dayOfMonth } from '../time/calendar.ts';
import type { AllowanceSnapshot, RefreshInterval } from '../wallet/snapshot.ts';
import type { SubscribeCommand } from './commands.ts';
import { type Outcome, refused } from './outcomes.ts';
import { refresh } from './transitions.ts';
import type { WalletBook } from './wallet-book.ts';

/** A plan as it is subscribed to. */
export interface PlanOnSale {
  readonly isFree: boolean;
  readonly interval: 'MONTH' | 'YEAR';
  readonly allowances: readonly {
    readonly bucketKey: string;
    readonly interval: RefreshInterval;
    readonly credits: Micros;
  }[];
}

/** What the catalog says about subscribing. */
export interface SubscriptionPolicies {
  readonly plansOnSale: ReadonlyMap<string, PlanOnSale>;
}

/** What of the command only the catalog in force can tell to be impossible. */
export function checkPlan(
  { planKey }: SubscribeCommand,
  { plansOnSale }: SubscriptionPolicies,
): NotFound | InvalidInput | null {
  const plan = plansOnSale.get(planKey);
  if (!plan) return notFound('plan');
  return plan.isFree ? null : invalidInput(['planId'], 'has a price: only free plans can be selected');
}

export function decideSubscribe(
  book: WalletBook,
  { planKey }: SubscribeCommand,
  { plansOnSale }: SubscriptionPolicies,
  newId: () => string,
): Outcome {
  const plan = plansOnSale.get(planKey);
  if (!plan) throw new Error(`the plan ${planKey} is not on sale`);
  const { subscriptionStatus: status, now, snapshot } = book;
  if (status !== null && status !== 'CANCELED') {
    return refused({ code: 'CONFLICT', currentState: status, reason: 'there is a subscription' }, book.available);
  }
  const anchorDay = dayOfMonth(now, snapshot.timeZone);
  const id = snapshot.subscriptionId ?? newId();
  const { end } = billingPeriod(plan.interval, now, anchorDay, snapshot.timeZone);
  const allowances = plan.allowances.map(
    ({ bucketKey, interval, credits }): AllowanceSnapshot => ({
      bucketId: book.requireBucket(bucketKey).facts.id,
      interval,
      amount: credits,
      anchorDay,
      lastRefreshedAt: null,
      nextRefreshAt: now,
    }),
  );
  const period = { start: now, end };
  book.subscribe({ id, planKey, status: 'ACTIVE', anchorDay, period }, allowances);
  for (const allowance of allowances) refresh(book, allowance);
  return { status: 'subscribed', subscriptionId: id, available: book.available, availableNow: book.available };
}
