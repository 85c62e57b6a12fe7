/**
 * Gives an organization the credits of a promo code.
 *
 * Refusals: InvalidInput, NotFound (organization, promo code), IdempotencyKeyReused, WalletFrozen, Conflict (the code has
 * ended or was redeemed as often as it may be). Throws Forbidden, and the engine's faults.
 */
import { actorOf, type SignedInCaller } from '../domain/identity/caller.ts';
import { requestHash } from '../domain/posting/request-hash.ts';
import { normalizeCode } from '../domain/promotions/promo-code.ts';
import { isRefusal, type Refusal } from '../domain/refusals.ts';
import { tenantFor } from './authorize.ts';
import { checkIdempotencyKey, checkText, firstProblem } from './input-rules.ts';
import { type Answered, answerOf } from './outcome.ts';
import type { Services } from './services.ts';

export interface RedeemPromoCodeInput {
  readonly organizationId?: string | null | undefined;
  readonly code: string;
  readonly idempotencyKey: string;
}

const MAX_CODE_CHARACTERS = 100;

export async function redeemPromoCode(
  services: Services,
  caller: SignedInCaller,
  input: RedeemPromoCodeInput,
): Promise<Answered | Refusal> {
  const { idempotencyKey } = input;
  const problem = firstProblem(
    checkIdempotencyKey(idempotencyKey),
    checkText(['code'], input.code, MAX_CODE_CHARACTERS),
  );
  if (problem) return problem;
  const tenant = await tenantFor(services, caller, 'billing:write', input.organizationId);
  if (isRefusal(tenant)) return tenant;
  const code = normalizeCode(input.code);
  const outcome = await services.engine.execute({
    kind: 'redeem',
    ...tenant,
    actor: actorOf(caller),
    requestId: services.requestId,
    idempotencyKey,
    requestHash: requestHash('redeemPromoCode', tenant.organizationId, { code }),
    code,
  });
  return answerOf(services, tenant, outcome);
}
