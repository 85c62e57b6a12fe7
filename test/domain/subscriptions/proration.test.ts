import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { prorate } from '../../../src/domain/subscriptions/proration.ts';
import { instant } from '../../../src/domain/time/instant.ts';
import { at } from '../../support/builders-values.ts';

const JANUARY = { start: at('2026-01-01T00:00:00'), end: at('2026-02-01T00:00:00') };
const plan = (cents: bigint, interval: 'MONTH' | 'YEAR' = 'MONTH') => ({
  price: { amountMinor: cents, currency: 'USD' },
  interval,
});

describe('a change of plan', () => {
  it.each<[string, bigint, bigint, string, bigint, bigint]>([
    ['at the start costs the whole difference', 1000n, 3000n, '2026-01-01T00:00:00', 2000n, 1000n],
    ['in the middle costs half of it', 1000n, 3000n, '2026-01-16T12:00:00', 1000n, 500n],
    ['is rounded up, and its credit down', 1000n, 3001n, '2026-01-16T12:00:00', 1001n, 500n],
    ['in the last second costs one minor unit', 1000n, 3000n, '2026-01-31T23:59:59', 1n, 0n],
    ['at the end costs nothing', 1000n, 3000n, '2026-02-01T00:00:00', 0n, 0n],
    ['to a cheaper plan pays nothing out', 3000n, 1000n, '2026-01-16T12:00:00', 0n, 0n],
    ['to the same price costs nothing', 3000n, 3000n, '2026-01-16T12:00:00', 0n, 0n],
  ])('%s', (_what, from, to, when, dueNow, credited) => {
    expect(prorate(plan(from), plan(to), JANUARY, at(when))).toEqual({ dueNow, credited });
  });

  it('counts whole seconds', () => {
    const [whole, cut] = [at('2026-01-16T12:00:00'), instant(at('2026-01-16T12:00:00') + 999)];
    expect(prorate(plan(1000n), plan(90_000_000n), JANUARY, cut).dueNow).toBeLessThan(
      prorate(plan(1000n), plan(90_000_000n), JANUARY, whole).dueNow,
    );
    expect(prorate(plan(1000n), plan(90_000_000n), JANUARY, cut)).toEqual(
      prorate(plan(1000n), plan(90_000_000n), JANUARY, instant(whole + 1)),
    );
  });

  it.each<[string, bigint, bigint, bigint]>([
    ['costs its price less what is unused', 30_000n, 29_500n, 500n],
    ['that costs less than what is unused is paid by that, and the rest of it is not paid out', 400n, 0n, 400n],
  ])('to a plan of another interval %s', (_what, price, dueNow, credited) => {
    const to = plan(price, 'YEAR');
    expect(prorate(plan(1000n), to, JANUARY, at('2026-01-16T12:00:00'))).toEqual({ dueNow, credited });
  });

  it('is off by less than one minor unit, in the platform’s favour', () => {
    const cents = fc.bigInt({ min: 0n, max: 10_000_000n });
    const second = fc.integer({ min: 0, max: 31 * 86_400 });
    fc.assert(
      fc.property(cents, cents, second, (from, more, offset) => {
        const to = from + more;
        const { dueNow, credited } = prorate(plan(from), plan(to), JANUARY, instant(JANUARY.start + offset * 1_000));
        const [rest, total] = [BigInt(31 * 86_400 - offset), BigInt(31 * 86_400)];
        expect(dueNow * total - more * rest).toBeGreaterThanOrEqual(0n);
        expect(dueNow * total - more * rest).toBeLessThan(total);
        expect(credited * total).toBeLessThanOrEqual(from * rest);
      }),
    );
  });
});
