/**
 * When nothing can be spent any more, if credits go on to be spent at one rate: evenly, in burn order, while others expire
 * and allowances refresh. Amounts are counted in micros × milliseconds of a day, so that every step is exact.
 */
import { type Micros, ZERO } from '../credits/micros.ts';
import { type Instant, instant } from '../time/instant.ts';
import { DAY_MILLISECONDS } from '../usage/rollup.ts';
import type { RefreshInterval } from '../wallet/bucket.ts';

/** What an allowance grants into its bucket again and again. */
export interface Refreshing {
  readonly amount: Micros;
  readonly interval: RefreshInterval;
  readonly nextRefreshAt: Instant;
}

export interface RunwayBucket {
  /** What can be spent of its lots, in burn order; those that expire at one instant may be put together. */
  readonly lots: readonly { readonly available: Micros; readonly expiresAt: Instant | null }[];
  /** What can be spent beyond these lots; counted as if it did not expire. */
  readonly beyond: Micros;
  /** Null for buckets that no allowance fills. */
  readonly refresh: Refreshing | null;
}

export interface Supply {
  readonly now: Instant;
  readonly creditsPerDay: Micros;
  readonly debt: Micros;
  /** In burn order. */
  readonly buckets: readonly RunwayBucket[];
  /** Allowances refresh before this instant; null where nothing ends them. */
  readonly refreshesUntil: Instant | null;
}

/** How far refreshes are looked ahead at. */
const REFRESHES_MILLISECONDS = 366 * DAY_MILLISECONDS;
const CENTURY_MILLISECONDS = 36_525 * DAY_MILLISECONDS;
/** 30.4375 days: over a year no day is lost. */
const AVERAGE_MONTH_MILLISECONDS = 2_629_800_000;

interface Stock {
  readonly from: number;
  readonly until: number;
  /** What is left of it. */
  rest: bigint;
}

export function depletesAt({ now, creditsPerDay: rate, debt, buckets, refreshesUntil }: Supply): Instant | null {
  const horizon = now + REFRESHES_MILLISECONDS;
  const end = Math.min(refreshesUntil ?? horizon, horizon);
  const queues = buckets.map((bucket) => queueOf([...stocksOf(bucket, now), ...refreshesOf(bucket, now, end)]));
  const stocks = queues.flatMap((queue) => queue.stocks);
  let total = stocks.filter(({ from }) => from <= now).reduce((sum, { rest }) => sum + rest, -ofDay(debt));
  if (total <= 0n) return now;
  if (rate === ZERO) return null;
  const isRefreshed = refreshesUntil === null && stocks.some(({ from }) => from > now);
  let at: number = now;
  for (const { instant: next, ending, starting } of changesAfter(now, stocks)) {
    const isForeseen = !isRefreshed || next < horizon;
    const spent = rate * BigInt((isForeseen ? next : horizon) - at);
    if (spent > total) return runsOut(at, total, rate);
    if (!isForeseen) return null;
    spend(queues, spent, at);
    total -= spent;
    for (const stock of ending) total -= stock.rest;
    for (const stock of starting) total += stock.rest;
    if (total <= 0n) return instant(next);
    at = next;
  }
  const last = runsOut(at, total, rate);
  return last - now > CENTURY_MILLISECONDS ? null : last;
}

const ofDay = (amount: Micros): bigint => amount * BigInt(DAY_MILLISECONDS);

/** The first millisecond at which so much is spent. */
const runsOut = (at: number, total: bigint, rate: Micros): Instant => {
  const milliseconds = (total + rate - 1n) / rate;
  const longest = BigInt(CENTURY_MILLISECONDS) * 2n;
  return instant(at + Number(milliseconds < longest ? milliseconds : longest));
};

function stocksOf({ lots, beyond }: RunwayBucket, now: Instant): Stock[] {
  const live = lots.filter(({ expiresAt }) => expiresAt === null || expiresAt > now);
  return [...live, ...(beyond > ZERO ? [{ available: beyond, expiresAt: null }] : [])].map(
    ({ available, expiresAt }) => ({
      from: now,
      until: expiresAt ?? Number.POSITIVE_INFINITY,
      rest: ofDay(available),
    }),
  );
}

function refreshesOf({ refresh }: RunwayBucket, now: Instant, end: number): Stock[] {
  if (refresh === null || refresh.amount === ZERO) return [];
  const length = refresh.interval === 'DAY' ? DAY_MILLISECONDS : AVERAGE_MONTH_MILLISECONDS;
  const stocks: Stock[] = [];
  for (let from = Math.max(refresh.nextRefreshAt, now); from < end; from += length) {
    stocks.push({ from, until: from + length, rest: ofDay(refresh.amount) });
  }
  return stocks;
}

interface Change {
  readonly instant: number;
  readonly ending: Stock[];
  readonly starting: Stock[];
}

/** What expires and what starts later, by instant. */
function changesAfter(now: number, stocks: readonly Stock[]): Change[] {
  const changes = new Map<number, Change>();
  const changeAt = (at: number): Change => {
    const change = changes.get(at) ?? { instant: at, ending: [], starting: [] };
    changes.set(at, change);
    return change;
  };
  for (const stock of stocks) {
    if (stock.from > now) changeAt(stock.from).starting.push(stock);
    if (Number.isFinite(stock.until)) changeAt(stock.until).ending.push(stock);
  }
  return [...changes.values()].sort((a, b) => a.instant - b.instant);
}

/** The stocks of a bucket by their expiry, and the first of them that is not over. */
interface Queue {
  readonly stocks: readonly Stock[];
  head: number;
}

const queueOf = (stocks: readonly Stock[]): Queue => ({
  // Infinity less Infinity is no number.
  stocks: stocks.toSorted((a, b) => (a.until === b.until ? 0 : a.until - b.until)),
  head: 0,
});

/** Takes so much in burn order: bucket by bucket, in each what expires first. The caller knows that there is as much. */
function spend(queues: readonly Queue[], amount: bigint, at: number): void {
  let rest = amount;
  for (const queue of queues) {
    for (let index = queue.head; index < queue.stocks.length && rest > 0n; index++) {
      const stock = queue.stocks[index];
      if (!stock || stock.from > at) continue;
      if (stock.until > at) {
        const isEnough = stock.rest >= rest;
        const taken = isEnough ? rest : stock.rest;
        stock.rest -= taken;
        rest -= taken;
      }
      const isOver = stock.until <= at || stock.rest === 0n;
      if (isOver && index === queue.head) queue.head += 1;
    }
  }
}
