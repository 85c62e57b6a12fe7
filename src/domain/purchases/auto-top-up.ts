/**
 * Top-ups that begin by themselves. What can be spent falls below the threshold: one is wanted. It is begun
 * outside of the debit, one at a time; while it is wanted or in flight further debits want nothing. A decline is followed by
 * a pause, several in a row by a suspension until somebody configures it anew. A ceiling bounds what a calendar month costs.
 */

import type { Micros } from '../credits/micros.ts';
import { formatMoney } from '../money/format-money.ts';
import type { Money } from '../money/money.ts';
import { formatInstant, type Instant, instant, later } from '../time/instant.ts';
import type { PurchaseStatus } from './purchase.ts';

/** What is bought: a package of the catalog, or credits in the increments of the plan. */
export type TopUpChoice =
  | { readonly packageKey: string; readonly credits: null }
  | { readonly packageKey: null; readonly credits: Micros };

export interface AutoTopUpSettings {
  readonly enabled: boolean;
  /** One is wanted when less than this can be spent. More than 0. */
  readonly threshold: Micros;
  readonly choice: TopUpChoice;
  /** The most that a calendar month of the organization may cost. */
  readonly ceiling: Money;
}

export interface AutoTopUp extends AutoTopUpSettings {
  /** Since when one is to be begun; null where none is. */
  readonly wantedAt: Instant | null;
  /** The purchase in flight. */
  readonly purchaseId: string | null;
  /** Declines in a row. */
  readonly failedAttempts: number;
  /** The end of the pause after a decline. */
  readonly nextAttemptAt: Instant | null;
  /** The end of the month in which the ceiling left no room for another. */
  readonly ceilingUntil: Instant | null;
  /** Why none begins until it is configured again; null where it is not suspended. */
  readonly suspendedReason: string | null;
}

/** Pauses after the first decline in a row, the second and so on; one decline more suspends. */
export const BACK_OFF_MILLISECONDS: readonly number[] = [60_000, 600_000];

/** Nothing is pending and nothing has failed. */
export const IDLE = {
  wantedAt: null,
  purchaseId: null,
  failedAttempts: 0,
  nextAttemptAt: null,
  ceilingUntil: null,
  suspendedReason: null,
} as const;

/** True where falling below the threshold makes one wanted. */
export const isArmed = ({ enabled, suspendedReason, wantedAt, purchaseId }: AutoTopUp): boolean =>
  enabled && suspendedReason === null && wantedAt === null && purchaseId === null;

export const want = (topUp: AutoTopUp, now: Instant): AutoTopUp => ({ ...topUp, wantedAt: now });

/** When the one that is wanted may begin; null where none is. */
export function beginsAt({ wantedAt, nextAttemptAt, ceilingUntil }: AutoTopUp): Instant | null {
  if (wantedAt === null) return null;
  return later(wantedAt, later(nextAttemptAt ?? wantedAt, ceilingUntil ?? wantedAt));
}

export const begin = (topUp: AutoTopUp, purchaseId: string): AutoTopUp => ({
  ...topUp,
  purchaseId,
  wantedAt: null,
  ceilingUntil: null,
});

/** Enough can be spent again: nothing is bought until it falls below the threshold once more. */
export const standDown = (topUp: AutoTopUp): AutoTopUp => ({ ...topUp, wantedAt: null, ceilingUntil: null });

/** The one that is wanted waits for the month to end. */
export const waitForMonth = (topUp: AutoTopUp, monthEnd: Instant): AutoTopUp => ({ ...topUp, ceilingUntil: monthEnd });

export const suspend = (topUp: AutoTopUp, reason: string): AutoTopUp => ({
  ...topUp,
  wantedAt: null,
  nextAttemptAt: null,
  ceilingUntil: null,
  suspendedReason: reason,
});

export interface FlightEnd {
  readonly status: Exclude<PurchaseStatus, 'PENDING'>;
  /** The provider's reason; null where it gave none. */
  readonly declineCode: string | null;
}

/** What the end of the purchase in flight makes of it. What was disputed or refunded since has been paid. */
export function land(topUp: AutoTopUp, { status, declineCode }: FlightEnd, now: Instant): AutoTopUp {
  if (status !== 'FAILED' && status !== 'EXPIRED') {
    return { ...topUp, purchaseId: null, failedAttempts: 0, nextAttemptAt: null };
  }
  const failedAttempts = topUp.failedAttempts + 1;
  const ended = { ...topUp, purchaseId: null, failedAttempts };
  if (!topUp.enabled) return ended;
  const pause = BACK_OFF_MILLISECONDS[failedAttempts - 1];
  if (pause === undefined) {
    const code = declineCode === null ? '' : `, the last time with ${declineCode}`;
    return suspend(ended, `the payment was declined ${failedAttempts} times in a row${code}`);
  }
  return { ...ended, wantedAt: now, nextAttemptAt: instant(now + pause) };
}

/** Why none begins at present, for people; null where falling below the threshold begins one. */
export function reasonOfPause({ suspendedReason, ceilingUntil, ceiling }: AutoTopUp, now: Instant): string | null {
  if (suspendedReason !== null) return suspendedReason;
  if (ceilingUntil === null || ceilingUntil <= now) return null;
  return `the monthly ceiling of ${formatMoney(ceiling)} leaves no room for another until ${formatInstant(ceilingUntil)}`;
}
