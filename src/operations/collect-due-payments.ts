/**
 * Charges what is due on all wallets: several at once, and for some seconds, so that a payment provider that is slow holds
 * nothing else up.
 */
import { walletsToCharge } from '../persistence/payments/charges.ts';
import { collectPayments } from './collect-payments.ts';
import { DueRun } from './due-run.ts';
import type { Services } from './services.ts';

const BOUNDS = { page: 10, atOnce: 10, longestMilliseconds: 5_000 };

export function collectionOfDuePayments(services: Pick<Services, 'sql' | 'engine' | 'payments' | 'logger'>): DueRun {
  const { sql, payments, logger } = services;
  return new DueRun(
    {
      ...BOUNDS,
      find: (page) => walletsToCharge(sql, payments.name, page),
      async work(tenant) {
        await collectPayments(services, tenant);
        return { unfinished: false };
      },
      failure: 'what is due on a wallet could not be charged',
    },
    logger,
  );
}
