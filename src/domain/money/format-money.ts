/** Money for people: "45.00 USD". Exact: the digits are placed, never divided. */

import { minorDigits } from './currency.ts';
import type { Money } from './money.ts';

export function formatMoney({ amountMinor, currency }: Money): string {
  const digits = minorDigits(currency);
  const padded = amountMinor.toString().padStart(digits + 1, '0');
  const whole = digits === 0 ? padded : padded.slice(0, -digits);
  const fraction = digits === 0 ? '' : `.${padded.slice(-digits)}`;
  return `${whole}${fraction} ${currency}`;
}
