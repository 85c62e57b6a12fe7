/**
 * Gives the money of a purchase back: freezes what it has made, asks the payment provider, and revokes the lots once it has
 * said yes. Each step can be repeated, so that the same call completes what a crash has cut short; the provider's own news of
 * the refund completes it as well.
 *
 * Refusals: InvalidInput, NotFound, IdempotencyKeyReused, WalletFrozen, Conflict (not paid, disputed, held, spent where the
 * catalog refuses that), PaymentFailed (the provider gives nothing back: nothing has changed). Throws Forbidden, the
 * provider's faults and the engine's.
 */
import { actorOf, type SignedInCaller } from '../domain/identity/caller.ts';
import { requestHash } from '../domain/posting/request-hash.ts';
import { isRefusal, type Refusal } from '../domain/refusals.ts';
import { tenantOfPurchase } from '../persistence/payments/purchases.ts';
import { tenantOwning } from './authorize.ts';
import { giveBack } from './give-back.ts';
import { MAX_REASON_CHARACTERS } from './grant-credits.ts';
import { checkIdempotencyKey, checkText, firstProblem } from './input-rules.ts';
import { refusalOf } from './outcome.ts';
import type { Services } from './services.ts';
import type { StartedPurchase } from './start-purchase.ts';

export interface RefundPurchaseInput {
  readonly purchaseId: string;
  readonly idempotencyKey: string;
  readonly reason?: string | null | undefined;
}

export async function refundPurchase(
  services: Services,
  caller: SignedInCaller,
  { purchaseId, idempotencyKey, reason }: RefundPurchaseInput,
): Promise<StartedPurchase | Refusal> {
  const problem = firstProblem(
    checkIdempotencyKey(idempotencyKey),
    checkText(['reason'], reason, MAX_REASON_CHARACTERS),
  );
  if (problem) return problem;
  const owner = await tenantOfPurchase(services.sql, purchaseId);
  const tenant = await tenantOwning(services, caller, 'operate', owner?.organizationId ?? null, 'purchase');
  if (isRefusal(tenant)) return tenant;
  const outcome = await services.engine.execute({
    kind: 'refund-purchase',
    ...tenant,
    actor: actorOf(caller),
    requestId: services.requestId,
    idempotencyKey,
    requestHash: requestHash('refundPurchase', tenant.organizationId, { purchaseId, reason: reason ?? null }),
    purchaseId,
    description: reason ?? null,
  });
  if (outcome.status !== 'refund-begun' && outcome.status !== 'replayed') return refusalOf(outcome);
  const refusal = await giveBack(services, actorOf(caller), tenant, purchaseId);
  return refusal ?? { purchaseId, replayed: outcome.status === 'replayed' };
}
