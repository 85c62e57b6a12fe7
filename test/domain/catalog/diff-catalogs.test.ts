import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Catalog } from '../../../src/domain/catalog/catalog.ts';
import { type CatalogChange, diffCatalogs } from '../../../src/domain/catalog/diff-catalogs.ts';
import { aCatalog } from '../../support/builders-catalog.ts';
import { DEMO_YAML as DEMO, demoWith, parsedCatalog as parsed } from '../../support/catalog-files.ts';

/** What changes when this text of the demo's catalog is replaced. */
function changesOf(text: string, replacement: string): CatalogChange[] {
  return diffCatalogs(parsed(DEMO), parsed(demoWith([text, replacement])));
}

describe('a change', () => {
  it.each([
    [
      'of a priority',
      'kind: PURCHASED, burnPriority: 40',
      'kind: PURCHASED, burnPriority: 5',
      'buckets.purchased.burnPriority',
      '40',
      '5',
    ],
    ['of a price', 'amountMinor: 2900', 'amountMinor: 3100', 'plans.team.price.amountMinor', '2900', '3100'],
    [
      'of an allowance',
      'credits: 20000 }',
      'credits: 25000.5 }',
      'plans.team.allowances.monthly_plan.credits',
      '20000',
      '25000.5',
    ],
    ['of a limit', 'key: seats, max: 50 }', 'key: seats, max: 60 }', 'plans.free.limits.seats.max', '50', '60'],
    [
      'of a limit on how often something may be done',
      'key: seats, max: 50 }',
      'key: seats, max: 50 }\n      - { key: search, max: 9, window: DAY }',
      'plans.free.limits.search(DAY).max',
      null,
      '9',
    ],
    [
      'of an alert',
      'features: [100 free credits a day, Community support]',
      'features: [100 free credits a day, Community support]\n    alerts: [{ percent: 20 }]',
      'plans.free.alerts.20%.percent',
      null,
      '20',
    ],
    ['of a package', 'bonusCredits: 500', 'bonusCredits: 750', 'packages.growth.bonusCredits', '500', '750'],
    [
      'of a rate',
      'match: { render_js: true }, credits: 2',
      'match: { render_js: true }, credits: 2.25',
      'rates.scrape{"render_js":true}.credits',
      '2',
      '2.25',
    ],
    [
      'of a rate for any usage',
      'unit: page, credits: 1.5',
      'unit: page, credits: 1.75',
      'rates.crawl.credits',
      '1.5',
      '1.75',
    ],
    ['of a policy', 'commandCeiling: 1000000', 'commandCeiling: 500', 'policies.commandCeiling', '1000000', '500'],
    [
      'of a list of texts',
      '[Everything in Team, Priority support]',
      '[Priority support]',
      'plans.scale.features',
      '["Everything in Team","Priority support"]',
      '["Priority support"]',
    ],
    [
      'that adds a value',
      'name: Starter',
      'name: Starter\n    expiresAfterDays: 30',
      'packages.starter.expiresAfterDays',
      null,
      '30',
    ],
    ['that takes a value away', ', expiresAfterDays: 90', '', 'buckets.promotional.expiresAfterDays', '90', null],
    [
      'of the instant of the rates',
      'policies:',
      'ratesEffectiveAt: 2027-01-01T01:00:00+01:00\npolicies:',
      'ratesEffectiveAt',
      null,
      '2027-01-01T00:00:00.000Z',
    ],
  ])('%s is told with its path and both values', (_what, text, replacement, path, before, after) => {
    expect(changesOf(text, replacement)).toEqual([{ path, before, after }]);
  });

  it('that adds an item is one change per value of it', () => {
    const added = '  - { key: tiny, name: Tiny, price: { amountMinor: 100, currency: USD }, credits: 50 }\n';
    expect(changesOf('packages:\n', `packages:\n${added}`)).toEqual([
      { path: 'packages.tiny.bonusCredits', before: null, after: '0' },
      { path: 'packages.tiny.bucket', before: null, after: 'purchased' },
      { path: 'packages.tiny.credits', before: null, after: '50' },
      { path: 'packages.tiny.name', before: null, after: 'Tiny' },
      { path: 'packages.tiny.price.amountMinor', before: null, after: '100' },
      { path: 'packages.tiny.price.currency', before: null, after: 'USD' },
    ]);
  });

  it('of what a rate matches is another rate: the one goes, the other comes', () => {
    const paths = changesOf('match: { render_js: true }', 'match: { render_js: false }').map(({ path }) => path);
    expect(paths).toContain('rates.scrape{"render_js":true}.credits');
    expect(paths).toContain('rates.scrape{"render_js":false}.credits');
    expect(paths.every((path) => path.startsWith('rates.scrape{'))).toBe(true);
  });

  it('between keys that hold dots is told apart, whatever their paths look like', () => {
    const bucket = (key: string, name: string) =>
      `  - { key: ${key}, name: ${name}, kind: PURCHASED, burnPriority: 1 }\n`;
    const before = parsed(`buckets:\n${bucket('a', 'x')}${bucket('a.b', 'y')}`);
    const after = parsed(`buckets:\n${bucket('a', 'x')}${bucket('a.b', 'z')}`);
    expect(diffCatalogs(before, after)).toEqual([{ path: 'buckets.a.b.name', before: 'y', after: 'z' }]);
  });

  it.each([
    ['comments and blank lines', `# again\n\n${DEMO}`],
    [
      'numbers written otherwise',
      DEMO.replace('credits: 1.5 }', 'credits: 1.50 }').replace('credits: 2000 }', 'credits: 2000.000 }'),
    ],
    [
      'defaults written out',
      DEMO.replace('name: Starter', 'name: Starter\n    bonusCredits: 0\n    bucket: purchased'),
    ],
    [
      'the order of keys',
      DEMO.replace('meter: search, description: One search request', 'description: One search request, meter: search'),
    ],
  ])('is not seen in %s', (_what, yaml) => {
    expect(yaml).not.toBe(DEMO);
    expect(diffCatalogs(parsed(DEMO), parsed(yaml))).toEqual([]);
  });

  it('of a field that the catalog does not have today is told all the same', () => {
    const [rate] = parsed(DEMO).rates;
    if (!rate) throw new Error('the demo has rates');
    const tiers = (first: bigint) => [
      { upTo: { coefficient: 100n, scale: 0 }, credits: { coefficient: first, scale: 1 } },
      { upTo: null, credits: { coefficient: 1n, scale: 1 } },
    ];
    const withTiers = (first: bigint): Catalog => ({
      ...parsed(DEMO),
      rates: [{ ...rate, preview: true, tiers: tiers(first) } as typeof rate],
    });
    expect(diffCatalogs(withTiers(25n), withTiers(30n))).toEqual([
      { path: 'rates.search(preview).tiers.1.credits', before: '2.5', after: '3' },
    ]);
  });
});

describe('the difference of two catalogs', () => {
  const shuffled = (catalog: Catalog): fc.Arbitrary<Catalog> => {
    const order = <T>(items: readonly T[]) => fc.shuffledSubarray([...items], { minLength: items.length });
    return fc.record({
      buckets: order(catalog.buckets),
      plans: order(
        catalog.plans.map((plan) => ({
          ...plan,
          allowances: plan.allowances.toReversed(),
          alerts: plan.alerts.toReversed(),
        })),
      ),
      packages: order(catalog.packages),
      promoCodes: order(catalog.promoCodes),
      rates: order(catalog.rates),
      policies: fc.constant(catalog.policies),
      ratesEffectiveAt: fc.constant(catalog.ratesEffectiveAt),
    });
  };

  it('is empty between a catalog and itself, in whatever order its items stand', () => {
    const same = aCatalog().chain((catalog) => fc.tuple(fc.constant(catalog), shuffled(catalog)));
    fc.assert(
      fc.property(same, ([catalog, again]) => {
        expect(diffCatalogs(catalog, again)).toEqual([]);
      }),
    );
  });

  it('is the same the other way round, with before and after swapped', () => {
    fc.assert(
      fc.property(aCatalog(), aCatalog(), (a, b) => {
        const swapped = diffCatalogs(b, a).map(({ path, before, after }) => ({ path, before: after, after: before }));
        expect(diffCatalogs(a, b)).toEqual(swapped);
      }),
    );
  });

  it('tells all values there are from one catalog to the other: added to those of the first it gives the second', () => {
    const values = (catalog: Catalog) => new Map(diffCatalogs(null, catalog).map(({ path, after }) => [path, after]));
    fc.assert(
      fc.property(aCatalog(), aCatalog(), (a, b) => {
        const applied = values(a);
        for (const { path, before, after } of diffCatalogs(a, b)) {
          expect(applied.get(path) ?? null).toBe(before);
          if (after === null) applied.delete(path);
          else applied.set(path, after);
        }
        expect(applied).toEqual(values(b));
      }),
    );
  });

  it('names each value once, sorted', () => {
    fc.assert(
      fc.property(aCatalog(), aCatalog(), (a, b) => {
        const paths = diffCatalogs(a, b).map(({ path }) => path);
        expect(new Set(paths).size).toBe(paths.length);
        for (const { before, after } of diffCatalogs(a, b)) expect(before).not.toBe(after);
      }),
    );
  });
});
