/**
 * Calendar arithmetic in an organization's time zone. Periods are half-open and begin at the first instant of a local day,
 * so that a 23-hour and a 25-hour day are each one day. Monthly periods are anchored to a day of the month; a month that
 * is too short begins its period on its last day (31 Jan → 28 Feb → 31 Mar). Where the zone changes, each date still has
 * one period: it begins by the zone before where that is no later than the change, else by the new one.
 */
import { Temporal } from 'temporal-polyfill';
import { earliest, type Instant, instant, later } from './instant.ts';
import { firstZone, nextZoneChange, type Zone, zoneAt, zoneChanges } from './zone.ts';

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

/** True for names of one zone: "Asia/Kolkata" and "Asia/Calcutta", or the same in another case. */
export function isSameZone(one: string, other: string): boolean {
  const epoch = Temporal.Instant.fromEpochMilliseconds(0);
  return epoch.toZonedDateTimeISO(one).equals(epoch.toZonedDateTimeISO(other));
}

function localDate(at: Instant, timeZone: string): Temporal.PlainDate {
  return Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(timeZone).toPlainDate();
}

function startOfDay(date: Temporal.PlainDate, timeZone: string): Instant {
  // A date without a time is the first instant of its day.
  return instant(date.toZonedDateTime(timeZone).epochMilliseconds);
}

/** When the date begins. One that has not begun when the zone changes does by the new zone, and no earlier than then. */
function startOfDate(date: Temporal.PlainDate, zone: Zone): Instant {
  let start = startOfDay(date, firstZone(zone));
  for (const { from, timeZone } of zoneChanges(zone)) {
    if (start <= from) return start;
    start = later(from, startOfDay(date, timeZone));
  }
  return start;
}

/** The dates on which periods begin that follow one another. */
interface Cadence {
  /** The last of them that is not after the date. */
  readonly upTo: (date: Temporal.PlainDate) => Temporal.PlainDate;
  /** The one that follows one of them. */
  readonly after: (date: Temporal.PlainDate) => Temporal.PlainDate;
}

const DAILY: Cadence = { upTo: (date) => date, after: (date) => date.add({ days: 1 }) };
const MONTHLY: Cadence = { upTo: (date) => date.with({ day: 1 }), after: (date) => date.add({ months: 1 }) };

const anchored = (anchorDay: number): Cadence => ({
  upTo: (date) => {
    const month = date.toPlainYearMonth();
    const inMonth = anchoredDate(month, anchorDay);
    const isReached = Temporal.PlainDate.compare(inMonth, date) <= 0;
    return isReached ? inMonth : anchoredDate(month.subtract({ months: 1 }), anchorDay);
  },
  after: (date) => anchoredDate(date.toPlainYearMonth().add({ months: 1 }), anchorDay),
});

/** A period that is known by the date on which it begins, wherever a change of the zone has moved its beginning. */
interface DatedPeriod extends Period {
  readonly date: Temporal.PlainDate;
}

function datedPeriod(at: Instant, zone: Zone, { upTo, after }: Cadence): DatedPeriod {
  // After a change the date of the new zone may have begun by the old one already, or not yet.
  let date = upTo(localDate(at, zoneAt(zone, at)));
  let start = startOfDate(date, zone);
  while (start > at) {
    date = upTo(date.subtract({ days: 1 }));
    start = startOfDate(date, zone);
  }
  for (;;) {
    const next = after(date);
    const end = startOfDate(next, zone);
    if (at < end) return { date, start, end };
    [date, start] = [next, end];
  }
}

const periodOf = ({ start, end }: DatedPeriod): Period => ({ start, end });

export function dayOfMonth(at: Instant, zone: Zone): number {
  return datedPeriod(at, zone, DAILY).date.day;
}

/** The local calendar day that contains `at`. */
export function dayPeriod(at: Instant, zone: Zone): Period {
  return periodOf(datedPeriod(at, zone, DAILY));
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

/** An hour in which the zone changes is two, for those of the zones need not begin together. */
function hourOf(at: Instant, zone: Zone): Period {
  const { start, end } = hourPeriod(at, zoneAt(zone, at));
  const began = zoneChanges(zone).findLast(({ from }) => from <= at)?.from ?? start;
  return { start: later(start, began), end: earliest(end, nextZoneChange(zone, at)?.from ?? null) ?? end };
}

/** The hour, day or month of an organization's calendar that contains `at`. */
export function calendarWindow(window: 'HOUR' | 'DAY' | 'MONTH', at: Instant, zone: Zone): Period {
  switch (window) {
    case 'HOUR':
      return hourOf(at, zone);
    case 'DAY':
      return dayPeriod(at, zone);
    case 'MONTH':
      return periodOf(datedPeriod(at, zone, MONTHLY));
  }
}

/** A local day or month, or what of it lies in a longer period. */
export interface CalendarPeriod extends Period {
  /** "2026-11-21" or "2026-11". */
  readonly name: string;
}

/** The local days or months that a period reaches into, in order; the first and the last may be cut by it. */
export function calendarPeriods(interval: Interval, { start, end }: Period, zone: Zone): CalendarPeriod[] {
  const pieces: CalendarPeriod[] = [];
  const cadence = interval === 'DAY' ? DAILY : MONTHLY;
  let { date } = datedPeriod(start, zone, cadence);
  for (let from = start; from < end; ) {
    const next = cadence.after(date);
    const until = instant(Math.min(startOfDate(next, zone), end));
    // A date that a zone has skipped has no instants.
    if (until > from) pieces.push({ name: nameOf(interval, date), start: from, end: until });
    [from, date] = [later(from, until), next];
  }
  return pieces;
}

/** The local calendar month that contains `at`. */
export function monthAt(at: Instant, zone: Zone): CalendarPeriod {
  const { date, start, end } = datedPeriod(at, zone, MONTHLY);
  return { name: nameOf('MONTH', date), start, end };
}

function nameOf(interval: Interval, date: Temporal.PlainDate): string {
  return interval === 'DAY' ? date.toString() : date.toPlainYearMonth().toString();
}

function anchoredDate(month: Temporal.PlainYearMonth, anchorDay: number): Temporal.PlainDate {
  return month.toPlainDate({ day: Math.min(anchorDay, month.daysInMonth) });
}

/** The anchored month that contains `at`. */
export function anchoredMonthPeriod(at: Instant, anchorDay: number, zone: Zone): Period {
  return periodOf(datedPeriod(at, zone, anchored(anchorDay)));
}

/** The period of an allowance or plan that contains `at`. */
export function refreshPeriod(interval: Interval, at: Instant, anchorDay: number, zone: Zone): Period {
  return interval === 'DAY' ? dayPeriod(at, zone) : anchoredMonthPeriod(at, anchorDay, zone);
}

/** `at` moved by whole local days: the same wall-clock time `days` later, by the zone in force at `at`. */
export function addDays(at: Instant, days: number, zone: Zone): Instant {
  const moved = Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(zoneAt(zone, at)).add({ days });
  return instant(moved.epochMilliseconds);
}

/**
 * The billing period of a subscription that contains `at`: a month or a year of anchored months. A year is counted from the
 * anchored month that contains `at`.
 */
export function billingPeriod(interval: 'MONTH' | 'YEAR', at: Instant, anchorDay: number, zone: Zone): Period {
  const { date, start, end } = datedPeriod(at, zone, anchored(anchorDay));
  if (interval === 'MONTH') return { start, end };
  const following = date.toPlainYearMonth().add({ years: 1 });
  return { start, end: startOfDate(anchoredDate(following, anchorDay), zone) };
}

/** Of the periods that follow one another from the end of `last`, the one that contains `at`. */
export function billingPeriodSince(
  interval: 'MONTH' | 'YEAR',
  { end: since }: Period,
  at: Instant,
  anchorDay: number,
  zone: Zone,
): Period {
  if (interval === 'MONTH') return anchoredMonthPeriod(at, anchorDay, zone);
  const monthOf = (moment: Instant) => datedPeriod(moment, zone, anchored(anchorDay)).date.toPlainYearMonth();
  const first = monthOf(since);
  const years = Math.floor(first.until(monthOf(at), { largestUnit: 'months' }).months / MONTHS_PER_YEAR);
  const startOfYear = (number: number) => startOfDate(anchoredDate(first.add({ years: number }), anchorDay), zone);
  return { start: startOfYear(years), end: startOfYear(years + 1) };
}

const MONTHS_PER_YEAR = 12;
