/** Scenario 2: an agent hosting API billed per operation, on catalogs/agents.yaml. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeId } from '../../../src/graphql/ids.ts';
import {
  OffersDocument,
  type OveragePolicy,
  ScenarioAccountDocument,
  ScenarioOffersDocument,
  ScenarioTransactionDocument,
  type UsageInput,
} from '../../generated/documents.ts';
import { expectSoundBooks, query } from '../../support/books.ts';
import type { TestGateway } from '../../support/gateway.ts';
import { aKey, anApiKey, type Given, grant } from '../../support/given.ts';
import {
  aCustomer,
  as,
  authorize,
  buy,
  captured,
  charged,
  debit,
  estimate,
  held,
  history,
  ledger,
  nextChange,
  record,
  refund,
  released,
  selectPlan,
  spendDownTo,
  startScenario,
  wallet,
  watchBalance,
} from './play.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startScenario('agents');
});
afterAll(() => gateway[Symbol.asyncDispose]());

const usageKeyOf = async ({ id }: Given): Promise<string> => anApiKey(gateway, id, 'USAGE_WRITE');

const tokens = (model: string, input: number, output: number): UsageInput[] => [
  { meter: 'llm.input_tokens', quantity: input, dimensions: { model } },
  { meter: 'llm.output_tokens', quantity: output, dimensions: { model } },
];

const CHAT: UsageInput = { meter: 'chat.message' };

async function setSubscription({ id }: Given, status: string): Promise<void> {
  await query(gateway.database, 'UPDATE plan_subscription SET status = $2 WHERE organization_id = $1', [
    decodeId('Organization', id),
    status,
  ]);
}

describe('the price table', () => {
  it.each([
    ['agent.create', 10],
    ['agent.update', 10],
    ['agent.start', 5],
    ['agent.reload', 1],
    ['chat.message', 1],
  ])('%s costs %d', async (meter, price) => {
    const customer = await aCustomer(gateway, { plan: 'builder' });
    expect(await estimate(customer.client, [{ meter }])).toMatchObject({ credits: String(price), affordable: true });
    const { usage, availableCredits } = await charged(customer.client, { usage: [{ meter }] });
    expect({ credits: usage.credits, availableCredits }).toEqual({
      credits: String(price),
      availableCredits: String(400 - price),
    });
    await expectSoundBooks(gateway.database, customer.id);
  });

  it.each<[string, UsageInput[], string]>([
    ['the small model', tokens('small', 10_000, 2_000), '0.9'],
    ['the large model', tokens('large', 10_000, 2_000), '20'],
    ['any other model', tokens('medium', 10_000, 2_000), '3.6'],
    ['a single token of the small model', tokens('small', 1, 0), '0.00005'],
    ['a message with its tokens', [CHAT, ...tokens('large', 1_800, 620)], '5.9'],
  ])('tokens cost what their model costs: %s', async (_what, usage, credits) => {
    const { client } = await aCustomer(gateway, { plan: 'builder' });
    expect(await estimate(client, usage)).toMatchObject({ credits });
    expect((await charged(client, { usage })).usage.credits).toBe(credits);
  });

  it.each(['agent.stop', 'agent.pause', 'agent.delete', 'read', 'key.manage'])(
    '%s costs nothing: it is recorded, seen in its lines, and moves no sequence',
    async (meter) => {
      const customer = await aCustomer(gateway);
      const before = await wallet(customer);
      const free = await charged(customer.client, { usage: [{ meter, quantity: 3 }], taskId: 'agent-7' });
      expect(free).toMatchObject({
        usage: { credits: '0', lines: [{ meter, quantity: '3', credits: '0' }] },
        availableCredits: '50',
      });
      const recorded = await record(customer.client, { events: [{ idempotencyKey: aKey(), usage: { meter } }] });
      expect(recorded).toMatchObject({ accepted: 1, rejected: 0, usage: { credits: '0' } });

      const { node } = await customer.client.run(ScenarioTransactionDocument, { id: free.transaction.id });
      expect(node).toMatchObject({ kind: 'DEBIT', amount: '0', lines: [{ meter, quantity: '3' }], entries: [] });
      expect(await ledger(customer, { taskId: 'agent-7' })).toEqual([]);
      expect(await wallet(customer)).toEqual(before);
      await expectSoundBooks(gateway.database, customer.id);
    },
  );

  it('lets free operations pass with nothing left to spend', async () => {
    const customer = await aCustomer(gateway);
    await spendDownTo(customer, '0');
    for (const meter of ['agent.stop', 'agent.delete', 'read']) {
      expect((await charged(customer.client, { usage: [{ meter }] })).availableCredits).toBe('0');
    }
  });
});

describe('an operation that costs more than there is', () => {
  it('is refused before it begins with required 10 and available 3, and nothing happens', async () => {
    const customer = await aCustomer(gateway);
    await spendDownTo(customer, '3');
    const before = await wallet(customer);
    const create: UsageInput[] = [{ meter: 'agent.create' }];
    const refusal = {
      __typename: 'InsufficientCredits',
      code: 'INSUFFICIENT_CREDITS',
      requiredCredits: '10',
      availableCredits: '3',
      httpStatus: 402,
    };

    expect(await authorize(customer.client, { usage: create })).toMatchObject(refusal);
    expect(await debit(customer.client, { usage: create })).toMatchObject(refusal);
    expect(await estimate(customer.client, create)).toMatchObject({
      credits: '10',
      affordable: false,
      availableCredits: '3',
      blockedBy: refusal,
    });
    const { results, usage } = await record(customer.client, {
      events: [{ idempotencyKey: aKey(), usage: { meter: 'agent.create' } }],
    });
    expect({ results, usage }).toMatchObject({
      results: [{ status: 'REJECTED', credits: '0', error: refusal }],
      usage: { credits: '0' },
    });

    expect(await wallet(customer)).toEqual(before);
    expect(await ledger(customer, { direction: 'DEBIT' })).toHaveLength(1);
    await expectSoundBooks(gateway.database, customer.id);
  });

  it('cannot begin twice on the same credits: of two at once, one is refused', async () => {
    const customer = await aCustomer(gateway);
    await spendDownTo(customer, '13');
    const answers = await Promise.all(
      [1, 2].map(() => authorize(customer.client, { usage: [{ meter: 'agent.create' }] })),
    );
    expect(answers.map(({ __typename }) => __typename).toSorted()).toEqual(['HoldPayload', 'InsufficientCredits']);
    expect(answers.find(({ __typename }) => __typename === 'InsufficientCredits')).toMatchObject({
      requiredCredits: '10',
      availableCredits: '3',
      heldCredits: '10',
    });
    expect(await wallet(customer)).toMatchObject({ totalAvailable: '3', held: '10', balance: '13' });
  });
});

describe('a chat message', () => {
  it('holds its base and the estimated tokens, is charged its base when it succeeds, and its tokens when they are known', async () => {
    const customer = await aCustomer(gateway, { plan: 'builder' });
    const client = gateway.as(await usageKeyOf(customer));
    const chat = { taskId: 'agent-7', executionId: 'chat-1' };
    await using live = await watchBalance(gateway, customer);

    const { hold, usage, availableCredits } = await held(client, {
      ...chat,
      usage: [CHAT, ...tokens('large', 2_000, 500)],
    });
    expect(usage.lines.map(({ meter, credits }) => [meter, credits])).toEqual([
      ['chat.message', '1'],
      ['llm.input_tokens', '2'],
      ['llm.output_tokens', '2.5'],
    ]);
    expect({ hold, credits: usage.credits, availableCredits }).toMatchObject({
      hold: { status: 'OPEN', amount: '5.5', captured: '0', remaining: '5.5' },
      credits: '5.5',
      availableCredits: '394.5',
    });
    expect(await nextChange(live)).toEqual({
      reasonCode: 'HOLD',
      change: '-5.5',
      totalAvailable: '394.5',
      held: '5.5',
    });

    const base = await captured(client, { holdId: hold.id, usage: [CHAT] });
    expect(base).toMatchObject({
      hold: { status: 'CAPTURED', amount: '5.5', captured: '1', remaining: '0' },
      transaction: { amount: '-1' },
      usage: { credits: '1', lines: [{ meter: 'chat.message', credits: '1' }] },
      availableCredits: '399',
    });
    expect(await nextChange(live)).toEqual({ reasonCode: 'USAGE', change: '4.5', totalAvailable: '399', held: '0' });

    const cost = await charged(client, { ...chat, usage: tokens('large', 1_800, 620), overage: 'DEBT' });
    expect(cost).toMatchObject({ usage: { credits: '4.9' }, availableCredits: '394.1' });
    expect(await nextChange(live)).toEqual({
      reasonCode: 'USAGE',
      change: '-4.9',
      totalAvailable: '394.1',
      held: '0',
    });
    const entries = await ledger(customer, { executionId: 'chat-1' });
    expect(entries.map(({ taskId, meter, amount }) => [taskId, meter, amount])).toEqual([
      ['agent-7', 'chat.message', '1'],
      ['agent-7', null, '4.9'],
    ]);
    await expectSoundBooks(gateway.database, customer.id);
  });

  it('may be held with the output alone estimated, at the rate of any model', async () => {
    const { client } = await aCustomer(gateway, { plan: 'builder' });
    const usage = [CHAT, { meter: 'llm.output_tokens', quantity: 1_000 }];
    expect(await held(client, { usage })).toMatchObject({ hold: { amount: '1.8' }, availableCredits: '398.2' });
  });

  it('that fails costs nothing: its hold is released', async () => {
    const customer = await aCustomer(gateway, { plan: 'builder' });
    await using live = await watchBalance(gateway, customer);
    const { hold } = await held(customer.client, { usage: [CHAT, ...tokens('large', 2_000, 500)] });
    await nextChange(live);

    expect(await released(customer.client, hold.id)).toMatchObject({
      hold: { status: 'RELEASED', amount: '5.5', captured: '0', remaining: '0' },
      availableCredits: '400',
    });
    expect(await nextChange(live)).toEqual({ reasonCode: 'RELEASE', change: '5.5', totalAvailable: '400', held: '0' });
    expect(await history(customer, { direction: 'DEBIT' })).toEqual([]);
    expect(await wallet(customer)).toMatchObject({ totalAvailable: '400', held: '0', balance: '400' });
    await expectSoundBooks(gateway.database, customer.id);
  });

  it('is refused where its base and estimate are more than there is', async () => {
    const customer = await aCustomer(gateway);
    await spendDownTo(customer, '5');
    expect(await authorize(customer.client, { usage: [CHAT, ...tokens('large', 2_000, 500)] })).toMatchObject({
      __typename: 'InsufficientCredits',
      requiredCredits: '5.5',
      availableCredits: '5',
    });
    expect(await wallet(customer)).toMatchObject({ totalAvailable: '5', held: '0' });
  });
});

describe('tokens that cost more than is left', () => {
  it('are owed up to the plan’s overdraft, and the next purchase pays them back', async () => {
    const customer = await aCustomer(gateway);
    const { client } = customer;
    await spendDownTo(customer, '2');
    const { hold } = await held(client, { usage: [CHAT] });
    expect((await captured(client, { holdId: hold.id })).availableCredits).toBe('1');

    const late = await charged(client, { usage: tokens('large', 10_000, 2_000), overage: 'DEBT' });
    expect(late).toMatchObject({ usage: { credits: '20' }, availableCredits: '0' });
    expect(await wallet(customer)).toMatchObject({ totalAvailable: '0', debt: '19', balance: '-19' });

    // The next message does not begin, and debt ends at the overdraft of 25.
    expect(await authorize(client, { usage: [CHAT] })).toMatchObject({
      __typename: 'InsufficientCredits',
      requiredCredits: '1',
      availableCredits: '0',
    });
    expect(await debit(client, { usage: tokens('large', 6_001, 0), overage: 'DEBT' })).toMatchObject({
      __typename: 'InsufficientCredits',
      requiredCredits: '6.001',
      availableCredits: '0',
    });
    await charged(client, { usage: tokens('large', 6_000, 0), overage: 'DEBT' });
    expect(await wallet(customer)).toMatchObject({ totalAvailable: '0', debt: '25', balance: '-25' });

    const before = await ledger(customer);
    await buy(client, 'pack_50');
    expect(await wallet(customer)).toMatchObject({
      totalAvailable: '25',
      purchasedCredits: '25',
      debt: '0',
      balance: '25',
    });
    const repayment = (await ledger(customer)).slice(before.length);
    expect(
      repayment.map(({ reasonCode, direction, amount, bucket }) => [reasonCode, direction, amount, bucket?.key]),
    ).toEqual([
      ['PURCHASE', 'CREDIT', '50', 'purchased'],
      ['DEBT_REPAYMENT', 'DEBIT', '25', 'purchased'],
      ['DEBT_REPAYMENT', 'CREDIT', '25', undefined],
    ]);
    expect((await held(client, { usage: [CHAT] })).availableCredits).toBe('24');
    await expectSoundBooks(gateway.database, customer.id);
  });

  it('are never owed beyond the overdraft, however many arrive at once', async () => {
    const customer = await aCustomer(gateway);
    await spendDownTo(customer, '2');
    const answers = await Promise.all(
      Array.from({ length: 12 }, () => debit(customer.client, { usage: tokens('large', 5_000, 0), overage: 'DEBT' })),
    );
    const charges = answers.filter(({ __typename }) => __typename === 'DebitPayload');
    // 2 that there were and 23 of the 25 that may be owed.
    expect(charges).toHaveLength(5);
    expect(await wallet(customer)).toMatchObject({ totalAvailable: '0', debt: '23', balance: '-23' });
    await buy(customer.client, 'pack_50');
    expect((await wallet(customer)).totalAvailable).toBe('27');
    await expectSoundBooks(gateway.database, customer.id);
  });

  it('arrive with others in one call, each for itself', async () => {
    const customer = await aCustomer(gateway);
    await spendDownTo(customer, '2');
    const cost = (quantity: number, overage: OveragePolicy) => ({
      idempotencyKey: aKey(),
      usage: { meter: 'llm.input_tokens', quantity, dimensions: { model: 'large' } },
      overage,
      taskId: 'agent-7',
    });
    const { results, ...answer } = await record(customer.client, {
      events: [
        cost(3_000, 'REJECT'),
        cost(3_000, 'DEBT'),
        cost(3_000, 'CAP'),
        cost(25_000, 'DEBT'),
        cost(24_000, 'DEBT'),
      ],
    });
    expect(results.map(({ status, credits }) => [status, credits])).toEqual([
      ['REJECTED', '0'],
      ['ACCEPTED', '3'],
      ['ACCEPTED', '0'],
      ['REJECTED', '0'],
      ['ACCEPTED', '24'],
    ]);
    expect(answer).toMatchObject({ accepted: 3, rejected: 2, usage: { credits: '27' }, availableCredits: '0' });
    expect(await wallet(customer)).toMatchObject({ totalAvailable: '0', debt: '25', balance: '-25' });
    expect(await history(customer, { taskId: 'agent-7' })).toEqual([
      ['USAGE', '-2'],
      ['USAGE', '-1'],
      ['USAGE', '-24'],
    ]);
  });

  it('are owed to 100 credits on the builder plan', async () => {
    const customer = await aCustomer(gateway, { plan: 'builder' });
    await spendDownTo(customer, '1');
    const usage = tokens('large', 101_000, 0);
    expect(await charged(customer.client, { usage, overage: 'DEBT' })).toMatchObject({ usage: { credits: '101' } });
    expect(await wallet(customer)).toMatchObject({ totalAvailable: '0', debt: '100' });
    await buy(customer.client, 'pack_50');
    expect(await wallet(customer)).toMatchObject({ totalAvailable: '0', purchasedCredits: '0', debt: '50' });
    await buy(customer.client, 'pack_500');
    expect(await wallet(customer)).toMatchObject({ totalAvailable: '475', purchasedCredits: '475', debt: '0' });
    await expectSoundBooks(gateway.database, customer.id);
  });

  it('are waived beyond what is left where the call caps them', async () => {
    const customer = await aCustomer(gateway);
    await spendDownTo(customer, '7.5');
    const capped = await charged(customer.client, { usage: tokens('large', 5_000, 1_000), overage: 'CAP' });
    expect(capped).toMatchObject({ usage: { credits: '7.5' }, transaction: { amount: '-7.5' }, availableCredits: '0' });
    expect(capped.usage.lines.map(({ credits, waivedCredits }) => [credits, waivedCredits])).toEqual([
      ['5', '0'],
      ['2.5', '2.5'],
    ]);
    expect(await wallet(customer)).toMatchObject({ totalAvailable: '0', debt: '0', balance: '0' });
    await expectSoundBooks(gateway.database, customer.id);
  });

  it('are refused where the call says nothing', async () => {
    const customer = await aCustomer(gateway);
    await spendDownTo(customer, '7.5');
    expect(await debit(customer.client, { usage: tokens('large', 5_000, 1_000) })).toMatchObject({
      __typename: 'InsufficientCredits',
      requiredCredits: '10',
      availableCredits: '7.5',
    });
    expect(await wallet(customer)).toMatchObject({ totalAvailable: '7.5' });
  });

  it('captured with their message go beyond the hold as the call says', async () => {
    const customer = await aCustomer(gateway);
    const { client } = customer;
    await spendDownTo(customer, '6');
    const { hold } = await held(client, { usage: [CHAT, ...tokens('large', 2_000, 500)] });
    const all = await captured(client, {
      holdId: hold.id,
      usage: [CHAT, ...tokens('large', 4_000, 1_000)],
      overage: 'DEBT',
    });
    // 5.5 held, 0.5 available, 4 owed.
    expect(all).toMatchObject({
      hold: { status: 'CAPTURED', amount: '5.5', captured: '10', remaining: '0' },
      usage: { credits: '10' },
      availableCredits: '0',
    });
    expect(await wallet(customer)).toMatchObject({ totalAvailable: '0', held: '0', debt: '4', balance: '-4' });
  });

  it('are given back to what is owed first when they are refunded', async () => {
    const customer = await aCustomer(gateway);
    const { client } = customer;
    await spendDownTo(customer, '1');
    const { transaction } = await charged(client, { usage: tokens('large', 20_000, 0), overage: 'DEBT' });
    expect(await wallet(customer)).toMatchObject({ totalAvailable: '0', debt: '19' });
    as('RefundPayload', await refund(client, transaction.id, '12'));
    expect(await wallet(customer)).toMatchObject({ totalAvailable: '0', debt: '7', balance: '-7' });
    as('RefundPayload', await refund(client, transaction.id));
    expect(await wallet(customer)).toMatchObject({ totalAvailable: '1', debt: '0', balance: '1' });
    await expectSoundBooks(gateway.database, customer.id);
  });
});

describe('the explanation', () => {
  it('of a message names the rate of each line and the lots in burn order, as its hold had pinned them', async () => {
    const customer = await aCustomer(gateway);
    const { client } = customer;
    await grant(gateway, customer.id, 'promotional', '2');
    await buy(client, 'pack_50');
    const usage = [CHAT, ...tokens('large', 1_000, 10_000)];
    const { hold } = await held(client, { usage });
    // What another operation costs meanwhile comes from what is not held.
    const other = await charged(client, { usage: [{ meter: 'agent.reload' }] });
    expect(other.transaction.explanation?.lots).toMatchObject([{ taken: '1', lot: { bucket: { key: 'purchased' } } }]);

    const { transaction } = await captured(client, { holdId: hold.id, usage });

    expect(transaction.explanation).toMatchObject({
      rateCardVersion: 1,
      lines: [
        { meter: 'chat.message', rate: '1 credits per message', credits: '1' },
        { meter: 'llm.input_tokens', rate: '1 credits per 1000 token', credits: '1' },
        { meter: 'llm.output_tokens', rate: '5 credits per 1000 token', credits: '50' },
      ],
      lots: [
        { taken: '2', lot: { source: 'PROMOTION', bucket: { key: 'promotional' } } },
        { taken: '50', lot: { source: 'PLAN_GRANT', bucket: { key: 'monthly_plan' } } },
      ],
      limits: [],
    });
    expect(await wallet(customer)).toMatchObject({ totalAvailable: '49', held: '0' });
    await expectSoundBooks(gateway.database, customer.id);
  });
});

describe('the balance', () => {
  it('of 450 splits into 400 from the subscription and 50 that were purchased', async () => {
    const customer = await aCustomer(gateway, { plan: 'builder' });
    await buy(customer.client, 'pack_50');
    expect(await wallet(customer)).toMatchObject({
      totalAvailable: '450',
      subscriptionCredits: '400',
      purchasedCredits: '50',
      balance: '450',
    });
    // The plan's credits go first.
    await charged(customer.client, { usage: [{ meter: 'agent.create', quantity: 41 }] });
    expect(await wallet(customer)).toMatchObject({
      totalAvailable: '40',
      subscriptionCredits: '0',
      purchasedCredits: '40',
    });
    await expectSoundBooks(gateway.database, customer.id);
  });

  it('counts promotional credits in the total alone', async () => {
    const customer = await aCustomer(gateway, { plan: 'builder' });
    await grant(gateway, customer.id, 'promotional', '30');
    expect(await wallet(customer)).toMatchObject({
      totalAvailable: '430',
      subscriptionCredits: '400',
      purchasedCredits: '0',
    });
  });

  it('and the subscription are read with the master key and not with the usage key, which learns what it may spend', async () => {
    const customer = await aCustomer(gateway);
    const { slug, client } = customer;
    const usageKey = gateway.as(await usageKeyOf(customer));
    const account = {
      name: slug,
      subscription: { status: 'ACTIVE', plan: { key: 'free' } },
      wallet: { totalAvailable: '50' },
    };
    expect((await client.run(ScenarioAccountDocument, { slug })).organization).toEqual(account);
    expect((await usageKey.run(ScenarioAccountDocument, { slug })).organization).toEqual({
      name: slug,
      subscription: null,
      wallet: null,
    });
    expect(await charged(usageKey, { usage: [CHAT] })).toMatchObject({ availableCredits: '49', wallet: null });
    expect(await charged(client, { usage: [CHAT] })).toMatchObject({ wallet: { totalAvailable: '48' } });
  });
});

describe('the tiers', () => {
  it('list price, allowance and features to anybody', async () => {
    const { plans } = await gateway.as().run(ScenarioOffersDocument, {});
    const monthly = (credits: string) => [{ bucketKey: 'monthly_plan', interval: 'MONTH', credits }];
    expect(
      plans.map(({ key, price, allowances, overdraft, features }) => ({ key, price, allowances, overdraft, features })),
    ).toEqual([
      {
        key: 'free',
        price: { amountMinor: 0, currency: 'USD' },
        allowances: monthly('50'),
        overdraft: '25',
        features: ['50 credits a month', 'Community support'],
      },
      {
        key: 'builder',
        price: { amountMinor: 1900, currency: 'USD' },
        allowances: monthly('400'),
        overdraft: '100',
        features: ['400 credits a month', 'Email support'],
      },
      {
        key: 'scale',
        price: { amountMinor: 14900, currency: 'USD' },
        allowances: monthly('4000'),
        overdraft: '500',
        features: ['4000 credits a month', 'Priority support'],
      },
    ]);
    const { packages } = await gateway.as().run(OffersDocument, {});
    expect(packages.map(({ key, price, totalCredits }) => [key, price.amountMinor, totalCredits])).toEqual([
      ['pack_50', 500, '50'],
      ['pack_500', 4500, '525'],
    ]);
  });
});

describe('the subscription', () => {
  const refusal = (status: string | null) => ({ __typename: 'SubscriptionRequired', status, httpStatus: 403 });

  /** Whatever is asked of the gateway is refused and nothing happens. */
  async function expectRefused(customer: Given, status: string | null): Promise<void> {
    const { client } = customer;
    await grant(gateway, customer.id, 'promotional', '100');
    const before = await wallet(customer);
    const usage: UsageInput[] = [{ meter: 'agent.start' }];
    expect(await debit(client, { usage })).toMatchObject(refusal(status));
    expect(await authorize(client, { usage })).toMatchObject(refusal(status));
    expect(await estimate(client, usage)).toMatchObject({ affordable: false, blockedBy: refusal(status) });
    const recorded = await record(client, { events: [{ idempotencyKey: aKey(), usage: { meter: 'agent.start' } }] });
    expect(recorded).toMatchObject({ accepted: 0, results: [{ status: 'REJECTED', error: refusal(status) }] });
    expect(await debit(client, { usage: [{ meter: 'read' }] })).toMatchObject(refusal(status));
    expect(await wallet(customer)).toEqual(before);
  }

  it('that is absent refuses every operation, whatever credits there are', async () => {
    const customer = await aCustomer(gateway, { plan: null });
    await expectRefused(customer, null);
    as('SelectPlanPayload', await selectPlan(customer.client, 'free'));
    expect((await charged(customer.client, { usage: [CHAT] })).availableCredits).toBe('149');
  });

  it.each(['CANCELED', 'PAST_DUE'])('that is %s refuses every operation', async (status) => {
    const customer = await aCustomer(gateway, { plan: 'builder' });
    await setSubscription(customer, status);
    await expectRefused(customer, status);
  });

  it('that has lapsed refuses the demo’s lapsed organization', async () => {
    const lapsed = gateway.as(gateway.demo.lapsedTokens.usageKey);
    expect(await debit(lapsed, { usage: [CHAT] })).toMatchObject(refusal('CANCELED'));
  });

  it.each(['TRIALING', 'ACTIVE'])('that is %s serves', async (status) => {
    const customer = await aCustomer(gateway, { plan: 'builder' });
    await setSubscription(customer, status);
    expect((await charged(customer.client, { usage: [CHAT] })).availableCredits).toBe('399');
    const { hold } = await held(customer.client, { usage: [{ meter: 'agent.create' }] });
    expect((await captured(customer.client, { holdId: hold.id })).availableCredits).toBe('389');
  });

  it('that ends while a message is under way still lets it be charged, and no other begin', async () => {
    const customer = await aCustomer(gateway, { plan: 'builder' });
    const { hold } = await held(customer.client, { usage: [CHAT] });
    await setSubscription(customer, 'CANCELED');
    expect(await captured(customer.client, { holdId: hold.id })).toMatchObject({ usage: { credits: '1' } });
    expect(await authorize(customer.client, { usage: [CHAT] })).toMatchObject(refusal('CANCELED'));
  });
});
