/** Test clocks: an organization's time is the database's plus an offset that only grows. */
import { type Instant, instant } from '../domain/time/instant.ts';
import { DATABASE_MILLISECONDS, ORGANIZATION_MILLISECONDS } from './clock.ts';
import type { Queryable } from './connection.ts';

export interface MovedClock {
  readonly hasTestClock: boolean;
  readonly moved: boolean;
}

/** Sets the offset so that the organization's time is `to`, unless that would move it back. */
export async function moveTestClock(sql: Queryable, organizationId: string, to: Instant): Promise<MovedClock> {
  const [row] = await sql<{ has_test_clock: boolean }[]>`
    SELECT test_clock_offset_ms IS NOT NULL AS has_test_clock FROM organization WHERE id = ${organizationId} FOR UPDATE`;
  if (!row?.has_test_clock) return { hasTestClock: false, moved: false };
  const moved = await sql`
    UPDATE organization
    SET test_clock_offset_ms = ${to}::bigint - ${DATABASE_MILLISECONDS}
    WHERE id = ${organizationId}
      AND ${to}::bigint - ${DATABASE_MILLISECONDS} >= test_clock_offset_ms`;
  return { hasTestClock: true, moved: moved.count === 1 };
}

/** An organization's time, and whether it is that of a test clock. */
export async function organizationClock(
  sql: Queryable,
  organizationId: string,
): Promise<{ readonly hasTestClock: boolean; readonly now: Instant }> {
  const [row] = await sql<{ has_test_clock: boolean; now: bigint }[]>`
    SELECT o.test_clock_offset_ms IS NOT NULL AS has_test_clock,
      ${ORGANIZATION_MILLISECONDS} AS now
    FROM organization o WHERE o.id = ${organizationId}`;
  if (!row) throw new Error(`there is no organization ${organizationId}`);
  return { hasTestClock: row.has_test_clock, now: instant(Number(row.now)) };
}
