import { signedIn } from '../../operations/authorize.ts';
import { purchasePackage, type StartedPurchase } from '../../operations/purchase-package.ts';
import { builder } from '../builder.ts';
import { decodeId, decodeOptionalId } from '../ids.ts';
import { loadWritten } from '../loading/rows.ts';
import { PurchaseRef } from '../types/purchase.ts';
import { resultUnion } from '../types/result.ts';

const PurchasePackageInputRef = builder.inputType('PurchasePackageInput', {
  description: 'A package to buy.',
  fields: (t) => ({
    organizationId: t.id({ description: 'For whom. An API key may leave it out.' }),
    packageId: t.id({ required: true, description: 'A package of the catalog.' }),
    idempotencyKey: t.string({ required: true, description: '1 to 255 characters, unique in the organization.' }),
  }),
});

const PurchasePayloadRef = builder.objectRef<StartedPurchase>('PurchasePayload').implement({
  description: 'The purchase that was begun.',
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
      description: 'True where the key was used before: no second purchase was begun.',
    }),
  }),
});

const PurchaseResult = resultUnion('PurchaseResult', PurchasePayloadRef, [
  'PaymentFailed',
  'IdempotencyKeyReused',
  'WalletFrozen',
  'Conflict',
  'NotFound',
  'InvalidInput',
]);

builder.mutationField('purchasePackage', (t) =>
  t.field({
    type: PurchaseResult,
    description: 'Begins the purchase of a package; its credits are posted once it is paid. Needs billing:write.',
    args: { input: t.arg({ type: PurchasePackageInputRef, required: true, description: 'What to buy.' }) },
    resolve: (_root, { input }, { services, caller }) =>
      purchasePackage(services, signedIn(caller), {
        organizationId: decodeOptionalId('Organization', input.organizationId),
        packageKey: decodeId('Package', input.packageId),
        idempotencyKey: input.idempotencyKey,
      }),
  }),
);
