/** The SQL of a Prisma schema, to hold against what the migrations make. */
import {
  ColumnTypeEnum,
  type SqlDriverAdapter,
  type SqlMigrationAwareDriverAdapterFactory,
  type SqlResultSet,
} from '@prisma/driver-adapter-utils';
import { withSchemaEngine } from '../../src/persistence/migrations/migration-engine.ts';
import { readSchemaFiles } from '../../src/persistence/migrations/migration-files.ts';

const IDENTITY = { provider: 'postgres', adapterName: 'no-database' } as const;

/** Whether the schema exists, the version as text, the version as a number. */
const SCHEMA_AND_VERSION: SqlResultSet = {
  columnNames: ['exists', 'version', 'numeric_version'],
  columnTypes: [ColumnTypeEnum.Boolean, ColumnTypeEnum.Text, ColumnTypeEnum.Int32],
  rows: [[true, 'PostgreSQL 16.0', 160_000]],
};

const adapter: SqlDriverAdapter = {
  ...IDENTITY,
  queryRaw: async () => SCHEMA_AND_VERSION,
  executeRaw: refuse,
  executeScript: refuse,
  startTransaction: refuse,
  dispose: async () => undefined,
};

/**
 * Stands in for a database where the engine compares two descriptions only, yet insists on connecting: it answers the one
 * question the engine asks on connecting, as a recent PostgreSQL would, and nothing else.
 */
const NO_DATABASE: SqlMigrationAwareDriverAdapterFactory = {
  ...IDENTITY,
  connect: async () => adapter,
  connectToShadowDb: refuse,
};

async function refuse(): Promise<never> {
  throw new Error('The schema engine asked for a database where none was expected.');
}

/** The SQL that makes an empty database match the Prisma schema. */
export async function printSchemaSql(schemaPath: string): Promise<string> {
  const files = await readSchemaFiles(schemaPath);
  const { stdout } = await withSchemaEngine(files, NO_DATABASE, (engine) => {
    const to = { tag: 'schemaDatamodel', files } as const;
    return engine.diff({
      from: { tag: 'empty' },
      to,
      script: true,
      exitCode: null,
      filters: { externalTables: [], externalEnums: [] },
    });
  });
  return stdout ?? '';
}
