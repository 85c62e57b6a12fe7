/**
 * The books of one wallet in memory. They are loaded and written as persistence does it (burn-order prefixes, a bound on
 * due lots, the next transition looked up again only where a decision says so), so that decisions are tested over many
 * batches without a database.
 */
import type { Actor } from '../../src/domain/actor.ts';
import type { Alert, AlertCriterion } from '../../src/domain/alerts/alert.ts';
import type { AllocationSnapshot, AllocationStanding } from '../../src/domain/allocations/allocation.ts';
import { atLeastZero, type Micros, minus, plus, sum, ZERO } from '../../src/domain/credits/micros.ts';
import type { HoldFacts, HoldSnapshot, HoldState } from '../../src/domain/holds/hold.ts';
import { GENESIS_HASH } from '../../src/domain/ledger/hash-chain.ts';
import { type CappedOffer, frequencyCapsOf, type OperationCount } from '../../src/domain/limits/frequency-cap.ts';
import type { PlanLimit } from '../../src/domain/limits/plan-limit.ts';
import type { SpendCount, SpendLimit } from '../../src/domain/limits/spend-limit.ts';
import { NO_AMOUNTS } from '../../src/domain/posting/allocation-drafts.ts';
import type { Command } from '../../src/domain/posting/commands.ts';
import { keyedCommands } from '../../src/domain/posting/commands.ts';
import { type BatchDecision, decideBatch } from '../../src/domain/posting/decide-batch.ts';
import { UNSPENT } from '../../src/domain/posting/decide-purchase.ts';
import type { ExpiredLotRefund, RefundableTransaction } from '../../src/domain/posting/decide-refund.ts';
import { ALLOCATION } from '../../src/domain/posting/decide-set-allocation.ts';
import { remainingOf } from '../../src/domain/posting/hold-drafts.ts';
import { type IdempotencyRecord, idempotencyId } from '../../src/domain/posting/idempotency.ts';
import type { DraftLot } from '../../src/domain/posting/lot-drafts.ts';
import type { NewPurchase } from '../../src/domain/posting/new-purchase.ts';
import type { Outcome } from '../../src/domain/posting/outcomes.ts';
import type { Policies } from '../../src/domain/posting/policies.ts';
import type {
  PostedAlertEvent,
  PostedAudit,
  PostedChange,
  PostedEntry,
  PostedTransaction,
} from '../../src/domain/posting/records.ts';
import type { Redemption, RedemptionCount } from '../../src/domain/posting/redemption-drafts.ts';
import type { WalletBook } from '../../src/domain/posting/wallet-book.ts';
import type { TierCount, WalletSnapshot } from '../../src/domain/posting/wallet-snapshot.ts';
import { isCounted, type Rate, rateCard } from '../../src/domain/pricing/rate-card.ts';
import type { PromoCode } from '../../src/domain/promotions/promo-code.ts';
import type { AutoTopUp } from '../../src/domain/purchases/auto-top-up.ts';
import type { TopUpSales } from '../../src/domain/purchases/auto-top-up-offer.ts';
import type { PurchaseLot, PurchaseSnapshot } from '../../src/domain/purchases/purchase.ts';
import { spenderOf } from '../../src/domain/spender.ts';
import type { PlanOffer, RenewalPolicies } from '../../src/domain/subscriptions/plan-offer.ts';
import {
  type Subscription,
  type SubscriptionStatus,
  upcomingEvent,
} from '../../src/domain/subscriptions/subscription.ts';
import { calendarWindow } from '../../src/domain/time/calendar.ts';
import { earliest, type Instant, instant } from '../../src/domain/time/instant.ts';
import type { Zone } from '../../src/domain/time/zone.ts';
import type { AllowanceSnapshot, BucketKind, RefreshInterval } from '../../src/domain/wallet/bucket.ts';
import { compareBuckets, compareBurnOrder } from '../../src/domain/wallet/burn-order.ts';
import { type LotSnapshot, lotTransitionAt } from '../../src/domain/wallet/lot.ts';
import { ORGANIZATION, WALLET } from './builders-commands.ts';
import { at, credits } from './builders-values.ts';

export interface PolicyOptions {
  readonly rates?: readonly Rate[];
  readonly commandCeiling?: string;
  readonly latenessDays?: number;
  readonly expiryDays?: Readonly<Record<string, number>>;
  /** Of the plan that every wallet here is subscribed to. */
  readonly dailyCreditCap?: string;
  readonly overdraft?: string;
  /** Frequency caps of that plan. */
  readonly limits?: readonly PlanLimit[];
  /** The plans on sale by what they cap, cheapest first. */
  readonly cappedOffers?: readonly CappedOffer[];
  readonly plansOnSale?: Readonly<Record<string, PlanOffer>>;
  readonly renewals?: RenewalPolicies;
  readonly promoCodes?: readonly PromoCode[];
  readonly topUpSales?: TopUpSales;
  /** The defaults of the plan. */
  readonly planAlerts?: readonly AlertCriterion[];
  readonly expiredLotRefund?: ExpiredLotRefund;
  readonly spentCredits?: 'REFUSE' | 'DEBT';
  readonly maxHoldSeconds?: number;
  readonly heldGraceSeconds?: number;
}

const PLAN = 'plan';

export function policies(options: PolicyOptions = {}): Policies {
  const { rates = [], commandCeiling = '1000000000', latenessDays = 7, expiryDays = {} } = options;
  const { dailyCreditCap, overdraft = '0', maxHoldSeconds = 604_800, heldGraceSeconds = 86_400 } = options;
  const frequencyCaps = frequencyCapsOf({ limits: options.limits ?? [] });
  const cap = dailyCreditCap === undefined ? null : credits(dailyCreditCap);
  return {
    catalogVersion: 1,
    rateCards: [rateCard(1, instant(0), rates)],
    commandCeiling: credits(commandCeiling),
    latenessMilliseconds: latenessDays * 86_400_000,
    defaultExpiryDays: new Map(Object.entries(expiryDays)),
    planTerms: new Map([[PLAN, { dailyCreditCap: cap, overdraft: credits(overdraft), frequencyCaps }]]),
    plansOnSale: new Map(Object.entries(options.plansOnSale ?? {})),
    plansEverSold: new Map(Object.entries(options.plansOnSale ?? {})),
    promoCodes: new Map((options.promoCodes ?? []).map((promotion) => [promotion.code, promotion])),
    planAlerts: new Map(options.planAlerts ? [[PLAN, options.planAlerts]] : []),
    topUpSales: options.topUpSales ?? { packages: new Map(), plans: new Map(), bucket: null },
    countsUnits: rates.some(isCounted),
    countsSpending: cap !== null,
    countsOperations: frequencyCaps.length > 0,
    cappedOffers: options.cappedOffers ?? [],
    holds: { defaultLife: 900_000, maxLife: maxHoldSeconds * 1_000, heldGrace: heldGraceSeconds * 1_000 },
    renewals: options.renewals ?? { retryDays: [1, 2, 3], graceDays: 7 },
    frozenGraceDays: 30,
    receiptIssuer: 'R',
    spentCredits: options.spentCredits ?? 'REFUSE',
    expiredLotRefund: options.expiredLotRefund ?? { kind: 'NEW_LOT', graceDays: 30 },
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
  earmarked: Micros;
}

/** What is earmarked, with the aggregates that its row keeps. */
export type StoredAllocation = Omit<AllocationSnapshot, 'lots' | 'truncated'>;

interface StoredLot extends LotSnapshot {
  readonly nextTransitionAt: Instant | null;
}

export interface StoredHold {
  readonly facts: HoldFacts;
  readonly state: HoldState;
  readonly operations: readonly OperationCount[];
  readonly pins: readonly { readonly lotId: string; readonly pinned: Micros }[];
}

export interface StoredPurchase {
  readonly facts: Omit<PurchaseSnapshot, 'lots'>;
  readonly buyer: Actor;
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
  readonly rolloverLimit?: string;
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
    const empty = { available: ZERO, pinned: ZERO, frozen: ZERO, earmarked: ZERO };
    this.#buckets.push({ id: `bucket-${key}`, key, kind, burnPriority, ...empty });
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
      closed: false,
      frozen,
      revoked: false,
      purchaseId: null,
      allocationId: null,
      originId: null,
    };
    this.#lots.push({ ...lot, nextTransitionAt: lotTransitionAt(lot) });
    return this;
  }

  withAllowance(bucketKey: string, interval: RefreshInterval, amount: string, options: AllowanceOptions): this {
    const { anchorDay = 1, lastRefreshedAt = null, nextRefreshAt } = options;
    const bucketId = `bucket-${bucketKey}`;
    const rolloverLimit = options.rolloverLimit === undefined ? null : credits(options.rolloverLimit);
    const terms = { bucketId, interval, amount: credits(amount), rolloverLimit, anchorDay };
    this.#allowances.push({ ...terms, lastRefreshedAt, nextRefreshAt });
    return this;
  }

  withPurchase(id: string, facts: Partial<Omit<PurchaseSnapshot, 'id'>> = {}, buyer?: Actor): this {
    this.#purchases.push({
      facts: {
        id,
        walletId: WALLET,
        status: 'PENDING',
        openDisputes: [],
        closedDisputes: [],
        createdAt: this.#opening.now,
        paidAt: null,
        refundRequestedAt: null,
        declineCode: null,
        description: 'A thousand credits',
        price: { amountMinor: 1_000n, currency: 'USD' },
        credits: credits('1000'),
        bonus: ZERO,
        bucketKey: 'purchased',
        expiresAfterDays: null,
        plan: null,
        lastEffectiveAt: null,
        ...facts,
      },
      buyer: buyer ?? { kind: 'USER', id: 'user-1' },
    });
    return this;
  }

  books(): Books {
    return new Books(this.#opening, this.#buckets, this.#lots, this.#allowances, this.#purchases, this.#ids);
  }
}

export const aWallet = (): WalletBuilder => new WalletBuilder();

const spendable = (lot: LotSnapshot): Micros => minus(lot.remaining, lot.pinned);

const NEVER = at('9999-01-01T00:00:00');
const A_SUBSCRIPTION: Subscription = {
  id: 'subscription-1',
  planKey: PLAN,
  status: 'ACTIVE',
  anchorDay: 1,
  period: { start: instant(0), end: NEVER },
  trialEndsAt: null,
  cancelAtPeriodEnd: false,
  scheduledPlanKey: null,
  payment: null,
  price: null,
  paidBy: [],
};

export class Books {
  now: Instant;
  zone: Zone;
  /** Without an end of its period where a test does not give it one. */
  subscription: Subscription | null;
  frozen: boolean;
  autoTopUp: AutoTopUp | null = null;
  /** All that there ever were. */
  readonly alerts = new Map<string, Alert>();
  readonly alertEvents: PostedAlertEvent[] = [];
  /** Purchases that decisions have begun. */
  readonly begun: NewPurchase[] = [];
  nextChargeAt: Instant | null = null;
  balance: Micros;
  sequence: bigint;
  version: bigint;
  debt: Micros = ZERO;
  headHash = GENESIS_HASH;
  spendCounts: readonly SpendCount[] = [];
  spendLimits: readonly SpendLimit[] = [];
  operationCounts: readonly OperationCount[] = [];
  tierCounts: readonly TierCount[] = [];
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
  readonly holds = new Map<string, StoredHold>();
  readonly transactions: PostedTransaction[] = [];
  readonly entries: PostedEntry[] = [];
  readonly changes: PostedChange[] = [];
  readonly audits: PostedAudit[] = [];
  readonly allocations = new Map<string, StoredAllocation>();
  readonly redemptions: Redemption[] = [];
  /** Redemptions by other organizations, by code. */
  readonly redeemedElsewhere = new Map<string, number>();
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
    this.zone = opening.timeZone;
    this.subscription = opening.status === null ? null : { ...A_SUBSCRIPTION, status: opening.status };
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
    return atLeastZero(minus(sum(this.buckets.map((bucket) => bucket.available)), this.debt));
  }

  get held(): Micros {
    return sum(this.buckets.map((bucket) => bucket.pinned));
  }

  get status(): SubscriptionStatus | null {
    return this.subscription?.status ?? null;
  }

  set status(status: SubscriptionStatus) {
    this.changeSubscription({ status });
  }

  get planKey(): string | null {
    return this.subscription?.planKey ?? null;
  }

  set planKey(planKey: string) {
    this.changeSubscription({ planKey });
  }

  get anchorDay(): number {
    return this.subscription?.anchorDay ?? 1;
  }

  set anchorDay(anchorDay: number) {
    this.changeSubscription({ anchorDay });
  }

  /** Changes the row, as only a test does. */
  changeSubscription(changes: Partial<Subscription>): this {
    this.subscription = { ...(this.subscription ?? A_SUBSCRIPTION), ...changes };
    this.nextTransitionAt = this.#earliestTransition();
    return this;
  }

  /** The hold of that id; a test that asks for one expects it. */
  holdById(id: string): StoredHold {
    const hold = this.holds.get(id);
    if (!hold) throw new Error(`there is no hold ${id}`);
    return hold;
  }

  /** What a bucket's aggregates must be by its lots. */
  sumsOf(bucketId: string): { available: Micros; pinned: Micros; frozen: Micros; earmarked: Micros } {
    const lots = [...this.lots.values()].filter((lot) => lot.bucketId === bucketId);
    const earmarked = lots.filter(({ allocationId }) => allocationId !== null);
    return { ...sumsOver(lots), earmarked: sumsOver(earmarked).available };
  }

  /** What an allocation's aggregates must be by its lots. */
  sumsOfAllocation(id: string): { available: Micros; pinned: Micros; frozen: Micros } {
    const lots = [...this.lots.values()].filter(({ allocationId }) => allocationId === id);
    const frozen = sum(lots.filter((lot) => lot.frozen).map(spendable));
    return { ...sumsOver(lots), frozen };
  }

  /** What is left in one bucket's lots, in burn order, empty lots left out. */
  remainingIn(bucketKey: string): Micros[] {
    return [...this.lots.values()]
      .filter((lot) => lot.bucketId === `bucket-${bucketKey}` && lot.remaining > ZERO)
      .sort(compareBurnOrder)
      .map((lot) => lot.remaining);
  }

  snapshot(limits: Limits = this.opening.limits, namedHolds: readonly string[] = []): WalletSnapshot {
    const due = this.#due();
    const lapsed = this.#lapsed();
    const loadedLapsed = lapsed.slice(0, limits.dueLots + 1);
    const loadedHolds = new Set([...namedHolds, ...loadedLapsed.map(({ facts }) => facts.id)]);
    return {
      id: WALLET,
      organizationId: ORGANIZATION,
      timeZone: this.zone,
      now: this.now,
      balance: this.balance,
      debt: this.debt,
      sequence: this.sequence,
      version: this.version,
      headHash: this.headHash,
      frozen: this.frozen,
      nextTransitionAt: this.nextTransitionAt,
      subscription: this.subscription,
      autoTopUp: this.autoTopUp,
      topUpSpentMinor: this.#topUpSpent(),
      alerts: [...this.alerts.values()].filter(({ removedAt, dismissed }) => removedAt === null || dismissed),
      alertNumber: this.alertEvents.at(-1)?.number ?? 0n,
      buckets: this.buckets.map((bucket) => {
        const lots = this.#spendableIn(bucket.id);
        const loaded = lots.slice(0, limits.lotsPerBucket);
        return { ...bucket, lots: loaded, truncated: loaded.length === limits.lotsPerBucket };
      }),
      allowances: this.allowances,
      allocations: [...this.allocations.values()].map((allocation) => {
        const lots = this.#earmarkedBy(allocation.id).slice(0, limits.lotsPerBucket);
        return { ...allocation, lots, truncated: lots.length === limits.lotsPerBucket };
      }),
      allocationStanding: this.#standing(),
      grantedLots: [...this.lots.values()].filter(({ source }) => source === 'ALLOWANCE' || source === 'PLAN_GRANT'),
      dueLots: due.slice(0, limits.dueLots),
      moreDue: due.length > limits.dueLots,
      holds: [...loadedHolds].flatMap((id) => this.#holdSnapshot(id) ?? []),
      lapsesLoadedTo: lapsed.length > limits.dueLots ? (loadedLapsed.at(-1)?.state.expiresAt ?? null) : null,
      spendLimits: this.spendLimits,
      spendCounts: this.spendCounts,
      operationCounts: this.operationCounts,
      tierCounts: this.tierCounts,
    };
  }

  /** Freezes a lot, as a dispute does. */
  freezeLot(id: string): void {
    const before = this.available;
    const lot = { ...this.#lot(id), frozen: true };
    this.lots.set(id, lot);
    for (const bucket of this.buckets) if (bucket.id === lot.bucketId) Object.assign(bucket, this.sumsOf(bucket.id));
    const allocation = lot.allocationId === null ? null : this.allocationById(lot.allocationId);
    if (allocation) {
      this.allocations.set(allocation.id, { ...allocation, ...this.sumsOfAllocation(allocation.id) });
    }
    this.version += 1n;
    this.changes.push({
      walletId: WALLET,
      version: this.version,
      sequence: this.sequence,
      change: minus(this.available, before),
      reasonCode: 'DISPUTE',
      totalAvailable: this.available,
      held: this.held,
      transactionId: null,
      occurredAt: this.now,
    });
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
    const keyed = keyedCommands(commands);
    const holds = keyed.flatMap((command) => ('holdId' in command ? [command.holdId] : []));
    const refunded = keyed.flatMap((command) => (command.kind === 'refund' ? [command.transactionId] : []));
    for (let limits = this.opening.limits; ; limits = { ...limits, lotsPerBucket: limits.lotsPerBucket * 4 }) {
      const decision = decideBatch({
        commands,
        wallets: [this.snapshot(limits, [...holds, ...this.#pinning(commands)])],
        records: keyed.flatMap((command) => this.records.get(idempotencyId(command)) ?? []),
        purchases: [...this.purchases.values()].map(({ facts, buyer }) => ({
          facts: {
            ...facts,
            lastEffectiveAt: this.entries.at(-1)?.transaction.effectiveAt ?? null,
            lots: this.#lotsOfPurchase(facts.id),
          },
          buyer,
        })),
        lots: [...this.lots.values()],
        refundables: [...new Set(refunded)].flatMap((id) => this.#refundable(id) ?? []),
        redemptions: [...this.opening.policies.promoCodes.keys()].map((code) => this.#redemptionsOf(code)),
        policies: this.opening.policies,
        newId: () => idOf(++this.#ids),
      });
      if (decision.kind === 'decided') {
        this.#write(decision);
        return decision;
      }
      this.reloads += 1;
      if (limits.lotsPerBucket > 1_000_000) throw new Error('there are never enough lots');
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

  #lapsed(): StoredHold[] {
    if (this.nextTransitionAt === null || this.nextTransitionAt > this.now) return [];
    return [...this.holds.values()]
      .filter(({ state }) => state.status === 'OPEN' && state.expiresAt <= this.now)
      .sort((a, b) => a.state.expiresAt - b.state.expiresAt || (a.facts.id < b.facts.id ? -1 : 1));
  }

  #holdSnapshot(id: string): HoldSnapshot | undefined {
    const hold = this.holds.get(id);
    return hold && { ...hold, pins: hold.pins.map(({ lotId, pinned }) => ({ lot: this.#lot(lotId), pinned })) };
  }

  /** Open holds that have pinned something of the lots of purchases that commands name. */
  #pinning(commands: readonly Command[]): string[] {
    const purchases = commands.flatMap((command) => ('purchaseId' in command ? [command.purchaseId] : []));
    const isTheirs = (lotId: string) => purchases.includes(this.#lot(lotId).purchaseId ?? '');
    return [...this.holds.values()]
      .filter(
        ({ state, pins }) => state.status === 'OPEN' && pins.some((pin) => pin.pinned > ZERO && isTheirs(pin.lotId)),
      )
      .map(({ facts }) => facts.id);
  }

  #lotsOfPurchase(id: string): PurchaseLot[] {
    return [...this.lots.values()]
      .filter((lot) => lot.purchaseId === id)
      .map((lot) => {
        const ofLot = this.entries.filter((entry) => entry.lotId === lot.id && UNSPENT.has(entry.reasonCode));
        const left = ofLot.filter(({ direction }) => direction === 'DEBIT');
        const isBack = ({ direction, reasonCode }: PostedEntry) =>
          lot.originId === null && direction === 'CREDIT' && reasonCode === ALLOCATION;
        const amountOf = ({ amount }: PostedEntry) => amount;
        return { lot, expired: minus(sum(left.map(amountOf)), sum(ofLot.filter(isBack).map(amountOf))) };
      });
  }

  #redemptionsOf(code: string): RedemptionCount {
    const own = this.redemptions.filter((made) => made.code === code).length;
    const total = own + (this.redeemedElsewhere.get(code) ?? 0);
    return { code, total, byOrganization: new Map([[ORGANIZATION, own]]) };
  }

  /** This calendar month, as persistence sums it up. */
  #topUpSpent(): bigint {
    if (this.begun.length === 0) return 0n;
    const { start } = calendarWindow('MONTH', this.now, this.zone);
    const counted = this.begun.filter(({ id, createdAt }) => {
      const status = this.purchases.get(id)?.facts.status ?? '';
      return createdAt >= start && ['PENDING', 'PAID', 'DISPUTED'].includes(status);
    });
    return counted.reduce((spent, { price }) => spent + price.amountMinor, 0n);
  }

  #lot(id: string): StoredLot {
    const lot = this.lots.get(id);
    if (!lot) throw new Error(`there is no lot ${id}`);
    return lot;
  }

  #refundable(id: string): RefundableTransaction | undefined {
    const transaction = this.transactions.find((candidate) => candidate.id === id);
    if (!transaction) return undefined;
    const { walletId, kind, amount, attribution } = transaction;
    const lotOf = (entry: PostedEntry) => (entry.lotId === null ? null : this.#lot(entry.lotId));
    const taken = this.entries
      .filter((entry) => entry.transactionId === id && entry.direction === 'DEBIT')
      .map((entry) => ({ amount: entry.amount, lot: lotOf(entry) }));
    const repaying = this.entries.filter(({ reasonCode, lotId }) => reasonCode === 'DEBT_REPAYMENT' && lotId !== null);
    const hold = transaction.holdId === null ? undefined : this.holds.get(transaction.holdId)?.facts;
    return {
      id,
      walletId,
      kind,
      amount,
      attribution,
      spender: spenderOf(hold ?? transaction),
      chargedAt: hold?.createdAt ?? transaction.effectiveAt,
      refunded: sum(this.transactions.filter(({ refundedId }) => refundedId === id).map((refund) => refund.amount)),
      taken,
      repaidBy: [...new Set(repaying.toReversed().map(lotOf))].filter((lot) => lot !== null),
    };
  }

  #spendableIn(bucketId: string): StoredLot[] {
    return [...this.lots.values()]
      .filter((lot) => lot.bucketId === bucketId && lot.allocationId === null && isSpendable(lot))
      .sort(compareBurnOrder);
  }

  #earmarkedBy(allocationId: string): StoredLot[] {
    const place = (lot: StoredLot) =>
      this.buckets.find(({ id }) => id === lot.bucketId) ?? { burnPriority: 0, key: '' };
    return [...this.lots.values()]
      .filter((lot) => lot.allocationId === allocationId && isSpendable(lot))
      .sort((a, b) => compareBuckets(place(a), place(b)) || compareBurnOrder(a, b));
  }

  #earliestTransition(): Instant | null {
    const lots = [...this.lots.values()].filter((lot) => !lot.frozen).map((lot) => lot.nextTransitionAt);
    const holds = [...this.holds.values()].filter(({ state }) => state.status === 'OPEN');
    const refreshes = this.allowances.map((allowance) => allowance.nextRefreshAt);
    const upcoming = this.subscription && upcomingEvent(this.subscription);
    const ofSubscription = upcoming && upcoming.at < NEVER ? upcoming.at : null;
    return earliest(...lots, ...holds.map(({ state }) => state.expiresAt), ...refreshes, ofSubscription);
  }

  #write(decision: BatchDecision): void {
    for (const book of decision.books) this.#writeBook(book);
    for (const record of decision.newRecords) {
      if (this.records.has(idempotencyId(record))) throw new Error('a key is recorded once');
      this.records.set(idempotencyId(record), record);
    }
    for (const { facts, buyer, state, paidAt, refundRequestedAt, declineCode } of decision.changedPurchases) {
      this.purchases.set(facts.id, { facts: { ...facts, ...state, paidAt, refundRequestedAt, declineCode }, buyer });
    }
    this.redemptions.push(...decision.redemptions);
    this.audits.push(...decision.audits);
  }

  #writeBook(book: WalletBook): void {
    this.transactions.push(...book.transactions);
    this.entries.push(...book.entries);
    this.changes.push(...book.changes);
    for (const alert of [...book.alerts.changed, ...book.alerts.created]) this.alerts.set(alert.id, alert);
    this.alertEvents.push(...book.alerts.events);
    for (const lot of book.newLots) {
      if (this.lots.has(lot.facts.id)) throw new Error(`lot ${lot.facts.id} exists`);
      this.#writeLot(lot);
    }
    for (const lot of book.changedLots) {
      if (!this.lots.has(lot.facts.id)) throw new Error(`lot ${lot.facts.id} does not exist`);
      this.#writeLot(lot);
    }
    for (const bucket of this.buckets) {
      const { available, pinned, frozen, earmarked } = book.bucketById(bucket.id);
      Object.assign(bucket, { available, pinned, frozen, earmarked });
    }
    this.#writeAllocations(book);
    for (const hold of [...book.holds.opened, ...book.holds.changed]) {
      const { facts, status, captured, operations, expiresAt, pins } = hold;
      const stored = pins.map(({ lot, pinned }) => ({ lotId: lot.facts.id, pinned }));
      this.holds.set(facts.id, {
        facts,
        state: { status, captured, remaining: remainingOf(hold), expiresAt },
        operations,
        pins: stored,
      });
    }
    this.operationCounts = merged(
      this.operationCounts,
      book.operations.changed,
      ({ key, window }) => `${key} ${window}`,
    );
    this.spendCounts = merged(this.spendCounts, book.counters.changedSpend, ({ counter }) => counter);
    this.tierCounts = merged(this.tierCounts, book.counters.changedTiers, ({ meter, rate }) => `${meter} ${rate}`);
    for (const begun of book.newPurchases) this.#writePurchase(begun);
    this.autoTopUp = book.autoTopUp;
    this.nextChargeAt = book.nextChargeAt;
    this.subscription = book.subscription;
    this.allowances = [...book.allowances];
    this.debt = book.debt;
    this.balance = book.balance;
    this.sequence = book.sequence;
    this.version = book.version;
    this.headHash = book.headHash;
    if (book.transitionsChanged) this.nextTransitionAt = this.#earliestTransition();
  }

  #standing(): AllocationStanding {
    const lots = [...this.lots.values()];
    const split = lots.filter(({ originId, nextTransitionAt }) => originId !== null && nextTransitionAt !== null);
    const origins = new Set(lots.flatMap(({ allocationId, originId }) => (allocationId === null ? [] : [originId])));
    return {
      allocations: this.allocations.size,
      expiringSplits: split.length,
      origins: lots.filter(({ id }) => origins.has(id)),
    };
  }

  #writeAllocations({ lots: { allocations } }: WalletBook): void {
    for (const { id, projectId, userId, exclusive } of allocations.made) {
      this.allocations.set(id, { id, projectId, userId, exclusive, ...NO_AMOUNTS });
    }
    for (const { id, exclusive } of allocations.restated) {
      this.allocations.set(id, { ...this.allocationById(id), exclusive });
    }
    for (const { id, ...by } of allocations.differences) {
      const before = this.allocationById(id);
      const used = atLeastZero(plus(before.used, by.used));
      const [available, pinned, frozen] = [before.available, before.pinned, before.frozen];
      this.allocations.set(id, {
        ...before,
        available: plus(available, by.available),
        pinned: plus(pinned, by.pinned),
        frozen: plus(frozen, by.frozen),
        used,
      });
    }
  }

  allocationById(id: string): StoredAllocation {
    const allocation = this.allocations.get(id);
    if (!allocation) throw new Error(`there is no allocation ${id}`);
    return allocation;
  }

  #writePurchase(begun: NewPurchase): void {
    const { id, credits: bought, bonusCredits: bonus, bucketKey, expiresAfterDays, plan, actor: buyer } = begun;
    const nothing = {
      openDisputes: [],
      closedDisputes: [],
      createdAt: begun.createdAt,
      paidAt: null,
      refundRequestedAt: null,
      declineCode: null,
    };
    const facts = { id, walletId: WALLET, status: 'PENDING' as const, ...nothing };
    this.begun.push(begun);
    const { description, price } = begun;
    const sold = { description, price, credits: bought, bonus, bucketKey, expiresAfterDays, plan };
    const terms = { ...sold, lastEffectiveAt: null };
    this.purchases.set(id, { facts: { ...facts, ...terms }, buyer });
  }

  #writeLot({ facts, remaining, pinned, inForce, closed, frozen, revoked }: DraftLot): void {
    const lot: LotSnapshot = { ...facts, remaining, pinned, inForce, closed, frozen, revoked };
    this.lots.set(lot.id, { ...lot, nextTransitionAt: closed ? null : lotTransitionAt(lot) });
  }
}

const isSpendable = (lot: LotSnapshot): boolean => lot.inForce && !lot.frozen && lot.remaining > lot.pinned;

function sumsOver(lots: readonly LotSnapshot[]) {
  return {
    available: sum(lots.filter((lot) => lot.inForce && !lot.frozen).map(spendable)),
    pinned: sum(lots.map((lot) => lot.pinned)),
    frozen: sum(lots.filter((lot) => lot.frozen).map((lot) => lot.remaining)),
  };
}

/** Rows with those of the same key replaced. */
function merged<Row>(rows: readonly Row[], changed: readonly Row[], keyOf: (row: Row) => string): Row[] {
  return [...new Map([...rows, ...changed].map((row) => [keyOf(row), row])).values()];
}
