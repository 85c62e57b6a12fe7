/**
 * The refresh of an allowance: what may be kept of the period that ended is carried into one lot, then the new period's
 * credits are granted. Periods that passed unseen grant nothing; with rollover the last of them counts as unspent, if it was
 * paid.
 */

import { systemActor } from '../actor.ts';
import { type Micros, minus, smaller, sum, ZERO } from '../credits/micros.ts';
import type { ReasonCode } from '../ledger/reason-code.ts';
import { type Period, refreshPeriod } from '../time/calendar.ts';
import { type Instant, instant, later } from '../time/instant.ts';
import type { AllowanceSnapshot } from '../wallet/bucket.ts';
import type { LotSource } from '../wallet/lot.ts';
import { expireLot } from './expire-lot.ts';
import type { DraftLot } from './lot-drafts.ts';
import { type TransactionDetails, type TransactionKind, transactionDetails } from './records.ts';
import type { WalletBook } from './wallet-book.ts';

/** The reason code of what is carried into the next period. */
export const ROLLOVER = 'ROLLOVER';

/** The sources of lots that allowances grant. */
const GRANTED: ReadonlySet<LotSource> = new Set<LotSource>(['ALLOWANCE', 'PLAN_GRANT']);

export const isGranted = ({ facts }: DraftLot): boolean => GRANTED.has(facts.source);

/**
 * When an allowance is due: for an overdue one the start of the period that contains now, or the instant it was first due
 * where that is later.
 */
export function dueAt(book: WalletBook, allowance: AllowanceSnapshot): Instant {
  if (allowance.nextRefreshAt > book.now) return allowance.nextRefreshAt;
  return later(allowance.nextRefreshAt, currentPeriod(book, allowance).start);
}

/** Whether a period of an allowance begins at an instant that is to come. */
export function refreshesAt(
  book: WalletBook,
  { nextRefreshAt, interval, anchorDay }: AllowanceSnapshot,
  at: Instant,
): boolean {
  if (nextRefreshAt >= at) return nextRefreshAt === at;
  return refreshPeriod(interval, at, anchorDay, book.snapshot.timeZone).start === at;
}

function currentPeriod(book: WalletBook, { interval, anchorDay }: AllowanceSnapshot): Period {
  return refreshPeriod(interval, book.now, anchorDay, book.snapshot.timeZone);
}

function periodBefore(book: WalletBook, { interval, anchorDay }: AllowanceSnapshot, { start }: Period): Period {
  return refreshPeriod(interval, instant(start - 1), anchorDay, book.snapshot.timeZone);
}

/** True for the lot of the period that ends as this allowance refreshes: it is carried over instead of expiring. */
export function isCarriedBy(book: WalletBook, allowance: AllowanceSnapshot, lot: DraftLot): boolean {
  const { bucketId, effectiveAt, expiresAt } = lot.facts;
  return (
    allowance.rolloverLimit !== null &&
    bucketId === allowance.bucketId &&
    isGranted(lot) &&
    effectiveAt === allowance.lastRefreshedAt &&
    expiresAt === dueAt(book, allowance)
  );
}

/**
 * The period ends and the current one begins: what may be kept is carried over, and the new period's credits are granted
 * unless they are to be paid first. `ended` are the lots that are carried over.
 */
export function refresh(book: WalletBook, allowance: AllowanceSnapshot, ended: readonly DraftLot[] = []): void {
  const { end } = currentPeriod(book, allowance);
  const at = dueAt(book, allowance);
  if (allowance.rolloverLimit !== null) carryOver(book, allowance, allowance.rolloverLimit, { start: at, end }, ended);
  if (unpaidSince(book) === null) {
    grantPeriod(book, allowance, at);
  } else {
    book.replaceAllowance({ ...allowance, lastRefreshedAt: null, nextRefreshAt: end });
  }
}

/** From when on nothing is paid; null where all is. */
const unpaidSince = ({ subscription }: WalletBook): Instant | null => subscription?.payment?.since ?? null;

/**
 * Grants what refreshes before the payment have not: each allowance from the given instant, or from the start of its current
 * period where that is later, the earliest first.
 */
export function grantOwed(book: WalletBook, from: Instant, purchaseId: string | null): void {
  const owed = book.allowances
    .filter((allowance) => allowance.lastRefreshedAt === null)
    .map((allowance) => ({ allowance, at: later(currentPeriod(book, allowance).start, from) }))
    .toSorted((a, b) => a.at - b.at);
  for (const { allowance, at } of owed) grantPeriod(book, allowance, at, purchaseId);
}

/** Grants the current period's allowance as a lot that lives from the given instant until the period ends. */
export function grantPeriod(
  book: WalletBook,
  allowance: AllowanceSnapshot,
  at: Instant,
  purchaseId: string | null = null,
): void {
  const { end } = currentPeriod(book, allowance);
  const source = book.bucketById(allowance.bucketId).facts.kind === 'PLAN' ? 'PLAN_GRANT' : 'ALLOWANCE';
  if (allowance.amount > ZERO) {
    book.post({ ...details('GRANT', source, at), purchaseId }, ({ grant }) => {
      grant({ ...newLot(book, allowance, { start: at, end }), source, amount: allowance.amount }, source);
    });
  }
  book.replaceAllowance({ ...allowance, lastRefreshedAt: at, nextRefreshAt: end });
}

/** What nobody has pinned of the ended period's lots moves into one lot, up to the limit; the rest expires. */
function carryOver(
  book: WalletBook,
  allowance: AllowanceSnapshot,
  limit: Micros,
  period: Period,
  ended: readonly DraftLot[],
): void {
  const lot = newLot(book, allowance, period);
  const missedAPeriod = allowance.lastRefreshedAt !== null && allowance.nextRefreshAt < period.start;
  if (missedAPeriod) {
    const unpaid = unpaidSince(book);
    if (unpaid !== null && periodBefore(book, allowance, period).start >= unpaid) return;
    const amount = smaller(limit, allowance.amount);
    if (amount === ZERO) return;
    book.post(details('ROLLOVER', ROLLOVER, period.start), ({ grant }) =>
      grant({ ...lot, source: 'ROLLOVER', amount }, ROLLOVER),
    );
    return;
  }
  const parts = partsOf(ended, limit);
  if (parts.length > 0) {
    const amount = sum(parts.map((part) => part.amount));
    book.post(details('ROLLOVER', ROLLOVER, period.start), ({ debitLot, grant }) => {
      for (const part of parts) debitLot(part.lot, part.amount, ROLLOVER);
      // The credits were there before: they repay no debt.
      const [{ lot: carried } = { lot: null }] = parts;
      const purchaseId = carried?.facts.purchaseId ?? null;
      grant({ ...lot, purchaseId, source: 'ROLLOVER', amount, repaysDebt: false }, ROLLOVER);
    });
  }
  for (const old of ended) expireLot(book, old, period.start);
}

function partsOf(lots: readonly DraftLot[], limit: Micros): { lot: DraftLot; amount: Micros }[] {
  let room = limit;
  return lots.flatMap((lot) => {
    const amount = smaller(room, minus(lot.remaining, lot.pinned));
    room = minus(room, amount);
    return amount > ZERO ? [{ lot, amount }] : [];
  });
}

/** A paid period's lots, those of its later months and days included, belong to what has paid for it. */
function newLot(book: WalletBook, { bucketId, interval }: AllowanceSnapshot, { start, end }: Period) {
  return {
    bucket: book.bucketById(bucketId),
    paid: false,
    effectiveAt: start,
    expiresAt: end,
    purchaseId: book.subscription?.paidBy.at(-1) ?? null,
    repaysDebt: interval !== 'DAY',
  };
}

function details(kind: TransactionKind, reasonCode: ReasonCode, effectiveAt: Instant): TransactionDetails {
  return transactionDetails({ kind, reasonCode, actor: systemActor('purser'), effectiveAt });
}
