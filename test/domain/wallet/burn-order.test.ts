import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { instant } from '../../../src/domain/time/instant.ts';
import { compareBuckets, compareBurnOrder } from '../../../src/domain/wallet/burn-order.ts';

type Keys = Parameters<typeof compareBurnOrder>[0];

const lot = (id: string, keys: Partial<Keys> = {}): Keys => ({
  id,
  expiresAt: null,
  paid: false,
  effectiveAt: instant(0),
  ...keys,
});

/** Few values per key, so that ties are common. */
const lots = fc.record({
  id: fc.uuid(),
  expiresAt: fc.option(fc.integer({ min: 0, max: 3 }).map(instant)),
  paid: fc.boolean(),
  effectiveAt: fc.integer({ min: 0, max: 3 }).map(instant),
});
const buckets = fc.record({
  burnPriority: fc.integer({ min: 0, max: 3 }),
  key: fc.constantFrom('a', 'b', 'B', 'aa', 'ä'),
});

describe('the burn order of lots', () => {
  it.each<[string, Keys, Keys]>([
    ['the earlier expiry', lot('z', { expiresAt: instant(1), paid: true }), lot('a', { expiresAt: instant(2) })],
    ['any expiry before none', lot('z', { expiresAt: instant(9), paid: true }), lot('a')],
    ['free before paid', lot('z', { effectiveAt: instant(9) }), lot('a', { paid: true })],
    ['the earlier start', lot('z', { effectiveAt: instant(1) }), lot('a', { effectiveAt: instant(2) })],
    ['the smaller id', lot('a'), lot('b')],
  ])('takes first %s', (_name, first, second) => {
    expect(compareBurnOrder(first, second)).toBeLessThan(0);
    expect(compareBurnOrder(second, first)).toBeGreaterThan(0);
  });

  it('is one order for every spelling of the list', () => {
    const sorted = [
      lot('b', { expiresAt: instant(1) }),
      lot('a', { expiresAt: instant(2) }),
      lot('c', { expiresAt: instant(2), paid: true }),
      lot('e'),
      lot('f', { effectiveAt: instant(5) }),
      lot('d', { paid: true }),
    ];
    fc.assert(
      fc.property(fc.shuffledSubarray(sorted, { minLength: sorted.length }), (shuffled) => {
        expect(shuffled.toSorted(compareBurnOrder)).toEqual(sorted);
      }),
    );
  });

  it('has no ties: only a lot and itself compare equal', () => {
    fc.assert(
      fc.property(lots, lots, (a, b) => {
        expect(compareBurnOrder(a, b) === 0).toBe(
          a.id === b.id && a.expiresAt === b.expiresAt && a.paid === b.paid && a.effectiveAt === b.effectiveAt,
        );
      }),
    );
    fc.assert(fc.property(lots, (a) => compareBurnOrder(a, { ...a }) === 0));
  });

  it('is antisymmetric', () => {
    fc.assert(
      fc.property(lots, lots, (a, b) => {
        expect(Math.sign(compareBurnOrder(a, b)) + Math.sign(compareBurnOrder(b, a))).toBe(0);
      }),
    );
  });

  it('is transitive', () => {
    fc.assert(
      fc.property(lots, lots, lots, (a, b, c) => {
        fc.pre(compareBurnOrder(a, b) <= 0 && compareBurnOrder(b, c) <= 0);
        expect(compareBurnOrder(a, c)).toBeLessThanOrEqual(0);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('the burn order of buckets', () => {
  it('is by priority, the lowest first, then by key', () => {
    const sorted = [
      { burnPriority: 1, key: 'z' },
      { burnPriority: 2, key: 'a' },
      { burnPriority: 2, key: 'b' },
      { burnPriority: 10, key: 'a' },
    ];
    expect(sorted.toReversed().sort(compareBuckets)).toEqual(sorted);
  });

  it('is total', () => {
    fc.assert(
      fc.property(buckets, buckets, buckets, (a, b, c) => {
        expect(compareBuckets(a, b) === 0).toBe(a.key === b.key && a.burnPriority === b.burnPriority);
        expect(Math.sign(compareBuckets(a, b)) + Math.sign(compareBuckets(b, a))).toBe(0);
        if (compareBuckets(a, b) <= 0 && compareBuckets(b, c) <= 0) expect(compareBuckets(a, c)).toBeLessThanOrEqual(0);
      }),
      { numRuns: 1_000 },
    );
  });
});
