/** The database's clock, the only one that the books know. */
import { type Instant, instant } from '../domain/time/instant.ts';
import type { Queryable } from './connection.ts';

export async function databaseNow(sql: Queryable): Promise<Instant> {
  const [row] = await sql<{ now: bigint }[]>`SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now`;
  if (!row) throw new Error('the database told no time');
  return instant(Number(row.now));
}
