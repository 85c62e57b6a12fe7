import { describe, expect, it } from 'vitest';
import { ZERO } from '../../../src/domain/credits/micros.ts';
import { GENESIS_HASH } from '../../../src/domain/ledger/hash-chain.ts';
import { LotsNotLoaded, type NewLot } from '../../../src/domain/posting/lot-drafts.ts';
import { type TransactionDetails, transactionDetails } from '../../../src/domain/posting/records.ts';
import { WalletBook } from '../../../src/domain/posting/wallet-book.ts';
import { hashOf } from '../../support/builders-audit.ts';
import { aWallet, type WalletBuilder } from '../../support/builders-books.ts';
import { A_KEY, WALLET } from '../../support/builders-commands.ts';
import { after, at, credits } from '../../support/builders-values.ts';

const NOW = at('2026-03-10T12:00:00');

function bookOf(wallet: WalletBuilder): WalletBook {
  let ids = 0;
  return new WalletBook(wallet.at(NOW).books().snapshot(), () => `new-${++ids}`);
}

const details = (change: Partial<TransactionDetails> = {}): TransactionDetails =>
  transactionDetails({ kind: 'DEBIT', reasonCode: 'USAGE', actor: A_KEY, effectiveAt: NOW, ...change });

const aLot = (book: WalletBook, bucket: string, amount: string, change: Partial<NewLot> = {}): NewLot => ({
  bucket: book.requireBucket(bucket),
  source: 'PROMOTION',
  amount: credits(amount),
  paid: false,
  effectiveAt: NOW,
  expiresAt: null,
  repaysDebt: true,
  purchaseId: null,
  ...change,
});

describe('the draft of a wallet', () => {
  it('starts as the snapshot, with its buckets in burn order', () => {
    const book = bookOf(aWallet().withBucket('a_first', 'PROMOTIONAL', 10).withLot('purchased', '7', { pinned: '2' }));
    expect(book.buckets.map((bucket) => bucket.facts.key)).toEqual([
      'a_first',
      'daily_free',
      'promotional',
      'monthly_plan',
      'purchased',
    ]);
    expect([book.available, book.held, book.balance]).toEqual([credits('5'), credits('2'), credits('7')]);
    expect([book.entries, book.transactions, book.changes, book.newLots]).toEqual([[], [], [], []]);
    expect([book.changedLots.size, book.transitionsChanged]).toEqual([0, false]);
  });

  it('floors what can be spent at zero where there is debt', () => {
    const snapshot = aWallet().withLot('purchased', '7').books().snapshot();
    const owing = (debt: string) => new WalletBook({ ...snapshot, debt: credits(debt) }, () => 'id').available;
    expect([owing('0'), owing('3'), owing('7'), owing('9')]).toEqual([credits('7'), credits('4'), ZERO, ZERO]);
  });

  it('finds its buckets by key and id, and says so where there is none', () => {
    const book = bookOf(aWallet());
    expect(book.bucketByKey('purchased')?.facts.id).toBe('bucket-purchased');
    expect(book.bucketByKey('nowhere')).toBeUndefined();
    expect(() => book.requireBucket('nowhere')).toThrow('nowhere');
    expect(() => book.bucketById('nowhere')).toThrow('nowhere');
  });
});

describe('posting', () => {
  it('numbers and chains the entries, and makes one change of the balance', () => {
    const book = bookOf(aWallet().withLot('promotional', '1').withLot('purchased', '9'));
    const { sequence, version } = book;
    const transaction = book.post(details(), ({ spend }) => spend(credits('4'), 'USAGE'));
    expect(transaction).toMatchObject({ id: 'new-1', walletId: WALLET, amount: credits('-4'), postedAt: NOW });
    expect(book.entries.map((entry) => [entry.sequence, entry.amount, entry.balanceAfter])).toEqual([
      [sequence + 1n, credits('1'), credits('9')],
      [sequence + 2n, credits('3'), credits('6')],
    ]);
    const [first, second] = book.entries;
    if (!first || !second) throw new Error('two lots make two entries');
    expect(first.hash).toBe(hashOf(GENESIS_HASH, first));
    expect(second.hash).toBe(hashOf(first.hash, second));
    expect(book.headHash).toBe(second.hash);
    expect(book.version).toBe(version + 1n);
    expect(book.changes).toHaveLength(1);
    expect(book.changedLots.size).toBe(2);
    expect(book.transitionsChanged).toBe(false);
  });

  it('of nothing stores the transaction and leaves sequence, version and hash as they were', () => {
    const book = bookOf(aWallet().withLot('purchased', '9'));
    const { sequence, version, headHash } = book;
    expect(book.post(details(), ({ spend }) => spend(ZERO, 'USAGE')).amount).toBe(0n);
    expect(book.transactions).toHaveLength(1);
    expect([book.sequence, book.version, book.headHash]).toEqual([sequence, version, headHash]);
    expect([book.entries, book.changes]).toEqual([[], []]);
  });

  it('throws rather than spend more than there is', () => {
    const book = bookOf(aWallet().withLot('purchased', '9'));
    expect(() => book.post(details(), ({ spend }) => spend(credits('10'), 'USAGE'))).toThrow('more was taken');
  });

  it('throws where a bucket’s aggregate promises more than its lots hold', () => {
    const snapshot = aWallet().withLot('purchased', '9').books().snapshot();
    const buckets = snapshot.buckets.map((bucket) => ({ ...bucket, available: credits('10') }));
    const book = new WalletBook({ ...snapshot, buckets }, () => 'id');
    const purchased = book.requireBucket('purchased');
    expect(() => book.post(details(), ({ spendFrom }) => spendFrom(purchased, credits('10'), 'USAGE'))).toThrow(
      'less in its lots',
    );
  });

  it('asks for more lots where a truncated bucket runs out of those that were loaded', () => {
    const book = bookOf(aWallet().loaded({ lotsPerBucket: 1 }).withLot('purchased', '9').withLot('purchased', '9'));
    const beyond = () => book.post(details(), ({ spend }) => spend(credits('10'), 'USAGE'));
    expect(beyond).toThrow(LotsNotLoaded);
  });

  it('takes from one lot what it is told to', () => {
    const wallet = aWallet().withLot('purchased', '9').withLot('purchased', '9');
    const snapshot = wallet.at(NOW).books().snapshot();
    const book = new WalletBook(snapshot, () => 'id');
    const facts = snapshot.buckets.flatMap((bucket) => bucket.lots).at(-1);
    if (!facts) throw new Error('there are lots');
    const lot = book.lot(facts);
    book.post(details(), ({ debitLot }) => debitLot(lot, credits('2'), 'EXPIRY'));
    expect(lot.remaining).toBe(credits('7'));
    expect([...book.changedLots]).toEqual([lot]);
    expect(book.requireBucket('purchased').available).toBe(credits('16'));
    expect(book.entries).toMatchObject([{ lotId: facts.id, reasonCode: 'EXPIRY' }]);
  });

  it.each([
    ['frozen', { frozen: true }],
    ['not yet in force', { inForce: false }],
  ])('takes from a lot that is %s without touching what can be spent', (_name, change) => {
    const book = bookOf(aWallet().withLot('purchased', '9'));
    const lot = book.lot({ ...lotOf('5'), ...change });
    book.post(details(), ({ debitLot }) => debitLot(lot, credits('2'), 'EXPIRY'));
    expect(lot.remaining).toBe(credits('3'));
    expect(book.requireBucket('purchased').available).toBe(credits('9'));
    expect(book.changes).toMatchObject([{ change: 0n, totalAvailable: credits('9') }]);
  });

  it('tells live clients what is held beside what can be spent', () => {
    const book = bookOf(
      aWallet().withLot('promotional', '5', { pinned: '1' }).withLot('purchased', '9', { pinned: '2' }),
    );
    book.post(details(), ({ spend }) => spend(credits('3'), 'USAGE'));
    expect(book.changes).toMatchObject([{ totalAvailable: credits('8'), held: credits('3') }]);
  });

  it('gives one draft per lot, whether it was loaded to be spent or because it is due', () => {
    const snapshot = aWallet().at(NOW).withLot('purchased', '9', { expiresAt: NOW }).books().snapshot();
    const book = new WalletBook(snapshot, () => 'id');
    const [due] = snapshot.dueLots;
    if (!due) throw new Error('a lot is due');
    expect(book.lot(due)).toBe(book.requireBucket('purchased').lots[0]);
    expect(book.lot({ ...due, id: 'unknown' })).toBe(book.lot({ ...due, id: 'unknown' }));
  });
});

describe('granting', () => {
  it('puts a lot in force where it has begun, counted at once', () => {
    const book = bookOf(aWallet());
    book.post(details({ kind: 'GRANT' }), ({ grant }) => void grant(aLot(book, 'purchased', '5'), 'GRANT'));
    expect(book.newLots).toMatchObject([
      {
        isNew: true,
        inForce: true,
        closed: false,
        remaining: credits('5'),
        facts: { granted: credits('5'), pinned: 0n, frozen: false },
      },
    ]);
    expect([book.available, book.balance]).toEqual([credits('5'), credits('5')]);
    expect(book.changes).toMatchObject([{ change: credits('5') }]);
    expect(book.transitionsChanged).toBe(true);
    expect(book.changedLots.size).toBe(0);
  });

  it('lets a lot that begins later count in the balance and not in what can be spent', () => {
    const book = bookOf(aWallet());
    const later = aLot(book, 'purchased', '5', { effectiveAt: after(NOW, 1) });
    book.post(details({ kind: 'GRANT' }), ({ grant }) => void grant(later, 'GRANT'));
    expect(book.newLots).toMatchObject([{ inForce: false }]);
    expect([book.available, book.balance]).toEqual([ZERO, credits('5')]);
    expect(book.changes).toMatchObject([{ change: 0n, totalAvailable: 0n }]);
  });

  it('keeps a new lot that is spent in the same batch among the new ones', () => {
    const book = bookOf(aWallet());
    book.post(details({ kind: 'GRANT' }), ({ grant }) => void grant(aLot(book, 'purchased', '5'), 'GRANT'));
    book.post(details(), ({ spend }) => spend(credits('2'), 'USAGE'));
    expect(book.newLots).toMatchObject([{ remaining: credits('3') }]);
    expect(book.changedLots.size).toBe(0);
  });

  it('leaves out of a truncated bucket a lot that may come after lots not loaded, and puts one before into its place', () => {
    const book = bookOf(
      aWallet()
        .loaded({ lotsPerBucket: 1 })
        .withLot('purchased', '9', { expiresAt: after(NOW, 10) })
        .withLot('purchased', '9'),
    );
    const bucket = book.requireBucket('purchased');
    book.post(details({ kind: 'GRANT' }), ({ grant }) => {
      grant(aLot(book, 'purchased', '1'), 'GRANT');
      grant(aLot(book, 'purchased', '2', { expiresAt: after(NOW, 5) }), 'GRANT');
    });
    expect(bucket.lots.map((lot) => lot.remaining)).toEqual([credits('2'), credits('9')]);
    expect(bucket.available).toBe(credits('21'));
    expect(() => book.post(details(), ({ spend }) => spend(credits('12'), 'USAGE'))).toThrow(LotsNotLoaded);
  });
});

describe('closing and starting', () => {
  it('a closed lot is out of force and noted as changed; a started one can be spent', () => {
    const snapshot = aWallet()
      .at(NOW)
      .withLot('purchased', '9', { effectiveAt: after(NOW, -1), inForce: false })
      .books()
      .snapshot();
    const book = new WalletBook(snapshot, () => 'id');
    const [facts] = snapshot.dueLots;
    if (!facts) throw new Error('a lot is due');
    const lot = book.lot(facts);
    book.start(lot, facts.effectiveAt);
    expect(book.available).toBe(credits('9'));
    expect(book.changes).toMatchObject([
      { reasonCode: 'LOT_STARTED', change: credits('9'), occurredAt: facts.effectiveAt },
    ]);
    book.post(details(), ({ debitLot }) => debitLot(lot, credits('9'), 'EXPIRY'));
    book.close(lot);
    expect(lot).toMatchObject({ inForce: false, closed: true, remaining: 0n });
    expect(book.available).toBe(0n);
    expect([...book.changedLots]).toEqual([lot]);
    expect(book.transitionsChanged).toBe(true);
  });

  it('a frozen lot that starts cannot be spent', () => {
    const snapshot = aWallet().at(NOW).withLot('purchased', '9', { frozen: true, inForce: false }).books().snapshot();
    const book = new WalletBook(snapshot, () => 'id');
    const facts = { ...lotOf('9'), frozen: true, inForce: false };
    book.start(book.lot(facts), NOW);
    expect(book.available).toBe(0n);
    expect(book.requireBucket('purchased').lots).toEqual([]);
  });
});

const lotOf = (amount: string) => ({
  id: 'a-lot',
  bucketId: 'bucket-purchased',
  source: 'PROMOTION' as const,
  granted: credits(amount),
  remaining: credits(amount),
  pinned: ZERO,
  paid: false,
  effectiveAt: NOW,
  expiresAt: null,
  inForce: true,
  closed: false,
  frozen: false,
  revoked: false,
  purchaseId: null,
  allocationId: null,
  originId: null,
});
