/** The standing audit: what it looks at, what it freezes, and that nothing that is right is ever frozen. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { query } from '../support/books.ts';
import { busyBooks } from '../support/busy-books.ts';
import { anAuditor, auditAll, damage, frozenState } from '../support/freezing.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { anOrganization } from '../support/given.ts';
import { eventually, holdWallet, openSession, tenantOf } from '../support/process-posting.ts';
import { charge, refund } from '../support/usage.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway();
});
afterAll(() => gateway[Symbol.asyncDispose]());

/** A wallet of eleven entries. */
async function aWallet(purchased = '100') {
  const given = await anOrganization(gateway, { credits: { purchased } });
  for (let nth = 0; nth < 10; nth++) await charge(given.client, { amount: '1' });
  return { ...given, ...(await tenantOf(gateway.database, given.id)) };
}

const frozenWallets = async () =>
  (await query<{ id: string }>(gateway.database, 'SELECT id FROM wallet WHERE frozen_at IS NOT NULL')).map(
    ({ id }) => id,
  );

async function walkedOf(walletId: string) {
  const [row] = await query<{ sequence: number; swept: boolean }>(
    gateway.database,
    "SELECT sequence::int, swept_at > '-infinity' AS swept FROM wallet_check WHERE wallet_id = $1",
    [walletId],
  );
  return row;
}

/** How a statement is run whatever its parameters are, in a database that is prepared for it and left as it was. */
async function plan(statement: string | undefined, prepare: string): Promise<string> {
  await using session = await openSession(gateway.database);
  await session.client.query(`BEGIN; ${prepare}`);
  const { rows } = await session.client.query<{ 'QUERY PLAN': string }>(`EXPLAIN (GENERIC_PLAN) ${statement}`);
  await session.client.query('ROLLBACK');
  return rows.map((row) => row['QUERY PLAN']).join('\n');
}

describe('the self-audit', () => {
  it('looks at everything and freezes nothing that is right', async () => {
    const { walletId } = await busyBooks(gateway);
    const { auditor, told, log } = anAuditor(gateway);
    await auditAll(auditor);
    await auditAll(auditor);
    expect(await frozenWallets()).toEqual([]);
    expect(told).toMatchObject({ offended: [], frozen: 0 });
    expect(log).toEqual([]);
    const [head] = await query<{ sequence: number }>(
      gateway.database,
      'SELECT sequence::int FROM wallet WHERE id = $1',
      [walletId],
    );
    expect(await walkedOf(walletId)).toEqual({ sequence: head?.sequence, swept: true });
  });

  it('walks on from where it was, and asks about history once a day', async () => {
    const { client, walletId } = await aWallet();
    await auditAll(anAuditor(gateway).auditor);
    await auditAll(anAuditor(gateway).auditor);
    const { auditor, told } = anAuditor(gateway);
    await auditAll(auditor);
    expect(told).toMatchObject({ entries: 0, swept: 0 });
    await charge(client, { amount: '1' });
    await charge(client, { amount: '1' });
    await auditAll(auditor);
    expect(told).toMatchObject({ entries: 2, swept: 0 });
    await query(
      gateway.database,
      `UPDATE wallet_check SET swept_at = swept_at - interval '1 day' WHERE wallet_id = $1`,
      [walletId],
    );
    await auditAll(auditor);
    await auditAll(auditor);
    expect(told).toMatchObject({ entries: 15, swept: 1 });
  });

  it.each([
    ['a balance', 'wallet = Σ lots − debt', 'UPDATE wallet SET balance_micros = balance_micros + 1 WHERE id = $1'],
    ['a debt', 'wallet = Σ lots − debt', 'UPDATE wallet SET debt_micros = 1 WHERE id = $1'],
    ['a bucket', 'bucket = Σ lots', 'UPDATE bucket SET frozen_micros = 1 WHERE wallet_id = $1'],
    [
      'what a lot was granted',
      'lot = granted − its moves',
      'UPDATE lot SET granted_micros = granted_micros + 1 WHERE wallet_id = $1',
    ],
    [
      'a key',
      'one effect per key, one key per effect',
      `UPDATE ledger_transaction SET idempotency_key = id::text WHERE wallet_id = $1`,
    ],
    ['an entry', 'hash chain unbroken', `UPDATE ledger_entry SET actor_id = 'x' WHERE wallet_id = $1 AND sequence = 7`],
  ])('freezes the wallet of which somebody changed %s, and no other', async (_what, invariant, update) => {
    const { walletId } = await aWallet();
    const before = await frozenWallets();
    await damage(gateway, update, [walletId]);
    const { auditor, told, log } = anAuditor(gateway);
    await auditAll(auditor);
    expect(await frozenWallets()).toEqual(expect.arrayContaining([...before, walletId]));
    expect(await frozenWallets()).toHaveLength(before.length + 1);
    expect(await frozenState(gateway, walletId)).toMatchObject({
      frozen: true,
      records: [{ actor: 'SYSTEM self-audit', before: { frozenAt: null }, after: { invariant } }],
    });
    expect(told).toMatchObject({ offended: [invariant], frozen: 1 });
    expect(log).toMatchObject([{ level: 50, walletId, invariant }]);
    await auditAll(auditor);
    expect(told.frozen).toBe(1);
  });

  it('freezes the wallet of which a refund has lost its charge, before that is refunded again', async () => {
    const { client, walletId } = await aWallet();
    const transactionId = await charge(client, { amount: '7' });
    await refund(client, { transactionId, amount: '5' });
    const lose = `ALTER TABLE ledger_transaction DROP CONSTRAINT ledger_transaction_refund;
      UPDATE ledger_transaction SET refunded_id = NULL WHERE wallet_id = $1 AND kind = 'REFUND'`;
    await damage(gateway, lose, [walletId]);
    const { auditor, told } = anAuditor(gateway);
    await auditAll(auditor);
    expect(told).toMatchObject({ offended: ['a refund names its charge'], frozen: 1 });
    expect((await frozenState(gateway, walletId)).frozen).toBe(true);
    await expect(refund(client, { transactionId })).rejects.toThrow('WalletFrozen');
  });

  it('sees what is changed among entries that it has not seen yet, and among those it has', async () => {
    const wallets = [await aWallet(), await aWallet()] as const;
    await auditAll(anAuditor(gateway).auditor);
    await auditAll(anAuditor(gateway).auditor);
    const [late, early] = wallets;
    await charge(late.client, { amount: '1' });
    await damage(gateway, `UPDATE ledger_entry SET task_id = 'x' WHERE wallet_id = $1 AND sequence = 12`, [
      late.walletId,
    ]);
    // Consistent in itself: the newest entry and what the wallet says of it.
    const rewrite = `UPDATE ledger_entry SET hash = sha256('a') WHERE wallet_id = $1 AND sequence = 11;
      UPDATE wallet SET head_hash = sha256('a') WHERE id = $1`;
    await damage(gateway, rewrite, [early.walletId]);
    const { auditor, told } = anAuditor(gateway);
    await auditAll(auditor);
    expect(told).toMatchObject({ offended: ['hash chain unbroken', 'hash chain unbroken'], frozen: 2, swept: 0 });
    for (const { walletId } of wallets) expect((await frozenState(gateway, walletId)).frozen).toBe(true);
  });

  it('does not freeze what is right under the wallet’s lock', async () => {
    const { id, walletId } = await aWallet();
    const change = (by: string) => `UPDATE bucket SET frozen_micros = ${by} WHERE wallet_id = $1`;
    await using held = await holdWallet(gateway.database, id);
    await damage(gateway, change('1'), [walletId]);
    const { auditor, told, log } = anAuditor(gateway);
    const auditing = auditAll(auditor);
    await held.awaitWaiting(1);
    await damage(gateway, change('0'), [walletId]);
    await held.release();
    await auditing;
    expect((await frozenState(gateway, walletId)).frozen).toBe(false);
    expect({ told, log }).toMatchObject({ told: { offended: [], frozen: 0 }, log: [] });
  });

  it('dates a freeze by the clock that it reads under the wallet’s lock', async () => {
    const { id, walletId } = await aWallet();
    await using held = await holdWallet(gateway.database, id);
    await damage(gateway, 'UPDATE bucket SET frozen_micros = 1 WHERE wallet_id = $1', [walletId]);
    const auditing = auditAll(anAuditor(gateway).auditor);
    await held.awaitWaiting(1);
    const [clock] = await query<{ now: string }>(gateway.database, 'SELECT clock_timestamp()::text AS now');
    await held.release();
    await auditing;
    const frozen = await query(
      gateway.database,
      `SELECT frozen_at >= date_trunc('milliseconds', $2::text::timestamptz) AS later FROM wallet WHERE id = $1`,
      [walletId, clock?.now],
    );
    expect(frozen).toEqual([{ later: true }]);
  });

  it('dates no freeze before the newest entry, should the clock have gone back', async () => {
    const { walletId } = await aWallet();
    await query(gateway.database, `UPDATE wallet SET last_posted_at = '2999-01-01T00:00:00Z' WHERE id = $1`, [
      walletId,
    ]);
    await damage(gateway, 'UPDATE bucket SET frozen_micros = 1 WHERE wallet_id = $1', [walletId]);
    await auditAll(anAuditor(gateway).auditor);
    const frozen = 'SELECT frozen_at = last_posted_at AS with_it FROM wallet WHERE id = $1';
    expect(await query(gateway.database, frozen, [walletId])).toEqual([{ with_it: true }]);
  });

  it('lets charges go on where a question is not answered in seconds, and asks again later', async () => {
    const { id, client, walletId } = await aWallet();
    await using held = await holdWallet(gateway.database, id);
    await damage(gateway, 'UPDATE bucket SET frozen_micros = 1 WHERE wallet_id = $1', [walletId]);
    const { auditor, told, log } = anAuditor(gateway);
    const auditing = auditor.run(new AbortController().signal);
    await held.awaitWaiting(1);
    await using slow = await openSession(gateway.database);
    await slow.client.query('BEGIN; LOCK TABLE bucket');
    await held.release();
    await eventually(async () => log.length > 0, 'the question is given up', 8);
    await slow.client.query('ROLLBACK');
    await charge(client, { amount: '1' });
    await auditing;
    const QUERY_CANCELED = '57014';
    expect(log).toMatchObject([{ level: 40, walletId, invariant: 'bucket = Σ lots', err: { code: QUERY_CANCELED } }]);
    expect(told.frozen).toBe(0);
    expect((await frozenState(gateway, walletId)).frozen).toBe(false);
    await auditAll(anAuditor(gateway).auditor);
    expect((await frozenState(gateway, walletId)).frozen).toBe(true);
  });

  it('reports usage that does not add up without a lock, and freezes nobody for it', async () => {
    const { id, walletId } = await aWallet();
    await using _held = await holdWallet(gateway.database, id);
    await damage(gateway, 'UPDATE usage_rollup SET events = events + 1 WHERE wallet_id = $1', [walletId]);
    const { auditor, told, log } = anAuditor(gateway);
    await auditAll(auditor);
    await auditAll(auditor);
    expect((await frozenState(gateway, walletId)).frozen).toBe(false);
    expect(told).toMatchObject({ offended: ['rollups = Σ charges'], frozen: 0 });
    expect(log).toMatchObject([{ walletId, invariant: 'rollups = Σ charges' }]);
  });

  it('walks a long ledger in parts', async () => {
    const { client, walletId } = await aWallet('100000');
    for (let call = 0; call < 5; call++) {
      const events = Array.from({ length: 600 }, (_, nth) => ({
        idempotencyKey: `${walletId}-${call}-${nth}`,
        usage: { meter: 'search' },
      }));
      const { errors } = await client.raw(
        'mutation($input: RecordUsageInput!) { recordUsage(input: $input) { __typename } }',
        { input: { events } },
      );
      expect(errors).toEqual([]);
    }
    const { auditor } = anAuditor(gateway);
    await auditor.run(new AbortController().signal);
    await auditor.run(new AbortController().signal);
    const parts = [(await walkedOf(walletId))?.sequence ?? 0];
    await auditAll(auditor);
    await auditAll(auditor);
    expect((await walkedOf(walletId))?.sequence).toBe(3_011);
    expect(parts[0]).toBeLessThan(3_011);
  });

  it('finds the next wallets by indexes, among thousands that have been looked at', async () => {
    gateway.statements.length = 0;
    await anAuditor(gateway).auditor.run(new AbortController().signal);
    const sent = [...new Set(gateway.statements)];
    const planOf = (part: string) =>
      plan(
        sent.find((statement) => statement.includes(part)),
        `SET LOCAL session_replication_role = 'replica';
         INSERT INTO wallet (id, organization_id, head_hash, last_posted_at)
           SELECT gen_random_uuid(), gen_random_uuid(), sha256(''), now() FROM generate_series(1, 5000);
         INSERT INTO wallet_check (wallet_id, swept_at) SELECT id, now() FROM wallet ON CONFLICT DO NOTHING;
         ANALYZE wallet, wallet_check`,
      );
    const turn = await planOf('ORDER BY c.swept_at');
    expect(turn).toMatch(/Index Scan using wallet_check_swept_at_idx.*\n +Index Cond: \(swept_at < /);
    expect(turn).not.toContain('Sort');
    const page = await planOf('FROM wallet WHERE id > ');
    expect(page).toMatch(/Index Scan using wallet_pkey.*\n +Index Cond: \(id > /);
    expect(page).not.toContain('Sort');
    expect(await planOf('INSERT INTO wallet_check')).toMatch(/using wallet_check_pkey.*\n +Index Cond: \(wallet_id = /);
  });

  it('ends when it is told to', async () => {
    const { auditor, told } = anAuditor(gateway);
    expect(await auditor.run(AbortSignal.abort())).toEqual({ roundEnded: false });
    expect(told).toMatchObject({ wallets: 0, swept: 0 });
  });
});
