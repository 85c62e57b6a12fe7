/**
 * Says when top-ups begin by themselves, what they buy and what a month of them may cost; what is left out stays as it was.
 * Enabling also ends a suspension. The posting engine decides it, by the catalog in force.
 *
 * Refusals: InvalidInput (a package and credits, neither at first, no threshold at first, no whole increments, a plan without
 * top-ups, a ceiling below the price of one), NotFound (organization, package). Throws Forbidden, and the engine's faults.
 */
import type { Micros } from '../domain/credits/micros.ts';
import { actorOf, type SignedInCaller } from '../domain/identity/caller.ts';
import { type InvalidInput, invalidInput } from '../domain/plain-refusals.ts';
import type { TopUpChoice } from '../domain/purchases/auto-top-up.ts';
import { isRefusal, type Refusal } from '../domain/refusals.ts';
import { tenantFor } from './authorize.ts';
import { checkCeiling, checkPositive, firstProblem } from './input-rules.ts';
import { refusalOf } from './outcome.ts';
import type { Services } from './services.ts';

export interface ConfigureAutoTopUpInput {
  readonly organizationId?: string | null | undefined;
  readonly enabled: boolean;
  readonly threshold?: Micros | null | undefined;
  readonly packageKey: string | null;
  readonly credits?: Micros | null | undefined;
  readonly monthlyCeilingMinor?: bigint | null | undefined;
}

export interface ConfiguredAutoTopUp {
  readonly organizationId: string;
}

export async function configureAutoTopUp(
  services: Services,
  caller: SignedInCaller,
  input: ConfigureAutoTopUpInput,
): Promise<ConfiguredAutoTopUp | Refusal> {
  const { enabled, packageKey, threshold = null, credits = null, monthlyCeilingMinor = null } = input;
  const problem = checkForm(services, { threshold, packageKey, credits, monthlyCeilingMinor });
  if (problem) return problem;
  const tenant = await tenantFor(services, caller, 'billing:write', input.organizationId);
  if (isRefusal(tenant)) return tenant;
  const outcome = await services.engine.execute({
    kind: 'configure-auto-top-up',
    ...tenant,
    actor: actorOf(caller),
    requestId: services.requestId,
    enabled,
    threshold,
    choice: choiceOf(packageKey, credits),
    monthlyCeilingMinor,
  });
  return outcome.status === 'auto-top-up-configured' ? { organizationId: tenant.organizationId } : refusalOf(outcome);
}

interface Form {
  readonly threshold: Micros | null;
  readonly packageKey: string | null;
  readonly credits: Micros | null;
  readonly monthlyCeilingMinor: bigint | null;
}

function checkForm(
  { catalogs }: Pick<Services, 'catalogs'>,
  { threshold, packageKey, credits, monthlyCeilingMinor }: Form,
): InvalidInput | null {
  return firstProblem(
    threshold === null ? null : checkPositive(['threshold'], threshold),
    packageKey !== null && credits !== null ? invalidInput(['credits'], 'cannot be given beside packageId') : null,
    credits === null ? null : checkPositive(['credits'], credits),
    credits === null ? null : checkCeiling(['credits'], credits, catalogs.policies),
    monthlyCeilingMinor !== null && monthlyCeilingMinor <= 0n
      ? invalidInput(['monthlyCeilingMinor'], 'must be more than 0')
      : null,
  );
}

function choiceOf(packageKey: string | null, credits: Micros | null): TopUpChoice | null {
  if (packageKey !== null) return { packageKey, credits: null };
  return credits === null ? null : { packageKey, credits };
}
