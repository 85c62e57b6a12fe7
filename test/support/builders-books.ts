/**
 * The books of one wallet in memory. They are loaded and written as persistence does it (burn-order prefixes, a bound on
 * due lots, the next transition looked up again only where a decision says so), so that decisions are tested over many
 * batches without a database.
 */
import type { Actor } from '../../src/domain/actor.ts';
import { type Micros, minus, sum, ZERO } from '../../src/domain/credits/micros.ts';
import { GENESIS_HASH } from '../../src/domain/ledger/hash-chain.ts';
import type { Command } from '../../src/domain/posting/commands.ts';
import { isKeyed } from '../../src/domain/posting/commands.ts';
import { type BatchDecision, decideBatch, type Policies } from '../../src/domain/posting/decide-batch.ts';
import { type IdempotencyRecord, idempotencyId } from '../../src/domain/posting/idempotency.ts';
import type { Outcome } from '../../src/domain/posting/outcomes.ts';
import type { PostedAudit, PostedChange, PostedEntry, PostedTransaction } from '../../src/domain/posting/records.ts';
import type { DraftLot, WalletBook } from '../../src/domain/posting/wallet-book.ts';
import { type Rate, rateCard } from '../../src/domain/pricing/rate-card.ts';
import type { PurchaseSnapshot } from '../../src/domain/purchases/purchase.ts';
import { earliest, type Instant, instant } from '../../src/domain/time/instant.ts';
import { compareBurnOrder } from '../../src/domain/wallet/burn-order.ts';
import {
  type AllowanceSnapshot,
  type BucketKind,
  type LotSnapshot,
  lotTransitionAt,
  type RefreshInterval,
  type SubscriptionStatus,
  type WalletSnapshot,
} from '../../src/domain/wallet/snapshot.ts';
import { ORGANIZATION, WALLET } from './builders-commands.ts';
import { at, credits } from './builders-values.ts';

export interface PolicyOptions {
  readonly rates?: readonly Rate[];
  readonly commandCeiling?: string;
  readonly latenessDays?: number;
  readonly expiryDays?: Readonly<Record<string, number>>;
}

export function policies(options: PolicyOptions = {}): Policies {
  const { rates = [], commandCeiling = '1000000000', latenessDays = 7, expiryDays = {} } = options;
  return {
    catalogVersion: 1,
    rateCards: [rateCard(1, instant(0), rates)],
    commandCeiling: credits(commandCeiling),
    latenessMilliseconds: latenessDays * 86_400_000,
    defaultExpiryDays: new Map(Object.entries(expiryDays)),
  };
}

/** How much of a wallet is loaded at once. */
export interface Limits {
  readonly lotsPerBucket: number;
  readonly dueLots: number;
}

const GENEROUS: Limits = { lotsPerBucket: 1_000, dueLots: 1_000 };

interface StoredBucket {
  readonly id: string;
  readonly key: string;
  readonly kind: BucketKind;
  readonly burnPriority: number;
  available: Micros;
  pinned: Micros;
  frozen: Micros;
}

interface StoredLot extends LotSnapshot {
  readonly nextTransitionAt: Instant | null;
}

export interface StoredPurchase {
  readonly facts: PurchaseSnapshot;
  readonly buyer: Actor;
  readonly paidAt: Instant | null;
}

export interface LotOptions {
  readonly effectiveAt?: Instant;
  readonly expiresAt?: Instant | null;
  readonly paid?: boolean;
  readonly pinned?: string;
  readonly frozen?: boolean;
  /** By default a lot is in force from `effectiveAt` on, and stays so until its expiry is posted. */
  readonly inForce?: boolean;
}

export interface AllowanceOptions {
  readonly anchorDay?: number;
  readonly lastRefreshedAt?: Instant | null;
  readonly nextRefreshAt: Instant;
}

interface Opening {
  readonly now: Instant;
  readonly timeZone: string;
  readonly status: SubscriptionStatus | null;
  readonly frozen: boolean;
  readonly policies: Policies;
  readonly limits: Limits;
}

const idOf = (number: number): string => `id-${number.toString().padStart(8, '0')}`;

export class WalletBuilder {
  #opening: Opening = {
    now: at('2026-03-10T12:00:00'),
    timeZone: 'UTC',
    status: 'ACTIVE',
    frozen: false,
    policies: policies(),
    limits: GENEROUS,
  };
  #ids = 0;
  readonly #buckets: StoredBucket[] = [];
  readonly #lots: StoredLot[] = [];
  readonly #allowances: AllowanceSnapshot[] = [];
  readonly #purchases: StoredPurchase[] = [];

  constructor() {
    this.withBucket('daily_free', 'ALLOWANCE', 10)
      .withBucket('promotional', 'PROMOTIONAL', 20)
      .withBucket('monthly_plan', 'PLAN', 30)
      .withBucket('purchased', 'PURCHASED', 40);
  }

  at(now: Instant): this {
    this.#opening = { ...this.#opening, now };
    return this;
  }

  in(timeZone: string): this {
    this.#opening = { ...this.#opening, timeZone };
    return this;
  }

  /** The status of its subscription; null for none. Without this it is ACTIVE. */
  subscribed(status: SubscriptionStatus | null): this {
    this.#opening = { ...this.#opening, status };
    return this;
  }

  frozen(): this {
    this.#opening = { ...this.#opening, frozen: true };
    return this;
  }

  under(chosen: Policies): this {
    this.#opening = { ...this.#opening, policies: chosen };
    return this;
  }

  loaded(limits: Partial<Limits>): this {
    this.#opening = { ...this.#opening, limits: { ...this.#opening.limits, ...limits } };
    return this;
  }

  withBucket(key: string, kind: BucketKind, burnPriority: number): this {
    this.#buckets.push({ id: `bucket-${key}`, key, kind, burnPriority, available: ZERO, pinned: ZERO, frozen: ZERO });
    return this;
  }

  withLot(bucketKey: string, amount: string, options: LotOptions = {}): this {
    const { now } = this.#opening;
    const { effectiveAt = instant(now - 1_000), expiresAt = null, paid = false, frozen = false } = options;
    const lot: LotSnapshot = {
      id: idOf(++this.#ids),
      bucketId: `bucket-${bucketKey}`,
      source: 'PROMOTION',
      granted: credits(amount),
      remaining: credits(amount),
      pinned: credits(options.pinned ?? '0'),
      paid,
      effectiveAt,
      expiresAt,
      inForce: options.inForce ?? effectiveAt <= now,
      frozen,
      purchaseId: null,
    };
    this.#lots.push({ ...lot, nextTransitionAt: lotTransitionAt(lot) });
    return this;
  }

  withAllowance(bucketKey: string, interval: RefreshInterval, amount: string, options: AllowanceOptions): this {
    const { anchorDay = 1, lastRefreshedAt = null, nextRefreshAt } = options;
    const bucketId = `bucket-${bucketKey}`;
    this.#allowances.push({ bucketId, interval, amount: credits(amount), anchorDay, lastRefreshedAt, nextRefreshAt });
    return this;
  }

  withPurchase(id: string, facts: Partial<Omit<PurchaseSnapshot, 'id'>> = {}, buyer?: Actor): this {
    this.#purchases.push({
      facts: {
        id,
        walletId: WALLET,
        status: 'PENDING',
        credits: credits('1000'),
        bonus: ZERO,
        bucketKey: 'purchased',
        expiresAfterDays: null,
        ...facts,
      },
      buyer: buyer ?? { kind: 'USER', id: 'user-1' },
      paidAt: null,
    });
    return this;
  }

  books(): Books {
    return new Books(this.#opening, this.#buckets, this.#lots, this.#allowances, this.#purchases, this.#ids);
  }
}

export const aWallet = (): WalletBuilder => new WalletBuilder();

const spendable = (lot: LotSnapshot): Micros => minus(lot.remaining, lot.pinned);

export class Books {
  now: Instant;
  status: SubscriptionStatus | null;
  frozen: boolean;
  balance: Micros;
  sequence: bigint;
  version: bigint;
  headHash = GENESIS_HASH;
  nextTransitionAt: Instant | null;
  allowances: readonly AllowanceSnapshot[];
  /** How often a decision asked for more lots. */
  reloads = 0;
  readonly opening: Opening;
  readonly openingBalance: Micros;
  readonly openingAvailable: Micros;
  readonly buckets: readonly StoredBucket[];
  readonly lots = new Map<string, StoredLot>();
  readonly purchases = new Map<string, StoredPurchase>();
  readonly transactions: PostedTransaction[] = [];
  readonly entries: PostedEntry[] = [];
  readonly changes: PostedChange[] = [];
  readonly audits: PostedAudit[] = [];
  readonly records = new Map<string, IdempotencyRecord>();
  #ids: number;

  constructor(
    opening: Opening,
    buckets: readonly StoredBucket[],
    lots: readonly StoredLot[],
    allowances: readonly AllowanceSnapshot[],
    purchases: readonly StoredPurchase[],
    ids: number,
  ) {
    this.opening = opening;
    this.now = opening.now;
    this.status = opening.status;
    this.frozen = opening.frozen;
    this.allowances = allowances;
    this.#ids = ids;
    for (const lot of lots) this.lots.set(lot.id, lot);
    for (const purchase of purchases) this.purchases.set(purchase.facts.id, purchase);
    this.buckets = buckets.map((bucket) => ({ ...bucket, ...this.sumsOf(bucket.id) }));
    this.balance = sum(lots.map((lot) => lot.remaining));
    this.openingBalance = this.balance;
    this.openingAvailable = this.available;
    this.sequence = BigInt(lots.length);
    this.version = BigInt(lots.length);
    this.nextTransitionAt = this.#earliestTransition();
  }

  get available(): Micros {
    return sum(this.buckets.map((bucket) => bucket.available));
  }

  /** What a bucket's aggregates must be by its lots. */
  sumsOf(bucketId: string): { available: Micros; pinned: Micros; frozen: Micros } {
    const lots = [...this.lots.values()].filter((lot) => lot.bucketId === bucketId);
    const inForce = lots.filter((lot) => lot.inForce && !lot.frozen);
    return {
      available: sum(inForce.map(spendable)),
      pinned: sum(lots.map((lot) => lot.pinned)),
      frozen: sum(lots.filter((lot) => lot.frozen).map((lot) => lot.remaining)),
    };
  }

  /** What is left in one bucket's lots, in burn order, empty lots left out. */
  remainingIn(bucketKey: string): Micros[] {
    return [...this.lots.values()]
      .filter((lot) => lot.bucketId === `bucket-${bucketKey}` && lot.remaining > ZERO)
      .sort(compareBurnOrder)
      .map((lot) => lot.remaining);
  }

  snapshot(limits: Limits = this.opening.limits): WalletSnapshot {
    const due = this.#due();
    return {
      id: WALLET,
      organizationId: ORGANIZATION,
      timeZone: this.opening.timeZone,
      now: this.now,
      balance: this.balance,
      debt: ZERO,
      sequence: this.sequence,
      version: this.version,
      headHash: this.headHash,
      frozen: this.frozen,
      nextTransitionAt: this.nextTransitionAt,
      subscriptionStatus: this.status,
      buckets: this.buckets.map((bucket) => {
        const lots = this.#spendableIn(bucket.id);
        const loaded = lots.slice(0, limits.lotsPerBucket);
        return { ...bucket, lots: loaded, truncated: loaded.length === limits.lotsPerBucket };
      }),
      allowances: this.allowances,
      dueLots: due.slice(0, limits.dueLots),
      moreDue: due.length > limits.dueLots,
    };
  }

  /** Moves the clock. Nothing is posted by that alone. */
  moveTo(now: Instant): this {
    this.now = now;
    return this;
  }

  /** One batch: decided, with more lots loaded where asked for, and written. */
  run(...commands: readonly Command[]): readonly Outcome[] {
    return this.decide(...commands).outcomes;
  }

  /** The only outcome of a batch of one. */
  post(command: Command): Outcome {
    const [outcome] = this.run(command);
    if (!outcome) throw new Error('a batch of one has one outcome');
    return outcome;
  }

  decide(...commands: readonly Command[]): BatchDecision {
    for (let limits = this.opening.limits; ; limits = { ...limits, lotsPerBucket: limits.lotsPerBucket * 4 }) {
      const decision = decideBatch({
        commands,
        wallets: [this.snapshot(limits)],
        records: commands.filter(isKeyed).flatMap((command) => this.records.get(idempotencyId(command)) ?? []),
        purchases: [...this.purchases.values()],
        policies: this.opening.policies,
        newId: () => idOf(++this.#ids),
      });
      if (decision.kind === 'decided') {
        this.#write(decision);
        return decision;
      }
      this.reloads += 1;
      if (limits.lotsPerBucket > 1_000_000) throw new Error(`bucket ${decision.bucketId} never has enough lots`);
    }
  }

  /** By instant, and at one instant what expires before what starts. */
  #due(): StoredLot[] {
    if (this.nextTransitionAt === null || this.nextTransitionAt > this.now) return [];
    return [...this.lots.values()]
      .filter((lot) => !lot.frozen && lot.nextTransitionAt !== null && lot.nextTransitionAt <= this.now)
      .sort(
        (a, b) =>
          Number(a.nextTransitionAt) - Number(b.nextTransitionAt) ||
          Number(b.inForce) - Number(a.inForce) ||
          (a.id < b.id ? -1 : 1),
      );
  }

  #spendableIn(bucketId: string): StoredLot[] {
    return [...this.lots.values()]
      .filter((lot) => lot.bucketId === bucketId && lot.inForce && !lot.frozen && lot.remaining > lot.pinned)
      .sort(compareBurnOrder);
  }

  #earliestTransition(): Instant | null {
    const lots = [...this.lots.values()].filter((lot) => !lot.frozen).map((lot) => lot.nextTransitionAt);
    return earliest(...lots, ...this.allowances.map((allowance) => allowance.nextRefreshAt));
  }

  #write(decision: BatchDecision): void {
    for (const book of decision.books) this.#writeBook(book);
    for (const record of decision.newRecords) {
      if (this.records.has(idempotencyId(record))) throw new Error('a key is recorded once');
      this.records.set(idempotencyId(record), record);
    }
    for (const { facts, buyer, status, paidAt } of decision.changedPurchases) {
      this.purchases.set(facts.id, { facts: { ...facts, status }, buyer, paidAt });
    }
    this.audits.push(...decision.audits);
  }

  #writeBook(book: WalletBook): void {
    this.transactions.push(...book.transactions);
    this.entries.push(...book.entries);
    this.changes.push(...book.changes);
    for (const lot of book.newLots) {
      if (this.lots.has(lot.facts.id)) throw new Error(`lot ${lot.facts.id} exists`);
      this.#writeLot(lot);
    }
    for (const lot of book.changedLots) {
      if (!this.lots.has(lot.facts.id)) throw new Error(`lot ${lot.facts.id} does not exist`);
      this.#writeLot(lot);
    }
    for (const bucket of this.buckets) {
      const { available, pinned, frozen } = book.bucketById(bucket.id);
      Object.assign(bucket, { available, pinned, frozen });
    }
    this.allowances = [...book.allowances];
    this.balance = book.balance;
    this.sequence = book.sequence;
    this.version = book.version;
    this.headHash = book.headHash;
    if (book.transitionsChanged) this.nextTransitionAt = this.#earliestTransition();
  }

  #writeLot({ facts, remaining, pinned, inForce, closed }: DraftLot): void {
    const lot: LotSnapshot = { ...facts, remaining, pinned, inForce };
    this.lots.set(lot.id, { ...lot, nextTransitionAt: closed ? null : lotTransitionAt(lot) });
  }
}
