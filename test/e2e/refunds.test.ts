/** Refunds over the API: who may give back, what is answered, and what stands with the charge afterwards. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeId } from '../../src/graphql/ids.ts';
import {
  BalanceChangedDocument,
  LotsDocument,
  MeteringNodeDocument,
  RecordEventsDocument,
} from '../generated/documents.ts';
import { expectSoundBooks } from '../support/books.ts';
import { startTestGateway, type TestClient, type TestGateway } from '../support/gateway.ts';
import { advanceTo, aKey, anApiKey, anOrganization, type Given, grant } from '../support/given.ts';
import { aCatalogFile, aHold, type CatalogFile, captured, charged, refund, refunded } from './metering.ts';
import { subscribe } from './streams.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway();
});
afterAll(() => gateway[Symbol.asyncDispose]());

const organization = (credits: Readonly<Record<string, string>> = { purchased: '10' }, on = gateway) =>
  anOrganization(on, { credits });
const aClientWith = async ({ id }: Given, ...scopes: Parameters<typeof anApiKey>[2][]): Promise<TestClient> =>
  gateway.as(await anApiKey(gateway, id, ...scopes));

/** What is left of each lot, in burn order, with its source. */
async function lotsOf({ client, slug }: Given): Promise<string[]> {
  const { organization: read } = await client.run(LotsDocument, { slug, first: 50 });
  return read?.wallet?.lots.edges.map(({ node }) => `${node.bucket.key} ${node.source} ${node.remaining}`) ?? [];
}

async function transactionById(client: TestClient, id: string) {
  const { node } = await client.run(MeteringNodeDocument, { id });
  if (node?.__typename !== 'Transaction') throw new Error(`no transaction ${id}`);
  return node;
}

describe('refund', () => {
  it('gives back to the lots, last spent first, and tells what can be spent', async () => {
    const given = await organization({ promotional: '3', purchased: '10' });
    const { transaction } = await charged(given.client, { amount: '8', taskId: 'task-1' });
    const answer = await refunded(given.client, { transactionId: transaction.id, amount: '6', reason: 'a mistake' });
    expect(answer).toMatchObject({
      transaction: {
        kind: 'REFUND',
        amount: '6',
        refundedAmount: '0',
        lines: [],
        explanation: null,
        entries: [
          { direction: 'CREDIT', amount: '5', reasonCode: 'REFUND', bucket: { key: 'purchased' } },
          { direction: 'CREDIT', amount: '1', reasonCode: 'REFUND', bucket: { key: 'promotional' } },
        ],
      },
      availableCredits: '11',
      wallet: { totalAvailable: '11', balance: '11', held: '0', debt: '0' },
      replayed: false,
    });
    expect(await lotsOf(given)).toEqual(['promotional PROMOTION 1', 'purchased PROMOTION 10']);
    expect(await transactionById(given.client, transaction.id)).toMatchObject({ amount: '-8', refundedAmount: '6' });
    await expectSoundBooks(gateway.database, given.id);
  });

  it('without an amount gives back all that is left; more than that is refused', async () => {
    const given = await organization();
    const { id: transactionId } = (await charged(given.client, { amount: '8' })).transaction;
    await refunded(given.client, { transactionId, amount: '3' });
    expect(await refund(given.client, { transactionId, amount: '5.000001' })).toMatchObject({
      __typename: 'RefundExceedsOriginal',
      httpStatus: 409,
      refundableCredits: '5',
    });
    expect((await refunded(given.client, { transactionId })).transaction.amount).toBe('5');
    expect(await refund(given.client, { transactionId })).toMatchObject({
      __typename: 'RefundExceedsOriginal',
      refundableCredits: '0',
    });
    expect(await transactionById(given.client, transactionId)).toMatchObject({ refundedAmount: '8' });
    await expectSoundBooks(gateway.database, given.id);
  });

  it('of a capture and of an event works like that of a debit', async () => {
    const given = await organization();
    const { transaction } = await captured(given.client, { holdId: await aHold(given.client, '4'), amount: '3' });
    await refunded(given.client, { transactionId: transaction.id });
    const { recordUsage } = await given.client.run(RecordEventsDocument, {
      input: { events: [{ idempotencyKey: aKey(), usage: { meter: 'search', quantity: 2 } }] },
    });
    if (recordUsage.__typename !== 'RecordUsagePayload') throw new Error('not recorded');
    await refunded(given.client, { transactionId: recordUsage.results[0]?.transaction?.id ?? '' });
    expect(await lotsOf(given)).toEqual(['purchased PROMOTION 10']);
    await expectSoundBooks(gateway.database, given.id);
  });

  it('of a refund, and of a grant, is a Conflict with what it is', async () => {
    const given = await organization();
    const { id } = (await charged(given.client, { amount: '8' })).transaction;
    const given1 = await refunded(given.client, { transactionId: id, amount: '1' });
    expect(await refund(given.client, { transactionId: given1.transaction.id })).toMatchObject({
      __typename: 'Conflict',
      currentState: 'REFUND',
    });
    const { data } = await given.client.raw<{
      organization: { wallet: { ledger: { edges: { node: { transaction: { id: string } } }[] } } };
    }>(
      'query ($slug: String!) { organization(slug: $slug) { wallet { ledger(filter: { reasonCodes: ["GRANT"] }) { edges { node { transaction { id } } } } } } }',
      { slug: given.slug },
    );
    const grantId = data?.organization.wallet.ledger.edges[0]?.node.transaction.id ?? '';
    expect(await refund(given.client, { transactionId: grantId })).toMatchObject({
      __typename: 'Conflict',
      currentState: 'GRANT',
    });
    await expectSoundBooks(gateway.database, given.id);
  });

  it.each([
    [{ amount: '0' }, ['amount']],
    [{ amount: '-1' }, ['amount']],
    [{ reason: '' }, ['reason']],
    [{ reason: 'x'.repeat(501) }, ['reason']],
    [{ idempotencyKey: '' }, ['idempotencyKey']],
  ])('refuses %o', async (input, path) => {
    const given = await organization();
    const { id: transactionId } = (await charged(given.client, { amount: '8' })).transaction;
    expect(await refund(given.client, { transactionId, ...input })).toMatchObject({ __typename: 'InvalidInput', path });
    expect(await transactionById(given.client, transactionId)).toMatchObject({ refundedAmount: '0' });
  });

  it.each([
    ['that is no id', 'nonsense'],
    ['of another type', encodeId('Hold', randomUUID())],
    ['of no transaction', encodeId('Transaction', randomUUID())],
  ])('of an id %s is NotFound', async (_name, transactionId) => {
    const given = await organization();
    expect(await refund(given.client, { transactionId })).toMatchObject({ __typename: 'NotFound', httpStatus: 404 });
  });

  it('of another organization’s charge is NotFound', async () => {
    const [given, other] = await Promise.all([organization(), organization()]);
    const { id: transactionId } = (await charged(given.client, { amount: '8' })).transaction;
    expect(await refund(other.client, { transactionId })).toMatchObject({ __typename: 'NotFound' });
    expect(await transactionById(given.client, transactionId)).toMatchObject({ refundedAmount: '0' });
  });

  it('is forbidden to a key that may only charge, and possible with billing:write, which reads as well', async () => {
    const given = await organization();
    const charging = await aClientWith(given, 'USAGE_WRITE');
    const { id: transactionId } = (await charged(charging, { amount: '8' })).transaction;
    const mutation = 'mutation ($input: RefundInput!) { refund(input: $input) { __typename } }';
    for (const client of [charging, await aClientWith(given, 'BILLING_READ')]) {
      const { errors } = await client.raw(mutation, { input: { transactionId, idempotencyKey: aKey() } });
      expect(errors.map((error) => error.extensions.code)).toEqual(['FORBIDDEN']);
    }
    const writing = await aClientWith(given, 'BILLING_WRITE');
    expect(await refunded(writing, { transactionId, amount: '1' })).toMatchObject({
      availableCredits: '3',
      wallet: { balance: '3' },
    });
    // The key that charged sees what was given back of its own charge.
    expect(await transactionById(charging, transactionId)).toMatchObject({ refundedAmount: '1', explanation: null });
  });

  it('repeated under its key is the same transaction, and another amount is refused', async () => {
    const given = await organization();
    const { id: transactionId } = (await charged(given.client, { amount: '8' })).transaction;
    const input = { transactionId, amount: '2', idempotencyKey: aKey() };
    const first = await refunded(given.client, input);
    await charged(given.client, { amount: '1' });
    expect(await refunded(given.client, { ...input, amount: '2.0' })).toMatchObject({
      transaction: { id: first.transaction.id, amount: '2' },
      availableCredits: '4',
      wallet: { totalAvailable: '3' },
      replayed: true,
    });
    expect(await refund(given.client, { ...input, amount: '3' })).toMatchObject({ __typename: 'IdempotencyKeyReused' });
    expect(await refund(given.client, { transactionId, idempotencyKey: input.idempotencyKey })).toMatchObject({
      __typename: 'IdempotencyKeyReused',
    });
    expect(await transactionById(given.client, transactionId)).toMatchObject({ refundedAmount: '2' });
  });

  it('is told live as one change', async () => {
    const given = await organization();
    const { id: transactionId } = (await charged(given.client, { amount: '8' })).transaction;
    await using live = subscribe('websocket', gateway, given.secret, BalanceChangedDocument, {
      organizationId: given.id,
    });
    const { version } = (await live.next()).balanceChanged;
    await refunded(given.client, { transactionId });
    expect((await live.next()).balanceChanged).toMatchObject({
      version: version + 1,
      change: '8',
      totalAvailable: '10',
      reasonCode: 'REFUND',
    });
  });
});

describe.each([
  ['NEW_LOT', ['promotional REFUND 4', 'purchased PROMOTION 5'], '9'],
  ['FORFEIT', ['purchased PROMOTION 5'], '5'],
])('a refund to a lot that has expired, by a catalog that says %s', (expiredLots, lots, available) => {
  let catalog: CatalogFile;
  let own: TestGateway;
  beforeAll(async () => {
    catalog = await aCatalogFile({ policies: `  refunds: { expiredLots: ${expiredLots}, graceDays: 3 }\n` });
    own = await startTestGateway({ env: { PURSER_CATALOG: catalog.path } });
  });
  afterAll(async () => {
    await own[Symbol.asyncDispose]();
    await catalog[Symbol.asyncDispose]();
  });

  it('gives back what the policy leaves', async () => {
    const given = await anOrganization(own, { credits: { purchased: '5' } });
    const expiry = new Date(Date.now() + 3_600_000).toISOString();
    await grant(own, given.id, 'promotional', '10', expiry);
    const { id: transactionId } = (await charged(given.client, { amount: '4' })).transaction;
    await advanceTo(own, given.id, expiry);
    const { transaction, availableCredits, wallet } = await refunded(given.client, { transactionId });
    expect([transaction.amount, availableCredits, wallet?.totalAvailable]).toEqual(['4', available, available]);
    const { organization: read } = await given.client.run(LotsDocument, { slug: given.slug, active: true, first: 50 });
    const active = read?.wallet?.lots.edges.map(({ node }) => node) ?? [];
    expect(active.map((lot) => `${lot.bucket.key} ${lot.source} ${lot.remaining}`)).toEqual(lots);
    const [made] = active.filter((lot) => lot.source === 'REFUND');
    if (made) expect(Date.parse(String(made.expiresAt)) - Date.parse(String(made.effectiveAt))).toBe(3 * 86_400_000);
    expect(await refund(given.client, { transactionId })).toMatchObject({ __typename: 'RefundExceedsOriginal' });
    await expectSoundBooks(own.database, given.id);
  });
});
