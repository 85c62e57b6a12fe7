/** Charges what is due while nobody is there to pay: renewals, top-ups by themselves, and what a crash has cut short. */
import { instant } from '../domain/time/instant.ts';
import { DuePaymentCollector } from '../operations/collect-due-payments.ts';
import type { Services } from '../operations/services.ts';
import { databaseNow } from '../persistence/clock.ts';
import type { Job } from './job.ts';

const PAUSE_MILLISECONDS = 1_000;

export function collectPayments(services: Services): Job {
  const collector = new DuePaymentCollector(services);
  return {
    name: 'collect-payments',
    async run(signal) {
      const { unfinished } = await collector.collect(signal);
      return instant((await databaseNow(services.sql)) + (unfinished ? 0 : PAUSE_MILLISECONDS));
    },
  };
}
