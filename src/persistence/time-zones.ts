/** Time zones of organizations, with their changes. */

import type { ZoneFacts } from '../domain/time/change-zone.ts';
import { formatInstant, type Instant, instant } from '../domain/time/instant.ts';
import type { Zone, ZoneChange } from '../domain/time/zone.ts';
import { CLOCK_COLUMNS, type ClockRow, nowOfRow } from './clock.ts';
import { type Fragment, fragment, type Queryable } from './connection.ts';

/** The columns of an organization, named `o` in the statement, by which its zone is known. */
export interface ZoneRow {
  readonly time_zone: string;
  readonly time_zone_changes: unknown;
}

export const ZONE_COLUMNS: Fragment = fragment`o.time_zone, o.time_zone_changes`;

export const zoneOfRow = (row: ZoneRow): Zone => zoneOf(row.time_zone, row.time_zone_changes);

/** What the columns say; throws where they say nothing that was ever written there. */
export function zoneOf(timeZone: string, changes: unknown): Zone {
  if (!Array.isArray(changes)) throw new Error('the changes of a time zone are a list');
  return changes.length === 0 ? timeZone : { timeZone, changes: changes.map(zoneChange) };
}

function zoneChange(stored: unknown): ZoneChange {
  if (typeof stored === 'object' && stored !== null && 'from' in stored && 'timeZone' in stored) {
    const { from, timeZone } = stored;
    if (typeof from === 'number' && typeof timeZone === 'string') return { from: instant(from), timeZone };
  }
  throw new Error('a change of a time zone has an instant and a zone');
}

interface FactsRow extends ClockRow, ZoneRow {
  time_zone_changed_at: Instant | null;
  anchor_day: number | null;
  current_period_end: Instant | null;
  refreshes_end: Instant | null;
}

/**
 * What decides about a change of an organization's zone; null where there is no such organization. The wallet is locked
 * before its clock is read, so that no batch opens a window by what is no longer true.
 */
export async function lockZone(sql: Queryable, organizationId: string): Promise<ZoneFacts | null> {
  await sql`SELECT 1 FROM wallet WHERE organization_id = ${organizationId} FOR UPDATE`;
  const [row] = await sql<FactsRow[]>`
    SELECT ${ZONE_COLUMNS}, o.time_zone_changed_at, ${CLOCK_COLUMNS}, s.anchor_day, s.current_period_end,
           (SELECT max(next_refresh_at) FROM allowance WHERE allowance.wallet_id = w.id) AS refreshes_end
    FROM organization o
    JOIN wallet w ON w.organization_id = o.id
    LEFT JOIN plan_subscription s ON s.organization_id = o.id
    WHERE o.id = ${organizationId}`;
  if (!row) return null;
  return {
    zone: zoneOfRow(row),
    changedAt: row.time_zone_changed_at,
    now: nowOfRow(row),
    anchorDay: row.anchor_day ?? 1,
    ends: [row.current_period_end, row.refreshes_end].filter((end) => end !== null),
  };
}

/** Adds a change behind all others. The caller holds the lock of `lockZone`. */
export async function appendZoneChange(
  sql: Queryable,
  organizationId: string,
  { from, timeZone }: ZoneChange,
  acceptedAt: Instant,
): Promise<void> {
  const change = JSON.stringify([{ from, timeZone }]);
  await sql`
    UPDATE organization
    SET time_zone_changes = time_zone_changes || ${change}::text::jsonb,
        time_zone_changed_at = ${formatInstant(acceptedAt)}::timestamptz
    WHERE id = ${organizationId}`;
}
