/**
 * Selects a plan. What costs nothing is done at once: a free plan, the trial of one with a price, a change that follows at the
 * end of the period or gives no more for the money that was paid. Everything else is a PENDING purchase with a checkout at the
 * payment provider, and the plan begins once that is paid. Selecting the present plan takes back a change that was to
 * follow, or pays what is due for it.
 *
 * Refusals: InvalidInput, NotFound (organization, plan), IdempotencyKeyReused, WalletFrozen, PlanLimitReached (the organization
 * has more than the plan allows; it sticks to its key), Conflict (subscribed to this plan already; the subscription ends with its period, or is to
 * be paid), PaymentFailed (the provider opens no checkout: a new key tries again).
 * Throws Forbidden, the provider's faults and the engine's.
 */
import { actorOf, type SignedInCaller, type Tenant } from '../domain/identity/caller.ts';
import { requestHash } from '../domain/posting/request-hash.ts';
import { isRefusal, type Refusal } from '../domain/refusals.ts';
import { formatInstant, type Instant } from '../domain/time/instant.ts';
import { tenantFor } from './authorize.ts';
import { checkIdempotencyKey } from './input-rules.ts';
import { openCheckout } from './open-checkout.ts';
import { refusalOf } from './outcome.ts';
import { checkPlanFits } from './plan-limits.ts';
import type { Services } from './services.ts';

export interface SelectPlanInput {
  readonly organizationId?: string | null | undefined;
  readonly planKey: string;
  readonly idempotencyKey: string;
  readonly when?: 'NOW' | 'PERIOD_END' | null | undefined;
  /** The instant of a preview whose price is asked for. */
  readonly prorationAt?: Instant | null | undefined;
}

export interface SelectedPlan {
  readonly organizationId: string;
  /** What is to be paid first; null where nothing is. */
  readonly purchaseId: string | null;
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
  const selected = await select(services, caller, tenant, input);
  if (isRefusal(selected) || selected.purchaseId === null) return selected;
  return (await openCheckout(services, caller, tenant, selected.purchaseId)) ?? selected;
}

async function select(
  services: Services,
  caller: SignedInCaller,
  tenant: Tenant,
  { idempotencyKey, planKey, when = null, prorationAt = null }: SelectPlanInput,
): Promise<SelectedPlan | Refusal> {
  const { engine, payments, requestId } = services;
  const { organizationId } = tenant;
  const input = {
    planKey,
    ...(when === null ? {} : { when }),
    ...(prorationAt === null ? {} : { prorationAt: formatInstant(prorationAt) }),
  };
  const outcome = await engine.execute({
    kind: 'subscribe',
    ...tenant,
    actor: actorOf(caller),
    requestId,
    idempotencyKey,
    requestHash: requestHash('selectPlan', organizationId, input),
    planKey,
    when,
    prorationAt,
    exceeded: await checkPlanFits(services, organizationId, planKey),
    provider: payments.name,
  });
  switch (outcome.status) {
    case 'subscribed':
      return { organizationId, purchaseId: null, replayed: false };
    case 'plan-purchase-begun':
      return { organizationId, purchaseId: outcome.purchaseId, replayed: false };
    case 'replayed': {
      const purchaseId = 'purchaseId' in outcome.answer ? outcome.answer.purchaseId : null;
      return { organizationId, purchaseId, replayed: true };
    }
    default:
      return refusalOf(outcome);
  }
}
