/** Catalog versions as stored: the YAML itself, numbered, never changed. */
import type { Instant } from '../domain/time/instant.ts';
import type { Queryable } from './connection.ts';

export interface StoredCatalog {
  readonly version: number;
  readonly source: string;
  readonly effectiveAt: Instant;
}

const CATALOG_LOCK = 7_230_312;

/** Oldest first. */
export async function loadCatalogs(sql: Queryable): Promise<StoredCatalog[]> {
  const rows = await sql<{ version: number; source: string; effective_at: Instant }[]>`
    SELECT version, source, effective_at FROM catalog_version ORDER BY version`;
  return rows.map((row) => ({ version: row.version, source: row.source, effectiveAt: row.effective_at }));
}

/** Serializes those who apply catalogs until their transaction ends. */
export async function lockCatalogs(sql: Queryable): Promise<void> {
  await sql`SELECT pg_advisory_xact_lock(${CATALOG_LOCK})`;
}

export async function insertCatalog(sql: Queryable, version: number, source: string, appliedBy: string): Promise<void> {
  await sql`
    INSERT INTO catalog_version (version, source, effective_at, applied_at, applied_by)
    VALUES (${version}, ${source}, now(), now(), ${appliedBy})`;
}
