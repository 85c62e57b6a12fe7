/**
 * The lots of one wallet within a batch, with the aggregates of their buckets. Every change of a lot goes through here, so
 * that a bucket's aggregates equal the sums over its lots and the loaded lots stay in burn order.
 */
import { type Micros, minus, plus, ZERO } from '../credits/micros.ts';
import type { Instant } from '../time/instant.ts';
import { compareBuckets, compareBurnOrder } from '../wallet/burn-order.ts';
import type { BucketSnapshot, LotSnapshot, LotSource } from '../wallet/snapshot.ts';

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
  /** Loaded spendable lots in burn order; those that run empty stay. */
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
  /** New credits pay back what the wallet owes; daily allowances do not. */
  readonly repaysDebt: boolean;
}

/**
 * Thrown when a decision needs lots of a bucket beyond the loaded prefix. The batch is then decided anew with more of
 * them; it never leaves `decideBatch`.
 */
export class LotsNotLoaded extends Error {
  readonly bucketId: string;
  constructor(bucketId: string) {
    super('the loaded lots do not cover the demand');
    this.bucketId = bucketId;
  }
}

/** The part of a lot that can be spent: in force, not frozen, pinned by nobody. */
export function spendable(lot: DraftLot): Micros {
  return lot.inForce && !lot.frozen ? minus(lot.remaining, lot.pinned) : ZERO;
}

const frozenPart = (lot: DraftLot): Micros => (lot.frozen ? lot.remaining : ZERO);

export class LotDrafts {
  readonly buckets: readonly DraftBucket[];
  readonly newLots: DraftLot[] = [];
  readonly changedLots = new Set<DraftLot>();
  /** Loaded lots that were frozen, released or revoked. */
  readonly restatedLots = new Set<DraftLot>();
  readonly #byId = new Map<string, DraftLot>();
  readonly #bucketsById: ReadonlyMap<string, DraftBucket>;

  constructor(buckets: readonly BucketSnapshot[]) {
    this.buckets = buckets.toSorted(compareBuckets).map((facts) => ({
      facts,
      available: facts.available,
      pinned: facts.pinned,
      frozen: facts.frozen,
      lots: facts.lots.map((lot) => this.draft(lot)),
      truncated: facts.truncated,
    }));
    this.#bucketsById = new Map(this.buckets.map((bucket) => [bucket.facts.id, bucket]));
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

  add(id: string, { bucket, amount, repaysDebt: _, ...spec }: NewLot, now: Instant): DraftLot {
    const inForce = spec.effectiveAt <= now;
    const state = { remaining: amount, pinned: ZERO, inForce, closed: false, frozen: false, revoked: false };
    const facts: LotSnapshot = { id, bucketId: bucket.facts.id, granted: amount, ...state, ...spec };
    const lot: DraftLot = { facts, isNew: true, ...state };
    this.#byId.set(id, lot);
    this.newLots.push(lot);
    if (inForce) {
      bucket.available = plus(bucket.available, amount);
      insertInBurnOrder(bucket, lot);
    }
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
    const bucket = this.bucketById(lot.facts.bucketId);
    const before = { spendable: spendable(lot), pinned: lot.pinned, frozen: frozenPart(lot) };
    make();
    const after = spendable(lot);
    bucket.available = plus(bucket.available, minus(after, before.spendable));
    bucket.pinned = plus(bucket.pinned, minus(lot.pinned, before.pinned));
    bucket.frozen = plus(bucket.frozen, minus(frozenPart(lot), before.frozen));
    if (!lot.isNew) this.changedLots.add(lot);
    // A lot that could not be spent before may be missing from the loaded prefix.
    if (after > ZERO && before.spendable === ZERO && !bucket.lots.includes(lot)) insertInBurnOrder(bucket, lot);
  }
}

/**
 * Keeps the loaded lots in burn order. In a truncated bucket a lot that sorts behind the whole prefix is left out: lots
 * that were not loaded may come before it.
 */
function insertInBurnOrder(bucket: DraftBucket, lot: DraftLot): void {
  const position = bucket.lots.findIndex((other) => compareBurnOrder(lot.facts, other.facts) < 0);
  if (position >= 0) bucket.lots.splice(position, 0, lot);
  else if (!bucket.truncated) bucket.lots.push(lot);
}
