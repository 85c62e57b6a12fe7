/** Forgets changes of balances whose cursors have expired, of all wallets, a page of them at a time. */
import { forgetChangesOf } from '../persistence/balance-changes.ts';
import type { Services } from './services.ts';

/** Ends early where the signal says so; what was forgotten stays forgotten. */
export async function forgetChanges(
  { sql }: Pick<Services, 'sql'>,
  retentionDays: number,
  signal: AbortSignal,
): Promise<void> {
  let after: string | null = null;
  let isLast = false;
  while (!isLast && !signal.aborted) {
    const { lastWalletId, forgotten } = await forgetChangesOf(sql, after, retentionDays);
    // The same wallets may have more to forget.
    if (forgotten > 0) continue;
    isLast = lastWalletId === null;
    after = lastWalletId;
  }
}
