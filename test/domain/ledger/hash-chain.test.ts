import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chainHash, GENESIS_HASH, HASH_SCHEME, type HashedEntry } from '../../../src/domain/ledger/hash-chain.ts';
import { at } from '../../support/builders-values.ts';

const ENTRY: HashedEntry = {
  walletId: '01a1fd4e-6976-725d-82de-8f83fe9467ae',
  sequence: 7n,
  kind: 'DEBIT',
  direction: 'DEBIT',
  amount: 2_500_000n,
  balanceAfter: 7_500_000n,
  reasonCode: 'USAGE',
  lotId: 'lot-1',
  transactionId: 'transaction-1',
  taskId: 'task-1',
  executionId: null,
  meter: 'scrape',
  actorKind: 'API_KEY',
  actorId: 'key-1',
  postedAt: at('2026-03-10T12:00:00.123'),
  effectiveAt: at('2026-03-10T12:00:00.123'),
  occurredAt: null,
  metadata: { page: 'ä', count: 2 },
};

describe('chainHash', () => {
  it('is pinned: this text, with SHA-256, for ever', () => {
    const text = [
      `64:${'0'.repeat(64)}`,
      '15:purser-ledger-1',
      '36:01a1fd4e-6976-725d-82de-8f83fe9467ae',
      '1:7',
      '5:DEBIT',
      '5:DEBIT',
      '7:2500000',
      '7:7500000',
      '5:USAGE',
      '5:lot-1',
      '13:transaction-1',
      '6:task-1',
      '-',
      '6:scrape',
      '7:API_KEY',
      '5:key-1',
      '24:2026-03-10T12:00:00.123Z',
      '24:2026-03-10T12:00:00.123Z',
      '-',
      '2[5:count1:24:page4:"ä"]',
    ].join('');
    const expected = createHash('sha256').update(text, 'utf8').digest('hex');
    expect(chainHash(GENESIS_HASH, ENTRY)).toBe(expected);
    expect(expected).toBe('ada6117323816b04f4ed55902040fe635f997e4244390b83b9a54f7a81d33349');
  });

  it('begins after 64 zeros, under the first scheme', () => {
    expect(GENESIS_HASH).toBe('0000000000000000000000000000000000000000000000000000000000000000');
    expect(HASH_SCHEME).toBe('purser-ledger-1');
  });

  const CHANGES: readonly Partial<HashedEntry>[] = [
    { walletId: 'another-wallet' },
    { sequence: 8n },
    { kind: 'GRANT' },
    { direction: 'CREDIT' },
    { amount: 2_500_001n },
    { balanceAfter: 7_499_999n },
    { reasonCode: 'OTHER' },
    { lotId: 'lot-2' },
    { lotId: null },
    { transactionId: 'transaction-2' },
    { taskId: null },
    { taskId: '' },
    { executionId: 'execution-1' },
    { executionId: '' },
    { meter: 'crawl' },
    { meter: null },
    { actorKind: 'USER' },
    { actorId: 'key-2' },
    { postedAt: at('2026-03-10T12:00:00.124') },
    { effectiveAt: at('2026-03-10T12:00:00.122') },
    { occurredAt: at('2026-03-10T12:00:00.123') },
    { metadata: null },
    { metadata: {} },
    { metadata: { page: 'ä' } },
    { metadata: { page: 'ä', count: '2' } },
    { metadata: { page: 'ä', count: 2, more: true } },
    { metadata: { page: 'a', count: 2 } },
  ];

  it.each(CHANGES)('changes with %o', (change) => {
    expect(chainHash(GENESIS_HASH, { ...ENTRY, ...change })).not.toBe(chainHash(GENESIS_HASH, ENTRY));
  });

  it('changes with every field that an entry has', () => {
    const changed = new Set(CHANGES.flatMap((change) => Object.keys(change)));
    expect([...changed].sort()).toEqual(Object.keys(ENTRY).sort());
    const hashes = CHANGES.map((change) => chainHash(GENESIS_HASH, { ...ENTRY, ...change }));
    expect(new Set(hashes).size).toBe(CHANGES.length);
  });

  it('changes with the hash before it, so that no entry can be removed or moved', () => {
    const other = '1'.repeat(64);
    expect(chainHash(other, ENTRY)).not.toBe(chainHash(GENESIS_HASH, ENTRY));
    const second = { ...ENTRY, sequence: 8n };
    const forward = chainHash(chainHash(GENESIS_HASH, ENTRY), second);
    const swapped = chainHash(chainHash(GENESIS_HASH, second), ENTRY);
    expect(forward).not.toBe(swapped);
  });

  it('does not depend on the order in which metadata was written', () => {
    const metadata = { count: 2, page: 'ä' };
    expect(chainHash(GENESIS_HASH, { ...ENTRY, metadata })).toBe(chainHash(GENESIS_HASH, ENTRY));
  });

  it('does not let text wander from one field to its neighbour', () => {
    const texts = fc.string({ unit: fc.constantFrom('1', ':', '-', 'a'), maxLength: 4 });
    fc.assert(
      fc.property(texts, texts, texts, texts, (taskId, executionId, otherTask, otherExecution) => {
        const a = chainHash(GENESIS_HASH, { ...ENTRY, taskId, executionId });
        const b = chainHash(GENESIS_HASH, { ...ENTRY, taskId: otherTask, executionId: otherExecution });
        expect(a === b).toBe(taskId === otherTask && executionId === otherExecution);
      }),
      { numRuns: 1_000 },
    );
  });
});
