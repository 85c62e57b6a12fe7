/**
 * Starts the purchase of a package: a PENDING purchase with a checkout at the payment provider. Credits follow payment.
 *
 * Refusals: InvalidInput, NotFound (organization, package), IdempotencyKeyReused, WalletFrozen. Throws Forbidden.
 */
import type { Package } from '../domain/catalog/catalog.ts';
import { formatCredits, type Micros, plus, ZERO } from '../domain/credits/micros.ts';
import { actorOf, type SignedInCaller, type Tenant } from '../domain/identity/caller.ts';
import { requestHash } from '../domain/posting/request-hash.ts';
import { isRefusal, notFound, type Refusal } from '../domain/refusals.ts';
import { claimKey } from '../persistence/idempotency.ts';
import { attachCheckout, findUnopened, insertPurchase, isWalletFrozen } from '../persistence/purchases.ts';
import { audit } from './audit.ts';
import { tenantFor } from './authorize.ts';
import { checkIdempotencyKey } from './input-rules.ts';
import type { Services } from './services.ts';

export interface PurchasePackageInput {
  readonly organizationId?: string | null | undefined;
  readonly packageKey: string;
  readonly idempotencyKey: string;
}

export interface StartedPurchase {
  readonly purchaseId: string;
  readonly replayed: boolean;
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
  const offer = onSale.packageByKey(input.packageKey);
  if (!offer) return notFound('package');
  const { idempotencyKey } = input;
  const started = await insertOnce(services, caller, { tenant, offer, catalogVersion: onSale.version, idempotencyKey });
  if (!isRefusal(started)) await openCheckout(services, started.purchaseId, offer);
  return started;
}

interface NewPackagePurchase {
  readonly tenant: Tenant;
  readonly offer: Package;
  readonly catalogVersion: number;
  readonly idempotencyKey: string;
}

/** The purchase and its idempotency record, in one transaction. */
async function insertOnce(
  services: Services,
  caller: SignedInCaller,
  { tenant, offer, catalogVersion, idempotencyKey }: NewPackagePurchase,
): Promise<StartedPurchase | Refusal> {
  const { organizationId, walletId } = tenant;
  const operation = 'purchasePackage';
  const purchaseId = services.newId();
  const hash = requestHash(operation, organizationId, { packageKey: offer.key });
  return services.sql
    .begin(async (tx): Promise<StartedPurchase | Refusal> => {
      const record = { organizationId, idempotencyKey, operation, requestHash: hash, answer: { purchaseId } };
      const earlier = await claimKey(tx, record);
      if (earlier) {
        return earlier.requestHash === hash && 'purchaseId' in earlier.answer
          ? { purchaseId: earlier.answer.purchaseId, replayed: true }
          : { code: 'IDEMPOTENCY_KEY_REUSED', idempotencyKey };
      }
      if (await isWalletFrozen(tx, walletId)) throw new FrozenInTransaction();
      await insertPurchase(tx, {
        id: purchaseId,
        organizationId,
        packageKey: offer.key,
        catalogVersion,
        credits: offer.credits,
        bonusCredits: offer.bonusCredits,
        bucketKey: offer.bucketKey,
        expiresAfterDays: offer.expiresAfterDays,
        priceMinor: offer.price.amountMinor,
        currency: offer.price.currency,
        provider: services.payments.name,
        actor: actorOf(caller),
      });
      await audit(services, tx, caller, {
        organizationId,
        action: operation,
        after: { purchaseId, package: offer.key },
      });
      return { purchaseId, replayed: false };
    })
    .catch((error: unknown): Refusal => {
      if (error instanceof FrozenInTransaction) return { code: 'WALLET_FROZEN' };
      throw error;
    });
}

/** Rolls the transaction back: a frozen wallet's refusal must not use the key up. */
class FrozenInTransaction extends Error {}

/** The provider answers the same checkout for the same purchase, so that this may run again after a crash. */
async function openCheckout({ payments, sql }: Services, purchaseId: string, offer: Package): Promise<void> {
  const purchase = await findUnopened(sql, purchaseId);
  if (!purchase) return;
  const { credits, bonusCredits, amountMinor, currency } = purchase;
  const description = `${offer.name}: ${describeCredits(credits, bonusCredits)}`;
  const checkout = await payments.createCheckout({ purchaseId, description, amountMinor, currency });
  await attachCheckout(sql, purchaseId, checkout);
}

/** "5500 credits, 500 of them bonus" */
function describeCredits(credits: Micros, bonusCredits: Micros): string {
  const total = `${formatCredits(plus(credits, bonusCredits))} credits`;
  return bonusCredits > ZERO ? `${total}, ${formatCredits(bonusCredits)} of them bonus` : total;
}
