/** Top-ups that begin by themselves: their settings, where the next one stands, and what they have spent. */
import { micros } from '../../domain/credits/micros.ts';
import type { WalletBook } from '../../domain/posting/wallet-book.ts';
import type { AutoTopUp, TopUpChoice } from '../../domain/purchases/auto-top-up.ts';
import type { Instant } from '../../domain/time/instant.ts';
import type { Zone } from '../../domain/time/zone.ts';
import { ORGANIZATION_CLOCK } from '../clock.ts';
import { amounts, amountsOrNull, instants } from '../columns.ts';
import { fragment, type Queryable } from '../connection.ts';
import { ZONE_COLUMNS, type ZoneRow, zoneOfRow } from '../time-zones.ts';

/** All null where nobody has configured it. */
export interface AutoTopUpRow {
  top_up_enabled: boolean | null;
  threshold_micros: bigint;
  package_key: string | null;
  credits_micros: bigint | null;
  ceiling_minor: bigint;
  currency: string;
  wanted_at: Instant | null;
  purchase_id: string | null;
  failed_attempts: number;
  next_attempt_at: Instant | null;
  ceiling_until: Instant | null;
  suspended_reason: string | null;
}

/** Of the table as `t`. */
export const AUTO_TOP_UP_COLUMNS = fragment`t.enabled AS top_up_enabled, t.threshold_micros, t.package_key,
           t.credits_micros, t.ceiling_minor, t.currency, t.wanted_at, t.purchase_id, t.failed_attempts,
           t.next_attempt_at, t.ceiling_until, t.suspended_reason`;

export function autoTopUpOf(row: AutoTopUpRow): AutoTopUp | null {
  if (row.top_up_enabled === null) return null;
  return {
    enabled: row.top_up_enabled,
    threshold: micros(row.threshold_micros),
    choice: choiceOf(row),
    ceiling: { amountMinor: row.ceiling_minor, currency: row.currency },
    wantedAt: row.wanted_at,
    purchaseId: row.purchase_id,
    failedAttempts: row.failed_attempts,
    nextAttemptAt: row.next_attempt_at,
    ceilingUntil: row.ceiling_until,
    suspendedReason: row.suspended_reason,
  };
}

function choiceOf({ package_key: packageKey, credits_micros: credits }: AutoTopUpRow): TopUpChoice {
  if (packageKey !== null) return { packageKey, credits: null };
  if (credits === null) throw new Error('a top-up by itself buys neither a package nor credits');
  return { packageKey, credits: micros(credits) };
}

export interface SpendingSince {
  readonly walletId: string;
  /** The first instant of the month. */
  readonly since: Instant;
}

/** By wallet, in minor units of the ceiling's currency: what was paid or may still be, refunded and declined ones left out. */
export async function loadTopUpSpending(
  sql: Queryable,
  wanted: readonly SpendingSince[],
): Promise<ReadonlyMap<string, bigint>> {
  const rows = await sql<{ wallet_id: string; spent_minor: bigint }[]>`
    SELECT month.wallet_id, sum(p.price_minor)::bigint AS spent_minor
    FROM unnest(
      ${wanted.map(({ walletId }) => walletId)}::uuid[],
      ${instants(wanted.map(({ since }) => since))}::timestamptz[]
    ) AS month (wallet_id, since)
    JOIN wallet w ON w.id = month.wallet_id
    JOIN auto_top_up t ON t.wallet_id = w.id
    JOIN purchase p ON p.organization_id = w.organization_id AND p.created_at >= month.since
      AND p.kind = 'AUTO_TOP_UP' AND p.status IN ('PENDING', 'PAID', 'DISPUTED') AND p.currency = t.currency
    GROUP BY month.wallet_id`;
  return new Map(rows.map((row) => [row.wallet_id, row.spent_minor]));
}

export interface AutoTopUpOfOrganization {
  readonly organizationId: string;
  readonly walletId: string;
  readonly autoTopUp: AutoTopUp;
  readonly timeZone: Zone;
  /** The organization's clock. */
  readonly now: Instant;
}

/** Those of the organizations that have configured it. */
export async function findAutoTopUps(
  sql: Queryable,
  organizationIds: readonly string[],
): Promise<readonly AutoTopUpOfOrganization[]> {
  const rows = await sql<(AutoTopUpRow & ZoneRow & { wallet_id: string; organization_id: string; now: Instant })[]>`
    SELECT w.id AS wallet_id, w.organization_id, ${ZONE_COLUMNS}, ${AUTO_TOP_UP_COLUMNS},
           ${ORGANIZATION_CLOCK} AS now
    FROM wallet w
    JOIN organization o ON o.id = w.organization_id
    JOIN auto_top_up t ON t.wallet_id = w.id
    WHERE w.organization_id = ANY(${organizationIds}::uuid[])`;
  return rows.flatMap((row) => {
    const autoTopUp = autoTopUpOf(row);
    if (!autoTopUp) return [];
    const { organization_id: organizationId, wallet_id: walletId, now } = row;
    return [{ organizationId, walletId, autoTopUp, timeZone: zoneOfRow(row), now }];
  });
}

/** Writes those that a batch has changed. The engine holds the wallets' locks, so that nobody else writes them. */
export function writeAutoTopUps(sql: Queryable, books: readonly WalletBook[]) {
  const rows = books.flatMap(({ snapshot, autoTopUp }) =>
    autoTopUp && autoTopUp !== snapshot.autoTopUp ? [{ walletId: snapshot.id, ...autoTopUp }] : [],
  );
  if (rows.length === 0) return null;
  return sql`
    INSERT INTO auto_top_up (wallet_id, enabled, threshold_micros, package_key, credits_micros, ceiling_minor, currency,
      wanted_at, purchase_id, failed_attempts, next_attempt_at, ceiling_until, suspended_reason)
    SELECT * FROM unnest(
      ${rows.map((row) => row.walletId)}::uuid[],
      ${rows.map((row) => row.enabled)}::boolean[],
      ${amounts(rows.map((row) => row.threshold))}::bigint[],
      ${rows.map((row) => row.choice.packageKey)}::text[],
      ${amountsOrNull(rows.map((row) => row.choice.credits))}::bigint[],
      ${amounts(rows.map((row) => row.ceiling.amountMinor))}::bigint[],
      ${rows.map((row) => row.ceiling.currency)}::text[],
      ${instants(rows.map((row) => row.wantedAt))}::timestamptz[],
      ${rows.map((row) => row.purchaseId)}::uuid[],
      ${rows.map((row) => row.failedAttempts)}::int[],
      ${instants(rows.map((row) => row.nextAttemptAt))}::timestamptz[],
      ${instants(rows.map((row) => row.ceilingUntil))}::timestamptz[],
      ${rows.map((row) => row.suspendedReason)}::text[])
    ON CONFLICT (wallet_id) DO UPDATE
    SET enabled = excluded.enabled, threshold_micros = excluded.threshold_micros, package_key = excluded.package_key,
        credits_micros = excluded.credits_micros, ceiling_minor = excluded.ceiling_minor, currency = excluded.currency,
        wanted_at = excluded.wanted_at, purchase_id = excluded.purchase_id, failed_attempts = excluded.failed_attempts,
        next_attempt_at = excluded.next_attempt_at, ceiling_until = excluded.ceiling_until,
        suspended_reason = excluded.suspended_reason`;
}
