import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Catalog } from '../../../src/domain/catalog/catalog.ts';
import { type CatalogProblem, formatProblem } from '../../../src/domain/catalog/locate-problems.ts';
import { parseCatalog } from '../../../src/domain/catalog/parse-catalog.ts';
import { formatDecimal } from '../../../src/domain/credits/decimal.ts';
import { formatCredits } from '../../../src/domain/credits/micros.ts';
import { projectPath } from '../../../src/project-path.ts';
import { credits, decimal } from '../../support/builders-values.ts';

const BUCKETS = `buckets:
  - { key: daily, name: Daily, kind: ALLOWANCE, burnPriority: 10 }
  - { key: bought, name: Bought, kind: PURCHASED, burnPriority: 40 }
`;

function parsed(yaml: string): Catalog {
  const result = parseCatalog(yaml);
  if (!result.ok) throw new Error(result.problems.map(formatProblem).join('\n'));
  return result.catalog;
}

function problemsOf(yaml: string): readonly CatalogProblem[] {
  const result = parseCatalog(yaml);
  return result.ok ? [] : result.problems;
}

/** A catalog with one rate, whose properties beside meter and unit stand on a line each. */
const rateWith = (...lines: readonly string[]): string =>
  `${BUCKETS}rates:\n  - meter: m\n    unit: u\n${lines.map((line) => `    ${line}\n`).join('')}`;

/** The line of a document that ends in `# here`. */
const markedLine = (yaml: string): number => yaml.split('\n').findIndex((line) => line.endsWith('# here')) + 1;

describe('a valid catalog', () => {
  const demo = parsed(readFileSync(projectPath('catalogs/demo.yaml'), 'utf8'));

  it('is the demo’s, read whole', () => {
    expect(
      demo.buckets.map((bucket) => [bucket.key, bucket.kind, bucket.burnPriority, bucket.expiresAfterDays]),
    ).toEqual([
      ['daily_free', 'ALLOWANCE', 10, null],
      ['promotional', 'PROMOTIONAL', 20, 90],
      ['monthly_plan', 'PLAN', 30, null],
      ['purchased', 'PURCHASED', 40, null],
    ]);
    expect(demo.plans.map((plan) => plan.key)).toEqual(['free', 'team', 'scale']);
    expect(demo.plans[0]).toEqual({
      key: 'free',
      name: 'Free',
      description: 'For trying things out.',
      price: { amountMinor: 0n, currency: 'USD' },
      interval: 'MONTH',
      trialDays: 0,
      allowances: [
        { bucketKey: 'daily_free', interval: 'DAY', credits: credits('100'), rolloverLimit: null },
        { bucketKey: 'monthly_plan', interval: 'MONTH', credits: credits('2000'), rolloverLimit: null },
      ],
      dailyCreditCap: null,
      topUp: null,
      overdraft: 0n,
      limits: [
        { key: 'organizations_owned', max: 100, window: null },
        { key: 'organizations_joined', max: 100, window: null },
        { key: 'projects', max: 100, window: null },
        { key: 'seats', max: 50, window: null },
        { key: 'pending_invitations', max: 40, window: null },
      ],
      features: ['100 free credits a day', 'Community support'],
      alerts: [],
    });
    expect(demo.plans[1]?.alerts).toEqual([{ threshold: null, percent: 20 }]);
    expect(demo.packages[1]).toEqual({
      key: 'growth',
      name: 'Growth',
      price: { amountMinor: 4_500n, currency: 'USD' },
      credits: credits('5000'),
      bonusCredits: credits('500'),
      bucketKey: 'purchased',
      expiresAfterDays: null,
    });
    expect(demo.policies).toMatchObject({ commandCeiling: credits('1000000'), latenessDays: 7 });
    expect(demo.rates.find((rate) => rate.meter === 'scrape' && rate.match !== null)).toEqual({
      meter: 'scrape',
      description: 'One page fetched in a browser',
      unit: 'page',
      shape: 'PER_UNIT',
      match: { render_js: true },
      preview: false,
      credits: decimal('2'),
      per: decimal('1'),
      tiers: [],
      freeUnits: decimal('0'),
      minimum: 0n,
      rounding: { increment: 1n, mode: 'HALF_UP' },
    });
  });

  it.each(readdirSync(projectPath('catalogs')).filter((name) => name.endsWith('.yaml')))('is %s', (name) => {
    expect(problemsOf(readFileSync(projectPath(`catalogs/${name}`), 'utf8'))).toEqual([]);
  });

  it('fills in what is left out', () => {
    const catalog = parsed(`${BUCKETS}
plans:
  - { key: p, name: P, price: { amountMinor: 0, currency: EUR } }
packages:
  - { key: k, name: K, price: { amountMinor: 1, currency: EUR }, credits: 1 }
rates:
  - { meter: m, unit: page, credits: 1 }
`);
    expect(catalog.plans[0]).toMatchObject({
      interval: 'MONTH',
      trialDays: 0,
      allowances: [],
      features: [],
      description: null,
    });
    expect(catalog.packages[0]).toMatchObject({ bonusCredits: 0n, bucketKey: 'bought', expiresAfterDays: null });
    expect(catalog.rates[0]).toMatchObject({ shape: 'PER_UNIT', match: null, per: decimal('1'), description: null });
    expect(catalog.policies).toEqual({
      commandCeiling: credits('1000000000'),
      latenessDays: 7,
      holds: { defaultSeconds: 900, maxSeconds: 604_800, graceSeconds: 86_400 },
      renewals: { retryDays: [1, 2, 3], graceDays: 7 },
      receipts: { issuer: 'R' },
      refunds: { expiredLots: 'NEW_LOT', graceDays: 30, spentCredits: 'REFUSE' },
    });
  });

  it('may need nothing but a bucket', () => {
    expect(parsed(BUCKETS)).toMatchObject({ plans: [], packages: [], rates: [] });
  });
});

describe('numbers', () => {
  const rateOf = (price: string) => parsed(`${BUCKETS}rates:\n  - { meter: m, unit: u, credits: ${price} }\n`).rates[0];

  it.each([
    '0.1234567890123456',
    '0.123456789012345678',
    '0.1',
    '999999999999999999999999',
    '123456789012345678.000000000000000001',
  ])('are exact as written: %s', (text) => {
    expect(rateOf(text)?.credits).toEqual(decimal(text));
    expect(rateOf(`"${text}"`)?.credits).toEqual(decimal(text));
  });

  it('are never read through a float, for any decimal', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^(0|[1-9]\d{0,23})(\.\d{1,18})?$/), (text) => {
        const rate = rateOf(text);
        expect(rate && formatDecimal(rate.credits)).toBe(formatDecimal(decimal(text)));
      }),
    );
  });

  it('of credits keep all six digits', () => {
    const yaml = `${BUCKETS}policies: { commandCeiling: 999999999.999999 }\n`;
    expect(formatCredits(parsed(yaml).policies.commandCeiling)).toBe('999999999.999999');
  });

  it('stand as text where text is meant', () => {
    const { name } = parsed(BUCKETS.replace('name: Daily', 'name: 1.50')).buckets[0] ?? {};
    expect(name).toBe('1.50');
  });

  it('keep their JSON type under match, which compares values', () => {
    const [rate] = parsed(
      `${BUCKETS}rates:\n  - { meter: m, unit: u, credits: 1, match: { size: 1.0, name: "1", on: true } }\n`,
    ).rates;
    expect(rate?.match).toEqual({ size: 1, name: '1', on: true });
  });
});

describe('a problem', () => {
  /** Each with `# here` at the end of the line that must be named, the path, and a word of the message. */
  const ONE_PLAN = `${BUCKETS}plans:\n  - key: p\n    name: P\n    price: { amountMinor: 0, currency: EUR }\n`;
  const BAD: readonly (readonly [string, string, string, RegExp])[] = [
    [
      'an alert without a threshold',
      `${ONE_PLAN}    alerts:\n      - {} # here\n`,
      'plans.0.alerts.0',
      /credits or percent/,
    ],
    [
      'an alert with two thresholds',
      `${ONE_PLAN}    alerts:\n      - { credits: 5, percent: 5 } # here\n`,
      'plans.0.alerts.0',
      /one of the two/,
    ],
    [
      'an alert at 0 credits',
      `${ONE_PLAN}    alerts:\n      - credits: 0 # here\n`,
      'plans.0.alerts.0.credits',
      /more than 0/,
    ],
    ['an alert at 0 %', `${ONE_PLAN}    alerts:\n      - percent: 0 # here\n`, 'plans.0.alerts.0.percent', /1 to 100/],
    [
      'an alert at 101 %',
      `${ONE_PLAN}    alerts:\n      - percent: 101 # here\n`,
      'plans.0.alerts.0.percent',
      /1 to 100/,
    ],
    [
      'an alert at half a percent',
      `${ONE_PLAN}    alerts:\n      - percent: 0.5 # here\n`,
      'plans.0.alerts.0.percent',
      /whole number/,
    ],
    [
      'an alert twice, written differently',
      `${ONE_PLAN}    alerts:\n      - { credits: 50 }\n      - { percent: 50 }\n      - { credits: 50.00 } # here\n`,
      'plans.0.alerts.2',
      /repeats/,
    ],
    [
      'more alerts than five',
      `${ONE_PLAN}    alerts: [{ percent: 1 }, { percent: 2 }, { percent: 3 }, { percent: 4 }, { percent: 5 }, { percent: 6 }] # here\n`,
      'plans.0.alerts',
      /./,
    ],
    ['an unknown key of the document', `${BUCKETS}bogus: 1 # here\n`, 'bogus', /./],
    ['an unknown key of a map', `${BUCKETS}policies:\n  latenessDays: 5\n  bogus: 1 # here\n`, 'policies.bogus', /./],
    [
      'an unknown key of a list’s item',
      `${BUCKETS}rates:\n  - meter: m\n    unit: u\n    credits: 1\n    color: red # here\n`,
      'rates.0.color',
      /./,
    ],
    [
      'credits that are no number',
      `${BUCKETS}policies:\n  commandCeiling: many # here\n`,
      'policies.commandCeiling',
      /credits/,
    ],
    [
      'credits with an exponent',
      `${BUCKETS}policies:\n  commandCeiling: 1e3 # here\n`,
      'policies.commandCeiling',
      /credits/,
    ],
    [
      'credits in hexadecimal',
      `${BUCKETS}policies:\n  commandCeiling: 0x10 # here\n`,
      'policies.commandCeiling',
      /credits/,
    ],
    [
      'credits that are infinite',
      `${BUCKETS}policies:\n  commandCeiling: .inf # here\n`,
      'policies.commandCeiling',
      /credits/,
    ],
    [
      'credits finer than a micro',
      `${BUCKETS}policies:\n  commandCeiling: 0.0000001 # here\n`,
      'policies.commandCeiling',
      /6 fraction/,
    ],
    ['negative credits', `${BUCKETS}policies:\n  commandCeiling: -1 # here\n`, 'policies.commandCeiling', /negative/],
    [
      'a ceiling of zero',
      `${BUCKETS}policies:\n  commandCeiling: 0 # here\n`,
      'policies.commandCeiling',
      /more than 0/,
    ],
    [
      'more credits than a wallet holds',
      `${BUCKETS}policies:\n  commandCeiling: 9999999999999 # here\n`,
      'policies.commandCeiling',
      /credits/,
    ],
    ['a fraction of days', `${BUCKETS}policies:\n  latenessDays: 1.5 # here\n`, 'policies.latenessDays', /whole/],
    ['a negative number of days', `${BUCKETS}policies:\n  latenessDays: -1 # here\n`, 'policies.latenessDays', /whole/],
    [
      'a negative price',
      `${BUCKETS}packages:\n  - key: k\n    name: K\n    price:\n      amountMinor: -1 # here\n      currency: USD\n    credits: 1\n`,
      'packages.0.price.amountMinor',
      /negative/,
    ],
    [
      'a price with cents in it',
      `${BUCKETS}packages:\n  - key: k\n    name: K\n    price:\n      amountMinor: 9.99 # here\n      currency: USD\n    credits: 1\n`,
      'packages.0.price.amountMinor',
      /minor units/,
    ],
    [
      'a currency that is none',
      `${BUCKETS}packages:\n  - key: k\n    name: K\n    price:\n      amountMinor: 1\n      currency: usd # here\n    credits: 1\n`,
      'packages.0.price.currency',
      /4217/,
    ],
    [
      'a package of nothing',
      `${BUCKETS}packages:\n  - key: k\n    name: K\n    price: { amountMinor: 1, currency: USD }\n    credits: 0 # here\n`,
      'packages.0.credits',
      /more than 0/,
    ],
    [
      'a negative rate',
      `${BUCKETS}rates:\n  - meter: m\n    unit: u\n    credits: -0.5 # here\n`,
      'rates.0.credits',
      /negative/,
    ],
    [
      'a rate per nothing',
      `${BUCKETS}rates:\n  - meter: m\n    unit: u\n    credits: 1\n    per: 0 # here\n`,
      'rates.0.per',
      /more than 0/,
    ],
    [
      'a rate finer than 100 digits',
      `${BUCKETS}rates:\n  - meter: m\n    unit: u\n    credits: 0.${'1'.repeat(101)} # here\n`,
      'rates.0.credits',
      /100/,
    ],
    [
      'a shape that is none',
      `${BUCKETS}rates:\n  - meter: m\n    unit: u\n    credits: 1\n    shape: ROUND # here\n`,
      'rates.0.shape',
      /FLAT/,
    ],
    ...['FLAT', 'PER_UNIT', 'PACKAGE'].flatMap((shape): [string, string, string, RegExp][] => [
      [
        `a ${shape} rate without credits`,
        `${BUCKETS}rates:\n  - meter: m # here\n    unit: u\n    shape: ${shape}\n`,
        'rates.0.credits',
        new RegExp(`${shape} rate needs credits`),
      ],
      [
        `a ${shape} rate with tiers`,
        rateWith(`shape: ${shape}`, 'credits: 1', 'tiers: # here', '  - { credits: 1 }'),
        'rates.0.tiers',
        /no tiers/,
      ],
    ]),
    ...['GRADUATED', 'VOLUME'].flatMap((shape): [string, string, string, RegExp][] => [
      [
        `a ${shape} rate without tiers`,
        `${BUCKETS}rates:\n  - meter: m # here\n    unit: u\n    shape: ${shape}\n`,
        'rates.0.tiers',
        new RegExp(`${shape} rate needs tiers`),
      ],
      [
        `a ${shape} rate with a price of its own`,
        rateWith(`shape: ${shape}`, 'credits: 1 # here', 'tiers: [{ credits: 1 }]'),
        'rates.0.credits',
        /tiers .* have its prices/,
      ],
    ]),
    ['no tier at all', rateWith('shape: VOLUME', 'tiers: [] # here'), 'rates.0.tiers', /at least one tier/],
    [
      'more than 50 tiers',
      rateWith(
        'shape: VOLUME',
        'tiers: # here',
        ...Array.from({ length: 50 }, (_, index) => `  - { upTo: ${index + 1}, credits: 1 }`),
        '  - { credits: 1 }',
      ),
      'rates.0.tiers',
      /50/,
    ],
    [
      'a bound below the one before',
      rateWith(
        'shape: GRADUATED',
        'tiers:',
        '  - { upTo: 10, credits: 1 }',
        '  - { upTo: 9.5, credits: 1 } # here',
        '  - { credits: 1 }',
      ),
      'rates.0.tiers.1.upTo',
      /more than 10,/,
    ],
    [
      'a bound equal to the one before',
      rateWith(
        'shape: VOLUME',
        'tiers:',
        '  - { upTo: 10, credits: 1 }',
        '  - { upTo: 10.0, credits: 1 } # here',
        '  - { credits: 1 }',
      ),
      'rates.0.tiers.1.upTo',
      /more than 10,/,
    ],
    [
      'a bound of 0',
      rateWith('shape: VOLUME', 'tiers:', '  - { upTo: 0, credits: 1 } # here', '  - { credits: 1 }'),
      'rates.0.tiers.0.upTo',
      /more than 0/,
    ],
    [
      'a negative bound',
      rateWith('shape: VOLUME', 'tiers:', '  - { upTo: -5, credits: 1 } # here', '  - { credits: 1 }'),
      'rates.0.tiers.0.upTo',
      /negative/,
    ],
    [
      'a last tier with a bound',
      rateWith('shape: GRADUATED', 'tiers:', '  - { upTo: 10, credits: 1 }', '  - { upTo: 20, credits: 1 } # here'),
      'rates.0.tiers.1.upTo',
      /last tier/,
    ],
    [
      'a tier without a bound that is not the last',
      rateWith('shape: GRADUATED', 'tiers:', '  - { credits: 2 } # here', '  - { credits: 1 }'),
      'rates.0.tiers.0.upTo',
      /needs upTo/,
    ],
    [
      'a tier without a price',
      rateWith('shape: GRADUATED', 'tiers:', '  - { upTo: 10 } # here', '  - { credits: 1 }'),
      'rates.0.tiers.0.credits',
      /./,
    ],
    [
      'a negative price of a tier',
      rateWith('shape: GRADUATED', 'tiers:', '  - credits: -1 # here'),
      'rates.0.tiers.0.credits',
      /negative/,
    ],
    [
      'an unknown key of a tier',
      rateWith('shape: GRADUATED', 'tiers:', '  - credits: 1', '    flat: 5 # here'),
      'rates.0.tiers.0.flat',
      /not known/,
    ],
    ['tiers that are no list', rateWith('shape: VOLUME', 'tiers: 5 # here'), 'rates.0.tiers', /./],
    ['negative free units', rateWith('credits: 1', 'freeUnits: -1 # here'), 'rates.0.freeUnits', /negative/],
    ['free units that are no number', rateWith('credits: 1', 'freeUnits: 1k # here'), 'rates.0.freeUnits', /decimal/],
    ['a negative minimum', rateWith('credits: 1', 'minimumCredits: -1 # here'), 'rates.0.minimumCredits', /negative/],
    [
      'a minimum finer than a micro',
      rateWith('credits: 1', 'minimumCredits: 0.0000001 # here'),
      'rates.0.minimumCredits',
      /6 fraction/,
    ],
    [
      'a minimum that rounding down would lower',
      rateWith('credits: 1', 'roundTo: 0.1', 'rounding: DOWN', 'minimumCredits: 0.25 # here'),
      'rates.0.minimumCredits',
      /rounded to 0.2: make it a multiple/,
    ],
    [
      'a minimum that rounding to the nearest would lower',
      rateWith('credits: 1', 'roundTo: 1', 'minimumCredits: 0.4 # here'),
      'rates.0.minimumCredits',
      /rounded to 0:/,
    ],
    ['rounding to nothing', rateWith('credits: 1', 'roundTo: 0 # here'), 'rates.0.roundTo', /more than 0/],
    [
      'rounding finer than a micro',
      rateWith('credits: 1', 'roundTo: 0.0000001 # here'),
      'rates.0.roundTo',
      /6 fraction/,
    ],
    ['a rounding that is none', rateWith('credits: 1', 'rounding: HALF_EVEN # here'), 'rates.0.rounding', /HALF_UP/],
    ['a preview that is neither true nor false', rateWith('credits: 1', 'preview: yes # here'), 'rates.0.preview', /./],
    [
      'dimensions too long for the key of a counter',
      rateWith('credits: 1', 'match: # here', `  model: ${'ü'.repeat(500)}`),
      'rates.0.match',
      /1000 bytes/,
    ],
    [
      'a match of lists',
      `${BUCKETS}rates:\n  - meter: m\n    unit: u\n    credits: 1\n    match:\n      model: [a] # here\n`,
      'rates.0.match.model',
      /./,
    ],
    [
      'a match of nothing',
      `${BUCKETS}rates:\n  - meter: m\n    unit: u\n    credits: 1\n    match:\n      model: # here\n`,
      'rates.0.match.model',
      /./,
    ],
    [
      'a key with spaces',
      `${BUCKETS}rates:\n  - meter: my meter # here\n    unit: u\n    credits: 1\n`,
      'rates.0.meter',
      /key/,
    ],
    [
      'an empty name',
      `buckets:\n  - key: a\n    name: "" # here\n    kind: PURCHASED\n    burnPriority: 1\n`,
      'buckets.0.name',
      /empty/,
    ],
    [
      'a kind that is none',
      `buckets:\n  - key: a\n    name: A\n    kind: FREE # here\n    burnPriority: 1\n`,
      'buckets.0.kind',
      /ALLOWANCE/,
    ],
    [
      'a bucket whose credits expire after 0 days',
      `buckets:\n  - key: a\n    name: A\n    kind: PURCHASED\n    burnPriority: 1\n    expiresAfterDays: 0 # here\n`,
      'buckets.0.expiresAfterDays',
      /days/,
    ],
    [
      'a package whose credits expire after 0 days',
      `${BUCKETS}packages:\n  - key: k\n    name: K\n    price: { amountMinor: 1, currency: USD }\n    credits: 1\n    expiresAfterDays: 0 # here\n`,
      'packages.0.expiresAfterDays',
      /days/,
    ],
    [
      'a package whose credits expire beyond the calendar’s end',
      `${BUCKETS}packages:\n  - key: k\n    name: K\n    price: { amountMinor: 1, currency: USD }\n    credits: 1\n    expiresAfterDays: 999999999 # here\n`,
      'packages.0.expiresAfterDays',
      /days/,
    ],
    [
      'a bucket without a name',
      'buckets:\n  - key: a # here\n    kind: PURCHASED\n    burnPriority: 1\n',
      'buckets.0.name',
      /./,
    ],
    ['a catalog without buckets', 'buckets: [] # here\n', 'buckets', /at least one bucket/],
    [
      'a bucket that repeats a key',
      `${BUCKETS}  - { key: daily, name: Again, kind: PLAN, burnPriority: 1 } # here\n`,
      'buckets.2',
      /repeats daily/,
    ],
    [
      'a plan that repeats a key',
      `${BUCKETS}plans:\n  - { key: p, name: P, price: { amountMinor: 0, currency: USD } }\n  - { key: p, name: Q, price: { amountMinor: 1, currency: USD } } # here\n`,
      'plans.1',
      /repeats p/,
    ],
    [
      'a package that repeats a key',
      `${BUCKETS}packages:\n  - { key: p, name: P, credits: 1, price: { amountMinor: 0, currency: USD } }\n  - { key: p, name: Q, credits: 1, price: { amountMinor: 1, currency: USD } } # here\n`,
      'packages.1',
      /repeats p/,
    ],
    [
      'an allowance into a bucket that does not exist',
      `${BUCKETS}plans:\n  - key: p\n    name: P\n    price: { amountMinor: 0, currency: USD }\n    allowances:\n      - interval: DAY\n        credits: 5\n        bucket: nowhere # here\n`,
      'plans.0.allowances.0.bucket',
      /no bucket nowhere/,
    ],
    [
      'an allowance into a bucket of purchases',
      `${BUCKETS}plans:\n  - key: p\n    name: P\n    price: { amountMinor: 0, currency: USD }\n    allowances:\n      - interval: DAY\n        credits: 5\n        bucket: bought # here\n`,
      'plans.0.allowances.0.bucket',
      /ALLOWANCE or PLAN/,
    ],
    [
      'two allowances into one bucket',
      `${BUCKETS}plans:\n  - key: p\n    name: P\n    price: { amountMinor: 0, currency: USD }\n    allowances:\n      - { bucket: daily, interval: DAY, credits: 5 }\n      - { bucket: daily, interval: MONTH, credits: 5 } # here\n`,
      'plans.0.allowances.1',
      /at most one/,
    ],
    [
      'a limit on what is not limited',
      `${BUCKETS}plans:\n  - key: p\n    name: P\n    price: { amountMinor: 0, currency: USD }\n    limits:\n      - { key: moons, max: 1 } # here\n`,
      'plans.0.limits.0.key',
      /organizations_owned/,
    ],
    [
      'a negative limit',
      `${BUCKETS}plans:\n  - key: p\n    name: P\n    price: { amountMinor: 0, currency: USD }\n    limits:\n      - { key: seats, max: -1 } # here\n`,
      'plans.0.limits.0.max',
      /whole number/,
    ],
    [
      'a window for what is no meter',
      `${BUCKETS}plans:\n  - key: p\n    name: P\n    price: { amountMinor: 0, currency: USD }\n    limits:\n      - { key: seats, max: 1, window: DAY } # here\n`,
      'plans.0.limits.0.key',
      /no rate for the meter seats/,
    ],
    [
      'a frequency cap on a meter without a rate',
      `${BUCKETS}plans:\n  - key: p\n    name: P\n    price: { amountMinor: 0, currency: USD }\n    limits:\n      - { key: walk, max: 1, window: DAY } # here\nrates:\n  - { meter: run, unit: run, credits: 1 }\n`,
      'plans.0.limits.0.key',
      /no rate for the meter walk/,
    ],
    [
      'a frequency cap on previews without a rate',
      `${BUCKETS}plans:\n  - key: p\n    name: P\n    price: { amountMinor: 0, currency: USD }\n    limits:\n      - { key: run:preview, max: 1, window: DAY } # here\nrates:\n  - { meter: run, unit: run, credits: 1 }\n`,
      'plans.0.limits.0.key',
      /no rate for the meter run:preview/,
    ],
    [
      'a limit on a meter without a window',
      `${BUCKETS}plans:\n  - key: p\n    name: P\n    price: { amountMinor: 0, currency: USD }\n    limits:\n      - { key: run, max: 1 } # here\nrates:\n  - { meter: run, unit: run, credits: 1 }\n`,
      'plans.0.limits.0.key',
      /needs a window/,
    ],
    [
      'a window that is none',
      `${BUCKETS}plans:\n  - key: p\n    name: P\n    price: { amountMinor: 0, currency: USD }\n    limits:\n      - { key: run, max: 1, window: WEEK } # here\nrates:\n  - { meter: run, unit: run, credits: 1 }\n`,
      'plans.0.limits.0.window',
      /HOUR/,
    ],
    [
      'a frequency cap that is set twice',
      `${BUCKETS}plans:\n  - key: p\n    name: P\n    price: { amountMinor: 0, currency: USD }\n    limits:\n      - { key: run, max: 1, window: DAY }\n      - { key: run, max: 9, window: HOUR }\n      - { key: run, max: 2, window: DAY } # here\nrates:\n  - { meter: run, unit: run, credits: 1 }\n`,
      'plans.0.limits.2',
      /repeats run a DAY/,
    ],
    [
      'a limit that is set twice',
      `${BUCKETS}plans:\n  - key: p\n    name: P\n    price: { amountMinor: 0, currency: USD }\n    limits:\n      - { key: seats, max: 1 }\n      - { key: seats, max: 2 } # here\n`,
      'plans.0.limits.1',
      /repeats seats/,
    ],
    [
      'a package’s bucket that does not exist',
      `${BUCKETS}packages:\n  - key: k\n    name: K\n    price: { amountMinor: 1, currency: USD }\n    credits: 1\n    bucket: nowhere # here\n`,
      'packages.0.bucket',
      /nowhere/,
    ],
    [
      'a package into a bucket of another kind',
      `${BUCKETS}packages:\n  - key: k\n    name: K\n    price: { amountMinor: 1, currency: USD }\n    credits: 1\n    bucket: daily # here\n`,
      'packages.0.bucket',
      /PURCHASED/,
    ],
    [
      'two rates for the same dimensions',
      `${BUCKETS}rates:\n  - { meter: m, unit: u, credits: 1, match: { a: 1, b: x } }\n  - { meter: m, unit: u, credits: 2, match: { b: x, a: 1.0 } } # here\n`,
      'rates.1',
      /m \{"a":1,"b":"x"\}/,
    ],
    [
      'two rates without dimensions, one of which says so',
      `${BUCKETS}rates:\n  - { meter: m, unit: u, credits: 1 }\n  - { meter: m, unit: u, credits: 2, match: {} } # here\n`,
      'rates.1',
      /m/,
    ],
    [
      'two rates that can match one line equally well',
      `${BUCKETS}rates:\n  - { meter: m, unit: u, credits: 1, match: { a: 1 } }\n  - { meter: m, unit: u, credits: 2, match: { b: 1 } } # here\n`,
      'rates.1',
      /ambiguous/,
    ],
    [
      'two rates of previews that can match one line equally well',
      `${BUCKETS}rates:\n  - { meter: m, unit: u, credits: 1, preview: true, match: { a: 1 } }\n  - { meter: m, unit: u, credits: 2, preview: true, match: { b: 1 } } # here\n`,
      'rates.1',
      /m \{"a":1\} as a preview above/,
    ],
    [
      'a match on __proto__',
      `${BUCKETS}rates:\n  - meter: m\n    unit: u\n    credits: 1\n    match:\n      __proto__: 1 # here\n`,
      '',
      /__proto__/,
    ],
    ['a unit with an escaped NUL', `${BUCKETS}rates:\n  - { meter: m, credits: 1, unit: "a\\0" } # here\n`, '', /NUL/],
    ['a name with half a character', `${BUCKETS}plans:\n  - { key: p, name: "\\ud800" } # here\n`, '', /valid text/],
    ['a key with an escaped NUL', `${BUCKETS}policies: { "a\\0": 1 } # here\n`, '', /NUL/],
    ['a key that stands twice', `${BUCKETS}plans: []\nplans: [] # here\n`, '', /unique/],
    ['a tab for indentation', `${BUCKETS}policies:\n\tlatenessDays: 5 # here\n`, '', /./],
    ['a second document', `${BUCKETS}--- # here\n${BUCKETS}`, '', /multiple documents/],
    ['an alias without an anchor', `${BUCKETS}policies: *nowhere # here\n`, '', /alias/i],
  ];

  it.each(BAD)('%s is reported on its line', (_name, yaml, path, message) => {
    const [problem, ...others] = problemsOf(yaml);
    expect(problem).toEqual({ line: expect.any(Number), path, message: expect.stringMatching(message) });
    expect(others).toEqual([]);
    expect(problem?.line).toBe(markedLine(yaml));
  });

  it.each([
    ['a third rate for both dimensions settles two that match equally well', '{ a: 1, b: 1 }', 0],
    ['a third rate that asks for more than both settles nothing', '{ a: 1, b: 1, c: 1 }', 1],
    ['a third rate for another value settles nothing', '{ a: 1, b: 2 }', 1],
    ['a third rate for one of them settles nothing', '{ a: 2 }', 1],
  ])('%s', (_name, match, problems) => {
    const rates = ['{ a: 1 }', '{ b: 1 }', match].map(
      (dimensions) => `  - { meter: m, unit: u, credits: 1, match: ${dimensions} }\n`,
    );
    const found = parseCatalog(`${BUCKETS}rates:\n${rates.join('')}`);
    const ambiguous = found.ok ? [] : found.problems.filter(({ message }) => message.includes('ambiguous'));
    expect(ambiguous.length > 0 ? 1 : 0).toBe(problems);
  });

  it('of syntax is reported where it is noticed, at the latest on the next line', () => {
    const yaml = `${BUCKETS}plans: [ {key: a, # here\nrates: 5\n`;
    const [problem, ...others] = problemsOf(yaml);
    expect(others).toEqual([]);
    expect([markedLine(yaml), markedLine(yaml) + 1]).toContain(problem?.line);
  });

  it('does not hide the others: all are reported, each on its line', () => {
    const yaml = `${BUCKETS}policies:\n  commandCeiling: x\n  latenessDays: -1\n  other: 1\nmore: 2\n`;
    expect(
      problemsOf(yaml)
        .map(({ line, path }) => [line, path])
        .sort(),
    ).toEqual(
      [
        [5, 'policies.commandCeiling'],
        [6, 'policies.latenessDays'],
        [7, 'policies.other'],
        [8, 'more'],
      ].sort(),
    );
  });

  it('counts lines the same with Windows line ends and after comments', () => {
    const yaml = `# a comment\n\n${BUCKETS}policies:\n  latenessDays: x # here\n`;
    expect(problemsOf(yaml)[0]?.line).toBe(markedLine(yaml));
    expect(problemsOf(yaml.replaceAll('\n', '\r\n'))[0]?.line).toBe(markedLine(yaml));
  });

  it('with an alias bomb is reported rather than expanded or thrown', () => {
    const level = (name: string, of: string) =>
      `${name}: &${name} [${Array.from({ length: 10 }, () => of).join(',')}]\n`;
    const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
    const bomb = names.map((name, index) => level(name, index === 0 ? 'x' : `*${names[index - 1]}`)).join('');
    expect(problemsOf(BUCKETS + bomb).length).toBeGreaterThan(0);
  });

  it.each(['', '~', 'hello', '- a\n', '{}', '\0', '# nothing\n', '42'])(
    'is reported for %j, which is no catalog',
    (yaml) => {
      const problems = problemsOf(yaml);
      expect(problems.length).toBeGreaterThan(0);
      expect(problems[0]?.line).toBe(1);
    },
  );

  it('is reported, and nothing thrown, for any text', () => {
    const text = fc.oneof(
      fc.string(),
      fc
        .array(
          fc.constantFrom(
            'buckets:',
            '\n',
            '  - ',
            '{',
            '}',
            '[',
            '*a',
            '&a ',
            'key: a',
            '"',
            ': ',
            '!!int ',
            '| ',
            '? ',
          ),
          { maxLength: 12 },
        )
        .map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(text, (yaml) => {
        const result = parseCatalog(yaml);
        expect(result.ok).toBe(false);
        for (const { line } of result.ok ? [] : result.problems) {
          expect(line).toBeGreaterThanOrEqual(1);
          expect(line).toBeLessThanOrEqual(yaml.split(/\r\n|\r|\n/).length + 1);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('is written for people with its line, and its path where it has one', () => {
    expect(formatProblem({ line: 3, path: 'plans.0', message: 'is wrong' })).toBe('line 3: plans.0: is wrong');
    expect(formatProblem({ line: 3, path: '', message: 'is wrong' })).toBe('line 3: is wrong');
  });
});

describe('the instant from which rates price usage', () => {
  it.each([
    ['2027-01-01T00:00:00Z', '2027-01-01T00:00:00.000Z'],
    ['"2027-01-01T00:00:00.250+02:00"', '2026-12-31T22:00:00.250Z'],
  ])('may be %s', (text, at) => {
    const { ratesEffectiveAt } = parsed(`${BUCKETS}ratesEffectiveAt: ${text}\n`);
    expect(new Date(ratesEffectiveAt ?? 0).toISOString()).toBe(at);
  });

  it('is that of applying them where the catalog does not name one', () => {
    expect(parsed(BUCKETS).ratesEffectiveAt).toBeNull();
  });

  it.each([
    '2027-01-01',
    '2027-01-01T00:00:00',
    '2027-01-01 00:00:00Z',
    '2027-02-30T00:00:00Z',
    '2027-01-01T24:00:00Z',
    '1798761600',
    'tomorrow',
    '[]',
  ])('may not be %s, which names no instant', (text) => {
    const yaml = `${BUCKETS}ratesEffectiveAt: ${text} # here\n`;
    expect(problemsOf(yaml)).toMatchObject([{ line: markedLine(yaml), path: 'ratesEffectiveAt' }]);
  });
});

describe('the text of a catalog', () => {
  it('has at most a million characters', () => {
    const filled = BUCKETS + '#'.repeat(1_000_000 - BUCKETS.length);
    expect(problemsOf(filled)).toEqual([]);
    expect(problemsOf(`${filled}#`)).toEqual([
      { line: 1, path: '', message: 'a catalog has at most 1,000,000 characters' },
    ]);
  });

  it.each(['\0', '\ud800'])('is text that can be stored: %j in a comment is refused', (character) => {
    expect(problemsOf(`${BUCKETS}# ${character}\n`)).toMatchObject([
      { line: 1, message: expect.stringContaining('valid text') },
    ]);
  });
});

describe('rates of one meter', () => {
  it('may differ in dimensions that exclude each other or include each other', () => {
    const yaml = `${BUCKETS}rates:
  - { meter: m, unit: u, credits: 1 }
  - { meter: m, unit: u, credits: 2, match: { a: 1 } }
  - { meter: m, unit: u, credits: 3, match: { a: 2 } }
  - { meter: m, unit: u, credits: 4, match: { a: "1" } }
  - { meter: m, unit: u, credits: 5, match: { a: 1, b: 1 } }
  - { meter: n, unit: u, credits: 6, match: { a: 1 } }
`;
    expect(parsed(yaml).rates).toHaveLength(6);
  });

  it('may be alike where one is for previews', () => {
    const yaml = `${BUCKETS}rates:
  - { meter: m, unit: u, credits: 1 }
  - { meter: m, unit: u, credits: 2, preview: true }
  - { meter: m, unit: u, credits: 3, match: { a: 1 }, preview: false }
  - { meter: m, unit: u, credits: 4, match: { b: 1 }, preview: true }
`;
    expect(parsed(yaml).rates.map((rate) => rate.preview)).toEqual([false, true, false, true]);
  });
});

describe('a rate', () => {
  const rateOf = (...lines: readonly string[]) => parsed(rateWith(...lines)).rates[0];

  it.each(['FLAT', 'PER_UNIT', 'PACKAGE'])('of shape %s has its price in credits', (shape) => {
    expect(rateOf(`shape: ${shape}`, 'credits: 2', 'per: 0.5')).toMatchObject({
      shape,
      credits: decimal('2'),
      per: decimal('0.5'),
      tiers: [],
    });
  });

  it.each(['GRADUATED', 'VOLUME'])('of shape %s has its price in tiers, the first of which stands for it', (shape) => {
    const rate = rateOf(
      `shape: ${shape}`,
      'per: 1000',
      'tiers:',
      '  - { upTo: 0.000000000000000001, credits: 0.3 }',
      '  - { upTo: 999999999999999999999999, credits: 0.25 }',
      '  - { upTo: , credits: 0 }',
    );
    expect(rate).toMatchObject({ shape, per: decimal('1000'), credits: decimal('0.3') });
    expect(rate?.tiers).toEqual([
      { upTo: decimal('0.000000000000000001'), credits: decimal('0.3') },
      { upTo: decimal('999999999999999999999999'), credits: decimal('0.25') },
      { upTo: null, credits: decimal('0') },
    ]);
  });

  it('may have one tier, or fifty', () => {
    expect(rateOf('shape: VOLUME', 'tiers: [{ credits: 5 }]')?.credits).toEqual(decimal('5'));
    const tiers = Array.from({ length: 49 }, (_, index) => `{ upTo: ${index + 1}, credits: 1 }`).join(', ');
    expect(rateOf('shape: VOLUME', `tiers: [${tiers}, { credits: 1 }]`)?.tiers).toHaveLength(50);
  });

  it('has free units, a minimum and a rounding', () => {
    const rate = rateOf('credits: 1', 'freeUnits: 12.5', 'minimumCredits: 0.5', 'roundTo: 0.25', 'rounding: DOWN');
    expect(rate).toMatchObject({
      freeUnits: decimal('12.5'),
      minimum: credits('0.5'),
      rounding: { increment: credits('0.25'), mode: 'DOWN' },
    });
  });

  it('may have a minimum that is no multiple of roundTo where rounding raises it', () => {
    expect(rateOf('credits: 1', 'minimumCredits: 0.2', 'roundTo: 1', 'rounding: UP')?.minimum).toBe(credits('0.2'));
    expect(rateOf('credits: 1', 'minimumCredits: 0.5', 'roundTo: 1')?.minimum).toBe(credits('0.5'));
  });

  it('may have dimensions of 1,000 bytes', () => {
    const model = 'x'.repeat(1_000 - '{"model":""}'.length);
    expect(rateOf('credits: 1', `match: { model: ${model} }`)?.match).toEqual({ model });
    expect(problemsOf(rateWith('credits: 1', `match: { model: ${model}x }`))).toHaveLength(1);
  });

  it('has every mistake in it reported at once', () => {
    const yaml = rateWith(
      'shape: GRADUATED',
      'credits: 1',
      'tiers:',
      '  - { credits: 1 }',
      '  - { upTo: 5, credits: 1 }',
    );
    expect(problemsOf(yaml).map(({ path }) => path)).toEqual([
      'rates.0.tiers.0.upTo',
      'rates.0.tiers.1.upTo',
      'rates.0.credits',
    ]);
  });
});
