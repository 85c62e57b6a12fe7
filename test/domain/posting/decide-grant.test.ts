import { describe, expect, it } from 'vitest';
import { formatCredits, MAX_GRANTED_BALANCE, micros, minus } from '../../../src/domain/credits/micros.ts';
import { formatInstant } from '../../../src/domain/time/instant.ts';
import { expectSound, stateOf } from '../../support/builders-audit.ts';
import { aWallet, policies } from '../../support/builders-books.ts';
import { AN_OPERATOR, aDebit, aGrant, anAdjustment, ORGANIZATION } from '../../support/builders-commands.ts';
import { after, at, credits } from '../../support/builders-values.ts';

const NOW = at('2026-03-10T12:00:00');

describe('a grant', () => {
  it('makes one promotional lot, with kind and reason GRANT', () => {
    const books = aWallet().at(NOW).books();
    const outcome = books.post(aGrant('25', { key: 'k', expiresAt: after(NOW, 1_000) }));
    expect(outcome).toMatchObject({ status: 'posted', available: credits('25') });
    const [lot, ...others] = [...books.lots.values()];
    expect(others).toEqual([]);
    expect(lot).toMatchObject({
      source: 'PROMOTION',
      bucketId: 'bucket-promotional',
      granted: credits('25'),
      remaining: credits('25'),
      paid: false,
      effectiveAt: NOW,
      expiresAt: after(NOW, 1_000),
      inForce: true,
      purchaseId: null,
    });
    expect(outcome).toMatchObject({ lotId: lot?.id });
    expect(books.transactions).toMatchObject([
      {
        kind: 'GRANT',
        reasonCode: 'GRANT',
        amount: credits('25'),
        idempotencyKey: 'k',
        actor: AN_OPERATOR,
        description: 'a reason',
      },
    ]);
    expect(books.entries).toMatchObject([{ direction: 'CREDIT', reasonCode: 'GRANT', sequence: 1n, lotId: lot?.id }]);
    expect(books.changes).toMatchObject([{ version: 1n, change: credits('25'), totalAvailable: credits('25') }]);
    expectSound(books);
  });

  it.each([
    ['UTC', '2026-06-08T12:00:00.000Z'],
    // Summer time begins in between: the same time by the wall clock, an hour less.
    ['Europe/Berlin', '2026-06-08T11:00:00.000Z'],
  ])('in %s expires by its bucket’s default, in local days', (zone, expected) => {
    const books = aWallet()
      .at(NOW)
      .in(zone)
      .under(policies({ expiryDays: { promotional: 90 } }))
      .books();
    books.post(aGrant('1'));
    books.post(aGrant('1', { bucket: 'purchased' }));
    books.post(aGrant('1', { expiresAt: after(NOW, 5) }));
    const expiries = [...books.lots.values()].map((lot) => lot.expiresAt && formatInstant(lot.expiresAt));
    expect(expiries).toEqual([expected, null, formatInstant(after(NOW, 5))]);
  });

  it('is due to expire then: the wallet’s next transition is its expiry', () => {
    const books = aWallet()
      .at(NOW)
      .withLot('purchased', '1', { expiresAt: after(NOW, 9_000) })
      .books();
    books.post(aGrant('1', { expiresAt: after(NOW, 1_000) }));
    expect(books.nextTransitionAt).toBe(after(NOW, 1_000));
  });

  it.each([
    ['now', 0],
    ['a millisecond ago', -1],
  ])('that expires %s is refused', (_name, offset) => {
    const books = aWallet().at(NOW).books();
    const before = stateOf(books);
    expect(books.post(aGrant('1', { expiresAt: after(NOW, offset) }))).toMatchObject({
      status: 'refused',
      refusal: { code: 'INVALID_INPUT', path: ['expiresAt'] },
    });
    expect(stateOf(books)).toEqual(before);
  });

  it('into a bucket that does not exist is refused, on a frozen wallet too', () => {
    for (const books of [aWallet().books(), aWallet().frozen().books()]) {
      expect(books.post(aGrant('1', { bucket: 'nowhere' }))).toMatchObject({
        refusal: { code: 'INVALID_INPUT', path: ['bucketKey'] },
      });
      expect(books.transactions).toEqual([]);
    }
  });

  it('needs no subscription', () => {
    expect(aWallet().subscribed(null).books().post(aGrant('1'))).toMatchObject({ status: 'posted' });
  });

  it('is refused on a frozen wallet', () => {
    const books = aWallet().frozen().books();
    expect(books.post(aGrant('1'))).toMatchObject({ refusal: { code: 'WALLET_FROZEN' } });
    expect(books.audits).toEqual([]);
  });

  it('may fill a wallet to its limit and is refused, not thrown, beyond it', () => {
    const limit = formatCredits(micros(MAX_GRANTED_BALANCE));
    const one = '0.000001';
    const nearly = formatCredits(minus(micros(MAX_GRANTED_BALANCE), credits(one)));
    const books = aWallet().withLot('purchased', nearly).books();
    expect(books.post(aGrant('0.000002'))).toMatchObject({
      refusal: { code: 'INVALID_INPUT', path: ['credits'] },
    });
    expect(books.post(aGrant(one))).toMatchObject({ status: 'posted', available: credits(limit) });
    expect(books.post(anAdjustment(one, 'purchased'))).toMatchObject({
      refusal: { code: 'INVALID_INPUT', path: ['credits'] },
    });
    expect(books.post(aGrant('9223372036854.775807'))).toMatchObject({ refusal: { code: 'INVALID_INPUT' } });
    expect(books.transactions).toHaveLength(1);
    expectSound(books);
  });

  it('may be spent by the next command of the same batch', () => {
    const books = aWallet().books();
    const outcomes = books.run(aDebit('5'), aGrant('7'), aDebit('5'), aDebit('5'));
    expect(outcomes.map((outcome) => outcome.status)).toEqual(['refused', 'posted', 'posted', 'refused']);
    expect(outcomes[3]).toMatchObject({ refusal: { required: credits('5'), available: credits('2') } });
    expect(books.remainingIn('promotional')).toEqual([credits('2')]);
    expect(books.lots.size).toBe(1);
    expectSound(books);
  });

  it('takes its place in the burn order at once', () => {
    const books = aWallet()
      .at(NOW)
      .withLot('promotional', '5', { expiresAt: after(NOW, 9_000) })
      .books();
    books.run(aGrant('3', { expiresAt: after(NOW, 1_000) }), aGrant('4'), aDebit('4'));
    // The new lot that expires first is gone, then one of the old lot; the one that never expires is whole.
    expect(books.remainingIn('promotional')).toEqual([credits('4'), credits('4')]);
    expect([...books.lots.values()].map((lot) => lot.remaining)).toEqual([credits('4'), 0n, credits('4')]);
  });
});

describe('the audit trail', () => {
  it('has a grant and an adjustment once, with what was done; not their replays, refusals or debits', () => {
    const books = aWallet().at(NOW).books();
    const [grant] = books.run(aGrant('5', { key: 'g' }));
    books.run(
      aGrant('5', { key: 'g' }),
      aGrant('1', { bucket: 'nowhere' }),
      aDebit('1'),
      anAdjustment('-100', 'promotional'),
    );
    const [adjustment] = books.run(anAdjustment('-2.5', 'promotional'));
    if (grant?.status !== 'posted' || adjustment?.status !== 'posted') throw new Error('not posted');
    const common = { id: expect.any(String), organizationId: ORGANIZATION, actor: AN_OPERATOR, occurredAt: NOW };
    expect(books.audits).toEqual([
      {
        ...common,
        action: 'grantCredits',
        requestId: 'request-1',
        before: { balance: '0' },
        after: {
          transactionId: grant.transaction.id,
          credits: '5',
          bucketKey: 'promotional',
          reason: 'a reason',
          balance: '5',
        },
      },
      {
        ...common,
        action: 'adjustBalance',
        requestId: null,
        before: { balance: '4' },
        after: {
          transactionId: adjustment.transaction.id,
          credits: '-2.5',
          bucketKey: 'promotional',
          reason: 'a correction',
          balance: '1.5',
        },
      },
    ]);
  });
});

describe('an adjustment', () => {
  it('upwards makes a lot of its own kind, with the bucket’s default expiry', () => {
    const books = aWallet()
      .at(NOW)
      .under(policies({ expiryDays: { promotional: 1 } }))
      .books();
    books.post(anAdjustment('3', 'promotional'));
    expect([...books.lots.values()]).toMatchObject([
      { source: 'ADJUSTMENT', granted: credits('3'), paid: false, expiresAt: after(NOW, 86_400_000) },
    ]);
    expect(books.transactions).toMatchObject([{ kind: 'ADJUSTMENT', reasonCode: 'ADJUSTMENT', amount: credits('3') }]);
    expectSound(books);
  });

  it('downwards takes from its bucket alone, in burn order', () => {
    const books = aWallet()
      .at(NOW)
      .withLot('daily_free', '50')
      .withLot('purchased', '5')
      .withLot('purchased', '5', { expiresAt: after(NOW, 1_000) })
      .books();
    expect(books.post(anAdjustment('-7', 'purchased'))).toMatchObject({
      status: 'posted',
      available: credits('53'),
      lotId: null,
      transaction: { kind: 'ADJUSTMENT', amount: credits('-7') },
    });
    expect(books.remainingIn('purchased')).toEqual([credits('3')]);
    expect(books.remainingIn('daily_free')).toEqual([credits('50')]);
    expect(books.entries.map((entry) => entry.reasonCode)).toEqual(['ADJUSTMENT', 'ADJUSTMENT']);
    expectSound(books);
  });

  it('downwards by more than the bucket has is refused with what it has, and stays refused', () => {
    const books = aWallet().withLot('daily_free', '50').withLot('purchased', '5', { pinned: '2' }).books();
    const before = stateOf(books);
    expect(books.post(anAdjustment('-4', 'purchased', 'k'))).toMatchObject({
      status: 'refused',
      replayed: false,
      available: credits('53'),
      refusal: { code: 'INSUFFICIENT_CREDITS', required: credits('4'), available: credits('3'), held: credits('2') },
    });
    expect(stateOf(books)).toEqual(before);
    expect(books.post(anAdjustment('-4', 'purchased', 'k'))).toMatchObject({ replayed: true });
  });

  it('of an unknown bucket is refused, in either direction', () => {
    const books = aWallet().withLot('purchased', '5').books();
    for (const amount of ['1', '-1']) {
      expect(books.post(anAdjustment(amount, 'nowhere'))).toMatchObject({
        refusal: { code: 'INVALID_INPUT', path: ['bucketKey'] },
      });
    }
  });
});
