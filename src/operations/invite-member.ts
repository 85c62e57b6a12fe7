/**
 * Invites somebody to an organization by their e-mail address. The token that accepts the invitation is answered this once,
 * for the caller to send; only its hash is kept. It expires after 7 days; an invitation that has expired may be made anew.
 *
 * Refusals: InvalidInput, NotFound (organization), Conflict (ALREADY_MEMBER, ALREADY_INVITED), PlanLimitReached (seats,
 * pending_invitations). Throws Forbidden.
 */
import { randomBytes } from 'node:crypto';
import type { BalanceAccess, Role, SignedInCaller } from '../domain/identity/caller.ts';
import {
  hashInvitationToken,
  INVITATION_LIFE_SECONDS,
  INVITATION_TOKEN_BYTES,
  invitationTokenFrom,
  normalizeEmail,
} from '../domain/members/invitation.ts';
import { type Conflict, type InvalidInput, invalidInput, type NotFound } from '../domain/plain-refusals.ts';
import { isRefusal, type PlanLimitReached } from '../domain/refusals.ts';
import { insertInvitation, standingOfEmail } from '../persistence/memberships.ts';
import { audit } from './audit.ts';
import { managedOrganization } from './authorize-members.ts';
import { checkOrganizationLimits } from './plan-limits.ts';
import type { Services } from './services.ts';

export interface InviteMemberInput {
  readonly organizationId?: string | null | undefined;
  readonly email: string;
  readonly role: Role;
  readonly balanceAccess?: BalanceAccess | null | undefined;
}

export interface InvitedMember {
  readonly membershipId: string;
  readonly invitationToken: string;
}

const CONFLICTS: Readonly<Record<'ACTIVE' | 'INVITED', Conflict>> = {
  ACTIVE: { code: 'CONFLICT', currentState: 'ALREADY_MEMBER', reason: 'a member has this address' },
  INVITED: { code: 'CONFLICT', currentState: 'ALREADY_INVITED', reason: 'an invitation to this address is open' },
};

export async function inviteMember(
  services: Services,
  caller: SignedInCaller,
  { organizationId: meant, email: given, role, balanceAccess: access }: InviteMemberInput,
): Promise<InvitedMember | InvalidInput | NotFound | Conflict | PlanLimitReached> {
  const email = normalizeEmail(given);
  if (email === null) return invalidInput(['email'], 'must be an e-mail address of at most 254 characters');
  const balanceAccess = access ?? 'FULL';
  if (role === 'OWNER' && balanceAccess !== 'FULL') return invalidInput(['balanceAccess'], 'must be FULL for an owner');
  const tenant = await managedOrganization(services, caller, meant);
  if (isRefusal(tenant)) return tenant;
  const { organizationId } = tenant;
  const membershipId = services.newId();
  const invitationToken = invitationTokenFrom(randomBytes(INVITATION_TOKEN_BYTES));
  return services.sql.begin(async (tx) => {
    const limit = await checkOrganizationLimits(services, tx, organizationId, ['seats', 'pending_invitations']);
    const standing = await standingOfEmail(tx, organizationId, email);
    if (standing !== null) return CONFLICTS[standing];
    if (limit) return limit;
    const invitation = { id: membershipId, organizationId, email, role, balanceAccess };
    const tokenHash = hashInvitationToken(invitationToken);
    await insertInvitation(tx, { ...invitation, tokenHash, lifeSeconds: INVITATION_LIFE_SECONDS });
    await audit(services, tx, caller, {
      organizationId,
      action: 'inviteMember',
      after: { membershipId, email, role, balanceAccess },
    });
    return { membershipId, invitationToken };
  });
}
