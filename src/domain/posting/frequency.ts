/**
 * Frequency caps as charges and holds meet them. What is done counts once: debits in the window they are posted in, holds in
 * the one they are made in. A capture uses what its hold has reserved; only what it does beyond counts in its own window,
 * and is not refused.
 */
import {
  type CappedOffer,
  countOperations,
  type FrequencyCap,
  isSameCap,
  type OperationCount,
  plansWithRoom,
} from '../limits/frequency-cap.ts';
import type { PricedLine } from '../pricing/price.ts';
import type { PlanLimitReached } from '../refusals.ts';
import type { DraftHold } from './hold-drafts.ts';
import type { WalletBook } from './wallet-book.ts';

type ReachedCap = Omit<PlanLimitReached, 'explanation'>;

/** The first cap that the lines would exceed; null where all have room. */
export function findReachedCap(
  book: WalletBook,
  lines: readonly PricedLine[],
  caps: readonly FrequencyCap[],
  offers: readonly CappedOffer[],
): ReachedCap | null {
  if (caps.length === 0) return null;
  const done = countOperations(lines);
  for (const cap of caps) {
    const operations = done.get(cap.key) ?? 0;
    if (operations === 0) continue;
    const { start, end: resetsAt } = book.windows.of(cap.window);
    const current = book.operations.counted(cap, start);
    if (current + operations <= cap.max) continue;
    const upgradePlanKeys = plansWithRoom(offers, cap, current + operations);
    return { code: 'PLAN_LIMIT_REACHED', key: cap.key, limit: cap.max, current, resetsAt, upgradePlanKeys };
  }
  return null;
}

const NONE: readonly OperationCount[] = [];

/** Counts the lines towards the caps, each in its window of now, less those that a hold has reserved; answers what it took. */
export function takeOperations(
  book: WalletBook,
  lines: readonly PricedLine[],
  caps: readonly FrequencyCap[],
  reserved: readonly OperationCount[] = NONE,
): readonly OperationCount[] {
  if (caps.length === 0) return NONE;
  const done = countOperations(lines);
  return caps.flatMap(({ key, window }) => {
    const { operations: before } = reserved.find((count) => isSameCap(count, { key, window })) ?? NOTHING;
    const operations = (done.get(key) ?? 0) - before;
    if (operations <= 0) return [];
    const taken = { key, window, windowStart: book.windows.of(window).start, operations };
    book.operations.take(taken);
    return [taken];
  });
}

const NOTHING = { operations: 0 };

/**
 * A capture uses the operations of its hold that it names, and all of them where it names no usage: then nobody can tell
 * what was not done.
 */
export function captureOperations(
  book: WalletBook,
  hold: DraftHold,
  lines: readonly PricedLine[],
  caps: readonly FrequencyCap[],
): void {
  const reserved = hold.operations;
  if (lines.length === 0) {
    hold.operations = NONE;
    return;
  }
  takeOperations(book, lines, caps, reserved);
  if (reserved.length === 0) return;
  const done = countOperations(lines);
  hold.operations = reserved.map((count) => {
    const operations = Math.max(0, count.operations - (done.get(count.key) ?? 0));
    return { ...count, operations };
  });
}

/** What a hold that ends has not used returns to the windows it was reserved in. */
export function giveBackOperations(book: WalletBook, hold: DraftHold): void {
  for (const unused of hold.operations) book.operations.giveBack(unused);
  hold.operations = NONE;
}
