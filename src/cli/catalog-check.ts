/** `purser catalog check`: whether catalogs can be read, without a database. */
import { formatProblem } from '../domain/catalog/locate-problems.ts';
import { parseCatalog } from '../domain/catalog/parse-catalog.ts';
import { readCatalog, refusedCatalog } from './catalog-file.ts';
import { CommandFailed } from './command-failed.ts';

/** Tells of each catalog what is in it; fails with the problems of all of them. */
export async function checkCatalogs(files: readonly string[]): Promise<void> {
  const problems: string[] = [];
  for (const file of files) {
    const named = files.length > 1 ? `${file}: ` : '';
    try {
      process.stdout.write(`${named}${await checkCatalog(file)}\n`);
    } catch (error) {
      if (!(error instanceof CommandFailed)) throw error;
      problems.push(...error.lines);
    }
  }
  if (problems.length > 0) throw new CommandFailed(problems);
}

/** What is in the catalog, in words. Throws CommandFailed with all its problems. */
async function checkCatalog(file: string): Promise<string> {
  const parsed = parseCatalog(await readCatalog(file));
  if (!parsed.ok) throw refusedCatalog(file, parsed.problems.map(formatProblem));
  const { buckets, plans, packages, rates } = parsed.catalog;
  const counts = [
    counted(buckets.length, 'bucket'),
    counted(plans.length, 'plan'),
    counted(packages.length, 'package'),
    counted(rates.length, 'rate'),
  ];
  return `ok: ${counts.join(', ')}`;
}

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;
