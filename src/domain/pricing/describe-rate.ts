/** A rate in a few words, as it stands on a usage line: "0.5 credits per 1000 token, free until 5000 token". */
import { type Decimal, formatDecimal, isZero } from '../credits/decimal.ts';
import { formatCredits, ZERO } from '../credits/micros.ts';
import type { Rate } from './rate-card.ts';

export function describeRate(rate: Rate): string {
  const words = [describePrice(rate)];
  if (!isZero(rate.freeUnits)) words.push(`free until ${unitsOf(rate, rate.freeUnits)}`);
  if (rate.minimum > ZERO) words.push(`at least ${formatCredits(rate.minimum)} credits`);
  return words.join(', ');
}

function describePrice(rate: Rate): string {
  const credits = `${formatDecimal(rate.credits)} credits`;
  const per = formatDecimal(rate.per) === '1' ? rate.unit : unitsOf(rate, rate.per);
  switch (rate.shape) {
    case 'FLAT':
      return `${credits} flat`;
    case 'PER_UNIT':
      return `${credits} per ${per}`;
    case 'PACKAGE':
      return `package of ${unitsOf(rate, rate.per)} for ${credits}`;
    case 'GRADUATED':
      return `graduated from ${credits} per ${per}`;
    case 'VOLUME':
      return `volume from ${credits} per ${per}`;
    default: {
      const never: never = rate.shape;
      throw new Error(`unknown rate shape ${never}`);
    }
  }
}

const unitsOf = ({ unit }: Rate, quantity: Decimal): string => `${formatDecimal(quantity)} ${unit}`;
