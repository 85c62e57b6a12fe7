/**
 * Tells what usage would cost now, whether it is affordable and what would refuse it. The same usage charged at the same
 * moment costs the same, credit for credit.
 *
 * Refusals: InvalidInput, NotFound (organization, project, user), UnknownMeter. Throws Forbidden, and the engine's faults.
 */
import { actorOf, type SignedInCaller } from '../domain/identity/caller.ts';
import type { InvalidInput, NotFound, UnknownMeter } from '../domain/plain-refusals.ts';
import type { Estimate } from '../domain/posting/decide-estimate.ts';
import { isRefusal } from '../domain/refusals.ts';
import { spenderOf } from '../domain/spender.ts';
import { AttributionResolver } from './attribution.ts';
import { tenantFor } from './authorize.ts';
import { WalletBusy } from './outcome.ts';
import type { Services } from './services.ts';
import { checkUsageLines, quantityOf, type UsageInput } from './usage-input.ts';

export interface EstimateInput {
  readonly organizationId?: string | null | undefined;
  readonly usage: readonly UsageInput[];
  readonly userId?: string | null | undefined;
  readonly projectId?: string | null | undefined;
}

export async function estimateUsage(
  services: Services,
  caller: SignedInCaller,
  input: EstimateInput,
): Promise<Estimate | UnknownMeter | NotFound | InvalidInput> {
  const problem = checkUsageLines(input.usage);
  if (problem) return problem;
  const tenant = await tenantFor(services, caller, ['usage:write', 'billing:read'], input.organizationId);
  if (isRefusal(tenant)) return tenant;
  const attribution = await new AttributionResolver(services, caller).resolve(tenant, input);
  if (isRefusal(attribution)) return attribution;
  const spender = spenderOf({ actor: actorOf(caller), attribution });
  const estimate = await services.engine.estimate(tenant.walletId, { usage: input.usage.map(quantityOf), spender });
  if (estimate === null) throw new WalletBusy();
  return estimate;
}
