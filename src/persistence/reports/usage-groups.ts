/** Usage on its way into the feed: which wallets have some, what was charged since it was read last, groups that go on. */
import type { Work } from '../../domain/activity/activity.ts';
import {
  groupDueAt,
  hasWork,
  LONGEST_MILLISECONDS,
  QUIET_MILLISECONDS,
  type ReleasedHold,
  type Usage,
  type UsageGroup,
  workKey,
} from '../../domain/activity/usage-groups.ts';
import type { Actor, ActorKind } from '../../domain/actor.ts';
import { micros } from '../../domain/credits/micros.ts';
import type { Tenant } from '../../domain/identity/caller.ts';
import { formatInstant, type Instant } from '../../domain/time/instant.ts';
import { WALLET_CLOCK } from '../clock.ts';
import { amounts, instants } from '../columns.ts';
import { fragment, type Queryable } from '../connection.ts';
import { type Due, type DuePage, dueTenants, dueTenantsOf } from '../due-wallets.ts';
import { LOWEST_ID } from '../lowest-id.ts';

const USAGE: Due = { at: fragment`w.usage_due_at`, onFrozen: true };

/** Those of the organizations whose usage may be published by now. */
export const usageDue = (sql: Queryable, organizationIds: readonly string[]): Promise<Tenant[]> =>
  dueTenantsOf(sql, USAGE, organizationIds);

/** Any of them. */
export const walletsToPublish = (sql: Queryable, page: DuePage): Promise<Tenant[]> => dueTenants(sql, USAGE, page);

/**
 * An instant of the organization before which nothing is posted any more: whoever posted before it has committed, for the
 * clock is read under the wallet's lock, which is let go of at once.
 */
export async function postedBefore(sql: Queryable, walletId: string): Promise<Instant> {
  const [row] = await sql<{ now: Instant }[]>`
    WITH locked AS MATERIALIZED (
      SELECT organization_id, last_posted_at FROM wallet WHERE id = ${walletId} FOR SHARE
    )
    SELECT ${WALLET_CLOCK} AS now FROM locked w JOIN organization o ON o.id = w.organization_id`;
  if (!row) throw new Error(`there is no wallet ${walletId}`);
  return row.now;
}

export interface Watermark {
  /** The last transaction that was read. */
  readonly postedAt: Instant;
  readonly transactionId: string;
  /** Releases before it were read. */
  readonly releasedTo: Instant;
}

/** Makes the watermark of a wallet that has none: before its first transaction. */
export async function ensureWatermark(sql: Queryable, walletId: string, now: Instant): Promise<void> {
  await sql`
    INSERT INTO usage_watermark (wallet_id, posted_at, transaction_id, released_to)
    VALUES (${walletId}, 'epoch', ${LOWEST_ID}::uuid,
      ${formatInstant(now)}::timestamptz - interval '1 millisecond' * ${LONGEST_MILLISECONDS})
    ON CONFLICT (wallet_id) DO NOTHING`;
}

/** Lets nobody else read on until the transaction ends. */
export async function lockWatermark(sql: Queryable, walletId: string): Promise<Watermark> {
  const [row] = await sql<{ posted_at: Instant; transaction_id: string; released_to: Instant }[]>`
    SELECT posted_at, transaction_id, released_to FROM usage_watermark WHERE wallet_id = ${walletId} FOR UPDATE`;
  if (!row) throw new Error(`the wallet ${walletId} has no watermark`);
  return { postedAt: row.posted_at, transactionId: row.transaction_id, releasedTo: row.released_to };
}

interface WorkRow {
  task_id: string | null;
  execution_id: string | null;
}

const workOf = (row: WorkRow): Work => ({ taskId: row.task_id || null, executionId: row.execution_id || null });

export interface PostedUsage extends Usage {
  readonly transactionId: string;
}

/** Charges after the watermark, in the order of posting. */
export async function usageAfter(
  sql: Queryable,
  walletId: string,
  { postedAt, transactionId }: Watermark,
  { before, limit }: { readonly before: Instant; readonly limit: number },
): Promise<PostedUsage[]> {
  const rows = await sql<
    (WorkRow & {
      id: string;
      posted_at: Instant;
      amount_micros: bigint;
      actor_kind: ActorKind;
      actor_id: string;
      ends_hold: boolean;
    })[]
  >`
    SELECT t.id, t.posted_at, t.amount_micros, t.actor_kind, t.actor_id, t.task_id, t.execution_id, EXISTS (
      SELECT 1 FROM hold h WHERE h.id = t.hold_id AND h.status = 'CAPTURED' AND h.resolved_at = t.posted_at) AS ends_hold
    FROM ledger_transaction t
    WHERE t.wallet_id = ${walletId} AND t.kind IN ('DEBIT', 'CAPTURE')
      AND (t.posted_at, t.id) > (${formatInstant(postedAt)}::timestamptz, ${transactionId}::uuid)
      AND t.posted_at < ${formatInstant(before)}::timestamptz
    ORDER BY t.posted_at, t.id
    LIMIT ${limit}`;
  return rows.map((row) => ({
    transactionId: row.id,
    postedAt: row.posted_at,
    credits: micros(row.amount_micros),
    actor: { kind: row.actor_kind, id: row.actor_id },
    work: workOf(row),
    endsHold: row.ends_hold,
  }));
}

/** Holds with a task or execution that were released in a period, the last hour of it: what was charged before that is over. */
export async function releasedHolds(
  sql: Queryable,
  walletId: string,
  from: Instant,
  to: Instant,
): Promise<ReleasedHold[]> {
  const until = fragment`${formatInstant(to)}::timestamptz`;
  const rows = await sql<(WorkRow & { resolved_at: Instant })[]>`
    SELECT task_id, execution_id, resolved_at FROM hold
    WHERE wallet_id = ${walletId} AND status = 'RELEASED' AND resolved_at < ${until}
      AND resolved_at >= greatest(${formatInstant(from)}::timestamptz,
        ${until} - interval '1 millisecond' * ${LONGEST_MILLISECONDS})
      AND (task_id IS NOT NULL OR execution_id IS NOT NULL)
    ORDER BY resolved_at`;
  return rows.map((row) => ({ work: workOf(row), at: row.resolved_at }));
}

/** The keys of those works that have an open hold. */
export async function heldWorks(
  sql: Queryable,
  walletId: string,
  works: readonly Work[],
): Promise<ReadonlySet<string>> {
  if (works.length === 0) return new Set();
  const rows = await sql<WorkRow[]>`
    SELECT task_id, execution_id
    FROM unnest(${works.map(({ taskId }) => taskId)}::text[], ${works.map(({ executionId }) => executionId)}::text[])
      AS work (task_id, execution_id)
    WHERE CASE WHEN work.execution_id IS NOT NULL
      THEN EXISTS (
        SELECT 1 FROM hold h
        WHERE h.wallet_id = ${walletId} AND h.status = 'OPEN' AND h.execution_id = work.execution_id
          AND h.task_id IS NOT DISTINCT FROM work.task_id)
      ELSE EXISTS (
        SELECT 1 FROM hold h
        WHERE h.wallet_id = ${walletId} AND h.status = 'OPEN' AND h.task_id = work.task_id AND h.execution_id IS NULL)
      END`;
  return new Set(rows.map((row) => workKey(workOf(row))));
}

/** A group by the columns of its key. Empty text stands for none. */
const columnsOf = ({ work, actor }: { readonly work: Work; readonly actor: Actor }) => ({
  taskId: work.taskId ?? '',
  executionId: work.executionId ?? '',
  groupedActor: hasWork(work) ? '' : `${actor.kind} ${actor.id}`,
});

type Keyed = Pick<UsageGroup, 'work' | 'actor'>;

const keysOf = (groups: readonly Keyed[]) => {
  const keys = groups.map(columnsOf);
  return fragment`unnest(${keys.map((key) => key.taskId)}::text[], ${keys.map((key) => key.executionId)}::text[],
    ${keys.map((key) => key.groupedActor)}::text[])`;
};

/** The groups with these keys, and those that are due by then, a bounded number of them. */
export async function openGroups(
  sql: Queryable,
  walletId: string,
  named: readonly Keyed[],
  { dueBy, limit }: { readonly dueBy: Instant; readonly limit: number },
): Promise<UsageGroup[]> {
  const rows = await sql<
    (WorkRow & {
      actor_kind: ActorKind;
      actor_id: string;
      operations: bigint;
      credits_micros: bigint;
      started_at: Instant;
      last_at: Instant;
      work_ended_at: Instant | null;
    })[]
  >`
    SELECT g.* FROM ${keysOf(named)} AS named (task_id, execution_id, grouped_actor)
    JOIN open_usage g ON g.wallet_id = ${walletId} AND g.task_id = named.task_id
      AND g.execution_id = named.execution_id AND g.grouped_actor = named.grouped_actor
    UNION
    (SELECT * FROM open_usage
     WHERE wallet_id = ${walletId} AND due_at <= ${formatInstant(dueBy)}::timestamptz
     ORDER BY due_at LIMIT ${limit})`;
  return rows.map((row) => ({
    work: workOf(row),
    actor: { kind: row.actor_kind, id: row.actor_id },
    operations: row.operations,
    credits: micros(row.credits_micros),
    startedAt: row.started_at,
    lastAt: row.last_at,
    workEndedAt: row.work_ended_at,
  }));
}

/** Lets nothing be posted to the wallet until the transaction ends. */
export async function lockWallet(sql: Queryable, walletId: string): Promise<void> {
  await sql`SELECT 1 FROM wallet WHERE id = ${walletId} FOR NO KEY UPDATE`;
}

export async function saveGroups(sql: Queryable, walletId: string, groups: readonly UsageGroup[]): Promise<void> {
  if (groups.length === 0) return;
  const keys = groups.map(columnsOf);
  await sql`
    INSERT INTO open_usage (wallet_id, task_id, execution_id, grouped_actor, operations, credits_micros, actor_kind,
      actor_id, started_at, last_at, work_ended_at, due_at)
    SELECT ${walletId}::uuid, * FROM unnest(
      ${keys.map((key) => key.taskId)}::text[],
      ${keys.map((key) => key.executionId)}::text[],
      ${keys.map((key) => key.groupedActor)}::text[],
      ${amounts(groups.map((group) => group.operations))}::bigint[],
      ${amounts(groups.map((group) => group.credits))}::bigint[],
      ${groups.map((group) => group.actor.kind)}::"ActorKind"[],
      ${groups.map((group) => group.actor.id)}::text[],
      ${instants(groups.map((group) => group.startedAt))}::timestamptz[],
      ${instants(groups.map((group) => group.lastAt))}::timestamptz[],
      ${instants(groups.map((group) => group.workEndedAt))}::timestamptz[],
      ${instants(groups.map(groupDueAt))}::timestamptz[])
    ON CONFLICT (wallet_id, task_id, execution_id, grouped_actor) DO UPDATE
    SET operations = excluded.operations, credits_micros = excluded.credits_micros, actor_kind = excluded.actor_kind,
        actor_id = excluded.actor_id, started_at = excluded.started_at, last_at = excluded.last_at,
        work_ended_at = excluded.work_ended_at, due_at = excluded.due_at`;
}

export async function deleteGroups(sql: Queryable, walletId: string, groups: readonly Keyed[]): Promise<void> {
  if (groups.length === 0) return;
  await sql`
    DELETE FROM open_usage g
    USING ${keysOf(groups)} AS ended (task_id, execution_id, grouped_actor)
    WHERE g.wallet_id = ${walletId} AND g.task_id = ended.task_id AND g.execution_id = ended.execution_id
      AND g.grouped_actor = ended.grouped_actor`;
}

/** Keeps how far was read. */
export async function moveWatermark(sql: Queryable, walletId: string, to: Watermark): Promise<void> {
  await sql`
    UPDATE usage_watermark
    SET posted_at = ${formatInstant(to.postedAt)}::timestamptz, transaction_id = ${to.transactionId},
        released_to = greatest(released_to, ${formatInstant(to.releasedTo)}::timestamptz)
    WHERE wallet_id = ${walletId}`;
}

/**
 * Says when to look at the wallet next: when the next group may end, and as for any batch for what was posted meanwhile. Under
 * the wallet's lock, after all else was written.
 */
export async function scheduleUsage(sql: Queryable, walletId: string): Promise<void> {
  await sql`
    UPDATE wallet
    SET usage_due_at = least(
      (SELECT min(due_at) FROM open_usage WHERE wallet_id = wallet.id),
      (SELECT CASE WHEN bool_or(kind = 'CAPTURE') THEN min(posted_at)
         ELSE min(posted_at) + interval '1 millisecond' * ${QUIET_MILLISECONDS} END
       FROM (
         SELECT t.kind, t.posted_at FROM ledger_transaction t
         WHERE t.wallet_id = wallet.id AND t.kind IN ('DEBIT', 'CAPTURE')
           AND (t.posted_at, t.id) > (u.posted_at, u.transaction_id)
         ORDER BY t.posted_at, t.id
         LIMIT 1000
       ) unread),
      (SELECT min(h.resolved_at) FROM hold h
       WHERE h.wallet_id = wallet.id AND h.status = 'RELEASED' AND h.resolved_at >= u.released_to))
    FROM usage_watermark u
    WHERE wallet.id = ${walletId} AND u.wallet_id = wallet.id`;
}
