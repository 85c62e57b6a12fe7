/** The hash chain of a wallet holds, and somebody who changes the books breaks it. */
import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Tenant } from '../../src/domain/identity/caller.ts';
import { AdjustBalanceDocument, DebitDocument } from '../generated/documents.ts';
import { verifyChain } from '../support/audit-chain.ts';
import { query } from '../support/books.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { advanceTo, aKey, anOrganization, grant } from '../support/given.ts';
import { openSession, tenantOf } from '../support/process-posting.ts';

let gateway: TestGateway;
let tenant: Tenant;
beforeAll(async () => {
  gateway = await startTestGateway();
  tenant = await aBusyWallet();
});
afterAll(() => gateway[Symbol.asyncDispose]());

/** Keys whose order, and values whose spelling, a careless encoding would get wrong. */
const AWKWARD_METADATA: unknown = JSON.parse(`{
  "ключ-🙂": "значение", "b": [1, 2.5, 1e21, 1e-7, -0, null, true],
  "a": { "z": null, "y": { "nested": "\\"quotes\\" \\\\ and\\nlines" } },
  "empty": "", "none": null, "10": "ten", "9": "nine", "__proto__": "own", "constructor": "own"
}`);

/** One with entries of many kinds. */
async function aBusyWallet(): Promise<Tenant> {
  const { id, client } = await anOrganization(gateway, { plan: 'free', credits: { purchased: '100' } });
  const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
  await grant(gateway, id, 'promotional', '0.000001', expiresAt);
  const inputs = [
    { amount: '1' },
    { amount: '0.5', taskId: '17:zadání-🙂', executionId: '-', metadata: {} },
    {
      amount: '150',
      occurredAt: new Date(Date.now() - 86_400_123).toISOString(),
      reasonCode: 'agent.run',
      metadata: AWKWARD_METADATA,
    },
    { usage: [{ meter: 'search', quantity: '3' }] },
    { usage: [{ meter: 'search' }, { meter: 'api_call', quantity: '0.5', dimensions: { region: 'eu' } }] },
  ];
  for (const input of inputs) {
    const { debit } = await client.run(DebitDocument, { input: { idempotencyKey: aKey(), ...input } });
    if (debit.__typename !== 'DebitPayload') throw new Error(JSON.stringify(debit));
  }
  await gateway.as(gateway.demo.tokens.operator).run(AdjustBalanceDocument, {
    input: { organizationId: id, idempotencyKey: aKey(), bucketKey: 'purchased', credits: '-2', reason: 'wrong' },
  });
  await grant(gateway, id, 'promotional', '7', expiresAt);
  await advanceTo(gateway, id, new Date(Date.parse(expiresAt) + 172_800_000).toISOString());
  return tenantOf(gateway.database, id);
}

const verify = (client: Client) => verifyChain(client, tenant.walletId);

describe('the hash chain of a wallet', () => {
  it('is unbroken from the first entry to the head that the wallet stores', async () => {
    const [wallet] = await query<{ head: string; sequence: number }>(
      gateway.database,
      `SELECT encode(head_hash, 'hex') AS head, sequence::int FROM wallet WHERE id = $1`,
      [tenant.walletId],
    );
    const kinds = await query<{ kind: string }>(
      gateway.database,
      'SELECT DISTINCT kind::text FROM ledger_transaction WHERE wallet_id = $1 ORDER BY 1',
      [tenant.walletId],
    );

    await using session = await openSession(gateway.database);
    const { broken, head, length } = await verify(session.client);

    expect(broken).toEqual([]);
    expect({ head, sequence: length }).toEqual(wallet);
    expect(length).toBeGreaterThan(12);
    expect(kinds.map((row) => row.kind)).toEqual(['ADJUSTMENT', 'DEBIT', 'EXPIRY', 'GRANT']);
  });

  it.each([
    ['an amount', 'amount_micros = amount_micros + 1'],
    ['a balance', 'balance_after_micros = balance_after_micros + 1'],
    ['a direction', `direction = 'CREDIT'`],
    ['a reason', `reason_code = 'OTHER'`],
    ['a lot', 'lot_id = (SELECT max(id::text)::uuid FROM lot)'],
    ['a task', `task_id = 'other'`],
    ['an execution', `execution_id = 'other'`],
    ['a meter', `meter = 'other'`],
    ['an actor', `actor_id = 'other'`],
    ['the kind of an actor', `actor_kind = 'OPERATOR'`],
    ['the instant of posting', `posted_at = posted_at + interval '1 ms'`],
    ['the instant it counts from', `effective_at = effective_at - interval '1 ms'`],
    ['the instant of the work', 'occurred_at = posted_at'],
    ['the hash itself', 'hash = sha256(hash)'],
  ])('is broken at the entry in which somebody changes %s', async (_what, change) => {
    await using session = await openSession(gateway.database);
    const { rows } = await session.client.query<{ sequence: string }>(
      `SELECT min(sequence)::text AS sequence FROM ledger_entry WHERE wallet_id = $1 AND direction = 'DEBIT'`,
      [tenant.walletId],
    );
    await tamper(session.client, `ledger_entry SET ${change} WHERE wallet_id = $1 AND sequence = ${rows[0]?.sequence}`);

    expect((await verify(session.client)).broken[0]).toBe(rows[0]?.sequence);
  });

  it.each([
    ['the kind of a transaction', `kind = 'ADJUSTMENT'`],
    ['metadata', `metadata = jsonb_set(metadata, '{b,1}', '2.6')`],
  ])('is broken at the entries of which somebody changes %s', async (_what, change) => {
    await using session = await openSession(gateway.database);
    const { rows } = await session.client.query<{ sequence: string }>(
      `SELECT sequence::text FROM ledger_entry WHERE transaction_id =
         (SELECT id FROM ledger_transaction WHERE wallet_id = $1 AND metadata ? 'b') ORDER BY ledger_entry.sequence`,
      [tenant.walletId],
    );
    await tamper(session.client, `ledger_transaction SET ${change} WHERE wallet_id = $1 AND metadata ? 'b'`);

    expect(rows.length).toBeGreaterThan(1);
    expect((await verify(session.client)).broken).toEqual(rows.map((row) => row.sequence));
  });

  it('covers metadata that JavaScript would take for something else', async () => {
    const rows = await query<{ proto: string }>(
      gateway.database,
      `SELECT metadata->>'__proto__' AS proto FROM ledger_transaction WHERE wallet_id = $1 AND metadata ? 'b'`,
      [tenant.walletId],
    );
    expect(rows).toEqual([{ proto: 'own' }]);
  });

  it('is broken where an entry is removed', async () => {
    await using session = await openSession(gateway.database);
    await tamper(session.client, 'ledger_entry SET sequence = 1000000 WHERE wallet_id = $1 AND sequence = 3');

    expect((await verify(session.client)).broken).toEqual(['4', '1000000']);
  });
});

/** Changes the books behind the triggers' back, in a transaction that ends with the session. */
async function tamper(client: Client, change: string): Promise<void> {
  await client.query('BEGIN');
  await client.query('ALTER TABLE ledger_entry DISABLE TRIGGER ALL');
  await client.query('ALTER TABLE ledger_transaction DISABLE TRIGGER ALL');
  const { rowCount } = await client.query(`UPDATE ${change}`, [tenant.walletId]);
  expect(rowCount).toBe(1);
}
