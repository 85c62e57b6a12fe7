/** Webhook endpoints. Secrets arrive and leave encrypted. */
import type { Queryable } from '../connection.ts';

export interface EndpointRecord {
  readonly id: string;
  readonly organizationId: string;
  readonly url: string;
  readonly events: readonly string[];
  readonly enabled: boolean;
}

type EndpointRow = {
  readonly id: string;
  readonly organization_id: string;
  readonly url: string;
  readonly events: string[];
  readonly enabled: boolean;
};

const recordOf = ({ organization_id: organizationId, ...row }: EndpointRow): EndpointRecord => ({
  ...row,
  organizationId,
});

/** Null where there is none, or none any more. */
export async function findEndpoint(sql: Queryable, id: string): Promise<EndpointRecord | null> {
  const [row] = await sql<EndpointRow[]>`
    SELECT id, organization_id, url, events, enabled FROM webhook_endpoint WHERE id = ${id} AND deleted_at IS NULL`;
  return row ? recordOf(row) : null;
}

/** The same, held still until the transaction ends. */
export async function lockEndpoint(sql: Queryable, id: string): Promise<EndpointRecord | null> {
  const [row] = await sql<EndpointRow[]>`
    SELECT id, organization_id, url, events, enabled FROM webhook_endpoint WHERE id = ${id} AND deleted_at IS NULL
    FOR NO KEY UPDATE`;
  return row ? recordOf(row) : null;
}

export async function countEndpoints(sql: Queryable, organizationId: string): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    SELECT count(*)::int AS count FROM webhook_endpoint
    WHERE organization_id = ${organizationId} AND deleted_at IS NULL`;
  return row?.count ?? 0;
}

export async function insertEndpoint(
  sql: Queryable,
  { id, organizationId, url, events }: Omit<EndpointRecord, 'enabled'>,
  sealedSecret: Buffer,
): Promise<void> {
  await sql`
    INSERT INTO webhook_endpoint (id, organization_id, url, events, secret)
    VALUES (${id}, ${organizationId}, ${url}, ${[...events]}::text[], ${sealedSecret})`;
}

export async function updateEndpoint(
  sql: Queryable,
  { id, url, events, enabled }: Omit<EndpointRecord, 'organizationId'>,
): Promise<void> {
  await sql`
    UPDATE webhook_endpoint SET url = ${url}, events = ${[...events]}::text[], enabled = ${enabled} WHERE id = ${id}`;
}

/** Forgets how often it has failed. */
export async function trustEndpoint(sql: Queryable, id: string): Promise<void> {
  await sql`UPDATE webhook_endpoint SET failed_in_row = 0 WHERE id = ${id} AND failed_in_row > 0`;
}

/** What was to be delivered to it is given up. For who has locked it: nothing is collected for it meanwhile. */
export async function markEndpointDeleted(sql: Queryable, id: string): Promise<void> {
  await sql`UPDATE webhook_endpoint SET deleted_at = now() WHERE id = ${id}`;
  await sql`
    UPDATE webhook_delivery SET status = 'FAILED', next_attempt_at = NULL, leased_until = NULL
    WHERE endpoint_id = ${id} AND status = 'PENDING'`;
}

/** The organization of an endpoint that was enabled until now; null for any other. */
export async function disableEndpoint(sql: Queryable, id: string): Promise<string | null> {
  const [row] = await sql<{ organization_id: string }[]>`
    UPDATE webhook_endpoint SET enabled = false WHERE id = ${id} AND enabled AND deleted_at IS NULL
    RETURNING organization_id`;
  return row?.organization_id ?? null;
}

/** The secret of before signs too for a while; the one before it no longer does. */
export async function replaceSecret(
  sql: Queryable,
  id: string,
  sealedSecret: Buffer,
  overlapMilliseconds: number,
): Promise<void> {
  await sql`
    UPDATE webhook_endpoint
    SET secret = ${sealedSecret}, previous_secret = secret,
      previous_secret_until = clock_timestamp() + ${overlapMilliseconds}::float8 * interval '1 millisecond'
    WHERE id = ${id}`;
}
