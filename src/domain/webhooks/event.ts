/** What a webhook tells: one event, in the shape of Standard Webhooks. */
import type { JsonObject } from '../canonical.ts';
import { formatInstant, type Instant } from '../time/instant.ts';

export interface WebhookEvent {
  /** Its own id, the same however often and to whomever it is told. Without a dot, which separates what is signed. */
  readonly id: string;
  /** "balance.changed" */
  readonly type: string;
  /** From when it counts, by the organization's clock. */
  readonly occurredAt: Instant;
  readonly data: JsonObject;
}

/** The body of its deliveries. */
export function payloadOf({ type, occurredAt, data }: WebhookEvent): string {
  return JSON.stringify({ type, timestamp: formatInstant(occurredAt), data });
}
