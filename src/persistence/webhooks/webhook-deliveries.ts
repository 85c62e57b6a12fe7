/**
 * Deliveries of webhooks: taken by leases, so that processes share the work and what a dead one has taken is taken again,
 * and due by the real clock. Instants are kept in milliseconds: what is due at once is due at the one before, never after.
 *
 * Whoever changes a delivery locks its endpoint first, or skips deliveries that are locked: so nobody waits for an endpoint
 * while holding one of its deliveries.
 */
import type { Instant } from '../../domain/time/instant.ts';
import { type Fragment, fragment, type Queryable, type Transaction } from '../connection.ts';

export interface DueDelivery {
  readonly id: string;
  readonly endpointId: string;
  readonly eventId: string;
  readonly payload: string;
  /** How often it was begun to be sent, this time included; in all, and since it was collected or asked for again. */
  readonly attempts: number;
  readonly retries: number;
  readonly url: string;
  /** Encrypted; the newest first. */
  readonly secrets: readonly Buffer[];
  /** Attempts at this endpoint that failed in a row before this one. */
  readonly failedInRow: number;
  /** The database's time. */
  readonly now: Instant;
}

export interface TakeBounds {
  readonly deliveries: number;
  /** How many may be under way at one endpoint at a time, over all processes; one where the last few have failed. */
  readonly perEndpoint: number;
  readonly failingAfter: number;
  readonly leaseMilliseconds: number;
}

/** How many are under way at the endpoint `e`, over all processes. */
const UNDER_WAY = fragment`
  SELECT count(*)::int AS under_way FROM webhook_delivery l WHERE l.endpoint_id = e.id AND l.leased_until > now()`;

/** How many may be under way at the endpoint `e`. */
const allowed = ({ perEndpoint, failingAfter }: TakeBounds): Fragment =>
  fragment`CASE WHEN e.failed_in_row >= ${failingAfter}::int THEN 1 ELSE ${perEndpoint}::int END`;

/** The deliveries of the endpoint `e` that are due and that nobody is sending. */
const DUE = fragment`
  w.endpoint_id = e.id AND w.status = 'PENDING' AND w.next_attempt_at <= now()
  AND (w.leased_until IS NULL OR w.leased_until <= now())`;

/**
 * Takes deliveries that are due: of each endpoint the longest due first, of the endpoints any. Costs as much as there are
 * endpoints for which something waits, however many deliveries and other endpoints there are. An endpoint is held until the
 * commit and passed over where somebody else holds it, so that no two processes count what is under way there at once.
 */
export async function takeDue(tx: Transaction, bounds: TakeBounds): Promise<DueDelivery[]> {
  const endpointIds = await lockWithDue(tx, bounds);
  return endpointIds.length === 0 ? [] : takeFrom(tx, endpointIds, bounds);
}

async function lockWithDue(tx: Transaction, bounds: TakeBounds): Promise<string[]> {
  const rows = await tx<{ id: string }[]>`
    WITH RECURSIVE waiting AS (
      (SELECT endpoint_id FROM webhook_delivery WHERE status = 'PENDING' ORDER BY endpoint_id LIMIT 1)
      UNION ALL
      SELECT (SELECT d.endpoint_id FROM webhook_delivery d
        WHERE d.status = 'PENDING' AND d.endpoint_id > waiting.endpoint_id ORDER BY d.endpoint_id LIMIT 1)
      FROM waiting WHERE waiting.endpoint_id IS NOT NULL
    )
    SELECT e.id FROM waiting
    JOIN webhook_endpoint e ON e.id = waiting.endpoint_id
    CROSS JOIN LATERAL (SELECT FROM webhook_delivery w WHERE ${DUE} ORDER BY w.next_attempt_at, w.id LIMIT 1) w
    CROSS JOIN LATERAL (${UNDER_WAY}) l
    WHERE e.enabled AND e.deleted_at IS NULL AND l.under_way < ${allowed(bounds)}
    ORDER BY random()
    LIMIT ${bounds.deliveries}::int
    FOR NO KEY UPDATE OF e SKIP LOCKED`;
  return rows.map(({ id }) => id);
}

/** A statement of its own: only one that begins after the endpoints were locked sees what was under way until then. */
async function takeFrom(tx: Transaction, endpointIds: readonly string[], bounds: TakeBounds): Promise<DueDelivery[]> {
  const rows = await tx<
    {
      id: string;
      endpoint_id: string;
      event_id: string;
      payload: string;
      attempts: number;
      retries: number;
      url: string;
      secret: Buffer;
      previous_secret: Buffer | null;
      failed_in_row: number;
      now: Instant;
    }[]
  >`
    WITH due AS MATERIALIZED (
      SELECT d.id, e.url, e.secret, e.failed_in_row,
        CASE WHEN e.previous_secret_until > now() THEN e.previous_secret END AS previous_secret
      FROM (SELECT * FROM webhook_endpoint WHERE id = ANY (${endpointIds}::uuid[]) ORDER BY random()) e
      CROSS JOIN LATERAL (${UNDER_WAY}) l
      CROSS JOIN LATERAL (
        SELECT w.id FROM webhook_delivery w WHERE ${DUE}
        ORDER BY w.next_attempt_at, w.id
        LIMIT greatest(0, ${allowed(bounds)} - l.under_way)
        FOR NO KEY UPDATE SKIP LOCKED
      ) d
      LIMIT ${bounds.deliveries}::int
    )
    UPDATE webhook_delivery d
    SET attempts = attempts + 1, retries = retries + 1,
      leased_until = now() + ${bounds.leaseMilliseconds}::float8 * interval '1 millisecond'
    FROM due WHERE d.id = due.id
    RETURNING d.id, d.endpoint_id, d.event_id, d.payload, d.attempts, d.retries, due.url, due.secret, due.previous_secret,
      due.failed_in_row, now() AS now`;
  return rows.map((row) => ({
    id: row.id,
    endpointId: row.endpoint_id,
    eventId: row.event_id,
    payload: row.payload,
    attempts: row.attempts,
    retries: row.retries,
    url: row.url,
    secrets: row.previous_secret === null ? [row.secret] : [row.secret, row.previous_secret],
    failedInRow: row.failed_in_row,
    now: row.now,
  }));
}

/** An attempt that was taken; where it was taken again or asked for again since then, there is nothing to record any more. */
type Attempt = Pick<DueDelivery, 'id' | 'endpointId' | 'attempts' | 'retries'>;

export async function recordDelivered(
  sql: Queryable,
  { id, endpointId, attempts, retries }: Attempt,
  responseStatus: number,
): Promise<void> {
  await sql`
    WITH endpoint AS MATERIALIZED (
      SELECT e.id FROM webhook_endpoint e WHERE e.id = ${endpointId} FOR NO KEY UPDATE
    ), delivered AS (
      UPDATE webhook_delivery d
      SET status = 'DELIVERED', delivered_at = clock_timestamp(), response_status = ${responseStatus},
        next_attempt_at = NULL, leased_until = NULL
      FROM endpoint
      WHERE d.id = ${id} AND d.endpoint_id = endpoint.id AND attempts = ${attempts} AND retries = ${retries}
        AND status = 'PENDING'
      RETURNING d.endpoint_id
    )
    UPDATE webhook_endpoint e SET failed_in_row = 0 FROM delivered
    WHERE e.id = delivered.endpoint_id AND e.failed_in_row > 0`;
}

export interface Failure {
  /** Null where nothing was answered. */
  readonly responseStatus: number | null;
  /** Null where it is given up. */
  readonly delayMilliseconds: number | null;
}

/** Enough to tell one that is down from one that fails now and then. */
const MAX_COUNTED_FAILURES = 1_000_000;

/** False where there was nothing to record any more. */
export async function recordFailed(
  sql: Queryable,
  { id, endpointId, attempts, retries }: Attempt,
  { responseStatus, delayMilliseconds }: Failure,
): Promise<boolean> {
  const { count } = await sql`
    WITH endpoint AS MATERIALIZED (
      SELECT e.id FROM webhook_endpoint e WHERE e.id = ${endpointId} FOR NO KEY UPDATE
    ), failed AS (
      UPDATE webhook_delivery d
      SET status = CASE WHEN ${delayMilliseconds}::float8 IS NULL THEN 'FAILED' ELSE status END,
        next_attempt_at = clock_timestamp() + ${delayMilliseconds}::float8 * interval '1 millisecond',
        response_status = ${responseStatus}, leased_until = NULL
      FROM endpoint
      WHERE d.id = ${id} AND d.endpoint_id = endpoint.id AND attempts = ${attempts} AND retries = ${retries}
        AND status = 'PENDING'
      RETURNING d.endpoint_id
    )
    UPDATE webhook_endpoint e SET failed_in_row = least(failed_in_row + 1, ${MAX_COUNTED_FAILURES}::int) FROM failed
    WHERE e.id = failed.endpoint_id`;
  return count > 0;
}

/** Has everything that waits for another attempt at an endpoint tried now. For who has locked the endpoint. */
export async function tryAllNow(sql: Queryable, endpointId: string): Promise<void> {
  await sql`
    UPDATE webhook_delivery SET next_attempt_at = date_trunc('milliseconds', clock_timestamp())
    WHERE endpoint_id = ${endpointId} AND status = 'PENDING' AND leased_until IS NULL AND next_attempt_at > clock_timestamp()`;
}

export interface DeliveryRecord {
  readonly id: string;
  readonly organizationId: string;
  readonly endpointId: string;
}

/** Null where there is none, or its endpoint was deleted. */
export async function findDelivery(sql: Queryable, id: string): Promise<DeliveryRecord | null> {
  const [row] = await sql<{ organization_id: string; endpoint_id: string }[]>`
    SELECT d.organization_id, d.endpoint_id FROM webhook_delivery d JOIN webhook_endpoint e ON e.id = d.endpoint_id
    WHERE d.id = ${id} AND e.deleted_at IS NULL`;
  return row ? { id, organizationId: row.organization_id, endpointId: row.endpoint_id } : null;
}

/**
 * Makes a delivery due now, whatever became of it, with all its retries ahead. Its id and payload stay. For who has locked its
 * endpoint.
 */
export async function makeDueAgain(sql: Queryable, id: string): Promise<void> {
  await sql`
    UPDATE webhook_delivery
    SET status = 'PENDING', retries = 0, next_attempt_at = date_trunc('milliseconds', clock_timestamp()), leased_until = NULL, delivered_at = NULL
    WHERE id = ${id}`;
}

/** Forgets deliveries that have ended and are older than the log is kept; of each endpoint some. */
export async function forgetOldDeliveries(sql: Queryable, keptDays: number, perEndpoint: number): Promise<void> {
  await sql`
    DELETE FROM webhook_delivery d
    USING webhook_endpoint e CROSS JOIN LATERAL (
      SELECT o.id FROM webhook_delivery o
      WHERE o.endpoint_id = e.id AND o.created_at < now() - ${keptDays}::int * interval '1 day' AND o.status <> 'PENDING'
      ORDER BY o.created_at
      LIMIT ${perEndpoint}::int
      FOR UPDATE SKIP LOCKED
    ) old
    WHERE d.id = old.id`;
}
