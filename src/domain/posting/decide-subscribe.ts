/** Beginning a subscription: its first period and its first allowances, granted at once. */
import { billingPeriod, dayOfMonth } from '../time/calendar.ts';
import type { AllowanceSnapshot } from '../wallet/snapshot.ts';
import type { SubscribeCommand } from './commands.ts';
import { type Outcome, refused } from './outcomes.ts';
import { refresh } from './transitions.ts';
import type { WalletBook } from './wallet-book.ts';

export function decideSubscribe(book: WalletBook, { plan }: SubscribeCommand, newId: () => string): Outcome {
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
  book.subscribe({ id, planKey: plan.key, status: 'ACTIVE', anchorDay, period }, allowances);
  for (const allowance of allowances) refresh(book, allowance);
  return { status: 'subscribed', subscriptionId: id, available: book.available, availableNow: book.available };
}
