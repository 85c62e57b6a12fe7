/** Wallets whose writes are held. The posting engine reads it under the same lock. */
import { formatInstant, type Instant, instant } from '../domain/time/instant.ts';
import type { Queryable } from './connection.ts';

export interface LockedWallet {
  readonly organizationId: string;
  readonly frozenAt: Instant | null;
  /** The organization's time. */
  readonly now: Instant;
}

/** Keeps every batch of the engine off the wallet until the transaction ends; null where there is none. */
export async function lockWallet(sql: Queryable, walletId: string): Promise<LockedWallet | null> {
  const [row] = await sql<{ organization_id: string; frozen_at: Instant | null; now: bigint }[]>`
    SELECT w.organization_id, w.frozen_at,
      floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint + coalesce(o.test_clock_offset_ms, 0) AS now
    FROM wallet w JOIN organization o ON o.id = w.organization_id
    WHERE w.id = ${walletId} FOR UPDATE OF w`;
  return row ? { organizationId: row.organization_id, frozenAt: row.frozen_at, now: instant(Number(row.now)) } : null;
}

/** Since when its writes are held; null lets them go on. */
export async function setFrozen(sql: Queryable, walletId: string, at: Instant | null): Promise<void> {
  await sql`UPDATE wallet SET frozen_at = ${at === null ? null : formatInstant(at)}::timestamptz WHERE id = ${walletId}`;
}

/** Bounds each statement from here to the end of the transaction: whoever charges a locked wallet waits for as long. */
export async function allowSeconds(sql: Queryable, seconds: number): Promise<void> {
  await sql`SELECT set_config('statement_timeout', ${`${seconds}s`}, true)`;
}
