/** A start that cannot succeed: one clear line per problem, a code that is not 0, and nothing left behind. */
import { once } from 'node:events';
import { readdir, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { ConfigInvalid, readConfig } from '../../src/config.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { urlWith } from '../support/process-database.ts';
import { aDataDirectory, aFreePort, type DataDirectory, GatewayProcess } from '../support/process-gateway.ts';

let database: TestDatabase;
let directory: DataDirectory;
let silent: Server;
let silentPort: number;
let freePort: number;
beforeAll(async () => {
  database = await createDatabase();
  directory = await aDataDirectory();
  [silent, silentPort] = await listening();
  freePort = await aFreePort();
});
afterAll(async () => {
  silent.close();
  await directory[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
});

/** Something that takes connections and says nothing. */
async function listening(): Promise<[Server, number]> {
  const server = createServer((socket) => socket.on('error', () => undefined).unref());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return [server, typeof address === 'object' && address !== null ? address.port : 0];
}

/** The lines that it ends with. */
async function complaints(env: NodeJS.ProcessEnv): Promise<string[]> {
  await using gateway = new GatewayProcess(directory.path, env);
  const { code, signal } = await gateway.ended();
  expect({ code, signal, stdout: gateway.stdout }).toEqual({ code: 1, signal: null, stdout: '' });
  expect(gateway.stderr).toMatch(/^purser: [^\n]/);
  expect(gateway.stderr.endsWith('\n')).toBe(true);
  return gateway.stderr.trimEnd().split('\n');
}

const external = () => ({ DATABASE_URL: database.adminUrl });

describe.concurrent('a start is refused in one line where', () => {
  it('the port is taken, before anything else is started', async () => {
    const lines = await complaints({ PORT: String(silentPort) });
    expect(lines).toEqual([expect.stringMatching(new RegExp(`\\b${silentPort}\\b.*PORT`))]);
    expect(await readdir(directory.path)).not.toContain('postgres');
  });

  it.each<[string, () => string, RegExp]>([
    ['nothing listens', () => urlWith(database.adminUrl, { port: freePort }), /cannot be reached/],
    ['what listens is no PostgreSQL', () => urlWith(database.adminUrl, { port: silentPort }), /cannot be reached/],
    [
      'no host has the name',
      () => 'postgres://someone@nowhere.invalid:5432/purser',
      /nowhere\.invalid.*cannot be reached/,
    ],
    ['the password is wrong', () => urlWith(database.adminUrl, { password: 'wrong' }), /refuses this user or password/],
    ['the user is unknown', () => urlWith(database.adminUrl, { user: 'nobody' }), /refuses this user or password/],
    [
      'there is no such database',
      () => urlWith(database.adminUrl, { database: 'missing' }),
      /no database at .*\/missing/,
    ],
  ])('%s at DATABASE_URL', async (_what, url, pattern) => {
    const lines = await complaints({ DATABASE_URL: url() });
    expect(lines).toEqual([expect.stringMatching(pattern)]);
    expect(lines.join()).not.toContain(new URL(inject('adminUrl')).password);
    expect(lines.join()).not.toContain('wrong');
  });

  it('the environment is wrong', async () => {
    expect(await complaints({ ...external(), PORT: '70000' })).toEqual([expect.stringMatching(/PORT.*65535/)]);
  });

  it.each([
    ['STRIPE_SECRET_KEY', { STRIPE_WEBHOOK_SECRET: 'whsec_of_this_test' }],
    ['STRIPE_WEBHOOK_SECRET', { STRIPE_SECRET_KEY: 'sk_test_of_this_test' }],
  ])('Stripe is to take payments and %s is missing', async (name, given) => {
    const lines = await complaints({ ...external(), PURSER_PAYMENTS: 'stripe', ...given });
    expect(lines).toEqual([`purser: ${name} is required with PURSER_PAYMENTS=stripe`]);
  });

  it('the catalog has a mistake, naming its line', async () => {
    const path = join(directory.path, 'one-mistake.yaml');
    const catalog =
      'buckets:\n  - { key: paid, name: Paid, kind: PURCHASED, burnPriority: 1 }\npackages:\n  - key: small\n    name: Small\n    price: { amountMinor: -5, currency: USD }\n    credits: 10\n';
    await writeFile(path, catalog);
    const lines = await complaints({ ...external(), PURSER_CATALOG: path });
    expect(lines).toEqual([expect.stringMatching(/one-mistake\.yaml.*\bline 6\b.*amountMinor/)]);
  });

  it('the catalog cannot be read', async () => {
    const lines = await complaints({ ...external(), PURSER_CATALOG: join(directory.path, 'missing.yaml') });
    expect(lines).toEqual([expect.stringContaining('missing.yaml')]);
  });

  it('the data directory is a file', async () => {
    const path = join(directory.path, 'a-file');
    await writeFile(path, '');
    const lines = await complaints({ PURSER_DATA_DIR: path });
    expect(lines).toEqual([expect.stringContaining('a-file')]);
  });

  it('demo.json cannot be written', async () => {
    const path = join(directory.path, 'another-file');
    await writeFile(path, '');
    const lines = await complaints({ ...external(), PURSER_DATA_DIR: path });
    expect(lines).toEqual([expect.stringContaining('another-file')]);
  });
});

describe('a start that fails after its PostgreSQL was started', () => {
  it('stops it again', async () => {
    await using place = await aDataDirectory();
    await using gateway = new GatewayProcess(place.path, { PURSER_CATALOG: join(place.path, 'missing.yaml') });
    expect(await gateway.ended()).toEqual({ code: 1, signal: null });
    expect(gateway.stderr).toMatch(/^purser: [^\n]*missing\.yaml[^\n]*\n$/);
    expect(await readdir(place.path)).toContain('postgres');
    expect(await place.postmaster()).toBeUndefined();
  });
});

describe.concurrent('a start with several problems', () => {
  it('tells each in a line of its own', async () => {
    const lines = await complaints({ PORT: 'abc', DATABASE_URL: 'nothing', LOG_LEVEL: 'loud' });
    expect(lines.toSorted()).toEqual([
      expect.stringMatching(/^DATABASE_URL /),
      expect.stringMatching(/^LOG_LEVEL /),
      expect.stringMatching(/^purser: PORT /),
    ]);
  });

  it('tells each mistake of a catalog with its line', async () => {
    const path = join(directory.path, 'two-mistakes.yaml');
    const catalog =
      'buckets:\n  - { key: paid, name: Paid, kind: BOUGHT, burnPriority: 1 }\n  - { key: PAID, name: Paid, kind: PURCHASED, burnPriority: 1 }\n';
    await writeFile(path, catalog);
    const lines = await complaints({ ...external(), PURSER_CATALOG: path });
    expect(lines).toEqual([expect.stringMatching(/\bline 2\b.*kind/), expect.stringMatching(/\bline 3\b.*key/)]);
  });
});

describe('the environment', () => {
  const SECRET = 'x'.repeat(40);
  const COMPLETE: Readonly<NodeJS.ProcessEnv> = {
    NODE_ENV: 'production',
    DATABASE_URL: 'postgres://serving@localhost/purser',
    PURSER_JWT_SECRET: SECRET,
    PURSER_SANDBOX_WEBHOOK_SECRET: Buffer.from(SECRET).toString('base64'),
    PURSER_PUBLIC_URL: 'https://billing.example.org',
    PURSER_ALLOW_SANDBOX: '1',
  };

  /** The lines that a start with it ends with; none where it would start. */
  function problems(env: NodeJS.ProcessEnv): string[] {
    try {
      readConfig(env);
      return [];
    } catch (error) {
      if (!(error instanceof ConfigInvalid)) throw error;
      return error.message.split('\n');
    }
  }

  it.each([
    ['PORT', 'abc'],
    ['PORT', '70000'],
    ['PORT', '-1'],
    ['PORT', '80.5'],
    ['PORT', ' 80'],
    ['DATABASE_URL', 'mysql://localhost/purser'],
    ['DATABASE_ADMIN_URL', 'localhost:5432'],
    ['REDIS_URL', 'http://localhost:6379'],
    ['PURSER_JWT_SECRET', 'too short'],
    ['PURSER_JWKS_URL', 'not a url'],
    ['PURSER_PUBLIC_URL', 'ftp://example.org'],
    ['PURSER_SANDBOX_WEBHOOK_SECRET', '&'.repeat(40)],
    ['PURSER_ALLOW_SANDBOX', 'perhaps'],
    ['PURSER_LIVE_RETENTION_DAYS', '0'],
    ['PURSER_LIVE_RETENTION_DAYS', '1.5'],
    ['PURSER_WEBHOOKS_ALLOW_PRIVATE', 'sometimes'],
    ['PURSER_WEBHOOKS_KEY', '&'.repeat(40)],
    ['PURSER_PAYMENTS', 'cash'],
    ['STRIPE_SECRET_KEY', 'pk_live_abc'],
    ['STRIPE_SECRET_KEY', 'sk_live_abc def'],
    ['STRIPE_WEBHOOK_SECRET', 'sk_live_abc'],
    ['STRIPE_API_PORT', 'https'],
    ['STRIPE_API_PROTOCOL', 'ftp'],
    ['PURSER_GRAPHIQL', 'yes'],
    ['LOG_LEVEL', 'loud'],
  ])('with %s "%s" is refused in one line that names it and keeps its value', (name, value) => {
    const lines = problems({ [name]: value });
    expect(lines).toEqual([expect.stringContaining(name)]);
    if (/SECRET/.test(name)) expect(lines[0]).not.toContain(value);
  });

  it('of production needs a line for everything that is missing, and nothing where it is complete', () => {
    expect(problems(COMPLETE)).toEqual([]);
    const missing = problems({ NODE_ENV: 'production' });
    for (const name of ['DATABASE_URL', 'PURSER_JWT_SECRET', 'PURSER_PUBLIC_URL', 'PURSER_ALLOW_SANDBOX']) {
      expect(missing.filter((line) => line.includes(name))).toHaveLength(1);
    }
  });

  it.each(['DATABASE_URL', 'PURSER_JWT_SECRET', 'PURSER_SANDBOX_WEBHOOK_SECRET', 'PURSER_PUBLIC_URL'])(
    'of production without %s is refused in one line',
    (name) => {
      expect(problems({ ...COMPLETE, [name]: '' })).toEqual([expect.stringContaining(name)]);
    },
  );

  it.each(['', '0', 'false'])('of production with PURSER_ALLOW_SANDBOX "%s" refuses the sandbox provider', (value) => {
    const lines = problems({ ...COMPLETE, PURSER_ALLOW_SANDBOX: value });
    expect(lines).toEqual([expect.stringMatching(/sandbox.*PURSER_ALLOW_SANDBOX=1/)]);
  });

  describe('of production with Stripe', () => {
    const { PURSER_ALLOW_SANDBOX: _, PURSER_SANDBOX_WEBHOOK_SECRET: __, ...common } = COMPLETE;
    const STRIPE = {
      ...common,
      PURSER_PAYMENTS: 'stripe',
      STRIPE_SECRET_KEY: 'sk_live_key',
      STRIPE_WEBHOOK_SECRET: 'whsec_secret',
    };

    it('needs nothing of the sandbox', () => {
      expect(problems(STRIPE)).toEqual([]);
      expect(readConfig(STRIPE)).toMatchObject({ stripe: { secretKey: 'sk_live_key', api: {} } });
    });

    it.each(['STRIPE_SECRET_KEY', 'STRIPE_WEBHOOK_SECRET', 'PURSER_PUBLIC_URL'])('is refused without %s', (name) => {
      expect(problems({ ...STRIPE, [name]: '' })).toEqual([expect.stringContaining(name)]);
    });

    it.each(['sk_test_key', 'rk_test_key'])(
      'is refused with the test key %s, unless the sandbox were allowed',
      (key) => {
        const env = { ...STRIPE, STRIPE_SECRET_KEY: key };
        expect(problems(env)).toEqual([expect.stringMatching(/STRIPE_SECRET_KEY.*PURSER_ALLOW_SANDBOX=1/)]);
        expect(problems({ ...env, PURSER_ALLOW_SANDBOX: '1' })).toEqual([]);
      },
    );

    it('does not send its key in the clear', () => {
      const env = { ...STRIPE, STRIPE_API_PROTOCOL: 'http' };
      expect(problems(env)).toEqual([expect.stringContaining('STRIPE_API_PROTOCOL')]);
    });
  });

  it.each([
    ['this machine too', {}, 'LOOPBACK'],
    ['public addresses in production', COMPLETE, 'PUBLIC'],
    ['public addresses where it is told so', { PURSER_WEBHOOKS_ALLOW_PRIVATE: '0' }, 'PUBLIC'],
    ['any address where it is told so', { PURSER_WEBHOOKS_ALLOW_PRIVATE: '1' }, 'ANY'],
    ['any address in production only where it is told so', { ...COMPLETE, PURSER_WEBHOOKS_ALLOW_PRIVATE: '1' }, 'ANY'],
  ])('lets webhooks go to %s', (_what, env, targets) => {
    expect(readConfig(env).webhookTargets).toBe(targets);
  });

  it('takes payments by the sandbox unless told, whatever else is set', () => {
    expect(
      readConfig({ STRIPE_SECRET_KEY: 'sk_live_key', STRIPE_WEBHOOK_SECRET: 'whsec_secret' }).stripe,
    ).toBeUndefined();
  });
});
