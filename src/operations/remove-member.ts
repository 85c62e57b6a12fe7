/**
 * Removes a member, or withdraws an invitation: the next request of who was removed is a stranger's. The last owner stays,
 * also when several owners remove each other at once.
 *
 * Refusals: NotFound (membership), Conflict (LAST_OWNER). Throws Forbidden.
 */
import type { SignedInCaller } from '../domain/identity/caller.ts';
import { whyOwnerMustStay } from '../domain/members/last-owner.ts';
import { type Conflict, type NotFound, notFound } from '../domain/plain-refusals.ts';
import { isRefusal } from '../domain/refusals.ts';
import { countOwners, findMembership, markRemoved } from '../persistence/memberships.ts';
import { lockOrganization } from '../persistence/plan-limits.ts';
import { audit } from './audit.ts';
import { managedMembership } from './authorize-members.ts';
import type { Services } from './services.ts';

export async function removeMember(
  services: Services,
  caller: SignedInCaller,
  membershipId: string,
): Promise<{ readonly membershipId: string } | NotFound | Conflict> {
  const meant = await managedMembership(services, caller, membershipId);
  if (isRefusal(meant)) return meant;
  const { organizationId } = meant;
  return services.sql.begin(async (tx) => {
    await lockOrganization(tx, organizationId);
    const membership = await findMembership(tx, membershipId);
    if (membership === null) return notFound('membership');
    const refusal = whyOwnerMustStay(membership, null, await countOwners(tx, organizationId));
    if (refusal) return refusal;
    await markRemoved(tx, membershipId);
    const { role, balanceAccess, status, userId, invitedEmail } = membership;
    await audit(services, tx, caller, {
      organizationId,
      action: 'removeMember',
      before: { membershipId, role, balanceAccess, status, userId, invitedEmail },
      after: { membershipId, status: 'REMOVED' },
    });
    return { membershipId };
  });
}
