/** Canceling a subscription, now or at the end of its period, and taking that back before it has ended. */
import {
  type Subscription,
  type SubscriptionEvent,
  stateOf,
  subscriptionAfter,
} from '../subscriptions/subscription.ts';
import type { SubscriptionCommand } from './commands.ts';
import { type Outcome, refused } from './outcomes.ts';
import type { WalletBook } from './wallet-book.ts';

/**
 * Once canceled nothing can be spent and nothing is granted; the lots that the plan has granted expire as they would have.
 * On a frozen wallet nothing is posted, so that the state of the subscription cannot be told.
 */
export function decideSubscriptionChange(book: WalletBook, command: SubscriptionCommand): Outcome {
  if (book.snapshot.frozen) return conflict(book, 'WALLET_FROZEN', 'the wallet is frozen');
  const before = book.subscription;
  const after = before && subscriptionAfter(before, eventOf(book, before, command));
  if (!after) return conflict(book, stateOf(before), reasonOf(command, before));
  book.changeSubscription(after);
  if (after.status === 'CANCELED') book.replaceAllowances([]);
  return { status: 'subscription-changed', subscriptionId: after.id };
}

/** What is paid for is over where a payment is due: a subscription then ends at once. */
function eventOf(
  { now }: WalletBook,
  { period, payment }: Subscription,
  command: SubscriptionCommand,
): SubscriptionEvent {
  if (command.kind === 'resume-subscription') return 'RESUME';
  return command.atPeriodEnd && payment === null && now < period.end ? 'CANCEL_AT_PERIOD_END' : 'CANCEL_NOW';
}

function reasonOf({ kind }: SubscriptionCommand, subscription: Subscription | null): string {
  if (subscription === null) return 'there is no subscription';
  if (subscription.status === 'CANCELED') return 'the subscription has ended';
  return kind === 'resume-subscription'
    ? 'the subscription goes on anyway'
    : 'the subscription ends with its period anyway';
}

function conflict(book: WalletBook, currentState: string, reason: string): Outcome {
  return refused({ code: 'CONFLICT', currentState, reason }, book.available);
}
