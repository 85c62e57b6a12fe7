/** Runway: how fast credits are spent and how long they will last, expiries and refreshes considered. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DebitDocument, LowBalanceDocument, RunwayDocument, SetAlertDocument } from '../generated/documents.ts';
import { startTestGateway, type TestClient, type TestGateway } from '../support/gateway.ts';
import { advanceTo, aKey, anOrganization, type Given, grant } from '../support/given.ts';
import { firstAlertCursor } from './cursors.ts';
import { subscribe } from './streams.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway();
});
afterAll(() => gateway[Symbol.asyncDispose]());

const NOON = '2040-03-10T12:00:00.000Z';
const DAY = 86_400_000;

async function debit(client: TestClient, amount: string, occurredAt?: string): Promise<void> {
  const input = { idempotencyKey: aKey(), amount, ...(occurredAt === undefined ? {} : { occurredAt }) };
  expect((await client.run(DebitDocument, { input })).debit.__typename).toBe('DebitPayload');
}

async function runwayOf({ client, slug }: Given) {
  const { organization } = await client.run(RunwayDocument, { slug });
  if (!organization?.wallet) throw new Error('no wallet');
  return { ...organization.wallet.runway, available: organization.wallet.totalAvailable };
}

/** Between what it was before and after reading, by the organization's clock, that moves meanwhile. */
async function expectDepletion(organization: Given, days: number): Promise<void> {
  const nowOf = async () =>
    Date.parse((await organization.client.run(RunwayDocument, { slug: organization.slug })).organization?.now ?? '');
  const before = await nowOf();
  const { depletesAt } = await runwayOf(organization);
  const after = await nowOf();
  const end = Date.parse(depletesAt ?? 'never');
  expect(end).toBeGreaterThanOrEqual(Math.floor(before + days * DAY));
  expect(end).toBeLessThanOrEqual(Math.ceil(after + days * DAY) + 1);
}

describe('a wallet’s runway', () => {
  it('is what was spent on its first day, and what is left at that rate', async () => {
    const organization = await anOrganization(gateway, { now: NOON, credits: { purchased: '100' } });
    await debit(organization.client, '30');
    await debit(organization.client, '10');
    expect(await runwayOf(organization)).toMatchObject({ creditsPerDay: '40', available: '60' });
    await expectDepletion(organization, 1.5);
  });

  it('weighs newer days more, by when the work was done', async () => {
    const organization = await anOrganization(gateway, { now: NOON, credits: { purchased: '1000' } });
    await advanceTo(gateway, organization.id, '2040-03-11T00:00:00.000Z');
    await debit(organization.client, '30', '2040-03-10T18:00:00.000Z');
    await debit(organization.client, '90', '2040-03-09T18:00:00.000Z');
    const { creditsPerDay } = await runwayOf(organization);
    // Yesterday weighs more than the day before: below the mean of 60; today has hardly begun.
    expect(Number(creditsPerDay)).toBeGreaterThan(55);
    expect(Number(creditsPerDay)).toBeLessThan(60);
  });

  it('knows nothing of what was spent more than 30 days ago, except that it is no young wallet', async () => {
    const organization = await anOrganization(gateway, { now: NOON, credits: { purchased: '1000' } });
    await debit(organization.client, '100');
    await advanceTo(gateway, organization.id, '2040-04-20T12:00:00.000Z');
    expect(await runwayOf(organization)).toMatchObject({ creditsPerDay: '0', depletesAt: null });
    await debit(organization.client, '10');
    const { creditsPerDay } = await runwayOf(organization);
    expect(Number(creditsPerDay)).toBeGreaterThan(0);
    expect(Number(creditsPerDay)).toBeLessThan(2);
  });

  it('does not count credits that expire before they would be used', async () => {
    const organization = await anOrganization(gateway, { now: NOON, credits: { purchased: '70' } });
    await grant(gateway, organization.id, 'promotional', '100', '2040-03-13T12:00:00.000Z');
    await debit(organization.client, '10');
    // 90 promotional credits are left, of which the next three days use 30.
    const { depletesAt } = await runwayOf(organization);
    expect(Date.parse(depletesAt ?? '')).toBe(Date.parse('2040-03-20T12:00:00.000Z'));
  });

  it('counts the allowances that will refresh', async () => {
    const organization = await anOrganization(gateway, { now: NOON, plan: 'free' });
    await debit(organization.client, '50');
    expect(await runwayOf(organization)).toMatchObject({ creditsPerDay: '50', depletesAt: null });
    await debit(organization.client, '1950');
    expect(Number((await runwayOf(organization)).creditsPerDay)).toBe(2000);
    await expectDepletion(organization, 0.05);
  });

  it('is nothing where nothing was ever spent, and over where nothing is left', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '100' } });
    expect(await runwayOf(organization)).toMatchObject({ creditsPerDay: '0', depletesAt: null });
    await debit(organization.client, '100');
    await expectDepletion(organization, 0);
  });

  it('is not changed by refunds', async () => {
    const organization = await anOrganization(gateway, { now: NOON, credits: { purchased: '100' } });
    const { client } = organization;
    const { debit: charged } = await client.run(DebitDocument, { input: { idempotencyKey: aKey(), amount: '20' } });
    if (charged.__typename !== 'DebitPayload') throw new Error('the charge was refused');
    await client.raw(
      `mutation { refund(input: { transactionId: "${charged.transaction.id}", idempotencyKey: "${aKey()}" }) { __typename } }`,
    );
    expect(await runwayOf(organization)).toMatchObject({ creditsPerDay: '20', available: '100' });
  });

  it('stands in the events of alerts, as of reading', async () => {
    const organization = await anOrganization(gateway, { now: NOON, credits: { purchased: '100' } });
    await organization.client.run(SetAlertDocument, { input: { threshold: '50' } });
    await debit(organization.client, '60');
    await using live = subscribe('sse', gateway, organization.secret, LowBalanceDocument, {
      organizationId: organization.id,
      after: await firstAlertCursor(organization),
    });
    const { lowBalance } = await live.next();
    expect(lowBalance).toMatchObject({
      transition: 'TRIGGERED',
      totalAvailable: '40',
      runway: { creditsPerDay: '60' },
    });
    expect(Date.parse(lowBalance.runway.depletesAt ?? '')).toBeGreaterThan(Date.parse(NOON));
  });

  it('takes two statements whatever the number of wallets', async () => {
    for (let count = 0; count < 8; count++) await anOrganization(gateway, { credits: { purchased: '1' } });
    const operator = gateway.as(gateway.demo.tokens.operator);
    const statementsFor = async (first: number, selection: string) => {
      const ask = () =>
        operator.raw(`{ organizations(first: ${first}) { edges { node { wallet { ${selection} } } } } }`);
      await ask();
      gateway.statements.length = 0;
      expect((await ask()).errors).toEqual([]);
      return gateway.statements.length;
    };
    const without = await statementsFor(10, 'id');
    expect(await statementsFor(10, 'id runway { creditsPerDay depletesAt }')).toBe(without + 2);
    expect(await statementsFor(2, 'id runway { creditsPerDay depletesAt }')).toBe(without + 2);
  });
});
