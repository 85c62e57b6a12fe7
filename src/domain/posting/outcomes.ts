/** What the engine answers: what was posted, the first answer again, or a refusal. */
import type { Micros } from '../credits/micros.ts';
import type { HoldFacts, HoldState } from '../holds/hold.ts';
import type { OperationCount } from '../limits/frequency-cap.ts';
import type { PurchaseStatus } from '../purchases/purchase.ts';
import type { Refusal } from '../refusals.ts';
import { type DraftHold, stateOf } from './hold-drafts.ts';
import type { GivenAnswer } from './idempotency.ts';
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
  /** The hold that a capture used, as this left it. */
  readonly hold: HoldView | null;
}

/** A hold as an answer shows it; later commands of the same batch do not change it any more. */
export interface HoldView {
  readonly facts: HoldFacts;
  readonly state: HoldState;
  readonly operations: readonly OperationCount[];
}

/** A hold was made, extended or released: no credits moved. */
export interface Held {
  readonly status: 'held';
  readonly hold: HoldView;
  readonly available: Micros;
  readonly availableNow: Micros;
}

/** A subscription was begun. */
export interface Subscribed {
  readonly status: 'subscribed';
  readonly subscriptionId: string;
  readonly available: Micros;
  readonly availableNow: Micros;
}

/** A plan was selected that is to be paid first: the purchase waits for its checkout. */
export interface PlanPurchaseBegun {
  readonly status: 'plan-purchase-begun';
  readonly purchaseId: string;
  readonly available: Micros;
  readonly availableNow: Micros;
}

/** The refund of a purchase was begun: the provider is to be asked. */
export interface RefundBegun {
  readonly status: 'refund-begun';
  readonly purchaseId: string;
  readonly available: Micros;
  readonly availableNow: Micros;
}

/** A subscription was canceled or resumed. */
export interface SubscriptionChanged {
  readonly status: 'subscription-changed';
  readonly subscriptionId: string;
}

/** What became of each event of a call, in their order. */
export interface EventsDecided {
  readonly status: 'events';
  readonly outcomes: readonly EventOutcome[];
}

export type EventOutcome = Posted | Replayed | Refused;

/** The stored answer to an earlier command with the same key and payload. */
export interface Replayed {
  readonly status: 'replayed';
  readonly answer: GivenAnswer;
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

/** What is due was begun: the purchases wait for their charge. */
export interface Collecting {
  readonly status: 'collecting';
}

/** What top-ups by themselves are to do was written down. */
export interface AutoTopUpConfigured {
  readonly status: 'auto-top-up-configured';
}

/** What is earmarked was set. */
export interface AllocationSet {
  readonly status: 'allocation-set';
  readonly allocationId: string;
}

export interface Settled {
  readonly status: 'settled';
}

/** More is due on the wallet than one batch may post; what could be was posted. Retry shortly. */
export interface Busy {
  readonly status: 'busy';
}

export type Outcome =
  | Posted
  | Held
  | Subscribed
  | PlanPurchaseBegun
  | RefundBegun
  | SubscriptionChanged
  | EventsDecided
  | Replayed
  | Refused
  | PurchaseResolved
  | Collecting
  | AutoTopUpConfigured
  | AllocationSet
  | Settled
  | Busy;

/** Posted now: the answer shows the wallet as this left it. */
export const posted = (
  { available }: { readonly available: Micros },
  transaction: PostedTransaction,
  { lotId = null, hold }: { readonly lotId?: string | null; readonly hold?: DraftHold } = {},
): Posted => ({
  status: 'posted',
  transaction,
  available,
  availableNow: available,
  lotId,
  hold: hold === undefined ? null : viewOf(hold),
});

export const held = ({ available }: { readonly available: Micros }, hold: DraftHold): Held => ({
  status: 'held',
  hold: viewOf(hold),
  available,
  availableNow: available,
});

const viewOf = (hold: DraftHold): HoldView => ({
  facts: hold.facts,
  state: stateOf(hold),
  operations: hold.operations,
});

/** Refused now. */
export const refused = (refusal: Refusal, available: Micros): Refused => ({
  status: 'refused',
  refusal,
  replayed: false,
  available,
  availableNow: available,
});
