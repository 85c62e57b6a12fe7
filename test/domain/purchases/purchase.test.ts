import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type PurchaseOutcome, type PurchaseStatus, resolvePurchase } from '../../../src/domain/purchases/purchase.ts';

/** Every status and what each piece of news makes of it. */
const TABLE: readonly (readonly [PurchaseStatus, PurchaseOutcome, PurchaseStatus])[] = [
  ['PENDING', 'PAID', 'PAID'],
  ['PENDING', 'FAILED', 'FAILED'],
  ['PENDING', 'EXPIRED', 'EXPIRED'],
  ['PAID', 'PAID', 'PAID'],
  ['PAID', 'FAILED', 'PAID'],
  ['PAID', 'EXPIRED', 'PAID'],
  ['FAILED', 'PAID', 'FAILED'],
  ['FAILED', 'FAILED', 'FAILED'],
  ['FAILED', 'EXPIRED', 'FAILED'],
  ['EXPIRED', 'PAID', 'EXPIRED'],
  ['EXPIRED', 'FAILED', 'EXPIRED'],
  ['EXPIRED', 'EXPIRED', 'EXPIRED'],
  ['REFUNDED', 'PAID', 'REFUNDED'],
  ['REFUNDED', 'FAILED', 'REFUNDED'],
  ['REFUNDED', 'EXPIRED', 'REFUNDED'],
  ['DISPUTED', 'PAID', 'DISPUTED'],
  ['DISPUTED', 'FAILED', 'DISPUTED'],
  ['DISPUTED', 'EXPIRED', 'DISPUTED'],
];

describe('a purchase', () => {
  it.each(TABLE)('that is %s and told %s is %s', (status, outcome, expected) => {
    expect(resolvePurchase(status, outcome)).toBe(expected);
  });

  it('ends once: after the first news nothing changes it, in whatever order the rest arrives', () => {
    const outcomes = fc.array(fc.constantFrom<PurchaseOutcome>('PAID', 'FAILED', 'EXPIRED'), { minLength: 1 });
    fc.assert(
      fc.property(outcomes, (news) => {
        const end = news.reduce<PurchaseStatus>(resolvePurchase, 'PENDING');
        expect(end).toBe(news[0]);
      }),
    );
  });
});
