/** A temporary data directory for tests and benchmarks, which the account that PostgreSQL runs as can reach. */
import { chmod, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const TRAVERSABLE = 0o755;

export async function temporaryDataDirectory(prefix: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), prefix));
  await chmod(directory, TRAVERSABLE);
  return directory;
}
