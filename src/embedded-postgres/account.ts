/**
 * PostgreSQL refuses to run as root, because whoever breaks into it would own the machine. A gateway that runs as root
 * (in a container, mostly) therefore runs PostgreSQL as an unprivileged account that exists already, and that account
 * has to be able to reach the server's programs and files.
 */
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { EmbeddedPostgresError, errorMessage } from './error.ts';

export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** The most specific account comes first: files owned by `nobody` may be shared with other services. */
const SUITABLE_ACCOUNTS = ['postgres', '_postgres', 'nobody'];

/** Undefined when this process may run PostgreSQL under its own account. */
export async function findServerAccount(): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const accounts = parseAccounts(await readFile('/etc/passwd', 'utf8').catch(() => ''));
  for (const name of SUITABLE_ACCOUNTS) {
    const account = accounts.find((candidate) => candidate.name === name);
    if (account !== undefined) return account;
  }
  throw new EmbeddedPostgresError(
    `PostgreSQL refuses to run as root, and this machine has none of the accounts ${SUITABLE_ACCOUNTS.join(', ')} to run it as`,
  );
}

/** Spawn options that make a child run as the account, from a directory that every account may enter. */
export function runAs(account: Account | undefined): { cwd: string; uid?: number; gid?: number } {
  return account === undefined ? { cwd: '/' } : { cwd: '/', uid: account.uid, gid: account.gid };
}

export interface AccessNeeded {
  readonly path: string;
  readonly access: 'read' | 'enter';
}

/**
 * Whether the account has all the accesses. The kernel is asked, by a child that runs as the account: permission bits
 * alone would miss access lists, mount options and whatever else stands in the way.
 */
export async function mayAccess(account: Account, needed: readonly AccessNeeded[]): Promise<boolean> {
  const script = 'while [ $# -gt 0 ]; do test "$1" "$2" || exit 1; shift 2; done';
  const tests = needed.flatMap(({ path, access }) => [access === 'read' ? '-r' : '-x', path]);
  return new Promise((resolve, reject) => {
    const refuse = (error: unknown) => {
      reject(new EmbeddedPostgresError(`nothing can be run as the account ${account.name}: ${errorMessage(error)}`));
    };
    try {
      const child = spawn('/bin/sh', ['-c', script, 'sh', ...tests], { ...runAs(account), stdio: 'ignore' });
      child.once('close', (exitCode) => resolve(exitCode === 0));
      child.once('error', refuse);
    } catch (error) {
      // Where this process may not change accounts, Node throws instead of emitting the error.
      refuse(error);
    }
  });
}

function parseAccounts(passwd: string): Account[] {
  return passwd.split('\n').flatMap((line) => {
    const [name, , uid, gid] = line.split(':');
    if (!name || !uid || !gid) return [];
    const account = { name, uid: Number(uid), gid: Number(gid) };
    return Number.isInteger(account.uid) && account.uid !== 0 && Number.isInteger(account.gid) ? [account] : [];
  });
}
