/** Single connections to a PostgreSQL that says nothing any more. */
import { Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { listen } from '../../src/persistence/connection.ts';
import { pendingMigrations } from '../../src/persistence/migrations/migrate.ts';
import { findJobsUrl } from '../../src/persistence/roles/jobs-role.ts';
import { asOwner } from '../../src/persistence/roles/roles.ts';
import { projectPath } from '../../src/project-path.ts';
import { query } from '../support/books.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { aFreePort } from '../support/process-gateway.ts';
import { eventually, within } from '../support/process-posting.ts';
import { aSilentWire } from '../support/wires.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database[Symbol.asyncDispose]());

const notify = () => query(database, "SELECT pg_notify('test', 'heard')");

describe('a server that takes connections and answers nothing', () => {
  it.concurrent.each<[string, (databaseUrl: string) => Promise<unknown>]>([
    ['listens', (databaseUrl) => listen(databaseUrl, 'test', () => undefined)],
    [
      'looks for migrations',
      (databaseUrl) => pendingMigrations({ databaseUrl, migrationsDirectory: projectPath('prisma/migrations') }),
    ],
    ['makes roles', (databaseUrl) => asOwner(databaseUrl, async () => undefined)],
    ['looks for the role of jobs', findJobsUrl],
  ])('is given up by whoever %s', async (_name, connect) => {
    await using wire = await aSilentWire(database.adminUrl);
    wire.fallSilent();
    await expect(within(15, 'it is given up', connect(wire.url))).rejects.toThrow('timeout expired');
    expect(wire.unanswered).toBe(1);
  });

  it('is left for one that answers: what is told then is heard', async () => {
    await using wire = await aSilentWire(database.adminUrl);
    const heard: string[] = [];
    const listener = await listen(wire.url, 'test', (payload) => heard.push(payload));
    await notify();
    await eventually(async () => heard.length === 1, 'it is heard');

    wire.fallSilent();
    await eventually(async () => wire.unanswered > 0, 'it is connected to again');
    wire.speak();

    await eventually(async () => {
      await notify();
      return heard.length > 1;
    }, 'it is heard again');
    await listener.stop();
  });
});

describe('a connection that listens', () => {
  it('has the system look after 10 s whether the other end is still there', async () => {
    const keepAlive = vi.spyOn(Socket.prototype, 'setKeepAlive');
    try {
      const listener = await listen(database.adminUrl, 'test', () => undefined);
      expect(keepAlive.mock.calls).toEqual([[true, 10_000]]);
      await listener.stop();
    } finally {
      keepAlive.mockRestore();
    }
  });
});

describe('a connection that cannot begin to listen', () => {
  it('is not tried again: whoever wanted it is told', async () => {
    const nowhere = new URL(database.adminUrl);
    nowhere.port = String(await aFreePort());
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const listening = listen(nowhere.toString(), 'test', () => undefined);
      await expect(listening).rejects.toMatchObject({ code: 'ECONNREFUSED' });
      // Its socket tells that it is closed a few turns of the event loop later.
      for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });
});
