/**
 * Finds the organization that a caller means and checks that they may. An organization that is not the caller's is
 * `NotFound`, the same as one that does not exist; one that is theirs but not for this is `Forbidden`, which is thrown.
 */
import {
  type Caller,
  may,
  type Permission,
  type SignedInCaller,
  type Tenant,
  tenantsOf,
} from '../domain/identity/caller.ts';
import { type InvalidInput, invalidInput, type NotFound, notFound } from '../domain/plain-refusals.ts';
import { isRefusal } from '../domain/refusals.ts';
import { findTenant } from '../persistence/organizations.ts';
import type { Services } from './services.ts';

/** Thrown: the caller is known and belongs to the organization, but may not do this. */
export class Forbidden extends Error {
  constructor() {
    super('the caller may not do this');
  }
}

/** Thrown: the request needs a caller and has none. */
export class Unauthenticated extends Error {
  constructor() {
    super('no credential was given');
  }
}

export function signedIn(caller: Caller): SignedInCaller {
  if (caller.kind === 'ANONYMOUS') throw new Unauthenticated();
  return caller;
}

/** Any one of several permissions suffices. `organizationId` may be left out by an API key, which belongs to one organization. */
export async function tenantFor(
  services: Pick<Services, 'sql'>,
  caller: SignedInCaller,
  permission: Permission | readonly Permission[],
  organizationId: string | null | undefined,
): Promise<Tenant | NotFound | InvalidInput> {
  const tenant = await findMeant(services, caller, organizationId);
  if (isRefusal(tenant)) return tenant;
  const sufficient = typeof permission === 'string' ? [permission] : permission;
  if (!sufficient.some((one) => may(caller, one, tenant.organizationId))) throw new Forbidden();
  return tenant;
}

/**
 * The organization of something that is named by its id; null says that there is no such thing. To those whose organization
 * it is not there is none either. Throws Forbidden.
 */
export async function tenantOwning(
  services: Pick<Services, 'sql'>,
  caller: SignedInCaller,
  permission: Permission,
  organizationId: string | null,
  what: string,
): Promise<Tenant | NotFound> {
  if (organizationId === null) return notFound(what);
  const tenant = await tenantFor(services, caller, permission, organizationId);
  return isRefusal(tenant) ? notFound(what) : tenant;
}

async function findMeant(
  { sql }: Pick<Services, 'sql'>,
  caller: SignedInCaller,
  organizationId: string | null | undefined,
): Promise<Tenant | NotFound | InvalidInput> {
  if (organizationId === null || organizationId === undefined) {
    return caller.kind === 'API_KEY'
      ? { organizationId: caller.organizationId, walletId: caller.walletId }
      : invalidInput(['organizationId'], 'is required unless an API key calls for its own organization');
  }
  if (caller.kind === 'OPERATOR') return (await findTenant(sql, organizationId)) ?? notFound('organization');
  const own = tenantsOf(caller).find((tenant) => tenant.organizationId === organizationId);
  return own ? { organizationId: own.organizationId, walletId: own.walletId } : notFound('organization');
}
