/** What the passing of time does to a subscription: its trial ends, its period ends. No credits move by that alone. */
import type { SubscriptionPolicies } from '../subscriptions/plan-offer.ts';
import { type Subscription, subscriptionAfter, type UpcomingEvent } from '../subscriptions/subscription.ts';
import { billingPeriodSince } from '../time/calendar.ts';
import { later } from '../time/instant.ts';
import type { AllowanceSnapshot } from '../wallet/snapshot.ts';
import type { WalletBook } from './wallet-book.ts';

/** A plan that no catalog knows any more is billed by the month. */
const DEFAULT_INTERVAL = 'MONTH';

export function postSubscriptionEvent(
  book: WalletBook,
  { event }: UpcomingEvent,
  policies: SubscriptionPolicies,
): void {
  const before = book.subscription;
  const after = before && subscriptionAfter(before, event);
  if (!after) throw new Error(`nothing is due on the subscription of wallet ${book.snapshot.id}`);
  if (event === 'TRIAL_ENDS') {
    book.changeSubscription(after);
  } else if (after.status === 'CANCELED') {
    book.changeSubscription(after);
    book.replaceAllowances([]);
  } else {
    renew(book, after, policies);
  }
}

/**
 * The period that contains now begins, that of the plan which was to follow if there is one. Periods that passed unseen are
 * skipped: nobody paid for them and nothing was granted.
 */
function renew(book: WalletBook, subscription: Subscription, { plansEverSold }: SubscriptionPolicies): void {
  const { scheduledPlanKey, period: ended, anchorDay } = subscription;
  const planKey = scheduledPlanKey ?? subscription.planKey;
  const plan = plansEverSold.get(planKey);
  const interval = plan?.interval ?? DEFAULT_INTERVAL;
  const period = billingPeriodSince(interval, ended, book.now, anchorDay, book.snapshot.timeZone);
  book.changeSubscription({ ...subscription, planKey, scheduledPlanKey: null, period });
  if (scheduledPlanKey === null || !plan) return;
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
      nextRefreshAt: later(ended.end, before?.nextRefreshAt ?? ended.end),
    };
  });
  book.replaceAllowances(allowances);
}
