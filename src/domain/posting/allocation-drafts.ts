/**
 * The allocations of one wallet within a batch. Only those of its spenders are loaded; what becomes of the lots of others is
 * kept as a difference, which the row is changed by.
 */
import {
  type AllocationAmounts,
  type AllocationSnapshot,
  type AllocationTarget,
  isFor,
} from '../allocations/allocation.ts';
import { type Micros, micros, plus, smaller, ZERO } from '../credits/micros.ts';
import type { LotSnapshot } from '../wallet/lot.ts';
import type { DraftLot } from './lot-drafts.ts';

export const NO_AMOUNTS: AllocationAmounts = { available: ZERO, pinned: ZERO, frozen: ZERO, used: ZERO };

export interface DraftAllocation extends AllocationAmounts, AllocationTarget {
  readonly id: string;
  readonly isNew: boolean;
  exclusive: boolean;
  available: Micros;
  pinned: Micros;
  frozen: Micros;
  used: Micros;
  /** Loaded spendable lots in burn order; those that run empty stay. */
  readonly lots: DraftLot[];
  readonly truncated: boolean;
}

export class AllocationDrafts {
  readonly #byId: Map<string, DraftAllocation>;
  readonly #differences = new Map<string, AllocationAmounts>();
  readonly #restated = new Set<DraftAllocation>();

  constructor(snapshots: readonly AllocationSnapshot[], draft: (lot: LotSnapshot) => DraftLot) {
    this.#byId = new Map(
      snapshots.map((snapshot) => [snapshot.id, { ...snapshot, isNew: false, lots: snapshot.lots.map(draft) }]),
    );
  }

  /** Of those that were loaded or are new. */
  find(id: string): DraftAllocation | undefined {
    return this.#byId.get(id);
  }

  /** What is earmarked for one of these; the project's before the member's. */
  of(target: AllocationTarget): readonly DraftAllocation[] {
    if (this.#byId.size === 0) return NONE;
    const found = [...this.#byId.values()].filter((allocation) => isFor(allocation, target));
    return found.toSorted((a, b) => Number(a.projectId === null) - Number(b.projectId === null));
  }

  get isEmpty(): boolean {
    return this.#byId.size === 0;
  }

  /** Those to insert. */
  get made(): readonly DraftAllocation[] {
    return [...this.#byId.values()].filter(({ isNew }) => isNew);
  }

  /** Loaded ones that became exclusive or are so no more. */
  get restated(): readonly DraftAllocation[] {
    return [...this.#restated];
  }

  /** By how much the rows change, new ones included. */
  get differences(): readonly (AllocationAmounts & { readonly id: string })[] {
    return [...this.#differences].map(([id, amounts]) => ({ id, ...amounts }));
  }

  add(id: string, { projectId, userId }: AllocationTarget, exclusive: boolean): DraftAllocation {
    const made = { id, projectId, userId, isNew: true, exclusive, ...NO_AMOUNTS, lots: [], truncated: false };
    this.#byId.set(id, made);
    return made;
  }

  setExclusive(allocation: DraftAllocation, exclusive: boolean): void {
    if (allocation.exclusive === exclusive) return;
    allocation.exclusive = exclusive;
    if (!allocation.isNew) this.#restated.add(allocation);
  }

  change(id: string, by: AllocationAmounts): void {
    this.#differences.set(id, sumOf(this.#differences.get(id) ?? NO_AMOUNTS, by));
    const loaded = this.#byId.get(id);
    if (loaded) Object.assign(loaded, sumOf(loaded, by));
  }

  /** Counts what a charge took of a lot. */
  use({ facts: { allocationId } }: DraftLot, amount: Micros): void {
    if (allocationId !== null) this.change(allocationId, { ...NO_AMOUNTS, used: amount });
  }

  /** Takes off the count what a refund gives back to a lot; what was counted before the count began anew is in it no more. */
  giveBack({ facts: { allocationId } }: DraftLot, amount: Micros): void {
    if (allocationId === null) return;
    const used = this.#byId.get(allocationId)?.used ?? amount;
    this.change(allocationId, { ...NO_AMOUNTS, used: micros(-smaller(used, amount)) });
  }

  /** Begins the count of use anew. */
  forgetUse(allocation: DraftAllocation): void {
    this.change(allocation.id, { ...NO_AMOUNTS, used: micros(-allocation.used) });
  }
}

const NONE: readonly DraftAllocation[] = [];

function sumOf(a: AllocationAmounts, b: AllocationAmounts): AllocationAmounts {
  return {
    available: plus(a.available, b.available),
    pinned: plus(a.pinned, b.pinned),
    frozen: plus(a.frozen, b.frozen),
    used: plus(a.used, b.used),
  };
}
