/**
 * Usage that occurred in another month than it was posted in. Rollups go by when it occurred, statements by when it was
 * posted: the difference is kept beside them, taken off where it occurred and added where it was posted. Little of all usage
 * is of this kind, and none where nobody tells when it occurred.
 */
import { add, type Decimal, subtract, ZERO_DECIMAL } from '../credits/decimal.ts';
import { type Micros, micros } from '../credits/micros.ts';
import type { PostedTransaction } from '../posting/records.ts';
import { calendarWindow } from '../time/calendar.ts';
import type { Instant } from '../time/instant.ts';
import type { Zone } from '../time/zone.ts';
import { dimension, startOfQuarterHour, usedBy } from '../usage/rollup.ts';

/** Added to what the rollups say of a quarter hour; empty text stands for none. */
export interface CarriedUsage {
  readonly walletId: string;
  readonly startsAt: Instant;
  readonly meter: string;
  readonly model: string;
  readonly userId: string;
  readonly projectId: string;
  /** Negative where it occurred. */
  quantity: Decimal;
  credits: Micros;
  events: bigint;
}

/** What a wallet's new transactions carry from month to month, one row per key. */
export function carriedUsage(transactions: readonly PostedTransaction[], zone: Zone): CarriedUsage[] {
  const carried = new Map<string, CarriedUsage>();
  for (const transaction of transactions) {
    const { occurredAt, effectiveAt } = transaction;
    if (occurredAt === null || isSameMonth(occurredAt, effectiveAt, zone)) continue;
    if (transaction.kind !== 'DEBIT' && transaction.kind !== 'CAPTURE') continue;
    addUsage(carried, transaction, effectiveAt, 1n);
    addUsage(carried, transaction, occurredAt, -1n);
  }
  return [...carried.values()];
}

function addUsage(
  carried: Map<string, CarriedUsage>,
  transaction: PostedTransaction,
  at: Instant,
  sign: 1n | -1n,
): void {
  const { walletId, attribution } = transaction;
  for (const { meter, quantity, credits, dimensions } of usedBy(transaction)) {
    const key = {
      startsAt: startOfQuarterHour(at),
      meter,
      model: dimension(dimensions, 'model'),
      userId: attribution.userId ?? '',
      projectId: attribution.projectId ?? '',
    };
    const id = JSON.stringify(Object.values(key));
    const row = carried.get(id) ?? { walletId, ...key, quantity: ZERO_DECIMAL, credits: micros(0n), events: 0n };
    row.quantity = sign > 0n ? add(row.quantity, quantity) : subtract(row.quantity, quantity);
    row.credits = micros(row.credits + sign * credits);
    row.events += sign;
    carried.set(id, row);
  }
}

function isSameMonth(one: Instant, other: Instant, zone: Zone): boolean {
  if (isSurelySameMonth(new Date(one), new Date(other))) return true;
  const { start, end } = calendarWindow('MONTH', one, zone);
  return start <= other && other < end;
}

/** Whatever the zone: in the middle of a month of UTC it is the same month everywhere. Cutting a month costs more. */
function isSurelySameMonth(one: Date, other: Date): boolean {
  const isInTheMiddle = (day: number): boolean => day > 1 && day < 28;
  return (
    one.getUTCMonth() === other.getUTCMonth() &&
    one.getUTCFullYear() === other.getUTCFullYear() &&
    isInTheMiddle(one.getUTCDate()) &&
    isInTheMiddle(other.getUTCDate())
  );
}
