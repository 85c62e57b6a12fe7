/** Closes months as they end, wallet by wallet. Whoever reads a statement earlier closes its months then and there. */
import { closingOfDueMonths } from '../operations/close-due-months.ts';
import type { Services } from '../operations/services.ts';
import { type Job, repeated } from './job.ts';

export function closeMonths(services: Services): Job {
  const closing = closingOfDueMonths(services);
  return repeated(services.sql, {
    name: 'close-months',
    pauseMilliseconds: 5_000,
    run: (signal) => closing.run(signal),
  });
}
