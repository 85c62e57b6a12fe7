import { describe, expect, it } from 'vitest';
import { instant } from '../../../src/domain/time/instant.ts';
import { type LotSnapshot, lotTransitionAt } from '../../../src/domain/wallet/lot.ts';
import { credits } from '../../support/builders-values.ts';

describe('lotTransitionAt', () => {
  const lot = (change: Partial<LotSnapshot>): LotSnapshot => ({
    id: 'lot',
    bucketId: 'bucket',
    source: 'PROMOTION',
    granted: credits('5'),
    remaining: credits('5'),
    pinned: credits('0'),
    closed: false,
    paid: false,
    effectiveAt: instant(10),
    expiresAt: instant(20),
    inForce: true,
    frozen: false,
    revoked: false,
    purchaseId: null,
    allocationId: null,
    originId: null,
    ...change,
  });

  it.each<[string, Partial<LotSnapshot>, number | null]>([
    ['in force: when it expires', {}, 20],
    ['scheduled: when it starts', { inForce: false }, 10],
    ['without an expiry: never', { expiresAt: null }, null],
    ['scheduled and without an expiry: when it starts', { inForce: false, expiresAt: null }, 10],
    ['empty: never', { remaining: credits('0') }, null],
    ['with everything pinned: still when it expires', { pinned: credits('5') }, 20],
  ])('of a lot %s', (_name, change, expected) => {
    expect(lotTransitionAt(lot(change))).toBe(expected);
  });
});
