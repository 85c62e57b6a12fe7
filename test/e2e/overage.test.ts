/** Charges of more than there is, over the API: the three policies, what is owed, and how it is paid back. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeId } from '../../src/graphql/ids.ts';
import { BalanceChangedDocument, BeginPurchaseDocument, WalletStateDocument } from '../generated/documents.ts';
import { expectSoundBooks } from '../support/books.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { advanceTo, aKey, anApiKey, anOrganization, type Given, grant } from '../support/given.ts';
import { aCatalogFile, type CatalogFile, charge, charged, refunded } from './metering.ts';
import { subscribe } from './streams.ts';

let catalog: CatalogFile;
let gateway: TestGateway;
beforeAll(async () => {
  const plan = (key: string, overdraft: string, allowances = '') =>
    `  - { key: ${key}, name: ${key}, price: { amountMinor: 0, currency: USD }, overdraft: ${overdraft}, allowances: [${allowances}] }\n`;
  catalog = await aCatalogFile({
    plans:
      plan('lending', '10') +
      plan('daily', '10', '{ bucket: daily_free, interval: DAY, credits: 3 }') +
      plan('strict', '0'),
  });
  gateway = await startTestGateway({ env: { PURSER_CATALOG: catalog.path } });
});
afterAll(async () => {
  await gateway[Symbol.asyncDispose]();
  await catalog[Symbol.asyncDispose]();
});

const organization = (plan: string, credits: Readonly<Record<string, string>> = { purchased: '5' }) =>
  anOrganization(gateway, { plan, credits });

async function wallet({ client, slug }: Given) {
  const { organization: read } = await client.run(WalletStateDocument, { slug });
  if (!read?.wallet) throw new Error('no wallet');
  return read.wallet;
}

const usage = [
  { meter: 'search', quantity: 3 },
  { meter: 'crawl', quantity: 4 },
];

describe('a debit of more than there is', () => {
  it('is refused by default, and with REJECT', async () => {
    const given = await organization('lending');
    for (const overage of [undefined, null, 'REJECT'] as const) {
      expect(await charge(given.client, { usage, ...(overage === undefined ? {} : { overage }) })).toMatchObject({
        __typename: 'InsufficientCredits',
        requiredCredits: '9',
        availableCredits: '5',
      });
    }
    expect(await wallet(given)).toMatchObject({ totalAvailable: '5', debt: '0' });
  });

  it('with CAP charges what there is; the lines say what was waived and add up', async () => {
    const given = await organization('strict');
    expect(await charged(given.client, { usage, overage: 'CAP' })).toMatchObject({
      transaction: { amount: '-5', entries: [{ amount: '5' }] },
      usage: {
        credits: '5',
        lines: [
          { meter: 'search', quantity: '3', credits: '3', waivedCredits: '0' },
          { meter: 'crawl', quantity: '4', credits: '2', waivedCredits: '4' },
        ],
      },
      availableCredits: '0',
      wallet: { totalAvailable: '0', debt: '0', balance: '0' },
    });
    await expectSoundBooks(gateway.database, given.id);
  });

  it('with CAP is free where there is nothing, by an amount too', async () => {
    const given = await organization('strict', {});
    expect(await charged(given.client, { amount: '7', overage: 'CAP' })).toMatchObject({
      transaction: { amount: '0', entries: [] },
      usage: { credits: '0', lines: [] },
    });
    await expectSoundBooks(gateway.database, given.id);
  });

  it('with DEBT owes the rest, up to the plan’s overdraft and not a micro more', async () => {
    const given = await organization('lending');
    expect(await charged(given.client, { usage, overage: 'DEBT' })).toMatchObject({
      transaction: { amount: '-9', entries: [{ amount: '5' }, { amount: '4', bucket: null }] },
      usage: { credits: '9' },
      availableCredits: '0',
      wallet: { totalAvailable: '0', debt: '4', balance: '-4' },
    });
    expect(await charge(given.client, { amount: '6.000001', overage: 'DEBT' })).toMatchObject({
      __typename: 'InsufficientCredits',
      requiredCredits: '6.000001',
      availableCredits: '0',
    });
    expect(await charged(given.client, { amount: '6', overage: 'DEBT' })).toMatchObject({ wallet: { debt: '10' } });
    expect(await charged(given.client, { usage: [{ meter: 'read' }] })).toMatchObject({ usage: { credits: '0' } });
    await expectSoundBooks(gateway.database, given.id);
  });

  it('with DEBT is refused by a plan without an overdraft', async () => {
    const given = await organization('strict');
    expect(await charge(given.client, { amount: '5.000001', overage: 'DEBT' })).toMatchObject({
      __typename: 'InsufficientCredits',
    });
  });

  it('tells a key of usage:write what it was charged, and not what is owed', async () => {
    const given = await organization('lending');
    const client = gateway.as(await anApiKey(gateway, given.id, 'USAGE_WRITE'));
    expect(await charged(client, { amount: '9', overage: 'DEBT' })).toMatchObject({
      transaction: { amount: '-9', entries: null, explanation: null },
      availableCredits: '0',
      wallet: null,
    });
  });

  it('is another payload with another policy, and the default is none', async () => {
    const given = await organization('lending', { purchased: '20' });
    const input = { amount: '1', idempotencyKey: aKey() };
    const { transaction } = await charged(given.client, input);
    expect(await charged(given.client, { ...input, overage: 'REJECT' })).toMatchObject({
      transaction: { id: transaction.id },
      replayed: true,
    });
    expect(await charge(given.client, { ...input, overage: 'CAP' })).toMatchObject({
      __typename: 'IdempotencyKeyReused',
    });
  });
});

describe('what is owed', () => {
  async function indebted(plan = 'lending'): Promise<Given> {
    const given = await organization(plan, {});
    // What the plan grants a day is spent first.
    await charged(given.client, { amount: plan === 'daily' ? '7' : '4', overage: 'DEBT' });
    return given;
  }

  it('is paid back by a grant, in entries of its own', async () => {
    const given = await indebted();
    await grant(gateway, given.id, 'promotional', '10');
    expect(await wallet(given)).toMatchObject({ totalAvailable: '6', debt: '0', balance: '6' });
    const { data } = await given.client.raw<{
      organization: {
        wallet: {
          ledger: { edges: { node: { reasonCode: string; amount: string; direction: string; lot: object | null } }[] };
        };
      };
    }>(
      `query ($slug: String!) { organization(slug: $slug) { wallet { ledger(first: 2) { edges { node {
        reasonCode amount direction lot { id } } } } } } }`,
      { slug: given.slug },
    );
    expect(data?.organization.wallet.ledger.edges.map(({ node }) => node)).toEqual([
      { reasonCode: 'DEBT_REPAYMENT', amount: '4', direction: 'CREDIT', lot: null },
      { reasonCode: 'DEBT_REPAYMENT', amount: '4', direction: 'DEBIT', lot: { id: expect.any(String) } },
    ]);
    await expectSoundBooks(gateway.database, given.id);
  });

  it('is paid back by a purchase', async () => {
    const given = await indebted();
    const { purchasePackage } = await given.client.run(BeginPurchaseDocument, {
      input: { idempotencyKey: aKey(), packageId: encodeId('Package', 'starter') },
    });
    const checkout =
      purchasePackage.__typename === 'PurchasePayload' ? purchasePackage.purchase?.checkoutUrl : undefined;
    if (!checkout) throw new Error('the purchase was not begun');
    await fetch(`${checkout}/pay`, { method: 'POST' });
    expect(await wallet(given)).toMatchObject({ totalAvailable: '996', purchasedCredits: '996', debt: '0' });
    await expectSoundBooks(gateway.database, given.id);
  });

  it('is not paid back by a daily allowance, which is spent only beyond it', async () => {
    const given = await indebted('daily');
    expect(await wallet(given)).toMatchObject({ totalAvailable: '0', debt: '4' });
    const tomorrow = new Date(Date.now() + 86_400_000).toISOString();
    await advanceTo(gateway, given.id, tomorrow);
    expect(await wallet(given)).toMatchObject({
      totalAvailable: '0',
      subscriptionCredits: '3',
      debt: '4',
      balance: '-1',
    });
    expect(await charge(given.client, { amount: '0.000001' })).toMatchObject({ __typename: 'InsufficientCredits' });
    await grant(gateway, given.id, 'promotional', '5');
    expect(await wallet(given)).toMatchObject({ totalAvailable: '4', debt: '0' });
    await expectSoundBooks(gateway.database, given.id);
  });

  it('is reduced by a refund of the charge that owed it', async () => {
    const given = await organization('lending');
    const { transaction } = await charged(given.client, { amount: '9', overage: 'DEBT' });
    expect(await refunded(given.client, { transactionId: transaction.id, amount: '3' })).toMatchObject({
      availableCredits: '0',
      wallet: { debt: '1', balance: '-1' },
    });
    await grant(gateway, given.id, 'promotional', '1');
    expect(await refunded(given.client, { transactionId: transaction.id })).toMatchObject({
      availableCredits: '6',
      wallet: { debt: '0', balance: '6' },
    });
    await expectSoundBooks(gateway.database, given.id);
  });

  it('is told live: a change of nothing to spend, and what a grant leaves of itself', async () => {
    const given = await organization('lending');
    await using live = subscribe('websocket', gateway, given.secret, BalanceChangedDocument, {
      organizationId: given.id,
    });
    const next = async () => {
      const { change, totalAvailable, reasonCode } = (await live.next()).balanceChanged;
      return [reasonCode, change, totalAvailable];
    };
    expect(await next()).toEqual(['SNAPSHOT', '0', '5']);
    await charged(given.client, { amount: '9', overage: 'DEBT' });
    await charged(given.client, { amount: '1', overage: 'DEBT' });
    await grant(gateway, given.id, 'promotional', '6');
    expect([await next(), await next(), await next()]).toEqual([
      ['USAGE', '-5', '0'],
      ['USAGE', '0', '0'],
      ['GRANT', '1', '1'],
    ]);
  });
});
