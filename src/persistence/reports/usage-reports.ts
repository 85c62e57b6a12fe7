/**
 * Reads usage reports: one statement for all organizations of an answer, over rollups where they keep what is asked for,
 * else over the lines of transactions. PostgreSQL groups, ranks and cuts the rows, on disk where they do not fit into its
 * memory; no more than the rows of the answer come here.
 */
import { type Decimal, parseDecimalSum } from '../../domain/credits/decimal.ts';
import { type Micros, micros, ZERO } from '../../domain/credits/micros.ts';
import { groupBy } from '../../domain/group-by.ts';
import type { Tenant } from '../../domain/identity/caller.ts';
import { formatInstant } from '../../domain/time/instant.ts';
import type { Zone } from '../../domain/time/zone.ts';
import {
  isOfWork,
  MAX_NAMED_DIMENSIONS,
  monthOf,
  type ReportWindow,
  rollupRanges,
  type UsageDimension,
  type UsageQuery,
  type Work,
} from '../../domain/usage/report.ts';
import { instants } from '../columns.ts';
import { type Fragment, fragment, type Queryable } from '../connection.ts';
import { ZONE_COLUMNS, type ZoneRow, zoneOfRow } from '../time-zones.ts';

/** An organization whose usage is asked for. */
export interface ReportedTenant extends Tenant {
  readonly timeZone: Zone;
}

/** A wallet with the windows of the report's period in its organization's time zone, one list per zone. */
export interface ReportedWallet {
  readonly walletId: string;
  readonly windows: readonly ReportWindow[];
}

export interface UsageRow {
  /** The values of `groupBy`, then of `byDimensions`; null where there is none. */
  readonly key: readonly (string | null)[];
  /** Null where it is of several meters, or of none. */
  readonly quantity: Decimal | null;
  readonly credits: Micros;
  readonly events: bigint;
}

export interface UsageRows {
  readonly totalCredits: Micros;
  readonly totalEvents: bigint;
  readonly rows: readonly UsageRow[];
  /** True where there are more rows than were asked for. */
  readonly truncated: boolean;
}

const NO_USAGE: UsageRows = { totalCredits: ZERO, totalEvents: 0n, rows: [], truncated: false };

/** What rollups are kept by, in the order of the statement's key. */
const ROLLUP_COLUMNS = ['METER', 'MODEL', 'MODALITY', 'OPERATION', 'USER', 'PROJECT', 'API_KEY'] as const;
/** What lines have besides; named dimensions follow. */
const LINE_COLUMNS = [...ROLLUP_COLUMNS, 'TASK', 'EXECUTION'] as const;

export async function findReportedTenants(
  sql: Queryable,
  organizationIds: readonly string[],
): Promise<ReportedTenant[]> {
  const rows = await sql<(ZoneRow & { organization_id: string; wallet_id: string })[]>`
    SELECT w.organization_id, w.id AS wallet_id, ${ZONE_COLUMNS}
    FROM wallet w JOIN organization o ON o.id = w.organization_id
    WHERE w.organization_id = ANY(${[...organizationIds]}::uuid[])`;
  return rows.map((row) => ({
    organizationId: row.organization_id,
    walletId: row.wallet_id,
    timeZone: zoneOfRow(row),
  }));
}

/** The wallets as `w`, each with the number of its zone, so that the windows of a zone are sent once. */
function zonesOf(wallets: readonly ReportedWallet[]) {
  const windows = [...new Set(wallets.map((wallet) => wallet.windows))];
  const ofWallets = fragment`unnest(
      ${wallets.map(({ walletId }) => walletId)}::uuid[],
      ${wallets.map((wallet) => windows.indexOf(wallet.windows))}::int[]
    ) AS w (wallet_id, zone)`;
  return { windows, ofWallets };
}

/** Usage as the rollups keep it, in the order of the wallets. */
export async function usageOfRollups(
  sql: Queryable,
  query: UsageQuery,
  wallets: readonly ReportedWallet[],
): Promise<UsageRows[]> {
  const zones = zonesOf(wallets);
  const ranges = zones.windows.flatMap((windows, zone) =>
    windows.flatMap((window, index) => rollupRanges(window).map((range) => ({ ...range, zone, number: index + 1 }))),
  );
  const { meters, models, userIds, projectIds } = query.filter;
  const by = (dimension: UsageDimension): boolean => query.groupBy.includes(dimension);
  // Each range is summed up by itself before those of a window are put together. So it is looked up in the primary key,
  // however the planner would like to join.
  const groups = fragment`
    SELECT w.wallet_id, r.number,
      ARRAY[u.meter, u.model, u.modality, u.operation, u.user_id, u.project_id, u.api_key_id] AS key,
      min(u.first_meter) AS first_meter, max(u.last_meter) AS last_meter,
      sum(u.quantity) AS quantity, sum(u.credits) AS credits, sum(u.events) AS events
    FROM ${zones.ofWallets} JOIN unnest(
      ${ranges.map((range) => range.zone)}::int[],
      ${ranges.map((range) => range.grain)}::"RollupGrain"[],
      ${instants(ranges.map((range) => range.start))}::timestamptz[],
      ${instants(ranges.map((range) => range.end))}::timestamptz[],
      ${ranges.map((range) => range.number)}::int[]
    ) AS r (zone, grain, starts_at, ends_at, number) ON r.zone = w.zone
    CROSS JOIN LATERAL (
      SELECT CASE WHEN ${by('METER')}::boolean THEN meter END AS meter,
        CASE WHEN ${by('MODEL')}::boolean THEN model END AS model,
        CASE WHEN ${by('MODALITY')}::boolean THEN modality END AS modality,
        CASE WHEN ${by('OPERATION')}::boolean THEN operation END AS operation,
        CASE WHEN ${by('USER')}::boolean THEN user_id END AS user_id,
        CASE WHEN ${by('PROJECT')}::boolean THEN project_id END AS project_id,
        CASE WHEN ${by('API_KEY')}::boolean THEN api_key_id END AS api_key_id,
        min(meter) AS first_meter, max(meter) AS last_meter,
        sum(quantity) AS quantity, sum(credits_micros) AS credits, sum(events) AS events
      FROM usage_rollup
      WHERE wallet_id = w.wallet_id AND grain = r.grain AND starts_at >= r.starts_at AND starts_at < r.ends_at
        AND ${isAmong(fragment`meter`, meters)} AND ${isAmong(fragment`model`, models)}
        AND ${isAmong(fragment`user_id`, userIds)} AND ${isAmong(fragment`project_id`, projectIds)}
      GROUP BY 1, 2, 3, 4, 5, 6, 7
    ) u
    GROUP BY 1, 2, 3`;
  return rankedUsage(sql, query, wallets, groups, ROLLUP_COLUMNS);
}

/**
 * Usage as the transactions tell it, in the order of the wallets: for a task or an execution by their indexes, else by the
 * time of use, so that the caller bounds the period.
 */
export async function usageOfLines(
  sql: Queryable,
  query: UsageQuery,
  wallets: readonly ReportedWallet[],
): Promise<UsageRows[]> {
  const zones = zonesOf(wallets);
  const starts = zones.windows.flatMap((windows, zone) => windows.map(({ start }) => ({ zone, start })));
  const { meters, models, userIds, projectIds } = query.filter;
  const by = (dimension: UsageDimension): boolean => query.groupBy.includes(dimension);
  // Years of a wallet are many more rows than a task of it, which a plan for any period cannot know: said this way, the
  // index of the time of use is no choice where there is one of the work.
  const usedAt = isOfWork(query.filter) ? fragment`coalesce(t.occurred_at, t.effective_at)` : fragment`t.used_at`;
  const named = (index: number) => fragment`l.dimensions ->> ${query.byDimensions[index] ?? null}::text`;
  const groups = fragment`
    SELECT w.wallet_id, u.number,
      ARRAY[meter, model, modality, operation, user_id, project_id, api_key_id, task_id, execution_id,
        named_1, named_2, named_3, named_4, named_5] AS key,
      u.first_meter, u.last_meter, u.quantity, u.credits, u.events
    FROM ${zones.ofWallets} JOIN (
      SELECT zone, array_agg(starts_at ORDER BY starts_at) AS starts
      FROM unnest(
        ${starts.map(({ zone }) => zone)}::int[],
        ${instants(starts.map(({ start }) => start))}::timestamptz[]
      ) AS s (zone, starts_at)
      GROUP BY zone
    ) z ON z.zone = w.zone
    CROSS JOIN LATERAL (
      SELECT width_bucket(t.used_at, z.starts) AS number,
        CASE WHEN ${by('METER')}::boolean THEN l.meter END AS meter,
        CASE WHEN ${by('MODEL')}::boolean THEN coalesce(l.dimensions ->> 'model', '') END AS model,
        CASE WHEN ${by('MODALITY')}::boolean THEN coalesce(l.dimensions ->> 'modality', '') END AS modality,
        CASE WHEN ${by('OPERATION')}::boolean THEN coalesce(l.dimensions ->> 'operation', '') END AS operation,
        CASE WHEN ${by('USER')}::boolean THEN coalesce(t.user_id, '') END AS user_id,
        CASE WHEN ${by('PROJECT')}::boolean THEN coalesce(t.project_id::text, '') END AS project_id,
        CASE WHEN ${by('API_KEY')}::boolean AND t.actor_kind = 'API_KEY' THEN t.actor_id ELSE '' END AS api_key_id,
        CASE WHEN ${by('TASK')}::boolean THEN coalesce(t.task_id, '') END AS task_id,
        CASE WHEN ${by('EXECUTION')}::boolean THEN coalesce(t.execution_id, '') END AS execution_id,
        coalesce(${named(0)}, '') AS named_1, coalesce(${named(1)}, '') AS named_2,
        coalesce(${named(2)}, '') AS named_3, coalesce(${named(3)}, '') AS named_4,
        coalesce(${named(4)}, '') AS named_5,
        min(l.meter) AS first_meter, max(l.meter) AS last_meter,
        sum(l.quantity) AS quantity, sum(l.credits) AS credits, count(*) AS events
      FROM ledger_transaction t
      ${USAGE_LINES}
      WHERE t.wallet_id = w.wallet_id AND t.kind IN ('DEBIT', 'CAPTURE')
        AND ${usedAt} >= ${formatInstant(query.period.start)}::timestamptz
        AND ${usedAt} < ${formatInstant(query.period.end)}::timestamptz
        AND ${ofWork(query.filter, fragment`t.task_id`, fragment`t.execution_id`)}
        AND ${isAmong(fragment`t.user_id`, userIds)} AND ${isAmong(fragment`t.project_id::text`, projectIds)}
        AND ${isAmong(fragment`l.meter`, meters)} AND ${isAmong(fragment`l.dimensions ->> 'model'`, models)}
      GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    ) u`;
  const columns = [...LINE_COLUMNS, ...Array.from({ length: MAX_NAMED_DIMENSIONS }, (_, index) => namedColumn(index))];
  return rankedUsage(sql, query, wallets, groups, columns);
}

/**
 * The usage `l` of a charge `t`, as domain/usage/rollup.ts counts it: its lines, or one of no meter for a charge by
 * amount. See line-codec.ts for the form of a line.
 */
export const USAGE_LINES: Fragment = fragment`
  CROSS JOIN LATERAL jsonb_array_elements(CASE t.lines WHEN '[]' THEN
    jsonb_build_array(jsonb_build_object('meter', '', 'quantity', '0', 'credits', (-t.amount_micros)::text))
    ELSE t.lines END) WITH ORDINALITY AS line (value, position)
  CROSS JOIN LATERAL (
    SELECT line.value ->> 'meter' AS meter, (line.value ->> 'quantity')::numeric AS quantity,
      (line.value ->> 'credits')::bigint AS credits, line.value -> 'dimensions' AS dimensions,
      line.position = 1 AS is_first
  ) l`;

/** A condition stands there only where it says something: an index can serve no condition that may say nothing. */
export function ofWork({ taskId, executionId }: Work, task: Fragment, execution: Fragment): Fragment {
  if (executionId === null) return taskId === null ? fragment`true` : fragment`${task} = ${taskId}`;
  if (taskId === null) return fragment`${execution} = ${executionId}`;
  return fragment`${task} = ${taskId} AND ${execution} = ${executionId}`;
}

const isAmong = (column: Fragment, values: readonly string[] | null): Fragment =>
  fragment`(${values}::text[] IS NULL OR ${column} = ANY(${values}::text[]))`;

const namedColumn = (index: number): string => `named ${index}`;

interface RankedRow {
  readonly wallet_id: string;
  readonly number: number;
  readonly key: readonly (string | null)[];
  readonly quantity: string | null;
  readonly credits: string;
  readonly events: string;
  readonly total_credits: string;
  readonly total_events: string;
}

/** The first rows of each wallet, and one more that tells whether there are more; the totals are those of all. */
async function rankedUsage(
  sql: Queryable,
  query: UsageQuery,
  wallets: readonly ReportedWallet[],
  groups: Fragment,
  columns: readonly string[],
): Promise<UsageRows[]> {
  const asked = [...query.groupBy, ...query.byDimensions.map((_, index) => namedColumn(index))];
  const sorted = asked.filter((name) => columns.includes(name));
  const order = columns
    .map((_, index) => {
      const name = sorted[index];
      return fragment`key[${name === undefined ? null : columns.indexOf(name) + 1}::int] COLLATE "C"`;
    })
    .reduce((before, next) => fragment`${before}, ${next}`);
  const rows = await sql<RankedRow[]>`
    SELECT wallet_id, number, key, quantity, credits, events, total_credits, total_events
    FROM (
      SELECT wallet_id, number, key, credits, events::numeric AS events,
        CASE WHEN first_meter = last_meter AND first_meter <> '' THEN quantity END AS quantity,
        sum(credits) OVER of_wallet AS total_credits, sum(events) OVER of_wallet AS total_events,
        row_number() OVER (of_wallet ORDER BY number, credits DESC, ${order}) AS place
      FROM (${groups}) g
      WINDOW of_wallet AS (PARTITION BY wallet_id)
    ) ranked
    WHERE place <= ${query.limit + 1}
    ORDER BY wallet_id, place`;
  const byWallet = groupBy(rows, (row) => row.wallet_id);
  return wallets.map(({ walletId, windows }) => {
    const [first, ...others] = byWallet.get(walletId) ?? [];
    if (!first) return NO_USAGE;
    const shown = [first, ...others].slice(0, query.limit);
    return {
      totalCredits: micros(BigInt(first.total_credits)),
      totalEvents: BigInt(first.total_events),
      rows: shown.map((row) => usageRow(row, asked, columns, windows[row.number - 1])),
      truncated: others.length >= query.limit,
    };
  });
}

function usageRow(
  { key, quantity, credits, events }: RankedRow,
  asked: readonly string[],
  columns: readonly string[],
  window: ReportWindow | undefined,
): UsageRow {
  if (!window) throw new Error('usage lies in no window of its report');
  const valueUnder = (name: string): string | null => {
    if (name === 'DAY') return window.name;
    if (name === 'MONTH') return monthOf(window);
    return key[columns.indexOf(name)] || null;
  };
  return {
    key: asked.map(valueUnder),
    quantity: quantity === null ? null : quantityOf(quantity),
    credits: micros(BigInt(credits)),
    events: BigInt(events),
  };
}

/** A sum of quantities as PostgreSQL writes it. */
export function quantityOf(text: string): Decimal {
  const quantity = parseDecimalSum(text);
  if (!quantity) throw new Error(`a quantity is ${text}`);
  return quantity;
}
