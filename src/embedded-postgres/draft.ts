/**
 * Directories that are either complete or absent. A start may be killed at any moment and may race with another one, so
 * whatever takes several steps to build is built in a draft beside its place and then renamed, which is one step.
 */
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ignoring } from './error.ts';
import { exists } from './process.ts';

/** Does nothing to `target` when another process completed it first. */
export async function buildDirectory(target: string, build: (draft: string) => Promise<void>): Promise<void> {
  await removeAbandonedDrafts(target);
  const draft = `${draftPrefix(target)}${process.pid}-${randomBytes(4).toString('hex')}`;
  try {
    await mkdir(draft, { recursive: true });
    // Other accounts may pass through, to what in it is theirs, but not look around. An explicit mode ignores the umask.
    await chmod(draft, 0o711);
    await build(draft);
    await rename(draft, target).catch(ignoring('ENOTEMPTY', 'EEXIST'));
  } finally {
    await remove(draft);
  }
}

async function removeAbandonedDrafts(target: string): Promise<void> {
  const directory = dirname(target);
  const prefix = basename(draftPrefix(target));
  const names = await readdir(directory).catch(ignoring('ENOENT'));
  const abandoned = (names ?? []).filter((name) => {
    return name.startsWith(prefix) && !exists(Number.parseInt(name.slice(prefix.length), 10));
  });
  await Promise.all(abandoned.map((name) => remove(join(directory, name))));
}

/**
 * A killed process may have left a child that still writes there; without its files it soon ends. What cannot be removed
 * even so only takes up space.
 */
async function remove(draft: string): Promise<void> {
  const options = { recursive: true, force: true, maxRetries: 5, retryDelay: 50 };
  await rm(draft, options).catch(ignoring('ENOTEMPTY', 'EBUSY', 'EPERM'));
}

function draftPrefix(target: string): string {
  return `${target}.draft-`;
}
