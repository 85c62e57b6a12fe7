import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../src/domain/canonical.ts';
import { formatDecimal, ZERO_DECIMAL } from '../../../src/domain/credits/decimal.ts';
import { formatCredits, micros, sum } from '../../../src/domain/credits/micros.ts';
import { type PricedUsage, priceUsage, rateCardAt, type UsageQuantity } from '../../../src/domain/pricing/price.ts';
import { type Rate, rateCard } from '../../../src/domain/pricing/rate-card.ts';
import { isRefusal } from '../../../src/domain/refusals.ts';
import { instant } from '../../../src/domain/time/instant.ts';
import { aRate, at, decimal, usageOf } from '../../support/builders-values.ts';

const answer = (rates: readonly Rate[], usage: readonly UsageQuantity[]) =>
  priceUsage(rateCard(3, instant(0), rates), usage, () => ZERO_DECIMAL);

function priced(rates: readonly Rate[], usage: readonly UsageQuantity[]): PricedUsage {
  const result = answer(rates, usage);
  if (isRefusal(result)) throw new Error(`not priced: ${JSON.stringify(result, (_key, value) => String(value))}`);
  return result;
}

const priceOf = (rates: readonly Rate[], ...usage: readonly UsageQuantity[]): string =>
  formatCredits(priced(rates, usage).total);

describe('a rate per unit', () => {
  it.each([
    ['1', '1', '3', '3'],
    ['0.5', '1000', '1', '0.0005'],
    ['0.5', '1000', '1500', '0.75'],
    ['1', '3', '1', '0.333333'],
    ['1', '3', '2', '0.666667'],
    ['0.0000005', '1', '1', '0.000001'],
    ['0.0000004999999999', '1', '1', '0'],
    ['1.5', '1', '0.333333333333333333', '0.5'],
    ['0.1', '1', '0.1', '0.01'],
    ['2', '0.5', '1', '4'],
    ['7', '1', '0', '0'],
    ['0', '1', '1000000', '0'],
    ['0.1234567890123456', '1', '1000000', '123456.789012'],
  ])('of %s per %s charges %s units %s', (price, per, quantity, expected) => {
    expect(priceOf([aRate('m', price, { per })], usageOf('m', quantity))).toBe(expected);
  });

  it('is exact where the product of quantity and rate needs far more than 64 bits', () => {
    const rate = aRate('m', '0.000000000000000001', { per: '1000000' });
    expect(priceOf([rate], usageOf('m', '999999999999999999999999'))).toBe('1');
  });

  it('refuses, with the line, a quantity that costs more than any wallet can hold', () => {
    const usage = [usageOf('m', '1'), usageOf('m', '999999999999999999999999')];
    expect(answer([aRate('m', '1')], usage)).toEqual({
      code: 'INVALID_INPUT',
      path: ['usage', '1', 'quantity'],
      reason: 'costs more than any wallet can hold',
    });
  });

  it('refuses a sum of lines that no wallet can hold although each line fits', () => {
    const usage = [usageOf('m', '9223372036854'), usageOf('m', '1')];
    expect(answer([aRate('m', '1')], usage)).toMatchObject({ code: 'INVALID_INPUT', path: ['usage'] });
    expect(priceOf([aRate('m', '1')], usageOf('m', '9223372036853'), usageOf('m', '1'))).toBe('9223372036854');
  });
});

describe('a flat rate', () => {
  const rates = [aRate('agent.start', '5', { shape: 'FLAT' })];

  it.each(['1', '2', '0.001', '1000000'])('charges the same for %s units', (quantity) => {
    expect(priceOf(rates, usageOf('agent.start', quantity))).toBe('5');
  });

  it('charges nothing for nothing', () => {
    expect(priceOf(rates, usageOf('agent.start', '0'))).toBe('0');
  });
});

describe('the rate that applies', () => {
  const rates = [
    aRate('llm', '1'),
    aRate('llm', '2', { match: { model: 'large' } }),
    aRate('llm', '3', { match: { model: 'large', region: 'eu' } }),
    aRate('llm', '4', { match: { region: 'us' } }),
    aRate('search', '9'),
  ];

  it.each<[JsonObject | null, string]>([
    [null, '1'],
    [{}, '1'],
    [{ model: 'small' }, '1'],
    [{ model: 'large' }, '2'],
    [{ model: 'large', region: 'ap' }, '2'],
    [{ region: 'eu', model: 'large', more: 1 }, '3'],
    [{ region: 'us' }, '4'],
    [{ Model: 'large' }, '1'],
  ])('to dimensions %j is the most specific that matches', (dimensions, expected) => {
    expect(priceOf(rates, usageOf('llm', '1', dimensions))).toBe(expected);
  });

  it('does not depend on the order in which rates are written', () => {
    const dimensions = fc.subarray<[string, string]>([
      ['model', 'large'],
      ['region', 'eu'],
      ['tier', 'x'],
    ]);
    fc.assert(
      fc.property(fc.shuffledSubarray(rates, { minLength: rates.length }), dimensions, (shuffled, pairs) => {
        const line = usageOf('llm', '1', Object.fromEntries(pairs));
        expect(priceOf(shuffled, line)).toBe(priceOf(rates, line));
      }),
    );
  });

  it.each<[JsonObject, JsonObject]>([
    [{ size: 1 }, { size: '1' }],
    [{ size: true }, { size: 'true' }],
    [{ size: 1 }, { size: 1.5 }],
    [{ size: false }, { size: 0 }],
    [{ size: 'a' }, { size: 'A' }],
    [{ size: 'a' }, { size: 'a ' }],
    [{ toString: 'x' }, {}],
  ])('for %j is not applied to %j: values are compared as JSON', (match, dimensions) => {
    expect(answer([aRate('m', '1', { match })], [usageOf('m', '1', dimensions)])).toMatchObject({
      code: 'UNKNOWN_METER',
    });
  });

  it('is found for numbers of one value, however written', () => {
    expect(priceOf([aRate('m', '1', { match: { size: 1.0 } })], usageOf('m', '1', { size: 1 }))).toBe('1');
  });

  it('does not exist for an unknown meter, which is named with its dimensions', () => {
    expect(answer(rates, [usageOf('search', '1'), usageOf('fly', '1', { far: true })])).toEqual({
      code: 'UNKNOWN_METER',
      meter: 'fly',
      dimensions: { far: true },
    });
    expect(answer(rates, [usageOf('__proto__', '1')])).toMatchObject({ code: 'UNKNOWN_METER', meter: '__proto__' });
    expect(answer([], [usageOf('search', '1')])).toMatchObject({ code: 'UNKNOWN_METER' });
  });
});

describe('priced usage', () => {
  it('is rounded once per line, and the total is the sum of the lines', () => {
    // Each line is 0.0000005, rounded up to 0.000001; the exact sum would be 0.0000015.
    const usage = [usageOf('m', '1'), usageOf('m', '1'), usageOf('m', '1')];
    const { lines, total } = priced([aRate('m', '0.0000005')], usage);
    expect(lines.map((line) => line.credits)).toEqual([1n, 1n, 1n]);
    expect(total).toBe(3n);
  });

  it('keeps every line as it was given, in order, with the rate in words and the version of the card', () => {
    const rates = [aRate('m', '0.5', { per: '1000', unit: 'token' }), aRate('n', '5', { shape: 'FLAT' })];
    expect(priced(rates, [usageOf('n', '2'), usageOf('m', '2000', { model: 'x' })])).toEqual({
      rateCardVersion: 3,
      total: 6_000_000n,
      counted: [],
      lines: [
        {
          meter: 'n',
          quantity: decimal('2'),
          rate: '5 credits flat',
          credits: 5_000_000n,
          waived: 0n,
          dimensions: null,
          preview: false,
        },
        {
          meter: 'm',
          quantity: decimal('2000'),
          rate: '0.5 credits per 1000 token',
          credits: 1_000_000n,
          waived: 0n,
          dimensions: { model: 'x' },
          preview: false,
        },
      ],
    });
  });

  it('equals, line by line, quantity × price ÷ per to half a micro, and Σ lines = total', () => {
    const amounts = fc.record({
      price: fc.stringMatching(/^\d{1,4}(\.\d{1,12})?$/),
      per: fc.stringMatching(/^[1-9]\d{0,3}$/),
      quantity: fc.stringMatching(/^\d{1,6}(\.\d{1,9})?$/),
    });
    fc.assert(
      fc.property(fc.array(amounts, { minLength: 1, maxLength: 5 }), (items) => {
        const rates = items.map(({ price, per }, index) => aRate(`m${index}`, price, { per }));
        const { lines, total } = priced(
          rates,
          items.map(({ quantity }, index) => usageOf(`m${index}`, quantity)),
        );
        expect(total).toBe(sum(lines.map((line) => line.credits)));
        for (const [index, { price, per, quantity }] of items.entries()) {
          const [p, q] = [decimal(price), decimal(quantity)];
          // Everything in units of 10^−30 × per, so that it is exact.
          const exact = p.coefficient * q.coefficient * 10n ** BigInt(30 - p.scale - q.scale);
          const charged = (lines[index]?.credits ?? 0n) * 10n ** 24n * BigInt(per);
          const error = charged > exact ? charged - exact : exact - charged;
          expect(2n * error).toBeLessThanOrEqual(10n ** 24n * BigInt(per));
        }
      }),
    );
  });

  it('is a function of rate card and usage alone: an estimate equals the charge', () => {
    const usage = [usageOf('m', '12.5')];
    expect(priced([aRate('m', '0.3')], usage)).toEqual(priced([aRate('m', '0.3')], usage));
  });
});

describe('a preview', () => {
  const rates = [
    aRate('scrape', '1'),
    aRate('scrape', '2', { match: { render_js: true } }),
    aRate('scrape', '0.1', { preview: true }),
    aRate('scrape', '0.2', { preview: true, match: { render_js: true } }),
    aRate('search', '9'),
    aRate('sketch', '3', { preview: true }),
  ];

  it.each<[boolean, JsonObject | null, string]>([
    [false, null, '1'],
    [false, { render_js: true }, '2'],
    [true, null, '0.1'],
    [true, { render_js: true }, '0.2'],
    // A dimension of that name is no preview.
    [false, { preview: true }, '1'],
  ])('(%s, %j) costs its own rate', (preview, dimensions, expected) => {
    expect(priceOf(rates, usageOf('scrape', '1', dimensions, preview))).toBe(expected);
  });

  it('without a rate of previews is unknown, and so is other usage of a rate of previews', () => {
    expect(answer(rates, [usageOf('search', '1', null, true)])).toMatchObject({ code: 'UNKNOWN_METER' });
    expect(answer(rates, [usageOf('sketch', '1')])).toMatchObject({ code: 'UNKNOWN_METER', meter: 'sketch' });
  });

  it('says so on its line', () => {
    const { lines } = priced(rates, [usageOf('scrape', '1', null, true), usageOf('scrape', '1')]);
    expect(lines.map((line) => line.preview)).toEqual([true, false]);
  });
});

describe('rateCardAt', () => {
  const cards = [
    rateCard(1, at('2026-01-01T00:00:00'), []),
    rateCard(2, at('2026-02-01T00:00:00'), []),
    rateCard(3, at('2026-03-01T00:00:00'), []),
  ];

  it.each([
    ['2026-01-15T00:00:00', 1],
    ['2026-01-31T23:59:59.999', 1],
    ['2026-02-01T00:00:00', 2],
    ['2026-02-28T23:59:59.999', 2],
    ['2030-01-01T00:00:00', 3],
    // Earlier than any: the oldest.
    ['2025-01-01T00:00:00', 1],
  ])('at %s is version %i', (moment, version) => {
    expect(rateCardAt(cards, at(moment)).version).toBe(version);
  });

  it('throws where there is none at all, which a catalog never lets happen', () => {
    expect(() => rateCardAt([], instant(0))).toThrow('at least one rate card');
  });
});

describe('a rate card', () => {
  it('keeps its rates as written beside the order in which they are tried', () => {
    const rates = [aRate('m', '1'), aRate('m', '2', { match: { a: 1 } }), aRate('n', '3')];
    const card = rateCard(1, instant(0), rates);
    expect(card.rates).toEqual(rates);
    expect(card.byMeter.get('m')?.map((rate) => formatDecimal(rate.credits))).toEqual(['2', '1']);
    expect([...card.byMeter.keys()].sort()).toEqual(['m', 'n']);
  });

  it('prices free meters at zero micros, not at nothing', () => {
    expect(priced([aRate('read', '0')], [usageOf('read', '5')])).toMatchObject({
      total: micros(0n),
      lines: [{ meter: 'read', credits: 0n }],
    });
  });
});
