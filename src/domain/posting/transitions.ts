/**
 * Transitions: what happens to a wallet by the passing of time. Holds lapse, lots start and expire, allowances refresh. They are due
 * at an instant and posted in that order, each effective at the instant it was due, before anything else that touches the
 * wallet; so balances are true at every instant although nothing runs at that instant.
 */
import { systemActor } from '../actor.ts';
import { ZERO } from '../credits/micros.ts';
import { refreshPeriod } from '../time/calendar.ts';
import { type Instant, later } from '../time/instant.ts';
import { type AllowanceSnapshot, type LotSnapshot, lotTransitionAt, type WalletSnapshot } from '../wallet/snapshot.ts';
import { endUnused } from './decide-hold.ts';
import { expireLot } from './expire-lot.ts';
import type { DraftLot } from './lot-drafts.ts';
import { type TransactionDetails, type TransactionKind, transactionDetails } from './records.ts';
import type { WalletBook } from './wallet-book.ts';

const ACTOR = systemActor('purser');

/** Posts everything due at the book's instant. False where more is due than was loaded; the rest needs another batch. */
export function postDueTransitions(book: WalletBook): boolean {
  const { nextTransitionAt, moreDue, lapsesLoadedTo } = book.snapshot;
  if (nextTransitionAt === null || nextTransitionAt > book.now) return true;
  const lots = book.snapshot.dueLots.map((facts) => book.lot(facts));
  const horizon = horizonOf(book.snapshot);
  for (;;) {
    const next = earliestDue(book, lots);
    if (next === null) break;
    if (horizon !== null && isBefore(horizon, next)) return false;
    next.post();
  }
  // Recomputed even if nothing was posted: the stored instant may be of a lot that has been spent since.
  book.transitionsChanged = true;
  return !moreDue && lapsesLoadedTo === null;
}

/**
 * What was not loaded is due after the last of its kind that was: nothing later than that may be posted yet. A hold that was
 * loaded because a command names it may have lapsed later than others that were not.
 */
function horizonOf({ dueLots, moreDue, lapsesLoadedTo }: WalletSnapshot): Place | null {
  const lastLot = moreDue ? dueLots.at(-1) : undefined;
  const places = [
    ...(lastLot ? [placeOf(lastLot)] : []),
    ...(lapsesLoadedTo === null ? [] : [{ at: lapsesLoadedTo, rank: RANK.lapse }]),
  ];
  return places.toSorted((a, b) => (isBefore(a, b) ? -1 : 1))[0] ?? null;
}

/**
 * At one instant a hold lapses before its lots expire, what expires leaves before what refreshes arrives, and that before
 * what starts.
 */
const RANK = { lapse: 0, expiry: 1, refresh: 2, start: 3 } as const;

interface Place {
  readonly at: Instant;
  readonly rank: number;
}

interface Due extends Place {
  readonly post: () => void;
}

const isBefore = (a: Place, b: Place): boolean => a.at < b.at || (a.at === b.at && a.rank < b.rank);

/** Due lots are loaded in this order: by instant, and those that expire before those that start. */
function placeOf(lot: LotSnapshot): Place {
  return { at: lotTransitionAt(lot) ?? lot.effectiveAt, rank: lot.inForce ? RANK.expiry : RANK.start };
}

function earliestDue(book: WalletBook, lots: readonly DraftLot[]): Due | null {
  let first: Due | null = null;
  const consider = (due: Due) => {
    if (due.at > book.now) return;
    if (first === null || isBefore(due, first)) first = due;
  };
  for (const lot of lots) {
    const { effectiveAt, expiresAt } = lot.facts;
    if (lot.closed || lot.remaining === ZERO) continue;
    if (!lot.inForce) {
      consider({ at: effectiveAt, rank: RANK.start, post: () => book.start(lot, effectiveAt) });
    } else if (expiresAt !== null) {
      consider({ at: expiresAt, rank: RANK.expiry, post: () => expireLot(book, lot, expiresAt) });
    }
  }
  for (const hold of book.holds.all) {
    const { status, expiresAt } = hold;
    if (status !== 'OPEN') continue;
    consider({ at: expiresAt, rank: RANK.lapse, post: () => endUnused(book, hold, 'EXPIRED', expiresAt) });
  }
  for (const allowance of book.allowances) {
    consider({ at: dueAt(book, allowance), rank: RANK.refresh, post: () => refresh(book, allowance) });
  }
  return first;
}

/**
 * When an allowance is due: for an overdue one the start of the period that contains now, or the instant it was first due
 * where that is later. Periods that passed unseen grant nothing (semantics: Plans, Refresh).
 */
function dueAt(book: WalletBook, allowance: AllowanceSnapshot): Instant {
  if (allowance.nextRefreshAt > book.now) return allowance.nextRefreshAt;
  return later(allowance.nextRefreshAt, currentPeriod(book, allowance).start);
}

function currentPeriod(book: WalletBook, { interval, anchorDay }: AllowanceSnapshot) {
  return refreshPeriod(interval, book.now, anchorDay, book.snapshot.timeZone);
}

/** Grants the current period's allowance as a lot that lives until the period ends. */
export function refresh(book: WalletBook, allowance: AllowanceSnapshot): void {
  const period = currentPeriod(book, allowance);
  const bucket = book.bucketById(allowance.bucketId);
  const source = bucket.facts.kind === 'PLAN' ? 'PLAN_GRANT' : 'ALLOWANCE';
  const at = dueAt(book, allowance);
  if (allowance.amount > ZERO) {
    book.post(details('GRANT', source, at), ({ grant }) =>
      grant(
        {
          bucket,
          source,
          amount: allowance.amount,
          paid: false,
          effectiveAt: at,
          expiresAt: period.end,
          purchaseId: null,
          repaysDebt: allowance.interval !== 'DAY',
        },
        source,
      ),
    );
  }
  book.replaceAllowance({ ...allowance, lastRefreshedAt: at, nextRefreshAt: period.end });
}

function details(kind: TransactionKind, reasonCode: string, effectiveAt: Instant): TransactionDetails {
  return transactionDetails({ kind, reasonCode, actor: ACTOR, effectiveAt });
}
