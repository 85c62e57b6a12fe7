/**
 * Corrects a bucket by an operator's hand, up or down, with a reason. Down takes from that bucket only.
 *
 * Refusals: InvalidInput, NotFound, IdempotencyKeyReused, WalletFrozen, InsufficientCredits. Throws Forbidden, and the
 * engine's faults.
 */
import { formatCredits, type Micros, negate, ZERO } from '../domain/credits/micros.ts';
import { actorOf, type SignedInCaller } from '../domain/identity/caller.ts';
import { invalidInput } from '../domain/plain-refusals.ts';
import { requestHash } from '../domain/posting/request-hash.ts';
import { isRefusal, type Refusal } from '../domain/refusals.ts';
import { tenantFor } from './authorize.ts';
import { MAX_REASON_CHARACTERS } from './grant-credits.ts';
import { checkCeiling, checkIdempotencyKey, checkText, firstProblem } from './input-rules.ts';
import { type Answered, answerOf } from './outcome.ts';
import type { Services } from './services.ts';

export interface AdjustBalanceInput {
  readonly organizationId: string;
  readonly idempotencyKey: string;
  /** Signed. */
  readonly credits: Micros;
  readonly bucketKey: string;
  readonly reason: string;
}

export async function adjustBalance(
  services: Services,
  caller: SignedInCaller,
  input: AdjustBalanceInput,
): Promise<Answered | Refusal> {
  const { credits, idempotencyKey, bucketKey, reason } = input;
  const problem = firstProblem(
    checkIdempotencyKey(idempotencyKey),
    credits === ZERO ? invalidInput(['credits'], 'must not be 0') : null,
    checkCeiling(['credits'], credits < ZERO ? negate(credits) : credits, services.catalogs.policies),
    checkText(['reason'], reason, MAX_REASON_CHARACTERS),
  );
  if (problem) return problem;
  const tenant = await tenantFor(services, caller, 'operate', input.organizationId);
  if (isRefusal(tenant)) return tenant;
  const outcome = await services.engine.execute({
    kind: 'adjust',
    ...tenant,
    actor: actorOf(caller),
    requestId: services.requestId,
    idempotencyKey,
    requestHash: requestHash('adjustBalance', tenant.organizationId, {
      credits: formatCredits(credits),
      bucketKey,
      reason,
    }),
    credits,
    bucketKey,
    description: reason,
  });
  return answerOf(services, tenant, outcome);
}
