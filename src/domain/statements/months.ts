/** Which months an organization has statements of: from the one in which it began to the one that runs. */
import { type CalendarPeriod, calendarPeriods, monthAt } from '../time/calendar.ts';
import { type Instant, instant } from '../time/instant.ts';
import type { Zone } from '../time/zone.ts';
import { type YearMonth, yearMonth } from './year-month.ts';

export interface StatedMonth {
  readonly month: YearMonth;
  readonly start: Instant;
  /** Exclusive. */
  readonly end: Instant;
}

/** What decides about the months of a wallet. */
export interface StatedLife {
  readonly zone: Zone;
  readonly createdAt: Instant;
  /** The end of the last month that is closed; null before the first is. */
  readonly closedUntil: Instant | null;
  /** The organization's time. */
  readonly now: Instant;
}

/** Those that are not closed, earliest first; the last one runs. */
export function unclosedMonths({ zone, createdAt, closedUntil, now }: StatedLife): StatedMonth[] {
  const start = closedUntil ?? monthAt(createdAt, zone).start;
  const running = monthAt(now, zone);
  return calendarPeriods('MONTH', { start, end: running.end }, zone).map(statedMonth);
}

const statedMonth = ({ name, start, end }: CalendarPeriod): StatedMonth => ({ month: yearMonth(name), start, end });

/**
 * Of the months that are not closed those that can be: over, and with nothing due in them that is not posted. `dueAt` is
 * when the next transition comes due, null where none does.
 */
export function closableMonths(life: StatedLife, dueAt: Instant | null): StatedMonth[] {
  const until = dueAt === null ? life.now : instant(Math.min(life.now, dueAt));
  return unclosedMonths(life).filter(({ end }) => end <= until);
}
