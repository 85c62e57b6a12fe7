/**
 * The lots of one wallet within a batch, with the aggregates of their buckets. Every change of a lot goes through here, so
 * that a bucket's aggregates equal the sums over its lots and the loaded lots stay in burn order.
 */
import type { AllocationSnapshot } from '../allocations/allocation.ts';
import { type Micros, minus, plus, ZERO } from '../credits/micros.ts';
import type { Instant } from '../time/instant.ts';
import type { BucketSnapshot } from '../wallet/bucket.ts';
import { compareBuckets, compareBurnOrder } from '../wallet/burn-order.ts';
import type { LotSnapshot, LotSource } from '../wallet/lot.ts';
import { AllocationDrafts, NO_AMOUNTS } from './allocation-drafts.ts';

/** A lot being changed. What is not listed here stays in `facts`, which are replaced only where a lot lives longer. */
export interface DraftLot {
  facts: LotSnapshot;
  readonly isNew: boolean;
  remaining: Micros;
  pinned: Micros;
  inForce: boolean;
  /** True once it has expired or was revoked. */
  closed: boolean;
  frozen: boolean;
  revoked: boolean;
}

export interface DraftBucket {
  readonly facts: BucketSnapshot;
  available: Micros;
  pinned: Micros;
  frozen: Micros;
  earmarked: Micros;
  /** Loaded spendable lots that are earmarked for nobody, in burn order; those that run empty stay. */
  readonly lots: DraftLot[];
  readonly truncated: boolean;
}

/** What of a bucket can be spent and is earmarked for nobody. */
export const unallocatedIn = ({ available, earmarked }: DraftBucket): Micros => minus(available, earmarked);

/** A part of the lots in burn order, from its first on: the rest of them was not loaded where it is truncated. */
interface LoadedLots {
  readonly lots: DraftLot[];
  readonly truncated: boolean;
}

export interface NewLot {
  readonly bucket: DraftBucket;
  readonly source: LotSource;
  readonly amount: Micros;
  readonly paid: boolean;
  readonly effectiveAt: Instant;
  readonly expiresAt: Instant | null;
  readonly purchaseId: string | null;
  /** Whom it is earmarked for. */
  readonly allocationId?: string | null;
  /** The granted lot that its credits are split from. */
  readonly originId?: string | null;
  /** New credits pay back what the wallet owes; daily allowances do not. */
  readonly repaysDebt: boolean;
}

/**
 * Thrown when a decision needs lots beyond a loaded prefix. The batch is then decided anew with more of them; it never leaves
 * `decideBatch`.
 */
export class LotsNotLoaded extends Error {
  constructor() {
    super('the loaded lots do not cover the demand');
  }
}

/** The part of a lot that can be spent: in force, not frozen, pinned by nobody. */
export function spendable(lot: DraftLot): Micros {
  return lot.inForce && !lot.frozen ? minus(lot.remaining, lot.pinned) : ZERO;
}

const frozenPart = (lot: DraftLot): Micros => (lot.frozen ? lot.remaining : ZERO);
/** What holds have pinned of it is counted with what they hold. */
const frozenUnpinned = (lot: DraftLot): Micros => (lot.frozen ? minus(lot.remaining, lot.pinned) : ZERO);

export class LotDrafts {
  readonly buckets: readonly DraftBucket[];
  readonly newLots: DraftLot[] = [];
  readonly changedLots = new Set<DraftLot>();
  /** Loaded lots that were frozen, released or revoked. */
  readonly restatedLots = new Set<DraftLot>();
  readonly #byId = new Map<string, DraftLot>();
  readonly #bucketsById: ReadonlyMap<string, DraftBucket>;
  readonly allocations: AllocationDrafts;

  constructor(buckets: readonly BucketSnapshot[], allocations: readonly AllocationSnapshot[]) {
    this.buckets = buckets.toSorted(compareBuckets).map((facts) => ({
      facts,
      available: facts.available,
      pinned: facts.pinned,
      frozen: facts.frozen,
      earmarked: facts.earmarked,
      lots: facts.lots.map((lot) => this.draft(lot)),
      truncated: facts.truncated,
    }));
    this.#bucketsById = new Map(this.buckets.map((bucket) => [bucket.facts.id, bucket]));
    this.allocations = new AllocationDrafts(allocations, (lot) => this.draft(lot));
  }

  bucketById(id: string): DraftBucket {
    const bucket = this.#bucketsById.get(id);
    if (!bucket) throw new Error(`there is no bucket ${id}`);
    return bucket;
  }

  /** The draft of a loaded lot, the same one however often it was loaded. */
  draft(facts: LotSnapshot): DraftLot {
    const known = this.#byId.get(facts.id);
    if (known) return known;
    const { remaining, pinned, inForce, closed, frozen, revoked } = facts;
    const lot: DraftLot = { facts, isNew: false, remaining, pinned, inForce, closed, frozen, revoked };
    this.#byId.set(facts.id, lot);
    return lot;
  }

  /** A lot of the wallet that was loaded or made. */
  find(id: string): DraftLot | undefined {
    return this.#byId.get(id);
  }

  add(id: string, { bucket, amount, repaysDebt: _, ...spec }: NewLot, now: Instant): DraftLot {
    const inForce = spec.effectiveAt <= now;
    const state = { remaining: amount, pinned: ZERO, inForce, closed: false, frozen: false, revoked: false };
    const facts: LotSnapshot = {
      id,
      bucketId: bucket.facts.id,
      granted: amount,
      allocationId: null,
      originId: null,
      ...state,
      ...spec,
    };
    const lot: DraftLot = { facts, isNew: true, ...state };
    this.#byId.set(id, lot);
    this.newLots.push(lot);
    if (inForce) this.#carry(lot, { spendable: amount, pinned: ZERO, frozen: ZERO, frozenUnpinned: ZERO });
    if (inForce) this.#insert(lot);
    return lot;
  }

  /** Adds to what is left of a lot, or takes from its unpinned part where `amount` is negative. */
  changeRemaining(lot: DraftLot, amount: Micros): void {
    this.#change(lot, () => {
      lot.remaining = plus(lot.remaining, amount);
    });
  }

  /** Pins a part of a lot, or unpins it where `amount` is negative. */
  changePinned(lot: DraftLot, amount: Micros): void {
    this.#change(lot, () => {
      lot.pinned = plus(lot.pinned, amount);
    });
  }

  /** A scheduled lot comes into force. */
  start(lot: DraftLot): void {
    this.#change(lot, () => {
      lot.inForce = true;
    });
  }

  /** An expired lot leaves the burn order; what was left in it has been taken out before. */
  close(lot: DraftLot): void {
    this.#change(lot, () => {
      lot.inForce = false;
      lot.closed = true;
    });
  }

  freeze(lot: DraftLot): void {
    this.#restate(lot, () => {
      lot.frozen = true;
    });
  }

  /** A frozen lot can be spent again, until its expiry or, where another is given, until then. */
  release(lot: DraftLot, expiresAt: Instant | null): void {
    this.#restate(lot, () => {
      lot.frozen = false;
      if (expiresAt !== lot.facts.expiresAt) lot.facts = { ...lot.facts, expiresAt };
    });
  }

  /** A lot is taken back and leaves the burn order; what was left in it has been taken out before. */
  revoke(lot: DraftLot): void {
    this.#restate(lot, () => {
      lot.frozen = false;
      lot.revoked = true;
      lot.inForce = false;
      lot.closed = true;
    });
  }

  #restate(lot: DraftLot, make: () => void): void {
    if (!lot.isNew) this.restatedLots.add(lot);
    this.#change(lot, make);
  }

  /** Makes one change and carries its difference over to the bucket. */
  #change(lot: DraftLot, make: () => void): void {
    const before = {
      spendable: spendable(lot),
      pinned: lot.pinned,
      frozen: frozenPart(lot),
      frozenUnpinned: frozenUnpinned(lot),
    };
    make();
    const after = spendable(lot);
    this.#carry(lot, {
      spendable: minus(after, before.spendable),
      pinned: minus(lot.pinned, before.pinned),
      frozen: minus(frozenPart(lot), before.frozen),
      frozenUnpinned: minus(frozenUnpinned(lot), before.frozenUnpinned),
    });
    if (!lot.isNew) this.changedLots.add(lot);
    // A lot that could not be spent before may be missing from the loaded prefix.
    if (after > ZERO && before.spendable === ZERO) this.#insert(lot);
  }

  /** Adds what has become of a lot to its bucket, and to the allocation that it is earmarked for. */
  #carry({ facts: { bucketId, allocationId } }: DraftLot, change: LotChange): void {
    const bucket = this.bucketById(bucketId);
    bucket.available = plus(bucket.available, change.spendable);
    bucket.pinned = plus(bucket.pinned, change.pinned);
    bucket.frozen = plus(bucket.frozen, change.frozen);
    if (allocationId === null) return;
    bucket.earmarked = plus(bucket.earmarked, change.spendable);
    const { spendable: available, pinned, frozenUnpinned: frozen } = change;
    this.allocations.change(allocationId, { ...NO_AMOUNTS, available, pinned, frozen });
  }

  /**
   * Keeps the loaded lots in burn order. In a truncated list a lot that sorts behind the whole prefix is left out: lots that
   * were not loaded may come before it.
   */
  #insert(lot: DraftLot): void {
    const list = this.#listOf(lot);
    if (!list || list.lots.includes(lot)) return;
    const position = list.lots.findIndex((other) => this.compare(lot, other) < 0);
    if (position >= 0) list.lots.splice(position, 0, lot);
    else if (!list.truncated) list.lots.push(lot);
  }

  /** Undefined for an allocation that was not loaded. */
  #listOf({ facts: { bucketId, allocationId } }: DraftLot): LoadedLots | undefined {
    return allocationId === null ? this.bucketById(bucketId) : this.allocations.find(allocationId);
  }

  /** The burn order over all buckets. */
  compare(a: DraftLot, b: DraftLot): number {
    const [inA, inB] = [this.bucketById(a.facts.bucketId), this.bucketById(b.facts.bucketId)];
    return (inA === inB ? 0 : compareBuckets(inA.facts, inB.facts)) || compareBurnOrder(a.facts, b.facts);
  }
}

interface LotChange {
  readonly spendable: Micros;
  readonly pinned: Micros;
  readonly frozen: Micros;
  readonly frozenUnpinned: Micros;
}
