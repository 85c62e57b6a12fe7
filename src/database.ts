/**
 * Finds the database to serve from: the embedded PostgreSQL or the one that the environment names. Whoever may migrates it
 * and makes the roles that serve and run jobs; whoever may not only checks that the schema is the one this version needs.
 */

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from 'pg';
import type { Config } from './config.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from './embedded-postgres/index.ts';
import { ADVISORY_LOCKS } from './persistence/advisory-locks.ts';
import { clientFor } from './persistence/client.ts';
import { explainFault } from './persistence/explain-fault.ts';
import { applyMigrations, pendingMigrations } from './persistence/migrations/migrate.ts';
import { ensureJobsRole, findJobsUrl } from './persistence/roles/jobs-role.ts';
import { ensureServingRole, grantServing } from './persistence/roles/serving-role.ts';
import { projectPath } from './project-path.ts';

/** Something a person must mend before the gateway can start; one clear line. */
export class StartupError extends Error {}

export interface Database {
  /** The URL of the role that serves. */
  readonly databaseUrl: string;
  /** The URL of the role that runs jobs; null where this process can run none. */
  readonly jobsUrl: string | null;
  readonly notices: readonly string[];
  /** Stops what was started for it; nothing for a database that the environment named. */
  stop(): Promise<void>;
}

const DATABASE_NAME = 'purser';
const LOCK_ATTEMPTS = 20;
const LOCK_PAUSE_MILLISECONDS = 100;

export async function openDatabase(config: Config): Promise<Database> {
  if (config.databaseUrl !== undefined) {
    return { ...(await prepare(config, config.databaseUrl, config.databaseAdminUrl)), stop: async () => undefined };
  }
  if (config.databaseAdminUrl !== undefined) {
    return { ...(await prepare(config, config.databaseAdminUrl, undefined)), stop: async () => undefined };
  }
  await mkdir(config.dataDirectory, { recursive: true }).catch(() => {
    throw new StartupError(`The data directory ${config.dataDirectory} cannot be made.`);
  });
  const server = await startEmbeddedPostgres({
    dataDirectory: join(config.dataDirectory, 'postgres'),
    database: DATABASE_NAME,
    settings: { max_connections: '200', shared_buffers: '256MB', wal_compression: 'on' },
  });
  const owner = await claimDataDirectory(server, config.dataDirectory);
  const prepared = await prepare(config, server.adminUrl, undefined);
  return {
    ...prepared,
    notices: [...server.notices, ...prepared.notices],
    async stop() {
      await owner.end();
      await server.stop();
    },
  };
}

/** One gateway owns an embedded server and stops it; others join by its `databaseUrl`. */
async function claimDataDirectory(server: EmbeddedPostgres, dataDirectory: string): Promise<Client> {
  const client = clientFor(server.adminUrl);
  await client.connect();
  for (let attempt = 0; attempt < LOCK_ATTEMPTS; attempt++) {
    const { rows } = await client.query<{ mine: boolean }>('SELECT pg_try_advisory_lock($1) AS mine', [
      ADVISORY_LOCKS.owner,
    ]);
    if (rows[0]?.mine) return client;
    await new Promise((resolve) => setTimeout(resolve, LOCK_PAUSE_MILLISECONDS));
  }
  await client.end();
  throw new StartupError(
    `Another gateway runs on ${dataDirectory}. Give this one a PURSER_DATA_DIR of its own; with DATABASE_URL=<databaseUrl of its demo.json> as well it joins that one.`,
  );
}

async function migrate(databaseUrl: string, migrationsDirectory: string): Promise<void> {
  await applyMigrations({ databaseUrl, migrationsDirectory, schemaPath: projectPath('prisma/schema.prisma') });
}

type Prepared = Omit<Database, 'stop'>;

async function prepare(config: Config, databaseUrl: string, adminUrl: string | undefined): Promise<Prepared> {
  const migrationsDirectory = projectPath('prisma/migrations');
  try {
    const migrator = adminUrl ?? ((await mayMigrate(databaseUrl)) ? databaseUrl : undefined);
    if (migrator === undefined) {
      const pending = await pendingMigrations({ databaseUrl, migrationsDirectory });
      if (pending.length === 0) return await joined(config, databaseUrl);
      throw new StartupError(
        `The database lacks ${pending.join(', ')} and this user may not migrate it: start once with DATABASE_ADMIN_URL set.`,
      );
    }
    await migrate(migrator, migrationsDirectory);
    if (adminUrl !== undefined && new URL(adminUrl).username !== new URL(databaseUrl).username) {
      const servingRole = userOf(databaseUrl);
      await grantServing(adminUrl, servingRole);
      await mayMigrate(databaseUrl).catch((error: unknown) => {
        throw explain(error, databaseUrl);
      });
      return { databaseUrl, jobsUrl: await ensureJobsRole(adminUrl, servingRole), notices: [] };
    }
    const role = await ensureServingRole(migrator);
    const jobsUrl = await ensureJobsRole(migrator, userOf(role.databaseUrl));
    return { databaseUrl: role.databaseUrl, jobsUrl, notices: role.notice === null ? [] : [role.notice] };
  } catch (error) {
    throw explain(error, adminUrl ?? databaseUrl);
  }
}

/** Serves a database that others prepare, and runs jobs where they have made a role for it. */
async function joined({ jobs }: Config, databaseUrl: string): Promise<Prepared> {
  const jobsUrl = jobs ? await findJobsUrl(databaseUrl) : null;
  const notice =
    'No role for jobs has been made here: this process serves without them. Start once with DATABASE_ADMIN_URL set.';
  return { databaseUrl, jobsUrl, notices: jobs && jobsUrl === null ? [notice] : [] };
}

const userOf = (databaseUrl: string): string => decodeURIComponent(new URL(databaseUrl).username);

async function mayMigrate(databaseUrl: string): Promise<boolean> {
  const client = clientFor(databaseUrl);
  await client.connect();
  try {
    const { rows } = await client.query<{ allowed: boolean }>(
      "SELECT has_schema_privilege('public', 'CREATE') AND has_database_privilege(current_database(), 'CREATE') AS allowed",
    );
    return rows[0]?.allowed ?? false;
  } finally {
    await client.end();
  }
}

function explain(error: unknown, databaseUrl: string): unknown {
  const line = explainFault(error, databaseUrl);
  return line === undefined ? error : new StartupError(line);
}
