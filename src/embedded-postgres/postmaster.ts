/**
 * The postmaster is the server's first process. It is started apart from the gateway (in a session of its own, without
 * pipes), so that no signal to the gateway's group and no sudden end of the gateway reaches it; what it leaves in its
 * lock file is enough for a later gateway to find it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { link, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Account, runAs } from './account.ts';
import type { Binaries } from './binaries.ts';
import { type Cluster, SERVER_ENVIRONMENT } from './cluster.ts';
import { ask } from './connection.ts';
import { EmbeddedPostgresError, errorCode, ignoring } from './error.ts';
import { identifyProcess } from './process.ts';
import { LOG_LINE_PREFIX, lastRelevantLine, openServerLog, type ServerLog, saysFilesAreTaken } from './server-log.ts';

const POLL_MS = 25;
const SHUTDOWN_POLL_MS = 10;

/** SIGINT ends all sessions and writes everything out; SIGQUIT ends at once and leaves the rest to the next start's recovery. */
const SHUTDOWN_STEPS = [
  { signal: 'SIGINT', patienceMs: 20_000 },
  { signal: 'SIGQUIT', patienceMs: 5_000 },
] as const;

const PASSWORD_CHANGED = 'its server no longer accepts the password that it was made with';

const DEFAULT_SETTINGS: Readonly<Record<string, string>> = {
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_checkpoints: 'off',
};

export interface Postmaster {
  readonly pid: number;
  readonly port: number;
}

export interface LaunchOptions {
  readonly directory: string;
  readonly binaries: Binaries;
  readonly cluster: Cluster;
  readonly account: Account | undefined;
  readonly port: number;
  readonly settings: Readonly<Record<string, string>>;
  /** As `performance.now()` counts. */
  readonly deadline: number;
}

/** `taken`: another server has the files, or had them a moment ago. */
export type LaunchOutcome =
  | { readonly kind: 'ready'; readonly postmaster: Postmaster }
  | { readonly kind: 'taken' }
  | { readonly kind: 'failed'; readonly reason: string };

/** The server that runs on these files already, once it answers; removes a lock that has outlived its server. */
export async function findPostmaster(cluster: Cluster, deadline: number): Promise<Postmaster | undefined> {
  for (;;) {
    const lock = await readLock(cluster.files);
    if (lock === undefined) return undefined;
    const kind = await identifyProcess(lock.pid, cluster.files);
    if (kind === 'gone') return undefined;
    const mayAnswer = kind === 'server' || kind === 'postgres';
    const answer = mayAnswer ? await ask({ port: lock.port, password: cluster.password }) : 'silent';
    if (answer === 'ready') return { pid: lock.pid, port: lock.port };
    if (answer === 'foreign' && kind === 'server') throw new EmbeddedPostgresError(PASSWORD_CHANGED);
    // A server that runs on these files by another path (the directory was moved) has its say by the password alone.
    const mayBecomeReady = kind === 'server' || answer === 'busy';
    if (!mayBecomeReady) {
      await removeLock(cluster.files, lock.text);
      return undefined;
    }
    if (performance.now() > deadline) {
      throw new EmbeddedPostgresError(`its server runs already (process ${lock.pid}) but does not let anyone in`);
    }
    await delay(POLL_MS);
  }
}

export async function launchPostmaster(options: LaunchOptions): Promise<LaunchOutcome> {
  const log = await openServerLog(options.directory);
  try {
    const child = spawn(options.binaries.postgres, commandLine(options), {
      ...runAs(options.account),
      env: SERVER_ENVIRONMENT,
      detached: true,
      stdio: ['ignore', log.file.fd, log.file.fd],
      windowsHide: true,
    });
    child.unref();
    return await awaitOutcome(child, options, log);
  } finally {
    await log.close();
  }
}

/** Resolves when the process has ended, at once if it has already. */
export async function stopPostmaster(postmaster: Postmaster, files: string): Promise<void> {
  for (const { signal, patienceMs } of SHUTDOWN_STEPS) {
    if (await hasEnded(postmaster.pid, files)) return;
    sendSignal(postmaster.pid, signal);
    const deadline = performance.now() + patienceMs;
    while (performance.now() < deadline) {
      if (await hasEnded(postmaster.pid, files)) return;
      await delay(SHUTDOWN_POLL_MS);
    }
  }
  throw new EmbeddedPostgresError(`its server (process ${postmaster.pid}) does not end`);
}

/** What comes later wins: the caller may override the defaults, but not where the server listens. */
function commandLine({ cluster, port, settings }: LaunchOptions): string[] {
  const effective = {
    ...DEFAULT_SETTINGS,
    ...settings,
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '',
    log_line_prefix: LOG_LINE_PREFIX,
    logging_collector: 'off',
    log_destination: 'stderr',
  };
  return ['-D', cluster.files, ...Object.entries(effective).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
}

async function awaitOutcome(child: ChildProcess, options: LaunchOptions, log: ServerLog): Promise<LaunchOutcome> {
  const { cluster, port, deadline } = options;
  const ended = untilEnded(child);
  for (;;) {
    const end = await Promise.race([ended, delay(POLL_MS)]);
    if (end !== undefined) return explainEnd(end, await log.read());
    const answer = await ask({ port, password: cluster.password });
    if (child.pid !== undefined && (await isOpen(child.pid, cluster.files))) {
      const postmaster = { pid: child.pid, port };
      if (answer === 'ready') return { kind: 'ready', postmaster };
      if (answer === 'foreign') return await giveUp(postmaster, cluster.files);
    }
    if (performance.now() > deadline) {
      // It is left running: a long recovery goes on, and the next start finds the server further along.
      const line = lastRelevantLine(await log.read());
      return { kind: 'failed', reason: `the server is not ready yet${line === undefined ? '' : ` (${line})`}` };
    }
  }
}

/** The lock tells whose answer it was: until this server has opened, another one may be speaking on its port. */
async function isOpen(pid: number, files: string): Promise<boolean> {
  const lock = await readLock(files);
  return lock?.pid === pid && lock.open;
}

async function giveUp(postmaster: Postmaster, files: string): Promise<LaunchOutcome> {
  await stopPostmaster(postmaster, files);
  return { kind: 'failed', reason: PASSWORD_CHANGED };
}

function untilEnded(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(`postgres cannot be run: ${error.message}`));
    child.once('exit', (exitCode, signal) => resolve(`postgres ended with ${signal ?? exitCode}`));
  });
}

function explainEnd(end: string, log: string): LaunchOutcome {
  if (saysFilesAreTaken(log)) return { kind: 'taken' };
  return { kind: 'failed', reason: lastRelevantLine(log) ?? end };
}

async function hasEnded(pid: number, files: string): Promise<boolean> {
  const kind = await identifyProcess(pid, files);
  return kind === 'gone' || kind === 'other';
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (errorCode(error) !== 'ESRCH') throw error;
  }
}

interface Lock extends Postmaster {
  /** Whether the server said, when it last wrote the lock, that it lets clients in. */
  readonly open: boolean;
  readonly text: string;
}

/** The lines of postmaster.pid: process, directory, start time, port, socket, address, shared memory, status. */
async function readLock(files: string): Promise<Lock | undefined> {
  const text = await readFile(lockFile(files), 'utf8').catch(ignoring('ENOENT'));
  if (text === undefined) return undefined;
  const lines = text.split('\n');
  const pid = Number(lines[0]);
  const port = Number(lines[3]);
  // A lock that is just being written has no port yet; whoever starts a server now will be told that it is taken.
  if (!(pid > 0) || !(port > 0)) return undefined;
  return { pid, port, open: lines[7]?.trim() === 'ready', text };
}

/**
 * PostgreSQL would take the number in the lock for a server and refuse to start. The lock is moved away first and looked
 * at then, because another start may have replaced it by its own server's, which has to stay.
 */
async function removeLock(files: string, expected: string): Promise<void> {
  const removed = `${lockFile(files)}.${randomBytes(4).toString('hex')}`;
  await rename(lockFile(files), removed).catch(ignoring('ENOENT'));
  const text = await readFile(removed, 'utf8').catch(ignoring('ENOENT'));
  if (text !== undefined && text !== expected) await link(removed, lockFile(files)).catch(ignoring('EEXIST'));
  await rm(removed, { force: true });
}

function lockFile(files: string): string {
  return join(files, 'postmaster.pid');
}
