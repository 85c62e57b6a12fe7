/**
 * Creates a webhook endpoint. It is told of events from now on. Its secret is answered this once; what is kept of it is
 * encrypted.
 *
 * Refusals: InvalidInput (a URL that may not be called, no event or an unknown one, too many endpoints), NotFound
 * (organization). Throws Forbidden.
 */
import type { SignedInCaller } from '../domain/identity/caller.ts';
import { type InvalidInput, invalidInput, type NotFound } from '../domain/plain-refusals.ts';
import { isRefusal } from '../domain/refusals.ts';
import { lockOrganization } from '../persistence/plan-limits.ts';
import { countEndpoints, insertEndpoint } from '../persistence/webhooks/webhook-endpoints.ts';
import { beginAtNewest } from '../persistence/webhooks/webhook-outbox.ts';
import { audit } from './audit.ts';
import { managedOrganization } from './authorize-members.ts';
import { firstProblem } from './input-rules.ts';
import type { Services } from './services.ts';
import { checkEvents, checkUrl, sourcesOf } from './webhook-input.ts';

export interface CreateWebhookEndpointInput {
  readonly organizationId: string | null;
  readonly url: string;
  readonly events: readonly string[];
}

export interface CreatedWebhookEndpoint {
  readonly endpointId: string;
  readonly secret: string;
}

const MAX_ENDPOINTS = 10;

export async function createWebhookEndpoint(
  services: Services,
  caller: SignedInCaller,
  { organizationId: meant, url, events: given }: CreateWebhookEndpointInput,
): Promise<CreatedWebhookEndpoint | InvalidInput | NotFound> {
  const problem = firstProblem(checkUrl(services, url), checkEvents(given));
  if (problem) return problem;
  const tenant = await managedOrganization(services, caller, meant);
  if (isRefusal(tenant)) return tenant;
  const { organizationId } = tenant;
  const endpointId = services.newId();
  const { secret, sealed } = await services.webhooks.newSecret(endpointId);
  const events = [...new Set(given)];
  return services.sql.begin(async (tx) => {
    await lockOrganization(tx, organizationId);
    if ((await countEndpoints(tx, organizationId)) >= MAX_ENDPOINTS) {
      return invalidInput(
        ['organizationId'],
        `has ${MAX_ENDPOINTS} webhook endpoints already, the most that one may have`,
      );
    }
    await insertEndpoint(tx, { id: endpointId, organizationId, url, events }, sealed);
    await beginAtNewest(tx, endpointId, sourcesOf(events));
    await audit(services, tx, caller, {
      organizationId,
      action: 'createWebhookEndpoint',
      after: { webhookEndpointId: endpointId, url, events },
    });
    return { endpointId, secret };
  });
}
