/**
 * Posts transitions on time: holds that lapse, lots that start or expire, allowances that refresh. Runs again when the next
 * wallet comes due, but at least every few seconds, for what comes due may be added by anybody at any time.
 */
import { instant } from '../domain/time/instant.ts';
import type { Services } from '../operations/services.ts';
import { DueWalletSettler } from '../operations/settle-due-wallets.ts';
import type { Job } from './job.ts';

const SHORTEST_PAUSE_MILLISECONDS = 250;
const LONGEST_PAUSE_MILLISECONDS = 5_000;

export function settleDueWallets(services: Services): Job {
  const settler = new DueWalletSettler(services);
  return {
    name: 'settle-due-wallets',
    async run(signal) {
      const { now, nextDueAt, unfinished } = await settler.sweep(signal);
      const wanted = unfinished ? now : (nextDueAt ?? Number.POSITIVE_INFINITY);
      const soonest = now + SHORTEST_PAUSE_MILLISECONDS;
      return instant(Math.min(Math.max(wanted, soonest), now + LONGEST_PAUSE_MILLISECONDS));
    },
  };
}
