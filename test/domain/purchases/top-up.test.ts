import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { micros } from '../../../src/domain/credits/micros.ts';
import { priceTopUp } from '../../../src/domain/purchases/top-up.ts';
import { credits } from '../../support/builders-values.ts';

const terms = (increment: string, amountMinor: bigint) => ({
  increment: credits(increment),
  unitPrice: { amountMinor, currency: 'USD' },
});

describe('a top-up', () => {
  it.each([
    ['10', 15n, '10', 15n],
    ['10', 15n, '20', 30n],
    ['0.5', 1n, '2', 4n],
    ['1000', 900n, '1000000', 900_000n],
  ])('in increments of %s for %s each: %s credits cost %s', (increment, unit, amount, price) => {
    const priced = priceTopUp(terms(increment, unit), credits(amount));
    expect(priced).toEqual({ price: { amountMinor: price, currency: 'USD' } });
  });

  it.each([
    ['15', '10', '20'],
    ['9.999999', null, '10'],
    ['10.000001', '10', '20'],
    ['0.000001', null, '10'],
  ])('of %s in increments of 10 is refused, with %s and %s beside it', (amount, below, above) => {
    expect(priceTopUp(terms('10', 1n), credits(amount))).toEqual({
      code: 'INVALID_INCREMENT',
      increment: credits('10'),
      nearestBelow: below === null ? null : credits(below),
      nearestAbove: credits(above),
    });
  });

  it('that costs more than clients can count is invalid', () => {
    expect(priceTopUp(terms('0.000001', 10n ** 15n), credits('1000'))).toMatchObject({
      code: 'INVALID_INPUT',
      path: ['credits'],
    });
  });

  it('is sold at exactly so many increments, or else the amounts beside it are', () => {
    const some = fc.bigInt({ min: 1n, max: 10n ** 9n }).map(micros);
    fc.assert(
      fc.property(some, fc.bigInt({ min: 1n, max: 10_000n }), some, (increment, amountMinor, amount) => {
        const offer = { increment, unitPrice: { amountMinor, currency: 'USD' } };
        const priced = priceTopUp(offer, amount);
        if ('price' in priced) {
          expect(priced.price.amountMinor * increment).toBe(amount * amountMinor);
          return;
        }
        if (priced.code !== 'INVALID_INCREMENT') throw new Error(priced.code);
        expect(priced.nearestAbove - (priced.nearestBelow ?? 0n)).toBe(increment);
        expect(amount < priced.nearestAbove && amount > (priced.nearestBelow ?? 0n)).toBe(true);
        expect(priceTopUp(offer, priced.nearestAbove)).toHaveProperty('price');
      }),
    );
  });
});
