/**
 * Gives a member, or somebody who is invited, another role. The last owner keeps theirs, also when several owners change
 * each other's at once. Promotion to owner is not refused for the limits of the person promoted.
 *
 * Refusals: NotFound (membership), Conflict (LAST_OWNER). Throws Forbidden.
 */
import type { Role, SignedInCaller } from '../domain/identity/caller.ts';
import { whyOwnerMustStay } from '../domain/members/last-owner.ts';
import { type Conflict, type NotFound, notFound } from '../domain/plain-refusals.ts';
import { isRefusal } from '../domain/refusals.ts';
import { countOwners, findMembership, setRole } from '../persistence/memberships.ts';
import { lockOrganization } from '../persistence/plan-limits.ts';
import { audit } from './audit.ts';
import { managedMembership } from './authorize-members.ts';
import type { Services } from './services.ts';

export async function changeMemberRole(
  services: Services,
  caller: SignedInCaller,
  { membershipId, role }: { readonly membershipId: string; readonly role: Role },
): Promise<{ readonly membershipId: string } | NotFound | Conflict> {
  const meant = await managedMembership(services, caller, membershipId);
  if (isRefusal(meant)) return meant;
  const { organizationId } = meant;
  return services.sql.begin(async (tx) => {
    await lockOrganization(tx, organizationId);
    const membership = await findMembership(tx, membershipId);
    if (membership === null) return notFound('membership');
    const refusal = whyOwnerMustStay(membership, role, await countOwners(tx, organizationId));
    if (refusal) return refusal;
    if (membership.role === role) return { membershipId };
    await setRole(tx, membershipId, role);
    await audit(services, tx, caller, {
      organizationId,
      action: 'changeMemberRole',
      before: { membershipId, role: membership.role },
      after: { membershipId, role },
    });
    return { membershipId };
  });
}
