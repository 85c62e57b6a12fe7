/**
 * The books of one wallet as plain lists that are read from start to end, so that a state is copied and compared whole.
 * Amounts are micros, instants milliseconds.
 */
import type { UsedLine } from './naive-rates.ts';

/** A cap or limit as a charge found it. */
export interface LimitSeen {
  readonly code: string;
  readonly limit: bigint;
  readonly used: bigint;
  readonly blocked: boolean;
}

export interface NaiveLot {
  readonly number: number;
  readonly bucket: string;
  readonly source: string;
  readonly paid: boolean;
  readonly granted: bigint;
  readonly effectiveAt: number;
  readonly expiresAt: number | null;
  remaining: bigint;
  /** True once its expiry was posted. */
  expired: boolean;
}

export interface NaiveLine extends UsedLine {
  readonly credits: bigint;
  readonly waived: bigint;
}

export interface NaiveHold {
  readonly number: number;
  readonly amount: bigint;
  readonly lines: readonly NaiveLine[];
  readonly rateCardVersion: number;
  readonly createdAt: number;
  readonly inProject: boolean;
  /** The windows of caps and limits in which it has reserved, by their first instants. */
  readonly reserved: { readonly code: string; readonly since: number }[];
  readonly pins: { readonly lot: NaiveLot; amount: bigint }[];
  /** What it has reserved of caps on operations and not used. */
  operations: NaiveOperations[];
  status: 'OPEN' | 'CAPTURED' | 'RELEASED' | 'EXPIRED';
  captured: bigint;
  expiresAt: number;
}

/** Operations done or reserved in the window of a cap that begins at `since`. */
export interface NaiveOperations {
  readonly key: string;
  readonly window: 'HOUR' | 'DAY';
  since: number;
  count: number;
}

export interface NaiveEntry {
  readonly direction: 'CREDIT' | 'DEBIT';
  readonly amount: bigint;
  readonly reason: string;
  /** Null for what is owed. */
  readonly lot: NaiveLot | null;
  readonly effectiveAt: number;
  /** What refunds have given back of it. */
  givenBack: bigint;
}

export interface NaiveTransaction {
  readonly number: number;
  readonly kind: string;
  readonly lines: readonly NaiveLine[];
  readonly rateCardVersion: number | null;
  /** The caps and limits that it met, as they stood before. */
  readonly limits: readonly LimitSeen[];
  readonly inProject: boolean;
  /** In whose windows a charge counts; of a capture, when its hold was made. */
  readonly chargedAt: number;
  readonly entries: NaiveEntry[];
}

export interface NaiveAllowance {
  readonly bucket: string;
  readonly interval: 'DAY' | 'MONTH';
  readonly amount: bigint;
  /** The most that is carried over; null for nothing. */
  readonly rollover: bigint | null;
  readonly anchorDay: number;
  /** When it was refreshed last; null before the first time. */
  last: number | null;
  next: number;
}

export interface NaivePurchase {
  readonly amount: bigint;
  readonly bonus: bigint;
  readonly days: number | null;
  status: 'PENDING' | 'PAID' | 'FAILED' | 'EXPIRED';
}

/** Everything that a command may change. */
export interface NaiveBooks {
  status: string | null;
  plan: string | null;
  anchorDay: number;
  /** The end of the billing period; null where there never was a subscription. */
  periodEnd: number | null;
  /** True where the subscription ends with its period. */
  ending: boolean;
  /** The plan that follows. */
  scheduled: string | null;
  debt: bigint;
  version: number;
  allowances: NaiveAllowance[];
  readonly lots: NaiveLot[];
  readonly holds: NaiveHold[];
  readonly transactions: NaiveTransaction[];
  readonly purchases: NaivePurchase[];
  /** Lots that have paid back debts, newest last. */
  readonly repaying: NaiveLot[];
  /** Half units by rate in the billing period that begins at `since`. */
  readonly units: Map<string, { since: number; halves: number }>;
  /** By cap or limit: charged or reserved in the window that begins at `since`. */
  readonly spent: Map<string, { since: number; used: bigint }>;
  readonly operations: NaiveOperations[];
}

/** In the order in which they burn. */
export const BUCKETS = ['daily_free', 'promotional', 'monthly_plan', 'purchased'];

export const total = (amounts: readonly bigint[]): bigint => amounts.reduce((sum, amount) => sum + amount, 0n);
export const least = (a: bigint, b: bigint): bigint => (a < b ? a : b);

export const restOf = (hold: NaiveHold): bigint => total(hold.pins.map((pin) => pin.amount));

export const heldOf = ({ holds }: NaiveBooks): bigint => total(holds.map(restOf));

export function pinnedOf({ holds }: NaiveBooks, lot: NaiveLot): bigint {
  const pins = holds.flatMap((hold) => hold.pins).filter((pin) => pin.lot === lot);
  return total(pins.map((pin) => pin.amount));
}

export const spendable = (books: NaiveBooks, lot: NaiveLot): bigint =>
  lot.expired ? 0n : lot.remaining - pinnedOf(books, lot);

export const inBucket = (books: NaiveBooks, bucket: string): NaiveLot[] =>
  books.lots.filter((lot) => lot.bucket === bucket);

export const availableIn = (books: NaiveBooks, bucket: string): bigint =>
  total(inBucket(books, bucket).map((lot) => spendable(books, lot)));

export function availableOf(books: NaiveBooks): bigint {
  const sum = total(BUCKETS.map((bucket) => availableIn(books, bucket))) - books.debt;
  return sum > 0n ? sum : 0n;
}

export const balanceOf = ({ lots, debt }: NaiveBooks): bigint => total(lots.map((lot) => lot.remaining)) - debt;

/** Lots that can be spent, in burn order. Stable sorts, the last key first; lots stand in the order they were made. */
export function burnOrder(books: NaiveBooks, buckets: readonly string[]): NaiveLot[] {
  const never = Number.MAX_SAFE_INTEGER;
  return buckets.flatMap((bucket) =>
    inBucket(books, bucket)
      .filter((lot) => spendable(books, lot) > 0n)
      .toSorted((a, b) => a.effectiveAt - b.effectiveAt)
      .toSorted((a, b) => Number(a.paid) - Number(b.paid))
      .toSorted((a, b) => (a.expiresAt ?? never) - (b.expiresAt ?? never)),
  );
}

/** What is taken from each lot where `amount` is taken in burn order. */
export function partsInBurnOrder(books: NaiveBooks, buckets: readonly string[], amount: bigint) {
  let rest = amount;
  return burnOrder(books, buckets).flatMap((lot) => {
    const part = least(rest, spendable(books, lot));
    rest -= part;
    return part === 0n ? [] : [{ lot, amount: part }];
  });
}

export const amountOf = ({ entries }: NaiveTransaction): bigint =>
  total(entries.map(({ direction, amount }) => (direction === 'CREDIT' ? amount : -amount)));
