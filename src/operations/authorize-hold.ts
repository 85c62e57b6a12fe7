/**
 * Reserves credits for work that is about to be done: checks and holds in one step.
 *
 * Refusals: InvalidInput, NotFound (organization, project, user), IdempotencyKeyReused, WalletFrozen, UnknownMeter,
 * SubscriptionRequired, PlanLimitReached (a frequency cap), SpendLimitReached, AllocationExhausted, InsufficientCredits.
 * Throws Forbidden, and the engine's faults.
 */

import type { JsonValue } from '../domain/canonical.ts';
import { actorOf, type SignedInCaller } from '../domain/identity/caller.ts';
import { requestHash } from '../domain/posting/request-hash.ts';
import { isRefusal, type Refusal } from '../domain/refusals.ts';
import { type AttributionInput, AttributionResolver, checkAttribution } from './attribution.ts';
import { tenantFor } from './authorize.ts';
import { checkIdempotencyKey, checkJsonObject, checkLifetime, firstProblem } from './input-rules.ts';
import { type AnsweredHolding, holdingAnswerOf } from './outcome.ts';
import type { Services } from './services.ts';
import { type ChargeInput, canonicalCharge, chargeOf, objectOrNull } from './usage-input.ts';

export interface AuthorizeInput extends AttributionInput, ChargeInput {
  readonly organizationId?: string | null | undefined;
  readonly idempotencyKey: string;
  readonly expiresInSeconds?: number | null | undefined;
  readonly metadata?: JsonValue | undefined;
}

export async function authorizeHold(
  services: Services,
  caller: SignedInCaller,
  input: AuthorizeInput,
): Promise<AnsweredHolding | Refusal> {
  const charge = chargeOf(input, services.catalogs.policies);
  const problem = firstProblem(
    checkIdempotencyKey(input.idempotencyKey),
    checkLifetime(input.expiresInSeconds),
    checkAttribution(input),
    checkJsonObject(['metadata'], input.metadata),
  );
  if (problem) return problem;
  if (isRefusal(charge)) return charge;
  const tenant = await tenantFor(services, caller, 'usage:write', input.organizationId);
  if (isRefusal(tenant)) return tenant;
  const attribution = await new AttributionResolver(services, caller).resolve(tenant, input);
  if (isRefusal(attribution)) return attribution;
  const expiresInSeconds = input.expiresInSeconds ?? null;
  const metadata = objectOrNull(input.metadata);
  const outcome = await services.engine.execute({
    kind: 'authorize',
    ...tenant,
    actor: actorOf(caller),
    idempotencyKey: input.idempotencyKey,
    requestHash: requestHash('authorize', tenant.organizationId, {
      charge: canonicalCharge(charge),
      expiresInSeconds,
      metadata,
      ...attribution,
    }),
    charge,
    life: expiresInSeconds === null ? null : expiresInSeconds * 1_000,
    attribution,
    metadata,
  });
  return holdingAnswerOf(services, tenant, outcome);
}
