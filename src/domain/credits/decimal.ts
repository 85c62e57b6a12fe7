/**
 * Exact decimals of bounded length, for quantities and rates. A decimal is coefficient × 10^−scale in lowest terms, so
 * that equal numbers have equal representations ("1", "1.0" and 1 are one value).
 */
import { type Micros, micros } from './micros.ts';

export interface Decimal {
  readonly coefficient: bigint;
  readonly scale: number;
}

const PATTERN = /^(-?)(\d{1,24})(?:\.(\d{1,18}))?$/;
const MICROS_SCALE = 6;

/** Reads up to 24 integer and 18 fraction digits; undefined for anything else, exponents and spaces included. */
export function parseDecimal(text: string): Decimal | undefined {
  const match = PATTERN.exec(text);
  if (!match) return undefined;
  const [, sign, whole = '0', fraction = ''] = match;
  const digits = fraction.replace(/0+$/, '');
  const coefficient = BigInt(whole + digits);
  return { coefficient: sign === '-' ? -coefficient : coefficient, scale: digits.length };
}

/** Writes the shortest exact form: "0.0005", "12". */
export function formatDecimal({ coefficient, scale }: Decimal): string {
  const sign = coefficient < 0n ? '-' : '';
  const digits = (coefficient < 0n ? -coefficient : coefficient).toString().padStart(scale + 1, '0');
  if (scale === 0) return sign + digits;
  const fraction = digits.slice(-scale).replace(/0+$/, '');
  return sign + digits.slice(0, -scale) + (fraction === '' ? '' : `.${fraction}`);
}

export const ONE: Decimal = { coefficient: 1n, scale: 0 };

export function multiply(a: Decimal, b: Decimal): Decimal {
  return lowestTerms(a.coefficient * b.coefficient, a.scale + b.scale);
}

function lowestTerms(coefficient: bigint, scale: number): Decimal {
  let [reduced, digits] = [coefficient, scale];
  while (digits > 0 && reduced % 10n === 0n) {
    reduced /= 10n;
    digits -= 1;
  }
  return { coefficient: reduced, scale: digits };
}

/** numerator ÷ denominator, rounded half away from zero. The denominator is positive. */
export function divideRounded(numerator: bigint, denominator: bigint): bigint {
  const magnitude = numerator < 0n ? -numerator : numerator;
  const rounded = (magnitude * 2n + denominator) / (denominator * 2n);
  return numerator < 0n ? -rounded : rounded;
}

/**
 * `credits` ÷ `per` as micros, rounded once, half away from zero (semantics: Amounts). Undefined where the result does
 * not fit 64 bits.
 */
export function toMicros(credits: Decimal, per: Decimal = ONE): Micros | undefined {
  const numerator = credits.coefficient * 10n ** BigInt(per.scale + MICROS_SCALE);
  const denominator = per.coefficient * 10n ** BigInt(credits.scale);
  const value = divideRounded(numerator, denominator);
  return value > 2n ** 63n - 1n || value < -(2n ** 63n - 1n) ? undefined : micros(value);
}

/** a ÷ b to `digits` fraction digits, rounded half away from zero; for figures shown to people, never for charging. */
export function quotient(a: Decimal, b: Decimal, digits: number): Decimal {
  const numerator = a.coefficient * 10n ** BigInt(b.scale + digits);
  const value = divideRounded(numerator, b.coefficient * 10n ** BigInt(a.scale));
  return lowestTerms(value, digits);
}
