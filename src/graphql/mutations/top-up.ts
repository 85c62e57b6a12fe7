import { signedIn } from '../../operations/authorize.ts';
import { topUp } from '../../operations/top-up.ts';
import { builder } from '../builder.ts';
import { decodeOptionalId } from '../ids.ts';
import { PurchaseResult } from '../types/purchase-payload.ts';

const TopUpInputRef = builder.inputType('TopUpInput', {
  description: 'Credits to buy on top of the plan.',
  fields: (t) => ({
    organizationId: t.id({ description: 'For whom. An API key may leave it out.' }),
    credits: t.field({
      type: 'Credits',
      required: true,
      description: 'How much, more than 0: a whole multiple of the plan’s topUpIncrement.',
    }),
    idempotencyKey: t.string({ required: true, description: '1 to 255 characters, unique in the organization.' }),
  }),
});

builder.mutationField('topUp', (t) =>
  t.field({
    type: PurchaseResult,
    description:
      'Begins a top-up at the price of the plan subscribed to; its credits are posted once it is paid. Needs billing:write.',
    args: { input: t.arg({ type: TopUpInputRef, required: true, description: 'How much.' }) },
    resolve: (_root, { input }, { services, caller }) =>
      topUp(services, signedIn(caller), {
        ...input,
        organizationId: decodeOptionalId('Organization', input.organizationId),
      }),
  }),
);
