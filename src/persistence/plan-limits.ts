/** What plan limits count, and the locks under which it is counted. */
import { groupBy } from '../domain/group-by.ts';
import type { OperationCount } from '../domain/limits/frequency-cap.ts';
import type { OrganizationLimitKey, PlanSubscribed } from '../domain/limits/plan-limit.ts';
import type { SubscriptionStatus } from '../domain/subscriptions/subscription.ts';
import type { Instant } from '../domain/time/instant.ts';
import type { Zone } from '../domain/time/zone.ts';
import { loadOperationCounts } from './batch/load-counters.ts';
import { CLOCK_COLUMNS, type ClockRow, nowOfRow } from './clock.ts';
import type { Queryable } from './connection.ts';
import { ZONE_COLUMNS, type ZoneRow, zoneOfRow } from './time-zones.ts';

/**
 * Lets nobody else change the organization, its members or projects until the transaction ends. Taken before the lock of a
 * person. Rows that merely refer to the organization, the books among them, go on.
 */
export async function lockOrganization(sql: Queryable, organizationId: string): Promise<void> {
  await sql`SELECT 1 FROM organization WHERE id = ${organizationId} FOR NO KEY UPDATE`;
}

/** Lets the person found or join no organization elsewhere until the transaction ends. */
export async function lockUser(sql: Queryable, userId: string): Promise<void> {
  await sql`SELECT 1 FROM user_account WHERE id = ${userId} FOR NO KEY UPDATE`;
}

export interface OrganizationUse {
  readonly organizationId: string;
  readonly subscribed: PlanSubscribed;
  readonly counts: Readonly<Record<OrganizationLimitKey, number>>;
  /** Active members: the seats that are not merely kept for who is invited. */
  readonly members: number;
}

interface UseRow {
  id: string;
  plan_key: string | null;
  status: SubscriptionStatus | null;
  projects: number;
  members: number;
  invitations: number;
}

/** The plans of organizations and what they have. Those that do not exist are left out. */
export async function usesOfOrganizations(
  sql: Queryable,
  organizationIds: readonly string[],
): Promise<OrganizationUse[]> {
  const rows = await sql<UseRow[]>`
    SELECT o.id, s.plan_key, s.status,
      (SELECT count(*)::int FROM project p WHERE p.organization_id = o.id) AS projects,
      m.members, m.invitations
    FROM organization o
    LEFT JOIN plan_subscription s ON s.organization_id = o.id
    CROSS JOIN LATERAL (
      SELECT count(*) FILTER (WHERE status = 'ACTIVE')::int AS members,
        count(*) FILTER (WHERE status = 'INVITED' AND invitation_expires_at > clock_timestamp())::int AS invitations
      FROM membership WHERE organization_id = o.id AND removed_at IS NULL
    ) m
    WHERE o.id = ANY(${organizationIds}::uuid[])`;
  return rows.map((row) => ({
    organizationId: row.id,
    subscribed: subscribedOf(row),
    counts: {
      projects: row.projects,
      seats: row.members + row.invitations,
      pending_invitations: row.invitations,
    },
    members: row.members,
  }));
}

/** What frequency caps have counted of an organization, and its clock, which says what is of the present windows. */
export interface OperationsOfOrganization {
  readonly organizationId: string;
  readonly now: Instant;
  readonly timeZone: Zone;
  readonly counts: readonly OperationCount[];
}

export async function operationsOfOrganizations(
  sql: Queryable,
  organizationIds: readonly string[],
): Promise<OperationsOfOrganization[]> {
  const wallets = await sql<
    (ClockRow & ZoneRow & { id: string; organization_id: string })[]
  >`SELECT w.id, w.organization_id, ${ZONE_COLUMNS}, ${CLOCK_COLUMNS}
    FROM wallet w JOIN organization o ON o.id = w.organization_id
    WHERE w.organization_id = ANY(${organizationIds}::uuid[])`;
  const counts = await loadOperationCounts(
    sql,
    wallets.map(({ id }) => id),
  );
  const byWallet = groupBy(counts, (count) => count.wallet_id);
  return wallets.map((row) => ({
    organizationId: row.organization_id,
    now: nowOfRow(row),
    timeZone: zoneOfRow(row),
    counts: byWallet.get(row.id) ?? [],
  }));
}

export interface PersonUse {
  /** What each organization that they own is subscribed to. */
  readonly owned: readonly PlanSubscribed[];
  /** How many they are a member of without owning them. */
  readonly joined: number;
}

export async function useOfPerson(sql: Queryable, userId: string): Promise<PersonUse> {
  const rows = await sql<{ owns: boolean; plan_key: string | null; status: SubscriptionStatus | null }[]>`
    SELECT m.role = 'OWNER' AS owns, s.plan_key, s.status
    FROM membership m
    LEFT JOIN plan_subscription s ON s.organization_id = m.organization_id
    WHERE m.user_id = ${userId} AND m.status = 'ACTIVE' AND m.removed_at IS NULL`;
  const owned = rows.filter(({ owns }) => owns).map(subscribedOf);
  return { owned, joined: rows.length - owned.length };
}

function subscribedOf(row: { plan_key: string | null; status: SubscriptionStatus | null }): PlanSubscribed {
  return row.plan_key === null || row.status === null ? null : { planKey: row.plan_key, status: row.status };
}
