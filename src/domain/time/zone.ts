/**
 * The time zone of an organization, over all of its time. A change applies from an instant on; before it, days are those of
 * the zone before. All that is cut by an organization's calendar is cut by this, so that nobody has to carry a change out.
 */
import type { Instant } from './instant.ts';

export interface ZoneChange {
  /** The first instant at which the zone is in force. */
  readonly from: Instant;
  readonly timeZone: string;
}

export interface ChangingZone {
  /** The zone before all changes. */
  readonly timeZone: string;
  /** Earliest first; the last one may lie ahead. */
  readonly changes: readonly ZoneChange[];
}

/** A zone that has always been the same is its name. */
export type Zone = string | ChangingZone;

const NONE: readonly ZoneChange[] = [];

export const zoneChanges = (zone: Zone): readonly ZoneChange[] => (typeof zone === 'string' ? NONE : zone.changes);

export const firstZone = (zone: Zone): string => (typeof zone === 'string' ? zone : zone.timeZone);

/** The name of the zone in force at an instant. */
export function zoneAt(zone: Zone, at: Instant): string {
  const last = zoneChanges(zone).findLast(({ from }) => from <= at);
  return last?.timeZone ?? firstZone(zone);
}

/** The change that lies ahead of an instant; null where none does. */
export const nextZoneChange = (zone: Zone, at: Instant): ZoneChange | null =>
  zoneChanges(zone).find(({ from }) => from > at) ?? null;
