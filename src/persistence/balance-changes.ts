/** Changes of balances are kept for a while, for the streams that are resumed: after it the oldest are forgotten. */
import { WALLET_CLOCK } from './clock.ts';
import type { Sql } from './connection.ts';
import { LOWEST_ID } from './lowest-id.ts';

/** Wallets a statement looks at, and changes that it may forget of each. */
const WALLETS = 100;
const CHANGES = 100;

export interface ForgottenPage {
  /** The last wallet that was looked at; null where there was none after the given one. */
  readonly lastWalletId: string | null;
  /** How many changes were forgotten. Where there are some, the same wallets may have more. */
  readonly forgotten: number;
}

/**
 * Forgets changes of the wallets after one (of the first ones without it) that happened more than `days` ago by their organization's clock: oldest first,
 * so that what is kept has no gaps, never the newest, and none that is yet to be told to a webhook.
 */
export async function forgetChangesOf(sql: Sql, afterWalletId: string | null, days: number): Promise<ForgottenPage> {
  const [page] = await sql<{ last: string | null; forgotten: number }[]>`
    WITH page AS (
      SELECT w.id, least(w.version, untold.position + 1) AS keep_from, ${WALLET_CLOCK}
          - make_interval(days => ${days}) AS kept_since
      FROM wallet w
      JOIN organization o ON o.id = w.organization_id
      CROSS JOIN LATERAL (
        SELECT min(c.position) AS position
        FROM webhook_endpoint e
        JOIN webhook_cursor c ON c.endpoint_id = e.id AND c.event = 'balance.changed'
        WHERE e.organization_id = w.organization_id AND e.enabled AND e.deleted_at IS NULL
          -- The cursor of what it is no longer told stays where it was.
          AND c.event = ANY (e.events)
      ) untold
      WHERE w.id > ${afterWalletId ?? LOWEST_ID}::uuid
      ORDER BY w.id
      LIMIT ${WALLETS}
    ), old AS (
      SELECT p.id AS wallet_id, c.version
      FROM page p
      CROSS JOIN LATERAL (
        SELECT version, bool_and(occurred_at < p.kept_since) OVER (ORDER BY version) AS is_old
        FROM (
          SELECT version, occurred_at FROM balance_change
          WHERE wallet_id = p.id AND version < p.keep_from
          ORDER BY version
          LIMIT ${CHANGES}
        ) oldest
      ) c
      WHERE c.is_old
    ), forgotten AS (
      DELETE FROM balance_change b USING old WHERE (b.wallet_id, b.version) = (old.wallet_id, old.version) RETURNING 1
    )
    SELECT (SELECT id FROM page ORDER BY id DESC LIMIT 1) AS last, (SELECT count(*)::int FROM forgotten) AS forgotten`;
  return { lastWalletId: page?.last ?? null, forgotten: page?.forgotten ?? 0 };
}
