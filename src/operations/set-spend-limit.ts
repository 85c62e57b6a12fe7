/**
 * Limits what an organization, or one of its projects, members or keys, may spend an hour, a day or a month; a limit that
 * is there for the same target and window is changed. The next charge meets it: both take the wallet's lock. A new limit
 * counts what its window has charged before, and what holds that were made in it still reserve.
 *
 * Refusals: InvalidInput (an id that the scope asks for and is missing, or does not ask for; negative credits; one more
 * than an organization may have), NotFound (organization, project, user, API key). Throws Forbidden.
 */

import type { JsonObject } from '../domain/canonical.ts';
import { atLeastZero, formatCredits, type Micros, micros, ZERO } from '../domain/credits/micros.ts';
import type { SignedInCaller, Tenant } from '../domain/identity/caller.ts';
import type { LimitWindow } from '../domain/limits/plan-limit.ts';
import type { SpendLimit, SpendLimitScope } from '../domain/limits/spend-limit.ts';
import { type InvalidInput, invalidInput, type NotFound, notFound } from '../domain/plain-refusals.ts';
import { isRefusal } from '../domain/refusals.ts';
import { calendarWindow } from '../domain/time/calendar.ts';
import type { Instant } from '../domain/time/instant.ts';
import type { Queryable, Transaction } from '../persistence/connection.ts';
import { organizationOfKey } from '../persistence/members.ts';
import { membersExist, projectsExist } from '../persistence/organizations.ts';
import {
  changeSpendLimit,
  countSpendLimits,
  findSpendLimit,
  insertSpendCount,
  insertSpendLimit,
  type LimitTarget,
  lockClock,
  readClock,
  reserveForHolds,
  spentBetween,
} from '../persistence/spend-limits.ts';
import { type AuditServices, audit } from './audit.ts';
import { tenantFor } from './authorize.ts';
import { firstProblem } from './input-rules.ts';
import { checkBinding } from './project-binding.ts';
import type { Services } from './services.ts';

export interface SetSpendLimitInput {
  readonly organizationId?: string | null | undefined;
  readonly scope: SpendLimitScope;
  readonly projectId?: string | null | undefined;
  readonly userId?: string | null | undefined;
  readonly apiKeyId?: string | null | undefined;
  readonly window: LimitWindow;
  readonly credits: Micros;
}

/** More than anybody oversees. */
export const MAX_SPEND_LIMITS = 1_000;

type LimitServices = Pick<Services, 'sql'> & AuditServices;

export async function setSpendLimit(
  services: LimitServices,
  caller: SignedInCaller,
  input: SetSpendLimitInput,
): Promise<{ readonly spendLimitId: string } | InvalidInput | NotFound> {
  const problem = checkForm(input);
  if (problem) return problem;
  const tenant = await tenantFor(services, caller, 'billing:write', input.organizationId);
  if (isRefusal(tenant)) return tenant;
  const target = targetOf(input);
  const missing = checkBinding(caller, limitedProject(target)) ?? (await findMissing(services, tenant, target));
  if (missing) return missing;
  const { window, credits } = input;
  const wanted = { ...target, window, credits };
  const { walletId } = tenant;
  // A month of charges is summed up before the lock is taken; under it only what was posted meanwhile is added.
  const known = (await findSpendLimit(services.sql, walletId, wanted)) !== null;
  const before = known ? null : await spentBefore(services.sql, walletId, wanted);
  return services.sql.begin((tx) => set(services, tx, caller, { tenant, wanted, before }));
}

const TARGETS = [
  ['PROJECT', 'projectId'],
  ['USER', 'userId'],
  ['API_KEY', 'apiKeyId'],
] as const;

function checkForm(input: SetSpendLimitInput): InvalidInput | null {
  const { scope, credits } = input;
  const targets = TARGETS.map(([of, field]) => {
    const isGiven = input[field] !== null && input[field] !== undefined;
    if (scope === of) return isGiven ? null : invalidInput([field], `is required for a limit of scope ${scope}`);
    return isGiven ? invalidInput([field], `must be left out for a limit of scope ${scope}`) : null;
  });
  return firstProblem(...targets, credits < ZERO ? invalidInput(['credits'], 'must not be negative') : null);
}

function targetOf(input: SetSpendLimitInput): LimitTarget {
  const { scope } = input;
  const [, field] = TARGETS.find(([of]) => of === scope) ?? [];
  return { scope, targetId: (field && input[field]) ?? null };
}

/** The project that is limited; null where something else is. */
export const limitedProject = ({ scope, targetId }: LimitTarget): string | null =>
  scope === 'PROJECT' ? targetId : null;

async function findMissing(
  { sql }: Pick<Services, 'sql'>,
  { organizationId }: Tenant,
  { scope, targetId: id }: LimitTarget,
): Promise<NotFound | null> {
  if (id === null) return null;
  switch (scope) {
    case 'ORGANIZATION':
      return null;
    case 'PROJECT':
      return (await projectsExist(sql, [{ organizationId, id }]))[0] ? null : notFound('project');
    case 'USER':
      return (await membersExist(sql, [{ organizationId, id }]))[0] ? null : notFound('user');
    case 'API_KEY':
      return (await organizationOfKey(sql, id)) === organizationId ? null : notFound('API key');
    default: {
      const never: never = scope;
      throw new Error(`unknown scope ${never}`);
    }
  }
}

type WantedLimit = Omit<SpendLimit, 'id'>;

/** What a window has charged until an instant before which nothing will be posted any more. */
interface SpentBefore {
  readonly windowStart: Instant;
  readonly until: Instant;
  readonly spent: bigint;
}

async function spentBefore(sql: Queryable, walletId: string, wanted: WantedLimit): Promise<SpentBefore> {
  const { now, timeZone, lastPostedAt: until } = await readClock(sql, walletId);
  const { start: windowStart } = calendarWindow(wanted.window, now, timeZone);
  const spent = await spentBetween(sql, walletId, wanted, { windowStart, since: windowStart, until });
  return { windowStart, until, spent };
}

interface Setting {
  readonly tenant: Tenant;
  readonly wanted: WantedLimit;
  readonly before: SpentBefore | null;
}

async function set(
  services: LimitServices,
  tx: Transaction,
  caller: SignedInCaller,
  { tenant: { organizationId, walletId }, wanted, before }: Setting,
): Promise<{ readonly spendLimitId: string } | InvalidInput> {
  const { now, timeZone } = await lockClock(tx, walletId);
  const present = await findSpendLimit(tx, walletId, wanted);
  const audited = { organizationId, action: 'setSpendLimit' };
  if (present) {
    const limit = { id: present.id, ...wanted };
    if (present.credits === wanted.credits) return { spendLimitId: limit.id };
    await changeSpendLimit(tx, limit.id, limit.credits);
    const was = describeLimit({ ...limit, credits: present.credits });
    await audit(services, tx, caller, { ...audited, before: was, after: describeLimit(limit) });
    return { spendLimitId: limit.id };
  }
  if ((await countSpendLimits(tx, walletId)) >= MAX_SPEND_LIMITS) {
    return invalidInput(['scope'], `an organization has at most ${MAX_SPEND_LIMITS} spend limits`);
  }
  const limit = { id: services.newId(), ...wanted };
  await insertSpendLimit(tx, walletId, limit, now);
  const { start: windowStart } = calendarWindow(limit.window, now, timeZone);
  await countFromStart(tx, walletId, limit, { windowStart, before });
  await audit(services, tx, caller, { ...audited, after: describeLimit(limit) });
  return { spendLimitId: limit.id };
}

interface Counting {
  readonly windowStart: Instant;
  readonly before: SpentBefore | null;
}

/** Begins the counter of a new limit with what counts in its window already. */
async function countFromStart(
  tx: Queryable,
  walletId: string,
  limit: SpendLimit,
  { windowStart, before }: Counting,
): Promise<void> {
  // Another window may have begun while the lock was awaited.
  const sum = before?.windowStart === windowStart ? before : { until: windowStart, spent: 0n };
  const since = sum.until > windowStart ? sum.until : windowStart;
  const spent = sum.spent + (await spentBetween(tx, walletId, limit, { windowStart, since, until: null }));
  const reserved = await reserveForHolds(tx, walletId, limit, { counter: limit.id, windowStart });
  const used = atLeastZero(micros(spent + reserved));
  await insertSpendCount(tx, walletId, { counter: limit.id, windowStart, used });
}

/** As the audit trail shows it. */
export function describeLimit({ id, scope, targetId, window, credits }: SpendLimit): JsonObject {
  const [, field] = TARGETS.find(([of]) => of === scope) ?? [];
  const target = field ? { [field]: targetId } : {};
  return { spendLimitId: id, scope, ...target, window, credits: formatCredits(credits) };
}
