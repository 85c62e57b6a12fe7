/** Publishes usage as activity once its task or execution has ended or rests. */
import { instant } from '../domain/time/instant.ts';
import { DueUsagePublisher } from '../operations/publish-due-usage.ts';
import type { Services } from '../operations/services.ts';
import { databaseNow } from '../persistence/clock.ts';
import type { Job } from './job.ts';

const PAUSE_MILLISECONDS = 1_000;

export function publishActivity(services: Services): Job {
  const publisher = new DueUsagePublisher(services);
  return {
    name: 'publish-activity',
    async run(signal) {
      const { unfinished } = await publisher.publish(signal);
      return instant((await databaseNow(services.sql)) + (unfinished ? 0 : PAUSE_MILLISECONDS));
    },
  };
}
