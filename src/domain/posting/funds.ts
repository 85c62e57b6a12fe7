/** What somebody may spend of a wallet, and how it is taken from the loaded lots in burn order. */
import { type Micros, minus, smaller, sum, ZERO } from '../credits/micros.ts';
import type { DraftAllocation } from './allocation-drafts.ts';
import { type DraftLot, type LotDrafts, LotsNotLoaded, spendable, unallocatedIn } from './lot-drafts.ts';

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

/** Those of the lots that have `amount`, in burn order; no more than one beyond `most`. */
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

/** The first lots in burn order that have something for somebody to spend. */
export function firstSpendable(drafts: LotDrafts, count: number, { own, pool }: Funds): readonly DraftLot[] {
  const earmarked = earmarkedLots(drafts, own).lots.filter((lot) => spendable(lot) > ZERO);
  const first = earmarked.slice(0, count);
  for (const bucket of pool ? drafts.buckets : []) {
    let unseen = unallocatedIn(bucket);
    for (const lot of bucket.lots) {
      if (first.length === count) return first;
      const available = spendable(lot);
      if (available === ZERO) continue;
      first.push(lot);
      unseen = minus(unseen, available);
    }
    // What a loaded prefix leaves out burns before the lots of the next bucket.
    if (unseen > ZERO && first.length < count && bucket.truncated) throw new LotsNotLoaded();
  }
  return first;
}

/** The lots that have `amount` for nobody in particular, from the buckets that burn last; no more than one beyond `most`. */
export function partsOfPool(drafts: LotDrafts, amount: Micros, most: number): readonly LotPart[] {
  const parts: LotPart[] = [];
  let rest = amount;
  for (const bucket of drafts.buckets.toReversed()) {
    const taken = smaller(rest, unallocatedIn(bucket));
    if (taken > ZERO) parts.push(...partsOf(bucket, taken, most - parts.length));
    rest = minus(rest, taken);
    if (parts.length > most) break;
  }
  return parts;
}

/**
 * Takes `amount` in burn order: of what is earmarked, then from the buckets. What is available in each is known from its
 * aggregate.
 */
export function takeInBurnOrder(drafts: LotDrafts, amount: Micros, { own, pool }: Funds, take: TakeFromLot): void {
  let rest = amount;
  if (own.length > 0) {
    const earmarked = smaller(rest, sum(own.map((allocation) => allocation.available)));
    takeFrom(earmarkedLots(drafts, own), earmarked, take);
    rest = minus(rest, earmarked);
  }
  for (const bucket of pool ? drafts.buckets : []) {
    const taken = smaller(rest, unallocatedIn(bucket));
    if (taken > ZERO) takeFrom(bucket, taken, take);
    rest = minus(rest, taken);
  }
  if (rest !== ZERO) throw new Error('more was taken than is available');
}

/** The loaded lots of several allocations in burn order, as far as none that was not loaded can come between. */
function earmarkedLots(drafts: LotDrafts, own: readonly DraftAllocation[]): LotPrefix {
  const [first, ...others] = own;
  if (!first) return NO_LOTS;
  if (others.length === 0) return first;
  const compare = (a: DraftLot, b: DraftLot) => drafts.compare(a, b);
  const ends = own.flatMap(({ truncated, lots }) => (truncated ? lots.slice(-1) : [])).toSorted(compare);
  const [end] = ends;
  const lots = own.flatMap((allocation) => allocation.lots).toSorted(compare);
  return { lots: end ? lots.filter((lot) => compare(lot, end) <= 0) : lots, truncated: end !== undefined };
}
