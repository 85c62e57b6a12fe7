/** Which charges are due on a wallet while nobody is there to pay. */
import { isFree, type SubscriptionPolicies } from '../subscriptions/plan-offer.ts';
import type { PaymentDue, Subscription } from '../subscriptions/subscription.ts';
import type { Instant } from '../time/instant.ts';
import type { CollectCommand } from './commands.ts';
import type { Outcome } from './outcomes.ts';
import { applyPlanSale, beginPlanPurchase } from './sell-plan.ts';
import { paymentDueAt } from './subscription-transitions.ts';
import type { WalletBook } from './wallet-book.ts';

/** On a frozen wallet nothing is charged: what it is charged for could not be given. */
export function decideCollect(
  book: WalletBook,
  command: CollectCommand,
  policies: SubscriptionPolicies,
  newId: () => string,
): Outcome {
  if (!book.snapshot.frozen) beginRenewal(book, command, policies, newId);
  return { status: 'collecting' };
}

function beginRenewal(
  book: WalletBook,
  { organizationId, provider, actor }: CollectCommand,
  policies: SubscriptionPolicies,
  newId: () => string,
): void {
  const { subscription } = book;
  const { payment } = subscription ?? {};
  if (!subscription || !payment || !isToCharge(payment, book.now)) return;
  const { planKey } = subscription;
  const plan = policies.plansEverSold.get(planKey);
  if (!plan) throw new Error(`the plan ${planKey} was never sold`);
  const sale = { planKey, purpose: 'RENEWAL', fromPlanKey: null, periodStart: payment.since } as const;
  if (isFree(plan)) {
    applyPlanSale(book, { sale, purchaseId: null, actor, lastEffectiveAt: book.now }, policies, newId);
    return;
  }
  const purchase = { sale, price: plan.price, organizationId, provider, actor, isOffSession: true };
  const { id: purchaseId } = beginPlanPurchase(book, purchase, policies, newId);
  book.changeSubscription({ ...subscription, payment: { ...payment, nextAttemptAt: null, purchaseId } });
}

const isToCharge = ({ nextAttemptAt, purchaseId }: PaymentDue, now: Instant): boolean =>
  purchaseId === null && nextAttemptAt !== null && nextAttemptAt <= now;

/** When the next charge is due; null where none is, or its answer is awaited. */
export function nextChargeAt({ subscription }: WalletBook, policies: SubscriptionPolicies): Instant | null {
  return subscription && renewalAt(subscription, policies);
}

function renewalAt(subscription: Subscription, policies: SubscriptionPolicies): Instant | null {
  const { payment } = subscription;
  return payment === null ? paymentDueAt(subscription, policies) : payment.nextAttemptAt;
}
