/** Which charges are due on a wallet while nobody is there to pay. */
import type { Instant } from '../time/instant.ts';
import type { CollectCommand } from './commands.ts';
import type { Outcome } from './outcomes.ts';
import type { WalletBook } from './wallet-book.ts';

/** On a frozen wallet nothing is charged: what it is charged for could not be given. */
export function decideCollect(book: WalletBook, _command: CollectCommand): Outcome {
  if (book.snapshot.frozen) return { status: 'collecting', purchaseIds: [] };
  return { status: 'collecting', purchaseIds: [] };
}

/** When the next charge is due; null where none is, or its answer is awaited. */
export function nextChargeAt(_book: WalletBook): Instant | null {
  return null;
}
