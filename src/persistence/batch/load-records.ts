/** What is stored under the keys of a batch's commands. */
import type { KeyedCommand } from '../../domain/posting/commands.ts';
import type { IdempotencyRecord } from '../../domain/posting/idempotency.ts';
import type { Queryable } from '../connection.ts';
import { decodeAnswer } from './answer-codec.ts';

interface RecordRow {
  organization_id: string;
  key: string;
  operation: string;
  request_hash: string;
  outcome: unknown;
}

/** One index probe per key; a plain join would scan the table where PostgreSQL has no statistics of it yet. */
export async function loadRecords(
  sql: Queryable,
  keyed: readonly KeyedCommand[],
): Promise<readonly IdempotencyRecord[]> {
  if (keyed.length === 0) return [];
  const rows = await sql<RecordRow[]>`
    SELECT r.organization_id, r.key, r.operation, encode(r.request_hash, 'hex') AS request_hash, r.outcome
    FROM unnest(${keyed.map((command) => command.organizationId)}::uuid[],
                ${keyed.map((command) => command.idempotencyKey)}::text[]) AS wanted (organization_id, key)
    CROSS JOIN LATERAL (
      SELECT * FROM idempotency_record
      WHERE organization_id = wanted.organization_id AND key = wanted.key
      LIMIT 1
    ) r`;
  return rows.map((row) => ({
    organizationId: row.organization_id,
    idempotencyKey: row.key,
    operation: row.operation,
    requestHash: row.request_hash,
    answer: decodeAnswer(row.outcome),
  }));
}
