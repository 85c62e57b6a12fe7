/**
 * Revokes an API key, at once and for good. Revoking it again changes nothing.
 *
 * Refusals: NotFound. Throws Forbidden.
 */
import type { SignedInCaller } from '../domain/identity/caller.ts';
import { type InvalidInput, type NotFound, notFound } from '../domain/plain-refusals.ts';
import { isRefusal } from '../domain/refusals.ts';
import { formatInstant } from '../domain/time/instant.ts';
import { organizationOfKey, revokeKey } from '../persistence/members.ts';
import { audit } from './audit.ts';
import { tenantFor } from './authorize.ts';
import type { Services } from './services.ts';

export async function revokeApiKey(
  services: Services,
  caller: SignedInCaller,
  keyId: string,
): Promise<{ readonly keyId: string } | NotFound | InvalidInput> {
  const owner = await organizationOfKey(services.sql, keyId);
  if (owner === null) return notFound('API key');
  const tenant = await tenantFor(services, caller, 'organization:manage', owner);
  if (isRefusal(tenant)) return notFound('API key');
  await services.sql.begin(async (tx) => {
    const revoked = await revokeKey(tx, keyId);
    if (revoked === null) return;
    const { name, revokedAt } = revoked;
    await audit(services, tx, caller, {
      organizationId: owner,
      action: 'revokeApiKey',
      before: { keyId, name, revokedAt: null },
      after: { keyId, name, revokedAt: formatInstant(revokedAt) },
    });
  });
  return { keyId };
}
