/** Loads the purchases that commands name, with their lots. Their state changes only under their wallet's lock. */
import type { ActorKind } from '../../domain/actor.ts';
import { micros } from '../../domain/credits/micros.ts';
import { groupBy } from '../../domain/group-by.ts';
import { type LoadedPurchase, UNSPENT } from '../../domain/posting/decide-purchase.ts';
import { ALLOCATION } from '../../domain/posting/decide-set-allocation.ts';
import type { PlanSale, PurchaseLot, PurchaseStatus } from '../../domain/purchases/purchase.ts';
import type { Instant } from '../../domain/time/instant.ts';
import type { Queryable } from '../connection.ts';
import { LOT_COLUMNS, type LotRow, lotSnapshot } from './lot-rows.ts';

interface PurchaseRow {
  id: string;
  wallet_id: string;
  status: PurchaseStatus;
  open_disputes: string[];
  closed_disputes: string[];
  created_at: Instant;
  paid_at: Instant | null;
  refund_requested_at: Instant | null;
  decline_code: string | null;
  description: string;
  price_minor: bigint;
  currency: string;
  credits_micros: bigint;
  bonus_micros: bigint;
  bucket_key: string | null;
  expires_after_days: number | null;
  plan_key: string | null;
  plan_purpose: PlanSale['purpose'] | null;
  from_plan_key: string | null;
  plan_period_start: Instant | null;
  last_effective_at: Instant | null;
  actor_kind: ActorKind;
  actor_id: string;
}

interface PurchaseLotRow extends LotRow {
  purchase_id: string;
  expired_micros: bigint;
}

export async function loadPurchases(
  sql: Queryable,
  ids: readonly string[],
  walletIds: readonly string[],
): Promise<LoadedPurchase[]> {
  if (ids.length === 0) return [];
  const [purchases, lots] = await Promise.all([
    sql<PurchaseRow[]>`
      SELECT p.id, w.id AS wallet_id, p.status, to_jsonb(p.open_disputes) AS open_disputes,
             to_jsonb(p.closed_disputes) AS closed_disputes, p.created_at, p.paid_at, p.refund_requested_at,
             p.decline_code, p.description, p.price_minor, p.currency, p.credits_micros, p.bonus_micros, p.bucket_key, p.expires_after_days, p.plan_key, p.plan_purpose, p.from_plan_key,
             p.plan_period_start, p.actor_kind, p.actor_id,
             (SELECT e.effective_at FROM ledger_entry e WHERE e.wallet_id = w.id ORDER BY e.sequence DESC LIMIT 1)
               AS last_effective_at
      FROM purchase p
      JOIN wallet w ON w.organization_id = p.organization_id
      WHERE p.id = ANY(${ids}::uuid[]) AND w.id = ANY(${walletIds}::uuid[])`,
    // Few entries are expiries, and the index of reasons leaves those of usage out.
    sql<PurchaseLotRow[]>`
      SELECT ${LOT_COLUMNS}, (
        SELECT coalesce(sum(CASE e.direction WHEN 'DEBIT' THEN e.amount_micros ELSE -e.amount_micros END), 0)
        FROM ledger_entry e
        WHERE e.wallet_id = lot.wallet_id AND e.reason_code = ANY(${[...UNSPENT]}::text[]) AND e.reason_code <> 'USAGE'
          AND e.lot_id = lot.id
          AND (e.direction = 'DEBIT' OR (e.reason_code = ${ALLOCATION} AND lot.origin_id IS NULL)))::bigint AS expired_micros
      FROM lot
      WHERE lot.purchase_id = ANY(${ids}::uuid[]) AND lot.wallet_id = ANY(${walletIds}::uuid[])
      ORDER BY lot.id`,
  ]);
  const lotsOf = groupBy(lots, (row) => row.purchase_id);
  return purchases.map((row) => ({
    facts: {
      id: row.id,
      walletId: row.wallet_id,
      status: row.status,
      openDisputes: row.open_disputes,
      closedDisputes: row.closed_disputes,
      createdAt: row.created_at,
      paidAt: row.paid_at,
      refundRequestedAt: row.refund_requested_at,
      declineCode: row.decline_code,
      description: row.description,
      price: { amountMinor: row.price_minor, currency: row.currency },
      credits: micros(row.credits_micros),
      bonus: micros(row.bonus_micros),
      bucketKey: row.bucket_key,
      expiresAfterDays: row.expires_after_days,
      plan: planSale(row),
      lastEffectiveAt: row.last_effective_at,
      lots: (lotsOf.get(row.id) ?? []).map(purchaseLot),
    },
    buyer: { kind: row.actor_kind, id: row.actor_id },
  }));
}

function planSale({ plan_key: planKey, plan_purpose: purpose, ...row }: PurchaseRow): PlanSale | null {
  if (planKey === null || purpose === null) return null;
  return { planKey, purpose, fromPlanKey: row.from_plan_key, periodStart: row.plan_period_start };
}

const purchaseLot = (row: PurchaseLotRow): PurchaseLot => ({
  lot: lotSnapshot(row),
  expired: micros(row.expired_micros),
});

/** Open holds that have pinned something of the purchases' lots. */
export async function findPinningHolds(
  sql: Queryable,
  purchaseIds: readonly string[],
  walletIds: readonly string[],
): Promise<readonly string[]> {
  if (purchaseIds.length === 0) return [];
  const rows = await sql<{ id: string }[]>`
    SELECT DISTINCT hold.id
    FROM hold
    JOIN hold_pin pin ON pin.hold_id = hold.id
    JOIN lot ON lot.id = pin.lot_id
    WHERE hold.wallet_id = ANY(${walletIds}::uuid[]) AND hold.status = 'OPEN' AND pin.pinned_micros > 0
      AND lot.purchase_id = ANY(${purchaseIds}::uuid[])`;
  return rows.map((row) => row.id);
}
