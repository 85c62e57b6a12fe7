/** What questions cost the database, in pages of tables and indexes: the same on every machine and under any load. */
import { query } from './books.ts';
import type { TestDatabase } from './database.ts';

const OF_THIS_DATABASE = '(SELECT oid FROM pg_database WHERE datname = current_database())';

/** Needed once in a database before its pages are counted. */
export async function countPages(database: TestDatabase): Promise<void> {
  await query(database, 'CREATE EXTENSION IF NOT EXISTS pg_stat_statements');
}

/** How many pages all statements of the database look at meanwhile, each time that they do. */
export async function pagesOf(database: TestDatabase, work: () => Promise<unknown>): Promise<number> {
  await query(database, `SELECT pg_stat_statements_reset(0, ${OF_THIS_DATABASE})`);
  await work();
  const [row] = await query<{ pages: number }>(
    database,
    `SELECT coalesce(sum(shared_blks_hit + shared_blks_read), 0)::int AS pages FROM pg_stat_statements
     WHERE dbid = ${OF_THIS_DATABASE} AND query NOT LIKE '%pg_stat_statements%'`,
  );
  return row?.pages ?? 0;
}
