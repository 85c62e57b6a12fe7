/**
 * The rules of the books once more, as naively as they can be written: lists scanned from start to end, one command at a
 * time, a zone without summer time. The model test asks it what the engine must answer.
 */
import { expect } from 'vitest';
import type { Outcome } from '../../../src/domain/posting/outcomes.ts';

export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;
export const CEILING = 500n;

/** Amounts are micros, instants milliseconds. */
export type NaiveCommand =
  | { readonly kind: 'debit'; readonly key: string; readonly amount: bigint }
  | { readonly kind: 'free'; readonly key: string }
  | {
      readonly kind: 'grant';
      readonly key: string;
      readonly amount: bigint;
      readonly bucket: string;
      readonly expiresAt: number | null;
    }
  | { readonly kind: 'adjust'; readonly key: string; readonly amount: bigint; readonly bucket: string }
  | { readonly kind: 'pay'; readonly purchase: string }
  | { readonly kind: 'settle' };

interface NaiveLot {
  readonly bucket: string;
  readonly paid: boolean;
  readonly effectiveAt: number;
  readonly expiresAt: number | null;
  remaining: bigint;
  started: boolean;
}

interface NaiveAllowance {
  readonly bucket: string;
  readonly interval: 'DAY' | 'MONTH';
  readonly amount: bigint;
  readonly anchorDay: number;
  next: number;
}

/** What the engine must answer; `same` compares it with what it did answer. */
type Reply = { readonly available: bigint } & (
  | { readonly status: 'posted'; readonly amount: bigint }
  | {
      readonly status: 'refused';
      readonly code: string;
      readonly replayed: boolean;
      readonly required?: bigint;
      readonly had?: bigint;
    }
  | { readonly status: 'purchase-resolved'; readonly changed: boolean }
  | { readonly status: 'settled' }
);

interface Remembered {
  readonly payload: string;
  readonly reply: Reply;
  readonly transactionId: string | null;
}

/** In burn order of the demo's buckets. */
export const BUCKETS = ['daily_free', 'promotional', 'monthly_plan', 'purchased'];

export class NaiveWallet {
  now: number;
  active = true;
  frozen = false;
  sequence: bigint;
  version: bigint;
  readonly lots: NaiveLot[] = [];
  readonly allowances: NaiveAllowance[] = [];
  readonly unpaid = new Map<string, { readonly amount: bigint; readonly bonus: bigint }>();
  readonly #answers = new Map<string, Remembered>();

  constructor(now: number, lots: readonly Omit<NaiveLot, 'started'>[]) {
    this.now = now;
    for (const lot of lots) this.lots.push({ ...lot, started: lot.effectiveAt <= now });
    this.sequence = BigInt(lots.length);
    this.version = BigInt(lots.length);
  }

  get balance(): bigint {
    return this.lots.reduce((total, lot) => total + lot.remaining, 0n);
  }

  get available(): bigint {
    return BUCKETS.reduce((total, bucket) => total + this.availableIn(bucket), 0n);
  }

  availableIn(bucket: string): bigint {
    return this.lots
      .filter((lot) => lot.bucket === bucket && lot.started)
      .reduce((total, lot) => total + lot.remaining, 0n);
  }

  /** What is left per lot, in burn order, empty lots left out. */
  remainingIn(bucket: string): bigint[] {
    return this.#burnOrder(bucket, () => true).map((lot) => lot.remaining);
  }

  /** Everything that time has brought by now. A frozen wallet waits. */
  settle(): void {
    if (this.frozen) return;
    for (const lot of this.lots) {
      if (lot.remaining === 0n) continue;
      if (!lot.started && lot.effectiveAt <= this.now) {
        lot.started = true;
        this.version += 1n;
      }
      if (lot.expiresAt !== null && lot.expiresAt <= this.now) {
        lot.remaining = 0n;
        this.#moved(1n);
      }
    }
    for (const allowance of this.allowances) {
      if (allowance.next > this.now) continue;
      const [start, end] = periodAround(this.now, allowance);
      const effectiveAt = Math.max(start, allowance.next);
      this.#put({ bucket: allowance.bucket, paid: false, effectiveAt, expiresAt: end, remaining: allowance.amount });
      this.#moved(1n);
      allowance.next = end;
    }
  }

  /** Answers one command and checks the engine's answer against it. */
  check(command: NaiveCommand, outcome: Outcome | undefined): void {
    if (!('key' in command)) {
      same(outcome, this.#unkeyed(command));
      return;
    }
    const payload = JSON.stringify(command, (_name, value) => (typeof value === 'bigint' ? value.toString() : value));
    const earlier = this.#answers.get(command.key);
    if (earlier) this.#checkAgain(earlier, payload, outcome);
    else this.#checkFirst(command, payload, outcome);
  }

  #checkAgain(
    { payload: first, reply, transactionId }: Remembered,
    payload: string,
    outcome: Outcome | undefined,
  ): void {
    const { available } = reply;
    if (first !== payload) same(outcome, this.#refuse('IDEMPOTENCY_KEY_REUSED'));
    else if (reply.status === 'refused') same(outcome, { ...reply, replayed: true });
    else expect(outcome).toMatchObject({ status: 'replayed', answer: { transactionId }, available });
    // What was answered stays; what can be spent by now is told beside it.
    expect(outcome).toMatchObject({ availableNow: this.available });
  }

  #checkFirst(command: Extract<NaiveCommand, { key: string }>, payload: string, outcome: Outcome | undefined): void {
    const reply = this.#first(command);
    same(outcome, reply);
    expect(outcome).toMatchObject({ availableNow: this.available });
    const isSticky = reply.status === 'refused' && reply.code === 'INSUFFICIENT_CREDITS';
    const transactionId = outcome?.status === 'posted' ? outcome.transaction.id : null;
    if (isSticky || reply.status === 'posted') this.#answers.set(command.key, { payload, reply, transactionId });
  }

  #unkeyed(command: Extract<NaiveCommand, { kind: 'pay' | 'settle' }>): Reply {
    if (command.kind === 'settle') return { status: 'settled', available: this.available };
    if (this.frozen) return this.#refuse('WALLET_FROZEN');
    const offer = this.unpaid.get(command.purchase);
    if (offer) {
      this.unpaid.delete(command.purchase);
      const lot = { bucket: 'purchased', effectiveAt: this.now, expiresAt: this.now + 2 * DAY };
      this.#put({ ...lot, paid: true, remaining: offer.amount });
      if (offer.bonus > 0n) this.#put({ ...lot, paid: false, remaining: offer.bonus });
      this.#moved(offer.bonus > 0n ? 2n : 1n);
    }
    return { status: 'purchase-resolved', changed: offer !== undefined, available: this.available };
  }

  #first(command: Extract<NaiveCommand, { key: string }>): Reply {
    const isGrantOrAdjust = command.kind === 'grant' || command.kind === 'adjust';
    if (isGrantOrAdjust && !BUCKETS.includes(command.bucket)) return this.#refuse('INVALID_INPUT');
    if (command.kind === 'grant' && command.expiresAt !== null && command.expiresAt <= this.now) {
      return this.#refuse('INVALID_INPUT');
    }
    if (this.frozen) return this.#refuse('WALLET_FROZEN');
    switch (command.kind) {
      case 'debit':
      case 'free':
        return this.#debit(command.kind === 'free' ? 0n : command.amount);
      case 'grant':
        return this.#credit(command.bucket, command.amount, command.expiresAt);
      case 'adjust':
        return command.amount > 0n
          ? this.#credit(command.bucket, command.amount, null)
          : this.#take(
              BUCKETS.filter((bucket) => bucket === command.bucket),
              -command.amount,
            );
    }
  }

  #debit(amount: bigint): Reply {
    if (amount > CEILING) return this.#refuse('INVALID_INPUT');
    if (!this.active) return this.#refuse('SUBSCRIPTION_REQUIRED');
    return this.#take(BUCKETS, amount);
  }

  #take(buckets: readonly string[], amount: bigint): Reply {
    const had = buckets.reduce((total, bucket) => total + this.availableIn(bucket), 0n);
    if (amount > had) {
      return {
        status: 'refused',
        code: 'INSUFFICIENT_CREDITS',
        replayed: false,
        available: this.available,
        required: amount,
        had,
      };
    }
    let rest = amount;
    let entries = 0n;
    for (const lot of buckets.flatMap((bucket) => this.#burnOrder(bucket, ({ started }) => started))) {
      if (rest === 0n) break;
      const left = lot.remaining > rest ? lot.remaining - rest : 0n;
      rest -= lot.remaining - left;
      lot.remaining = left;
      entries += 1n;
    }
    if (entries > 0n) this.#moved(entries);
    return { status: 'posted', amount: -amount, available: this.available };
  }

  #credit(bucket: string, amount: bigint, expiresAt: number | null): Reply {
    this.#put({ bucket, paid: false, effectiveAt: this.now, expiresAt, remaining: amount });
    this.#moved(1n);
    return { status: 'posted', amount, available: this.available };
  }

  #refuse(code: string): Reply {
    return { status: 'refused', code, replayed: false, available: this.available };
  }

  #put(lot: Omit<NaiveLot, 'started'>): void {
    this.lots.push({ ...lot, started: true });
  }

  #moved(entries: bigint): void {
    this.sequence += entries;
    this.version += 1n;
  }

  /** A stable sort of the order in which lots were made, which is their last key. */
  #burnOrder(bucket: string, which: (lot: NaiveLot) => boolean): NaiveLot[] {
    const never = Number.MAX_SAFE_INTEGER;
    return this.lots
      .filter((lot) => lot.bucket === bucket && lot.remaining > 0n && which(lot))
      .toSorted((a, b) => a.effectiveAt - b.effectiveAt)
      .toSorted((a, b) => Number(a.paid) - Number(b.paid))
      .toSorted((a, b) => (a.expiresAt ?? never) - (b.expiresAt ?? never));
  }
}

/** The day or anchored month around an instant, in UTC. */
function periodAround(now: number, { interval, anchorDay }: NaiveAllowance): [number, number] {
  if (interval === 'DAY') {
    const start = Math.floor(now / DAY) * DAY;
    return [start, start + DAY];
  }
  const date = new Date(now);
  const startIn = (month: number): number => {
    const lastDay = new Date(Date.UTC(date.getUTCFullYear(), month + 1, 0)).getUTCDate();
    return Date.UTC(date.getUTCFullYear(), month, Math.min(anchorDay, lastDay));
  };
  const month = date.getUTCMonth();
  return now >= startIn(month) ? [startIn(month), startIn(month + 1)] : [startIn(month - 1), startIn(month)];
}

function same(outcome: Outcome | undefined, reply: Reply): void {
  switch (reply.status) {
    case 'posted':
      expect(outcome).toMatchObject({
        status: 'posted',
        available: reply.available,
        transaction: { amount: reply.amount },
      });
      return;
    case 'refused': {
      const funds = reply.required === undefined ? {} : { required: reply.required, available: reply.had, held: 0n };
      const { replayed, available, code } = reply;
      expect(outcome).toMatchObject({ status: 'refused', replayed, available, refusal: { code, ...funds } });
      return;
    }
    case 'purchase-resolved':
      expect(outcome).toMatchObject({ status: 'purchase-resolved', purchaseStatus: 'PAID', changed: reply.changed });
      return;
    case 'settled':
      expect(outcome).toEqual({ status: 'settled' });
  }
}
