/**
 * Refusals: the expected ways in which a command is not carried out. They are values with the data a caller needs to act,
 * never exceptions. What a person reads (message, HTTP equivalent) is derived from them at the edge.
 */
import type { Micros } from './credits/micros.ts';
import type { HoldStatus } from './holds/hold.ts';
import type { ExceededLimit } from './limits/plan-limit.ts';
import type { CheckedLimit } from './limits/spend-limit.ts';
import type { Conflict, InvalidIncrement, InvalidInput, NotFound, UnknownMeter } from './plain-refusals.ts';
import type { PricedLine } from './pricing/price.ts';
import type { SubscriptionStatus } from './subscriptions/subscription.ts';
import type { Instant } from './time/instant.ts';

/** Why a charge was refused: how it was priced, what there was to spend and which limits it met. */
export interface Explanation {
  readonly walletId: string;
  readonly rateCardVersion: number | null;
  readonly lines: readonly PricedLine[];
  readonly limits: readonly CheckedLimit[];
  /** The first lots of the burn order that could be spent from, with what of each. */
  readonly lots: readonly { readonly lotId: string; readonly available: Micros }[];
}

export type InsufficientCredits = {
  readonly code: 'INSUFFICIENT_CREDITS';
  readonly required: Micros;
  readonly available: Micros;
  readonly held: Micros;
  /** Null for what is no charge, as an adjustment. */
  readonly explanation: Explanation | null;
};
export type AllocationExhausted = {
  readonly code: 'ALLOCATION_EXHAUSTED';
  readonly allocationId: string;
  readonly required: Micros;
  readonly explanation: Explanation;
};
export type SpendLimitReached = {
  readonly code: 'SPEND_LIMIT_REACHED';
  readonly limitCode: string;
  readonly limit: Micros;
  readonly used: Micros;
  readonly resetsAt: Instant;
  /** Null for the plan's cap. */
  readonly spendLimitId: string | null;
  readonly explanation: Explanation;
};
export type PlanLimitReached = ExceededLimit & {
  /** Null for what is no charge. */
  readonly explanation: Explanation | null;
};
export type HoldNotOpen = { readonly code: 'HOLD_NOT_OPEN'; readonly status: HoldStatus };
export type CaptureExceedsHold = {
  readonly code: 'CAPTURE_EXCEEDS_HOLD';
  readonly required: Micros;
  readonly held: Micros;
};
export type RefundExceedsOriginal = { readonly code: 'REFUND_EXCEEDS_ORIGINAL'; readonly refundable: Micros };
export type NotAttempted = { readonly code: 'NOT_ATTEMPTED' };
export type SubscriptionRequired = {
  readonly code: 'SUBSCRIPTION_REQUIRED';
  /** Null where there never was a subscription. */
  readonly status: SubscriptionStatus | null;
};
export type IdempotencyKeyReused = { readonly code: 'IDEMPOTENCY_KEY_REUSED'; readonly idempotencyKey: string };
export type WalletFrozen = { readonly code: 'WALLET_FROZEN' };
export type PaymentFailed = { readonly code: 'PAYMENT_FAILED'; readonly declineCode: string | null };
export type Refusal =
  | InsufficientCredits
  | SpendLimitReached
  | AllocationExhausted
  | PlanLimitReached
  | HoldNotOpen
  | CaptureExceedsHold
  | RefundExceedsOriginal
  | NotAttempted
  | SubscriptionRequired
  | IdempotencyKeyReused
  | UnknownMeter
  | WalletFrozen
  | PaymentFailed
  | InvalidIncrement
  | Conflict
  | NotFound
  | InvalidInput;

export type RefusalCode = Refusal['code'];

/**
 * Refusals of the engine that a retry under the same key gets again, whatever has changed since.
 * `PaymentFailed` does so too, and is none of them: the purchase that its key has begun keeps what the provider said.
 */
const STICKY: ReadonlySet<RefusalCode> = new Set<RefusalCode>([
  'INSUFFICIENT_CREDITS',
  'SPEND_LIMIT_REACHED',
  'ALLOCATION_EXHAUSTED',
  'PLAN_LIMIT_REACHED',
  'CAPTURE_EXCEEDS_HOLD',
]);

export const isSticky = (refusal: Refusal): boolean => STICKY.has(refusal.code);

/** Every refusal is an object with a `code`; nothing that an operation returns on success has one. */
export function isRefusal(value: object): value is Refusal {
  return 'code' in value && typeof value.code === 'string';
}
