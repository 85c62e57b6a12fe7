import { describe, expect, it } from 'vitest';
import type { Plan } from '../../../src/domain/catalog/catalog.ts';
import { ZERO } from '../../../src/domain/credits/micros.ts';
import {
  allowedBy,
  allowedToPerson,
  checkPlanLimit,
  limitingPlan,
  type PlanCatalog,
  type PlanLimitKey,
} from '../../../src/domain/limits/plan-limit.ts';

function aPlan(
  key: string,
  amountMinor: number,
  limits: Partial<Record<PlanLimitKey, number>> = {},
  currency = 'USD',
): Plan {
  return {
    key,
    name: key,
    description: null,
    price: { amountMinor: BigInt(amountMinor), currency },
    interval: 'MONTH',
    trialDays: 0,
    allowances: [],
    dailyCreditCap: null,
    topUp: null,
    overdraft: ZERO,
    limits: Object.entries(limits).map(([limited, max]) => ({ key: limited, max, window: null })),
    features: [],
    alerts: [],
  };
}

const FREE = aPlan('free', 0, { organizations_owned: 1, seats: 3 });
const TEAM = aPlan('team', 2_900, { organizations_owned: 5, seats: 10 });
const SCALE = aPlan('scale', 19_900);
const RETIRED = aPlan('retired', 500, { organizations_owned: 7, seats: 4 });

const catalogOf = (...onSale: readonly Plan[]): PlanCatalog => ({
  onSale,
  planByKey: (key) => [...onSale, RETIRED].find((plan) => plan.key === key),
});
const CATALOG = catalogOf(SCALE, TEAM, FREE);
const subscribed = (planKey: string, status: 'TRIALING' | 'ACTIVE' | 'PAST_DUE' | 'CANCELED' = 'ACTIVE') => ({
  planKey,
  status,
});

describe('the plan that limits an organization', () => {
  it.each(['TRIALING', 'ACTIVE', 'PAST_DUE'] as const)('is its own while that is %s', (status) => {
    expect(limitingPlan(CATALOG, subscribed('team', status))).toBe(TEAM);
  });

  it('is its own where that is no longer sold', () => {
    expect(limitingPlan(CATALOG, subscribed('retired'))).toBe(RETIRED);
  });

  it('is the cheapest on sale without a subscription or with a canceled one', () => {
    expect(limitingPlan(CATALOG, null)).toBe(FREE);
    expect(limitingPlan(CATALOG, subscribed('scale', 'CANCELED'))).toBe(FREE);
    expect(limitingPlan(catalogOf(SCALE, TEAM), null)).toBe(TEAM);
  });

  it('is a free one before one that costs something in whatever currency', () => {
    expect(limitingPlan(catalogOf(aPlan('euro', 100, {}, 'EUR'), FREE), null)).toBe(FREE);
  });

  it('is none where no plan is sold', () => {
    expect(limitingPlan(catalogOf(), null)).toBeNull();
    expect(allowedBy(null, 'seats')).toBeNull();
  });
});

describe('a plan', () => {
  it('does not limit what it does not name', () => {
    expect(allowedBy(FREE, 'seats')).toBe(3);
    expect(allowedBy(FREE, 'projects')).toBeNull();
  });

  it('does not limit how much there is by how much may be done in a window', () => {
    const limits = [{ key: 'seats', max: 1, window: 'DAY' }] as const;
    expect(allowedBy({ ...FREE, limits }, 'seats')).toBeNull();
  });
});

describe('a person', () => {
  const allowed = (...owned: Parameters<typeof allowedToPerson>[1]) =>
    allowedToPerson(CATALOG, owned, 'organizations_owned');

  it('who owns nothing has the limits of the cheapest plan', () => {
    expect(allowed()).toBe(1);
  });

  it('has those of the most generous plan among what they own', () => {
    expect(allowed(subscribed('free'), subscribed('team'), null)).toBe(5);
    expect(allowed(subscribed('team'), subscribed('retired'))).toBe(7);
    expect(allowed(subscribed('team', 'CANCELED'), null)).toBe(1);
  });

  it('is not limited by a plan that sets no limit', () => {
    expect(allowed(subscribed('team'), subscribed('scale'), subscribed('free'))).toBeNull();
  });
});

describe('a limit', () => {
  const check = (max: number, current: number, catalog = CATALOG) =>
    checkPlanLimit(catalog, { key: 'seats', max, current });

  it('lets one more be had up to it and not beyond', () => {
    expect(check(3, 2)).toBeNull();
    expect(check(1, 0)).toBeNull();
    expect(check(3, 3)).toMatchObject({ code: 'PLAN_LIMIT_REACHED', key: 'seats', limit: 3, current: 3 });
    expect(check(0, 0)).toMatchObject({ limit: 0, current: 0 });
  });

  it('names the plans on sale that allow more, cheapest first', () => {
    expect(check(3, 3)?.upgradePlanKeys).toEqual(['team', 'scale']);
    expect(check(10, 10)?.upgradePlanKeys).toEqual(['scale']);
    expect(check(10, 10, catalogOf(FREE, TEAM))?.upgradePlanKeys).toEqual([]);
  });

  it('names no plan that would allow what there is and no more', () => {
    // Ten were had under a larger plan.
    expect(check(3, 10)?.upgradePlanKeys).toEqual(['scale']);
  });

  it('resets at no time', () => {
    expect(check(3, 3)?.resetsAt).toBeNull();
  });
});
