/**
 * Earmarks credits for a project or member, or gives earmarked ones back: what is earmarked is then as much as is asked for, what
 * was used of it included. 0 gives everything back. The posting engine decides it.
 *
 * Refusals: InvalidInput (not exactly one of project and member, a negative amount, more than one command may move), NotFound
 * (organization, project, member), WalletFrozen, InsufficientCredits (less than that is earmarked for nobody), Conflict (less than
 * is used and held, or credits in too many lots). Throws Forbidden, and the engine's faults.
 */
import { type Micros, ZERO } from '../domain/credits/micros.ts';
import { actorOf, type SignedInCaller, type Tenant } from '../domain/identity/caller.ts';
import { type InvalidInput, invalidInput, type NotFound, notFound } from '../domain/plain-refusals.ts';
import { isRefusal, type Refusal } from '../domain/refusals.ts';
import { isEarmarkedFor } from '../persistence/allocations.ts';
import { membersExist, projectsExist } from '../persistence/organizations.ts';
import { tenantFor } from './authorize.ts';
import { firstProblem } from './input-rules.ts';
import { refusalOf } from './outcome.ts';
import { checkBinding } from './project-binding.ts';
import type { Services } from './services.ts';

export interface SetAllocationInput {
  readonly organizationId?: string | null | undefined;
  readonly projectId?: string | null | undefined;
  readonly userId?: string | null | undefined;
  readonly credits: Micros;
  readonly exclusive?: boolean | null | undefined;
}

export interface AllocationSetAnswer {
  readonly organizationId: string;
  readonly allocationId: string;
}

export async function setAllocation(
  services: Services,
  caller: SignedInCaller,
  input: SetAllocationInput,
): Promise<AllocationSetAnswer | Refusal> {
  const { projectId = null, userId = null, credits, exclusive = null } = input;
  const problem = checkForm(input);
  if (problem) return problem;
  const tenant = await tenantFor(services, caller, 'billing:write', input.organizationId);
  if (isRefusal(tenant)) return tenant;
  const unknown = checkBinding(caller, projectId) ?? (await checkTarget(services, tenant, { projectId, userId }));
  if (unknown) return unknown;
  const outcome = await services.engine.execute({
    kind: 'set-allocation',
    ...tenant,
    actor: actorOf(caller),
    requestId: services.requestId,
    projectId,
    userId,
    credits,
    exclusive,
  });
  if (outcome.status !== 'allocation-set') return refusalOf(outcome);
  return { organizationId: tenant.organizationId, allocationId: outcome.allocationId };
}

function checkForm({ projectId = null, userId = null, credits }: SetAllocationInput): InvalidInput | null {
  return firstProblem(
    projectId === null && userId === null ? invalidInput(['projectId'], 'is required, or userId') : null,
    projectId !== null && userId !== null ? invalidInput(['userId'], 'cannot be given beside projectId') : null,
    credits < ZERO ? invalidInput(['credits'], 'must not be negative') : null,
  );
}

/** Who has left can still be taken back what was earmarked for them. */
async function checkTarget(
  { sql }: Pick<Services, 'sql'>,
  { organizationId, walletId }: Tenant,
  { projectId, userId }: { readonly projectId: string | null; readonly userId: string | null },
): Promise<NotFound | null> {
  if (projectId !== null) {
    const [isProject] = await projectsExist(sql, [{ organizationId, id: projectId }]);
    return isProject ? null : notFound('project');
  }
  if (userId === null) throw new Error('an allocation is for a project or a member');
  const [isMember] = await membersExist(sql, [{ organizationId, id: userId }]);
  return isMember || (await isEarmarkedFor(sql, walletId, userId)) ? null : notFound('user');
}
