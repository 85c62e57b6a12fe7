/**
 * The draft of one wallet within a batch: starts as the snapshot read under the lock, is changed by the decisions in
 * order, and ends as the rows to write. It keeps the invariants of the wallet (aggregates equal the lots, balances chain,
 * sequence and version without gaps); it does not know why credits move.
 */
import { atLeastZero, type Micros, micros, minus, plus, smaller, ZERO } from '../credits/micros.ts';
import { chainHash } from '../ledger/hash-chain.ts';
import type { Instant } from '../time/instant.ts';
import { compareBuckets, compareBurnOrder } from '../wallet/burn-order.ts';
import type {
  AllowanceSnapshot,
  BucketSnapshot,
  LotSnapshot,
  LotSource,
  SubscriptionStatus,
  WalletSnapshot,
} from '../wallet/snapshot.ts';
import type { Direction, PostedChange, PostedEntry, PostedTransaction, TransactionDetails } from './records.ts';

/** A lot being changed. Everything about it that cannot change stays in `facts`. */
export interface DraftLot {
  readonly facts: LotSnapshot;
  readonly isNew: boolean;
  remaining: Micros;
  pinned: Micros;
  inForce: boolean;
  /** True once it has expired in this batch. */
  closed: boolean;
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

/** Makes the movements of one transaction; exists only while that transaction is being posted. */
export interface Movements {
  /** Takes `amount` out of the wallet in burn order. The caller has checked that it is available. */
  spend(amount: Micros, reasonCode: string): void;
  /** Takes `amount` out of one bucket in burn order. */
  spendFrom(bucket: DraftBucket, amount: Micros, reasonCode: string): void;
  /** Takes `amount` out of one lot. */
  debitLot(lot: DraftLot, amount: Micros, reasonCode: string): void;
  /** Puts a new lot into the wallet. */
  grant(lot: NewLot, reasonCode: string): DraftLot;
}

export class WalletBook {
  readonly snapshot: WalletSnapshot;
  readonly buckets: readonly DraftBucket[];
  readonly allowances: AllowanceSnapshot[];
  readonly transactions: PostedTransaction[] = [];
  readonly entries: PostedEntry[] = [];
  readonly changes: PostedChange[] = [];
  readonly newLots: DraftLot[] = [];
  readonly changedLots = new Set<DraftLot>();
  readonly refreshedBuckets = new Set<string>();
  /** True once lots were added, started or expired, so that the next transition must be looked up again. */
  transitionsChanged = false;
  balance: Micros;
  sequence: bigint;
  version: bigint;
  headHash: string;
  readonly #newId: () => string;
  readonly #bucketsById: ReadonlyMap<string, DraftBucket>;
  readonly #lotsById = new Map<string, DraftLot>();
  #announced: Micros;

  constructor(snapshot: WalletSnapshot, newId: () => string) {
    this.snapshot = snapshot;
    this.#newId = newId;
    this.balance = snapshot.balance;
    this.sequence = snapshot.sequence;
    this.version = snapshot.version;
    this.headHash = snapshot.headHash;
    this.allowances = [...snapshot.allowances];
    this.buckets = snapshot.buckets.toSorted(compareBuckets).map((facts) => ({
      facts,
      available: facts.available,
      pinned: facts.pinned,
      frozen: facts.frozen,
      lots: facts.lots.map((lot) => this.#draft(lot)),
      truncated: facts.truncated,
    }));
    this.#bucketsById = new Map(this.buckets.map((bucket) => [bucket.facts.id, bucket]));
    this.#announced = this.available;
  }

  get now(): Instant {
    return this.snapshot.now;
  }

  get subscriptionStatus(): SubscriptionStatus | null {
    return this.snapshot.subscriptionStatus;
  }

  /** What can be spent now. */
  get available(): Micros {
    let inBuckets = 0n;
    for (const bucket of this.buckets) inBuckets += bucket.available;
    return atLeastZero(micros(inBuckets - this.snapshot.debt));
  }

  get held(): Micros {
    let pinned = 0n;
    for (const bucket of this.buckets) pinned += bucket.pinned;
    return micros(pinned);
  }

  bucketByKey(key: string): DraftBucket | undefined {
    return this.buckets.find((bucket) => bucket.facts.key === key);
  }

  /** The bucket of that key, which the caller has found to exist. */
  requireBucket(key: string): DraftBucket {
    const bucket = this.bucketByKey(key);
    if (!bucket) throw new Error(`wallet ${this.snapshot.id} has no bucket ${key}`);
    return bucket;
  }

  bucketById(id: string): DraftBucket {
    const bucket = this.#bucketsById.get(id);
    if (!bucket) throw new Error(`wallet ${this.snapshot.id} has no bucket ${id}`);
    return bucket;
  }

  /** The draft of a lot that was loaded outside the burn-order prefix, as due ones are. */
  lot(facts: LotSnapshot): DraftLot {
    return this.#lotsById.get(facts.id) ?? this.#draft(facts);
  }

  /** Posts one transaction: what `move` moves, chained and numbered, and one version for live clients if anything moved. */
  post(details: TransactionDetails, move: (movements: Movements) => void): PostedTransaction {
    const id = this.#newId();
    const balanceBefore = this.balance;
    const sequenceBefore = this.sequence;
    move(this.#movements(id, details));
    const transaction: PostedTransaction = {
      ...details,
      id,
      walletId: this.snapshot.id,
      amount: minus(this.balance, balanceBefore),
      postedAt: this.now,
    };
    this.transactions.push(transaction);
    if (this.sequence !== sequenceBefore) this.#announce(details.reasonCode, id, details.effectiveAt);
    return transaction;
  }

  /** A scheduled lot comes into force: no credits move, more can be spent. */
  start(lot: DraftLot, at: Instant): void {
    lot.inForce = true;
    const bucket = this.bucketById(lot.facts.bucketId);
    if (!lot.facts.frozen) {
      bucket.available = plus(bucket.available, minus(lot.remaining, lot.pinned));
      insertInBurnOrder(bucket, lot);
    }
    this.#touch(lot);
    this.#announce('LOT_STARTED', null, at);
  }

  /** An expired lot leaves the burn order; what was left in it has been taken out by a debit before. */
  close(lot: DraftLot): void {
    lot.inForce = false;
    lot.closed = true;
    this.#touch(lot);
  }

  replaceAllowance(next: AllowanceSnapshot): void {
    const index = this.allowances.findIndex((allowance) => allowance.bucketId === next.bucketId);
    this.allowances[index] = next;
    this.refreshedBuckets.add(next.bucketId);
    this.transitionsChanged = true;
  }

  #draft(facts: LotSnapshot): DraftLot {
    const lot: DraftLot = {
      facts,
      isNew: false,
      remaining: facts.remaining,
      pinned: facts.pinned,
      inForce: facts.inForce,
      closed: false,
    };
    this.#lotsById.set(facts.id, lot);
    return lot;
  }

  #touch(lot: DraftLot): void {
    if (!lot.isNew) this.changedLots.add(lot);
    this.transitionsChanged = true;
  }

  #announce(reasonCode: string, transactionId: string | null, occurredAt: Instant): void {
    const totalAvailable = this.available;
    this.version += 1n;
    this.changes.push({
      walletId: this.snapshot.id,
      version: this.version,
      sequence: this.sequence,
      change: minus(totalAvailable, this.#announced),
      reasonCode,
      totalAvailable,
      held: this.held,
      transactionId,
      occurredAt,
    });
    this.#announced = totalAvailable;
  }

  #movements(transactionId: string, details: TransactionDetails): Movements {
    const debitLot = (lot: DraftLot, amount: Micros, reasonCode: string) => {
      lot.remaining = minus(lot.remaining, amount);
      if (!lot.isNew) this.changedLots.add(lot);
      const bucket = this.bucketById(lot.facts.bucketId);
      if (lot.inForce && !lot.facts.frozen) bucket.available = minus(bucket.available, amount);
      this.#enter(transactionId, details, 'DEBIT', amount, reasonCode, lot);
    };
    const spendFrom = (bucket: DraftBucket, amount: Micros, reasonCode: string) => {
      let rest = amount;
      for (const lot of bucket.lots) {
        if (rest === ZERO) return;
        const take = smaller(rest, spendable(lot));
        if (take === ZERO) continue;
        debitLot(lot, take, reasonCode);
        rest = minus(rest, take);
      }
      if (rest === ZERO) return;
      if (bucket.truncated) throw new LotsNotLoaded(bucket.facts.id);
      throw new Error(`bucket ${bucket.facts.id} holds less in its lots than its aggregate says`);
    };
    return {
      debitLot,
      spendFrom,
      spend: (amount, reasonCode) => {
        let rest = amount;
        for (const bucket of this.buckets) {
          const take = smaller(rest, bucket.available);
          if (take > ZERO) spendFrom(bucket, take, reasonCode);
          rest = minus(rest, take);
        }
        if (rest !== ZERO) throw new Error('more was spent than is available');
      },
      grant: (spec, reasonCode) => {
        const lot = this.#newLot(spec);
        this.#enter(transactionId, details, 'CREDIT', spec.amount, reasonCode, lot);
        return lot;
      },
    };
  }

  #newLot({ bucket, amount, ...spec }: NewLot): DraftLot {
    const inForce = spec.effectiveAt <= this.now;
    const facts: LotSnapshot = {
      id: this.#newId(),
      bucketId: bucket.facts.id,
      granted: amount,
      remaining: amount,
      pinned: ZERO,
      inForce,
      frozen: false,
      ...spec,
    };
    const lot: DraftLot = { facts, isNew: true, remaining: amount, pinned: ZERO, inForce, closed: false };
    this.#lotsById.set(facts.id, lot);
    this.newLots.push(lot);
    this.transitionsChanged = true;
    if (inForce) {
      bucket.available = plus(bucket.available, amount);
      insertInBurnOrder(bucket, lot);
    }
    return lot;
  }

  #enter(
    transactionId: string,
    details: TransactionDetails,
    direction: Direction,
    amount: Micros,
    reasonCode: string,
    lot: DraftLot,
  ): void {
    this.sequence += 1n;
    this.balance = direction === 'CREDIT' ? plus(this.balance, amount) : minus(this.balance, amount);
    const meter = singleMeter(details);
    const entry = {
      walletId: this.snapshot.id,
      sequence: this.sequence,
      direction,
      amount,
      balanceAfter: this.balance,
      reasonCode,
      transactionId,
      lotId: lot.facts.id,
      meter,
      postedAt: this.now,
    };
    this.headHash = chainHash(this.headHash, {
      ...entry,
      kind: details.kind,
      taskId: details.attribution.taskId,
      executionId: details.attribution.executionId,
      actorKind: details.actor.kind,
      actorId: details.actor.id,
      effectiveAt: details.effectiveAt,
      occurredAt: details.occurredAt,
      metadata: details.metadata,
    });
    this.entries.push({ ...entry, bucketId: lot.facts.bucketId, transaction: details, hash: this.headHash });
  }
}

/** The part of a lot that nobody has pinned. */
function spendable(lot: DraftLot): Micros {
  return lot.inForce ? minus(lot.remaining, lot.pinned) : ZERO;
}

/** An entry names a meter where all lines of its transaction share one. */
function singleMeter(details: TransactionDetails): string | null {
  const [first, ...rest] = details.lines;
  return first !== undefined && rest.every((line) => line.meter === first.meter) ? first.meter : null;
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
