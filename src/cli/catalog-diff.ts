/** `purser catalog diff`: what applying a catalog would change in a database. */
import { compareCatalog } from '../operations/apply-catalog.ts';
import { CatalogStore } from '../operations/catalog-store.ts';
import { readCatalog, refusedCatalog } from './catalog-file.ts';
import { printChanges } from './print-changes.ts';
import { withDatabase } from './with-database.ts';

export async function diffCatalog(file: string): Promise<void> {
  const yaml = await readCatalog(file);
  const outcome = await withDatabase(async (sql) => compareCatalog(await CatalogStore.load(sql), sql, yaml));
  if ('problems' in outcome) throw refusedCatalog(file, outcome.problems);
  printChanges(outcome.changes);
}
