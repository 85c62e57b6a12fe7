/** How far the self-audit has come with each wallet, and which it looks at next. */
import type { ChainPosition } from '../domain/ledger/verify-chain.ts';
import type { Queryable } from './connection.ts';
import type { LedgerEnds } from './ledger-chain.ts';
import { LOWEST_ID } from './lowest-id.ts';

/** A wallet with where its ledger ends, and how far its chain has been walked. */
export interface CheckedWallet extends LedgerEnds {
  readonly walked: ChainPosition;
}

interface CheckRow {
  readonly id: string;
  readonly sequence: bigint;
  readonly balance_micros: bigint;
  readonly head_hash: string;
  readonly newest: bigint;
  readonly walked_sequence: bigint;
  readonly walked_balance: bigint;
  readonly walked_hash: string;
}

/** Before the ids of all wallets. */

/**
 * The wallets after one, by their ids, frozen ones left out; each gets a row of its own when it is first looked at. The page
 * is chosen first: what has no row yet is looked for among its wallets, not among all that come after.
 */
export async function walletsToCheck(sql: Queryable, after: string | null, limit: number): Promise<CheckedWallet[]> {
  const page = await sql<{ id: string }[]>`
    SELECT id FROM wallet WHERE id > ${after ?? LOWEST_ID}::uuid AND frozen_at IS NULL ORDER BY id LIMIT ${limit}`;
  const ids = page.map(({ id }) => id);
  await sql`
    INSERT INTO wallet_check (wallet_id)
    SELECT id FROM unnest(${ids}::uuid[]) AS id
    WHERE NOT EXISTS (SELECT 1 FROM wallet_check c WHERE c.wallet_id = id)
    ON CONFLICT DO NOTHING`;
  const rows = await sql<CheckRow[]>`
    SELECT w.id, w.sequence, w.balance_micros, encode(w.head_hash, 'hex') AS head_hash,
      coalesce((SELECT max(e.sequence) FROM ledger_entry e WHERE e.wallet_id = w.id), 0) AS newest,
      c.sequence AS walked_sequence, c.balance_micros AS walked_balance, encode(c.hash, 'hex') AS walked_hash
    FROM wallet w
    JOIN wallet_check c ON c.wallet_id = w.id
    WHERE w.id = ANY(${ids}::uuid[])
    ORDER BY w.id`;
  return rows.map((row) => ({
    walletId: row.id,
    head: { sequence: row.sequence, balance: row.balance_micros, hash: row.head_hash },
    newest: row.newest,
    walked: { sequence: row.walked_sequence, balance: row.walked_balance, hash: row.walked_hash },
  }));
}

/** Remembers how far a chain has been walked, unless somebody else has come further or begun again since `from`. */
export async function saveWalked(
  sql: Queryable,
  walletId: string,
  from: ChainPosition,
  to: ChainPosition,
): Promise<void> {
  await sql`
    UPDATE wallet_check
    SET sequence = ${to.sequence}, balance_micros = ${to.balance}, hash = decode(${to.hash}, 'hex')
    WHERE wallet_id = ${walletId} AND sequence = ${from.sequence}`;
}

/**
 * The wallets whose history was last asked about longest ago, and longer than `hours`; never first, frozen ones left out.
 * Compared with the time of the statement, which does not change while it runs: where no wallet's turn has come the index
 * says so at its first row.
 */
export async function walletsToSweep(
  sql: Queryable,
  { hours, except, limit }: { readonly hours: number; readonly except: readonly string[]; readonly limit: number },
): Promise<string[]> {
  const rows = await sql<{ wallet_id: string }[]>`
    SELECT c.wallet_id FROM wallet_check c JOIN wallet w ON w.id = c.wallet_id
    WHERE c.swept_at < statement_timestamp() - ${hours} * interval '1 hour'
      AND w.frozen_at IS NULL AND c.wallet_id <> ALL(${except}::uuid[])
    ORDER BY c.swept_at LIMIT ${limit}`;
  return rows.map((row) => row.wallet_id);
}

/** Where a chain was walked to, and the hash of that entry as it is now; null where it is gone. */
export async function walkedTo(
  sql: Queryable,
  walletId: string,
): Promise<{ readonly walked: ChainPosition; readonly hash: string | null } | null> {
  const [row] = await sql<{ sequence: bigint; balance_micros: bigint; walked_hash: string; hash: string | null }[]>`
    SELECT c.sequence, c.balance_micros, encode(c.hash, 'hex') AS walked_hash, encode(e.hash, 'hex') AS hash
    FROM wallet_check c LEFT JOIN ledger_entry e ON e.wallet_id = c.wallet_id AND e.sequence = c.sequence
    WHERE c.wallet_id = ${walletId}`;
  if (!row) return null;
  return {
    walked: { sequence: row.sequence, balance: row.balance_micros, hash: row.walked_hash },
    hash: row.sequence === 0n ? row.walked_hash : row.hash,
  };
}

/** The history has been asked about: its chain is walked anew from the beginning. */
export async function saveSwept(sql: Queryable, walletId: string): Promise<void> {
  await sql`
    UPDATE wallet_check SET swept_at = clock_timestamp(), sequence = DEFAULT, balance_micros = DEFAULT, hash = DEFAULT
    WHERE wallet_id = ${walletId}`;
}

/** All of the wallet is looked at next. */
export async function checkAgain(sql: Queryable, walletId: string): Promise<void> {
  await sql`UPDATE wallet_check SET swept_at = DEFAULT WHERE wallet_id = ${walletId}`;
}
