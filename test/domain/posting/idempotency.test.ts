import { describe, expect, it } from 'vitest';
import { idempotencyId } from '../../../src/domain/posting/idempotency.ts';
import { stateOf } from '../../support/builders-audit.ts';
import { aWallet } from '../../support/builders-books.ts';
import { aDebit, aGrant, anAdjustment, ORGANIZATION } from '../../support/builders-commands.ts';
import { credits } from '../../support/builders-values.ts';

describe('a command repeated under its key', () => {
  it('gets the first answer again, ids and available credits included, and moves nothing', () => {
    const books = aWallet().withLot('purchased', '10').books();
    const first = books.post(aDebit('4', { key: 'k' }));
    books.post(aGrant('100'));
    const before = stateOf(books);
    const again = books.post(aDebit('4', { key: 'k' }));
    if (first.status !== 'posted') throw new Error('the first was not posted');
    expect(again).toEqual({
      status: 'replayed',
      answer: { transactionId: first.transaction.id, lotId: null, hold: null },
      available: credits('6'),
      availableNow: credits('106'),
    });
    expect(stateOf(books)).toEqual(before);
  });

  it('gets the lot that it granted again', () => {
    const books = aWallet().books();
    const first = books.post(aGrant('5', { key: 'k' }));
    if (first.status !== 'posted') throw new Error('the first was not posted');
    expect(first.lotId).not.toBeNull();
    expect(books.post(aGrant('5', { key: 'k' }))).toMatchObject({
      status: 'replayed',
      answer: { lotId: first.lotId },
    });
    expect(books.lots.size).toBe(1);
  });

  it('is refused with another payload, and learns nothing of the first', () => {
    const books = aWallet().withLot('purchased', '10').books();
    books.post(aDebit('4', { key: 'k' }));
    const before = stateOf(books);
    const outcome = books.post(aDebit('5', { key: 'k' }));
    if (outcome.status !== 'refused') throw new Error('the second was not refused');
    expect(outcome.refusal).toEqual({ code: 'IDEMPOTENCY_KEY_REUSED', idempotencyKey: 'k' });
    expect(outcome).toMatchObject({ available: credits('6'), replayed: false });
    expect(stateOf(books)).toEqual(before);
    expect(books.post(aDebit('4', { key: 'k' }))).toMatchObject({ status: 'replayed' });
  });

  it.each([
    ['another operation', aGrant('4', { key: 'k' })],
    ['another field', aDebit('4', { key: 'k', reasonCode: 'OTHER' })],
    ['metadata', aDebit('4', { key: 'k', metadata: { page: 1 } })],
  ])('is refused with %s', (_name, command) => {
    const books = aWallet().withLot('purchased', '10').books();
    books.post(aDebit('4', { key: 'k' }));
    expect(books.post(command)).toMatchObject({ status: 'refused', refusal: { code: 'IDEMPOTENCY_KEY_REUSED' } });
  });

  it('is answered although it can no longer be paid, the wallet is frozen or the subscription is over', () => {
    const books = aWallet().withLot('purchased', '4').books();
    books.post(aDebit('4', { key: 'k' }));
    books.frozen = true;
    books.status = 'CANCELED';
    expect(books.post(aDebit('4', { key: 'k' }))).toMatchObject({ status: 'replayed' });
  });

  it('is answered although its time has grown too old', () => {
    const books = aWallet().withLot('purchased', '4').books();
    const command = aDebit('4', { key: 'k', occurredAt: books.now });
    books.post(command);
    books.moveTo((books.now + 30 * 86_400_000) as typeof books.now);
    expect(books.post(command)).toMatchObject({ status: 'replayed' });
    expect(books.post({ ...command, idempotencyKey: 'new' })).toMatchObject({
      status: 'refused',
      refusal: { code: 'INVALID_INPUT', path: ['occurredAt'] },
    });
  });
});

describe('a refusal for funds', () => {
  it('stays under its key although credits came, and a new key works', () => {
    const books = aWallet().withLot('purchased', '1').books();
    const refusal = { code: 'INSUFFICIENT_CREDITS', required: credits('4'), available: credits('1'), held: 0n };
    expect(books.post(aDebit('4', { key: 'k' }))).toMatchObject({
      status: 'refused',
      refusal,
      available: credits('1'),
      availableNow: credits('1'),
      replayed: false,
    });
    books.post(aGrant('100'));
    const before = stateOf(books);
    expect(books.post(aDebit('4', { key: 'k' }))).toMatchObject({
      status: 'refused',
      refusal,
      available: credits('1'),
      availableNow: credits('101'),
      replayed: true,
    });
    expect(stateOf(books)).toEqual(before);
    expect(books.post(aDebit('4', { key: 'new' }))).toMatchObject({ status: 'posted' });
  });

  it('stays for an adjustment too', () => {
    const books = aWallet().books();
    expect(books.post(anAdjustment('-1', 'purchased', 'k'))).toMatchObject({ status: 'refused', replayed: false });
    books.post(anAdjustment('5', 'purchased'));
    expect(books.post(anAdjustment('-1', 'purchased', 'k'))).toMatchObject({ status: 'refused', replayed: true });
  });
});

describe('a refusal that is not sticky', () => {
  it('stores nothing: without a subscription, then with one', () => {
    const books = aWallet().withLot('purchased', '10').subscribed(null).books();
    expect(books.post(aDebit('4', { key: 'k' }))).toMatchObject({
      status: 'refused',
      refusal: { code: 'SUBSCRIPTION_REQUIRED', status: null },
    });
    expect(books.records.size).toBe(0);
    books.status = 'ACTIVE';
    expect(books.post(aDebit('4', { key: 'k' }))).toMatchObject({ status: 'posted' });
  });

  it('stores nothing: on a frozen wallet, then on a thawed one', () => {
    const books = aWallet().withLot('purchased', '10').frozen().books();
    expect(books.post(aDebit('4', { key: 'k' }))).toMatchObject({
      refusal: { code: 'WALLET_FROZEN' },
      replayed: false,
    });
    expect(books.records.size).toBe(0);
    books.frozen = false;
    expect(books.post(aDebit('4', { key: 'k' }))).toMatchObject({ status: 'posted' });
  });

  it('stores nothing: into a bucket that does not exist, for which another payload may use the key', () => {
    const books = aWallet().books();
    expect(books.post(aGrant('4', { key: 'k', bucket: 'nowhere' }))).toMatchObject({
      refusal: { code: 'INVALID_INPUT', path: ['bucketKey'] },
    });
    expect(books.records.size).toBe(0);
    expect(books.post(aGrant('4', { key: 'k', bucket: 'promotional' }))).toMatchObject({ status: 'posted' });
  });
});

describe('keys', () => {
  it.each([
    ['k', 'K'],
    ['k', 'k '],
    ['\u00e9', 'e\u0301'],
    ['1', '01'],
  ])('%j and %j are two: they are compared as they are written', (a, b) => {
    const books = aWallet().withLot('purchased', '10').books();
    expect(books.post(aDebit('1', { key: a }))).toMatchObject({ status: 'posted' });
    expect(books.post(aDebit('1', { key: b }))).toMatchObject({ status: 'posted' });
    expect(books.available).toBe(credits('8'));
  });

  it('belong to one organization', () => {
    const inOne = idempotencyId({ organizationId: ORGANIZATION, idempotencyKey: 'k' });
    expect(inOne).not.toBe(idempotencyId({ organizationId: 'organization-2', idempotencyKey: 'k' }));
  });

  it('that a purchase has used cannot be used for credits', () => {
    const books = aWallet().withLot('purchased', '10').books();
    const command = aDebit('4', { key: 'k' });
    books.records.set(idempotencyId(command), {
      organizationId: ORGANIZATION,
      idempotencyKey: 'k',
      requestHash: command.requestHash,
      operation: 'purchasePackage',
      answer: { purchaseId: 'purchase-1' },
    });
    expect(books.post(command)).toMatchObject({ refusal: { code: 'IDEMPOTENCY_KEY_REUSED' } });
    expect(books.available).toBe(credits('10'));
  });

  it('are recorded with the operation and the payload’s hash', () => {
    const books = aWallet().withLot('purchased', '10').books();
    const command = aDebit('4', { key: 'k' });
    const outcome = books.post(command);
    if (outcome.status !== 'posted') throw new Error('not posted');
    expect([...books.records.values()]).toEqual([
      {
        organizationId: ORGANIZATION,
        idempotencyKey: 'k',
        requestHash: command.requestHash,
        operation: 'debit',
        answer: { transactionId: outcome.transaction.id, lotId: null, hold: null, available: credits('6') },
      },
    ]);
  });
});
