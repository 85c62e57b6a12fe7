import { signedIn } from '../../operations/authorize.ts';
import { redeemPromoCode } from '../../operations/redeem-promo-code.ts';
import { builder } from '../builder.ts';
import { decodeOptionalId } from '../ids.ts';
import { GrantResult } from './grant-credits.ts';

const RedeemPromoCodeInputRef = builder.inputType('RedeemPromoCodeInput', {
  description: 'Which code.',
  fields: (t) => ({
    organizationId: t.id({ description: 'Who redeems it. An API key may leave it out.' }),
    code: t.string({ required: true, description: 'The code, in capitals or not.' }),
    idempotencyKey: t.string({ required: true, description: 'As for `debit`.' }),
  }),
});

builder.mutationField('redeemPromoCode', (t) =>
  t.field({
    type: GrantResult,
    description:
      'Gives an organization the credits of a promo code. Conflict where the code has ended or was redeemed as often as it may be, in all or by this organization. Needs billing:write; audited.',
    args: { input: t.arg({ type: RedeemPromoCodeInputRef, required: true, description: 'Which code.' }) },
    resolve: (_root, { input }, { services, caller }) =>
      redeemPromoCode(services, signedIn(caller), {
        organizationId: decodeOptionalId('Organization', input.organizationId),
        code: input.code,
        idempotencyKey: input.idempotencyKey,
      }),
  }),
);
