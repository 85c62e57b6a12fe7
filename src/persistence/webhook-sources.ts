/**
 * What webhooks can tell: one source per type of event. A source's events are rows that the books write in the transaction
 * of their cause, numbered without gaps in the order of their commits, per wallet or organization. They are the outbox: to
 * tell all of them it takes a cursor, and posting does nothing for it.
 */
import { formatCredits, micros } from '../domain/credits/micros.ts';
import { encodeId } from '../domain/identity/global-id.ts';
import { formatInstant, type Instant } from '../domain/time/instant.ts';
import type { WebhookEvent } from '../domain/webhooks/event.ts';
import { amounts } from './columns.ts';
import { type Fragment, fragment, type Queryable } from './connection.ts';

/** Where an endpoint stands in a source. */
export interface SourceCursor {
  readonly endpointId: string;
  readonly organizationId: string;
  readonly walletId: string;
  /** The number of the newest event that was collected. */
  readonly position: bigint;
  /** How many events at most are collected now. */
  readonly room: number;
}

export interface CollectedEvent {
  readonly endpointId: string;
  readonly organizationId: string;
  readonly number: bigint;
  readonly event: WebhookEvent;
}

export interface WebhookSource {
  /** The number of the newest event of the wallet `w`. */
  readonly newest: Fragment;
  /** The events after each cursor, in their order, as many as there is room for. */
  readonly load: (sql: Queryable, cursors: readonly SourceCursor[]) => Promise<CollectedEvent[]>;
}

/** By the type of their events. */
export const WEBHOOK_SOURCES: Readonly<Record<string, WebhookSource>> = {
  'balance.changed': { newest: fragment`w.version`, load: balanceChanges },
  'ledger_entry.posted': { newest: fragment`w.sequence`, load: ledgerEntries },
  'balance.low': { newest: fragment`w.alert_number`, load: alertEvents },
  'activity.added': {
    newest: fragment`coalesce(
      (SELECT f.last_number FROM activity_feed f WHERE f.organization_id = w.organization_id), 0)`,
    load: activities,
  },
};

/** The cursors as rows `c`, to be joined with what comes after each of them. */
const cursorRows = (cursors: readonly SourceCursor[]): Fragment => fragment`unnest(
    ${cursors.map(({ endpointId }) => endpointId)}::uuid[],
    ${cursors.map(({ organizationId }) => organizationId)}::uuid[],
    ${cursors.map(({ walletId }) => walletId)}::uuid[],
    ${amounts(cursors.map(({ position }) => position))}::bigint[],
    ${cursors.map(({ room }) => room)}::int[]
  ) AS c (endpoint_id, organization_id, wallet_id, position, room)`;

interface CursorRow {
  readonly endpoint_id: string;
  readonly organization_id: string;
  readonly wallet_id: string;
}

const idOrNull = (type: string, key: string | null): string | null => (key === null ? null : encodeId(type, key));
const ownersOf = ({ organization_id: organizationId, wallet_id: walletId }: CursorRow) => ({
  organizationId: encodeId('Organization', organizationId),
  walletId: encodeId('Wallet', walletId),
});

interface ChangeRow extends CursorRow {
  readonly version: bigint;
  readonly sequence: bigint;
  readonly change_micros: bigint;
  readonly reason_code: string;
  readonly total_available_micros: bigint;
  readonly held_micros: bigint;
  readonly transaction_id: string | null;
  readonly occurred_at: Instant;
}

async function balanceChanges(sql: Queryable, cursors: readonly SourceCursor[]): Promise<CollectedEvent[]> {
  const rows = await sql<ChangeRow[]>`
    SELECT c.endpoint_id, c.organization_id, c.wallet_id, b.*
    FROM ${cursorRows(cursors)}
    CROSS JOIN LATERAL (
      SELECT version, sequence, change_micros, reason_code, total_available_micros, held_micros, transaction_id, occurred_at
      FROM balance_change WHERE wallet_id = c.wallet_id AND version > c.position ORDER BY version LIMIT c.room
    ) b
    ORDER BY c.endpoint_id, b.version`;
  return rows.map((row) => ({
    endpointId: row.endpoint_id,
    organizationId: row.organization_id,
    number: row.version,
    event: {
      id: encodeId('BalanceChange', `${row.wallet_id}:${row.version}`),
      type: 'balance.changed',
      occurredAt: row.occurred_at,
      data: {
        ...ownersOf(row),
        version: Number(row.version),
        sequence: Number(row.sequence),
        change: formatCredits(micros(row.change_micros)),
        reasonCode: row.reason_code,
        totalAvailable: formatCredits(micros(row.total_available_micros)),
        held: formatCredits(micros(row.held_micros)),
        transactionId: idOrNull('Transaction', row.transaction_id),
      },
    },
  }));
}

interface EntryRow extends CursorRow {
  readonly sequence: bigint;
  readonly transaction_id: string;
  readonly direction: string;
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

async function ledgerEntries(sql: Queryable, cursors: readonly SourceCursor[]): Promise<CollectedEvent[]> {
  const rows = await sql<EntryRow[]>`
    SELECT c.endpoint_id, c.organization_id, c.wallet_id, l.*, b.key AS bucket_key
    FROM ${cursorRows(cursors)}
    CROSS JOIN LATERAL (
      SELECT sequence, transaction_id, direction, amount_micros, balance_after_micros, reason_code, lot_id, bucket_id, meter,
        task_id, execution_id, posted_at, effective_at, encode(hash, 'hex') AS hash
      FROM ledger_entry WHERE wallet_id = c.wallet_id AND sequence > c.position ORDER BY sequence LIMIT c.room
    ) l
    LEFT JOIN bucket b ON b.id = l.bucket_id
    ORDER BY c.endpoint_id, l.sequence`;
  return rows.map((row) => ({
    endpointId: row.endpoint_id,
    organizationId: row.organization_id,
    number: row.sequence,
    event: {
      id: encodeId('LedgerEntryPosted', `${row.wallet_id}:${row.sequence}`),
      type: 'ledger_entry.posted',
      occurredAt: row.effective_at,
      data: {
        id: encodeId('LedgerEntry', `${row.wallet_id}.${row.sequence}`),
        ...ownersOf(row),
        sequence: Number(row.sequence),
        direction: row.direction,
        amount: formatCredits(micros(row.amount_micros)),
        balanceAfter: formatCredits(micros(row.balance_after_micros)),
        reasonCode: row.reason_code,
        bucketKey: row.bucket_key,
        lotId: idOrNull('Lot', row.lot_id),
        transactionId: encodeId('Transaction', row.transaction_id),
        meter: row.meter,
        taskId: row.task_id,
        executionId: row.execution_id,
        postedAt: formatInstant(row.posted_at),
        effectiveAt: formatInstant(row.effective_at),
        hash: row.hash,
      },
    },
  }));
}

interface AlertRow extends CursorRow {
  readonly number: bigint;
  readonly alert_id: string;
  readonly transition: string;
  readonly threshold_micros: bigint;
  readonly total_available_micros: bigint;
  readonly version: bigint;
  readonly occurred_at: Instant;
}

async function alertEvents(sql: Queryable, cursors: readonly SourceCursor[]): Promise<CollectedEvent[]> {
  const rows = await sql<AlertRow[]>`
    SELECT c.endpoint_id, c.organization_id, c.wallet_id, a.*
    FROM ${cursorRows(cursors)}
    CROSS JOIN LATERAL (
      SELECT number, alert_id, transition, threshold_micros, total_available_micros, version, occurred_at
      FROM alert_event WHERE wallet_id = c.wallet_id AND number > c.position ORDER BY number LIMIT c.room
    ) a
    ORDER BY c.endpoint_id, a.number`;
  return rows.map((row) => ({
    endpointId: row.endpoint_id,
    organizationId: row.organization_id,
    number: row.number,
    event: {
      id: encodeId('LowBalanceEvent', `${row.wallet_id}:${row.number}`),
      type: 'balance.low',
      occurredAt: row.occurred_at,
      data: {
        ...ownersOf(row),
        alertId: encodeId('Alert', row.alert_id),
        transition: row.transition,
        threshold: formatCredits(micros(row.threshold_micros)),
        totalAvailable: formatCredits(micros(row.total_available_micros)),
        version: Number(row.version),
      },
    },
  }));
}

interface ActivityRow extends CursorRow {
  readonly number: bigint;
  readonly kind: string;
  readonly summary: string;
  readonly credits_micros: bigint | null;
  readonly task_id: string | null;
  readonly execution_id: string | null;
  readonly occurred_at: Instant;
}

async function activities(sql: Queryable, cursors: readonly SourceCursor[]): Promise<CollectedEvent[]> {
  const rows = await sql<ActivityRow[]>`
    SELECT c.endpoint_id, c.organization_id, c.wallet_id, a.*
    FROM ${cursorRows(cursors)}
    CROSS JOIN LATERAL (
      SELECT number, kind, summary, credits_micros, task_id, execution_id, occurred_at
      FROM activity WHERE organization_id = c.organization_id AND number > c.position ORDER BY number LIMIT c.room
    ) a
    ORDER BY c.endpoint_id, a.number`;
  return rows.map((row) => ({
    endpointId: row.endpoint_id,
    organizationId: row.organization_id,
    number: row.number,
    event: {
      id: encodeId('ActivityAdded', `${row.organization_id}:${row.number}`),
      type: 'activity.added',
      occurredAt: row.occurred_at,
      data: {
        id: encodeId('Activity', `${row.organization_id}.${row.number}`),
        organizationId: encodeId('Organization', row.organization_id),
        kind: row.kind,
        summary: row.summary,
        credits: row.credits_micros === null ? null : formatCredits(micros(row.credits_micros)),
        taskId: row.task_id,
        executionId: row.execution_id,
      },
    },
  }));
}
