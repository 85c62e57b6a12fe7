/** Members, projects and API keys of an organization. */
import type { Role, Scope } from '../domain/identity/caller.ts';
import type { Instant } from '../domain/time/instant.ts';
import type { Queryable } from './connection.ts';

export async function insertMembership(
  sql: Queryable,
  membership: { readonly id: string; readonly organizationId: string; readonly userId: string; readonly role: Role },
): Promise<void> {
  const { id, organizationId, userId, role } = membership;
  await sql`
    INSERT INTO membership (id, organization_id, user_id, role)
    VALUES (${id}, ${organizationId}, ${userId}, ${role}::"Role")
    ON CONFLICT (organization_id, user_id) WHERE removed_at IS NULL DO NOTHING`;
}

/** True where a project of the organization has the key. */
export async function projectKeyIsTaken(sql: Queryable, organizationId: string, key: string): Promise<boolean> {
  const [row] = await sql<{ id: string }[]>`
    SELECT id FROM project WHERE organization_id = ${organizationId} AND key = ${key}`;
  return row !== undefined;
}

/** False where the organization has a project with that key. */
export async function insertProject(
  sql: Queryable,
  project: { readonly id: string; readonly organizationId: string; readonly key: string; readonly name: string },
): Promise<boolean> {
  const { id, organizationId, key, name } = project;
  const inserted = await sql`
    INSERT INTO project (id, organization_id, key, name) VALUES (${id}, ${organizationId}, ${key}, ${name})
    ON CONFLICT (organization_id, key) DO NOTHING`;
  return inserted.count === 1;
}

export interface NewApiKey {
  readonly id: string;
  readonly organizationId: string;
  readonly name: string;
  readonly prefix: string;
  readonly secretHash: string;
  readonly master: boolean;
  readonly scopes: readonly Scope[];
  readonly projectId: string | null;
  readonly expiresAt: Instant | null;
}

export async function insertApiKey(sql: Queryable, key: NewApiKey): Promise<void> {
  await sql`
    INSERT INTO api_key (id, organization_id, name, prefix, secret_hash, master, scopes, project_id, expires_at)
    VALUES (${key.id}, ${key.organizationId}, ${key.name}, ${key.prefix}, decode(${key.secretHash}, 'hex'), ${key.master},
      ${[...key.scopes]}::text[]::"Scope"[], ${key.projectId},
      ${key.expiresAt === null ? null : new Date(key.expiresAt).toISOString()})
    ON CONFLICT (secret_hash) DO NOTHING`;
}

/** The organization of a key; null for an unknown one. */
export async function organizationOfKey(sql: Queryable, keyId: string): Promise<string | null> {
  const [row] = await sql<{ organization_id: string }[]>`SELECT organization_id FROM api_key WHERE id = ${keyId}`;
  return row?.organization_id ?? null;
}

export interface RevokedKey {
  readonly name: string;
  readonly revokedAt: Instant;
}

/** Revokes once; null for a key that was revoked before, which stays so since then. */
export async function revokeKey(sql: Queryable, keyId: string): Promise<RevokedKey | null> {
  const [row] = await sql<{ name: string; revoked_at: Instant }[]>`
    UPDATE api_key SET revoked_at = now() WHERE id = ${keyId} AND revoked_at IS NULL RETURNING name, revoked_at`;
  return row ? { name: row.name, revokedAt: row.revoked_at } : null;
}
