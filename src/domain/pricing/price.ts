/**
 * Pricing: a rate card, usage and what the billing period has charged before in; priced lines out. The same function
 * prices charges and estimates, so that they agree credit for credit.
 */

import type { JsonObject } from '../canonical.ts';
import { add, type Decimal, isZero, ZERO_DECIMAL } from '../credits/decimal.ts';
import { isStorable, type Micros, micros, ZERO } from '../credits/micros.ts';
import { type InvalidInput, invalidInput, type UnknownMeter } from '../plain-refusals.ts';
import type { Instant } from '../time/instant.ts';
import { describeRate } from './describe-rate.ts';
import { priceUnits } from './price-units.ts';
import { isCounted, type Rate, type RateCard, rateKey } from './rate-card.ts';

export interface UsageQuantity {
  readonly meter: string;
  /** Never negative. */
  readonly quantity: Decimal;
  readonly dimensions: JsonObject | null;
  /** Work done as a preview, which has rates of its own. */
  readonly preview: boolean;
}

export interface PricedLine {
  readonly meter: string;
  readonly quantity: Decimal;
  /** The rate in words: "0.5 credits per 1000 token". */
  readonly rate: string;
  readonly credits: Micros;
  readonly waived: Micros;
  readonly dimensions: JsonObject | null;
  readonly preview: boolean;
}

/** Units that a command adds to what a rate has charged in the billing period, free units included; more than 0. */
export interface CountedUnits {
  readonly meter: string;
  /** The rate's `rateKey`. */
  readonly rate: string;
  readonly quantity: Decimal;
}

/**
 * Units that a rate, named by meter and `rateKey`, has charged in the present billing period, free units included. Never
 * negative. Asked only about rates that `countUnits` lists for the same usage.
 */
export type UnitsCharged = (meter: string, rate: string) => Decimal;

export interface PricedUsage {
  readonly rateCardVersion: number;
  readonly lines: readonly PricedLine[];
  readonly total: Micros;
  /** What the billing period's counters grow by, once per rate. */
  readonly counted: readonly CountedUnits[];
}

/** The newest rate card in effect at `at`; the oldest one for anything earlier. Cards are sorted by effectiveAt. */
export function rateCardAt(cards: readonly RateCard[], at: Instant): RateCard {
  const inEffect = cards.findLast((card) => card.effectiveAt <= at) ?? cards[0];
  if (!inEffect) throw new Error('a catalog has at least one rate card');
  return inEffect;
}

/** Prices all lines, each after the units of those before it, or says which one cannot be priced. */
export function priceUsage(
  card: RateCard,
  usage: readonly UsageQuantity[],
  unitsCharged: UnitsCharged,
): PricedUsage | UnknownMeter | InvalidInput {
  const lines: PricedLine[] = [];
  const tally = new Tally();
  for (const [index, item] of usage.entries()) {
    const rate = findRate(card, item);
    if (!rate) return { code: 'UNKNOWN_METER', meter: item.meter, dimensions: item.dimensions };
    const isDependent = isCounted(rate) && !isZero(item.quantity);
    const before = isDependent ? add(unitsCharged(rate.meter, rateKey(rate)), tally.unitsOf(rate)) : ZERO_DECIMAL;
    const credits = priceUnits(rate, item.quantity, before);
    if (credits === undefined)
      return invalidInput(['usage', String(index), 'quantity'], 'costs more than any wallet can hold');
    tally.count(rate, item.quantity);
    lines.push({ rate: describeRate(rate), credits, waived: ZERO, ...item });
  }
  const total = lines.reduce((subtotal, line) => subtotal + line.credits, 0n);
  if (!isStorable(total)) return invalidInput(['usage'], 'costs more than any wallet can hold');
  return { rateCardVersion: card.version, lines, total: micros(total), counted: tally.counted() };
}

/** What the usage adds to the billing period's counters, without pricing it. Lines that no rate matches add nothing. */
export function countUnits(card: RateCard, usage: readonly UsageQuantity[]): readonly CountedUnits[] {
  const tally = new Tally();
  for (const item of usage) {
    const rate = findRate(card, item);
    if (rate) tally.count(rate, item.quantity);
  }
  return tally.counted();
}

/** The most specific rate that matches. */
function findRate(card: RateCard, usage: UsageQuantity): Rate | undefined {
  return card.byMeter.get(usage.meter)?.find((rate) => matches(rate, usage));
}

/** True for a rate for such work whose every dimension the line carries, with the same scalar value. */
function matches(rate: Rate, { dimensions, preview }: UsageQuantity): boolean {
  if (rate.preview !== preview) return false;
  return Object.entries(rate.match ?? {}).every(
    ([name, value]) => dimensions !== null && Object.hasOwn(dimensions, name) && dimensions[name] === value,
  );
}

/** Units of one command by counted rate. */
class Tally {
  readonly #units = new Map<Rate, Decimal>();

  unitsOf(rate: Rate): Decimal {
    return this.#units.get(rate) ?? ZERO_DECIMAL;
  }

  count(rate: Rate, quantity: Decimal): void {
    if (isCounted(rate) && !isZero(quantity)) this.#units.set(rate, add(this.unitsOf(rate), quantity));
  }

  counted(): CountedUnits[] {
    return [...this.#units].map(([rate, quantity]) => ({ meter: rate.meter, rate: rateKey(rate), quantity }));
  }
}
