/** Many callers, two processes' worth of gateways, one database: what is charged equals some serial order. */
import { print } from 'graphql';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Outcome } from '../../src/domain/posting/outcomes.ts';
import {
  DebitDocument,
  type DebitMutation,
  type DebitMutationVariables,
  GrantCreditsDocument,
} from '../generated/documents.ts';
import { expectSoundBooks, query } from '../support/books.ts';
import { createClient, startTestGateway, type TestClient, type TestGateway } from '../support/gateway.ts';
import { advanceTo, aKey, anOrganization, grant } from '../support/given.ts';
import { aDebit, anEngine, tenantOf } from '../support/process-posting.ts';

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

type DebitAnswer = DebitMutation['debit'];

/** Sends debits at once, alternating between the two gateways. */
async function debitTogether(secret: string, count: number, amount: string): Promise<DebitAnswer[]> {
  const clients = [createClient(first.gateway.endpoint, secret), createClient(second.gateway.endpoint, secret)];
  return Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const client = clients[index % 2];
      if (!client) throw new Error('there are two clients');
      return debited(client, { idempotencyKey: aKey(), amount });
    }),
  );
}

const PATIENCE = 20;

/** Asks again under the same key where the gateway is too busy to answer or to take the connection, as its callers should. */
async function debited(client: TestClient, input: DebitMutationVariables['input']): Promise<DebitAnswer> {
  for (let attempt = 0; attempt < PATIENCE; attempt++) {
    const answer = await client.raw<DebitMutation>(print(DebitDocument), { input }).catch((error: unknown) => {
      if (error instanceof TypeError) return null;
      throw error;
    });
    if (answer?.data) return answer.data.debit;
    if (answer) expect(answer.status, JSON.stringify(answer.errors)).toBe(503);
  }
  throw new Error(`no answer after ${PATIENCE} attempts`);
}

function ofType<Name extends DebitAnswer['__typename']>(answers: readonly DebitAnswer[], name: Name) {
  return answers.filter((answer): answer is Extract<DebitAnswer, { __typename: Name }> => answer.__typename === name);
}

interface WalletRow {
  readonly balance: string;
  readonly sequence: string;
}

async function walletRow(organizationId: string): Promise<WalletRow | undefined> {
  const { walletId } = await tenantOf(first.database, organizationId);
  const [row] = await query<WalletRow>(
    first.database,
    'SELECT balance_micros AS balance, sequence FROM wallet WHERE id = $1',
    [walletId],
  );
  return row;
}

describe('1,000 debits of 1 against a balance of 500, sent at once to two gateways', () => {
  it('accepts exactly 500 and tells every other caller what is missing', async () => {
    const { id, secret } = await anOrganization(first, { credits: { purchased: '500' } });

    const answers = await debitTogether(secret, 1_000, '1');

    const accepted = ofType(answers, 'DebitPayload');
    const refused = ofType(answers, 'InsufficientCredits');
    expect([accepted.length, refused.length]).toEqual([500, 500]);
    expect(new Set(accepted.map((answer) => answer.transaction.id)).size).toBe(500);
    // Every balance from 499 down to 0 was answered once: the debits had an order.
    expect(accepted.map((answer) => Number(answer.availableCredits)).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 500 }, (_, balance) => balance),
    );
    for (const answer of refused) {
      expect(answer).toMatchObject({ requiredCredits: '1', availableCredits: '0', httpStatus: 402 });
    }
    expect(await walletRow(id)).toEqual({ balance: '0', sequence: '501' });
    await expectSoundBooks(first.database, id);
  });
});

describe('the first debits that a fresh organization ever sees, in parallel', () => {
  it('grants each allowance once and charges as much as it holds', async () => {
    // The free plan grants 100 a day and 2,000 a month; nothing has touched the wallet yet.
    const { id, secret } = await anOrganization(first, { plan: 'free' });

    const answers = await debitTogether(secret, 250, '10');

    expect(ofType(answers, 'DebitPayload')).toHaveLength(210);
    expect(ofType(answers, 'InsufficientCredits')).toHaveLength(40);
    const { walletId } = await tenantOf(first.database, id);
    const grants = await query(
      first.database,
      `SELECT reason_code, count(*)::int, sum(amount_micros)::text AS amount FROM ledger_entry
       WHERE wallet_id = $1 AND direction = 'CREDIT' GROUP BY 1 ORDER BY 1`,
      [walletId],
    );
    expect(grants).toEqual([
      { reason_code: 'ALLOWANCE', count: 1, amount: '100000000' },
      { reason_code: 'PLAN_GRANT', count: 1, amount: '2000000000' },
    ]);
    await expectSoundBooks(first.database, id);
  });
});

describe('debits racing grants racing an expiry', () => {
  it('answers as if they had come one after the other', async () => {
    const { id, secret } = await anOrganization(first);
    const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
    await grant(first, id, 'promotional', '30', expiresAt);
    const operator = second.as(second.demo.tokens.operator);
    const giveTwo = async () => {
      const input = {
        organizationId: id,
        idempotencyKey: aKey(),
        bucketKey: 'purchased',
        credits: '2',
        reason: 'race',
      };
      return (await operator.run(GrantCreditsDocument, { input })).grantCredits.__typename;
    };

    const [early, grants, , late] = await Promise.all([
      debitTogether(secret, 40, '1'),
      Promise.all(Array.from({ length: 10 }, giveTwo)),
      advanceTo(first, id, new Date(Date.parse(expiresAt) + 60_000).toISOString()),
      debitTogether(secret, 40, '1'),
    ]);

    const answers = [...early, ...late];
    const accepted = ofType(answers, 'DebitPayload');
    const refused = ofType(answers, 'InsufficientCredits');
    expect(accepted.length + refused.length).toBe(80);
    expect(grants).toEqual(Array.from({ length: 10 }, () => 'GrantPayload'));
    await expectExplainedByHistory(id, accepted, refused);
    await expectExpiredInOrder(id, expiresAt);
    await expectSoundBooks(first.database, id);
  });
});

/** Each answer shows the wallet as it was at one version: after its own transaction, or at a time with too little in it. */
async function expectExplainedByHistory(
  organizationId: string,
  accepted: readonly Extract<DebitAnswer, { __typename: 'DebitPayload' }>[],
  refused: readonly Extract<DebitAnswer, { __typename: 'InsufficientCredits' }>[],
): Promise<void> {
  const { walletId } = await tenantOf(first.database, organizationId);
  const history = await query<{ key: string | null; available: string }>(
    first.database,
    `SELECT t.idempotency_key AS key, (c.total_available_micros / 1000000)::text AS available
     FROM balance_change c LEFT JOIN ledger_transaction t ON t.id = c.transaction_id
     WHERE c.wallet_id = $1 ORDER BY c.version`,
    [walletId],
  );
  const afterKey = new Map(history.flatMap(({ key, available }) => (key === null ? [] : [[key, available] as const])));
  expect(accepted.map((answer) => afterKey.get(answer.transaction.idempotencyKey ?? ''))).toEqual(
    accepted.map((answer) => answer.availableCredits),
  );
  const states = new Set(['0', ...history.map((state) => state.available)]);
  for (const answer of refused) {
    expect(states).toContain(answer.availableCredits);
    expect(Number(answer.availableCredits)).toBeLessThan(1);
  }
}

/** What was left of the lot left it at the instant it expired, and nothing was taken from it afterwards. */
async function expectExpiredInOrder(organizationId: string, expiresAt: string): Promise<void> {
  const { walletId } = await tenantOf(first.database, organizationId);
  const entries = await query<{ lot: boolean; reason: string; amount: string; effective: Date }>(
    first.database,
    `SELECT l.expires_at = $2 AS lot, e.reason_code AS reason, e.amount_micros::text AS amount, e.effective_at AS effective
     FROM ledger_entry e JOIN lot l ON l.id = e.lot_id WHERE e.wallet_id = $1 ORDER BY e.sequence`,
    [walletId, expiresAt],
  );
  const ofLot = entries.filter((entry) => entry.lot);
  const [granted, ...taken] = ofLot;
  expect(granted).toMatchObject({ reason: 'GRANT', amount: '30000000' });
  expect(taken.reduce((total, entry) => total + BigInt(entry.amount), 0n)).toBe(30_000_000n);
  const expiries = taken.filter((entry) => entry.reason === 'EXPIRY');
  expect(taken.slice(0, taken.length - expiries.length).every((entry) => entry.effective < new Date(expiresAt))).toBe(
    true,
  );
  expect(expiries.map((entry) => entry.effective.toISOString())).toEqual(expiries.map(() => expiresAt));
  expect(taken.slice(taken.length - expiries.length)).toEqual(expiries);
  const instants = entries.map((entry) => entry.effective.getTime());
  expect(instants).toEqual(instants.toSorted((a, b) => a - b));
}

describe('batches over many wallets from two engines', () => {
  it('never wait for each other in a circle', async () => {
    const wallets = 24;
    const organizations = await Promise.all(
      Array.from({ length: wallets }, () => anOrganization(first, { credits: { purchased: '50' } })),
    );
    const tenants = await Promise.all(organizations.map(({ id }) => tenantOf(first.database, id)));
    // One lane each, so that every batch holds many wallets.
    await using one = anEngine(first, { lanes: 1, maxBatch: 40 });
    await using other = anEngine(second, { lanes: 1, maxBatch: 40 });
    const inBothOrders = (round: number) => (round % 2 === 0 ? tenants : tenants.toReversed());

    const outcomes: Outcome[] = await Promise.all(
      Array.from({ length: 30 }, (_, round) =>
        inBothOrders(round).flatMap((tenant) => [
          one.engine.execute(aDebit(tenant, '1')),
          other.engine.execute(aDebit(tenant, '1')),
        ]),
      ).flat(),
    );

    const posted = outcomes.filter((outcome) => outcome.status === 'posted');
    expect(posted).toHaveLength(wallets * 50);
    expect(outcomes.filter((outcome) => outcome.status === 'refused')).toHaveLength(wallets * 10);
    expect([...one.log, ...other.log]).toEqual([]);
    for (const { id } of organizations) {
      expect((await walletRow(id))?.balance).toBe('0');
      await expectSoundBooks(first.database, id);
    }
  });
});
