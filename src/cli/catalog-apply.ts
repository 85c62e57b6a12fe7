/** `purser catalog apply`: puts a catalog in force, in every gateway of a database at once. */
import { formatInstant } from '../domain/time/instant.ts';
import { newId } from '../new-id.ts';
import { storeCatalog } from '../operations/apply-catalog.ts';
import { CatalogStore } from '../operations/catalog-store.ts';
import { readCatalog, refusedCatalog } from './catalog-file.ts';
import { printChanges } from './print-changes.ts';
import { withDatabase } from './with-database.ts';

export async function applyCatalog(file: string): Promise<void> {
  const yaml = await readCatalog(file);
  const by = { yaml, actor: { kind: 'SYSTEM', id: 'cli' }, newId, requestId: null } as const;
  const outcome = await withDatabase(async (sql) => storeCatalog(await CatalogStore.load(sql), sql, by));
  if ('problems' in outcome) throw refusedCatalog(file, outcome.problems);
  const { changes, applied, version, effectiveAt } = outcome;
  printChanges(changes);
  const done = applied ? 'applied: version' : 'in force: version';
  process.stdout.write(`${done} ${version}, whose rates price usage from ${formatInstant(effectiveAt)} on\n`);
}
