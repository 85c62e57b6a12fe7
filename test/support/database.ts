/** A migrated database of a test's own. */
import { randomBytes } from 'node:crypto';
import { Client, Pool } from 'pg';
import { inject } from 'vitest';
import { TEMPLATE } from './global-setup.ts';

export interface TestDatabase extends AsyncDisposable {
  /** As the owner of the schema. */
  readonly adminUrl: string;
  /** Sessions of the schema's owner that are kept for what tests ask; without them every question opens one of its own. */
  readonly sessions?: Pool;
}

/** Named, so that a test that counts or ends a gateway's sessions leaves these out. */
const SESSIONS = { application_name: 'test-queries', max: 4, allowExitOnIdle: true };

function urlOf(database: string): string {
  const url = new URL(inject('adminUrl'));
  url.pathname = `/${database}`;
  return url.toString();
}

async function asAdmin(sql: string): Promise<void> {
  const client = new Client({ connectionString: urlOf('postgres') });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

export async function createDatabase(): Promise<TestDatabase> {
  const name = `test_${randomBytes(8).toString('hex')}`;
  await asAdmin(`CREATE DATABASE ${name} TEMPLATE ${TEMPLATE}`);
  const adminUrl = urlOf(name);
  const sessions = new Pool({ connectionString: adminUrl, ...SESSIONS });
  sessions.on('error', () => undefined);
  return {
    adminUrl,
    sessions,
    async [Symbol.asyncDispose]() {
      await sessions.end();
      await asAdmin(`DROP DATABASE ${name} WITH (FORCE)`);
    },
  };
}
