/** Holds, caps and refunds from two gateways on one database: one resolution each, and never more than there is. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Tenant } from '../../src/domain/identity/caller.ts';
import type { Outcome } from '../../src/domain/posting/outcomes.ts';
import { encodeId } from '../../src/graphql/ids.ts';
import {
  aCatalogFile,
  aHold,
  type CatalogFile,
  capture,
  captured,
  charged,
  extend,
  held,
  holdById,
  release,
} from '../e2e/metering.ts';
import { AuthorizeDocument, ChargeDocument, RefundDocument } from '../generated/documents.ts';
import { expectSoundBooks, query } from '../support/books.ts';
import { createClient, startTestGateway, type TestClient, type TestGateway } from '../support/gateway.ts';
import { advanceTo, aKey, anApiKey, anOrganization, type Given } from '../support/given.ts';
import { post } from '../support/process-load.ts';
import { aCapture, anAuthorization, anEngine, aRelease, tenantOf, within } from '../support/process-posting.ts';
import { aLossyWire } from '../support/wires.ts';

let catalog: CatalogFile;
let first: TestGateway;
let second: TestGateway;
beforeAll(async () => {
  catalog = await aCatalogFile({
    plans: '  - { key: capped, name: Capped, price: { amountMinor: 0, currency: USD }, dailyCreditCap: 30 }\n',
  });
  const env = { PURSER_CATALOG: catalog.path };
  first = await startTestGateway({ env });
  second = await startTestGateway({ database: first.database, env });
});
afterAll(async () => {
  await second[Symbol.asyncDispose]();
  await first[Symbol.asyncDispose]();
  await catalog[Symbol.asyncDispose]();
});

/** The same caller at each of the two gateways. */
const clientsOf = (secret: string): [TestClient, TestClient] => [
  createClient(first.gateway.endpoint, secret),
  createClient(second.gateway.endpoint, secret),
];
const count = <T>(values: readonly T[], value: T): number => values.filter((candidate) => candidate === value).length;

interface Sums {
  readonly balance: string;
  readonly available: string;
  readonly held: string;
}

async function sumsOf({ id }: Pick<Given, 'id'>): Promise<Sums | undefined> {
  const { walletId } = await tenantOf(first.database, id);
  const [row] = await query<Sums>(
    first.database,
    `SELECT (balance_micros / 1000000)::text AS balance,
       (SELECT (sum(available_micros) / 1000000)::bigint::text FROM bucket WHERE wallet_id = w.id) AS available,
       (SELECT (sum(pinned_micros) / 1000000)::bigint::text FROM bucket WHERE wallet_id = w.id) AS held
     FROM wallet w WHERE id = $1`,
    [walletId],
  );
  return row;
}

describe('authorizing 300 times at once against 100', () => {
  it('holds exactly as much as is available', async () => {
    const given = await anOrganization(first, { credits: { promotional: '40', purchased: '60' } });
    const clients = clientsOf(given.secret);
    const answers = await Promise.all(
      Array.from({ length: 300 }, (_, index) =>
        (clients[index % 2] ?? given.client).run(AuthorizeDocument, { input: { idempotencyKey: aKey(), amount: '1' } }),
      ),
    );
    const kinds = answers.map(({ authorize }) => authorize.__typename);
    expect([count(kinds, 'HoldPayload'), count(kinds, 'InsufficientCredits')]).toEqual([100, 200]);
    expect(await sumsOf(given)).toEqual({ balance: '100', available: '0', held: '100' });
    await expectSoundBooks(first.database, given.id);
  });
});

describe('a hold that is captured at one gateway while it is released at another', () => {
  it('is resolved once, as whoever came first was answered', async () => {
    const given = await anOrganization(first, { credits: { purchased: '60' } });
    const [one, other] = clientsOf(given.secret);
    const holds = await Promise.all(Array.from({ length: 30 }, () => aHold(given.client, '2')));
    const races = await Promise.all(
      holds.map(async (holdId, index) => {
        const take = () => capture(one, { holdId, amount: '1' });
        if (index % 2 === 0) return Promise.all([take(), release(other, holdId)]);
        const releasing = release(other, holdId);
        return Promise.all([take(), releasing]);
      }),
    );
    let capturedCount = 0;
    for (const [index, [taking, releasing]] of races.entries()) {
      const isCaptured = taking.__typename === 'CapturePayload';
      const status = isCaptured ? 'CAPTURED' : 'RELEASED';
      if (isCaptured) expect(releasing).toMatchObject({ __typename: 'HoldNotOpen', status });
      else {
        expect(taking).toMatchObject({ __typename: 'HoldNotOpen', status });
        expect(releasing.__typename).toBe('HoldPayload');
      }
      expect(await holdById(given.client, holds[index] ?? '')).toMatchObject({ status, remaining: '0' });
      capturedCount += Number(isCaptured);
    }
    const left = String(60 - capturedCount);
    expect(await sumsOf(given)).toEqual({ balance: left, available: left, held: '0' });
    await expectSoundBooks(first.database, given.id);
  });

  it('and extended, captured in part and captured again is sound whatever comes first', async () => {
    const given = await anOrganization(first, { credits: { purchased: '100' } });
    const [one, other] = clientsOf(given.secret);
    const holds = await Promise.all(Array.from({ length: 10 }, () => aHold(given.client, '4')));
    const kinds = await Promise.all(
      holds.flatMap((holdId) => [
        capture(one, { holdId, amount: '1', final: false }),
        extend(other, holdId, 7_200),
        capture(other, { holdId, amount: '2' }),
        release(one, holdId),
        capture(one, { holdId }),
      ]),
    );
    for (const [index, { __typename }] of kinds.entries()) {
      const expected = ['CapturePayload', 'HoldPayload', 'HoldNotOpen'];
      expect(expected, `answer ${index}`).toContain(__typename);
    }
    expect((await sumsOf(given))?.held).toBe('0');
    await expectSoundBooks(first.database, given.id);
  });

  it('under one key at both is captured once, with one answer', async () => {
    const given = await anOrganization(first, { credits: { purchased: '60' } });
    const clients = clientsOf(given.secret);
    for (let round = 0; round < 10; round++) {
      const input = { holdId: await aHold(given.client, '4'), amount: '3', idempotencyKey: aKey() };
      const answers = await Promise.all(clients.map((client) => captured(client, input)));
      const [a, b] = answers;
      expect(a?.transaction.id).toBe(b?.transaction.id);
      expect(a?.availableCredits).toBe(b?.availableCredits);
      expect(a?.hold).toEqual(b?.hold);
      expect(
        count(
          answers.map(({ replayed }) => replayed),
          true,
        ),
      ).toBe(1);
    }
    expect(await sumsOf(given)).toEqual({ balance: '30', available: '30', held: '0' });
    await expectSoundBooks(first.database, given.id);
  });
});

async function holdsOf(tenant: Tenant, howMany: number, lifeSeconds: number): Promise<string[]> {
  await using own = anEngine(first, { lanes: 1 });
  const commands = Array.from({ length: howMany }, () => anAuthorization(tenant, '1', lifeSeconds));
  const outcomes = await Promise.all(commands.map((command) => own.engine.execute(command)));
  return outcomes.map((outcome) => {
    if (outcome.status !== 'held') throw new Error(`a hold was answered with ${outcome.status}`);
    return outcome.hold.facts.id;
  });
}

/** Sends the capture until the wallet has caught up with what was due, as a client does that is told to come again. */
async function captureUntilAnswered(endpoint: string, secret: string, holdId: string): Promise<string> {
  const mutation = 'mutation ($input: CaptureInput!) { capture(input: $input) { __typename } }';
  const input = { holdId: encodeId('Hold', holdId), idempotencyKey: aKey() };
  for (let attempt = 0; attempt < 200; attempt++) {
    const answer = await post(endpoint, secret, mutation, { input });
    const found = answer.data?.capture as { __typename: string } | undefined;
    if (found) return found.__typename;
    expect(answer.status).toBe(503);
  }
  throw new Error('the wallet never caught up');
}

describe('1,000 holds that lapse while they are captured', () => {
  it('are each captured or lapsed, once, and what lapsed is given back once', async () => {
    const given = await anOrganization(first, { credits: { purchased: '1000' } });
    const tenant = await tenantOf(first.database, given.id);
    const ids = await holdsOf(tenant, 1_000, 3_600);
    const endpoints = [first.gateway.endpoint, second.gateway.endpoint];
    const [{ expiry } = { expiry: '' }] = await query<{ expiry: string }>(
      first.database,
      `SELECT to_char(max(expires_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS expiry FROM hold WHERE wallet_id = $1`,
      [tenant.walletId],
    );

    const early = ids
      .slice(0, 300)
      .map((id, index) => captureUntilAnswered(endpoints[index % 2] ?? '', given.secret, id));
    const moving = advanceTo(first, given.id, expiry);
    const late = ids.slice(300).map((id, index) => captureUntilAnswered(endpoints[index % 2] ?? '', given.secret, id));
    await moving;
    const answers = await Promise.all([...early, ...late]);

    const [taken, refused] = [count(answers, 'CapturePayload'), count(answers, 'HoldNotOpen')];
    expect(taken + refused).toBe(1_000);
    const states = await query<{ status: string; count: number }>(
      first.database,
      'SELECT status::text AS status, count(*)::int AS count FROM hold WHERE wallet_id = $1 GROUP BY 1 ORDER BY 1',
      [tenant.walletId],
    );
    const counts = { CAPTURED: taken, EXPIRED: refused };
    expect(Object.fromEntries(states.map((row) => [row.status, row.count]))).toEqual(
      Object.fromEntries(Object.entries(counts).filter(([, howMany]) => howMany > 0)),
    );
    const left = String(1_000 - taken);
    expect(await sumsOf(given)).toEqual({ balance: left, available: left, held: '0' });
    await expectSoundBooks(first.database, given.id);
  });

  it('after an hour without anybody are all given back before anything else is decided, each once', async () => {
    const given = await anOrganization(first, { credits: { purchased: '1200' } });
    const tenant = await tenantOf(first.database, given.id);
    const ids = await holdsOf(tenant, 1_200, 60);
    // The clock goes on and nobody touches the wallet: the first to come names the last of the holds.
    await query(
      first.database,
      'UPDATE organization SET test_clock_offset_ms = test_clock_offset_ms + 3660000 WHERE id = $1',
      [tenant.organizationId],
    );
    const answers = await Promise.all(
      [ids.at(-1), ids[0]].map((id) => captureUntilAnswered(second.gateway.endpoint, given.secret, id ?? '')),
    );
    expect(answers).toEqual(['HoldNotOpen', 'HoldNotOpen']);
    const [row] = await query<{ lapses: number; ordered: boolean }>(
      first.database,
      `SELECT count(*)::int AS lapses, bool_and(occurred_at >= before) AS ordered FROM (
         SELECT occurred_at, coalesce(lag(occurred_at) OVER (ORDER BY version), occurred_at) AS before
         FROM balance_change WHERE wallet_id = $1 AND reason_code = 'HOLD_EXPIRY') AS change`,
      [tenant.walletId],
    );
    expect(row).toEqual({ lapses: 1_200, ordered: true });
    expect(await sumsOf(given)).toEqual({ balance: '1200', available: '1200', held: '0' });
    await expectSoundBooks(first.database, given.id);
  });
});

describe('two keys under one daily cap of 30, at two gateways', () => {
  it('never exceed it together, by debits and holds', async () => {
    const given = await anOrganization(first, { plan: 'capped', credits: { purchased: '1000' } });
    const noon = new Date(Math.floor(Date.now() / 86_400_000 + 1) * 86_400_000 + 43_200_000);
    await advanceTo(first, given.id, noon.toISOString());
    const clients = [
      createClient(first.gateway.endpoint, await anApiKey(first, given.id, 'USAGE_WRITE')),
      createClient(second.gateway.endpoint, await anApiKey(first, given.id, 'USAGE_WRITE')),
    ];
    const kinds = await Promise.all(
      Array.from({ length: 200 }, async (_, index) => {
        const client = clients[index % 2] ?? given.client;
        const input = { idempotencyKey: aKey(), amount: '1' };
        return index % 4 < 2
          ? (await client.run(ChargeDocument, { input })).debit.__typename
          : (await client.run(AuthorizeDocument, { input })).authorize.__typename;
      }),
    );
    expect(count(kinds, 'SpendLimitReached')).toBe(170);
    expect(count(kinds, 'DebitPayload') + count(kinds, 'HoldPayload')).toBe(30);
    expect((await sumsOf(given))?.available).toBe('970');
    await expectSoundBooks(first.database, given.id);
  });
});

describe('refunds of one charge of 25 from two gateways', () => {
  it('never give back more than was charged', async () => {
    const given = await anOrganization(first, { credits: { promotional: '10', purchased: '15' } });
    const clients = clientsOf(given.secret);
    const { transaction } = await charged(given.client, { amount: '25' });
    const answers = await Promise.all(
      Array.from({ length: 60 }, async (_, index) => {
        const input = { transactionId: transaction.id, amount: '1', idempotencyKey: aKey() };
        return (await (clients[index % 2] ?? given.client).run(RefundDocument, { input })).refund;
      }),
    );
    const kinds = answers.map(({ __typename }) => __typename);
    expect([count(kinds, 'RefundPayload'), count(kinds, 'RefundExceedsOriginal')]).toEqual([25, 35]);
    expect(await sumsOf(given)).toEqual({ balance: '25', available: '25', held: '0' });
    await expectSoundBooks(first.database, given.id);
  });
});

describe('an answer to COMMIT that is lost', () => {
  it('of a capture is found by its key: the retry inside gives the answer as the first', async () => {
    const given = await anOrganization(first, { credits: { purchased: '10' } });
    const { hold } = await held(given.client, { amount: '4' });
    await using wire = await aLossyWire(first.gateway.databaseUrl);
    const beyond = await startTestGateway({ database: first.database, env: { DATABASE_URL: wire.url } });
    try {
      const client = createClient(beyond.gateway.endpoint, given.secret);
      const input = { holdId: hold.id, amount: '3', idempotencyKey: aKey() };
      wire.loseNextCommit();
      const answer = await within(10, 'the capture is answered', captured(client, input));
      expect(wire.lost).toBe(1);
      expect(answer).toMatchObject({
        hold: { status: 'CAPTURED', captured: '3' },
        transaction: { amount: '-3' },
        availableCredits: '7',
        replayed: false,
      });
      // Whoever asks again, anywhere, is given the same.
      expect(await captured(given.client, input)).toEqual({ ...answer, replayed: true });
      expect(await sumsOf(given)).toEqual({ balance: '7', available: '7', held: '0' });
      await expectSoundBooks(first.database, given.id);
    } finally {
      await beyond[Symbol.asyncDispose]();
    }
  });

  it('of any command on holds has one effect', async () => {
    const given = await anOrganization(first, { credits: { purchased: '10' } });
    const tenant = await tenantOf(first.database, given.id);
    const [one = '', other = ''] = await holdsOf(tenant, 2, 3_600);
    await using wire = await aLossyWire(first.gateway.databaseUrl);
    await using own = anEngine(first, { databaseUrl: wire.url });
    wire.loseNextCommit();
    const commands = [
      anAuthorization(tenant, '3'),
      aCapture(tenant, one),
      aRelease(tenant, other),
      anAuthorization(tenant, '100'),
    ];
    const outcomes: Outcome[] = await within(
      10,
      'the commands are answered',
      Promise.all(commands.map((command) => own.engine.execute(command))),
    );
    expect(wire.lost).toBe(1);
    expect(outcomes.map(({ status }) => status)).toEqual(['held', 'posted', 'held', 'refused']);
    expect(outcomes[3]).toMatchObject({ replayed: false });
    expect(await sumsOf(given)).toEqual({ balance: '9', available: '6', held: '3' });
    await expectSoundBooks(first.database, given.id);
  });
});
