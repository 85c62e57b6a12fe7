/** What somebody may spend of a wallet, and how it is taken from the loaded lots in burn order. */
import { type Micros, minus, smaller, sum, ZERO } from '../credits/micros.ts';
import type { DraftAllocation } from './allocation-drafts.ts';
import { type DraftLot, LotsNotLoaded, spendable } from './lot-drafts.ts';

/** What somebody may spend of a wallet. */
export interface Funds {
  /** What is earmarked for them. */
  readonly own: readonly DraftAllocation[];
  /** False where they may spend nothing else. */
  readonly pool: boolean;
}

/** What is earmarked for nobody. */
export const POOL: Funds = { own: [], pool: true };

/** A part of what can be spent of a lot. */
export interface LotPart {
  readonly lot: DraftLot;
  readonly amount: Micros;
}

/** Lots in burn order from the first on; where it is truncated there are more, which were not loaded. */
export interface LotPrefix {
  readonly lots: readonly DraftLot[];
  readonly truncated: boolean;
}

export const NO_LOTS: LotPrefix = { lots: [], truncated: false };

export function partsOf({ lots, truncated }: LotPrefix, amount: Micros, most: number): LotPart[] {
  const first = lots.filter((lot) => spendable(lot) > ZERO).slice(0, most + 1);
  const parts: LotPart[] = [];
  const take: TakeFromLot = (lot, taken) => parts.push({ lot, amount: taken });
  const within = smaller(amount, sum(first.map(spendable)));
  takeFrom({ lots: first, truncated: false }, within, take);
  if (within < amount && first.length <= most && truncated) throw new LotsNotLoaded();
  return parts;
}

export type TakeFromLot = (lot: DraftLot, amount: Micros) => void;

export function takeFrom({ lots, truncated }: LotPrefix, amount: Micros, take: TakeFromLot): void {
  let rest = amount;
  for (const lot of lots) {
    if (rest === ZERO) return;
    const taken = smaller(rest, spendable(lot));
    if (taken === ZERO) continue;
    take(lot, taken);
    rest = minus(rest, taken);
  }
  if (rest === ZERO) return;
  if (truncated) throw new LotsNotLoaded();
  throw new Error('there is less in its lots than the aggregate says');
}
