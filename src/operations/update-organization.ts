/**
 * Changes the settings of an organization. What is left out stays.
 *
 * Refusals: InvalidInput, NotFound. Throws Forbidden.
 */
import type { SignedInCaller } from '../domain/identity/caller.ts';
import { type InvalidInput, isRefusal, type NotFound, notFound } from '../domain/refusals.ts';
import { organizationName, renameOrganization } from '../persistence/organizations.ts';
import { lockOrganization } from '../persistence/plan-limits.ts';
import { audit } from './audit.ts';
import { managedOrganization } from './authorize-members.ts';
import { checkText } from './input-rules.ts';
import type { Services } from './services.ts';

export interface UpdateOrganizationInput {
  readonly organizationId?: string | null | undefined;
  readonly name?: string | null | undefined;
}

const MAX_NAME_CHARACTERS = 200;

export async function updateOrganization(
  services: Services,
  caller: SignedInCaller,
  { organizationId: meant, name }: UpdateOrganizationInput,
): Promise<{ readonly organizationId: string } | InvalidInput | NotFound> {
  const problem = checkText(['name'], name, MAX_NAME_CHARACTERS);
  if (problem) return problem;
  const tenant = await managedOrganization(services, caller, meant);
  if (isRefusal(tenant)) return tenant;
  const { organizationId } = tenant;
  return services.sql.begin(async (tx) => {
    await lockOrganization(tx, organizationId);
    const before = await organizationName(tx, organizationId);
    if (before === null) return notFound('organization');
    if (name === null || name === undefined || name === before) return { organizationId };
    await renameOrganization(tx, organizationId, name);
    await audit(services, tx, caller, {
      organizationId,
      action: 'updateOrganization',
      before: { name: before },
      after: { name },
    });
    return { organizationId };
  });
}
