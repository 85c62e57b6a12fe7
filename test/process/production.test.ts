/** A gateway as it runs in production: secrets given, no demo, nothing shown that helps an attacker. */
import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { query } from '../support/books.ts';
import type { TestDatabase } from '../support/database.ts';
import { createEmptyDatabase, execute } from '../support/process-database.ts';
import {
  aDataDirectory,
  aFreePort,
  type DataDirectory,
  type GatewayProcess,
  startProcess,
} from '../support/process-gateway.ts';
import { post } from '../support/process-load.ts';

const SECRET = randomBytes(32).toString('hex');
const INTROSPECTION = '{ __schema { queryType { name } } }';

let database: TestDatabase;
let directory: DataDirectory;
let gateway: GatewayProcess;
let endpoint: string;
/** Behind the public URL there is a proxy, which a test has not: it needs to know the port. */
const env = (port: number): NodeJS.ProcessEnv => ({
  NODE_ENV: 'production',
  PORT: String(port),
  HOST: '127.0.0.1',
  DATABASE_URL: database.adminUrl,
  PURSER_JWT_SECRET: SECRET,
  PURSER_SANDBOX_WEBHOOK_SECRET: randomBytes(32).toString('base64'),
  PURSER_ALLOW_SANDBOX: '1',
  PURSER_PUBLIC_URL: 'https://billing.example.org/',
});

beforeAll(async () => {
  database = await createEmptyDatabase();
  directory = await aDataDirectory();
  const port = await aFreePort();
  gateway = await startProcess(directory, env(port));
  endpoint = `http://127.0.0.1:${port}/graphql`;
});
afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
  const roles = await query<{ name: string }>(database, 'SELECT name FROM purser_owner.serving_role');
  for (const { name } of roles) await execute(database.adminUrl, `DROP OWNED BY ${name}`, `DROP ROLE ${name}`);
  await database[Symbol.asyncDispose]();
});

describe('a gateway in production', () => {
  it('has no demo: no organization, no member, no key, no file, no token on the screen', async () => {
    const rows = await query(
      database,
      `SELECT (SELECT count(*)::int FROM organization) AS organizations, (SELECT count(*)::int FROM api_key) AS keys,
         (SELECT count(*)::int FROM membership) AS members, (SELECT count(*)::int FROM installation_secret) AS secrets`,
    );
    expect(rows).toEqual([{ organizations: 0, keys: 0, members: 0, secrets: 0 }]);
    expect(await readdir(directory.path)).toEqual([]);
    expect(gateway.stdout).toContain('https://billing.example.org/graphql');
    expect(gateway.stdout).not.toMatch(/demo|GraphiQL|Bearer/i);
    expect(gateway.stdout + gateway.stderr).not.toContain(SECRET);
  });

  it('honours tokens that are signed with the secret it was given, and no others', async () => {
    const sign = (secret: string) =>
      new SignJWT({})
        .setProtectedHeader({ alg: 'HS256' })
        .setSubject('ann')
        .setIssuedAt()
        .setExpirationTime('1h')
        .sign(new TextEncoder().encode(secret));
    const viewer = '{ viewer { kind } }';
    expect(await post(endpoint, await sign(SECRET), viewer)).toMatchObject({ status: 200, errors: [] });
    expect(await post(endpoint, await sign('y'.repeat(40)), viewer)).toMatchObject({ status: 401 });
  });

  it('answers no introspection, suggests no names and shows no stack', async () => {
    const introspected = await post(endpoint, null, INTROSPECTION);
    expect(introspected.data).toBeNull();
    expect(introspected.errors.length).toBeGreaterThan(0);
    expect((await post(endpoint, null, '{ __type(name: "Wallet") { name } }')).data).toBeNull();
    const misspelled = await post(endpoint, null, '{ planz { key } }');
    expect(misspelled.errors).toHaveLength(1);
    expect(JSON.stringify(misspelled)).not.toMatch(/did you mean|plans|stack|node_modules/i);
    expect(await post(endpoint, null, '{ plans { key } }')).toMatchObject({ status: 200, errors: [] });
  });

  it('serves no GraphiQL', async () => {
    const page = await fetch(endpoint, { headers: { accept: 'text/html' } });
    expect(page.ok).toBe(false);
    expect(await page.text()).not.toMatch(/graphiql/i);
  });

  it('shows both where they are asked for', async () => {
    const port = await aFreePort();
    await using _open = await startProcess(directory, {
      ...env(port),
      PURSER_GRAPHIQL: '1',
      PURSER_INTROSPECTION: '1',
    });
    const at = `http://127.0.0.1:${port}/graphql`;
    expect(await post(at, null, INTROSPECTION)).toMatchObject({ data: { __schema: { queryType: { name: 'Query' } } } });
    const page = await fetch(at, { headers: { accept: 'text/html' } });
    expect([page.status, (await page.text()).toLowerCase().includes('graphiql')]).toEqual([200, true]);
  });

  it('ends with 0 on SIGINT too', async () => {
    expect(await gateway.stop('SIGINT')).toEqual({ code: 0, signal: null });
  });
});
