/**
 * The role that runs the queue of jobs. It owns the queue's schema and nothing else: the work of a job is done by the role
 * that serves, so whoever gets hold of this one can delay jobs and do nothing to the books.
 */
import { type Client, escapeIdentifier } from 'pg';
import { clientFor } from '../client.ts';
import { sqlState } from '../errors.ts';
import { asOwner, ensureRole, mayCreateRoles, type RoleSecret, urlAs } from './roles.ts';

export const QUEUE_SCHEMA = 'graphile_worker';

/** Undefined table, insufficient privilege, invalid schema name. */
const NOT_THERE = new Set(['42P01', '42501', '3F000']);

/**
 * Creates or repairs the role and its schema, and lets the serving role find it. Where roles cannot be made, or the queue
 * belongs to another role since a time when they could not, the owner itself runs jobs. Answers the URL to run them with.
 */
export async function ensureJobsRole(adminUrl: string, servingRole: string): Promise<string> {
  return asOwner(adminUrl, async (client) => {
    const owner = await queueOwner(client);
    if (!(await mayCreateRoles(client))) return adminUrl;
    if (owner !== null && !(await isRecorded(client, owner))) return adminUrl;
    const role = await ensureRole(client, adminUrl, 'jobs');
    if (owner === null) await createQueueSchema(client, role);
    const serving = escapeIdentifier(servingRole);
    await client.query(
      `GRANT USAGE ON SCHEMA purser_owner TO ${serving}; GRANT SELECT ON purser_owner.jobs_role TO ${serving}`,
    );
    return urlAs(adminUrl, role);
  });
}

/** The URL that a process which may not make roles runs jobs with; null where no process has made one. */
export async function findJobsUrl(databaseUrl: string): Promise<string | null> {
  const client = clientFor(databaseUrl);
  await client.connect();
  try {
    const { rows } = await client.query<RoleSecret>('SELECT name, password FROM purser_owner.jobs_role LIMIT 1');
    return rows[0] ? urlAs(databaseUrl, rows[0]) : null;
  } catch (error) {
    if (NOT_THERE.has(sqlState(error) ?? '')) return null;
    throw error;
  } finally {
    await client.end();
  }
}

async function queueOwner(client: Client): Promise<string | null> {
  const { rows } = await client.query<{ owner: string }>(
    'SELECT pg_get_userbyid(nspowner) AS owner FROM pg_namespace WHERE nspname = $1',
    [QUEUE_SCHEMA],
  );
  return rows[0]?.owner ?? null;
}

async function isRecorded(client: Client, owner: string): Promise<boolean> {
  const { rows } = await client.query<{ there: boolean }>(
    "SELECT to_regclass('purser_owner.jobs_role') IS NOT NULL AS there",
  );
  if (!rows[0]?.there) return false;
  return ((await client.query('SELECT 1 FROM purser_owner.jobs_role WHERE name = $1', [owner])).rowCount ?? 0) > 0;
}

/**
 * The queue's own migrations begin with CREATE SCHEMA IF NOT EXISTS, for which PostgreSQL demands the right to create
 * schemas even where it exists. With its table of migrations there they begin after that, and the role needs no right
 * beyond its schema. The owner is a member of the role for this transaction only.
 */
async function createQueueSchema(client: Client, { name }: RoleSecret): Promise<void> {
  const role = escapeIdentifier(name);
  await client.query(`
    BEGIN;
    GRANT ${role} TO CURRENT_USER;
    CREATE SCHEMA ${QUEUE_SCHEMA} AUTHORIZATION ${role};
    SET LOCAL ROLE ${role};
    CREATE TABLE ${QUEUE_SCHEMA}.migrations (
      id int PRIMARY KEY,
      ts timestamptz NOT NULL DEFAULT now(),
      breaking boolean NOT NULL DEFAULT false
    );
    RESET ROLE;
    REVOKE ${role} FROM CURRENT_USER;
    COMMIT`);
}
