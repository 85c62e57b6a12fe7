/**
 * Who may change the members, settings and webhooks of an organization: owners, master keys and operators. A key that is bound to a
 * project acts for no more than the project, and could else make itself an owner.
 */
import type { SignedInCaller, Tenant } from '../domain/identity/caller.ts';
import { type InvalidInput, type NotFound, notFound } from '../domain/plain-refusals.ts';
import { isRefusal } from '../domain/refusals.ts';
import { findMembership, type MembershipRecord } from '../persistence/memberships.ts';
import { Forbidden, tenantFor } from './authorize.ts';
import type { Services } from './services.ts';

/** Throws Forbidden. */
export async function managedOrganization(
  services: Services,
  caller: SignedInCaller,
  organizationId: string | null | undefined,
): Promise<Tenant | NotFound | InvalidInput> {
  const tenant = await tenantFor(services, caller, 'organization:manage', organizationId);
  if (!isRefusal(tenant) && caller.kind === 'API_KEY' && caller.projectId !== null) throw new Forbidden();
  return tenant;
}

/**
 * What was found by its id, null where nothing was, for those who manage the organization it is of. To others there is no
 * such thing. Throws Forbidden.
 */
export async function managed<Found extends { readonly organizationId: string }>(
  services: Services,
  caller: SignedInCaller,
  found: Found | null,
  what: string,
): Promise<Found | NotFound> {
  if (found === null) return notFound(what);
  const tenant = await managedOrganization(services, caller, found.organizationId);
  return isRefusal(tenant) ? notFound(what) : found;
}

/** The membership of an organization that the caller manages. Throws Forbidden. */
export async function managedMembership(
  services: Services,
  caller: SignedInCaller,
  membershipId: string,
): Promise<MembershipRecord | NotFound> {
  return managed(services, caller, await findMembership(services.sql, membershipId), 'membership');
}
