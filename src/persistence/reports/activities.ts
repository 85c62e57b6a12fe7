/**
 * The activity feeds. A feed's row is the lock under which its numbers are given, so that they are in the order of commits. It is
 * the last lock that a transaction takes, but for the counter of receipts, whose holder waits for nothing: so nobody who waits
 * for a feed can be waited for by who holds it. A batch that writes to several feeds holds the wallets of all of them, so that
 * no two such batches have a feed in common.
 */
import type { NewActivity } from '../../domain/activity/activity.ts';
import { clockOfOrganization } from '../clock.ts';
import { amountsOrNull, instants } from '../columns.ts';
import { fragment, type Queryable } from '../connection.ts';

/** Appends to the feeds of the organizations, in the order given. What occurred now does so by the organization's clock. */
export async function writeActivities(sql: Queryable, rows: readonly NewActivity[]): Promise<void> {
  if (rows.length === 0) return;
  await sql`
    WITH added AS (
      SELECT *, count(*) OVER (PARTITION BY organization_id)
        - row_number() OVER (PARTITION BY organization_id ORDER BY position) AS behind
      FROM unnest(
        ${rows.map((row) => row.organizationId)}::uuid[],
        ${rows.map((row) => row.kind)}::"ActivityKind"[],
        ${rows.map((row) => row.summary)}::text[],
        ${amountsOrNull(rows.map((row) => row.credits))}::bigint[],
        ${rows.map((row) => row.actor.kind)}::"ActorKind"[],
        ${rows.map((row) => row.actor.id)}::text[],
        ${rows.map((row) => row.work.taskId)}::text[],
        ${rows.map((row) => row.work.executionId)}::text[],
        ${instants(rows.map((row) => row.occurredAt))}::timestamptz[]
      ) WITH ORDINALITY AS added (organization_id, kind, summary, credits_micros, actor_kind, actor_id, task_id,
        execution_id, occurred_at, position)
    ), feed AS (
      INSERT INTO activity_feed (organization_id, last_number)
      SELECT organization_id, count(*) FROM added GROUP BY organization_id ORDER BY organization_id
      ON CONFLICT (organization_id) DO UPDATE SET last_number = activity_feed.last_number + excluded.last_number
      RETURNING organization_id, last_number
    )
    INSERT INTO activity (organization_id, number, kind, summary, credits_micros, actor_kind, actor_id, task_id,
      execution_id, occurred_at)
    SELECT added.organization_id, feed.last_number - added.behind, added.kind, added.summary, added.credits_micros,
      added.actor_kind, added.actor_id, added.task_id, added.execution_id,
      coalesce(added.occurred_at, ${clockOfOrganization(fragment`added.organization_id`)})
    FROM added JOIN feed ON feed.organization_id = added.organization_id
    ORDER BY added.organization_id, added.position`;
}
