/**
 * What a process id stands for. A server's lock file names a process, but the file can outlive it: after a crash, a
 * reboot or a container's restart the same number may belong to anything. No signal is sent, and no lock respected, on
 * the word of a number alone.
 */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { errorCode } from './error.ts';

/**
 * `server`: PostgreSQL on these files. `postgres`: PostgreSQL by another path. `ending`: about to end, its port not yet
 * closed. A zombie is `other`.
 */
export type ProcessKind = 'server' | 'postgres' | 'ending' | 'other' | 'gone';

export async function identifyProcess(pid: number, files: string): Promise<ProcessKind> {
  if (!exists(pid)) return 'gone';
  // Windows has no cheap way to ask; there the process answering with the files' password has to be proof enough.
  if (process.platform === 'win32') return 'server';
  const commandLine = await commandLineOf(pid);
  if (commandLine === '') return (await isZombie(pid)) ? 'other' : 'ending';
  if (`${commandLine} `.includes(`postgres -D ${files} `)) return 'server';
  return commandLine.includes('postgres -D ') ? 'postgres' : 'other';
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

/** With spaces between its parts. Empty for a process that has ended or is about to, and for one that hides from this account. */
async function commandLineOf(pid: number): Promise<string> {
  if (process.platform === 'linux') {
    const parts = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    return parts.replaceAll('\0', ' ').trim();
  }
  const listed = promisify(execFile)('ps', ['-ww', '-o', 'args=', '-p', String(pid)]);
  return listed.then(({ stdout }) => stdout.trim()).catch(() => '');
}

/** Ended in all but name: its parent has not asked for its exit code. In containers nobody may ever do so. */
async function isZombie(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return !/\) [^ZX] [^)]*$/.test(status);
}
