/**
 * Exact decimals, for quantities and rates. A decimal is coefficient × 10^−scale in lowest terms, so that equal numbers
 * have equal representations ("1", "1.0" and 1 are one value). What comes in is of bounded length; what is computed from
 * it has as many digits as it takes.
 */
import { isStorable, type Micros, micros } from './micros.ts';

export interface Decimal {
  readonly coefficient: bigint;
  readonly scale: number;
}

const PATTERN = /^(-?)(\d+)(?:\.(\d+))?$/;
const MAX_INTEGER_DIGITS = 24;
const MAX_FRACTION_DIGITS = 18;
const MAX_RATE_FRACTION_DIGITS = 100;
const MICROS_SCALE = 6;

/** Reads up to 24 integer and 18 fraction digits; undefined for anything else, exponents and spaces included. */
export function parseDecimal(text: string): Decimal | undefined {
  return boundedDecimal(text, MAX_FRACTION_DIGITS);
}

/** Reads a decimal of a catalog: up to 24 integer and 100 fraction digits. */
export function parseRateDecimal(text: string): Decimal | undefined {
  return boundedDecimal(text, MAX_RATE_FRACTION_DIGITS);
}

/**
 * Reads what was added up from decimals, which may have more digits than any one of them; undefined for what is no
 * decimal. For numbers that Purser has written itself: input is bounded by `parseDecimal`.
 */
export function parseDecimalSum(text: string): Decimal | undefined {
  return boundedDecimal(text, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
}

function boundedDecimal(
  text: string,
  maxFractionDigits: number,
  maxIntegerDigits = MAX_INTEGER_DIGITS,
): Decimal | undefined {
  const match = PATTERN.exec(text);
  if (!match) return undefined;
  const [, sign, whole = '0', fraction = ''] = match;
  if (whole.length > maxIntegerDigits || fraction.length > maxFractionDigits) return undefined;
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

export const ZERO_DECIMAL: Decimal = { coefficient: 0n, scale: 0 };
export const ONE: Decimal = { coefficient: 1n, scale: 0 };

export const isZero = (value: Decimal): boolean => value.coefficient === 0n;

/** An amount of credits as a decimal. */
export const decimalFromMicros = (amount: Micros): Decimal => lowestTerms(amount, MICROS_SCALE);

export function multiply(a: Decimal, b: Decimal): Decimal {
  return lowestTerms(a.coefficient * b.coefficient, a.scale + b.scale);
}

export function add(a: Decimal, b: Decimal): Decimal {
  const scale = Math.max(a.scale, b.scale);
  return lowestTerms(coefficientAt(a, scale) + coefficientAt(b, scale), scale);
}

export function subtract(a: Decimal, b: Decimal): Decimal {
  return add(a, { coefficient: -b.coefficient, scale: b.scale });
}

/** Negative where a < b, 0 where they are equal, positive where a > b. */
export function compareDecimals(a: Decimal, b: Decimal): number {
  const difference = subtract(a, b).coefficient;
  if (difference === 0n) return 0;
  return difference < 0n ? -1 : 1;
}

export const smallerDecimal = (a: Decimal, b: Decimal): Decimal => (compareDecimals(a, b) <= 0 ? a : b);
export const largerDecimal = (a: Decimal, b: Decimal): Decimal => (compareDecimals(a, b) >= 0 ? a : b);

/** How many blocks of `size` it takes to hold `value`: the last one may be filled in part. The size is positive. */
export function startedBlocks(value: Decimal, size: Decimal): Decimal {
  const scale = Math.max(value.scale, size.scale);
  return { coefficient: divideRounded(coefficientAt(value, scale), coefficientAt(size, scale), 'UP'), scale: 0 };
}

/** The coefficient that the same number has at a scale no smaller than its own. */
function coefficientAt({ coefficient, scale }: Decimal, newScale: number): bigint {
  return coefficient * 10n ** BigInt(newScale - scale);
}

function lowestTerms(coefficient: bigint, scale: number): Decimal {
  let [reduced, digits] = [coefficient, scale];
  while (digits > 0 && reduced % 10n === 0n) {
    reduced /= 10n;
    digits -= 1;
  }
  return { coefficient: reduced, scale: digits };
}

/** HALF_UP: to the nearest, half away from zero. UP: away from zero. DOWN: towards zero. */
export type RoundingMode = 'HALF_UP' | 'UP' | 'DOWN';

/** How an exact price becomes an amount of credits: a multiple of `increment`, which is more than 0. */
export interface Rounding {
  readonly increment: Micros;
  readonly mode: RoundingMode;
}

/** To 10⁻⁶ credit, half away from zero: what holds where nothing else is said. */
export const TO_THE_MICRO: Rounding = { increment: micros(1n), mode: 'HALF_UP' };

/** numerator ÷ denominator, rounded to an integer, half away from zero unless told. The denominator is positive. */
export function divideRounded(numerator: bigint, denominator: bigint, mode: RoundingMode = 'HALF_UP'): bigint {
  const magnitude = divideMagnitude(numerator < 0n ? -numerator : numerator, denominator, mode);
  return numerator < 0n ? -magnitude : magnitude;
}

function divideMagnitude(numerator: bigint, denominator: bigint, mode: RoundingMode): bigint {
  switch (mode) {
    case 'HALF_UP':
      return (numerator * 2n + denominator) / (denominator * 2n);
    case 'UP':
      return (numerator + denominator - 1n) / denominator;
    case 'DOWN':
      return numerator / denominator;
    default: {
      const never: never = mode;
      throw new Error(`unknown rounding ${never}`);
    }
  }
}

/** `credits` ÷ `per` as micros, rounded once. Undefined where the result does not fit 64 bits. */
export function toMicros(
  credits: Decimal,
  per: Decimal = ONE,
  { increment, mode }: Rounding = TO_THE_MICRO,
): Micros | undefined {
  const numerator = credits.coefficient * 10n ** BigInt(per.scale + MICROS_SCALE);
  const denominator = per.coefficient * 10n ** BigInt(credits.scale) * increment;
  const value = divideRounded(numerator, denominator, mode) * increment;
  return isStorable(value) ? micros(value) : undefined;
}

/** a ÷ b to `digits` fraction digits, rounded half away from zero; for figures shown to people, never for charging. */
export function quotient(a: Decimal, b: Decimal, digits: number): Decimal {
  const numerator = a.coefficient * 10n ** BigInt(b.scale + digits);
  const value = divideRounded(numerator, b.coefficient * 10n ** BigInt(a.scale));
  return lowestTerms(value, digits);
}
