/** Publishes usage as activity once its task or execution has ended or rests. */
import { publicationOfDueUsage } from '../operations/publish-due-usage.ts';
import type { Services } from '../operations/services.ts';
import { type Job, repeated } from './job.ts';

export function publishActivity(services: Services): Job {
  const publication = publicationOfDueUsage(services);
  return repeated(services.sql, {
    name: 'publish-activity',
    pauseMilliseconds: 1_000,
    run: (signal) => publication.run(signal),
  });
}
