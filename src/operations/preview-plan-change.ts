/**
 * What selecting a plan would do: when it takes effect, what it costs, which credits come and go. Nothing is changed.
 *
 * Refusals: InvalidInput (a plan that cannot be selected, not then, or that allows less than there is), NotFound
 * (organization, plan). Throws Forbidden, and the engine's faults.
 */
import type { SignedInCaller } from '../domain/identity/caller.ts';
import { type InvalidInput, invalidInput, type NotFound } from '../domain/plain-refusals.ts';
import type { PlanChangePreview } from '../domain/posting/preview-plan-change.ts';
import { isRefusal } from '../domain/refusals.ts';
import { tenantFor } from './authorize.ts';
import { WalletBusy } from './outcome.ts';
import { checkPlanFits } from './plan-limits.ts';
import type { SelectPlanInput } from './select-plan.ts';
import type { Services } from './services.ts';

export async function previewPlanChange(
  services: Pick<Services, 'sql' | 'engine' | 'catalogs'>,
  caller: SignedInCaller,
  { organizationId, planKey, when = null, prorationAt = null }: Omit<SelectPlanInput, 'idempotencyKey'>,
): Promise<PlanChangePreview | NotFound | InvalidInput> {
  const tenant = await tenantFor(services, caller, 'billing:read', organizationId);
  if (isRefusal(tenant)) return tenant;
  const limited = await checkPlanFits(services, tenant.organizationId, planKey);
  if (limited) {
    const { key, limit, current } = limited;
    return invalidInput(['planId'], `cannot be selected: it allows ${limit} of ${key}, and there are ${current}`);
  }
  const preview = await services.engine.preview(tenant.walletId, { planKey, when, prorationAt });
  if (preview === null) throw new WalletBusy();
  return preview;
}
