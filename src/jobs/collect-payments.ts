/**
 * Charges what is due while nobody is there to pay: renewals, top-ups by themselves, and what a crash has cut short. A
 * wallet whose charge fails for a fault is logged and left for a while; the others are charged.
 */
import { instant } from '../domain/time/instant.ts';
import { collectPayments as collect } from '../operations/collect-payments.ts';
import { Pauses } from '../operations/pauses.ts';
import type { Services } from '../operations/services.ts';
import { walletsToCharge } from '../persistence/charges.ts';
import { databaseNow } from '../persistence/clock.ts';
import type { Job } from './job.ts';

const PAUSE_MILLISECONDS = 1_000;
/** Wallets of one run; each takes as long as the payment provider does. */
const PAGE = 100;

export function collectPayments(services: Services): Job {
  const { sql, payments, logger } = services;
  const pauses = new Pauses();
  return {
    name: 'collect-payments',
    async run(signal) {
      for (const tenant of await walletsToCharge(sql, payments.name, PAGE)) {
        const { walletId } = tenant;
        if (signal.aborted) break;
        if (pauses.has(walletId)) continue;
        try {
          await collect(services, tenant);
          pauses.succeeded(walletId);
        } catch (error) {
          const failures = pauses.failed(walletId);
          logger.warn({ err: error, walletId, failures }, 'what is due on a wallet could not be charged');
        }
      }
      return instant((await databaseNow(sql)) + PAUSE_MILLISECONDS);
    },
  };
}
