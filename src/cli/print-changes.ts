/** Changes of a catalog as lines of which the values stand below each other. */
import type { CatalogChange } from '../domain/catalog/diff-catalogs.ts';

export function printChanges(changes: readonly CatalogChange[]): void {
  const width = Math.max(0, ...changes.map(({ path }) => path.length)) + 1;
  const lines = changes.map(
    ({ path, before, after }) => `${`${path}:`.padEnd(width)} ${shown(before)} -> ${shown(after)}\n`,
  );
  process.stdout.write(changes.length === 0 ? 'no changes\n' : lines.join(''));
}

/** In one line, and never with what a terminal would obey. */
function shown(value: string | null): string {
  if (value === null) return '(none)';
  return value === '' || /\p{Cc}/u.test(value) ? JSON.stringify(value) : value;
}
