/** The role that serves: it owns nothing, may only append to the ledger and may delete almost nothing. */
import { type Client, escapeIdentifier } from 'pg';
import { asOwner, ensureRole, mayCreateRoles, urlAs } from './roles.ts';

const APPEND_ONLY = new Set([
  'ledger_entry',
  'ledger_transaction',
  'audit_record',
  'idempotency_record',
  'catalog_version',
  'promo_redemption',
  'installation_secret',
  'alert_event',
  'statement',
  'activity',
]);
/** What is appended and never changed, and of which the oldest is forgotten. */
const FORGETTABLE = new Set(['balance_change']);
const DELETABLE = new Set(['allowance', 'open_usage', 'webhook_delivery', 'statement_draft']);

export interface ServingRole {
  /** The URL with which the gateway serves. */
  readonly databaseUrl: string;
  /** Set where no serving role could be made: one line for the log. */
  readonly notice: string | null;
}

/** Creates or repairs the serving role of the database that `adminUrl` names. Safe to call from several processes. */
export async function ensureServingRole(adminUrl: string): Promise<ServingRole> {
  return asOwner(adminUrl, async (client) => {
    if (!(await mayCreateRoles(client))) {
      const notice =
        'The database user may not create roles: the gateway serves as the owner of its tables, and only triggers protect the ledger.';
      return { databaseUrl: adminUrl, notice };
    }
    const role = await ensureRole(client, adminUrl, 'serving');
    await grant(client, role.name);
    return { databaseUrl: urlAs(adminUrl, role), notice: null };
  });
}

/** Lets an existing role serve: for databases whose owner names both roles. */
export async function grantServing(adminUrl: string, role: string): Promise<void> {
  await asOwner(adminUrl, (client) => grant(client, role));
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
  if (FORGETTABLE.has(table)) return ['SELECT', 'INSERT', 'DELETE'];
  return DELETABLE.has(table) ? ['SELECT', 'INSERT', 'UPDATE', 'DELETE'] : ['SELECT', 'INSERT', 'UPDATE'];
}
