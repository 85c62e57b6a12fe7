/** What a refused charge is explained by: its price, the lots that were there, the limits it met. */
import { describe, expect, it } from 'vitest';
import { formatCredits } from '../../../src/domain/credits/micros.ts';
import { DAILY_CREDIT_CAP } from '../../../src/domain/limits/spend-limit.ts';
import type { Explanation } from '../../../src/domain/refusals.ts';
import { aWallet, type Books, policies } from '../../support/builders-books.ts';
import { aCapture, aDebit, aDebitOf, anAdjustment, anAuthorization, WALLET } from '../../support/builders-commands.ts';
import { aHold, postedBy, refusedBy } from '../../support/builders-outcomes.ts';
import { after, aRate, at, credits, usageOf } from '../../support/builders-values.ts';

const NOW = at('2026-03-10T12:00:00');
const rates = [aRate('scrape', '1.5', { unit: 'page' })];

function explanationOf(books: Books, command: Parameters<typeof refusedBy>[1]): Explanation {
  const refusal = refusedBy(books, command);
  if (!('explanation' in refusal) || refusal.explanation === null) throw new Error(`${refusal.code} explains nothing`);
  return refusal.explanation;
}
const lotsOf = ({ lots }: Explanation) => lots.map(({ lotId, available }) => [lotId, formatCredits(available)]);

describe('a charge that was refused for funds', () => {
  it('tells how it was priced, what there was to spend in burn order, and what it met', () => {
    const books = aWallet()
      .at(NOW)
      .under(policies({ rates, dailyCreditCap: '100' }))
      .withLot('purchased', '10', { pinned: '4' })
      .withLot('promotional', '2')
      .withLot('promotional', '3', { expiresAt: after(NOW, 1_000) })
      .withLot('monthly_plan', '5', { frozen: true })
      .withLot('daily_free', '5', { pinned: '5' })
      .withLot('daily_free', '9', { effectiveAt: after(NOW, 1) })
      .books();
    const explanation = explanationOf(books, aDebitOf([usageOf('scrape', '10', { js: true })]));
    expect(explanation).toMatchObject({
      walletId: WALLET,
      rateCardVersion: 1,
      lines: [{ meter: 'scrape', rate: '1.5 credits per page', credits: credits('15'), waived: 0n }],
      limits: [{ limitCode: DAILY_CREDIT_CAP, limit: credits('100'), used: 0n, blocked: false }],
    });
    expect(lotsOf(explanation)).toEqual([
      ['id-00000003', '3'],
      ['id-00000002', '2'],
      ['id-00000001', '6'],
    ]);
  });

  it('by an amount has no lines and no rate card', () => {
    const books = aWallet().at(NOW).withLot('purchased', '1').books();
    expect(explanationOf(books, aDebit('2'))).toMatchObject({ rateCardVersion: null, lines: [], limits: [] });
    expect(explanationOf(books, anAuthorization('2'))).toMatchObject({ rateCardVersion: null, lines: [] });
  });

  it('names the lots as they were left by the commands before it in the batch', () => {
    const books = aWallet().at(NOW).withLot('promotional', '3').withLot('purchased', '5').books();
    const [, refused] = books.run(aDebit('4'), aDebit('5'));
    expect(refused).toMatchObject({
      refusal: { explanation: { lots: [{ lotId: 'id-00000002', available: credits('4') }] } },
    });
  });

  it('names the first 20 lots of the burn order at most', () => {
    const wallet = aWallet().at(NOW);
    for (let lot = 0; lot < 30; lot += 1) wallet.withLot('purchased', '1');
    const lots = lotsOf(explanationOf(wallet.books(), aDebit('31')));
    expect(lots).toHaveLength(20);
    expect(lots[19]).toEqual(['id-00000020', '1']);
  });

  it('as an overage beyond a hold names what was available for it', () => {
    const books = aWallet().at(NOW).under(policies({ rates })).withLot('purchased', '10').books();
    const id = aHold(books, '6');
    const explanation = explanationOf(books, aCapture(id, { usage: [usageOf('scrape', '8')], overage: 'DEBT' }));
    expect(explanation).toMatchObject({ rateCardVersion: 1, lines: [{ credits: credits('12') }], limits: [] });
    expect(lotsOf(explanation)).toEqual([['id-00000001', '4']]);
  });

  it('is nothing for what is no charge', () => {
    const books = aWallet().at(NOW).books();
    expect(refusedBy(books, anAdjustment('-1', 'purchased'))).toMatchObject({ explanation: null });
  });

  it('is the same when it is given again, whatever has been spent since', () => {
    const books = aWallet().at(NOW).under(policies({ rates })).withLot('purchased', '10').books();
    const command = aDebitOf([usageOf('scrape', '8')], { key: 'k' });
    const first = explanationOf(books, command);
    postedBy(books, aDebit('9'));
    expect(explanationOf(books, command)).toEqual(first);
  });
});

describe('a charge that was refused by the daily cap', () => {
  it('marks the limit that blocked it', () => {
    const books = aWallet()
      .at(NOW)
      .under(policies({ rates, dailyCreditCap: '10' }))
      .withLot('purchased', '100')
      .books();
    postedBy(books, aDebit('4'));
    for (const command of [
      aDebitOf([usageOf('scrape', '5')]),
      anAuthorization('0', { usage: [usageOf('scrape', '5')] }),
    ]) {
      expect(explanationOf(books, command)).toMatchObject({
        rateCardVersion: 1,
        lines: [{ credits: credits('7.5') }],
        limits: [{ limitCode: DAILY_CREDIT_CAP, limit: credits('10'), used: credits('4'), blocked: true }],
        lots: [{ lotId: 'id-00000001', available: credits('96') }],
      });
    }
  });
});
