/**
 * Whether a server answers is found out by connecting to it, as its users will. The answer also tells whether it is the
 * server that belongs to the files: no other accepts their password.
 */
import pg from 'pg';
import { SUPERUSER } from './cluster.ts';
import { errorCode } from './error.ts';

const HOST = '127.0.0.1';
const MAINTENANCE_DATABASE = 'postgres';
const CONNECT_TIMEOUT_MS = 5_000;

/** By these a server says that it is starting, recovering or shutting down, or that it has no connection left. */
const NOT_NOW = ['57P03', '53300'];
const AUTHENTICATION_FAILED = '28P01';

/** `silent`: nothing speaks there, or not PostgreSQL. `foreign`: a PostgreSQL with other passwords. */
export type Answer = 'ready' | 'busy' | 'silent' | 'foreign';

export interface Access {
  readonly port: number;
  readonly password: string;
}

export function urlOf({ port, password }: Access, database: string): string {
  return `postgresql://${SUPERUSER}:${password}@${HOST}:${port}/${encodeURIComponent(database)}`;
}

export async function ask(access: Access): Promise<Answer> {
  try {
    await withClient(access, async () => undefined);
    return 'ready';
  } catch (error) {
    const code = errorCode(error) ?? '';
    if (NOT_NOW.includes(code)) return 'busy';
    return code === AUTHENTICATION_FAILED ? 'foreign' : 'silent';
  }
}

/** Two processes may do this at once: the second then meets a duplicate in one of two ways, and either is fine. */
export async function ensureDatabase(access: Access, database: string): Promise<void> {
  await withClient(access, async (client) => {
    const { rowCount } = await client.query('select from pg_database where datname = $1', [database]);
    if (rowCount !== 0) return;
    await client.query(`create database ${pg.escapeIdentifier(database)}`).catch((error: unknown) => {
      const [duplicateDatabase, uniqueViolation] = ['42P04', '23505'];
      if (![duplicateDatabase, uniqueViolation].includes(errorCode(error) ?? '')) throw error;
    });
  });
}

async function withClient<T>(access: Access, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({
    connectionString: urlOf(access, MAINTENANCE_DATABASE),
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  });
  // A connection lost while nothing is asked of it would otherwise end the process; the next query reports it anyway.
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await use(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}
