/**
 * Ends a hold without charging what is left of it.
 *
 * Refusals: InvalidInput, NotFound (hold), IdempotencyKeyReused, WalletFrozen, HoldNotOpen. Throws Forbidden, and the engine's faults.
 */
import { actorOf, type SignedInCaller } from '../domain/identity/caller.ts';
import { requestHash } from '../domain/posting/request-hash.ts';
import { isRefusal, type Refusal } from '../domain/refusals.ts';
import { tenantOfHold } from './hold-access.ts';
import { checkIdempotencyKey } from './input-rules.ts';
import { type AnsweredHolding, holdingAnswerOf } from './outcome.ts';
import type { Services } from './services.ts';

export async function releaseHold(
  services: Services,
  caller: SignedInCaller,
  input: { readonly holdId: string; readonly idempotencyKey: string },
): Promise<AnsweredHolding | Refusal> {
  const problem = checkIdempotencyKey(input.idempotencyKey);
  if (problem) return problem;
  const tenant = await tenantOfHold(services, caller, input.holdId);
  if (isRefusal(tenant)) return tenant;
  const { holdId } = input;
  const outcome = await services.engine.execute({
    kind: 'release',
    ...tenant,
    actor: actorOf(caller),
    idempotencyKey: input.idempotencyKey,
    requestHash: requestHash('release', tenant.organizationId, { holdId }),
    holdId,
  });
  return holdingAnswerOf(services, tenant, outcome);
}
