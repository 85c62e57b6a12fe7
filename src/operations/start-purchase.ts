/**
 * Begins a purchase, whatever is bought: the PENDING purchase and its idempotency record in one transaction, then a checkout
 * at the payment provider. Credits follow payment. A checkout that the provider refuses to open makes the purchase FAILED; one
 * that it did not answer about is asked for again under the same key.
 *
 * Refusals: IdempotencyKeyReused, WalletFrozen, PaymentFailed (there is no checkout), and those of what is sold. Throws the
 * provider's faults and the engine's.
 */

import type { JsonObject } from '../domain/canonical.ts';
import { actorOf, type SignedInCaller, type Tenant } from '../domain/identity/caller.ts';
import type { Money } from '../domain/money/money.ts';
import type { NewPurchase } from '../domain/posting/new-purchase.ts';
import { requestHash } from '../domain/posting/request-hash.ts';
import { describeCredits } from '../domain/purchases/describe-credits.ts';
import { isRefusal, type Refusal } from '../domain/refusals.ts';
import { claimKey } from '../persistence/batch/idempotency.ts';
import type { Queryable } from '../persistence/connection.ts';
import { insertPurchases, isWalletFrozen } from '../persistence/payments/purchases.ts';
import { organizationClock } from '../persistence/test-clock.ts';
import { audit } from './audit.ts';
import { openCheckout } from './open-checkout.ts';
import type { Services } from './services.ts';

export interface StartedPurchase {
  readonly purchaseId: string;
  readonly replayed: boolean;
}

/** What is sold, as the purchase keeps it. */
export interface Sale extends Pick<NewPurchase, 'kind' | 'packageKey' | 'catalogVersion' | 'credits' | 'bonusCredits'> {
  /** What the buyer reads at the checkout. */
  readonly name: string;
  readonly price: Money;
  /** The bucket that its lots go to, and their life in days; null for ever. */
  readonly bucketKey: string;
  readonly expiresAfterDays: number | null;
}

export interface PurchaseRequest {
  readonly tenant: Tenant;
  /** The mutation's name. */
  readonly operation: string;
  readonly idempotencyKey: string;
  /** The normalized input, by which the key is known. */
  readonly input: JsonObject;
  /** Decides what is sold, for a key that is new; a refusal leaves the key free. */
  readonly sell: (tx: Queryable) => Promise<Sale | Refusal> | Sale | Refusal;
}

export async function startPurchase(
  services: Services,
  caller: SignedInCaller,
  request: PurchaseRequest,
): Promise<StartedPurchase | Refusal> {
  const started = await insertOnce(services, caller, request);
  if (isRefusal(started)) return started;
  return (await openCheckout(services, caller, request.tenant, started.purchaseId)) ?? started;
}

async function insertOnce(
  services: Services,
  caller: SignedInCaller,
  { tenant, operation, idempotencyKey, input, sell }: PurchaseRequest,
): Promise<StartedPurchase | Refusal> {
  const { organizationId, walletId } = tenant;
  const purchaseId = services.newId();
  const hash = requestHash(operation, organizationId, input);
  return services.sql
    .begin(async (tx): Promise<StartedPurchase | Refusal> => {
      const record = { organizationId, idempotencyKey, operation, requestHash: hash, answer: { purchaseId } };
      const earlier = await claimKey(tx, record);
      if (earlier) {
        return earlier.requestHash === hash && 'purchaseId' in earlier.answer
          ? { purchaseId: earlier.answer.purchaseId, replayed: true }
          : { code: 'IDEMPOTENCY_KEY_REUSED', idempotencyKey };
      }
      if (await isWalletFrozen(tx, walletId)) throw new RefusedInTransaction({ code: 'WALLET_FROZEN' });
      const sale = await sell(tx);
      if (isRefusal(sale)) throw new RefusedInTransaction(sale);
      const { name, price, ...sold } = sale;
      const { now: createdAt } = await organizationClock(tx, organizationId);
      await insertPurchases(tx, [
        {
          id: purchaseId,
          organizationId,
          ...sold,
          price,
          description: `${name}: ${describeCredits(sale.credits, sale.bonusCredits)}`,
          provider: services.payments.name,
          isOffSession: false,
          plan: null,
          actor: actorOf(caller),
          createdAt,
        },
      ]);
      await audit(services, tx, caller, { organizationId, action: operation, after: { purchaseId, ...input } });
      return { purchaseId, replayed: false };
    })
    .catch((error: unknown): Refusal => {
      if (error instanceof RefusedInTransaction) return error.refusal;
      throw error;
    });
}

/** Rolls the transaction back: a refusal must not use the key up. */
class RefusedInTransaction extends Error {
  readonly refusal: Refusal;
  constructor(refusal: Refusal) {
    super('refused');
    this.refusal = refusal;
  }
}
