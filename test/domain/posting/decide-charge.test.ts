import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatCredits, type Micros, micros } from '../../../src/domain/credits/micros.ts';
import type { PostedEntry } from '../../../src/domain/posting/records.ts';
import { rateCard } from '../../../src/domain/pricing/rate-card.ts';
import type { SubscriptionStatus } from '../../../src/domain/subscriptions/subscription.ts';
import { instant } from '../../../src/domain/time/instant.ts';
import { expectSound, stateOf } from '../../support/builders-audit.ts';
import { aWallet, type Books, policies } from '../../support/builders-books.ts';
import { A_KEY, aDebit, aDebitOf, WALLET } from '../../support/builders-commands.ts';
import { after, aRate, at, credits, usageOf } from '../../support/builders-values.ts';

const NOW = at('2026-03-10T12:00:00');
const moves = (entries: readonly PostedEntry[]) =>
  entries.map(({ bucketId, amount, balanceAfter }) => [bucketId, formatCredits(amount), formatCredits(balanceAfter)]);

describe('a debit', () => {
  it('is taken lot by lot in burn order and sums exactly', () => {
    const books = aWallet()
      .at(NOW)
      .withLot('purchased', '50')
      .withLot('monthly_plan', '33.333333', { expiresAt: after(NOW, 5_000) })
      .withLot('monthly_plan', '33.333333', { expiresAt: after(NOW, 1_000) })
      .withLot('promotional', '1', { paid: true })
      .withLot('promotional', '2')
      .books();
    const outcome = books.post(aDebit('100'));
    expect(outcome).toMatchObject({ status: 'posted', available: credits('19.666666') });
    expect(moves(books.entries)).toEqual([
      ['bucket-promotional', '2', '117.666666'],
      ['bucket-promotional', '1', '116.666666'],
      ['bucket-monthly_plan', '33.333333', '83.333333'],
      ['bucket-monthly_plan', '33.333333', '50'],
      ['bucket-purchased', '30.333334', '19.666666'],
    ]);
    expect(books.entries.map((entry) => entry.lotId)).toEqual([
      'id-00000005',
      'id-00000004',
      'id-00000003',
      'id-00000002',
      'id-00000001',
    ]);
    expect(books.transactions).toMatchObject([
      { kind: 'DEBIT', amount: credits('-100'), postedAt: NOW, effectiveAt: NOW },
    ]);
    expectSound(books);
  });

  it('of exactly everything is taken, and of one micro more refused', () => {
    const builder = () => aWallet().withLot('promotional', '0.000001').withLot('purchased', '5');
    const exact = builder().books();
    expect(exact.post(aDebit('5.000001'))).toMatchObject({ status: 'posted', available: 0n });
    expectSound(exact);
    const beyond = builder().books();
    const before = stateOf(beyond);
    expect(beyond.post(aDebit('5.000002'))).toMatchObject({
      status: 'refused',
      replayed: false,
      available: credits('5.000001'),
      refusal: {
        code: 'INSUFFICIENT_CREDITS',
        required: credits('5.000002'),
        available: credits('5.000001'),
        held: 0n,
      },
    });
    expect(stateOf(beyond)).toEqual(before);
    expect(beyond.transactions).toEqual([]);
    expect(beyond.changes).toEqual([]);
  });

  it('spares what is pinned, frozen or not yet in force, and tells what is held', () => {
    const books = aWallet()
      .at(NOW)
      .withLot('purchased', '10', { pinned: '4' })
      .withLot('purchased', '100', { frozen: true })
      .withLot('purchased', '100', { effectiveAt: after(NOW, 1) })
      .books();
    expect(books.post(aDebit('6.5'))).toMatchObject({
      refusal: { code: 'INSUFFICIENT_CREDITS', available: credits('6'), held: credits('4') },
    });
    expect(books.post(aDebit('6'))).toMatchObject({ status: 'posted', available: 0n });
    expect(books.remainingIn('purchased').toSorted()).toEqual(
      [credits('100'), credits('100'), credits('4')].toSorted(),
    );
    expectSound(books);
  });

  it('makes one change of the balance, however many lots it took', () => {
    const books = aWallet().withLot('promotional', '1').withLot('purchased', '9').books();
    const { version, sequence } = books;
    books.post(aDebit('4', { reasonCode: 'CRAWL' }));
    expect(books.sequence).toBe(sequence + 2n);
    expect(books.changes).toEqual([
      {
        walletId: WALLET,
        version: version + 1n,
        sequence: sequence + 2n,
        change: credits('-4'),
        reasonCode: 'CRAWL',
        totalAvailable: credits('6'),
        held: 0n,
        transactionId: books.transactions[0]?.id,
        occurredAt: books.now,
      },
    ]);
  });

  it('keeps what the caller said of it', () => {
    const books = aWallet().withLot('purchased', '9').books();
    const attribution = { userId: 'user-1', projectId: 'project-1', taskId: 'task-1', executionId: 'execution-1' };
    const occurredAt = after(books.now, -60_000);
    books.post(aDebit('4', { key: 'k', attribution, occurredAt, metadata: { page: 3 }, reasonCode: 'CRAWL' }));
    expect(books.transactions[0]).toMatchObject({
      reasonCode: 'CRAWL',
      idempotencyKey: 'k',
      actor: A_KEY,
      attribution,
      occurredAt,
      metadata: { page: 3 },
      lines: [],
      rateCardVersion: null,
      purchaseId: null,
    });
    expect(books.entries[0]).toMatchObject({ reasonCode: 'CRAWL', direction: 'DEBIT', meter: null });
    // The hash covers all of it: an audit that rebuilds it from the rows finds the same.
    expectSound(books);
  });

  it('of any amount takes a prefix of the burn order and leaves the rest untouched', () => {
    const lot = fc.record({
      bucket: fc.constantFrom('daily_free', 'promotional', 'monthly_plan', 'purchased'),
      amount: fc.bigInt({ min: 1n, max: 50n }),
      expiresIn: fc.option(fc.integer({ min: 1, max: 3 })),
      paid: fc.boolean(),
      pinned: fc.bigInt({ min: 0n, max: 50n }),
    });
    fc.assert(
      fc.property(fc.array(lot, { minLength: 1, maxLength: 12 }), fc.nat(), (lots, share) => {
        const wallet = aWallet().at(NOW);
        for (const { bucket, amount, expiresIn, paid, pinned } of lots) {
          const expiresAt = expiresIn === null ? null : after(NOW, expiresIn);
          const held = formatCredits(micros(pinned % (amount + 1n)));
          wallet.withLot(bucket, formatCredits(micros(amount)), { expiresAt, paid, pinned: held });
        }
        const books = wallet.books();
        fc.pre(books.available > 0n);
        const order = inBurnOrder(books);
        const amount = micros(1n + (BigInt(share) % books.available));
        books.post(aDebit(formatCredits(amount)));
        let rest: bigint = amount;
        for (const { id, remaining, pinned } of order) {
          const free = remaining - pinned;
          const take = rest < free ? rest : free;
          expect(books.lots.get(id)?.remaining).toBe(remaining - take);
          rest -= take;
        }
        expect(rest).toBe(0n);
        expectSound(books);
      }),
    );
  });
});

/** Every lot of the wallet in its published order, by the rule's words rather than by the comparator. */
function inBurnOrder(books: Books): { id: string; remaining: Micros; pinned: Micros }[] {
  const bucketOf = (id: string) => books.buckets.find((bucket) => bucket.id === id)?.burnPriority ?? 0;
  const keys = [...books.lots.values()].map((lot) => ({
    ...lot,
    text: [
      bucketOf(lot.bucketId).toString().padStart(5, '0'),
      (lot.expiresAt ?? Number.MAX_SAFE_INTEGER).toString().padStart(20, '0'),
      lot.paid ? '1' : '0',
      lot.effectiveAt.toString().padStart(20, '0'),
      lot.id,
    ].join('|'),
  }));
  return keys.sort((a, b) => (a.text < b.text ? -1 : 1));
}

describe('free work', () => {
  const rates = [aRate('read', '0', { unit: 'call' }), aRate('scrape', '1')];
  const free = () => aDebitOf([usageOf('read', '3')], { key: 'k' });

  it('stores its transaction with its lines and no entry; sequence and version do not move', () => {
    const books = aWallet().withLot('purchased', '5').under(policies({ rates })).books();
    const before = stateOf(books);
    const outcome = books.post(free());
    expect(outcome).toMatchObject({ status: 'posted', available: credits('5'), lotId: null });
    expect(books.transactions).toMatchObject([
      { kind: 'DEBIT', amount: 0n, rateCardVersion: 1, lines: [{ meter: 'read', credits: 0n }] },
    ]);
    expect(books.changes).toEqual([]);
    expect(stateOf(books)).toEqual(before);
  });

  it('passes with nothing to spend, and is idempotent like any other', () => {
    const books = aWallet().under(policies({ rates })).books();
    expect(books.post(free())).toMatchObject({ status: 'posted', available: 0n });
    expect(books.post(free())).toMatchObject({ status: 'replayed', available: 0n });
    expect(books.transactions).toHaveLength(1);
  });

  it('needs a subscription all the same', () => {
    const books = aWallet().subscribed('CANCELED').under(policies({ rates })).books();
    expect(books.post(free())).toMatchObject({ refusal: { code: 'SUBSCRIPTION_REQUIRED', status: 'CANCELED' } });
    expect(books.transactions).toEqual([]);
  });

  it('is what rounds to nothing, too', () => {
    const tiny = [aRate('read', '0.0000001')];
    const books = aWallet()
      .under(policies({ rates: tiny }))
      .books();
    expect(books.post(free())).toMatchObject({ status: 'posted', transaction: { amount: 0n } });
  });
});

describe('metered usage', () => {
  const rates = [aRate('scrape', '1.5', { unit: 'page' }), aRate('crawl', '2')];

  it('is charged by the rate card, and its version pinned', () => {
    const books = aWallet().withLot('purchased', '10').under(policies({ rates })).books();
    expect(books.post(aDebitOf([usageOf('scrape', '2'), usageOf('crawl', '1')]))).toMatchObject({
      status: 'posted',
      available: credits('5'),
      transaction: {
        amount: credits('-5'),
        rateCardVersion: 1,
        lines: [{ credits: credits('3') }, { credits: credits('2') }],
      },
    });
  });

  it('names the meter in its entries where all lines share one, and none otherwise', () => {
    const books = aWallet().withLot('purchased', '100').under(policies({ rates })).books();
    books.post(aDebitOf([usageOf('scrape', '1'), usageOf('scrape', '2')]));
    books.post(aDebitOf([usageOf('scrape', '1'), usageOf('crawl', '2')]));
    books.post(aDebit('1'));
    expect(books.entries.map((entry) => entry.meter)).toEqual(['scrape', null, null]);
  });

  it('is priced by the card in effect when it occurred, not when it is posted', () => {
    const cards = [
      rateCard(1, at('2026-01-01T00:00:00'), [aRate('scrape', '1')]),
      rateCard(2, after(NOW, -3_600_000), [aRate('scrape', '2')]),
    ];
    const books = aWallet()
      .at(NOW)
      .withLot('purchased', '10')
      .under({ ...policies(), rateCards: cards })
      .books();
    const usage = [usageOf('scrape', '1')];
    expect(books.post(aDebitOf(usage))).toMatchObject({ transaction: { amount: credits('-2'), rateCardVersion: 2 } });
    const occurredAt = after(NOW, -3_600_001);
    expect(books.post(aDebitOf(usage, { occurredAt }))).toMatchObject({
      transaction: { amount: credits('-1'), rateCardVersion: 1, effectiveAt: NOW },
    });
    expect(books.post(aDebitOf(usage, { occurredAt: after(NOW, -3_600_000) }))).toMatchObject({
      transaction: { rateCardVersion: 2 },
    });
  });

  it('of an unknown meter is refused with the meter', () => {
    const books = aWallet().withLot('purchased', '10').under(policies({ rates })).books();
    const before = stateOf(books);
    expect(books.post(aDebitOf([usageOf('scrape', '1'), usageOf('fly', '1', { far: true })]))).toMatchObject({
      status: 'refused',
      refusal: { code: 'UNKNOWN_METER', meter: 'fly', dimensions: { far: true } },
    });
    expect(stateOf(books)).toEqual(before);
    expect(books.records.size).toBe(0);
  });
});

describe('when the work occurred', () => {
  const lateness = 7 * 86_400_000;

  it.each([
    ['now', 0, true],
    ['as old as the catalog allows', -lateness, true],
    ['a millisecond older', -lateness - 1, false],
    ['5 minutes ahead', 300_000, true],
    ['a millisecond further ahead', 300_001, false],
  ])('may be %s: %s', (_name, offset, accepted) => {
    const books = aWallet().at(NOW).withLot('purchased', '10').books();
    const outcome = books.post(aDebit('1', { occurredAt: after(NOW, offset) }));
    if (accepted) expect(outcome).toMatchObject({ status: 'posted', transaction: { effectiveAt: NOW } });
    else expect(outcome).toMatchObject({ refusal: { code: 'INVALID_INPUT', path: ['occurredAt'] } });
    expect(books.entries).toHaveLength(accepted ? 1 : 0);
  });
});

describe('the ceiling of one command', () => {
  const rates = [aRate('scrape', '1')];

  it.each([
    [aDebit('10'), 'posted', null],
    [aDebit('10.000001'), 'refused', 'amount'],
    [aDebitOf([usageOf('scrape', '10')]), 'posted', null],
    [aDebitOf([usageOf('scrape', '5'), usageOf('scrape', '5.000001')]), 'refused', 'usage'],
  ])('%# may be reached and not passed', (command, status, path) => {
    const books = aWallet()
      .withLot('purchased', '100')
      .under(policies({ commandCeiling: '10', rates }))
      .books();
    const outcome = books.post(command);
    expect(outcome.status).toBe(status);
    if (path !== null) expect(outcome).toMatchObject({ refusal: { code: 'INVALID_INPUT', path: [path] } });
  });
});

describe('a subscription', () => {
  it.each<[SubscriptionStatus | null, boolean]>([
    ['ACTIVE', true],
    ['TRIALING', true],
    ['PAST_DUE', false],
    ['CANCELED', false],
    [null, false],
  ])('that is %s lets spend: %s', (status, mayBeSpent) => {
    const books = aWallet().withLot('purchased', '10').subscribed(status).books();
    const before = stateOf(books);
    const outcome = books.post(aDebit('1'));
    if (mayBeSpent) expect(outcome.status).toBe('posted');
    else {
      expect(outcome).toMatchObject({ status: 'refused', refusal: { code: 'SUBSCRIPTION_REQUIRED', status } });
      expect(stateOf(books)).toEqual(before);
      expect(books.records.size).toBe(0);
    }
  });
});

describe('the order of refusals', () => {
  /** A command with every fault at once, on a wallet with every fault; each step mends the one that was named. */
  it('is fixed: invalid, frozen, unknown meter, subscription, funds', () => {
    const books = aWallet()
      .subscribed(null)
      .frozen()
      .under(policies({ rates: [aRate('scrape', '1')] }))
      .books();
    const tooEarly = { occurredAt: instant(books.now + 86_400_000) };
    const code = (command: Parameters<Books['post']>[0]) => {
      const outcome = books.post(command);
      return outcome.status === 'refused' ? outcome.refusal.code : outcome.status;
    };
    expect(code(aDebitOf([usageOf('fly', '1')], tooEarly))).toBe('INVALID_INPUT');
    expect(code(aDebitOf([usageOf('fly', '1')]))).toBe('WALLET_FROZEN');
    books.frozen = false;
    expect(code(aDebitOf([usageOf('fly', '1')]))).toBe('UNKNOWN_METER');
    expect(code(aDebitOf([usageOf('scrape', '1')]))).toBe('SUBSCRIPTION_REQUIRED');
    books.status = 'ACTIVE';
    expect(code(aDebitOf([usageOf('scrape', '1')]))).toBe('INSUFFICIENT_CREDITS');
  });

  it('answers a used key before anything that the books would refuse', () => {
    const books = aWallet().withLot('purchased', '1').books();
    books.post(aDebit('1', { key: 'k' }));
    books.frozen = true;
    expect(books.post(aDebit('2', { key: 'k' }))).toMatchObject({ refusal: { code: 'IDEMPOTENCY_KEY_REUSED' } });
  });
});
