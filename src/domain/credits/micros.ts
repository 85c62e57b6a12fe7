/**
 * Credits are integers of 10⁻⁶ credit, here called micros. Every amount of credits in Purser is a `Micros`: sums are exact,
 * no float is ever involved, and what leaves the range of a PostgreSQL BIGINT is an error rather than a wrong number.
 */

declare const unit: unique symbol;

/** An exact amount of credits, in units of 10⁻⁶ credit. May be negative where a sign is documented. */
export type Micros = bigint & { readonly [unit]: 'micros' };

export const MICROS_PER_CREDIT = 1_000_000n;
const MAX = 2n ** 63n - 1n;
const FRACTION_DIGITS = 6;
const PATTERN = /^(-?)(\d{1,13})(?:\.(\d{1,6}))?$/;

/** Thrown where a sum would leave 64 bits. Commands are checked against ceilings before, so that it means a defect. */
export class AmountOverflow extends Error {
  constructor() {
    super('an amount of credits leaves the range of 64 bits');
  }
}

/**
 * Nothing that a caller asks for raises a balance beyond half of what 64 bits hold; the other half is room for what comes
 * by itself, allowances and paid purchases, which must never fail.
 */
export const MAX_GRANTED_BALANCE = 2n ** 62n;

export function isStorable(value: bigint): boolean {
  return value <= MAX && value >= -MAX;
}

export function micros(value: bigint): Micros {
  if (!isStorable(value)) throw new AmountOverflow();
  return value as Micros;
}

export const ZERO = micros(0n);

export const plus = (a: Micros, b: Micros): Micros => micros(a + b);
export const minus = (a: Micros, b: Micros): Micros => micros(a - b);
export const negate = (a: Micros): Micros => micros(-a);
export const smaller = (a: Micros, b: Micros): Micros => (a < b ? a : b);
export const atLeastZero = (a: Micros): Micros => (a < ZERO ? ZERO : a);

export function sum(amounts: Iterable<Micros>): Micros {
  let total = 0n;
  for (const amount of amounts) total += amount;
  return micros(total);
}

/** Reads "450", "0.125" or "-3"; undefined for anything that is not an exact decimal with at most six fraction digits. */
export function parseCredits(text: string): Micros | undefined {
  const match = PATTERN.exec(text);
  if (!match) return undefined;
  const [, sign, whole = '0', fraction = ''] = match;
  const value = BigInt(whole) * MICROS_PER_CREDIT + BigInt(fraction.padEnd(FRACTION_DIGITS, '0'));
  if (!isStorable(value)) return undefined;
  return micros(sign === '-' ? -value : value);
}

/** Writes an amount in credits without trailing zeros: "450", "0.125", "-3". */
export function formatCredits(amount: Micros): string {
  const magnitude = amount < 0n ? -amount : amount;
  const whole = magnitude / MICROS_PER_CREDIT;
  const fraction = (magnitude % MICROS_PER_CREDIT).toString().padStart(FRACTION_DIGITS, '0').replace(/0+$/, '');
  const digits = fraction === '' ? whole.toString() : `${whole}.${fraction}`;
  return amount < 0n ? `-${digits}` : digits;
}
