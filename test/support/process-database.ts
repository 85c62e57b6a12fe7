/** Databases and roles beside the migrated template: empty ones, ones with another owner, logins that may little. */
import { randomBytes } from 'node:crypto';
import { Client, escapeIdentifier } from 'pg';
import { inject } from 'vitest';
import type { TestDatabase } from './database.ts';

const randomName = (kind: string): string => `test_${kind}_${randomBytes(6).toString('hex')}`;

/** The URL with parts of it replaced. */
export function urlWith(
  url: string,
  parts: { database?: string; user?: string; password?: string; port?: number },
): string {
  const changed = new URL(url);
  if (parts.database !== undefined) changed.pathname = `/${parts.database}`;
  if (parts.user !== undefined) changed.username = parts.user;
  if (parts.password !== undefined) changed.password = parts.password;
  if (parts.port !== undefined) changed.port = String(parts.port);
  return changed.toString();
}

/** Runs statements one by one, each in its own transaction. */
export async function execute(url: string, ...statements: readonly string[]): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}

/** A database with nothing in it. */
export async function createEmptyDatabase(owner?: TestRole): Promise<TestDatabase> {
  const name = randomName('empty');
  const admin = inject('adminUrl');
  const maintenance = urlWith(admin, { database: 'postgres' });
  await execute(maintenance, `CREATE DATABASE ${name}${owner ? ` OWNER ${owner.name}` : ''}`);
  return {
    adminUrl: urlWith(admin, { database: name }),
    [Symbol.asyncDispose]: () => execute(maintenance, `DROP DATABASE ${name} WITH (FORCE)`),
  };
}

export interface TestRole extends AsyncDisposable {
  readonly name: string;
  readonly password: string;
  /** The URL of a database as this role. */
  of(database: TestDatabase): string;
}

/** A login that may nothing but what `options` give it. Dispose of the databases that it owns first. */
export async function createRole(options = ''): Promise<TestRole> {
  const role = { name: randomName('role'), password: randomBytes(8).toString('hex') };
  const maintenance = urlWith(inject('adminUrl'), { database: 'postgres' });
  await execute(maintenance, `CREATE ROLE ${role.name} LOGIN ${options} PASSWORD '${role.password}'`);
  return {
    ...role,
    of: ({ adminUrl }) => urlWith(adminUrl, { user: role.name, password: role.password }),
    [Symbol.asyncDispose]: () => execute(maintenance, `DROP ROLE IF EXISTS ${escapeIdentifier(role.name)}`),
  };
}
