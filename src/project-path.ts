/** Files of the project that the gateway reads while it runs, found from the compiled code and from the sources alike. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

function findRoot(from: string): string {
  if (existsSync(join(from, 'package.json'))) return from;
  const parent = dirname(from);
  if (parent === from) throw new Error('the project has no package.json above its code');
  return findRoot(parent);
}

const ROOT = findRoot(dirname(fileURLToPath(import.meta.url)));

export const projectPath = (relative: string): string => join(ROOT, relative);
