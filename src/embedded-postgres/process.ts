/**
 * What a process id stands for. A server's lock file names a process, but the file can outlive it: after a crash, a
 * reboot or a container's restart the same number may belong to anything. No signal is sent, and no lock respected, on
 * the word of a number alone.
 */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { promisify } from 'node:util';
import { errorCode } from './error.ts';

/** `server`: PostgreSQL on these files. `postgres`: PostgreSQL by another path. A zombie is `other`. */
export type ProcessKind = 'server' | 'postgres' | 'other' | 'gone';

export async function identifyProcess(pid: number, files: string): Promise<ProcessKind> {
  if (!exists(pid)) return 'gone';
  // Windows has no cheap way to ask; there the process answering with the files' password has to be proof enough.
  if (process.platform === 'win32') return 'server';
  const commandLine = await commandLineOf(pid);
  if (!/^postgres\b/.test(basename(commandLine.split(/[\0 ]/, 1)[0] ?? ''))) return 'other';
  return commandLine.includes(files) ? 'server' : 'postgres';
}

/** Whether there is such a process, though it may be another account's. */
export function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
}

/** Empty for a zombie, and for a process that ended meanwhile or hides from this account (so that it is not ours). */
async function commandLineOf(pid: number): Promise<string> {
  if (process.platform === 'linux') return readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  const listed = promisify(execFile)('ps', ['-ww', '-o', 'args=', '-p', String(pid)]);
  return listed.then(({ stdout }) => stdout.trim()).catch(() => '');
}
