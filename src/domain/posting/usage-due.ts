/** When usage of a wallet has to be looked at after a batch. */

import { QUIET_MILLISECONDS } from '../activity/usage-groups.ts';
import { type Instant, instant } from '../time/instant.ts';
import type { WalletBook } from './wallet-book.ts';

/** At once where a hold has ended, for its work may have; when the group may have ended where something was charged. */
export function usageDueAt({ transactions, holds, now }: WalletBook): Instant | null {
  for (const { status } of holds.resolved) {
    if (status === 'CAPTURED' || status === 'RELEASED') return now;
  }
  const isUsed = transactions.some(({ kind }) => kind === 'DEBIT' || kind === 'CAPTURE');
  return isUsed ? instant(now + QUIET_MILLISECONDS) : null;
}
