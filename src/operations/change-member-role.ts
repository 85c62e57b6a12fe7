/**
 * Gives a member, or somebody who is invited, another role. The last owner keeps theirs, also when several owners change
 * each other's at once. Promotion to owner is not refused for the limits of the person promoted.
 *
 * Refusals: NotFound (membership), Conflict (LAST_OWNER). Throws Forbidden.
 */
import type { Role, SignedInCaller } from '../domain/identity/caller.ts';
import type { Conflict, NotFound } from '../domain/plain-refusals.ts';
import { setRole } from '../persistence/memberships.ts';
import { audit } from './audit.ts';
import { changeMembership } from './change-membership.ts';
import type { Services } from './services.ts';

export function changeMemberRole(
  services: Services,
  caller: SignedInCaller,
  { membershipId, role }: { readonly membershipId: string; readonly role: Role },
): Promise<{ readonly membershipId: string } | NotFound | Conflict> {
  return changeMembership(services, caller, { membershipId, role }, async (tx, membership) => {
    if (membership.role === role) return;
    await setRole(tx, membershipId, role);
    await audit(services, tx, caller, {
      organizationId: membership.organizationId,
      action: 'changeMemberRole',
      before: { membershipId, role: membership.role },
      after: { membershipId, role },
    });
  });
}
