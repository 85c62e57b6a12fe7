/** Charges of more than there is, and what is owed for them. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatCredits, micros } from '../../../src/domain/credits/micros.ts';
import { expectSound, stateOf } from '../../support/builders-audit.ts';
import { aWallet, policies } from '../../support/builders-books.ts';
import {
  aCapture,
  aDebit,
  aDebitOf,
  aGrant,
  anAdjustment,
  anAuthorization,
  aRelease,
  aResolution,
  aSettlement,
  aSubscription,
} from '../../support/builders-commands.ts';
import { aHold, heldBy, movesOf, postedBy, refusedBy } from '../../support/builders-outcomes.ts';
import { after, aRate, at, credits, usageOf } from '../../support/builders-values.ts';

const NOW = at('2026-03-10T12:00:00');
const DAY = 86_400_000;

const rates = [aRate('scrape', '3', { unit: 'page' }), aRate('crawl', '2'), aRate('read', '0')];
const rules = (overdraft = '0') => policies({ rates, overdraft });
const wallet = (overdraft?: string) => aWallet().at(NOW).under(rules(overdraft));
/** 6 + 2 + 1 credits. */
const usage = [usageOf('scrape', '2'), usageOf('crawl', '1'), usageOf('crawl', '0.5')];

describe('a debit of more than is available', () => {
  it('with REJECT takes nothing at all', () => {
    const books = wallet('100').withLot('purchased', '8').books();
    const before = stateOf(books);
    expect(refusedBy(books, aDebitOf(usage))).toMatchObject({ code: 'INSUFFICIENT_CREDITS', required: credits('9') });
    expect(stateOf(books)).toEqual(before);
    expect(books.transactions).toEqual([]);
  });

  it('with CAP takes what there is and waives the rest on the last lines, so that the lines add up', () => {
    const books = wallet().withLot('purchased', '6.5').books();
    const { transaction, available } = postedBy(books, aDebitOf(usage, { overage: 'CAP' }));
    expect(available).toBe(0n);
    expect(transaction.amount).toBe(credits('-6.5'));
    expect(transaction.lines.map((line) => [formatCredits(line.credits), formatCredits(line.waived)])).toEqual([
      ['6', '0'],
      ['0.5', '1.5'],
      ['0', '1'],
    ]);
    expect(books.debt).toBe(0n);
    expectSound(books);
  });

  it('with CAP is free work where there is nothing to spend', () => {
    const books = wallet().books();
    const before = stateOf(books);
    const { transaction } = postedBy(books, aDebitOf(usage, { overage: 'CAP' }));
    expect(transaction).toMatchObject({ amount: 0n, lines: [{ credits: 0n, waived: credits('6') }, {}, {}] });
    expect(stateOf(books)).toEqual(before);
    expectSound(books);
  });

  it('with CAP spares what is held', () => {
    const books = wallet().withLot('purchased', '10').books();
    aHold(books, '4');
    expect(postedBy(books, aDebit('100', { overage: 'CAP' })).transaction.amount).toBe(credits('-6'));
    expect([books.balance, books.held]).toEqual([credits('4'), credits('4')]);
    expectSound(books);
  });

  it('with DEBT takes what there is and owes the rest, in an entry without a lot', () => {
    const books = wallet('10').withLot('promotional', '1').withLot('purchased', '5').books();
    const { transaction, available } = postedBy(books, aDebitOf(usage, { overage: 'DEBT' }));
    expect(movesOf(books)).toEqual([
      ['USAGE', '-1', 'id-00000001'],
      ['USAGE', '-5', 'id-00000002'],
      ['USAGE', '-3', null],
    ]);
    expect(transaction.amount).toBe(credits('-9'));
    expect(transaction.lines.every((line) => line.waived === 0n)).toBe(true);
    expect([available, books.balance, books.debt]).toEqual([0n, credits('-3'), credits('3')]);
    expect(books.changes).toMatchObject([{ change: credits('-6'), totalAvailable: 0n }]);
    expectSound(books);
  });

  it('goes into debt up to the overdraft of the plan and not a micro further, over all debits', () => {
    const books = wallet('10').withLot('purchased', '5').books();
    postedBy(books, aDebit('9', { overage: 'DEBT' }));
    const before = stateOf(books);
    expect(refusedBy(books, aDebit('6.000001', { overage: 'DEBT' }))).toMatchObject({
      code: 'INSUFFICIENT_CREDITS',
      required: credits('6.000001'),
      available: 0n,
    });
    expect(stateOf(books)).toEqual(before);
    postedBy(books, aDebit('6', { overage: 'DEBT' }));
    expect(books.debt).toBe(credits('10'));
    expectSound(books);
  });

  it('is refused with DEBT by a plan without an overdraft, and without any plan', () => {
    const books = wallet().withLot('purchased', '5').books();
    expect(refusedBy(books, aDebit('5.000001', { overage: 'DEBT' })).code).toBe('INSUFFICIENT_CREDITS');
    const unknown = wallet('10').withLot('purchased', '5').books();
    unknown.planKey = 'a plan that no catalog knows';
    expect(refusedBy(unknown, aDebit('5.000001', { overage: 'DEBT' })).code).toBe('INSUFFICIENT_CREDITS');
  });

  it('makes a version although nothing less can be spent: the balance has changed', () => {
    const books = wallet('10').books();
    const { version } = books;
    postedBy(books, aDebit('1', { overage: 'DEBT' }));
    expect(books.changes).toMatchObject([{ version: version + 1n, change: 0n, totalAvailable: 0n }]);
  });

  it('is another payload under its key with another policy', () => {
    const books = wallet('10').withLot('purchased', '5').books();
    postedBy(books, aDebit('9', { key: 'k', overage: 'CAP' }));
    expect(refusedBy(books, aDebit('9', { key: 'k', overage: 'DEBT' })).code).toBe('IDEMPOTENCY_KEY_REUSED');
    expect(books.post(aDebit('9', { key: 'k', overage: 'CAP' }))).toMatchObject({ status: 'replayed', available: 0n });
    expect(books.debt).toBe(0n);
  });
});

describe('while something is owed', () => {
  /** Owes 4, and may owe 10. */
  const indebted = () => {
    const books = wallet('10')
      .withAllowance('daily_free', 'DAY', '3', { nextRefreshAt: at('2026-03-11T00:00:00') })
      .withAllowance('monthly_plan', 'MONTH', '9', { nextRefreshAt: at('2026-03-12T00:00:00'), anchorDay: 12 })
      .withPurchase('p1', { credits: credits('3'), bonus: credits('2') })
      .books();
    postedBy(books, aDebit('4', { overage: 'DEBT' }));
    return books;
  };

  it('free work passes', () => {
    const books = indebted();
    const before = stateOf(books);
    expect(postedBy(books, aDebitOf([usageOf('read', '1')])).transaction.amount).toBe(0n);
    heldBy(books, anAuthorization('0', { usage: [usageOf('read', '1')] }));
    expect(stateOf(books)).toEqual(before);
  });

  it('a grant pays it back: a debit on the new lot and a lotless credit of the same size', () => {
    const books = indebted();
    const { transaction, lotId, available } = postedBy(books, aGrant('10'));
    expect(movesOf(books, 1)).toEqual([
      ['GRANT', '10', lotId],
      ['DEBT_REPAYMENT', '-4', lotId],
      ['DEBT_REPAYMENT', '4', null],
    ]);
    expect(transaction.amount).toBe(credits('10'));
    expect([available, books.balance, books.debt]).toEqual([credits('6'), credits('6'), 0n]);
    expect(books.remainingIn('promotional')).toEqual([credits('6')]);
    expectSound(books);
  });

  it('a grant of less pays back as much, and the rest stays owed', () => {
    const books = indebted();
    postedBy(books, aGrant('1.5'));
    expect([books.available, books.balance, books.debt]).toEqual([0n, credits('-2.5'), credits('2.5')]);
    postedBy(books, aGrant('2.5'));
    expect([books.available, books.balance, books.debt]).toEqual([0n, 0n, 0n]);
    expectSound(books);
  });

  it('a purchase pays it back, first the paid credits and then the bonus', () => {
    const books = indebted();
    books.post(aResolution('p1', 'PAID'));
    expect(movesOf(books, 1).map(([reason, amount]) => [reason, amount])).toEqual([
      ['PURCHASE', '3'],
      ['DEBT_REPAYMENT', '-3'],
      ['DEBT_REPAYMENT', '3'],
      ['BONUS', '2'],
      ['DEBT_REPAYMENT', '-1'],
      ['DEBT_REPAYMENT', '1'],
    ]);
    expect([books.available, books.debt]).toEqual([credits('1'), 0n]);
    expectSound(books);
  });

  it('a correction upwards pays it back', () => {
    const books = indebted();
    postedBy(books, anAdjustment('5', 'purchased'));
    expect([books.available, books.debt]).toEqual([credits('1'), 0n]);
    expectSound(books);
  });

  it('a daily allowance does not pay it back, and can be spent only beyond it', () => {
    const books = indebted();
    books.moveTo(at('2026-03-11T00:00:00')).post(aSettlement());
    expect(movesOf(books, 1).map(([reason, amount]) => [reason, amount])).toEqual([['ALLOWANCE', '3']]);
    expect([books.available, books.balance, books.debt]).toEqual([0n, credits('-1'), credits('4')]);
    expect(refusedBy(books, aDebit('0.000001'))).toMatchObject({ available: 0n });
    expectSound(books);
  });

  it('a monthly grant of the plan pays it back', () => {
    const books = indebted();
    books.moveTo(at('2026-03-12T00:00:00')).post(aSettlement());
    expect([books.debt, books.remainingIn('monthly_plan')]).toEqual([0n, [credits('5')]]);
    expectSound(books);
  });

  it('a subscription pays it back by the monthly credits that it grants at once', () => {
    const allowances = [
      { bucketKey: 'daily_free', interval: 'DAY', credits: credits('2'), rolloverLimit: null },
      { bucketKey: 'monthly_plan', interval: 'MONTH', credits: credits('3'), rolloverLimit: null },
    ] as const;
    const plansOnSale = {
      renewed: {
        name: 'Renewed',
        price: { amountMinor: 0n, currency: 'USD' },
        trialDays: 0,
        interval: 'MONTH',
        allowances,
      },
    } as const;
    const books = wallet()
      .under(policies({ overdraft: '10', plansOnSale }))
      .books();
    postedBy(books, aDebit('4', { overage: 'DEBT' }));
    books.status = 'CANCELED';
    books.post(aSubscription('renewed'));
    expect([books.debt, books.balance, books.available]).toEqual([credits('1'), credits('1'), credits('1')]);
    expectSound(books);
  });

  it('a hold that is given back does not pay it, and leaves only what is more to spend', () => {
    const books = wallet('10').withLot('purchased', '5').books();
    const id = aHold(books, '5');
    postedBy(books, aDebit('4', { overage: 'DEBT' }));
    expect(heldBy(books, aRelease(id)).available).toBe(credits('1'));
    expect([books.debt, books.balance]).toEqual([credits('4'), credits('1')]);
    expect(refusedBy(books, anAuthorization('1.000001'))).toMatchObject({ available: credits('1') });
    expectSound(books);
  });

  it('a capture of a hold made before is possible: what it pinned is there', () => {
    const books = wallet('10').withLot('purchased', '5').books();
    const id = aHold(books, '5');
    postedBy(books, aDebit('4', { overage: 'DEBT' }));
    postedBy(books, aCapture(id));
    expect([books.debt, books.balance]).toEqual([credits('4'), credits('-4')]);
    expectSound(books);
  });
});

describe('charges of any amount under any policy', () => {
  it('never take more than there is plus the overdraft, and their lines add up to what was taken', () => {
    const charge = fc.record({
      kind: fc.constantFrom('usage', 'amount', 'grant', 'day'),
      quantity: fc.integer({ min: 1, max: 20 }),
      overage: fc.constantFrom('REJECT', 'CAP', 'DEBT'),
    });
    fc.assert(
      fc.property(
        fc.array(charge, { maxLength: 20 }),
        fc.nat({ max: 30 }),
        fc.nat({ max: 30 }),
        (run, lot, overdraft) => {
          const limit = formatCredits(micros(BigInt(overdraft) * 1_000_000n));
          const opening = aWallet()
            .at(NOW)
            .under(rules(limit))
            .withLot('purchased', String(lot + 1));
          opening.withAllowance('daily_free', 'DAY', '7', { nextRefreshAt: at('2026-03-11T00:00:00') });
          const books = opening.books();
          for (const { kind, quantity, overage } of run) {
            const [before, debt] = [books.available, books.debt];
            if (kind === 'day') books.moveTo(after(books.now, DAY)).post(aSettlement());
            else if (kind === 'grant') books.post(aGrant(String(quantity)));
            else {
              const lines = [usageOf('scrape', String(quantity)), usageOf('crawl', '1')];
              const outcome = books.post(
                kind === 'usage' ? aDebitOf(lines, { overage }) : aDebit(String(quantity), { overage }),
              );
              const taken = outcome.status === 'posted' ? -outcome.transaction.amount : 0n;
              expect(taken).toBe(before - books.available + (books.debt - debt));
              if (overage !== 'DEBT') expect(books.debt).toBe(debt);
            }
            expect(books.debt).toBeLessThanOrEqual(credits(limit));
            expectSound(books);
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});
