/**
 * Takes back what is left of a lot that an operator granted. What was spent stays spent; what holds have pinned is taken when
 * they give it back.
 *
 * Refusals: InvalidInput (a lot that was not granted by hand), NotFound, IdempotencyKeyReused, WalletFrozen,
 * InsufficientCredits (nothing is left, or all of it is held). Throws Forbidden, and the engine's faults.
 */
import { actorOf, type SignedInCaller } from '../domain/identity/caller.ts';
import { requestHash } from '../domain/posting/request-hash.ts';
import { isRefusal, type Refusal } from '../domain/refusals.ts';
import { tenantOfLot } from '../persistence/lots.ts';
import { tenantOwning } from './authorize.ts';
import { MAX_REASON_CHARACTERS } from './grant-credits.ts';
import { checkIdempotencyKey, checkText, firstProblem } from './input-rules.ts';
import { type Answered, answerOf } from './outcome.ts';
import type { Services } from './services.ts';

export interface RevokeGrantInput {
  readonly lotId: string;
  readonly idempotencyKey: string;
  readonly reason: string;
}

export async function revokeGrant(
  services: Services,
  caller: SignedInCaller,
  { lotId, idempotencyKey, reason }: RevokeGrantInput,
): Promise<Answered | Refusal> {
  const problem = firstProblem(
    checkIdempotencyKey(idempotencyKey),
    checkText(['reason'], reason, MAX_REASON_CHARACTERS),
  );
  if (problem) return problem;
  const owner = await tenantOfLot(services.sql, lotId);
  const tenant = await tenantOwning(services, caller, 'operate', owner?.organizationId ?? null, 'lot');
  if (isRefusal(tenant)) return tenant;
  const outcome = await services.engine.execute({
    kind: 'revoke-grant',
    ...tenant,
    actor: actorOf(caller),
    requestId: services.requestId,
    idempotencyKey,
    requestHash: requestHash('revokeGrant', tenant.organizationId, { lotId, reason }),
    lotId,
    description: reason,
  });
  return answerOf(services, tenant, outcome);
}
