/**
 * Removes an alert. A default of the plan then stays away as long as the organization has that plan.
 *
 * Refusals: NotFound. Throws Forbidden, and the engine's faults.
 */
import { actorOf, type SignedInCaller } from '../domain/identity/caller.ts';
import { isRefusal, type Refusal } from '../domain/refusals.ts';
import { tenantOfAlert } from '../persistence/alerts.ts';
import { tenantOwning } from './authorize.ts';
import { refusalOf } from './outcome.ts';
import type { Services } from './services.ts';
import type { DecidedAlert } from './set-alert.ts';

export async function removeAlert(
  services: Services,
  caller: SignedInCaller,
  { alertId }: { readonly alertId: string },
): Promise<DecidedAlert | Refusal> {
  const owner = await tenantOfAlert(services.sql, alertId);
  const tenant = await tenantOwning(services, caller, 'billing:write', owner?.organizationId ?? null, 'alert');
  if (isRefusal(tenant)) return tenant;
  const outcome = await services.engine.execute({
    kind: 'remove-alert',
    ...tenant,
    actor: actorOf(caller),
    requestId: services.requestId,
    alertId,
  });
  return outcome.status === 'alert-decided' ? { alertId } : refusalOf(outcome);
}
