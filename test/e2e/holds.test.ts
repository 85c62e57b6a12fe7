/** Holds over the API: what each caller is answered, who may resolve a hold, and what others see of it meanwhile. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeId, encodeId } from '../../src/graphql/ids.ts';
import {
  AuthorizeDocument,
  BalanceChangedDocument,
  HoldsDocument,
  type HoldsQueryVariables,
  MeteringNodeDocument,
  MeteringReadsDocument,
} from '../generated/documents.ts';
import { expectSoundBooks, query } from '../support/books.ts';
import { createDatabase } from '../support/database.ts';
import { startTestGateway, type TestClient, type TestGateway } from '../support/gateway.ts';
import { advanceTo, aKey, anApiKey, anOrganization, type Given, grant } from '../support/given.ts';
import {
  aBoundKey,
  aCatalogFile,
  aHold,
  authorize,
  type CatalogFile,
  capture,
  captured,
  charge,
  extend,
  held,
  holdById,
  refunded,
  release,
} from './metering.ts';
import { subscribe } from './streams.ts';

const HOUR = 3_600;

let catalog: CatalogFile;
let gateway: TestGateway;
beforeAll(async () => {
  catalog = await aCatalogFile({
    policies: '  holds: { defaultSeconds: 600, maxSeconds: 7200, graceSeconds: 60 }\n',
    plans: '  - { key: lending, name: Lending, price: { amountMinor: 0, currency: USD }, overdraft: 10 }\n',
  });
  gateway = await startTestGateway({ env: { PURSER_CATALOG: catalog.path } });
});
afterAll(async () => {
  await gateway[Symbol.asyncDispose]();
  await catalog[Symbol.asyncDispose]();
});

const organization = (credits: Readonly<Record<string, string>> = { purchased: '10' }, plan: string | null = null) =>
  anOrganization(gateway, { credits, plan });
const aUsageClient = async ({ id }: Given): Promise<TestClient> =>
  gateway.as(await anApiKey(gateway, id, 'USAGE_WRITE'));

async function holds({ client, slug }: Given, args: Omit<HoldsQueryVariables, 'slug'> = {}) {
  const { organization: read } = await client.run(HoldsDocument, { slug, ...args });
  if (!read?.wallet) throw new Error('no wallet');
  return read.wallet;
}

/** Everything that a refused call must leave as it was. */
async function pictureOf({ id }: Given): Promise<object> {
  const [row] = await query<{ picture: object }>(
    gateway.database,
    `SELECT jsonb_build_object('wallet', to_jsonb(w),
       'holds', (SELECT jsonb_agg(to_jsonb(h) ORDER BY id) FROM hold h WHERE wallet_id = w.id),
       'pins', (SELECT jsonb_agg(to_jsonb(p) ORDER BY hold_id, position) FROM hold_pin p JOIN hold h ON h.id = p.hold_id
         WHERE h.wallet_id = w.id),
       'lots', (SELECT jsonb_agg(to_jsonb(l) ORDER BY id) FROM lot l WHERE wallet_id = w.id),
       'transactions', (SELECT count(*) FROM ledger_transaction WHERE wallet_id = w.id),
       'records', (SELECT count(*) FROM idempotency_record r WHERE r.organization_id = w.organization_id)) AS picture
     FROM wallet w WHERE organization_id = $1`,
    [decodeId('Organization', id)],
  );
  if (!row) throw new Error('no wallet');
  return row.picture;
}

async function expectNothingChanged(given: Given, act: () => Promise<unknown>): Promise<void> {
  const before = await pictureOf(given);
  await act();
  expect(await pictureOf(given)).toEqual(before);
}

describe('authorize', () => {
  it('answers the hold, what it reserves and what can still be spent', async () => {
    const given = await organization();
    const answer = await held(given.client, {
      usage: [{ meter: 'scrape', quantity: 2, dimensions: { render_js: true } }],
      taskId: 'task-1',
      executionId: 'execution-1',
    });
    const line = {
      meter: 'scrape',
      quantity: '2',
      rate: '2 credits per page',
      credits: '4',
      waivedCredits: '0',
      dimensions: { render_js: true },
      preview: false,
    };
    expect(answer).toEqual({
      __typename: 'HoldPayload',
      hold: {
        id: expect.any(String),
        status: 'OPEN',
        amount: '4',
        captured: '0',
        remaining: '4',
        expiresAt: expect.any(String),
        createdAt: expect.any(String),
        taskId: 'task-1',
        executionId: 'execution-1',
      },
      usage: { credits: '4', lines: [line] },
      availableCredits: '6',
      wallet: { totalAvailable: '6', held: '4', debt: '0', balance: '10' },
      replayed: false,
    });
    const { createdAt, expiresAt } = answer.hold;
    expect(Date.parse(String(expiresAt)) - Date.parse(String(createdAt))).toBe(600_000);
    expect(await holdById(given.client, answer.hold.id)).toMatchObject(answer.hold);
    await expectSoundBooks(gateway.database, given.id);
  });

  it('tells a key of usage:write the hold and what can be spent, and nothing of the wallet', async () => {
    const given = await organization();
    const answer = await held(await aUsageClient(given), { amount: '4' });
    expect(answer).toMatchObject({
      hold: { status: 'OPEN', remaining: '4' },
      usage: { credits: '4', lines: [] },
      availableCredits: '6',
      wallet: null,
    });
  });

  it('of more than is available is refused; who may read the wallet is told why, lot by lot', async () => {
    const given = await organization({ promotional: '3', purchased: '10' });
    await held(given.client, { amount: '1' });
    const usage = [{ meter: 'search', quantity: 13 }];
    const refused = await authorize(given.client, { usage });
    expect(refused).toMatchObject({
      __typename: 'InsufficientCredits',
      httpStatus: 402,
      requiredCredits: '13',
      availableCredits: '12',
      heldCredits: '1',
      explanation: {
        rateCardVersion: 1,
        lines: [{ meter: 'search', quantity: '13', credits: '13' }],
        lots: [
          { lot: { bucket: { key: 'promotional' } }, taken: '0' },
          { lot: { bucket: { key: 'purchased' } }, taken: '0' },
        ],
        limits: [],
      },
    });
    const reasons =
      refused.__typename === 'InsufficientCredits' ? (refused.explanation?.lots.map((lot) => lot.reason) ?? []) : [];
    expect(reasons[0]).toMatch(
      /^promotional burns at priority 20; the lot expires .+ and is free; 2 of it could be spent$/,
    );
    expect(reasons[1]).toMatch(
      /^purchased burns at priority 40; the lot never expires and is free; 10 of it could be spent$/,
    );
    expect(await authorize(await aUsageClient(given), { usage })).toMatchObject({
      __typename: 'InsufficientCredits',
      availableCredits: '12',
      explanation: null,
    });
    await expectSoundBooks(gateway.database, given.id);
  });

  it.each([
    [{}, ['amount']],
    [{ amount: null, usage: null }, ['amount']],
    [{ amount: '1', usage: [{ meter: 'search' }] }, ['usage']],
    [{ amount: '0' }, ['amount']],
    [{ amount: '-1' }, ['amount']],
    [{ amount: '1000000.000001' }, ['amount']],
    [{ usage: [] }, ['usage']],
    [{ usage: [{ meter: 'search', quantity: '-1' }] }, ['usage', '0', 'quantity']],
    [{ amount: '1', expiresInSeconds: 0 }, ['expiresInSeconds']],
    [{ amount: '1', expiresInSeconds: -1 }, ['expiresInSeconds']],
    [{ amount: '1', expiresInSeconds: 7_201 }, ['expiresInSeconds']],
    [{ amount: '1', expiresInSeconds: 2_147_483_647 }, ['expiresInSeconds']],
    [{ amount: '1', idempotencyKey: '' }, ['idempotencyKey']],
    [{ amount: '1', taskId: 'x'.repeat(256) }, ['taskId']],
    [{ amount: '1', metadata: [1] }, ['metadata']],
  ])('refuses %o and stores nothing', async (input, path) => {
    const given = await organization();
    await expectNothingChanged(given, async () => {
      expect(await authorize(given.client, input)).toMatchObject({ __typename: 'InvalidInput', path });
    });
  });

  it.each(['1e3', ' 5 ', '1,5', '0.0000001', 'NaN'])('cannot read the amount %j: a top-level error', async (amount) => {
    const given = await organization();
    const { client } = given;
    await expectNothingChanged(given, async () => {
      const mutation = 'mutation ($input: AuthorizeInput!) { authorize(input: $input) { __typename } }';
      const { errors } = await client.raw(mutation, { input: { idempotencyKey: aKey(), amount } });
      expect(errors.map((error) => error.extensions.code)).toEqual(['BAD_USER_INPUT']);
    });
  });

  it('of free work is a hold of zero, also where there is nothing to spend', async () => {
    const given = await organization({});
    const usage = [{ meter: 'read', quantity: 3 }];
    const answer = await held(given.client, { usage });
    expect(answer).toMatchObject({
      hold: { amount: '0', remaining: '0' },
      usage: { credits: '0' },
      availableCredits: '0',
    });
    expect(await captured(given.client, { holdId: answer.hold.id })).toMatchObject({
      hold: { status: 'CAPTURED' },
      transaction: { kind: 'CAPTURE', amount: '0', entries: [] },
      usage: { credits: '0', lines: [{ meter: 'read', credits: '0' }] },
    });
    await expectSoundBooks(gateway.database, given.id);
  });

  it('for an organization, a project or a user of somebody else is NotFound', async () => {
    const [given, other] = await Promise.all([organization(), organization()]);
    const { projectId } = await aBoundKey(gateway, other);
    await expectNothingChanged(given, async () => {
      for (const input of [
        { organizationId: other.id },
        { organizationId: encodeId('Organization', randomUUID()) },
        { projectId },
        { userId: encodeId('User', 'demo-owner') },
      ]) {
        expect(await authorize(given.client, { amount: '1', ...input })).toMatchObject({ __typename: 'NotFound' });
      }
    });
    expect((await holds(other)).held).toBe('0');
  });

  it('without a subscription, on a frozen wallet and of an unknown meter is refused and stores nothing', async () => {
    const given = await organization();
    const set = (sql: string) => query(gateway.database, sql, [decodeId('Organization', given.id)]);
    const before = await pictureOf(given);
    expect(await authorize(given.client, { usage: [{ meter: 'fly' }] })).toMatchObject({
      __typename: 'UnknownMeter',
      meter: 'fly',
    });
    await set(`UPDATE plan_subscription SET status = 'PAST_DUE' WHERE organization_id = $1`);
    expect(await authorize(given.client, { amount: '1' })).toMatchObject({ __typename: 'SubscriptionRequired' });
    await set(`UPDATE wallet SET frozen_at = now() WHERE organization_id = $1`);
    expect(await authorize(given.client, { amount: '1' })).toMatchObject({ __typename: 'WalletFrozen' });
    await set(`UPDATE wallet SET frozen_at = NULL WHERE organization_id = $1`);
    expect(await pictureOf(given)).toEqual(before);
  });
});

describe('capture', () => {
  it('less than was reserved charges it and releases the rest in the same answer', async () => {
    const given = await organization({ promotional: '3', purchased: '10' });
    const holdId = await aHold(given.client, '8', { taskId: 'task-1' });
    const answer = await captured(given.client, { holdId, usage: [{ meter: 'search', quantity: 5 }] });
    expect(answer).toMatchObject({
      hold: { id: holdId, status: 'CAPTURED', amount: '8', captured: '5', remaining: '0' },
      transaction: {
        kind: 'CAPTURE',
        amount: '-5',
        refundedAmount: '0',
        entries: [
          { direction: 'DEBIT', amount: '3', reasonCode: 'USAGE', bucket: { key: 'promotional' } },
          { direction: 'DEBIT', amount: '2', reasonCode: 'USAGE', bucket: { key: 'purchased' } },
        ],
        explanation: {
          rateCardVersion: 1,
          lines: [{ meter: 'search', credits: '5' }],
          lots: [
            { lot: { bucket: { key: 'promotional' } }, taken: '3' },
            { lot: { bucket: { key: 'purchased' } }, taken: '2' },
          ],
          limits: [],
        },
      },
      usage: { credits: '5', lines: [{ meter: 'search', quantity: '5', credits: '5', waivedCredits: '0' }] },
      availableCredits: '8',
      wallet: { totalAvailable: '8', held: '0', balance: '8' },
      replayed: false,
    });
    await expectSoundBooks(gateway.database, given.id);
  });

  it('tells the hold’s own key its transaction without what is of the wallet', async () => {
    const given = await organization();
    const client = await aUsageClient(given);
    const holdId = await aHold(client, '4');
    expect(await captured(client, { holdId, amount: '3' })).toMatchObject({
      hold: { status: 'CAPTURED', captured: '3' },
      transaction: { kind: 'CAPTURE', amount: '-3', entries: null, explanation: null, refundedAmount: '0' },
      usage: { credits: '3', lines: [] },
      availableCredits: '7',
      wallet: null,
    });
  });

  it('equal to what was reserved, in parts that add up', async () => {
    const given = await organization();
    const holdId = await aHold(given.client, '6');
    expect(await captured(given.client, { holdId, amount: '2', final: false })).toMatchObject({
      hold: { status: 'OPEN', captured: '2', remaining: '4' },
      availableCredits: '4',
    });
    expect(await captured(given.client, { holdId, amount: '1.5', final: false })).toMatchObject({
      hold: { status: 'OPEN', captured: '3.5', remaining: '2.5' },
    });
    expect(await captured(given.client, { holdId })).toMatchObject({
      hold: { status: 'CAPTURED', captured: '6', remaining: '0' },
      transaction: { amount: '-2.5' },
      availableCredits: '4',
    });
    await expectSoundBooks(gateway.database, given.id);
  });

  it('of more follows its policy: REJECT refuses, CAP waives, DEBT owes up to the overdraft', async () => {
    const given = await organization({ purchased: '10' }, 'lending');
    const { client } = given;
    const usage = [
      { meter: 'search', quantity: 3 },
      { meter: 'crawl', quantity: 4 },
    ];
    const rejected = await aHold(client, '5');
    await expectNothingChanged({ ...given }, async () => {
      expect(await capture(client, { holdId: rejected, amount: '0' })).toMatchObject({ __typename: 'InvalidInput' });
    });
    expect(await capture(client, { holdId: rejected, usage })).toMatchObject({
      __typename: 'CaptureExceedsHold',
      httpStatus: 402,
      requiredCredits: '9',
      leftOfHold: '5',
    });
    expect(await holdById(client, rejected)).toMatchObject({ status: 'OPEN', remaining: '5' });
    expect(await captured(client, { holdId: rejected, usage, overage: 'CAP' })).toMatchObject({
      hold: { status: 'CAPTURED', captured: '5' },
      usage: {
        credits: '5',
        lines: [
          { meter: 'search', credits: '3', waivedCredits: '0' },
          { meter: 'crawl', credits: '2', waivedCredits: '4' },
        ],
      },
      availableCredits: '5',
    });
    const owing = await aHold(client, '2');
    expect(await capture(client, { holdId: owing, amount: '15.000001', overage: 'DEBT' })).toMatchObject({
      __typename: 'InsufficientCredits',
      requiredCredits: '15.000001',
      availableCredits: '3',
      heldCredits: '2',
    });
    expect(await captured(client, { holdId: owing, amount: '15', overage: 'DEBT' })).toMatchObject({
      hold: { captured: '15', remaining: '0' },
      transaction: { amount: '-15', entries: [{ amount: '2' }, { amount: '3' }, { amount: '10', bucket: null }] },
      availableCredits: '0',
      wallet: { totalAvailable: '0', debt: '10', balance: '-10', held: '0' },
    });
    await expectSoundBooks(gateway.database, given.id);
  });

  it('twice, and after a release, is refused with how the hold ended', async () => {
    const given = await organization();
    const [one, other] = [await aHold(given.client, '4'), await aHold(given.client, '1')];
    await captured(given.client, { holdId: one });
    await release(given.client, other);
    await expectNothingChanged(given, async () => {
      for (const [holdId, status] of [
        [one, 'CAPTURED'],
        [other, 'RELEASED'],
      ] as const) {
        const refused = { __typename: 'HoldNotOpen', httpStatus: 409, status };
        expect(await capture(given.client, { holdId })).toMatchObject(refused);
        expect(await release(given.client, holdId)).toMatchObject(refused);
        expect(await extend(given.client, holdId, HOUR)).toMatchObject(refused);
      }
    });
  });

  it.each([
    [{ amount: '1', usage: [{ meter: 'search' }] }, ['usage']],
    [{ amount: '0' }, ['amount']],
    [{ amount: '-1' }, ['amount']],
    [{ usage: [] }, ['usage']],
    [{ amount: '1', idempotencyKey: '' }, ['idempotencyKey']],
  ])('refuses %o and leaves the hold open', async (input, path) => {
    const given = await organization();
    const holdId = await aHold(given.client, '4');
    await expectNothingChanged(given, async () => {
      expect(await capture(given.client, { holdId, ...input })).toMatchObject({ __typename: 'InvalidInput', path });
    });
  });

  it.each([
    ['that is no id', 'nonsense'],
    ['of another type', encodeId('Lot', randomUUID())],
    ['of no hold', encodeId('Hold', randomUUID())],
    ['with no uuid in it', encodeId('Hold', 'x')],
    ['that is empty', ''],
  ])('of an id %s is NotFound, as is release and extension', async (_name, holdId) => {
    const given = await organization();
    await expectNothingChanged(given, async () => {
      const notFound = { __typename: 'NotFound', httpStatus: 404 };
      expect(await capture(given.client, { holdId })).toMatchObject(notFound);
      expect(await release(given.client, holdId)).toMatchObject(notFound);
      expect(await extend(given.client, holdId, HOUR)).toMatchObject(notFound);
    });
  });
});

describe('a hold over a change of prices', () => {
  it('is captured by the rate card of when it was made; what is made afterwards, by the new one', async () => {
    await using database = await createDatabase();
    await using old = await aCatalogFile({ rates: '  - { meter: render, unit: page, credits: 2 }\n' });
    await using dearer = await aCatalogFile({ rates: '  - { meter: render, unit: page, credits: 3 }\n' });
    const usage = [{ meter: 'render', quantity: 2 }];
    const before = await startTestGateway({ database, env: { PURSER_CATALOG: old.path } });
    const given = await anOrganization(before, { credits: { purchased: '100' } });
    const whole = await held(given.client, { usage });
    const part = await aHold(given.client, '10');
    await before[Symbol.asyncDispose]();

    await using after = await startTestGateway({ database, env: { PURSER_CATALOG: dearer.path } });
    const client = after.as(given.secret);
    expect(await captured(client, { holdId: whole.hold.id })).toMatchObject({
      usage: { credits: '4', lines: [{ rate: '2 credits per page' }] },
      transaction: { explanation: { rateCardVersion: 1 } },
    });
    expect(await captured(client, { holdId: part, usage })).toMatchObject({
      usage: { credits: '4' },
      transaction: { explanation: { rateCardVersion: 1 } },
    });
    expect(await captured(client, { holdId: await aHold(client, '10'), usage })).toMatchObject({
      usage: { credits: '6' },
      transaction: { explanation: { rateCardVersion: 2 } },
    });
    await expectSoundBooks(database, given.id);
  });
});

describe('release and extension', () => {
  it('answer the hold as they left it', async () => {
    const given = await organization();
    const holdId = await aHold(given.client, '4');
    await captured(given.client, { holdId, amount: '1', final: false });
    const extended = await extend(given.client, holdId, 2 * HOUR - 60);
    expect(extended).toMatchObject({
      __typename: 'HoldPayload',
      hold: { id: holdId, status: 'OPEN', captured: '1', remaining: '3' },
      availableCredits: '6',
      replayed: false,
    });
    const released = await release(given.client, holdId);
    expect(released).toMatchObject({
      __typename: 'HoldPayload',
      hold: { id: holdId, status: 'RELEASED', captured: '1', remaining: '0' },
      availableCredits: '9',
      wallet: { totalAvailable: '9', held: '0', balance: '9' },
    });
    if (extended.__typename !== 'HoldPayload' || released.__typename !== 'HoldPayload') throw new Error('refused');
    expect(released.hold.expiresAt).toBe(extended.hold.expiresAt);
    await expectSoundBooks(gateway.database, given.id);
  });

  it.each([0, -1, 1, 599, 7_260, 2_147_483_647])(
    'by %s seconds are refused: too short or too long',
    async (seconds) => {
      const given = await organization();
      const holdId = await aHold(given.client, '4', { expiresInSeconds: 3_600 });
      await expectNothingChanged(given, async () => {
        expect(await extend(given.client, holdId, seconds)).toMatchObject({
          __typename: 'InvalidInput',
          path: ['expiresInSeconds'],
        });
      });
    },
  );

  it('ends no later than the expiry of what the hold has pinned and the catalog’s grace', async () => {
    const given = await organization({});
    const soon = new Date(Date.now() + 30 * 60_000).toISOString();
    await grant(gateway, given.id, 'promotional', '5', soon);
    const holdId = await aHold(given.client, '5');
    expect(await extend(given.client, holdId, 35 * 60)).toMatchObject({ __typename: 'InvalidInput' });
    expect(await extend(given.client, holdId, 30 * 60)).toMatchObject({ __typename: 'HoldPayload' });
  });
});

describe('a hold', () => {
  it('belongs to the key that made it: to another key it does not exist', async () => {
    const given = await organization();
    const [maker, stranger] = [await aUsageClient(given), await aUsageClient(given)];
    const holdId = await aHold(maker, '4');
    await expectNothingChanged(given, async () => {
      const notFound = { __typename: 'NotFound' };
      expect(await capture(stranger, { holdId })).toMatchObject(notFound);
      expect(await release(stranger, holdId)).toMatchObject(notFound);
      expect(await extend(stranger, holdId, HOUR)).toMatchObject(notFound);
      expect(await stranger.run(MeteringNodeDocument, { id: holdId })).toEqual({ node: null });
    });
    expect(await holdById(maker, holdId)).toMatchObject({ status: 'OPEN', remaining: '4' });
    await captured(maker, { holdId });
  });

  it('is resolved by a master key, an owner and an operator as well', async () => {
    const { demo } = gateway;
    const organizationId = gateway.organizationId;
    const maker = gateway.as(demo.tokens.usageKey);
    // The demo's daily credits end at midnight: within the catalog's grace a hold on them is extended at any time of day.
    const soon = { expiresInSeconds: 20 };
    for (const token of [demo.tokens.masterKey, demo.tokens.owner, demo.tokens.operator]) {
      const client = gateway.as(token);
      const [one, other] = [await aHold(maker, '1', soon), await aHold(maker, '1', soon)];
      expect(await extend(client, one, 30)).toMatchObject({ __typename: 'HoldPayload' });
      await captured(client, { holdId: one });
      expect(await release(client, other)).toMatchObject({ __typename: 'HoldPayload', hold: { status: 'RELEASED' } });
    }
    await expectSoundBooks(gateway.database, organizationId);
  });

  it('is forbidden to members who may only read, and to a key that may only read', async () => {
    const { demo } = gateway;
    const holdId = await aHold(gateway.as(demo.tokens.usageKey), '1');
    for (const token of [demo.tokens.admin, demo.tokens.editor, demo.tokens.viewer, demo.tokens.readKey]) {
      const mutation = 'mutation ($input: ReleaseInput!) { release(input: $input) { __typename } }';
      const { errors } = await gateway.as(token).raw(mutation, { input: { holdId, idempotencyKey: aKey() } });
      expect(errors.map((error) => error.extensions.code)).toEqual(['FORBIDDEN']);
      expect(await holdById(gateway.as(token), holdId)).toMatchObject({ status: 'OPEN' });
    }
    await release(gateway.as(demo.tokens.usageKey), holdId);
  });

  it('does not exist for other organizations, whatever their keys may', async () => {
    const [given, other] = await Promise.all([organization(), organization()]);
    const holdId = await aHold(given.client, '4');
    await expectNothingChanged(given, async () => {
      expect(await capture(other.client, { holdId })).toMatchObject({ __typename: 'NotFound' });
      expect(await release(other.client, holdId)).toMatchObject({ __typename: 'NotFound' });
      expect(await extend(other.client, holdId, HOUR)).toMatchObject({ __typename: 'NotFound' });
      expect(await other.client.run(MeteringNodeDocument, { id: holdId })).toEqual({ node: null });
    });
  });

  it('of a key bound to a project is charged to that project, and the key knows no other', async () => {
    const given = await organization();
    const [bound, other] = [await aBoundKey(gateway, given), await aBoundKey(gateway, given)];
    expect(await authorize(bound.client, { amount: '1', projectId: other.projectId })).toMatchObject({
      __typename: 'NotFound',
    });
    const holdId = await aHold(bound.client, '2');
    const { transaction } = await captured(bound.client, { holdId, amount: '1' });
    const rows = await query<{ hold: string; captured: string }>(
      gateway.database,
      `SELECT h.project_id AS hold, t.project_id AS captured FROM hold h JOIN ledger_transaction t ON t.hold_id = h.id
       WHERE t.id = $1`,
      [decodeId('Transaction', transaction.id)],
    );
    const project = decodeId('Project', bound.projectId);
    expect(rows).toEqual([{ hold: project, captured: project }]);
    // Nor does it give back what others have charged.
    const foreign = await charge(given.client, { amount: '1' });
    if (foreign.__typename !== 'DebitPayload') throw new Error('not charged');
    await expect(refunded(bound.client, { transactionId: foreign.transaction.id })).rejects.toThrow('NotFound');
    await refunded(bound.client, { transactionId: transaction.id });
  });
});

describe('a hold that lapses', () => {
  it('cannot be used from the instant it expires, and is read as expired with what it held given back', async () => {
    const given = await organization();
    const { hold } = await held(given.client, { amount: '4', expiresInSeconds: 3_600 });
    await advanceTo(gateway, given.id, String(hold.expiresAt));
    expect(await holdById(given.client, hold.id)).toMatchObject({ status: 'EXPIRED', remaining: '0', amount: '4' });
    expect(await holds(given, { status: 'EXPIRED' })).toMatchObject({
      held: '0',
      holds: { edges: [{ node: { id: hold.id } }] },
    });
    expect(await capture(given.client, { holdId: hold.id })).toMatchObject({
      __typename: 'HoldNotOpen',
      status: 'EXPIRED',
    });
    expect(await charge(given.client, { amount: '10' })).toMatchObject({ __typename: 'DebitPayload' });
    await expectSoundBooks(gateway.database, given.id);
  });

  it('after its lot has expired loses what it gives back; captured before, it is charged', async () => {
    const given = await organization({});
    const lotExpiry = new Date(Date.now() + 60_000);
    await grant(gateway, given.id, 'promotional', '10', lotExpiry.toISOString());
    const [kept, lapsing] = [
      await aHold(given.client, '3', { expiresInSeconds: 3_600 }),
      await aHold(given.client, '4', { expiresInSeconds: 3_600 }),
    ];
    await advanceTo(gateway, given.id, new Date(lotExpiry.getTime() + 1_000).toISOString());
    expect(await captured(given.client, { holdId: kept, amount: '2' })).toMatchObject({
      availableCredits: '0',
      wallet: { balance: '4', held: '4', totalAvailable: '0' },
    });
    await advanceTo(gateway, given.id, new Date(Date.now() + 2 * 3_600_000).toISOString());
    expect(await holdById(given.client, lapsing)).toMatchObject({ status: 'EXPIRED' });
    const entries = await query<{ reason: string; amount: string }>(
      gateway.database,
      `SELECT reason_code AS reason, (amount_micros / 1000000)::text AS amount FROM ledger_entry e
       JOIN wallet w ON w.id = e.wallet_id WHERE w.organization_id = $1 ORDER BY e.sequence`,
      [decodeId('Organization', given.id)],
    );
    expect(entries.map(({ reason, amount }) => [reason, amount])).toEqual([
      ['GRANT', '10'],
      ['EXPIRY', '3'],
      ['USAGE', '2'],
      ['EXPIRY', '1'],
      ['EXPIRY', '4'],
    ]);
    await expectSoundBooks(gateway.database, given.id);
  });
});

describe('a call repeated under its key', () => {
  it('is answered as the first time, whatever has become of the hold; the wallet is that of now', async () => {
    const given = await organization();
    const { client } = given;
    const keys = { authorize: aKey(), capture: aKey(), extend: aKey(), release: aKey() };
    const made = await held(client, { amount: '6', idempotencyKey: keys.authorize });
    const holdId = made.hold.id;
    const calls = [
      () => authorize(client, { amount: '6.000', idempotencyKey: keys.authorize }),
      () => capture(client, { holdId, amount: '2', final: false, idempotencyKey: keys.capture }),
      () => extend(client, holdId, HOUR, keys.extend),
      () => release(client, holdId, keys.release),
    ];
    const first = [made];
    for (const call of calls.slice(1)) first.push((await call()) as typeof made);
    await expectNothingChanged(given, async () => {
      for (const [index, call] of calls.entries()) {
        expect(await call()).toEqual({
          ...first[index],
          wallet: { totalAvailable: '8', held: '0', debt: '0', balance: '8' },
          replayed: true,
        });
      }
    });
  });

  it('with another payload or operation is refused without a word of the first', async () => {
    const given = await organization();
    const idempotencyKey = aKey();
    const holdId = await aHold(given.client, '4', { idempotencyKey });
    await expectNothingChanged(given, async () => {
      const reused = { __typename: 'IdempotencyKeyReused', idempotencyKey, httpStatus: 409 };
      expect(await authorize(given.client, { amount: '5', idempotencyKey })).toMatchObject(reused);
      expect(await authorize(given.client, { amount: '4', expiresInSeconds: 60, idempotencyKey })).toMatchObject(
        reused,
      );
      expect(await capture(given.client, { holdId, idempotencyKey })).toMatchObject(reused);
      expect(await release(given.client, holdId, idempotencyKey)).toMatchObject(reused);
    });
  });

  it('was refused for good where the funds or the hold did not suffice', async () => {
    const given = await organization();
    const [funds, exceeded] = [aKey(), aKey()];
    const holdId = await aHold(given.client, '10');
    await authorize(given.client, { amount: '1', idempotencyKey: funds });
    await capture(given.client, { holdId, amount: '11', idempotencyKey: exceeded });
    await grant(gateway, given.id, 'purchased', '100');
    expect(await authorize(given.client, { amount: '1', idempotencyKey: funds })).toMatchObject({
      __typename: 'InsufficientCredits',
      availableCredits: '0',
      heldCredits: '10',
    });
    expect(await capture(given.client, { holdId, amount: '11', idempotencyKey: exceeded })).toMatchObject({
      __typename: 'CaptureExceedsHold',
      leftOfHold: '10',
    });
  });
});

describe('what is told live', () => {
  it('of a hold is each change of what can be spent, with what is held, and nothing of an extension', async () => {
    const given = await organization();
    await using live = subscribe('websocket', gateway, given.secret, BalanceChangedDocument, {
      organizationId: given.id,
    });
    const next = async () => {
      const { version, change, totalAvailable, held: reserved, reasonCode } = (await live.next()).balanceChanged;
      return { version, change, totalAvailable, held: reserved, reasonCode };
    };
    const opening = await next();
    const { version } = opening;
    expect(opening).toMatchObject({ totalAvailable: '10', held: '0', reasonCode: 'SNAPSHOT' });
    const [one, other] = [await aHold(given.client, '4'), await aHold(given.client, '3', { expiresInSeconds: 60 })];
    await extend(given.client, one, HOUR);
    await captured(given.client, { holdId: one, amount: '1', final: false });
    await captured(given.client, { holdId: one, amount: '1' });
    await release(given.client, await aHold(given.client, '2'));
    await advanceTo(gateway, given.id, new Date(Date.now() + 120_000).toISOString());
    expect(await holdById(given.client, other)).toMatchObject({ status: 'EXPIRED' });
    const changes = [await next(), await next(), await next(), await next(), await next(), await next(), await next()];
    expect(changes.map((event) => [event.reasonCode, event.change, event.totalAvailable, event.held])).toEqual([
      ['HOLD', '-4', '6', '4'],
      ['HOLD', '-3', '3', '7'],
      ['USAGE', '0', '3', '6'],
      ['USAGE', '2', '5', '3'],
      ['HOLD', '-2', '3', '5'],
      ['RELEASE', '2', '5', '3'],
      ['HOLD_EXPIRY', '3', '8', '0'],
    ]);
    expect(changes.map((event) => event.version - version)).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });
});

describe('the list of holds', () => {
  it('is paged newest first and filtered by state', async () => {
    const given = await organization({ purchased: '100' });
    const ids: string[] = [];
    for (let hold = 0; hold < 7; hold++) ids.push(await aHold(given.client, '1'));
    await captured(given.client, { holdId: ids[1] ?? '' });
    await release(given.client, ids[3] ?? '');
    const newestFirst = ids.toReversed();
    const seen: string[] = [];
    let after: string | null = null;
    do {
      const { holds: page }: Awaited<ReturnType<typeof holds>> = await holds(given, { first: 3, after });
      expect(page.edges.length).toBeLessThanOrEqual(3);
      seen.push(...page.edges.map(({ node }) => node.id));
      after = page.pageInfo.hasNextPage ? (page.pageInfo.endCursor ?? null) : null;
    } while (after !== null);
    expect(seen).toEqual(newestFirst);
    const inState = async (status: HoldsQueryVariables['status']) =>
      (await holds(given, { status })).holds.edges.map(({ node }) => node.id);
    expect(await inState('CAPTURED')).toEqual([ids[1]]);
    expect(await inState('RELEASED')).toEqual([ids[3]]);
    expect(await inState('EXPIRED')).toEqual([]);
    expect(await inState('OPEN')).toEqual(newestFirst.filter((id) => id !== ids[1] && id !== ids[3]));
  });

  it('is of the wallet: a key of usage:write reads its own holds one by one, and no list', async () => {
    const given = await organization();
    const client = await aUsageClient(given);
    const holdId = await aHold(client, '1');
    const { organization: read } = await client.run(HoldsDocument, { slug: given.slug });
    expect(read?.wallet).toBeNull();
    expect(await holdById(client, holdId)).toMatchObject({ status: 'OPEN' });
  });

  it.each([{ first: 101 }, { first: -1 }, { first: 0, after: 'nonsense' }])('refuses the page %o', async (page) => {
    const given = await organization();
    const asked = `query ($slug: String!, $first: Int, $after: String) {
      organization(slug: $slug) { wallet { holds(first: $first, after: $after) { edges { cursor } } } } }`;
    const { errors } = await given.client.raw(asked, { slug: given.slug, ...page });
    expect(errors.map((error) => error.extensions.code)).toEqual(['BAD_USER_INPUT']);
  });

  it('and explanations and refunds of a page of entries take as many statements for 2 rows as for 40', async () => {
    const given = await organization({ promotional: '20', purchased: '100' });
    for (let round = 0; round < 40; round++) {
      const holdId = await aHold(given.client, '1');
      const { transaction } = await captured(given.client, { holdId });
      if (round % 2 === 0) await refunded(given.client, { transactionId: transaction.id, amount: '0.5' });
    }
    const ask = async (first: number): Promise<number> => {
      gateway.statements.length = 0;
      const { organization: read } = await given.client.run(MeteringReadsDocument, { slug: given.slug, first });
      expect(read?.wallet?.holds.edges).toHaveLength(first);
      return gateway.statements.length;
    };
    await ask(2);
    const few = await ask(2);
    const many = await ask(40);
    expect(many).toBe(few);

    expect(few).toBeLessThan(18);
  });
});

describe('many holds at once', () => {
  it('never hold more than is available, and each is answered', async () => {
    const given = await organization({ promotional: '5', purchased: '15' });
    const answers = await Promise.all(
      Array.from({ length: 50 }, () =>
        given.client.run(AuthorizeDocument, { input: { idempotencyKey: aKey(), amount: '1' } }),
      ),
    );
    const kinds = answers.map((answer) => answer.authorize.__typename);
    expect(kinds.filter((kind) => kind === 'HoldPayload')).toHaveLength(20);
    expect(kinds.filter((kind) => kind === 'InsufficientCredits')).toHaveLength(30);
    expect((await holds(given)).held).toBe('20');
    await expectSoundBooks(gateway.database, given.id);
  });
});
