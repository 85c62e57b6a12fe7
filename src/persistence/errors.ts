/** Classifies what PostgreSQL and its drivers throw, by SQLSTATE and never by message. */

import { ConnectionLost } from './connection.ts';

const SQLSTATE = /^[0-9A-Z]{5}$/;
/** Read-only transaction, statement canceled by a timeout, lock not available. */
const UNAVAILABLE = new Set(['25006', '57014', '55P03']);
const UNIQUE_VIOLATION = '23505';
/** Serialization failure, deadlock detected. */
const RETRYABLE = new Set(['40001', '40P01']);
/** Prisma's codes for a server that cannot be reached, a closed connection and an exhausted pool. */
const PRISMA_CONNECTION_CODES = new Set(['P1001', 'P1002', 'P1008', 'P1017', 'P2024', 'ECONNREFUSED', 'ECONNRESET']);

function property(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}

/** The SQLSTATE of an error of either driver; undefined where PostgreSQL did not raise it. */
export function sqlState(error: unknown): string | undefined {
  const cause = property(property(property(error, 'meta'), 'driverAdapterError'), 'cause');
  const candidates = [property(cause, 'originalCode'), property(error, 'code')];
  return candidates.find((code): code is string => typeof code === 'string' && SQLSTATE.test(code));
}

/**
 * True where the transaction lost against another one and the same work may succeed at once. A key that an operation
 * outside of the engine has claimed meanwhile is such a race: the next attempt finds its record.
 */
export function isRetryable(error: unknown): boolean {
  const state = sqlState(error) ?? '';
  return (
    RETRYABLE.has(state) || (state === UNIQUE_VIOLATION && violatedConstraint(error) === 'idempotency_record_pkey')
  );
}

/** True where the connection or the server went away; whether a COMMIT in flight took effect is then unknown. */
export function isConnectionLoss(error: unknown): boolean {
  if (error instanceof ConnectionLost) return true;
  const state = sqlState(error);
  // Class 08 is "connection exception", 57P01–57P03 are shutdowns and starts, 53300 is "too many connections"; 25P03 and
  // 25P04 end a session that was idle in a transaction, or in one for too long.
  if (state !== undefined) return state.startsWith('08') || /^(?:57P0[123]|25P0[34])$/.test(state) || state === '53300';
  const code = property(error, 'code');
  return typeof code === 'string' && PRISMA_CONNECTION_CODES.has(code);
}

/**
 * True where PostgreSQL is there and cannot do its work: insufficient resources (class 53), system errors (58), a read-only
 * server, a statement or lock that took too long. Nothing was done; later it may succeed.
 */
export function isUnavailable(error: unknown): boolean {
  if (isConnectionLoss(error)) return true;
  const state = sqlState(error);
  return state !== undefined && (/^5[38]/.test(state) || UNAVAILABLE.has(state));
}

/** The name of the violated constraint, for unique and check violations. */
export function violatedConstraint(error: unknown): string | undefined {
  const name = property(error, 'constraint') ?? property(property(error, 'meta'), 'constraint');
  return typeof name === 'string' ? name : undefined;
}
