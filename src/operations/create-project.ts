/**
 * Creates a project, to which usage can be attributed and keys be bound.
 *
 * Refusals: InvalidInput (a key that is taken included), NotFound, PlanLimitReached (projects). Throws Forbidden.
 */
import type { SignedInCaller } from '../domain/identity/caller.ts';
import { type InvalidInput, invalidInput, type NotFound } from '../domain/plain-refusals.ts';
import { isRefusal, type PlanLimitReached } from '../domain/refusals.ts';
import { insertProject, projectKeyIsTaken } from '../persistence/members.ts';
import { audit } from './audit.ts';
import { tenantFor } from './authorize.ts';
import { checkText, firstProblem } from './input-rules.ts';
import { checkOrganizationLimits } from './plan-limits.ts';
import type { Services } from './services.ts';

export interface CreateProjectInput {
  readonly organizationId?: string | null | undefined;
  readonly key: string;
  readonly name: string;
}

const KEY = /^[a-z0-9](?:[a-z0-9_.-]{0,61}[a-z0-9])?$/;
const MAX_NAME_CHARACTERS = 200;

export async function createProject(
  services: Services,
  caller: SignedInCaller,
  { organizationId: meant, key, name }: CreateProjectInput,
): Promise<{ readonly projectId: string } | InvalidInput | NotFound | PlanLimitReached> {
  const problem = firstProblem(
    KEY.test(key) ? null : invalidInput(['key'], 'must be 1 to 63 of a–z, 0–9 and inner _ . -'),
    checkText(['name'], name, MAX_NAME_CHARACTERS),
  );
  if (problem) return problem;
  const tenant = await tenantFor(services, caller, 'organization:manage', meant);
  if (isRefusal(tenant)) return tenant;
  const { organizationId } = tenant;
  const projectId = services.newId();
  return services.sql.begin(async (tx) => {
    const limit = await checkOrganizationLimits(services, tx, organizationId, ['projects']);
    if (await projectKeyIsTaken(tx, organizationId, key)) {
      return invalidInput(['key'], 'is the key of another project of this organization');
    }
    if (limit) return limit;
    await insertProject(tx, { id: projectId, organizationId, key, name });
    await audit(services, tx, caller, { organizationId, action: 'createProject', after: { projectId, key, name } });
    return { projectId };
  });
}
