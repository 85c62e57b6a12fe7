/** Looks up credentials. Every request asks the database, so that a revoked key is refused at once by every process. */

import { groupBy } from '../domain/group-by.ts';
import type { BalanceAccess, CallerMembership, Role, Scope } from '../domain/identity/caller.ts';
import type { Queryable } from './connection.ts';

export interface KeyRecord {
  readonly keyId: string;
  readonly organizationId: string;
  readonly walletId: string;
  readonly master: boolean;
  readonly scopes: readonly Scope[];
  readonly projectId: string | null;
  readonly balanceAccess: BalanceAccess;
}

interface KeyRow {
  hash: string;
  id: string;
  organization_id: string;
  wallet_id: string;
  master: boolean;
  scopes: Scope[];
  project_id: string | null;
  earmark_only: boolean;
}

/** The live keys among the given SHA-256 hashes (hexadecimal), in their order; null for unknown, revoked and expired. */
export async function findKeys(sql: Queryable, hashes: readonly string[]): Promise<(KeyRecord | null)[]> {
  const rows = await sql<KeyRow[]>`
    SELECT encode(k.secret_hash, 'hex') AS hash, k.id, k.organization_id, w.id AS wallet_id, k.master,
           k.scopes::text[] AS scopes, k.project_id, EXISTS (
             SELECT 1 FROM allocation a WHERE a.wallet_id = w.id AND a.project_id = k.project_id AND a.exclusive) AS earmark_only
    FROM api_key k
    JOIN wallet w ON w.organization_id = k.organization_id
    WHERE k.secret_hash = ANY (SELECT decode(hash, 'hex') FROM unnest(${hashes}::text[]) AS wanted (hash))
      AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())`;
  const byHash = new Map(rows.map((row) => [row.hash, keyRecord(row)]));
  return hashes.map((hash) => byHash.get(hash) ?? null);
}

function keyRecord(row: KeyRow): KeyRecord {
  return {
    keyId: row.id,
    organizationId: row.organization_id,
    walletId: row.wallet_id,
    master: row.master,
    scopes: row.scopes,
    projectId: row.project_id,
    balanceAccess: row.earmark_only ? 'EARMARK_ONLY' : 'FULL',
  };
}

/** Notes when keys were used, to the minute: a write per request would cost more than the charge itself. */
export async function touchKeys(sql: Queryable, keyIds: readonly string[]): Promise<void> {
  await sql`
    UPDATE api_key SET last_used_at = now()
    WHERE id = ANY(${keyIds}::uuid[]) AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')`;
}

interface MembershipRow {
  user_id: string;
  organization_id: string;
  wallet_id: string;
  role: Role;
  balance_access: BalanceAccess;
}

/** The active memberships of each user, in the users' order. Who spends an earmark and nothing else sees nothing else. */
export async function findMemberships(sql: Queryable, userIds: readonly string[]): Promise<CallerMembership[][]> {
  const rows = await sql<MembershipRow[]>`
    SELECT m.user_id, m.organization_id, w.id AS wallet_id, m.role,
           CASE WHEN EXISTS (
             SELECT 1 FROM allocation a WHERE a.wallet_id = w.id AND a.user_id = m.user_id AND a.exclusive)
             THEN 'EARMARK_ONLY' ELSE m.balance_access END AS balance_access
    FROM membership m
    JOIN wallet w ON w.organization_id = m.organization_id
    WHERE m.user_id = ANY(${userIds}::text[]) AND m.status = 'ACTIVE' AND m.removed_at IS NULL
    ORDER BY m.created_at, m.id`;
  const byUser = groupBy(rows, (row) => row.user_id);
  return userIds.map((id) =>
    (byUser.get(id) ?? []).map((row) => ({
      organizationId: row.organization_id,
      walletId: row.wallet_id,
      role: row.role,
      balanceAccess: row.balance_access,
    })),
  );
}

/** Remembers a person whom the identity provider vouches for; keeps what is already known of them. */
export async function rememberUser(sql: Queryable, user: { id: string; name: string; email: string }): Promise<void> {
  await sql`INSERT INTO user_account (id, name, email) VALUES (${user.id}, ${user.name}, ${user.email})
    ON CONFLICT (id) DO NOTHING`;
}
