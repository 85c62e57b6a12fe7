/** Faults of a connection that a person can mend, each in one line, without the password. */
import { isConnectionLoss, sqlState } from './errors.ts';

/** Undefined for what is no such fault. */
export function explainFault(error: unknown, databaseUrl: string): string | undefined {
  const { hostname, port, pathname } = new URL(databaseUrl);
  const where = `${hostname}:${port || '5432'}${pathname}`;
  const state = sqlState(error);
  if (state?.startsWith('28')) return `The database at ${where} refuses this user or password.`;
  if (state === '42704') return `The database at ${where} has no role of the name in DATABASE_URL.`;
  if (state === '42501') return `This user may not use the tables at ${where}: start once with DATABASE_ADMIN_URL set.`;
  if (state === '3D000') return `There is no database at ${where}.`;
  const isNetwork =
    isConnectionLoss(error) || (error instanceof Error && /timeout|ENOTFOUND|EAI_AGAIN/.test(error.message));
  return isNetwork ? `The database at ${where} cannot be reached.` : undefined;
}
