/** Stored answers as JSON and back. Amounts are strings of micros: JSON numbers would round them. */
import { z } from 'zod';
import { micros } from '../domain/credits/micros.ts';
import type { JsonObject, JsonValue } from '../domain/ledger/canonical.ts';
import type { IdempotencyRecord } from '../domain/posting/idempotency.ts';
import type { Refusal } from '../domain/refusals.ts';

type Answer = IdempotencyRecord['answer'];

const amount = z
  .string()
  .regex(/^-?\d+$/)
  .transform((text) => micros(BigInt(text)));

/** Only sticky refusals are ever stored. */
const stickyRefusal = z.discriminatedUnion('code', [
  z.object({ code: z.literal('INSUFFICIENT_CREDITS'), required: amount, available: amount, held: amount }),
  z.object({ code: z.literal('PAYMENT_FAILED'), declineCode: z.string().nullable() }),
]);

const answer = z.union([
  z.object({ transactionId: z.string(), lotId: z.string().nullable(), available: amount }),
  z.object({ refusal: stickyRefusal, available: amount }),
  z.object({ purchaseId: z.string() }),
]);

export function decodeAnswer(stored: unknown): Answer {
  return answer.parse(stored);
}

export function encodeAnswer(value: Answer): JsonObject {
  return encode(value);
}

function encode(value: Answer | Refusal): JsonObject {
  return Object.fromEntries(
    Object.entries(value).map(([name, member]): [string, JsonValue] => {
      if (typeof member === 'bigint') return [name, member.toString()];
      return typeof member === 'object' && member !== null ? [name, encode(member)] : [name, member];
    }),
  );
}
