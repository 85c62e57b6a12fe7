/** Turns a paid purchase into lots, once: the status that guards it is read and written under the wallet's lock. */
import type { Actor } from '../actor.ts';
import { ZERO } from '../credits/micros.ts';
import { type PurchaseSnapshot, type PurchaseStatus, resolvePurchase } from '../purchases/purchase.ts';
import { notFound } from '../refusals.ts';
import { addDays } from '../time/calendar.ts';
import type { Instant } from '../time/instant.ts';
import type { ResolvePurchaseCommand } from './commands.ts';
import { type Outcome, refused } from './outcomes.ts';
import { NO_ATTRIBUTION, type PostedTransaction, transactionDetails } from './records.ts';
import type { WalletBook } from './wallet-book.ts';

/** A purchase within a batch: what it was when loaded and what it has become. */
export interface DraftPurchase {
  readonly facts: PurchaseSnapshot;
  readonly buyer: Actor;
  status: PurchaseStatus;
  paidAt: Instant | null;
}

export function decideResolvePurchase(
  book: WalletBook,
  command: ResolvePurchaseCommand,
  purchase: DraftPurchase | undefined,
): Outcome {
  if (!purchase || purchase.facts.walletId !== book.snapshot.id) return refused(notFound('purchase'), book.available);
  const next = resolvePurchase(purchase.status, command.outcome);
  const changed = next !== purchase.status;
  if (changed && next === 'PAID') {
    fulfil(book, purchase);
    purchase.paidAt = book.now;
  }
  purchase.status = next;
  return { status: 'purchase-resolved', purchaseStatus: next, changed };
}

function fulfil(book: WalletBook, { facts, buyer }: DraftPurchase): PostedTransaction {
  const bucket = book.requireBucket(facts.bucketKey);
  const { expiresAfterDays: days } = facts;
  const lot = {
    bucket,
    effectiveAt: book.now,
    expiresAt: days === null ? null : addDays(book.now, days, book.snapshot.timeZone),
    purchaseId: facts.id,
    repaysDebt: true,
  };
  return book.post(
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
