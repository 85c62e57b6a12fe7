/**
 * The burn order: which lot is spent first. It is total, so that two processes, a page of the API and an explanation never
 * disagree. Within a wallet buckets burn by priority; within a bucket this comparison decides. The index `lot_burn_order`
 * and the lots connection of the API sort by the same keys.
 */
import type { LotSnapshot } from './lot.ts';

type BurnKeys = Pick<LotSnapshot, 'expiresAt' | 'paid' | 'effectiveAt' | 'id'>;

/** Earliest expiry (none last), free before paid, earliest effective, id. */
export function compareBurnOrder(a: BurnKeys, b: BurnKeys): number {
  if (a.expiresAt !== b.expiresAt) {
    if (a.expiresAt === null) return 1;
    if (b.expiresAt === null) return -1;
    return a.expiresAt - b.expiresAt;
  }
  if (a.paid !== b.paid) return a.paid ? 1 : -1;
  if (a.effectiveAt !== b.effectiveAt) return a.effectiveAt - b.effectiveAt;
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}

/** Buckets by priority, then key, which is unique in a wallet. */
export function compareBuckets(
  a: { readonly burnPriority: number; readonly key: string },
  b: { readonly burnPriority: number; readonly key: string },
): number {
  return a.burnPriority - b.burnPriority || (a.key < b.key ? -1 : a.key > b.key ? 1 : 0);
}
