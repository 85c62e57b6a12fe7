/**
 * Makes the calling person a member of the organization that invited them, with the role and balance access of the
 * invitation. Whoever is signed in and holds the token may accept it, once.
 *
 * Refusals: NotFound (no such token, or the invitation was withdrawn), Conflict (INVITATION_ACCEPTED, INVITATION_EXPIRED,
 * ALREADY_MEMBER), PlanLimitReached (seats of the organization; organizations_joined of the person, or organizations_owned
 * where they are invited as an owner). Throws Forbidden for keys and operators.
 */
import type { SignedInCaller } from '../domain/identity/caller.ts';
import { hashInvitationToken, whyNotAcceptable } from '../domain/members/invitation.ts';
import { type Conflict, type NotFound, notFound } from '../domain/plain-refusals.ts';
import type { PlanLimitReached } from '../domain/refusals.ts';
import { databaseNow } from '../persistence/clock.ts';
import type { Queryable } from '../persistence/connection.ts';
import { acceptMembership, findInvitation, isMember, type MembershipRecord } from '../persistence/memberships.ts';
import { lockOrganization } from '../persistence/plan-limits.ts';
import { audit } from './audit.ts';
import { Forbidden } from './authorize.ts';
import { checkPersonalLimit, checkSeat } from './plan-limits.ts';
import type { Services } from './services.ts';

export async function acceptInvitation(
  services: Services,
  caller: SignedInCaller,
  token: string,
): Promise<{ readonly membershipId: string } | NotFound | Conflict | PlanLimitReached> {
  if (caller.kind !== 'USER') throw new Forbidden();
  const { userId } = caller;
  const tokenHash = hashInvitationToken(token);
  const known = await findInvitation(services.sql, tokenHash);
  if (known === null) return notFound('invitation');
  const { organizationId } = known;
  return services.sql.begin(async (tx) => {
    await lockOrganization(tx, organizationId);
    const invitation = await findInvitation(tx, tokenHash);
    if (invitation === null) return notFound('invitation');
    const refusal = await whyNot(services, tx, invitation, userId);
    if (refusal) return refusal;
    const { id: membershipId, role, balanceAccess } = invitation;
    await acceptMembership(tx, membershipId, userId);
    await audit(services, tx, caller, {
      organizationId,
      action: 'acceptInvitation',
      before: { membershipId, status: 'INVITED' },
      after: { membershipId, status: 'ACTIVE', userId, role, balanceAccess },
    });
    return { membershipId };
  });
}

async function whyNot(
  services: Services,
  tx: Queryable,
  invitation: MembershipRecord,
  userId: string,
): Promise<Conflict | PlanLimitReached | null> {
  const { organizationId, role } = invitation;
  const closed = whyNotAcceptable(invitation, await databaseNow(tx));
  if (closed) return closed;
  if (await isMember(tx, organizationId, userId)) {
    return { code: 'CONFLICT', currentState: 'ALREADY_MEMBER', reason: 'you are a member of this organization' };
  }
  return (
    (await checkSeat(services, tx, organizationId)) ??
    (await checkPersonalLimit(services, tx, userId, role === 'OWNER' ? 'organizations_owned' : 'organizations_joined'))
  );
}
