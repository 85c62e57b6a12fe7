/** What the engine answers: what was posted, the first answer again, or a refusal. */
import type { Micros } from '../credits/micros.ts';
import type { PurchaseStatus } from '../purchases/purchase.ts';
import type { Refusal } from '../refusals.ts';
import type { PostedTransaction } from './records.ts';

export interface Posted {
  readonly status: 'posted';
  readonly transaction: PostedTransaction;
  /** What can be spent after it. */
  readonly available: Micros;
  /** The same for what was decided now; for an answer given again, what can be spent at present. */
  readonly availableNow: Micros;
  /** The lot that a grant or positive adjustment made. */
  readonly lotId: string | null;
}

/** The stored answer to an earlier command with the same key and payload. */
export interface Replayed {
  readonly status: 'replayed';
  readonly transactionId: string;
  readonly lotId: string | null;
  readonly available: Micros;
  readonly availableNow: Micros;
}

export interface Refused {
  readonly status: 'refused';
  readonly refusal: Refusal;
  /** True where this is a sticky refusal given again. */
  readonly replayed: boolean;
  readonly available: Micros;
  readonly availableNow: Micros;
}

export interface PurchaseResolved {
  readonly status: 'purchase-resolved';
  readonly purchaseStatus: PurchaseStatus;
  readonly changed: boolean;
}

export interface Settled {
  readonly status: 'settled';
}

/** More is due on the wallet than one batch may post; what could be was posted. Retry shortly. */
export interface Busy {
  readonly status: 'busy';
}

export type Outcome = Posted | Replayed | Refused | PurchaseResolved | Settled | Busy;

/** Posted now: the answer shows the wallet as this left it. */
export const posted = (
  { available }: { readonly available: Micros },
  transaction: PostedTransaction,
  { lotId = null }: { readonly lotId?: string | null } = {},
): Posted => ({ status: 'posted', transaction, available, availableNow: available, lotId });

/** Refused now. */
export const refused = (refusal: Refusal, available: Micros): Refused => ({
  status: 'refused',
  refusal,
  replayed: false,
  available,
  availableNow: available,
});
