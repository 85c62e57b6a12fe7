/** Stored answers as JSON and back. Amounts are strings of micros: JSON numbers would round them. */
import { z } from 'zod';
import type { JsonObject, JsonValue } from '../../domain/canonical.ts';
import { micros } from '../../domain/credits/micros.ts';
import type { IdempotencyRecord } from '../../domain/posting/idempotency.ts';
import type { Explanation } from '../../domain/refusals.ts';
import { formatInstant, instant } from '../../domain/time/instant.ts';
import { checkedLimit, encodeLimits, encodeLines, line } from './line-codec.ts';

type Answer = IdempotencyRecord['answer'];

const amount = z
  .string()
  .regex(/^-?\d+$/)
  .transform((text) => micros(BigInt(text)));
const at = z.string().transform((text) => instant(Date.parse(text)));

const explanation = z.object({
  walletId: z.string(),
  rateCardVersion: z.number().nullable(),
  lines: z.array(line),
  limits: z.array(checkedLimit),
  lots: z.array(z.object({ lotId: z.string(), available: amount })),
});

/** Only sticky refusals are ever stored. */
const stickyRefusal = z.discriminatedUnion('code', [
  z.object({
    code: z.literal('INSUFFICIENT_CREDITS'),
    required: amount,
    available: amount,
    held: amount,
    explanation: explanation.nullable().default(null),
  }),
  z.object({
    code: z.literal('SPEND_LIMIT_REACHED'),
    limitCode: z.string(),
    limit: amount,
    used: amount,
    resetsAt: at,
    /** Those stored before there were spend limits are of the plan's cap. */
    spendLimitId: z.string().nullable().default(null),
    explanation,
  }),
  z.object({ code: z.literal('ALLOCATION_EXHAUSTED'), allocationId: z.string(), required: amount, explanation }),
  z.object({
    code: z.literal('PLAN_LIMIT_REACHED'),
    key: z.string(),
    limit: z.number(),
    current: z.number(),
    resetsAt: at.nullable(),
    upgradePlanKeys: z.array(z.string()),
    explanation: explanation.nullable().default(null),
  }),
  z.object({ code: z.literal('CAPTURE_EXCEEDS_HOLD'), required: amount, held: amount }),
]);

const hold = z.object({
  id: z.string(),
  status: z.enum(['OPEN', 'CAPTURED', 'RELEASED', 'EXPIRED']),
  captured: amount,
  remaining: amount,
  expiresAt: at,
});

const answer = z.union([
  z.object({
    transactionId: z.string(),
    lotId: z.string().nullable(),
    hold: hold.nullable().default(null),
    available: amount,
  }),
  z.object({ refusal: stickyRefusal, available: amount }),
  z.object({ subscriptionId: z.string(), available: amount }),
  z.object({ hold, available: amount }),
  z.object({ purchaseId: z.string(), available: amount }),
  z.object({ purchaseId: z.string() }),
]);

export function decodeAnswer(stored: unknown): Answer {
  return answer.parse(stored);
}

export function encodeAnswer(value: Answer): JsonObject {
  return encode(value);
}

function encode(value: object): JsonObject {
  return Object.fromEntries(
    Object.entries(value).map(([name, member]: [string, unknown]): [string, JsonValue] => [
      name,
      encodeMember(name, member),
    ]),
  );
}

function encodeMember(name: string, member: unknown): JsonValue {
  if (typeof member === 'bigint') return member.toString();
  if (name === 'explanation' && member !== null) return encodeExplanation(member as Explanation);
  if ((name === 'resetsAt' && member !== null) || name === 'expiresAt') return formatInstant(instant(Number(member)));
  if (Array.isArray(member)) return member as JsonValue[];
  return typeof member === 'object' && member !== null ? encode(member) : (member as JsonValue);
}

function encodeExplanation({ lines, limits, lots, ...rest }: Explanation): JsonObject {
  return {
    ...rest,
    lines: encodeLines(lines),
    limits: encodeLimits(limits) ?? [],
    lots: lots.map(({ lotId, available }) => ({ lotId, available: available.toString() })),
  };
}
