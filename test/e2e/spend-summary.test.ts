/** What tasks and executions have cost: charged, refunded and held, for those who read the books and for single keys. */
import { print } from 'graphql';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SpendSummaryDocument } from '../generated/documents.ts';
import { expectSoundBooks } from '../support/books.ts';
import { startTestGateway, type TestClient, type TestGateway } from '../support/gateway.ts';
import { advanceTo, anApiKey, anOrganization, type Given } from '../support/given.ts';
import { authorize, capture, charge, NOTHING, refund, summaryOf } from '../support/usage.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway();
});
afterAll(() => gateway[Symbol.asyncDispose]());

describe('a spend summary', () => {
  let organization: Given;
  let own: TestClient;
  let hold: string;

  beforeAll(async () => {
    organization = await anOrganization(gateway, { credits: { purchased: '1000' } });
    const { client, id } = organization;
    own = gateway.as(await anApiKey(gateway, id, 'USAGE_WRITE'));
    await advanceTo(gateway, id, '2040-06-11T12:00:00Z');
    const work = { taskId: 'task', executionId: 'run-1' };
    const mixed = await charge(client, {
      usage: [{ meter: 'crawl', quantity: 2 }, { meter: 'search' }, { meter: 'search', quantity: '2.5' }],
      ...{ ...work, occurredAt: '2040-06-10T00:00:00.001Z' },
    });
    const amount = await charge(own, { amount: '4', ...work, occurredAt: '2040-06-11T00:00:00Z' });
    await charge(own, { usage: [{ meter: 'read' }], taskId: 'task', occurredAt: '2040-06-11T08:00:00Z' });
    await charge(client, { amount: '50', taskId: 'other task', executionId: 'run-1' });
    await refund(client, { transactionId: mixed, amount: '1.25' });
    await refund(client, { transactionId: amount, amount: '3' });
    hold = await authorize(own, { usage: [{ meter: 'search', quantity: 9 }], ...work, expiresInSeconds: 600 });
    await capture(own, { holdId: hold, usage: [{ meter: 'search', quantity: 2 }], final: false });
    await authorize(client, { amount: '20', taskId: 'task', executionId: 'run-2', expiresInSeconds: 3_600 });
    await authorize(client, { amount: '70', taskId: 'other task' });
  });

  const row = (value: string | null, quantity: string | null, credits: string, events: number) => ({
    key: [{ dimension: 'METER', value }],
    quantity,
    credits,
    events,
  });

  it('adds up what a task was charged, got refunded and holds', async () => {
    const summary = await summaryOf(organization, { taskId: 'task' });
    expect(summary).toEqual({
      taskId: 'task',
      executionId: null,
      credits: '12.5',
      refunded: '4.25',
      held: '27',
      netCredits: '8.25',
      byMeter: [
        row('search', '5.5', '5.5', 3),
        row(null, null, '4', 1),
        row('crawl', '2', '3', 1),
        row('read', '1', '0', 1),
      ],
      firstAt: '2040-06-10T00:00:00.001Z',
      lastAt: summary.lastAt,
      transactions: 4,
    });
    expect(summary.lastAt).toMatch(/^2040-06-11T12:0/);
  });

  it('is of an execution, or of an execution of a task', async () => {
    expect(await summaryOf(organization, { executionId: 'run-1' })).toMatchObject({
      ...{ taskId: null, executionId: 'run-1', credits: '62.5', refunded: '4.25', held: '7', transactions: 4 },
    });
    expect(await summaryOf(organization, { taskId: 'task', executionId: 'run-1' })).toMatchObject({
      ...{ taskId: 'task', executionId: 'run-1', credits: '12.5', refunded: '4.25', held: '7', transactions: 3 },
    });
    expect(await summaryOf(organization, { taskId: 'task', executionId: 'run-2' })).toMatchObject({
      ...NOTHING,
      held: '20',
    });
  });

  it('shows a key without billing:read its own calls only', async () => {
    const mine = await summaryOf({ client: own, slug: organization.slug }, { taskId: 'task' });
    expect(mine).toMatchObject({
      ...{ credits: '6', refunded: '3', held: '7', netCredits: '3', transactions: 3 },
      byMeter: [row(null, null, '4', 1), row('search', '2', '2', 1), row('read', '1', '0', 1)],
      firstAt: '2040-06-11T00:00:00.000Z',
    });
    const stranger = gateway.as(await anApiKey(gateway, organization.id, 'USAGE_WRITE'));
    expect(await summaryOf({ client: stranger, slug: organization.slug }, { taskId: 'task' })).toMatchObject(NOTHING);
    const reader = gateway.as(await anApiKey(gateway, organization.id, 'USAGE_WRITE', 'BILLING_READ'));
    expect(await summaryOf({ client: reader, slug: organization.slug }, { taskId: 'task' })).toMatchObject({
      credits: '12.5',
    });
  });

  it('is zero for work that nobody knows', async () => {
    expect(await summaryOf(organization, { taskId: 'none' })).toEqual({
      ...NOTHING,
      taskId: 'none',
      executionId: null,
    });
    expect(await summaryOf(organization, { executionId: 'x'.repeat(255) })).toMatchObject(NOTHING);
  });

  it.each([
    [{}, 'taskId'],
    [{ taskId: null, executionId: null }, 'taskId'],
    [{ taskId: '' }, 'taskId'],
    [{ taskId: 'x'.repeat(256) }, 'taskId'],
    [{ taskId: 'task', executionId: 'a\0' }, 'executionId'],
  ])('refuses %j', async (work, named) => {
    const { client, slug } = organization;
    const { data, errors } = await client.raw(print(SpendSummaryDocument), { slug, ...work });
    expect(data).toEqual({ organization: { spendSummary: null } });
    expect(errors).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT' } }]);
    expect(errors[0]?.message).toContain(named);
  });

  it('does not count a hold from the instant at which it lapses', async () => {
    await advanceTo(gateway, organization.id, '2040-06-11T12:30:00Z');
    expect(await summaryOf(organization, { taskId: 'task' })).toMatchObject({ credits: '12.5', held: '20' });
    await advanceTo(gateway, organization.id, '2040-06-12T12:30:00Z');
    expect(await summaryOf(organization, { taskId: 'task' })).toMatchObject({ credits: '12.5', held: '0' });
    await expectSoundBooks(gateway.database, organization.id);
  });
});
