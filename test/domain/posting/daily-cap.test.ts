/** The daily credit cap. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DAILY_CREDIT_CAP } from '../../../src/domain/limits/spend-limit.ts';
import { expectSound, stateOf } from '../../support/builders-audit.ts';
import { aWallet, type Books, policies } from '../../support/builders-books.ts';
import {
  aCapture,
  aDebit,
  aDebitOf,
  aGrant,
  anAuthorization,
  aRefund,
  aRelease,
  aSettlement,
} from '../../support/builders-commands.ts';
import { aHold, heldBy, postedBy, refusedBy } from '../../support/builders-outcomes.ts';
import { after, aRate, at, credits, usageOf } from '../../support/builders-values.ts';

const NOW = at('2026-03-10T12:00:00');
const MIDNIGHT = at('2026-03-11T00:00:00');
const HOUR = 3_600_000;

const rates = [aRate('scrape', '1', { unit: 'page' }), aRate('read', '0')];
const rules = (dailyCreditCap = '10', overdraft = '0') => policies({ rates, dailyCreditCap, overdraft });
const wallet = (cap?: string, overdraft?: string) =>
  aWallet().at(NOW).under(rules(cap, overdraft)).withLot('purchased', '100');
const usedToday = (books: Books) => books.spendCounts.find(({ counter }) => counter === DAILY_CREDIT_CAP)?.used;

describe('the daily cap', () => {
  it('may be reached and not passed', () => {
    const books = wallet().books();
    postedBy(books, aDebit('9.999999'));
    const before = stateOf(books);
    expect(refusedBy(books, aDebit('0.000002'))).toMatchObject({
      code: 'SPEND_LIMIT_REACHED',
      limitCode: 'daily_credit_cap_exceeded',
      limit: credits('10'),
      used: credits('9.999999'),
      resetsAt: MIDNIGHT,
      replayed: false,
    });
    expect(stateOf(books)).toEqual(before);
    postedBy(books, aDebit('0.000001'));
    expect(usedToday(books)).toBe(credits('10'));
    expectSound(books);
  });

  it('counts within one batch, charge by charge', () => {
    const books = wallet().books();
    const outcomes = books.run(...Array.from({ length: 15 }, () => aDebit('1')));
    expect(outcomes.map(({ status }) => status)).toEqual([
      ...Array.from({ length: 10 }, () => 'posted'),
      ...Array.from({ length: 5 }, () => 'refused'),
    ]);
    expect(books.balance).toBe(credits('90'));
  });

  it('lets free work pass when it is used up', () => {
    const books = wallet().books();
    postedBy(books, aDebit('10'));
    expect(postedBy(books, aDebitOf([usageOf('read', '1')])).transaction.amount).toBe(0n);
    heldBy(books, anAuthorization('0', { usage: [usageOf('read', '1')] }));
  });

  it.each([
    ['UTC', MIDNIGHT],
    ['America/New_York', at('2026-03-11T04:00:00')],
    ['Asia/Kolkata', at('2026-03-10T18:30:00')],
  ])('begins anew at local midnight in %s, and not a millisecond before', (timeZone, midnight) => {
    const books = wallet().in(timeZone).books();
    postedBy(books, aDebit('10'));
    expect(refusedBy(books.moveTo(after(midnight, -1)), aDebit('1'))).toMatchObject({ resetsAt: midnight });
    postedBy(books.moveTo(midnight), aDebit('10'));
    expect(refusedBy(books, aDebit('1')).code).toBe('SPEND_LIMIT_REACHED');
  });

  it.each([
    ['23', '2026-03-08T05:00:00', '2026-03-09T04:00:00'],
    ['25', '2026-11-01T04:00:00', '2026-11-02T05:00:00'],
  ])('has one window in a day of %s hours', (_hours, start, end) => {
    const books = aWallet().at(at(start)).in('America/New_York').under(rules()).withLot('purchased', '100').books();
    postedBy(books, aDebit('10'));
    expect(refusedBy(books.moveTo(after(at(end), -1)), aDebit('1'))).toMatchObject({ resetsAt: at(end) });
    postedBy(books.moveTo(at(end)), aDebit('1'));
  });

  it('counts a charge on the day it is posted, whenever the work was done', () => {
    const books = wallet().books();
    postedBy(books, aDebit('10', { occurredAt: after(NOW, -48 * HOUR) }));
    expect(refusedBy(books, aDebit('1', { occurredAt: after(NOW, -48 * HOUR) })).code).toBe('SPEND_LIMIT_REACHED');
  });

  it('is named before the funds, and after the subscription', () => {
    const books = wallet().books();
    books.status = 'PAST_DUE';
    expect(refusedBy(books, aDebit('1000')).code).toBe('SUBSCRIPTION_REQUIRED');
    books.status = 'ACTIVE';
    expect(refusedBy(books, aDebit('1000')).code).toBe('SPEND_LIMIT_REACHED');
    const poor = aWallet().at(NOW).under(rules()).books();
    expect(refusedBy(poor, aDebit('10')).code).toBe('INSUFFICIENT_CREDITS');
  });

  it('refuses for good under a key', () => {
    const books = wallet().books();
    postedBy(books, aDebit('10'));
    const command = aDebit('1', { key: 'k' });
    refusedBy(books, command);
    expect(refusedBy(books.moveTo(MIDNIGHT), command)).toMatchObject({
      code: 'SPEND_LIMIT_REACHED',
      used: credits('10'),
      resetsAt: MIDNIGHT,
      replayed: true,
    });
    postedBy(books, aDebit('1', { key: 'new' }));
  });

  it('does not count what was refused, nor an answer given again', () => {
    const books = wallet().books();
    const command = aDebit('4', { key: 'k' });
    postedBy(books, command);
    books.run(command, command, aDebit('7'), aDebitOf([usageOf('fly', '1')]));
    expect(usedToday(books)).toBe(credits('4'));
  });

  it('counts what CAP charged and not what it waived', () => {
    const books = aWallet().at(NOW).under(rules()).withLot('purchased', '4').books();
    postedBy(books, aDebit('50', { overage: 'CAP' }));
    expect(usedToday(books)).toBe(credits('4'));
  });

  it('counts what is owed', () => {
    const books = aWallet().at(NOW).under(rules('10', '100')).withLot('purchased', '4').books();
    expect(refusedBy(books, aDebit('10.5', { overage: 'DEBT' })).code).toBe('SPEND_LIMIT_REACHED');
    postedBy(books, aDebit('10', { overage: 'DEBT' }));
    expect([usedToday(books), books.debt]).toEqual([credits('10'), credits('6')]);
    expectSound(books);
  });

  it('gets no room back by a refund', () => {
    const books = wallet().books();
    const { transaction } = postedBy(books, aDebit('10'));
    postedBy(books, aRefund(transaction.id));
    expect(usedToday(books)).toBe(credits('10'));
    expect(refusedBy(books, aDebit('0.000001')).code).toBe('SPEND_LIMIT_REACHED');
  });

  it('does not count grants and corrections', () => {
    const books = wallet().books();
    postedBy(books, aGrant('50'));
    expect(books.spendCounts).toEqual([]);
  });

  it('is that of the plan: a wallet whose plan has none has none', () => {
    const books = wallet().books();
    books.planKey = 'a plan that no catalog knows';
    postedBy(books, aDebit('50'));
    expect(books.spendCounts).toEqual([]);
  });

  it('stands with every charge as it was found before', () => {
    const books = wallet().books();
    postedBy(books, aDebit('3'));
    expect(postedBy(books, aDebit('4')).transaction.limits).toEqual([
      { limitCode: DAILY_CREDIT_CAP, limit: credits('10'), used: credits('3'), blocked: false },
    ]);
  });
});

describe('a hold under the daily cap', () => {
  it('reserves its room when it is made', () => {
    const books = wallet().books();
    aHold(books, '6');
    expect(refusedBy(books, aDebit('4.000001'))).toMatchObject({ code: 'SPEND_LIMIT_REACHED', used: credits('6') });
    expect(refusedBy(books, anAuthorization('4.000001')).code).toBe('SPEND_LIMIT_REACHED');
    postedBy(books, aDebit('4'));
    expect(books.holds.size).toBe(1);
  });

  it('uses its room when it is captured, and gives back what it did not use', () => {
    const books = wallet().books();
    const id = aHold(books, '6');
    postedBy(books, aCapture(id, { amount: '2', final: false }));
    expect(usedToday(books)).toBe(credits('6'));
    postedBy(books, aCapture(id, { amount: '1' }));
    expect(usedToday(books)).toBe(credits('3'));
    expectSound(books);
  });

  it('gives all of it back when it is released', () => {
    const books = wallet().books();
    const id = aHold(books, '10');
    heldBy(books, aRelease(id));
    expect(usedToday(books)).toBe(0n);
    postedBy(books, aDebit('10'));
  });

  it('gives it back when it lapses, to the day in which it was made although it is posted on another', () => {
    const books = wallet().books();
    aHold(books, '6', { lifeSeconds: 3_600 });
    postedBy(books, aDebit('4'));
    books.moveTo(after(MIDNIGHT, HOUR)).post(aSettlement());
    expect(books.spendCounts).toMatchObject([{ windowStart: at('2026-03-10T00:00:00'), used: credits('4') }]);
    postedBy(books, aDebit('10'));
  });

  it('of yesterday uses yesterday’s room, and takes none of today’s', () => {
    const books = wallet().books();
    const id = aHold(books, '8', { lifeSeconds: 86_400 });
    books.moveTo(after(MIDNIGHT, HOUR));
    postedBy(books, aDebit('10'));
    postedBy(books, aCapture(id, { amount: '5' }));
    expect(usedToday(books)).toBe(credits('10'));
    expect(refusedBy(books, aDebit('1')).code).toBe('SPEND_LIMIT_REACHED');
    expectSound(books);
  });

  it('of yesterday gives nothing back to today', () => {
    const books = wallet().books();
    const id = aHold(books, '8', { lifeSeconds: 86_400 });
    books.moveTo(after(MIDNIGHT, HOUR));
    postedBy(books, aDebit('3'));
    heldBy(books, aRelease(id));
    expect(usedToday(books)).toBe(credits('3'));
  });

  it('that is exceeded counts what came beyond it in the window of the capture, and is not refused by the cap', () => {
    const books = wallet('10', '10').books();
    const id = aHold(books, '8', { lifeSeconds: 86_400 });
    books.moveTo(after(MIDNIGHT, HOUR));
    postedBy(books, aDebit('9'));
    expect(postedBy(books, aCapture(id, { amount: '13', overage: 'DEBT' })).transaction.amount).toBe(credits('-13'));
    expect(usedToday(books)).toBe(credits('14'));
    expect(refusedBy(books, aDebit('0.000001'))).toMatchObject({ code: 'SPEND_LIMIT_REACHED', used: credits('14') });
    expectSound(books);
  });

  it('that was made under a plan without a cap gives nothing back under one with a cap', () => {
    const books = wallet().books();
    books.planKey = 'a plan that no catalog knows';
    const id = aHold(books, '8');
    books.planKey = 'plan';
    postedBy(books, aDebit('5'));
    heldBy(books, aRelease(id));
    expect(usedToday(books)).toBe(credits('5'));
  });
});

describe('charges, holds and refunds in any order', () => {
  it('within one day are never more than the cap, overage apart', () => {
    const step = fc.record({
      kind: fc.constantFrom('debit', 'hold', 'capture', 'part', 'release', 'lapse'),
      amount: fc.integer({ min: 1, max: 12 }),
      which: fc.nat(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (run) => {
        const books = wallet('20').books();
        const holds: string[] = [];
        const idOf = (which: number) => holds[which % Math.max(holds.length, 1)] ?? 'none';
        for (const { kind, amount, which } of run) {
          if (kind === 'debit') books.post(aDebit(String(amount)));
          else if (kind === 'hold') {
            const outcome = books.post(anAuthorization(String(amount), { lifeSeconds: 60 }));
            if (outcome.status === 'held') holds.push(outcome.hold.facts.id);
          } else if (kind === 'capture') books.post(aCapture(idOf(which), { amount: String(amount) }));
          else if (kind === 'part') books.post(aCapture(idOf(which), { amount: String(amount), final: false }));
          else if (kind === 'release') books.post(aRelease(idOf(which)));
          else books.moveTo(after(books.now, 61_000)).post(aSettlement());
          // What is spent or held today stands in the counter, no more and no less.
          expect(usedToday(books) ?? 0n).toBe(credits('100') - books.balance + books.held);
          expect(usedToday(books) ?? 0n).toBeLessThanOrEqual(credits('20'));
          expectSound(books);
        }
      }),
      { numRuns: 100 },
    );
  });
});
