/** The verifier walks a wallet's hash chain in pages and names the first link that somebody has changed. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CHAIN_START } from '../../src/domain/ledger/verify-chain.ts';
import { verifyLedgers, walkChain } from '../../src/operations/verify-ledger.ts';
import { createSql, type Fragment, fragment, type Queryable, type Sql } from '../../src/persistence/connection.ts';
import { ledgerEnds } from '../../src/persistence/ledger-chain.ts';
import { query } from '../support/books.ts';
import { type BusyBooks, busyBooks } from '../support/busy-books.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';

let gateway: TestGateway;
let sql: Sql;
let books: BusyBooks;
let length: bigint;
beforeAll(async () => {
  gateway = await startTestGateway();
  sql = createSql(gateway.database.adminUrl, { applicationName: 'test', maxConnections: 1 });
  books = await busyBooks(gateway);
  const [row] = await query<{ sequence: string }>(gateway.database, 'SELECT sequence FROM wallet WHERE id = $1', [
    books.walletId,
  ]);
  length = BigInt(row?.sequence ?? 0);
}, 60_000);
afterAll(async () => {
  await sql.end();
  await gateway[Symbol.asyncDispose]();
});

async function verified(asked: Queryable, walletId: string | null) {
  const ledgers = [];
  for await (const ledger of verifyLedgers(asked, walletId)) ledgers.push(ledger);
  return ledgers;
}

/** What the verifier says after a change behind the triggers' back, which is undone. */
async function verifiedAfter(change: Fragment) {
  const undone = new Error('undone');
  let told: Awaited<ReturnType<typeof verified>> = [];
  await sql
    .begin(async (tx) => {
      await tx`SET LOCAL session_replication_role = replica`;
      expect(await tx`${change}`).toMatchObject({ count: 1 });
      told = await verified(tx, books.walletId);
      throw undone;
    })
    .catch((error: unknown) => {
      if (error !== undone) throw error;
    });
  return told;
}

describe('the verifier', () => {
  it('finds every chain unbroken, entry by entry', async () => {
    expect(await verified(sql, books.walletId)).toEqual([{ walletId: books.walletId, entries: length, broken: null }]);
    const all = await verified(sql, null);
    const [{ wallets, entries } = { wallets: 0, entries: 0 }] = await query<{ wallets: number; entries: number }>(
      gateway.database,
      'SELECT (SELECT count(*)::int FROM wallet) AS wallets, (SELECT count(*)::int FROM ledger_entry) AS entries',
    );
    expect(all.filter(({ broken }) => broken !== null)).toEqual([]);
    expect(all).toHaveLength(wallets);
    expect(all.reduce((total, each) => total + each.entries, 0n)).toBe(BigInt(entries));
  });

  it('says nothing of a wallet that there is not', async () => {
    expect(await verified(sql, '00000000-0000-0000-0000-000000000000')).toEqual([]);
  });

  it('walks in parts to where the whole walk ends', async () => {
    const [ends] = await ledgerEnds(sql, [books.walletId]);
    if (!ends) throw new Error('no such wallet');
    const part = await walkChain(sql, ends, CHAIN_START, 3);
    expect(part).toMatchObject({ sequence: 3n });
    if ('walletId' in part) throw new Error('broken');
    expect(await walkChain(sql, ends, part)).toEqual(ends.head);
  });

  it.each([
    ['an amount', fragment`amount_micros = amount_micros + 1`, 'balance after'],
    ['a balance', fragment`balance_after_micros = balance_after_micros + 1`, 'balance after'],
    ['a reason', fragment`reason_code = 'OTHER'`, 'hash'],
    ['an actor', fragment`actor_id = 'other'`, 'hash'],
    ['an instant', fragment`effective_at = effective_at - interval '1 ms'`, 'hash'],
    ['the transaction', fragment`transaction_id = gen_random_uuid()`, 'hash'],
    ['the hash', fragment`hash = sha256(hash)`, 'hash'],
  ] as const)('names the first link of which somebody has changed %s', async (_what, change, what) => {
    const [told] = await verifiedAfter(
      fragment`UPDATE ledger_entry SET ${change} WHERE wallet_id = ${books.walletId} AND sequence = 4`,
    );
    expect(told?.broken).toMatchObject({ walletId: books.walletId, sequence: 4n, what });
  });

  it('names the entry after one that is gone', async () => {
    const [told] = await verifiedAfter(
      fragment`DELETE FROM ledger_entry WHERE wallet_id = ${books.walletId} AND sequence = 4`,
    );
    expect(told?.broken).toMatchObject({ sequence: 5n, what: 'sequence', expected: '4', found: '5' });
  });

  it('names the head where the newest entries are gone', async () => {
    const [told] = await verifiedAfter(
      fragment`DELETE FROM ledger_entry WHERE wallet_id = ${books.walletId} AND sequence = ${length}`,
    );
    expect(told?.broken).toMatchObject({ sequence: length - 1n, what: 'head' });
  });

  it('names the head where the wallet says another hash', async () => {
    const [told] = await verifiedAfter(
      fragment`UPDATE wallet SET head_hash = sha256('a') WHERE id = ${books.walletId}`,
    );
    expect(told?.broken).toMatchObject({ sequence: length, what: 'head' });
  });
});
