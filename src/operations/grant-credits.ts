/**
 * Gives an organization credits by an operator's hand: a promotional lot with a reason.
 *
 * Refusals: InvalidInput, NotFound, IdempotencyKeyReused, WalletFrozen. Throws Forbidden, and the engine's faults.
 */
import { formatCredits, type Micros } from '../domain/credits/micros.ts';
import { actorOf, type SignedInCaller } from '../domain/identity/caller.ts';
import { requestHash } from '../domain/posting/request-hash.ts';
import { isRefusal, type Refusal } from '../domain/refusals.ts';
import { formatInstant, type Instant } from '../domain/time/instant.ts';
import { tenantFor } from './authorize.ts';
import { checkCeiling, checkIdempotencyKey, checkPositive, checkText, firstProblem } from './input-rules.ts';
import { type Answered, answerOf } from './outcome.ts';
import type { Services } from './services.ts';

export interface GrantCreditsInput {
  readonly organizationId: string;
  readonly idempotencyKey: string;
  readonly credits: Micros;
  readonly bucketKey: string;
  readonly expiresAt?: Instant | null | undefined;
  readonly reason: string;
}

export const MAX_REASON_CHARACTERS = 500;

export async function grantCredits(
  services: Services,
  caller: SignedInCaller,
  input: GrantCreditsInput,
): Promise<Answered | Refusal> {
  const problem = firstProblem(
    checkIdempotencyKey(input.idempotencyKey),
    checkPositive(['credits'], input.credits),
    checkCeiling(['credits'], input.credits, services.catalogs.policies),
    checkText(['reason'], input.reason, MAX_REASON_CHARACTERS),
  );
  if (problem) return problem;
  const tenant = await tenantFor(services, caller, 'operate', input.organizationId);
  if (isRefusal(tenant)) return tenant;
  const { idempotencyKey, credits, bucketKey, expiresAt = null, reason } = input;
  const outcome = await services.engine.execute({
    kind: 'grant',
    ...tenant,
    actor: actorOf(caller),
    requestId: services.requestId,
    idempotencyKey,
    requestHash: requestHash('grantCredits', tenant.organizationId, {
      credits: formatCredits(credits),
      bucketKey,
      expiresAt: expiresAt === null ? null : formatInstant(expiresAt),
      reason,
    }),
    credits,
    bucketKey,
    expiresAt,
    description: reason,
  });
  return answerOf(services, tenant, outcome);
}
