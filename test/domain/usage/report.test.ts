import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dayPeriod, type Period } from '../../../src/domain/time/calendar.ts';
import { formatInstant, type Instant, instant } from '../../../src/domain/time/instant.ts';
import {
  isQuarterHour,
  monthOf,
  needsLines,
  type ReportWindow,
  reportWindows,
  rollupRanges,
  USAGE_DIMENSIONS,
  type UsageDimension,
  type UsageFilter,
  type UsageQuery,
} from '../../../src/domain/usage/report.ts';
import { DAY_MILLISECONDS, dimension, QUARTER_HOUR_MILLISECONDS } from '../../../src/domain/usage/rollup.ts';
import { at } from '../../support/builders-values.ts';

const NO_FILTER: UsageFilter = {
  meters: null,
  models: null,
  userIds: null,
  projectIds: null,
  taskId: null,
  executionId: null,
};
const period = (start: string, end: string): Period => ({ start: at(start), end: at(end) });
const aQuery = (query: Partial<UsageQuery> = {}): UsageQuery => ({
  period: period('2026-11-01', '2026-12-01'),
  groupBy: [],
  byDimensions: [],
  filter: NO_FILTER,
  limit: 100,
  ...query,
});
const windowsOf = (from: string, to: string, timeZone: string, ...groupBy: UsageDimension[]) =>
  reportWindows(aQuery({ period: period(from, to), groupBy }), timeZone);
const hoursOf = (windows: readonly ReportWindow[]) =>
  windows.map(({ name, start, end }) => [name, (end - start) / 3_600_000]);
const utc = (ranges: ReturnType<typeof rollupRanges>) =>
  ranges.map(({ grain, start, end }) => [grain, formatInstant(start).slice(0, 16), formatInstant(end).slice(0, 16)]);

const ZONES = [
  'UTC',
  'Europe/Berlin',
  'Africa/Cairo',
  'Australia/Lord_Howe',
  'America/New_York',
  'America/Havana',
  'Asia/Kathmandu',
  'Asia/Beirut',
  'Pacific/Chatham',
  'Pacific/Kiritimati',
  'Pacific/Pago_Pago',
  'Antarctica/Troll',
];

/** A period of whole quarter hours and a zone. */
const asked = fc
  .tuple(
    fc.integer({ min: Date.parse('2020-01-01'), max: Date.parse('2060-01-01') }),
    fc.integer({ min: 1, max: 400 * 96 }),
    fc.constantFrom(...ZONES),
  )
  .map(([from, quarters, timeZone]) => {
    const start = instant(from - (from % QUARTER_HOUR_MILLISECONDS));
    return { start, end: instant(start + quarters * QUARTER_HOUR_MILLISECONDS), timeZone };
  });

/** Periods that follow each other without a gap, from the first's start to the last's end. */
function expectTiles(pieces: readonly Period[], { start, end }: Period): void {
  let reached: Instant = start;
  for (const piece of pieces) {
    expect(piece.start).toBe(reached);
    expect(piece.end).toBeGreaterThan(piece.start);
    reached = piece.end;
  }
  expect(reached).toBe(end);
}

describe('the windows of a report', () => {
  it('are one where it is not grouped by time', () => {
    expect(reportWindows(aQuery({ groupBy: ['METER'] }), 'Africa/Cairo')).toEqual([
      { ...period('2026-11-01', '2026-12-01'), name: null },
    ]);
  });

  it('are local days, those of 23 and 25 hours included, and parts of the days that the period cuts', () => {
    expect(hoursOf(windowsOf('2026-04-22T12:00', '2026-04-25T00:00', 'Africa/Cairo', 'DAY'))).toEqual([
      ['2026-04-22', 10],
      ['2026-04-23', 24],
      ['2026-04-24', 23],
      ['2026-04-25', 3],
    ]);
    expect(hoursOf(windowsOf('2026-10-28T21:00', '2026-10-30T22:00', 'Africa/Cairo', 'DAY'))).toEqual([
      ['2026-10-29', 25],
      ['2026-10-30', 24],
    ]);
    expect(hoursOf(windowsOf('2026-04-03T13:00', '2026-04-05T13:30', 'Australia/Lord_Howe', 'DAY'))).toEqual([
      ['2026-04-04', 24],
      ['2026-04-05', 24.5],
    ]);
  });

  it('are local months, and days where it is grouped by both', () => {
    expect(hoursOf(windowsOf('2026-10-01', '2026-12-01', 'Asia/Kathmandu', 'MONTH'))).toEqual([
      ['2026-10', 31 * 24 - 5.75],
      ['2026-11', 30 * 24],
      ['2026-12', 5.75],
    ]);
    const days = windowsOf('2026-10-30', '2026-11-02', 'UTC', 'MONTH', 'DAY');
    expect(days.map((day) => [day.name, monthOf(day)])).toEqual([
      ['2026-10-30', '2026-10'],
      ['2026-10-31', '2026-10'],
      ['2026-11-01', '2026-11'],
    ]);
  });

  it('leave out a date that its zone has skipped', () => {
    expect(hoursOf(windowsOf('2011-12-29T10:00', '2011-12-31T10:00', 'Pacific/Apia', 'DAY'))).toEqual([
      ['2011-12-29', 24],
      ['2011-12-31', 24],
    ]);
  });

  it('tile the period, in order, each under the name of its day or month, in any zone', () => {
    fc.assert(
      fc.property(asked, fc.constantFrom('DAY', 'MONTH'), ({ timeZone, ...whole }, by: 'DAY' | 'MONTH') => {
        const windows = reportWindows(aQuery({ period: whole, groupBy: [by] }), timeZone);
        expectTiles(windows, whole);
        const names = windows.map(({ name }) => name);
        expect(names).toEqual([...new Set(names)].toSorted());
        for (const window of windows) {
          expect(isQuarterHour(window.start)).toBe(true);
          const local = new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short' });
          for (const moment of [window.start, window.end - 1]) {
            expect(local.format(moment)).toContain(by === 'DAY' ? window.name : `${window.name}-`);
          }
          if (by === 'DAY' && window.start !== whole.start) {
            expect(window.start).toBe(dayPeriod(window.start, timeZone).start);
          }
        }
      }),
      { numRuns: 100 },
    );
  });
});

describe('the rollups of a window', () => {
  it('are whole UTC days, with quarter hours at the edges only', () => {
    expect(utc(rollupRanges(period('2026-10-31T22:00', '2026-11-30T22:00')))).toEqual([
      ['QUARTER_HOUR', '2026-10-31T22:00', '2026-11-01T00:00'],
      ['DAY', '2026-11-01T00:00', '2026-11-30T00:00'],
      ['QUARTER_HOUR', '2026-11-30T00:00', '2026-11-30T22:00'],
    ]);
  });

  it('are days alone where the window begins and ends with one', () => {
    expect(utc(rollupRanges(period('2026-11-01', '2026-11-03')))).toEqual([
      ['DAY', '2026-11-01T00:00', '2026-11-03T00:00'],
    ]);
  });

  it('are quarter hours alone where no whole day lies in it', () => {
    expect(utc(rollupRanges(period('2026-11-01T00:15', '2026-11-02T23:45')))).toEqual([
      ['QUARTER_HOUR', '2026-11-01T00:15', '2026-11-02T23:45'],
    ]);
  });

  it('tile it exactly, every day rollup a whole UTC day, with less than a day of quarter hours at either end', () => {
    fc.assert(
      fc.property(asked, fc.constantFrom('DAY', 'MONTH', null), ({ timeZone, ...whole }, by) => {
        const groupBy: UsageDimension[] = by === null ? [] : [by];
        for (const window of reportWindows(aQuery({ period: whole, groupBy }), timeZone)) {
          const ranges = rollupRanges(window);
          expectTiles(ranges, window);
          const hasDays = ranges.some(({ grain }) => grain === 'DAY');
          for (const { grain, start, end } of ranges) {
            if (grain === 'DAY') expect([start % DAY_MILLISECONDS, end % DAY_MILLISECONDS]).toEqual([0, 0]);
            else expect(end - start).toBeLessThan(DAY_MILLISECONDS * (hasDays ? 1 : 2));
          }
        }
      }),
      { numRuns: 100 },
    );
  });
});

describe('the single transactions', () => {
  it('are read only for what no rollup keeps', () => {
    const ofWork = USAGE_DIMENSIONS.filter((by) => needsLines(aQuery({ groupBy: [by] })));
    expect(ofWork).toEqual(['TASK', 'EXECUTION']);
    expect(needsLines(aQuery({ byDimensions: ['region'] }))).toBe(true);
    expect(needsLines(aQuery({ filter: { ...NO_FILTER, meters: ['search'], models: [], userIds: ['u'] } }))).toBe(
      false,
    );
    for (const named of [{ taskId: 't' }, { executionId: 'e' }]) {
      expect(needsLines(aQuery({ filter: { ...NO_FILTER, ...named } }))).toBe(true);
    }
  });
});

describe('the text of a dimension', () => {
  it.each([
    ['large', 'large'],
    [true, 'true'],
    [false, 'false'],
    [0, '0'],
    [-1.5, '-1.5'],
    [1e21, '1000000000000000000000'],
    [-1.25e22, '-12500000000000000000000'],
    [1e-7, '0.0000001'],
    [-1.25e-9, '-0.00000000125'],
    [null, ''],
  ])('of %j is %j', (value, text) => {
    expect(dimension({ model: value }, 'model')).toBe(text);
  });

  it('is empty where there is none', () => {
    expect(dimension({}, 'model')).toBe('');
    expect(dimension({}, 'constructor')).toBe('');
    expect(dimension(null, 'model')).toBe('');
  });
});
