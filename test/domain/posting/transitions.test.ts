import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatCredits } from '../../../src/domain/credits/micros.ts';
import { formatInstant, type Instant } from '../../../src/domain/time/instant.ts';
import { expectSound, stateOf } from '../../support/builders-audit.ts';
import { aWallet, type Books } from '../../support/builders-books.ts';
import { aDebit, aGrant, aResolution, aSettlement } from '../../support/builders-commands.ts';
import { after, at, credits } from '../../support/builders-values.ts';

const NOW = at('2026-03-10T12:00:00');
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** What was posted, in order: reason, signed amount, and when it counts. */
const posted = (books: Books) =>
  books.entries.map(({ reasonCode, direction, amount, transaction }) => [
    reasonCode,
    `${direction === 'CREDIT' ? '' : '-'}${formatCredits(amount)}`,
    formatInstant(transaction.effectiveAt),
  ]);
const settled = (books: Books, now: Instant): Books => {
  expect(books.moveTo(now).post(aSettlement())).toEqual({ status: 'settled' });
  return books;
};

describe('a lot that expires', () => {
  const expiry = after(NOW, 1_000);
  const wallet = () => aWallet().at(NOW).withLot('purchased', '10', { expiresAt: expiry });

  it.each([
    ['a millisecond before', -1, 'posted'],
    ['at', 0, 'refused'],
    ['a millisecond after', 1, 'refused'],
  ])('is spent %s its expiry: %s', (_name, offset, status) => {
    const books = wallet().books();
    expect(books.moveTo(after(expiry, offset)).post(aDebit('4')).status).toBe(status);
    expect(books.available).toBe(status === 'posted' ? credits('6') : 0n);
    expectSound(books);
  });

  it('is taken out by an entry of its own, effective when it was due, before what touched the wallet', () => {
    const books = wallet().withLot('purchased', '5').books();
    books.moveTo(after(expiry, 9_999)).post(aDebit('5'));
    expect(posted(books)).toEqual([
      ['EXPIRY', '-10', formatInstant(expiry)],
      ['USAGE', '-5', formatInstant(after(expiry, 9_999))],
    ]);
    expect(books.transactions[0]).toMatchObject({
      kind: 'EXPIRY',
      actor: { kind: 'SYSTEM', id: 'purser' },
      idempotencyKey: null,
      postedAt: after(expiry, 9_999),
    });
    expect(books.changes).toMatchObject([
      { reasonCode: 'EXPIRY', change: credits('-10'), occurredAt: expiry },
      { reasonCode: 'USAGE', change: credits('-5'), totalAvailable: 0n },
    ]);
    expectSound(books);
  });

  it('leaves nothing to spend where all lots have expired and none was swept', () => {
    const books = aWallet()
      .at(NOW)
      .withLot('purchased', '10', { expiresAt: after(NOW, -5_000), effectiveAt: after(NOW, -DAY) })
      .withLot('promotional', '10', { expiresAt: NOW, effectiveAt: after(NOW, -DAY) })
      .books();
    expect(books.available).toBe(credits('20'));
    expect(books.post(aDebit('0.000001'))).toMatchObject({
      status: 'refused',
      refusal: { code: 'INSUFFICIENT_CREDITS', available: 0n },
    });
    expect(posted(books).map(([reason, amount]) => [reason, amount])).toEqual([
      ['EXPIRY', '-10'],
      ['EXPIRY', '-10'],
    ]);
    expect(books.balance).toBe(0n);
    expectSound(books);
  });

  it('expires once, however often the wallet is touched afterwards', () => {
    const books = settled(wallet().books(), expiry);
    settled(books, after(expiry, 1));
    books.run(aSettlement(), aSettlement());
    expect(books.entries).toHaveLength(1);
    expect(books.nextTransitionAt).toBeNull();
  });

  it('loses only what is not pinned; the pinned rest is no longer spendable', () => {
    const books = aWallet().at(NOW).withLot('purchased', '10', { expiresAt: expiry, pinned: '4' }).books();
    settled(books, expiry);
    expect(posted(books)).toEqual([['EXPIRY', '-6', formatInstant(expiry)]]);
    expect(books.remainingIn('purchased')).toEqual([credits('4')]);
    expect(books.post(aDebit('1'))).toMatchObject({ refusal: { available: 0n, held: credits('4') } });
    settled(books, after(expiry, DAY));
    expect(books.entries).toHaveLength(1);
    expectSound(books);
  });

  it('is not touched while all of it is pinned, and makes no entry and no version', () => {
    const books = aWallet().at(NOW).withLot('purchased', '4', { expiresAt: expiry, pinned: '4' }).books();
    const { version, sequence } = books;
    settled(books, expiry);
    expect([books.version, books.sequence]).toEqual([version, sequence]);
    expect([...books.lots.values()]).toMatchObject([{ inForce: false, remaining: credits('4') }]);
    expect(books.nextTransitionAt).toBeNull();
  });

  it('waits while it is frozen', () => {
    const books = aWallet().at(NOW).withLot('purchased', '4', { expiresAt: expiry, frozen: true }).books();
    settled(books, after(expiry, DAY));
    expect(books.entries).toEqual([]);
    expect(books.balance).toBe(credits('4'));
  });

  it('makes no entry once it has been spent, and is not looked for again', () => {
    const books = wallet().books();
    books.post(aDebit('10'));
    settled(books, expiry);
    expect(posted(books)).toHaveLength(1);
    expect(books.nextTransitionAt).toBeNull();
  });
});

describe('a lot that starts later', () => {
  const start = after(NOW, 1_000);

  it('is spent from its first instant on, and not a millisecond before', () => {
    const books = aWallet().at(NOW).withLot('purchased', '10', { effectiveAt: start }).books();
    expect(books.moveTo(after(start, -1)).post(aDebit('1'))).toMatchObject({ refusal: { available: 0n } });
    expect(books.moveTo(start).post(aDebit('1'))).toMatchObject({ status: 'posted', available: credits('9') });
    expectSound(books);
  });

  it('is a change of the balance without an entry', () => {
    const books = aWallet().at(NOW).withLot('purchased', '10', { effectiveAt: start }).books();
    const { version, sequence } = books;
    settled(books, after(start, 5));
    expect(books.entries).toEqual([]);
    expect(books.sequence).toBe(sequence);
    expect(books.changes).toMatchObject([
      {
        version: version + 1n,
        sequence,
        change: credits('10'),
        reasonCode: 'LOT_STARTED',
        transactionId: null,
        occurredAt: start,
      },
    ]);
  });

  it('takes its place in the burn order', () => {
    const books = aWallet()
      .at(NOW)
      .withLot('purchased', '10', { effectiveAt: after(NOW, -5) })
      .withLot('purchased', '3', { effectiveAt: start, expiresAt: after(start, DAY) })
      .books();
    books.moveTo(start).post(aDebit('4'));
    expect([...books.lots.values()].map((lot) => lot.remaining)).toEqual([credits('9'), 0n]);
  });

  it('that has expired unseen as well, starts and expires, in that order', () => {
    const end = after(start, 1_000);
    const books = aWallet().at(NOW).withLot('purchased', '10', { effectiveAt: start, expiresAt: end }).books();
    settled(books, after(end, DAY));
    expect(books.changes.map(({ reasonCode, change, occurredAt }) => [reasonCode, change, occurredAt])).toEqual([
      ['LOT_STARTED', credits('10'), start],
      ['EXPIRY', credits('-10'), end],
    ]);
    expect(books.balance).toBe(0n);
    expectSound(books);
  });
});

describe('an allowance', () => {
  const daily = (nextRefreshAt: Instant, lastRefreshedAt: Instant | null = null) =>
    aWallet().at(NOW).withAllowance('daily_free', 'DAY', '100', { nextRefreshAt, lastRefreshedAt });

  it('is granted from the instant it was first due, not from the one it was first looked at', () => {
    const began = at('2026-03-10T09:30:00');
    const books = settled(daily(began).books(), NOW);
    expect(posted(books)).toEqual([['ALLOWANCE', '100', '2026-03-10T09:30:00.000Z']]);
    expect([...books.lots.values()]).toMatchObject([
      { source: 'ALLOWANCE', effectiveAt: began, expiresAt: at('2026-03-11T00:00:00'), paid: false, inForce: true },
    ]);
    expect(books.allowances).toMatchObject([{ lastRefreshedAt: began, nextRefreshAt: at('2026-03-11T00:00:00') }]);
    expect(books.nextTransitionAt).toBe(at('2026-03-11T00:00:00'));
  });

  it('that was first due in a month that is over, counts in the month that is running', () => {
    const books = aWallet()
      .at(at('2026-02-01T10:00:00'))
      .withAllowance('monthly_plan', 'MONTH', '100', { nextRefreshAt: at('2026-01-31T23:00:00'), anchorDay: 31 })
      .books();
    books.post(aSettlement());
    expect(posted(books)).toEqual([['PLAN_GRANT', '100', '2026-01-31T23:00:00.000Z']]);
  });

  it('is spent by the command that found it due', () => {
    const books = daily(NOW).books();
    expect(books.post(aDebit('30'))).toMatchObject({ status: 'posted', available: credits('70') });
    expectSound(books);
  });

  it('is replaced at the end of its period: what is left expires, then the new one is granted', () => {
    const books = daily(at('2026-03-10T00:00:00')).books();
    books.post(aDebit('30'));
    settled(books, at('2026-03-11T00:00:00'));
    expect(posted(books).slice(2)).toEqual([
      ['EXPIRY', '-70', '2026-03-11T00:00:00.000Z'],
      ['ALLOWANCE', '100', '2026-03-11T00:00:00.000Z'],
    ]);
    expect(books.available).toBe(credits('100'));
    expectSound(books);
  });

  it('is still yesterday’s one millisecond before the day ends', () => {
    const books = settled(daily(at('2026-03-10T00:00:00')).books(), NOW);
    settled(books, after(at('2026-03-11T00:00:00'), -1));
    expect(books.entries).toHaveLength(1);
  });

  it.each([
    ['a day', 1],
    ['ten days', 10],
    ['two years', 730],
  ])('is granted once for the current period after a sleep of %s', (_name, days) => {
    const books = settled(daily(at('2026-03-10T00:00:00')).books(), NOW);
    const woken = after(NOW, days * DAY);
    settled(books, woken);
    const today = `${formatInstant(woken).slice(0, 10)}T00:00:00.000Z`;
    expect(posted(books).slice(1)).toEqual([
      ['EXPIRY', '-100', '2026-03-11T00:00:00.000Z'],
      ['ALLOWANCE', '100', today],
    ]);
    expect(books.available).toBe(credits('100'));
    expect(books.lots.size).toBe(2);
    expectSound(books);
  });

  it('is granted once a period, however often the wallet is touched', () => {
    const books = daily(at('2026-03-10T00:00:00')).books();
    for (let minute = 0; minute < 50; minute++) settled(books, after(NOW, minute * 60_000));
    expect(books.entries).toHaveLength(1);
  });

  it('of a day lasts 23 and 25 hours where the clocks change', () => {
    const books = aWallet()
      .at(at('2026-03-28T12:00:00'))
      .in('Europe/Berlin')
      .withAllowance('daily_free', 'DAY', '100', { nextRefreshAt: at('2026-03-27T23:00:00') })
      .books();
    const days: number[] = [];
    for (const noon of ['2026-03-28', '2026-03-29', '2026-03-30', '2026-10-24', '2026-10-25', '2026-10-26']) {
      settled(books, at(`${noon}T11:00:00`));
      const lot = [...books.lots.values()].at(-1);
      days.push(((lot?.expiresAt ?? 0) - (lot?.effectiveAt ?? 0)) / HOUR);
    }
    expect(days).toEqual([24, 23, 24, 24, 25, 24]);
    expect(books.available).toBe(credits('100'));
    expectSound(books);
  });

  it('of a month that is anchored on the 31st follows the short months', () => {
    const books = aWallet()
      .at(at('2026-01-31T12:00:00'))
      .withAllowance('monthly_plan', 'MONTH', '2000', { nextRefreshAt: at('2026-01-31T00:00:00'), anchorDay: 31 })
      .books();
    for (const day of ['2026-01-31', '2026-02-27', '2026-02-28', '2026-03-30', '2026-03-31', '2026-04-30']) {
      settled(books, at(`${day}T12:00:00`));
    }
    expect(
      posted(books)
        .filter(([reason]) => reason === 'PLAN_GRANT')
        .map(([, , when]) => when),
    ).toEqual([
      '2026-01-31T00:00:00.000Z',
      '2026-02-28T00:00:00.000Z',
      '2026-03-31T00:00:00.000Z',
      '2026-04-30T00:00:00.000Z',
    ]);
    expectSound(books);
  });

  it('of nothing makes no entry, but its next refresh moves on', () => {
    const books = aWallet().at(NOW).withAllowance('daily_free', 'DAY', '0', { nextRefreshAt: NOW }).books();
    settled(books, NOW);
    expect(books.transactions).toEqual([]);
    expect(books.nextTransitionAt).toBe(at('2026-03-11T00:00:00'));
  });

  it('is granted as a plan’s credits into a bucket of kind PLAN, and as an allowance elsewhere', () => {
    const books = aWallet()
      .at(NOW)
      .withAllowance('monthly_plan', 'MONTH', '5', { nextRefreshAt: NOW })
      .withAllowance('daily_free', 'DAY', '7', { nextRefreshAt: NOW })
      .books();
    settled(books, NOW);
    expect([...books.lots.values()].map((lot) => [lot.bucketId, lot.source]).sort()).toEqual([
      ['bucket-daily_free', 'ALLOWANCE'],
      ['bucket-monthly_plan', 'PLAN_GRANT'],
    ]);
    expect(books.transactions.every((transaction) => transaction.kind === 'GRANT')).toBe(true);
  });

  it('is not due before its time', () => {
    const books = settled(daily(after(NOW, 1)).books(), NOW);
    expect(books.entries).toEqual([]);
    expect(books.nextTransitionAt).toBe(after(NOW, 1));
  });
});

describe('several transitions', () => {
  it('are posted in the order in which they were due, whatever the order of the rows', () => {
    const books = aWallet()
      .at(NOW)
      .withLot('purchased', '1', { expiresAt: after(NOW, 3 * HOUR) })
      .withLot('promotional', '2', { expiresAt: after(NOW, 1 * HOUR) })
      .withLot('purchased', '4', { effectiveAt: after(NOW, 2 * HOUR), expiresAt: after(NOW, 4 * HOUR) })
      .withAllowance('daily_free', 'DAY', '100', { nextRefreshAt: at('2026-03-10T14:30:00') })
      .books();
    settled(books, after(NOW, 5 * HOUR));
    expect(
      books.changes.map(({ reasonCode, occurredAt }) => [reasonCode, formatInstant(occurredAt).slice(11, 16)]),
    ).toEqual([
      ['EXPIRY', '13:00'],
      ['LOT_STARTED', '14:00'],
      ['ALLOWANCE', '14:30'],
      ['EXPIRY', '15:00'],
      ['EXPIRY', '16:00'],
    ]);
    expectSound(books);
  });

  it('due at one instant: what expires leaves first, then what refreshes arrives, then what starts', () => {
    const midnight = at('2026-03-11T00:00:00');
    const books = aWallet()
      .at(NOW)
      .withLot('purchased', '4', { effectiveAt: midnight })
      .withAllowance('daily_free', 'DAY', '100', { nextRefreshAt: midnight })
      .withLot('purchased', '1', { expiresAt: midnight })
      .books();
    settled(books, midnight);
    expect(books.changes.map((change) => change.reasonCode)).toEqual(['EXPIRY', 'ALLOWANCE', 'LOT_STARTED']);
  });

  it('of two allowances due at one instant come in the order in which their credits burn, however they were loaded', () => {
    const midnight = at('2026-03-11T00:00:00');
    const books = aWallet()
      .at(NOW)
      .withAllowance('monthly_plan', 'MONTH', '50', { anchorDay: 11, nextRefreshAt: midnight })
      .withAllowance('daily_free', 'DAY', '60', { nextRefreshAt: midnight })
      .books();
    settled(books, midnight);
    expect(books.changes.map((change) => change.reasonCode)).toEqual(['ALLOWANCE', 'PLAN_GRANT']);
    expectSound(books);
  });

  it('are not posted on a frozen wallet, and are all there once it is thawed', () => {
    const books = aWallet()
      .at(NOW)
      .withLot('purchased', '1', { expiresAt: after(NOW, HOUR) })
      .withAllowance('daily_free', 'DAY', '100', { nextRefreshAt: after(NOW, HOUR) })
      .frozen()
      .books();
    const before = stateOf(books);
    settled(books, after(NOW, 2 * HOUR));
    expect(books.post(aDebit('1'))).toMatchObject({ refusal: { code: 'WALLET_FROZEN' } });
    expect(stateOf(books)).toEqual(before);
    books.frozen = false;
    settled(books, after(NOW, 3 * HOUR));
    expect(posted(books).map(([reason]) => reason)).toEqual(['EXPIRY', 'ALLOWANCE']);
    expectSound(books);
  });
});

describe('more than one batch may post', () => {
  const manyLots = (count: number, dueLots: number) => {
    const wallet = aWallet().at(NOW).loaded({ dueLots });
    for (let index = 0; index < count; index++) {
      wallet.withLot('purchased', '1', { expiresAt: after(NOW, 1_000 * (index + 1)) });
    }
    return wallet.withLot('purchased', '5');
  };

  it('leaves the wallet busy, posts what it can, and catches up', () => {
    const books = manyLots(7, 3).books();
    books.moveTo(after(NOW, HOUR));
    expect(books.post(aDebit('1', { key: 'k' }))).toEqual({ status: 'busy' });
    expect(books.entries).toHaveLength(3);
    expect(books.records.size).toBe(0);
    expectSound(books);
    expect(books.post(aSettlement())).toEqual({ status: 'busy' });
    expect(books.post(aDebit('1', { key: 'k' }))).toMatchObject({ status: 'posted', available: credits('4') });
    expect(posted(books).map(([reason]) => reason)).toEqual([...Array.from({ length: 7 }, () => 'EXPIRY'), 'USAGE']);
    expectSound(books);
  });

  it('is not more where the bound is met exactly', () => {
    const books = manyLots(3, 3).books();
    expect(books.moveTo(after(NOW, HOUR)).post(aDebit('1'))).toMatchObject({ status: 'posted' });
  });

  it('refuses every new command as busy, purchases and grants too, and still answers used keys', () => {
    const books = manyLots(7, 3).withPurchase('p').books();
    books.post(aDebit('1', { key: 'used' }));
    books.moveTo(after(NOW, HOUR));
    expect(books.run(aGrant('1'), aResolution('p', 'PAID'), aSettlement(), aDebit('1', { key: 'used' }))).toMatchObject(
      [{ status: 'busy' }, { status: 'busy' }, { status: 'busy' }, { status: 'replayed' }],
    );
    expect(books.purchases.get('p')?.facts.status).toBe('PENDING');
    expect(books.audits).toEqual([]);
  });

  it('posts nothing that is due after the last lot loaded, so that the order holds over batches', () => {
    const books = manyLots(4, 2)
      .withAllowance('daily_free', 'DAY', '100', { nextRefreshAt: after(NOW, 3_500) })
      .books();
    books.moveTo(after(NOW, HOUR));
    expect(books.post(aSettlement())).toEqual({ status: 'busy' });
    expect(posted(books).map(([reason]) => reason)).toEqual(['EXPIRY', 'EXPIRY']);
    books.post(aSettlement());
    books.post(aSettlement());
    expect(posted(books).map(([reason]) => reason)).toEqual(['EXPIRY', 'EXPIRY', 'EXPIRY', 'ALLOWANCE', 'EXPIRY']);
    expectSound(books);
  });

  it('at one instant ends as if all had been posted at once', () => {
    const midnight = at('2026-03-11T00:00:00');
    const wallet = aWallet().at(NOW).loaded({ dueLots: 2 });
    for (let index = 0; index < 5; index++) wallet.withLot('daily_free', '1', { expiresAt: midnight });
    const books = wallet.withAllowance('daily_free', 'DAY', '100', { nextRefreshAt: midnight }).books();
    books.moveTo(midnight);
    for (let batches = 0; books.post(aSettlement()).status === 'busy'; batches++) expect(batches).toBeLessThan(10);
    expect(posted(books).map(([reason]) => reason)).toEqual([
      ...Array.from({ length: 5 }, () => 'EXPIRY'),
      'ALLOWANCE',
    ]);
    expectSound(books);
  });

  it.each([1, 2, 3, 4, 5, 6])(
    'at one instant keeps its order with a bound of %i: expiries, the refresh, starts',
    (dueLots) => {
      const midnight = at('2026-03-11T00:00:00');
      const wallet = aWallet().at(NOW).loaded({ dueLots });
      for (let index = 0; index < 3; index++) {
        wallet.withLot('purchased', '2', { effectiveAt: midnight }).withLot('daily_free', '1', { expiresAt: midnight });
      }
      const books = wallet.withAllowance('daily_free', 'DAY', '100', { nextRefreshAt: midnight }).books();
      books.moveTo(midnight);
      for (let batches = 0; books.post(aSettlement()).status === 'busy'; batches++) expect(batches).toBeLessThan(10);
      expect(books.changes.map((change) => change.reasonCode)).toEqual([
        ...['EXPIRY', 'EXPIRY', 'EXPIRY'],
        'ALLOWANCE',
        ...['LOT_STARTED', 'LOT_STARTED', 'LOT_STARTED'],
      ]);
      expectSound(books);
    },
  );

  it('ends, for any lots and any bound, as if all had been posted at once', () => {
    const lot = fc.record({
      bucket: fc.constantFrom('daily_free', 'promotional', 'purchased'),
      amount: fc.integer({ min: 1, max: 9 }),
      start: fc.option(fc.integer({ min: 1, max: 40 })),
      end: fc.option(fc.integer({ min: 1, max: 40 })),
      pinned: fc.boolean(),
    });
    fc.assert(
      fc.property(
        fc.array(lot, { maxLength: 10 }),
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 0, max: 60 }),
        (lots, dueLots, now) => {
          const build = (bound: number) => {
            const wallet = aWallet().at(NOW).loaded({ dueLots: bound });
            for (const { bucket, amount, start, end, pinned } of lots) {
              const effectiveAt = start === null ? after(NOW, -HOUR) : after(NOW, start * HOUR);
              const expiresAt = end === null ? null : after(effectiveAt, end * HOUR);
              wallet.withLot(bucket, `${amount}`, {
                effectiveAt,
                expiresAt,
                pinned: pinned && start === null ? '1' : '0',
              });
            }
            wallet.withAllowance('daily_free', 'DAY', '100', { nextRefreshAt: at('2026-03-11T00:00:00') });
            return wallet.books().moveTo(after(NOW, now * HOUR));
          };
          const [bounded, whole] = [build(dueLots), build(1_000)];
          let batches = 0;
          while (bounded.post(aSettlement()).status === 'busy') expect(++batches).toBeLessThan(100);
          expect(whole.post(aSettlement())).toEqual({ status: 'settled' });
          expect(bounded.available).toBe(whole.available);
          expect(bounded.balance).toBe(whole.balance);
          expect(bounded.nextTransitionAt).toBe(whole.nextTransitionAt);
          expect(posted(bounded).map(String).sort()).toEqual(posted(whole).map(String).sort());
          expectSound(bounded);
          expectSound(whole);
        },
      ),
      { numRuns: 200 },
    );
  });
});
