/** Scenario 1: a task platform with wallets, plans and usage debits, on catalogs/automation.yaml. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ScenarioAccountDocument,
  ScenarioOffersDocument,
  ScenarioTransactionDocument,
  type UsageInput,
} from '../../generated/documents.ts';
import { expectSoundBooks } from '../../support/books.ts';
import type { TestGateway } from '../../support/gateway.ts';
import { advanceTo, anApiKey, grant } from '../../support/given.ts';
import { expectSoundStatements, lines, statementsOf, usageRows } from '../../support/statements.ts';
import {
  aCustomer,
  as,
  buckets,
  buy,
  charged,
  debit,
  estimate,
  history,
  ledger,
  lots,
  nextChange,
  periodsPaid,
  refund,
  selectPlan,
  spendDownTo,
  startScenario,
  subscribeTo,
  wallet,
  watchBalance,
} from './play.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startScenario('automation');
});
afterAll(() => gateway[Symbol.asyncDispose]());

const MIDNIGHT = '2040-03-11T00:00:00.000Z';

describe('the wallet of the free plan', () => {
  it('holds a daily free allowance, monthly plan credits and promotional credits', async () => {
    const customer = await aCustomer(gateway);
    await grant(gateway, customer.id, 'promotional', '200');

    expect(await wallet(customer)).toMatchObject({
      totalAvailable: '3250',
      subscriptionCredits: '3050',
      purchasedCredits: '0',
      balance: '3250',
      held: '0',
      debt: '0',
    });
    expect(await buckets(customer)).toEqual({
      daily_free: '50',
      promotional: '200',
      monthly_plan: '3000',
      purchased: '0',
    });
    await expectSoundBooks(gateway.database, customer.id);
  });

  it('tells how each of its buckets refreshes', async () => {
    const customer = await aCustomer(gateway);
    const began = expect.stringMatching(/^2040-03-10T10:00:/);
    const refreshes = (await wallet(customer)).buckets.map(({ key, refresh }) => [key, refresh]);
    expect(refreshes).toEqual([
      ['daily_free', { interval: 'DAY', amount: '50', lastRefreshedAt: began, nextRefreshAt: MIDNIGHT }],
      ['promotional', null],
      [
        'monthly_plan',
        { interval: 'MONTH', amount: '3000', lastRefreshedAt: began, nextRefreshAt: '2040-04-10T00:00:00.000Z' },
      ],
      ['purchased', null],
    ]);
  });

  it('lists its active lots in burn order, and those that are used up apart from them', async () => {
    const customer = await aCustomer(gateway);
    await grant(gateway, customer.id, 'promotional', '200');
    await charged(customer.client, { usage: [{ meter: 'search', quantity: 60 }] });

    const active = (await lots(customer, true)).map(({ bucket, source, granted, remaining, expiresAt }) => [
      bucket.key,
      source,
      granted,
      remaining,
      expiresAt,
    ]);
    expect(active).toEqual([
      ['promotional', 'PROMOTION', '200', '190', expect.stringMatching(/^2040-06-08T10:00:/)],
      ['monthly_plan', 'PLAN_GRANT', '3000', '3000', '2040-04-10T00:00:00.000Z'],
    ]);
    expect((await lots(customer, false)).map(({ bucket, remaining }) => [bucket.key, remaining])).toEqual([
      ['daily_free', '0'],
    ]);
  });

  it('loses what is left of a day’s allowance at local midnight and gets the next', async () => {
    const customer = await aCustomer(gateway, { timeZone: 'America/New_York' });
    await charged(customer.client, { usage: [{ meter: 'search', quantity: 20 }] });
    expect(await buckets(customer)).toMatchObject({ daily_free: '30', monthly_plan: '3000' });

    await advanceTo(gateway, customer.id, '2040-03-11T05:00:00.000Z');

    expect(await buckets(customer)).toMatchObject({ daily_free: '50', monthly_plan: '3000' });
    expect(await history(customer, { from: '2040-03-11T05:00:00.000Z' })).toEqual([
      ['EXPIRY', '-30'],
      ['ALLOWANCE', '50'],
    ]);
    await expectSoundBooks(gateway.database, customer.id);
  });

  it('tells every change of its balance live', async () => {
    const customer = await aCustomer(gateway);
    await using live = await watchBalance(gateway, customer);
    await charged(customer.client, { usage: [{ meter: 'crawl', quantity: 4 }] });
    expect(await nextChange(live)).toEqual({ reasonCode: 'USAGE', change: '-8', totalAvailable: '3042', held: '0' });
    await grant(gateway, customer.id, 'promotional', '200');
    expect(await nextChange(live)).toMatchObject({ reasonCode: 'GRANT', change: '200', totalAvailable: '3242' });
    await buy(customer.client, 'pack_1k');
    expect(await nextChange(live)).toMatchObject({ reasonCode: 'PURCHASE', change: '1000', totalAvailable: '4242' });
  });
});

describe('the ledger', () => {
  it('is filtered by time range, task, execution, direction and reason code', async () => {
    const customer = await aCustomer(gateway);
    const { client, id } = customer;
    const eleven = '2040-03-10T11:00:00.000Z';
    const noon = '2040-03-10T12:00:00.000Z';
    await charged(client, { usage: [{ meter: 'search', quantity: 3 }], taskId: 'task-1', executionId: 'run-1' });
    await advanceTo(gateway, id, eleven);
    const crawl = { usage: [{ meter: 'crawl', quantity: 5 }], taskId: 'task-1', executionId: 'run-2' };
    const { transaction } = await charged(client, { ...crawl, reasonCode: 'CRAWL' });
    await advanceTo(gateway, id, noon);
    await charged(client, { usage: [{ meter: 'scrape', quantity: 7 }], taskId: 'task-2', executionId: 'run-3' });
    as('RefundPayload', await refund(client, transaction.id, '4'));

    const all = await history(customer);
    expect(all).toEqual([
      ['ALLOWANCE', '50'],
      ['PLAN_GRANT', '3000'],
      ['USAGE', '-3'],
      ['CRAWL', '-10'],
      ['USAGE', '-7'],
      ['REFUND', '4'],
    ]);
    expect(await history(customer, { from: eleven, to: noon })).toEqual([['CRAWL', '-10']]);
    expect(await history(customer, { from: noon })).toEqual([all[4], all[5]]);
    expect(await history(customer, { to: eleven })).toEqual(all.slice(0, 3));
    // A refund belongs to the task and execution that it gives back to.
    expect(await history(customer, { taskId: 'task-1' })).toEqual([all[2], all[3], all[5]]);
    expect(await history(customer, { executionId: 'run-2' })).toEqual([all[3], all[5]]);
    expect(await history(customer, { taskId: 'task-1', executionId: 'run-3' })).toEqual([]);
    expect(await history(customer, { direction: 'CREDIT' })).toEqual([all[0], all[1], all[5]]);
    expect(await history(customer, { direction: 'DEBIT', taskId: 'task-1' })).toEqual([all[2], all[3]]);
    expect(await history(customer, { reasonCodes: ['CRAWL', 'REFUND'] })).toEqual([all[3], all[5]]);
    await expectSoundBooks(gateway.database, id);
  });
});

describe('plans', () => {
  it('show everybody what they allocate and what they cost, in cents', async () => {
    const { plans } = await gateway.as().run(ScenarioOffersDocument, {});
    expect(plans.map(({ key, interval, price, allowances }) => ({ key, interval, price, allowances }))).toEqual([
      {
        key: 'free',
        interval: 'MONTH',
        price: { amountMinor: 0, currency: 'USD' },
        allowances: [
          { bucketKey: 'daily_free', interval: 'DAY', credits: '50' },
          { bucketKey: 'monthly_plan', interval: 'MONTH', credits: '3000' },
        ],
      },
      {
        key: 'team',
        interval: 'MONTH',
        price: { amountMinor: 4900, currency: 'USD' },
        allowances: [
          { bucketKey: 'daily_free', interval: 'DAY', credits: '200' },
          { bucketKey: 'monthly_plan', interval: 'MONTH', credits: '50000' },
        ],
      },
    ]);
  });

  it('are selected with write scope and by no other key', async () => {
    const customer = await aCustomer(gateway, { plan: null });
    for (const scope of ['USAGE_WRITE', 'BILLING_READ'] as const) {
      const client = gateway.as(await anApiKey(gateway, customer.id, scope));
      await expect(selectPlan(client, 'free'), scope).rejects.toThrow('FORBIDDEN');
    }
    expect(await wallet(customer)).toMatchObject({ totalAvailable: '0', sequence: 0 });

    const writer = gateway.as(await anApiKey(gateway, customer.id, 'BILLING_WRITE'));
    expect(await selectPlan(writer, 'free')).toMatchObject({
      __typename: 'SelectPlanPayload',
      subscription: { status: 'ACTIVE', plan: { key: 'free' } },
      purchase: null,
      wallet: { totalAvailable: '3050' },
    });
  });

  it('and the wallet are read with read scope, which charges nothing', async () => {
    const customer = await aCustomer(gateway);
    const { slug, id } = customer;
    const account = async (scope: 'USAGE_WRITE' | 'BILLING_READ' | 'BILLING_WRITE') => {
      const { organization } = await gateway
        .as(await anApiKey(gateway, id, scope))
        .run(ScenarioAccountDocument, { slug });
      return organization;
    };
    const readable = {
      name: slug,
      subscription: { status: 'ACTIVE', plan: { key: 'free' } },
      wallet: { totalAvailable: '3050' },
    };
    expect(await account('BILLING_READ')).toEqual(readable);
    expect(await account('BILLING_WRITE')).toEqual(readable);
    expect(await account('USAGE_WRITE')).toEqual({ name: slug, subscription: null, wallet: null });

    const reader = gateway.as(await anApiKey(gateway, id, 'BILLING_READ'));
    await expect(charged(reader, { amount: '1' })).rejects.toThrow('FORBIDDEN');
    expect(await wallet(customer)).toMatchObject({ totalAvailable: '3050', sequence: 2 });
  });
});

describe('charge points', () => {
  it.each<[string, UsageInput, string, string]>([
    ['a search', { meter: 'search' }, '1', '1 credits per search'],
    ['every URL processed', { meter: 'crawl', quantity: 30 }, '60', '2 credits per URL'],
    [
      'a URL in the discovery phase',
      { meter: 'crawl', quantity: 30, dimensions: { phase: 'discover' } },
      '15',
      '0.5 credits per URL',
    ],
    [
      'a URL in the rendering phase',
      { meter: 'crawl', quantity: 30, dimensions: { phase: 'render' } },
      '90',
      '3 credits per URL',
    ],
    ['a retry', { meter: 'crawl', quantity: 3, dimensions: { retry: true } }, '3', '1 credits per URL'],
    [
      'a retry in the discovery phase',
      { meter: 'crawl', quantity: 3, dimensions: { phase: 'discover', retry: true } },
      '0.75',
      '0.25 credits per URL',
    ],
    [
      'a retry in the rendering phase',
      { meter: 'crawl', quantity: 3, dimensions: { phase: 'render', retry: true } },
      '4.5',
      '1.5 credits per URL',
    ],
    ['a scrape', { meter: 'scrape', quantity: 4 }, '4', '1 credits per page'],
    ['a simple action', { meter: 'scrape', quantity: 4, dimensions: { complexity: 'low' } }, '4', '1 credits per page'],
    [
      'a common action',
      { meter: 'scrape', quantity: 4, dimensions: { complexity: 'medium' } },
      '10',
      '2.5 credits per page',
    ],
    [
      'an elaborate action',
      { meter: 'scrape', quantity: 4, dimensions: { complexity: 'high' } },
      '20',
      '5 credits per page',
    ],
    ['a call of the API', { meter: 'api_call', quantity: 25 }, '2.5', '0.1 credits per call'],
  ])('cost what the rate card says: %s', async (_what, line, credits, rate) => {
    const customer = await aCustomer(gateway);
    const { client } = customer;
    expect(await estimate(client, [line])).toMatchObject({ credits, affordable: true, lines: [{ rate, credits }] });
    const { usage, transaction, availableCredits } = await charged(client, { usage: [line] });
    expect(usage).toMatchObject({ credits, lines: [{ meter: line.meter, rate, credits, waivedCredits: '0' }] });
    expect(transaction.amount).toBe(`-${credits}`);
    expect(availableCredits).toBe(String(3050 - Number(credits)));
    await expectSoundBooks(gateway.database, customer.id);
  });

  it('charge every phase of a multi-step execution, which its task and execution bring together', async () => {
    const customer = await aCustomer(gateway);
    const { client } = customer;
    const execution = { taskId: 'catalogue', executionId: 'night-1' };
    const phases: [UsageInput[], string][] = [
      [[{ meter: 'crawl', quantity: 100, dimensions: { phase: 'discover' } }], '50'],
      [
        [
          { meter: 'crawl', quantity: 20, dimensions: { phase: 'render' } },
          { meter: 'crawl', quantity: 5, dimensions: { phase: 'render', retry: true } },
        ],
        '67.5',
      ],
      [[{ meter: 'scrape', quantity: 20, dimensions: { complexity: 'high' } }], '100'],
    ];
    for (const [usage, credits] of phases) {
      expect((await charged(client, { ...execution, usage })).usage.credits).toBe(credits);
    }
    const entries = await ledger(customer, { executionId: 'night-1' });
    expect(entries.map(({ taskId, meter, amount, bucket }) => [taskId, meter, bucket?.key, amount])).toEqual([
      ['catalogue', 'crawl', 'daily_free', '50'],
      ['catalogue', 'crawl', 'monthly_plan', '67.5'],
      ['catalogue', 'scrape', 'monthly_plan', '100'],
    ]);
    expect((await wallet(customer)).totalAvailable).toBe('2832.5');
  });

  it('draw from one wallet at different rates', async () => {
    const customer = await aCustomer(gateway);
    const balances: string[] = [];
    for (const meter of ['search', 'crawl', 'scrape', 'api_call']) {
      const { availableCredits } = await charged(customer.client, { usage: [{ meter, quantity: 10 }] });
      balances.push(availableCredits);
    }
    expect(balances).toEqual(['3040', '3020', '3010', '3009']);
    const together = ['search', 'crawl', 'scrape', 'api_call'].map((meter) => ({ meter, quantity: 10 }));
    const { usage, availableCredits } = await charged(customer.client, { usage: together });
    expect(usage.lines.map(({ credits }) => credits)).toEqual(['10', '20', '10', '1']);
    expect({ ...usage, availableCredits }).toMatchObject({ credits: '41', availableCredits: '2968' });
    expect((await wallet(customer)).totalAvailable).toBe('2968');
    await expectSoundBooks(gateway.database, customer.id);
  });
});

describe('previews', () => {
  it.each<[string, UsageInput, string]>([
    ['half a credit per URL', { meter: 'crawl', quantity: 8 }, '4'],
    ['whatever the phase', { meter: 'crawl', quantity: 8, dimensions: { phase: 'render' } }, '4'],
    ['at least half a credit for pages', { meter: 'scrape', quantity: 2 }, '0.5'],
    ['a tenth of a credit for many pages', { meter: 'scrape', quantity: 20 }, '2'],
  ])('cost by their own rates: %s', async (_what, line, credits) => {
    const { client } = await aCustomer(gateway);
    const preview = { ...line, preview: true };
    expect(await estimate(client, [preview])).toMatchObject({ credits });
    expect((await charged(client, { usage: [preview] })).usage).toMatchObject({
      credits,
      lines: [{ preview: true, credits }],
    });
  });

  it('of a search are free ten times a month, and then a fifth of a credit each', async () => {
    const customer = await aCustomer(gateway);
    const { client } = customer;
    const previews = (quantity: number) => [{ meter: 'search', quantity, preview: true }];
    const rate = '0.2 credits per search, free until 10 search';

    expect((await charged(client, { usage: previews(6) })).usage).toMatchObject({ credits: '0', lines: [{ rate }] });
    // Searches themselves take nothing off the free previews.
    await charged(client, { usage: [{ meter: 'search', quantity: 5 }] });
    expect(await estimate(client, previews(6))).toMatchObject({ credits: '0.4' });
    expect((await charged(client, { usage: previews(6) })).usage.credits).toBe('0.4');
    expect((await charged(client, { usage: previews(1) })).usage.credits).toBe('0.2');

    await advanceTo(gateway, customer.id, '2040-04-10T00:00:00.000Z');
    expect((await charged(client, { usage: previews(11) })).usage.credits).toBe('0.2');
    await expectSoundBooks(gateway.database, customer.id);
  });

  it('are free ten times and no more, however many are charged at once', async () => {
    const customer = await aCustomer(gateway);
    const usage = [{ meter: 'search', preview: true }];
    const answers = await Promise.all(Array.from({ length: 30 }, () => charged(customer.client, { usage })));
    const prices = answers.map((answer) => answer.usage.credits).toSorted();
    expect(prices).toEqual([...Array(10).fill('0'), ...Array(20).fill('0.2')]);
    expect((await wallet(customer)).totalAvailable).toBe('3046');
    await expectSoundBooks(gateway.database, customer.id);
  });

  it('of the API cost nothing: they are recorded and the ledger stays as it is', async () => {
    const customer = await aCustomer(gateway);
    const { transaction } = await charged(customer.client, {
      usage: [{ meter: 'api_call', quantity: 100, preview: true }],
    });
    const { node } = await customer.client.run(ScenarioTransactionDocument, { id: transaction.id });
    expect(node).toMatchObject({
      amount: '0',
      lines: [{ meter: 'api_call', quantity: '100', preview: true, credits: '0' }],
      entries: [],
    });
    expect(await wallet(customer)).toMatchObject({ totalAvailable: '3050', sequence: 2, version: 2 });
  });
});

describe('refunds', () => {
  it('give back to the lots that were spent, last spent first, and never more than was charged', async () => {
    const customer = await aCustomer(gateway);
    const { client } = customer;
    const { transaction } = await charged(client, { usage: [{ meter: 'search', quantity: 80 }] });
    expect(await buckets(customer)).toMatchObject({ daily_free: '0', monthly_plan: '2970' });

    expect(as('RefundPayload', await refund(client, transaction.id, '40'))).toMatchObject({
      transaction: { kind: 'REFUND', amount: '40' },
      availableCredits: '3010',
    });
    expect(await buckets(customer)).toMatchObject({ daily_free: '10', monthly_plan: '3000' });
    expect(await refund(client, transaction.id, '40.000001')).toMatchObject({
      __typename: 'RefundExceedsOriginal',
      refundableCredits: '40',
      httpStatus: 409,
    });
    expect(as('RefundPayload', await refund(client, transaction.id)).transaction.amount).toBe('40');
    expect(await buckets(customer)).toMatchObject({ daily_free: '50', monthly_plan: '3000' });
    const { node } = await client.run(ScenarioTransactionDocument, { id: transaction.id });
    expect(node).toMatchObject({ amount: '-80', refundedAmount: '80' });
    await expectSoundBooks(gateway.database, customer.id);
  });

  it('of credits that have expired come in a new lot with the catalog’s 30 days of grace', async () => {
    const customer = await aCustomer(gateway);
    const { client } = customer;
    const { transaction } = await charged(client, { usage: [{ meter: 'search', quantity: 30 }] });
    await advanceTo(gateway, customer.id, '2040-03-11T09:00:00.000Z');

    expect(as('RefundPayload', await refund(client, transaction.id)).transaction.entries).toEqual([
      {
        direction: 'CREDIT',
        amount: '30',
        reasonCode: 'REFUND',
        lot: { source: 'REFUND', expiresAt: expect.stringMatching(/^2040-04-10T09:00:/) },
        bucket: { key: 'daily_free' },
      },
    ]);
    expect(await buckets(customer)).toMatchObject({ daily_free: '80', monthly_plan: '3000' });
    await expectSoundBooks(gateway.database, customer.id);
  });

  it('need write scope', async () => {
    const customer = await aCustomer(gateway);
    const charger = gateway.as(await anApiKey(gateway, customer.id, 'USAGE_WRITE'));
    const { transaction } = await charged(charger, { amount: '5' });
    await expect(refund(charger, transaction.id)).rejects.toThrow('FORBIDDEN');
    expect((await wallet(customer)).totalAvailable).toBe('3045');
  });
});

describe('the end of the free plan', () => {
  const twoUrls: UsageInput[] = [{ meter: 'crawl', quantity: 2 }];

  it('is a refusal with what is required and what there is: nothing is charged beyond it', async () => {
    const customer = await aCustomer(gateway);
    await spendDownTo(customer, '3');
    const before = await wallet(customer);

    expect(await estimate(customer.client, twoUrls)).toMatchObject({
      credits: '4',
      affordable: false,
      blockedBy: { __typename: 'InsufficientCredits', requiredCredits: '4', availableCredits: '3' },
    });
    expect(await debit(customer.client, { usage: twoUrls })).toMatchObject({
      __typename: 'InsufficientCredits',
      requiredCredits: '4',
      availableCredits: '3',
      heldCredits: '0',
      httpStatus: 402,
    });
    expect(await wallet(customer)).toEqual(before);
    // What still fits is charged, to the last credit.
    expect((await charged(customer.client, { usage: [{ meter: 'scrape', quantity: 3 }] })).availableCredits).toBe('0');
    await expectSoundBooks(gateway.database, customer.id);
  });

  it('has no overdraft: debt is refused, and what a cap waives is owed by nobody', async () => {
    const customer = await aCustomer(gateway);
    await spendDownTo(customer, '3');
    const { plans } = await gateway.as().run(ScenarioOffersDocument, {});
    expect(plans.find(({ key }) => key === 'free')).toMatchObject({ overdraft: '0', price: { amountMinor: 0 } });

    expect(await debit(customer.client, { usage: twoUrls, overage: 'DEBT' })).toMatchObject({
      __typename: 'InsufficientCredits',
      requiredCredits: '4',
      availableCredits: '3',
    });
    expect(await wallet(customer)).toMatchObject({ totalAvailable: '3', debt: '0' });
    expect((await charged(customer.client, { usage: twoUrls, overage: 'CAP' })).usage).toMatchObject({
      credits: '3',
      lines: [{ credits: '3', waivedCredits: '1' }],
    });
    expect(await wallet(customer)).toMatchObject({ totalAvailable: '0', balance: '0', debt: '0' });
    await expectSoundBooks(gateway.database, customer.id);
  });

  it('is the beginning of the team plan: paid at a checkout, it renews by itself', async () => {
    const customer = await aCustomer(gateway);
    await spendDownTo(customer, '3');
    await subscribeTo(customer, 'team');
    // What was left of the free plan is replaced.
    expect(await buckets(customer)).toMatchObject({ daily_free: '200', monthly_plan: '50000' });
    await charged(customer.client, { usage: [{ meter: 'scrape', quantity: 1_000 }] });
    await advanceTo(gateway, customer.id, '2040-05-10T00:00:01.000Z');
    expect(await buckets(customer)).toMatchObject({ daily_free: '200', monthly_plan: '50000' });
    expect(await periodsPaid(customer)).toEqual(['PAID 4900', 'PAID 4900', 'PAID 4900']);
    await expectSoundBooks(gateway.database, customer.id);
  });

  it('lasts until the plan’s next credits, or a package', async () => {
    const customer = await aCustomer(gateway);
    await spendDownTo(customer, '0');
    await buy(customer.client, 'pack_10k');
    expect(await wallet(customer)).toMatchObject({ totalAvailable: '10500', purchasedCredits: '10500' });
    await advanceTo(gateway, customer.id, '2040-04-10T00:00:00.000Z');
    expect(await buckets(customer)).toMatchObject({ daily_free: '50', monthly_plan: '3000', purchased: '10500' });
  });
});

describe('the explanation of a charge', () => {
  it('names the rate of each line and the lots in burn order', async () => {
    const customer = await aCustomer(gateway);
    await grant(gateway, customer.id, 'promotional', '200');
    await buy(customer.client, 'pack_1k');
    await charged(customer.client, { usage: [{ meter: 'search', quantity: 40 }] });

    const { transaction } = await charged(customer.client, {
      usage: [
        { meter: 'crawl', quantity: 1_000 },
        { meter: 'scrape', quantity: 246, dimensions: { complexity: 'high' } },
      ],
    });

    expect(transaction.explanation).toMatchObject({
      rateCardVersion: 1,
      lines: [
        { meter: 'crawl', quantity: '1000', rate: '2 credits per URL', credits: '2000' },
        { meter: 'scrape', quantity: '246', rate: '5 credits per page', credits: '1230' },
      ],
      lots: [
        { taken: '10', lot: { source: 'ALLOWANCE', remaining: '0', bucket: { key: 'daily_free' } } },
        { taken: '200', lot: { source: 'PROMOTION', remaining: '0', bucket: { key: 'promotional' } } },
        { taken: '3000', lot: { source: 'PLAN_GRANT', remaining: '0', bucket: { key: 'monthly_plan' } } },
        { taken: '20', lot: { source: 'PURCHASE', remaining: '980', bucket: { key: 'purchased' } } },
      ],
      limits: [],
    });
    const reasons = transaction.explanation?.lots.map(({ reason }) => reason) ?? [];
    expect(reasons[0]).toBe(`daily_free burns at priority 10; the lot expires ${MIDNIGHT} and is free`);
    expect(reasons[3]).toBe('purchased burns at priority 40; the lot never expires and is paid');
    await expectSoundBooks(gateway.database, customer.id);
  });

  it('of a refusal names the rate and the lots that there were', async () => {
    const customer = await aCustomer(gateway);
    await grant(gateway, customer.id, 'promotional', '200');
    const refused = as(
      'InsufficientCredits',
      await debit(customer.client, { usage: [{ meter: 'crawl', quantity: 1_626 }] }),
    );
    expect(refused).toMatchObject({ requiredCredits: '3252', availableCredits: '3250' });
    expect(refused.explanation).toMatchObject({
      lines: [{ meter: 'crawl', rate: '2 credits per URL', credits: '3252' }],
      lots: [
        { taken: '0', lot: { bucket: { key: 'daily_free' } } },
        { taken: '0', lot: { bucket: { key: 'promotional' } } },
        { taken: '0', lot: { bucket: { key: 'monthly_plan' } } },
      ],
    });
  });

  it('is for those who read the wallet: the key that charged sees its lines and no lots', async () => {
    const customer = await aCustomer(gateway);
    const charger = gateway.as(await anApiKey(gateway, customer.id, 'USAGE_WRITE'));
    const answer = await charged(charger, { usage: [{ meter: 'search' }] });
    expect(answer).toMatchObject({
      usage: { credits: '1', lines: [{ rate: '1 credits per search' }] },
      availableCredits: '3049',
      wallet: null,
      transaction: { explanation: null },
    });
  });
});

describe('a monthly statement', () => {
  it('tells what came, what went and what it was used for, and stays as it is once the month is over', async () => {
    const customer = await aCustomer(gateway);
    await grant(gateway, customer.id, 'promotional', '200');
    await charged(customer.client, { usage: [{ meter: 'search', quantity: 40 }], taskId: 'survey' });
    const { transaction } = await charged(customer.client, { usage: [{ meter: 'crawl', quantity: 100 }] });
    await charged(customer.client, { usage: [{ meter: 'api_call', quantity: 5, preview: true }] });
    as('RefundPayload', await refund(customer.client, transaction.id, '5'));
    const [running] = await statementsOf(customer);
    expect(running).toMatchObject({ month: '2040-03', status: 'OPEN', opening: '0', closing: '3015', closedAt: null });

    await advanceTo(gateway, customer.id, '2040-04-01T00:00:00.000Z');

    const [april, march] = await statementsOf(customer, { year: 2040 });
    expect(march).toMatchObject({
      ...{ month: '2040-03', status: 'CLOSED', opening: '0', closing: '3015' },
      ...{ startsAt: '2040-03-01T00:00:00.000Z', endsAt: '2040-04-01T00:00:00.000Z' },
    });
    expect(lines(march?.credited ?? [])).toEqual([
      ['PLAN_GRANT', '3000', 1],
      ['GRANT', '200', 1],
      ['ALLOWANCE', '50', 1],
      ['REFUND', '5', 1],
    ]);
    expect(lines(march?.debited ?? [])).toEqual([['USAGE', '240', 3]]);
    expect(usageRows(march ?? { usage: [] })).toEqual([
      ['crawl', null, null, null, '100', '200', 1],
      ['search', null, null, null, '40', '40', 1],
      ['api_call', null, null, null, '5', '0', 1],
    ]);
    expect(april).toMatchObject({ month: '2040-04', status: 'OPEN', opening: '3015', usage: [] });
    await charged(customer.client, { usage: [{ meter: 'crawl', quantity: 9 }] });
    as('RefundPayload', await refund(customer.client, transaction.id, '7'));
    expect((await statementsOf(customer, { year: 2040, month: 3 }))[0]).toEqual(march);
    await expectSoundStatements(gateway, customer);
  });

  it('is read with read scope and not with the scope to charge', async () => {
    const customer = await aCustomer(gateway);
    const reader = gateway.as(await anApiKey(gateway, customer.id, 'BILLING_READ'));
    const charger = gateway.as(await anApiKey(gateway, customer.id, 'USAGE_WRITE'));
    expect(await statementsOf({ ...customer, client: reader })).not.toEqual([]);
    await expect(statementsOf({ ...customer, client: charger })).rejects.toThrow('no statements');
  });
});
