/** Loads the purchases that a batch resolves. Their status changes only under their wallet's lock. */
import type { ActorKind } from '../domain/actor.ts';
import { micros } from '../domain/credits/micros.ts';
import type { DraftPurchase } from '../domain/posting/decide-purchase.ts';
import type { PurchaseStatus } from '../domain/purchases/purchase.ts';
import type { Queryable } from './connection.ts';

export type LoadedPurchase = Omit<DraftPurchase, 'status' | 'paidAt'>;

interface PurchaseRow {
  id: string;
  wallet_id: string;
  status: PurchaseStatus;
  credits_micros: bigint;
  bonus_micros: bigint;
  bucket_key: string;
  expires_after_days: number | null;
  actor_kind: ActorKind;
  actor_id: string;
}

export async function loadPurchases(sql: Queryable, ids: readonly string[]): Promise<LoadedPurchase[]> {
  if (ids.length === 0) return [];
  const rows = await sql<PurchaseRow[]>`
    SELECT p.id, w.id AS wallet_id, p.status, p.credits_micros, p.bonus_micros, p.bucket_key, p.expires_after_days,
           p.actor_kind, p.actor_id
    FROM purchase p
    JOIN wallet w ON w.organization_id = p.organization_id
    WHERE p.id = ANY(${ids}::uuid[])`;
  return rows.map((row) => ({
    facts: {
      id: row.id,
      walletId: row.wallet_id,
      status: row.status,
      credits: micros(row.credits_micros),
      bonus: micros(row.bonus_micros),
      bucketKey: row.bucket_key,
      expiresAfterDays: row.expires_after_days,
    },
    buyer: { kind: row.actor_kind, id: row.actor_id },
  }));
}
