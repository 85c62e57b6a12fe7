/** Tiers and free units count in the posting transaction, within the anchored month. */
import { describe, expect, it } from 'vitest';
import { formatDecimal } from '../../../src/domain/credits/decimal.ts';
import { rateCard } from '../../../src/domain/pricing/rate-card.ts';
import { instant } from '../../../src/domain/time/instant.ts';
import { expectSound } from '../../support/builders-audit.ts';
import { aWallet, type Books, policies } from '../../support/builders-books.ts';
import {
  aCapture,
  aDebitOf,
  anAuthorization,
  aRefund,
  aRelease,
  aSubscription,
  someEvents,
} from '../../support/builders-commands.ts';
import { aHold, eventsOf, heldBy, postedBy, refusedBy } from '../../support/builders-outcomes.ts';
import { after, aRate, aTieredRate, at, credits, usageOf } from '../../support/builders-values.ts';

const NOW = at('2026-03-10T12:00:00');

/** Ten pages at 2, all further ones at 1. */
const pages = aTieredRate('page', 'GRADUATED', [
  ['10', '2'],
  [null, '1'],
]);
const tokens = aRate('token', '0.5', { freeUnits: '100' });
const FOR_FREE = { amountMinor: 0n, currency: 'USD' };
const YEARLY = { name: 'Yearly', price: FOR_FREE, trialDays: 0, interval: 'YEAR', allowances: [] } as const;
const wallet = () =>
  aWallet()
    .at(NOW)
    .withLot('purchased', '1000')
    .under(policies({ rates: [pages, tokens], plansOnSale: { yearly: YEARLY } }));
const used = (meter: string, quantity: string) => aDebitOf([usageOf(meter, quantity)]);
const costOf = (books: Books, meter: string, quantity: string) =>
  postedBy(books, used(meter, quantity)).transaction.amount;
const counted = ({ tierCounts }: Books, meter: string) =>
  tierCounts.filter((count) => count.meter === meter).map((count) => formatDecimal(count.quantity));

describe('the tiers of a rate', () => {
  it('go on where the charges before have brought them', () => {
    const books = wallet().books();
    expect(costOf(books, 'page', '8')).toBe(credits('-16'));
    expect(costOf(books, 'page', '5')).toBe(credits('-7'));
    expect(costOf(books, 'page', '1')).toBe(credits('-1'));
    expect(counted(books, 'page')).toEqual(['14']);
    expectSound(books);
  });

  it('count within one batch as over many', () => {
    const books = wallet().books();
    books.run(used('page', '8'), used('page', '5'), used('token', '60'), used('token', '60'));
    expect(books.transactions.map(({ amount }) => amount)).toEqual([credits('-16'), credits('-7'), 0n, credits('-10')]);
    expect([counted(books, 'page'), counted(books, 'token')]).toEqual([['13'], ['120']]);
  });

  it('count nothing that was refused, waits unattempted or was answered again', () => {
    const books = wallet().books();
    const first = aDebitOf([usageOf('page', '8')], { key: 'k' });
    postedBy(books, first);
    books.run(first, aDebitOf([usageOf('page', '2'), usageOf('fly', '1')]), used('page', '5000'));
    eventsOf(books.post(someEvents('ALL_OR_NOTHING', [used('page', '1'), used('page', '5000')])));
    expect(counted(books, 'page')).toEqual(['8']);
  });

  it('count all units of a charge of which a part was waived', () => {
    const books = aWallet()
      .at(NOW)
      .withLot('purchased', '10')
      .under(policies({ rates: [pages] }))
      .books();
    postedBy(books, aDebitOf([usageOf('page', '8')], { overage: 'CAP' }));
    expect(counted(books, 'page')).toEqual(['8']);
  });

  it('take no units back by a refund', () => {
    const books = wallet().books();
    const { transaction } = postedBy(books, used('page', '10'));
    postedBy(books, aRefund(transaction.id));
    expect(costOf(books, 'page', '1')).toBe(credits('-1'));
  });

  it.each([
    ['1', 1, '2026-04-01T00:00:00'],
    ['10', 10, '2026-04-10T00:00:00'],
    ['31', 31, '2026-03-31T00:00:00'],
  ])('begin anew on anchor day %s, and not a millisecond before', (_name, anchorDay, next) => {
    const books = wallet().books();
    books.anchorDay = anchorDay;
    postedBy(books, used('page', '10'));
    expect(costOf(books.moveTo(after(at(next), -1)), 'page', '1')).toBe(credits('-1'));
    expect(costOf(books.moveTo(at(next)), 'page', '1')).toBe(credits('-2'));
    expect(counted(books, 'page')).toEqual(['1']);
  });

  it('begin anew on the last day of a month that is too short for the anchor day', () => {
    const books = aWallet()
      .at(at('2026-02-10T00:00:00'))
      .withLot('purchased', '1000')
      .under(policies({ rates: [pages] }))
      .books();
    books.anchorDay = 31;
    postedBy(books, used('page', '10'));
    expect(costOf(books.moveTo(at('2026-02-27T23:59:59')), 'page', '1')).toBe(credits('-1'));
    expect(costOf(books.moveTo(at('2026-02-28T00:00:00')), 'page', '1')).toBe(credits('-2'));
  });

  it('begin anew with a new subscription, whose day is their anchor', () => {
    const books = wallet().subscribed('CANCELED').books();
    books.status = 'ACTIVE';
    postedBy(books, used('page', '10'));
    books.changeSubscription({ status: 'CANCELED', period: { start: instant(0), end: NOW } });
    books.post(aSubscription('yearly'));
    expect(books.anchorDay).toBe(10);
    expect(costOf(books, 'page', '1')).toBe(credits('-2'));
  });

  it('count a charge in the period it is posted in, whenever the work was done', () => {
    const books = wallet().books();
    books.anchorDay = 9;
    postedBy(books, used('page', '10'));
    const late = aDebitOf([usageOf('page', '1')], { occurredAt: at('2026-03-08T12:00:00') });
    expect(postedBy(books, late).transaction.amount).toBe(credits('-1'));
  });

  it('stay counted over a new version of the rate card that has the same rate', () => {
    const dearer = aTieredRate('page', 'GRADUATED', [
      ['10', '4'],
      [null, '3'],
    ]);
    const cards = [rateCard(1, instant(0), [pages]), rateCard(2, after(NOW, 1_000), [dearer])];
    const books = aWallet()
      .at(NOW)
      .withLot('purchased', '1000')
      .under({ ...policies({ rates: [pages] }), rateCards: cards })
      .books();
    expect(costOf(books, 'page', '8')).toBe(credits('-16'));
    expect(costOf(books.moveTo(after(NOW, 1_000)), 'page', '4')).toBe(credits('-14'));
  });
});

describe('a hold of usage with tiers', () => {
  it('counts no units: two of them are priced alike', () => {
    const books = wallet().books();
    const amounts = [aHold, aHold].map((hold) => hold(books, '0', { usage: [usageOf('page', '10')] }));
    expect(amounts.map((id) => books.holdById(id).facts.amount)).toEqual([credits('20'), credits('20')]);
    expect(books.tierCounts).toEqual([]);
    heldBy(books, aRelease(amounts[0] ?? ''));
    expect(books.tierCounts).toEqual([]);
  });

  it('counts when it is captured, and what was used is priced where the period stands then', () => {
    const books = wallet().books();
    const id = aHold(books, '30');
    postedBy(books, used('page', '10'));
    expect(postedBy(books, aCapture(id, { usage: [usageOf('page', '5')] })).transaction.amount).toBe(credits('-5'));
    expect(counted(books, 'page')).toEqual(['15']);
  });

  it('captured whole costs what it reserved, and counts the units of its lines', () => {
    const books = wallet().books();
    const id = aHold(books, '0', { usage: [usageOf('page', '10')] });
    postedBy(books, used('page', '10'));
    expect(postedBy(books, aCapture(id)).transaction.amount).toBe(credits('-20'));
    expect(counted(books, 'page')).toEqual(['20']);
    expectSound(books);
  });

  it('captured in another period counts in that one', () => {
    const books = wallet().books();
    books.anchorDay = 11;
    const id = aHold(books, '30', { lifeSeconds: 86_400 });
    postedBy(books, used('page', '10'));
    books.moveTo(at('2026-03-11T00:00:00'));
    expect(postedBy(books, aCapture(id, { usage: [usageOf('page', '1')] })).transaction.amount).toBe(credits('-2'));
    expect(counted(books, 'page')).toEqual(['1']);
  });

  it('that is refused counts nothing', () => {
    const books = wallet().books();
    const id = aHold(books, '5');
    refusedBy(books, aCapture(id, { usage: [usageOf('page', '10')] }));
    refusedBy(books, anAuthorization('5000'));
    expect(books.tierCounts).toEqual([]);
  });
});

describe('free units', () => {
  it('are free until the period has used them up, also where one charge passes the border', () => {
    const books = wallet().books();
    expect(costOf(books, 'token', '90')).toBe(0n);
    expect(costOf(books, 'token', '20')).toBe(credits('-5'));
    expect(costOf(books, 'token', '2')).toBe(credits('-1'));
    expect(books.entries).toHaveLength(2);
    expectSound(books);
  });

  it('are counted where nothing was charged: free work uses them up', () => {
    const books = aWallet()
      .at(NOW)
      .under(policies({ rates: [tokens] }))
      .books();
    postedBy(books, used('token', '100'));
    expect(refusedBy(books, used('token', '1')).code).toBe('INSUFFICIENT_CREDITS');
  });
});
