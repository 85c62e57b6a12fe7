/** The end of lots: what nobody has pinned of a lot that expires or was revoked leaves the wallet with an entry of its own. */
import { systemActor } from '../actor.ts';
import { minus, ZERO } from '../credits/micros.ts';
import type { Instant } from '../time/instant.ts';
import type { DraftLot } from './lot-drafts.ts';
import { transactionDetails } from './records.ts';
import type { WalletBook } from './wallet-book.ts';

/** The reason code of what expires. */
export const EXPIRY = 'EXPIRY';
/** The reason code of what is taken back. */
export const REVOKE = 'REVOKE';

/** A lot expires at the instant it was due. What holds have pinned of it stays with them. */
export function expireLot(book: WalletBook, lot: DraftLot, at: Instant): void {
  takeUnpinned(book, lot, at);
  book.close(lot);
}

/** What came back to a lot after it had ended leaves at once; where it is frozen that waits for the verdict. */
export function expireLeftovers(book: WalletBook, lot: DraftLot, at: Instant): void {
  if (lot.closed && !lot.frozen) takeUnpinned(book, lot, at);
}

function takeUnpinned(book: WalletBook, lot: DraftLot, effectiveAt: Instant): void {
  const lapsed = minus(lot.remaining, lot.pinned);
  if (lapsed === ZERO) return;
  const reasonCode = lot.revoked ? REVOKE : EXPIRY;
  const kind = lot.revoked ? 'REVERSAL' : 'EXPIRY';
  const details = transactionDetails({ kind, reasonCode, actor: systemActor('purser'), effectiveAt });
  book.post(details, ({ debitLot }) => debitLot(lot, lapsed, reasonCode));
}
