/** Promo codes: what is redeemed, how often, and when it is not. */
import { describe, expect, it } from 'vitest';
import type { PromoCode } from '../../../src/domain/promotions/promo-code.ts';
import { expectSound } from '../../support/builders-audit.ts';
import { aWallet, policies } from '../../support/builders-books.ts';
import { aDebit, aGrant, aRedemption } from '../../support/builders-commands.ts';
import { postedBy, refusedBy } from '../../support/builders-outcomes.ts';
import { at, credits } from '../../support/builders-values.ts';

const NOW = at('2026-03-10T12:00:00');

const promotion = (given: Partial<PromoCode> = {}): PromoCode => ({
  code: 'WELCOME',
  bucketKey: 'promotional',
  credits: credits('25'),
  expiresAfterDays: null,
  maxRedemptions: null,
  maxPerOrganization: 1,
  startsAt: null,
  endsAt: null,
  ...given,
});

const walletWith = (given: Partial<PromoCode> = {}, overdraft = '0') =>
  aWallet()
    .at(NOW)
    .under(policies({ promoCodes: [promotion(given)], expiryDays: { promotional: 90 }, overdraft }));

describe('a promo code', () => {
  it('makes a promotional lot that lives as long as its bucket says', () => {
    const books = walletWith().books();
    const { transaction, lotId } = postedBy(books, aRedemption('WELCOME'));
    expect(transaction).toMatchObject({
      kind: 'GRANT',
      reasonCode: 'PROMOTION',
      amount: credits('25'),
      description: 'Promo code WELCOME',
    });
    expect(books.lots.get(lotId ?? '')).toMatchObject({
      source: 'PROMOTION',
      bucketId: 'bucket-promotional',
      paid: false,
      expiresAt: at('2026-06-08T12:00:00'),
    });
    expectSound(books);
  });

  it('may have a life of its own', () => {
    const books = walletWith({ expiresAfterDays: 2 }).books();
    const { lotId } = postedBy(books, aRedemption('WELCOME'));
    expect(books.lots.get(lotId ?? '')?.expiresAt).toBe(at('2026-03-12T12:00:00'));
  });

  it('pays back what is owed', () => {
    const books = walletWith({}, '10').books();
    postedBy(books, aDebit('4', { overage: 'DEBT' }));
    expect(postedBy(books, aRedemption('WELCOME')).available).toBe(credits('21'));
    expectSound(books);
  });

  it('is redeemed as often as one organization may, also within one batch', () => {
    const books = walletWith({ maxPerOrganization: 2 }).books();
    const outcomes = books.run(aRedemption('WELCOME'), aRedemption('WELCOME'), aRedemption('WELCOME'));
    expect(outcomes.map(({ status }) => status)).toEqual(['posted', 'posted', 'refused']);
    expect(refusedBy(books, aRedemption('WELCOME'))).toMatchObject({
      code: 'CONFLICT',
      currentState: 'REDEEMED',
    });
    expect(books.available).toBe(credits('50'));
    expectSound(books);
  });

  it('is redeemed as often as all may together', () => {
    const books = walletWith({ maxRedemptions: 7, maxPerOrganization: 9 }).books();
    books.redeemedElsewhere.set('WELCOME', 6);
    postedBy(books, aRedemption('WELCOME'));
    expect(refusedBy(books, aRedemption('WELCOME'))).toMatchObject({
      code: 'CONFLICT',
      currentState: 'USED_UP',
    });
  });

  it('is answered again under its key, whatever has become of it', () => {
    const books = walletWith().books();
    const { transaction } = postedBy(books, aRedemption('WELCOME', 'once'));
    expect(books.post(aRedemption('WELCOME', 'once'))).toMatchObject({
      status: 'replayed',
      answer: { transactionId: transaction.id },
    });
    expect(books.available).toBe(credits('25'));
  });

  it('that was refused may be tried again under the same key', () => {
    const books = walletWith({ maxRedemptions: 1 }).books();
    books.redeemedElsewhere.set('WELCOME', 1);
    refusedBy(books, aRedemption('WELCOME', 'again'));
    books.redeemedElsewhere.set('WELCOME', 0);
    postedBy(books, aRedemption('WELCOME', 'again'));
  });

  it.each([
    ['unknown', { code: 'OTHER' }],
    ['not yet valid', { startsAt: at('2026-03-10T12:00:00.001') }],
  ])('that is %s is not found', (_name, given) => {
    expect(refusedBy(walletWith(given).books(), aRedemption('WELCOME'))).toMatchObject({ code: 'NOT_FOUND' });
  });

  it('is valid from its start until before its end', () => {
    const books = walletWith({ startsAt: NOW, endsAt: at('2026-03-11T12:00:00'), maxPerOrganization: 5 }).books();
    postedBy(books, aRedemption('WELCOME'));
    postedBy(books.moveTo(at('2026-03-11T11:59:59.999')), aRedemption('WELCOME'));
    const ended = refusedBy(books.moveTo(at('2026-03-11T12:00:00')), aRedemption('WELCOME'));
    expect(ended).toMatchObject({ code: 'CONFLICT', currentState: 'ENDED' });
  });

  it('gives nothing to a wallet that is frozen or full', () => {
    expect(refusedBy(walletWith().frozen().books(), aRedemption('WELCOME')).code).toBe('WALLET_FROZEN');
    const full = walletWith().books();
    postedBy(full, aGrant('4611686018420'));
    expect(refusedBy(full, aRedemption('WELCOME'))).toMatchObject({ code: 'INVALID_INPUT', path: ['code'] });
  });

  it('leaves a record in the audit trail', () => {
    const books = walletWith().books();
    const { transaction } = postedBy(books, aRedemption('WELCOME'));
    expect(books.audits).toMatchObject([
      { action: 'redeemPromoCode', after: { transactionId: transaction.id, code: 'WELCOME' } },
    ]);
  });
});
