/** Alerts as the posting engine loads and writes them, and their events as streams and deliveries read them. */
import type { Alert, AlertCriterion, AlertState } from '../domain/alerts/alert.ts';
import { micros } from '../domain/credits/micros.ts';
import type { Tenant } from '../domain/identity/caller.ts';
import type { WalletBook } from '../domain/posting/wallet-book.ts';
import type { SubscriptionStatus } from '../domain/subscriptions/subscription.ts';
import { type Instant, instant } from '../domain/time/instant.ts';
import { amounts, amountsOrNull, instants } from './columns.ts';
import { fragment, type Queryable } from './connection.ts';

interface StoredAlert {
  readonly id: string;
  /** As text: JSON has no integers of 64 bits. */
  readonly threshold: string | null;
  readonly percent: number | null;
  readonly plan_key: string | null;
  readonly state: AlertState;
  /** Milliseconds since the epoch, like all instants here. */
  readonly last_triggered_at: number | null;
  readonly created_at: number;
  readonly removed_at: number | null;
  readonly dismissed: boolean;
}

export interface AlertsRow {
  /** Null where there are none. */
  alerts: readonly StoredAlert[] | null;
  alert_number: bigint;
}

/** Of the wallet as `w`, in its own row: most wallets have no alert, and another statement would cost every batch. */
export const ALERT_COLUMNS = fragment`w.alert_number, (
             SELECT jsonb_agg(jsonb_build_object('id', id, 'threshold', threshold_micros::text, 'percent', percent,
               'plan_key', plan_key, 'state', state, 'dismissed', dismissed,
               'last_triggered_at', floor(extract(epoch FROM last_triggered_at) * 1000)::bigint,
               'created_at', floor(extract(epoch FROM created_at) * 1000)::bigint,
               'removed_at', floor(extract(epoch FROM removed_at) * 1000)::bigint) ORDER BY id)
             FROM alert
             WHERE alert.wallet_id = w.id AND (removed_at IS NULL OR dismissed)
           ) AS alerts`;

export const alertsOf = ({ alerts }: AlertsRow): readonly Alert[] => (alerts ?? []).map(alertOf);

const alertOf = (row: StoredAlert): Alert => ({
  id: row.id,
  criterion: criterionOf(row),
  planKey: row.plan_key,
  state: row.state,
  lastTriggeredAt: instantOrNull(row.last_triggered_at),
  createdAt: instant(row.created_at),
  removedAt: instantOrNull(row.removed_at),
  dismissed: row.dismissed,
});

const instantOrNull = (at: number | null): Instant | null => (at === null ? null : instant(at));

function criterionOf({ threshold, percent }: StoredAlert): AlertCriterion {
  if (threshold !== null) return { threshold: micros(BigInt(threshold)), percent: null };
  if (percent === null) throw new Error('an alert has neither a threshold nor a percentage');
  return { threshold, percent };
}

/** Writes what a batch has changed, if anything. The engine holds the wallets' locks, so that nobody else writes them. */
export function writeAlerts(sql: Queryable, books: readonly WalletBook[]) {
  const changed = books.filter(({ alerts }) => alerts.hasChanged);
  if (changed.length === 0) return [];
  // Those that are removed make room for others with the same threshold.
  return [
    updateAlerts(sql, changed),
    insertAlerts(sql, changed),
    insertEvents(sql, changed),
    countEvents(sql, changed),
  ];
}

function updateAlerts(sql: Queryable, books: readonly WalletBook[]) {
  const rows = books.flatMap(({ alerts }) => alerts.changed);
  if (rows.length === 0) return null;
  return sql`
    UPDATE alert
    SET plan_key = changed.plan_key, state = changed.state, last_triggered_at = changed.last_triggered_at,
        removed_at = changed.removed_at, dismissed = changed.dismissed
    FROM unnest(
      ${rows.map((row) => row.id)}::uuid[],
      ${rows.map((row) => row.planKey)}::text[],
      ${rows.map((row) => row.state)}::"AlertState"[],
      ${instants(rows.map((row) => row.lastTriggeredAt))}::timestamptz[],
      ${instants(rows.map((row) => row.removedAt))}::timestamptz[],
      ${rows.map((row) => row.dismissed)}::boolean[]
    ) AS changed (id, plan_key, state, last_triggered_at, removed_at, dismissed)
    WHERE alert.id = changed.id`;
}

function insertAlerts(sql: Queryable, books: readonly WalletBook[]) {
  const rows = books.flatMap(({ snapshot, alerts }) =>
    alerts.created.map((alert) => ({ walletId: snapshot.id, ...alert })),
  );
  if (rows.length === 0) return null;
  return sql`
    INSERT INTO alert (id, wallet_id, threshold_micros, percent, plan_key, state, last_triggered_at, created_at,
      removed_at, dismissed)
    SELECT * FROM unnest(
      ${rows.map((row) => row.id)}::uuid[],
      ${rows.map((row) => row.walletId)}::uuid[],
      ${amountsOrNull(rows.map((row) => row.criterion.threshold))}::bigint[],
      ${rows.map((row) => row.criterion.percent)}::int[],
      ${rows.map((row) => row.planKey)}::text[],
      ${rows.map((row) => row.state)}::"AlertState"[],
      ${instants(rows.map((row) => row.lastTriggeredAt))}::timestamptz[],
      ${instants(rows.map((row) => row.createdAt))}::timestamptz[],
      ${instants(rows.map((row) => row.removedAt))}::timestamptz[],
      ${rows.map((row) => row.dismissed)}::boolean[])`;
}

function insertEvents(sql: Queryable, books: readonly WalletBook[]) {
  const rows = books.flatMap(({ alerts }) => alerts.events);
  if (rows.length === 0) return null;
  return sql`
    INSERT INTO alert_event (wallet_id, number, alert_id, transition, threshold_micros, total_available_micros, version,
      occurred_at)
    SELECT * FROM unnest(
      ${rows.map((row) => row.walletId)}::uuid[],
      ${amounts(rows.map((row) => row.number))}::bigint[],
      ${rows.map((row) => row.alertId)}::uuid[],
      ${rows.map((row) => row.transition)}::"AlertTransition"[],
      ${amounts(rows.map((row) => row.threshold))}::bigint[],
      ${amounts(rows.map((row) => row.totalAvailable))}::bigint[],
      ${amounts(rows.map((row) => row.version))}::bigint[],
      ${instants(rows.map((row) => row.occurredAt))}::timestamptz[])`;
}

/** Apart from what every batch writes of a wallet: events are rare. */
function countEvents(sql: Queryable, books: readonly WalletBook[]) {
  const counted = books.filter(({ alerts }) => alerts.events.length > 0);
  if (counted.length === 0) return null;
  return sql`
    UPDATE wallet SET alert_number = counted.number
    FROM unnest(
      ${counted.map(({ snapshot }) => snapshot.id)}::uuid[],
      ${amounts(counted.map(({ alerts }) => alerts.number))}::bigint[]
    ) AS counted (id, number)
    WHERE wallet.id = counted.id`;
}

/** Whose alert it is; null for an unknown one. */
export async function tenantOfAlert(sql: Queryable, alertId: string): Promise<Tenant | null> {
  const [row] = await sql<{ organization_id: string; wallet_id: string }[]>`
    SELECT w.organization_id, w.id AS wallet_id FROM alert a JOIN wallet w ON w.id = a.wallet_id WHERE a.id = ${alertId}`;
  return row ? { organizationId: row.organization_id, walletId: row.wallet_id } : null;
}

export interface AlertsOfOrganization extends Tenant {
  readonly subscription: { readonly planKey: string; readonly status: SubscriptionStatus } | null;
  readonly alerts: readonly Alert[];
}

/** Those of the organizations that have a wallet. */
export async function findAlerts(sql: Queryable, organizationIds: readonly string[]): Promise<AlertsOfOrganization[]> {
  const rows = await sql<
    (AlertsRow & {
      wallet_id: string;
      organization_id: string;
      plan_key: string | null;
      status: SubscriptionStatus | null;
    })[]
  >`
    SELECT w.id AS wallet_id, w.organization_id, s.plan_key, s.status, ${ALERT_COLUMNS}
    FROM wallet w
    LEFT JOIN plan_subscription s ON s.organization_id = w.organization_id
    WHERE w.organization_id = ANY(${organizationIds}::uuid[])`;
  return rows.map((row) => {
    const { wallet_id: walletId, organization_id: organizationId, plan_key: planKey, status } = row;
    const subscription = planKey === null || status === null ? null : { planKey, status };
    return { walletId, organizationId, subscription, alerts: alertsOf(row) };
  });
}
