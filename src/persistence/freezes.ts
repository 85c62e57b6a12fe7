/** Wallets whose writes are held. The posting engine reads it under the same lock. */
import { formatInstant, type Instant } from '../domain/time/instant.ts';
import { CLOCK_COLUMNS, type ClockRow, nowOfRow } from './clock.ts';
import type { Queryable } from './connection.ts';

export interface LockedWallet {
  readonly organizationId: string;
  readonly frozenAt: Instant | null;
  /** The wallet's time, read under its lock: never before what was posted to it last. */
  readonly now: Instant;
}

/** Keeps every batch of the engine off the wallet until the transaction ends; null where there is none. */
export async function lockWallet(sql: Queryable, walletId: string): Promise<LockedWallet | null> {
  await sql`SELECT 1 FROM wallet WHERE id = ${walletId} FOR UPDATE`;
  const [row] = await sql<(ClockRow & { organization_id: string; frozen_at: Instant | null })[]>`
    SELECT w.organization_id, w.frozen_at, ${CLOCK_COLUMNS}
    FROM wallet w JOIN organization o ON o.id = w.organization_id
    WHERE w.id = ${walletId}`;
  return row ? { organizationId: row.organization_id, frozenAt: row.frozen_at, now: nowOfRow(row) } : null;
}

/** Since when its writes are held; null lets them go on. */
export async function setFrozen(sql: Queryable, walletId: string, at: Instant | null): Promise<void> {
  await sql`UPDATE wallet SET frozen_at = ${at === null ? null : formatInstant(at)}::timestamptz WHERE id = ${walletId}`;
}

/** Bounds each statement from here to the end of the transaction: whoever charges a locked wallet waits for as long. */
export async function allowSeconds(sql: Queryable, seconds: number): Promise<void> {
  await sql`SELECT set_config('statement_timeout', ${`${seconds}s`}, true)`;
}
