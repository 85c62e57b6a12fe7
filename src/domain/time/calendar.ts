/**
 * Calendar arithmetic in an organization's time zone. Periods are half-open and begin at the first instant of a local day,
 * so that a 23-hour and a 25-hour day are each one day. Monthly periods are anchored to a day of the month; a month that
 * is too short begins its period on its last day (31 Jan → 28 Feb → 31 Mar).
 */
import { Temporal } from 'temporal-polyfill';
import { type Instant, instant, later } from './instant.ts';

export interface Period {
  readonly start: Instant;
  /** Exclusive. */
  readonly end: Instant;
}

export type Interval = 'DAY' | 'MONTH';

/** True for names of the IANA database that this runtime knows ("Europe/Berlin"); offsets are refused. */
export function isTimeZone(name: string): boolean {
  if (!/^[A-Za-z]/.test(name)) return false;
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

function localDate(at: Instant, timeZone: string): Temporal.PlainDate {
  return Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(timeZone).toPlainDate();
}

function startOfDay(date: Temporal.PlainDate, timeZone: string): Instant {
  // A date without a time is the first instant of its day.
  return instant(date.toZonedDateTime(timeZone).epochMilliseconds);
}

export function dayOfMonth(at: Instant, timeZone: string): number {
  return localDate(at, timeZone).day;
}

/** The local calendar day that contains `at`. */
export function dayPeriod(at: Instant, timeZone: string): Period {
  const date = localDate(at, timeZone);
  return { start: startOfDay(date, timeZone), end: startOfDay(date.add({ days: 1 }), timeZone) };
}

/** The local month that contains `at`. */
function monthPeriod(at: Instant, timeZone: string): Period {
  const first = localDate(at, timeZone).with({ day: 1 });
  return { start: startOfDay(first, timeZone), end: startOfDay(first.add({ months: 1 }), timeZone) };
}

/**
 * The hour of the local clock that contains `at`: between two instants at which it shows a full hour. An hour that the clock
 * shows twice is two, and one in the middle of which it is set is two as well.
 */
function hourPeriod(at: Instant, timeZone: string): Period {
  const local = Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(timeZone);
  const { minute, second, millisecond } = local;
  const start = local.subtract({ minutes: minute, seconds: second, milliseconds: millisecond });
  const end = start.add({ hours: 1 });
  const isSet = start.offsetNanoseconds !== end.subtract({ milliseconds: 1 }).offsetNanoseconds;
  if (!isSet) return { start: instant(start.epochMilliseconds), end: instant(end.epochMilliseconds) };
  const change = start.getTimeZoneTransition('next')?.epochMilliseconds ?? end.epochMilliseconds;
  return at < change
    ? { start: instant(start.epochMilliseconds), end: instant(change) }
    : { start: instant(change), end: nextFullHour(at, local) };
}

function nextFullHour(at: Instant, { minute, second, millisecond }: Temporal.ZonedDateTime): Instant {
  return instant(at + 3_600_000 - minute * 60_000 - second * 1_000 - millisecond);
}

/** The hour, day or month of an organization's calendar that contains `at`. */
export function calendarWindow(window: 'HOUR' | 'DAY' | 'MONTH', at: Instant, timeZone: string): Period {
  switch (window) {
    case 'HOUR':
      return hourPeriod(at, timeZone);
    case 'DAY':
      return dayPeriod(at, timeZone);
    case 'MONTH':
      return monthPeriod(at, timeZone);
  }
}

/** A local day or month, or what of it lies in a longer period. */
export interface CalendarPeriod extends Period {
  /** "2026-11-21" or "2026-11". */
  readonly name: string;
}

/** The local days or months that a period reaches into, in order; the first and the last may be cut by it. */
export function calendarPeriods(interval: Interval, { start, end }: Period, timeZone: string): CalendarPeriod[] {
  const pieces: CalendarPeriod[] = [];
  const today = localDate(start, timeZone);
  let date = interval === 'DAY' ? today : today.with({ day: 1 });
  for (let from = start; from < end; ) {
    const next = date.add(interval === 'DAY' ? { days: 1 } : { months: 1 });
    const until = instant(Math.min(startOfDay(next, timeZone), end));
    // A date that a zone has skipped has no instants.
    if (until > from) pieces.push({ name: nameOf(interval, date), start: from, end: until });
    [from, date] = [later(from, until), next];
  }
  return pieces;
}

function nameOf(interval: Interval, date: Temporal.PlainDate): string {
  return interval === 'DAY' ? date.toString() : date.toPlainYearMonth().toString();
}

function anchoredDate(month: Temporal.PlainYearMonth, anchorDay: number): Temporal.PlainDate {
  return month.toPlainDate({ day: Math.min(anchorDay, month.daysInMonth) });
}

/** The anchored month that contains `at`. */
export function anchoredMonthPeriod(at: Instant, anchorDay: number, timeZone: string): Period {
  const month = localDate(at, timeZone).toPlainYearMonth();
  const thisStart = startOfDay(anchoredDate(month, anchorDay), timeZone);
  const first = at >= thisStart ? month : month.subtract({ months: 1 });
  return {
    start: startOfDay(anchoredDate(first, anchorDay), timeZone),
    end: startOfDay(anchoredDate(first.add({ months: 1 }), anchorDay), timeZone),
  };
}

/** The period of an allowance or plan that contains `at`. */
export function refreshPeriod(interval: Interval, at: Instant, anchorDay: number, timeZone: string): Period {
  return interval === 'DAY' ? dayPeriod(at, timeZone) : anchoredMonthPeriod(at, anchorDay, timeZone);
}

/** `at` moved by whole local days: the same wall-clock time `days` later. */
export function addDays(at: Instant, days: number, timeZone: string): Instant {
  const moved = Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(timeZone).add({ days });
  return instant(moved.epochMilliseconds);
}

/**
 * The billing period of a subscription that contains `at`: a month or a year of anchored months. A year is counted from the
 * anchored month that contains `at`.
 */
export function billingPeriod(interval: 'MONTH' | 'YEAR', at: Instant, anchorDay: number, timeZone: string): Period {
  const month = anchoredMonthPeriod(at, anchorDay, timeZone);
  if (interval === 'MONTH') return month;
  const following = localDate(month.start, timeZone).toPlainYearMonth().add({ years: 1 });
  return { start: month.start, end: startOfDay(anchoredDate(following, anchorDay), timeZone) };
}

/** Of the periods that follow one another from the end of `last`, the one that contains `at`. */
export function billingPeriodSince(
  interval: 'MONTH' | 'YEAR',
  { end: since }: Period,
  at: Instant,
  anchorDay: number,
  timeZone: string,
): Period {
  if (interval === 'MONTH') return anchoredMonthPeriod(at, anchorDay, timeZone);
  const monthOf = (moment: Instant) =>
    localDate(anchoredMonthPeriod(moment, anchorDay, timeZone).start, timeZone).toPlainYearMonth();
  const first = monthOf(since);
  const years = Math.floor(first.until(monthOf(at), { largestUnit: 'months' }).months / MONTHS_PER_YEAR);
  const startOfYear = (number: number) => startOfDay(anchoredDate(first.add({ years: number }), anchorDay), timeZone);
  return { start: startOfYear(years), end: startOfYear(years + 1) };
}

const MONTHS_PER_YEAR = 12;
