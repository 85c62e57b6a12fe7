/** Top-ups: increments that the plan spells out before checkout, and nothing between them. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeId } from '../../src/graphql/ids.ts';
import { BoughtLotsDocument, TopUpDocument, TopUpTermsDocument, WalletStateDocument } from '../generated/documents.ts';
import { expectSoundBooks, query } from '../support/books.ts';
import { startTestGateway, type TestClient, type TestGateway } from '../support/gateway.ts';
import { aKey, anOrganization, type Given } from '../support/given.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway();
});
afterAll(() => gateway[Symbol.asyncDispose]());

async function topUp(client: TestClient, credits: string, idempotencyKey = aKey()) {
  return (await client.run(TopUpDocument, { input: { credits, idempotencyKey } })).topUp;
}

/** The purchase of a top-up that was begun. */
async function begun(client: TestClient, credits: string, idempotencyKey = aKey()) {
  const answer = await topUp(client, credits, idempotencyKey);
  if (answer.__typename !== 'PurchasePayload' || !answer.purchase) throw new Error(JSON.stringify(answer));
  return { ...answer.purchase, replayed: answer.replayed };
}

async function available({ client, slug }: Given): Promise<string | undefined> {
  const { organization } = await client.run(WalletStateDocument, { slug });
  return organization?.wallet?.totalAvailable;
}

/** A customer of the plan whose top-ups come in tens; without its allowances. */
async function aCustomer(plan = 'team'): Promise<Given> {
  const customer = await anOrganization(gateway);
  await query(gateway.database, 'UPDATE plan_subscription SET plan_key = $2 WHERE organization_id = $1', [
    decodeId('Organization', customer.id),
    plan,
  ]);
  return customer;
}

describe('a top-up', () => {
  it('is spelled out by the plan, to anybody', async () => {
    const { plans } = await gateway.as().run(TopUpTermsDocument, {});
    expect(plans).toMatchObject([
      { key: 'free', topUpIncrement: null, topUpUnitPrice: null },
      { key: 'team', topUpIncrement: '10', topUpUnitPrice: { amountMinor: 10, currency: 'USD' } },
      { key: 'scale' },
    ]);
  });

  it('waits for its payment and then puts the credits into the wallet, as paid for', async () => {
    const customer = await aCustomer();
    const purchase = await begun(customer.client, '20');
    expect(purchase).toMatchObject({
      status: 'PENDING',
      kind: 'TOP_UP',
      package: null,
      credits: '20',
      bonusCredits: '0',
      price: { amountMinor: 20, currency: 'USD' },
    });
    expect(await available(customer)).toBe('0');
    const page = await (await fetch(purchase.checkoutUrl ?? '')).text();
    expect(page).toContain('Top-up: 20 credits');
    expect(page).toContain('0.20 USD');
    await fetch(`${purchase.checkoutUrl}/pay`, { method: 'POST' });
    expect(await available(customer)).toBe('20');
    const { organization } = await customer.client.run(BoughtLotsDocument, { slug: customer.slug });
    expect(organization?.wallet?.lots.edges.map(({ node }) => [node.source, node.granted])).toEqual([
      ['PURCHASE', '20'],
    ]);
    await expectSoundBooks(gateway.database, customer.id);
  });

  it.each([
    { credits: '15', nearestBelow: '10', nearestAbove: '20', says: 'buy 10 or 20' },
    { credits: '3', nearestBelow: null, nearestAbove: '10', says: 'buy 10' },
    { credits: '10.000001', nearestBelow: '10', nearestAbove: '20', says: 'buy 10 or 20' },
  ])('of $credits is refused with the increments that apply', async ({ credits, nearestBelow, nearestAbove, says }) => {
    const { client } = await aCustomer();
    const key = aKey();
    const refused = await topUp(client, credits, key);
    expect(refused).toMatchObject({
      __typename: 'InvalidIncrement',
      code: 'INVALID_INCREMENT',
      httpStatus: 422,
      increment: '10',
      nearestBelow,
      nearestAbove,
    });
    expect('message' in refused && refused.message).toContain(says);
    // Nothing was bought: the key is free for the amount that can be.
    expect(await begun(client, nearestAbove, key)).toMatchObject({ credits: nearestAbove, replayed: false });
  });

  it.each(['0', '-10'])('of %s is invalid', async (credits) => {
    const { client } = await aCustomer();
    expect(await topUp(client, credits)).toMatchObject({ __typename: 'InvalidInput', path: ['credits'] });
  });

  it('of a plan without top-ups is refused with the plans that have them', async () => {
    const { client } = await aCustomer('free');
    const refused = await topUp(client, '10');
    expect(refused).toMatchObject({ __typename: 'Conflict', httpStatus: 409, currentState: 'NO_TOP_UPS' });
    expect('message' in refused && refused.message).toContain('Team (10 credits for 0.10 USD)');
  });

  it.each([null, 'CANCELED', 'PAST_DUE'] as const)('needs a subscription that may spend: %s', async (status) => {
    const customer = await aCustomer();
    const organization = decodeId('Organization', customer.id);
    await query(
      gateway.database,
      status === null
        ? 'DELETE FROM plan_subscription WHERE organization_id = $1'
        : `UPDATE plan_subscription SET status = '${status}' WHERE organization_id = $1`,
      [organization],
    );
    const refused = await topUp(customer.client, '10');
    expect(refused).toMatchObject({ __typename: 'Conflict', currentState: status ?? 'NO_SUBSCRIPTION' });
    expect('message' in refused && refused.message).toContain('an active subscription');
  });

  it('is one purchase under one key; another amount under it is refused', async () => {
    const { client } = await aCustomer();
    const key = aKey();
    const first = await begun(client, '30', key);
    expect(await begun(client, '30.000', key)).toEqual({ ...first, replayed: true });
    expect(await topUp(client, '40', key)).toMatchObject({ __typename: 'IdempotencyKeyReused' });
    expect(await topUp(client, '35', key)).toMatchObject({ __typename: 'IdempotencyKeyReused' });
  });

  it('is answered again to the same key also after the plan has changed', async () => {
    const customer = await aCustomer();
    const key = aKey();
    const first = await begun(customer.client, '30', key);
    await query(gateway.database, `UPDATE plan_subscription SET plan_key = 'free' WHERE organization_id = $1`, [
      decodeId('Organization', customer.id),
    ]);
    expect(await begun(customer.client, '30', key)).toEqual({ ...first, replayed: true });
  });

  it('is refused on a frozen wallet, and the key can be used again after it', async () => {
    const customer = await aCustomer();
    const freeze = (frozenAt: string | null) =>
      query(gateway.database, 'UPDATE wallet SET frozen_at = $2 WHERE organization_id = $1', [
        decodeId('Organization', customer.id),
        frozenAt,
      ]);
    const key = aKey();
    await freeze(new Date().toISOString());
    expect(await topUp(customer.client, '10', key)).toMatchObject({ __typename: 'WalletFrozen' });
    await freeze(null);
    expect(await begun(customer.client, '10', key)).toMatchObject({ replayed: false });
  });
});
