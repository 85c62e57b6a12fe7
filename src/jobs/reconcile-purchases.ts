/** Finds out about payments whose news got lost, and completes refunds that a crash has cut short. */
import { instant } from '../domain/time/instant.ts';
import { reconcilePurchases as reconcile } from '../operations/reconcile-purchases.ts';
import type { Services } from '../operations/services.ts';
import { databaseNow } from '../persistence/clock.ts';
import type { Job } from './job.ts';

const PAUSE_MILLISECONDS = 1_000;

export function reconcilePurchases(services: Services): Job {
  return {
    name: 'reconcile-purchases',
    async run() {
      const { unfinished } = await reconcile(services);
      return instant((await databaseNow(services.sql)) + (unfinished ? 0 : PAUSE_MILLISECONDS));
    },
  };
}
