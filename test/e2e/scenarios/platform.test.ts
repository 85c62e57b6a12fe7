/** Scenario 5: packages, tokens and infrastructure metering, on catalogs/platform.yaml. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeId } from '../../../src/graphql/ids.ts';
import { collectPayments } from '../../../src/jobs/collect-payments.ts';
import {
  AdjustBalanceDocument,
  AlertsDocument,
  AutoTopUpStateDocument,
  BeginPurchaseDocument,
  ConfigureAutoTopUpDocument,
  LowBalanceDocument,
  OffersDocument,
  PurchaseDetailDocument,
  type UsageInput,
} from '../../generated/documents.ts';
import { expectSoundBooks } from '../../support/books.ts';
import type { TestGateway } from '../../support/gateway.ts';
import { advanceTo, aKey, type Given } from '../../support/given.ts';
import { tellPaid } from '../../support/purchases.ts';
import { expectSoundStatements, lines, statementsOf, usageRows } from '../../support/statements.ts';
import { anOwner, rowsOf } from '../../support/usage.ts';
import { firstAlertCursor } from '../cursors.ts';
import { subscribe } from '../streams.ts';
import { aCustomer, as, buy, charged, estimate, history, lots, refund, startScenario, wallet } from './play.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startScenario('platform');
});
afterAll(() => gateway[Symbol.asyncDispose]());

describe('packages', () => {
  it('give the more bonus the larger they are, with their effective value and cost per credit', async () => {
    const { packages } = await gateway.as().run(OffersDocument, {});
    expect(
      packages.map(({ key, credits, bonusCredits, totalCredits, bonusPercent, costPerCredit }) => [
        ...[key, credits, bonusCredits, totalCredits, bonusPercent, costPerCredit],
      ]),
    ).toEqual([
      ['starter', '1000', '0', '1000', '0', '0.01'],
      ['growth', '5000', '500', '5500', '10', '0.008182'],
      ['volume', '20000', '4000', '24000', '20', '0.006667'],
    ]);
  });
});

describe('a checkout', () => {
  it('of 20,000 + 4,000 credits them once though the callback came five times, with the instant and the user', async () => {
    const customer = await aCustomer(gateway);
    await anOwner(gateway, customer, 'demo-owner');
    const owner = gateway.as(gateway.demo.tokens.owner);
    const input = { organizationId: customer.id, packageId: encodeId('Package', 'volume'), idempotencyKey: aKey() };
    const begun = as('PurchasePayload', (await owner.run(BeginPurchaseDocument, { input })).purchasePackage).purchase;
    const id = begun?.id ?? '';
    expect((await wallet(customer)).purchasedCredits).toBe('0');

    expect(await tellPaid(gateway, id, 5)).toEqual([200, 200, 200, 200, 200]);
    expect(await wallet(customer)).toMatchObject({ purchasedCredits: '24000', totalAvailable: '24510' });
    expect((await lots(customer)).filter(({ bucket }) => bucket.key === 'purchased')).toMatchObject([
      { source: 'BONUS', granted: '4000' },
      { source: 'PURCHASE', granted: '20000' },
    ]);
    const { node } = await customer.client.run(PurchaseDetailDocument, { id });
    expect(node).toMatchObject({
      status: 'PAID',
      paidAt: expect.stringMatching(/^2040-03-10T10:/),
      actor: { __typename: 'User', email: 'demo-owner@demo.example' },
      entries: [
        { direction: 'CREDIT', amount: '20000', actor: { __typename: 'User', email: 'demo-owner@demo.example' } },
        { direction: 'CREDIT', amount: '4000' },
      ],
    });
    await expectSoundBooks(gateway.database, customer.id);
  });
});

describe('auto top-up', () => {
  it('buys the package by itself once usage leaves less than the threshold, and nothing before or after', async () => {
    const customer = await aCustomer(gateway);
    const { configureAutoTopUp } = await customer.client.run(ConfigureAutoTopUpDocument, {
      input: { enabled: true, threshold: '100', packageId: encodeId('Package', 'growth'), monthlyCeilingMinor: 10_000 },
    });
    expect(as('AutoTopUpPayload', configureAutoTopUp).autoTopUp).toMatchObject({
      enabled: true,
      suspendedReason: null,
    });
    const collect = () => collectPayments(gateway.gateway.services).run(new AbortController().signal);
    // 510 come with the plan.
    await charged(customer.client, { usage: [{ meter: 'compute.seconds', quantity: 80_000 }] });
    await collect();
    expect((await wallet(customer)).totalAvailable).toBe('110');
    await charged(customer.client, { usage: [tokens('input', 'large', 10_000)] });
    expect((await wallet(customer)).totalAvailable).toBe('90');
    await collect();
    await collect();
    const { organization } = await customer.client.run(AutoTopUpStateDocument, { slug: customer.slug });
    expect(organization).toMatchObject({
      wallet: { totalAvailable: '5590', purchasedCredits: '5500' },
      autoTopUp: {
        spentThisMonth: { amountMinor: 4_500, currency: 'USD' },
        monthlyCeiling: { amountMinor: 10_000, currency: 'USD' },
      },
      purchases: { edges: [{ node: { kind: 'AUTO_TOP_UP', status: 'PAID', credits: '5000', bonusCredits: '500' } }] },
    });
    await expectSoundBooks(gateway.database, customer.id);
  });
});

describe('the low-balance alert', () => {
  it('of the plan tells once below its configured minimum, and that a package has resolved it', async () => {
    const customer = await aCustomer(gateway);
    const { organization } = await customer.client.run(AlertsDocument, { slug: customer.slug });
    expect(organization?.alerts).toMatchObject([{ threshold: '50', fromPlan: true, state: 'ARMED' }]);
    // 510 come with the plan.
    await charged(customer.client, { usage: [{ meter: 'compute.seconds', quantity: 92_000 }] });
    await charged(customer.client, { usage: [{ meter: 'compute.seconds', quantity: 200 }] });
    await charged(customer.client, { usage: [{ meter: 'compute.seconds', quantity: 200 }] });
    await buy(customer.client, 'starter');
    await using live = subscribe('sse', gateway, customer.secret, LowBalanceDocument, {
      organizationId: customer.id,
      after: await firstAlertCursor(customer),
    });
    const events = await live.take(2);
    expect(events.map(({ lowBalance }) => lowBalance)).toMatchObject([
      { transition: 'TRIGGERED', threshold: '50', totalAvailable: '49', runway: { creditsPerDay: '462' } },
      { transition: 'RESOLVED', threshold: '50', totalAvailable: '1048' },
    ]);
  });
});

describe('rates', () => {
  it.each<[string, UsageInput, string]>([
    ['tokens sent to any model', { meter: 'ai.input_tokens', quantity: 10_000 }, '2.5'],
    ['tokens written by the large model', tokens('output', 'large', 1_500), '12'],
    ['tokens sent to the small model', tokens('input', 'small', 10_000), '1'],
    ['tokens that the small model embeds', tokens('input', 'small', 10_000, 'embed'), '0.2'],
    ['tokens that the large model embeds', tokens('input', 'large', 10_000, 'embed'), '20'],
    ['compute by second', { meter: 'compute.seconds', quantity: 3_600 }, '18'],
    ['storage by GB-hour, cheaper beyond 10,000', { meter: 'storage.gb_hours', quantity: 15_000 }, '12'],
    ['bandwidth by GB', { meter: 'bandwidth.gb', quantity: '2.5' }, '1.5'],
    ['data operations by the million', { meter: 'data.operations', quantity: 4_000_000 }, '6'],
    ['a single data operation', { meter: 'data.operations', quantity: 1 }, '0.000002'],
  ])('charge %s', async (_what, usage, credits) => {
    const { client } = await aCustomer(gateway);
    expect(await estimate(client, [usage])).toMatchObject({ credits, affordable: true });
    expect((await charged(client, { usage: [usage] })).usage.credits).toBe(credits);
  });

  it('price storage on from where the billing period stands', async () => {
    const { client } = await aCustomer(gateway);
    const storage = { meter: 'storage.gb_hours', quantity: 9_000 };
    expect((await charged(client, { usage: [storage] })).usage.credits).toBe('9');
    expect((await charged(client, { usage: [storage] })).usage.credits).toBe('4.2');
  });
});

function tokens(way: 'input' | 'output', model: string, quantity: number, operation = 'chat'): UsageInput {
  return { meter: `ai.${way}_tokens`, quantity, dimensions: { model, operation } };
}

describe('a month of usage', () => {
  const MARCH = { from: '2040-03-01T00:00:00Z', to: '2040-04-01T00:00:00Z' };
  let customer: Given;
  let users: Record<'ann' | 'bob', string>;

  beforeAll(async () => {
    customer = await aCustomer(gateway);
    users = {
      ann: await anOwner(gateway, customer, 'demo-owner'),
      bob: await anOwner(gateway, customer, 'demo-admin'),
    };
    await buy(customer.client, 'starter');
    const { client } = customer;
    await charged(client, {
      userId: users.ann,
      usage: [tokens('input', 'large', 10_000), tokens('output', 'large', 2_000)],
    });
    await charged(client, { userId: users.ann, usage: [tokens('input', 'small', 50_000, 'embed')] });
    await charged(client, { userId: users.bob, usage: [tokens('input', 'small', 20_000)] });
    await charged(client, {
      usage: [
        { meter: 'compute.seconds', quantity: 3_600 },
        { meter: 'storage.gb_hours', quantity: 12_000 },
        { meter: 'bandwidth.gb', quantity: 5 },
        { meter: 'data.operations', quantity: 2_000_000 },
      ],
    });
  });

  it('is told by type, with quantities and costs', async () => {
    expect((await rowsOf(customer, { ...MARCH, groupBy: ['METER'] })).toSorted()).toEqual([
      ['ai.input_tokens', '80000', '23', 3],
      ['ai.output_tokens', '2000', '16', 1],
      ['bandwidth.gb', '5', '3', 1],
      ['compute.seconds', '3600', '18', 1],
      ['data.operations', '2000000', '3', 1],
      ['storage.gb_hours', '12000', '10.8', 1],
    ]);
  });

  it('tells AI tokens per model, operation and user', async () => {
    const rows = await rowsOf(customer, {
      ...MARCH,
      groupBy: ['MODEL', 'OPERATION', 'USER'],
      filter: { meters: ['ai.input_tokens'] },
    });
    expect(rows.toSorted()).toEqual([
      ['large', 'chat', users.ann, '10000', '20', 1],
      ['small', 'chat', users.bob, '20000', '2', 1],
      ['small', 'embed', users.ann, '50000', '1', 1],
    ]);
  });

  it('is summed up by its statement, by type, quantity and cost, and found by year and month', async () => {
    await advanceTo(gateway, customer.id, '2040-04-02T00:00:00.000Z');
    const [march, ...others] = await statementsOf(customer, { year: 2040, month: 3 });
    expect(others).toEqual([]);
    expect(march).toMatchObject({ month: '2040-03', status: 'CLOSED', opening: '0', closing: '1436.2' });
    expect(lines(march?.credited ?? [])).toEqual([
      ['PURCHASE', '1000', 1],
      ['PLAN_GRANT', '500', 1],
      ['ALLOWANCE', '10', 1],
    ]);
    expect(lines(march?.debited ?? []).map(([reason, credits]) => [reason, credits])).toEqual([['USAGE', '73.8']]);
    expect(usageRows(march ?? { usage: [] }).toSorted()).toEqual([
      ['ai.input_tokens', 'large', users.ann, null, '10000', '20', 1],
      ['ai.input_tokens', 'small', users.ann, null, '50000', '1', 1],
      ['ai.input_tokens', 'small', users.bob, null, '20000', '2', 1],
      ['ai.output_tokens', 'large', users.ann, null, '2000', '16', 1],
      ['bandwidth.gb', null, null, null, '5', '3', 1],
      ['compute.seconds', null, null, null, '3600', '18', 1],
      ['data.operations', null, null, null, '2000000', '3', 1],
      ['storage.gb_hours', null, null, null, '12000', '10.8', 1],
    ]);
    await expectSoundStatements(gateway, customer);
  });

  it('leaves a complete history of purchases, usage, refunds and manual adjustments', async () => {
    const other = await aCustomer(gateway);
    await buy(other.client, 'growth');
    const { transaction } = await charged(other.client, { usage: [{ meter: 'bandwidth.gb', quantity: 10 }] });
    as('RefundPayload', await refund(other.client, transaction.id, '2'));
    const { adjustBalance } = await gateway.as(gateway.demo.tokens.operator).run(AdjustBalanceDocument, {
      input: {
        organizationId: other.id,
        bucketKey: 'purchased',
        credits: '-1.5',
        reason: 'metered twice',
        idempotencyKey: aKey(),
      },
    });
    as('AdjustPayload', adjustBalance);
    expect(await history(other)).toEqual([
      ['ALLOWANCE', '10'],
      ['PLAN_GRANT', '500'],
      ['PURCHASE', '5000'],
      ['BONUS', '500'],
      ['USAGE', '-6'],
      ['REFUND', '2'],
      ['ADJUSTMENT', '-1.5'],
    ]);
    expect((await wallet(other)).totalAvailable).toBe('6004.5');
    await expectSoundBooks(gateway.database, other.id);
  });
});
