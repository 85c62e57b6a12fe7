/**
 * The hash chain verified from the columns of the database alone, by an implementation of the tests' own: what an auditor
 * would write after reading docs, without any of our code.
 */
import { createHash } from 'node:crypto';
import type { ClientBase, Pool } from 'pg';

interface EntryRow {
  readonly sequence: string;
  readonly fields: readonly (string | null)[];
  readonly metadata: Record<string, unknown> | null;
  readonly hash: string;
}

/** Everything as PostgreSQL prints it. */
async function entriesOf(client: ClientBase | Pool, walletId: string): Promise<EntryRow[]> {
  const instant = (column: string) => `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
  const { rows } = await client.query<EntryRow>(
    `SELECT e.sequence::text, t.metadata, encode(e.hash, 'hex') AS hash, ARRAY[
       e.wallet_id::text, e.sequence::text, t.kind::text, e.direction::text, e.amount_micros::text,
       e.balance_after_micros::text, e.reason_code, e.lot_id::text, e.transaction_id::text, e.task_id, e.execution_id,
       e.meter, e.actor_kind::text, e.actor_id, ${instant('e.posted_at')}, ${instant('e.effective_at')},
       ${instant('e.occurred_at')}] AS fields
     FROM ledger_entry e JOIN ledger_transaction t ON t.id = e.transaction_id
     WHERE e.wallet_id = $1 ORDER BY e.sequence`,
    [walletId],
  );
  return rows;
}

const prefixed = (field: string | null): string =>
  field === null ? '-' : `${new TextEncoder().encode(field).length}:${field}`;

function sortedJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(sortedJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value)
    .filter(([, member]) => member !== null)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${sortedJson(member)}`).join(',')}}`;
}

function pairs(metadata: Record<string, unknown> | null): string {
  if (metadata === null) return '-';
  const members = Object.entries(metadata).sort(([a], [b]) => (a < b ? -1 : 1));
  return `${members.length}[${members.map(([name, value]) => prefixed(name) + prefixed(sortedJson(value))).join('')}]`;
}

export interface VerifiedChain {
  /** Sequences at which the chain does not hold. */
  readonly broken: string[];
  /** The hash that it ends in. */
  readonly head: string;
  readonly length: number;
}

export async function verifyChain(client: ClientBase | Pool, walletId: string): Promise<VerifiedChain> {
  let previous = '0'.repeat(64);
  const broken: string[] = [];
  const entries = await entriesOf(client, walletId);
  for (const { sequence, fields, metadata, hash } of entries) {
    const text = [previous, 'purser-ledger-1', ...fields].map(prefixed).join('') + pairs(metadata);
    if (createHash('sha256').update(text, 'utf8').digest('hex') !== hash) broken.push(sequence);
    previous = hash;
  }
  return { broken, head: previous, length: entries.length };
}
