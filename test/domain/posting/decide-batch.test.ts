import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatCredits, micros, sum } from '../../../src/domain/credits/micros.ts';
import type { Command } from '../../../src/domain/posting/commands.ts';
import { type BatchInput, decideBatch } from '../../../src/domain/posting/decide-batch.ts';
import { expectSound, stateOf } from '../../support/builders-audit.ts';
import { aWallet, policies } from '../../support/builders-books.ts';
import {
  aDebit,
  aDebitOf,
  aGrant,
  anAdjustment,
  anAuthorization,
  aRefund,
  aRelease,
  aResolution,
  aSettlement,
  someEvents,
  WALLET,
} from '../../support/builders-commands.ts';
import { after, aRate, at, credits, usageOf } from '../../support/builders-values.ts';

const NOW = at('2026-03-10T12:00:00');

const inputOf = (input: Partial<BatchInput>): BatchInput => {
  let ids = 0;
  return {
    commands: [],
    wallets: [],
    records: [],
    purchases: [],
    lots: [],
    refundables: [],
    redemptions: [],
    policies: policies(),
    newId: () => `new-${(++ids).toString().padStart(4, '0')}`,
    ...input,
  };
};

describe('a batch', () => {
  it('answers every command, in their order', () => {
    const books = aWallet().withLot('purchased', '10').withPurchase('p').books();
    const outcomes = books.run(
      aDebit('4'),
      aDebit('100'),
      aSettlement(),
      aGrant('1'),
      aResolution('p', 'PAID'),
      anAdjustment('-2', 'purchased'),
      aDebit('1005'),
    );
    expect(outcomes.map((outcome) => outcome.status)).toEqual([
      'posted',
      'refused',
      'settled',
      'posted',
      'purchase-resolved',
      'posted',
      'posted',
    ]);
    expect(books.available).toBe(0n);
    expectSound(books);
  });

  it('lets each command see what the earlier ones left, and no more', () => {
    const books = aWallet().withLot('purchased', '10').books();
    const outcomes = books.run(...Array.from({ length: 15 }, () => aDebit('1')));
    expect(outcomes.filter((outcome) => outcome.status === 'posted')).toHaveLength(10);
    expect(outcomes.slice(10).every((outcome) => outcome.status === 'refused')).toBe(true);
    expect(outcomes.map((outcome) => 'available' in outcome && outcome.available)).toEqual(
      [9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0, 0, 0, 0].map((left) => credits(`${left}`)),
    );
    expectSound(books);
  });

  it('is the same in one batch as in many', () => {
    const command = fc.oneof(
      fc.integer({ min: 1, max: 30 }).map((amount) => (key: string) => aDebit(`${amount}`, { key })),
      fc.integer({ min: 1, max: 30 }).map((amount) => (key: string) => aGrant(`${amount}`, { key })),
      fc.integer({ min: -20, max: -1 }).map((amount) => (key: string) => anAdjustment(`${amount}`, 'purchased', key)),
    );
    fc.assert(
      fc.property(
        fc.array(fc.tuple(command, fc.integer({ min: 0, max: 9 })), { maxLength: 20 }),
        fc.nat({ max: 20 }),
        (made, cut) => {
          const commands = made.map(([make, key]) => make(`key-${key}`));
          const start = () => aWallet().withLot('purchased', '30').withLot('promotional', '5').books();
          const [whole, split] = [start(), start()];
          const together = whole.run(...commands);
          const apart = [...split.run(...commands.slice(0, cut)), ...split.run(...commands.slice(cut))];
          const shape = (outcomes: readonly object[]) =>
            outcomes.map((outcome) => ({
              ...outcome,
              transactionId: undefined,
              transaction: undefined,
              lotId: undefined,
            }));
          expect(shape(apart)).toEqual(shape(together));
          expect(split.balance).toBe(whole.balance);
          expect(split.sequence).toBe(whole.sequence);
          expect(split.version).toBe(whole.version);
          expect([...split.lots.values()].map((lot) => lot.remaining)).toEqual(
            [...whole.lots.values()].map((lot) => lot.remaining),
          );
          expectSound(whole);
          expectSound(split);
        },
      ),
    );
  });

  it('decides the same again from the same input, and leaves the input as it was', () => {
    const books = aWallet()
      .at(NOW)
      .withLot('purchased', '10')
      .withLot('purchased', '3', { expiresAt: NOW, effectiveAt: after(NOW, -5) })
      .withAllowance('daily_free', 'DAY', '100', { nextRefreshAt: NOW })
      .withPurchase('p')
      .books();
    const wallet = deepFrozen(books.snapshot());
    const commands = deepFrozen([
      aDebit('50'),
      aGrant('5'),
      aResolution('p', 'PAID'),
      aDebit('1', { key: 'k' }),
      aDebit('1', { key: 'k' }),
    ]);
    const purchases = deepFrozen(
      [...books.purchases.values()].map(({ facts, buyer }) => ({ facts: { ...facts, lots: [] }, buyer })),
    );
    const decide = () => {
      const decision = decideBatch(inputOf({ commands, wallets: [wallet], purchases }));
      if (decision.kind !== 'decided') throw new Error('more lots were asked for');
      const [book] = decision.books;
      return { ...decision, books: [book?.entries, book?.transactions, book?.changes, book?.headHash] };
    };
    expect(decide()).toEqual(decide());
  });

  it('fails loudly for a wallet that was not loaded', () => {
    expect(() => decideBatch(inputOf({ commands: [aDebit('1')] }))).toThrow(WALLET);
  });

  it('of nothing decides nothing', () => {
    expect(decideBatch(inputOf({}))).toEqual({
      kind: 'decided',
      outcomes: [],
      books: [],
      newRecords: [],
      changedPurchases: [],
      audits: [],
      redemptions: [],
    });
  });
});

function deepFrozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const member of Object.values(value)) deepFrozen(member);
  return value;
}

describe('one key twice in a batch', () => {
  const twice = (first: Command, second: Command) => {
    const books = aWallet().withLot('purchased', '10').books();
    return { books, outcomes: books.run(first, second) };
  };

  it('with the same payload: the second is given the first’s answer', () => {
    const { books, outcomes } = twice(aDebit('4', { key: 'k' }), aDebit('4', { key: 'k' }));
    const [first, second] = outcomes;
    if (first?.status !== 'posted') throw new Error('the first was not posted');
    expect(second).toMatchObject({
      status: 'replayed',
      answer: { transactionId: first.transaction.id, lotId: null },
      available: credits('6'),
    });
    expect(books.records.size).toBe(1);
    expect(books.available).toBe(credits('6'));
  });

  it('with another payload: the second is refused', () => {
    const { books, outcomes } = twice(aDebit('4', { key: 'k' }), aDebit('5', { key: 'k' }));
    expect(outcomes[1]).toMatchObject({ refusal: { code: 'IDEMPOTENCY_KEY_REUSED', idempotencyKey: 'k' } });
    expect(books.available).toBe(credits('6'));
  });

  it('after a sticky refusal: the second is refused again, as a replay', () => {
    const { outcomes } = twice(aDebit('40', { key: 'k' }), aDebit('40', { key: 'k' }));
    expect(outcomes).toMatchObject([
      { status: 'refused', replayed: false },
      { status: 'refused', replayed: true },
    ]);
  });

  it('after a refusal that is not sticky: the second is decided for itself', () => {
    const { books, outcomes } = twice(aGrant('4', { key: 'k', bucket: 'nowhere' }), aDebit('4', { key: 'k' }));
    expect(outcomes).toMatchObject([{ refusal: { code: 'INVALID_INPUT' } }, { status: 'posted' }]);
    expect(books.records.get('organization-1:k')).toMatchObject({ operation: 'debit' });
  });
});

describe('several wallets in a batch', () => {
  const second = { walletId: 'wallet-2', organizationId: 'organization-2' };
  const snapshots = () => [
    aWallet().withLot('purchased', '10').books().snapshot(),
    { ...aWallet().withLot('purchased', '3').books().snapshot(), id: 'wallet-2', organizationId: 'organization-2' },
  ];

  it('are decided apart, and one key in two organizations is two keys', () => {
    const commands = [
      aDebit('4', { key: 'k' }),
      aDebit('4', { key: 'k', ...second }),
      aDebit('3', { key: 'l', ...second }),
    ];
    const decision = decideBatch(inputOf({ commands, wallets: snapshots() }));
    if (decision.kind !== 'decided') throw new Error('more lots were asked for');
    expect(decision.outcomes).toMatchObject([
      { status: 'posted', available: credits('6'), transaction: { walletId: 'wallet-1' } },
      { status: 'refused', refusal: { code: 'INSUFFICIENT_CREDITS', available: credits('3') } },
      { status: 'posted', available: 0n, transaction: { walletId: 'wallet-2' } },
    ]);
    expect(decision.newRecords.map((record) => [record.organizationId, record.idempotencyKey])).toEqual([
      ['organization-1', 'k'],
      ['organization-2', 'k'],
      ['organization-2', 'l'],
    ]);
    expect(decision.books.map((book) => [book.snapshot.id, book.balance, book.entries.length])).toEqual([
      ['wallet-1', credits('6'), 1],
      ['wallet-2', 0n, 1],
    ]);
  });

  it('do not disturb each other: a frozen and a busy one leave the third alone', () => {
    const [first, other] = snapshots();
    if (!first || !other) throw new Error('there are two');
    const frozen = { ...other, frozen: true };
    const behind = aWallet()
      .loaded({ dueLots: 0 })
      .withLot('purchased', '1', { expiresAt: NOW, effectiveAt: after(NOW, -9) });
    const busy = { ...behind.books().snapshot(), id: 'wallet-3', organizationId: 'organization-3' };
    const third = { walletId: 'wallet-3', organizationId: 'organization-3' };
    const commands = [aDebit('1', second), aDebit('1', third), aDebit('1')];
    const decision = decideBatch(inputOf({ commands, wallets: [frozen, busy, first] }));
    expect(decision).toMatchObject({
      outcomes: [{ refusal: { code: 'WALLET_FROZEN' } }, { status: 'busy' }, { status: 'posted' }],
    });
  });
});

describe('a bucket of which only a prefix was loaded', () => {
  const wallet = (lotsPerBucket: number, lots = 20) => {
    const builder = aWallet().at(NOW).loaded({ lotsPerBucket });
    for (let index = 0; index < lots; index++)
      builder.withLot('purchased', '1', { expiresAt: after(NOW, 1_000 + index) });
    return builder;
  };

  it('asks for more of its lots where the demand goes beyond them', () => {
    const books = wallet(3).books();
    const decide = (amount: string) =>
      decideBatch(inputOf({ commands: [aDebit(amount)], wallets: [books.snapshot()] })).kind;
    expect(decide('3')).toBe('decided');
    expect(decideBatch(inputOf({ commands: [aDebit('3.000001')], wallets: [books.snapshot()] }))).toEqual({
      kind: 'needs-lots',
    });
  });

  it('asks for more because of all commands together, not of each', () => {
    const books = wallet(3).books();
    const commands = [aDebit('1.5'), aDebit('1'), aDebit('1')];
    expect(decideBatch(inputOf({ commands, wallets: [books.snapshot()] })).kind).toBe('needs-lots');
  });

  it('refuses by its aggregate, with no more lots than explain it, what it cannot pay', () => {
    const books = wallet(20, 500).books();
    expect(books.post(aDebit('501'))).toMatchObject({ refusal: { available: credits('500') } });
    expect(books.reloads).toBe(0);
  });

  it('ends, with more lots loaded, as if all had been loaded at once', () => {
    const lot = fc.record({ amount: fc.integer({ min: 1, max: 5 }), end: fc.option(fc.integer({ min: 1, max: 50 })) });
    const command = fc.oneof(
      fc.integer({ min: 1, max: 25 }).map((amount) => (key: string) => aDebit(`${amount}`, { key })),
      fc.record({ amount: fc.integer({ min: 1, max: 25 }), end: fc.option(fc.integer({ min: 1, max: 50 })) }).map(
        ({ amount, end }) =>
          (key: string) =>
            aGrant(`${amount}`, { key, bucket: 'purchased', expiresAt: end === null ? null : after(NOW, end) }),
      ),
      fc.integer({ min: -9, max: -1 }).map((amount) => (key: string) => anAdjustment(`${amount}`, 'purchased', key)),
    );
    fc.assert(
      fc.property(
        fc.array(lot, { maxLength: 12 }),
        fc.array(command, { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 1, max: 4 }),
        (lots, made, lotsPerBucket) => {
          const commands = made.map((make, index) => make(`key-${index}`));
          const build = (limit: number) => {
            const builder = aWallet().at(NOW).loaded({ lotsPerBucket: limit });
            for (const { amount, end } of lots) {
              builder.withLot('purchased', `${amount}`, { expiresAt: end === null ? null : after(NOW, end) });
            }
            return builder.books();
          };
          const [partly, whole] = [build(lotsPerBucket), build(1_000)];
          const statuses = (outcomes: readonly { status: string }[]) => outcomes.map((outcome) => outcome.status);
          expect(statuses(partly.run(...commands))).toEqual(statuses(whole.run(...commands)));
          const moved = (books: typeof whole) => books.entries.map((entry) => [entry.amount, entry.balanceAfter]);
          expect(moved(partly)).toEqual(moved(whole));
          expect(partly.remainingIn('purchased')).toEqual(whole.remainingIn('purchased'));
          expectSound(partly);
          expectSound(whole);
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('a call of all or nothing that is refused', () => {
  it('answers with what can be spent, none of it having been taken by the events before', () => {
    const books = aWallet().withLot('purchased', '10').books();
    const outcome = books.post(someEvents('ALL_OR_NOTHING', [aDebit('7'), aDebit('4', { key: 'refused' })]));
    const notAttempted = { refusal: { code: 'NOT_ATTEMPTED' }, available: credits('10') };
    const refusal = { code: 'INSUFFICIENT_CREDITS', required: credits('4'), available: credits('3') };
    const told = { available: credits('10'), availableNow: credits('10') };
    expect(outcome).toMatchObject({ outcomes: [notAttempted, { refusal, ...told }] });

    books.post(aDebit('2'));

    const again = books.post(someEvents('EACH', [aDebit('4', { key: 'refused' })]));
    expect(again).toMatchObject({
      outcomes: [{ refusal, replayed: true, available: credits('10'), availableNow: credits('8') }],
    });
  });
});

describe('a refund of what was borrowed', () => {
  it('goes to the lot that has paid it back within the same batch', () => {
    const books = aWallet()
      .under(policies({ overdraft: '10' }))
      .books();
    const debit = books.post(aDebit('6', { overage: 'DEBT' }));
    if (debit.status !== 'posted') throw new Error('the debit was refused');

    const outcomes = books.run(aGrant('8'), aRefund(debit.transaction.id));

    expect(outcomes.map(({ status }) => status)).toEqual(['posted', 'posted']);
    expect(books.remainingIn('promotional')).toEqual([credits('8')]);
    expect(books.debt).toBe(0n);
    expectSound(books);
  });

  it('goes to the lot of an allowance that has paid it back when the refund came', () => {
    const books = aWallet()
      .at(NOW)
      .under(policies({ overdraft: '10' }))
      .withAllowance('monthly_plan', 'MONTH', '8', { nextRefreshAt: after(NOW, 1_000) })
      .books();
    const debit = books.post(aDebit('6', { overage: 'DEBT' }));
    if (debit.status !== 'posted') throw new Error('the debit was refused');

    const refund = books.moveTo(after(NOW, 1_000)).post(aRefund(debit.transaction.id));

    expect(refund.status).toBe('posted');
    expect(books.remainingIn('monthly_plan')).toEqual([credits('8')]);
    expectSound(books);
  });
});

describe('holds that lapse at one instant', () => {
  it('do so in the order they were made, whichever of them the batch names', () => {
    const books = aWallet()
      .at(NOW)
      .withLot('promotional', '10', { expiresAt: after(NOW, 500) })
      .books();
    const [first, second] = books.run(
      anAuthorization('1', { lifeSeconds: 1 }),
      anAuthorization('2', { lifeSeconds: 1 }),
    );
    if (first?.status !== 'held' || second?.status !== 'held') throw new Error('nothing was held');

    books.moveTo(after(NOW, 1_000)).post(aRelease(second.hold.facts.id));

    const expiries = books.transactions.filter(({ kind }) => kind === 'EXPIRY');
    expect(expiries.map(({ amount }) => amount)).toEqual(['-7', '-1', '-2'].map(credits));
  });
});

describe('settling', () => {
  it('posts what is due and nothing else, and works on a frozen wallet by doing nothing', () => {
    const builder = () =>
      aWallet()
        .at(NOW)
        .withLot('purchased', '1', { expiresAt: NOW, effectiveAt: after(NOW, -9) });
    const books = builder().books();
    expect(books.post(aSettlement())).toEqual({ status: 'settled' });
    expect(books.transactions.map((transaction) => transaction.kind)).toEqual(['EXPIRY']);
    const frozen = builder().frozen().books();
    const before = stateOf(frozen);
    expect(frozen.post(aSettlement())).toEqual({ status: 'settled' });
    expect(stateOf(frozen)).toEqual(before);
  });

  it('of a wallet without anything due changes nothing', () => {
    const books = aWallet().withLot('purchased', '1').books();
    const before = stateOf(books);
    books.post(aSettlement());
    expect(stateOf(books)).toEqual(before);
    expect(books.changes).toEqual([]);
  });
});

describe('the books after any batch', () => {
  it('show what was answered: Σ posted amounts = the change of the balance', () => {
    const amounts = fc.array(fc.bigInt({ min: 1n, max: 5_000_000n }), { minLength: 1, maxLength: 30 });
    const rates = [aRate('m', '0.333333333333333333')];
    fc.assert(
      fc.property(amounts, (list) => {
        const books = aWallet()
          .withLot('promotional', '7.77')
          .withLot('purchased', '20')
          .under(policies({ rates }))
          .books();
        const commands = list.map((amount, index) =>
          index % 2 === 0
            ? aDebit(formatCredits(micros(amount)))
            : aDebitOf([usageOf('m', formatCredits(micros(amount)))]),
        );
        const outcomes = books.run(...commands);
        const moved = outcomes.flatMap((outcome) => (outcome.status === 'posted' ? [outcome.transaction.amount] : []));
        expect(books.balance - books.openingBalance).toBe(sum(moved));
        expect(books.balance).toBeGreaterThanOrEqual(0n);
        expectSound(books);
      }),
    );
  });
});
