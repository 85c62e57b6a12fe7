/**
 * Creates an organization with its wallet. A user who creates one owns it; an operator's has no member yet and may have a
 * test clock.
 *
 * Refusals: InvalidInput, PlanLimitReached (organizations_owned, of a user), Conflict (the slug is taken). Throws
 * Forbidden for a test clock asked for by others.
 */
import type { SignedInCaller } from '../domain/identity/caller.ts';
import { type Conflict, type InvalidInput, invalidInput } from '../domain/plain-refusals.ts';
import type { PlanLimitReached } from '../domain/refusals.ts';
import { insertMembership } from '../persistence/members.ts';
import { insertOrganization } from '../persistence/organizations.ts';
import { audit } from './audit.ts';
import { Forbidden } from './authorize.ts';
import { checkText, checkTimeZone, firstProblem } from './input-rules.ts';
import { checkPersonalLimit } from './plan-limits.ts';
import type { Services } from './services.ts';

export interface CreateOrganizationInput {
  readonly slug: string;
  readonly name: string;
  readonly timeZone?: string | null | undefined;
  readonly testClock?: boolean | null | undefined;
}

const SLUG = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const MAX_NAME_CHARACTERS = 200;

export async function createOrganization(
  services: Services,
  caller: SignedInCaller,
  { slug, name, timeZone, testClock }: CreateOrganizationInput,
): Promise<{ readonly organizationId: string } | InvalidInput | PlanLimitReached | Conflict> {
  const zone = timeZone ?? 'UTC';
  const problem = firstProblem(
    SLUG.test(slug) ? null : invalidInput(['slug'], 'must be 1 to 63 of a–z, 0–9 and inner hyphens'),
    checkText(['name'], name, MAX_NAME_CHARACTERS),
    checkTimeZone(zone),
  );
  if (problem) return problem;
  if (caller.kind === 'API_KEY' || (testClock === true && caller.kind !== 'OPERATOR')) throw new Forbidden();
  const organizationId = services.newId();
  const organization = {
    id: organizationId,
    walletId: services.newId(),
    slug,
    name,
    timeZone: zone,
    testClock: testClock === true,
  };
  return services.sql.begin(async (tx) => {
    const { current } = await services.catalogs.hold(tx);
    const limit =
      caller.kind === 'USER' ? await checkPersonalLimit(services, tx, caller.userId, 'organizations_owned') : null;
    if (limit) return limit;
    const inserted = await insertOrganization(tx, organization, current.catalog.buckets);
    if (!inserted) return { code: 'CONFLICT', currentState: 'SLUG_TAKEN', reason: `the slug ${slug} is taken` };
    if (caller.kind === 'USER') {
      await insertMembership(tx, { id: services.newId(), organizationId, userId: caller.userId, role: 'OWNER' });
    }
    await audit(services, tx, caller, {
      organizationId,
      action: 'createOrganization',
      after: { slug, name, timeZone: zone },
    });
    return { organizationId };
  });
}
