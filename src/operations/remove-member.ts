/**
 * Removes a member, or withdraws an invitation: the next request of who was removed is a stranger's. The last owner stays,
 * also when several owners remove each other at once.
 *
 * Refusals: NotFound (membership), Conflict (LAST_OWNER). Throws Forbidden.
 */
import type { SignedInCaller } from '../domain/identity/caller.ts';
import type { Conflict, NotFound } from '../domain/plain-refusals.ts';
import { markRemoved } from '../persistence/memberships.ts';
import { audit } from './audit.ts';
import { changeMembership } from './change-membership.ts';
import type { Services } from './services.ts';

export function removeMember(
  services: Services,
  caller: SignedInCaller,
  membershipId: string,
): Promise<{ readonly membershipId: string } | NotFound | Conflict> {
  return changeMembership(services, caller, { membershipId, role: null }, async (tx, membership) => {
    await markRemoved(tx, membershipId);
    const { organizationId, role, balanceAccess, status, userId, invitedEmail } = membership;
    await audit(services, tx, caller, {
      organizationId,
      action: 'removeMember',
      before: { membershipId, role, balanceAccess, status, userId, invitedEmail },
      after: { membershipId, status: 'REMOVED' },
    });
  });
}
