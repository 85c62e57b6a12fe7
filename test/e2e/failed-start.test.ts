/** A start that fails late leaves nothing behind: no connection, no timer that would open one again, no port. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { startGateway } from '../../src/compose.ts';
import type { Poster } from '../../src/posting/engine.ts';
import { query } from '../support/books.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { testConfig } from '../support/gateway.ts';
import { aFreePort } from '../support/process-gateway.ts';
import { eventually } from '../support/process-posting.ts';

let database: TestDatabase;
beforeEach(async () => {
  database = await createDatabase();
});
afterEach(() => database[Symbol.asyncDispose]());

/** The demo is made after everything that listens is connected, and before the gateway serves. */
const REFUSING: Poster = {
  execute: () => Promise.reject(new Error('nothing is posted here')),
  estimate: () => Promise.reject(new Error('nothing is estimated here')),
  preview: () => Promise.reject(new Error('nothing is previewed here')),
};

const sessions = () =>
  query(
    database,
    `SELECT application_name FROM pg_stat_activity
     WHERE datname = current_database() AND application_name ~ '^purser'`,
  );

describe('a start that fails when everything listens already', () => {
  it('closes every connection and stops every timer', async () => {
    const port = await aFreePort();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] });
    try {
      const starting = startGateway(testConfig(database, { PORT: String(port) }), { poster: REFUSING });
      await expect(starting).rejects.toThrow('nothing is posted here');
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
    await eventually(async () => (await sessions()).length === 0, 'no session stays');
    await expect(fetch(`http://127.0.0.1:${port}/health`)).rejects.toThrow();
  });
});
