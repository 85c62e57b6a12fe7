/** Days and months of an organization whose time zone changes, and when a change applies. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addDays,
  anchoredMonthPeriod,
  billingPeriod,
  billingPeriodSince,
  calendarPeriods,
  calendarWindow,
  dayOfMonth,
  dayPeriod,
  isSameZone,
  type Period,
  refreshPeriod,
} from '../../../src/domain/time/calendar.ts';
import { decideZoneChange, type ZoneFacts } from '../../../src/domain/time/change-zone.ts';
import { formatInstant, type Instant, instant } from '../../../src/domain/time/instant.ts';
import { nextZoneChange, type Zone, zoneAt } from '../../../src/domain/time/zone.ts';
import { at, withZoneChange } from '../../support/builders-values.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const names = fc.constantFrom(
  'UTC',
  'Pacific/Apia',
  'Pacific/Kiritimati',
  'Pacific/Pago_Pago',
  'America/Los_Angeles',
  'America/Havana',
  'Asia/Kolkata',
  'Asia/Beirut',
  'Australia/Lord_Howe',
  'Europe/Berlin',
);
/** Within 2025 to 2035, so that clocks are set in many of the examples. */
const instants = fc
  .integer({ min: Date.parse('2025-01-01T00:00:00Z'), max: Date.parse('2035-01-01T00:00:00Z') })
  .map(instant);
const anchors = fc.integer({ min: 1, max: 31 });

const utc = ({ start, end }: Period): [string, string] => [formatInstant(start), formatInstant(end)];
const contains = ({ start, end }: Period, moment: Instant): boolean => start <= moment && moment < end;

const facts = (more: Partial<ZoneFacts> & Pick<ZoneFacts, 'zone' | 'now'>): ZoneFacts => ({
  changedAt: null,
  anchorDay: 1,
  ends: [],
  ...more,
});

/** The zone once the change was accepted, and when it applies. */
function changed(before: ZoneFacts, timeZone: string): { zone: Zone; from: Instant } {
  const decision = decideZoneChange(before, timeZone);
  if (!('kind' in decision)) throw new Error(decision.reason);
  if (decision.kind === 'unchanged') throw new Error('nothing has changed');
  return { zone: withZoneChange(before.zone, decision.change), from: decision.change.from };
}

interface Changed {
  readonly before: string;
  readonly after: string;
  readonly anchorDay: number;
  readonly now: Instant;
}

const changes: fc.Arbitrary<Changed> = fc
  .record({ before: names, after: names, anchorDay: anchors, now: instants })
  .filter(({ before, after }) => before !== after);

const of = ({ before, after, anchorDay, now }: Changed) => changed(facts({ zone: before, now, anchorDay }), after);

describe('a change of the time zone', () => {
  it('applies from the end of the calendar month where that ends last', () => {
    const { from, zone } = changed(facts({ zone: 'Europe/Berlin', now: at('2026-11-21T12:00:00') }), 'Asia/Kolkata');
    expect(formatInstant(from)).toBe('2026-11-30T23:00:00.000Z');
    expect(zoneAt(zone, instant(from - 1))).toBe('Europe/Berlin');
    expect(zoneAt(zone, from)).toBe('Asia/Kolkata');
    expect(nextZoneChange(zone, instant(from - 1))).toEqual({ from, timeZone: 'Asia/Kolkata' });
    expect(nextZoneChange(zone, from)).toBeNull();
  });

  it('applies from the end of the anchored month where that ends last', () => {
    const now = at('2026-11-21T12:00:00');
    const { from } = changed(facts({ zone: 'Europe/Berlin', now, anchorDay: 15 }), 'Asia/Kolkata');
    expect(formatInstant(from)).toBe('2026-12-14T23:00:00.000Z');
  });

  it('waits for the end of a year that was begun, and not for what has ended', () => {
    const now = at('2026-11-21T12:00:00');
    const ends = [at('2026-11-20T23:00:00'), at('2027-03-14T23:00:00')];
    expect(changed(facts({ zone: 'Europe/Berlin', now, ends }), 'UTC').from).toBe(ends[1]);
  });

  it('is none where the zone is in force, also by another of its names', () => {
    const now = at('2026-11-21T12:00:00');
    expect(decideZoneChange(facts({ zone: 'Asia/Kolkata', now }), 'Asia/Calcutta')).toEqual({ kind: 'unchanged' });
    expect(decideZoneChange(facts({ zone: 'UTC', now }), 'utc')).toEqual({ kind: 'unchanged' });
    expect(isSameZone('Europe/Berlin', 'Europe/Paris')).toBe(false);
  });

  it('that was accepted stays: to name it again changes nothing, any other zone is refused until it applies', () => {
    const now = at('2026-11-21T12:00:00');
    const ends = [at('2027-03-14T23:00:00')];
    const { zone, from } = changed(facts({ zone: 'Europe/Berlin', now, ends }), 'UTC');
    const later = facts({ zone, changedAt: now, now: instant(from - 1), ends });
    expect(decideZoneChange(later, 'UTC')).toEqual({ kind: 'unchanged' });
    for (const other of ['Europe/Berlin', 'Asia/Kolkata']) {
      expect(decideZoneChange(later, other)).toEqual({
        code: 'CONFLICT',
        currentState: 'TIME_ZONE_CHANGE_PENDING',
        reason: 'the time zone may change again from 2027-03-14T23:00:00.000Z',
      });
    }
    expect(changed({ ...later, now: from }, 'Asia/Kolkata').from).toBeGreaterThan(from);
  });

  it('is refused to the millisecond for 30 days after the last', () => {
    const accepted = at('2026-11-28T12:00:00');
    const { zone } = changed(facts({ zone: 'UTC', now: accepted }), 'Europe/Berlin');
    const rested = addDays(accepted, 30, 'UTC');
    expect(decideZoneChange(facts({ zone, changedAt: accepted, now: instant(rested - 1) }), 'UTC')).toEqual({
      code: 'CONFLICT',
      currentState: 'TIME_ZONE_CHANGED',
      reason: 'the time zone may change again from 2026-12-28T12:00:00.000Z',
    });
    const again = changed(facts({ zone, changedAt: accepted, now: rested }), 'UTC');
    expect(formatInstant(again.from)).toBe('2026-12-31T23:00:00.000Z');
    expect(
      [at('2026-11-30T00:00:00'), at('2026-12-10T00:00:00'), again.from].map((when) => zoneAt(again.zone, when)),
    ).toEqual(['UTC', 'Europe/Berlin', 'UTC']);
  });

  it('applies within 32 days where nothing longer was begun', () => {
    fc.assert(
      fc.property(changes, (change) => {
        const { from } = of(change);
        expect(from).toBeGreaterThan(change.now);
        expect(from - change.now).toBeLessThanOrEqual(31 * DAY + HOUR);
      }),
    );
  });
});

describe('the windows of an organization whose zone changes', () => {
  it.each([
    // To the east the day after the change is shorter, to the west longer.
    ['Europe/Berlin', 'Asia/Kolkata', '2026-11-30T23:00:00.000Z', '2026-12-01T18:30:00.000Z'],
    ['Europe/Berlin', 'America/Los_Angeles', '2026-11-30T23:00:00.000Z', '2026-12-02T08:00:00.000Z'],
    ['Asia/Kolkata', 'Europe/Berlin', '2026-11-30T18:30:00.000Z', '2026-12-01T23:00:00.000Z'],
    ['Pacific/Apia', 'America/Los_Angeles', '2026-11-30T11:00:00.000Z', '2026-12-02T08:00:00.000Z'],
    ['America/Los_Angeles', 'Pacific/Apia', '2026-12-01T08:00:00.000Z', '2026-12-01T11:00:00.000Z'],
  ])('from %s to %s: the first of the month is one day, from %s to %s', (before, after, start, end) => {
    const { zone, from } = changed(facts({ zone: before, now: at('2026-11-21T12:00:00') }), after);
    expect(utc(dayPeriod(from, zone))).toEqual([start, end]);
    expect(dayOfMonth(from, zone)).toBe(1);
    expect(dayOfMonth(instant(Date.parse(end)), zone)).toBe(2);
    expect(utc(calendarWindow('MONTH', from, zone))).toEqual([start, formatInstant(monthEnd(after))]);
  });

  const monthEnd = (timeZone: string) => calendarWindow('MONTH', at('2026-12-15T00:00:00'), timeZone).end;

  it('leave a date out that is over in the new zone when it would begin, as a zone does that crosses the date line', () => {
    const { zone, from } = changed(
      facts({ zone: 'Pacific/Pago_Pago', now: at('2026-11-21T12:00:00') }),
      'Pacific/Kiritimati',
    );
    const around = { start: instant(from - 1), end: instant(from + DAY) };
    expect(calendarPeriods('DAY', around, zone).map(({ name }) => name)).toEqual([
      '2026-11-30',
      '2026-12-02',
      '2026-12-03',
    ]);
  });

  const WINDOWS: readonly [string, (moment: Instant, zone: Zone, anchorDay: number) => Period, number, number][] = [
    ['hours', (moment, zone) => calendarWindow('HOUR', moment, zone), 0, HOUR],
    ['days', dayPeriod, 0, 51 * HOUR],
    ['months', (moment, zone) => calendarWindow('MONTH', moment, zone), 26 * DAY, 33 * DAY],
    ['anchored months', (moment, zone, anchorDay) => anchoredMonthPeriod(moment, anchorDay, zone), 26 * DAY, 33 * DAY],
  ];

  it.each(WINDOWS)('tile time before, across and after the change: %s', (_name, window, shortest, longest) => {
    fc.assert(
      fc.property(changes, fc.integer({ min: -40 * DAY, max: 40 * DAY }), (change, offset) => {
        const { zone, from } = of(change);
        const moment = instant(from + offset);
        const period = window(moment, zone, change.anchorDay);
        expect(contains(period, moment)).toBe(true);
        expect(window(period.end, zone, change.anchorDay).start).toBe(period.end);
        expect(window(instant(period.start - 1), zone, change.anchorDay).end).toBe(period.start);
        expect(window(period.start, zone, change.anchorDay)).toEqual(period);
        expect(window(instant(period.end - 1), zone, change.anchorDay)).toEqual(period);
        expect(period.end - period.start).toBeGreaterThan(shortest);
        expect(period.end - period.start).toBeLessThanOrEqual(longest);
      }),
      { numRuns: 300 },
    );
  });

  it.each(WINDOWS)('that are open when it is accepted end as they were to: %s', (_name, window) => {
    fc.assert(
      fc.property(changes, (change) => {
        const { zone, from } = of(change);
        const open = window(change.now, change.before, change.anchorDay);
        expect(window(change.now, zone, change.anchorDay)).toEqual(open);
        expect(open.end).toBeLessThanOrEqual(from);
      }),
    );
  });

  it('are those of the new zone from the second date on', () => {
    fc.assert(
      fc.property(changes, fc.integer({ min: 3 * DAY, max: 400 * DAY }), (change, offset) => {
        const { zone, from } = of(change);
        const moment = instant(from + offset);
        expect(dayPeriod(moment, zone)).toEqual(dayPeriod(moment, change.after));
        expect(dayOfMonth(moment, zone)).toBe(dayOfMonth(moment, change.after));
        const month = instant(moment + 33 * DAY);
        expect(refreshPeriod('MONTH', month, change.anchorDay, zone)).toEqual(
          anchoredMonthPeriod(month, change.anchorDay, change.after),
        );
      }),
    );
  });

  const nameAt = (moment: Instant, zone: Zone): string =>
    calendarPeriods('DAY', { start: moment, end: instant(moment + 1) }, zone)[0]?.name ?? '';

  it('are one for each date: none twice, and none left out but where the new zone is a day ahead', () => {
    fc.assert(
      fc.property(changes, (change) => {
        const { zone, from } = of(change);
        const around = { start: instant(from - 5 * DAY), end: instant(from + 6 * DAY) };
        const dates = calendarPeriods('DAY', around, zone).map(({ name }) => Date.parse(name));
        const gaps = dates.slice(1).map((date, index) => (date - (dates[index] ?? 0)) / DAY);
        // The date that would begin is over already.
        const isDayAhead = nameAt(from, change.after) > nameAt(from, change.before);
        expect(gaps.filter((gap) => gap !== 1)).toEqual(isDayAhead ? [2] : []);
      }),
    );
  });

  it('that refresh an allowance grant it once for each anchored month, wherever the month ends by either zone', () => {
    fc.assert(
      fc.property(changes, (change) => {
        const { zone, from } = of(change);
        const starts: Instant[] = [];
        for (let moment = instant(from - 70 * DAY); moment < from + 70 * DAY; ) {
          const month = anchoredMonthPeriod(moment, change.anchorDay, zone);
          starts.push(month.start);
          moment = month.end;
        }
        const distances = starts.slice(1).map((start, index) => start - (starts[index] ?? start));
        for (const distance of distances) expect(distance).toBeGreaterThan(26 * DAY);
        expect(starts.length).toBeGreaterThanOrEqual(5);
        expect(starts.length).toBeLessThanOrEqual(7);
      }),
    );
  });

  it('follow one another by the year as well', () => {
    const year = billingPeriod('YEAR', at('2026-03-20T12:00:00'), 15, 'Europe/Berlin');
    const now = at('2026-11-21T12:00:00');
    const { zone, from } = changed(
      facts({ zone: 'Europe/Berlin', now, anchorDay: 15, ends: [year.end] }),
      'America/Los_Angeles',
    );
    expect(from).toBe(year.end);
    const next = billingPeriodSince('YEAR', year, year.end, 15, zone);
    expect(utc(next)).toEqual(['2027-03-14T23:00:00.000Z', '2028-03-15T07:00:00.000Z']);
    expect(billingPeriodSince('YEAR', year, at('2028-03-16T00:00:00'), 15, zone).start).toBe(next.end);
    expect(billingPeriod('YEAR', year.end, 15, zone)).toEqual(next);
    expect(billingPeriod('MONTH', year.end, 15, zone)).toEqual(billingPeriodSince('MONTH', year, year.end, 15, zone));
  });

  it('are as they were however often it changes', () => {
    fc.assert(
      fc.property(changes, names, (change, third) => {
        fc.pre(third !== change.after);
        const first = of(change);
        const rested = Math.max(first.from, change.now + 31 * DAY);
        const second = changed(
          facts({ zone: first.zone, changedAt: change.now, now: instant(rested), anchorDay: change.anchorDay }),
          third,
        );
        for (const moment of [change.now, instant(first.from - 1), first.from, instant(rested)]) {
          expect(dayPeriod(moment, second.zone)).toEqual(dayPeriod(moment, first.zone));
          expect(anchoredMonthPeriod(moment, change.anchorDay, second.zone)).toEqual(
            anchoredMonthPeriod(moment, change.anchorDay, first.zone),
          );
        }
      }),
    );
  });

  it('move a wall-clock time by the zone in which it was read', () => {
    const { zone, from } = changed(facts({ zone: 'Europe/Berlin', now: at('2026-11-21T12:00:00') }), 'Asia/Kolkata');
    expect(addDays(instant(from - 1), 2, zone)).toBe(addDays(instant(from - 1), 2, 'Europe/Berlin'));
    expect(addDays(from, 150, zone)).toBe(addDays(from, 150, 'Asia/Kolkata'));
  });
});
