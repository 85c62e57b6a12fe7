/**
 * The rate card: what each meter costs. A rate states credits per a number of units; its shape says how a quantity is
 * turned into credits. Rates are data of the catalog; no price is in code.
 */
import type { Decimal } from '../credits/decimal.ts';
import { groupBy } from '../group-by.ts';
import type { JsonObject } from '../ledger/canonical.ts';
import type { Instant } from '../time/instant.ts';

export type RateShape = 'FLAT' | 'PER_UNIT';

export interface Rate {
  readonly meter: string;
  readonly description: string | null;
  /** What one unit of quantity is: "page", "token", "second". */
  readonly unit: string;
  readonly shape: RateShape;
  /** Dimensions that a usage line must have for this rate to apply; null applies to any. */
  readonly match: JsonObject | null;
  readonly credits: Decimal;
  /** The number of units that `credits` buys. */
  readonly per: Decimal;
}

export interface RateCard {
  readonly version: number;
  readonly effectiveAt: Instant;
  readonly rates: readonly Rate[];
  /** The same rates by meter, most specific first. */
  readonly byMeter: ReadonlyMap<string, readonly Rate[]>;
}

const specificity = (rate: Rate): number => Object.keys(rate.match ?? {}).length;

export function rateCard(version: number, effectiveAt: Instant, rates: readonly Rate[]): RateCard {
  const mostSpecificFirst = rates.toSorted((a, b) => specificity(b) - specificity(a));
  const byMeter = groupBy(mostSpecificFirst, (rate) => rate.meter);
  return { version, effectiveAt, rates, byMeter };
}
