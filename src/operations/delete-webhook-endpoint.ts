/**
 * Deletes a webhook endpoint: it is told nothing more, and what waits to be delivered to it is given up.
 *
 * Refusals: NotFound. Throws Forbidden.
 */
import type { SignedInCaller } from '../domain/identity/caller.ts';
import { type NotFound, notFound } from '../domain/plain-refusals.ts';
import { isRefusal } from '../domain/refusals.ts';
import { lockEndpoint, markEndpointDeleted } from '../persistence/webhooks/webhook-endpoints.ts';
import { audit } from './audit.ts';
import type { Services } from './services.ts';
import { managedEndpoint } from './webhook-input.ts';

export async function deleteWebhookEndpoint(
  services: Services,
  caller: SignedInCaller,
  endpointId: string,
): Promise<{ readonly endpointId: string } | NotFound> {
  const managed = await managedEndpoint(services, caller, endpointId);
  if (isRefusal(managed)) return managed;
  return services.sql.begin(async (tx) => {
    const endpoint = await lockEndpoint(tx, endpointId);
    if (endpoint === null) return notFound('webhook endpoint');
    await markEndpointDeleted(tx, endpointId);
    const { organizationId, url, events } = endpoint;
    await audit(services, tx, caller, {
      organizationId,
      action: 'deleteWebhookEndpoint',
      before: { webhookEndpointId: endpointId, url, events },
    });
    return { endpointId };
  });
}
