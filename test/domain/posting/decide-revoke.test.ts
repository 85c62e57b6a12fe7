/** An operator's refund in its two steps, and grants that are taken back. */
import { describe, expect, it } from 'vitest';
import { expectSound, stateOf } from '../../support/builders-audit.ts';
import { aWallet, type Books, policies } from '../../support/builders-books.ts';
import {
  aCancelledRefund,
  aCapture,
  aDebit,
  aGrant,
  anAuthorization,
  aPurchaseRefund,
  aRelease,
  aResolution,
  aRevocation,
} from '../../support/builders-commands.ts';
import { after, at, credits } from '../../support/builders-values.ts';

const NOW = at('2026-03-10T12:00:00');
const DAY = 86_400_000;

function bought(spentCredits: 'REFUSE' | 'DEBT' = 'REFUSE', expiresAfterDays: number | null = null): Books {
  const books = aWallet()
    .at(NOW)
    .under(policies({ spentCredits }))
    .withPurchase('p', { credits: credits('100'), bonus: credits('20'), expiresAfterDays })
    .books();
  books.post(aResolution('p', 'PAID'));
  return books;
}

const factsOf = (books: Books) => books.purchases.get('p')?.facts;

describe('the refund of a purchase', () => {
  it('freezes its lots until the provider has answered, and then revokes them', () => {
    const books = bought();
    expect(books.post(aPurchaseRefund('p'))).toMatchObject({ status: 'refund-begun', purchaseId: 'p', available: 0n });
    expect(factsOf(books)).toMatchObject({ status: 'PAID', refundRequestedAt: NOW });
    expect(books.changes.at(-1)).toMatchObject({ change: credits('-120'), reasonCode: 'REVOKE' });
    expect(books.audits).toMatchObject([{ action: 'refundPurchase', after: { purchaseId: 'p' } }]);
    books.post(aResolution('p', 'REFUNDED'));
    expect(factsOf(books)).toMatchObject({ status: 'REFUNDED', refundRequestedAt: null });
    expect([books.balance, books.debt]).toEqual([0n, 0n]);
    expectSound(books);
  });

  it('that is declined frees the lots, with the days of grace where they have expired', () => {
    for (const days of [0, 60]) {
      const books = bought('REFUSE', 30);
      books.post(aPurchaseRefund('p'));
      books.moveTo(after(NOW, days * DAY));
      expect(books.post(aCancelledRefund('p'))).toMatchObject({ purchaseStatus: 'PAID', changed: true });
      expect(books.available).toBe(credits('120'));
      expect(books.post(aCancelledRefund('p'))).toMatchObject({ changed: false });
      expectSound(books);
    }
  });

  it('that is declined while a dispute is open leaves the lots frozen, and a dispute that is won while it is asked for too', () => {
    const books = bought();
    books.run(aPurchaseRefund('p'), aResolution('p', 'DISPUTE_OPENED'), aCancelledRefund('p'));
    expect(books.available).toBe(0n);
    books.post(aResolution('p', 'DISPUTE_WON'));
    expect(books.available).toBe(credits('120'));
    books.run(aPurchaseRefund('p'), aResolution('p', 'DISPUTE_OPENED', 'two'), aResolution('p', 'DISPUTE_WON', 'two'));
    expect(books.available).toBe(0n);
    books.post(aCancelledRefund('p'));
    expect(books.available).toBe(credits('120'));
    expectSound(books);
  });

  it('is one refund under two keys, and the same answer under one', () => {
    const books = bought();
    books.post(aPurchaseRefund('p', 'k'));
    const { version } = books;
    expect(books.post(aPurchaseRefund('p', 'k'))).toMatchObject({ status: 'replayed', answer: { purchaseId: 'p' } });
    expect(books.post(aPurchaseRefund('p', 'other'))).toMatchObject({ status: 'refund-begun' });
    expect(books.version).toBe(version);
  });

  it('of credits that were spent is refused, or books them as debt, as the catalog says', () => {
    const refusing = bought('REFUSE');
    refusing.post(aDebit('30'));
    const before = stateOf(refusing);
    expect(refusing.post(aPurchaseRefund('p'))).toMatchObject({ refusal: { code: 'CONFLICT', currentState: 'PAID' } });
    expect(stateOf(refusing)).toEqual(before);
    const owing = bought('DEBT');
    owing.run(aDebit('30'), aPurchaseRefund('p'), aResolution('p', 'REFUNDED'));
    expect([owing.balance, owing.debt]).toEqual([credits('-30'), credits('30')]);
    expectSound(owing);
  });

  it.each(['REFUSE', 'DEBT'] as const)('of credits that are held is refused under %s', (policy) => {
    const books = bought(policy);
    books.post(anAuthorization('30'));
    expect(books.post(aPurchaseRefund('p'))).toMatchObject({ refusal: { code: 'CONFLICT' } });
    expect(books.available).toBe(credits('90'));
  });

  it('that is declined keeps the provider’s reason until another is begun or the money is back, disputes or not', () => {
    const books = bought();
    const kept = () => factsOf(books)?.declineCode;
    books.run(aPurchaseRefund('p'), aCancelledRefund('p', 'not_now'));
    expect(kept()).toBe('not_now');
    books.run(aResolution('p', 'DISPUTE_OPENED'));
    expect(kept()).toBe('not_now');
    books.run(aResolution('p', 'DISPUTE_WON'), aCancelledRefund('p', 'no_refund_is_under_way'));
    expect(kept()).toBe('not_now');
    books.run(aPurchaseRefund('p'));
    expect(kept()).toBeNull();
    books.run(aCancelledRefund('p', 'still_not'));
    expect(kept()).toBe('still_not');
    books.run(aResolution('p', 'REFUNDED'));
    expect(kept()).toBeNull();
    expectSound(books);
  });

  it('of credits that have expired unspent is no refund of spent ones', () => {
    const books = bought('REFUSE', 10);
    books.moveTo(after(NOW, 11 * DAY));
    expect(books.post(aPurchaseRefund('p'))).toMatchObject({ status: 'refund-begun' });
    books.post(aResolution('p', 'REFUNDED'));
    expect(books.debt).toBe(0n);
    expectSound(books);
  });

  it.each([
    ['PENDING', []],
    ['FAILED', ['FAILED']],
    ['EXPIRED', ['EXPIRED']],
    ['DISPUTED', ['DISPUTE_OPENED']],
    ['REFUNDED', ['REFUNDED']],
  ] as const)('is refused where it is %s', (status, news) => {
    const books = aWallet().withPurchase('p').books();
    books.run(...news.map((kind) => aResolution('p', kind)));
    expect(books.post(aPurchaseRefund('p'))).toMatchObject({ refusal: { code: 'CONFLICT', currentState: status } });
    expect(factsOf(books)?.refundRequestedAt).toBeNull();
  });

  it('of another wallet’s purchase, or none, is not found', () => {
    const books = aWallet().withPurchase('foreign', { walletId: 'wallet-2' }).books();
    for (const id of ['foreign', 'unknown']) {
      expect(books.post(aPurchaseRefund(id))).toMatchObject({ refusal: { code: 'NOT_FOUND' } });
      expect(books.post(aCancelledRefund(id))).toMatchObject({ refusal: { code: 'NOT_FOUND' } });
    }
  });
});

describe('a grant that is revoked', () => {
  const granted = (): { books: Books; lot: string } => {
    const books = aWallet().at(NOW).books();
    const outcome = books.post(aGrant('50'));
    if (outcome.status !== 'posted' || outcome.lotId === null) throw new Error('not granted');
    return { books, lot: outcome.lotId };
  };

  it('leaves with an entry; nothing of it can be spent or comes back', () => {
    const { books, lot } = granted();
    books.post(aDebit('20'));
    expect(books.post(aRevocation(lot))).toMatchObject({
      status: 'posted',
      transaction: { kind: 'REVERSAL', reasonCode: 'REVOKE', amount: credits('-30') },
    });
    expect(books.lots.get(lot)).toMatchObject({ revoked: true, closed: true, inForce: false, remaining: 0n });
    expect(books.audits.at(-1)).toMatchObject({ action: 'revokeGrant', after: { lotId: lot, credits: '-30' } });
    expect(books.post(aRevocation(lot))).toMatchObject({
      refusal: { code: 'INSUFFICIENT_CREDITS', required: credits('50'), held: 0n },
    });
    expectSound(books);
  });

  it('leaves to holds what they have pinned: captured it is spent, released it leaves at once', () => {
    const { books, lot } = granted();
    const [first, second] = books.run(anAuthorization('10'), anAuthorization('15'));
    if (first?.status !== 'held' || second?.status !== 'held') throw new Error('not held');
    expect(books.post(aRevocation(lot))).toMatchObject({ transaction: { amount: credits('-25') } });
    expect(books.post(aCapture(first.hold.facts.id))).toMatchObject({ status: 'posted' });
    books.post(aRelease(second.hold.facts.id));
    expect(books.entries.map(({ reasonCode }) => reasonCode)).toEqual(['GRANT', 'REVOKE', 'USAGE', 'REVOKE']);
    expect([books.balance, books.available, books.held]).toEqual([0n, 0n, 0n]);
    expectSound(books);
  });

  it('is refused for lots that no operator gave, and for those of other wallets', () => {
    const books = bought();
    const [lot] = [...books.lots.keys()];
    expect(books.post(aRevocation(lot ?? ''))).toMatchObject({ refusal: { code: 'INVALID_INPUT', path: ['lotId'] } });
    expect(books.post(aRevocation('unknown'))).toMatchObject({ refusal: { code: 'NOT_FOUND' } });
  });
});
