/**
 * Transitions: what happens to a wallet by the passing of time. Holds lapse, lots start and expire, allowances refresh, trials
 * and billing periods end. They are due at an instant and posted in that order, each effective at the instant it was due,
 * before anything else that touches the wallet; so balances are true at every instant although nothing runs at that instant.
 */
import { ZERO } from '../credits/micros.ts';
import type { SubscriptionPolicies } from '../subscriptions/plan-offer.ts';
import { upcomingEvent } from '../subscriptions/subscription.ts';
import type { Instant } from '../time/instant.ts';
import { type LotSnapshot, lotTransitionAt } from '../wallet/lot.ts';
import { endUnused } from './decide-hold.ts';
import { expireLot } from './expire-lot.ts';
import type { DraftLot } from './lot-drafts.ts';
import { dueAt, isCarriedBy, refresh } from './refresh-allowance.ts';
import { postSubscriptionEvent } from './subscription-transitions.ts';
import type { WalletBook } from './wallet-book.ts';
import type { WalletSnapshot } from './wallet-snapshot.ts';

/**
 * Posts everything due at the book's instant. False where more is due than was loaded; the rest needs another batch.
 * `completed` is told of each instant of which everything is posted: what expires and what refreshes at it is one change.
 */
export function postDueTransitions(
  book: WalletBook,
  policies: SubscriptionPolicies,
  completed: (at: Instant) => void = () => undefined,
): boolean {
  const { nextTransitionAt, moreDue, lapsesLoadedTo } = book.snapshot;
  if (nextTransitionAt === null || nextTransitionAt > book.now) return true;
  const lots = book.snapshot.dueLots.map((facts) => book.lot(facts));
  const horizon = horizonOf(book.snapshot);
  let postedAt: Instant | null = null;
  for (;;) {
    const next = earliestDue(book, lots, policies);
    if (next === null) break;
    if (horizon !== null && isBefore(horizon, next)) return false;
    if (postedAt !== null && next.at > postedAt) completed(postedAt);
    next.post();
    postedAt = next.at;
  }
  // Recomputed even if nothing was posted: the stored instant may be of a lot that has been spent since.
  book.transitionsChanged = true;
  const isComplete = !moreDue && lapsesLoadedTo === null;
  if (isComplete && postedAt !== null) completed(postedAt);
  return isComplete;
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
 * At one instant a hold lapses before its lots expire, a subscription changes before it is asked what refreshes, what expires
 * leaves before what refreshes arrives, and that before what starts.
 */
const RANK = { lapse: 0, subscription: 1, expiry: 2, refresh: 3, start: 4 } as const;

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

function earliestDue(book: WalletBook, lots: readonly DraftLot[], policies: SubscriptionPolicies): Due | null {
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
    } else if (expiresAt !== null && !book.allowances.some((allowance) => isCarriedBy(book, allowance, lot))) {
      consider({ at: expiresAt, rank: RANK.expiry, post: () => expireLot(book, lot, expiresAt) });
    }
  }
  for (const hold of book.holds.all) {
    const { status, expiresAt } = hold;
    if (status !== 'OPEN') continue;
    consider({ at: expiresAt, rank: RANK.lapse, post: () => endUnused(book, hold, 'EXPIRED', expiresAt) });
  }
  for (const allowance of book.allowances) {
    const post = () =>
      refresh(
        book,
        allowance,
        lots.filter((lot) => !lot.closed && isCarriedBy(book, allowance, lot)),
      );
    consider({ at: dueAt(book, allowance), rank: RANK.refresh, post });
  }
  const upcoming = book.subscription && upcomingEvent(book.subscription);
  if (upcoming) {
    consider({ at: upcoming.at, rank: RANK.subscription, post: () => postSubscriptionEvent(book, upcoming, policies) });
  }
  return first;
}
