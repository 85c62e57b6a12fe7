/**
 * Top-ups that begin by themselves, as the posting engine decides them: a posting that takes the wallet below its threshold
 * only notes that one is wanted; collecting begins it, in a transaction of its own.
 */
import type { Actor } from '../actor.ts';
import { ZERO } from '../credits/micros.ts';
import { formatMoney } from '../money/format-money.ts';
import { begin, beginsAt, isArmed, land, standDown, suspend, waitForMonth, want } from '../purchases/auto-top-up.ts';
import { reasonUnsold, type TopUpOffer, type TopUpSales, topUpOffer } from '../purchases/auto-top-up-offer.ts';
import { describeCredits } from '../purchases/describe-credits.ts';
import { isRefusal } from '../refusals.ts';
import { maySpend } from '../subscriptions/subscription.ts';
import { calendarWindow } from '../time/calendar.ts';
import type { CollectCommand, Command } from './commands.ts';
import type { DraftPurchase } from './decide-purchase.ts';
import type { Outcome } from './outcomes.ts';
import type { WalletBook } from './wallet-book.ts';

/** What the catalog says about it. */
export interface TopUpPolicies {
  readonly catalogVersion: number;
  readonly topUpSales: TopUpSales;
}

/** Commands by which somebody spends. What expires or is taken back is not made up for while nobody needs it. */
const SPENDING: ReadonlySet<Command['kind']> = new Set(['debit', 'events', 'authorize', 'capture']);

/** What a command of a batch did: its outcome, and the changes of its wallet from this one on. */
export interface Decided {
  readonly command: Command;
  readonly outcome: Outcome;
  readonly firstChange: number;
}

/**
 * Wants a top-up where less than the threshold is left after a command that spent something, and after a charge that was
 * refused for want of credits: who cannot spend any more would else never fall below it.
 */
export function watchThreshold(book: WalletBook, { command, outcome, firstChange }: Decided): void {
  const { autoTopUp } = book;
  if (autoTopUp === null || !SPENDING.has(command.kind) || !isArmed(autoTopUp)) return;
  if (book.available >= autoTopUp.threshold) return;
  const hasFallen = book.changes.slice(firstChange).some(({ change }) => change < ZERO);
  if (hasFallen || lackedCredits(outcome)) book.autoTopUp = want(autoTopUp, book.now);
}

/** True for a charge that was refused now, not for a refusal given again. */
function lackedCredits(outcome: Outcome): boolean {
  if (outcome.status === 'events') return outcome.outcomes.some(lackedCredits);
  return outcome.status === 'refused' && !outcome.replayed && outcome.refusal.code === 'INSUFFICIENT_CREDITS';
}

/** Begins the top-up that is due, if it is still needed, sold and within the month's ceiling. */
export function collectTopUp(
  book: WalletBook,
  { provider, actor }: CollectCommand,
  { catalogVersion, topUpSales }: TopUpPolicies,
  newId: () => string,
): void {
  const { autoTopUp, now, subscription, snapshot } = book;
  if (autoTopUp === null) return;
  const dueAt = beginsAt(autoTopUp);
  if (dueAt === null || dueAt > now) return;
  if (book.available >= autoTopUp.threshold) {
    book.autoTopUp = standDown(autoTopUp);
    return;
  }
  if (subscription === null || !maySpend(subscription.status)) {
    // Nobody can spend; the next charge after that wants one again.
    book.autoTopUp = standDown(autoTopUp);
    return;
  }
  const offer = topUpOffer(autoTopUp.choice, subscription, topUpSales);
  if (isRefusal(offer)) {
    book.autoTopUp = suspend(autoTopUp, reasonUnsold(autoTopUp.choice, offer));
    return;
  }
  const { ceiling } = autoTopUp;
  if (offer.price.currency !== ceiling.currency) {
    book.autoTopUp = suspend(
      autoTopUp,
      `it is sold in ${offer.price.currency} now, and the ceiling is in ${ceiling.currency}`,
    );
    return;
  }
  if (offer.price.amountMinor > ceiling.amountMinor) {
    book.autoTopUp = suspend(autoTopUp, `it costs ${formatMoney(offer.price)} now, more than the monthly ceiling`);
    return;
  }
  if (snapshot.topUpSpentMinor + offer.price.amountMinor > ceiling.amountMinor) {
    book.autoTopUp = waitForMonth(autoTopUp, calendarWindow('MONTH', now, snapshot.timeZone).end);
    return;
  }
  const id = newId();
  book.newPurchases.push(purchaseOf(book, { id, offer, catalogVersion, provider, actor }));
  book.autoTopUp = begin(autoTopUp, id);
}

interface Beginning {
  readonly id: string;
  readonly offer: TopUpOffer;
  readonly catalogVersion: number;
  readonly provider: string;
  readonly actor: Actor;
}

function purchaseOf({ snapshot, now }: WalletBook, { offer, ...begun }: Beginning): WalletBook['newPurchases'][number] {
  const { name, ...sold } = offer;
  return {
    ...begun,
    ...sold,
    organizationId: snapshot.organizationId,
    kind: 'AUTO_TOP_UP',
    description: `${name}: ${describeCredits(offer.credits, offer.bonusCredits)}`,
    isOffSession: true,
    plan: null,
    createdAt: now,
  };
}

/** The news of a purchase ends the flight of the top-up that it is. */
export function landTopUp(book: WalletBook, { facts, state }: DraftPurchase, declineCode: string | null): void {
  const { autoTopUp } = book;
  if (autoTopUp?.purchaseId !== facts.id || state.status === 'PENDING') return;
  book.autoTopUp = land(autoTopUp, { status: state.status, declineCode }, book.now);
}
