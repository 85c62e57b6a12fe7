/** Selecting a free plan: the subscription and its first allowances. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeId, encodeId } from '../../src/graphql/ids.ts';
import {
  CreateOrganizationDocument,
  DebitDocument,
  SelectPlanDocument,
  type SelectPlanInput,
  type SelectPlanMutation,
} from '../generated/documents.ts';
import { expectSoundBooks, query } from '../support/books.ts';
import { startTestGateway, type TestClient, type TestGateway } from '../support/gateway.ts';
import { advanceTo, aKey, anApiKey } from '../support/given.ts';

let gateway: TestGateway;
let operator: TestClient;
beforeAll(async () => {
  gateway = await startTestGateway();
  operator = gateway.as(gateway.demo.tokens.operator);
});
afterAll(() => gateway[Symbol.asyncDispose]());

const FREE = encodeId('Plan', 'free');

/** An organization as it is created: without a subscription. */
async function anUnsubscribedOrganization(timeZone = 'UTC'): Promise<{ id: string; client: TestClient }> {
  const { createOrganization } = await operator.run(CreateOrganizationDocument, {
    input: { slug: `o-${aKey()}`, name: 'O', timeZone, testClock: true },
  });
  if (createOrganization.__typename !== 'OrganizationPayload') throw new Error(JSON.stringify(createOrganization));
  const { id } = createOrganization.organization;
  return { id, client: gateway.as(await anApiKey(gateway, id, 'MASTER')) };
}

async function select(
  client: TestClient,
  input: Partial<SelectPlanInput> = {},
): Promise<SelectPlanMutation['selectPlan']> {
  const chosen = { planId: FREE, idempotencyKey: aKey(), ...input };
  return (await client.run(SelectPlanDocument, { input: chosen })).selectPlan;
}

const debit = async (client: TestClient, amount: string) =>
  (await client.run(DebitDocument, { input: { idempotencyKey: aKey(), amount } })).debit;

describe('selecting a free plan', () => {
  it('begins the subscription at once and grants its allowances, which can be spent', async () => {
    const { id, client } = await anUnsubscribedOrganization();
    expect(await debit(client, '1')).toMatchObject({ __typename: 'SubscriptionRequired', status: null });
    const selected = await select(client);
    expect(selected).toMatchObject({
      __typename: 'SelectPlanPayload',
      replayed: false,
      purchase: null,
      subscription: { status: 'ACTIVE', plan: { key: 'free' } },
      wallet: {
        totalAvailable: '2100',
        subscriptionCredits: '2100',
        buckets: [
          { key: 'daily_free', available: '100', refresh: { interval: 'DAY', amount: '100' } },
          { key: 'promotional', available: '0', refresh: null },
          { key: 'monthly_plan', available: '2000', refresh: { interval: 'MONTH', amount: '2000' } },
          { key: 'purchased', available: '0', refresh: null },
        ],
      },
    });
    expect(await debit(client, '2100')).toMatchObject({ __typename: 'DebitPayload', availableCredits: '0' });
    await expectSoundBooks(gateway.database, id);
  });

  it('refreshes the allowances from then on, in the time zone of the organization', async () => {
    const { id, client } = await anUnsubscribedOrganization('Pacific/Auckland');
    const selected = await select(client);
    if (selected.__typename !== 'SelectPlanPayload') throw new Error(JSON.stringify(selected));
    const daily = selected.wallet?.buckets[0]?.refresh;
    await debit(client, '100');
    await advanceTo(gateway, id, String(daily?.nextRefreshAt));
    expect(await debit(client, '100')).toMatchObject({ availableCredits: '2000' });
    expect(new Date(String(daily?.nextRefreshAt)).toLocaleTimeString('en-GB', { timeZone: 'Pacific/Auckland' })).toBe(
      '00:00:00',
    );
  });

  it('with a key that was used gives the first answer again, and grants nothing twice', async () => {
    const { id, client } = await anUnsubscribedOrganization();
    const input = { idempotencyKey: aKey() };
    const first = await select(client, input);
    const again = await select(client, input);
    expect(first).toMatchObject({ replayed: false });
    expect(again).toEqual({ ...first, replayed: true });
    await expectSoundBooks(gateway.database, id);
  });

  it('is done once when it is asked for many times at once', async () => {
    const { id, client } = await anUnsubscribedOrganization();
    const answers = await Promise.all(Array.from({ length: 10 }, () => select(client)));
    const names = answers.map(({ __typename }) => __typename).toSorted();
    expect(names).toEqual([...Array(9).fill('Conflict'), 'SelectPlanPayload']);
    const grants = `SELECT count(*)::int AS grants FROM ledger_transaction t JOIN wallet w ON w.id = t.wallet_id
      WHERE w.organization_id = $1 AND t.kind = 'GRANT'`;
    expect(await query(gateway.database, grants, [decodeId('Organization', id)])).toEqual([{ grants: 2 }]);
  });

  it('is refused while there is a subscription, and possible again once it is canceled', async () => {
    const { id, client } = await anUnsubscribedOrganization();
    await select(client);
    expect(await select(client)).toMatchObject({ __typename: 'Conflict', currentState: 'ACTIVE', httpStatus: 409 });
    const cancel = `UPDATE plan_subscription SET status = 'CANCELED' WHERE organization_id = $1`;
    await query(gateway.database, cancel, [decodeId('Organization', id)]);
    expect(await debit(client, '1')).toMatchObject({ __typename: 'SubscriptionRequired', status: 'CANCELED' });
    expect(await select(client)).toMatchObject({ subscription: { status: 'ACTIVE' } });
    await expectSoundBooks(gateway.database, id);
  });

  it('leaves a record in the audit trail', async () => {
    const { client, id } = await anUnsubscribedOrganization();
    await select(client);
    const audited = `SELECT action, after ->> 'planKey' AS plan, request_id IS NOT NULL AS requested FROM audit_record
      WHERE organization_id = $1 AND action = 'selectPlan'`;
    expect(await query(gateway.database, audited, [decodeId('Organization', id)])).toEqual([
      { action: 'selectPlan', plan: 'free', requested: true },
    ]);
  });

  it.each<[string, Partial<SelectPlanInput>, object]>([
    ['the end of a period that there is not', { when: 'PERIOD_END' }, { path: ['when'] }],
    ['a plan that is not on sale', { planId: encodeId('Plan', 'gold') }, { __typename: 'NotFound' }],
    ['something that is no plan', { planId: encodeId('Package', 'starter') }, { __typename: 'NotFound' }],
    ['an empty key', { idempotencyKey: '' }, { path: ['idempotencyKey'] }],
  ])('is refused for %s', async (_what, input, refusal) => {
    const { id, client } = await anUnsubscribedOrganization();
    expect(await select(client, input)).toMatchObject(refusal);
    const rows = 'SELECT 1 FROM plan_subscription WHERE organization_id = $1';
    expect(await query(gateway.database, rows, [decodeId('Organization', id)])).toEqual([]);
  });
});
