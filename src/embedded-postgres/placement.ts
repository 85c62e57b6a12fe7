/**
 * Where the server's files go. Normally into the requested directory; but when PostgreSQL runs as another account that
 * cannot get there (a project inside a private home, say), into a place of the system's that it can reach.
 *
 * The place is derived from the requested directory's path and from a token kept in that directory. The token makes the
 * data belong to the directory and not to its name: whoever deletes the directory and starts again gets an empty
 * database, as they would expect, and not the old data back from elsewhere.
 */
import { createHash, randomBytes } from 'node:crypto';
import { chmod, lstat, mkdir, readdir, readFile, realpath, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { type Account, mayAccess } from './account.ts';
import { EmbeddedPostgresError, errorMessage, ignoring } from './error.ts';

const TOKEN_FILE = 'placement-token';

/** Below one of these, the first that can be used. The last two may be emptied by the system, hence their rank. */
const SYSTEM_DIRECTORIES = ['/var/lib', '/var/tmp', tmpdir()];
const DIRECTORY_NAME = 'purser-postgres';

export interface Placement {
  /** It exists, and its path holds no symbolic links, so that one server is never known by two paths. */
  readonly directory: string;
  readonly notices: readonly string[];
}

export async function placeFiles(requested: string, account: Account | undefined): Promise<Placement> {
  try {
    await makePassable(resolve(requested));
    const directory = await realpath(requested);
    if (account === undefined) return { directory, notices: [] };
    if (!(await canEnter(account, directory))) return await placeElsewhere(directory, account);
    return { directory, notices: [`${asAccount(account)} with its files in ${directory}.`] };
  } catch (error) {
    if (error instanceof EmbeddedPostgresError) throw error;
    throw new EmbeddedPostgresError(`its data directory cannot be used: ${errorMessage(error)}`, { cause: error });
  }
}

async function placeElsewhere(requested: string, account: Account): Promise<Placement> {
  const prefix = createHash('sha256').update(requested).digest('hex').slice(0, 16);
  const directory = await findOrMakePlace(requested, `${prefix}-${await placementToken(requested)}`, account);
  const notices = [`${asAccount(account)} with its files in ${directory}, as it cannot enter ${requested}.`];
  const forgotten = (await readdir(dirname(directory))).filter((name) => {
    return name.startsWith(prefix) && name !== basename(directory);
  });
  for (const name of forgotten) {
    const place = join(dirname(directory), name);
    notices.push(`Data of an earlier ${requested} are still in ${place}; delete them if you do not miss them.`);
  }
  return { directory, notices };
}

async function findOrMakePlace(requested: string, name: string, account: Account): Promise<string> {
  const places = SYSTEM_DIRECTORIES.map((parent) => join(parent, DIRECTORY_NAME, name));
  for (const place of places) {
    if (await stat(place).catch(ignoring('ENOENT', 'ENOTDIR'))) return place;
  }
  for (const place of places) {
    if (await canBePlaced(place, account)) return place;
  }
  throw new EmbeddedPostgresError(
    `the account ${account.name} that it runs as can reach neither ${requested} nor a directory of the system's`,
  );
}

function asAccount(account: Account): string {
  return `PostgreSQL refuses to run as root; it runs as ${account.name}`;
}

/** Several starts at once agree on the token of the first. */
async function placementToken(requested: string): Promise<string> {
  const file = join(requested, TOKEN_FILE);
  const fresh = randomBytes(8).toString('hex');
  await writeFile(file, fresh, { flag: 'wx', mode: 0o600 }).catch(ignoring('EEXIST'));
  const token = await readFile(file, 'utf8');
  if (/^[0-9a-f]{16}$/.test(token)) return token;
  throw new EmbeddedPostgresError(
    `${file} does not hold what was written there; delete it to start with an empty database`,
  );
}

/** In directories that everybody may write to, somebody else may have made ours first: theirs is not used. */
async function canBePlaced(place: string, account: Account): Promise<boolean> {
  try {
    await makePassable(place);
    const parent = await lstat(dirname(place));
    return parent.isDirectory() && parent.uid === process.getuid?.() && (await canEnter(account, place));
  } catch {
    return false;
  }
}

/** Makes the missing directories, each such that other accounts may pass through, whatever the umask. */
async function makePassable(directory: string): Promise<void> {
  const first = await mkdir(directory, { recursive: true });
  if (first === undefined) return;
  for (let path = directory; ; path = dirname(path)) {
    const { mode } = await stat(path);
    await chmod(path, mode | 0o111);
    if (path === first || basename(path) === '') return;
  }
}

function canEnter(account: Account, directory: string): Promise<boolean> {
  return mayAccess(account, [{ path: directory, access: 'enter' }]);
}
