/** Charges what is due while nobody is there to pay: renewals, top-ups by themselves, and what a crash has cut short. */
import { collectionOfDuePayments } from '../operations/collect-due-payments.ts';
import type { Services } from '../operations/services.ts';
import { type Job, repeated } from './job.ts';

export function collectPayments(services: Services): Job {
  const collection = collectionOfDuePayments(services);
  return repeated(services.sql, {
    name: 'collect-payments',
    pauseMilliseconds: 1_000,
    run: (signal) => collection.run(signal),
  });
}
