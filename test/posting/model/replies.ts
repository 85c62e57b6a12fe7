/** What the engine must answer, in the model's words: ids are numbers of the model, amounts micros. */
import type { LimitSeen, NaiveHold, NaiveLine } from './naive-books.ts';
import { restOf } from './naive-books.ts';

export interface HoldSeen {
  readonly number: number;
  readonly status: NaiveHold['status'];
  readonly captured: bigint;
  readonly remaining: bigint;
  readonly expiresAt: number;
}

export const seen = (hold: NaiveHold): HoldSeen => ({
  number: hold.number,
  status: hold.status,
  captured: hold.captured,
  remaining: restOf(hold),
  expiresAt: hold.expiresAt,
});

export interface ExplanationSeen {
  readonly lines: readonly NaiveLine[];
  readonly rateCardVersion: number | null;
  readonly limits: readonly LimitSeen[];
  /** What could be spent of each lot, in burn order. */
  readonly lots: readonly bigint[];
}

export type RefusalSeen =
  | {
      readonly code: 'INSUFFICIENT_CREDITS';
      readonly required: bigint;
      readonly available: bigint;
      readonly held: bigint;
      readonly explanation: ExplanationSeen | null;
    }
  | {
      readonly code: 'SPEND_LIMIT_REACHED';
      readonly limitCode: string;
      readonly limit: bigint;
      readonly used: bigint;
      readonly resetsAt: number;
      readonly explanation: ExplanationSeen;
    }
  | {
      readonly code: 'PLAN_LIMIT_REACHED';
      readonly key: string;
      readonly limit: number;
      readonly current: number;
      readonly resetsAt: number | null;
      readonly explanation: ExplanationSeen | null;
    }
  | { readonly code: 'CAPTURE_EXCEEDS_HOLD'; readonly required: bigint; readonly held: bigint }
  | { readonly code: 'REFUND_EXCEEDS_ORIGINAL'; readonly refundable: bigint }
  | { readonly code: 'HOLD_NOT_OPEN'; readonly status: string }
  | { readonly code: 'SUBSCRIPTION_REQUIRED'; readonly status: string | null }
  | { readonly code: 'CONFLICT'; readonly currentState: string }
  | { readonly code: 'NOT_FOUND'; readonly what: string }
  | { readonly code: 'UNKNOWN_METER'; readonly meter: string }
  | { readonly code: 'INVALID_INPUT'; readonly path: readonly string[] }
  | { readonly code: 'IDEMPOTENCY_KEY_REUSED' | 'NOT_ATTEMPTED' | 'WALLET_FROZEN' };

/** What can be spent after the command, and, where it is an answer given again, what can be spent at present. */
interface Told {
  readonly available: bigint;
  readonly availableNow: bigint;
}

export interface PostedReply extends Told {
  readonly status: 'posted';
  readonly transaction: number;
  readonly kind: string;
  readonly amount: bigint;
  readonly lines: readonly NaiveLine[];
  readonly rateCardVersion: number | null;
  readonly limits: readonly LimitSeen[];
  readonly madeLot: boolean;
  readonly hold: HoldSeen | null;
}

export interface RefusedReply extends Told {
  readonly status: 'refused';
  readonly refusal: RefusalSeen;
  readonly replayed: boolean;
}

export interface HeldReply extends Told {
  readonly status: 'held';
  readonly hold: HoldSeen;
}

export interface SubscribedReply extends Told {
  readonly status: 'subscribed';
}

export interface ReplayedReply extends Told {
  readonly status: 'replayed';
  readonly transaction: number | null;
  readonly madeLot: boolean;
  readonly hold: HoldSeen | null;
}

export type KeyedReply = PostedReply | HeldReply | SubscribedReply | RefusedReply;

export type Reply =
  | KeyedReply
  | ReplayedReply
  | { readonly status: 'events'; readonly outcomes: readonly (KeyedReply | ReplayedReply)[] }
  | { readonly status: 'purchase-resolved'; readonly purchaseStatus: string; readonly changed: boolean }
  | { readonly status: 'subscription-changed' }
  | { readonly status: 'settled' };
