/**
 * Cancels a subscription, at the end of its period or now, and resumes one before its period has ended. Once canceled nothing
 * can be spent and nothing is granted; what the plan has granted expires as it would have.
 *
 * Refusals: InvalidInput, NotFound (organization), Conflict (no subscription, or its state forbids it; a frozen wallet).
 * Throws Forbidden, and the engine's faults.
 */
import { actorOf, type SignedInCaller } from '../domain/identity/caller.ts';
import type { CancelSubscriptionCommand, ResumeSubscriptionCommand } from '../domain/posting/commands.ts';
import { isRefusal, type Refusal } from '../domain/refusals.ts';
import { tenantFor } from './authorize.ts';
import { WalletBusy } from './outcome.ts';
import type { Services } from './services.ts';

export interface ChangedSubscription {
  readonly subscriptionId: string;
}

export interface CancelSubscriptionInput {
  readonly organizationId?: string | null | undefined;
  /** True without it. */
  readonly atPeriodEnd?: boolean | null | undefined;
}

export interface ResumeSubscriptionInput {
  readonly organizationId?: string | null | undefined;
}

export const cancelSubscription = (
  services: Services,
  caller: SignedInCaller,
  { organizationId, atPeriodEnd }: CancelSubscriptionInput,
): Promise<ChangedSubscription | Refusal> =>
  changeSubscription(services, caller, organizationId, {
    kind: 'cancel-subscription',
    atPeriodEnd: atPeriodEnd ?? true,
  });

export const resumeSubscription = (
  services: Services,
  caller: SignedInCaller,
  { organizationId }: ResumeSubscriptionInput,
): Promise<ChangedSubscription | Refusal> =>
  changeSubscription(services, caller, organizationId, { kind: 'resume-subscription' });

type Change = Pick<CancelSubscriptionCommand, 'kind' | 'atPeriodEnd'> | Pick<ResumeSubscriptionCommand, 'kind'>;

async function changeSubscription(
  services: Services,
  caller: SignedInCaller,
  organizationId: string | null | undefined,
  change: Change,
): Promise<ChangedSubscription | Refusal> {
  const tenant = await tenantFor(services, caller, 'billing:write', organizationId);
  if (isRefusal(tenant)) return tenant;
  const { requestId } = services;
  const outcome = await services.engine.execute({ ...tenant, actor: actorOf(caller), requestId, ...change });
  switch (outcome.status) {
    case 'subscription-changed':
      return { subscriptionId: outcome.subscriptionId };
    case 'refused':
      return outcome.refusal;
    case 'busy':
      throw new WalletBusy();
    default:
      throw new Error(`a change of a subscription was answered with ${outcome.status}`);
  }
}
