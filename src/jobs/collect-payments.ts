/**
 * Charges what is due while nobody is there to pay: renewals, top-ups by themselves, and what a crash has cut short. Several
 * wallets at once, and for some seconds a run, so that a payment provider that is slow holds nothing else up. A wallet whose
 * charge fails for a fault is logged and left for a while; the others are charged.
 */
import type { Tenant } from '../domain/identity/caller.ts';
import { instant } from '../domain/time/instant.ts';
import { collectPayments as collect } from '../operations/collect-payments.ts';
import { Pauses } from '../operations/pauses.ts';
import type { Services } from '../operations/services.ts';
import { walletsToCharge } from '../persistence/charges.ts';
import { databaseNow } from '../persistence/clock.ts';
import type { Job } from './job.ts';

const PAUSE_MILLISECONDS = 1_000;
/** Wallets that are charged at once. */
const AT_ONCE = 10;
/** After so long a run begins no more charges; those under way end. */
const LONGEST_RUN_MILLISECONDS = 5_000;

export function collectPayments(services: Services): Job {
  const { sql, payments, logger } = services;
  const pauses = new Pauses();
  const collectFrom = async (tenant: Tenant): Promise<void> => {
    const { walletId } = tenant;
    try {
      await collect(services, tenant);
      pauses.succeeded(walletId);
    } catch (error) {
      const failures = pauses.failed(walletId);
      logger.warn({ err: error, walletId, failures }, 'what is due on a wallet could not be charged');
    }
  };
  return {
    name: 'collect-payments',
    async run(signal) {
      const deadline = performance.now() + LONGEST_RUN_MILLISECONDS;
      let unfinished = true;
      while (unfinished && !signal.aborted && performance.now() < deadline) {
        const tenants = await walletsToCharge(sql, { provider: payments.name, except: pauses.ids, limit: AT_ONCE });
        await Promise.all(tenants.map(collectFrom));
        unfinished = tenants.length === AT_ONCE;
      }
      return instant((await databaseNow(sql)) + (unfinished ? 0 : PAUSE_MILLISECONDS));
    },
  };
}
