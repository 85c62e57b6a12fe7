import { signedIn } from '../../operations/authorize.ts';
import { purchasePackage } from '../../operations/purchase-package.ts';
import { builder } from '../builder.ts';
import { decodeId, decodeOptionalId } from '../ids.ts';
import { PurchaseResult } from '../types/purchase-payload.ts';

const PurchasePackageInputRef = builder.inputType('PurchasePackageInput', {
  description: 'A package to buy.',
  fields: (t) => ({
    organizationId: t.id({ description: 'For whom. An API key may leave it out.' }),
    packageId: t.id({ required: true, description: 'A package of the catalog.' }),
    idempotencyKey: t.string({ required: true, description: '1 to 255 characters, unique in the organization.' }),
  }),
});

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
