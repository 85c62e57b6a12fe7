import { describe, expect, it } from 'vitest';
import type { CatalogVersion } from '../../../src/domain/catalog/catalog.ts';
import { type CatalogDecision, decideCatalog } from '../../../src/domain/catalog/decide-catalog.ts';
import { formatInstant } from '../../../src/domain/time/instant.ts';
import { aVersion } from '../../support/builders-catalog.ts';
import { at, credits } from '../../support/builders-values.ts';
import { DEMO_YAML, demoWith, OTHER_KIND, parsedCatalog } from '../../support/catalog-files.ts';

const NOW = '2026-11-21T12:00:00.000Z';
const YESTERDAY = '2026-11-20T12:00:00.000Z';
const TOMORROW = '2026-11-22T12:00:00.000Z';
const IN_A_WEEK = '2026-11-28T12:00:00.000Z';

type Replacement = readonly [text: string, replacement: string];
const DEARER: Replacement = ['match: { render_js: true }, credits: 2', 'match: { render_js: true }, credits: 3'];
const OTHER_PLAN: Replacement = ['amountMinor: 2900', 'amountMinor: 3100'];
const from = (instant: string): Replacement => ['\npolicies:', `\nratesEffectiveAt: ${instant}\npolicies:`];

function decide(versions: readonly CatalogVersion[], ...replacements: readonly Replacement[]): CatalogDecision {
  return decideCatalog(versions, parsedCatalog(demoWith(...replacements)), at(NOW));
}

function proposal(decision: CatalogDecision) {
  if (decision.kind !== 'proposal') throw new Error(JSON.stringify(decision.obstacles));
  return decision;
}

const effectiveAt = (decision: CatalogDecision): string => formatInstant(proposal(decision).effectiveAt);

function obstacles(decision: CatalogDecision) {
  return decision.kind === 'obstacles' ? decision.obstacles : [];
}

const inForce = [aVersion(1, DEMO_YAML, YESTERDAY)];

describe('a catalog', () => {
  it('without a difference to the newest version changes nothing', () => {
    expect(decide(inForce)).toMatchObject({
      kind: 'proposal',
      changes: [],
      changedAllowances: [],
      bucketsChanged: false,
    });
  });

  it('is the first where there is none: all of it is change', () => {
    const { changes, bucketsChanged } = proposal(decide([]));
    expect(changes.every(({ before }) => before === null)).toBe(true);
    expect(changes).toContainEqual({ path: 'buckets.purchased.kind', before: null, after: 'PURCHASED' });
    expect(bucketsChanged).toBe(true);
  });

  it('touches wallets only where its buckets change', () => {
    expect(proposal(decide(inForce, DEARER)).bucketsChanged).toBe(false);
    expect(proposal(decide(inForce, ['name: Purchased credits', 'name: Bought'])).bucketsChanged).toBe(true);
  });
});

describe('a bucket', () => {
  const WITHOUT: Replacement = [
    '  - { key: promotional, name: Promotional credits, kind: PROMOTIONAL, burnPriority: 20, expiresAfterDays: 90 }\n',
    '',
  ];
  const [, NO_CODES] = OTHER_KIND;
  const refused = [{ path: ['buckets', 1, 'kind'], message: expect.stringContaining('PROMOTIONAL') }];

  it('keeps its kind', () => {
    expect(obstacles(decide(inForce, ...OTHER_KIND))).toEqual(refused);
  });

  it('keeps its kind while no catalog names it, for wallets still have it', () => {
    const versions = [...inForce, aVersion(2, demoWith(WITHOUT, NO_CODES), YESTERDAY)];
    expect(obstacles(decide(versions, ...OTHER_KIND))).toEqual(refused);
    expect(obstacles(decide(versions))).toEqual([]);
  });

  it('may leave the catalog, and be renamed and reordered', () => {
    expect(obstacles(decide(inForce, WITHOUT, NO_CODES))).toEqual([]);
    expect(obstacles(decide(inForce, ['burnPriority: 40', 'burnPriority: 4']))).toEqual([]);
  });
});

describe('the rates of a catalog', () => {
  it('price usage from the moment they are applied', () => {
    expect(effectiveAt(decide(inForce, DEARER))).toBe(NOW);
  });

  it('price usage from the instant they name', () => {
    expect(effectiveAt(decide(inForce, DEARER, from(TOMORROW)))).toBe(TOMORROW);
  });

  it('may name this very instant', () => {
    expect(effectiveAt(decide(inForce, DEARER, from(NOW)))).toBe(NOW);
  });

  it('may not name an instant that has passed', () => {
    expect(obstacles(decide(inForce, DEARER, from('2026-11-21T11:59:59.999Z')))).toEqual([
      { path: ['ratesEffectiveAt'], message: expect.stringContaining('has passed') },
    ]);
  });

  it('may be the first ones since any instant: nothing was charged before', () => {
    expect(effectiveAt(decide([], from(YESTERDAY)))).toBe(YESTERDAY);
  });

  it('do not begin before the version before them, even if a clock went back', () => {
    expect(effectiveAt(decide([aVersion(1, DEMO_YAML, TOMORROW)], DEARER))).toBe(TOMORROW);
  });

  it('are those in force when their instant has passed: applying them again changes nothing', () => {
    const versions = [...inForce, aVersion(2, demoWith(DEARER, from(YESTERDAY)), YESTERDAY)];
    expect(proposal(decide(versions, DEARER, from(YESTERDAY))).changes).toEqual([]);
  });

  it('may stay as they are with the instant they began at, while other things change now', () => {
    const versions = [...inForce, aVersion(2, demoWith(DEARER, from(YESTERDAY)), YESTERDAY)];
    expect(effectiveAt(decide(versions, DEARER, OTHER_PLAN, from(YESTERDAY)))).toBe(NOW);
    expect(obstacles(decide(versions, OTHER_PLAN, from(YESTERDAY)))).toHaveLength(1);
  });
});

describe('with a version that has yet to take effect', () => {
  const scheduled = [...inForce, aVersion(2, demoWith(DEARER, from(TOMORROW)), TOMORROW)];

  it('a later one may take effect with it, or after it', () => {
    expect(effectiveAt(decide(scheduled, from(TOMORROW)))).toBe(TOMORROW);
    expect(effectiveAt(decide(scheduled, from(IN_A_WEEK)))).toBe(IN_A_WEEK);
  });

  it('other things change now under the same instant', () => {
    expect(effectiveAt(decide(scheduled, DEARER, OTHER_PLAN, from(TOMORROW)))).toBe(TOMORROW);
  });

  it('a later one may not take effect before it', () => {
    expect(obstacles(decide(scheduled, from('2026-11-21T13:00:00Z')))).toEqual([
      { path: ['ratesEffectiveAt'], message: expect.stringContaining(TOMORROW) },
    ]);
    expect(obstacles(decide(scheduled))).toEqual([{ path: ['rates'], message: expect.stringContaining(TOMORROW) }]);
  });

  it('its rates are not postponed by naming a later instant for them, and whoever tries is told', () => {
    expect(obstacles(decide(scheduled, DEARER, from(IN_A_WEEK)))).toEqual([
      { path: ['ratesEffectiveAt'], message: expect.stringContaining('cannot postpone') },
    ]);
  });
});

describe('the allowance of a plan', () => {
  const MORE: Replacement = ['credits: 20000 }', 'credits: 25000 }'];
  const team = {
    planKey: 'team',
    bucketKey: 'monthly_plan',
    interval: 'MONTH',
    credits: credits('25000'),
    rolloverLimit: null,
  };

  it('of another amount is one that subscribers get from their next refresh on', () => {
    expect(proposal(decide(inForce, MORE)).changedAllowances).toEqual([team]);
  });

  it('of another interval is for those who subscribe from now on', () => {
    const other: Replacement = [
      '{ bucket: monthly_plan, interval: MONTH, credits: 20000 }',
      '{ bucket: monthly_plan, interval: DAY, credits: 25000 }',
    ];
    expect(proposal(decide(inForce, other)).changedAllowances).toEqual([]);
  });

  it('is compared with the plan as it last was: subscriptions outlive plans on sale', () => {
    const renamed: Replacement = ['key: team', 'key: team_once'];
    const versions = [...inForce, aVersion(2, demoWith(renamed), YESTERDAY)];
    expect(proposal(decide(versions, MORE)).changedAllowances).toEqual([team]);
    expect(proposal(decide(versions)).changedAllowances).toEqual([]);
  });
});
