/** PostgreSQL goes away in the middle: nothing acknowledged is lost, nothing is done twice, and callers get an answer. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { transactionIdOf } from '../../src/operations/outcome.ts';
import { DebitDocument } from '../generated/documents.ts';
import { expectSoundBooks, query } from '../support/books.ts';
import { createClient, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { aKey, anOrganization } from '../support/given.ts';
import { expectAcknowledgedInLedger, Load, post } from '../support/process-load.ts';
import {
  aDebit,
  anEngine,
  eventually,
  holdWallet,
  openSession,
  picture,
  tenantOf,
  within,
} from '../support/process-posting.ts';
import { aLossyWire } from '../support/wires.ts';

let first: TestGateway;
let second: TestGateway;
beforeAll(async () => {
  first = await startTestGateway();
  second = await startTestGateway({ database: first.database });
});
afterAll(async () => {
  await second[Symbol.asyncDispose]();
  await first[Symbol.asyncDispose]();
});

const DEBIT = 'mutation ($input: DebitInput!) { debit(input: $input) { __typename ... on DebitPayload { replayed } } }';

/** Ends the sessions that post; returns how many there were. */
async function terminatePosting(condition = 'true'): Promise<number> {
  const ended = await query(
    first.database,
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND application_name = 'purser-posting' AND ${condition}`,
  );
  return ended.length;
}

describe('a posting session that PostgreSQL ends', () => {
  it('before COMMIT: the batch is posted by another one, once', async () => {
    const given = await anOrganization(first, { credits: { purchased: '10' } });
    const input = { idempotencyKey: aKey(), amount: '1' };
    await using held = await holdWallet(first.database, given.id);
    const answer = given.client.run(DebitDocument, { input });
    await held.awaitWaiting(1);

    expect(await terminatePosting(`wait_event_type = 'Lock'`)).toBe(1);
    await held.release();

    expect((await within(10, 'the debit is answered', answer)).debit).toMatchObject({
      __typename: 'DebitPayload',
      availableCredits: '9',
      replayed: false,
    });
    expect((await given.client.run(DebitDocument, { input })).debit).toMatchObject({
      availableCredits: '9',
      replayed: true,
    });
    await expectSoundBooks(first.database, given.id);
  });

  it('while it is idle: nobody notices', async () => {
    const given = await anOrganization(first, { credits: { purchased: '10' } });
    await terminatePosting();
    const input = { idempotencyKey: aKey(), amount: '1' };
    const { debit } = await within(10, 'the debit is answered', given.client.run(DebitDocument, { input }));
    expect(debit).toMatchObject({ __typename: 'DebitPayload', availableCredits: '9' });
  });
});

describe('an answer to COMMIT that is lost', () => {
  it('is found by the keys: each command has one effect and its own answer', async () => {
    const given = await anOrganization(first, { credits: { purchased: '10' } });
    const tenant = await tenantOf(first.database, given.id);
    await using wire = await aLossyWire(first.gateway.databaseUrl);
    await using own = anEngine(first, { databaseUrl: wire.url });
    const commands = [aDebit(tenant, '1'), aDebit(tenant, '20'), aDebit(tenant, '2')];
    wire.loseNextCommit();

    const outcomes = await within(
      10,
      'the commands are answered',
      Promise.all(commands.map((command) => own.engine.execute(command))),
    );

    expect(wire.lost).toBe(1);
    const ids = outcomes.map((outcome) =>
      outcome.status === 'posted'
        ? outcome.transaction.id
        : outcome.status === 'replayed'
          ? transactionIdOf(outcome.answer)
          : outcome.status,
    );
    const rows = await query<{ id: string; key: string }>(
      first.database,
      `SELECT id, idempotency_key AS key FROM ledger_transaction WHERE wallet_id = $1 AND kind = 'DEBIT' ORDER BY amount_micros DESC`,
      [tenant.walletId],
    );
    expect(rows.map((row) => row.key)).toEqual([commands[0]?.idempotencyKey, commands[2]?.idempotencyKey]);
    expect(ids).toEqual([rows[0]?.id, 'refused', rows[1]?.id]);
    expect(outcomes.map((outcome) => 'available' in outcome && outcome.available)).toEqual([
      9_000_000n,
      9_000_000n,
      7_000_000n,
    ]);
    await expectSoundBooks(first.database, given.id);
  });

  it('is a success like any other to the one who called', async () => {
    const given = await anOrganization(first, { credits: { purchased: '10' } });
    await using wire = await aLossyWire(first.gateway.databaseUrl);
    const beyond = await startTestGateway({ database: first.database, env: { DATABASE_URL: wire.url } });
    try {
      wire.loseNextCommit();
      const input = { idempotencyKey: aKey(), amount: '4' };
      const client = createClient(beyond.gateway.endpoint, given.secret);
      const { debit } = await within(10, 'the debit is answered', client.run(DebitDocument, { input }));

      expect(wire.lost).toBe(1);
      // It was the caller's first call: nothing that it had been told before is given again.
      expect(debit).toMatchObject({ __typename: 'DebitPayload', availableCredits: '6', replayed: false });
      await expectSoundBooks(first.database, given.id);
    } finally {
      await beyond[Symbol.asyncDispose]();
    }
  });
});

describe('sessions that are ended again and again under load', () => {
  it('lose nothing acknowledged and double nothing', async () => {
    const given = await anOrganization(first, { credits: { purchased: '100000' } });
    const tenant = await tenantOf(first.database, given.id);
    const endpoints = [first.gateway.endpoint, second.gateway.endpoint];
    let turn = 0;
    const load = new Load({
      endpoint: () => endpoints[turn++ % 2] ?? '',
      token: given.secret,
      callers: 64,
    });
    let ended = 0;
    for (let round = 1; round <= 12; round++) {
      const answered = load.acknowledged.size;
      ended += await terminatePosting(round % 2 === 0 ? `state <> 'idle'` : 'true');
      await eventually(async () => load.acknowledged.size > answered + 64, `answers after round ${round}`);
    }
    await within(30, 'the callers end', load.settle());

    expect(ended).toBeGreaterThan(12);
    expect(await expectAcknowledgedInLedger(first.database, tenant.walletId, load)).toBe(0);
    const [wallet] = await query<{ spent: string }>(
      first.database,
      `SELECT (100000 - balance_micros / 1000000)::text AS spent FROM wallet WHERE id = $1`,
      [tenant.walletId],
    );
    expect(wallet?.spent).toBe(String(load.acknowledged.size));
    await expectSoundBooks(first.database, given.id);
  });
});

describe('a database that refuses to write', () => {
  /** What a debit is answered while PostgreSQL is in the given state, and after it. */
  async function duringAndAfter(setUp: string, tearDown: string) {
    const given = await anOrganization(first, { credits: { purchased: '10' } });
    const input = { idempotencyKey: aKey(), amount: '1' };
    const send = () => within(15, 'an answer', post(first.gateway.endpoint, given.secret, DEBIT, { input }));
    const before = await picture(first.database);
    await using session = await openSession(first.database);
    await session.client.query(setUp);
    await terminatePosting();
    const during = await send().finally(async () => {
      await session.client.query(tearDown);
      await terminatePosting();
    });
    expect(await picture(first.database)).toEqual(before);
    const after = await send();
    await expectSoundBooks(first.database, given.id);
    return { during, after };
  }

  const UNAVAILABLE = { status: 503, retryAfter: expect.stringMatching(/^\d+$/), data: null };
  const CHARGED = { status: 200, data: { debit: { __typename: 'DebitPayload', replayed: false } } };

  it('because it is read-only: 503 with Retry-After, nothing stored, and the same key works afterwards', async () => {
    const name = new URL(first.database.adminUrl).pathname.slice(1);
    const { during, after } = await duringAndAfter(
      `ALTER DATABASE ${name} SET default_transaction_read_only = on`,
      `ALTER DATABASE ${name} RESET default_transaction_read_only`,
    );
    expect(during).toMatchObject(UNAVAILABLE);
    expect(after).toMatchObject(CHARGED);
  });

  it('because the disk is full: 503 with Retry-After, nothing stored, and the same key works afterwards', async () => {
    const { during, after } = await duringAndAfter(
      `CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN RAISE EXCEPTION 'No space left on device' USING ERRCODE = '53100'; END $$;
       CREATE TRIGGER full_disk BEFORE INSERT ON ledger_entry FOR EACH STATEMENT EXECUTE FUNCTION full_disk()`,
      `DROP TRIGGER full_disk ON ledger_entry; DROP FUNCTION full_disk`,
    );
    expect(during).toMatchObject(UNAVAILABLE);
    expect(after).toMatchObject(CHARGED);
  });

  it('because a statement took too long: 503 with Retry-After, nothing stored, and the same key works afterwards', async () => {
    const { during, after } = await duringAndAfter(
      `CREATE FUNCTION too_slow() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN RAISE EXCEPTION 'canceling statement due to statement timeout' USING ERRCODE = '57014'; END $$;
       CREATE TRIGGER too_slow BEFORE INSERT ON ledger_entry FOR EACH STATEMENT EXECUTE FUNCTION too_slow()`,
      `DROP TRIGGER too_slow ON ledger_entry; DROP FUNCTION too_slow`,
    );
    expect(during).toMatchObject(UNAVAILABLE);
    expect(after).toMatchObject(CHARGED);
  });
});
