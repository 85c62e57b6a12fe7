/**
 * Removes a spend limit: from the next charge on it refuses nothing. What it has counted is forgotten; set again, it counts
 * anew what its window has charged.
 *
 * Refusals: NotFound (a limit that was removed before included). Throws Forbidden.
 */
import type { SignedInCaller } from '../domain/identity/caller.ts';
import { type NotFound, notFound } from '../domain/plain-refusals.ts';
import { isRefusal } from '../domain/refusals.ts';
import { lockClock, retireSpendLimit, spendLimitById } from '../persistence/spend-limits.ts';
import { audit } from './audit.ts';
import { tenantFor } from './authorize.ts';
import { checkBinding } from './project-binding.ts';
import type { Services } from './services.ts';
import { describeLimit, limitedProject } from './set-spend-limit.ts';

export async function removeSpendLimit(
  services: Services,
  caller: SignedInCaller,
  spendLimitId: string,
): Promise<{ readonly spendLimitId: string } | NotFound> {
  const found = await spendLimitById(services.sql, spendLimitId);
  if (found === null) return notFound('spend limit');
  const { organizationId, walletId, limit } = found;
  const tenant = await tenantFor(services, caller, 'billing:write', organizationId);
  if (isRefusal(tenant) || checkBinding(caller, limitedProject(limit))) return notFound('spend limit');
  return services.sql.begin(async (tx) => {
    const { now } = await lockClock(tx, walletId);
    // Read again under the lock: it may have been changed or removed meanwhile.
    const present = await spendLimitById(tx, spendLimitId);
    if (present === null || !(await retireSpendLimit(tx, spendLimitId, now))) return notFound('spend limit');
    const before = describeLimit(present.limit);
    await audit(services, tx, caller, { organizationId, action: 'removeSpendLimit', before });
    return { spendLimitId };
  });
}
