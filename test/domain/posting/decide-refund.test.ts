/** Refunds. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sum } from '../../../src/domain/credits/micros.ts';
import { expectSound, stateOf } from '../../support/builders-audit.ts';
import { aWallet, type Books, policies, type WalletBuilder } from '../../support/builders-books.ts';
import {
  A_KEY,
  aCapture,
  aDebit,
  aDebitOf,
  aGrant,
  anAdjustment,
  aRefund,
  aSettlement,
  someEvents,
} from '../../support/builders-commands.ts';
import { aHold, movesOf, postedBy, refusedBy } from '../../support/builders-outcomes.ts';
import { after, aRate, at, credits, usageOf } from '../../support/builders-values.ts';

const NOW = at('2026-03-10T12:00:00');
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

const wallet = () => aWallet().at(NOW);
/** Charges an amount and tells the transaction. */
const charged = (books: Books, amount: string): string => postedBy(books, aDebit(amount)).transaction.id;
const remaining = (books: Books) => [...books.lots.values()].map((lot) => lot.remaining);

describe('a refund', () => {
  it('of the whole charge puts everything back where it came from', () => {
    const books = wallet().withLot('promotional', '3').withLot('purchased', '10', { paid: true }).books();
    const before = remaining(books);
    const id = charged(books, '8');
    const { transaction, available } = postedBy(books, aRefund(id));
    expect(transaction).toMatchObject({
      kind: 'REFUND',
      reasonCode: 'REFUND',
      amount: credits('8'),
      refundedId: id,
      actor: A_KEY,
      lines: [],
    });
    expect(movesOf(books, 2)).toEqual([
      ['REFUND', '5', 'id-00000002'],
      ['REFUND', '3', 'id-00000001'],
    ]);
    expect(available).toBe(credits('13'));
    expect(remaining(books)).toEqual(before);
    expect(books.lots.size).toBe(2);
    expectSound(books);
  });

  it('in parts gives back what was spent last first, over three lots, and adds up exactly', () => {
    const books = wallet()
      .withLot('promotional', '33.333333')
      .withLot('monthly_plan', '33.333333')
      .withLot('purchased', '50')
      .books();
    const id = charged(books, '100');
    const from = books.entries.length;
    for (const amount of ['33.333333', '0.000002', '40']) postedBy(books, aRefund(id, amount));
    expect(movesOf(books, from)).toEqual([
      ['REFUND', '33.333333', 'id-00000003'],
      ['REFUND', '0.000001', 'id-00000003'],
      ['REFUND', '0.000001', 'id-00000002'],
      ['REFUND', '33.333332', 'id-00000002'],
      ['REFUND', '6.666668', 'id-00000001'],
    ]);
    postedBy(books, aRefund(id));
    expect(remaining(books)).toEqual([credits('33.333333'), credits('33.333333'), credits('50')]);
    expect(refusedBy(books, aRefund(id))).toMatchObject({ code: 'REFUND_EXCEEDS_ORIGINAL', refundable: 0n });
    expectSound(books);
  });

  it('of more than is left is refused with what is left, and stores nothing', () => {
    const books = wallet().withLot('purchased', '10').books();
    const id = charged(books, '8');
    postedBy(books, aRefund(id, '5'));
    const before = stateOf(books);
    expect(refusedBy(books, aRefund(id, '3.000001', 'k'))).toEqual({
      code: 'REFUND_EXCEEDS_ORIGINAL',
      refundable: credits('3'),
      replayed: false,
    });
    expect(stateOf(books)).toEqual(before);
    postedBy(books, aRefund(id, '3', 'k'));
    expect(books.available).toBe(credits('10'));
  });

  it('twice in one batch gives back once', () => {
    const books = wallet().withLot('purchased', '10').books();
    const id = charged(books, '8');
    const outcomes = books.run(aRefund(id), aRefund(id), aRefund(id, '1'));
    expect(outcomes.map(({ status }) => status)).toEqual(['posted', 'refused', 'refused']);
    expect(books.available).toBe(credits('10'));
    expectSound(books);
  });

  it('under a key given again gives back once and answers the same transaction', () => {
    const books = wallet().withLot('purchased', '10').books();
    const id = charged(books, '8');
    const first = postedBy(books, aRefund(id, '2', 'k'));
    const before = stateOf(books);
    expect(books.post(aRefund(id, '2', 'k'))).toMatchObject({
      status: 'replayed',
      answer: { transactionId: first.transaction.id },
      available: credits('4'),
    });
    expect(refusedBy(books, aRefund(id, '3', 'k')).code).toBe('IDEMPOTENCY_KEY_REUSED');
    expect(stateOf(books)).toEqual(before);
  });

  it('of free work is refused: there is nothing to give back', () => {
    const books = wallet()
      .under(policies({ rates: [aRate('read', '0')] }))
      .books();
    const { transaction } = postedBy(books, aDebitOf([usageOf('read', '1')]));
    expect(refusedBy(books, aRefund(transaction.id))).toMatchObject({
      code: 'REFUND_EXCEEDS_ORIGINAL',
      refundable: 0n,
    });
  });

  it('gives back what was charged and not what was waived', () => {
    const books = wallet().withLot('purchased', '4').books();
    const { transaction } = postedBy(books, aDebit('10', { overage: 'CAP' }));
    expect(refusedBy(books, aRefund(transaction.id, '5'))).toMatchObject({ refundable: credits('4') });
    expect(postedBy(books, aRefund(transaction.id)).transaction.amount).toBe(credits('4'));
  });

  it('of a capture gives back to the lots that the hold had pinned', () => {
    const books = wallet().withLot('promotional', '3').withLot('purchased', '10').books();
    const id = aHold(books, '5');
    const { transaction } = postedBy(books, aCapture(id, { amount: '4' }));
    const from = books.entries.length;
    postedBy(books, aRefund(transaction.id));
    expect(movesOf(books, from)).toEqual([
      ['REFUND', '1', 'id-00000002'],
      ['REFUND', '3', 'id-00000001'],
    ]);
    expect(books.holdById(id).state).toMatchObject({ status: 'CAPTURED', captured: credits('4') });
    expectSound(books);
  });

  it('of anything but a debit or a capture is refused', () => {
    const books = wallet()
      .withLot('purchased', '10', { expiresAt: after(NOW, 1_000) })
      .books();
    const grant = postedBy(books, aGrant('5')).transaction.id;
    const adjustment = postedBy(books, anAdjustment('-1', 'promotional')).transaction.id;
    const refund = postedBy(books, aRefund(charged(books, '1'))).transaction.id;
    books.moveTo(after(NOW, 1_000)).post(aSettlement());
    const expiry = books.transactions.find(({ kind }) => kind === 'EXPIRY')?.id ?? '';
    const before = stateOf(books);
    for (const [id, currentState] of [
      [grant, 'GRANT'],
      [adjustment, 'ADJUSTMENT'],
      [refund, 'REFUND'],
      [expiry, 'EXPIRY'],
    ] as const) {
      expect(refusedBy(books, aRefund(id, '0.5', 'k'))).toMatchObject({ code: 'CONFLICT', currentState });
    }
    expect(refusedBy(books, aRefund('nowhere', '0.5', 'k'))).toMatchObject({ code: 'NOT_FOUND', what: 'transaction' });
    expect(stateOf(books)).toEqual(before);
  });

  it('of an event is that of a debit', () => {
    const books = wallet().withLot('purchased', '10').books();
    books.post(someEvents('EACH', [aDebit('4'), aDebit('1')]));
    const [first] = books.transactions;
    postedBy(books, aRefund(first?.id ?? ''));
    expect(books.available).toBe(credits('9'));
  });

  it('needs no subscription, and waits while the wallet is frozen', () => {
    const books = wallet().withLot('purchased', '10').books();
    const id = charged(books, '8');
    books.status = 'CANCELED';
    postedBy(books, aRefund(id, '1'));
    books.frozen = true;
    expect(refusedBy(books, aRefund(id, '1')).code).toBe('WALLET_FROZEN');
    expect(refusedBy(books, aRefund('nowhere', '1')).code).toBe('WALLET_FROZEN');
  });

  it('attributes itself as the charge was', () => {
    const attribution = { userId: 'user-1', projectId: 'project-1', taskId: 'task-1', executionId: 'execution-1' };
    const books = wallet().withLot('purchased', '10').books();
    const { transaction } = postedBy(books, aDebit('4', { attribution }));
    expect(postedBy(books, aRefund(transaction.id)).transaction).toMatchObject({ attribution });
  });

  it('puts a lot that had been emptied back into the burn order and lets it expire when it is due', () => {
    const expiry = after(NOW, DAY);
    const books = wallet().withLot('purchased', '5').withLot('promotional', '3', { expiresAt: expiry }).books();
    const id = charged(books, '3');
    expect(books.nextTransitionAt).toBe(expiry);
    books.post(aSettlement());
    postedBy(books, aRefund(id));
    expect(books.nextTransitionAt).toBe(expiry);
    expect(postedBy(books, aDebit('1')).transaction.amount).toBe(credits('-1'));
    expect(movesOf(books).at(-1)).toEqual(['USAGE', '-1', 'id-00000002']);
    books.moveTo(expiry).post(aSettlement());
    expect(movesOf(books).at(-1)).toEqual(['EXPIRY', '-2', 'id-00000002']);
    expectSound(books);
  });
});

describe('a refund to a lot that has expired', () => {
  const expiry = after(NOW, 1_000);
  const newLot = policies({ expiredLotRefund: { kind: 'NEW_LOT', graceDays: 30 } });
  const forfeit = policies({ expiredLotRefund: { kind: 'FORFEIT' } });

  /** Spent 4 of a lot of 10, which has expired since, swept or not. */
  const expired = (opening: WalletBuilder, isSwept: boolean) => {
    const books = opening.withLot('promotional', '10', { expiresAt: expiry, paid: true }).books();
    const id = charged(books, isSwept ? '4' : '10');
    books.moveTo(after(expiry, HOUR)).post(aSettlement());
    return { books, id, from: books.entries.length };
  };

  it.each([
    ['whose rest had expired', true],
    ['of which nothing had been left', false],
  ])('%s makes a new lot in the same bucket that lives for the grace, paid as the old one was', (_name, isSwept) => {
    const { books, id, from } = expired(wallet().in('America/New_York').under(newLot), isSwept);
    postedBy(books, aRefund(id, '4'));
    const made = [...books.lots.values()].at(-1);
    expect(made).toMatchObject({
      bucketId: 'bucket-promotional',
      source: 'REFUND',
      granted: credits('4'),
      remaining: credits('4'),
      paid: true,
      effectiveAt: books.now,
      // 30 local days: the clocks have gone forward on 8 March already.
      expiresAt: after(books.now, 30 * DAY),
      inForce: true,
    });
    expect(movesOf(books, from)).toEqual([['REFUND', '4', made?.id ?? null]]);
    expect(books.available).toBe(credits('4'));
    expectSound(books);
  });

  it.each([
    ['whose rest had expired', true],
    ['of which nothing had been left', false],
  ])('%s is forfeited where the catalog says so: it comes back and expires at once', (_name, isSwept) => {
    const { books, id, from } = expired(wallet().under(forfeit), isSwept);
    const { transaction, available } = postedBy(books, aRefund(id, '4'));
    expect(transaction.amount).toBe(credits('4'));
    expect(movesOf(books, from)).toEqual([
      ['REFUND', '4', 'id-00000001'],
      ['EXPIRY', '-4', 'id-00000001'],
    ]);
    expect([available, books.available, books.balance]).toEqual([0n, 0n, 0n]);
    expect(refusedBy(books, aRefund(id, isSwept ? '0.000001' : '6.000001')).code).toBe('REFUND_EXCEEDS_ORIGINAL');
    expect(books.nextTransitionAt).toBeNull();
    expectSound(books);
  });

  it('treats each lot by itself: what belongs to others comes back to them', () => {
    const books = wallet()
      .under(forfeit)
      .withLot('promotional', '2', { expiresAt: expiry })
      .withLot('monthly_plan', '2', { expiresAt: after(NOW, 2 * DAY) })
      .withLot('purchased', '2')
      .books();
    const id = charged(books, '6');
    books.moveTo(after(expiry, HOUR));
    postedBy(books, aRefund(id));
    expect([books.available, books.remainingIn('promotional')]).toEqual([credits('4'), []]);
    expectSound(books);
  });

  it('keeps what a hold has pinned of it', () => {
    const books = wallet().under(forfeit).withLot('promotional', '10', { expiresAt: expiry }).books();
    const id = charged(books, '4');
    const hold = aHold(books, '5');
    books.moveTo(after(expiry, 1_000));
    postedBy(books, aRefund(id));
    expect([books.balance, books.held, books.available]).toEqual([credits('5'), credits('5'), 0n]);
    postedBy(books, aCapture(hold));
    expect(books.balance).toBe(0n);
    expectSound(books);
  });
});

describe('a refund to a frozen lot', () => {
  it('stays frozen', () => {
    const books = wallet().withLot('purchased', '10').books();
    const id = charged(books, '4');
    books.freezeLot('id-00000001');
    expect(postedBy(books, aRefund(id)).available).toBe(0n);
    expect(books.lots.get('id-00000001')).toMatchObject({ remaining: credits('10'), frozen: true });
    expectSound(books);
  });

  it.each(['NEW_LOT', 'FORFEIT'] as const)('stays frozen past its expiry, which waits for the verdict: %s', (kind) => {
    const expiredLotRefund = kind === 'FORFEIT' ? { kind } : { kind, graceDays: 30 };
    const books = wallet()
      .under(policies({ expiredLotRefund }))
      .withLot('purchased', '10', { expiresAt: after(NOW, 1_000) })
      .books();
    const id = charged(books, '4');
    books.freezeLot('id-00000001');
    books.moveTo(after(NOW, DAY));
    expect(postedBy(books, aRefund(id)).available).toBe(0n);
    expect(movesOf(books, 1)).toEqual([['REFUND', '4', 'id-00000001']]);
    expect(books.lots.get('id-00000001')).toMatchObject({ remaining: credits('10'), frozen: true, closed: false });
    expect(books.lots.size).toBe(1);
    expectSound(books);
  });
});

describe('a refund of what was borrowed', () => {
  const indebted = (overdraft = '10') => aWallet().at(NOW).under(policies({ overdraft }));
  const borrowed = (books: Books, amount: string): string =>
    postedBy(books, aDebit(amount, { overage: 'DEBT' })).transaction.id;

  it('first reduces what is owed: it was spent last', () => {
    const books = indebted().withLot('purchased', '5').books();
    const id = borrowed(books, '9');
    const from = books.entries.length;
    postedBy(books, aRefund(id, '3'));
    expect(movesOf(books, from)).toEqual([['REFUND', '3', null]]);
    expect([books.debt, books.available, books.balance]).toEqual([credits('1'), 0n, credits('-1')]);
    postedBy(books, aRefund(id));
    expect(movesOf(books, from + 1)).toEqual([
      ['REFUND', '1', null],
      ['REFUND', '5', 'id-00000001'],
    ]);
    expect([books.debt, books.available]).toEqual([0n, credits('5')]);
    expectSound(books);
  });

  it('gives the rest to the lots that have paid it back, newest first', () => {
    const books = indebted().books();
    const id = borrowed(books, '6');
    const [first, second] = [postedBy(books, aGrant('2')), postedBy(books, aGrant('3'))];
    const from = books.entries.length;
    expect(books.debt).toBe(credits('1'));
    postedBy(books, aRefund(id));
    expect(movesOf(books, from)).toEqual([
      ['REFUND', '1', null],
      ['REFUND', '3', second.lotId],
      ['REFUND', '2', first.lotId],
    ]);
    expect([books.debt, books.available, books.balance]).toEqual([0n, credits('5'), credits('5')]);
    expectSound(books);
  });

  it('goes to the lots that pay it back in the same batch', () => {
    const books = indebted().books();
    const id = borrowed(books, '6');
    const [grant] = books.run(aGrant('8'), aRefund(id));
    if (grant?.status !== 'posted') throw new Error('not granted');
    expect(movesOf(books, 4)).toEqual([['REFUND', '6', grant.lotId]]);
    expect([books.debt, books.available]).toEqual([0n, credits('8')]);
    expectSound(books);
  });

  it('reduces what another charge has borrowed since', () => {
    const books = indebted().books();
    const first = borrowed(books, '4');
    postedBy(books, aGrant('4'));
    const second = borrowed(books, '3');
    postedBy(books, aRefund(first));
    expect([books.debt, books.available]).toEqual([0n, credits('1')]);
    postedBy(books, aRefund(second));
    expect([books.debt, books.available]).toEqual([0n, credits('4')]);
    expectSound(books);
  });

  it('is forfeited beyond what an expired lot can take back, with no moment in which it can be spent', () => {
    const rules = policies({ overdraft: '10', expiredLotRefund: { kind: 'FORFEIT' } });
    const books = aWallet().at(NOW).under(rules).books();
    const expiresAt = after(NOW, 1_000);
    const before = borrowed(books, '6');
    postedBy(books, aGrant('6'));
    borrowed(books, '1');
    postedBy(books, aGrant('10', { expiresAt }));
    const id = charged(books, '9');
    // The newest lot that has paid back a debt takes what another one had paid back, and a hold keeps it there.
    postedBy(books, aRefund(before));
    aHold(books, '6');
    books.moveTo(after(expiresAt, HOUR / 60));
    const outcomes = books.run(aRefund(id), aDebit('0.000001'));
    expect(outcomes).toMatchObject([{ status: 'posted', available: 0n }, { status: 'refused' }]);
    expect([books.balance, books.held, books.available]).toEqual([credits('6'), credits('6'), 0n]);
    expectSound(books);
  });
});

describe('refunds of any charges in any parts', () => {
  it('never give back more than was charged, and all of them restore the balance', () => {
    const lot = fc.record({
      bucket: fc.constantFrom('promotional', 'monthly_plan', 'purchased'),
      amount: fc.integer({ min: 1, max: 20 }),
      lasts: fc.option(fc.constantFrom(2 * HOUR, 5 * HOUR)),
    });
    const step = fc.record({
      kind: fc.constantFrom('debit', 'capture', 'refund', 'rest', 'grant', 'hour'),
      amount: fc.integer({ min: 1, max: 15 }),
      which: fc.nat(),
    });
    const kinds = fc.constantFrom('NEW_LOT', 'FORFEIT');
    fc.assert(
      fc.property(fc.array(lot, { maxLength: 6 }), fc.array(step, { maxLength: 25 }), kinds, (lots, run, kind) => {
        const expiredLotRefund =
          kind === 'FORFEIT' ? { kind: 'FORFEIT' as const } : { kind: 'NEW_LOT' as const, graceDays: 1 };
        const opening = aWallet()
          .at(NOW)
          .under(policies({ overdraft: '12', expiredLotRefund }));
        for (const { bucket, amount, lasts } of lots) {
          opening.withLot(bucket, String(amount), { expiresAt: lasts === null ? null : after(NOW, lasts) });
        }
        const books = opening.books();
        const charges: string[] = [];
        for (const { kind: what, amount, which } of run) {
          const target = charges[which % Math.max(charges.length, 1)] ?? 'none';
          if (what === 'debit') {
            const outcome = books.post(aDebit(String(amount), { overage: 'DEBT' }));
            if (outcome.status === 'posted') charges.push(outcome.transaction.id);
          } else if (what === 'capture') {
            const held = Math.max(1, amount - 3);
            if (books.available < credits(String(held))) continue;
            const outcome = books.post(
              aCapture(aHold(books, String(held)), { amount: String(amount), overage: 'DEBT' }),
            );
            if (outcome.status === 'posted') charges.push(outcome.transaction.id);
          } else if (what === 'refund') books.post(aRefund(target, String(amount)));
          else if (what === 'rest') books.post(aRefund(target));
          else if (what === 'grant') books.post(aGrant(String(amount), { expiresAt: after(books.now, 3 * HOUR) }));
          else books.moveTo(after(books.now, HOUR)).post(aSettlement());
          expectSound(books);
        }
        for (const id of charges) books.post(aRefund(id));
        for (const id of charges) expect(refusedBy(books, aRefund(id))).toMatchObject({ refundable: 0n });
        const charge = books.transactions.filter(({ id }) => charges.includes(id));
        const refunds = books.transactions.filter(({ refundedId }) => refundedId !== null);
        expect(sum([...charge, ...refunds].map(({ amount }) => amount))).toBe(0n);
        expectSound(books);
      }),
      { numRuns: 150 },
    );
  });
});
