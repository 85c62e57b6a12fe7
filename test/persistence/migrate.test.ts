/**
 * Migrations on a real server: whole or not at all, once however many processes try, and never stuck after a failure.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/embedded-postgres/index.ts';
import { applyMigrations, MigrationError, pendingMigrations } from '../../src/persistence/migrations/migrate.ts';
import { printSchemaSql } from '../support/schema-sql.ts';

const SCHEMA = `
datasource db {
  provider = "postgresql"
}

model Wallet {
  id   String @id @db.Uuid
  name String
}
`;

const CREATE_WALLET = 'create table wallet (id int primary key);';

let directory: string;
let server: EmbeddedPostgres;
const clients: pg.Client[] = [];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'purser-migrate-'));
  await chmod(directory, 0o755);
  await writeFile(join(directory, 'schema.prisma'), SCHEMA);
  server = await startEmbeddedPostgres({ dataDirectory: join(directory, 'postgres'), database: 'purser' });
}, 30_000);

afterEach(async () => {
  for (const client of clients.splice(0)) await client.end();
});

afterAll(async () => {
  await server?.stop();
  await rm(directory, { recursive: true, force: true });
});

describe('applying migrations', { timeout: 30_000 }, () => {
  it('applies each once, in the order of their names, and records them as Prisma does', async () => {
    const database = await aDatabase({ '2_fill': 'insert into wallet values (1);', '1_wallet': CREATE_WALLET });

    const first = await applyMigrations(database.options);
    const second = await applyMigrations(database.options);

    expect(first.applied).toEqual(['1_wallet', '2_fill']);
    expect(second.applied).toEqual([]);
    expect(await database.query('select id from wallet')).toEqual([{ id: 1 }]);
    expect(await database.query('select checksum from _prisma_migrations order by migration_name limit 1')).toEqual([
      { checksum: createHash('sha256').update(CREATE_WALLET).digest('hex') },
    ]);
  });

  it('applies only what was added since', async () => {
    const database = await aDatabase({ '1_wallet': CREATE_WALLET });
    await applyMigrations(database.options);
    await database.write({ '2_fill': 'insert into wallet values (1);' });

    const { applied } = await applyMigrations(database.options);

    expect(applied).toEqual(['2_fill']);
  });

  it('leaves semicolons in function bodies, strings and comments alone', async () => {
    const script = `
      -- A comment; with a semicolon.
      create function twice(n int) returns int language plpgsql as $$
      begin
        perform ';';
        return n * 2;
      end;
      $$;
      create table note as select 'a;b' as body; /* ; */ -- the end`;
    const database = await aDatabase({ '1_function': script });

    await applyMigrations(database.options);

    expect(await database.query('select twice(21), body from note')).toEqual([{ twice: 42, body: 'a;b' }]);
  });

  it('applies a statement that no transaction may contain, when it is alone in its script', async () => {
    const database = await aDatabase({
      '1_wallet': CREATE_WALLET,
      '2_index': 'create index concurrently wallet_id on wallet (id);',
    });

    const { applied } = await applyMigrations(database.options);

    expect(applied).toEqual(['1_wallet', '2_index']);
  });

  it('goes on after a script that changed the settings of its session', async () => {
    const database = await aDatabase({
      '1_dump': "select set_config('search_path', '', false); create table public.wallet (id int);",
      '2_fill': 'insert into wallet values (1);',
    });

    const { applied } = await applyMigrations(database.options);

    expect(applied).toEqual(['1_dump', '2_fill']);
  });

  it('names the migration that failed, says what PostgreSQL said, and leaves nothing of it', async () => {
    const database = await aDatabase({
      '1_wallet': CREATE_WALLET,
      '2_broken': 'create table half_done (id int);\n\nselect missing from wallet;',
    });

    const failure = applyMigrations(database.options);

    await expect(failure).rejects.toBeInstanceOf(MigrationError);
    await expect(failure).rejects.toThrow(/Migration 2_broken failed: column "missing" does not exist\n +line: 3\n/);
    await expect(failure).rejects.toMatchObject({ cause: { code: '42703' } });
    expect(await database.query("select to_regclass('half_done') as half_done")).toEqual([{ half_done: null }]);
    expect(await pendingMigrations(database.options)).toEqual(['2_broken']);
  });

  it.each([
    ['as it is', 'create table half_done (id int); select missing;'],
    ['with a transaction of its own', 'begin; create table half_done (id int); select missing; commit;'],
  ])('tries a migration that failed, written %s, again once it is corrected', async (_, broken) => {
    const database = await aDatabase({ '1_broken': broken });
    await expect(applyMigrations(database.options)).rejects.toThrow(MigrationError);
    await expect(applyMigrations(database.options)).rejects.toThrow('column "missing" does not exist');
    await database.write({ '1_broken': broken.replace('select missing;', '') });

    const { applied } = await applyMigrations(database.options);

    expect(applied).toEqual(['1_broken']);
    expect(await database.query('select id from half_done')).toEqual([]);
  });

  it('applies each once when several processes start at once', async () => {
    const database = await aDatabase({ '1_wallet': CREATE_WALLET, '2_fill': 'insert into wallet values (1);' });

    const outcomes = await Promise.all([1, 2, 3].map(() => outcomeOf(aMigratingProcess(database))));

    expect(outcomes.flatMap((outcome) => outcome.applied).sort()).toEqual(['1_wallet', '2_fill']);
    expect(await database.query('select id from wallet')).toEqual([{ id: 1 }]);
  });

  it.each([
    ['goes on in the server', 'select pg_advisory_unlock(1)', []],
    [
      'ends with its connection',
      "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and not granted",
      ['1_slow'],
    ],
  ])('applies a migration once when its process is killed and the script %s', async (_, whatFollows, applied) => {
    const slow = 'select pg_advisory_xact_lock(1); create table wallet (id int); insert into wallet values (1);';
    const database = await aDatabase({ '1_slow': slow });
    await database.query('select pg_advisory_lock(1)');
    const process = aMigratingProcess(database);
    await vi.waitFor(async () => {
      const waiting = "select from pg_locks where locktype = 'advisory' and objid = 1 and not granted";
      expect(await database.query(waiting)).toHaveLength(1);
    }, 20_000);
    process.kill('SIGKILL');
    await once(process, 'close');

    const next = applyMigrations(database.options);
    await database.query(whatFollows);
    await database.query('select pg_advisory_unlock_all()');

    expect((await next).applied).toEqual(applied);
    expect(await database.query('select id from wallet')).toEqual([{ id: 1 }]);
    expect(await pendingMigrations(database.options)).toEqual([]);
  });
});

describe('pending migrations', () => {
  it('are all of them in a database that was never migrated', async () => {
    const database = await aDatabase({ '1_wallet': CREATE_WALLET, '2_fill': 'insert into wallet values (1);' });

    expect(await pendingMigrations(database.options)).toEqual(['1_wallet', '2_fill']);
  });

  it('are visible to a role that may only read the records', async () => {
    const database = await aDatabase({ '1_wallet': CREATE_WALLET });
    await applyMigrations(database.options);
    await database.write({ '2_fill': 'insert into wallet values (1);' });
    const role = `reader_${randomUUID().slice(0, 8)}`;
    await database.query(`create role ${role} login password 'reads'; grant select on _prisma_migrations to ${role};`);

    const databaseUrl = Object.assign(new URL(database.options.databaseUrl), {
      username: role,
      password: 'reads',
    }).href;

    expect(await pendingMigrations({ ...database.options, databaseUrl })).toEqual(['2_fill']);
  });
});

describe('the SQL of the schema', () => {
  it('makes an empty database match the schema', async () => {
    const sql = await printSchemaSql(join(directory, 'schema.prisma'));

    const database = await aDatabase({ '1_schema': sql });
    await applyMigrations(database.options);

    expect(await database.query('select id, name from "Wallet"')).toEqual([]);
  });
});

interface TestDatabase {
  readonly options: { databaseUrl: string; migrationsDirectory: string; schemaPath: string };
  /** On one connection, so that what a query locks stays locked. */
  query(sql: string): Promise<unknown[]>;
  write(scripts: Record<string, string>): Promise<void>;
}

/** An empty database with a directory of its own for the migrations. */
async function aDatabase(scripts: Record<string, string>): Promise<TestDatabase> {
  const name = `migrate_${randomUUID().slice(0, 8)}`;
  const admin = await connect(server.adminUrl);
  await admin.query(`create database ${name}`);
  const databaseUrl = Object.assign(new URL(server.adminUrl), { pathname: name }).href;
  const client = await connect(databaseUrl);
  const migrationsDirectory = join(directory, name);
  const database: TestDatabase = {
    options: { databaseUrl, migrationsDirectory, schemaPath: join(directory, 'schema.prisma') },
    query: async (sql) => (await client.query(sql)).rows,
    write: (added) => writeMigrations(migrationsDirectory, added),
  };
  await database.write(scripts);
  return database;
}

async function writeMigrations(migrationsDirectory: string, scripts: Record<string, string>): Promise<void> {
  for (const [name, script] of Object.entries(scripts)) {
    await mkdir(join(migrationsDirectory, name), { recursive: true });
    await writeFile(join(migrationsDirectory, name, 'migration.sql'), script);
  }
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  clients.push(client);
  return client;
}

const MIGRATE = `
  import { runnerImport } from 'vite';
  const [modulePath, options] = process.argv.slice(1);
  const { module } = await runnerImport(modulePath, { configFile: false });
  process.stdout.write(JSON.stringify(await module.applyMigrations(JSON.parse(options))));
`;

function aMigratingProcess({ options }: TestDatabase): ChildProcess {
  const modulePath = fileURLToPath(new URL('../../src/persistence/migrations/migrate.ts', import.meta.url));
  const script = ['--input-type=module', '--eval', MIGRATE, modulePath, JSON.stringify(options)];
  return spawn(process.execPath, script, {
    cwd: dirname(dirname(dirname(modulePath))),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

async function outcomeOf(process: ChildProcess): Promise<{ applied: string[] }> {
  if (process.stdout === null) throw new Error('The output of the process is not read.');
  return JSON.parse(await text(process.stdout)) as { applied: string[] };
}
