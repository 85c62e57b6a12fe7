/**
 * Brings a database to the state that this version of the gateway expects. The migrations in `prisma/migrations` are
 * applied in the order of their names, each once, each wholly or not at all; `_prisma_migrations` records which.
 *
 * Several gateways may start at once on one database: a lock lets one of them migrate, and the others find nothing left
 * to do. A migration that failed, or whose process was killed, left nothing behind and is tried again at the next start.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { SchemaEngine } from '@prisma/schema-engine-wasm/schema_engine_bg';
import pg from 'pg';
import { ADVISORY_LOCKS } from '../advisory-locks.ts';
import { clientFor } from '../client.ts';
import { MigrationAdapterFactory, type ScriptFailure } from './migration-adapter.ts';
import { withSchemaEngine } from './migration-engine.ts';
import {
  asMigrationList,
  listMigrationNames,
  readMigrationLock,
  readMigrationScripts,
  readSchemaFiles,
} from './migration-files.ts';

/** Taken by the engine on its own connection, and by Prisma's command line. */
const ENGINE_LOCK = 72_707_369;
const LOCK_POLL_MS = 50;
const LOCK_TIMEOUT_MS = 10 * 60_000;

const UNDEFINED_TABLE = '42P01';

/** Nothing is managed outside of the migrations. */
const NO_FILTERS = { externalTables: [], externalEnums: [] };

export interface MigrationResult {
  /** The names of the migrations that this call applied, in order. */
  readonly applied: readonly string[];
}

/** A migration failed; the message names it and says what PostgreSQL said. The cause is PostgreSQL's error. */
export class MigrationError extends Error {
  override readonly name = 'MigrationError';
}

interface Database {
  readonly databaseUrl: string;
  readonly migrationsDirectory: string;
}

/** Throws a MigrationError; the migrations before the one that failed stay applied. */
export async function applyMigrations(options: Database & { readonly schemaPath: string }): Promise<MigrationResult> {
  return withClient(options.databaseUrl, async (client) => {
    // Nothing ever becomes pending again, so a database that is up to date needs neither the lock nor the engine.
    if ((await findPending(client, options.migrationsDirectory)).length === 0) return { applied: [] };
    await lock(client);
    return await migrate(client, options);
  });
}

/**
 * The migrations of the directory that the database does not have yet, in order. The role needs no more than SELECT on
 * `_prisma_migrations`.
 */
export async function pendingMigrations({ databaseUrl, migrationsDirectory }: Database): Promise<readonly string[]> {
  return withClient(databaseUrl, (client) => findPending(client, migrationsDirectory));
}

async function migrate(
  client: pg.Client,
  { databaseUrl, migrationsDirectory, schemaPath }: Database & { readonly schemaPath: string },
): Promise<MigrationResult> {
  const scripts = await readMigrationScripts(migrationsDirectory);
  const migrationsList = asMigrationList(migrationsDirectory, scripts, await readMigrationLock(migrationsDirectory));
  const adapterFactory = new MigrationAdapterFactory(databaseUrl, scripts);
  try {
    const { appliedMigrationNames } = await withSchemaEngine(
      await readSchemaFiles(schemaPath),
      adapterFactory,
      async (engine) => {
        await forgetUnfinished(client, engine);
        return engine.applyMigrations({ migrationsList, filters: NO_FILTERS });
      },
    );
    return { applied: appliedMigrationNames };
  } catch (error) {
    throw explain(adapterFactory.failure, error);
  } finally {
    await adapterFactory.dispose();
  }
}

/**
 * The engine refuses to go on after a migration that was begun and not finished, for fear of what it left. Here it left
 * nothing (see the adapter), and nobody is at it, as we hold the lock.
 */
async function forgetUnfinished(client: pg.Client, engine: SchemaEngine): Promise<void> {
  for (const { name, finished } of await readRecords(client)) {
    if (!finished) await engine.markMigrationRolledBack({ migrationName: name });
  }
}

async function findPending(client: pg.Client, migrationsDirectory: string): Promise<string[]> {
  const names = await listMigrationNames(migrationsDirectory);
  const finished = (await readRecords(client)).filter((record) => record.finished).map((record) => record.name);
  return names.filter((name) => !finished.includes(name));
}

interface MigrationRecord {
  readonly name: string;
  readonly finished: boolean;
}

async function readRecords(client: pg.Client): Promise<MigrationRecord[]> {
  try {
    const { rows } = await client.query<MigrationRecord>(
      `select migration_name as name, finished_at is not null as finished
         from _prisma_migrations where rolled_back_at is null`,
    );
    return rows;
  } catch (error) {
    if (error instanceof pg.DatabaseError && error.code === UNDEFINED_TABLE) return [];
    throw error;
  }
}

/**
 * The migration lock is held until the connection ends, even if it does so suddenly. The engine's lock is only waited
 * for: a script whose process was killed runs on in the server, under that lock, and its outcome is not known before.
 */
async function lock(client: pg.Client): Promise<void> {
  await awaitLock(client, ADVISORY_LOCKS.migrations);
  await awaitLock(client, ENGINE_LOCK);
  await client.query('select pg_advisory_unlock($1)', [ENGINE_LOCK]);
}

/**
 * The lock is asked for again and again instead of waited for in the database: a waiting statement is a running
 * transaction, which a CREATE INDEX CONCURRENTLY of the holder would wait for in turn.
 */
async function awaitLock(client: pg.Client, key: number): Promise<void> {
  const deadline = performance.now() + LOCK_TIMEOUT_MS;
  while (!(await tryLock(client, key))) {
    if (performance.now() > deadline) throw new MigrationError('Another process has been migrating for too long.');
    await delay(LOCK_POLL_MS);
  }
}

async function tryLock(client: pg.Client, key: number): Promise<boolean> {
  const { rows } = await client.query<{ locked: boolean }>('select pg_try_advisory_lock($1) as locked', [key]);
  return rows[0]?.locked === true;
}

function explain(failure: ScriptFailure | undefined, error: unknown): MigrationError {
  if (failure === undefined) {
    const reason = error instanceof Error ? error.message : String(error);
    return new MigrationError(`The migrations were not applied: ${reason}`, { cause: error });
  }
  const { migration, script, error: cause } = failure;
  const reason = cause instanceof Error ? cause.message : String(cause);
  const details = cause instanceof pg.DatabaseError ? detailsOf(cause, script) : [];
  return new MigrationError([`Migration ${migration} failed: ${reason}`, ...details].join('\n'), { cause });
}

function detailsOf({ code, detail, hint, where, position }: pg.DatabaseError, script: string): string[] {
  const line = position === undefined ? undefined : script.slice(0, Number(position)).split('\n').length;
  const details = { line: line?.toString(), SQLSTATE: code, detail, hint, context: where };
  return Object.entries(details).flatMap(([name, value]) => (value ? [`  ${name}: ${value}`] : []));
}

async function withClient<T>(databaseUrl: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = clientFor(databaseUrl);
  try {
    await client.connect();
    return await use(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}
