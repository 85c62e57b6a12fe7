/**
 * Idempotency: the first answer to a key is recorded in the transaction of its effect and given again to the same payload;
 * another payload under the key is refused without telling what was stored.
 */
import type { Micros } from '../credits/micros.ts';
import type { Refusal } from '../refusals.ts';
import type { Instant } from '../time/instant.ts';
import type { Keyed, KeyedCommand } from './commands.ts';
import { type Outcome, type Posted, type Refused, refused } from './outcomes.ts';
import type { WalletBook } from './wallet-book.ts';

/** The part of an answer that is the same at every replay. What else it shows is read from the books. */
export type StoredAnswer =
  | { readonly transactionId: string; readonly lotId: string | null; readonly available: Micros }
  | { readonly refusal: Refusal; readonly available: Micros };

export interface IdempotencyRecord extends Keyed {
  readonly organizationId: string;
  readonly operation: string;
  readonly answer: StoredAnswer | { readonly purchaseId: string };
  readonly createdAt: Instant;
}

/** Keys are compared by bytes and belong to one organization. */
export function idempotencyId({
  organizationId,
  idempotencyKey,
}: Pick<IdempotencyRecord, 'organizationId' | 'idempotencyKey'>) {
  return `${organizationId}:${idempotencyKey}`;
}

export function answerAgain(record: IdempotencyRecord, command: KeyedCommand, book: WalletBook): Outcome {
  const { idempotencyKey, requestHash } = command;
  const { answer } = record;
  if (record.requestHash !== requestHash || 'purchaseId' in answer) {
    return refused({ code: 'IDEMPOTENCY_KEY_REUSED', idempotencyKey }, book.available);
  }
  const { available: availableNow } = book;
  return 'refusal' in answer
    ? { status: 'refused', replayed: true, ...answer, availableNow }
    : { status: 'replayed', ...answer, availableNow };
}

export function recordOf(command: KeyedCommand, outcome: Posted | Refused, createdAt: Instant): IdempotencyRecord {
  const { organizationId, idempotencyKey, requestHash, kind: operation } = command;
  const { available } = outcome;
  const answer =
    outcome.status === 'posted'
      ? { transactionId: outcome.transaction.id, lotId: outcome.lotId, available }
      : { refusal: outcome.refusal, available };
  return { organizationId, idempotencyKey, requestHash, operation, answer, createdAt };
}
