/**
 * Revokes an API key, at once and for good. Revoking it again changes nothing.
 *
 * Refusals: NotFound. Throws Forbidden.
 */
import type { SignedInCaller } from '../domain/identity/caller.ts';
import type { NotFound } from '../domain/plain-refusals.ts';
import { isRefusal } from '../domain/refusals.ts';
import { formatInstant } from '../domain/time/instant.ts';
import { organizationOfKey, revokeKey } from '../persistence/members.ts';
import { audit } from './audit.ts';
import { tenantOwning } from './authorize.ts';
import type { Services } from './services.ts';

export async function revokeApiKey(
  services: Services,
  caller: SignedInCaller,
  keyId: string,
): Promise<{ readonly keyId: string } | NotFound> {
  const owner = await organizationOfKey(services.sql, keyId);
  const tenant = await tenantOwning(services, caller, 'organization:manage', owner, 'API key');
  if (isRefusal(tenant)) return tenant;
  await services.sql.begin(async (tx) => {
    const revoked = await revokeKey(tx, keyId);
    if (revoked === null) return;
    const { name, revokedAt } = revoked;
    await audit(services, tx, caller, {
      organizationId: tenant.organizationId,
      action: 'revokeApiKey',
      before: { keyId, name, revokedAt: null },
      after: { keyId, name, revokedAt: formatInstant(revokedAt) },
    });
  });
  return { keyId };
}
