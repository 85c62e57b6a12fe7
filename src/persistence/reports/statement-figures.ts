/**
 * What the books say of months: four statements for any number of them. A month is a range of entries, found by the index of
 * their effective time; its usage is read from rollups. Nothing here grows with the history before the month.
 */
import { type Micros, micros } from '../../domain/credits/micros.ts';
import { groupBy } from '../../domain/group-by.ts';
import type { Direction } from '../../domain/posting/records.ts';
import type { StatedMonth } from '../../domain/statements/months.ts';
import {
  addMovements,
  boundMovements,
  MAX_USAGE_ROWS,
  type StatedMovement,
  type StatedUsage,
  type StatementFigures,
} from '../../domain/statements/statement.ts';
import type { YearMonth } from '../../domain/statements/year-month.ts';
import { rollupRanges } from '../../domain/usage/report.ts';
import { amounts, instants } from '../columns.ts';
import type { Queryable, Sql } from '../connection.ts';
import { quantityOf } from './usage-reports.ts';

/** A month of a wallet. */
export interface WalletMonth extends StatedMonth {
  readonly walletId: string;
}

/** A month as a range of entries: those beyond the opening up to the closing. */
interface Cut extends WalletMonth {
  readonly opening: Micros;
  readonly openingSequence: bigint;
  readonly closing: Micros;
  readonly closingSequence: bigint;
  readonly ledgerHash: string | null;
}

/** The months' figures, in their order. Consistent where no batch posts between the statements. */
export async function statementFigures(sql: Queryable, months: readonly WalletMonth[]): Promise<StatementFigures[]> {
  if (months.length === 0) return [];
  const cuts = await cutMonths(sql, months);
  const drafts = await findDrafts(sql, cuts);
  const usage = await usageOf(sql, months);
  const moved = await sumMovements(
    sql,
    cuts.map((cut, index) => ({
      walletId: cut.walletId,
      after: drafts[index]?.through ?? cut.openingSequence,
      through: cut.closingSequence,
    })),
  );
  return cuts.map(({ opening, closing, openingSequence, closingSequence, ledgerHash }, index) => {
    const sums = withSums(drafts[index]?.sums ?? NO_SUMS, moved[index] ?? NO_SUMS);
    return {
      ...{ opening, closing, openingSequence, closingSequence, ledgerHash },
      credited: boundMovements(sums.CREDIT),
      debited: boundMovements(sums.DEBIT),
      usage: usage[index] ?? [],
    };
  });
}

/** The same while batches are posted: all is read as it stood at one instant. */
export function figuresAtOneInstant(sql: Sql, months: readonly WalletMonth[]): Promise<StatementFigures[]> {
  return atOneInstant(sql, (tx) => statementFigures(tx, months));
}

/** Reads what stands at one instant, for as long as a statement may take. */
export function atOneInstant<T>(sql: Sql, work: (tx: Queryable) => Promise<T>): Promise<T> {
  return sql.begin(async (tx) => {
    await tx`SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY`;
    return work(tx);
  });
}

interface CutRow {
  opening: bigint;
  opening_sequence: bigint;
  closing: bigint;
  closing_sequence: bigint;
  ledger_hash: string | null;
}

async function cutMonths(sql: Queryable, months: readonly WalletMonth[]): Promise<Cut[]> {
  const rows = await sql<CutRow[]>`
    SELECT coalesce(opened.balance_after_micros, 0) AS opening, coalesce(opened.sequence, 0) AS opening_sequence,
      coalesce(closed.balance_after_micros, 0) AS closing, coalesce(closed.sequence, 0) AS closing_sequence,
      encode(closed.hash, 'hex') AS ledger_hash
    FROM unnest(
      ${months.map(({ walletId }) => walletId)}::uuid[],
      ${instants(months.map(({ start }) => start))}::timestamptz[],
      ${instants(months.map(({ end }) => end))}::timestamptz[]
    ) WITH ORDINALITY AS m (wallet_id, starts_at, ends_at, number)
    LEFT JOIN LATERAL (
      SELECT sequence, balance_after_micros FROM ledger_entry
      WHERE wallet_id = m.wallet_id AND effective_at < m.starts_at
      ORDER BY effective_at DESC, sequence DESC LIMIT 1
    ) opened ON true
    LEFT JOIN LATERAL (
      SELECT sequence, balance_after_micros, hash FROM ledger_entry
      WHERE wallet_id = m.wallet_id AND effective_at < m.ends_at
      ORDER BY effective_at DESC, sequence DESC LIMIT 1
    ) closed ON true
    ORDER BY m.number`;
  return months.map((month, index) => {
    const row = rows[index];
    if (!row) throw new Error(`the month ${month.month} was not cut`);
    return {
      ...month,
      opening: micros(row.opening),
      openingSequence: row.opening_sequence,
      closing: micros(row.closing),
      closingSequence: row.closing_sequence,
      ledgerHash: row.ledger_hash,
    };
  });
}

/** Movements in each direction. */
type Sums = Readonly<Record<Direction, readonly StatedMovement[]>>;

const NO_SUMS: Sums = { CREDIT: [], DEBIT: [] };

const withSums = (some: Sums, others: Sums): Sums => ({
  CREDIT: addMovements(some.CREDIT, others.CREDIT),
  DEBIT: addMovements(some.DEBIT, others.DEBIT),
});

/** Entries of a wallet, by their sequence. */
interface Entries {
  readonly walletId: string;
  readonly after: bigint;
  readonly through: bigint;
}

interface MovementRow {
  number: number;
  direction: Direction;
  reason_code: string;
  credits: string;
  entries: bigint;
}

/** What the entries of each range add up to, in the order of the ranges. */
async function sumMovements(sql: Queryable, ranges: readonly Entries[]): Promise<Sums[]> {
  const rows = await sql<MovementRow[]>`
    SELECT r.number::int AS number, e.*
    FROM unnest(
      ${ranges.map(({ walletId }) => walletId)}::uuid[],
      ${amounts(ranges.map(({ after }) => after))}::bigint[],
      ${amounts(ranges.map(({ through }) => through))}::bigint[]
    ) WITH ORDINALITY AS r (wallet_id, after, through, number)
    CROSS JOIN LATERAL (
      SELECT direction, reason_code, sum(amount_micros) AS credits, count(*) AS entries
      FROM ledger_entry
      WHERE wallet_id = r.wallet_id AND sequence > r.after AND sequence <= r.through
      GROUP BY direction, reason_code
    ) e`;
  const byRange = groupBy(rows, (row) => row.number);
  return ranges.map((_, index) => {
    const ofRange = (byRange.get(index + 1) ?? []).map((row) => ({
      direction: row.direction,
      reasonCode: row.reason_code,
      credits: micros(BigInt(row.credits)),
      entries: row.entries,
    }));
    return sumsOf(ofRange);
  });
}

interface DirectedMovement extends StatedMovement {
  readonly direction: Direction;
}

function sumsOf(movements: readonly DirectedMovement[]): Sums {
  const inDirection = (wanted: Direction): StatedMovement[] =>
    movements.filter(({ direction }) => direction === wanted).map(({ direction: _, ...movement }) => movement);
  return { CREDIT: inDirection('CREDIT'), DEBIT: inDirection('DEBIT') };
}

interface Draft {
  readonly through: bigint;
  readonly sums: Sums;
}

interface DraftRow {
  number: number;
  through_sequence: bigint;
  lines: readonly { direction: Direction; reasonCode: string; credits: string; entries: string }[];
}

/** What is added up already, in the order of the months; undefined where nothing is. */
async function findDrafts(sql: Queryable, months: readonly WalletMonth[]): Promise<(Draft | undefined)[]> {
  const rows = await sql<DraftRow[]>`
    SELECT m.number::int AS number, d.through_sequence, d.lines
    FROM unnest(
      ${months.map(({ walletId }) => walletId)}::uuid[],
      ${months.map(({ month }) => month)}::text[]
    ) WITH ORDINALITY AS m (wallet_id, month, number)
    JOIN statement_draft d ON d.wallet_id = m.wallet_id AND d.month = m.month`;
  const byNumber = new Map(rows.map((row) => [row.number, row]));
  return months.map((_, index) => {
    const row = byNumber.get(index + 1);
    if (!row) return undefined;
    const movements = row.lines.map(({ credits, entries, ...line }) => ({
      ...line,
      credits: micros(BigInt(credits)),
      entries: BigInt(entries),
    }));
    return { through: row.through_sequence, sums: sumsOf(movements) };
  });
}

/** Entries that are added up at a time. */
const STEP = 50_000n;

/**
 * Adds up the months in steps until less than one is left of each, and keeps what was added up: entries never change, so
 * that it holds for ever. Not within a transaction, which would keep it from the others for as long.
 */
export async function addUpAhead(sql: Queryable, months: readonly WalletMonth[], step = STEP): Promise<void> {
  if (months.length === 0) return;
  const cuts = await cutMonths(sql, months);
  const long = cuts.filter(({ openingSequence, closingSequence }) => closingSequence - openingSequence > step);
  if (long.length === 0) return;
  const drafts = await findDrafts(sql, long);
  for (const [index, cut] of long.entries()) {
    let { through, sums } = drafts[index] ?? { through: cut.openingSequence, sums: NO_SUMS };
    while (cut.closingSequence - through > step) {
      const range = { walletId: cut.walletId, after: through, through: through + step };
      const [added] = await sumMovements(sql, [range]);
      sums = withSums(sums, added ?? NO_SUMS);
      through = range.through;
      await keepDraft(sql, cut, { through, sums });
    }
  }
}

/** One that has come further stays. */
async function keepDraft(sql: Queryable, { walletId, month }: WalletMonth, { through, sums }: Draft): Promise<void> {
  const lines = (['CREDIT', 'DEBIT'] as const).flatMap((direction) =>
    sums[direction].map(({ reasonCode, credits, entries }) => ({
      ...{ direction, reasonCode },
      credits: credits.toString(),
      entries: entries.toString(),
    })),
  );
  await sql`
    INSERT INTO statement_draft (wallet_id, month, through_sequence, lines)
    VALUES (${walletId}, ${month}, ${through.toString()}::bigint, ${JSON.stringify(lines)}::text::jsonb)
    ON CONFLICT (wallet_id, month)
    DO UPDATE SET through_sequence = excluded.through_sequence, lines = excluded.lines
    WHERE statement_draft.through_sequence < excluded.through_sequence`;
}

/** Of months that are closed, up to `month`, nothing is added up any more. */
export async function dropDrafts(sql: Queryable, walletId: string, month: YearMonth): Promise<void> {
  await sql`DELETE FROM statement_draft WHERE wallet_id = ${walletId} AND month <= ${month}`;
}

interface UsageRow {
  number: number;
  meter: string;
  model: string | null;
  user_id: string | null;
  project_id: string | null;
  is_rest: boolean;
  quantity: string;
  credits: string;
  events: string;
}

/**
 * Usage posted in each month, in their order: what the rollups have of the month and what is carried to and from it.
 * Most credits first; beyond the bound by meter alone.
 */
async function usageOf(sql: Queryable, months: readonly WalletMonth[]): Promise<StatedUsage[][]> {
  const ranges = months.flatMap(({ walletId, start, end }, index) =>
    rollupRanges({ start, end }).map((range) => ({ ...range, walletId, number: index + 1 })),
  );
  const rows = await sql<UsageRow[]>`
    SELECT number, meter, model, user_id, project_id, is_rest, sum(quantity) AS quantity, sum(credits) AS credits,
      sum(events) AS events
    FROM (
      SELECT number, meter, quantity, credits, events, is_rest, CASE WHEN NOT is_rest THEN model END AS model,
        CASE WHEN NOT is_rest THEN user_id END AS user_id, CASE WHEN NOT is_rest THEN project_id END AS project_id
      FROM (
        SELECT *, row_number() OVER (PARTITION BY number ORDER BY credits DESC, meter COLLATE "C", model COLLATE "C",
          user_id COLLATE "C", project_id COLLATE "C") > ${MAX_USAGE_ROWS} AS is_rest
        FROM (
          SELECT number, meter, model, user_id, project_id, sum(quantity) AS quantity, sum(credits) AS credits,
            sum(events) AS events
          FROM (
            SELECT r.number, u.*
            FROM unnest(
              ${ranges.map(({ number }) => number)}::int[],
              ${ranges.map(({ walletId }) => walletId)}::uuid[],
              ${ranges.map(({ grain }) => grain)}::"RollupGrain"[],
              ${instants(ranges.map(({ start }) => start))}::timestamptz[],
              ${instants(ranges.map(({ end }) => end))}::timestamptz[]
            ) AS r (number, wallet_id, grain, starts_at, ends_at)
            CROSS JOIN LATERAL (
              SELECT meter, model, user_id, project_id, sum(quantity) AS quantity, sum(credits_micros) AS credits,
                sum(events) AS events
              FROM usage_rollup
              WHERE wallet_id = r.wallet_id AND grain = r.grain AND starts_at >= r.starts_at AND starts_at < r.ends_at
              GROUP BY 1, 2, 3, 4
            ) u
            UNION ALL
            SELECT m.number::int, u.*
            FROM unnest(
              ${months.map(({ walletId }) => walletId)}::uuid[],
              ${instants(months.map(({ start }) => start))}::timestamptz[],
              ${instants(months.map(({ end }) => end))}::timestamptz[]
            ) WITH ORDINALITY AS m (wallet_id, starts_at, ends_at, number)
            CROSS JOIN LATERAL (
              SELECT meter, model, user_id, project_id, sum(quantity) AS quantity, sum(credits_micros) AS credits,
                sum(events) AS events
              FROM carried_usage
              WHERE wallet_id = m.wallet_id AND starts_at >= m.starts_at AND starts_at < m.ends_at
              GROUP BY 1, 2, 3, 4
            ) u
          ) posted
          GROUP BY 1, 2, 3, 4, 5
          HAVING sum(events) > 0
        ) summed
      ) ranked
    ) bounded
    GROUP BY 1, 2, 3, 4, 5, 6
    ORDER BY number, is_rest, credits DESC, meter COLLATE "C", model COLLATE "C", user_id COLLATE "C",
      project_id COLLATE "C"`;
  const byMonth = groupBy(rows, (row) => row.number);
  return months.map((_, index) => (byMonth.get(index + 1) ?? []).map(statedUsage));
}

const statedUsage = (row: UsageRow): StatedUsage => ({
  meter: row.meter || null,
  model: row.model || null,
  userId: row.user_id || null,
  projectId: row.project_id || null,
  isRest: row.is_rest,
  quantity: row.meter === '' ? null : quantityOf(row.quantity),
  credits: micros(BigInt(row.credits)),
  events: BigInt(row.events),
});
