/** Reads what tasks and executions have cost, by their indexes: one statement for all organizations of an answer. */
import { type Micros, micros, minus, sum } from '../../domain/credits/micros.ts';
import { groupBy } from '../../domain/group-by.ts';
import { earliest, type Instant } from '../../domain/time/instant.ts';
import type { Work } from '../../domain/usage/report.ts';
import { type Fragment, fragment, type Queryable } from '../connection.ts';
import { ofWork, quantityOf, USAGE_LINES, type UsageRow } from './usage-reports.ts';

export interface SpendSummary {
  /** Charged, before refunds. */
  readonly credits: Micros;
  readonly refunded: Micros;
  /** What open holds still reserve. */
  readonly held: Micros;
  readonly netCredits: Micros;
  /** By meter, dearest first. */
  readonly byMeter: readonly UsageRow[];
  /** When the first and the last charged work was done; null where nothing was charged. */
  readonly firstAt: Instant | null;
  readonly lastAt: Instant | null;
  /** Debits and captures. */
  readonly transactions: bigint;
}

interface MeterRow {
  readonly organization_id: string;
  readonly refunded: string;
  readonly held: string;
  /** Null, as all that follows, where nothing was charged. */
  readonly meter: string | null;
  readonly quantity: string | null;
  readonly credits: string | null;
  readonly events: bigint | null;
  readonly transactions: bigint | null;
  readonly first_at: Instant | null;
  readonly last_at: Instant | null;
}

/**
 * What the work has cost in each organization, at one instant and in their order. `ownKeyId` leaves only what that key
 * charged, holds and got refunded.
 */
export async function spendSummaries(
  sql: Queryable,
  organizationIds: readonly string[],
  work: Work,
  ownKeyId: string | null,
): Promise<SpendSummary[]> {
  const isOwn = (actorKind: Fragment, actorId: Fragment) =>
    ownKeyId === null ? fragment`true` : fragment`${actorKind} = 'API_KEY' AND ${actorId} = ${ownKeyId}`;
  const rows = await sql<MeterRow[]>`
    WITH asked AS MATERIALIZED (
      SELECT w.organization_id, w.id AS wallet_id,
        (SELECT coalesce(sum(t.amount_micros), 0)
         FROM ledger_transaction t JOIN ledger_transaction o ON o.id = t.refunded_id
         WHERE t.wallet_id = w.id AND t.kind = 'REFUND'
           AND ${ofWork(work, fragment`t.task_id`, fragment`t.execution_id`)}
           AND ${isOwn(fragment`o.actor_kind`, fragment`o.actor_id`)}) AS refunded,
        (SELECT coalesce(sum(h.remaining_micros), 0)
         FROM hold h
         WHERE h.wallet_id = w.id AND h.status = 'OPEN'
           AND ${ofWork(work, fragment`h.task_id`, fragment`h.execution_id`)}
           AND ${isOwn(fragment`h.actor_kind`, fragment`h.actor_id`)}) AS held
      FROM wallet w
      WHERE w.organization_id = ANY(${[...organizationIds]}::uuid[])
    )
    SELECT a.organization_id, a.refunded, a.held, u.*
    FROM asked a
    LEFT JOIN LATERAL (
      SELECT l.meter, sum(l.quantity) AS quantity, sum(l.credits) AS credits, count(*) AS events,
        count(*) FILTER (WHERE l.is_first) AS transactions, min(t.used_at) AS first_at, max(t.used_at) AS last_at
      FROM ledger_transaction t
      ${USAGE_LINES}
      WHERE t.wallet_id = a.wallet_id AND t.kind IN ('DEBIT', 'CAPTURE')
        AND ${ofWork(work, fragment`t.task_id`, fragment`t.execution_id`)}
        AND ${isOwn(fragment`t.actor_kind`, fragment`t.actor_id`)}
      GROUP BY l.meter
    ) u ON true
    ORDER BY u.credits DESC, u.meter COLLATE "C"`;
  const byOrganization = groupBy(rows, (row) => row.organization_id);
  return organizationIds.map((id) => summaryOf(byOrganization.get(id) ?? []));
}

function summaryOf(rows: readonly MeterRow[]): SpendSummary {
  const byMeter = rows.flatMap(meterUsage);
  const credits = sum(byMeter.map((row) => row.credits));
  const refunded = micros(BigInt(rows[0]?.refunded ?? 0));
  return {
    credits,
    refunded,
    held: micros(BigInt(rows[0]?.held ?? 0)),
    netCredits: minus(credits, refunded),
    byMeter,
    firstAt: earliest(...rows.map((row) => row.first_at)),
    lastAt: latest(rows.map((row) => row.last_at)),
    transactions: rows.reduce((total, row) => total + (row.transactions ?? 0n), 0n),
  };
}

/** None for the row of an organization where nothing was charged. */
function meterUsage({ meter, quantity, credits, events }: MeterRow): UsageRow[] {
  if (meter === null || quantity === null || credits === null || events === null) return [];
  const isMetered = meter !== '';
  return [
    {
      key: [isMetered ? meter : null],
      quantity: isMetered ? quantityOf(quantity) : null,
      credits: micros(BigInt(credits)),
      events,
    },
  ];
}

function latest(instants: readonly (Instant | null)[]): Instant | null {
  return instants.reduce((last, at) => (last === null || (at !== null && at > last) ? at : last), null);
}
