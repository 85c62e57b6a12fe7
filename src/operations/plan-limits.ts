/**
 * Plan limits as operations meet them: inside the transaction that adds something, under the lock of whose it is, with the
 * catalog in force. Two that would add the last one therefore follow each other, and the second is refused.
 */
import { frequencyCapsOf, isSameCap } from '../domain/limits/frequency-cap.ts';
import {
  allowedBy,
  allowedToPerson,
  checkFit,
  checkPlanLimit,
  limitingPlan,
  ORGANIZATION_LIMITS,
  type OrganizationLimitKey,
  PERSONAL_LIMITS,
  type PersonalLimitKey,
  type PlanCatalog,
  type PlanLimitStatus,
  type PlanLimitUse,
} from '../domain/limits/plan-limit.ts';
import type { PlanLimitReached } from '../domain/refusals.ts';
import { calendarWindow } from '../domain/time/calendar.ts';
import type { Queryable } from '../persistence/connection.ts';
import {
  lockOrganization,
  lockUser,
  type OperationsOfOrganization,
  type OrganizationUse,
  operationsOfOrganizations,
  type PersonUse,
  useOfPerson,
  usesOfOrganizations,
} from '../persistence/plan-limits.ts';
import type { CatalogSnapshot } from './catalog-store.ts';
import type { Services } from './services.ts';
import { settleWallets } from './settle-wallets.ts';

/** Why one more of each cannot be had; null where it can. Locks the organization. */
export async function checkOrganizationLimits(
  { catalogs }: Pick<Services, 'catalogs'>,
  tx: Queryable,
  organizationId: string,
  keys: readonly OrganizationLimitKey[],
): Promise<PlanLimitReached | null> {
  await lockOrganization(tx, organizationId);
  const catalog = plansOf(await catalogs.refresh(tx));
  return firstReached(catalog, organizationUses(catalog, await useOfOrganization(tx, organizationId), keys));
}

/** Why nobody who is invited can take a seat; null where they can. The invitation has kept one, which a change of plan may have taken. */
export async function checkSeat(
  { catalogs }: Pick<Services, 'catalogs'>,
  tx: Queryable,
  organizationId: string,
): Promise<PlanLimitReached | null> {
  const catalog = plansOf(await catalogs.refresh(tx));
  const use = await useOfOrganization(tx, organizationId);
  const counts = { ...use.counts, seats: use.members };
  return firstReached(catalog, organizationUses(catalog, { ...use, counts }, ['seats']));
}

/** What of an organization is more than another plan allows; null where nothing is, and for the plan that it has. */
export async function checkPlanFits(
  { catalogs, sql }: Pick<Services, 'catalogs' | 'sql'>,
  organizationId: string,
  planKey: string,
): Promise<PlanLimitReached | null> {
  const catalog = plansOf(await catalogs.refresh(sql));
  const plan = catalog.planByKey(planKey);
  const { subscribed, counts } = await useOfOrganization(sql, organizationId);
  if (!plan || limitingPlan(catalog, subscribed) === plan) return null;
  const exceeded = ORGANIZATION_LIMITS.map((key) => checkFit(catalog, plan, { key, current: counts[key] }));
  return exceeded.find((refusal) => refusal !== null) ?? null;
}

/** Why a person cannot have one more; null where they can. Locks them: an organization is locked before its people. */
export async function checkPersonalLimit(
  { catalogs }: Pick<Services, 'catalogs'>,
  tx: Queryable,
  userId: string,
  key: PersonalLimitKey,
): Promise<PlanLimitReached | null> {
  await lockUser(tx, userId);
  const catalog = plansOf(await catalogs.refresh(tx));
  return firstReached(catalog, personalUses(catalog, await useOfPerson(tx, userId), [key]));
}

/**
 * What limits each of the organizations, with how much is used: for a person what limits them first, frequency caps last.
 * What is due on their wallets is posted before: a plan that has ended limits no more, a hold that has lapsed counts no more.
 */
export async function limitsInUse(
  services: Pick<Services, 'catalogs' | 'sql' | 'engine'>,
  organizationIds: readonly string[],
  userId: string | null,
): Promise<PlanLimitStatus[][]> {
  const { catalogs, sql } = services;
  await settleWallets(services, organizationIds);
  const catalog = plansOf(catalogs);
  const [uses, person] = await Promise.all([
    usesOfOrganizations(sql, organizationIds),
    userId === null ? null : useOfPerson(sql, userId),
  ]);
  const personal = person === null ? [] : personalUses(catalog, person, PERSONAL_LIMITS);
  const byId = new Map(uses.map((use) => [use.organizationId, use]));
  const capped = uses.filter(({ subscribed }) => capsOn(catalog, subscribed).length > 0);
  const operations = await operationsOf(
    sql,
    capped.map((use) => use.organizationId),
  );
  return organizationIds.map((id) => {
    const use = byId.get(id);
    if (!use) throw new Error(`the organization ${id} does not exist`);
    const standing = [...personal, ...organizationUses(catalog, use, ORGANIZATION_LIMITS)];
    return [
      ...standing.map((limit) => ({ ...limit, window: null, resetsAt: null })),
      ...capUses(catalog, use, operations.get(id)),
    ];
  });
}

function capsOn(catalog: PlanCatalog, subscribed: OrganizationUse['subscribed']) {
  const plan = limitingPlan(catalog, subscribed);
  return plan === null ? [] : frequencyCapsOf(plan);
}

async function operationsOf(
  sql: Queryable,
  organizationIds: readonly string[],
): Promise<ReadonlyMap<string, OperationsOfOrganization>> {
  if (organizationIds.length === 0) return new Map();
  const found = await operationsOfOrganizations(sql, organizationIds);
  return new Map(found.map((operations) => [operations.organizationId, operations]));
}

/** Counters of windows that are over say nothing of the present ones. */
function capUses(
  catalog: PlanCatalog,
  { subscribed }: OrganizationUse,
  operations: OperationsOfOrganization | undefined,
): PlanLimitStatus[] {
  if (!operations) return [];
  const { now, timeZone, counts } = operations;
  return capsOn(catalog, subscribed).map((cap) => {
    const { start, end: resetsAt } = calendarWindow(cap.window, now, timeZone);
    const count = counts.find((other) => isSameCap(other, cap) && other.windowStart === start);
    return { ...cap, current: count?.operations ?? 0, resetsAt };
  });
}

async function useOfOrganization(tx: Queryable, organizationId: string): Promise<OrganizationUse> {
  const [use] = await usesOfOrganizations(tx, [organizationId]);
  if (!use) throw new Error(`the organization ${organizationId} does not exist`);
  return use;
}

const plansOf = (catalogs: Pick<CatalogSnapshot, 'current' | 'planByKey'>): PlanCatalog => ({
  onSale: catalogs.current.catalog.plans,
  planByKey: (key) => catalogs.planByKey(key),
});

/** What the plan does not limit is left out. */
function organizationUses(
  catalog: PlanCatalog,
  { subscribed, counts }: OrganizationUse,
  keys: readonly OrganizationLimitKey[],
): PlanLimitUse[] {
  const plan = limitingPlan(catalog, subscribed);
  return keys.flatMap((key) => {
    const max = allowedBy(plan, key);
    return max === null ? [] : [{ key, max, current: counts[key] }];
  });
}

function personalUses(
  catalog: PlanCatalog,
  { owned, joined }: PersonUse,
  keys: readonly PersonalLimitKey[],
): PlanLimitUse[] {
  const counts = { organizations_owned: owned.length, organizations_joined: joined };
  return keys.flatMap((key) => {
    const max = allowedToPerson(catalog, owned, key);
    return max === null ? [] : [{ key, max, current: counts[key] }];
  });
}

function firstReached(catalog: PlanCatalog, uses: readonly PlanLimitUse[]): PlanLimitReached | null {
  const refusals = uses.map((use) => checkPlanLimit(catalog, use));
  return refusals.find((refusal) => refusal !== null) ?? null;
}
