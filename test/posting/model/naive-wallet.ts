/**
 * The rules of the books once more, as naively as they can be written and without a word from the engine's decisions: one
 * command at a time, every sum taken anew. The model test asks it what the engine must answer.
 */
import type { NaiveCharge, NaiveCommand, NaiveDebit, NaiveEvents, NaiveKeyed, Overage } from './commands.ts';
import { payloadOf } from './commands.ts';
import {
  amountOf,
  availableIn,
  availableOf,
  BUCKETS,
  burnOrder,
  heldOf,
  inBucket,
  type LimitSeen,
  least,
  type NaiveAllowance,
  type NaiveBooks,
  type NaiveHold,
  type NaiveLine,
  type NaiveLot,
  type NaiveOperations,
  type NaiveTransaction,
  partsInBurnOrder,
  pinnedOf,
  restOf,
  spendable,
  total,
} from './naive-books.ts';
import { dayAround, dayOfMonth, hourAround, monthAround, type Span, sameTimeAfter } from './naive-calendar.ts';
import { isCounted, priceOf, rateName, tariffFor, type UsedLine } from './naive-rates.ts';
import {
  type ExplanationSeen,
  type KeyedReply,
  type PostedReply,
  type RefusalSeen,
  type RefusedReply,
  type ReplayedReply,
  type Reply,
  seen,
} from './replies.ts';
import {
  AHEAD,
  allowancesOf,
  CAP_CODE,
  CEILING,
  codeOf,
  DEFAULT_EXPIRY_DAYS,
  DEFAULT_LIFE,
  type ExpiredRefund,
  HELD_GRACE,
  LATENESS,
  type LimitRules,
  MAX_LIFE,
  type OperationCap,
  PLANS,
  REFUND_GRACE_DAYS,
  SECOND_CARD_FROM,
} from './rules.ts';

export interface Setting {
  readonly now: number;
  readonly timeZone: string;
  readonly expiredRefund: ExpiredRefund;
  readonly limits: readonly LimitRules[];
}

/** A cap or limit that a charge meets. */
interface MetLimit {
  readonly code: string;
  readonly max: bigint;
  readonly span: Span;
}

interface Priced {
  readonly cost: bigint;
  readonly lines: readonly NaiveLine[];
  readonly rateCardVersion: number | null;
}

interface Sources {
  readonly spent: bigint;
  readonly borrowed: bigint;
  readonly waived: bigint;
}

type Command<Kind extends NaiveKeyed['kind']> = Extract<NaiveKeyed, { readonly kind: Kind }>;

const MAY_SPEND = ['ACTIVE', 'TRIALING'];
const STICKY = ['INSUFFICIENT_CREDITS', 'SPEND_LIMIT_REACHED', 'PLAN_LIMIT_REACHED', 'CAPTURE_EXCEEDS_HOLD'];
const EXPLAINED_LOTS = 20;
/** The sources of what allowances grant. */
const GRANTED = ['ALLOWANCE', 'PLAN_GRANT'];
/** Of a month, as plans without a price are compared. */
const creditsOf = (plan: string | null): bigint =>
  total(allowancesOf(plan).map(({ interval, amount }) => (interval === 'DAY' ? 30n * amount : amount)));

export class NaiveWallet {
  books: NaiveBooks;
  now: number;
  frozen = false;
  readonly #timeZone: string;
  readonly #expiredRefund: ExpiredRefund;
  #limits: readonly LimitRules[];
  /** First answers by key. */
  answers = new Map<string, { readonly payload: string; readonly reply: KeyedReply }>();

  constructor({ now, timeZone, expiredRefund, limits }: Setting, books: NaiveBooks) {
    this.now = now;
    this.#timeZone = timeZone;
    this.#expiredRefund = expiredRefund;
    this.#limits = limits;
    this.books = books;
  }

  get available(): bigint {
    return availableOf(this.books);
  }

  get day(): Span {
    return dayAround(this.now, this.#timeZone);
  }

  get billing(): Span {
    return monthAround(this.now, this.books.anchorDay, this.#timeZone);
  }

  // What time brings

  /** The instant at which something is due next; null where nothing is. */
  get nextDue(): number | null {
    const instants = this.#due().map(({ at }) => at);
    return instants.length === 0 ? null : Math.min(...instants);
  }

  /** Everything that was due by now, in the order of its instants. A frozen wallet waits. */
  settle(): void {
    if (this.frozen) return;
    for (;;) {
      const [next] = this.#due()
        .filter(({ at }) => at <= this.now)
        .toSorted((a, b) => a.at - b.at || a.rank - b.rank);
      if (!next) return;
      next.post();
    }
  }

  #due(): { readonly at: number; readonly rank: number; readonly post: () => void }[] {
    const { holds, lots, allowances, periodEnd } = this.books;
    return [
      ...(periodEnd !== null && this.#periodCounts
        ? [{ at: periodEnd, rank: 0.5, post: () => this.#endPeriod(periodEnd) }]
        : []),
      ...holds
        .filter((hold) => hold.status === 'OPEN')
        .map((hold) => ({ at: hold.expiresAt, rank: 0, post: () => this.#endUnused(hold, 'EXPIRED', hold.expiresAt) })),
      ...lots.flatMap((lot) => {
        const at = lot.expiresAt;
        return at === null || lot.expired || lot.remaining === 0n || this.#isCarried(lot)
          ? []
          : [{ at, rank: 1, post: () => this.#expire(lot, at) }];
      }),
      ...allowances.map((allowance) => {
        const at = this.#refreshAt(allowance);
        return { at, rank: 2, post: () => this.#refresh(allowance, at) };
      }),
    ];
  }

  #periodOf({ interval, anchorDay }: NaiveAllowance): Span {
    return interval === 'DAY' ? this.day : monthAround(this.now, anchorDay, this.#timeZone);
  }

  /** A payment that is missing stops the periods, unless the subscription ends anyway. */
  get #periodCounts(): boolean {
    const { status, ending } = this.books;
    return status === 'ACTIVE' || status === 'TRIALING' || (status === 'PAST_DUE' && ending);
  }

  #endPeriod(at: number): void {
    const { ending, scheduled, anchorDay, allowances } = this.books;
    if (ending) {
      Object.assign(this.books, { status: 'CANCELED', ending: false, scheduled: null, allowances: [] });
      return;
    }
    this.books.periodEnd = monthAround(this.now, anchorDay, this.#timeZone).end;
    if (scheduled === null) return;
    const followers = allowancesOf(scheduled).map((rules): NaiveAllowance => {
      const before = allowances.find(({ bucket }) => bucket === rules.bucket);
      return { ...rules, anchorDay, last: before?.last ?? null, next: Math.max(at, before?.next ?? at) };
    });
    Object.assign(this.books, { plan: scheduled, scheduled: null, allowances: followers });
  }

  /** What the allowance of a bucket granted for the period that ends as it refreshes is carried over, not expired. */
  #isCarried(lot: NaiveLot): boolean {
    return this.books.allowances.some((allowance) => this.#carried(allowance).includes(lot));
  }

  #carried(allowance: NaiveAllowance): readonly NaiveLot[] {
    const { bucket, rollover, last } = allowance;
    if (rollover === null) return [];
    const at = this.#refreshAt(allowance);
    return inBucket(this.books, bucket).filter(
      (lot) =>
        GRANTED.includes(lot.source) &&
        !lot.expired &&
        lot.remaining > 0n &&
        lot.effectiveAt === last &&
        lot.expiresAt === at,
    );
  }

  #carryOver(allowance: NaiveAllowance, at: number): void {
    const { bucket, amount, rollover, interval, last, next } = allowance;
    if (rollover === null) return;
    const made = { bucket, source: 'ROLLOVER', paid: false, expiresAt: this.#periodOf(allowance).end };
    if (last !== null && next < at) {
      this.#post('ROLLOVER', at, (moving) =>
        this.#putIn(moving, made, least(rollover, amount), 'ROLLOVER', interval === 'MONTH'),
      );
      return;
    }
    const ended = this.#carried(allowance);
    const parts = ended.map((lot) => ({ lot, amount: lot.remaining - pinnedOf(this.books, lot) }));
    let room = rollover;
    const kept = parts.flatMap((part) => {
      const taken = least(room, part.amount);
      room -= taken;
      return taken > 0n ? [{ lot: part.lot, amount: taken }] : [];
    });
    if (kept.length > 0) {
      this.#post('ROLLOVER', at, (moving) => {
        for (const part of kept) this.#takeFrom(moving, part.lot, part.amount, 'ROLLOVER');
        this.#putIn(moving, made, total(kept.map((part) => part.amount)), 'ROLLOVER', false);
      });
    }
    for (const lot of ended) this.#expire(lot, at);
  }

  /** Of periods that nobody has seen only the present one grants anything. */
  #refreshAt(allowance: NaiveAllowance): number {
    return allowance.next > this.now ? allowance.next : Math.max(allowance.next, this.#periodOf(allowance).start);
  }

  #refresh(allowance: NaiveAllowance, at: number): void {
    const { bucket, amount, interval } = allowance;
    const expiresAt = this.#periodOf(allowance).end;
    const source = bucket === 'monthly_plan' ? 'PLAN_GRANT' : 'ALLOWANCE';
    this.#carryOver(allowance, at);
    this.#post('GRANT', at, (transaction) =>
      this.#putIn(transaction, { bucket, source, paid: false, expiresAt }, amount, source, interval === 'MONTH'),
    );
    allowance.last = at;
    allowance.next = expiresAt;
  }

  /** What nobody has pinned of an expired lot leaves the wallet. */
  #expire(lot: NaiveLot, at: number): void {
    lot.expired = true;
    const lapsed = lot.remaining - pinnedOf(this.books, lot);
    if (lapsed > 0n) this.#post('EXPIRY', at, (transaction) => this.#takeFrom(transaction, lot, lapsed, 'EXPIRY'));
  }

  // Movements

  /** A change of what can be spent has one version. */
  #changing(change: () => void): void {
    const state = () =>
      [this.available, heldOf(this.books), total(this.books.transactions.map((t) => BigInt(t.entries.length)))].join();
    const before = state();
    change();
    if (state() !== before) this.books.version += 1;
  }

  #post(
    kind: string,
    effectiveAt: number,
    move: (transaction: NaiveTransaction & { readonly effectiveAt: number }) => void,
    details: Partial<Pick<NaiveTransaction, 'lines' | 'rateCardVersion' | 'limits' | 'inProject' | 'chargedAt'>> = {},
  ): NaiveTransaction {
    const { transactions } = this.books;
    const number = transactions.length;
    const transaction = {
      number,
      kind,
      effectiveAt,
      lines: [],
      rateCardVersion: null,
      limits: [],
      inProject: false,
      chargedAt: effectiveAt,
      entries: [],
      ...details,
    };
    transactions.push(transaction);
    this.#changing(() => move(transaction));
    return transaction;
  }

  #enter(
    { entries, effectiveAt }: Moving,
    direction: 'CREDIT' | 'DEBIT',
    amount: bigint,
    reason: string,
    lot: NaiveLot | null,
  ): void {
    entries.push({ direction, amount, reason, lot, effectiveAt, givenBack: 0n });
  }

  #takeFrom(transaction: Moving, lot: NaiveLot, amount: bigint, reason: string): void {
    lot.remaining -= amount;
    this.#enter(transaction, 'DEBIT', amount, reason, lot);
  }

  #borrow(transaction: Moving, amount: bigint, reason: string): void {
    if (amount === 0n) return;
    this.books.debt += amount;
    this.#enter(transaction, 'DEBIT', amount, reason, null);
  }

  #repay(transaction: Moving, amount: bigint, reason: string): void {
    this.books.debt -= amount;
    this.#enter(transaction, 'CREDIT', amount, reason, null);
  }

  #putIn(
    transaction: Moving,
    lot: Pick<NaiveLot, 'bucket' | 'source' | 'paid' | 'expiresAt'>,
    amount: bigint,
    reason: string,
    repaysDebt: boolean,
  ): void {
    const { lots, repaying } = this.books;
    const { effectiveAt } = transaction;
    const made = { number: lots.length, ...lot, granted: amount, remaining: amount, effectiveAt, expired: false };
    lots.push(made);
    this.#enter(transaction, 'CREDIT', amount, reason, made);
    const owed = repaysDebt ? least(this.books.debt, amount) : 0n;
    if (owed === 0n) return;
    this.#takeFrom(transaction, made, owed, 'DEBT_REPAYMENT');
    this.#repay(transaction, owed, 'DEBT_REPAYMENT');
    repaying.push(made);
  }

  // Answers

  apply(command: NaiveCommand): Reply {
    switch (command.kind) {
      case 'settle':
        return { status: 'settled' };
      case 'pay':
        return this.#pay(command);
      case 'cancel':
        return this.#cancel(command.atPeriodEnd);
      case 'resume':
        return this.#resume();
      case 'events':
        return { status: 'events', outcomes: this.#events(command) };
      default:
        return this.#once(command);
    }
  }

  #once(command: NaiveKeyed): KeyedReply | ReplayedReply {
    const earlier = this.answers.get(command.key);
    if (earlier) return this.#again(earlier, command);
    const reply = this.#first(command);
    this.#remember(command, reply);
    return reply;
  }

  #remember(command: NaiveKeyed, reply: KeyedReply): void {
    const sticks = reply.status !== 'refused' || STICKY.includes(reply.refusal.code);
    if (sticks) this.answers.set(command.key, { payload: payloadOf(command), reply });
  }

  #again(
    { payload, reply }: { readonly payload: string; readonly reply: KeyedReply },
    command: NaiveKeyed,
  ): ReplayedReply | RefusedReply {
    const { available: availableNow } = this;
    if (payload !== payloadOf(command)) return this.#refuse({ code: 'IDEMPOTENCY_KEY_REUSED' });
    if (reply.status === 'refused') return { ...reply, replayed: true, availableNow };
    return {
      status: 'replayed',
      transaction: reply.status === 'posted' ? reply.transaction : null,
      madeLot: reply.status === 'posted' && reply.madeLot,
      hold: reply.status === 'subscribed' ? null : reply.hold,
      available: reply.available,
      availableNow,
    };
  }

  #first(command: NaiveKeyed): KeyedReply {
    const path = this.#invalid(command);
    if (path) return this.#refuse({ code: 'INVALID_INPUT', path });
    if (this.frozen) return this.#refuse({ code: 'WALLET_FROZEN' });
    switch (command.kind) {
      case 'debit':
      case 'event':
        return this.#debit(command);
      case 'authorize':
        return this.#authorize(command);
      case 'capture':
        return this.#capture(command);
      case 'release':
        return this.#release(command);
      case 'extend':
        return this.#extend(command);
      case 'refund':
        return this.#refund(command);
      case 'grant':
      case 'adjust':
        return command.amount > 0n ? this.#credit(command) : this.#withdraw(command.bucket, -command.amount);
      case 'subscribe':
        return this.#subscribe(command);
    }
  }

  /** What the clock and the catalog tell to be invalid. */
  #invalid(command: NaiveKeyed): readonly string[] | null {
    switch (command.kind) {
      case 'subscribe':
        return command.when === 'PERIOD_END' && !this.#isLive ? ['when'] : null;
      case 'debit':
      case 'event': {
        const { occurredAt: at } = command;
        return at !== null && (at > this.now + AHEAD || at < this.now - LATENESS) ? ['occurredAt'] : null;
      }
      case 'authorize':
        return command.life !== null && command.life > MAX_LIFE ? ['expiresInSeconds'] : null;
      case 'grant':
      case 'adjust':
        if (!BUCKETS.includes(command.bucket)) return ['bucketKey'];
        return command.kind === 'grant' && command.expiresAt !== null && command.expiresAt <= this.now
          ? ['expiresAt']
          : null;
      default:
        return null;
    }
  }

  #refuse(refusal: RefusalSeen): RefusedReply {
    return { status: 'refused', refusal, replayed: false, available: this.available, availableNow: this.available };
  }

  #posted(
    transaction: NaiveTransaction,
    { madeLot = false, hold }: { madeLot?: boolean; hold?: NaiveHold } = {},
  ): PostedReply {
    const { number, kind, lines, rateCardVersion, limits } = transaction;
    return {
      status: 'posted',
      transaction: number,
      kind,
      amount: amountOf(transaction),
      lines,
      rateCardVersion,
      limits,
      madeLot,
      hold: hold ? seen(hold) : null,
      available: this.available,
      availableNow: this.available,
    };
  }

  // Charges

  /** Prices a charge by one version of the rate card; each line comes after the units of those before it. */
  #price(charge: NaiveCharge, version: number): Priced | RefusalSeen {
    if (charge.kind === 'amount') {
      return charge.amount > CEILING
        ? { code: 'INVALID_INPUT', path: ['amount'] }
        : { cost: charge.amount, lines: [], rateCardVersion: null };
    }
    const lines: NaiveLine[] = [];
    for (const [index, line] of charge.lines.entries()) {
      const tariff = tariffFor(version, line);
      if (!tariff) return { code: 'UNKNOWN_METER', meter: line.meter };
      const sameRate = charge.lines.slice(0, index).filter((other) => tariffFor(version, other) === tariff);
      const inCharge = sameRate.reduce((sum, other) => sum + other.halves, 0);
      const before = isCounted(tariff) ? this.#unitsOf(rateName(tariff)) + inCharge : 0;
      lines.push({ ...line, credits: priceOf(tariff, line.halves, before), waived: 0n });
    }
    const cost = total(lines.map((line) => line.credits));
    return cost > CEILING ? { code: 'INVALID_INPUT', path: ['usage'] } : { cost, lines, rateCardVersion: version };
  }

  #unitsOf(rate: string): number {
    const counted = this.books.units.get(rate);
    return counted?.since === this.billing.start ? counted.halves : 0;
  }

  #count(lines: readonly UsedLine[], version: number): void {
    for (const line of lines) {
      const tariff = tariffFor(version, line);
      if (!tariff || !isCounted(tariff) || line.halves === 0) continue;
      const rate = rateName(tariff);
      this.books.units.set(rate, { since: this.billing.start, halves: this.#unitsOf(rate) + line.halves });
    }
  }

  get #terms() {
    return this.books.plan === null ? undefined : PLANS[this.books.plan];
  }

  /** Those that the organization has set, in the order in which they refuse. */
  #setFor(inProject: boolean): readonly MetLimit[] {
    const order = ['ORGANIZATION HOUR', 'ORGANIZATION DAY', 'ORGANIZATION MONTH'].concat(
      inProject ? ['PROJECT HOUR', 'PROJECT DAY', 'PROJECT MONTH'] : [],
    );
    return order.flatMap((name) =>
      this.#limits
        .filter(({ scope, window }) => `${scope} ${window}` === name)
        .map((limit) => ({ code: codeOf(limit), max: limit.max, span: this.windowOf(limit.window) })),
    );
  }

  /** The plan's cap before all others. */
  #limitsFor(inProject: boolean): readonly MetLimit[] {
    const cap = this.#terms?.cap ?? null;
    const capped = cap === null ? [] : [{ code: CAP_CODE, max: cap, span: this.day }];
    return [...capped, ...this.#setFor(inProject)];
  }

  /** Charged or reserved in the present window. */
  #spentUnder({ code, span }: MetLimit): bigint {
    const spent = this.books.spent.get(code);
    return spent?.since === span.start ? spent.used : 0n;
  }

  #spend(inProject: boolean, amount: bigint): void {
    for (const limit of this.#limitsFor(inProject)) {
      this.books.spent.set(limit.code, { since: limit.span.start, used: this.#spentUnder(limit) + amount });
    }
  }

  /** A limit that was not there counts all of its present window: what is charged and not given back, and what is held. */
  setLimit(rules: LimitRules): void {
    const code = codeOf(rules);
    const others = this.#limits.filter((limit) => codeOf(limit) !== code);
    const isNew = others.length === this.#limits.length;
    this.#limits = [...others, rules];
    if (!isNew) return;
    const { start: since } = this.windowOf(rules.window);
    const counts = (at: number, inProject: boolean) => at >= since && (rules.scope === 'ORGANIZATION' || inProject);
    const charges = this.books.transactions.filter(
      ({ kind, chargedAt, inProject }) => ['DEBIT', 'CAPTURE'].includes(kind) && counts(chargedAt, inProject),
    );
    const open = this.books.holds.filter(
      ({ status, createdAt, inProject }) => status === 'OPEN' && counts(createdAt, inProject),
    );
    for (const hold of open) hold.reserved.push({ code, since });
    const entries = charges.flatMap((charge) => charge.entries);
    const used = total(entries.map(({ amount, givenBack }) => amount - givenBack)) + total(open.map(restOf));
    this.books.spent.set(code, { since, used });
  }

  windowNamed(code: string): 'HOUR' | 'DAY' | 'MONTH' {
    return this.#limits.find((limit) => codeOf(limit) === code)?.window ?? 'DAY';
  }

  windowOf(window: 'HOUR' | 'DAY' | 'MONTH'): Span {
    if (window === 'MONTH') return monthAround(this.now, 1, this.#timeZone);
    return window === 'DAY' ? this.day : hourAround(this.now, this.#timeZone);
  }

  #operationsUnder({ key, window }: OperationCap): NaiveOperations | undefined {
    const { start } = this.windowOf(window);
    return this.books.operations.find((one) => one.key === key && one.window === window && one.since === start);
  }

  #reachedCap(lines: readonly NaiveLine[]) {
    for (const cap of this.#terms?.operations ?? []) {
      const [more, current] = [operationsIn(lines, cap.key), this.#operationsUnder(cap)?.count ?? 0];
      const resetsAt = this.windowOf(cap.window).end;
      if (more > 0 && current + more > cap.max) return { key: cap.key, limit: cap.max, current, resetsAt };
    }
    return null;
  }

  /** Counts what was done beyond what a hold has reserved; answers what was counted. */
  #countOperations(lines: readonly NaiveLine[], reserved: readonly NaiveOperations[] = []): NaiveOperations[] {
    return (this.#terms?.operations ?? []).flatMap((cap) => {
      const { key, window } = cap;
      const before = reserved.find((one) => one.key === key && one.window === window)?.count ?? 0;
      const count = operationsIn(lines, key) - before;
      if (count <= 0) return [];
      const since = this.windowOf(window).start;
      const present = this.#operationsUnder(cap);
      if (present) present.count += count;
      else this.books.operations.push({ key, window, since, count });
      return [{ key, window, since, count }];
    });
  }

  /** A capture that names no usage has used all that was reserved. */
  #captureOperations(hold: NaiveHold, lines: readonly NaiveLine[]): void {
    this.#countOperations(lines, hold.operations);
    for (const one of hold.operations) {
      one.count = lines.length === 0 ? 0 : Math.max(0, one.count - operationsIn(lines, one.key));
    }
  }

  /** Where the credits of a cost come from; null where the policy does not cover what is missing. */
  #sources(cost: bigint, overage: Overage): Sources | null {
    const spent = least(cost, this.available);
    const missing = cost - spent;
    if (missing === 0n) return { spent, borrowed: 0n, waived: 0n };
    if (overage === 'CAP') return { spent, borrowed: 0n, waived: missing };
    const mayOwe = overage === 'DEBT' && this.books.debt + missing <= (this.#terms?.overdraft ?? 0n);
    return mayOwe ? { spent, borrowed: missing, waived: 0n } : null;
  }

  /** The order of refusals of everything that is charged or reserved. */
  #assess(
    priced: Priced,
    overage: Overage,
    inProject: boolean,
  ): { sources: Sources; limits: readonly LimitSeen[] } | RefusalSeen {
    const { status } = this.books;
    if (status === null || !MAY_SPEND.includes(status)) return { code: 'SUBSCRIPTION_REQUIRED', status };
    const sources = this.#sources(priced.cost, overage);
    const charged = sources ? sources.spent + sources.borrowed : priced.cost;
    const met = this.#limitsFor(inProject);
    const limits = met.map((limit) => {
      const used = this.#spentUnder(limit);
      return { code: limit.code, limit: limit.max, used, blocked: charged > 0n && used + charged > limit.max };
    });
    const reached = this.#reachedCap(priced.lines);
    if (reached) return { code: 'PLAN_LIMIT_REACHED', ...reached, explanation: this.#explain(priced, limits) };
    const first = limits.find(({ blocked }) => blocked);
    if (first) {
      const { code: limitCode, limit, used } = first;
      const resetsAt = met.find(({ code }) => code === limitCode)?.span.end ?? 0;
      const explanation = this.#explain(priced, limits);
      return { code: 'SPEND_LIMIT_REACHED', limitCode, limit, used, resetsAt, explanation };
    }
    return sources ? { sources, limits } : this.#insufficient(priced, this.#explain(priced, limits));
  }

  #explain({ lines, rateCardVersion }: Priced, limits: readonly LimitSeen[]): ExplanationSeen {
    const lots = burnOrder(this.books, BUCKETS).slice(0, EXPLAINED_LOTS);
    return { lines, rateCardVersion, limits, lots: lots.map((lot) => spendable(this.books, lot)) };
  }

  #insufficient({ cost: required }: Priced, explanation: ExplanationSeen): RefusalSeen {
    return { code: 'INSUFFICIENT_CREDITS', required, available: this.available, held: heldOf(this.books), explanation };
  }

  #cardAt = (at: number): number => (at >= SECOND_CARD_FROM ? 2 : 1);

  #debit({ charge, overage, occurredAt, inProject }: NaiveDebit): KeyedReply {
    const version = this.#cardAt(occurredAt ?? this.now);
    const priced = this.#price(charge, version);
    if ('code' in priced) return this.#refuse(priced);
    const assessed = this.#assess(priced, overage, inProject);
    if ('code' in assessed) return this.#refuse(assessed);
    const { sources, limits } = assessed;
    const lines = waive(priced.lines, sources.waived);
    const transaction = this.#post('DEBIT', this.now, (moving) => this.#charge(moving, sources), {
      lines,
      rateCardVersion: priced.rateCardVersion,
      limits,
      inProject,
    });
    this.#spend(inProject, sources.spent + sources.borrowed);
    this.#countOperations(lines);
    this.#count(lines, version);
    return this.#posted(transaction);
  }

  #charge(transaction: Moving, { spent, borrowed }: Sources): void {
    for (const { lot, amount } of partsInBurnOrder(this.books, BUCKETS, spent)) {
      this.#takeFrom(transaction, lot, amount, 'USAGE');
    }
    this.#borrow(transaction, borrowed, 'USAGE');
  }

  // Events

  #events({ mode, events }: NaiveEvents): (KeyedReply | ReplayedReply)[] {
    if (mode === 'ALL_OR_NOTHING') return this.#allOrNothing(events);
    let blocked = false;
    return events.map((event) => {
      if (blocked && mode === 'UNTIL_BLOCKED') return this.#refuse({ code: 'NOT_ATTEMPTED' });
      const reply = this.#event(event);
      blocked ||= reply.status === 'refused';
      return reply;
    });
  }

  #event = (event: NaiveDebit | null): KeyedReply | ReplayedReply =>
    event ? this.#once(event) : this.#refuse({ code: 'INVALID_INPUT', path: ['metadata'] });

  /** Tries them on a copy; one refusal, and nothing has happened but that it is remembered where it sticks. */
  #allOrNothing(events: readonly (NaiveDebit | null)[]): (KeyedReply | ReplayedReply)[] {
    const [books, answers] = [structuredClone(this.books), new Map(this.answers)];
    const replies: (KeyedReply | ReplayedReply)[] = [];
    for (const event of events) {
      const reply = this.#event(event);
      replies.push(reply);
      if (reply.status === 'refused') break;
    }
    const last = replies.at(-1);
    if (last?.status !== 'refused') return replies;
    [this.books, this.answers] = [books, answers];
    const blocking = replies.length - 1;
    const { available } = this;
    const refused: RefusedReply = last.replayed
      ? { ...last, availableNow: available }
      : { ...last, available, availableNow: available };
    const event = events[blocking];
    if (event && !refused.replayed) this.#remember(event, refused);
    return events.map((other, index) => {
      if (index === blocking) return refused;
      const earlier = other ? this.answers.get(other.key) : undefined;
      return other && earlier ? this.#again(earlier, other) : this.#refuse({ code: 'NOT_ATTEMPTED' });
    });
  }

  // Holds

  #authorize({ charge, life, inProject }: Command<'authorize'>): KeyedReply {
    const rateCardVersion = this.#cardAt(this.now);
    const priced = this.#price(charge, rateCardVersion);
    if ('code' in priced) return this.#refuse(priced);
    const assessed = this.#assess(priced, 'REJECT', inProject);
    if ('code' in assessed) return this.#refuse(assessed);
    const { holds } = this.books;
    const hold: NaiveHold = {
      number: holds.length,
      amount: priced.cost,
      lines: priced.lines,
      rateCardVersion,
      createdAt: this.now,
      inProject,
      reserved: this.#limitsFor(inProject).map(({ code, span }) => ({ code, since: span.start })),
      pins: partsInBurnOrder(this.books, BUCKETS, priced.cost),
      operations: this.#countOperations(priced.lines),
      status: 'OPEN',
      captured: 0n,
      expiresAt: this.now + (life ?? DEFAULT_LIFE),
    };
    this.#changing(() => holds.push(hold));
    this.#spend(inProject, priced.cost);
    return this.#held(hold);
  }

  #held = (hold: NaiveHold): KeyedReply => ({
    status: 'held',
    hold: seen(hold),
    available: this.available,
    availableNow: this.available,
  });

  #openHold(number: number | null): NaiveHold | RefusalSeen {
    const hold = number === null ? undefined : this.books.holds[number];
    if (!hold) return { code: 'NOT_FOUND', what: 'hold' };
    return hold.status === 'OPEN' ? hold : { code: 'HOLD_NOT_OPEN', status: hold.status };
  }

  #capture({ hold: number, charge, final: last, overage }: Command<'capture'>): KeyedReply {
    const hold = this.#openHold(number);
    if ('code' in hold) return this.#refuse(hold);
    // Nothing is left of a hold of nothing once all of it was captured.
    const final = last || (charge === null && hold.amount === 0n);
    const rest = restOf(hold);
    const priced = charge ? this.#price(charge, hold.rateCardVersion) : wholeRest(hold);
    if ('code' in priced) return this.#refuse(priced);
    const fromHold = least(priced.cost, rest);
    const beyond = this.#beyondHold(priced, rest, overage);
    if ('code' in beyond) return this.#refuse(beyond);
    const lines = waive(priced.lines, beyond.waived);
    const move = (moving: Moving) => {
      this.#takePinned(moving, hold, fromHold);
      this.#charge(moving, beyond);
      if (final) for (const pin of hold.pins) pin.amount = 0n;
    };
    const { inProject, createdAt: chargedAt } = hold;
    const details = { lines, rateCardVersion: priced.rateCardVersion, inProject, chargedAt };
    const transaction = this.#post('CAPTURE', this.now, move, details);
    const overrun = beyond.spent + beyond.borrowed;
    hold.captured += fromHold + overrun;
    this.#spend(inProject, overrun);
    this.#captureOperations(hold, lines);
    this.#count(lines, hold.rateCardVersion);
    if (final) {
      hold.status = 'CAPTURED';
      this.#giveBackUnused(hold, rest - fromHold, this.now);
    }
    return this.#posted(transaction, { hold });
  }

  #beyondHold(priced: Priced, rest: bigint, overage: Overage): Sources | RefusalSeen {
    const none = { spent: 0n, borrowed: 0n, waived: 0n };
    const missing = priced.cost - rest;
    if (missing <= 0n) return none;
    if (overage === 'REJECT') return { code: 'CAPTURE_EXCEEDS_HOLD', required: priced.cost, held: rest };
    if (overage === 'CAP') return { ...none, waived: missing };
    return this.#sources(missing, 'DEBT') ?? this.#insufficient(priced, this.#explain(priced, []));
  }

  #takePinned(transaction: Moving, hold: NaiveHold, amount: bigint): void {
    let rest = amount;
    for (const pin of hold.pins) {
      const part = least(rest, pin.amount);
      if (part === 0n) continue;
      pin.amount -= part;
      this.#takeFrom(transaction, pin.lot, part, 'USAGE');
      rest -= part;
    }
  }

  #release({ hold: number }: Command<'release'>): KeyedReply {
    const hold = this.#openHold(number);
    if ('code' in hold) return this.#refuse(hold);
    this.#endUnused(hold, 'RELEASED', this.now);
    return this.#held(hold);
  }

  #endUnused(hold: NaiveHold, status: 'RELEASED' | 'EXPIRED', at: number): void {
    const rest = restOf(hold);
    this.#changing(() => {
      hold.status = status;
      for (const pin of hold.pins) pin.amount = 0n;
    });
    this.#giveBackUnused(hold, rest, at);
  }

  /** Room returns to the windows that it was reserved in; what a lot that has expired got back expires at once. */
  #giveBackUnused(hold: NaiveHold, rest: bigint, at: number): void {
    for (const { code, since } of hold.reserved) this.#giveRoom(code, since, rest);
    for (const { key, window, since, count } of hold.operations) {
      const counted = this.books.operations.find(
        (one) => one.key === key && one.window === window && one.since === since,
      );
      if (counted) counted.count -= count;
    }
    hold.operations = [];
    for (const { lot } of hold.pins) if (lot.expired) this.#expire(lot, at);
  }

  #giveRoom(code: string, since: number, amount: bigint): void {
    const spent = this.books.spent.get(code);
    if (spent?.since === since) spent.used -= amount;
  }

  #extend({ hold: number, life }: Command<'extend'>): KeyedReply {
    const hold = this.#openHold(number);
    if ('code' in hold) return this.#refuse(hold);
    const expiries = hold.pins.flatMap(({ lot, amount }) =>
      lot.expiresAt === null || amount === 0n ? [] : [lot.expiresAt + HELD_GRACE],
    );
    const latest = Math.min(hold.createdAt + MAX_LIFE, ...expiries);
    const expiresAt = this.now + life;
    if (expiresAt > latest || expiresAt <= hold.expiresAt) {
      return this.#refuse({ code: 'INVALID_INPUT', path: ['expiresInSeconds'] });
    }
    hold.expiresAt = expiresAt;
    return this.#held(hold);
  }

  // Refunds

  #refund({ transaction: number, amount: asked }: Command<'refund'>): KeyedReply {
    const charge = number === null ? undefined : this.books.transactions[number];
    if (!charge) return this.#refuse({ code: 'NOT_FOUND', what: 'transaction' });
    if (charge.kind !== 'DEBIT' && charge.kind !== 'CAPTURE') {
      return this.#refuse({ code: 'CONFLICT', currentState: charge.kind });
    }
    const refundable = total(charge.entries.map((entry) => entry.amount - entry.givenBack));
    const amount = asked ?? refundable;
    if (refundable === 0n || amount > refundable) return this.#refuse({ code: 'REFUND_EXCEEDS_ORIGINAL', refundable });
    const forfeited: NaiveLot[] = [];
    const transaction = this.#post('REFUND', this.now, (moving) => {
      let rest = amount;
      for (const entry of charge.entries.toReversed()) {
        const part = least(rest, entry.amount - entry.givenBack);
        if (part === 0n) continue;
        entry.givenBack += part;
        rest -= part;
        if (entry.lot) this.#giveBack(moving, entry.lot, part, forfeited);
        else this.#giveBackBorrowed(moving, part, forfeited);
      }
    });
    for (const lot of forfeited) this.#expire(lot, this.now);
    // What was set gets room back while the window of the charge lasts; the plan's cap does not.
    for (const { code, span } of this.#setFor(charge.inProject)) {
      if (charge.chargedAt >= span.start) this.#giveRoom(code, span.start, amount);
    }
    return this.#posted(transaction);
  }

  /** A lot never holds more than it was granted; what does not fit comes back as a lot of its own, as one that expired. */
  #giveBack(transaction: Moving, lot: NaiveLot, amount: bigint, forfeited: NaiveLot[]): void {
    const { bucket, paid, expiresAt } = lot;
    const kept = { bucket, paid, source: 'REFUND' };
    const isExpired = expiresAt !== null && expiresAt <= this.now;
    if (isExpired && this.#expiredRefund === 'NEW_LOT') {
      const grace = sameTimeAfter(this.now, REFUND_GRACE_DAYS, this.#timeZone);
      this.#putIn(transaction, { ...kept, expiresAt: grace }, amount, 'REFUND', false);
      return;
    }
    const fitting = least(amount, lot.granted - lot.remaining);
    if (fitting > 0n) {
      lot.remaining += fitting;
      this.#enter(transaction, 'CREDIT', fitting, 'REFUND', lot);
      if (isExpired) forfeited.push(lot);
    }
    if (amount > fitting) this.#putIn(transaction, { ...kept, expiresAt }, amount - fitting, 'REFUND', false);
  }

  /** What is owed is taken off first; the rest goes to the lots that have paid debts back, newest first. */
  #giveBackBorrowed(transaction: Moving, amount: bigint, forfeited: NaiveLot[]): void {
    const owed = least(amount, this.books.debt);
    if (owed > 0n) this.#repay(transaction, owed, 'REFUND');
    let rest = amount - owed;
    const newestFirst = this.books.repaying.toReversed();
    for (const [index, lot] of newestFirst.entries()) {
      const isLast = index === newestFirst.length - 1;
      const part = isLast ? rest : least(rest, lot.granted - lot.remaining);
      if (part > 0n) this.#giveBack(transaction, lot, part, forfeited);
      rest -= part;
    }
    if (rest > 0n) throw new Error('somebody has paid back what is owed no more');
  }

  // Grants, purchases, subscriptions

  #credit(command: Command<'grant' | 'adjust'>): KeyedReply {
    const { bucket, amount, kind } = command;
    const days = DEFAULT_EXPIRY_DAYS[bucket];
    const byDefault = days === undefined ? null : sameTimeAfter(this.now, days, this.#timeZone);
    const expiresAt = command.kind === 'grant' ? (command.expiresAt ?? byDefault) : byDefault;
    const [name, source] = kind === 'grant' ? ['GRANT', 'PROMOTION'] : ['ADJUSTMENT', 'ADJUSTMENT'];
    const transaction = this.#post(name, this.now, (moving) =>
      this.#putIn(moving, { bucket, source, paid: false, expiresAt }, amount, name, true),
    );
    return this.#posted(transaction, { madeLot: true });
  }

  #withdraw(bucket: string, required: bigint): KeyedReply {
    const available = availableIn(this.books, bucket);
    if (required > available) {
      const held = total(inBucket(this.books, bucket).map((lot) => pinnedOf(this.books, lot)));
      return this.#refuse({ code: 'INSUFFICIENT_CREDITS', required, available, held, explanation: null });
    }
    const transaction = this.#post('ADJUSTMENT', this.now, (moving) => {
      for (const { lot, amount } of partsInBurnOrder(this.books, [bucket], required)) {
        this.#takeFrom(moving, lot, amount, 'ADJUSTMENT');
      }
    });
    return this.#posted(transaction);
  }

  #pay({ purchase: number, outcome }: Extract<NaiveCommand, { kind: 'pay' }>): Reply {
    if (this.frozen && outcome === 'PAID') return this.#refuse({ code: 'WALLET_FROZEN' });
    const purchase = number === null ? undefined : this.books.purchases[number];
    if (!purchase) return this.#refuse({ code: 'NOT_FOUND', what: 'purchase' });
    // Whatever says most stands: that it was paid, then that it was refused, then that it ended.
    const order = ['PENDING', 'EXPIRED', 'FAILED', 'PAID'];
    const changed = order.indexOf(outcome) > order.indexOf(purchase.status);
    if (changed) purchase.status = outcome;
    if (changed && outcome === 'PAID') {
      const { amount, bonus, days } = purchase;
      const expiresAt = days === null ? null : sameTimeAfter(this.now, days, this.#timeZone);
      this.#post('PURCHASE', this.now, (moving) => {
        const bought = { bucket: 'purchased', expiresAt };
        this.#putIn(moving, { ...bought, source: 'PURCHASE', paid: true }, amount, 'PURCHASE', true);
        if (bonus > 0n) this.#putIn(moving, { ...bought, source: 'BONUS', paid: false }, bonus, 'BONUS', true);
      });
    }
    return { status: 'purchase-resolved', purchaseStatus: purchase.status, changed };
  }

  get #isLive(): boolean {
    return this.books.status !== null && this.books.status !== 'CANCELED';
  }

  get #state(): string {
    const { status, ending } = this.books;
    return ending ? `${status}_ENDING` : (status ?? 'NONE');
  }

  #subscribe({ plan, when }: Command<'subscribe'>): KeyedReply {
    const { books } = this;
    if (this.#isLive && (books.ending || books.status === 'PAST_DUE')) return this.#conflict();
    if (this.#isLive && books.plan === plan) {
      if (books.scheduled === null) return this.#conflict();
      books.scheduled = null;
    } else if (!this.#isLive) {
      this.#begin(plan);
    } else {
      const isMore = creditsOf(plan) > creditsOf(books.plan);
      if ((when ?? (isMore ? 'NOW' : 'PERIOD_END')) === 'PERIOD_END') {
        books.scheduled = plan;
      } else {
        // All plans here are free, and a free plan ends a trial.
        if (books.status === 'TRIALING') {
          const { end: periodEnd } = monthAround(this.now, books.anchorDay, this.#timeZone);
          Object.assign(books, { status: 'ACTIVE', periodEnd });
        }
        Object.assign(books, { plan, scheduled: null });
        this.#takeUp(plan, isMore);
      }
    }
    return { status: 'subscribed', available: this.available, availableNow: this.available };
  }

  /** What was canceled and begins again within its period goes on with that period. */
  #begin(plan: string): void {
    const { periodEnd, anchorDay: before } = this.books;
    const goesOn = periodEnd !== null && this.now < periodEnd;
    const anchorDay = goesOn ? before : dayOfMonth(this.now, this.#timeZone);
    const end = goesOn ? periodEnd : monthAround(this.now, anchorDay, this.#timeZone).end;
    Object.assign(this.books, { status: 'ACTIVE', plan, anchorDay, periodEnd: end });
    this.#takeUp(plan, false);
  }

  /** A bucket is filled now where its running period has not seen as much. */
  #takeUp(plan: string, isMore: boolean): void {
    const { books } = this;
    const { anchorDay } = books;
    const running = books.lots.filter(
      ({ source, expiresAt }) => GRANTED.includes(source) && expiresAt !== null && expiresAt > this.now,
    );
    const rules = allowancesOf(plan);
    const replaced = new Set<NaiveLot>();
    books.allowances = rules.map((allowance) => {
      const lots = running.filter(({ bucket }) => bucket === allowance.bucket);
      const newest = lots.toSorted(
        (a, b) => (b.expiresAt ?? 0) - (a.expiresAt ?? 0) || b.effectiveAt - a.effectiveAt,
      )[0];
      if (newest && lots.some(({ granted }) => granted >= allowance.amount)) {
        return { ...allowance, anchorDay, last: newest.effectiveAt, next: newest.expiresAt ?? 0 };
      }
      for (const lot of lots) replaced.add(lot);
      return { ...allowance, anchorDay, last: null, next: this.now };
    });
    if (isMore) {
      for (const lot of running) if (!rules.some(({ bucket }) => bucket === lot.bucket)) replaced.add(lot);
    }
    const parts = [...replaced]
      .map((lot) => ({ lot, amount: lot.remaining - pinnedOf(books, lot) }))
      .filter(({ amount }) => amount > 0n);
    if (parts.length > 0) {
      this.#post('EXPIRY', this.now, (moving) => {
        for (const { lot, amount } of parts) this.#takeFrom(moving, lot, amount, 'PLAN_CHANGE');
      });
    }
    for (const allowance of books.allowances) if (allowance.last === null) this.#refresh(allowance, this.now);
  }

  #cancel(atPeriodEnd: boolean): Reply {
    if (this.frozen) return this.#refuse({ code: 'CONFLICT', currentState: 'WALLET_FROZEN' });
    if (!this.#isLive || (atPeriodEnd && this.books.ending)) return this.#conflict();
    const isOver = this.books.periodEnd !== null && this.books.periodEnd <= this.now;
    if (atPeriodEnd && !isOver) Object.assign(this.books, { ending: true, scheduled: null });
    else Object.assign(this.books, { status: 'CANCELED', ending: false, scheduled: null, allowances: [] });
    return { status: 'subscription-changed' };
  }

  #resume(): Reply {
    if (this.frozen) return this.#refuse({ code: 'CONFLICT', currentState: 'WALLET_FROZEN' });
    if (!this.books.ending) return this.#conflict();
    this.books.ending = false;
    return { status: 'subscription-changed' };
  }

  #conflict(): RefusedReply {
    return this.#refuse({ code: 'CONFLICT', currentState: this.#state });
  }
}

type Moving = NaiveTransaction & { readonly effectiveAt: number };

/** Takes what is not charged off the last lines. */
function waive(lines: readonly NaiveLine[], amount: bigint): readonly NaiveLine[] {
  let rest = amount;
  const fromTheEnd = lines.toReversed().map((line) => {
    const waived = least(rest, line.credits);
    rest -= waived;
    return { ...line, credits: line.credits - waived, waived };
  });
  return fromTheEnd.toReversed();
}

const operationsIn = (lines: readonly NaiveLine[], key: string): number =>
  lines.filter(({ meter, preview }) => (preview ? `${meter}:preview` : meter) === key).length;

/** What is left of a hold; the lines that it was made for, where nothing has been captured of it yet. */
function wholeRest(hold: NaiveHold): Priced {
  const lines = hold.captured === 0n ? hold.lines : [];
  return { cost: restOf(hold), lines, rateCardVersion: lines.length === 0 ? null : hold.rateCardVersion };
}
