/** What mutations about one purchase answer. */
import type { StartedPurchase } from '../../operations/start-purchase.ts';
import { builder } from '../builder.ts';
import { loadWritten } from '../loading/rows.ts';
import { PurchaseRef } from './purchase.ts';
import { resultUnion } from './result.ts';

const PurchasePayloadRef = builder.objectRef<StartedPurchase>('PurchasePayload').implement({
  description: 'A purchase that was begun or changed.',
  fields: (t) => ({
    purchase: t.field({
      type: PurchaseRef,
      nullable: true,
      description: 'The purchase as it is now, with the URL of its checkout while it is PENDING.',
      resolve: ({ purchaseId }, _args, context, info) =>
        loadWritten(context, info, (query) =>
          context.services.prisma.purchase.findUnique({ ...query, where: { id: purchaseId } }),
        ),
    }),
    replayed: t.exposeBoolean('replayed', {
      description: 'True where the key was used before: nothing was begun or changed again.',
    }),
  }),
});

export const PurchaseResult = resultUnion('PurchaseResult', PurchasePayloadRef, [
  'PaymentFailed',
  'InvalidIncrement',
  'IdempotencyKeyReused',
  'WalletFrozen',
  'Conflict',
  'NotFound',
  'InvalidInput',
]);
