import { signedIn } from '../../operations/authorize.ts';
import { refundPurchase } from '../../operations/refund-purchase.ts';
import { builder } from '../builder.ts';
import { decodeId } from '../ids.ts';
import { PurchaseResult } from '../types/purchase-payload.ts';

const RefundPurchaseInputRef = builder.inputType('RefundPurchaseInput', {
  description: 'A purchase whose money is given back.',
  fields: (t) => ({
    purchaseId: t.id({ required: true, description: 'A purchase that is PAID.' }),
    idempotencyKey: t.string({
      required: true,
      description:
        '1 to 255 characters, unique in the organization. The same call again completes what was interrupted.',
    }),
    reason: t.string({ description: 'Why, for the audit trail; at most 500 characters.' }),
  }),
});

builder.mutationField('refundPurchase', (t) =>
  t.field({
    type: PurchaseResult,
    description:
      'Gives all money of a purchase back and revokes what is left of its credits. Conflict where holds have reserved some of them, or some are spent and the catalog refuses that. Operators only; audited.',
    args: { input: t.arg({ type: RefundPurchaseInputRef, required: true, description: 'Which purchase.' }) },
    resolve: (_root, { input }, { services, caller }) =>
      refundPurchase(services, signedIn(caller), { ...input, purchaseId: decodeId('Purchase', input.purchaseId) }),
  }),
);
