/**
 * Gives a webhook endpoint a new secret, which is answered this once. For a day deliveries are signed with the one before as
 * well, so that the receiver can change over without missing any; a second rotation within the day ends the first secret.
 *
 * Refusals: NotFound. Throws Forbidden.
 */
import type { SignedInCaller } from '../domain/identity/caller.ts';
import { type NotFound, notFound } from '../domain/plain-refusals.ts';
import { isRefusal } from '../domain/refusals.ts';
import { lockEndpoint, replaceSecret } from '../persistence/webhooks/webhook-endpoints.ts';
import { audit } from './audit.ts';
import type { CreatedWebhookEndpoint } from './create-webhook-endpoint.ts';
import type { Services } from './services.ts';
import { managedEndpoint } from './webhook-input.ts';

const OVERLAP_MILLISECONDS = 24 * 3_600_000;

export async function rotateWebhookSecret(
  services: Services,
  caller: SignedInCaller,
  endpointId: string,
): Promise<CreatedWebhookEndpoint | NotFound> {
  const managed = await managedEndpoint(services, caller, endpointId);
  if (isRefusal(managed)) return managed;
  const { secret, sealed } = await services.webhooks.newSecret(endpointId);
  return services.sql.begin(async (tx) => {
    const endpoint = await lockEndpoint(tx, endpointId);
    if (endpoint === null) return notFound('webhook endpoint');
    await replaceSecret(tx, endpointId, sealed, OVERLAP_MILLISECONDS);
    await audit(services, tx, caller, {
      organizationId: endpoint.organizationId,
      action: 'rotateWebhookSecret',
      after: { webhookEndpointId: endpointId },
    });
    return { endpointId, secret };
  });
}
