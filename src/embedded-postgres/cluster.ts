/**
 * A cluster is PostgreSQL's word for one server's files. It is made once, together with the random password of its
 * superuser, and the password is the proof, later on, that a running server is the one of these files.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, chown, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Account, runAs } from './account.ts';
import type { Binaries } from './binaries.ts';
import { buildDirectory } from './draft.ts';
import { EmbeddedPostgresError, ignoring } from './error.ts';
import { lastRelevantLine } from './server-log.ts';

export const SUPERUSER = 'postgres';

export interface Cluster {
  /** What PostgreSQL calls the data directory. */
  readonly files: string;
  readonly password: string;
}

/** The environment of the server's programs: none of the caller's PG* variables and locale settings may leak in. */
export const SERVER_ENVIRONMENT: Readonly<Record<string, string>> = {
  LC_ALL: 'C',
  TZ: 'UTC',
  ...(process.env.PATH === undefined ? {} : { PATH: process.env.PATH }),
  ...(process.env.SystemRoot === undefined ? {} : { SystemRoot: process.env.SystemRoot }),
};

/** Opens the cluster in `directory`, and makes it first when there is none. */
export async function openCluster(
  directory: string,
  binaries: Binaries,
  account: Account | undefined,
): Promise<Cluster> {
  const place = join(directory, 'cluster');
  if (!(await stat(place).catch(ignoring('ENOENT')))) {
    await buildDirectory(place, (draft) => createCluster(draft, binaries, account));
  }
  return { files: filesIn(place), password: await readFile(passwordFileIn(place), 'utf8') };
}

async function createCluster(directory: string, binaries: Binaries, account: Account | undefined): Promise<void> {
  const files = filesIn(directory);
  const passwordFile = passwordFileIn(directory);
  await mkdir(files, { mode: 0o700 });
  await writeFile(passwordFile, randomBytes(24).toString('hex'), { mode: 0o600 });
  if (account !== undefined) {
    await chown(files, account.uid, account.gid);
    await chown(passwordFile, account.uid, account.gid);
  }
  await initialize(binaries.initdb, files, passwordFile, account);
  if (account !== undefined) await chown(passwordFile, process.getuid?.() ?? 0, process.getgid?.() ?? 0);
  await chmod(passwordFile, 0o600);
}

/**
 * Text compares by code point, in the same order on every machine and in every version. The new files are not flushed one
 * by one, which takes long on slow disks: a power cut within the first seconds may spoil a cluster that is still empty.
 * From then on the server itself flushes what it commits.
 */
async function initialize(
  program: string,
  files: string,
  passwordFile: string,
  account: Account | undefined,
): Promise<void> {
  const options = [
    `--pgdata=${files}`,
    `--username=${SUPERUSER}`,
    `--pwfile=${passwordFile}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--no-sync',
    '--no-instructions',
  ];
  const child = spawn(program, options, {
    ...runAs(account),
    env: SERVER_ENVIRONMENT,
    stdio: ['ignore', 'ignore', 'pipe'],
    windowsHide: true,
  });
  let complaints = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaints += text;
  });
  const failure = await new Promise<string | undefined>((resolve) => {
    child.once('error', (error) => resolve(`initdb cannot be run: ${error.message}`));
    child.once('close', (exitCode, signal) => {
      if (exitCode === 0) resolve(undefined);
      else resolve(lastRelevantLine(complaints) ?? `initdb ended with ${signal ?? exitCode}`);
    });
  });
  if (failure !== undefined) throw new EmbeddedPostgresError(`its files could not be made: ${failure}`);
}

function filesIn(directory: string): string {
  return join(directory, 'data');
}

function passwordFileIn(directory: string): string {
  return join(directory, 'superuser-password');
}
