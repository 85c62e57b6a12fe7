/**
 * What a number of units costs at one rate. Units stand in a row over the billing period: first the free ones, then those
 * that are charged, which tiers count from 1. The price is an exact fraction until it is rounded, once, at the end.
 */
import {
  add,
  compareDecimals,
  type Decimal,
  decimalFromMicros,
  largerDecimal,
  multiply,
  ONE,
  smallerDecimal,
  startedBlocks,
  subtract,
  toMicros,
  ZERO_DECIMAL,
} from '../credits/decimal.ts';
import { type Micros, ZERO } from '../credits/micros.ts';
import type { Rate, RateTier } from './rate-card.ts';

/** Chargeable units of the billing period: those after `start` up to and including `end`. */
export interface UnitRange {
  readonly start: Decimal;
  readonly end: Decimal;
}

/** credits ÷ per, which need not be a decimal. */
interface ExactPrice {
  readonly credits: Decimal;
  readonly per: Decimal;
}

/** The price of `quantity` units after `before` others in the billing period; undefined where 64 bits do not hold it. */
export function priceUnits(rate: Rate, quantity: Decimal, before: Decimal): Micros | undefined {
  const range = chargeable(quantity, before, rate.freeUnits);
  if (compareDecimals(range.start, range.end) === 0) return ZERO;
  const { credits, per } = atLeast(exactPrice(rate, range), rate.minimum);
  return toMicros(credits, per, rate.rounding);
}

/** What is left of the units once the period's free ones are taken off its beginning. */
export function chargeable(quantity: Decimal, before: Decimal, freeUnits: Decimal): UnitRange {
  const beyondFree = (units: Decimal): Decimal => largerDecimal(subtract(units, freeUnits), ZERO_DECIMAL);
  return { start: beyondFree(before), end: beyondFree(add(before, quantity)) };
}

function exactPrice(rate: Rate, range: UnitRange): ExactPrice {
  const units = subtract(range.end, range.start);
  switch (rate.shape) {
    case 'FLAT':
      return { credits: rate.credits, per: ONE };
    case 'PER_UNIT':
      return { credits: multiply(rate.credits, units), per: rate.per };
    case 'PACKAGE':
      return { credits: multiply(rate.credits, startedBlocks(units, rate.per)), per: ONE };
    case 'GRADUATED':
      return { credits: graduatedCredits(rate.tiers, range), per: rate.per };
    case 'VOLUME':
      return { credits: multiply(tierOf(rate.tiers, range.end).credits, units), per: rate.per };
    default: {
      const never: never = rate.shape;
      throw new Error(`unknown rate shape ${never}`);
    }
  }
}

function graduatedCredits(tiers: readonly RateTier[], range: UnitRange): Decimal {
  return unitsByTier(tiers, range)
    .map(({ tier, units }) => multiply(tier.credits, units))
    .reduce(add, ZERO_DECIMAL);
}

export interface TierUnits {
  readonly tier: RateTier;
  /** More than 0. */
  readonly units: Decimal;
}

/** How a range of units falls into tiers; their units add up to the range, because the last tier has no end. */
export function unitsByTier(tiers: readonly RateTier[], { start, end }: UnitRange): TierUnits[] {
  let counted = start;
  const parts: TierUnits[] = [];
  for (const tier of tiers) {
    const bound = tier.upTo === null ? end : smallerDecimal(tier.upTo, end);
    const units = subtract(bound, counted);
    if (units.coefficient <= 0n) continue;
    parts.push({ tier, units });
    counted = bound;
  }
  return parts;
}

/** The tier in which a unit stands. */
function tierOf(tiers: readonly RateTier[], unit: Decimal): RateTier {
  const tier = tiers.find(({ upTo }) => upTo === null || compareDecimals(unit, upTo) <= 0);
  if (!tier) throw new Error('the last tier of a rate has no bound');
  return tier;
}

function atLeast({ credits, per }: ExactPrice, minimum: Micros): ExactPrice {
  return { credits: largerDecimal(credits, multiply(decimalFromMicros(minimum), per)), per };
}
