/** Forgets, once an hour, changes of balances whose cursors have expired. */
import { instant } from '../domain/time/instant.ts';
import type { Services } from '../operations/services.ts';
import { forgetChanges as forgetPage } from '../persistence/balance-changes.ts';
import { databaseNow } from '../persistence/clock.ts';
import type { Job } from './job.ts';

const PAUSE_MILLISECONDS = 3_600_000;
/** Before every wallet. */
const FIRST = '00000000-0000-0000-0000-000000000000';

export function forgetChanges({ sql }: Pick<Services, 'sql'>, retentionDays: number): Job {
  return {
    name: 'forget-changes',
    async run(signal) {
      let after: string | null = FIRST;
      while (after !== null && !signal.aborted) {
        const { lastWalletId, forgotten } = await forgetPage(sql, after, retentionDays);
        // Nothing more is to be forgotten of these.
        if (forgotten === 0) after = lastWalletId;
      }
      return instant((await databaseNow(sql)) + PAUSE_MILLISECONDS);
    },
  };
}
