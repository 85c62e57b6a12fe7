/** Tells webhook endpoints what has happened. */
import { WebhookDeliverer } from '../operations/deliver-webhooks.ts';
import type { Services } from '../operations/services.ts';
import { type Job, repeated } from './job.ts';

export function deliverWebhooks(services: Services): Job {
  const deliverer = new WebhookDeliverer(services);
  return repeated(services.sql, {
    name: 'deliver-webhooks',
    pauseMilliseconds: 500,
    run: (signal) => deliverer.run(signal),
  });
}
