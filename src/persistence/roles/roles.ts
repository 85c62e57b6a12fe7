/**
 * Roles that the owner of the schema makes for the gateway. Names and passwords are kept in a schema that only the owner
 * can write, so that every process that migrates finds the same roles and nobody else can have it change another one.
 */

import { randomBytes } from 'node:crypto';
import { type Client, escapeIdentifier, escapeLiteral } from 'pg';
import { ADVISORY_LOCKS } from '../advisory-locks.ts';
import { clientFor } from '../client.ts';

export interface RoleSecret {
  readonly name: string;
  readonly password: string;
}

/** Runs `work` as the owner while no other process makes roles. */
export async function asOwner<T>(adminUrl: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = clientFor(adminUrl);
  await client.connect();
  try {
    await client.query('SELECT pg_advisory_lock($1)', [ADVISORY_LOCKS.roles]);
    return await work(client);
  } finally {
    await client.end();
  }
}

export async function mayCreateRoles(client: Client): Promise<boolean> {
  const { rows } = await client.query<{ allowed: boolean }>(
    'SELECT rolsuper OR rolcreaterole AS allowed FROM pg_roles WHERE rolname = current_user',
  );
  return rows[0]?.allowed ?? false;
}

/** The role whose secret `purser_owner.<kind>_role` holds, made where it is missing, its password mended. */
export async function ensureRole(client: Client, adminUrl: string, kind: 'serving' | 'jobs'): Promise<RoleSecret> {
  const role = await namedRole(client, kind);
  await createOrRepair(client, adminUrl, role);
  return role;
}

/** The URL of the same database for another role. */
export function urlAs(databaseUrl: string, { name, password }: RoleSecret): string {
  const url = new URL(databaseUrl);
  url.username = name;
  url.password = password;
  return url.toString();
}

async function namedRole(client: Client, kind: string): Promise<RoleSecret> {
  const table = `purser_owner.${escapeIdentifier(`${kind}_role`)}`;
  await client.query('CREATE SCHEMA IF NOT EXISTS purser_owner');
  await client.query(`CREATE TABLE IF NOT EXISTS ${table} (name text NOT NULL, password text NOT NULL)`);
  const known = await client.query<RoleSecret>(`SELECT name, password FROM ${table} LIMIT 1`);
  if (known.rows[0]) return known.rows[0];
  const role = { name: `purser_${kind}_${randomBytes(6).toString('hex')}`, password: randomBytes(24).toString('hex') };
  await client.query(`INSERT INTO ${table} (name, password) VALUES ($1, $2)`, [role.name, role.password]);
  return role;
}

async function createOrRepair(client: Client, adminUrl: string, role: RoleSecret): Promise<void> {
  const { rowCount } = await client.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [role.name]);
  if (rowCount && (await canSignIn(urlAs(adminUrl, role)))) return;
  const verb = rowCount ? 'ALTER' : 'CREATE';
  const name = escapeIdentifier(role.name);
  await client.query(`${verb} ROLE ${name} LOGIN PASSWORD ${escapeLiteral(role.password)}`);
}

async function canSignIn(databaseUrl: string): Promise<boolean> {
  const client = clientFor(databaseUrl);
  try {
    await client.connect();
    await client.end();
    return true;
  } catch {
    return false;
  }
}
