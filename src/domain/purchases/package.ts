/** Packages: credits that are sold at once, and what one of them costs in each. */
import { type Decimal, decimalFromMicros, quotient } from '../credits/decimal.ts';
import { type Micros, plus } from '../credits/micros.ts';
import type { Money } from '../money/money.ts';

export interface Package {
  readonly key: string;
  readonly name: string;
  readonly price: Money;
  readonly credits: Micros;
  readonly bonusCredits: Micros;
  /** The bucket that its lots go to. */
  readonly bucketKey: string;
  /** Days after payment until its credits expire; null for never. */
  readonly expiresAfterDays: number | null;
}

export const totalCredits = (offer: Package): Micros => plus(offer.credits, offer.bonusCredits);

/** What one credit costs, bonus included, in major units of the currency; six fraction digits, half away from zero. */
export function costPerCredit(offer: Package, minorDigits: number): Decimal {
  return quotient(
    { coefficient: offer.price.amountMinor, scale: minorDigits },
    decimalFromMicros(totalCredits(offer)),
    6,
  );
}

/** The bonus as a percentage of the credits paid for; two fraction digits, half away from zero. */
export function bonusPercent(offer: Package): Decimal {
  const hundredfold = { coefficient: offer.bonusCredits * 100n, scale: 6 };
  return quotient(hundredfold, decimalFromMicros(offer.credits), 2);
}
