/**
 * Changes the settings of an organization, all of what is given or nothing. What is left out stays. A new time zone is
 * accepted now and applies from the end of the longest window that is open.
 *
 * Refusals: InvalidInput, NotFound, Conflict (the time zone changed less than 30 days ago, or is still to change). Throws
 * Forbidden.
 */

import type { JsonObject } from '../domain/canonical.ts';
import type { SignedInCaller } from '../domain/identity/caller.ts';
import { type Conflict, type InvalidInput, type NotFound, notFound } from '../domain/plain-refusals.ts';
import { isRefusal } from '../domain/refusals.ts';
import { decideZoneChange } from '../domain/time/change-zone.ts';
import { formatInstant } from '../domain/time/instant.ts';
import { zoneAt } from '../domain/time/zone.ts';
import type { Queryable } from '../persistence/connection.ts';
import { organizationName, renameOrganization } from '../persistence/organizations.ts';
import { lockOrganization } from '../persistence/plan-limits.ts';
import { appendZoneChange, lockZone } from '../persistence/time-zones.ts';
import { audit } from './audit.ts';
import { managedOrganization } from './authorize-members.ts';
import { checkText, checkTimeZone, firstProblem } from './input-rules.ts';
import type { Services } from './services.ts';

export interface UpdateOrganizationInput {
  readonly organizationId?: string | null | undefined;
  readonly name?: string | null | undefined;
  readonly timeZone?: string | null | undefined;
}

const MAX_NAME_CHARACTERS = 200;

export async function updateOrganization(
  services: Services,
  caller: SignedInCaller,
  { organizationId: meant, name, timeZone }: UpdateOrganizationInput,
): Promise<{ readonly organizationId: string } | InvalidInput | NotFound | Conflict> {
  const problem = firstProblem(checkText(['name'], name, MAX_NAME_CHARACTERS), checkTimeZone(timeZone));
  if (problem) return problem;
  const tenant = await managedOrganization(services, caller, meant);
  if (isRefusal(tenant)) return tenant;
  const { organizationId } = tenant;
  return services.sql.begin(async (tx) => {
    await lockOrganization(tx, organizationId);
    // The time zone first: what refuses it must refuse the name too.
    const zoned = await changeTimeZone(tx, organizationId, timeZone);
    if (isRefusal(zoned)) return zoned;
    const named = await rename(tx, organizationId, name);
    if (isRefusal(named)) return named;
    const changes = [zoned, named].filter((change) => change !== NOTHING);
    if (changes.length > 0) {
      await audit(services, tx, caller, {
        organizationId,
        action: 'updateOrganization',
        before: Object.assign({}, ...changes.map(({ before }) => before)),
        after: Object.assign({}, ...changes.map(({ after }) => after)),
      });
    }
    return { organizationId };
  });
}

/** A setting as the audit trail shows it. */
interface Change {
  readonly before: JsonObject;
  readonly after: JsonObject;
}

const NOTHING: Change = { before: {}, after: {} };

async function rename(
  tx: Queryable,
  organizationId: string,
  name: string | null | undefined,
): Promise<Change | NotFound> {
  const before = await organizationName(tx, organizationId);
  if (before === null) return notFound('organization');
  if (name === null || name === undefined || name === before) return NOTHING;
  await renameOrganization(tx, organizationId, name);
  return { before: { name: before }, after: { name } };
}

async function changeTimeZone(
  tx: Queryable,
  organizationId: string,
  timeZone: string | null | undefined,
): Promise<Change | NotFound | Conflict> {
  if (timeZone === null || timeZone === undefined) return NOTHING;
  const facts = await lockZone(tx, organizationId);
  if (facts === null) return notFound('organization');
  const decision = decideZoneChange(facts, timeZone);
  if (isRefusal(decision)) return decision;
  if (decision.kind === 'unchanged') return NOTHING;
  const { change } = decision;
  await appendZoneChange(tx, organizationId, change, facts.now);
  return {
    before: { timeZone: zoneAt(facts.zone, facts.now) },
    after: { timeZone, timeZoneChangesAt: formatInstant(change.from) },
  };
}
