/**
 * Idempotency: the first answer to a key is recorded in the transaction of its effect and given again to the same payload;
 * another payload under the key is refused without telling what was stored.
 */
import type { Micros } from '../credits/micros.ts';
import type { HoldState } from '../holds/hold.ts';
import type { Refusal } from '../refusals.ts';
import type { Keyed, KeyedCommand } from './commands.ts';
import {
  type Held,
  type HoldView,
  type PlanPurchaseBegun,
  type Posted,
  type RefundBegun,
  type Refused,
  type Replayed,
  refused,
  type Subscribed,
} from './outcomes.ts';
import type { WalletBook } from './wallet-book.ts';

/** What was done, by its ids, and what of the answer changes later. What else it shows is read from the books. */
export type GivenAnswer =
  | { readonly transactionId: string; readonly lotId: string | null; readonly hold: AnsweredHold | null }
  | { readonly hold: AnsweredHold }
  | { readonly subscriptionId: string }
  | { readonly purchaseId: string };

export interface AnsweredHold extends HoldState {
  readonly id: string;
}

/** The part of an answer that is the same at every replay. */
export type StoredAnswer =
  | (GivenAnswer & { readonly available: Micros })
  | { readonly refusal: Refusal; readonly available: Micros };

export interface IdempotencyRecord extends Keyed {
  readonly organizationId: string;
  readonly operation: string;
  readonly answer: StoredAnswer | { readonly purchaseId: string };
}

/** Keys are compared by bytes and belong to one organization. */
export function idempotencyId({
  organizationId,
  idempotencyKey,
}: Pick<IdempotencyRecord, 'organizationId' | 'idempotencyKey'>) {
  return `${organizationId}:${idempotencyKey}`;
}

export function answerAgain(record: IdempotencyRecord, command: KeyedCommand, book: WalletBook): Refused | Replayed {
  const { idempotencyKey, requestHash } = command;
  const { answer } = record;
  // Purchases that are begun have keys too; what they answered tells no balance.
  if (record.requestHash !== requestHash || !('available' in answer)) {
    return refused({ code: 'IDEMPOTENCY_KEY_REUSED', idempotencyKey }, book.available);
  }
  const { available: availableNow } = book;
  if ('refusal' in answer) return { status: 'refused', replayed: true, ...answer, availableNow };
  const { available, ...given } = answer;
  return { status: 'replayed', answer: given, available, availableNow };
}

/** What may be answered again: everything that was done, and refusals that stick. */
export type Recordable = Posted | Held | Subscribed | PlanPurchaseBegun | RefundBegun | Refused;

export function recordOf(command: KeyedCommand, outcome: Recordable): IdempotencyRecord {
  const { organizationId, idempotencyKey, requestHash, kind: operation } = command;
  const { available } = outcome;
  return {
    organizationId,
    idempotencyKey,
    requestHash,
    operation,
    answer: { available, ...answered(outcome) },
  };
}

function answered(outcome: Recordable): GivenAnswer | { readonly refusal: Refusal } {
  switch (outcome.status) {
    case 'posted':
      return {
        transactionId: outcome.transaction.id,
        lotId: outcome.lotId,
        hold: outcome.hold && answeredHold(outcome.hold),
      };
    case 'held':
      return { hold: answeredHold(outcome.hold) };
    case 'subscribed':
      return { subscriptionId: outcome.subscriptionId };
    case 'plan-purchase-begun':
    case 'refund-begun':
      return { purchaseId: outcome.purchaseId };
    case 'refused':
      return { refusal: outcome.refusal };
    default: {
      const never: never = outcome;
      throw new Error(`an answer that cannot be stored: ${JSON.stringify(never)}`);
    }
  }
}

const answeredHold = ({ facts, state }: HoldView): AnsweredHold => ({ id: facts.id, ...state });
