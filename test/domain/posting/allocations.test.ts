/** Earmarked credits, by the rules of domain/allocations/README.md. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { creditsOf } from '../../../src/domain/allocations/allocation.ts';
import { formatCredits, sum, ZERO } from '../../../src/domain/credits/micros.ts';
import type { Command } from '../../../src/domain/posting/commands.ts';
import { expectSound, stateOf } from '../../support/builders-audit.ts';
import { aWallet, type Books, policies } from '../../support/builders-books.ts';
import {
  aCapture,
  aDebit,
  aGrant,
  anAdjustment,
  anAllocation,
  anAuthorization,
  aPurchaseRefund,
  aRefund,
  aRelease,
  aResolution,
  aRevocation,
  aSettlement,
  type DebitOptions,
} from '../../support/builders-commands.ts';
import { aHold, moved, movesOf, postedBy, refusedBy } from '../../support/builders-outcomes.ts';
import { after, at, credits } from '../../support/builders-values.ts';

const NOW = at('2026-03-10T12:00:00');
const TEAM = { attribution: { projectId: 'team' } };
const ANN = { attribution: { userId: 'ann' } };
const ANN_IN_TEAM = { attribution: { projectId: 'team', userId: 'ann' } };

/** 10 that expire tonight, 20 of the plan, 100 bought. */
const wallet = () =>
  aWallet()
    .at(NOW)
    .withLot('daily_free', '10', { expiresAt: at('2026-03-11T00:00:00') })
    .withLot('monthly_plan', '20', { expiresAt: at('2026-04-01T00:00:00') })
    .withLot('purchased', '100', { paid: true });

function allocate(books: Books, amount: string, options: Parameters<typeof anAllocation>[1]): void {
  const outcome = books.post(anAllocation(amount, options));
  if (outcome.status !== 'allocation-set') throw new Error(`not earmarked: ${outcome.status}`);
}

/** What is earmarked, in the words of the API. */
const earmarks = (books: Books) =>
  [...books.allocations.values()].map((allocation) => ({
    for: allocation.projectId ?? allocation.userId,
    credits: formatCredits(creditsOf(allocation)),
    used: formatCredits(allocation.used),
    held: formatCredits(allocation.pinned),
    remaining: formatCredits(allocation.available),
  }));

const availableTo = (books: Books, options: DebitOptions): string =>
  formatCredits(postedBy(books, aDebit('0.000001', options)).available);

describe('earmarking', () => {
  it('moves credits of the bucket that burns last, by entries that add up to nothing, and keeps their life and price', () => {
    const books = wallet().books();
    allocate(books, '30', { projectId: 'team' });
    expect(movesOf(books).map(([reason, amount]) => [reason, amount])).toEqual([
      ['ALLOCATION', '-30'],
      ['ALLOCATION', '30'],
    ]);
    const [transaction] = books.transactions;
    expect(transaction).toMatchObject({ kind: 'ALLOCATION', amount: ZERO, attribution: { projectId: 'team' } });
    const [earmarked] = [...books.lots.values()].filter(({ allocationId }) => allocationId !== null);
    const [origin] = [...books.lots.values()].filter(({ bucketId }) => bucketId === 'bucket-purchased');
    expect(earmarked).toMatchObject({
      bucketId: 'bucket-purchased',
      originId: origin?.id,
      paid: true,
      expiresAt: null,
    });
    expect(earmarks(books)).toEqual([{ for: 'team', credits: '30', used: '0', held: '0', remaining: '30' }]);
    expect(books.available).toBe(credits('130'));
    expect(books.changes).toMatchObject([{ change: ZERO, reasonCode: 'ALLOCATION', totalAvailable: credits('130') }]);
    expectSound(books);
  });

  it('reaches into buckets that burn earlier where the last has not enough', () => {
    const books = wallet().books();
    allocate(books, '125', { userId: 'ann' });
    expect(books.remainingIn('daily_free')).toEqual([credits('5'), credits('5')]);
    expect(books.remainingIn('monthly_plan')).toEqual([credits('20')]);
    expectSound(books);
  });

  it('is refused beyond what is earmarked for nobody', () => {
    const books = wallet().books();
    allocate(books, '100', { projectId: 'team' });
    const before = stateOf(books);
    expect(refusedBy(books, anAllocation('31', { userId: 'ann' }))).toMatchObject({
      code: 'INSUFFICIENT_CREDITS',
      required: credits('31'),
      available: credits('30'),
    });
    expect(stateOf(books)).toEqual(before);
    expect(books.allocations.size).toBe(1);
    allocate(books, '30', { userId: 'ann' });
    expectSound(books);
  });

  it('sets what is earmarked in all: again changes nothing, more takes the difference, less gives it back', () => {
    const books = wallet().books();
    for (const amount of ['30', '30', '50', '20']) allocate(books, amount, { projectId: 'team' });
    expect(books.transactions.map(({ kind }) => kind)).toEqual(['ALLOCATION', 'ALLOCATION', 'ALLOCATION']);
    expect(earmarks(books)).toMatchObject([{ credits: '20', remaining: '20' }]);
    expect(books.available).toBe(credits('130'));
    expectSound(books);
  });

  it('moves credits of 500 lots at most, however many are loaded', () => {
    const wallet = aWallet().at(NOW).loaded({ lotsPerBucket: 10 });
    for (let lots = 0; lots < 501; lots++) wallet.withLot('purchased', '1');
    const books = wallet.books();
    expect(refusedBy(books, anAllocation('501', { projectId: 'team' }))).toMatchObject({
      code: 'CONFLICT',
      currentState: 'TOO_MANY_LOTS',
    });
    allocate(books, '500', { projectId: 'team' });
    expect(earmarks(books)).toMatchObject([{ credits: '500' }]);
    expectSound(books);
  });

  it('gives back to the lot that the credits came from, so that changing it often leaves no crumbs', () => {
    const books = wallet().books();
    const lots = books.lots.size;
    for (let turn = 0; turn < 5; turn++) {
      allocate(books, '30', { projectId: 'team' });
      allocate(books, '0', { projectId: 'team' });
    }
    expect([...books.lots.values()].filter(({ remaining }) => remaining > ZERO)).toHaveLength(lots);
    expect(books.remainingIn('purchased')).toEqual([credits('100')]);
    expectSound(books);
  });

  it('splits what expires into 400 lots at most, which roll over as one when the period ends', () => {
    const midnight = at('2026-03-11T00:00:00');
    const books = aWallet()
      .at(at('2026-03-10T00:00:00'))
      .loaded({ dueLots: 500 })
      .withAllowance('monthly_plan', 'DAY', '1000', { rolloverLimit: '600', nextRefreshAt: at('2026-03-10T00:00:00') })
      .books();
    books.post(aSettlement());
    for (let credit = 1; credit <= 400; credit++) allocate(books, String(credit), { projectId: 'team' });
    expect(refusedBy(books, anAllocation('401', { projectId: 'team' }))).toMatchObject({
      code: 'CONFLICT',
      currentState: 'TOO_MANY_LOTS',
    });
    books.moveTo(midnight).post(aSettlement());
    expect(books.available).toBe(credits('1600'));
    expect(earmarks(books)).toMatchObject([{ credits: '0' }]);
    expectSound(books);
  });

  it('moves no more than a command may, and comes to any amount in several', () => {
    const books = aWallet()
      .at(NOW)
      .withLot('purchased', '100')
      .under(policies({ commandCeiling: '40' }))
      .books();
    expect(refusedBy(books, anAllocation('40.000001', { projectId: 'team' }))).toMatchObject({
      code: 'INVALID_INPUT',
      path: ['credits'],
    });
    allocate(books, '40', { projectId: 'team' });
    allocate(books, '80', { projectId: 'team' });
    expect(refusedBy(books, anAllocation('0', { projectId: 'team' }))).toMatchObject({ code: 'INVALID_INPUT' });
    allocate(books, '40', { projectId: 'team' });
    expectSound(books);
  });

  it('is not done on a wallet that is frozen', () => {
    const books = wallet().frozen().books();
    expect(refusedBy(books, anAllocation('1', { projectId: 'team' }))).toMatchObject({ code: 'WALLET_FROZEN' });
  });

  it('is audited', () => {
    const books = wallet().books();
    allocate(books, '30', { projectId: 'team', exclusive: true });
    expect(books.audits).toMatchObject([
      { action: 'setAllocation', after: { projectId: 'team', credits: '30', exclusive: true } },
    ]);
  });
});

describe('spending', () => {
  it('draws the own earmark first, then what is for nobody, in burn order', () => {
    const books = wallet().books();
    allocate(books, '30', { projectId: 'team' });
    const from = books.entries.length;
    postedBy(books, aDebit('35', TEAM));
    const buckets = books.entries.slice(from).map((entry) => [entry.bucketId, moved(entry)]);
    expect(buckets).toEqual([
      ['bucket-purchased', '-30'],
      ['bucket-daily_free', '-5'],
    ]);
    expect(earmarks(books)).toEqual([{ for: 'team', credits: '30', used: '30', held: '0', remaining: '0' }]);
    expectSound(books);
  });

  it('never touches what is earmarked for others, and answers what its spender can spend', () => {
    const books = wallet().books();
    allocate(books, '100', { projectId: 'team' });
    expect(refusedBy(books, aDebit('31', ANN))).toMatchObject({
      code: 'INSUFFICIENT_CREDITS',
      required: credits('31'),
      available: credits('30'),
    });
    expect(postedBy(books, aDebit('10', ANN)).available).toBe(credits('20'));
    expect(postedBy(books, aDebit('10')).available).toBe(credits('10'));
    expect(postedBy(books, aDebit('1', TEAM)).available).toBe(credits('109'));
    expect(books.available).toBe(credits('109'));
    expectSound(books);
  });

  it('draws what is for the project and for the member together, in burn order', () => {
    const books = wallet().loaded({ lotsPerBucket: 1 }).books();
    allocate(books, '110', { projectId: 'team' });
    allocate(books, '5', { userId: 'ann' });
    const from = books.entries.length;
    postedBy(books, aDebit('12', ANN_IN_TEAM));
    expect(books.entries.slice(from).map((entry) => [entry.bucketId, moved(entry)])).toEqual([
      ['bucket-monthly_plan', '-10'],
      ['bucket-monthly_plan', '-2'],
    ]);
    expect(earmarks(books)).toMatchObject([
      { for: 'team', used: '10' },
      { for: 'ann', used: '2' },
    ]);
    expectSound(books);
  });

  it('of an exclusive earmark spends nothing else and goes into no debt', () => {
    const books = wallet()
      .under(policies({ overdraft: '50' }))
      .books();
    allocate(books, '30', { projectId: 'team', exclusive: true });
    expect(availableTo(books, TEAM)).toBe('29.999999');
    for (const overage of ['REJECT', 'DEBT'] as const) {
      expect(refusedBy(books, aDebit('30', { ...TEAM, overage }))).toMatchObject({
        code: 'ALLOCATION_EXHAUSTED',
        required: credits('30'),
        explanation: { lots: [{ available: credits('29.999999') }] },
      });
    }
    expect(postedBy(books, aDebit('30', { ...TEAM, overage: 'CAP' })).transaction.amount).toBe(credits('-29.999999'));
    expect(availableTo(books, ANN)).toBe('99.999999');
    expectSound(books);
  });

  it('is refused again under its key, also once there is enough', () => {
    const books = wallet().books();
    allocate(books, '3', { projectId: 'team', exclusive: true });
    const debit = aDebit('5', TEAM);
    expect(refusedBy(books, debit)).toMatchObject({ code: 'ALLOCATION_EXHAUSTED', replayed: false });
    allocate(books, '10', { projectId: 'team' });
    expect(refusedBy(books, debit)).toMatchObject({ code: 'ALLOCATION_EXHAUSTED', replayed: true });
  });

  it('leaves an earmark whole until the wallet owes more than the pool has', () => {
    const books = wallet()
      .under(policies({ overdraft: '50' }))
      .books();
    allocate(books, '100', { projectId: 'team', exclusive: true });
    postedBy(books, aDebit('45', { overage: 'DEBT' }));
    expect(books.debt).toBe(credits('15'));
    expect(books.available).toBe(credits('85'));
    expect(refusedBy(books, aDebit('86', TEAM))).toMatchObject({ code: 'ALLOCATION_EXHAUSTED' });
    expect(postedBy(books, aDebit('85', TEAM)).available).toBe(ZERO);
    expectSound(books);
  });

  it('adjusts a bucket only by what is for nobody', () => {
    const books = wallet().books();
    allocate(books, '100', { projectId: 'team' });
    expect(refusedBy(books, anAdjustment('-1', 'purchased'))).toMatchObject({ code: 'INSUFFICIENT_CREDITS' });
  });
});

describe('holds', () => {
  it('pin the earmark, which keeps it from being taken back, and count as used once captured', () => {
    const books = wallet().books();
    allocate(books, '30', { projectId: 'team' });
    const hold = aHold(books, '20', TEAM);
    expect(earmarks(books)).toMatchObject([{ credits: '30', used: '0', held: '20', remaining: '10' }]);
    expect(refusedBy(books, anAllocation('19', { projectId: 'team' }))).toMatchObject({
      code: 'CONFLICT',
      currentState: 'IN_USE',
    });
    expect(refusedBy(books, anAllocation('0', { projectId: 'team' }))).toMatchObject({ code: 'CONFLICT' });
    allocate(books, '20', { projectId: 'team' });
    postedBy(books, aCapture(hold, { amount: '15' }));
    expect(earmarks(books)).toMatchObject([{ credits: '20', used: '15', held: '0', remaining: '5' }]);
    expectSound(books);
  });

  it('that are released give back to the earmark, and say what their spender can spend', () => {
    const books = wallet().books();
    allocate(books, '30', { projectId: 'team', exclusive: true });
    const hold = aHold(books, '20', TEAM);
    expect(books.post(aRelease(hold))).toMatchObject({ status: 'held', available: credits('30') });
    expect(earmarks(books)).toMatchObject([{ held: '0', remaining: '30' }]);
    expectSound(books);
  });
});

describe('what becomes of an earmark', () => {
  it('expiry makes it less', () => {
    const books = wallet().books();
    allocate(books, '125', { projectId: 'team' });
    books.moveTo(at('2026-03-11T00:00:00')).post(aSettlement());
    expect(earmarks(books)).toMatchObject([{ credits: '120', remaining: '120' }]);
    expectSound(books);
  });

  it('a refund gives back to it, and takes off what was used', () => {
    const books = wallet().books();
    allocate(books, '30', { projectId: 'team' });
    const { transaction } = postedBy(books, aDebit('35', TEAM));
    postedBy(books, aRefund(transaction.id, '10'));
    expect(earmarks(books)).toMatchObject([{ credits: '30', used: '25', remaining: '5' }]);
    postedBy(books, aRefund(transaction.id));
    expect(earmarks(books)).toMatchObject([{ credits: '30', used: '0', remaining: '30' }]);
    expectSound(books);
  });

  it('a refund to a lot that has expired stays earmarked', () => {
    const books = wallet().books();
    allocate(books, '130', { projectId: 'team' });
    const { transaction } = postedBy(books, aDebit('10', TEAM));
    books.moveTo(after(at('2026-03-11T00:00:00'), 1));
    postedBy(books, aRefund(transaction.id));
    expect(earmarks(books)).toMatchObject([{ credits: '130', used: '0', remaining: '130' }]);
    expectSound(books);
  });

  it('a grant that is revoked is taken from the earmark too, but for what is held', () => {
    const books = aWallet().at(NOW).withLot('promotional', '100').books();
    const [lot] = [...books.lots.values()];
    if (!lot) throw new Error('there is a lot');
    allocate(books, '60', { projectId: 'team' });
    aHold(books, '10', TEAM);
    expect(postedBy(books, aRevocation(lot.id)).transaction.amount).toBe(credits('-90'));
    expect(earmarks(books)).toMatchObject([{ credits: '10', held: '10', remaining: '0' }]);
    expect(books.available).toBe(ZERO);
    expectSound(books);
  });

  it('a purchase can be refunded whose credits were earmarked and given back, for nothing of it was spent', () => {
    const books = aWallet().at(NOW).withPurchase('p').books();
    books.post(aResolution('p', 'PAID'));
    allocate(books, '600', { projectId: 'team' });
    allocate(books, '0', { projectId: 'team' });
    allocate(books, '250', { projectId: 'team' });
    expect(books.post(aPurchaseRefund('p'))).toMatchObject({ status: 'refund-begun' });
    books.post(aResolution('p', 'REFUNDED'));
    expect([books.balance, books.debt]).toEqual([ZERO, ZERO]);
    expect(earmarks(books)).toMatchObject([{ credits: '0' }]);
    expectSound(books);
  });

  it('counts what is held of a disputed purchase once', () => {
    const books = aWallet().at(NOW).withPurchase('p').books();
    books.post(aResolution('p', 'PAID'));
    allocate(books, '250', { projectId: 'team' });
    aHold(books, '10', TEAM);
    books.post(aResolution('p', 'DISPUTE_OPENED'));
    expect(earmarks(books)).toEqual([{ for: 'team', credits: '250', used: '0', held: '10', remaining: '0' }]);
    books.post(aResolution('p', 'DISPUTE_WON'));
    expect(earmarks(books)).toEqual([{ for: 'team', credits: '250', used: '0', held: '10', remaining: '240' }]);
    expectSound(books);
  });

  it('what was spent of a purchase through an earmark is spent', () => {
    const books = aWallet()
      .at(NOW)
      .withPurchase('p')
      .under(policies({ spentCredits: 'DEBT' }))
      .books();
    books.post(aResolution('p', 'PAID'));
    allocate(books, '600', { projectId: 'team' });
    postedBy(books, aDebit('100', TEAM));
    allocate(books, '0', { projectId: 'team' });
    books.post(aPurchaseRefund('p'));
    books.post(aResolution('p', 'REFUNDED'));
    expect([books.balance, books.debt]).toEqual([credits('-100'), credits('100')]);
    expectSound(books);
  });

  it('who spends an earmark and nothing else is not told what others hold', () => {
    const books = wallet()
      .under(policies({ overdraft: '50' }))
      .books();
    allocate(books, '30', { projectId: 'team', exclusive: true });
    const hold = aHold(books, '20', TEAM);
    aHold(books, '40');
    expect(refusedBy(books, aCapture(hold, { amount: '31', overage: 'DEBT' }))).toMatchObject({
      code: 'INSUFFICIENT_CREDITS',
      available: credits('10'),
      held: credits('20'),
    });
  });

  it('0 gives everything back and begins the count of use anew', () => {
    const books = wallet().books();
    allocate(books, '30', { projectId: 'team' });
    postedBy(books, aDebit('12', TEAM));
    expect(refusedBy(books, anAllocation('11', { projectId: 'team' }))).toMatchObject({ code: 'CONFLICT' });
    allocate(books, '12', { projectId: 'team' });
    allocate(books, '0', { projectId: 'team' });
    expect(earmarks(books)).toEqual([{ for: 'team', credits: '0', used: '0', held: '0', remaining: '0' }]);
    allocate(books, '5', { projectId: 'team' });
    expect(earmarks(books)).toMatchObject([{ credits: '5', used: '0', remaining: '5' }]);
    expectSound(books);
  });
});

describe('whatever is done', () => {
  const amount = fc.integer({ min: 1, max: 60 }).map(String);
  const whom = fc.constantFrom({}, TEAM, ANN, ANN_IN_TEAM);
  const wish = fc.oneof(
    fc.record({ kind: fc.constant('debit' as const), amount, whom, overage: fc.constantFrom('REJECT', 'CAP', 'DEBT') }),
    fc.record({ kind: fc.constant('authorize' as const), amount, whom }),
    fc.record({ kind: fc.constant('capture' as const), amount }),
    fc.record({ kind: fc.constant('release' as const) }),
    fc.record({ kind: fc.constant('refund' as const), nth: fc.nat(20) }),
    fc.record({ kind: fc.constant('grant' as const), amount }),
    fc.record({ kind: fc.constant('wait' as const), hours: fc.integer({ min: 1, max: 400 }) }),
    fc.record({
      kind: fc.constant('allocate' as const),
      amount: fc.integer({ min: 0, max: 80 }).map(String),
      target: fc.constantFrom({ projectId: 'team' }, { userId: 'ann' }),
      exclusive: fc.option(fc.boolean(), { nil: undefined }),
    }),
  );
  type Wish = typeof wish extends fc.Arbitrary<infer Value> ? Value : never;

  function commandOf(books: Books, wished: Wish): Command {
    const open = [...books.holds.values()].find(({ state }) => state.status === 'OPEN');
    const charges = books.transactions.filter(({ kind }) => kind === 'DEBIT' || kind === 'CAPTURE');
    switch (wished.kind) {
      case 'debit':
        return aDebit(wished.amount, { ...wished.whom, overage: wished.overage as 'REJECT' });
      case 'authorize':
        return anAuthorization(wished.amount, wished.whom);
      case 'capture':
        return open ? aCapture(open.facts.id, { amount: wished.amount, overage: 'CAP' }) : aSettlement();
      case 'release':
        return open ? aRelease(open.facts.id) : aSettlement();
      case 'refund': {
        const charge = charges[wished.nth % Math.max(1, charges.length)];
        return charge ? aRefund(charge.id) : aSettlement();
      }
      case 'grant':
        return aGrant(wished.amount, { bucket: 'promotional' });
      case 'wait':
        books.moveTo(after(books.now, wished.hours * 3_600_000));
        return aSettlement();
      case 'allocate': {
        const { exclusive } = wished;
        return anAllocation(wished.amount, { ...wished.target, ...(exclusive === undefined ? {} : { exclusive }) });
      }
    }
  }

  it('no charge takes what is earmarked for others, none is made or lost, and the books are sound', () => {
    const run = fc.property(
      fc.array(wish, { maxLength: 30 }),
      fc.constantFrom(1, 2, 1_000),
      (wishes, lotsPerBucket) => {
        const books = wallet()
          .under(policies({ overdraft: '40' }))
          .loaded({ lotsPerBucket })
          .books();
        for (const wished of wishes) {
          const before = new Map(books.allocations);
          const balance = books.balance;
          const outcome = books.post(commandOf(books, wished));
          if (wished.kind === 'allocate') expect(books.balance).toBe(balance);
          if (wished.kind === 'debit' || wished.kind === 'authorize') {
            const { projectId = null, userId = null } = (
              'attribution' in wished.whom ? wished.whom.attribution : {}
            ) as {
              projectId?: string;
              userId?: string;
            };
            for (const [id, allocation] of books.allocations) {
              const isOwn = allocation.projectId === projectId || allocation.userId === userId;
              const isTheirs = isOwn && (projectId !== null || userId !== null);
              if (!isTheirs) expect(allocation).toEqual(before.get(id));
            }
            if (outcome.status === 'posted') expect(outcome.available).toBeLessThanOrEqual(books.available);
          }
          const inLots = sum([...books.lots.values()].map((lot) => lot.remaining));
          expect(inLots - books.debt).toBe(books.balance);
        }
        expectSound(books);
      },
    );
    fc.assert(run, { numRuns: 400 });
  });
});
