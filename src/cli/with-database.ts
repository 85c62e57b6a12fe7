/** Finds the database that a command works on: the one that the environment names, else that of the gateway started here. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CatalogInvalid } from '../operations/catalog-store.ts';
import { createSql, type Sql } from '../persistence/connection.ts';
import { sqlState } from '../persistence/errors.ts';
import { explainFault } from '../persistence/explain-fault.ts';
import { CommandFailed } from './command-failed.ts';

const DEFAULT_DATA_DIRECTORY = '.purser';
const MAX_CONNECTIONS = 2;

export async function withDatabase<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
  const { url, source } = await findDatabase();
  const sql = createSql(url, { applicationName: 'purser-cli', maxConnections: MAX_CONNECTIONS });
  try {
    return await work(sql);
  } catch (error) {
    const explained = explain(error, url);
    throw explained === undefined ? error : new CommandFailed([`purser: ${explained} (${source})`]);
  } finally {
    await sql.end();
  }
}

const UNDEFINED_TABLE = '42P01';

function explain(error: unknown, url: string): string | undefined {
  if (error instanceof CatalogInvalid) return error.message;
  if (sqlState(error) === UNDEFINED_TABLE) return 'The database has no tables of Purser: start a gateway on it once.';
  return explainFault(error, url);
}

interface FoundDatabase {
  readonly url: string;
  /** Where the URL was found. */
  readonly source: string;
}

async function findDatabase(): Promise<FoundDatabase> {
  const { DATABASE_URL: named, PURSER_DATA_DIR: directory } = process.env;
  if (named) return { url: checked(named, 'DATABASE_URL'), source: 'DATABASE_URL' };
  const manifest = join(directory || DEFAULT_DATA_DIRECTORY, 'demo.json');
  const text = await readFile(manifest, 'utf8').catch(() => {
    throw new CommandFailed([
      `purser: no database: set DATABASE_URL, or start a gateway here (there is no ${manifest}).`,
    ]);
  });
  return { url: checked(databaseUrlIn(text), manifest), source: manifest };
}

function databaseUrlIn(manifest: string): string {
  try {
    const content: unknown = JSON.parse(manifest);
    const url: unknown = typeof content === 'object' && content !== null ? Reflect.get(content, 'databaseUrl') : null;
    return typeof url === 'string' ? url : '';
  } catch {
    return '';
  }
}

function checked(url: string, source: string): string {
  if (URL.canParse(url) && /^postgres(ql)?:$/.test(new URL(url).protocol)) return url;
  throw new CommandFailed([`purser: ${source} has no postgres:// URL.`]);
}
