/**
 * What selecting a plan would do, by the code that does it: it changes a draft of the wallet which is then thrown away.
 */

import { systemActor } from '../actor.ts';
import { type Micros, sum } from '../credits/micros.ts';
import type { ReasonCode } from '../ledger/reason-code.ts';
import type { Money } from '../money/money.ts';
import { type InvalidInput, invalidInput, type NotFound } from '../plain-refusals.ts';
import { isFree, type PlanOffer, type SubscriptionPolicies } from '../subscriptions/plan-offer.ts';
import type { Instant } from '../time/instant.ts';
import type { Undecided } from './decide-estimate.ts';
import { checkPlan, type Selection, selectPlan } from './decide-subscribe.ts';
import { fulfilPlan } from './fulfil-plan.ts';
import { LotsNotLoaded } from './lot-drafts.ts';
import { refreshesAt } from './refresh-allowance.ts';
import { paymentDueAt } from './subscription-transitions.ts';
import { PLAN_CHANGE } from './take-up-plan.ts';
import { postDueTransitions } from './transitions.ts';
import { WalletBook } from './wallet-book.ts';
import type { WalletSnapshot } from './wallet-snapshot.ts';

export interface PlanChangePreview {
  /** The instant that it was worked out for. */
  readonly at: Instant;
  readonly effectiveAt: Instant;
  /** What is to be paid for it to begin. */
  readonly dueNow: Money;
  /** What the rest of the present plan's period counts towards it. */
  readonly credited: Money;
  /** The price of the plan, paid at each renewal. */
  readonly renewal: Money;
  readonly nextRenewalAt: Instant;
  readonly creditsGranted: Micros;
  readonly creditsForfeited: Micros;
}

export function previewPlanChange(
  snapshot: WalletSnapshot,
  selection: Selection,
  policies: SubscriptionPolicies,
  newId: () => string,
): PlanChangePreview | NotFound | InvalidInput | Undecided {
  try {
    return preview(new WalletBook(snapshot, newId), selection, policies, newId);
  } catch (error) {
    if (error instanceof LotsNotLoaded) return 'needs-lots';
    throw error;
  }
}

/**
 * What a plan that follows grants as it begins. What is paid grants in full; a free plan fills each bucket as the running period of
 * its allowance ends, which may be later, as after a trial.
 */
function grantedAt(book: WalletBook, plan: PlanOffer, begins: Instant): Micros {
  const due = plan.allowances.filter(({ bucketKey }) => {
    const bucketId = book.requireBucket(bucketKey).facts.id;
    const running = book.allowances.find((allowance) => allowance.bucketId === bucketId);
    return !isFree(plan) || running === undefined || refreshesAt(book, running, begins);
  });
  return sum(due.map(({ credits }) => credits));
}

function preview(
  book: WalletBook,
  selection: Selection,
  policies: SubscriptionPolicies,
  newId: () => string,
): PlanChangePreview | NotFound | InvalidInput | Undecided {
  if (!book.snapshot.frozen && !postDueTransitions(book, policies)) return 'busy';
  const invalid = checkPlan(book, selection, policies);
  if (invalid) return invalid;
  const posted = book.entries.length;
  const actor = systemActor('purser');
  const { now } = book;
  const selected = selectPlan(book, { ...selection, actor }, policies, newId);
  if (selected.kind === 'forbidden') {
    return invalidInput(['planId'], `cannot be selected: ${selected.conflict.reason}`);
  }
  const toPay = selected.kind === 'to-pay' ? selected : null;
  if (toPay) {
    fulfilPlan(
      book,
      { sale: toPay.sale, purchaseId: newId(), actor, begunAt: now, lastEffectiveAt: null },
      policies,
      newId,
    );
  }
  const plan = policies.plansEverSold.get(selection.planKey);
  const { subscription } = book;
  if (!plan || !subscription) throw new Error('a plan was selected and there is no subscription');
  const nothing = { amountMinor: 0n, currency: plan.price.currency };
  const entries = book.entries.slice(posted);
  const follows = subscription.scheduledPlanKey !== null;
  const amounts = (direction: 'CREDIT' | 'DEBIT', isMeant: (reasonCode: ReasonCode) => boolean): Micros =>
    sum(entries.flatMap((entry) => (entry.direction === direction && isMeant(entry.reasonCode) ? [entry.amount] : [])));
  return {
    at: selection.prorationAt ?? now,
    effectiveAt: follows ? subscription.period.end : now,
    dueNow: toPay?.price ?? nothing,
    credited: { amountMinor: selected.creditedMinor, currency: plan.price.currency },
    renewal: plan.price,
    nextRenewalAt: paymentDueAt(subscription, policies) ?? subscription.period.end,
    creditsGranted: follows
      ? grantedAt(book, plan, subscription.period.end)
      : amounts('CREDIT', (reasonCode) => reasonCode === 'PLAN_GRANT' || reasonCode === 'ALLOWANCE'),
    creditsForfeited: amounts('DEBIT', (reasonCode) => reasonCode === PLAN_CHANGE),
  };
}
