/** Values of the domain in the words of a test: credits and instants from text, rates from what they say. */

import type { JsonObject } from '../../src/domain/canonical.ts';
import { type Decimal, parseDecimal } from '../../src/domain/credits/decimal.ts';
import { type Micros, parseCredits } from '../../src/domain/credits/micros.ts';
import type { UsageQuantity } from '../../src/domain/pricing/price.ts';
import type { Rate, RateShape, RoundingMode } from '../../src/domain/pricing/rate-card.ts';
import { type Instant, instant } from '../../src/domain/time/instant.ts';
import { firstZone, type Zone, type ZoneChange, zoneChanges } from '../../src/domain/time/zone.ts';

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

/** The zone with one more change, behind all others. */
export const withZoneChange = (zone: Zone, change: ZoneChange): Zone => ({
  timeZone: firstZone(zone),
  changes: [...zoneChanges(zone), change],
});

export const after = (start: Instant, milliseconds: number): Instant => instant(start + milliseconds);

export interface RateOptions {
  readonly match?: JsonObject | null;
  readonly preview?: boolean;
  readonly per?: string;
  readonly shape?: RateShape;
  readonly unit?: string;
  readonly freeUnits?: string;
  readonly minimum?: string;
  readonly roundTo?: string;
  readonly rounding?: RoundingMode;
}

export function aRate(meter: string, price: string, options: RateOptions = {}): Rate {
  const { match = null, preview = false, per = '1', shape = 'PER_UNIT', unit = 'unit' } = options;
  const { freeUnits = '0', minimum = '0', roundTo = '0.000001', rounding = 'HALF_UP' } = options;
  return {
    meter,
    description: null,
    unit,
    shape,
    match,
    preview,
    credits: decimal(price),
    per: decimal(per),
    tiers: [],
    freeUnits: decimal(freeUnits),
    minimum: credits(minimum),
    rounding: { increment: credits(roundTo), mode: rounding },
  };
}

/** Tiers as pairs of the last unit and the price; the last one has no bound. */
export type Tiers = readonly (readonly [upTo: string | null, price: string])[];

export function aTieredRate(
  meter: string,
  shape: 'GRADUATED' | 'VOLUME',
  tiers: Tiers,
  options: Omit<RateOptions, 'shape'> = {},
): Rate {
  const [[, first] = [null, '0']] = tiers;
  const priced = tiers.map(([upTo, price]) => ({
    upTo: upTo === null ? null : decimal(upTo),
    credits: decimal(price),
  }));
  return { ...aRate(meter, first, { ...options, shape }), tiers: priced };
}

export function usageOf(
  meter: string,
  quantity: string,
  dimensions: JsonObject | null = null,
  preview = false,
): UsageQuantity {
  return { meter, quantity: decimal(quantity), dimensions, preview };
}
