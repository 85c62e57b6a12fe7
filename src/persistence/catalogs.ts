/** Catalog versions as stored: the YAML itself, numbered, never changed. */

import { formatInstant, type Instant } from '../domain/time/instant.ts';
import { ADVISORY_LOCKS } from './advisory-locks.ts';
import { type Listener, listen, type Queryable } from './connection.ts';

export interface StoredCatalog {
  readonly version: number;
  readonly source: string;
  readonly effectiveAt: Instant;
}

const CHANNEL = 'purser_catalog';

/** Those after a version, oldest first; after 0, all. */
export async function loadCatalogs(sql: Queryable, after: number): Promise<StoredCatalog[]> {
  const rows = await sql<{ version: number; source: string; effective_at: Instant }[]>`
    SELECT version, source, effective_at FROM catalog_version WHERE version > ${after} ORDER BY version`;
  return rows.map((row) => ({ version: row.version, source: row.source, effectiveAt: row.effective_at }));
}

/** Serializes those who apply catalogs until their transaction ends. */
export async function lockCatalogs(sql: Queryable): Promise<void> {
  await sql`SELECT pg_advisory_xact_lock(${ADVISORY_LOCKS.catalogs})`;
}

/** Lets nobody apply a catalog until the transaction ends; any number may hold it so at once. */
export async function holdCatalogs(sql: Queryable): Promise<void> {
  await sql`SELECT pg_advisory_xact_lock_shared(${ADVISORY_LOCKS.catalogs})`;
}

export interface NewCatalog extends StoredCatalog {
  readonly appliedAt: Instant;
  /** The operator's id, or the name of the part of the system. */
  readonly appliedBy: string;
}

/**
 * Stores a version and tells every process. The notification is part of the transaction, unlike those of the posting engine:
 * it is never lost, and catalogs are applied too seldom for commits to queue behind it.
 */
export async function insertCatalog(sql: Queryable, catalog: NewCatalog): Promise<void> {
  const { version, source, effectiveAt, appliedAt, appliedBy } = catalog;
  await sql`
    INSERT INTO catalog_version (version, source, effective_at, applied_at, applied_by)
    VALUES (${version}, ${source}, ${formatInstant(effectiveAt)}, ${formatInstant(appliedAt)}, ${appliedBy})`;
  await sql`SELECT pg_notify(${CHANNEL}, ${String(version)})`;
}

/** Calls `applied` whenever a version was committed, and when one may have been while nobody was listening. */
export function followCatalogs(databaseUrl: string, applied: () => void): Promise<Listener> {
  return listen(databaseUrl, CHANNEL, applied, applied);
}
