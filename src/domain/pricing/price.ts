/**
 * Pricing: a rate card and usage in, priced lines out. The same function prices charges and estimates, so that they agree
 * credit for credit. Each line is rounded once, to 10⁻⁶ credit, half away from zero.
 */
import { type Decimal, formatDecimal, multiply, toMicros } from '../credits/decimal.ts';
import { isStorable, type Micros, micros, ZERO } from '../credits/micros.ts';
import type { JsonObject } from '../ledger/canonical.ts';
import { type InvalidInput, invalidInput, type UnknownMeter } from '../refusals.ts';
import type { Instant } from '../time/instant.ts';
import type { Rate, RateCard } from './rate-card.ts';

export interface UsageQuantity {
  readonly meter: string;
  /** Never negative. */
  readonly quantity: Decimal;
  readonly dimensions: JsonObject | null;
}

export interface PricedLine {
  readonly meter: string;
  readonly quantity: Decimal;
  /** The rate in words: "0.5 credits per 1000 token". */
  readonly rate: string;
  readonly credits: Micros;
  readonly waived: Micros;
  readonly dimensions: JsonObject | null;
}

export interface PricedUsage {
  readonly rateCardVersion: number;
  readonly lines: readonly PricedLine[];
  readonly total: Micros;
}

/** The newest rate card in effect at `at`; the oldest one for anything earlier. Cards are sorted by effectiveAt. */
export function rateCardAt(cards: readonly RateCard[], at: Instant): RateCard {
  const inEffect = cards.findLast((card) => card.effectiveAt <= at) ?? cards[0];
  if (!inEffect) throw new Error('a catalog has at least one rate card');
  return inEffect;
}

export function describeRate(rate: Rate): string {
  const credits = formatDecimal(rate.credits);
  if (rate.shape === 'FLAT') return `${credits} credits flat`;
  const per = formatDecimal(rate.per);
  return per === '1' ? `${credits} credits per ${rate.unit}` : `${credits} credits per ${per} ${rate.unit}`;
}

/** True where the line carries every dimension that the rate asks for, with the same scalar value. */
function matches(rate: Rate, { dimensions }: UsageQuantity): boolean {
  return Object.entries(rate.match ?? {}).every(
    ([name, value]) => dimensions !== null && Object.hasOwn(dimensions, name) && dimensions[name] === value,
  );
}

function priceLine(rate: Rate, usage: UsageQuantity): Micros | undefined {
  switch (rate.shape) {
    case 'FLAT':
      return usage.quantity.coefficient === 0n ? ZERO : toMicros(rate.credits);
    case 'PER_UNIT':
      return toMicros(multiply(rate.credits, usage.quantity), rate.per);
    default: {
      const never: never = rate.shape;
      throw new Error(`unknown rate shape ${never}`);
    }
  }
}

/** Prices all lines, or says which one cannot be priced. */
export function priceUsage(card: RateCard, usage: readonly UsageQuantity[]): PricedUsage | UnknownMeter | InvalidInput {
  const lines: PricedLine[] = [];
  for (const [index, item] of usage.entries()) {
    const rate = card.byMeter.get(item.meter)?.find((candidate) => matches(candidate, item));
    if (!rate) return { code: 'UNKNOWN_METER', meter: item.meter, dimensions: item.dimensions };
    const credits = priceLine(rate, item);
    if (credits === undefined)
      return invalidInput(['usage', String(index), 'quantity'], 'costs more than any wallet can hold');
    lines.push({ ...item, rate: describeRate(rate), credits, waived: ZERO });
  }
  const total = lines.reduce((subtotal, line) => subtotal + line.credits, 0n);
  if (!isStorable(total)) return invalidInput(['usage'], 'costs more than any wallet can hold');
  return { rateCardVersion: card.version, lines, total: micros(total) };
}
