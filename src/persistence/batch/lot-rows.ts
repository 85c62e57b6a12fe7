/** Lots as the posting engine reads them. */
import { micros } from '../../domain/credits/micros.ts';
import type { Instant } from '../../domain/time/instant.ts';
import type { LotSnapshot, LotSource } from '../../domain/wallet/lot.ts';
import { fragment } from '../connection.ts';

export interface LotRow {
  id: string;
  wallet_id: string;
  bucket_id: string;
  source: LotSource;
  granted_micros: bigint;
  remaining_micros: bigint;
  pinned_micros: bigint;
  paid: boolean;
  effective_at: Instant;
  expires_at: Instant | null;
  in_force: boolean;
  closed: boolean;
  frozen: boolean;
  revoked: boolean;
  purchase_id: string | null;
  allocation_id: string | null;
  origin_id: string | null;
}

/** A lot is closed once its expiry is posted: it is not in force, and no transition is due on it. */
export const LOT_COLUMNS = fragment`lot.id, lot.wallet_id, lot.bucket_id, lot.source, lot.granted_micros,
  lot.remaining_micros, lot.pinned_micros, lot.paid, lot.effective_at, lot.expires_at, lot.in_force,
  NOT lot.in_force AND lot.next_transition_at IS NULL AS closed, lot.frozen, lot.revoked,
  lot.purchase_id, lot.allocation_id, lot.origin_id`;

export function lotSnapshot(row: LotRow): LotSnapshot {
  return {
    id: row.id,
    bucketId: row.bucket_id,
    source: row.source,
    granted: micros(row.granted_micros),
    remaining: micros(row.remaining_micros),
    pinned: micros(row.pinned_micros),
    paid: row.paid,
    effectiveAt: row.effective_at,
    expiresAt: row.expires_at,
    inForce: row.in_force,
    closed: row.closed,
    frozen: row.frozen,
    revoked: row.revoked,
    purchaseId: row.purchase_id,
    allocationId: row.allocation_id,
    originId: row.origin_id,
  };
}
