/**
 * Usage rollups: what was used, summed up by quarter hour and by day (UTC) and by everything that reports group by most.
 * They are kept by the transaction that charges, so that a report reads few rows however long the history is. Every time
 * zone is a whole number of quarter hours off UTC, so that local days and months are sums of them.
 */

import type { JsonObject, JsonValue } from '../canonical.ts';
import { add, type Decimal, ZERO_DECIMAL } from '../credits/decimal.ts';
import { type Micros, negate, plus } from '../credits/micros.ts';
import type { PostedTransaction } from '../posting/records.ts';
import type { PricedLine } from '../pricing/price.ts';
import { type Instant, instant } from '../time/instant.ts';

export const QUARTER_HOUR_MILLISECONDS = 15 * 60_000;
export const DAY_MILLISECONDS = 24 * 60 * 60_000;

export type RollupGrain = 'QUARTER_HOUR' | 'DAY';

const LENGTHS: Readonly<Record<RollupGrain, number>> = {
  QUARTER_HOUR: QUARTER_HOUR_MILLISECONDS,
  DAY: DAY_MILLISECONDS,
};

/** What usage is summed up by; empty text stands for none. */
export interface RollupKey {
  readonly walletId: string;
  readonly grain: RollupGrain;
  readonly startsAt: Instant;
  /** Empty for a charge by amount. */
  readonly meter: string;
  readonly model: string;
  readonly modality: string;
  readonly operation: string;
  readonly userId: string;
  readonly projectId: string;
  readonly apiKeyId: string;
}

export interface Rollup extends RollupKey {
  quantity: Decimal;
  credits: Micros;
  /** Usage lines, and charges by amount. */
  events: bigint;
}

/** What a batch adds to the rollups, one row per key. Days are sums of the batch's quarter hours. */
export function rollUp(transactions: Iterable<PostedTransaction>): readonly Rollup[] {
  const quarterHours = new Map<string, Rollup>();
  for (const transaction of transactions) {
    if (transaction.kind !== 'DEBIT' && transaction.kind !== 'CAPTURE') continue;
    for (const used of usedBy(transaction)) addTo(quarterHours, rollupOf(transaction, used));
  }
  const days = new Map<string, Rollup>();
  for (const rollup of quarterHours.values()) {
    addTo(days, { ...rollup, grain: 'DAY', startsAt: startOf('DAY', rollup.startsAt) });
  }
  return [...quarterHours.values(), ...days.values()];
}

interface Used {
  readonly meter: string;
  readonly quantity: Decimal;
  readonly credits: Micros;
  readonly dimensions: JsonObject | null;
}

/** The lines of a charge; one of no meter where an amount was charged. */
export function usedBy({ lines, amount }: PostedTransaction): readonly (Used | PricedLine)[] {
  if (lines.length > 0) return lines;
  return [{ meter: '', quantity: ZERO_DECIMAL, credits: negate(amount), dimensions: null }];
}

/** One use as a rollup of its own. */
function rollupOf({ walletId, attribution, actor, occurredAt, effectiveAt }: PostedTransaction, used: Used): Rollup {
  return {
    walletId,
    grain: 'QUARTER_HOUR',
    startsAt: startOf('QUARTER_HOUR', occurredAt ?? effectiveAt),
    meter: used.meter,
    model: dimension(used.dimensions, 'model'),
    modality: dimension(used.dimensions, 'modality'),
    operation: dimension(used.dimensions, 'operation'),
    userId: attribution.userId ?? '',
    projectId: attribution.projectId ?? '',
    apiKeyId: actor.kind === 'API_KEY' ? actor.id : '',
    quantity: used.quantity,
    credits: used.credits,
    events: 1n,
  };
}

const startOf = (grain: RollupGrain, at: Instant): Instant => instant(at - (at % LENGTHS[grain]));
export const startOfQuarterHour = (at: Instant): Instant => startOf('QUARTER_HOUR', at);

function addTo(rollups: Map<string, Rollup>, added: Rollup): void {
  const { walletId, startsAt, meter, model, modality, operation, userId, projectId, apiKeyId } = added;
  const id = JSON.stringify([walletId, startsAt, meter, model, modality, operation, userId, projectId, apiKeyId]);
  const rollup = rollups.get(id);
  if (!rollup) {
    rollups.set(id, added);
    return;
  }
  rollup.quantity = add(rollup.quantity, added.quantity);
  rollup.credits = plus(rollup.credits, added.credits);
  rollup.events += added.events;
}

/** A dimension's value as reports show it: text as it is, other scalars as `jsonb` writes them. */
export function dimension(dimensions: JsonObject | null, name: string): string {
  const value: JsonValue = dimensions !== null && Object.hasOwn(dimensions, name) ? (dimensions[name] ?? null) : null;
  if (value === null) return '';
  if (typeof value === 'number') return plainDigits(JSON.stringify(value));
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** A JSON number without an exponent: reports that read stored lines find the same text there. */
function plainDigits(number: string): string {
  const [, sign = '', first = '', rest = '', exponent] = /^(-?)(\d)(?:\.(\d+))?e([+-]\d+)$/.exec(number) ?? [];
  if (exponent === undefined) return number;
  const point = Number(exponent) + 1;
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${first}${rest}`;
  return sign + (first + rest).padEnd(point, '0');
}
