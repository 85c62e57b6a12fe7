/**
 * Local days and anchored months found by looking through the day in quarter hours, with nothing but the runtime's clock
 * faces: slow, and plain enough to be believed.
 */
const QUARTER_HOUR = 15 * 60_000;
export const HOUR = 4 * QUARTER_HOUR;
export const DAY = 24 * HOUR;

export interface Span {
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
}

const faces = new Map<string, Intl.DateTimeFormat>();

/** What a clock on the wall shows, as text that sorts: "2026-03-29 03:00:00". */
function shown(at: number, zone: string): string {
  let face = faces.get(zone);
  if (!face) {
    face = new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short', timeStyle: 'medium' });
    faces.set(zone, face);
  }
  return face.format(at);
}

const dateOf = (at: number, zone: string): string => shown(at, zone).slice(0, 10);

const firstInstants = new Map<string, number>();

/** The first instant of a local date; no zone is more than 15 hours ahead of UTC, and all change by quarter hours. */
function firstInstantOf(date: string, zone: string): number {
  const known = firstInstants.get(`${date} ${zone}`);
  if (known !== undefined) return known;
  let at = Date.parse(date) - 15 * HOUR;
  while (dateOf(at, zone) < date) at += QUARTER_HOUR;
  firstInstants.set(`${date} ${zone}`, at);
  return at;
}

const plusDays = (date: string, days: number): string =>
  new Date(Date.parse(date) + days * DAY).toISOString().slice(0, 10);

export function dayOfMonth(at: number, zone: string): number {
  return Number(dateOf(at, zone).slice(8));
}

export function dayAround(at: number, zone: string): Span {
  const date = dateOf(at, zone);
  return { start: firstInstantOf(date, zone), end: firstInstantOf(plusDays(date, 1), zone) };
}

/** From one instant at which the clock shows a full hour to the next. */
export function hourAround(at: number, zone: string): Span {
  const isFull = (instant: number) => shown(instant, zone).endsWith(':00:00');
  let start = at - (at % QUARTER_HOUR);
  while (!isFull(start)) start -= QUARTER_HOUR;
  let end = start + QUARTER_HOUR;
  while (!isFull(end)) end += QUARTER_HOUR;
  return { start, end };
}

/** The month from anchor day to anchor day; a month that is too short begins on its last day. */
export function monthAround(at: number, anchorDay: number, zone: string): Span {
  const date = dateOf(at, zone);
  const [year = 0, month = 0] = date.split('-').map(Number);
  const starts = [-1, 0, 1, 2].map((offset) => {
    const lastDay = new Date(Date.UTC(year, month + offset, 0)).getUTCDate();
    return new Date(Date.UTC(year, month - 1 + offset, Math.min(anchorDay, lastDay))).toISOString().slice(0, 10);
  });
  const before = starts.filter((start) => start <= date).at(-1) ?? date;
  const after = starts.find((start) => start > date) ?? date;
  return { start: firstInstantOf(before, zone), end: firstInstantOf(after, zone) };
}

/** The same time of day some local days later; where that is skipped in spring, the same distance past the gap. */
export function sameTimeAfter(at: number, days: number, zone: string): number {
  const aheadOfUtc = (instant: number): number =>
    Date.parse(`${shown(instant, zone).replace(' ', 'T')}Z`) - wholeSeconds(instant);
  const wanted = at + aheadOfUtc(at) + days * DAY;
  const [before, after] = [aheadOfUtc(wanted - DAY), aheadOfUtc(wanted + DAY)];
  const candidates = [wanted - before, wanted - after].filter((found) => found + aheadOfUtc(found) === wanted);
  return candidates.length > 0 ? Math.min(...candidates) : wanted - before;
}

const wholeSeconds = (at: number): number => Math.floor(at / 1_000) * 1_000;
