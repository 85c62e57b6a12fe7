/**
 * The embedded server against everything that happens to it on a developer's machine: gateways that end in every way,
 * several at once, leftovers of a crash, directories and ports that are not what they were.
 */
import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, readFile, realpath, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type EmbeddedPostgres, EmbeddedPostgresError, startEmbeddedPostgres } from '../src/embedded-postgres/index.ts';

const runsAsRoot = process.getuid?.() === 0;
const servers: EmbeddedPostgres[] = [];
const gateways: ChildProcess[] = [];
const directories = new Set<string>();

/** Making a cluster takes longest by far, so tests that need one that exists share it. None runs between the tests. */
let existing: string;

beforeAll(async () => {
  existing = await aDirectory();
  directories.clear();
  await (await startEmbeddedPostgres({ dataDirectory: existing, database: 'purser' })).stop();
}, 30_000);

afterAll(async () => {
  // Whatever a failed test has left running is adopted, and so can be stopped.
  await (await startEmbeddedPostgres({ dataDirectory: existing, database: 'purser' })).stop();
  await rm(existing, { recursive: true, force: true });
});

afterEach(async () => {
  for (const gateway of gateways.splice(0)) await end(gateway, 'SIGKILL');
  for (const server of servers.splice(0)) await server.stop();
  directories.delete(existing);
  for (const directory of directories) await rm(directory, { recursive: true, force: true });
  directories.clear();
});

describe('the embedded PostgreSQL', { timeout: 30_000 }, () => {
  it('makes a database in an empty directory and lets in only those who know the password', async () => {
    const dataDirectory = join(await aDirectory(), 'state', 'postgres');

    const server = await start(dataDirectory);

    expect(await query(server.adminUrl, 'select current_database() as database, current_user as role')).toEqual([
      { database: 'purser', role: 'postgres' },
    ]);
    await expect(query(withPassword(server.adminUrl, 'guess'), 'select 1')).rejects.toMatchObject({ code: '28P01' });
    expect((await stat(join(dataDirectory, 'cluster', 'superuser-password'))).mode & 0o777).toBe(0o600);
  });

  it('is durable, speaks UTF-8, sorts by code point and listens on the loopback address alone', async () => {
    const { adminUrl } = await start(existing);

    const setting = async (name: string) => (await query(adminUrl, `select current_setting('${name}') as value`))[0];

    expect(await setting('fsync')).toEqual({ value: 'on' });
    expect(await setting('server_encoding')).toEqual({ value: 'UTF8' });
    expect(await setting('listen_addresses')).toEqual({ value: '127.0.0.1' });
    expect(await setting('unix_socket_directories')).toEqual({ value: '' });
    expect(await query(adminUrl, "select name from (values ('ä'), ('b'), ('A'), ('Z')) v(name) order by name")).toEqual(
      ['A', 'Z', 'b', 'ä'].map((name) => ({ name })),
    );
  });

  it('takes settings, but no other address', async () => {
    const settings = { max_connections: '17', listen_addresses: '*' };

    const { adminUrl } = await start(existing, settings);

    expect(await query(adminUrl, 'show max_connections')).toEqual([{ max_connections: '17' }]);
    expect(await query(adminUrl, 'show listen_addresses')).toEqual([{ listen_addresses: '127.0.0.1' }]);
  });

  it('keeps its data and its address from one start to the next', async () => {
    const first = await start(existing);
    await query(first.adminUrl, 'create table kept_over_a_stop as select 42 as answer');
    await first.stop();

    const second = await start(existing);

    expect(second.adminUrl).toBe(first.adminUrl);
    expect(await query(second.adminUrl, 'select answer from kept_over_a_stop')).toEqual([{ answer: 42 }]);
  });

  it('stops once, and stopping it again does nothing', async () => {
    const server = await start(existing);

    await server.stop();
    await server.stop();

    await expect(query(server.adminUrl, 'select 1')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  it.each(['SIGTERM', 'SIGKILL'] as const)(
    'outlives a gateway whose process group gets %s, and is adopted by the next one',
    async (signal) => {
      const { gateway, adminUrl } = await aGateway(existing);

      await end(gateway, signal);
      const [before] = await query(adminUrl, 'select pg_postmaster_start_time()::text as started');
      const adopted = await start(existing);

      const [after] = await query(adopted.adminUrl, 'select pg_postmaster_start_time()::text as started');
      expect(adopted.adminUrl).toBe(adminUrl);
      expect(after).toEqual(before);
      await adopted.stop();
      await expect(query(adminUrl, 'select 1')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    },
  );

  it('is one server when several gateways start at once', async () => {
    const dataDirectory = await aDirectory();

    const started = await Promise.all([start(dataDirectory), start(dataDirectory), start(dataDirectory)]);

    expect(new Set(started.map((server) => server.adminUrl)).size).toBe(1);
  });

  it('starts after a first start that was killed halfway, and leaves nothing of it', async () => {
    const dataDirectory = await aDirectory();
    const gateway = launchGateway(dataDirectory);
    const isHalfway = async () => expect((await readdir(dataDirectory)).join()).toContain('draft');
    await vi.waitFor(isHalfway, { timeout: 20_000, interval: 5 });
    await end(gateway, 'SIGKILL');

    const server = await start(dataDirectory);

    expect(await query(server.adminUrl, 'select 1 as answer')).toEqual([{ answer: 1 }]);
    expect((await readdir(dataDirectory)).sort()).toEqual(['cluster', 'port', 'postgres.log']);
  });

  it('is independent of the one of another directory', async () => {
    const [one, other] = await Promise.all([start(await aDirectory()), start(await aDirectory())]);

    await one.stop();

    expect(await query(other.adminUrl, 'select 1 as answer')).toEqual([{ answer: 1 }]);
  });

  it('recovers what was committed when the server itself is killed', async () => {
    const first = await start(existing);
    await query(first.adminUrl, 'create table kept_over_a_crash as select 42 as answer');
    process.kill(await postmasterOf(existing), 'SIGKILL');

    const second = await start(existing);

    expect(await query(second.adminUrl, 'select answer from kept_over_a_crash')).toEqual([{ answer: 42 }]);
  });

  it('does not mistake another process for the server that its lock file names', async () => {
    const first = await start(existing);
    const lock = await readFile(lockFileIn(existing), 'utf8');
    await first.stop();
    await writeFile(lockFileIn(existing), lock.replace(/^\d+/, String(process.pid)));

    const second = await start(existing);

    expect(await query(second.adminUrl, 'select 1 as answer')).toEqual([{ answer: 1 }]);
    expect(await postmasterOf(existing)).not.toBe(process.pid);
  });

  it('does not mistake the server of another directory for its own', async () => {
    const otherDirectory = await aDirectory();
    const other = await start(otherDirectory);
    await writeFile(lockFileIn(existing), await readFile(lockFileIn(otherDirectory), 'utf8'));

    const own = await start(existing);
    await own.stop();

    expect(own.adminUrl).not.toBe(other.adminUrl);
    expect(await query(other.adminUrl, 'select 1 as answer')).toEqual([{ answer: 1 }]);
  });

  it('moves to another port when its own has been taken', async () => {
    const first = await start(existing);
    await first.stop();
    const squatter = createServer().listen(Number(new URL(first.adminUrl).port), '127.0.0.1');
    await once(squatter, 'listening');

    const second = await start(existing);
    squatter.close();

    expect(new URL(second.adminUrl).port).not.toBe(new URL(first.adminUrl).port);
  });

  it('starts in a private directory, with its files where the account it runs as can reach them', async () => {
    const home = await aDirectory(0o700);

    const server = await start(join(home, 'postgres'));
    const files = await filesOf(server);

    expect(files.startsWith(home)).toBe(!runsAsRoot);
    expect(server.notices.some((notice) => notice.includes(dirname(dirname(files))))).toBe(runsAsRoot);
  });

  it('starts with an empty database after its directory was deleted, wherever the files were', async () => {
    const dataDirectory = join(await aDirectory(0o700), 'postgres');
    const first = await start(dataDirectory);
    await query(first.adminUrl, 'create table kept as select 42 as answer');
    await first.stop();
    await rm(dataDirectory, { recursive: true });

    const second = await start(dataDirectory);

    expect(await query(second.adminUrl, "select to_regclass('kept') as kept")).toEqual([{ kept: null }]);
  });

  it('fails in one line that says what the server said and what else can be done', async () => {
    const failure = start(existing, { shared_buffers: 'plenty' });

    await expect(failure).rejects.toBeInstanceOf(EmbeddedPostgresError);
    await expect(failure).rejects.toThrow(/^Embedded PostgreSQL: .*shared_buffers.*DATABASE_URL.*$/);
  });

  it('fails when somebody changed its password, and leaves no server behind that it cannot use', async () => {
    const dataDirectory = await aDirectory();
    const server = await start(dataDirectory);
    await query(server.adminUrl, "alter role postgres password 'changed'");

    await expect(start(dataDirectory)).rejects.toThrow('no longer accepts the password');
    await server.stop();
    await expect(start(dataDirectory)).rejects.toThrow('no longer accepts the password');

    await expect(query(server.adminUrl, 'select 1')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  it('fails in one line when the directory cannot be used', async () => {
    const file = join(await aDirectory(), 'file');
    await writeFile(file, '');

    await expect(start(file)).rejects.toThrow(/^Embedded PostgreSQL: its data directory cannot be used: .*$/);
  });
});

/** A temporary directory that the server's account may pass through, unless told otherwise. */
async function aDirectory(mode = 0o755): Promise<string> {
  const directory = await realpath(await mkdtemp(join(tmpdir(), 'purser-embedded-')));
  await chmod(directory, mode);
  directories.add(directory);
  return directory;
}

async function start(dataDirectory: string, settings: Record<string, string> = {}): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres({ dataDirectory, database: 'purser', settings });
  servers.push(server);
  directories.add(dirname(dirname(await filesOf(server))));
  return server;
}

const GATEWAY = `
  import { runnerImport } from 'vite';
  const [modulePath, dataDirectory] = process.argv.slice(1);
  const { module } = await runnerImport(modulePath, { configFile: false });
  const { adminUrl } = await module.startEmbeddedPostgres({ dataDirectory, database: 'purser' });
  process.stdout.write(adminUrl + '\\n');
  setInterval(() => undefined, 60_000);
`;

/** Another process, in a group of its own, that starts the server, prints its URL and would run on. */
function launchGateway(dataDirectory: string): ChildProcessByStdio<null, Readable, null> {
  const modulePath = fileURLToPath(new URL('../src/embedded-postgres/index.ts', import.meta.url));
  const gateway = spawn(process.execPath, ['--input-type=module', '--eval', GATEWAY, modulePath, dataDirectory], {
    cwd: dirname(dirname(dirname(modulePath))),
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  gateways.push(gateway);
  return gateway;
}

async function aGateway(dataDirectory: string): Promise<{ gateway: ChildProcess; adminUrl: string }> {
  const gateway = launchGateway(dataDirectory);
  for await (const adminUrl of createInterface(gateway.stdout)) return { gateway, adminUrl };
  throw new Error('The gateway ended before its server was ready.');
}

/** Sends the signal to the whole group, as a terminal or a supervisor does. */
async function end(gateway: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (gateway.pid === undefined || gateway.exitCode !== null || gateway.signalCode !== null) return;
  const ended = once(gateway, 'exit');
  process.kill(-gateway.pid, signal);
  await ended;
}

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return (await client.query(sql)).rows;
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function filesOf(server: EmbeddedPostgres): Promise<string> {
  const client = new pg.Client({ connectionString: server.adminUrl });
  await client.connect();
  const { rows } = await client.query<{ files: string }>("select current_setting('data_directory') as files");
  await client.end();
  return rows[0]?.files ?? '';
}

function lockFileIn(dataDirectory: string): string {
  return join(dataDirectory, 'cluster', 'data', 'postmaster.pid');
}

async function postmasterOf(dataDirectory: string): Promise<number> {
  return Number.parseInt(await readFile(lockFileIn(dataDirectory), 'utf8'), 10);
}

function withPassword(url: string, password: string): string {
  const changed = new URL(url);
  changed.password = password;
  return changed.href;
}
