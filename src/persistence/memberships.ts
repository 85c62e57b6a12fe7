/**
 * Memberships and invitations. Whoever changes those of an organization locks it first (`lockOrganization`), so that what is
 * counted stays so until the transaction ends. Rows are never deleted: who left is marked.
 */
import type { BalanceAccess, Role } from '../domain/identity/caller.ts';
import type { Instant } from '../domain/time/instant.ts';
import type { Queryable } from './connection.ts';

export interface MembershipRecord {
  readonly id: string;
  readonly organizationId: string;
  readonly userId: string | null;
  readonly role: Role;
  readonly balanceAccess: BalanceAccess;
  readonly status: 'INVITED' | 'ACTIVE';
  readonly invitedEmail: string | null;
  /** Null for who was not invited. */
  readonly expiresAt: Instant | null;
}

interface MembershipRow {
  id: string;
  organization_id: string;
  user_id: string | null;
  role: Role;
  balance_access: BalanceAccess;
  status: 'INVITED' | 'ACTIVE';
  invited_email: string | null;
  invitation_expires_at: Instant | null;
}

const recordOf = (row: MembershipRow): MembershipRecord => ({
  id: row.id,
  organizationId: row.organization_id,
  userId: row.user_id,
  role: row.role,
  balanceAccess: row.balance_access,
  status: row.status,
  invitedEmail: row.invited_email,
  expiresAt: row.invitation_expires_at,
});

/** Null for what does not exist or was removed. */
export async function findMembership(sql: Queryable, id: string): Promise<MembershipRecord | null> {
  const [row] = await sql<MembershipRow[]>`
    SELECT id, organization_id, user_id, role, balance_access, status, invited_email, invitation_expires_at
    FROM membership WHERE id = ${id} AND removed_at IS NULL`;
  return row ? recordOf(row) : null;
}

/** The invitation of a token, accepted ones included; null for what does not exist or was withdrawn. */
export async function findInvitation(sql: Queryable, tokenHash: string): Promise<MembershipRecord | null> {
  const [row] = await sql<MembershipRow[]>`
    SELECT id, organization_id, user_id, role, balance_access, status, invited_email, invitation_expires_at
    FROM membership WHERE invitation_token_hash = decode(${tokenHash}, 'hex') AND removed_at IS NULL`;
  return row ? recordOf(row) : null;
}

/** How an address stands with an organization: its member, invited, or neither. */
export async function standingOfEmail(
  sql: Queryable,
  organizationId: string,
  email: string,
): Promise<'ACTIVE' | 'INVITED' | null> {
  const [row] = await sql<{ status: 'ACTIVE' | 'INVITED' }[]>`
    SELECT m.status FROM membership m LEFT JOIN user_account u ON u.id = m.user_id
    WHERE m.organization_id = ${organizationId} AND m.removed_at IS NULL
      AND CASE m.status WHEN 'ACTIVE' THEN lower(u.email) = ${email}
        ELSE lower(m.invited_email) = ${email} AND m.invitation_expires_at > clock_timestamp() END
    ORDER BY m.status LIMIT 1`;
  return row?.status ?? null;
}

export async function isMember(sql: Queryable, organizationId: string, userId: string): Promise<boolean> {
  const [row] = await sql<{ id: string }[]>`
    SELECT id FROM membership
    WHERE organization_id = ${organizationId} AND user_id = ${userId} AND status = 'ACTIVE' AND removed_at IS NULL`;
  return row !== undefined;
}

export interface NewInvitation {
  readonly id: string;
  readonly organizationId: string;
  readonly email: string;
  readonly role: Role;
  readonly balanceAccess: BalanceAccess;
  /** SHA-256, hexadecimal. */
  readonly tokenHash: string;
  readonly lifeSeconds: number;
}

/** Takes the place of an invitation of the same address that has expired. */
export async function insertInvitation(sql: Queryable, invitation: NewInvitation): Promise<void> {
  const { id, organizationId, email, role, balanceAccess, tokenHash, lifeSeconds } = invitation;
  await sql`
    UPDATE membership SET removed_at = clock_timestamp()
    WHERE organization_id = ${organizationId} AND lower(invited_email) = ${email} AND status = 'INVITED'
      AND removed_at IS NULL AND invitation_expires_at <= clock_timestamp()`;
  await sql`
    INSERT INTO membership (id, organization_id, role, balance_access, status, invited_email, invitation_token_hash,
      invitation_expires_at)
    VALUES (${id}, ${organizationId}, ${role}::"Role", ${balanceAccess}::"BalanceAccess", 'INVITED', ${email},
      decode(${tokenHash}, 'hex'), clock_timestamp() + interval '1 second' * ${lifeSeconds})`;
}

export async function acceptMembership(sql: Queryable, id: string, userId: string): Promise<void> {
  await sql`UPDATE membership SET status = 'ACTIVE', user_id = ${userId} WHERE id = ${id}`;
}

export async function countOwners(sql: Queryable, organizationId: string): Promise<number> {
  const [row] = await sql<{ owners: number }[]>`
    SELECT count(*)::int AS owners FROM membership
    WHERE organization_id = ${organizationId} AND role = 'OWNER' AND status = 'ACTIVE' AND removed_at IS NULL`;
  return row?.owners ?? 0;
}

export async function setRole(sql: Queryable, id: string, role: Role): Promise<void> {
  await sql`UPDATE membership SET role = ${role}::"Role" WHERE id = ${id}`;
}

export async function markRemoved(sql: Queryable, id: string): Promise<void> {
  await sql`UPDATE membership SET removed_at = clock_timestamp() WHERE id = ${id}`;
}
