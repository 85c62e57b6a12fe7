/** Secrets of the installation that no environment variable gave: made once, the same for every process. */
import type { Queryable } from './connection.ts';

/** The stored secret of that name; the proposed one where there was none. */
export async function installationSecret(sql: Queryable, name: string, proposed: string): Promise<string> {
  await sql`INSERT INTO installation_secret (name, value) VALUES (${name}, ${proposed}) ON CONFLICT (name) DO NOTHING`;
  const stored = await findInstallationSecret(sql, name);
  if (stored === null) throw new Error('an inserted secret can be read');
  return stored;
}

export async function findInstallationSecret(sql: Queryable, name: string): Promise<string | null> {
  const [row] = await sql<{ value: string }[]>`SELECT value FROM installation_secret WHERE name = ${name}`;
  return row?.value ?? null;
}
