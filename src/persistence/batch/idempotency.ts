/** Idempotency records of operations that move no credits. Those that do are written by the posting engine. */
import type { IdempotencyRecord } from '../../domain/posting/idempotency.ts';
import type { Queryable } from '../connection.ts';
import { decodeAnswer, encodeAnswer } from './answer-codec.ts';

/**
 * Claims the key in the caller's transaction. Null where it was free and is now the caller's; else what is stored. A
 * concurrent claim of the same key waits for the other transaction to end, so that nobody sees half of an operation.
 */
export async function claimKey(
  sql: Queryable,
  record: IdempotencyRecord,
): Promise<Pick<IdempotencyRecord, 'requestHash' | 'answer'> | null> {
  const { organizationId, idempotencyKey, operation, requestHash, answer } = record;
  const claimed = await sql`
    INSERT INTO idempotency_record (organization_id, key, operation, request_hash, outcome, created_at)
    VALUES (${organizationId}, ${idempotencyKey}, ${operation}, decode(${requestHash}, 'hex'),
      ${JSON.stringify(encodeAnswer(answer))}::text::jsonb, date_trunc('milliseconds', clock_timestamp()))
    ON CONFLICT (organization_id, key) DO NOTHING`;
  if (claimed.count === 1) return null;
  const [stored] = await sql<{ request_hash: string; outcome: unknown }[]>`
    SELECT encode(request_hash, 'hex') AS request_hash, outcome FROM idempotency_record
    WHERE organization_id = ${organizationId} AND key = ${idempotencyKey}`;
  if (!stored) throw new Error('a key that is taken has a record');
  return { requestHash: stored.request_hash, answer: decodeAnswer(stored.outcome) };
}
