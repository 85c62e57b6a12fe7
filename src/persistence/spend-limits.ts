/** Spend limits as they are set, removed and read. What a charge meets of them is loaded in `load-spend-limits.ts`. */
import { type Micros, micros, plus, ZERO } from '../domain/credits/micros.ts';
import type { Tenant } from '../domain/identity/caller.ts';
import type { LimitWindow } from '../domain/limits/plan-limit.ts';
import type { SpendCount, SpendLimit, SpendLimitScope } from '../domain/limits/spend-limit.ts';
import { formatInstant, type Instant } from '../domain/time/instant.ts';
import type { Zone } from '../domain/time/zone.ts';
import { encodeReservations } from './batch/line-codec.ts';
import { CLOCK_COLUMNS, type ClockRow, nowOfRow } from './clock.ts';
import { type Fragment, fragment, type Queryable } from './connection.ts';
import { ZONE_COLUMNS, type ZoneRow, zoneOfRow } from './time-zones.ts';

/** The time of a wallet: its organization's clock, never before its newest posting, and the zone that cuts its windows. */
export interface WalletClock {
  readonly now: Instant;
  readonly timeZone: Zone;
  readonly lastPostedAt: Instant;
}

interface WindowRow extends ClockRow, ZoneRow {}

const WINDOW_COLUMNS: Fragment = fragment`${ZONE_COLUMNS}, ${CLOCK_COLUMNS}`;

const clockOf = (row: WindowRow): WalletClock => ({
  now: nowOfRow(row),
  timeZone: zoneOfRow(row),
  lastPostedAt: row.last_posted_at,
});

export async function readClock(sql: Queryable, walletId: string): Promise<WalletClock> {
  const [row] = await sql<WindowRow[]>`
    SELECT ${WINDOW_COLUMNS} FROM wallet w JOIN organization o ON o.id = w.organization_id WHERE w.id = ${walletId}`;
  if (!row) throw new Error(`there is no wallet ${walletId}`);
  return clockOf(row);
}

/** Lets no batch post to the wallet until the transaction ends; the clock is read after the lock. */
export async function lockClock(sql: Queryable, walletId: string): Promise<WalletClock> {
  await sql`SELECT 1 FROM wallet WHERE id = ${walletId} FOR UPDATE`;
  return readClock(sql, walletId);
}

/** Whom a limit is for. */
export type LimitTarget = Pick<SpendLimit, 'scope' | 'targetId'>;

/** Of a row `s` that names who spends. */
function spentBy({ scope, targetId }: LimitTarget): Fragment {
  switch (scope) {
    case 'ORGANIZATION':
      return fragment`true`;
    case 'PROJECT':
      return fragment`s.project_id = ${targetId}::uuid`;
    case 'USER':
      return fragment`s.user_id = ${targetId}`;
    case 'API_KEY':
      return fragment`s.actor_kind = 'API_KEY' AND s.actor_id = ${targetId}`;
    default: {
      const never: never = scope;
      throw new Error(`unknown scope ${never}`);
    }
  }
}

interface Span {
  readonly windowStart: Instant;
  /** Of what was posted from here on … */
  readonly since: Instant;
  /** … and before this; all where null. */
  readonly until: Instant | null;
}

/**
 * What was charged to the target, less what was given back of it. A charge counts in the window in which it was posted, a
 * capture, with what it took beyond its hold, in that of its hold; when the work was done does not matter.
 */
export async function spentBetween(
  sql: Queryable,
  walletId: string,
  target: LimitTarget,
  { windowStart, since, until }: Span,
): Promise<bigint> {
  const [row] = await sql<{ spent: bigint }[]>`
    SELECT coalesce(sum(CASE e.direction WHEN 'DEBIT' THEN e.amount_micros ELSE -e.amount_micros END), 0)::bigint AS spent
    FROM ledger_entry e
    JOIN ledger_transaction t ON t.id = e.transaction_id AND t.kind IN ('DEBIT', 'CAPTURE', 'REFUND')
    JOIN ledger_transaction charge ON charge.id = coalesce(t.refunded_id, t.id)
    LEFT JOIN hold h ON h.id = charge.hold_id
    CROSS JOIN LATERAL (
      SELECT charge.user_id, charge.project_id, coalesce(h.actor_kind, charge.actor_kind) AS actor_kind,
        coalesce(h.actor_id, charge.actor_id) AS actor_id, coalesce(h.created_at, charge.effective_at) AS charged_at
    ) s
    WHERE e.wallet_id = ${walletId} AND e.effective_at >= ${formatInstant(since)}::timestamptz
      AND e.effective_at < ${until === null ? 'infinity' : formatInstant(until)}::timestamptz
      AND s.charged_at >= ${formatInstant(windowStart)}::timestamptz AND ${spentBy(target)}`;
  return row?.spent ?? 0n;
}

/**
 * Has the open holds of the target that were made in the window reserve room under a counter, as if the limit had been
 * there; answers how much. The caller holds the wallet's lock.
 */
export async function reserveForHolds(
  sql: Queryable,
  walletId: string,
  target: LimitTarget,
  reservation: Pick<SpendCount, 'counter' | 'windowStart'>,
): Promise<Micros> {
  const added = JSON.stringify(encodeReservations([reservation]));
  const rows = await sql<{ remaining_micros: bigint }[]>`
    UPDATE hold s SET reservations = s.reservations || ${added}::text::jsonb
    WHERE s.wallet_id = ${walletId} AND s.status = 'OPEN'
      AND s.created_at >= ${formatInstant(reservation.windowStart)}::timestamptz AND ${spentBy(target)}
    RETURNING s.remaining_micros`;
  return rows.reduce((sum, row) => plus(sum, micros(row.remaining_micros)), ZERO);
}

export async function insertSpendCount(
  sql: Queryable,
  walletId: string,
  { counter, windowStart, used }: SpendCount,
): Promise<void> {
  await sql`
    INSERT INTO spend_counter (wallet_id, limit_code, window_start, used_micros)
    VALUES (${walletId}, ${counter}, ${formatInstant(windowStart)}::timestamptz, ${used.toString()}::bigint)`;
}

interface LimitRow {
  id: string;
  credits_micros: bigint;
}

/** The limit in force for a target and window; null where there is none. */
export async function findSpendLimit(
  sql: Queryable,
  walletId: string,
  { scope, targetId, window }: Pick<SpendLimit, 'scope' | 'targetId' | 'window'>,
): Promise<Pick<SpendLimit, 'id' | 'credits'> | null> {
  const [row] = await sql<LimitRow[]>`
    SELECT id, credits_micros FROM spend_limit
    WHERE wallet_id = ${walletId} AND scope = ${scope}::"SpendLimitScope" AND per = ${window}::"LimitWindow"
      AND coalesce(project_id::text, user_id, api_key_id::text) IS NOT DISTINCT FROM ${targetId}
      AND removed_at IS NULL`;
  return row ? { id: row.id, credits: micros(row.credits_micros) } : null;
}

/** How many limits of the wallet are in force. */
export async function countSpendLimits(sql: Queryable, walletId: string): Promise<number> {
  const [row] = await sql<{ limits: number }[]>`
    SELECT count(*)::int AS limits FROM spend_limit WHERE wallet_id = ${walletId} AND removed_at IS NULL`;
  return row?.limits ?? 0;
}

export async function insertSpendLimit(
  sql: Queryable,
  walletId: string,
  { id, scope, targetId, window, credits }: SpendLimit,
  createdAt: Instant,
): Promise<void> {
  const idOf = (of: SpendLimitScope) => (scope === of ? targetId : null);
  await sql`
    INSERT INTO spend_limit (id, wallet_id, scope, project_id, user_id, api_key_id, per, credits_micros, created_at)
    VALUES (${id}, ${walletId}, ${scope}::"SpendLimitScope", ${idOf('PROJECT')}, ${idOf('USER')}, ${idOf('API_KEY')},
      ${window}::"LimitWindow", ${credits.toString()}::bigint, ${formatInstant(createdAt)}::timestamptz)`;
}

export async function changeSpendLimit(sql: Queryable, id: string, credits: Micros): Promise<void> {
  await sql`UPDATE spend_limit SET credits_micros = ${credits.toString()}::bigint WHERE id = ${id}`;
}

/** False where it was removed before. */
export async function retireSpendLimit(sql: Queryable, id: string, removedAt: Instant): Promise<boolean> {
  const { count } = await sql`
    UPDATE spend_limit SET removed_at = ${formatInstant(removedAt)}::timestamptz WHERE id = ${id} AND removed_at IS NULL`;
  return count === 1;
}

export interface OwnedSpendLimit extends Tenant {
  readonly limit: SpendLimit;
}

/** A limit in force, with whose it is; null where there is none of that id. */
export async function spendLimitById(sql: Queryable, id: string): Promise<OwnedSpendLimit | null> {
  const [row] = await sql<
    {
      wallet_id: string;
      organization_id: string;
      scope: SpendLimitScope;
      target_id: string | null;
      per: LimitWindow;
      credits_micros: bigint;
    }[]
  >`SELECT l.wallet_id, w.organization_id, l.scope, l.per, l.credits_micros,
      coalesce(l.project_id::text, l.user_id, l.api_key_id::text) AS target_id
    FROM spend_limit l JOIN wallet w ON w.id = l.wallet_id
    WHERE l.id = ${id} AND l.removed_at IS NULL`;
  if (!row) return null;
  const { scope, target_id: targetId, per: window } = row;
  const limit = { id, scope, targetId, window, credits: micros(row.credits_micros) };
  return { organizationId: row.organization_id, walletId: row.wallet_id, limit };
}

/** What a limit has counted, and the clock that says whether it is of the present window. */
export interface CountedSpendLimit {
  readonly id: string;
  readonly organizationId: string;
  readonly window: LimitWindow;
  readonly clock: WalletClock;
  /** Null where nothing was ever counted. */
  readonly count: Omit<SpendCount, 'counter'> | null;
  /** True where something is due on the wallet that may change what is counted. */
  readonly due: boolean;
}

/** Of all of them in one statement, removed ones included. */
export async function countsOfSpendLimits(sql: Queryable, ids: readonly string[]): Promise<CountedSpendLimit[]> {
  const rows = await sql<
    (WindowRow & {
      id: string;
      organization_id: string;
      per: LimitWindow;
      next_transition_at: Instant | null;
      frozen: boolean;
      window_start: Instant | null;
      used_micros: bigint;
    })[]
  >`SELECT l.id, w.organization_id, l.per, w.next_transition_at, w.frozen_at IS NOT NULL AS frozen, ${WINDOW_COLUMNS},
      c.window_start, c.used_micros
    FROM spend_limit l
    JOIN wallet w ON w.id = l.wallet_id
    JOIN organization o ON o.id = w.organization_id
    LEFT JOIN spend_counter c ON c.wallet_id = l.wallet_id AND c.limit_code = l.id::text
    WHERE l.id = ANY(${ids}::uuid[])`;
  return rows.map((row) => {
    const clock = clockOf(row);
    const { next_transition_at: next, window_start: windowStart } = row;
    return {
      id: row.id,
      organizationId: row.organization_id,
      window: row.per,
      clock,
      count: windowStart === null ? null : { windowStart, used: micros(row.used_micros) },
      due: !row.frozen && next !== null && next <= clock.now,
    };
  });
}
