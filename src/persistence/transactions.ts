/** Transactions as rows: read back for replays, or made from what was just posted without asking the database. */
import type { Tenant } from '../domain/identity/caller.ts';
import type { PostedTransaction } from '../domain/posting/records.ts';
import { dateOf } from '../domain/time/instant.ts';
import type { Prisma, Transaction } from '../generated/prisma/client.ts';
import type { Queryable } from './connection.ts';
import { encodeLimits, encodeLines } from './line-codec.ts';
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
