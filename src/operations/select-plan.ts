/**
 * Selects a free plan. A first one is active at once, with its allowances granted, or on trial where it has one. Another one
 * takes its place now or at the end of the period. Selecting the present plan again takes back a change that was to follow.
 *
 * Refusals: InvalidInput, NotFound (organization, plan), IdempotencyKeyReused, WalletFrozen, Conflict (subscribed to this plan
 * already; the subscription is past due or ends with its period).
 * Throws Forbidden, and the engine's faults.
 */
import { actorOf, type SignedInCaller } from '../domain/identity/caller.ts';
import { requestHash } from '../domain/posting/request-hash.ts';
import { isRefusal, type Refusal } from '../domain/refusals.ts';
import { tenantFor } from './authorize.ts';
import { checkIdempotencyKey } from './input-rules.ts';
import { WalletBusy } from './outcome.ts';
import type { Services } from './services.ts';

export interface SelectPlanInput {
  readonly organizationId?: string | null | undefined;
  readonly planKey: string;
  readonly idempotencyKey: string;
  readonly when?: 'NOW' | 'PERIOD_END' | null | undefined;
}

export interface SelectedPlan {
  readonly organizationId: string;
  readonly subscriptionId: string;
  readonly replayed: boolean;
}

export async function selectPlan(
  services: Services,
  caller: SignedInCaller,
  input: SelectPlanInput,
): Promise<SelectedPlan | Refusal> {
  const problem = checkIdempotencyKey(input.idempotencyKey);
  if (problem) return problem;
  const tenant = await tenantFor(services, caller, 'billing:write', input.organizationId);
  if (isRefusal(tenant)) return tenant;
  const { idempotencyKey, planKey, when = null } = input;
  const { organizationId } = tenant;
  const outcome = await services.engine.execute({
    kind: 'subscribe',
    ...tenant,
    actor: actorOf(caller),
    requestId: services.requestId,
    idempotencyKey,
    requestHash: requestHash('selectPlan', organizationId, when === null ? { planKey } : { planKey, when }),
    planKey,
    when,
  });
  switch (outcome.status) {
    case 'subscribed':
      return { organizationId, subscriptionId: outcome.subscriptionId, replayed: false };
    case 'replayed':
      if (!('subscriptionId' in outcome.answer)) throw new Error('a stored answer names no subscription');
      return { organizationId, subscriptionId: outcome.answer.subscriptionId, replayed: true };
    case 'refused':
      return outcome.refusal;
    case 'busy':
      throw new WalletBusy();
    default:
      throw new Error(`a change of plan was answered with ${outcome.status}`);
  }
}
