/**
 * Has a delivery sent again at once, whatever became of it, with all its retries ahead: the same event, id and payload.
 *
 * Refusals: NotFound, InvalidInput (its endpoint is disabled). Throws Forbidden.
 */
import type { SignedInCaller } from '../domain/identity/caller.ts';
import { type InvalidInput, invalidInput, type NotFound, notFound } from '../domain/plain-refusals.ts';
import { isRefusal } from '../domain/refusals.ts';
import { findDelivery, makeDueAgain } from '../persistence/webhooks/webhook-deliveries.ts';
import { lockEndpoint } from '../persistence/webhooks/webhook-endpoints.ts';
import { audit } from './audit.ts';
import { managed } from './authorize-members.ts';
import type { Services } from './services.ts';

export async function redeliverWebhook(
  services: Services,
  caller: SignedInCaller,
  deliveryId: string,
): Promise<{ readonly deliveryId: string } | InvalidInput | NotFound> {
  const found = await findDelivery(services.sql, deliveryId);
  const delivery = await managed(services, caller, found, 'webhook delivery');
  if (isRefusal(delivery)) return delivery;
  const { organizationId, endpointId } = delivery;
  return services.sql.begin(async (tx) => {
    const endpoint = await lockEndpoint(tx, endpointId);
    if (endpoint === null) return notFound('webhook delivery');
    if (!endpoint.enabled) return invalidInput(['webhookDeliveryId'], 'is to an endpoint that is disabled');
    await makeDueAgain(tx, deliveryId);
    await audit(services, tx, caller, {
      organizationId,
      action: 'redeliverWebhook',
      after: { webhookDeliveryId: deliveryId, webhookEndpointId: endpointId },
    });
    return { deliveryId };
  });
}
