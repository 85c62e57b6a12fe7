/** Connections to the queue of jobs: few, named, and quiet when they break. */

import { Pool } from 'pg';
import { ADVISORY_LOCKS } from './advisory-locks.ts';
import { CONNECTING } from './client.ts';

/** One listens for new jobs, one takes, completes and adds them. */
const CONNECTIONS = 2;
const TIMEOUTS = '-c statement_timeout=30s -c idle_in_transaction_session_timeout=5s';

export type QueuePool = Pool;

/** Opens nothing yet. */
export function createQueuePool(databaseUrl: string): QueuePool {
  const pool = new Pool({
    connectionString: databaseUrl,
    max: CONNECTIONS,
    ...CONNECTING,
    application_name: 'purser-jobs',
    options: TIMEOUTS,
  });
  // A connection that breaks tells its statements, which fail; the event besides has nobody to tell.
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}

/** Runs `work` while no other process prepares the queue. The lock goes with its session, whatever happens. */
export async function withQueueLock<T>(pool: QueuePool, work: () => Promise<T>): Promise<T> {
  const client = await pool.connect();
  try {
    await client.query('SELECT pg_advisory_lock($1)', [ADVISORY_LOCKS.queue]);
    return await work();
  } finally {
    client.release(true);
  }
}
