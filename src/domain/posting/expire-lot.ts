/** Expiry of lots: what nobody has pinned of a lot leaves the wallet with an entry of its own. */
import { systemActor } from '../actor.ts';
import { minus, ZERO } from '../credits/micros.ts';
import type { Instant } from '../time/instant.ts';
import type { DraftLot } from './lot-drafts.ts';
import { transactionDetails } from './records.ts';
import type { WalletBook } from './wallet-book.ts';

/** A lot expires at the instant it was due. What holds have pinned of it stays with them. */
export function expireLot(book: WalletBook, lot: DraftLot, at: Instant): void {
  takeUnpinned(book, lot, at);
  book.close(lot);
}

/** What came back to a lot after it had expired expires at once. */
export function expireLeftovers(book: WalletBook, lot: DraftLot, at: Instant): void {
  if (lot.closed) takeUnpinned(book, lot, at);
}

function takeUnpinned(book: WalletBook, lot: DraftLot, effectiveAt: Instant): void {
  const lapsed = minus(lot.remaining, lot.pinned);
  if (lapsed === ZERO) return;
  const details = transactionDetails({
    kind: 'EXPIRY',
    reasonCode: 'EXPIRY',
    actor: systemActor('purser'),
    effectiveAt,
  });
  book.post(details, ({ debitLot }) => debitLot(lot, lapsed, 'EXPIRY'));
}
