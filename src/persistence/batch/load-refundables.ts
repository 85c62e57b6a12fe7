/** Transactions that refunds name: what they took, what has been given back, and who paid back what they borrowed. */
import type { ActorKind } from '../../domain/actor.ts';
import type { Attribution } from '../../domain/attribution.ts';
import { micros } from '../../domain/credits/micros.ts';
import { groupBy } from '../../domain/group-by.ts';
import type { RefundableTransaction } from '../../domain/posting/decide-refund.ts';
import { DEBT_REPAYMENT } from '../../domain/posting/movements.ts';
import type { TransactionKind } from '../../domain/posting/records.ts';
import { spenderOf } from '../../domain/spender.ts';
import type { Instant } from '../../domain/time/instant.ts';
import type { Queryable } from '../connection.ts';
import { LOT_COLUMNS, type LotRow, lotSnapshot } from './lot-rows.ts';

interface RefundableRow {
  id: string;
  wallet_id: string;
  kind: TransactionKind;
  amount_micros: bigint;
  user_id: string | null;
  project_id: string | null;
  task_id: string | null;
  execution_id: string | null;
  spent_by: ActorKind;
  spent_by_id: string;
  charged_at: Instant;
  refunded_micros: bigint;
}

type TakenRow = (LotRow | { [Column in keyof LotRow]: null }) & { transaction_id: string; amount_micros: bigint };

/** More lots than have paid back debts between a charge and its refund. */
const MAX_REPAYING_LOTS = 100;

export async function loadRefundables(
  sql: Queryable,
  ids: readonly string[],
  walletIds: readonly string[],
): Promise<RefundableTransaction[]> {
  if (ids.length === 0) return [];
  const [transactions, taken, repaying] = await Promise.all([
    sql<RefundableRow[]>`
      SELECT t.id, t.wallet_id, t.kind, t.amount_micros, t.user_id, t.project_id, t.task_id, t.execution_id,
             coalesce(h.actor_kind, t.actor_kind) AS spent_by, coalesce(h.actor_id, t.actor_id) AS spent_by_id,
             coalesce(h.created_at, t.effective_at) AS charged_at,
             (SELECT coalesce(sum(amount_micros), 0) FROM ledger_transaction WHERE refunded_id = t.id)::bigint
               AS refunded_micros
      FROM ledger_transaction t
      LEFT JOIN hold h ON h.id = t.hold_id
      WHERE t.id = ANY(${ids}::uuid[]) AND t.wallet_id = ANY(${walletIds}::uuid[])`,
    sql<TakenRow[]>`
      SELECT e.transaction_id, e.amount_micros, ${LOT_COLUMNS}
      FROM ledger_entry e LEFT JOIN lot ON lot.id = e.lot_id
      WHERE e.transaction_id = ANY(${ids}::uuid[]) AND e.direction = 'DEBIT'
      ORDER BY e.transaction_id, e.sequence`,
    // Read only where one of them borrowed.
    sql<LotRow[]>`
      SELECT ${LOT_COLUMNS}
      FROM (SELECT DISTINCT wallet_id FROM ledger_entry
        WHERE transaction_id = ANY(${ids}::uuid[]) AND lot_id IS NULL) borrower
      CROSS JOIN LATERAL (
        SELECT lot_id, sequence FROM ledger_entry
        WHERE wallet_id = borrower.wallet_id AND reason_code = ${DEBT_REPAYMENT} AND reason_code <> 'USAGE'
          AND lot_id IS NOT NULL
        ORDER BY sequence DESC LIMIT ${MAX_REPAYING_LOTS}
      ) repayment
      JOIN lot ON lot.id = repayment.lot_id
      ORDER BY repayment.sequence DESC`,
  ]);
  const takenBy = groupBy(taken, (row) => row.transaction_id);
  const repaidBy = groupBy(repaying, (row) => row.wallet_id);
  return transactions.map((row) => ({
    id: row.id,
    walletId: row.wallet_id,
    kind: row.kind,
    amount: micros(row.amount_micros),
    attribution: attributionOf(row),
    spender: spenderOf({ actor: { kind: row.spent_by, id: row.spent_by_id }, attribution: attributionOf(row) }),
    chargedAt: row.charged_at,
    refunded: micros(row.refunded_micros),
    taken: (takenBy.get(row.id) ?? []).map((part) => ({
      amount: micros(part.amount_micros),
      lot: part.id === null ? null : lotSnapshot(part),
    })),
    repaidBy: distinct((repaidBy.get(row.wallet_id) ?? []).map(lotSnapshot)),
  }));
}

const attributionOf = (row: RefundableRow): Attribution => ({
  userId: row.user_id,
  projectId: row.project_id,
  taskId: row.task_id,
  executionId: row.execution_id,
});

const distinct = <Lot extends { readonly id: string }>(lots: readonly Lot[]): Lot[] => [
  ...new Map(lots.map((lot) => [lot.id, lot])).values(),
];
