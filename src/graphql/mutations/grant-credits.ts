import { signedIn } from '../../operations/authorize.ts';
import { grantCredits } from '../../operations/grant-credits.ts';
import type { Answered } from '../../operations/outcome.ts';
import { builder } from '../builder.ts';
import { decodeId } from '../ids.ts';
import { loadWritten } from '../loading/rows.ts';
import { answeredFields } from '../types/answered.ts';
import { LotRef } from '../types/lot.ts';
import { resultUnion } from '../types/result.ts';

const GrantCreditsInputRef = builder.inputType('GrantCreditsInput', {
  description: 'Credits to give.',
  fields: (t) => ({
    organizationId: t.id({ required: true, description: 'To whom.' }),
    idempotencyKey: t.string({ required: true, description: '1 to 255 characters, unique in the organization.' }),
    credits: t.field({ type: 'Credits', required: true, description: 'How much, more than 0.' }),
    bucketKey: t.string({ required: true, description: 'Into which bucket.' }),
    expiresAt: t.field({
      type: 'DateTime',
      description: 'Until when they can be spent, by the organization’s clock; the bucket’s default without it.',
    }),
    reason: t.string({ required: true, description: 'Why; stays in the ledger as the description.' }),
  }),
});

const GrantPayloadRef = builder.objectRef<Answered>('GrantPayload').implement({
  description: 'What was granted.',
  fields: (t) => ({
    lot: t.field({
      type: LotRef,
      description: 'The lot that it made.',
      resolve: ({ lotId }, _args, context, info) =>
        loadWritten(context, info, (query) =>
          context.services.prisma.lot.findUnique({ ...query, where: { id: lotId ?? '' } }),
        ),
    }),
    ...answeredFields(t),
  }),
});

export const GrantResult = resultUnion('GrantResult', GrantPayloadRef, [
  'IdempotencyKeyReused',
  'WalletFrozen',
  'Conflict',
  'NotFound',
  'InvalidInput',
]);

builder.mutationField('grantCredits', (t) =>
  t.field({
    type: GrantResult,
    description: 'Gives an organization credits, as a promotional lot with a reason. Operators only; audited.',
    args: { input: t.arg({ type: GrantCreditsInputRef, required: true, description: 'What to give.' }) },
    resolve: (_root, { input }, { services, caller }) =>
      grantCredits(services, signedIn(caller), {
        ...input,
        organizationId: decodeId('Organization', input.organizationId),
      }),
  }),
);
