/**
 * The change of an organization's time zone. It is accepted at once and applies from the end of the longest window that is
 * open then, so that no window whose end somebody was told, and no period that was paid for, is cut or stretched. What opens
 * meanwhile may already end by the new zone: a change that was accepted is not taken back.
 */
import type { Conflict } from '../plain-refusals.ts';
import { addDays, anchoredMonthPeriod, calendarWindow, isSameZone } from './calendar.ts';
import { formatInstant, type Instant, later } from './instant.ts';
import { nextZoneChange, type Zone, type ZoneChange, zoneAt } from './zone.ts';

/** Days that lie between two changes at least. */
const DAYS_BETWEEN_CHANGES = 30;

export interface ZoneFacts {
  readonly zone: Zone;
  /** When the last change was accepted; null where there never was one. */
  readonly changedAt: Instant | null;
  readonly now: Instant;
  /** The day of the month on which billing periods begin: the first where there is no subscription. */
  readonly anchorDay: number;
  /** When what the books have begun ends: the billing period, the periods of allowances. Some may have passed. */
  readonly ends: readonly Instant[];
}

export interface NothingChanges {
  readonly kind: 'unchanged';
}

export interface ZoneChanges {
  readonly kind: 'change';
  readonly change: ZoneChange;
}

/**
 * The zone that is or will be in force changes nothing. Conflict within 30 days of the last change, and while one has not
 * yet applied.
 */
export function decideZoneChange(facts: ZoneFacts, timeZone: string): NothingChanges | ZoneChanges | Conflict {
  const { zone, changedAt, now } = facts;
  const pending = nextZoneChange(zone, now);
  if (isSameZone(timeZone, pending?.timeZone ?? zoneAt(zone, now))) return { kind: 'unchanged' };
  const rested = changedAt === null ? now : addDays(changedAt, DAYS_BETWEEN_CHANGES, zone);
  const allowedFrom = later(rested, pending?.from ?? rested);
  if (now < allowedFrom) {
    return {
      code: 'CONFLICT',
      currentState: pending ? 'TIME_ZONE_CHANGE_PENDING' : 'TIME_ZONE_CHANGED',
      reason: `the time zone may change again from ${formatInstant(allowedFrom)}`,
    };
  }
  return { kind: 'change', change: { from: endOfLongestWindow(facts), timeZone } };
}

function endOfLongestWindow({ zone, now, anchorDay, ends }: ZoneFacts): Instant {
  const months = [calendarWindow('MONTH', now, zone), anchoredMonthPeriod(now, anchorDay, zone)];
  return [...months.map(({ end }) => end), ...ends].reduce(later);
}
