/**
 * Refusals as GraphQL types. A resolver returns the domain's refusal value as it is; the tables here say which type it is,
 * what a person reads and which HTTP status it equals. Nothing is thrown.
 */
import { formatCredits, ZERO } from '../../domain/credits/micros.ts';
import type { Conflict, InvalidIncrement, InvalidInput, NotFound, UnknownMeter } from '../../domain/plain-refusals.ts';
import type {
  AllocationExhausted,
  CaptureExceedsHold,
  HoldNotOpen,
  IdempotencyKeyReused,
  InsufficientCredits,
  NotAttempted,
  PaymentFailed,
  PlanLimitReached,
  RefundExceedsOriginal,
  Refusal,
  RefusalCode,
  SpendLimitReached,
  SubscriptionRequired,
  WalletFrozen,
} from '../../domain/refusals.ts';
import { formatInstant } from '../../domain/time/instant.ts';
import { builder } from '../builder.ts';
import { loadRow } from '../loading/rows.ts';
import { loadReachedLimit } from '../loading/spend-limits.ts';
import { AllocationRef } from './allocation.ts';
import { ErrorCodeEnum, HoldStatusEnum, SubscriptionStatusEnum } from './enums.ts';
import { ExplanationRef, refusalExplained } from './explanation.ts';
import { PlanRef } from './plan.ts';
import { SpendLimitRef } from './spend-limit.ts';

const HTTP_STATUS: Readonly<Record<RefusalCode, number>> = {
  INSUFFICIENT_CREDITS: 402,
  SUBSCRIPTION_REQUIRED: 403,
  SPEND_LIMIT_REACHED: 429,
  ALLOCATION_EXHAUSTED: 402,
  PLAN_LIMIT_REACHED: 403,
  HOLD_NOT_OPEN: 409,
  CAPTURE_EXCEEDS_HOLD: 402,
  REFUND_EXCEEDS_ORIGINAL: 409,
  NOT_ATTEMPTED: 424,
  IDEMPOTENCY_KEY_REUSED: 409,
  UNKNOWN_METER: 422,
  WALLET_FROZEN: 423,
  PAYMENT_FAILED: 402,
  INVALID_INCREMENT: 422,
  CONFLICT: 409,
  NOT_FOUND: 404,
  INVALID_INPUT: 422,
};

const TYPE_NAME: Readonly<Record<RefusalCode, string>> = {
  INSUFFICIENT_CREDITS: 'InsufficientCredits',
  SPEND_LIMIT_REACHED: 'SpendLimitReached',
  ALLOCATION_EXHAUSTED: 'AllocationExhausted',
  PLAN_LIMIT_REACHED: 'PlanLimitReached',
  HOLD_NOT_OPEN: 'HoldNotOpen',
  CAPTURE_EXCEEDS_HOLD: 'CaptureExceedsHold',
  REFUND_EXCEEDS_ORIGINAL: 'RefundExceedsOriginal',
  NOT_ATTEMPTED: 'NotAttempted',
  SUBSCRIPTION_REQUIRED: 'SubscriptionRequired',
  IDEMPOTENCY_KEY_REUSED: 'IdempotencyKeyReused',
  UNKNOWN_METER: 'UnknownMeter',
  WALLET_FROZEN: 'WalletFrozen',
  PAYMENT_FAILED: 'PaymentFailed',
  INVALID_INCREMENT: 'InvalidIncrement',
  CONFLICT: 'Conflict',
  NOT_FOUND: 'NotFound',
  INVALID_INPUT: 'InvalidInput',
};

/** A cap that resets asks to come again, like any limit on a window. */
function httpStatusOf(refusal: Refusal): number {
  const resets = refusal.code === 'PLAN_LIMIT_REACHED' && refusal.resetsAt !== null;
  return resets ? HTTP_STATUS.SPEND_LIMIT_REACHED : HTTP_STATUS[refusal.code];
}

/** The GraphQL type of a refusal. */
export const errorTypeName = (refusal: Refusal): string => TYPE_NAME[refusal.code];

/** One sentence for a person; the data for a program stands beside it. */
function describe(refusal: Refusal): string {
  switch (refusal.code) {
    case 'INSUFFICIENT_CREDITS':
      return `${formatCredits(refusal.required)} credits are required and ${formatCredits(refusal.available)} are available.`;
    case 'SPEND_LIMIT_REACHED':
      return `This would exceed the limit of ${formatCredits(refusal.limit)} credits, of which ${formatCredits(refusal.used)} are used; it resets at ${formatInstant(refusal.resetsAt)}.`;
    case 'ALLOCATION_EXHAUSTED':
      return `${formatCredits(refusal.required)} credits are required, which is more than can be spent of what is earmarked.`;
    case 'PLAN_LIMIT_REACHED':
      return `The plan’s limit for ${refusal.key} is ${refusal.limit}, and ${refusal.current} are in use${refusal.resetsAt === null ? '' : `; it resets at ${formatInstant(refusal.resetsAt)}`}.`;
    case 'HOLD_NOT_OPEN':
      return `The hold is ${refusal.status} and can be used no more.`;
    case 'CAPTURE_EXCEEDS_HOLD':
      return `${formatCredits(refusal.required)} credits are required and ${formatCredits(refusal.held)} are held.`;
    case 'REFUND_EXCEEDS_ORIGINAL':
      return refusal.refundable === ZERO
        ? 'Nothing is left to be refunded.'
        : `At most ${formatCredits(refusal.refundable)} credits can still be refunded.`;
    case 'NOT_ATTEMPTED':
      return 'Another event of the call was refused; this one was not tried.';
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
    case 'INVALID_INCREMENT':
      return `Top-ups come in increments of ${formatCredits(refusal.increment)} credits: ${nearest(refusal)}.`;
    case 'CONFLICT':
      return `This is not possible: ${refusal.reason}.`;
    case 'NOT_FOUND':
      return `There is no such ${refusal.what}.`;
    case 'INVALID_INPUT':
      return `${refusal.path.join('.')}: ${refusal.reason}.`;
    default: {
      const never: never = refusal;
      throw new Error(`unknown refusal ${JSON.stringify(never)}`);
    }
  }
}

/** "buy 10 or 20" */
const nearest = ({ nearestBelow, nearestAbove }: InvalidIncrement): string =>
  `buy ${nearestBelow === null ? '' : `${formatCredits(nearestBelow)} or `}${formatCredits(nearestAbove)}`;

export const BillingErrorRef = builder.interfaceRef<Refusal>('BillingError').implement({
  description: 'A refusal: nothing was charged, granted or changed.',
  fields: (t) => ({
    code: t.field({ type: ErrorCodeEnum, description: 'For programs.', resolve: (refusal) => refusal.code }),
    message: t.string({ description: 'For people, in English.', resolve: describe }),
    httpStatus: t.int({
      description: 'The HTTP status that says the same; the response itself is 200.',
      resolve: httpStatusOf,
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
      description:
        'What those whom the call was for could spend when it was refused: not what is earmarked for others.',
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
    explanation: t.field({
      type: ExplanationRef,
      nullable: true,
      description:
        'How it was priced and what there was to spend; null without billing:read, and for what is no charge.',
      resolve: ({ explanation }, _args, { caller }) => refusalExplained(explanation, caller),
    }),
  }),
});

export const SpendLimitReachedRef = builder.objectRef<SpendLimitReached>('SpendLimitReached').implement({
  interfaces,
  description:
    'Returned when a charge would exceed a cap or limit on the credits of an hour, a day or a month. HTTP equivalent 429.',
  fields: (t) => ({
    limitCode: t.exposeString('limitCode', {
      description:
        'Which limit: "daily_credit_cap_exceeded" for the plan’s daily cap; for a spend limit its scope and window, as "organization_daily_limit_exceeded", "project_monthly_limit_exceeded" or "api_key_hourly_limit_exceeded".',
    }),
    spendLimit: t.field({
      type: SpendLimitRef,
      nullable: true,
      description:
        'The spend limit that refused, as it is now; null for the plan’s cap, and to those without billing:read.',
      resolve: (refusal, _args, context, info) => loadReachedLimit(context, info, refusal),
    }),
    limit: t.expose('limit', { type: 'Credits', description: 'What it allows in one window.' }),
    used: t.expose('used', {
      type: 'Credits',
      description: 'What was charged or reserved in the present window when it was refused.',
    }),
    resetsAt: t.expose('resetsAt', { type: 'DateTime', description: 'When the next window begins.' }),
    explanation: t.field({
      type: ExplanationRef,
      nullable: true,
      description: 'How the charge was priced and which limits it met; null without billing:read.',
      resolve: ({ explanation }, _args, { caller }) => refusalExplained(explanation, caller),
    }),
  }),
});

export const AllocationExhaustedRef = builder.objectRef<AllocationExhausted>('AllocationExhausted').implement({
  interfaces,
  description:
    'Returned when a project or member that spends an earmark and nothing else has not enough of it. HTTP equivalent 402.',
  fields: (t) => ({
    allocation: t.field({
      type: AllocationRef,
      nullable: true,
      description: 'The earmark as it is now; null to those who may not read it.',
      resolve: ({ allocationId }, _args, context, info) =>
        loadRow(context, info, allocationId, (ids, query) =>
          context.services.prisma.allocation.findMany({ ...query, where: { id: { in: ids } } }),
        ),
    }),
    requiredCredits: t.field({
      type: 'Credits',
      description: 'What the command costs.',
      resolve: (refusal) => refusal.required,
    }),
    explanation: t.field({
      type: ExplanationRef,
      nullable: true,
      description: 'How it was priced and what there was to spend; null without billing:read.',
      resolve: ({ explanation }, _args, { caller }) => refusalExplained(explanation, caller),
    }),
  }),
});

export const PlanLimitReachedRef = builder.objectRef<PlanLimitReached>('PlanLimitReached').implement({
  interfaces,
  description: 'Returned when a limit of the plan allows no more. HTTP equivalent 403, and 429 for a frequency cap.',
  fields: (t) => ({
    key: t.exposeString('key', { description: 'Which limit, as in `Plan.limits`: of a frequency cap, the meter.' }),
    limit: t.exposeInt('limit', { description: 'The most that may be had, or done in one window.' }),
    current: t.exposeInt('current', {
      description: 'How much there was when it was refused; of operations, done or reserved in the window.',
    }),
    resetsAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When the next window begins; null for what is not counted by one.',
      resolve: ({ resetsAt }) => resetsAt,
    }),
    upgradePlans: t.field({
      type: [PlanRef],
      description: 'The plans on sale that allow more, cheapest first.',
      resolve: ({ upgradePlanKeys }, _args, { services: { catalogs } }) =>
        upgradePlanKeys.flatMap((key) => catalogs.planByKey(key) ?? []),
    }),
    billingUrl: t.string({
      description: 'Where the plan is changed.',
      resolve: (_refusal, _args, { publicUrl }) => `${publicUrl}/billing`,
    }),
    explanation: t.field({
      type: ExplanationRef,
      nullable: true,
      description:
        'How a charge was priced and which limits it met; null for what is no charge, and without billing:read.',
      resolve: ({ explanation }, _args, { caller }) => refusalExplained(explanation, caller),
    }),
  }),
});

export const HoldNotOpenRef = builder.objectRef<HoldNotOpen>('HoldNotOpen').implement({
  interfaces,
  description: 'Returned when a hold has been captured or released, or has lapsed. HTTP equivalent 409.',
  fields: (t) => ({
    status: t.expose('status', { type: HoldStatusEnum, description: 'How it ended.' }),
  }),
});

export const CaptureExceedsHoldRef = builder.objectRef<CaptureExceedsHold>('CaptureExceedsHold').implement({
  interfaces,
  description:
    'Returned when a capture costs more than is left of its hold and its overage policy is REJECT. HTTP equivalent 402.',
  fields: (t) => ({
    requiredCredits: t.expose('required', { type: 'Credits', description: 'What the capture costs.' }),
    heldCredits: t.expose('held', { type: 'Credits', description: 'What is left of the hold.' }),
  }),
});

export const RefundExceedsOriginalRef = builder.objectRef<RefundExceedsOriginal>('RefundExceedsOriginal').implement({
  interfaces,
  description: 'Returned when refunds would add up to more than was charged. HTTP equivalent 409.',
  fields: (t) => ({
    refundableCredits: t.expose('refundable', {
      type: 'Credits',
      description: 'What can still be refunded; 0 where all has been, and for free work.',
    }),
  }),
});

export const NotAttemptedRef = builder.objectRef<NotAttempted>('NotAttempted').implement({
  interfaces,
  description: 'Returned when an event was not tried because another one of the call was refused. HTTP equivalent 424.',
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

export const InvalidIncrementRef = builder.objectRef<InvalidIncrement>('InvalidIncrement').implement({
  interfaces,
  description: 'Returned when a top-up is no multiple of the plan’s increment. HTTP equivalent 422.',
  fields: (t) => ({
    increment: t.expose('increment', { type: 'Credits', description: 'Top-ups are whole multiples of it.' }),
    nearestBelow: t.expose('nearestBelow', {
      type: 'Credits',
      nullable: true,
      description: 'The next smaller amount that can be bought; null where there is none.',
    }),
    nearestAbove: t.expose('nearestAbove', { type: 'Credits', description: 'The next larger amount.' }),
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
  SpendLimitReached: SpendLimitReachedRef,
  AllocationExhausted: AllocationExhaustedRef,
  PlanLimitReached: PlanLimitReachedRef,
  HoldNotOpen: HoldNotOpenRef,
  CaptureExceedsHold: CaptureExceedsHoldRef,
  RefundExceedsOriginal: RefundExceedsOriginalRef,
  NotAttempted: NotAttemptedRef,
  SubscriptionRequired: SubscriptionRequiredRef,
  IdempotencyKeyReused: IdempotencyKeyReusedRef,
  UnknownMeter: UnknownMeterRef,
  WalletFrozen: WalletFrozenRef,
  PaymentFailed: PaymentFailedRef,
  InvalidIncrement: InvalidIncrementRef,
  Conflict: ConflictRef,
  NotFound: NotFoundRef,
  InvalidInput: InvalidInputRef,
} as const;

export type ErrorName = keyof typeof TYPE_OF_MEMBER;
export const errorRefs = <const Names extends readonly ErrorName[]>(names: Names) =>
  names.map((name) => TYPE_OF_MEMBER[name]);
