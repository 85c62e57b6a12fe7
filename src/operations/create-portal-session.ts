/**
 * Opens the payment provider's portal for an organization: its own page, where the payments of the organization stand together.
 * Audited, for whoever has the address may open it for a while.
 *
 * Refusals: InvalidInput, NotFound. Throws Forbidden and the provider's faults.
 */
import type { SignedInCaller } from '../domain/identity/caller.ts';
import type { InvalidInput, NotFound } from '../domain/plain-refusals.ts';
import { isRefusal } from '../domain/refusals.ts';
import type { PortalSession } from '../payments/provider.ts';
import { audit } from './audit.ts';
import { tenantFor } from './authorize.ts';
import type { Services } from './services.ts';

export type { PortalSession };

export async function createPortalSession(
  services: Services,
  caller: SignedInCaller,
  meant: string | null | undefined,
): Promise<PortalSession | NotFound | InvalidInput> {
  const tenant = await tenantFor(services, caller, 'billing:write', meant);
  if (isRefusal(tenant)) return tenant;
  const { organizationId } = tenant;
  // First, so that no portal is open of which nothing is on record.
  await services.sql.begin((tx) => audit(services, tx, caller, { organizationId, action: 'createPortalSession' }));
  return services.payments.openPortal(organizationId);
}
