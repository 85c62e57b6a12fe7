/** What the operations on webhook endpoints share: the form of their inputs, and who manages an endpoint. */
import type { SignedInCaller } from '../domain/identity/caller.ts';
import { type InvalidInput, invalidInput, type NotFound } from '../domain/plain-refusals.ts';
import { type EndpointRecord, findEndpoint } from '../persistence/webhooks/webhook-endpoints.ts';
import { WEBHOOK_SOURCES, type WebhookSource } from '../persistence/webhooks/webhook-sources.ts';
import { managed } from './authorize-members.ts';
import type { Services } from './services.ts';

const MAX_EVENTS = 100;

export function checkUrl({ webhooks }: Pick<Services, 'webhooks'>, url: string): InvalidInput | null {
  const reason = webhooks.whyNoTarget(url);
  return reason === null ? null : invalidInput(['url'], reason);
}

export function checkEvents(events: readonly string[]): InvalidInput | null {
  if (events.length === 0) return invalidInput(['events'], 'must name at least one type of event');
  if (events.length > MAX_EVENTS) return invalidInput(['events'], `must have at most ${MAX_EVENTS} items`);
  const unknown = events.findIndex((type) => !Object.hasOwn(WEBHOOK_SOURCES, type));
  if (unknown < 0) return null;
  const known = Object.keys(WEBHOOK_SOURCES).join(', ');
  return invalidInput(['events', unknown.toString()], `must be one of ${known}`);
}

/** The sources of types that `checkEvents` has passed. */
export const sourcesOf = (types: readonly string[]): (readonly [string, WebhookSource])[] =>
  Object.entries(WEBHOOK_SOURCES).filter(([type]) => types.includes(type));

/** An endpoint of an organization that the caller manages. Throws Forbidden. */
export async function managedEndpoint(
  services: Services,
  caller: SignedInCaller,
  endpointId: string,
): Promise<EndpointRecord | NotFound> {
  return managed(services, caller, await findEndpoint(services.sql, endpointId), 'webhook endpoint');
}
