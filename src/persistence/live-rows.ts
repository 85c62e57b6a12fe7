/** What live streams read: rows of one wallet after a number, in order, a bounded number at a time. */
import { type Micros, micros } from '../domain/credits/micros.ts';
import type { ReasonCode } from '../domain/ledger/reason-code.ts';
import type { PostedChange } from '../domain/posting/records.ts';
import { type Instant, instant } from '../domain/time/instant.ts';
import type { Sql } from './connection.ts';

/** A change as it was posted; the wallet is the reader's. */
export type ChangeRow = Omit<PostedChange, 'walletId'>;

export async function changesAfter(sql: Sql, walletId: string, version: bigint, limit: number): Promise<ChangeRow[]> {
  const rows = await sql<
    {
      version: bigint;
      sequence: bigint;
      change_micros: bigint;
      reason_code: ReasonCode;
      total_available_micros: bigint;
      held_micros: bigint;
      transaction_id: string | null;
      occurred_at: Instant;
    }[]
  >`
    SELECT version, sequence, change_micros, reason_code, total_available_micros, held_micros, transaction_id, occurred_at
    FROM balance_change
    WHERE wallet_id = ${walletId} AND version > ${version.toString()}::bigint
    ORDER BY version
    LIMIT ${limit}`;
  return rows.map((row) => ({
    version: row.version,
    sequence: row.sequence,
    change: micros(row.change_micros),
    reasonCode: row.reason_code,
    totalAvailable: micros(row.total_available_micros),
    held: micros(row.held_micros),
    transactionId: row.transaction_id,
    occurredAt: row.occurred_at,
  }));
}

/** The sequences of the entries after one. */
export async function sequencesAfter(sql: Sql, walletId: string, sequence: bigint, limit: number): Promise<bigint[]> {
  const rows = await sql<{ sequence: bigint }[]>`
    SELECT sequence FROM ledger_entry
    WHERE wallet_id = ${walletId} AND sequence > ${sequence.toString()}::bigint
    ORDER BY sequence
    LIMIT ${limit}`;
  return rows.map((row) => row.sequence);
}

export interface WalletState {
  readonly version: bigint;
  readonly sequence: bigint;
  readonly totalAvailable: Micros;
  readonly held: Micros;
  readonly now: Instant;
}

/** How far a watched wallet is. */
export interface WatchedWallet {
  readonly walletId: string;
  readonly organizationId: string;
  readonly version: bigint;
  readonly sequence: bigint;
  /** True where a transition has come and nobody has posted it yet. */
  readonly due: boolean;
}

/** All wallets that a process watches, in one statement. */
export async function watchedWallets(sql: Sql, walletIds: readonly string[]): Promise<WatchedWallet[]> {
  const rows = await sql<
    { id: string; organization_id: string; version: bigint; sequence: bigint; due: boolean | null }[]
  >`
    SELECT w.id, w.organization_id, w.version, w.sequence,
           w.frozen_at IS NULL AND w.next_transition_at <= greatest(w.last_posted_at,
             clock_timestamp() + coalesce(o.test_clock_offset_ms, 0) * interval '1 millisecond') AS due
    FROM wallet w
    JOIN organization o ON o.id = w.organization_id
    WHERE w.id = ANY(${walletIds}::uuid[])`;
  return rows.map((row) => ({
    walletId: row.id,
    organizationId: row.organization_id,
    version: row.version,
    sequence: row.sequence,
    due: row.due === true,
  }));
}

/** The wallet as it stands, read in one statement. */
export async function walletState(sql: Sql, walletId: string): Promise<WalletState> {
  const [row] = await sql<{ version: bigint; sequence: bigint; available: bigint; held: bigint; now: bigint }[]>`
    SELECT w.version, w.sequence,
           floor(extract(epoch FROM c.now) * 1000)::bigint AS now,
           greatest(0, b.available_micros - w.debt_micros)::bigint AS available,
           b.pinned_micros AS held
    FROM wallet w
    JOIN organization o ON o.id = w.organization_id
    CROSS JOIN LATERAL (
      SELECT coalesce(sum(available_micros), 0) AS available_micros, coalesce(sum(pinned_micros), 0)::bigint AS pinned_micros
      FROM bucket WHERE wallet_id = w.id
    ) b
    CROSS JOIN LATERAL (
      SELECT greatest(w.last_posted_at,
        clock_timestamp() + coalesce(o.test_clock_offset_ms, 0) * interval '1 millisecond') AS now
    ) c
    WHERE w.id = ${walletId}`;
  if (!row) throw new Error(`there is no wallet ${walletId}`);
  return {
    version: row.version,
    sequence: row.sequence,
    totalAvailable: micros(row.available),
    held: micros(row.held),
    now: instant(Number(row.now)),
  };
}
