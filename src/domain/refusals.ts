/**
 * Refusals: the expected ways in which a command is not carried out. They are values with the data a caller needs to act,
 * never exceptions. What a person reads (message, HTTP equivalent) is derived from them at the edge.
 */
import type { Micros } from './credits/micros.ts';
import type { JsonObject } from './ledger/canonical.ts';
import type { SubscriptionStatus } from './wallet/snapshot.ts';

export type InsufficientCredits = {
  readonly code: 'INSUFFICIENT_CREDITS';
  readonly required: Micros;
  readonly available: Micros;
  readonly held: Micros;
};
export type SubscriptionRequired = {
  readonly code: 'SUBSCRIPTION_REQUIRED';
  /** Null where there never was a subscription. */
  readonly status: SubscriptionStatus | null;
};
export type IdempotencyKeyReused = { readonly code: 'IDEMPOTENCY_KEY_REUSED'; readonly idempotencyKey: string };
export type UnknownMeter = {
  readonly code: 'UNKNOWN_METER';
  readonly meter: string;
  readonly dimensions: JsonObject | null;
};
export type WalletFrozen = { readonly code: 'WALLET_FROZEN' };
export type PaymentFailed = { readonly code: 'PAYMENT_FAILED'; readonly declineCode: string | null };
export type Conflict = { readonly code: 'CONFLICT'; readonly currentState: string; readonly reason: string };
export type NotFound = { readonly code: 'NOT_FOUND'; readonly what: string };
export type InvalidInput = {
  readonly code: 'INVALID_INPUT';
  readonly path: readonly string[];
  readonly reason: string;
};

export type Refusal =
  | InsufficientCredits
  | SubscriptionRequired
  | IdempotencyKeyReused
  | UnknownMeter
  | WalletFrozen
  | PaymentFailed
  | Conflict
  | NotFound
  | InvalidInput;

export type RefusalCode = Refusal['code'];

/** Refusals that a retry under the same key gets again, whatever has changed since (semantics: Idempotency). */
const STICKY: ReadonlySet<RefusalCode> = new Set<RefusalCode>(['INSUFFICIENT_CREDITS', 'PAYMENT_FAILED']);

export const isSticky = (refusal: Refusal): boolean => STICKY.has(refusal.code);

export const notFound = (what: string): NotFound => ({ code: 'NOT_FOUND', what });
export const invalidInput = (path: readonly string[], reason: string): InvalidInput => ({
  code: 'INVALID_INPUT',
  path,
  reason,
});

/** Every refusal is an object with a `code`; nothing that an operation returns on success has one. */
export function isRefusal(value: object): value is Refusal {
  return 'code' in value && typeof value.code === 'string';
}
