/**
 * Sets an alert on what can be spent: at an amount, or at a percentage of the period's allowances. It is asked at once. The
 * same again answers the one that is there; a default of the plan becomes the organization's own.
 *
 * Refusals: InvalidInput (neither or both of threshold and percent, out of range, 20 alerts already), NotFound
 * (organization). Throws Forbidden, and the engine's faults.
 */
import { type AlertCriterion, MAX_PERCENT } from '../domain/alerts/alert.ts';
import type { Micros } from '../domain/credits/micros.ts';
import { actorOf, type SignedInCaller } from '../domain/identity/caller.ts';
import { type InvalidInput, invalidInput } from '../domain/plain-refusals.ts';
import { isRefusal, type Refusal } from '../domain/refusals.ts';
import { tenantFor } from './authorize.ts';
import { checkPositive } from './input-rules.ts';
import { refusalOf } from './outcome.ts';
import type { Services } from './services.ts';

export interface SetAlertInput {
  readonly organizationId?: string | null | undefined;
  readonly threshold?: Micros | null | undefined;
  readonly percent?: number | null | undefined;
}

export interface DecidedAlert {
  readonly alertId: string;
}

export async function setAlert(
  services: Services,
  caller: SignedInCaller,
  input: SetAlertInput,
): Promise<DecidedAlert | Refusal> {
  const criterion = readCriterion(input);
  if (isRefusal(criterion)) return criterion;
  const tenant = await tenantFor(services, caller, 'billing:write', input.organizationId);
  if (isRefusal(tenant)) return tenant;
  const outcome = await services.engine.execute({
    kind: 'set-alert',
    ...tenant,
    actor: actorOf(caller),
    requestId: services.requestId,
    criterion,
  });
  return outcome.status === 'alert-decided' ? { alertId: outcome.alertId } : refusalOf(outcome);
}

function readCriterion({ threshold = null, percent = null }: SetAlertInput): AlertCriterion | InvalidInput {
  if (threshold !== null) {
    if (percent !== null) return invalidInput(['percent'], 'cannot be given beside threshold');
    return checkPositive(['threshold'], threshold) ?? { threshold, percent };
  }
  if (percent === null) return invalidInput(['threshold'], 'is required, or percent');
  if (percent >= 1 && percent <= MAX_PERCENT) return { threshold, percent };
  return invalidInput(['percent'], `must be 1 to ${MAX_PERCENT}`);
}
