/** When nothing can be spent any more. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ZERO } from '../../../src/domain/credits/micros.ts';
import { depletesAt, type Refreshing, type RunwayBucket, type Supply } from '../../../src/domain/runway/depletion.ts';
import { formatInstant, type Instant, instant } from '../../../src/domain/time/instant.ts';
import { after, at, credits } from '../../support/builders-values.ts';

const NOW = at('2026-03-10T00:00:00');
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const inDays = (days: number): Instant => after(NOW, days * DAY);

type Lot = readonly [amount: string, expiresAt: Instant | null];
const bucket = (lots: readonly Lot[], refresh: Refreshing | null = null, beyond = '0'): RunwayBucket => ({
  lots: lots.map(([amount, expiresAt]) => ({ available: credits(amount), expiresAt })),
  beyond: credits(beyond),
  refresh,
});
const supply = (perDay: string, buckets: readonly RunwayBucket[], others: Partial<Supply> = {}): Supply => ({
  now: NOW,
  creditsPerDay: credits(perDay),
  debt: ZERO,
  buckets,
  refreshesUntil: null,
  ...others,
});
const runsOut = (...given: Parameters<typeof supply>): string | null => {
  const end = depletesAt(supply(...given));
  return end && formatInstant(end);
};
const daily = (amount: string, nextRefreshAt = inDays(1)): Refreshing => ({
  amount: credits(amount),
  interval: 'DAY',
  nextRefreshAt,
});

describe('credits that do not expire', () => {
  it('last for what they are by what is spent a day', () => {
    expect(runsOut('10', [bucket([['35', null]])])).toBe(formatInstant(after(NOW, 3.5 * DAY)));
    expect(
      runsOut('10', [
        bucket([
          ['30', null],
          ['5', null],
        ]),
        bucket([['15', null]]),
      ]),
    ).toBe(formatInstant(inDays(5)));
  });

  it('last to the first millisecond at which all is spent', () => {
    expect(runsOut('3', [bucket([['1', null]])])).toBe('2026-03-10T08:00:00.000Z');
    expect(runsOut('7', [bucket([['1', null]])])).toBe('2026-03-10T03:25:42.858Z');
  });

  it('are for ever where nothing is spent, and where they last beyond a century', () => {
    expect(runsOut('0', [bucket([['1', null]])])).toBeNull();
    expect(runsOut('1', [bucket([['36525', null]])])).toBe(formatInstant(inDays(36_525)));
    expect(runsOut('1', [bucket([['36526', null]])])).toBeNull();
    expect(runsOut('0.000001', [bucket([['9000000000000', null]])])).toBeNull();
  });

  it('are gone now where there are none', () => {
    expect(runsOut('1', [])).toBe(formatInstant(NOW));
    expect(runsOut('0', [bucket([])])).toBe(formatInstant(NOW));
  });

  it('do not pay what is owed a second time', () => {
    expect(runsOut('10', [bucket([['30', null]])], { debt: credits('10') })).toBe(formatInstant(inDays(2)));
    expect(runsOut('10', [bucket([['30', null]])], { debt: credits('30') })).toBe(formatInstant(NOW));
    expect(runsOut('10', [bucket([['30', null]])], { debt: credits('31') })).toBe(formatInstant(NOW));
  });

  it('beyond the lots that are known count', () => {
    expect(runsOut('10', [bucket([['10', inDays(9)]], null, '20')])).toBe(formatInstant(inDays(3)));
  });
});

describe('credits that expire', () => {
  it('do not help once they have', () => {
    // 20 of the first are spent in two days, the other 80 are lost.
    expect(
      runsOut('10', [
        bucket([
          ['100', inDays(2)],
          ['50', null],
        ]),
      ]),
    ).toBe(formatInstant(inDays(7)));
  });

  it('do not help where they expire before their turn', () => {
    expect(runsOut('10', [bucket([['50', null]]), bucket([['100', inDays(3)]])])).toBe(formatInstant(inDays(5)));
    expect(runsOut('10', [bucket([['50', null]]), bucket([['100', inDays(6)]])])).toBe(formatInstant(inDays(6)));
  });

  it('end it where they were all there was', () => {
    expect(runsOut('10', [bucket([['100', inDays(2)]])])).toBe(formatInstant(inDays(2)));
    expect(
      runsOut('10', [
        bucket([
          ['20', inDays(2)],
          ['100', inDays(2)],
        ]),
      ]),
    ).toBe(formatInstant(inDays(2)));
  });

  it('have expired already where nobody has posted it yet', () => {
    expect(runsOut('10', [bucket([['100', NOW]])])).toBe(formatInstant(NOW));
  });

  it('cover a debt only until then', () => {
    const buckets = [bucket([['100', null]]), bucket([['100', inDays(1)]])];
    expect(runsOut('10', buckets, { debt: credits('95') })).toBe(formatInstant(inDays(1)));
  });
});

describe('allowances that refresh', () => {
  it('keep a wallet going that spends less than they grant', () => {
    expect(runsOut('90', [bucket([['100', inDays(1)]], daily('100'))])).toBeNull();
    expect(runsOut('100', [bucket([['100', inDays(1)]], daily('100'))])).toBeNull();
  });

  it('do not help when all is spent before them', () => {
    expect(runsOut('240', [bucket([['100', inDays(1)]], daily('100'))])).toBe('2026-03-10T10:00:00.000Z');
  });

  it('are spent beside other credits, which pay for the rest of each day', () => {
    // Each day 100 of the allowance in 20 hours and 20 of the others, which the sixth day finds used up.
    expect(runsOut('120', [bucket([['100', inDays(1)]], daily('100')), bucket([['100', null]])])).toBe(
      formatInstant(after(inDays(5), 20 * HOUR)),
    );
    expect(runsOut('120', [bucket([['100', inDays(1)]], daily('100')), bucket([['110', null]])])).toBe(
      formatInstant(after(inDays(5), 22 * HOUR)),
    );
  });

  it('count only as long as the subscription goes on', () => {
    const buckets = [bucket([['100', inDays(1)]], daily('100'))];
    expect(runsOut('90', buckets, { refreshesUntil: NOW })).toBe(formatInstant(inDays(1)));
    expect(runsOut('90', buckets, { refreshesUntil: inDays(3) })).toBe(formatInstant(inDays(3)));
    expect(runsOut('90', [...buckets, bucket([['45', null]])], { refreshesUntil: inDays(3) })).toBe(
      formatInstant(after(NOW, 3.5 * DAY)),
    );
  });

  it('by the month grant until the next month', () => {
    const monthly: Refreshing = { amount: credits('300'), interval: 'MONTH', nextRefreshAt: inDays(10) };
    expect(runsOut('10', [bucket([['100', inDays(10)]], monthly)])).toBe(formatInstant(after(NOW, 40 * DAY)));
    expect(runsOut('9', [bucket([['100', inDays(10)]], monthly)])).toBeNull();
  });

  it('are looked at for a year, in which the rest must not run out', () => {
    const buckets = (rest: string) => [bucket([['100', inDays(1)]], daily('100')), bucket([[rest, null]])];
    expect(runsOut('101', buckets('300'))).not.toBeNull();
    expect(runsOut('101', buckets('400'))).toBeNull();
  });

  it('of nothing are none', () => {
    expect(runsOut('10', [bucket([['10', null]], daily('0'))])).toBe(formatInstant(inDays(1)));
  });
});

describe('for any lots', () => {
  it('it is when spending them hour by hour in burn order leaves nothing', () => {
    const lot = fc.tuple(fc.integer({ min: 1, max: 200 }), fc.option(fc.integer({ min: 1, max: 60 })));
    const lots = fc.array(lot, { maxLength: 6 });
    fc.assert(
      fc.property(fc.array(lots, { maxLength: 3 }), fc.integer({ min: 0, max: 40 }), (buckets, owed) => {
        // One credit an hour; expiries lie on hours.
        const inOrder = buckets.map((of) => of.toSorted((a, b) => (a[1] ?? 999) - (b[1] ?? 999)));
        const end = depletesAt(
          supply(
            '24',
            inOrder.map((of) =>
              bucket(
                of.map(([amount, hours]) => [amount.toString(), hours === null ? null : after(NOW, hours * HOUR)]),
              ),
            ),
            { debt: credits(owed.toString()) },
          ),
        );
        const left = inOrder.flat().map(([amount, hours]) => ({ amount, hours: hours ?? Number.POSITIVE_INFINITY }));
        const live = (hour: number) => left.filter(({ hours }) => hours > hour);
        const total = (hour: number) => live(hour).reduce((sum, { amount }) => sum + amount, -owed);
        let hour = 0;
        while (total(hour) > 0) {
          const first = live(hour).find(({ amount }) => amount > 0);
          if (first) first.amount -= 1;
          hour += 1;
        }
        expect(end).toBe(instant(NOW + hour * HOUR));
      }),
    );
  });
});
