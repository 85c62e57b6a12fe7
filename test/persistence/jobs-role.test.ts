/** A third role: it owns the queue of jobs and nothing else, and processes that may not make roles find it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Gateway, startGateway } from '../../src/compose.ts';
import { readConfig } from '../../src/config.ts';
import { applyMigrations } from '../../src/persistence/migrations/migrate.ts';
import { ensureJobsRole, findJobsUrl } from '../../src/persistence/roles/jobs-role.ts';
import { ensureServingRole } from '../../src/persistence/roles/serving-role.ts';
import { projectPath } from '../../src/project-path.ts';
import { query } from '../support/books.ts';
import type { TestDatabase } from '../support/database.ts';
import { expiries, expiringWallets } from '../support/due-wallets.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { createEmptyDatabase, createRole, execute } from '../support/process-database.ts';
import { eventually } from '../support/process-posting.ts';

const DENIED = '42501';

let gateway: TestGateway;
let jobsUrl: string;
beforeAll(async () => {
  gateway = await startTestGateway({ env: { PURSER_JOBS: 'on' } });
  jobsUrl = (await findJobsUrl(gateway.gateway.databaseUrl)) ?? '';
});
afterAll(() => gateway[Symbol.asyncDispose]());

const userOf = (url: string): string => new URL(url).username;

/** Resolves when jobs have run in the database, as whom. */
async function runner(database: TestDatabase): Promise<string | undefined> {
  let name: string | undefined;
  await eventually(async () => {
    const sessions = await query<{ usename: string }>(
      database,
      `SELECT usename FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'purser-jobs'`,
    );
    name = sessions[0]?.usename;
    return name !== undefined;
  }, 'jobs run');
  return name;
}

describe('the role that runs jobs', () => {
  it('is a login without powers that belongs to nobody, and to which nobody belongs', async () => {
    const [role] = await query(
      gateway.database,
      `SELECT rolcanlogin AS login, rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls AS powers,
         (SELECT count(*)::int FROM pg_auth_members WHERE member = r.oid OR roleid = r.oid) AS memberships
       FROM pg_roles r WHERE rolname = $1`,
      [userOf(jobsUrl)],
    );
    expect(role).toEqual({ login: true, powers: false, memberships: 0 });
  });

  it('owns the schema of the queue with all that is in it, and nothing else', async () => {
    await runner(gateway.database);
    const owned = await query<{ schema: string | null }>(
      gateway.database,
      `SELECT DISTINCT coalesce(
         CASE classid
           WHEN 'pg_class'::regclass THEN (SELECT relnamespace::regnamespace::text FROM pg_class WHERE oid = objid)
           WHEN 'pg_proc'::regclass THEN (SELECT pronamespace::regnamespace::text FROM pg_proc WHERE oid = objid)
           WHEN 'pg_type'::regclass THEN (SELECT typnamespace::regnamespace::text FROM pg_type WHERE oid = objid)
           WHEN 'pg_namespace'::regclass THEN objid::regnamespace::text
         END, classid::regclass::text) AS schema
       FROM pg_shdepend WHERE refobjid = $1::regrole AND deptype = 'o'
         AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())`,
      [userOf(jobsUrl)],
    );
    expect(owned).toEqual([{ schema: 'graphile_worker' }]);
  });

  it.each([
    'SELECT 1 FROM wallet',
    'UPDATE wallet SET frozen_at = now()',
    'INSERT INTO installation_secret VALUES ($$jwt$$, $$mine$$)',
    'SELECT * FROM installation_secret',
    'SELECT * FROM purser_owner.serving_role',
    'SELECT * FROM purser_owner.jobs_role',
    'CREATE TABLE public.mine (id int)',
    'CREATE SCHEMA mine',
    'SET ROLE postgres',
  ])('cannot %s', async (statement) => {
    await expect(execute(jobsUrl, statement)).rejects.toMatchObject({ code: DENIED });
  });

  it('is known to the role that serves, which can neither change nor replace it', async () => {
    expect(userOf(jobsUrl)).toMatch(/^purser_jobs_/);
    for (const statement of [
      `UPDATE purser_owner.jobs_role SET name = 'postgres'`,
      `INSERT INTO purser_owner.jobs_role VALUES ('postgres', 'mine')`,
      'DELETE FROM purser_owner.jobs_role',
      'CREATE TABLE purser_owner.mine (id int)',
      'SELECT * FROM graphile_worker.migrations',
    ]) {
      await expect(execute(gateway.gateway.databaseUrl, statement), statement).rejects.toMatchObject({ code: DENIED });
    }
  });
});

describe('making the role', () => {
  async function aMigratedDatabase(): Promise<{ database: TestDatabase; serving: string }> {
    const database = await createEmptyDatabase();
    const [migrationsDirectory, schemaPath] = [projectPath('prisma/migrations'), projectPath('prisma/schema.prisma')];
    await applyMigrations({ databaseUrl: database.adminUrl, migrationsDirectory, schemaPath });
    return { database, serving: userOf((await ensureServingRole(database.adminUrl)).databaseUrl) };
  }

  const drop = async (database: TestDatabase, ...names: string[]) => {
    for (const name of names) await execute(database.adminUrl, `DROP OWNED BY ${name}`, `DROP ROLE ${name}`);
  };

  it('ends in one role however many processes do it at once, and mends what is missing with the same URL', async () => {
    const { database, serving } = await aMigratedDatabase();
    await using _ = database;
    const made = await Promise.all(Array.from({ length: 6 }, () => ensureJobsRole(database.adminUrl, serving)));
    const [url = ''] = made;
    expect(new Set(made)).toEqual(new Set([url]));
    await execute(url, 'SELECT 1 FROM graphile_worker.migrations');

    await execute(database.adminUrl, `ALTER ROLE ${userOf(url)} PASSWORD 'other'`);
    expect(await ensureJobsRole(database.adminUrl, serving)).toBe(url);
    await execute(url, 'SELECT 1 FROM graphile_worker.migrations');

    await drop(database, userOf(url));
    expect(await ensureJobsRole(database.adminUrl, serving)).toBe(url);
    await execute(url, 'SELECT 1 FROM graphile_worker.migrations');
    await drop(database, userOf(url), serving);
  });
});

describe('a gateway that starts with', () => {
  const start = (env: NodeJS.ProcessEnv): Promise<Gateway> =>
    startGateway(readConfig({ PORT: '0', LOG_LEVEL: 'silent', PURSER_DATA_DIR: '/nonexistent', ...env }));

  /** Posts an expiry by jobs alone, and stops. */
  async function expectJobs(started: Gateway, database: TestDatabase): Promise<string | undefined> {
    try {
      const { tenants } = await expiringWallets(started.services, 1, 1_500);
      await eventually(async () => (await expiries(database, tenants)).posted === 1, 'it is posted');
      return await runner(database);
    } finally {
      await started.stop();
    }
  }

  it('the serving role alone runs jobs by the role that was made', async () => {
    await gateway.gateway.stop();
    const started = await start({ DATABASE_URL: gateway.gateway.databaseUrl });
    expect(started.notices).toEqual([]);
    expect(await expectJobs(started, gateway.database)).toBe(userOf(jobsUrl));
  });

  it('DATABASE_ADMIN_URL and a plain role runs jobs by a third', async () => {
    await using role = await createRole();
    await using database = await createEmptyDatabase();
    const started = await start({ DATABASE_ADMIN_URL: database.adminUrl, DATABASE_URL: role.of(database) });
    const name = await expectJobs(started, database);
    expect(name).toMatch(/^purser_jobs_/);

    const joined = await start({ DATABASE_URL: role.of(database) });
    expect(joined.notices).toEqual([]);
    expect(await expectJobs(joined, database)).toBe(name);
    await execute(database.adminUrl, `DROP OWNED BY ${role.name}, ${name}`, `DROP ROLE ${name}`);
  });

  it('an owner who may create roles without being superuser runs jobs by a role of its making', async () => {
    await using owner = await createRole('CREATEROLE');
    await using database = await createEmptyDatabase(owner);
    const started = await start({ DATABASE_URL: owner.of(database) });
    const name = await expectJobs(started, database);
    expect(name).toMatch(/^purser_jobs_/);
    const serving = userOf(started.databaseUrl);
    await execute(database.adminUrl, `DROP OWNED BY ${serving}, ${name}`, `DROP ROLE ${serving}, ${name}`);
  });

  it('an owner who may not create roles runs jobs itself', async () => {
    await using owner = await createRole();
    await using database = await createEmptyDatabase(owner);
    const started = await start({ DATABASE_URL: owner.of(database) });
    expect(started.notices).toHaveLength(1);
    expect(await expectJobs(started, database)).toBe(owner.name);

    // It may now, and the queue stays with whom it belongs to.
    await execute(database.adminUrl, `ALTER ROLE ${owner.name} CREATEROLE`);
    const again = await start({ DATABASE_URL: owner.of(database) });
    expect(await expectJobs(again, database)).toBe(owner.name);
    const serving = userOf(again.databaseUrl);
    await execute(database.adminUrl, `DROP OWNED BY ${serving}`, `DROP ROLE ${serving}`);
  });

  it('a serving role where nobody has made one for jobs serves without them and says so in one line', async () => {
    await using owner = await createRole();
    await using database = await createEmptyDatabase(owner);
    const first = await start({ DATABASE_URL: owner.of(database), PURSER_JOBS: 'off' });
    await first.stop();
    await using role = await createRole();
    await execute(
      database.adminUrl,
      `GRANT USAGE ON SCHEMA public TO ${role.name}`,
      `GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO ${role.name}`,
    );
    for (const [jobs, notices] of [
      ['on', [expect.stringMatching(/^[^\n]*serves without[^\n]*$/)]],
      ['off', []],
    ] as const) {
      const joined = await start({ DATABASE_URL: role.of(database), PURSER_JOBS: jobs });
      await joined.stop();
      expect(joined.notices).toEqual(notices);
    }
    await execute(database.adminUrl, `DROP OWNED BY ${role.name}`);
  });

  it('the wrong PURSER_JOBS does not start', () => {
    expect(() => readConfig({ PURSER_JOBS: 'yes' })).toThrow(/PURSER_JOBS/);
  });
});
