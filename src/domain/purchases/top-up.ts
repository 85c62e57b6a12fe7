/** Top-ups: credits that a plan sells in fixed increments, spelled out before checkout. */
import { type Micros, micros, plus, ZERO } from '../credits/micros.ts';
import { type InvalidIncrement, type InvalidInput, invalidInput } from '../plain-refusals.ts';

/** What a plan says about top-ups. */
export interface TopUpTerms {
  /** Top-ups are whole multiples of it. More than 0. */
  readonly increment: Micros;
  /** The price of one increment. */
  readonly unitPrice: { readonly amountMinor: bigint; readonly currency: string };
}

/** Far more than anything costs, and a number that every client can read. */
const MAX_PRICE_MINOR = BigInt(Number.MAX_SAFE_INTEGER);

export interface PricedTopUp {
  readonly price: TopUpTerms['unitPrice'];
}

/** What a top-up costs, or which amounts beside it can be bought. */
export function priceTopUp(
  { increment, unitPrice }: TopUpTerms,
  credits: Micros,
): PricedTopUp | InvalidIncrement | InvalidInput {
  const count = credits / increment;
  const below = micros(count * increment);
  if (below !== credits) {
    const nearestBelow = below === ZERO ? null : below;
    return { code: 'INVALID_INCREMENT', increment, nearestBelow, nearestAbove: plus(below, increment) };
  }
  const amountMinor = count * unitPrice.amountMinor;
  if (amountMinor > MAX_PRICE_MINOR) return invalidInput(['credits'], 'costs more than can be paid at once');
  return { price: { amountMinor, currency: unitPrice.currency } };
}
