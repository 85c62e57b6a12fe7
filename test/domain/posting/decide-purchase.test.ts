import { describe, expect, it } from 'vitest';
import { formatInstant } from '../../../src/domain/time/instant.ts';
import { expectSound, stateOf } from '../../support/builders-audit.ts';
import { aWallet } from '../../support/builders-books.ts';
import { aDebit, aResolution } from '../../support/builders-commands.ts';
import { after, at, credits } from '../../support/builders-values.ts';

const NOW = at('2026-03-10T12:00:00');

describe('a purchase that is paid', () => {
  it('makes one paid lot and one bonus lot, in one transaction', () => {
    const books = aWallet()
      .at(NOW)
      .withPurchase('p', { credits: credits('5000'), bonus: credits('500') })
      .books();
    expect(books.post(aResolution('p', 'PAID'))).toEqual({
      status: 'purchase-resolved',
      purchaseStatus: 'PAID',
      changed: true,
    });
    expect([...books.lots.values()]).toMatchObject([
      { source: 'PURCHASE', granted: credits('5000'), paid: true, purchaseId: 'p', bucketId: 'bucket-purchased' },
      { source: 'BONUS', granted: credits('500'), paid: false, purchaseId: 'p', bucketId: 'bucket-purchased' },
    ]);
    expect(books.transactions).toMatchObject([
      {
        kind: 'PURCHASE',
        reasonCode: 'PURCHASE',
        amount: credits('5500'),
        purchaseId: 'p',
        idempotencyKey: null,
        actor: { kind: 'USER', id: 'user-1' },
        attribution: { userId: 'user-1' },
      },
    ]);
    expect(books.entries.map((entry) => [entry.reasonCode, entry.amount])).toEqual([
      ['PURCHASE', credits('5000')],
      ['BONUS', credits('500')],
    ]);
    expect(books.changes).toMatchObject([{ change: credits('5500'), reasonCode: 'PURCHASE' }]);
    expect(books.purchases.get('p')).toMatchObject({ facts: { status: 'PAID', paidAt: NOW } });
    expectSound(books);
  });

  it('without a bonus makes one lot', () => {
    const books = aWallet().withPurchase('p').books();
    books.post(aResolution('p', 'PAID'));
    expect([...books.lots.values()].map((lot) => lot.source)).toEqual(['PURCHASE']);
    expect(books.entries).toHaveLength(1);
  });

  it('spends the free bonus before what was paid for', () => {
    const books = aWallet()
      .withPurchase('p', { credits: credits('10'), bonus: credits('3') })
      .books();
    books.run(aResolution('p', 'PAID'), aDebit('4'));
    expect([...books.lots.values()].map((lot) => [lot.source, lot.remaining])).toEqual([
      ['PURCHASE', credits('9')],
      ['BONUS', 0n],
    ]);
    expectSound(books);
  });

  it.each([
    [null, null],
    [30, '2026-04-09T11:00:00.000Z'],
  ])('after %s local days expires at %s, bonus and all', (expiresAfterDays, expected) => {
    const books = aWallet()
      .at(NOW)
      .in('Europe/Berlin')
      .withPurchase('p', { expiresAfterDays, bonus: credits('1') })
      .books();
    books.post(aResolution('p', 'PAID'));
    const expiries = [...books.lots.values()].map((lot) => lot.expiresAt && formatInstant(lot.expiresAt));
    expect(expiries).toEqual([expected, expected]);
  });

  it('is booked under its buyer, a key included', () => {
    const books = aWallet().withPurchase('p', {}, { kind: 'API_KEY', id: 'key-7' }).books();
    books.post(aResolution('p', 'PAID'));
    expect(books.transactions).toMatchObject([
      { actor: { kind: 'API_KEY', id: 'key-7' }, attribution: { userId: null } },
    ]);
  });

  it('needs no subscription', () => {
    const books = aWallet().subscribed(null).withPurchase('p').books();
    expect(books.post(aResolution('p', 'PAID'))).toMatchObject({ changed: true });
  });
});

describe('news of a purchase', () => {
  it.each([
    ['five times in one batch', 5],
    ['once', 1],
  ])('that it is paid, %s, makes one set of lots', (_name, times) => {
    const books = aWallet()
      .withPurchase('p', { bonus: credits('1') })
      .books();
    const outcomes = books.run(...Array.from({ length: times }, () => aResolution('p', 'PAID')));
    expect(outcomes.map((outcome) => outcome.status === 'purchase-resolved' && outcome.changed)).toEqual(
      Array.from({ length: times }, (_, index) => index === 0),
    );
    expect(books.lots.size).toBe(2);
    expectSound(books);
  });

  it('that it is paid, batch after batch, makes one set of lots and keeps the first instant', () => {
    const books = aWallet().at(NOW).withPurchase('p').books();
    for (let batch = 0; batch < 3; batch++) books.moveTo(after(NOW, batch * 1_000)).post(aResolution('p', 'PAID'));
    expect(books.lots.size).toBe(1);
    expect(books.purchases.get('p')?.facts.paidAt).toBe(NOW);
  });

  it.each(['FAILED', 'EXPIRED'] as const)('that it is %s makes no lots; paid after all, it makes them', (kind) => {
    const books = aWallet().withPurchase('p').books();
    const before = stateOf(books);
    const ended = { status: 'purchase-resolved', purchaseStatus: kind, changed: true };
    expect(books.run(aResolution('p', kind), aResolution('p', kind))).toEqual([ended, { ...ended, changed: false }]);
    expect(stateOf(books)).toEqual(before);
    expect(books.purchases.get('p')).toMatchObject({ facts: { status: kind, paidAt: null } });
    expect(books.post(aResolution('p', 'PAID'))).toMatchObject({ purchaseStatus: 'PAID', changed: true });
    expect(books.available).toBe(credits('1000'));
    expectSound(books);
  });

  it('that it failed keeps the provider’s first reason, until it is paid after all', () => {
    const books = aWallet().withPurchase('p').books();
    const failed = (declineCode?: string) => ({
      ...aResolution('p', 'FAILED'),
      news: { kind: 'FAILED', ...(declineCode && { declineCode }) } as const,
    });
    const kept = () => books.purchases.get('p')?.facts.declineCode;
    books.post(aResolution('p', 'EXPIRED'));
    expect(kept()).toBeNull();
    books.run(failed('card_declined'), failed('expired_card'), failed());
    expect(kept()).toBe('card_declined');
    books.run(aResolution('p', 'PAID'), failed('expired_card'));
    expect(kept()).toBeNull();
  });

  it('that it failed after it was paid takes nothing back', () => {
    const books = aWallet().withPurchase('p').books();
    books.run(aResolution('p', 'PAID'), aResolution('p', 'FAILED'), aResolution('p', 'EXPIRED'));
    expect(books.purchases.get('p')?.facts.status).toBe('PAID');
    expect(books.available).toBe(credits('1000'));
  });

  it('that does not exist, or is another wallet’s, is not found', () => {
    const books = aWallet().withPurchase('foreign', { walletId: 'wallet-2' }).books();
    for (const id of ['unknown', 'foreign']) {
      expect(books.post(aResolution(id, 'PAID'))).toMatchObject({
        status: 'refused',
        refusal: { code: 'NOT_FOUND', what: 'purchase' },
      });
    }
    expect(books.lots.size).toBe(0);
    expect(books.purchases.get('foreign')?.facts.status).toBe('PENDING');
  });

  it('waits while the wallet is frozen and counts afterwards', () => {
    const books = aWallet().frozen().withPurchase('p').books();
    expect(books.post(aResolution('p', 'PAID'))).toMatchObject({ refusal: { code: 'WALLET_FROZEN' } });
    expect(books.purchases.get('p')?.facts.status).toBe('PENDING');
    books.frozen = false;
    expect(books.post(aResolution('p', 'PAID'))).toMatchObject({ changed: true });
    expect(books.available).toBe(credits('1000'));
  });

  it('for a bucket that the wallet does not have fails loudly rather than losing what was paid', () => {
    const books = aWallet().withPurchase('p', { bucketKey: 'nowhere' }).books();
    expect(() => books.post(aResolution('p', 'PAID'))).toThrow('nowhere');
  });
});
