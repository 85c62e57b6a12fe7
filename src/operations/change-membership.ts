/**
 * A membership that is to become another, under the lock of its organization: what decides about it is read there, so that
 * the last owner stays, also when several owners change or remove each other at once.
 *
 * Refusals: NotFound (membership), Conflict (LAST_OWNER). Throws Forbidden.
 */
import type { Role, SignedInCaller } from '../domain/identity/caller.ts';
import { whyOwnerMustStay } from '../domain/members/last-owner.ts';
import { type Conflict, type NotFound, notFound } from '../domain/plain-refusals.ts';
import { isRefusal } from '../domain/refusals.ts';
import type { Transaction } from '../persistence/connection.ts';
import { countOwners, findMembership, type MembershipRecord } from '../persistence/memberships.ts';
import { lockOrganization } from '../persistence/plan-limits.ts';
import { managedMembership } from './authorize-members.ts';
import type { Services } from './services.ts';

export interface MeantMembership {
  readonly membershipId: string;
  /** What they are to be; null removes them. */
  readonly role: Role | null;
}

/** Changes it in the transaction that holds the lock, as it is found there. */
export async function changeMembership(
  services: Services,
  caller: SignedInCaller,
  { membershipId, role }: MeantMembership,
  change: (tx: Transaction, membership: MembershipRecord) => Promise<void>,
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
    await change(tx, membership);
    return { membershipId };
  });
}
