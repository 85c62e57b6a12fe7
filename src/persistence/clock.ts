/**
 * The database's clock, the only one that the books know, and the clocks of organizations and wallets, which follow it. The
 * fragments are of statements that name the organization `o` and the wallet `w`. Whoever decides under a lock reads the clock
 * after it is granted, which is in another statement: so nothing is dated before what was waited for.
 */
import { type Instant, instant, later } from '../domain/time/instant.ts';
import { type Fragment, fragment, type Queryable } from './connection.ts';

/** Whole milliseconds since 1970, as instants are. */
export const DATABASE_MILLISECONDS: Fragment = fragment`floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint`;

export async function databaseNow(sql: Queryable): Promise<Instant> {
  const [row] = await sql<{ now: bigint }[]>`SELECT ${DATABASE_MILLISECONDS} AS now`;
  if (!row) throw new Error('the database told no time');
  return instant(Number(row.now));
}

/** An organization's time: the database's plus the offset of its test clock, which is null where it has none. */
export const ORGANIZATION_CLOCK: Fragment = fragment`clock_timestamp()
        + coalesce(o.test_clock_offset_ms, 0) * interval '1 millisecond'`;
export const ORGANIZATION_MILLISECONDS: Fragment = fragment`${DATABASE_MILLISECONDS}
        + coalesce(o.test_clock_offset_ms, 0)`;

/** A wallet's time: its organization's, never before its newest posting. */
export const WALLET_CLOCK: Fragment = fragment`greatest(w.last_posted_at, ${ORGANIZATION_CLOCK})`;

/** The columns by which a wallet's time is known to whoever reads its row. */
export interface ClockRow {
  readonly last_posted_at: Instant;
  readonly organization_clock: bigint;
}

export const CLOCK_COLUMNS: Fragment = fragment`w.last_posted_at, ${ORGANIZATION_MILLISECONDS} AS organization_clock`;

export const nowOfRow = (row: ClockRow): Instant => later(instant(Number(row.organization_clock)), row.last_posted_at);

/** Of the organization with this id, for statements that do not read its row; the database's clock where there is none. */
export const clockOfOrganization = (organizationId: string | null | Fragment): Fragment =>
  fragment`coalesce((SELECT ${ORGANIZATION_CLOCK} FROM organization o WHERE o.id = ${organizationId}), clock_timestamp())`;
