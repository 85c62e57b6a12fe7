/**
 * Opens the checkout of a purchase that waits for one. The provider answers the same checkout for the same purchase, so that
 * this may run again after a crash.
 *
 * Refusals: PaymentFailed (the provider opens no checkout: the purchase is FAILED), WalletFrozen. Throws the provider's faults
 * and the engine's.
 */
import { actorOf, type SignedInCaller, type Tenant } from '../domain/identity/caller.ts';
import type { Refusal } from '../domain/refusals.ts';
import { attachCheckout, findUnopened } from '../persistence/payments/purchases.ts';
import { refusalOf } from './outcome.ts';
import type { Services } from './services.ts';

export async function openCheckout(
  { engine, payments, sql }: Services,
  caller: SignedInCaller,
  tenant: Tenant,
  purchaseId: string,
): Promise<Refusal | null> {
  const purchase = await findUnopened(sql, purchaseId, payments.name);
  if (!purchase) return null;
  const { status, declineCode, ...request } = purchase;
  // The provider has refused it before, under this key.
  if (status === 'FAILED') return { code: 'PAYMENT_FAILED', declineCode };
  const checkout = await payments.createCheckout({ ...request, purchaseId, organizationId: tenant.organizationId });
  if (checkout.status === 'OPEN') {
    await attachCheckout(sql, purchaseId, checkout);
    return null;
  }
  const outcome = await engine.execute({
    kind: 'resolve-purchase',
    ...tenant,
    actor: actorOf(caller),
    purchaseId,
    news: { kind: 'FAILED', declineCode: checkout.code },
  });
  if (outcome.status !== 'purchase-resolved') return refusalOf(outcome);
  return { code: 'PAYMENT_FAILED', declineCode: checkout.code };
}
