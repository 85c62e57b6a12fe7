/**
 * A purchase is PENDING until the payment provider says how it ended. The table says what each piece of news does in each
 * state; news that changes nothing (repeated, late) is no error, so that callbacks in any order converge.
 */
import type { Micros } from '../credits/micros.ts';

export type PurchaseStatus = 'PENDING' | 'PAID' | 'FAILED' | 'EXPIRED' | 'REFUNDED' | 'DISPUTED';

/** What a provider reports of a checkout. */
export type PurchaseOutcome = 'PAID' | 'FAILED' | 'EXPIRED';

export interface PurchaseSnapshot {
  readonly id: string;
  readonly walletId: string;
  readonly status: PurchaseStatus;
  readonly credits: Micros;
  readonly bonus: Micros;
  /** The bucket that its lots go to. */
  readonly bucketKey: string;
  readonly expiresAfterDays: number | null;
}

const TRANSITIONS: Readonly<Record<PurchaseStatus, Readonly<Partial<Record<PurchaseOutcome, PurchaseStatus>>>>> = {
  PENDING: { PAID: 'PAID', FAILED: 'FAILED', EXPIRED: 'EXPIRED' },
  PAID: {},
  FAILED: {},
  EXPIRED: {},
  REFUNDED: {},
  DISPUTED: {},
};

/** The status after the news; the same one where the news changes nothing. */
export function resolvePurchase(status: PurchaseStatus, outcome: PurchaseOutcome): PurchaseStatus {
  return TRANSITIONS[status][outcome] ?? status;
}
