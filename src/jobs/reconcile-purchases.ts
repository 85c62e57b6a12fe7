/** Finds out about payments whose news got lost, and completes refunds that a crash has cut short. */
import { reconcilePurchases as reconcile } from '../operations/reconcile-purchases.ts';
import type { Services } from '../operations/services.ts';
import { type Job, repeated } from './job.ts';

export function reconcilePurchases(services: Services): Job {
  return repeated(services.sql, {
    name: 'reconcile-purchases',
    pauseMilliseconds: 1_000,
    run: () => reconcile(services),
  });
}
