/** Values of the domain in the words of a test: credits and instants from text, rates from what they say. */
import { type Decimal, parseDecimal } from '../../src/domain/credits/decimal.ts';
import { type Micros, parseCredits } from '../../src/domain/credits/micros.ts';
import type { JsonObject } from '../../src/domain/ledger/canonical.ts';
import type { UsageQuantity } from '../../src/domain/pricing/price.ts';
import type { Rate, RateShape } from '../../src/domain/pricing/rate-card.ts';
import { type Instant, instant } from '../../src/domain/time/instant.ts';

export function credits(text: string): Micros {
  const amount = parseCredits(text);
  if (amount === undefined) throw new Error(`${text} is no amount of credits`);
  return amount;
}

export function decimal(text: string): Decimal {
  const value = parseDecimal(text);
  if (value === undefined) throw new Error(`${text} is no decimal`);
  return value;
}

/** An instant from ISO 8601; without an offset it is UTC. */
export function at(text: string): Instant {
  const milliseconds = Date.parse(/(Z|[+-]\d\d:\d\d)$/.test(text) ? text : `${text}Z`);
  if (Number.isNaN(milliseconds)) throw new Error(`${text} is no instant`);
  return instant(milliseconds);
}

export const after = (start: Instant, milliseconds: number): Instant => instant(start + milliseconds);

export interface RateOptions {
  readonly match?: JsonObject | null;
  readonly per?: string;
  readonly shape?: RateShape;
  readonly unit?: string;
}

export function aRate(meter: string, price: string, options: RateOptions = {}): Rate {
  const { match = null, per = '1', shape = 'PER_UNIT', unit = 'unit' } = options;
  return { meter, description: null, unit, shape, match, credits: decimal(price), per: decimal(per) };
}

export function usageOf(meter: string, quantity: string, dimensions: JsonObject | null = null): UsageQuantity {
  return { meter, quantity: decimal(quantity), dimensions };
}
