/**
 * The role that serves: it owns nothing, may only append to the ledger and may delete almost nothing. Its name and
 * password are made by whoever migrates and kept where only the owner can read them, so that every process that migrates
 * finds the same role.
 */
import { randomBytes } from 'node:crypto';
import { Client, escapeIdentifier, escapeLiteral } from 'pg';

const MIGRATION_LOCK = 7_230_311;
const APPEND_ONLY = new Set([
  'ledger_entry',
  'ledger_transaction',
  'balance_change',
  'audit_record',
  'idempotency_record',
  'catalog_version',
  'installation_secret',
]);
const DELETABLE = new Set(['allowance']);

export interface ServingRole {
  /** The URL with which the gateway serves. */
  readonly databaseUrl: string;
  /** Set where no serving role could be made: one line for the log. */
  readonly notice: string | null;
}

/** Creates or repairs the serving role of the database that `adminUrl` names. Safe to call from several processes. */
export async function ensureServingRole(adminUrl: string): Promise<ServingRole> {
  const client = new Client({ connectionString: adminUrl });
  await client.connect();
  try {
    if (!(await mayCreateRoles(client))) {
      const notice =
        'The database user may not create roles: the gateway serves as the owner of its tables, and only triggers protect the ledger.';
      return { databaseUrl: adminUrl, notice };
    }
    await client.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK]);
    const role = await namedRole(client);
    await createOrRepair(client, role);
    await grant(client, role.name);
    return { databaseUrl: urlAs(adminUrl, role), notice: null };
  } finally {
    await client.end();
  }
}

/** Lets an existing role serve: for databases whose owner names both roles. */
export async function grantServing(adminUrl: string, role: string): Promise<void> {
  const client = new Client({ connectionString: adminUrl });
  await client.connect();
  try {
    await client.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK]);
    await grant(client, role);
  } finally {
    await client.end();
  }
}

interface RoleSecret {
  readonly name: string;
  readonly password: string;
}

async function mayCreateRoles(client: Client): Promise<boolean> {
  const { rows } = await client.query<{ allowed: boolean }>(
    'SELECT rolsuper OR rolcreaterole AS allowed FROM pg_roles WHERE rolname = current_user',
  );
  return rows[0]?.allowed ?? false;
}

async function namedRole(client: Client): Promise<RoleSecret> {
  await client.query('CREATE SCHEMA IF NOT EXISTS purser_owner');
  await client.query(
    'CREATE TABLE IF NOT EXISTS purser_owner.serving_role (name text NOT NULL, password text NOT NULL)',
  );
  const known = await client.query<RoleSecret>('SELECT name, password FROM purser_owner.serving_role LIMIT 1');
  if (known.rows[0]) return known.rows[0];
  const role = { name: `purser_serving_${randomBytes(6).toString('hex')}`, password: randomBytes(24).toString('hex') };
  await client.query('INSERT INTO purser_owner.serving_role (name, password) VALUES ($1, $2)', [
    role.name,
    role.password,
  ]);
  return role;
}

async function createOrRepair(client: Client, { name, password }: RoleSecret): Promise<void> {
  const { rowCount } = await client.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [name]);
  if (rowCount) {
    if (await canSignIn(client, name, password)) return;
    await client.query(`ALTER ROLE ${escapeIdentifier(name)} LOGIN PASSWORD ${escapeLiteral(password)}`);
    return;
  }
  await client.query(`CREATE ROLE ${escapeIdentifier(name)} LOGIN PASSWORD ${escapeLiteral(password)}`);
}

async function canSignIn({ host, port, database }: Client, user: string, password: string): Promise<boolean> {
  const client = new Client({ host, port, user, password, ...(database === undefined ? {} : { database }) });
  try {
    await client.connect();
    await client.end();
    return true;
  } catch {
    return false;
  }
}

async function grant(client: Client, name: string): Promise<void> {
  const role = escapeIdentifier(name);
  const { rows } = await client.query<{ tablename: string }>(
    "SELECT tablename FROM pg_tables WHERE schemaname = 'public'",
  );
  const statements = rows.map(({ tablename }) => {
    const rights = rightsOn(tablename).join(', ');
    return `GRANT ${rights} ON ${escapeIdentifier(tablename)} TO ${role}`;
  });
  await client.query([`GRANT USAGE ON SCHEMA public TO ${role}`, ...statements].join(';\n'));
}

function rightsOn(table: string): readonly string[] {
  if (table === '_prisma_migrations') return ['SELECT'];
  if (APPEND_ONLY.has(table)) return ['SELECT', 'INSERT'];
  return DELETABLE.has(table) ? ['SELECT', 'INSERT', 'UPDATE', 'DELETE'] : ['SELECT', 'INSERT', 'UPDATE'];
}

function urlAs(adminUrl: string, { name, password }: RoleSecret): string {
  const url = new URL(adminUrl);
  url.username = name;
  url.password = password;
  return url.toString();
}
