/** A wallet's ledger as its hash chain reads it: in order, a page at a time. */
import type { JsonObject } from '../domain/canonical.ts';
import type { ChainPosition, StoredLink } from '../domain/ledger/verify-chain.ts';
import type { Instant } from '../domain/time/instant.ts';
import { fragment, type Queryable } from './connection.ts';

interface LinkRow {
  readonly sequence: bigint;
  readonly kind: string;
  readonly direction: string;
  readonly amount_micros: bigint;
  readonly balance_after_micros: bigint;
  readonly reason_code: string;
  readonly lot_id: string | null;
  readonly transaction_id: string;
  readonly task_id: string | null;
  readonly execution_id: string | null;
  readonly meter: string | null;
  readonly actor_kind: string;
  readonly actor_id: string;
  readonly posted_at: Instant;
  readonly effective_at: Instant;
  readonly occurred_at: Instant | null;
  readonly metadata: JsonObject | null;
  readonly hash: string;
}

/** The entries after a sequence and no later than another, `limit` of them at most. */
export async function linksBetween(
  sql: Queryable,
  walletId: string,
  { after, until, limit }: { readonly after: bigint; readonly until: bigint; readonly limit: number },
): Promise<StoredLink[]> {
  const rows = await sql<LinkRow[]>`
    SELECT e.sequence, coalesce(t.kind::text, '') AS kind, e.direction, e.amount_micros, e.balance_after_micros,
      e.reason_code, e.lot_id, e.transaction_id, e.task_id, e.execution_id, e.meter, e.actor_kind, e.actor_id,
      e.posted_at, e.effective_at, e.occurred_at, t.metadata, encode(e.hash, 'hex') AS hash
    FROM (
      SELECT * FROM ledger_entry
      WHERE wallet_id = ${walletId} AND sequence > ${after} AND sequence <= ${until}
      ORDER BY sequence LIMIT ${limit}
    ) e
    LEFT JOIN LATERAL (
      SELECT kind, metadata FROM ledger_transaction WHERE id = e.transaction_id LIMIT 1
    ) t ON true
    ORDER BY e.sequence`;
  return rows.map((row) => ({
    hash: row.hash,
    entry: {
      walletId,
      sequence: row.sequence,
      kind: row.kind,
      direction: row.direction,
      amount: row.amount_micros,
      balanceAfter: row.balance_after_micros,
      reasonCode: row.reason_code,
      lotId: row.lot_id,
      transactionId: row.transaction_id,
      taskId: row.task_id,
      executionId: row.execution_id,
      meter: row.meter,
      actorKind: row.actor_kind,
      actorId: row.actor_id,
      postedAt: row.posted_at,
      effectiveAt: row.effective_at,
      occurredAt: row.occurred_at,
      metadata: row.metadata,
    },
  }));
}

/** A wallet's ledger as the wallet says that it ends, and as it does, seen at one moment. */
export interface LedgerEnds {
  readonly walletId: string;
  /** By the wallet's row. */
  readonly head: ChainPosition;
  /** The newest entry's number; 0 without one. */
  readonly newest: bigint;
}

interface EndsRow {
  readonly id: string;
  readonly sequence: bigint;
  readonly balance_micros: bigint;
  readonly head_hash: string;
  readonly newest: bigint;
}

const ENDS = fragment`
  SELECT w.id, w.sequence, w.balance_micros, encode(w.head_hash, 'hex') AS head_hash,
    coalesce((SELECT max(e.sequence) FROM ledger_entry e WHERE e.wallet_id = w.id), 0) AS newest
  FROM wallet w`;

const endsOf = (row: EndsRow): LedgerEnds => ({
  walletId: row.id,
  head: { sequence: row.sequence, balance: row.balance_micros, hash: row.head_hash },
  newest: row.newest,
});

export async function ledgerEnds(sql: Queryable, walletIds: readonly string[]): Promise<LedgerEnds[]> {
  return (await sql<EndsRow[]>`${ENDS} WHERE w.id = ANY(${walletIds}::uuid[]) ORDER BY w.id`).map(endsOf);
}

/** Of the wallets after one, by their ids. */
export async function ledgerEndsAfter(sql: Queryable, after: string | null, limit: number): Promise<LedgerEnds[]> {
  const rows = await sql<EndsRow[]>`
    ${ENDS} WHERE ${after}::uuid IS NULL OR w.id > ${after}::uuid ORDER BY w.id LIMIT ${limit}`;
  return rows.map(endsOf);
}

/** The wallet of that id, or of the organization of that id or slug; null where there is none. */
export async function findWalletId(sql: Queryable, name: string): Promise<string | null> {
  const [row] = await sql<{ id: string }[]>`
    SELECT w.id FROM wallet w JOIN organization o ON o.id = w.organization_id
    WHERE o.slug = ${name} OR w.id::text = lower(${name}) OR o.id::text = lower(${name})`;
  return row?.id ?? null;
}
