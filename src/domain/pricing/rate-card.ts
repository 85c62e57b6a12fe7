/**
 * The rate card: what each meter costs. A rate states credits per a number of units; its shape says how a quantity is
 * turned into credits. Rates are data of the catalog; no price is in code.
 */

import { canonicalJson, type JsonObject } from '../canonical.ts';
import { type Decimal, isZero, type Rounding } from '../credits/decimal.ts';
import type { Micros } from '../credits/micros.ts';
import { groupBy } from '../group-by.ts';
import type { Instant } from '../time/instant.ts';

export type { Rounding, RoundingMode } from '../credits/decimal.ts';

export type RateShape = 'FLAT' | 'PER_UNIT' | 'PACKAGE' | 'GRADUATED' | 'VOLUME';

/** The price of the units up to a bound, counted over a billing period. */
export interface RateTier {
  /** The last unit of the tier, inclusive, free units not counted; null for the last tier, which has no end. */
  readonly upTo: Decimal | null;
  /** Credits for `per` units. */
  readonly credits: Decimal;
}

export interface Rate {
  readonly meter: string;
  readonly description: string | null;
  /** What one unit of quantity is: "page", "token", "second". */
  readonly unit: string;
  readonly shape: RateShape;
  /** Dimensions that a usage line must have for this rate to apply; null applies to any. */
  readonly match: JsonObject | null;
  /** A preview's rate: applies to previews only, and they to no other. */
  readonly preview: boolean;
  /** The price of a FLAT, PER_UNIT or PACKAGE rate; of tiers, that of the first. */
  readonly credits: Decimal;
  /** The number of units that `credits` buys; more than 0. */
  readonly per: Decimal;
  /** Ascending and without gaps, the last without a bound; empty unless GRADUATED or VOLUME. */
  readonly tiers: readonly RateTier[];
  /** Units of a billing period that cost nothing. */
  readonly freeUnits: Decimal;
  /** The least that a line costs which is not entirely free; `rounding` leaves it as it is or raises it. */
  readonly minimum: Micros;
  readonly rounding: Rounding;
}

export interface RateCard {
  readonly version: number;
  readonly effectiveAt: Instant;
  readonly rates: readonly Rate[];
  /** The same rates by meter, most specific first. */
  readonly byMeter: ReadonlyMap<string, readonly Rate[]>;
}

/**
 * Identifies a rate within its meter, also in later versions of the rate card: what was charged in a billing period
 * stays counted where a new version changes the price of the same usage.
 */
export const rateKey = ({ match, preview }: Rate): string => canonicalJson({ match: match ?? {}, preview });

/** True where the price of a line depends on the units that were charged before it in the billing period. */
export const isCounted = ({ tiers, freeUnits }: Rate): boolean => tiers.length > 0 || !isZero(freeUnits);

const specificity = (rate: Rate): number => Object.keys(rate.match ?? {}).length;

export function rateCard(version: number, effectiveAt: Instant, rates: readonly Rate[]): RateCard {
  const mostSpecificFirst = rates.toSorted((a, b) => specificity(b) - specificity(a));
  const byMeter = groupBy(mostSpecificFirst, (rate) => rate.meter);
  return { version, effectiveAt, rates, byMeter };
}
