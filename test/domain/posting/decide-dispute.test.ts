/** What becomes of a purchase's credits after they were given: disputed, won, lost, refunded. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatCredits } from '../../../src/domain/credits/micros.ts';
import type { NewsKind } from '../../../src/domain/purchases/purchase.ts';
import { expectSound } from '../../support/builders-audit.ts';
import { aWallet, type Books, policies } from '../../support/builders-books.ts';
import {
  aCapture,
  aDebit,
  aGrant,
  anAuthorization,
  aRefund,
  aRelease,
  aResolution,
} from '../../support/builders-commands.ts';
import { after, at, credits } from '../../support/builders-values.ts';

const NOW = at('2026-03-10T12:00:00');
const DAY = 86_400_000;

/** A wallet with a purchase of 100 + 20 that is paid, and whatever the policies say. */
function bought(chosen = policies(), expiresAfterDays: number | null = null): Books {
  const books = aWallet()
    .at(NOW)
    .under(chosen)
    .withPurchase('p', { credits: credits('100'), bonus: credits('20'), expiresAfterDays })
    .books();
  books.post(aResolution('p', 'PAID'));
  return books;
}

const tell = (books: Books, kind: NewsKind, dispute?: string) => books.post(aResolution('p', kind, dispute));

const lotsOf = (books: Books) =>
  [...books.lots.values()].map(({ source, remaining, pinned, frozen, revoked }) => ({
    source,
    remaining: formatCredits(remaining),
    pinned: formatCredits(pinned),
    frozen,
    revoked,
  }));

const movesSince = (books: Books, from: number) =>
  books.entries
    .slice(from)
    .map(({ direction, amount, reasonCode, lotId }) => [
      `${direction === 'CREDIT' ? '+' : '-'}${formatCredits(amount)}`,
      reasonCode,
      lotId === null ? null : books.lots.get(lotId)?.source,
    ]);

const statusOf = (books: Books) => books.purchases.get('p')?.facts.status;

describe('a dispute', () => {
  it('freezes the lots of its purchase and no others, without an entry, as one change', () => {
    const books = bought();
    books.post(aGrant('7'));
    const entries = books.entries.length;
    tell(books, 'DISPUTE_OPENED');
    expect(statusOf(books)).toBe('DISPUTED');
    expect(books.available).toBe(credits('7'));
    expect(books.balance).toBe(credits('127'));
    expect(books.entries).toHaveLength(entries);
    expect(books.changes.at(-1)).toMatchObject({ change: credits('-120'), reasonCode: 'DISPUTE', transactionId: null });
    expect(books.post(aDebit('8'))).toMatchObject({
      refusal: { code: 'INSUFFICIENT_CREDITS', available: credits('7') },
    });
    expectSound(books);
  });

  it('keeps even what a hold has pinned from being captured; won, it can be captured again', () => {
    const books = bought();
    const hold = books.post(anAuthorization('30'));
    if (hold.status !== 'held') throw new Error('not held');
    const { id } = hold.hold.facts;
    tell(books, 'DISPUTE_OPENED');
    expect(books.post(aCapture(id, { amount: '30' }))).toMatchObject({
      refusal: { code: 'CAPTURE_EXCEEDS_HOLD', held: 0n },
    });
    tell(books, 'DISPUTE_WON');
    expect(statusOf(books)).toBe('PAID');
    expect(books.available).toBe(credits('90'));
    expect(books.post(aCapture(id, { amount: '30' }))).toMatchObject({ status: 'posted' });
    expectSound(books);
  });

  it('that is won after the lots have expired gives them the days of grace', () => {
    const books = bought(policies(), 10);
    tell(books, 'DISPUTE_OPENED');
    books.moveTo(after(NOW, 60 * DAY));
    tell(books, 'DISPUTE_WON');
    expect(books.available).toBe(credits('120'));
    expect([...books.lots.values()].map(({ expiresAt }) => expiresAt)).toEqual([
      after(NOW, 90 * DAY),
      after(NOW, 90 * DAY),
    ]);
    books.moveTo(after(NOW, 90 * DAY));
    expect(books.post(aDebit('1'))).toMatchObject({ refusal: { code: 'INSUFFICIENT_CREDITS', available: 0n } });
    expectSound(books);
  });

  it('that is won before the lots expire leaves their expiry as it is', () => {
    const books = bought(policies(), 10);
    tell(books, 'DISPUTE_OPENED');
    books.moveTo(after(NOW, 5 * DAY));
    tell(books, 'DISPUTE_WON');
    expect([...books.lots.values()].map(({ expiresAt }) => expiresAt)).toEqual([
      after(NOW, 10 * DAY),
      after(NOW, 10 * DAY),
    ]);
    expectSound(books);
  });

  it('that is lost revokes the rest; what was spent is owed, and the next credits pay it back', () => {
    const books = bought();
    books.run(aDebit('45'), aResolution('p', 'DISPUTE_OPENED'));
    const from = books.entries.length;
    tell(books, 'DISPUTE_LOST');
    expect(movesSince(books, from)).toEqual([
      ['-75', 'REVOKE', 'PURCHASE'],
      ['-45', 'REVOKE', null],
    ]);
    expect(books.transactions.at(-1)).toMatchObject({ kind: 'REVERSAL', purchaseId: 'p', amount: credits('-120') });
    expect([books.balance, books.debt, books.available]).toEqual([credits('-45'), credits('45'), 0n]);
    expect(lotsOf(books).map(({ revoked, frozen }) => [revoked, frozen])).toEqual([
      [true, false],
      [true, false],
    ]);
    books.post(aGrant('50'));
    expect([books.debt, books.available]).toEqual([0n, credits('5')]);
    expectSound(books);
  });

  it('beside another one stays in force until both are won', () => {
    const books = bought();
    books.run(aResolution('p', 'DISPUTE_OPENED', 'one'), aResolution('p', 'DISPUTE_OPENED', 'two'));
    tell(books, 'DISPUTE_WON', 'one');
    expect(books.available).toBe(0n);
    tell(books, 'DISPUTE_WON', 'two');
    expect(books.available).toBe(credits('120'));
    expectSound(books);
  });
});

describe('money that is gone', () => {
  it('takes back what was not spent, bonus and all', () => {
    const books = bought();
    const from = books.entries.length;
    expect(tell(books, 'REFUNDED')).toMatchObject({ purchaseStatus: 'REFUNDED', changed: true });
    expect(movesSince(books, from)).toEqual([
      ['-100', 'REVOKE', 'PURCHASE'],
      ['-20', 'REVOKE', 'BONUS'],
    ]);
    expect([books.balance, books.debt]).toEqual([0n, 0n]);
    expectSound(books);
  });

  it('takes what holds have pinned out of them and gives their reservation back', () => {
    const books = bought(policies({ dailyCreditCap: '50' }));
    books.post(aGrant('10', { bucket: 'daily_free' }));
    const hold = books.post(anAuthorization('40'));
    if (hold.status !== 'held') throw new Error('not held');
    tell(books, 'REFUNDED');
    const { id } = hold.hold.facts;
    expect(books.holdById(id).state).toMatchObject({ status: 'OPEN', remaining: credits('10') });
    expect(books.debt).toBe(0n);
    expect(books.spendCounts).toMatchObject([{ used: credits('10') }]);
    expect(books.post(aCapture(id))).toMatchObject({ status: 'posted', transaction: { amount: credits('-10') } });
    expectSound(books);
  });

  it('does not ask for what has expired unspent, neither before nor in the same batch', () => {
    for (const settled of [true, false]) {
      const books = bought(policies(), 10);
      books.post(aDebit('30'));
      books.moveTo(after(NOW, 11 * DAY));
      if (settled) books.post(aGrant('1'));
      tell(books, 'REFUNDED');
      expect(books.debt).toBe(credits('30'));
      expectSound(books);
    }
  });

  it('is the end: nothing told afterwards changes anything', () => {
    const books = bought();
    tell(books, 'REFUNDED');
    const { version, sequence } = books;
    for (const kind of ['PAID', 'FAILED', 'REFUNDED', 'DISPUTE_OPENED', 'DISPUTE_WON', 'DISPUTE_LOST'] as const) {
      expect(tell(books, kind)).toMatchObject({ purchaseStatus: 'REFUNDED', changed: false });
    }
    expect([books.version, books.sequence]).toEqual([version, sequence]);
  });

  it('forfeits what a later refund of a charge gives back to the revoked lots', () => {
    const books = bought();
    const charge = books.post(aDebit('45'));
    if (charge.status !== 'posted') throw new Error('not charged');
    tell(books, 'REFUNDED');
    const from = books.entries.length;
    expect(books.post(aRefund(charge.transaction.id))).toMatchObject({ status: 'posted' });
    expect(movesSince(books, from)).toEqual([
      ['+25', 'REFUND', 'PURCHASE'],
      ['+20', 'REFUND', 'BONUS'],
      ['-25', 'REVOKE', 'PURCHASE'],
      ['-20', 'REVOKE', 'BONUS'],
    ]);
    expect(books.debt).toBe(credits('45'));
    expectSound(books);
  });

  it('waits while the wallet is frozen', () => {
    const books = bought();
    books.frozen = true;
    for (const kind of ['REFUNDED', 'DISPUTE_OPENED', 'DISPUTE_LOST'] as const) {
      expect(tell(books, kind)).toMatchObject({ refusal: { code: 'WALLET_FROZEN' } });
    }
    expect(statusOf(books)).toBe('PAID');
    books.frozen = false;
    expect(tell(books, 'REFUNDED')).toMatchObject({ changed: true });
    expectSound(books);
  });
});

describe('a hold on disputed lots', () => {
  it('that is released gives back to the frozen lot', () => {
    const books = bought();
    const hold = books.post(anAuthorization('30'));
    if (hold.status !== 'held') throw new Error('not held');
    tell(books, 'DISPUTE_OPENED');
    books.post(aRelease(hold.hold.facts.id));
    expect([books.available, books.held]).toEqual([0n, 0n]);
    tell(books, 'DISPUTE_WON');
    expect(books.available).toBe(credits('120'));
    expectSound(books);
  });
});

describe('the news of one payment', () => {
  const KINDS = ['PAID', 'FAILED', 'EXPIRED', 'REFUNDED', 'DISPUTE_OPENED', 'DISPUTE_WON', 'DISPUTE_LOST'] as const;

  /** What is left of it: everything but ids, numbers and times. */
  const left = (books: Books) => ({
    status: statusOf(books),
    lots: lotsOf(books),
    balance: books.balance,
    debt: books.debt,
    available: books.available,
    moved: books.transactions.map(({ kind, amount }) => [kind, amount]),
  });

  it('ends in the same books in any order, however often it comes, in one batch or many', () => {
    const orders = fc.uniqueArray(fc.constantFrom<NewsKind>(...KINDS), { minLength: 1 }).chain((kinds) =>
      fc.tuple(
        fc.constant(KINDS.filter((kind) => kinds.includes(kind))),
        fc.shuffledSubarray([...kinds, ...kinds, ...kinds], {
          minLength: kinds.length * 3,
          maxLength: kinds.length * 3,
        }),
        fc.boolean(),
      ),
    );
    const wallet = () =>
      aWallet()
        .at(NOW)
        .withPurchase('p', { credits: credits('100'), bonus: credits('20') })
        .books();
    fc.assert(
      fc.property(orders, ([kinds, shuffled, together]) => {
        const inOrder = wallet();
        for (const kind of kinds) tell(inOrder, kind);
        const anyhow = wallet();
        if (together) anyhow.run(...shuffled.map((kind) => aResolution('p', kind)));
        else for (const kind of shuffled) tell(anyhow, kind);
        expect(left(anyhow)).toEqual(left(inOrder));
        expectSound(anyhow);
      }),
      { numRuns: 500 },
    );
  });
});
