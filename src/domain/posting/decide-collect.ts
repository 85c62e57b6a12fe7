/** Which charges are due on a wallet while nobody is there to pay. */
import { beginsAt } from '../purchases/auto-top-up.ts';
import { isFree, type SubscriptionPolicies } from '../subscriptions/plan-offer.ts';
import type { PaymentDue, Subscription } from '../subscriptions/subscription.ts';
import { earliest, type Instant } from '../time/instant.ts';
import { collectTopUp, type TopUpPolicies } from './collect-top-up.ts';
import type { CollectCommand } from './commands.ts';
import { fulfilPlan } from './fulfil-plan.ts';
import type { Outcome } from './outcomes.ts';
import { beginPlanPurchase } from './plan-purchase.ts';
import { paymentDueAt } from './subscription-transitions.ts';
import type { WalletBook } from './wallet-book.ts';

/** On a frozen wallet nothing is charged: what it is charged for could not be given. */
export function decideCollect(
  book: WalletBook,
  command: CollectCommand,
  policies: SubscriptionPolicies & TopUpPolicies,
  newId: () => string,
): Outcome {
  // What a renewal brings may make a top-up needless.
  if (!book.snapshot.frozen && !beginRenewal(book, command, policies, newId)) {
    collectTopUp(book, command, policies, newId);
  }
  return { status: 'collecting' };
}

/** True where there was one to begin. */
function beginRenewal(
  book: WalletBook,
  { organizationId, provider, actor }: CollectCommand,
  policies: SubscriptionPolicies,
  newId: () => string,
): boolean {
  const { subscription } = book;
  const { payment } = subscription ?? {};
  if (!subscription || !payment || !isToCharge(payment, book.now)) return false;
  const { planKey } = subscription;
  const plan = policies.plansEverSold.get(planKey);
  if (!plan) throw new Error(`the plan ${planKey} was never sold`);
  const sale = { planKey, purpose: 'RENEWAL', fromPlanKey: null, periodStart: payment.since } as const;
  if (isFree(plan)) {
    return fulfilPlan(
      book,
      { sale, purchaseId: null, actor, begunAt: book.now, lastEffectiveAt: book.now },
      policies,
      newId,
    );
  }
  const purchase = { sale, price: plan.price, organizationId, provider, actor, isOffSession: true };
  const { id: purchaseId } = beginPlanPurchase(book, purchase, policies, newId);
  book.changeSubscription({ ...subscription, payment: { ...payment, nextAttemptAt: null, purchaseId } });
  return true;
}

const isToCharge = ({ nextAttemptAt, purchaseId }: PaymentDue, now: Instant): boolean =>
  purchaseId === null && nextAttemptAt !== null && nextAttemptAt <= now;

/** When the next charge is due; null where none is, or its answer is awaited. */
export function nextChargeAt({ subscription, autoTopUp }: WalletBook, policies: SubscriptionPolicies): Instant | null {
  return earliest(subscription && renewalAt(subscription, policies), autoTopUp && beginsAt(autoTopUp));
}

function renewalAt(subscription: Subscription, policies: SubscriptionPolicies): Instant | null {
  const { payment } = subscription;
  return payment === null ? paymentDueAt(subscription, policies) : payment.nextAttemptAt;
}
