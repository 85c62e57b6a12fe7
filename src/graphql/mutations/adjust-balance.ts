import { adjustBalance } from '../../operations/adjust-balance.ts';
import { signedIn } from '../../operations/authorize.ts';
import type { Answered } from '../../operations/outcome.ts';
import { builder } from '../builder.ts';
import { decodeId } from '../ids.ts';
import { answeredFields } from '../types/answered.ts';
import { resultUnion } from '../types/result.ts';

const AdjustBalanceInputRef = builder.inputType('AdjustBalanceInput', {
  description: 'A correction.',
  fields: (t) => ({
    organizationId: t.id({ required: true, description: 'Whose wallet.' }),
    idempotencyKey: t.string({ required: true, description: '1 to 255 characters, unique in the organization.' }),
    credits: t.field({ type: 'Credits', required: true, description: 'Signed: positive adds, negative takes; not 0.' }),
    bucketKey: t.string({ required: true, description: 'Which bucket; nothing is taken from others.' }),
    reason: t.string({ required: true, description: 'Why; stays in the ledger as the description.' }),
  }),
});

const AdjustPayloadRef = builder.objectRef<Answered>('AdjustPayload').implement({
  description: 'What was corrected.',
  fields: (t) => ({
    ...answeredFields(t),
  }),
});

export const AdjustResult = resultUnion('AdjustResult', AdjustPayloadRef, [
  'InsufficientCredits',
  'IdempotencyKeyReused',
  'WalletFrozen',
  'NotFound',
  'InvalidInput',
]);

builder.mutationField('adjustBalance', (t) =>
  t.field({
    type: AdjustResult,
    description: 'Corrects a bucket, up or down, with a reason. Operators only; audited.',
    args: { input: t.arg({ type: AdjustBalanceInputRef, required: true, description: 'The correction.' }) },
    resolve: (_root, { input }, { services, caller }) =>
      adjustBalance(services, signedIn(caller), {
        ...input,
        organizationId: decodeId('Organization', input.organizationId),
      }),
  }),
);
