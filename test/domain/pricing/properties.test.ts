/** What holds for every rate and any usage: exactness, splits into lines, monotony, specificity. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../src/domain/canonical.ts';
import {
  add,
  compareDecimals,
  type Decimal,
  isZero,
  multiply,
  ONE,
  subtract,
  ZERO_DECIMAL,
} from '../../../src/domain/credits/decimal.ts';
import { type Micros, sum } from '../../../src/domain/credits/micros.ts';
import {
  countUnits,
  type PricedUsage,
  priceUsage,
  type UnitsCharged,
  type UsageQuantity,
} from '../../../src/domain/pricing/price.ts';
import { chargeable, priceUnits, unitsByTier } from '../../../src/domain/pricing/price-units.ts';
import { type Rate, type RateTier, rateCard, rateKey } from '../../../src/domain/pricing/rate-card.ts';
import { isRefusal } from '../../../src/domain/refusals.ts';
import { instant } from '../../../src/domain/time/instant.ts';
import { aRate, aTieredRate, decimal, usageOf } from '../../support/builders-values.ts';

/** An integer of 10^−scale. */
const decimals = (scale: number, max: bigint): fc.Arbitrary<Decimal> =>
  fc.bigInt({ min: 0n, max }).map((coefficient) => multiply({ coefficient, scale }, ONE));

const quantities = fc.oneof(decimals(0, 500n), decimals(3, 500_000n), decimals(18, 500n * 10n ** 18n));
/** Mostly a quantity of which tiers and free units are of a size, sometimes one of any size. */
const charged = fc.oneof({ weight: 5, arbitrary: quantities }, { weight: 1, arbitrary: decimals(0, 10n ** 30n) });
const prices = fc.oneof(decimals(0, 20n), decimals(6, 20_000_000n), decimals(18, 10n ** 18n));
const blocks = fc.oneof(fc.constant(ONE), decimals(0, 100n), decimals(2, 1_000n)).filter((per) => !isZero(per));

const tiers: fc.Arbitrary<readonly RateTier[]> = fc
  .tuple(
    fc.array(
      fc.tuple(
        quantities.filter((width) => !isZero(width)),
        prices,
      ),
      { maxLength: 5 },
    ),
    prices,
  )
  .map(([bounded, last]) => {
    let end = ZERO_DECIMAL;
    const finite = bounded.map(([width, credits]): RateTier => {
      end = add(end, width);
      return { upTo: end, credits };
    });
    return [...finite, { upTo: null, credits: last }];
  });

/** A rate without minimum that rounds to the micro. */
const plain = fc
  .record({ tiers, credits: prices, per: blocks, freeUnits: fc.oneof(fc.constant(ZERO_DECIMAL), quantities) })
  .map((given) => ({ ...aRate('m', '0'), ...given }));
const flat = plain.map((rate): Rate => ({ ...rate, shape: 'FLAT', tiers: [] }));
const perUnit = plain.map((rate): Rate => ({ ...rate, shape: 'PER_UNIT', tiers: [] }));
const packaged = plain.map((rate): Rate => ({ ...rate, shape: 'PACKAGE', tiers: [] }));
const graduated = plain.map((rate): Rate => ({ ...rate, shape: 'GRADUATED' }));
const volume = plain.map((rate): Rate => ({ ...rate, shape: 'VOLUME' }));
const anyPlain = fc.oneof(flat, perUnit, packaged, graduated, volume);

const increments = fc.bigInt({ min: 1n, max: 5_000_000n }).map((value) => value as Micros);
const roundings = fc.record({ increment: increments, mode: fc.constantFrom('HALF_UP', 'UP', 'DOWN') });
/** Any rate that a catalog may have: its minimum is a multiple of what it rounds to. */
const anyRate = fc.tuple(anyPlain, roundings, fc.integer({ min: 0, max: 3 })).map(([rate, rounding, times]): Rate => {
  const minimum = (rounding.increment * BigInt(times)) as Micros;
  return { ...rate, rounding, minimum };
});

const NOTHING_CHARGED: UnitsCharged = () => ZERO_DECIMAL;

function priced(
  rates: readonly Rate[],
  usage: readonly UsageQuantity[],
  unitsCharged: UnitsCharged = NOTHING_CHARGED,
): PricedUsage {
  const result = priceUsage(rateCard(1, instant(0), rates), usage, unitsCharged);
  if (isRefusal(result)) throw new Error(`${result.code} of ${JSON.stringify(usage, (_key, value) => String(value))}`);
  return result;
}

const line = (quantity: Decimal): UsageQuantity => ({ ...usageOf('m', '0'), quantity });
const total = (parts: readonly Decimal[]): Decimal => parts.reduce(add, ZERO_DECIMAL);

function price(rate: Rate, quantity: Decimal, before: Decimal = ZERO_DECIMAL): Micros {
  const credits = priceUnits(rate, quantity, before);
  if (credits === undefined) throw new Error('does not fit');
  return credits;
}

/** The parts charged one after another, each with the counters that those before it left. */
function priceInTurn(rate: Rate, parts: readonly Decimal[], before: Decimal): Micros[] {
  return parts.map((part, index) => price(rate, part, add(before, total(parts.slice(0, index)))));
}

const splits = fc.array(quantities, { minLength: 1, maxLength: 8 });
const halfMicrosBetween = (a: bigint, b: bigint): bigint => 2n * (a > b ? a - b : b - a);

/** n quantities at one price differ from their sum by at most half a micro each and half a micro for the sum. */
function expectEqualButForRounding(parts: readonly Micros[], whole: Micros): void {
  expect(halfMicrosBetween(sum(parts), whole)).toBeLessThanOrEqual(BigInt(parts.length) + 1n);
}

describe('any rate', () => {
  it('never charges less than nothing, and nothing for nothing', () => {
    fc.assert(
      fc.property(anyRate, quantities, charged, (rate, quantity, before) => {
        expect(price(rate, quantity, before)).toBeGreaterThanOrEqual(0n);
        expect(price(rate, ZERO_DECIMAL, before)).toBe(0n);
      }),
    );
  });

  it('charges a multiple of its increment, no less than its minimum unless all units are free', () => {
    fc.assert(
      fc.property(anyRate, quantities, charged, (rate, quantity, before) => {
        const credits = price(rate, quantity, before);
        expect(credits % rate.rounding.increment).toBe(0n);
        const { start, end } = chargeable(quantity, before, rate.freeUnits);
        if (compareDecimals(start, end) === 0) expect(credits).toBe(0n);
        else expect(credits).toBeGreaterThanOrEqual(rate.minimum);
      }),
    );
  });

  it('rounds by less than an increment, and where it says so to the nearest, up or down', () => {
    const exact = { increment: 1n as Micros, mode: 'DOWN' } as const;
    fc.assert(
      fc.property(anyRate, quantities, charged, (rate, quantity, before) => {
        const { increment, mode } = rate.rounding;
        const down = price({ ...rate, rounding: exact }, quantity, before);
        const credits = price(rate, quantity, before);
        if (mode === 'DOWN') expect(credits).toBeLessThanOrEqual(down);
        if (mode === 'UP') expect(credits).toBeGreaterThanOrEqual(down);
        // `down` may lack what is less than a micro.
        if (mode === 'HALF_UP') expect(halfMicrosBetween(credits, down)).toBeLessThanOrEqual(increment + 2n);
        expect(halfMicrosBetween(credits, down)).toBeLessThanOrEqual(2n * increment);
      }),
    );
  });

  it('prices lines of one command as it prices commands one after another', () => {
    fc.assert(
      fc.property(anyRate, splits, charged, (rate, parts, before) => {
        const { lines, counted } = priced([rate], parts.map(line), () => before);
        expect(lines.map(({ credits }) => credits)).toEqual(priceInTurn(rate, parts, before));
        const units = total(parts);
        const isDependent = !isZero(units) && (rate.tiers.length > 0 || !isZero(rate.freeUnits));
        expect(counted).toEqual(isDependent ? [{ meter: 'm', rate: rateKey(rate), quantity: units }] : []);
        expect(countUnits(rateCard(1, instant(0), [rate]), parts.map(line))).toEqual(counted);
      }),
    );
  });

  it('depends on what the period has charged only where it is counted', () => {
    const uncounted = anyRate
      .filter((rate) => rate.tiers.length === 0)
      .map((rate) => ({ ...rate, freeUnits: ZERO_DECIMAL }));
    fc.assert(
      fc.property(uncounted, quantities, charged, (rate, quantity, before) => {
        expect(price(rate, quantity, before)).toBe(price(rate, quantity));
      }),
    );
  });

  it('charges no less for more units, and none the less for being later, except by volume or falling tiers', () => {
    const rates = fc.oneof(flat, perUnit, packaged, graduated);
    const rounded = fc.tuple(rates, roundings).map(([rate, rounding]): Rate => ({ ...rate, rounding }));
    fc.assert(
      fc.property(rounded, quantities, quantities, charged, (rate, quantity, more, before) => {
        const credits = price(rate, quantity, before);
        expect(price(rate, add(quantity, more), before)).toBeGreaterThanOrEqual(credits);
        if (rate.shape === 'GRADUATED') return;
        expect(price(rate, quantity, add(before, more))).toBeGreaterThanOrEqual(credits);
      }),
    );
  });

  it('is deaf to more digits than input may have: nothing throws', () => {
    const huge = decimals(18, 10n ** 60n);
    fc.assert(
      fc.property(anyRate, huge, huge, (rate, quantity, before) => {
        const credits = priceUnits(rate, quantity, before);
        if (credits !== undefined) expect(credits).toBeGreaterThanOrEqual(0n);
      }),
    );
  });
});

describe('a flat rate', () => {
  it('charges its price for any quantity beyond the free units', () => {
    fc.assert(
      fc.property(flat, quantities, charged, (rate, quantity, before) => {
        const isFree = isZero(quantity) || compareDecimals(add(before, quantity), rate.freeUnits) <= 0;
        const once = price({ ...rate, freeUnits: ZERO_DECIMAL }, ONE);
        expect(price(rate, quantity, before)).toBe(isFree ? 0n : once);
      }),
    );
  });

  it('charges every line that is not free, however a quantity is split', () => {
    fc.assert(
      fc.property(flat, splits, (rate, parts) => {
        const ends = parts.map((_, index) => total(parts.slice(0, index + 1)));
        const paid = parts.filter((part, index) => {
          const end = ends[index] ?? ZERO_DECIMAL;
          return !isZero(part) && compareDecimals(end, rate.freeUnits) > 0;
        });
        const once = price({ ...rate, freeUnits: ZERO_DECIMAL }, ONE);
        expect(sum(priceInTurn(rate, parts, ZERO_DECIMAL))).toBe(once * BigInt(paid.length));
      }),
    );
  });
});

describe('a rate per unit', () => {
  it('costs the same however a quantity is split, but for rounding', () => {
    fc.assert(
      fc.property(perUnit, splits, charged, (rate, parts, before) => {
        expectEqualButForRounding(priceInTurn(rate, parts, before), price(rate, total(parts), before));
      }),
    );
  });
});

describe('a package rate', () => {
  /** Of whole micros a block, so that rounding has no part in it. */
  const whole = packaged.map((rate): Rate => ({ ...rate, credits: decimal('0.75') }));

  it('costs no less where a quantity is split, and at most one block more for every split', () => {
    fc.assert(
      fc.property(whole, splits, charged, (rate, parts, before) => {
        const apart = sum(priceInTurn(rate, parts, before));
        const together = price(rate, total(parts), before);
        expect(apart).toBeGreaterThanOrEqual(together);
        expect(apart - together).toBeLessThanOrEqual(750_000n * BigInt(parts.length));
      }),
    );
  });

  it('costs no less than the same price in proportion, and less than one block more', () => {
    fc.assert(
      fc.property(whole, quantities, charged, (rate, quantity, before) => {
        const inProportion = price({ ...rate, shape: 'PER_UNIT' }, quantity, before);
        const credits = price(rate, quantity, before);
        expect(credits).toBeGreaterThanOrEqual(inProportion);
        expect(credits - inProportion).toBeLessThanOrEqual(750_000n);
      }),
    );
  });
});

describe('tiers', () => {
  it('share out a quantity without gap or overlap', () => {
    fc.assert(
      fc.property(tiers, quantities, charged, (given, quantity, before) => {
        const parts = unitsByTier(given, { start: before, end: add(before, quantity) });
        expect(total(parts.map(({ units }) => units))).toEqual(quantity);
        let end = before;
        for (const { tier, units } of parts) {
          expect(compareDecimals(units, ZERO_DECIMAL)).toBe(1);
          const lower = given[given.indexOf(tier) - 1]?.upTo ?? ZERO_DECIMAL;
          expect(compareDecimals(end, lower)).toBeGreaterThanOrEqual(0);
          end = add(end, units);
          if (tier.upTo !== null) expect(compareDecimals(end, tier.upTo)).toBeLessThanOrEqual(0);
        }
      }),
    );
  });

  it('share out the parts of a quantity as they share out the whole', () => {
    const creditsOf = (given: readonly RateTier[], start: Decimal, end: Decimal): Decimal =>
      total(unitsByTier(given, { start, end }).map(({ tier, units }) => multiply(tier.credits, units)));
    fc.assert(
      fc.property(tiers, splits, charged, (given, parts, before) => {
        const bounds = [before, ...parts.map((_, index) => add(before, total(parts.slice(0, index + 1))))];
        const exact = parts.map((_, index) =>
          creditsOf(given, bounds[index] ?? ZERO_DECIMAL, bounds[index + 1] ?? ZERO_DECIMAL),
        );
        expect(total(exact)).toEqual(creditsOf(given, before, add(before, total(parts))));
      }),
    );
  });

  it('of one price are none', () => {
    fc.assert(
      fc.property(tiers, prices, quantities, charged, (given, credits, quantity, before) => {
        const same = given.map(({ upTo }) => ({ upTo, credits }));
        const rate = { ...aRate('m', '0'), credits };
        for (const shape of ['GRADUATED', 'VOLUME'] as const) {
          expect(price({ ...rate, shape, tiers: same }, quantity, before)).toBe(price(rate, quantity, before));
        }
      }),
    );
  });
});

describe('a graduated rate', () => {
  it('costs the same however a quantity is split, but for rounding', () => {
    fc.assert(
      fc.property(graduated, splits, charged, (rate, parts, before) => {
        expectEqualButForRounding(priceInTurn(rate, parts, before), price(rate, total(parts), before));
      }),
    );
  });
});

describe('a volume rate', () => {
  it('charges all chargeable units of a line at the price of the tier in which its last unit stands', () => {
    fc.assert(
      fc.property(volume, quantities, charged, (rate, quantity, before) => {
        const { start, end } = chargeable(quantity, before, rate.freeUnits);
        const reached = rate.tiers.find(({ upTo }) => upTo === null || compareDecimals(end, upTo) <= 0);
        const expected = { ...aRate('m', '0'), credits: reached?.credits ?? ZERO_DECIMAL, per: rate.per };
        expect(price(rate, quantity, before)).toBe(price(expected, subtract(end, start)));
      }),
    );
  });

  it('of falling prices costs no less where a quantity is split', () => {
    const falling = volume.map((rate): Rate => {
      const sorted = rate.tiers.map(({ credits }) => credits).sort((a, b) => compareDecimals(b, a));
      return { ...rate, tiers: rate.tiers.map(({ upTo }, index) => ({ upTo, credits: sorted[index] ?? ONE })) };
    });
    fc.assert(
      fc.property(falling, splits, charged, (rate, parts, before) => {
        const apart = sum(priceInTurn(rate, parts, before));
        const slack = BigInt(parts.length) + 1n;
        expect(2n * (apart - price(rate, total(parts), before))).toBeGreaterThanOrEqual(-slack);
      }),
    );
  });
});

describe('free units', () => {
  it('are used up alike however a quantity is split into lines', () => {
    fc.assert(
      fc.property(splits, charged, quantities, (parts, before, freeUnits) => {
        const unitsOf = (quantity: Decimal, already: Decimal): Decimal => {
          const { start, end } = chargeable(quantity, already, freeUnits);
          return subtract(end, start);
        };
        const apart = parts.map((part, index) => unitsOf(part, add(before, total(parts.slice(0, index)))));
        expect(total(apart)).toEqual(unitsOf(total(parts), before));
      }),
    );
  });

  it('are charged nothing, at any rate', () => {
    fc.assert(
      fc.property(anyRate, splits, (rate, parts) => {
        const free = { ...rate, freeUnits: total(parts) };
        expect(sum(priceInTurn(free, parts, ZERO_DECIMAL))).toBe(0n);
      }),
    );
  });

  it('move the rest to the beginning of the tiers', () => {
    fc.assert(
      fc.property(fc.oneof(perUnit, packaged, graduated, volume), quantities, charged, (rate, quantity, before) => {
        const none = { ...rate, freeUnits: ZERO_DECIMAL };
        expect(price(rate, quantity, add(rate.freeUnits, before))).toBe(price(none, quantity, before));
      }),
    );
  });
});

describe('the rate that applies', () => {
  const names = ['model', 'operation', 'region', 'tier'];
  const values = fc.constantFrom<string | number | boolean>('a', 'b', 1, true);
  const dimensions = fc.dictionary(fc.constantFrom(...names), values, { noNullPrototype: true });

  it('does not depend on the order of dimensions, in usage or in the rate', () => {
    const reversed = (object: JsonObject): JsonObject => Object.fromEntries(Object.entries(object).reverse());
    fc.assert(
      fc.property(dimensions, dimensions, (match, given) => {
        const rates = [aRate('m', '1'), aRate('m', '2', { match })];
        const turned = [aRate('m', '2', { match: reversed(match) }), aRate('m', '1')];
        if (Object.keys(match).length === 0) return;
        const answer = priced(rates, [usageOf('m', '1', given)]).total;
        expect(priced(turned, [usageOf('m', '1', reversed(given))]).total).toBe(answer);
        expect(rateKey(aRate('m', '2', { match: reversed(match) }))).toBe(rateKey(aRate('m', '2', { match })));
      }),
    );
  });

  it('is always the more specific one of two that match', () => {
    const order = fc.boolean();
    fc.assert(
      fc.property(dimensions, fc.subarray(names), fc.boolean(), order, (given, kept, preview, specificFirst) => {
        const part = Object.fromEntries(Object.entries(given).filter(([name]) => kept.includes(name)));
        if (Object.keys(part).length === Object.keys(given).length) return;
        const [less, more] = [aRate('m', '1', { match: part, preview }), aRate('m', '2', { match: given, preview })];
        const rates = specificFirst ? [more, less] : [less, more];
        expect(priced(rates, [usageOf('m', '1', given, preview)]).total).toBe(2_000_000n);
        expect(priced(rates, [usageOf('m', '1', part, preview)]).total).toBe(1_000_000n);
      }),
    );
  });

  it('prices previews alone, or other usage alone', () => {
    fc.assert(
      fc.property(dimensions, fc.boolean(), (given, preview) => {
        const rates = [
          aRate('m', '1', { preview: !preview, match: given }),
          aTieredRate('m', 'VOLUME', [[null, '3']], { preview }),
        ];
        expect(priced(rates, [usageOf('m', '1', given, preview)]).total).toBe(3_000_000n);
      }),
    );
  });
});
