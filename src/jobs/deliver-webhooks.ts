/** Tells webhook endpoints what has happened. */
import { instant } from '../domain/time/instant.ts';
import { WebhookDeliverer } from '../operations/deliver-webhooks.ts';
import type { Services } from '../operations/services.ts';
import { databaseNow } from '../persistence/clock.ts';
import type { Job } from './job.ts';

const PAUSE_MILLISECONDS = 500;

export function deliverWebhooks(services: Services): Job {
  const deliverer = new WebhookDeliverer(services);
  return {
    name: 'deliver-webhooks',
    async run(signal) {
      const { unfinished } = await deliverer.run(signal);
      return instant((await databaseNow(services.sql)) + (unfinished ? 0 : PAUSE_MILLISECONDS));
    },
  };
}
