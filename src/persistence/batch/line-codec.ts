/** Usage lines as the JSON of a transaction row, and back. Amounts are strings of micros, quantities exact decimals. */
import { z } from 'zod';
import type { JsonObject } from '../../domain/canonical.ts';
import { formatDecimal, parseDecimal } from '../../domain/credits/decimal.ts';
import { micros } from '../../domain/credits/micros.ts';
import type { Reservation } from '../../domain/holds/hold.ts';
import type { OperationCount } from '../../domain/limits/frequency-cap.ts';
import type { CheckedLimit } from '../../domain/limits/spend-limit.ts';
import type { PricedLine } from '../../domain/pricing/price.ts';
import { formatInstant, instant } from '../../domain/time/instant.ts';

const amount = z.string().transform((text) => micros(BigInt(text)));

export const line = z.object({
  meter: z.string(),
  quantity: z.string().transform((text, context) => {
    const value = parseDecimal(text);
    if (value) return value;
    context.addIssue({ code: 'custom', message: 'not a decimal' });
    return z.NEVER;
  }),
  rate: z.string(),
  credits: amount,
  waived: amount,
  dimensions: z.record(z.string(), z.json()).nullable(),
  /** Rows without it are lines of no preview. */
  preview: z.boolean().default(false),
});

export function decodeLines(stored: unknown): PricedLine[] {
  return z.array(line).parse(stored);
}

export function encodeLines(lines: readonly PricedLine[]): JsonObject[] {
  return lines.map(({ meter, quantity, rate, credits, waived, dimensions, preview }) => ({
    meter,
    quantity: formatDecimal(quantity),
    rate,
    credits: credits.toString(),
    waived: waived.toString(),
    dimensions,
    preview,
  }));
}

/** Checked limits as JSON; null where there were none. */
export function encodeLimits(limits: readonly CheckedLimit[]): JsonObject[] | null {
  if (limits.length === 0) return null;
  return limits.map(({ limitCode, limit, used, blocked }) => ({
    limitCode,
    limit: limit.toString(),
    used: used.toString(),
    blocked,
  }));
}

export const checkedLimit = z.object({ limitCode: z.string(), limit: amount, used: amount, blocked: z.boolean() });

export function decodeLimits(stored: unknown): CheckedLimit[] {
  return z.array(checkedLimit).parse(stored ?? []);
}

/** Where a hold has taken room, as JSON. */
export function encodeReservations(reservations: readonly Reservation[]): JsonObject[] {
  return reservations.map(({ counter, windowStart }) => ({
    limitCode: counter,
    windowStart: formatInstant(windowStart),
  }));
}

const reservation = z.object({
  limitCode: z.string(),
  windowStart: z.string().transform((text) => instant(Date.parse(text))),
});

export function decodeReservations(stored: unknown): Reservation[] {
  const reservations = z.array(reservation).parse(stored);
  return reservations.map(({ limitCode: counter, windowStart }) => ({ counter, windowStart }));
}

/** What a hold has reserved of frequency caps, as JSON. */
export function encodeOperations(counts: readonly OperationCount[]): JsonObject[] {
  return counts.map(({ key, window, windowStart, operations }) => ({
    key,
    window,
    windowStart: formatInstant(windowStart),
    operations,
  }));
}

const operationCount = reservation.omit({ limitCode: true }).extend({
  key: z.string(),
  window: z.enum(['HOUR', 'DAY', 'MONTH']),
  operations: z.number(),
});

export function decodeOperations(stored: unknown): OperationCount[] {
  return z.array(operationCount).parse(stored);
}
