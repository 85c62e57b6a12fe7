/**
 * The draft of one wallet within a batch: starts as the snapshot read under the lock, is changed by the decisions in
 * order, and ends as the rows to write. It keeps the invariants of the wallet (balance equals lots less debt, every change
 * of what can be spent has a version without gaps); it does not know why credits move.
 */

import { type Actor, systemActor } from '../actor.ts';
import { atLeastZero, type Micros, micros, minus, plus, smaller, sum, ZERO } from '../credits/micros.ts';
import type { HoldFacts } from '../holds/hold.ts';
import type { ReasonCode } from '../ledger/reason-code.ts';
import { SpendLimits } from '../limits/spend-limit.ts';
import type { CountedUnits } from '../pricing/price.ts';
import type { AutoTopUp } from '../purchases/auto-top-up.ts';
import { type Spender, spenderOf } from '../spender.ts';
import type { Subscription, SubscriptionStatus } from '../subscriptions/subscription.ts';
import type { Instant } from '../time/instant.ts';
import type { AllowanceSnapshot } from '../wallet/bucket.ts';
import type { LotSnapshot } from '../wallet/lot.ts';
import { AlertDrafts } from './alert-drafts.ts';
import { CounterDrafts } from './counter-drafts.ts';
import { EntryLog } from './entry-log.ts';
import { type Funds, POOL, takeInBurnOrder } from './funds.ts';
import type { Happened, Happening } from './happenings.ts';
import { type DraftHold, HoldDrafts, remainingOf } from './hold-drafts.ts';
import { type DraftBucket, type DraftLot, LotDrafts, unallocatedIn } from './lot-drafts.ts';
import { type Movements, movementsOf } from './movements.ts';
import type { NewPurchase } from './new-purchase.ts';
import { OperationDrafts } from './operation-drafts.ts';
import type { PostedChange, PostedTransaction, TransactionDetails, TransactionKind } from './records.ts';
import type { WalletSnapshot } from './wallet-snapshot.ts';
import { anchorDayOf, Windows } from './windows.ts';

/** Transactions that are told one by one. Usage is told in groups; what comes by itself with time is in the ledger. */
const TOLD: ReadonlySet<TransactionKind> = new Set<TransactionKind>(['REFUND', 'GRANT', 'ADJUSTMENT', 'REVERSAL']);

export class WalletBook {
  readonly snapshot: WalletSnapshot;
  readonly transactions: PostedTransaction[] = [];
  readonly changes: PostedChange[] = [];
  /** Purchases that the batch begins. */
  readonly newPurchases: NewPurchase[] = [];
  readonly refreshedBuckets = new Set<string>();
  /** What people are told, in order. */
  readonly happenings: Happening[] = [];
  /** Who causes what happens next. */
  actor: Actor = systemActor('purser');
  /** Lots of the batch that have paid back what the wallet owed, oldest first. */
  readonly repaying: DraftLot[] = [];
  readonly lots: LotDrafts;
  readonly holds: HoldDrafts;
  readonly counters: CounterDrafts;
  readonly operations: OperationDrafts;
  readonly spendLimits: SpendLimits;
  readonly alerts: AlertDrafts;
  allowances: readonly AllowanceSnapshot[];
  windows: Windows;
  subscription: Subscription | null;
  /** When the next charge is due while nobody is there to pay; null where none is. */
  nextChargeAt: Instant | null = null;
  /** Null where nobody has configured it. */
  autoTopUp: AutoTopUp | null;
  /** True once other allowances have taken the place of all there were. */
  allowancesReplaced = false;
  /** True once lots, allowances or holds changed, so that the next transition must be looked up again. */
  transitionsChanged = false;
  /** True once a command that somebody asked for was posted. */
  active = false;
  debt: Micros;
  version: bigint;
  readonly #newId: () => string;
  readonly #log: EntryLog;
  /** What the newest version announced. */
  #announced: { readonly available: Micros; readonly held: Micros; readonly sequence: bigint };

  constructor(snapshot: WalletSnapshot, newId: () => string) {
    this.snapshot = snapshot;
    this.#newId = newId;
    this.debt = snapshot.debt;
    this.version = snapshot.version;
    this.lots = new LotDrafts(snapshot.buckets, snapshot.allocations);
    for (const origin of snapshot.allocationStanding.origins) this.lots.draft(origin);
    this.allowances = this.#inBurnOrder(snapshot.allowances);
    this.holds = new HoldDrafts(snapshot.holds, this.lots);
    this.counters = new CounterDrafts(snapshot);
    this.operations = new OperationDrafts(snapshot.operationCounts);
    this.spendLimits = new SpendLimits(snapshot.spendLimits);
    this.alerts = new AlertDrafts(snapshot, newId);
    this.subscription = snapshot.subscription;
    this.autoTopUp = snapshot.autoTopUp;
    this.windows = new Windows(snapshot, anchorDayOf(snapshot.subscription));
    this.#log = new EntryLog(snapshot);
    this.#announced = this.#spendableState();
  }

  get now(): Instant {
    return this.snapshot.now;
  }

  get subscriptionStatus(): SubscriptionStatus | null {
    return this.subscription?.status ?? null;
  }

  /** The plan subscribed to, now or before; null where there never was one. */
  get planKey(): string | null {
    return this.subscription?.planKey ?? null;
  }

  get balance(): Micros {
    return this.#log.balance;
  }

  get sequence(): bigint {
    return this.#log.sequence;
  }

  get headHash(): string {
    return this.#log.headHash;
  }

  get entries() {
    return this.#log.entries;
  }

  get buckets(): readonly DraftBucket[] {
    return this.lots.buckets;
  }

  get newLots(): readonly DraftLot[] {
    return this.lots.newLots;
  }

  get changedLots(): ReadonlySet<DraftLot> {
    return this.lots.changedLots;
  }

  /** What can be spent now, by all together. */
  get available(): Micros {
    let inBuckets = 0n;
    for (const bucket of this.buckets) inBuckets += bucket.available;
    return atLeastZero(micros(inBuckets - this.debt));
  }

  /** What can be spent now and is earmarked for nobody. */
  get unallocated(): Micros {
    return atLeastZero(minus(this.#pool, this.debt));
  }

  /** What this spender may spend. */
  fundsOf(spender: Pick<Spender, 'userId' | 'projectId'>): Funds {
    if (this.lots.allocations.isEmpty) return POOL;
    const own = this.lots.allocations.of(spender);
    const exclusive = own.filter((allocation) => allocation.exclusive);
    return exclusive.length > 0 ? { own: exclusive, pool: false } : { own, pool: true };
  }

  /** What there is of it. What the wallet owes is owed by the pool first. */
  availableIn({ own, pool }: Funds): Micros {
    const earmarked = sum(own.map((allocation) => allocation.available));
    const together = atLeastZero(minus(plus(this.#pool, earmarked), this.debt));
    return pool ? together : smaller(earmarked, together);
  }

  /** What holds have reserved, as far as its spender sees the wallet: who spends an earmark and nothing else sees that. */
  heldIn({ own, pool }: Funds): Micros {
    return pool ? this.held : sum(own.map((allocation) => allocation.pinned));
  }

  get #pool(): Micros {
    let unallocated = 0n;
    for (const bucket of this.buckets) unallocated += unallocatedIn(bucket);
    return micros(unallocated);
  }

  get held(): Micros {
    let pinned = 0n;
    for (const bucket of this.buckets) pinned += bucket.pinned;
    return micros(pinned);
  }

  /** True where something may be earmarked: not everybody can spend what all together can. */
  get hasEarmarks(): boolean {
    return !this.lots.allocations.isEmpty || this.buckets.some(({ earmarked }) => earmarked > ZERO);
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
    return this.lots.bucketById(id);
  }

  /** The draft of a lot that was loaded outside the burn-order prefix, as due ones are. */
  lot(facts: LotSnapshot): DraftLot {
    return this.lots.draft(facts);
  }

  /** Posts one transaction: what `move` moves, chained and numbered, and one version if it changed what can be spent. */
  post(details: TransactionDetails, move: (movements: Movements) => void): PostedTransaction {
    const id = this.#newId();
    const balanceBefore = this.balance;
    move(movementsOf(this, this.#newId, (movement) => this.#log.enter(id, details, movement)));
    // Copied last: V8 adds fields to a copy many times slower than it copies into a literal.
    const transaction: PostedTransaction = {
      id,
      walletId: this.snapshot.id,
      amount: minus(this.balance, balanceBefore),
      postedAt: this.now,
      ...details,
    };
    this.transactions.push(transaction);
    if (TOLD.has(details.kind)) this.tell({ kind: 'transaction', transaction });
    this.#announce(details.reasonCode, id, details.effectiveAt);
    return transaction;
  }

  /** Opens a hold that pins its amount in burn order. The caller has checked that it is available. */
  hold(facts: Omit<HoldFacts, 'id'>, expiresAt: Instant): DraftHold {
    const hold = this.holds.open({ id: this.#newId(), ...facts }, expiresAt);
    const funds = this.fundsOf(spenderOf(facts));
    takeInBurnOrder(this.lots, facts.amount, funds, (lot, amount) => this.holds.pin(hold, lot, amount));
    this.transitionsChanged = true;
    this.#announce('HOLD', null, this.now);
    this.tell({ kind: 'hold-made', facts: hold.facts });
    return hold;
  }

  /** A hold ends without using what is left of it: no credits move, more can be spent. */
  endHold(hold: DraftHold, status: 'RELEASED' | 'EXPIRED', at: Instant): void {
    const rest = remainingOf(hold);
    this.holds.unpin(hold);
    this.transitionsChanged = true;
    this.holds.resolve(hold, status, at);
    this.#announce(status === 'RELEASED' ? 'RELEASE' : 'HOLD_EXPIRY', null, at);
    this.tell({ kind: 'hold-ended', facts: hold.facts, status, rest }, at);
  }

  /** A scheduled lot comes into force: no credits move, more can be spent. */
  start(lot: DraftLot, at: Instant): void {
    this.lots.start(lot);
    this.transitionsChanged = true;
    this.#announce('LOT_STARTED', null, at);
  }

  close(lot: DraftLot): void {
    this.lots.close(lot);
    this.transitionsChanged = true;
  }

  /** Lots cannot be spent until they are released, even by holds that have pinned them. */
  freeze(lots: readonly DraftLot[], reasonCode: ReasonCode): void {
    for (const lot of lots) this.lots.freeze(lot);
    this.transitionsChanged = true;
    this.#announce(reasonCode, null, this.now);
  }

  /** Frozen lots can be spent again, each until the given expiry. */
  release(
    released: readonly { readonly lot: DraftLot; readonly expiresAt: Instant | null }[],
    reasonCode: ReasonCode,
  ): void {
    for (const { lot, expiresAt } of released) this.lots.release(lot, expiresAt);
    this.transitionsChanged = true;
    this.#announce(reasonCode, null, this.now);
  }

  revoke(lot: DraftLot): void {
    this.lots.revoke(lot);
    this.transitionsChanged = true;
  }

  /** Counts units in the billing period of now, which is cut only where there are some: cutting it costs as much as a debit. */
  countUnits(counted: readonly CountedUnits[]): void {
    if (counted.length > 0) this.counters.countUnits(counted, this.windows.billing.start);
  }

  /** Keeps what happened for those who read about it. */
  tell(happened: Happened, at: Instant = this.now): void {
    this.happenings.push({ ...happened, actor: this.actor, at });
  }

  changeSubscription(next: Subscription): void {
    this.tell({ kind: 'subscription', before: this.subscription, after: next });
    if (next.anchorDay !== anchorDayOf(this.subscription)) this.windows = new Windows(this.snapshot, next.anchorDay);
    this.subscription = next;
    this.transitionsChanged = true;
  }

  replaceAllowances(allowances: readonly AllowanceSnapshot[]): void {
    this.allowances = this.#inBurnOrder(allowances);
    this.allowancesReplaced = true;
    this.transitionsChanged = true;
  }

  replaceAllowance(next: AllowanceSnapshot): void {
    this.allowances = this.allowances.map((allowance) => (allowance.bucketId === next.bucketId ? next : allowance));
    this.refreshedBuckets.add(next.bucketId);
    this.transitionsChanged = true;
  }

  /** Those that are due at one instant are granted in the order of their buckets, however they were loaded. */
  #inBurnOrder(allowances: readonly AllowanceSnapshot[]): readonly AllowanceSnapshot[] {
    return this.buckets.flatMap(({ facts }) => allowances.filter(({ bucketId }) => bucketId === facts.id));
  }

  #spendableState() {
    return { available: this.available, held: this.held, sequence: this.sequence };
  }

  /** Gives the change since the newest version a version of its own; nothing where nothing changed. */
  #announce(reasonCode: ReasonCode, transactionId: string | null, occurredAt: Instant): void {
    const before = this.#announced;
    const after = this.#spendableState();
    const isUnchanged =
      after.sequence === before.sequence && after.held === before.held && after.available === before.available;
    if (isUnchanged) return;
    this.version += 1n;
    this.changes.push({
      walletId: this.snapshot.id,
      version: this.version,
      sequence: after.sequence,
      change: minus(after.available, before.available),
      reasonCode,
      totalAvailable: after.available,
      held: after.held,
      transactionId,
      occurredAt,
    });
    this.#announced = after;
  }
}
