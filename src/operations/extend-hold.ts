/**
 * Lets a hold live longer: until so many seconds from now, within what the catalog allows.
 *
 * Refusals: InvalidInput, NotFound (hold), IdempotencyKeyReused, WalletFrozen, HoldNotOpen. Throws Forbidden, and the engine's faults.
 */
import { actorOf, type SignedInCaller } from '../domain/identity/caller.ts';
import { requestHash } from '../domain/posting/request-hash.ts';
import { isRefusal, type Refusal } from '../domain/refusals.ts';
import { tenantOfHold } from './hold-access.ts';
import { checkIdempotencyKey, checkLifetime, firstProblem } from './input-rules.ts';
import { type AnsweredHolding, holdingAnswerOf } from './outcome.ts';
import type { Services } from './services.ts';

export interface ExtendInput {
  readonly holdId: string;
  readonly idempotencyKey: string;
  readonly expiresInSeconds: number;
}

export async function extendHold(
  services: Services,
  caller: SignedInCaller,
  { expiresInSeconds, ...input }: ExtendInput,
): Promise<AnsweredHolding | Refusal> {
  const problem = firstProblem(checkIdempotencyKey(input.idempotencyKey), checkLifetime(expiresInSeconds));
  if (problem) return problem;
  const tenant = await tenantOfHold(services, caller, input.holdId);
  if (isRefusal(tenant)) return tenant;
  const { holdId } = input;
  const outcome = await services.engine.execute({
    kind: 'extend',
    ...tenant,
    actor: actorOf(caller),
    idempotencyKey: input.idempotencyKey,
    requestHash: requestHash('extendHold', tenant.organizationId, { holdId, expiresInSeconds }),
    holdId,
    life: expiresInSeconds * 1_000,
  });
  return holdingAnswerOf(services, tenant, outcome);
}
