/** What an audit asks of the books in memory: every invariant of the READMEs under domain/wallet and domain/ledger. */
import { expect } from 'vitest';
import { type Micros, micros, minus, negate, sum } from '../../src/domain/credits/micros.ts';
import { chainHash, GENESIS_HASH } from '../../src/domain/ledger/hash-chain.ts';
import type { PostedEntry } from '../../src/domain/posting/records.ts';
import type { Books } from './builders-books.ts';

const signed = ({ direction, amount }: PostedEntry): Micros => (direction === 'CREDIT' ? amount : negate(amount));

/** The hash of an entry, rebuilt from its row and its transaction's. */
export function hashOf(previous: string, entry: PostedEntry): string {
  const { transaction } = entry;
  return chainHash(previous, {
    walletId: entry.walletId,
    sequence: entry.sequence,
    kind: transaction.kind,
    direction: entry.direction,
    amount: entry.amount,
    balanceAfter: entry.balanceAfter,
    reasonCode: entry.reasonCode,
    lotId: entry.lotId,
    transactionId: entry.transactionId,
    taskId: transaction.attribution.taskId,
    executionId: transaction.attribution.executionId,
    meter: entry.meter,
    actorKind: transaction.actor.kind,
    actorId: transaction.actor.id,
    postedAt: entry.postedAt,
    effectiveAt: transaction.effectiveAt,
    occurredAt: transaction.occurredAt,
    metadata: transaction.metadata,
  });
}

export function expectSound(books: Books): void {
  expectSoundLots(books);
  expectSoundLedger(books);
  expectSoundChanges(books);
  expectSoundHolds(books);
  expectSoundRefunds(books);
}

/** remaining = Σ pins ≤ amount; nothing is pinned for a hold that has ended. */
function expectSoundHolds({ holds }: Books): void {
  for (const { facts, state, pins } of holds.values()) {
    expect(sum(pins.map((pin) => pin.pinned))).toBe(state.remaining);
    expect(state.remaining).toBeLessThanOrEqual(facts.amount);
    if (state.status !== 'OPEN') expect(state.remaining).toBe(0n);
    for (const pin of pins) expect(pin.pinned).toBeGreaterThanOrEqual(0n);
  }
}

/** Σ refunds ≤ what was charged; the lines of a charge add up to it. */
function expectSoundRefunds({ transactions }: Books): void {
  for (const { id, amount, lines } of transactions) {
    const refunds = transactions.filter(({ refundedId }) => refundedId === id);
    if (refunds.length > 0) expect(sum(refunds.map((refund) => refund.amount))).toBeLessThanOrEqual(negate(amount));
    if (lines.length > 0) expect(sum(lines.map((line) => line.credits))).toBe(negate(amount));
  }
}

/** Σ lots − debt = balance; every bucket's aggregates are its lots'; 0 ≤ pinned ≤ remaining ≤ granted. */
function expectSoundLots(books: Books): void {
  const lots = [...books.lots.values()];
  expect(minus(sum(lots.map((lot) => lot.remaining)), books.debt)).toBe(books.balance);
  expect(books.debt).toBeGreaterThanOrEqual(0n);
  for (const { id, available, pinned, frozen, earmarked } of books.buckets) {
    expect({ id, available, pinned, frozen, earmarked }).toEqual({ id, ...books.sumsOf(id) });
  }
  for (const { id, available, pinned, frozen, used } of books.allocations.values()) {
    expect({ id, available, pinned, frozen }).toEqual({ id, ...books.sumsOfAllocation(id) });
    expect(used).toBeGreaterThanOrEqual(0n);
  }
  const outOfBounds = lots.filter(
    ({ pinned, remaining, granted }) => pinned < 0n || pinned > remaining || remaining > granted,
  );
  expect(outOfBounds).toEqual([]);
}

/** Sequence without gaps, balances chained, hashes verified, effectiveAt in order, transactions = Σ their entries. */
function expectSoundLedger({ entries, transactions, openingBalance, balance, sequence, headHash }: Books): void {
  const first = sequence - BigInt(entries.length) + 1n;
  let balanceBefore = openingBalance;
  let hash = GENESIS_HASH;
  for (const [index, entry] of entries.entries()) {
    expect(entry.sequence).toBe(first + BigInt(index));
    expect(entry.amount).toBeGreaterThan(0n);
    expect(entry.balanceAfter).toBe(balanceBefore + signed(entry));
    hash = hashOf(hash, entry);
    expect(entry.hash).toBe(hash);
    expect(entry.transaction.effectiveAt).toBeLessThanOrEqual(entry.postedAt);
    const before = entries[index - 1];
    if (before) {
      expect(entry.transaction.effectiveAt).toBeGreaterThanOrEqual(before.transaction.effectiveAt);
      expect(entry.postedAt).toBeGreaterThanOrEqual(before.postedAt);
    }
    balanceBefore = entry.balanceAfter;
  }
  expect(balanceBefore).toBe(balance);
  expect(hash).toBe(headHash);
  for (const { id, amount } of transactions) {
    expect(sum(entries.filter((entry) => entry.transactionId === id).map(signed))).toBe(amount);
  }
}

/** Versions without gaps; each says what can be spent since the one before. */
function expectSoundChanges(books: Books): void {
  const first = books.version - BigInt(books.changes.length) + 1n;
  let total = books.openingAvailable;
  for (const [index, change] of books.changes.entries()) {
    expect(change.version).toBe(first + BigInt(index));
    expect(change.change).toBe(minus(change.totalAvailable, total));
    total = change.totalAvailable;
  }
  expect(total).toBe(books.available);
}

/** Everything that a refused or free command must leave as it was. */
export function stateOf(books: Books): object {
  return {
    balance: books.balance,
    available: books.available,
    sequence: books.sequence,
    version: books.version,
    headHash: books.headHash,
    entries: books.entries.length,
    lots: [...books.lots.values()].map(({ id, remaining, pinned, inForce }) => ({ id, remaining, pinned, inForce })),
    buckets: books.buckets.map(({ key, available, pinned }) => ({ key, available, pinned: micros(pinned) })),
    allowances: books.allowances,
  };
}
