/**
 * What Prisma's schema engine reads: the migrations, one directory each with a `migration.sql`, applied in the order of
 * their names; and the schema, one file or a directory of files.
 */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { MigrationList, SchemaContainer } from '@prisma/schema-engine-wasm/schema_engine_bg';

const SCRIPT_FILE = 'migration.sql';
const LOCK_FILE = 'migration_lock.toml';

/** In the order in which they are applied. */
export async function listMigrationNames(migrationsDirectory: string): Promise<string[]> {
  const entries = await readdir(migrationsDirectory, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
}

/** By name, in the order in which they are applied. */
export async function readMigrationScripts(migrationsDirectory: string): Promise<Map<string, string>> {
  const names = await listMigrationNames(migrationsDirectory);
  const scripts = names.map(async (name): Promise<[string, string]> => {
    return [name, await readFile(join(migrationsDirectory, name, SCRIPT_FILE), 'utf8')];
  });
  return new Map(await Promise.all(scripts));
}

export async function readMigrationLock(migrationsDirectory: string): Promise<string | null> {
  try {
    return await readFile(join(migrationsDirectory, LOCK_FILE), 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

export function asMigrationList(
  migrationsDirectory: string,
  scripts: ReadonlyMap<string, string>,
  lock: string | null,
): MigrationList {
  return {
    baseDir: resolve(migrationsDirectory),
    lockfile: { path: LOCK_FILE, content: lock },
    shadowDbInitScript: '',
    migrationDirectories: [...scripts].map(([name, script]) => ({
      path: name,
      migrationFile: { path: SCRIPT_FILE, content: { tag: 'ok', value: script } },
    })),
  };
}

export async function readSchemaFiles(schemaPath: string): Promise<SchemaContainer[]> {
  const isDirectory = (await stat(schemaPath)).isDirectory();
  const names = isDirectory ? await readdir(schemaPath, { recursive: true }) : [];
  const paths = isDirectory
    ? names.filter((name) => name.endsWith('.prisma')).map((name) => join(schemaPath, name))
    : [schemaPath];
  return Promise.all(paths.sort().map(async (path) => ({ path, content: await readFile(path, 'utf8') })));
}
