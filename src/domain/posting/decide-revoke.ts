/**
 * Taking credits back by an operator's hand: a grant, as far as nobody has spent or held it, and the first half of a money
 * refund, which keeps what was bought from being spent until the payment provider has answered.
 */
import { minus, sum, ZERO } from '../credits/micros.ts';
import { invalidInput, notFound } from '../plain-refusals.ts';
import type { LotSnapshot, LotSource } from '../wallet/lot.ts';
import type { CancelRefundCommand, RefundPurchaseCommand, RevokeGrantCommand } from './commands.ts';
import {
  type DraftPurchase,
  gaveNothing,
  lotsOf,
  type PurchasePolicies,
  releaseLots,
  revocation,
  spentOf,
} from './decide-purchase.ts';
import { REVOKE } from './expire-lot.ts';
import type { DraftLot } from './lot-drafts.ts';
import { type Outcome, posted, refused } from './outcomes.ts';
import type { WalletBook } from './wallet-book.ts';

/** What operators give by hand. */
const GRANTED: ReadonlySet<LotSource> = new Set<LotSource>(['PROMOTION', 'ADJUSTMENT']);

/**
 * Takes what is left of a granted lot, earmarked or not. What was spent stays spent; what holds have pinned stays with them, and
 * what they give back of it is taken then.
 */
export function decideRevokeGrant(
  book: WalletBook,
  command: RevokeGrantCommand,
  loaded: ReadonlyMap<string, LotSnapshot>,
): Outcome {
  const facts = loaded.get(command.lotId);
  if (!facts) return refused(notFound('lot'), book.available);
  const lots = grantedLots(book, facts, loaded);
  if (!GRANTED.has(facts.source)) {
    return refused(invalidInput(['lotId'], 'names a lot that no operator has granted'), book.available);
  }
  const remaining = sum(lots.map((lot) => lot.remaining));
  const held = sum(lots.map((lot) => lot.pinned));
  if (remaining === held) {
    const required = remaining === ZERO ? facts.granted : remaining;
    const refusal = { code: 'INSUFFICIENT_CREDITS' as const, required, available: ZERO, held, explanation: null };
    return refused(refusal, book.available);
  }
  const { actor, idempotencyKey, description } = command;
  const transaction = book.post(revocation(book, { actor, idempotencyKey, description }), ({ debitLot }) => {
    for (const lot of lots) {
      const rest = minus(lot.remaining, lot.pinned);
      if (rest > ZERO) debitLot(lot, rest, REVOKE);
    }
  });
  for (const lot of lots) book.revoke(lot);
  return posted(book, transaction, { lotId: facts.id });
}

/** The lot, and those that were split from it when its credits were earmarked or given back, in this batch too. */
function grantedLots(book: WalletBook, { id }: LotSnapshot, loaded: ReadonlyMap<string, LotSnapshot>): DraftLot[] {
  const known = [...loaded.values()].filter((facts) => facts.id === id || facts.originId === id);
  const made = book.newLots.filter((lot) => lot.facts.originId === id);
  return [...new Set([...known.map((facts) => book.lot(facts)), ...made])];
}

/** Freezes what a purchase has made, for the provider is asked next; what forbids that is refused. */
export function decideRefundPurchase(
  book: WalletBook,
  { purchaseId }: RefundPurchaseCommand,
  purchase: DraftPurchase | undefined,
  { spentCredits }: PurchasePolicies,
): Outcome {
  if (!purchase || purchase.facts.walletId !== book.snapshot.id) return refused(notFound('purchase'), book.available);
  const { status: currentState } = purchase.state;
  const conflict = (reason: string) => refused({ code: 'CONFLICT', currentState, reason }, book.available);
  if (currentState === 'DISPUTED') return conflict('its payment is disputed: the verdict decides about the money');
  if (currentState !== 'PAID') return conflict('only a purchase that is paid can be refunded');
  if (purchase.refundRequestedAt === null) {
    const lots = lotsOf(book, purchase);
    if (lots.some((lot) => lot.pinned > ZERO)) {
      return conflict('holds have reserved credits of it: wait until they are captured or released');
    }
    if (spentCredits === 'REFUSE' && lots.some((lot) => spentOf(book, purchase, lot) > ZERO)) {
      return conflict('credits of it have been spent, and the catalog refuses refunds of spent credits');
    }
    book.freeze(lots, REVOKE);
    purchase.refundRequestedAt = book.now;
    purchase.declineCode = null;
    purchase.changed = true;
    book.tell({ kind: 'refund-begun', purchase });
  }
  return { status: 'refund-begun', purchaseId, available: book.available, availableNow: book.available };
}

/** The provider has said no: what was frozen for the refund can be spent again, unless a dispute keeps it. */
export function decideCancelRefund(
  book: WalletBook,
  { declineCode }: CancelRefundCommand,
  purchase: DraftPurchase | undefined,
  policies: PurchasePolicies,
): Outcome {
  if (!purchase || purchase.facts.walletId !== book.snapshot.id) return refused(notFound('purchase'), book.available);
  const { status } = purchase.state;
  // It is asked for until the provider says yes: nothing was given for the money.
  const changed = purchase.refundRequestedAt !== null && !gaveNothing(book, purchase);
  if (changed) {
    purchase.refundRequestedAt = null;
    purchase.declineCode = declineCode;
    purchase.changed = true;
    book.tell({ kind: 'refund-declined', purchase });
    if (status !== 'DISPUTED') releaseLots(book, purchase, policies, REVOKE);
  }
  return { status: 'purchase-resolved', purchaseStatus: status, changed };
}
