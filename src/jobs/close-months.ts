/** Closes months as they end, wallet by wallet. Whoever reads a statement earlier closes its months then and there. */
import { instant } from '../domain/time/instant.ts';
import { DueMonthCloser } from '../operations/close-due-months.ts';
import type { Services } from '../operations/services.ts';
import { databaseNow } from '../persistence/clock.ts';
import type { Job } from './job.ts';

const PAUSE_MILLISECONDS = 5_000;

export function closeMonths(services: Services): Job {
  const closer = new DueMonthCloser(services);
  return {
    name: 'close-months',
    async run(signal) {
      const { unfinished } = await closer.close(signal);
      return instant((await databaseNow(services.sql)) + (unfinished ? 0 : PAUSE_MILLISECONDS));
    },
  };
}
