/** Transactions as rows: read back for replays, or made from what was just posted without asking the database. */
import { type Micros, micros, ZERO } from '../domain/credits/micros.ts';
import { groupBy } from '../domain/group-by.ts';
import type { Tenant } from '../domain/identity/caller.ts';
import type { PostedTransaction } from '../domain/posting/records.ts';
import { dateOf } from '../domain/time/instant.ts';
import type { Prisma, Transaction } from '../generated/prisma/client.ts';
import { encodeLimits, encodeLines } from './batch/line-codec.ts';
import type { Queryable } from './connection.ts';
import type { Prisma as PrismaClient } from './prisma.ts';

export type TransactionRow = Transaction;

/** The row that the posting transaction wrote. */
export function rowOf(posted: PostedTransaction): TransactionRow {
  const { actor, attribution, lines, limits, amount, occurredAt, effectiveAt, postedAt, metadata, ...rest } = posted;
  return {
    ...rest,
    ...attribution,
    amountMicros: amount,
    lines: encodeLines(lines) as Prisma.JsonArray,
    limits: encodeLimits(limits) as Prisma.JsonArray | null,
    actorKind: actor.kind,
    actorId: actor.id,
    metadata: metadata as Prisma.JsonObject | null,
    occurredAt: occurredAt === null ? null : dateOf(occurredAt),
    effectiveAt: dateOf(effectiveAt),
    postedAt: dateOf(postedAt),
  };
}

/** The transactions with these ids. */
export async function findTransactions(
  prisma: PrismaClient,
  ids: readonly string[],
): Promise<Map<string, TransactionRow>> {
  if (ids.length === 0) return new Map();
  const rows = await prisma.transaction.findMany({ where: { id: { in: [...ids] } } });
  return new Map(rows.map((row) => [row.id, row]));
}

/** Whose a transaction is, and for which project it was made. */
export interface TransactionOwner extends Tenant {
  readonly projectId: string | null;
}

export async function findTransactionOwner(sql: Queryable, id: string): Promise<TransactionOwner | null> {
  const [row] = await sql<{ organization_id: string; wallet_id: string; project_id: string | null }[]>`
    SELECT w.organization_id, t.wallet_id, t.project_id
    FROM ledger_transaction t JOIN wallet w ON w.id = t.wallet_id WHERE t.id = ${id}`;
  return row ? { organizationId: row.organization_id, walletId: row.wallet_id, projectId: row.project_id } : null;
}

/** What refunds have given back of each transaction, in the order of the ids. */
export async function refundedAmounts(sql: Queryable, ids: readonly string[]): Promise<Micros[]> {
  const rows = await sql<{ id: string; refunded: bigint }[]>`
    SELECT refunded_id AS id, sum(amount_micros)::bigint AS refunded
    FROM ledger_transaction WHERE refunded_id = ANY(${[...ids]}::uuid[])
    GROUP BY refunded_id`;
  const refunded = new Map(rows.map((row) => [row.id, micros(row.refunded)]));
  return ids.map((id) => refunded.get(id) ?? ZERO);
}

export interface TakenFromLot {
  readonly lotId: string;
  readonly taken: Micros;
}

/** More lots than any one charge is expected to use; a bound on what one field can load. */
const MAX_LOTS = 1_000;

/** The lots that each transaction took credits from, in the order taken. */
export async function takenFromLots(sql: Queryable, ids: readonly string[]): Promise<TakenFromLot[][]> {
  const rows = await sql<{ id: string; lot_id: string; taken: bigint }[]>`
    SELECT wanted.id, e.lot_id, sum(e.amount_micros)::bigint AS taken
    FROM unnest(${[...ids]}::uuid[]) AS wanted (id)
    CROSS JOIN LATERAL (
      SELECT lot_id, amount_micros, sequence
      FROM ledger_entry
      WHERE transaction_id = wanted.id AND direction = 'DEBIT' AND lot_id IS NOT NULL
      ORDER BY sequence
      LIMIT ${MAX_LOTS}
    ) e
    GROUP BY wanted.id, e.lot_id
    ORDER BY wanted.id, min(e.sequence)`;
  const byTransaction = groupBy(rows, (row) => row.id);
  return ids.map((id) => (byTransaction.get(id) ?? []).map((row) => ({ lotId: row.lot_id, taken: micros(row.taken) })));
}
