/** Two roles: one that owns the schema and migrates, one that serves, owns nothing and cannot rewrite the books. */
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Gateway, startGateway } from '../../src/compose.ts';
import { readConfig } from '../../src/config.ts';
import { StartupError } from '../../src/database.ts';
import { applyMigrations } from '../../src/persistence/migrations/migrate.ts';
import { ensureServingRole } from '../../src/persistence/roles/serving-role.ts';
import { projectPath } from '../../src/project-path.ts';
import { expectSoundBooks, query } from '../support/books.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { aKey } from '../support/given.ts';
import { createEmptyDatabase, createRole, execute, urlWith } from '../support/process-database.ts';
import { post } from '../support/process-load.ts';

const DENIED = '42501';

let gateway: TestGateway;
let serving: Client;
beforeAll(async () => {
  gateway = await startTestGateway();
  serving = new Client({ connectionString: gateway.gateway.databaseUrl });
  await serving.connect();
});
afterAll(async () => {
  await serving.end();
  await gateway[Symbol.asyncDispose]();
});

/** The SQLSTATE that the statement is refused with; undefined where it runs. Nothing of it stays. */
async function refusal(client: Client, statement: string): Promise<string | undefined> {
  await client.query('BEGIN');
  const code = await client.query(statement).then(
    () => undefined,
    (error: { code?: string }) => error.code,
  );
  await client.query('ROLLBACK');
  return code;
}

describe('the role that serves', () => {
  it('is a login that owns nothing and belongs to nobody', async () => {
    const name = new URL(gateway.gateway.databaseUrl).username;
    expect(name).not.toBe(new URL(gateway.database.adminUrl).username);
    const [role] = await query(
      gateway.database,
      `SELECT rolcanlogin AS login, rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls AS powers,
         (SELECT count(*)::int FROM pg_auth_members WHERE member = r.oid) AS memberships,
         (SELECT count(*)::int FROM pg_shdepend WHERE refobjid = r.oid AND deptype = 'o') AS owned
       FROM pg_roles r WHERE rolname = $1`,
      [name],
    );
    expect(role).toEqual({ login: true, powers: false, memberships: 0, owned: 0 });
  });

  it.each([
    'ledger_entry',
    'ledger_transaction',
    'audit_record',
    'idempotency_record',
    'catalog_version',
    'alert_event',
    'statement',
    'activity',
  ])('can read and append to %s, and neither change, remove nor empty it', async (table) => {
    expect(await refusal(serving, `SELECT * FROM ${table} LIMIT 1`)).toBeUndefined();
    const { rows } = await serving.query<{ name: string }>(
      `SELECT attname AS name FROM pg_attribute WHERE attrelid = '${table}'::regclass AND attnum = 1`,
    );
    const column = rows[0]?.name;
    for (const statement of [
      `UPDATE ${table} SET ${column} = ${column}`,
      `UPDATE ${table} SET ${column} = ${column} WHERE false`,
      `SELECT 1 FROM ${table} FOR UPDATE`,
      `DELETE FROM ${table}`,
      `TRUNCATE ${table}`,
      `TRUNCATE organization CASCADE`,
    ]) {
      expect(await refusal(serving, statement), statement).toBe(DENIED);
    }
  });

  it('can read, append to and forget changes of balances, and not change them', async () => {
    expect(await refusal(serving, 'SELECT * FROM balance_change LIMIT 1')).toBeUndefined();
    expect(await refusal(serving, 'DELETE FROM balance_change WHERE false')).toBeUndefined();
    for (const statement of ['UPDATE balance_change SET version = version', 'TRUNCATE balance_change']) {
      expect(await refusal(serving, statement), statement).toBe(DENIED);
    }
  });

  it('can remove rows of no table that belongs to the books', async () => {
    for (const table of [
      'wallet',
      'bucket',
      'lot',
      'purchase',
      'organization',
      'api_key',
      'membership',
      'user_account',
    ]) {
      expect(await refusal(serving, `DELETE FROM ${table}`), table).toBe(DENIED);
    }
  });

  it.each([
    ['create tables', 'CREATE TABLE mine (id int)'],
    ['create schemas', 'CREATE SCHEMA mine'],
    ['create functions', 'CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$'],
    [
      'replace the function of a trigger',
      `CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$`,
    ],
    ['disable triggers', 'ALTER TABLE ledger_entry DISABLE TRIGGER ALL'],
    ['drop triggers', 'DROP TRIGGER ledger_entry_append_only ON ledger_entry'],
    ['add triggers', 'CREATE TRIGGER mine BEFORE INSERT ON lot FOR EACH ROW EXECUTE FUNCTION refuse_change()'],
    ['switch triggers off for its session', `SET session_replication_role = 'replica'`],
    ['drop checks', 'ALTER TABLE lot DROP CONSTRAINT lot_amounts'],
    ['drop tables', 'DROP TABLE ledger_entry'],
    ['change the record of migrations', 'DELETE FROM _prisma_migrations'],
    ['read the owner’s table of roles', 'SELECT * FROM purser_owner.serving_role'],
    ['become the owner', 'SET ROLE postgres'],
    ['become the owner for its session', 'SET SESSION AUTHORIZATION postgres'],
    ['give itself rights', 'GRANT pg_write_all_data TO CURRENT_USER'],
    ['read files of the server', `COPY lot FROM '/etc/passwd'`],
    ['run programs of the server', `COPY lot TO PROGRAM 'id'`],
  ])('cannot %s', async (_what, statement) => {
    expect(await refusal(serving, statement)).toBe(DENIED);
  });

  it('cannot give itself rights that it was not given', async () => {
    // PostgreSQL answers this one with a warning.
    await serving.query('GRANT UPDATE ON ledger_entry TO CURRENT_USER').catch(() => undefined);
    expect(await refusal(serving, 'UPDATE ledger_entry SET sequence = sequence')).toBe(DENIED);
  });
});

describe('making the serving role', () => {
  async function aMigratedDatabase(): Promise<TestDatabase> {
    const database = await createEmptyDatabase();
    await applyMigrations({
      databaseUrl: database.adminUrl,
      migrationsDirectory: projectPath('prisma/migrations'),
      schemaPath: projectPath('prisma/schema.prisma'),
    });
    return database;
  }

  async function dropServingRole(database: TestDatabase, url: string): Promise<void> {
    const name = new URL(url).username;
    await execute(database.adminUrl, `DROP OWNED BY ${name}`, `DROP ROLE ${name}`);
  }

  const signsIn = async (url: string): Promise<boolean> =>
    execute(url, 'SELECT 1 FROM wallet').then(
      () => true,
      () => false,
    );

  it('ends in one role however many processes do it at once', async () => {
    await using database = await aMigratedDatabase();
    const made = await Promise.all(Array.from({ length: 6 }, () => ensureServingRole(database.adminUrl)));
    const urls = new Set(made.map((role) => role.databaseUrl));
    try {
      expect(urls.size).toBe(1);
      expect(made.map((role) => role.notice)).toEqual(made.map(() => null));
      expect(await signsIn([...urls][0] ?? '')).toBe(true);
      const stored = await query(database, 'SELECT name FROM purser_owner.serving_role');
      expect(stored).toEqual([{ name: new URL([...urls][0] ?? '').username }]);
    } finally {
      for (const url of urls) await dropServingRole(database, url);
    }
  });

  it('makes it again where it is gone, and mends its password, with the same URL', async () => {
    await using database = await aMigratedDatabase();
    const { databaseUrl } = await ensureServingRole(database.adminUrl);
    try {
      await dropServingRole(database, databaseUrl);
      expect(await ensureServingRole(database.adminUrl)).toEqual({ databaseUrl, notice: null });
      expect(await signsIn(databaseUrl)).toBe(true);

      await execute(database.adminUrl, `ALTER ROLE ${new URL(databaseUrl).username} PASSWORD 'other'`);
      expect(await ensureServingRole(database.adminUrl)).toEqual({ databaseUrl, notice: null });
      expect(await signsIn(databaseUrl)).toBe(true);
    } finally {
      await dropServingRole(database, databaseUrl);
    }
  });
});

describe('starting with', () => {
  const start = (env: NodeJS.ProcessEnv): Promise<Gateway> =>
    startGateway(readConfig({ PORT: '0', LOG_LEVEL: 'silent', PURSER_DATA_DIR: '/nonexistent', ...env }));

  /** Charges the demo organization, as a sign that everything works. */
  async function expectCharges(started: Gateway): Promise<void> {
    const document = 'mutation ($input: DebitInput!) { debit(input: $input) { __typename } }';
    const input = { idempotencyKey: aKey(), amount: '1' };
    const token = started.demo?.tokens.usageKey ?? null;
    expect((await post(started.endpoint, token, document, { input })).data).toEqual({
      debit: { __typename: 'DebitPayload' },
    });
  }

  async function failureOf(env: NodeJS.ProcessEnv): Promise<Error> {
    const outcome = await start(env).catch((error: unknown) => error);
    if (outcome instanceof Error) return outcome;
    await (outcome as Gateway).stop();
    throw new Error('it started');
  }

  it('a DATABASE_ADMIN_URL and a plain role as DATABASE_URL: migrates by the one, serves by the other', async () => {
    await using role = await createRole();
    await using database = await createEmptyDatabase();
    const databaseUrl = role.of(database);
    const started = await start({ DATABASE_ADMIN_URL: database.adminUrl, DATABASE_URL: databaseUrl });
    try {
      expect(started.databaseUrl).toBe(databaseUrl);
      expect(started.notices).toEqual([]);
      await expectCharges(started);
      const client = new Client({ connectionString: databaseUrl });
      await client.connect();
      expect(await refusal(client, 'UPDATE ledger_entry SET sequence = sequence')).toBe(DENIED);
      expect(await refusal(client, 'CREATE TABLE mine (id int)')).toBe(DENIED);
      await client.end();
    } finally {
      await started.stop();
      await execute(database.adminUrl, `DROP OWNED BY ${role.name}`);
    }
  });

  it('a wrong password in DATABASE_URL beside a right DATABASE_ADMIN_URL: one clear line', async () => {
    await using role = await createRole();
    await using database = await createDatabase();
    const error = await failureOf({
      DATABASE_ADMIN_URL: database.adminUrl,
      DATABASE_URL: urlWith(role.of(database), { password: 'wrong' }),
    });
    await execute(database.adminUrl, `DROP OWNED BY ${role.name}`);
    expectOneLine(error, /user or password/);
  });

  it('a role that may not migrate, on a schema that is up to date: serves', async () => {
    const started = await start({ DATABASE_URL: gateway.gateway.databaseUrl });
    try {
      expect(started.databaseUrl).toBe(gateway.gateway.databaseUrl);
      expect(started.demo).toEqual({ ...gateway.demo, tokens: expect.any(Object), otherTokens: expect.any(Object) });
      await expectCharges(started);
      await expectSoundBooks(gateway.database, gateway.organizationId);
    } finally {
      await started.stop();
    }
  });

  it('a role that may not migrate, on an empty database: one line that names what is missing and what to do', async () => {
    await using role = await createRole();
    await using database = await createEmptyDatabase();
    const error = await failureOf({ DATABASE_URL: role.of(database) });
    expectOneLine(error, /20261121000000_books.*DATABASE_ADMIN_URL/);
  });

  it('a role that may not migrate, on a schema that is behind: the same line', async () => {
    await using database = await createDatabase();
    const { databaseUrl } = await ensureServingRole(database.adminUrl);
    await execute(database.adminUrl, `UPDATE _prisma_migrations SET rolled_back_at = now()`);
    expectOneLine(await failureOf({ DATABASE_URL: databaseUrl }), /20261121000000_books.*DATABASE_ADMIN_URL/);
  });

  it('a role without rights on the tables: one line', async () => {
    await using role = await createRole();
    await using database = await createDatabase();
    expectOneLine(await failureOf({ DATABASE_URL: role.of(database) }), /DATABASE_ADMIN_URL/);
  });

  it('an owner who may not create roles: serves as the owner and says in one line what protects the ledger', async () => {
    await using owner = await createRole();
    await using database = await createEmptyDatabase(owner);
    const databaseUrl = owner.of(database);
    const started = await start({ DATABASE_URL: databaseUrl });
    try {
      expect(started.databaseUrl).toBe(databaseUrl);
      expect(started.notices).toHaveLength(1);
      expect(started.notices[0]).toMatch(/^[^\n]*only triggers protect the ledger[^\n]*$/);
      await expectCharges(started);
      const client = new Client({ connectionString: databaseUrl });
      await client.connect();
      expect(await refusal(client, 'UPDATE ledger_entry SET sequence = sequence')).toBe('P0401');
      await client.end();
    } finally {
      await started.stop();
    }
  });

  it('an owner who may create roles without being superuser: serves by a role of its own', async () => {
    await using owner = await createRole('CREATEROLE');
    await using database = await createEmptyDatabase(owner);
    const started = await start({ DATABASE_URL: owner.of(database) });
    const { username } = new URL(started.databaseUrl);
    try {
      expect(username).not.toBe(owner.name);
      expect(started.notices).toEqual([]);
      await expectCharges(started);
    } finally {
      await started.stop();
      await execute(database.adminUrl, `DROP OWNED BY ${username}`, `DROP ROLE ${username}`);
    }
  });

  function expectOneLine(error: Error, pattern: RegExp): void {
    expect(error).toBeInstanceOf(StartupError);
    expect(error.message).toMatch(pattern);
    expect(error.message).not.toContain('\n');
  }
});
