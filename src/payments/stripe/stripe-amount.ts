/**
 * Amounts as Stripe counts them. Stripe's smallest unit of a currency is not always ours: prices here have the fraction digits
 * in which the runtime writes the currency (HUF and COP none), Stripe has its own (HUF and COP two). What is charged is what
 * people read, or nothing.
 */
import { minorDigits } from '../../domain/money/currency.ts';

/** Whole units. */
const ZERO_DECIMAL = new Set('BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF'.split(' '));
/** Thousandths, of which the last digit must be 0. */
const THREE_DECIMAL = new Set('BHD JOD KWD OMR TND'.split(' '));
/** Hundredths, of which the last two digits must be 0: whole units in the guise of cents. */
const WHOLE_HUNDREDTHS = new Set(['ISK', 'UGX']);

interface StripeUnit {
  readonly digits: number;
  readonly multipleOf: bigint;
}

function stripeUnit(currency: string): StripeUnit {
  if (ZERO_DECIMAL.has(currency)) return { digits: 0, multipleOf: 1n };
  if (THREE_DECIMAL.has(currency)) return { digits: 3, multipleOf: 10n };
  return { digits: 2, multipleOf: WHOLE_HUNDREDTHS.has(currency) ? 100n : 1n };
}

/** The amount in Stripe's units; null where Stripe cannot charge it exactly. */
export function stripeAmount(amountMinor: bigint, currency: string): number | null {
  const { digits, multipleOf } = stripeUnit(currency);
  const shift = digits - minorDigits(currency);
  const divisor = shift < 0 ? 10n ** BigInt(-shift) : 1n;
  if (amountMinor % divisor !== 0n) return null;
  const amount = shift < 0 ? amountMinor / divisor : amountMinor * 10n ** BigInt(shift);
  return amount % multipleOf === 0n && amount <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(amount) : null;
}
