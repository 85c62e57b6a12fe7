/**
 * Plan limits (guardrails): how much of something a plan lets a person or an organization have. Whoever
 * has no subscription in force has the limits of the cheapest plan on sale, so that being without a plan never allows more
 * than having one. A plan that does not name a limit sets none.
 */
import { cheapestFirst, type Money } from '../money/money.ts';
import type { SubscriptionStatus } from '../subscriptions/subscription.ts';
import type { Instant } from '../time/instant.ts';

/** Organizations that one person owns, and those that they are a member of without owning them. */
export const PERSONAL_LIMITS = ['organizations_owned', 'organizations_joined'] as const;
/** What one organization has. Seats are members and open invitations together. */
export const ORGANIZATION_LIMITS = ['projects', 'seats', 'pending_invitations'] as const;
export const PLAN_LIMIT_KEYS = [...PERSONAL_LIMITS, ...ORGANIZATION_LIMITS] as const;

export type PlanLimitKey = (typeof PLAN_LIMIT_KEYS)[number];
export type PersonalLimitKey = (typeof PERSONAL_LIMITS)[number];
export type OrganizationLimitKey = (typeof ORGANIZATION_LIMITS)[number];
export type LimitWindow = 'HOUR' | 'DAY' | 'MONTH';

export interface PlanLimit {
  /** A `PlanLimitKey`, or a meter whose frequency is capped. */
  readonly key: string;
  /** The most there may be; in a window, where there is one. */
  readonly max: number;
  /** Null for what is counted as it stands. */
  readonly window: LimitWindow | null;
}

/** What of a plan its limits are asked by. */
export interface LimitedPlan {
  readonly key: string;
  readonly price: Money;
  /** At most one for each key and window. What is not named is not limited. */
  readonly limits: readonly PlanLimit[];
}

/** A limit that a plan sets and that does not allow what was asked for. */
export interface ExceededLimit {
  readonly code: 'PLAN_LIMIT_REACHED';
  /** Which limit: "seats", or the meter of a frequency cap. */
  readonly key: string;
  readonly limit: number;
  readonly current: number;
  /** Null for what is not counted by a window. */
  readonly resetsAt: Instant | null;
  /** The plans on sale that allow more, cheapest first. */
  readonly upgradePlanKeys: readonly string[];
}

/** Of what is no charge, so that there is nothing to explain. */
type UnpricedLimit = ExceededLimit & { readonly explanation: null };

/** A limit on what there is, and how much of it is used. */
export interface PlanLimitUse {
  readonly key: PlanLimitKey;
  readonly max: number;
  readonly current: number;
}

/** Any limit of a plan, and how much of it is used. */
export interface PlanLimitStatus extends PlanLimit {
  readonly current: number;
  /** When the window ends; null for what is counted as it stands. */
  readonly resetsAt: Instant | null;
}

/** What an organization is subscribed to; null where it never was. */
export type PlanSubscribed = { readonly planKey: string; readonly status: SubscriptionStatus } | null;

/** Plans by key, also those that are no longer sold, and the plans on sale. */
export interface PlanCatalog {
  readonly onSale: readonly LimitedPlan[];
  readonly planByKey: (key: string) => LimitedPlan | undefined;
}

/** The plan whose limits apply to an organization; null where no plan is sold at all. */
export function limitingPlan({ onSale, planByKey }: PlanCatalog, subscribed: PlanSubscribed): LimitedPlan | null {
  const own = subscribed === null || subscribed.status === 'CANCELED' ? undefined : planByKey(subscribed.planKey);
  return own ?? cheapestPlan(onSale);
}

function cheapestPlan(onSale: readonly LimitedPlan[]): LimitedPlan | null {
  const sorted = cheapestFirst(onSale);
  return sorted.find(({ price }) => price.amountMinor === 0n) ?? sorted[0] ?? null;
}

/** The most of something that a plan allows; null where it sets no limit. */
export function allowedBy(plan: LimitedPlan | null, key: PlanLimitKey): number | null {
  return plan?.limits.find((limit) => limit.key === key && limit.window === null)?.max ?? null;
}

/**
 * The most that a person may have: by the most generous of the plans of organizations that they own, and by the cheapest
 * plan on sale where they own none.
 */
export function allowedToPerson(
  catalog: PlanCatalog,
  owned: readonly PlanSubscribed[],
  key: PlanLimitKey,
): number | null {
  const plans = owned.length === 0 ? [limitingPlan(catalog, null)] : owned.map((one) => limitingPlan(catalog, one));
  return plans.map((plan) => allowedBy(plan, key)).reduce(moreGenerous);
}

const moreGenerous = (a: number | null, b: number | null): number | null =>
  a === null || b === null ? null : Math.max(a, b);

/** Why one more cannot be had; null where it can. A refusal names the plans on sale that allow it, cheapest first. */
export function checkPlanLimit(
  { onSale }: Pick<PlanCatalog, 'onSale'>,
  { key, max, current }: PlanLimitUse,
): UnpricedLimit | null {
  return current < max ? null : reached(onSale, { key, max, current }, current + 1);
}

/** Why a plan does not allow what there is; null where it does. */
export function checkFit(
  { onSale }: Pick<PlanCatalog, 'onSale'>,
  plan: LimitedPlan,
  { key, current }: Pick<PlanLimitUse, 'key' | 'current'>,
): UnpricedLimit | null {
  const max = allowedBy(plan, key);
  return max === null || current <= max ? null : reached(onSale, { key, max, current }, current);
}

function reached(onSale: readonly LimitedPlan[], { key, max, current }: PlanLimitUse, needed: number): UnpricedLimit {
  const allowing = onSale.filter((plan) => (allowedBy(plan, key) ?? Number.POSITIVE_INFINITY) >= needed);
  const upgradePlanKeys = cheapestFirst(allowing).map((plan) => plan.key);
  return { code: 'PLAN_LIMIT_REACHED', key, limit: max, current, resetsAt: null, upgradePlanKeys, explanation: null };
}
