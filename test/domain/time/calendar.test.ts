import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addDays,
  anchoredMonthPeriod,
  calendarWindow,
  dayOfMonth,
  dayPeriod,
  isTimeZone,
  type Period,
  refreshPeriod,
} from '../../../src/domain/time/calendar.ts';
import { formatInstant, type Instant, instant } from '../../../src/domain/time/instant.ts';
import { at } from '../../support/builders-values.ts';

const HOUR = 3_600_000;
const ZONES = [
  'UTC',
  'Europe/Berlin',
  'Africa/Cairo',
  'Australia/Lord_Howe',
  'America/New_York',
  'America/Havana',
  'America/Santiago',
  'America/Scoresbysund',
  'Asia/Kathmandu',
  'Asia/Beirut',
  'Pacific/Kiritimati',
  'Pacific/Pago_Pago',
  'Pacific/Chatham',
  'Antarctica/Troll',
];
const zones = fc.constantFrom(...ZONES);
const instants = fc
  .integer({ min: Date.parse('2020-01-01T00:00:00Z'), max: Date.parse('2100-01-01T00:00:00Z') })
  .map(instant);

const hours = ({ start, end }: Period): number => (end - start) / HOUR;
const utc = ({ start, end }: Period): [string, string] => [formatInstant(start), formatInstant(end)];
const contains = ({ start, end }: Period, moment: Instant): boolean => start <= moment && moment < end;

describe('a local day', () => {
  it.each([
    ['Europe/Berlin', '2026-03-29T12:00:00', 23],
    ['Europe/Berlin', '2026-10-25T12:00:00', 25],
    ['Europe/Berlin', '2026-06-01T12:00:00', 24],
    // Clocks go forward at midnight: the day begins at 01:00.
    ['Africa/Cairo', '2026-04-24T12:00:00', 23],
    // Clocks go back at midnight, before the day is over.
    ['Africa/Cairo', '2026-10-29T12:00:00', 25],
    // Half an hour is saved.
    ['Australia/Lord_Howe', '2026-10-04T01:00:00', 23.5],
    ['Australia/Lord_Howe', '2026-04-04T20:00:00', 24.5],
    ['America/Havana', '2026-11-01T18:00:00', 25],
    ['UTC', '2026-03-29T12:00:00', 24],
  ])('in %s around %s has %d hours', (zone, moment, expected) => {
    expect(hours(dayPeriod(at(moment), zone))).toBe(expected);
  });

  it('begins at the first instant of its date, which is 01:00 where midnight is skipped', () => {
    expect(utc(dayPeriod(at('2026-04-24T12:00:00'), 'Africa/Cairo'))).toEqual([
      '2026-04-23T22:00:00.000Z',
      '2026-04-24T21:00:00.000Z',
    ]);
  });

  it('begins at local midnight on both sides of UTC', () => {
    expect(utc(dayPeriod(at('2026-01-01T12:00:00'), 'Pacific/Kiritimati'))).toEqual([
      '2026-01-01T10:00:00.000Z',
      '2026-01-02T10:00:00.000Z',
    ]);
    expect(utc(dayPeriod(at('2026-01-01T12:00:00'), 'Pacific/Pago_Pago'))).toEqual([
      '2026-01-01T11:00:00.000Z',
      '2026-01-02T11:00:00.000Z',
    ]);
  });

  it('is half-open: its last millisecond belongs to it, its end to the next day', () => {
    const day = dayPeriod(at('2026-03-29T12:00:00'), 'Europe/Berlin');
    expect(dayPeriod(instant(day.end - 1), 'Europe/Berlin')).toEqual(day);
    expect(dayPeriod(day.end, 'Europe/Berlin').start).toBe(day.end);
    expect(dayPeriod(day.start, 'Europe/Berlin')).toEqual(day);
  });

  it('contains every instant exactly once: days tile, in every zone', () => {
    fc.assert(
      fc.property(instants, zones, (moment, zone) => {
        const day = dayPeriod(moment, zone);
        expect(contains(day, moment)).toBe(true);
        expect(dayPeriod(day.end, zone).start).toBe(day.end);
        expect(dayPeriod(instant(day.start - 1), zone).end).toBe(day.start);
        expect(hours(day)).toBeGreaterThanOrEqual(22);
        expect(hours(day)).toBeLessThanOrEqual(26);
      }),
      { numRuns: 300 },
    );
  });

  it('is the same period for all instants within it', () => {
    fc.assert(
      fc.property(instants, zones, fc.nat(), (moment, zone, offset) => {
        const day = dayPeriod(moment, zone);
        const other = instant(day.start + (offset % (day.end - day.start)));
        expect(dayPeriod(other, zone)).toEqual(day);
      }),
      { numRuns: 300 },
    );
  });
});

describe('an anchored month', () => {
  it('that begins on the 31st begins on the last day of shorter months: 31 Jan → 28 Feb → 31 Mar → 30 Apr', () => {
    const starts: string[] = [];
    let moment = at('2026-01-31T00:00:00');
    for (let month = 0; month < 5; month++) {
      const period = anchoredMonthPeriod(moment, 31, 'UTC');
      starts.push(formatInstant(period.start).slice(0, 10));
      moment = period.end;
    }
    expect(starts).toEqual(['2026-01-31', '2026-02-28', '2026-03-31', '2026-04-30', '2026-05-31']);
  });

  it('knows the 29th of February in leap years', () => {
    expect(utc(anchoredMonthPeriod(at('2028-02-10T00:00:00'), 31, 'UTC'))).toEqual([
      '2028-01-31T00:00:00.000Z',
      '2028-02-29T00:00:00.000Z',
    ]);
    expect(utc(anchoredMonthPeriod(at('2028-02-29T00:00:00'), 31, 'UTC'))).toEqual([
      '2028-02-29T00:00:00.000Z',
      '2028-03-31T00:00:00.000Z',
    ]);
    expect(utc(anchoredMonthPeriod(at('2026-02-28T12:00:00'), 29, 'UTC'))).toEqual([
      '2026-02-28T00:00:00.000Z',
      '2026-03-29T00:00:00.000Z',
    ]);
  });

  it('crosses the end of the year', () => {
    expect(utc(anchoredMonthPeriod(at('2027-01-03T00:00:00'), 15, 'UTC'))).toEqual([
      '2026-12-15T00:00:00.000Z',
      '2027-01-15T00:00:00.000Z',
    ]);
  });

  it('is cut in the local zone, over the change of clocks', () => {
    const march = anchoredMonthPeriod(at('2026-03-20T00:00:00'), 1, 'Europe/Berlin');
    expect(utc(march)).toEqual(['2026-02-28T23:00:00.000Z', '2026-03-31T22:00:00.000Z']);
    expect(hours(march)).toBe(31 * 24 - 1);
  });

  it('begins exactly at its anchor and not a millisecond before', () => {
    const start = at('2026-05-10T00:00:00');
    expect(anchoredMonthPeriod(start, 10, 'UTC').start).toBe(start);
    expect(anchoredMonthPeriod(instant(start - 1), 10, 'UTC').end).toBe(start);
  });

  it('contains every instant exactly once: months tile, for every anchor and zone', () => {
    fc.assert(
      fc.property(instants, fc.integer({ min: 1, max: 31 }), zones, (moment, anchorDay, zone) => {
        const period = anchoredMonthPeriod(moment, anchorDay, zone);
        expect(contains(period, moment)).toBe(true);
        expect(anchoredMonthPeriod(period.end, anchorDay, zone).start).toBe(period.end);
        expect(anchoredMonthPeriod(instant(period.start - 1), anchorDay, zone).end).toBe(period.start);
        expect(anchoredMonthPeriod(instant(period.end - 1), anchorDay, zone)).toEqual(period);
        const day = dayOfMonth(period.start, zone);
        const isLastDay = dayOfMonth(dayPeriod(period.start, zone).end, zone) === 1;
        expect(day === anchorDay || (isLastDay && day < anchorDay)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });
});

describe('refreshPeriod', () => {
  it('is the local day for DAY and the anchored month for MONTH', () => {
    const moment = at('2026-03-10T12:00:00');
    expect(refreshPeriod('DAY', moment, 31, 'Europe/Berlin')).toEqual(dayPeriod(moment, 'Europe/Berlin'));
    expect(refreshPeriod('MONTH', moment, 31, 'Europe/Berlin')).toEqual(
      anchoredMonthPeriod(moment, 31, 'Europe/Berlin'),
    );
  });
});

describe('addDays', () => {
  it.each([
    ['Europe/Berlin', '2026-03-28T12:00:00', 1, '2026-03-29T11:00:00.000Z'],
    ['Europe/Berlin', '2026-10-24T12:00:00', 1, '2026-10-25T13:00:00.000Z'],
    ['UTC', '2028-02-28T12:00:00', 1, '2028-02-29T12:00:00.000Z'],
    ['UTC', '2026-12-31T23:59:59.999', 90, '2027-03-31T23:59:59.999Z'],
    // 02:30 does not exist on the next day: an hour later.
    ['Europe/Berlin', '2026-03-28T01:30:00', 1, '2026-03-29T01:30:00.000Z'],
    ['UTC', '2026-01-01T00:00:00', 0, '2026-01-01T00:00:00.000Z'],
  ])('in %s moves %s by %i local days to %s', (zone, from, days, to) => {
    expect(formatInstant(addDays(at(from), days, zone))).toBe(to);
  });

  it('lies strictly ahead for at least one day, by about as many hours', () => {
    fc.assert(
      fc.property(instants, fc.integer({ min: 1, max: 4_000 }), zones, (moment, days, zone) => {
        const moved = (addDays(moment, days, zone) - moment) / HOUR;
        expect(Math.abs(moved - days * 24)).toBeLessThanOrEqual(2);
      }),
      { numRuns: 200 },
    );
  });
});

describe('isTimeZone', () => {
  it.each(['UTC', 'Europe/Berlin', 'America/Argentina/Buenos_Aires', 'Etc/GMT+5'])('knows %s', (name) => {
    expect(isTimeZone(name)).toBe(true);
  });

  it.each([
    '',
    '+02:00',
    '-05:00',
    'Mars/Olympus',
    'Europe/Berlin ',
    'Europe',
    'utc\0',
    'GMT+25',
    '02:00',
    '../etc/passwd',
  ])('refuses %j', (name) => {
    expect(isTimeZone(name)).toBe(false);
  });

  it('knows every zone of the runtime, and days can be cut in each', () => {
    const names = Intl.supportedValuesOf('timeZone');
    expect(names.length).toBeGreaterThan(300);
    const moment = at('2026-06-15T12:00:00');
    for (const name of names) {
      expect(isTimeZone(name)).toBe(true);
      expect(contains(dayPeriod(moment, name), moment)).toBe(true);
    }
  });
});

describe('an hour of the local clock', () => {
  it.each([
    ['UTC', '2026-03-10T12:30:00', '2026-03-10T12:00:00.000Z', '2026-03-10T13:00:00.000Z'],
    ['UTC', '2026-03-10T12:00:00', '2026-03-10T12:00:00.000Z', '2026-03-10T13:00:00.000Z'],
    ['Asia/Kathmandu', '2026-03-10T12:00:00', '2026-03-10T11:15:00.000Z', '2026-03-10T12:15:00.000Z'],
    // 02:00 to 03:00 is shown twice.
    ['Europe/Berlin', '2026-10-25T00:59:59.999', '2026-10-25T00:00:00.000Z', '2026-10-25T01:00:00.000Z'],
    ['Europe/Berlin', '2026-10-25T01:00:00', '2026-10-25T01:00:00.000Z', '2026-10-25T02:00:00.000Z'],
    // 02:00 to 03:00 is skipped.
    ['Europe/Berlin', '2026-03-29T01:30:00', '2026-03-29T01:00:00.000Z', '2026-03-29T02:00:00.000Z'],
    // Half an hour is saved: 02:00 is followed by 02:30, and given back: 02:00 is followed by 01:30.
    ['Australia/Lord_Howe', '2026-10-03T15:10:00', '2026-10-03T14:30:00.000Z', '2026-10-03T15:30:00.000Z'],
    ['Australia/Lord_Howe', '2026-10-03T15:40:00', '2026-10-03T15:30:00.000Z', '2026-10-03T16:00:00.000Z'],
    ['Australia/Lord_Howe', '2026-04-04T14:50:00', '2026-04-04T14:00:00.000Z', '2026-04-04T15:00:00.000Z'],
    ['Australia/Lord_Howe', '2026-04-04T15:10:00', '2026-04-04T15:00:00.000Z', '2026-04-04T15:30:00.000Z'],
  ])('in %s at %s begins %s and ends %s', (zone, moment, start, end) => {
    expect(utc(calendarWindow('HOUR', at(moment), zone))).toEqual([start, end]);
  });

  it('contains its instants and is followed at once by the next', () => {
    fc.assert(
      fc.property(zones, instants, (zone, moment) => {
        const hour = calendarWindow('HOUR', moment, zone);
        expect(contains(hour, moment)).toBe(true);
        expect(hours(hour)).toBeLessThanOrEqual(1);
        expect(calendarWindow('HOUR', hour.start, zone)).toEqual(hour);
        expect(calendarWindow('HOUR', hour.end, zone).start).toBe(hour.end);
      }),
    );
  });
});

describe('a calendar month', () => {
  it('begins with its first local day, whatever day the plan is anchored to', () => {
    expect(utc(calendarWindow('MONTH', at('2026-03-31T22:30:00'), 'Europe/Berlin'))).toEqual([
      '2026-03-31T22:00:00.000Z',
      '2026-04-30T22:00:00.000Z',
    ]);
  });
});
