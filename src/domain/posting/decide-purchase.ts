/**
 * What news of a payment does to the books, once: the state that guards it is read and written under the wallet's lock. A
 * payment makes lots, a dispute freezes them, a refund or a lost dispute takes back what is left of them.
 */

import type { Actor } from '../actor.ts';
import { type Micros, minus, plus, sum, ZERO } from '../credits/micros.ts';
import type { ReasonCode } from '../ledger/reason-code.ts';
import { notFound } from '../plain-refusals.ts';
import {
  declineCodeAfter,
  type PurchaseEffect,
  type PurchaseSnapshot,
  type PurchaseState,
  resolvePurchase,
} from '../purchases/purchase.ts';
import type { SubscriptionPolicies } from '../subscriptions/plan-offer.ts';
import { subscriptionAfter } from '../subscriptions/subscription.ts';
import { addDays } from '../time/calendar.ts';
import { type Instant, later } from '../time/instant.ts';
import { undoChange } from './change-plan.ts';
import type { ResolvePurchaseCommand } from './commands.ts';
import { takeFromHolds } from './decide-hold.ts';
import { ALLOCATION } from './decide-set-allocation.ts';
import { EXPIRY, expireLeftovers, REVOKE } from './expire-lot.ts';
import { fulfilPlan } from './fulfil-plan.ts';
import type { DraftLot } from './lot-drafts.ts';
import { type Outcome, refused } from './outcomes.ts';
import { NO_ATTRIBUTION, type TransactionDetails, transactionDetails } from './records.ts';
import { ROLLOVER } from './refresh-allowance.ts';
import { failRenewal } from './subscription-transitions.ts';
import { PLAN_CHANGE } from './take-up-plan.ts';
import type { WalletBook } from './wallet-book.ts';

/** The reason code of lots that a dispute freezes or releases. */
const DISPUTE = 'DISPUTE';

/** What the catalog says about money that is given back. */
export interface PurchasePolicies {
  /** How many days lots live that have expired while they were frozen. */
  readonly frozenGraceDays: number;
  /** Whether an operator may refund a purchase whose credits were spent in part; those are then owed. */
  readonly spentCredits: 'REFUSE' | 'DEBT';
  /** Who issues receipts: each issuer has numbers of its own. */
  readonly receiptIssuer: string;
}

export interface LoadedPurchase {
  readonly facts: PurchaseSnapshot;
  readonly buyer: Actor;
}

/** A purchase within a batch: what it was when loaded and what it has become. */
export interface DraftPurchase extends LoadedPurchase {
  state: PurchaseState;
  paidAt: Instant | null;
  refundRequestedAt: Instant | null;
  declineCode: string | null;
  /** Who issues the receipt that the batch owes for it; null where it owes none. */
  receiptIssuer: string | null;
  /** The provider's own id of the payment; null where no news has named it. */
  reference: string | null;
  changed: boolean;
}

export function draftPurchase({ facts, buyer }: LoadedPurchase): DraftPurchase {
  const { status, openDisputes, closedDisputes, paidAt, refundRequestedAt, declineCode } = facts;
  const state = { status, openDisputes, closedDisputes };
  const kept = { facts, buyer, state, paidAt, refundRequestedAt, declineCode };
  return { ...kept, receiptIssuer: null, reference: null, changed: false };
}

export function decideResolvePurchase(
  book: WalletBook,
  command: ResolvePurchaseCommand,
  purchase: DraftPurchase | undefined,
  policies: Policies,
  newId: () => string,
): Outcome {
  const { kind } = command.news;
  // A checkout that ended without payment ends on a frozen wallet too: that moves no credits.
  if (book.snapshot.frozen && kind !== 'FAILED' && kind !== 'EXPIRED') {
    return refused({ code: 'WALLET_FROZEN' }, book.available);
  }
  if (!purchase || purchase.facts.walletId !== book.snapshot.id) return refused(notFound('purchase'), book.available);
  const { status: before } = purchase.state;
  const { state, effects, changed } = resolvePurchase(purchase.state, command.news);
  purchase.state = state;
  // What was paid for is the buyer's doing; what becomes of the money later is told by the provider.
  if (effects.includes('FULFIL')) book.actor = purchase.buyer;
  if (state.status !== before) {
    const { declineCode } = purchase;
    purchase.declineCode = declineCodeAfter({ status: before, declineCode }, state.status, command.news);
    book.tell({ kind: 'purchase', purchase, status: state.status });
  }
  // A reference is kept whenever it is told: news of the payment may have come before the answer that names it.
  purchase.reference = command.reference ?? purchase.reference;
  if (changed || command.reference !== undefined) purchase.changed = true;
  for (const effect of effects) take(effect, { book, purchase, actor: command.actor, policies, newId });
  if (changed && (state.status === 'FAILED' || state.status === 'EXPIRED')) decline(book, purchase, policies);
  return { status: 'purchase-resolved', purchaseStatus: state.status, changed };
}

interface Taking {
  readonly book: WalletBook;
  readonly purchase: DraftPurchase;
  readonly actor: Actor;
  readonly policies: Policies;
  readonly newId: () => string;
}

type Policies = PurchasePolicies & SubscriptionPolicies;

function take(effect: PurchaseEffect, taking: Taking): void {
  const { book, purchase, actor, policies } = taking;
  switch (effect) {
    case 'FULFIL':
      purchase.receiptIssuer = policies.receiptIssuer;
      purchase.paidAt = book.now;
      fulfil(taking);
      break;
    case 'FREEZE':
      book.freeze(lotsOf(book, purchase), DISPUTE);
      break;
    case 'RELEASE':
      // What is being refunded stays frozen until the provider has answered.
      if (purchase.refundRequestedAt === null) releaseLots(book, purchase, policies, DISPUTE);
      break;
    case 'REVOKE':
      revokeLots(book, purchase, actor);
      endPaidPlan(taking);
      break;
    default: {
      const never: never = effect;
      throw new Error(`unknown effect ${never}`);
    }
  }
}

/** True for a plan that was paid and could not begin: it has given nothing, and its money has to go back. */
export function gaveNothing(book: WalletBook, purchase: DraftPurchase): boolean {
  const { id, plan } = purchase.facts;
  return plan !== null && lotsOf(book, purchase).length === 0 && !book.subscription?.paidBy.includes(id);
}

/** The lots that a purchase has made, those of the batch included. */
export const lotsOf = (book: WalletBook, { facts }: DraftPurchase): readonly DraftLot[] => [
  ...facts.lots.map(({ lot }) => book.lot(lot)),
  ...book.newLots.filter((lot) => lot.facts.purchaseId === facts.id),
];

/** The money of a plan that can no longer begin goes back. */
function fulfil({ book, purchase, policies, newId }: Taking): void {
  const { facts, buyer: actor } = purchase;
  if (facts.plan === null) {
    grantBought(book, purchase);
    return;
  }
  const { id: purchaseId, plan: sale, createdAt: begunAt, lastEffectiveAt } = facts;
  const isDone = fulfilPlan(
    book,
    { sale, purchaseId, actor, begunAt, lastEffectiveAt: lastEffective(book, lastEffectiveAt) },
    policies,
    newId,
  );
  if (isDone) return;
  purchase.refundRequestedAt = book.now;
  book.tell({ kind: 'refund-begun', purchase });
}

/** When the newest entry counts, those of the batch included. */
function lastEffective({ transactions }: WalletBook, before: Instant | null): Instant | null {
  const newest = transactions.at(-1)?.effectiveAt;
  return newest === undefined ? before : later(newest, before ?? newest);
}

/** A renewal that is not paid is tried again; what else is not paid leaves the subscription as it is. */
function decline(book: WalletBook, { facts }: DraftPurchase, policies: SubscriptionPolicies): void {
  if (book.subscription?.payment?.purchaseId === facts.id) failRenewal(book, policies);
}

/** A plan whose money went back ends; where that was paid to change it, the plan before goes on. */
function endPaidPlan({ book, purchase, actor, policies }: Taking): void {
  const { subscription } = book;
  const { id: purchaseId, plan: sale } = purchase.facts;
  if (!subscription?.paidBy.includes(purchaseId) || sale === null) return;
  if (sale.purpose === 'CHANGE' && undoChange(book, subscription, { sale, purchaseId, actor }, policies)) return;
  const ended = subscriptionAfter(subscription, 'CANCEL_NOW');
  if (!ended) return;
  book.changeSubscription(ended);
  book.replaceAllowances([]);
}

function grantBought(book: WalletBook, { facts, buyer }: DraftPurchase): void {
  if (facts.bucketKey === null) throw new Error(`the purchase ${facts.id} fills no bucket`);
  const bucket = book.requireBucket(facts.bucketKey);
  const { expiresAfterDays: days } = facts;
  const lot = {
    bucket,
    effectiveAt: book.now,
    expiresAt: days === null ? null : addDays(book.now, days, book.snapshot.timeZone),
    purchaseId: facts.id,
    repaysDebt: true,
  };
  book.post(
    transactionDetails({
      kind: 'PURCHASE',
      reasonCode: 'PURCHASE',
      actor: buyer,
      attribution: { ...NO_ATTRIBUTION, userId: buyer.kind === 'USER' ? buyer.id : null },
      effectiveAt: book.now,
      purchaseId: facts.id,
    }),
    ({ grant }) => {
      grant({ ...lot, source: 'PURCHASE', amount: facts.credits, paid: true }, 'PURCHASE');
      if (facts.bonus > ZERO) grant({ ...lot, source: 'BONUS', amount: facts.bonus, paid: false }, 'BONUS');
    },
  );
}

/** Lots that expired while they were frozen get the days of grace; what had expired before expires now. */
export function releaseLots(
  book: WalletBook,
  purchase: DraftPurchase,
  { frozenGraceDays }: PurchasePolicies,
  reasonCode: ReasonCode,
): void {
  const { now, snapshot } = book;
  const lots = lotsOf(book, purchase);
  const released = lots.map((lot) => {
    const { expiresAt } = lot.facts;
    const hasExpired = !lot.closed && expiresAt !== null && expiresAt <= now;
    return { lot, expiresAt: hasExpired ? addDays(now, frozenGraceDays, snapshot.timeZone) : expiresAt };
  });
  book.release(released, reasonCode);
  for (const lot of lots) expireLeftovers(book, lot, now);
}

/** Takes back all that is left of a purchase's lots, from holds too; what was spent of them is owed. */
function revokeLots(book: WalletBook, purchase: DraftPurchase, actor: Actor): void {
  const lots = lotsOf(book, purchase);
  const spent = sum(lots.map((lot) => spentOf(book, purchase, lot)));
  const rest = sum(lots.map((lot) => lot.remaining));
  if (plus(spent, rest) > ZERO) {
    book.post(revocation(book, { actor, purchaseId: purchase.facts.id }), ({ debitLot, borrow }) => {
      for (const lot of lots) {
        takeFromHolds(book, lot);
        if (lot.remaining > ZERO) debitLot(lot, lot.remaining, REVOKE);
      }
      if (spent > ZERO) borrow(spent, REVOKE);
    });
  }
  for (const lot of lots) book.revoke(lot);
  purchase.refundRequestedAt = null;
}

export const revocation = (
  book: WalletBook,
  details: Pick<TransactionDetails, 'actor'> & Partial<TransactionDetails>,
): TransactionDetails =>
  transactionDetails({ ...details, kind: 'REVERSAL', reasonCode: REVOKE, effectiveAt: book.now });

/** The reason codes by which credits leave a lot unspent. */
export const UNSPENT: ReadonlySet<string> = new Set([EXPIRY, ROLLOVER, PLAN_CHANGE, ALLOCATION]);

/** What of a lot was spent, held credits not counted. */
export function spentOf(book: WalletBook, { facts }: DraftPurchase, lot: DraftLot): Micros {
  const before = facts.lots.find((loaded) => loaded.lot.id === lot.facts.id)?.expired ?? ZERO;
  const { id, originId, granted } = lot.facts;
  const now = book.entries.filter(({ lotId, reasonCode }) => lotId === id && UNSPENT.has(reasonCode));
  const left = sum(now.filter(({ direction }) => direction === 'DEBIT').map((entry) => entry.amount));
  // What was earmarked comes back to the lot that it was split from; every other credit of these reasons makes a lot.
  const back = now.filter(
    (entry) => originId === null && entry.direction === 'CREDIT' && entry.reasonCode === ALLOCATION,
  );
  const expired = minus(plus(before, left), sum(back.map((entry) => entry.amount)));
  return minus(minus(granted, lot.remaining), expired);
}
