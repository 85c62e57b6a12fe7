/**
 * Changes where a webhook endpoint is, what it is told, and whether it is told anything; what is left out stays as it was.
 * Types of events that are new to it are told from now on, and all of them where it is enabled again: what happened while it
 * was disabled is not told. What waited to be delivered is tried at once then, and where the URL is another one.
 *
 * Refusals: InvalidInput (a URL that may not be called, no event or an unknown one), NotFound. Throws Forbidden.
 */

import type { JsonObject } from '../domain/canonical.ts';
import type { SignedInCaller } from '../domain/identity/caller.ts';
import { type InvalidInput, type NotFound, notFound } from '../domain/plain-refusals.ts';
import { isRefusal } from '../domain/refusals.ts';
import { tryAllNow } from '../persistence/webhooks/webhook-deliveries.ts';
import {
  type EndpointRecord,
  lockEndpoint,
  trustEndpoint,
  updateEndpoint,
} from '../persistence/webhooks/webhook-endpoints.ts';
import { beginAtNewest } from '../persistence/webhooks/webhook-outbox.ts';
import { audit } from './audit.ts';
import { firstProblem } from './input-rules.ts';
import type { Services } from './services.ts';
import { checkEvents, checkUrl, managedEndpoint, sourcesOf } from './webhook-input.ts';

export interface UpdateWebhookEndpointInput {
  readonly endpointId: string;
  readonly url?: string | null | undefined;
  readonly events?: readonly string[] | null | undefined;
  readonly enabled?: boolean | null | undefined;
}

export async function updateWebhookEndpoint(
  services: Services,
  caller: SignedInCaller,
  { endpointId, url, events, enabled }: UpdateWebhookEndpointInput,
): Promise<{ readonly endpointId: string } | InvalidInput | NotFound> {
  const problem = firstProblem(
    url === null || url === undefined ? null : checkUrl(services, url),
    events === null || events === undefined ? null : checkEvents(events),
  );
  if (problem) return problem;
  const managed = await managedEndpoint(services, caller, endpointId);
  if (isRefusal(managed)) return managed;
  return services.sql.begin(async (tx) => {
    const before = await lockEndpoint(tx, endpointId);
    if (before === null) return notFound('webhook endpoint');
    const after: EndpointRecord = {
      ...before,
      url: url ?? before.url,
      events: [...new Set(events ?? before.events)],
      enabled: enabled ?? before.enabled,
    };
    await updateEndpoint(tx, after);
    const isEnabledAgain = after.enabled && !before.enabled;
    const begun = after.events.filter((type) => isEnabledAgain || !before.events.includes(type));
    await beginAtNewest(tx, endpointId, sourcesOf(begun));
    if (isEnabledAgain || after.url !== before.url) {
      await trustEndpoint(tx, endpointId);
      await tryAllNow(tx, endpointId);
    }
    await audit(services, tx, caller, {
      organizationId: before.organizationId,
      action: 'updateWebhookEndpoint',
      before: shown(before),
      after: shown(after),
    });
    return { endpointId };
  });
}

const shown = ({ id, url, events, enabled }: EndpointRecord): JsonObject => ({
  webhookEndpointId: id,
  url,
  events,
  enabled,
});
