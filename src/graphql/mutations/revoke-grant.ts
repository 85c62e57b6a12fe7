import { signedIn } from '../../operations/authorize.ts';
import { revokeGrant } from '../../operations/revoke-grant.ts';
import { builder } from '../builder.ts';
import { decodeId } from '../ids.ts';
import { AdjustResult } from './adjust-balance.ts';

const RevokeGrantInputRef = builder.inputType('RevokeGrantInput', {
  description: 'A grant to take back.',
  fields: (t) => ({
    lotId: t.id({ required: true, description: 'A lot that an operator granted or an adjustment made.' }),
    idempotencyKey: t.string({ required: true, description: '1 to 255 characters, unique in the organization.' }),
    reason: t.string({ required: true, description: 'Why; stays in the ledger as the description.' }),
  }),
});

builder.mutationField('revokeGrant', (t) =>
  t.field({
    type: AdjustResult,
    description:
      'Takes back what is left of a grant. What was spent stays spent; what holds have reserved is taken when they give it back. InsufficientCredits where nothing can be taken now. Operators only; audited.',
    args: { input: t.arg({ type: RevokeGrantInputRef, required: true, description: 'Which grant.' }) },
    resolve: (_root, { input }, { services, caller }) =>
      revokeGrant(services, signedIn(caller), { ...input, lotId: decodeId('Lot', input.lotId) }),
  }),
);
