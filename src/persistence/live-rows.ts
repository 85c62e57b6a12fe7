/** What live streams ask about wallets: how one stands, and how far those are that somebody watches. */
import { type Micros, micros } from '../domain/credits/micros.ts';
import type { Tenant } from '../domain/identity/caller.ts';
import type { Instant } from '../domain/time/instant.ts';
import { CLOCK_COLUMNS, type ClockRow, nowOfRow, WALLET_CLOCK } from './clock.ts';
import type { Sql } from './connection.ts';
import { EVENT_SOURCES, type EventType } from './event-sources.ts';

export interface WalletState {
  readonly version: bigint;
  readonly sequence: bigint;
  readonly totalAvailable: Micros;
  readonly held: Micros;
  readonly now: Instant;
}

/** How far a watched wallet is. */
export interface WatchedWallet extends Tenant {
  /** The number of its newest event of each type. */
  readonly newest: Readonly<Record<EventType, bigint>>;
  /** True where a transition has come and nobody has posted it yet. */
  readonly due: boolean;
  /** True where usage has come to be told as activity. */
  readonly usageDue: boolean;
}

/** All wallets that a process watches, in one statement. */
export async function watchedWallets(sql: Sql, walletIds: readonly string[]): Promise<WatchedWallet[]> {
  const rows = await sql<
    {
      id: string;
      organization_id: string;
      changes: bigint;
      entries: bigint;
      alert_events: bigint;
      activities: bigint;
      due: boolean | null;
      usage_due: boolean | null;
    }[]
  >`
    SELECT w.id, w.organization_id, ${EVENT_SOURCES['balance.changed'].newest} AS changes,
           ${EVENT_SOURCES['ledger_entry.posted'].newest} AS entries,
           ${EVENT_SOURCES['balance.low'].newest} AS alert_events,
           ${EVENT_SOURCES['activity.added'].newest} AS activities,
           w.frozen_at IS NULL AND w.next_transition_at <= c.now AS due,
           w.usage_due_at <= c.now AS usage_due
    FROM wallet w
    JOIN organization o ON o.id = w.organization_id
    CROSS JOIN LATERAL (SELECT ${WALLET_CLOCK} AS now) c
    WHERE w.id = ANY(${walletIds}::uuid[])`;
  return rows.map((row) => ({
    walletId: row.id,
    organizationId: row.organization_id,
    newest: {
      'balance.changed': row.changes,
      'ledger_entry.posted': row.entries,
      'balance.low': row.alert_events,
      'activity.added': row.activities,
    },
    due: row.due === true,
    usageDue: row.usage_due === true,
  }));
}

/** The wallet as it stands, read in one statement. */
export async function walletState(sql: Sql, walletId: string): Promise<WalletState> {
  const [row] = await sql<(ClockRow & { version: bigint; sequence: bigint; available: bigint; held: bigint })[]>`
    SELECT w.version, w.sequence, ${CLOCK_COLUMNS},
           greatest(0, b.available_micros - w.debt_micros)::bigint AS available,
           b.pinned_micros AS held
    FROM wallet w
    JOIN organization o ON o.id = w.organization_id
    CROSS JOIN LATERAL (
      SELECT coalesce(sum(available_micros), 0) AS available_micros, coalesce(sum(pinned_micros), 0)::bigint AS pinned_micros
      FROM bucket WHERE wallet_id = w.id
    ) b
    WHERE w.id = ${walletId}`;
  if (!row) throw new Error(`there is no wallet ${walletId}`);
  return {
    version: row.version,
    sequence: row.sequence,
    totalAvailable: micros(row.available),
    held: micros(row.held),
    now: nowOfRow(row),
  };
}
