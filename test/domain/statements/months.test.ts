import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { closableMonths, type StatedLife, unclosedMonths } from '../../../src/domain/statements/months.ts';
import { parseYearMonth, yearMonth } from '../../../src/domain/statements/year-month.ts';
import { monthAt } from '../../../src/domain/time/calendar.ts';
import { formatInstant, type Instant, instant } from '../../../src/domain/time/instant.ts';
import type { Zone } from '../../../src/domain/time/zone.ts';
import { at } from '../../support/builders-values.ts';

const DAY = 86_400_000;

describe('the name of a month', () => {
  it.each(['2026-11', '0001-01', '9999-12'])('is %s', (text) => {
    expect(parseYearMonth(text)).toBe(text);
    expect(yearMonth(text)).toBe(text);
  });

  it.each([
    '2026-13',
    '2026-00',
    '2026-1',
    '26-01',
    '0000-01',
    '2026-11-01',
    ' 2026-11',
    '2026-11\n',
    '',
    '２０２６-11',
  ])('is not %j', (text) => {
    expect(parseYearMonth(text)).toBeUndefined();
    expect(() => yearMonth(text)).toThrow();
  });
});

const life = (changes: Partial<StatedLife>): StatedLife => ({
  zone: 'UTC',
  createdAt: at('2026-11-21T10:00:00Z'),
  closedUntil: null,
  now: at('2026-11-21T10:00:00Z'),
  ...changes,
});
const names = (months: readonly { readonly month: string }[]) => months.map(({ month }) => month);

describe('the months of an organization', () => {
  it('begin with the one in which it was created and end with the one that runs', () => {
    expect(unclosedMonths(life({}))).toEqual([{ month: '2026-11', start: at('2026-11-01'), end: at('2026-12-01') }]);
    expect(names(unclosedMonths(life({ now: at('2027-01-01') })))).toEqual(['2026-11', '2026-12', '2027-01']);
  });

  it('are those that are not closed', () => {
    const closed = life({ closedUntil: at('2026-12-01'), now: at('2027-01-15') });
    expect(names(unclosedMonths(closed))).toEqual(['2026-12', '2027-01']);
    expect(names(unclosedMonths({ ...closed, closedUntil: at('2027-01-01') }))).toEqual(['2027-01']);
  });

  it('can be closed from their end on, to the millisecond', () => {
    const end = at('2026-12-01');
    expect(closableMonths(life({ now: instant(end - 1) }), null)).toEqual([]);
    expect(names(closableMonths(life({ now: end }), null))).toEqual(['2026-11']);
  });

  it('wait for what is due in them, not for what is due later', () => {
    const later = life({ now: at('2027-02-10') });
    expect(names(closableMonths(later, at('2026-12-31T23:59:59.999Z')))).toEqual(['2026-11']);
    expect(names(closableMonths(later, at('2027-01-01')))).toEqual(['2026-11', '2026-12']);
    expect(names(closableMonths(later, null))).toEqual(['2026-11', '2026-12', '2027-01']);
    expect(closableMonths(later, at('2026-11-22'))).toEqual([]);
  });

  it('follow one another in any zone, wherever one was closed and the zone was changed', () => {
    const zones = fc.constantFrom('UTC', 'Africa/Cairo', 'Australia/Lord_Howe', 'Pacific/Apia', 'America/New_York');
    const instants = fc.integer({ min: at('2009-01-01'), max: at('2041-01-01') }).map((ms) => instant(ms));
    fc.assert(
      fc.property(
        zones,
        zones,
        instants,
        fc.nat({ max: 900 }),
        fc.nat({ max: 29 }),
        (first, second, createdAt, days, closed) => {
          const now = instant(createdAt + days * DAY);
          const change = monthAt(instant(createdAt + 200 * DAY), first).end;
          const zone: Zone = { timeZone: first, changes: [{ from: change, timeZone: second }] };
          const months = unclosedMonths(life({ zone, createdAt, now }));
          expect(months[0]?.start).toBeLessThanOrEqual(createdAt);
          expect(months[0]?.end).toBeGreaterThan(createdAt);
          expect(months.at(-1)?.start).toBeLessThanOrEqual(now);
          expect(months.at(-1)?.end).toBeGreaterThan(now);
          for (const [index, month] of months.entries()) {
            if (index > 0) expect(month.start).toBe(months[index - 1]?.end);
            expect(monthAt(month.start, zone)).toMatchObject({ name: month.month, end: month.end });
          }
          expect(new Set(names(months)).size).toBe(months.length);
          const split = months[closed % months.length];
          const closedUntil = (split?.start ?? createdAt) as Instant;
          const rest = unclosedMonths(life({ zone, createdAt, now, closedUntil }));
          expect(rest.map(formatMonth)).toEqual(months.slice(closed % months.length).map(formatMonth));
        },
      ),
    );
  });
});

const formatMonth = ({ month, start, end }: { month: string; start: Instant; end: Instant }) =>
  `${month} ${formatInstant(start)} ${formatInstant(end)}`;
