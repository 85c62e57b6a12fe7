/**
 * Refusals as GraphQL types. A resolver returns the domain's refusal value as it is; the tables here say which type it is,
 * what a person reads and which HTTP status it equals. Nothing is thrown.
 */
import { formatCredits } from '../../domain/credits/micros.ts';
import type {
  Conflict,
  IdempotencyKeyReused,
  InsufficientCredits,
  InvalidInput,
  NotFound,
  PaymentFailed,
  Refusal,
  RefusalCode,
  SubscriptionRequired,
  UnknownMeter,
  WalletFrozen,
} from '../../domain/refusals.ts';
import { builder } from '../builder.ts';
import { ErrorCodeEnum, SubscriptionStatusEnum } from './enums.ts';

const HTTP_STATUS: Readonly<Record<RefusalCode, number>> = {
  INSUFFICIENT_CREDITS: 402,
  SUBSCRIPTION_REQUIRED: 403,
  IDEMPOTENCY_KEY_REUSED: 409,
  UNKNOWN_METER: 422,
  WALLET_FROZEN: 423,
  PAYMENT_FAILED: 402,
  CONFLICT: 409,
  NOT_FOUND: 404,
  INVALID_INPUT: 422,
};

const TYPE_NAME: Readonly<Record<RefusalCode, string>> = {
  INSUFFICIENT_CREDITS: 'InsufficientCredits',
  SUBSCRIPTION_REQUIRED: 'SubscriptionRequired',
  IDEMPOTENCY_KEY_REUSED: 'IdempotencyKeyReused',
  UNKNOWN_METER: 'UnknownMeter',
  WALLET_FROZEN: 'WalletFrozen',
  PAYMENT_FAILED: 'PaymentFailed',
  CONFLICT: 'Conflict',
  NOT_FOUND: 'NotFound',
  INVALID_INPUT: 'InvalidInput',
};

/** The GraphQL type of a refusal. */
export const errorTypeName = (refusal: Refusal): string => TYPE_NAME[refusal.code];

/** One sentence for a person; the data for a program stands beside it. */
function describe(refusal: Refusal): string {
  switch (refusal.code) {
    case 'INSUFFICIENT_CREDITS':
      return `${formatCredits(refusal.required)} credits are required and ${formatCredits(refusal.available)} are available.`;
    case 'SUBSCRIPTION_REQUIRED':
      return refusal.status === null
        ? 'An active subscription is required to spend credits.'
        : `An active subscription is required to spend credits; this one is ${refusal.status}.`;
    case 'IDEMPOTENCY_KEY_REUSED':
      return 'This idempotency key was used before with another payload.';
    case 'UNKNOWN_METER':
      return `The rate card has no rate for the meter ${refusal.meter} with these dimensions.`;
    case 'WALLET_FROZEN':
      return 'The wallet is frozen: it can be read, and nothing can be posted to it.';
    case 'PAYMENT_FAILED':
      return 'The payment failed.';
    case 'CONFLICT':
      return `This is not possible now: ${refusal.reason}.`;
    case 'NOT_FOUND':
      return `There is no such ${refusal.what}.`;
    case 'INVALID_INPUT':
      return `${refusal.path.join('.')} ${refusal.reason}.`;
    default: {
      const never: never = refusal;
      throw new Error(`unknown refusal ${JSON.stringify(never)}`);
    }
  }
}

export const BillingErrorRef = builder.interfaceRef<Refusal>('BillingError').implement({
  description: 'A refusal: nothing was charged, granted or changed.',
  fields: (t) => ({
    code: t.field({ type: ErrorCodeEnum, description: 'For programs.', resolve: (refusal) => refusal.code }),
    message: t.string({ description: 'For people, in English.', resolve: describe }),
    httpStatus: t.int({
      description: 'The HTTP status that says the same; the response itself is 200.',
      resolve: (refusal) => HTTP_STATUS[refusal.code],
    }),
  }),
  resolveType: errorTypeName,
});

const interfaces = [BillingErrorRef];

export const InsufficientCreditsRef = builder.objectRef<InsufficientCredits>('InsufficientCredits').implement({
  interfaces,
  description: 'Returned when more credits are required than can be spent. HTTP equivalent 402.',
  fields: (t) => ({
    requiredCredits: t.field({
      type: 'Credits',
      description: 'What the command costs.',
      resolve: (refusal) => refusal.required,
    }),
    availableCredits: t.field({
      type: 'Credits',
      description: 'What could be spent when it was refused.',
      resolve: (refusal) => refusal.available,
    }),
    heldCredits: t.field({
      type: 'Credits',
      nullable: true,
      description: 'What open holds had reserved then.',
      resolve: (refusal) => refusal.held,
    }),
    billingUrl: t.string({
      description: 'Where credits are bought.',
      resolve: (_refusal, _args, { publicUrl }) => `${publicUrl}/billing`,
    }),
  }),
});

export const SubscriptionRequiredRef = builder.objectRef<SubscriptionRequired>('SubscriptionRequired').implement({
  interfaces,
  description: 'Returned when the organization has no subscription that is trialing or active. HTTP equivalent 403.',
  fields: (t) => ({
    status: t.field({
      type: SubscriptionStatusEnum,
      nullable: true,
      description: 'The status of its subscription; null where it never had one.',
      resolve: (refusal) => refusal.status,
    }),
  }),
});

export const IdempotencyKeyReusedRef = builder.objectRef<IdempotencyKeyReused>('IdempotencyKeyReused').implement({
  interfaces,
  description:
    'Returned when the key was used before, in this organization, with another operation or payload. HTTP equivalent 409.',
  fields: (t) => ({ idempotencyKey: t.exposeString('idempotencyKey', { description: 'The key that was given.' }) }),
});

export const UnknownMeterRef = builder.objectRef<UnknownMeter>('UnknownMeter').implement({
  interfaces,
  description: 'Returned when no rate of the rate card matches a usage line. HTTP equivalent 422.',
  fields: (t) => ({
    meter: t.exposeString('meter', { description: 'The meter of the line.' }),
    dimensions: t.field({
      type: 'JSON',
      nullable: true,
      description: 'The dimensions of the line.',
      resolve: (refusal) => refusal.dimensions,
    }),
  }),
});

export const WalletFrozenRef = builder.objectRef<WalletFrozen>('WalletFrozen').implement({
  interfaces,
  description: 'Returned when an operator or the self-audit has frozen the wallet: reads go on. HTTP equivalent 423.',
});

export const PaymentFailedRef = builder.objectRef<PaymentFailed>('PaymentFailed').implement({
  interfaces,
  description: 'Returned when the payment provider refused the payment. HTTP equivalent 402.',
  fields: (t) => ({
    declineCode: t.exposeString('declineCode', {
      nullable: true,
      description: 'The provider’s reason, where it gave one.',
    }),
  }),
});

export const ConflictRef = builder.objectRef<Conflict>('Conflict').implement({
  interfaces,
  description: 'Returned when the present state of things forbids the change. HTTP equivalent 409.',
  fields: (t) => ({ currentState: t.exposeString('currentState', { description: 'That state, for programs.' }) }),
});

export const NotFoundRef = builder.objectRef<NotFound>('NotFound').implement({
  interfaces,
  description:
    'Returned when an id names nothing that is yours: malformed, unknown and foreign ids alike. HTTP equivalent 404.',
});

export const InvalidInputRef = builder.objectRef<InvalidInput>('InvalidInput').implement({
  interfaces,
  description: 'Returned when a value can be read and may not be. HTTP equivalent 422.',
  fields: (t) => ({
    path: t.stringList({
      description: 'The way to the field within the input, list positions included: ["usage", "0", "quantity"].',
      resolve: (refusal) => [...refusal.path],
    }),
  }),
});

const TYPE_OF_MEMBER = {
  InsufficientCredits: InsufficientCreditsRef,
  SubscriptionRequired: SubscriptionRequiredRef,
  IdempotencyKeyReused: IdempotencyKeyReusedRef,
  UnknownMeter: UnknownMeterRef,
  WalletFrozen: WalletFrozenRef,
  PaymentFailed: PaymentFailedRef,
  Conflict: ConflictRef,
  NotFound: NotFoundRef,
  InvalidInput: InvalidInputRef,
} as const;

export type ErrorName = keyof typeof TYPE_OF_MEMBER;
export const errorRefs = <const Names extends readonly ErrorName[]>(names: Names) =>
  names.map((name) => TYPE_OF_MEMBER[name]);
