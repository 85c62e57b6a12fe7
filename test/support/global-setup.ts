/** One PostgreSQL per run, with a migrated template that every test file clones. */
import { rm } from 'node:fs/promises';
import { Client } from 'pg';
import type { TestProject } from 'vitest/node';
import { startEmbeddedPostgres, temporaryDataDirectory } from '../../src/embedded-postgres/index.ts';
import { applyMigrations } from '../../src/persistence/migrations/migrate.ts';
import { ensureJobsRole } from '../../src/persistence/roles/jobs-role.ts';
import { ensureServingRole } from '../../src/persistence/roles/serving-role.ts';
import { projectPath } from '../../src/project-path.ts';

export const TEMPLATE = 'purser_template';

/**
 * What a test asks for is whether the rules hold, not whether the disk does; tests that end PostgreSQL start one of their own,
 * with the settings that people have.
 */
const SETTINGS = {
  max_connections: '400',
  shared_buffers: '256MB',
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  wal_level: 'minimal',
  max_wal_senders: '0',
  max_wal_size: '4GB',
  checkpoint_timeout: '1h',
  // Counts the pages that statements look at.
  shared_preload_libraries: 'pg_stat_statements',
  // Roles are made by the hundred and sign in by the thousand.
  scram_iterations: '1',
};

declare module 'vitest' {
  export interface ProvidedContext {
    adminUrl: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const directory = await temporaryDataDirectory('purser-test-');
  const server = await startEmbeddedPostgres({
    dataDirectory: directory,
    database: TEMPLATE,
    settings: SETTINGS,
  });
  await applyMigrations({
    databaseUrl: server.adminUrl,
    migrationsDirectory: projectPath('prisma/migrations'),
    schemaPath: projectPath('prisma/schema.prisma'),
  });
  const serving = await ensureServingRole(server.adminUrl);
  await ensureJobsRole(server.adminUrl, new URL(serving.databaseUrl).username);
  await forbidConnections(server.adminUrl);
  project.provide('adminUrl', server.adminUrl);
  return async () => {
    await server.stop();
    await rm(directory, { recursive: true, force: true });
  };
}

/** A template can be cloned only while nobody is connected to it. */
async function forbidConnections(adminUrl: string): Promise<void> {
  const url = new URL(adminUrl);
  url.pathname = '/postgres';
  const client = new Client({ connectionString: url.toString() });
  await client.connect();
  await client.query(`ALTER DATABASE ${TEMPLATE} WITH IS_TEMPLATE true ALLOW_CONNECTIONS false`);
  await client.end();
}
