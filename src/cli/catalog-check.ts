/** `purser catalog check`: whether a catalog can be read, without a database. */
import { formatProblem, parseCatalog } from '../domain/catalog/parse-catalog.ts';
import { readCatalog, refusedCatalog } from './catalog-file.ts';

export async function checkCatalog(file: string): Promise<void> {
  const parsed = parseCatalog(await readCatalog(file));
  if (!parsed.ok) throw refusedCatalog(file, parsed.problems.map(formatProblem));
  const { buckets, plans, packages, rates } = parsed.catalog;
  const counts = [
    counted(buckets.length, 'bucket'),
    counted(plans.length, 'plan'),
    counted(packages.length, 'package'),
    counted(rates.length, 'rate'),
  ];
  process.stdout.write(`ok: ${counts.join(', ')}\n`);
}

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;
