/** Organizations with everything that one needs to exist: wallet, buckets, owner. */
import type { CatalogBucket } from '../domain/catalog/catalog.ts';
import type { Tenant } from '../domain/identity/caller.ts';
import { GENESIS_HASH } from '../domain/ledger/hash-chain.ts';
import { type Fragment, fragment, type Queryable } from './connection.ts';

export async function findTenant(sql: Queryable, organizationId: string): Promise<Tenant | null> {
  const [row] = await sql<{ id: string }[]>`SELECT id FROM wallet WHERE organization_id = ${organizationId}`;
  return row ? { organizationId, walletId: row.id } : null;
}

export interface NewOrganization {
  readonly id: string;
  readonly walletId: string;
  readonly slug: string;
  readonly name: string;
  readonly timeZone: string;
  /** Created with a test clock, which starts at the database's time. */
  readonly testClock: boolean;
}

/** False where the slug is taken. Runs in the caller's transaction. */
export async function insertOrganization(
  sql: Queryable,
  organization: NewOrganization,
  buckets: readonly CatalogBucket[],
): Promise<boolean> {
  const { id, walletId, slug, name, timeZone, testClock } = organization;
  const inserted = await sql`
    INSERT INTO organization (id, slug, name, time_zone, test_clock_offset_ms)
    VALUES (${id}, ${slug}, ${name}, ${timeZone}, ${testClock ? '0' : null})
    ON CONFLICT (slug) DO NOTHING`;
  if (inserted.count === 0) return false;
  await sql`
    INSERT INTO wallet (id, organization_id, head_hash, last_posted_at)
    VALUES (${walletId}, ${id}, decode(${GENESIS_HASH}, 'hex'), clock_timestamp())`;
  await upsertBuckets(sql, buckets, fragment`w.id = ${walletId}`);
  return true;
}

/**
 * Gives every wallet the catalog's buckets, and brings name and priority up to date. The wallets are locked first and in
 * the order in which posting batches lock them, so that neither waits for the other in a circle.
 */
export async function upsertBucketsOfAll(sql: Queryable, buckets: readonly CatalogBucket[]): Promise<void> {
  await sql`SELECT 1 FROM wallet ORDER BY id FOR UPDATE`;
  await upsertBuckets(sql, buckets, fragment`true`);
}

async function upsertBuckets(sql: Queryable, buckets: readonly CatalogBucket[], wallets: Fragment): Promise<void> {
  await sql`
    INSERT INTO bucket (id, wallet_id, key, name, kind, burn_priority)
    SELECT gen_random_uuid(), w.id, b.key, b.name, b.kind, b.burn_priority
    FROM wallet w
    CROSS JOIN unnest(
      ${buckets.map((bucket) => bucket.key)}::text[],
      ${buckets.map((bucket) => bucket.name)}::text[],
      ${buckets.map((bucket) => bucket.kind)}::"BucketKind"[],
      ${buckets.map((bucket) => bucket.burnPriority)}::int[]
    ) AS b (key, name, kind, burn_priority)
    WHERE ${wallets}
    ON CONFLICT (wallet_id, key) DO UPDATE
      SET name = excluded.name, kind = excluded.kind, burn_priority = excluded.burn_priority
      WHERE (bucket.name, bucket.kind, bucket.burn_priority)
        IS DISTINCT FROM (excluded.name, excluded.kind, excluded.burn_priority)`;
}

/** The id of the organization with this slug; null where there is none. */
export async function findOrganizationBySlug(sql: Queryable, slug: string): Promise<string | null> {
  const [row] = await sql<{ id: string }[]>`SELECT id FROM organization WHERE slug = ${slug}`;
  return row?.id ?? null;
}

/** The display name; null where there is no such organization. */
export async function organizationName(sql: Queryable, organizationId: string): Promise<string | null> {
  const [row] = await sql<{ name: string }[]>`SELECT name FROM organization WHERE id = ${organizationId}`;
  return row?.name ?? null;
}

export async function renameOrganization(sql: Queryable, organizationId: string, name: string): Promise<void> {
  await sql`UPDATE organization SET name = ${name} WHERE id = ${organizationId}`;
}

/** Something that is said to be an organization's. */
export interface Named {
  readonly organizationId: string;
  readonly id: string;
}

/** Of each project whether it is the organization's. */
export async function projectsExist(sql: Queryable, named: readonly Named[]): Promise<boolean[]> {
  const rows = await sql<{ found: boolean }[]>`
    SELECT EXISTS (SELECT 1 FROM project WHERE project.id = n.id AND project.organization_id = n.organization_id) AS found
    FROM unnest(${named.map(({ organizationId }) => organizationId)}::uuid[], ${named.map(({ id }) => id)}::uuid[])
      WITH ORDINALITY AS n (organization_id, id, place)
    ORDER BY place`;
  return rows.map(({ found }) => found);
}

/** Of each user whether they are an active member of the organization. */
export async function membersExist(sql: Queryable, named: readonly Named[]): Promise<boolean[]> {
  const rows = await sql<{ found: boolean }[]>`
    SELECT EXISTS (SELECT 1 FROM membership m
      WHERE m.user_id = n.id AND m.organization_id = n.organization_id AND m.status = 'ACTIVE'
        AND m.removed_at IS NULL) AS found
    FROM unnest(${named.map(({ organizationId }) => organizationId)}::uuid[], ${named.map(({ id }) => id)}::text[])
      WITH ORDINALITY AS n (organization_id, id, place)
    ORDER BY place`;
  return rows.map(({ found }) => found);
}
