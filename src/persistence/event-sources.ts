/**
 * The events of the books: rows that are written in the transaction of their cause and never changed, numbered without gaps
 * in the order of their commits, per wallet or organization. Live streams and webhooks read the same ones from cursors of
 * their own: to tell all of them it takes a cursor, and posting does nothing for it.
 */
import type { NewActivity } from '../domain/activity/activity.ts';
import type { AlertTransition } from '../domain/alerts/alert.ts';
import { type Micros, micros } from '../domain/credits/micros.ts';
import type { Tenant } from '../domain/identity/caller.ts';
import type { ReasonCode } from '../domain/ledger/reason-code.ts';
import type { PostedAlertEvent, PostedChange } from '../domain/posting/records.ts';
import type { Instant } from '../domain/time/instant.ts';
import { amounts } from './columns.ts';
import { type Fragment, fragment, type Queryable } from './connection.ts';

/** Where a reader stands. */
export interface EventCursor extends Tenant {
  /** The number of the newest event that it has. */
  readonly position: bigint;
  /** How many events it takes at most. */
  readonly room: number;
}

export interface ReadEvent<Row, Cursor> {
  readonly cursor: Cursor;
  readonly number: bigint;
  readonly row: Row;
}

export interface EventSource<Row> {
  /** The number of the newest event of the wallet `w`; 0 before the first. */
  readonly newest: Fragment;
  /** The events behind each cursor, in their order, as many as it takes. */
  readonly after: <Cursor extends EventCursor>(
    sql: Queryable,
    cursors: readonly Cursor[],
  ) => Promise<ReadEvent<Row, Cursor>[]>;
}

/** `events` reads those behind one cursor `c`, each with its number. */
function eventSource<Columns, Row>(
  newest: Fragment,
  events: Fragment,
  toRow: (columns: Columns & { readonly number: bigint }, of: Tenant) => Row,
): EventSource<Row> {
  return {
    newest,
    async after(sql, cursors) {
      const rows = await sql<(Columns & { readonly number: bigint; readonly place: number })[]>`
        SELECT c.place::int AS place, e.*
        FROM unnest(
          ${cursors.map(({ walletId }) => walletId)}::uuid[],
          ${cursors.map(({ organizationId }) => organizationId)}::uuid[],
          ${amounts(cursors.map(({ position }) => position))}::bigint[],
          ${cursors.map(({ room }) => room)}::int[]
        ) WITH ORDINALITY AS c (wallet_id, organization_id, position, room, place)
        CROSS JOIN LATERAL (${events}) e
        ORDER BY c.place, e.number`;
      return rows.map((row) => {
        const cursor = cursors[row.place - 1];
        if (!cursor) throw new Error('an event of no cursor');
        return { cursor, number: row.number, row: toRow(row, cursor) };
      });
    },
  };
}

interface ChangeColumns {
  readonly sequence: bigint;
  readonly change_micros: bigint;
  readonly reason_code: ReasonCode;
  readonly total_available_micros: bigint;
  readonly held_micros: bigint;
  readonly transaction_id: string | null;
  readonly occurred_at: Instant;
}

/** Numbered by the wallet's version. Those behind the retention are forgotten. */
export const BALANCE_CHANGES = eventSource<ChangeColumns, PostedChange>(
  fragment`w.version`,
  fragment`
    SELECT version AS number, sequence, change_micros, reason_code, total_available_micros, held_micros, transaction_id,
      occurred_at
    FROM balance_change WHERE wallet_id = c.wallet_id AND version > c.position ORDER BY version LIMIT c.room`,
  (row, { walletId }) => ({
    walletId,
    version: row.number,
    sequence: row.sequence,
    change: micros(row.change_micros),
    reasonCode: row.reason_code,
    totalAvailable: micros(row.total_available_micros),
    held: micros(row.held_micros),
    transactionId: row.transaction_id,
    occurredAt: row.occurred_at,
  }),
);

interface EntryColumns {
  readonly transaction_id: string;
  readonly direction: 'CREDIT' | 'DEBIT';
  readonly amount_micros: bigint;
  readonly balance_after_micros: bigint;
  readonly reason_code: string;
  readonly lot_id: string | null;
  readonly bucket_key: string | null;
  readonly meter: string | null;
  readonly task_id: string | null;
  readonly execution_id: string | null;
  readonly posted_at: Instant;
  readonly effective_at: Instant;
  readonly hash: string;
}

/** An entry as readers of events know it. */
export interface EntryEvent {
  readonly walletId: string;
  readonly sequence: bigint;
  readonly transactionId: string;
  readonly direction: 'CREDIT' | 'DEBIT';
  readonly amount: Micros;
  readonly balanceAfter: Micros;
  readonly reasonCode: string;
  readonly lotId: string | null;
  readonly bucketKey: string | null;
  readonly meter: string | null;
  readonly taskId: string | null;
  readonly executionId: string | null;
  readonly postedAt: Instant;
  readonly effectiveAt: Instant;
  readonly hash: string;
}

export const LEDGER_ENTRIES = eventSource<EntryColumns, EntryEvent>(
  fragment`w.sequence`,
  fragment`
    SELECT l.*, b.key AS bucket_key
    FROM (
      SELECT sequence AS number, transaction_id, direction, amount_micros, balance_after_micros, reason_code, lot_id, bucket_id,
        meter, task_id, execution_id, posted_at, effective_at, encode(hash, 'hex') AS hash
      FROM ledger_entry WHERE wallet_id = c.wallet_id AND sequence > c.position ORDER BY sequence LIMIT c.room
    ) l
    LEFT JOIN bucket b ON b.id = l.bucket_id`,
  (row, { walletId }) => ({
    walletId,
    sequence: row.number,
    transactionId: row.transaction_id,
    direction: row.direction,
    amount: micros(row.amount_micros),
    balanceAfter: micros(row.balance_after_micros),
    reasonCode: row.reason_code,
    lotId: row.lot_id,
    bucketKey: row.bucket_key,
    meter: row.meter,
    taskId: row.task_id,
    executionId: row.execution_id,
    postedAt: row.posted_at,
    effectiveAt: row.effective_at,
    hash: row.hash,
  }),
);

interface AlertColumns {
  readonly alert_id: string;
  readonly transition: AlertTransition;
  readonly threshold_micros: bigint;
  readonly total_available_micros: bigint;
  readonly version: bigint;
  readonly occurred_at: Instant;
}

export const ALERT_EVENTS = eventSource<AlertColumns, PostedAlertEvent>(
  fragment`w.alert_number`,
  fragment`
    SELECT number, alert_id, transition, threshold_micros, total_available_micros, version, occurred_at
    FROM alert_event WHERE wallet_id = c.wallet_id AND number > c.position ORDER BY number LIMIT c.room`,
  (row, { walletId }) => ({
    walletId,
    number: row.number,
    alertId: row.alert_id,
    transition: row.transition,
    threshold: micros(row.threshold_micros),
    totalAvailable: micros(row.total_available_micros),
    version: row.version,
    occurredAt: row.occurred_at,
  }),
);

interface ActivityColumns {
  readonly kind: NewActivity['kind'];
  readonly summary: string;
  readonly credits_micros: bigint | null;
  readonly task_id: string | null;
  readonly execution_id: string | null;
  readonly occurred_at: Instant;
}

/** An activity as readers of events know it. */
export interface ActivityEvent {
  readonly organizationId: string;
  readonly number: bigint;
  readonly kind: NewActivity['kind'];
  readonly summary: string;
  readonly credits: Micros | null;
  readonly taskId: string | null;
  readonly executionId: string | null;
  readonly occurredAt: Instant;
}

/** Numbered per organization. */
export const ACTIVITIES = eventSource<ActivityColumns, ActivityEvent>(
  fragment`coalesce((SELECT f.last_number FROM activity_feed f WHERE f.organization_id = w.organization_id), 0)`,
  fragment`
    SELECT number, kind, summary, credits_micros, task_id, execution_id, occurred_at
    FROM activity WHERE organization_id = c.organization_id AND number > c.position ORDER BY number LIMIT c.room`,
  (row, { organizationId }) => ({
    organizationId,
    number: row.number,
    kind: row.kind,
    summary: row.summary,
    credits: row.credits_micros === null ? null : micros(row.credits_micros),
    taskId: row.task_id,
    executionId: row.execution_id,
    occurredAt: row.occurred_at,
  }),
);

/** By the type of their events. */
export const EVENT_SOURCES = {
  'balance.changed': BALANCE_CHANGES,
  'ledger_entry.posted': LEDGER_ENTRIES,
  'balance.low': ALERT_EVENTS,
  'activity.added': ACTIVITIES,
} as const satisfies Readonly<Record<string, EventSource<unknown>>>;

export type EventType = keyof typeof EVENT_SOURCES;

/** What one reader reads next. */
export async function eventsAfter<Row>(
  sql: Queryable,
  source: EventSource<Row>,
  { walletId, organizationId }: Tenant,
  position: bigint,
  limit: number,
): Promise<Row[]> {
  const events = await source.after(sql, [{ walletId, organizationId, position, room: limit }]);
  return events.map(({ row }) => row);
}

/** The number of the newest event of one wallet; 0 before the first. */
export async function newestEvent(sql: Queryable, { newest }: EventSource<unknown>, walletId: string): Promise<bigint> {
  const [row] = await sql<{ newest: bigint }[]>`SELECT ${newest} AS newest FROM wallet w WHERE w.id = ${walletId}`;
  if (!row) throw new Error(`there is no wallet ${walletId}`);
  return row.newest;
}
