/** Which wallets have something due. */
import { type Micros, micros } from '../domain/credits/micros.ts';
import type { Tenant } from '../domain/identity/caller.ts';
import { formatInstant, type Instant } from '../domain/time/instant.ts';
import { fragment, type Queryable } from './connection.ts';
import { type Due, dueTenantsOf } from './due-wallets.ts';
import { LOWEST_ID } from './lowest-id.ts';

const TRANSITION: Due = { at: fragment`w.next_transition_at`, onFrozen: false };

/** Those of the organizations whose next transition has come. */
export const dueWallets = (sql: Queryable, organizationIds: readonly string[]): Promise<Tenant[]> =>
  dueTenantsOf(sql, TRANSITION, organizationIds);

/** The organizations of wallets, those that exist. */
export async function findOrganizationsOf(sql: Queryable, walletIds: readonly string[]): Promise<Tenant[]> {
  const rows = await sql<{ id: string; organization_id: string }[]>`
    SELECT id, organization_id FROM wallet WHERE id = ANY(${[...walletIds]}::uuid[])`;
  return rows.map((row) => ({ walletId: row.id, organizationId: row.organization_id }));
}

/**
 * The balance of each wallet at an instant, in the order of the ids: what the newest entry that counts by then has left, 0
 * before the first. An index probe per wallet, however long the history is.
 */
export async function balancesAt(sql: Queryable, walletIds: readonly string[], at: Instant): Promise<Micros[]> {
  const rows = await sql<{ balance: bigint }[]>`
    SELECT coalesce(e.balance_after_micros, 0) AS balance
    FROM unnest(${[...walletIds]}::uuid[]) WITH ORDINALITY AS w (id, place)
    LEFT JOIN LATERAL (
      SELECT balance_after_micros FROM ledger_entry
      WHERE wallet_id = w.id AND effective_at <= ${formatInstant(at)}::timestamptz
      ORDER BY effective_at DESC, sequence DESC
      LIMIT 1
    ) e ON true
    ORDER BY w.place`;
  return rows.map(({ balance }) => micros(balance));
}

/** A wallet that a job settles. The place is where it stands among those due: by when, then by id. */
export interface DueWallet extends Tenant {
  /** In the database's time, whatever the organization's clock says. */
  readonly dueAt: Instant;
}

export interface SettlementPage {
  /** What has come due by then, in the database's time. */
  readonly by: Instant;
  /** The last wallet of the page before; null for the first page. */
  readonly after: DueWallet | null;
  readonly limit: number;
}

/**
 * Wallets that jobs settle, the one due longest first. Those of organizations whose clock is ahead are due by that clock.
 * Costs an index probe per row: frozen wallets and refreshes that nobody waits for are not in the index.
 */
export async function walletsToSettle(sql: Queryable, { by, after, limit }: SettlementPage): Promise<DueWallet[]> {
  const now = fragment`${formatInstant(by)}::timestamptz`;
  const afterAt = fragment`${after === null ? '-infinity' : formatInstant(after.dueAt)}::timestamptz`;
  const afterId = fragment`${after?.walletId ?? LOWEST_ID}::uuid`;
  const rows = await sql<{ id: string; organization_id: string; due_at: Instant }[]>`
    SELECT id, organization_id, due_at
    FROM (
      (SELECT w.id, w.organization_id, w.settle_at AS due_at
       FROM wallet w
       CROSS JOIN LATERAL (
         SELECT 1 FROM organization o
         WHERE o.id = w.organization_id AND coalesce(o.test_clock_offset_ms, 0) = 0
         LIMIT 1
       ) o
       WHERE w.settle_at <= ${now} AND (w.settle_at, w.id) > (${afterAt}, ${afterId})
       ORDER BY w.settle_at, w.id
       LIMIT ${limit})
      UNION ALL
      (SELECT id, organization_id, due_at
       FROM (${SETTLED_BY_TEST_CLOCK}) w
       WHERE due_at <= ${now} AND (due_at, id) > (${afterAt}, ${afterId}))
    ) due
    ORDER BY due_at, id
    LIMIT ${limit}`;
  return rows.map((row) => ({ walletId: row.id, organizationId: row.organization_id, dueAt: row.due_at }));
}

export interface Upcoming {
  readonly now: Instant;
  /** When the next wallet comes due that was not due by then; null where nothing is known to come. */
  readonly nextDueAt: Instant | null;
}

export async function upcomingSettlement(sql: Queryable, dueBy: Instant): Promise<Upcoming> {
  const [row] = await sql<{ now: Instant; next_due_at: Instant | null }[]>`
    SELECT clock_timestamp() AS now, least(
      (SELECT min(settle_at) FROM wallet WHERE settle_at > ${formatInstant(dueBy)}::timestamptz),
      (SELECT min(due_at) FROM (${SETTLED_BY_TEST_CLOCK}) w WHERE due_at > ${formatInstant(dueBy)}::timestamptz))
      AS next_due_at`;
  if (!row) throw new Error('the database told no time');
  return { now: row.now, nextDueAt: row.next_due_at };
}

/** The wallets of organizations whose clock is ahead, each found by a probe. */
const SETTLED_BY_TEST_CLOCK = fragment`
        SELECT w.id, w.organization_id, w.settle_at - o.test_clock_offset_ms * interval '1 millisecond' AS due_at
        FROM organization o
        CROSS JOIN LATERAL (
          SELECT id, organization_id, settle_at FROM wallet WHERE organization_id = o.id LIMIT 1
        ) w
        WHERE o.test_clock_offset_ms > 0`;
