import { signedIn } from '../../operations/authorize.ts';
import { unfreezeWallet } from '../../operations/unfreeze-wallet.ts';
import { builder } from '../builder.ts';
import { decodeId } from '../ids.ts';
import { OrganizationResult } from './create-organization.ts';

const UnfreezeWalletInputRef = builder.inputType('UnfreezeWalletInput', {
  description: 'A frozen wallet that may be written to again.',
  fields: (t) => ({
    organizationId: t.id({ required: true, description: 'Whose.' }),
    reason: t.string({
      required: true,
      description: 'Why: what was wrong and how it was put right; at most 500 characters, kept in the audit trail.',
    }),
  }),
});

builder.mutationField('unfreezeWallet', (t) =>
  t.field({
    type: OrganizationResult,
    description:
      'Lets a wallet that the self-audit has frozen be written to again; what has come due meanwhile is posted. Conflict where it is not frozen. Where its books still do not hold, the next round of the audit freezes it anew. Operators only; audited.',
    args: { input: t.arg({ type: UnfreezeWalletInputRef, required: true, description: 'Which, and why.' }) },
    resolve: (_root, { input }, { services, caller }) =>
      unfreezeWallet(services, signedIn(caller), {
        ...input,
        organizationId: decodeId('Organization', input.organizationId),
      }),
  }),
);
