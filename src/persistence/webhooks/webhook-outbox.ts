/**
 * From events to deliveries. A cursor and the deliveries of the events that it passes change in one transaction, so that no
 * event is left out and none becomes two deliveries of an endpoint, whoever collects and whenever they die. The endpoint is
 * held as well: one that is deleted meanwhile would be left with deliveries that nobody takes or gives up.
 */
import { payloadOf } from '../../domain/webhooks/event.ts';
import { amounts } from '../columns.ts';
import type { Queryable, Sql } from '../connection.ts';
import type { CollectedEvent, SourceCursor, WebhookSource } from './webhook-sources.ts';

export interface CollectBounds {
  /** Endpoints at a time. */
  readonly endpoints: number;
  /** Events of an endpoint at a time. */
  readonly events: number;
  /** An endpoint for which so many deliveries wait gets no more until some are done: its events wait in the books. */
  readonly pending: number;
}

/** Collects events of a type for endpoints that lag behind, the longest ago first. Answers whether there may be more. */
export async function collectEvents(
  sql: Sql,
  [type, source]: readonly [string, WebhookSource],
  bounds: CollectBounds,
  newId: () => string,
): Promise<boolean> {
  return sql.begin(async (tx) => {
    const cursors = await lockLagging(tx, type, source, bounds);
    if (cursors.length === 0) return false;
    const events = await source.load(tx, cursors);
    await insertDeliveries(tx, events, newId);
    await moveCursors(tx, type, cursors, events);
    return events.length > 0 && (cursors.length === bounds.endpoints || events.length >= bounds.events);
  });
}

async function lockLagging(
  sql: Queryable,
  type: string,
  { newest }: WebhookSource,
  { endpoints, events, pending }: CollectBounds,
): Promise<SourceCursor[]> {
  const rows = await sql<
    { endpoint_id: string; organization_id: string; wallet_id: string; position: bigint; room: number }[]
  >`
    SELECT c.endpoint_id, w.organization_id, w.id AS wallet_id, c.position,
      least(${events}::int, ${pending}::int - p.pending) AS room
    FROM webhook_cursor c
    JOIN webhook_endpoint e ON e.id = c.endpoint_id
    JOIN wallet w ON w.organization_id = e.organization_id
    CROSS JOIN LATERAL (
      SELECT count(*)::int AS pending FROM (
        SELECT FROM webhook_delivery d WHERE d.endpoint_id = c.endpoint_id AND d.status = 'PENDING' LIMIT ${pending}::int
      ) waiting
    ) p
    WHERE c.event = ${type} AND c.event = ANY (e.events) AND e.enabled AND e.deleted_at IS NULL
      AND c.position < ${newest} AND p.pending < ${pending}::int
    ORDER BY c.moved_at
    LIMIT ${endpoints}
    FOR NO KEY UPDATE OF e, c SKIP LOCKED`;
  return rows.map((row) => ({
    endpointId: row.endpoint_id,
    organizationId: row.organization_id,
    walletId: row.wallet_id,
    position: row.position,
    room: row.room,
  }));
}

async function insertDeliveries(sql: Queryable, events: readonly CollectedEvent[], newId: () => string): Promise<void> {
  await sql`
    INSERT INTO webhook_delivery (id, endpoint_id, organization_id, event_id, event, payload, next_attempt_at)
    SELECT id, endpoint_id, organization_id, event_id, event, payload, date_trunc('milliseconds', clock_timestamp())
    FROM unnest(
      ${events.map(newId)}::uuid[],
      ${events.map(({ endpointId }) => endpointId)}::uuid[],
      ${events.map(({ organizationId }) => organizationId)}::uuid[],
      ${events.map(({ event }) => event.id)}::text[],
      ${events.map(({ event }) => event.type)}::text[],
      ${events.map(({ event }) => payloadOf(event))}::text[]
    ) AS d (id, endpoint_id, organization_id, event_id, event, payload)
    ON CONFLICT (endpoint_id, event_id) DO NOTHING`;
}

async function moveCursors(
  sql: Queryable,
  type: string,
  cursors: readonly SourceCursor[],
  events: readonly CollectedEvent[],
): Promise<void> {
  const newest = new Map(cursors.map(({ endpointId, position }) => [endpointId, position]));
  for (const { endpointId, number } of events) newest.set(endpointId, number);
  await sql`
    UPDATE webhook_cursor c SET position = n.position, moved_at = clock_timestamp()
    FROM unnest(${[...newest.keys()]}::uuid[], ${amounts([...newest.values()])}::bigint[]) AS n (endpoint_id, position)
    WHERE c.endpoint_id = n.endpoint_id AND c.event = ${type}`;
}

/** Has events of these types collected from now on. */
export async function beginAtNewest(
  sql: Queryable,
  endpointId: string,
  sources: readonly (readonly [string, WebhookSource])[],
): Promise<void> {
  for (const [type, { newest }] of sources) {
    await sql`
      INSERT INTO webhook_cursor (endpoint_id, event, position)
      SELECT e.id, ${type}, ${newest}
      FROM webhook_endpoint e JOIN wallet w ON w.organization_id = e.organization_id
      WHERE e.id = ${endpointId}
      ON CONFLICT (endpoint_id, event) DO UPDATE SET position = excluded.position, moved_at = excluded.moved_at`;
  }
}
