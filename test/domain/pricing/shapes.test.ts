/** What each shape of rate charges, in numbers computed by hand. */
import { describe, expect, it } from 'vitest';
import { add, formatDecimal, ZERO_DECIMAL } from '../../../src/domain/credits/decimal.ts';
import { formatCredits } from '../../../src/domain/credits/micros.ts';
import { countUnits, type PricedUsage, priceUsage, type UsageQuantity } from '../../../src/domain/pricing/price.ts';
import { chargeable, priceUnits, unitsByTier } from '../../../src/domain/pricing/price-units.ts';
import { isCounted, type Rate, rateCard, rateKey } from '../../../src/domain/pricing/rate-card.ts';
import { isRefusal } from '../../../src/domain/refusals.ts';
import { instant } from '../../../src/domain/time/instant.ts';
import { aRate, aTieredRate, decimal, type Tiers, usageOf } from '../../support/builders-values.ts';

/** The price of `quantity` units of a rate that has charged `before` in the period. */
function priceAfter(before: string, rate: Rate, quantity: string): string {
  const price = priceUnits(rate, decimal(quantity), decimal(before));
  if (price === undefined) throw new Error('does not fit');
  return formatCredits(price);
}

const price = (rate: Rate, quantity: string): string => priceAfter('0', rate, quantity);

/** Prices lines where each rate has charged what `charged` says by its key; keys that are not asked for may be absent. */
function priced(
  rates: readonly Rate[],
  usage: readonly UsageQuantity[],
  charged: ReadonlyMap<string, string> = new Map(),
): PricedUsage {
  const card = rateCard(1, instant(0), rates);
  const result = priceUsage(card, usage, (meter, rate) => decimal(charged.get(`${meter} ${rate}`) ?? '0'));
  if (isRefusal(result)) throw new Error(result.code);
  return result;
}

const pricesOf = ({ lines }: PricedUsage): string[] => lines.map((line) => formatCredits(line.credits));

describe('a package rate', () => {
  const rate = aRate('m', '3', { shape: 'PACKAGE', per: '100' });

  it.each([
    ['0', '0'],
    ['0.000000000000000001', '3'],
    ['1', '3'],
    ['99.999', '3'],
    ['100', '3'],
    ['100.000000000000000001', '6'],
    ['101', '6'],
    ['250', '9'],
  ])('of 3 credits per started 100 charges %s units %s', (quantity, expected) => {
    expect(price(rate, quantity)).toBe(expected);
  });

  it('starts a block anew with every line', () => {
    expect(pricesOf(priced([rate], [usageOf('m', '50'), usageOf('m', '50')]))).toEqual(['3', '3']);
  });

  it('counts blocks of a fraction of a unit', () => {
    expect(price(aRate('m', '1', { shape: 'PACKAGE', per: '0.3' }), '1')).toBe('4');
  });

  it('refuses blocks that cost more than any wallet can hold', () => {
    expect(priceUnits(rate, decimal('999999999999999999999999'), ZERO_DECIMAL)).toBeUndefined();
  });
});

/** 0–100 at 1, 100–200 at 0.5, everything beyond at 0.1. */
const TIERS: Tiers = [
  ['100', '1'],
  ['200', '0.5'],
  [null, '0.1'],
];

describe('a graduated rate', () => {
  const rate = aTieredRate('m', 'GRADUATED', TIERS);

  it.each([
    ['0', '0', '0'],
    ['0', '1', '1'],
    ['0', '100', '100'],
    ['0', '101', '100.5'],
    ['0', '200', '150'],
    ['0', '250', '155'],
    ['0', '1200', '250'],
    // From within a tier, from a bound, across two bounds, and past all of them.
    ['50', '30', '30'],
    ['50', '100', '75'],
    ['100', '1', '0.5'],
    ['99.5', '1', '0.75'],
    ['50', '200', '105'],
    ['200', '10', '1'],
    ['5000', '10', '1'],
    ['200', '0', '0'],
  ])('that has charged %s units charges %s more %s', (before, quantity, expected) => {
    expect(priceAfter(before, rate, quantity)).toBe(expected);
  });

  it('has one price where it has one tier', () => {
    const single = aTieredRate('m', 'GRADUATED', [[null, '2']], { per: '10' });
    expect(priceAfter('0', single, '5')).toBe('1');
    expect(priceAfter('12345', single, '5')).toBe('1');
  });

  it('is rounded once, not per tier', () => {
    // Three tiers with 1/3 of a micro each: the sum is one micro, while rounded tiers would come to nothing.
    const thirds = aTieredRate(
      'm',
      'GRADUATED',
      [
        ['1', '0.000001'],
        ['2', '0.000001'],
        [null, '0.000001'],
      ],
      { per: '3' },
    );
    expect(price(thirds, '3')).toBe('0.000001');
    expect(price(thirds, '1')).toBe('0');
  });

  it('counts a period’s units beyond 24 digits without failing', () => {
    const most = decimal('999999999999999999999999');
    const before = add(add(most, most), decimal('0.000000000000000001'));
    expect(formatDecimal(before)).toHaveLength(44);
    expect(priceUnits(rate, decimal('10'), before)).toBe(1_000_000n);
    expect(priceUnits(aRate('m', '0', { freeUnits: '1' }), most, before)).toBe(0n);
    const usage = Array.from({ length: 100 }, () => usageOf('n', '999999999999999999999999'));
    const free = priced(
      [
        aTieredRate('n', 'VOLUME', [
          ['1', '1'],
          [null, '0'],
        ]),
      ],
      usage,
    );
    expect(free.total).toBe(0n);
    expect(free.counted.map(({ quantity }) => formatDecimal(quantity))).toEqual(['99999999999999999999999900']);
  });

  it('refuses what no wallet can hold', () => {
    expect(priceUnits(rate, decimal('999999999999999999999999'), ZERO_DECIMAL)).toBeUndefined();
  });
});

describe('unitsByTier', () => {
  it('says how many units each tier has of a line', () => {
    const { tiers } = aTieredRate('m', 'GRADUATED', TIERS);
    const parts = unitsByTier(tiers, { start: decimal('50'), end: decimal('230') });
    expect(parts.map(({ tier, units }) => [formatDecimal(tier.credits), formatDecimal(units)])).toEqual([
      ['1', '50'],
      ['0.5', '100'],
      ['0.1', '30'],
    ]);
    expect(unitsByTier(tiers, { start: decimal('100'), end: decimal('100') })).toEqual([]);
  });
});

describe('a volume rate', () => {
  const rate = aTieredRate('m', 'VOLUME', TIERS);

  it.each([
    ['0', '0', '0'],
    ['0', '100', '100'],
    // One unit more makes all of them cheaper.
    ['0', '101', '50.5'],
    ['0', '200', '100'],
    ['0', '250', '25'],
    // The tier is that of the last unit, for all units of the line, and for none before.
    ['99', '1', '1'],
    ['99', '2', '1'],
    ['50', '200', '20'],
    ['200', '10', '1'],
    ['250', '0', '0'],
  ])('that has charged %s units charges %s more %s', (before, quantity, expected) => {
    expect(priceAfter(before, rate, quantity)).toBe(expected);
  });

  it('does not price earlier lines again', () => {
    expect(pricesOf(priced([rate], [usageOf('m', '100'), usageOf('m', '100'), usageOf('m', '1')]))).toEqual([
      '100',
      '50',
      '0.1',
    ]);
  });
});

describe('free units', () => {
  it.each([
    ['0', '5', '0'],
    ['0', '10', '0'],
    ['0', '12', '4'],
    ['4', '6', '0'],
    ['4', '7', '2'],
    ['10', '1', '2'],
    ['9.5', '1', '1'],
    ['100', '3', '6'],
    ['3', '0', '0'],
  ])('of a rate per unit, 10, of which %s are used, leave %s units to cost %s', (before, quantity, expected) => {
    expect(priceAfter(before, aRate('m', '2', { freeUnits: '10' }), quantity)).toBe(expected);
  });

  it.each([
    ['0', '10', '0'],
    ['0', '10.1', '7'],
    ['9', '1', '0'],
    ['9', '2', '7'],
    ['10', '1', '7'],
    ['10', '0', '0'],
  ])('of a flat rate, 10, of which %s are used, let %s units pass for %s', (before, quantity, expected) => {
    expect(priceAfter(before, aRate('m', '7', { shape: 'FLAT', freeUnits: '10' }), quantity)).toBe(expected);
  });

  it('let the first calls of a flat rate pass where each is one unit', () => {
    const usage = Array.from({ length: 5 }, () => usageOf('m', '1'));
    const rates = [aRate('m', '7', { shape: 'FLAT', freeUnits: '3' })];
    expect(pricesOf(priced(rates, usage))).toEqual(['0', '0', '0', '7', '7']);
  });

  it.each([
    ['0', '10', '0'],
    ['0', '11', '3'],
    ['0', '110', '3'],
    ['0', '110.5', '6'],
    ['5', '105', '3'],
  ])(
    'of a package rate, 10, of which %s are used, are not in the blocks of %s units: %s',
    (before, quantity, expected) => {
      const rate = aRate('m', '3', { shape: 'PACKAGE', per: '100', freeUnits: '10' });
      expect(priceAfter(before, rate, quantity)).toBe(expected);
    },
  );

  it.each([
    ['GRADUATED', '0', '10', '0'],
    ['GRADUATED', '0', '110', '100'],
    ['GRADUATED', '0', '111', '100.5'],
    ['GRADUATED', '60', '100', '75'],
    ['VOLUME', '0', '10', '0'],
    ['VOLUME', '0', '110', '100'],
    ['VOLUME', '0', '111', '50.5'],
    ['VOLUME', '5', '106', '50.5'],
  ] as const)('come before the tiers of a %s rate: after %s, %s cost %s', (shape, before, quantity, expected) => {
    expect(priceAfter(before, aTieredRate('m', shape, TIERS, { freeUnits: '10' }), quantity)).toBe(expected);
  });

  it('are taken off the beginning of the period', () => {
    expect(chargeable(decimal('5'), decimal('8'), decimal('10'))).toEqual({ start: decimal('0'), end: decimal('3') });
    expect(chargeable(decimal('5'), decimal('12'), decimal('10'))).toEqual({ start: decimal('2'), end: decimal('7') });
    expect(chargeable(decimal('1'), decimal('2'), decimal('10'))).toEqual({ start: decimal('0'), end: decimal('0') });
  });
});

describe('the minimum of a rate', () => {
  const rate = aRate('m', '0.01', { minimum: '0.5', freeUnits: '10' });

  it.each([
    ['0', '0', '0'],
    ['0', '10', '0'],
    ['0', '11', '0.5'],
    ['10', '0.001', '0.5'],
    ['10', '50', '0.5'],
    ['10', '51', '0.51'],
    ['10', '0', '0'],
  ])('after %s units makes %s more cost %s', (before, quantity, expected) => {
    expect(priceAfter(before, rate, quantity)).toBe(expected);
  });

  it('applies to units that a tier prices at nothing, because they are no free units', () => {
    const tiers: Tiers = [
      ['5', '0'],
      [null, '1'],
    ];
    expect(price(aTieredRate('m', 'GRADUATED', tiers, { minimum: '0.1' }), '5')).toBe('0.1');
    expect(price(aTieredRate('m', 'GRADUATED', tiers), '5')).toBe('0');
  });

  it('applies to each line', () => {
    const rates = [aRate('m', '0.01', { minimum: '0.5' })];
    expect(pricesOf(priced(rates, [usageOf('m', '1'), usageOf('m', '1')]))).toEqual(['0.5', '0.5']);
  });

  it('holds at every shape', () => {
    expect(price(aRate('m', '0.1', { shape: 'FLAT', minimum: '2' }), '1')).toBe('2');
    expect(price(aRate('m', '0.1', { shape: 'PACKAGE', minimum: '2' }), '1')).toBe('2');
    expect(price(aTieredRate('m', 'VOLUME', [[null, '0.1']], { minimum: '2' }), '1')).toBe('2');
  });

  it('is compared with the exact price, not with the rounded one', () => {
    const thirds = aRate('m', '1', { per: '3', minimum: '0.333333' });
    expect(price(thirds, '1')).toBe('0.333333');
    expect(price({ ...thirds, rounding: { ...thirds.rounding, mode: 'UP' } }, '1')).toBe('0.333334');
  });
});

describe('the rounding of a rate', () => {
  it.each([
    ['0.01', 'HALF_UP', '1', '0.33'],
    ['0.01', 'UP', '1', '0.34'],
    ['0.01', 'DOWN', '2', '0.66'],
    ['1', 'UP', '1', '1'],
    ['1', 'UP', '3', '1'],
    ['1', 'UP', '3.000000000000000001', '2'],
    ['1', 'HALF_UP', '1.5', '1'],
    ['1', 'HALF_UP', '1.499999999999999999', '0'],
    ['1', 'DOWN', '2.999999999999999999', '0'],
    ['5', 'UP', '0.1', '5'],
    ['1', 'UP', '0', '0'],
  ] as const)('to multiples of %s, %s, makes %s thirds %s', (roundTo, rounding, quantity, expected) => {
    expect(price(aRate('m', '1', { per: '3', roundTo, rounding }), quantity)).toBe(expected);
  });

  it('comes after the minimum', () => {
    const rate = aRate('m', '1', { per: '100', minimum: '0.5', roundTo: '1', rounding: 'UP' });
    expect(price(rate, '1')).toBe('1');
  });

  it('leaves free usage free', () => {
    expect(price(aRate('m', '1', { freeUnits: '5', roundTo: '1', rounding: 'UP' }), '5')).toBe('0');
    expect(price(aRate('m', '0', { roundTo: '1', rounding: 'UP' }), '5')).toBe('0');
  });
});

describe('counted units', () => {
  const rates = [
    aTieredRate('storage', 'GRADUATED', TIERS),
    aTieredRate('storage', 'GRADUATED', TIERS, { match: { region: 'eu' } }),
    aTieredRate('storage', 'GRADUATED', TIERS, { preview: true }),
    aRate('search', '1', { freeUnits: '10' }),
    aRate('scrape', '1'),
  ];
  const [anyKey, euKey, previewKey] = rates.map(rateKey);

  it('are those of rates with tiers or free units, once per rate, in order of appearance', () => {
    const usage = [
      usageOf('search', '3'),
      usageOf('storage', '1.5', { region: 'eu' }),
      usageOf('scrape', '100'),
      usageOf('storage', '2', { region: 'us' }),
      usageOf('storage', '4', null, true),
      usageOf('search', '5', { any: 1 }),
    ];
    const expected = [
      { meter: 'search', rate: '{"match":{},"preview":false}', quantity: decimal('8') },
      { meter: 'storage', rate: '{"match":{"region":"eu"},"preview":false}', quantity: decimal('1.5') },
      { meter: 'storage', rate: '{"match":{},"preview":false}', quantity: decimal('2') },
      { meter: 'storage', rate: '{"match":{},"preview":true}', quantity: decimal('4') },
    ];
    expect(priced(rates, usage).counted).toEqual(expected);
    expect(countUnits(rateCard(1, instant(0), rates), usage)).toEqual(expected);
  });

  it('leave out lines of quantity 0, and lines that no rate matches', () => {
    const usage = [usageOf('search', '0'), usageOf('fly', '1'), usageOf('search', '1', null, true)];
    expect(countUnits(rateCard(1, instant(0), rates), usage)).toEqual([]);
  });

  it('of earlier lines come before those of later ones, and after those charged before the command', () => {
    const charged = new Map([[`storage ${anyKey}`, '90']]);
    const usage = [usageOf('storage', '10'), usageOf('storage', '10'), usageOf('storage', '95')];
    expect(pricesOf(priced(rates, usage, charged))).toEqual(['10', '5', '45.5']);
  });

  it('of one rate are not those of another of the meter', () => {
    const charged = new Map([
      [`storage ${anyKey}`, '200'],
      [`storage ${euKey}`, '100'],
      [`storage ${previewKey}`, '0'],
    ]);
    const usage = [
      usageOf('storage', '1'),
      usageOf('storage', '1', { region: 'eu' }),
      usageOf('storage', '1', null, true),
    ];
    expect(pricesOf(priced(rates, usage, charged))).toEqual(['0.1', '0.5', '1']);
  });

  it('are asked for only where they are counted', () => {
    const asked: string[] = [];
    const usage = [usageOf('scrape', '1'), usageOf('search', '0'), usageOf('storage', '1')];
    priceUsage(rateCard(1, instant(0), rates), usage, (meter) => {
      asked.push(meter);
      return ZERO_DECIMAL;
    });
    expect(asked).toEqual(['storage']);
  });

  it.each([
    [aRate('m', '1'), false],
    [aRate('m', '1', { shape: 'FLAT' }), false],
    [aRate('m', '1', { shape: 'PACKAGE', minimum: '1', roundTo: '1' }), false],
    [aRate('m', '1', { freeUnits: '0.1' }), true],
    [aRate('m', '1', { shape: 'FLAT', freeUnits: '1' }), true],
    [aTieredRate('m', 'GRADUATED', TIERS), true],
    [aTieredRate('m', 'VOLUME', TIERS), true],
  ])('%# belong to a rate whose price depends on them', (rate, expected) => {
    expect(isCounted(rate)).toBe(expected);
  });
});

describe('the key of a rate', () => {
  it('is the same in any version of the rate card, whatever the price', () => {
    const rate = aRate('m', '1', { match: { b: 'x', a: 1.0 } });
    const repriced = aTieredRate('m', 'VOLUME', TIERS, { match: { a: 1, b: 'x' }, freeUnits: '3', unit: 'page' });
    expect(rateKey(repriced)).toBe(rateKey(rate));
    expect(rateKey(aRate('m', '1', { match: {} }))).toBe(rateKey(aRate('m', '1')));
  });

  it('tells dimensions, their types and previews apart', () => {
    const keys = [
      aRate('m', '1'),
      aRate('m', '1', { preview: true }),
      aRate('m', '1', { match: { preview: true } }),
      aRate('m', '1', { match: { a: 1 } }),
      aRate('m', '1', { match: { a: '1' } }),
      aRate('m', '1', { match: { a: true } }),
      aRate('m', '1', { match: { a: 'true' } }),
    ].map(rateKey);
    expect(new Set(keys).size).toBe(keys.length);
  });
});
