/** Wallets with thousands of lots: what is spent from them sums exactly, in burn order, and catching up is bounded. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Tenant } from '../../src/domain/identity/caller.ts';
import { instant } from '../../src/domain/time/instant.ts';
import { AdvanceTestClockDocument, DebitDocument } from '../generated/documents.ts';
import { expectSoundBooks, query } from '../support/books.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { aKey, anOrganization, type Given } from '../support/given.ts';
import { post } from '../support/process-load.ts';
import { aGrant, anEngine, tenantOf } from '../support/process-posting.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway();
});
afterAll(() => gateway[Symbol.asyncDispose]());

const HOUR = 3_600_000;

/** Lots of 0.01 that expire one after the other from then on, a millisecond apart. */
async function grantLots(tenant: Tenant, count: number, firstExpiry: number): Promise<void> {
  await using own = anEngine(gateway, { lanes: 1 });
  // Backwards, so that the order of their ids is not the order in which they burn.
  const grants = Array.from({ length: count }, (_, index) =>
    aGrant(tenant, '0.01', { bucketKey: 'promotional', expiresAt: instant(firstExpiry + count - 1 - index) }),
  );
  const outcomes = await Promise.all(grants.map((command) => own.engine.execute(command)));
  expect(outcomes.every((outcome) => outcome.status === 'posted')).toBe(true);
}

describe('a bucket with 5,000 lots', () => {
  let given: Given;
  let tenant: Tenant;
  beforeAll(async () => {
    given = await anOrganization(gateway);
    tenant = await tenantOf(gateway.database, given.id);
    await grantLots(tenant, 5_000, Date.now() + 24 * HOUR);
  });

  async function debit(amount: string) {
    const { debit: answer } = await given.client.run(DebitDocument, { input: { idempotencyKey: aKey(), amount } });
    if (answer.__typename !== 'DebitPayload') throw new Error(JSON.stringify(answer));
    return answer;
  }

  const remaining = async () =>
    (
      await query<{ remaining: number }>(
        gateway.database,
        'SELECT remaining_micros::int AS remaining FROM lot WHERE wallet_id = $1 ORDER BY expires_at',
        [tenant.walletId],
      )
    ).map((lot) => lot.remaining);

  it('gives 3.337777 out of 334 of them, exactly and in burn order', async () => {
    const { transaction, availableCredits } = await debit('3.337777');

    expect([transaction.amount, availableCredits]).toEqual(['-3.337777', '46.662223']);
    expect(await remaining()).toEqual([
      ...Array.from({ length: 333 }, () => 0),
      2_223,
      ...Array.from({ length: 4_666 }, () => 10_000),
    ]);
    const entries = await query(
      gateway.database,
      `SELECT count(*)::int, sum(e.amount_micros)::int, max(e.sequence - 5000)::int AS last,
         bool_and(e.sequence - 5000 = l.position) AS ordered
       FROM ledger_entry e
       JOIN (SELECT id, row_number() OVER (ORDER BY expires_at) AS position FROM lot WHERE wallet_id = $1) l ON l.id = e.lot_id
       WHERE e.wallet_id = $1 AND e.direction = 'DEBIT'`,
      [tenant.walletId],
    );
    expect(entries).toEqual([{ count: 334, sum: 3_337_777, last: 334, ordered: true }]);
    await expectSoundBooks(gateway.database, given.id);
  });

  it('serves many debits in one batch, each across several lots', async () => {
    const answers = await Promise.all(Array.from({ length: 40 }, () => debit('0.123457')));
    const left = 46_662_223 - 40 * 123_457;
    expect(answers.map((answer) => Number(answer.availableCredits))).toContain(left / 1_000_000);
    expect((await remaining()).reduce((total, lot) => total + lot, 0)).toBe(left);
    await expectSoundBooks(gateway.database, given.id);
  });

  it('can be spent to the last micro at once', async () => {
    const { availableCredits } = await debit('41.723943');
    expect(availableCredits).toBe('0');
    expect(new Set(await remaining())).toEqual(new Set([0]));
    await expectSoundBooks(gateway.database, given.id);
  });
});

describe('more lots due than one batch posts', () => {
  const LOTS = 1_200;

  async function aWalletWithDueLots() {
    const given = await anOrganization(gateway, { credits: { purchased: '5' } });
    const tenant = await tenantOf(gateway.database, given.id);
    const firstExpiry = Date.now() + HOUR;
    await grantLots(tenant, LOTS, firstExpiry);
    return { given, tenant, to: new Date(firstExpiry + HOUR).toISOString() };
  }

  async function expectEachExpiredOnce({ given, tenant }: { given: Given; tenant: Tenant }): Promise<void> {
    const rows = await query(
      gateway.database,
      `SELECT count(*)::int AS entries, count(DISTINCT e.lot_id)::int AS lots, sum(e.amount_micros)::int AS micros,
         bool_and(e.effective_at = l.expires_at) AS on_time
       FROM ledger_entry e JOIN lot l ON l.id = e.lot_id WHERE e.wallet_id = $1 AND e.reason_code = 'EXPIRY'`,
      [tenant.walletId],
    );
    expect(rows).toEqual([{ entries: LOTS, lots: LOTS, micros: LOTS * 10_000, on_time: true }]);
    await expectSoundBooks(gateway.database, given.id);
  }

  it('answers busy with Retry-After until it has caught up, and then the same call works', async () => {
    const wallet = await aWalletWithDueLots();
    await query(gateway.database, `UPDATE organization SET test_clock_offset_ms = ${2 * HOUR + 60_000} WHERE id = $1`, [
      wallet.tenant.organizationId,
    ]);
    const document = 'mutation ($input: DebitInput!) { debit(input: $input) { __typename } }';
    const input = { idempotencyKey: aKey(), amount: '1' };
    const send = () => post(gateway.gateway.endpoint, wallet.given.secret, document, { input });

    const first = await send();
    expect(first).toMatchObject({ status: 503, retryAfter: '1', errors: [{ extensions: { code: 'RATE_LIMITED' } }] });
    let answer = first;
    for (let attempt = 0; attempt < 3 && answer.status === 503; attempt++) answer = await send();

    expect(answer).toMatchObject({ status: 200, data: { debit: { __typename: 'DebitPayload' } } });
    await expectEachExpiredOnce(wallet);
  });

  it('lets the operator repeat the call that moved the clock until everything is posted', async () => {
    const wallet = await aWalletWithDueLots();
    const operator = gateway.as(gateway.demo.tokens.operator);
    const input = { organizationId: wallet.given.id, to: wallet.to };
    const advance = () =>
      operator.run(AdvanceTestClockDocument, { input }).then(
        ({ advanceTestClock }) => advanceTestClock.__typename,
        () => 'busy',
      );

    let answer = await advance();
    for (let attempt = 0; attempt < 5 && answer === 'busy'; attempt++) answer = await advance();

    expect(answer).toBe('TestClockPayload');
    await expectEachExpiredOnce(wallet);
  });
});
