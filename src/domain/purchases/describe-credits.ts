/** What is bought in words, as the buyer reads it at the checkout and on the receipt. */
import { formatCredits, type Micros, plus, ZERO } from '../credits/micros.ts';

/** "5500 credits, 500 of them bonus" */
export function describeCredits(credits: Micros, bonusCredits: Micros): string {
  const total = `${formatCredits(plus(credits, bonusCredits))} credits`;
  return bonusCredits > ZERO ? `${total}, ${formatCredits(bonusCredits)} of them bonus` : total;
}
