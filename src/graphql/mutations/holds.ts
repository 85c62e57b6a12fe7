import { micros, ZERO } from '../../domain/credits/micros.ts';
import { signedIn } from '../../operations/authorize.ts';
import { authorizeHold } from '../../operations/authorize-hold.ts';
import { captureHold } from '../../operations/capture-hold.ts';
import { extendHold } from '../../operations/extend-hold.ts';
import type { AnsweredCapture, AnsweredHolding } from '../../operations/outcome.ts';
import { releaseHold } from '../../operations/release-hold.ts';
import { decodeLines } from '../../persistence/batch/line-codec.ts';
import { builder } from '../builder.ts';
import { decodeId, decodeSpender } from '../ids.ts';
import { answering } from '../permissions/readable.ts';
import { chargedFields, toldFields } from '../types/answered.ts';
import { OveragePolicyEnum } from '../types/enums.ts';
import { HoldRef } from '../types/hold.ts';
import { UsageInputRef } from '../types/inputs.ts';
import { resultUnion } from '../types/result.ts';
import { UsageRef } from '../types/usage.ts';

const KEY_DESCRIPTION = 'As for `debit`.';

const AuthorizeInputRef = builder.inputType('AuthorizeInput', {
  description: 'What to reserve. Give exactly one of `amount` and `usage`.',
  fields: (t) => ({
    organizationId: t.id({ description: 'Whose credits. An API key may leave it out.' }),
    idempotencyKey: t.string({ required: true, description: KEY_DESCRIPTION }),
    amount: t.field({ type: 'Credits', description: 'Credits to reserve, more than 0.' }),
    usage: t.field({
      type: [UsageInputRef],
      description: 'What is expected to be used, priced by the rate card of now; 1 to 100 lines.',
    }),
    expiresInSeconds: t.int({
      description: 'How long it is valid, at least 1 and at most what the catalog allows; its default without it.',
    }),
    taskId: t.string({ description: 'Your task, at most 255 characters; captures inherit it.' }),
    executionId: t.string({ description: 'Your execution, at most 255 characters; captures inherit it.' }),
    userId: t.id({ description: 'The member who caused it; captures inherit it.' }),
    projectId: t.id({ description: 'The project it belongs to; captures inherit it.' }),
    metadata: t.field({
      type: 'JSON',
      description: 'An object that stays with the hold and its captures; at most 16,384 characters.',
    }),
  }),
});

const CaptureInputRef = builder.inputType('CaptureInput', {
  description: 'What was really used. At most one of `amount` and `usage`; neither captures all that is left.',
  fields: (t) => ({
    holdId: t.id({ required: true, description: 'The hold: your own, or any with a master key or as an owner.' }),
    idempotencyKey: t.string({ required: true, description: KEY_DESCRIPTION }),
    amount: t.field({ type: 'Credits', description: 'Credits to charge, more than 0.' }),
    usage: t.field({
      type: [UsageInputRef],
      description: 'What was used, priced by the rate card of the hold; 1 to 100 lines.',
    }),
    final: t.boolean({
      description: 'True, the default, releases what is left in the same moment; false leaves it for more captures.',
    }),
    overage: t.field({
      type: OveragePolicyEnum,
      description: 'What happens to a cost beyond what is left of the hold; REJECT without it.',
    }),
  }),
});

const ReleaseInputRef = builder.inputType('ReleaseInput', {
  description: 'Which hold to give back.',
  fields: (t) => ({
    holdId: t.id({ required: true, description: 'The hold: your own, or any with a master key or as an owner.' }),
    idempotencyKey: t.string({ required: true, description: KEY_DESCRIPTION }),
  }),
});

const ExtendHoldInputRef = builder.inputType('ExtendHoldInput', {
  description: 'How long a hold is to live on.',
  fields: (t) => ({
    holdId: t.id({ required: true, description: 'The hold: your own, or any with a master key or as an owner.' }),
    idempotencyKey: t.string({ required: true, description: KEY_DESCRIPTION }),
    expiresInSeconds: t.int({
      required: true,
      description:
        'Seconds from now, beyond its present expiry. Its whole life is bounded by the catalog, and so is how long it outlives the lots it has pinned.',
    }),
  }),
});

const HoldPayloadRef = builder.objectRef<AnsweredHolding>('HoldPayload').implement({
  description: 'The hold after the call.',
  fields: (t) => ({
    hold: t.field({ type: HoldRef, description: 'The hold.', resolve: ({ hold }) => answering(hold) }),
    usage: t.field({
      type: UsageRef,
      description:
        'What it reserved when it was made and how its lines were priced, none of it charged yet; nothing once it is released.',
      resolve: ({ hold }) =>
        hold.status === 'OPEN'
          ? { credits: micros(hold.amountMicros), lines: decodeLines(hold.lines) }
          : { credits: ZERO, lines: [] },
    }),
    ...toldFields(t),
  }),
});

const CapturePayloadRef = builder.objectRef<AnsweredCapture>('CapturePayload').implement({
  description: 'What was charged out of a hold.',
  fields: (t) => ({
    hold: t.field({
      type: HoldRef,
      description: 'The hold as the capture left it.',
      resolve: ({ hold }) => answering(hold),
    }),
    ...chargedFields(t),
    ...toldFields(t),
  }),
});

const AuthorizeResult = resultUnion('AuthorizeResult', HoldPayloadRef, [
  'InsufficientCredits',
  'SubscriptionRequired',
  'PlanLimitReached',
  'SpendLimitReached',
  'AllocationExhausted',
  'IdempotencyKeyReused',
  'UnknownMeter',
  'WalletFrozen',
  'NotFound',
  'InvalidInput',
]);

const CaptureResult = resultUnion('CaptureResult', CapturePayloadRef, [
  'HoldNotOpen',
  'CaptureExceedsHold',
  'InsufficientCredits',
  'IdempotencyKeyReused',
  'UnknownMeter',
  'WalletFrozen',
  'NotFound',
  'InvalidInput',
]);

const ReleaseResult = resultUnion('ReleaseResult', HoldPayloadRef, [
  'HoldNotOpen',
  'IdempotencyKeyReused',
  'WalletFrozen',
  'NotFound',
  'InvalidInput',
]);

builder.mutationFields((t) => ({
  authorize: t.field({
    type: AuthorizeResult,
    description:
      'Reserves credits for work that is about to be done: they leave what can be spent at once. Needs usage:write.',
    args: { input: t.arg({ type: AuthorizeInputRef, required: true, description: 'What to reserve.' }) },
    resolve: (_root, { input }, { services, caller }) =>
      authorizeHold(services, signedIn(caller), {
        ...input,
        ...decodeSpender(input),
      }),
  }),
  capture: t.field({
    type: CaptureResult,
    description: 'Charges what was really used out of a hold. Needs usage:write.',
    args: { input: t.arg({ type: CaptureInputRef, required: true, description: 'What was used.' }) },
    resolve: (_root, { input }, { services, caller }) =>
      captureHold(services, signedIn(caller), { ...input, holdId: decodeId('Hold', input.holdId) }),
  }),
  release: t.field({
    type: ReleaseResult,
    description: 'Gives back what is left of a hold without charging it. Needs usage:write.',
    args: { input: t.arg({ type: ReleaseInputRef, required: true, description: 'Which hold.' }) },
    resolve: (_root, { input }, { services, caller }) =>
      releaseHold(services, signedIn(caller), { ...input, holdId: decodeId('Hold', input.holdId) }),
  }),
  extendHold: t.field({
    type: ReleaseResult,
    description: 'Lets a hold live longer. Needs usage:write.',
    args: { input: t.arg({ type: ExtendHoldInputRef, required: true, description: 'How long.' }) },
    resolve: (_root, { input }, { services, caller }) =>
      extendHold(services, signedIn(caller), { ...input, holdId: decodeId('Hold', input.holdId) }),
  }),
}));
