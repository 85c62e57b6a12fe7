/**
 * Starts the purchase of a package: a PENDING purchase with a checkout at the payment provider. Credits follow payment.
 *
 * Refusals: InvalidInput, NotFound (organization, package), IdempotencyKeyReused, WalletFrozen, PaymentFailed (the provider
 * opens no checkout: a new key tries again). Throws Forbidden, the provider's faults and the engine's.
 */
import type { SignedInCaller } from '../domain/identity/caller.ts';
import { notFound } from '../domain/plain-refusals.ts';
import { isRefusal, type Refusal } from '../domain/refusals.ts';
import { tenantFor } from './authorize.ts';
import { checkIdempotencyKey } from './input-rules.ts';
import type { Services } from './services.ts';
import { type StartedPurchase, startPurchase } from './start-purchase.ts';

export interface PurchasePackageInput {
  readonly organizationId?: string | null | undefined;
  readonly packageKey: string;
  readonly idempotencyKey: string;
}

export async function purchasePackage(
  services: Services,
  caller: SignedInCaller,
  input: PurchasePackageInput,
): Promise<StartedPurchase | Refusal> {
  const problem = checkIdempotencyKey(input.idempotencyKey);
  if (problem) return problem;
  const tenant = await tenantFor(services, caller, 'billing:write', input.organizationId);
  if (isRefusal(tenant)) return tenant;
  // Nothing is sold at the price of a catalog that is no longer in force.
  const onSale = await services.catalogs.refresh(services.sql);
  const { packageKey } = input;
  return startPurchase(services, caller, {
    tenant,
    operation: 'purchasePackage',
    idempotencyKey: input.idempotencyKey,
    input: { packageKey },
    // Asked for a key that is new: what was bought before is answered again though it is no longer sold.
    sell: () => {
      const offer = onSale.packageByKey(packageKey);
      if (!offer) return notFound('package');
      const { key: _key, ...sold } = offer;
      return { kind: 'PACKAGE', packageKey, catalogVersion: onSale.version, ...sold };
    },
  });
}
