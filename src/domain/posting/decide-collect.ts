/** Which charges are due on a wallet while nobody is there to pay. */
import { beginsAt } from '../purchases/auto-top-up.ts';
import type { Instant } from '../time/instant.ts';
import { collectTopUp, type TopUpPolicies } from './collect-top-up.ts';
import type { CollectCommand } from './commands.ts';
import type { Outcome } from './outcomes.ts';
import type { WalletBook } from './wallet-book.ts';

/** On a frozen wallet nothing is charged: what it is charged for could not be given. */
export function decideCollect(
  book: WalletBook,
  command: CollectCommand,
  policies: TopUpPolicies,
  newId: () => string,
): Outcome {
  if (book.snapshot.frozen) return { status: 'collecting', purchaseIds: [] };
  const topUp = collectTopUp(book, command, policies, newId);
  return { status: 'collecting', purchaseIds: topUp === null ? [] : [topUp] };
}

/** When the next charge is due; null where none is, or its answer is awaited. */
export function nextChargeAt({ autoTopUp }: WalletBook): Instant | null {
  return autoTopUp === null ? null : beginsAt(autoTopUp);
}
