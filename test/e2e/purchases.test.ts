/** Buying packages: from the offer over the provider's checkout to the credits in the wallet, whatever is repeated on the way. */
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, request, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { print } from 'graphql';
import { createClient } from 'graphql-ws';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { decodeId, encodeId } from '../../src/graphql/ids.ts';
import { projectPath } from '../../src/project-path.ts';
import {
  BalanceChangedDocument,
  type BalanceChangedSubscription,
  BeginPurchaseDocument,
  BoughtLotsDocument,
  DebitDocument,
  LedgerDocument,
  OffersDocument,
  PurchaseDetailDocument,
  PurchasesDocument,
  PurchasesInDepthDocument,
  WalletStateDocument,
} from '../generated/documents.ts';
import { expectSoundBooks, query } from '../support/books.ts';
import { createDatabase } from '../support/database.ts';
import { startTestGateway, type TestClient, type TestGateway } from '../support/gateway.ts';
import { aKey, anApiKey, anOrganization, type Given, grant } from '../support/given.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway();
});
afterAll(() => gateway[Symbol.asyncDispose]());

type Button = 'pay' | 'decline' | 'cancel';
const BUTTONS: readonly Button[] = ['pay', 'decline', 'cancel'];

interface Begun {
  readonly id: string;
  readonly checkoutUrl: string;
}

const packageId = (key: string): string => encodeId('Package', key);

async function beginPurchase(client: TestClient, packageKey: string, idempotencyKey = aKey()) {
  const input = { packageId: packageId(packageKey), idempotencyKey };
  return (await client.run(BeginPurchaseDocument, { input })).purchasePackage;
}

/** A purchase that waits for its payment. */
async function aPurchase(client: TestClient, packageKey = 'growth'): Promise<Begun> {
  const begun = await beginPurchase(client, packageKey);
  if (begun.__typename !== 'PurchasePayload' || !begun.purchase?.checkoutUrl) throw new Error(JSON.stringify(begun));
  return { id: begun.purchase.id, checkoutUrl: begun.purchase.checkoutUrl };
}

async function purchase(client: TestClient, id: string) {
  const { node } = await client.run(PurchaseDetailDocument, { id });
  if (node?.__typename !== 'Purchase') throw new Error(`no purchase ${id}`);
  return node;
}

async function wallet(client: TestClient, slug: string) {
  const { organization } = await client.run(WalletStateDocument, { slug });
  if (!organization?.wallet) throw new Error(`no wallet of ${slug}`);
  return organization.wallet;
}

async function lots(client: TestClient, slug: string) {
  const { organization } = await client.run(BoughtLotsDocument, { slug });
  return organization?.wallet?.lots.edges.map(({ node }) => node) ?? [];
}

async function listed(client: TestClient, slug: string, page: { first?: number; after?: string | null } = {}) {
  const { organization } = await client.run(PurchasesDocument, { slug, ...page });
  if (!organization?.purchases) throw new Error(`no purchases of ${slug}`);
  return organization.purchases;
}

interface Page {
  readonly status: number;
  readonly html: string;
  readonly headers: Headers;
}

async function page(url: string, method: 'GET' | 'POST' | 'DELETE' = 'GET'): Promise<Page> {
  const response = await fetch(url, { method });
  return { status: response.status, html: await response.text(), headers: response.headers };
}

const press = (checkoutUrl: string, button: Button): Promise<Page> => page(`${checkoutUrl}/${button}`, 'POST');

/** As the self-audit or an operator would. */
async function freeze({ id }: Given, frozenAt: string | null = new Date().toISOString()): Promise<void> {
  await query(gateway.database, 'UPDATE wallet SET frozen_at = $2 WHERE organization_id = $1', [
    decodeId('Organization', id),
    frozenAt,
  ]);
}

/** A gateway whose public address is that of a proxy, which takes `path` off every request. */
async function aProxiedGateway(path: string) {
  const upstream = await aFreePort();
  const proxy = createServer((incoming, outgoing) => {
    const { url = '/', method, headers } = incoming;
    if (!url.startsWith(`${path}/`)) return outgoing.writeHead(404).end();
    const passedOn = request({ port: upstream, path: url.slice(path.length), method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    return incoming.pipe(passedOn);
  });
  const port = await listen(proxy);
  const publicUrl = `http://127.0.0.1:${port}${path}`;
  const env = { PORT: String(upstream), PURSER_PUBLIC_URL: publicUrl };
  const proxied = await startTestGateway({ database: gateway.database, env });
  return {
    publicUrl,
    gateway: proxied,
    async [Symbol.asyncDispose]() {
      proxy.closeAllConnections();
      proxy.close();
      await proxied[Symbol.asyncDispose]();
    },
  };
}

async function aFreePort(): Promise<number> {
  const server = createServer();
  const port = await listen(server);
  await new Promise((closed) => server.close(closed));
  return port;
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
  return address.port;
}

interface SignedEvent {
  readonly headers: Record<string, string>;
  readonly body: string;
}

/** The secret with which the sandbox of this installation signs. */
async function sandboxSigner(): Promise<Webhook> {
  const [row] = await query<{ value: string }>(
    gateway.database,
    `SELECT value FROM installation_secret WHERE name = 'sandbox.webhook'`,
  );
  if (!row) throw new Error('the sandbox has no secret');
  return new Webhook(row.value);
}

/** An event as the sandbox sends it. */
async function anEvent(
  payload: object,
  { sentAt = new Date(), signer }: { readonly sentAt?: Date; readonly signer?: Webhook } = {},
): Promise<SignedEvent> {
  const body = JSON.stringify(payload);
  const id = `evt_${randomUUID()}`;
  const signature = (signer ?? (await sandboxSigner())).sign(id, sentAt, body);
  return {
    body,
    headers: {
      'webhook-id': id,
      'webhook-timestamp': Math.floor(sentAt.getTime() / 1000).toString(),
      'webhook-signature': signature,
    },
  };
}

const outcomeOf = ({ id }: Begun, outcome: 'PAID' | 'FAILED' | 'EXPIRED') => ({
  purchaseId: decodeId('Purchase', id),
  outcome,
});

async function deliver({ headers, body }: SignedEvent, provider = 'sandbox'): Promise<number> {
  const url = new URL(`/webhooks/${provider}`, gateway.gateway.endpoint);
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  });
  await response.arrayBuffer();
  return response.status;
}

/** Nothing was bought: no lot, no entry, no version. */
async function expectUntouched({ client, slug, id }: Given): Promise<void> {
  expect(await wallet(client, slug)).toMatchObject({ totalAvailable: '0', balance: '0', sequence: 0, version: 0 });
  expect(await lots(client, slug)).toEqual([]);
  await expectSoundBooks(gateway.database, id);
}

/** Exactly one set of the growth package's lots is in the wallet, and nothing else. */
async function expectOneSetOfLots({ client, slug, id }: Given): Promise<void> {
  expect(await wallet(client, slug)).toMatchObject({
    totalAvailable: '5500',
    purchasedCredits: '5500',
    balance: '5500',
    sequence: 2,
    version: 1,
  });
  expect((await lots(client, slug)).map(({ source, granted }) => [source, granted])).toEqual([
    ['BONUS', '500'],
    ['PURCHASE', '5000'],
  ]);
  await expectSoundBooks(gateway.database, id);
}

describe('packages', () => {
  it('are listed to anybody, cheapest first, with totals, cost per credit and bonus', async () => {
    const { packages } = await gateway.as().run(OffersDocument, {});
    const usd = (amountMinor: number) => ({ amountMinor, currency: 'USD' });
    expect(packages).toEqual([
      {
        id: packageId('starter'),
        key: 'starter',
        name: 'Starter',
        price: usd(1000),
        credits: '1000',
        bonusCredits: '0',
        totalCredits: '1000',
        costPerCredit: '0.01',
        bonusPercent: '0',
        expiresAfterDays: null,
      },
      {
        id: packageId('growth'),
        key: 'growth',
        name: 'Growth',
        price: usd(4500),
        credits: '5000',
        bonusCredits: '500',
        totalCredits: '5500',
        costPerCredit: '0.008182',
        bonusPercent: '10',
        expiresAfterDays: null,
      },
      {
        id: packageId('volume'),
        key: 'volume',
        name: 'Volume',
        price: usd(16000),
        credits: '20000',
        bonusCredits: '4000',
        totalCredits: '24000',
        costPerCredit: '0.006667',
        bonusPercent: '20',
        expiresAfterDays: null,
      },
    ]);
  });
});

describe('beginning a purchase', () => {
  it('answers a PENDING purchase with a checkout and moves no credits', async () => {
    const buyer = await anOrganization(gateway);
    const begun = await aPurchase(buyer.client);
    expect(await purchase(buyer.client, begun.id)).toMatchObject({
      status: 'PENDING',
      paidAt: null,
      credits: '5000',
      bonusCredits: '500',
      price: { amountMinor: 4500, currency: 'USD' },
      package: { key: 'growth' },
      organization: { slug: buyer.slug },
      actor: { __typename: 'ApiKey', name: 'test' },
      entries: [],
    });
    await expectUntouched(buyer);
  });

  it('gives every purchase its own token of at least 128 bits, below the gateway’s address', async () => {
    const { client } = await anOrganization(gateway);
    const urls = [(await aPurchase(client)).checkoutUrl, (await aPurchase(client)).checkoutUrl];
    const prefix = new URL('/checkout/sandbox/', gateway.gateway.endpoint).toString();
    const tokens = urls.map((url) => url.slice(prefix.length));
    expect(urls.every((url) => url.startsWith(prefix))).toBe(true);
    for (const token of tokens) {
      expect(token).toMatch(/^[\w-]+$/);
      expect(Buffer.from(token, 'base64url').length * 8).toBeGreaterThanOrEqual(128);
    }
    expect(new Set(tokens).size).toBe(2);
  });

  it('works behind a proxy with a path of its own: URL and forms begin with the configured public URL', async () => {
    await using proxied = await aProxiedGateway('/purser');
    const { secret, slug } = await anOrganization(gateway);
    const client = proxied.gateway.as(secret);
    const { checkoutUrl } = await aPurchase(client);
    expect(checkoutUrl.startsWith(`${proxied.publicUrl}/checkout/sandbox/`)).toBe(true);
    const { html } = await page(checkoutUrl);
    const actions = [...html.matchAll(/action="([^"]*)"/g)].map(
      ([, action]) => new URL(action ?? '', checkoutUrl).href,
    );
    expect(actions).toEqual(BUTTONS.map((button) => `${checkoutUrl}/${button}`));
    await page(actions[0] ?? '', 'POST');
    expect(await wallet(client, slug)).toMatchObject({ totalAvailable: '5500' });
  });

  it('shows the checkout to those who may buy and to nobody else', async () => {
    const { tokens } = gateway.demo;
    const begun = await aPurchase(gateway.as(tokens.masterKey));
    const writeKey = await anApiKey(gateway, gateway.organizationId, 'BILLING_WRITE');
    const seenBy = async (token: string) => (await purchase(gateway.as(token), begun.id)).checkoutUrl;
    for (const token of [tokens.owner, writeKey, tokens.masterKey]) expect(await seenBy(token)).toBe(begun.checkoutUrl);
    for (const token of [tokens.admin, tokens.editor, tokens.viewer, tokens.readKey]) {
      expect(await seenBy(token)).toBeNull();
    }
    for (const token of [tokens.viewer, tokens.readKey]) {
      const { edges } = await listed(gateway.as(token), gateway.demo.organization.slug);
      expect(edges[0]?.node).toMatchObject({ id: begun.id, checkoutUrl: null });
    }
    await press(begun.checkoutUrl, 'cancel');
  });

  it.each(BUTTONS)('shows the checkout to nobody once it was ended with %s', async (button) => {
    const { client, slug } = await anOrganization(gateway);
    const begun = await aPurchase(client);
    await press(begun.checkoutUrl, button);
    expect((await purchase(client, begun.id)).checkoutUrl).toBeNull();
    expect((await listed(client, slug)).edges.map(({ node }) => node.checkoutUrl)).toEqual([null]);
  });

  it('is forbidden to members and keys that may not spend money', async () => {
    const { admin, editor, viewer, readKey, usageKey } = gateway.demo.tokens;
    for (const token of [admin, editor, viewer, readKey, usageKey]) {
      const { data, errors } = await gateway.as(token).raw(print(BeginPurchaseDocument), {
        input: { organizationId: gateway.organizationId, packageId: packageId('growth'), idempotencyKey: aKey() },
      });
      expect(data).toBeNull();
      expect(errors.map(({ extensions }) => extensions.code)).toEqual(['FORBIDDEN']);
    }
  });

  it('answers NotFound for packages and organizations that do not exist or are another’s', async () => {
    const { client } = await anOrganization(gateway);
    const foreign = encodeId('Organization', gateway.demo.other.organizationId);
    const inputs = [
      { packageId: packageId('golden') },
      { packageId: encodeId('Plan', 'free') },
      { packageId: encodeId('Package', randomUUID()) },
      { packageId: 'growth' },
      { packageId: '' },
      { packageId: packageId('growth'), organizationId: foreign },
      { packageId: packageId('growth'), organizationId: encodeId('Organization', randomUUID()) },
      { packageId: packageId('growth'), organizationId: 'nonsense' },
    ];
    for (const input of inputs) {
      const { purchasePackage } = await client.run(BeginPurchaseDocument, {
        input: { ...input, idempotencyKey: aKey() },
      });
      expect(purchasePackage).toMatchObject({ __typename: 'NotFound', code: 'NOT_FOUND', httpStatus: 404 });
    }
  });

  it('needs a key that can be one, and an organization where the caller may belong to many', async () => {
    const { client } = await anOrganization(gateway);
    for (const idempotencyKey of ['', 'k'.repeat(256), 'nul\0']) {
      expect(await beginPurchase(client, 'growth', idempotencyKey)).toMatchObject({
        __typename: 'InvalidInput',
        path: ['idempotencyKey'],
      });
    }
    expect(await beginPurchase(gateway.as(gateway.demo.tokens.owner), 'growth')).toMatchObject({
      __typename: 'InvalidInput',
      path: ['organizationId'],
    });
  });

  it('is refused on a frozen wallet, and the key can be used again after it', async () => {
    const buyer = await anOrganization(gateway);
    const key = aKey();
    await freeze(buyer);
    expect(await beginPurchase(buyer.client, 'growth', key)).toMatchObject({
      __typename: 'WalletFrozen',
      httpStatus: 423,
    });
    expect((await listed(buyer.client, buyer.slug)).edges).toEqual([]);
    await freeze(buyer, null);
    expect(await beginPurchase(buyer.client, 'starter', key)).toMatchObject({
      __typename: 'PurchasePayload',
      purchase: { status: 'PENDING', package: { key: 'starter' } },
      replayed: false,
    });
  });
});

describe('the checkout page', () => {
  it('says what is bought for how much and has a button for each way it can end', async () => {
    const { client } = await anOrganization(gateway);
    const { checkoutUrl } = await aPurchase(client);
    const { status, html, headers } = await page(checkoutUrl);
    expect(status).toBe(200);
    expect(headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(html).toContain('<h1>Growth: 5500 credits, 500 of them bonus</h1>');
    expect(html).toContain('45.00 USD');
    const forms = [
      ...html.matchAll(
        /<form method="post" action="([^"]*)">(?:<fieldset>[\s\S]*<\/fieldset>)?\s*<button[^>]*>([^<]+)<\/button>\s*<\/form>/g,
      ),
    ];
    expect(forms.map(([, action, label]) => [new URL(action ?? '', checkoutUrl).href, label])).toEqual([
      [`${checkoutUrl}/pay`, 'Pay'],
      [`${checkoutUrl}/decline`, 'Decline'],
      [`${checkoutUrl}/cancel`, 'Cancel'],
    ]);
  });

  it('can be used without seeing it: language, title, landmark, one heading, a status when it has ended', async () => {
    const { client } = await anOrganization(gateway);
    const { checkoutUrl } = await aPurchase(client);
    const open = await page(checkoutUrl);
    expect(open.html).toMatch(/^<!doctype html>\s*<html lang="en">/);
    expect(open.html).toMatch(/<title>[^<]*Checkout[^<]*<\/title>/);
    expect(open.html).toContain('<meta name="viewport" content="width=device-width, initial-scale=1">');
    expect(open.html.match(/<main>/g)).toHaveLength(1);
    expect(open.html.match(/<h1>/g)).toHaveLength(1);
    const paid = await press(checkoutUrl, 'pay');
    expect(paid.html).toMatch(/role="status"[^>]*>[^<]*[Pp]aid/);
    expect(paid.html.match(/<h1>/g)).toHaveLength(1);
  });

  it('runs no script, is not stored, not framed and does not leak its token to other sites', async () => {
    const { client } = await anOrganization(gateway);
    const { checkoutUrl } = await aPurchase(client);
    const { html, headers } = await page(checkoutUrl);
    expect(html).not.toMatch(/<script|\bon\w+=|https?:\/\//i);
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('referrer-policy')).toBe('no-referrer');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('content-security-policy')).toMatch(/default-src 'none'.*frame-ancestors 'none'/);
  });

  it('ends nothing by being read, or by anything but a POST to its buttons', async () => {
    const buyer = await anOrganization(gateway);
    const { id, checkoutUrl } = await aPurchase(buyer.client);
    expect((await page(checkoutUrl)).status).toBe(200);
    expect((await page(`${checkoutUrl}/pay`)).status).toBe(405);
    expect((await page(checkoutUrl, 'POST')).status).toBe(405);
    expect((await page(`${checkoutUrl}/pay`, 'DELETE')).status).toBe(405);
    expect((await page(`${checkoutUrl}/unknown`, 'POST')).status).toBeGreaterThanOrEqual(400);
    for (const tooEarly of ['refund', 'dispute', 'dispute-lost']) await page(`${checkoutUrl}/${tooEarly}`, 'POST');
    expect(await purchase(buyer.client, id)).toMatchObject({ status: 'PENDING', checkoutUrl });
    await expectUntouched(buyer);
  });

  it('does not exist for tokens that nobody was given', async () => {
    const token = randomBytes(32).toString('base64url');
    const unknown = new URL(`/checkout/sandbox/${token}`, gateway.gateway.endpoint).toString();
    expect((await page(unknown)).status).toBe(404);
    for (const button of BUTTONS) expect((await press(unknown, button)).status).toBe(404);
    expect((await page(new URL('/checkout/sandbox/', unknown).toString())).status).toBeGreaterThanOrEqual(400);
  });
});

describe('paying', () => {
  it('puts credits and bonus into the wallet before the page answers', async () => {
    const buyer = await anOrganization(gateway);
    const { client, slug, id: organizationId } = buyer;
    const begun = await aPurchase(client);
    const { status, html } = await press(begun.checkoutUrl, 'pay');
    expect(status).toBe(200);
    expect(html).toContain('Paid.');
    await expectOneSetOfLots(buyer);
    const paid = await purchase(client, begun.id);
    const parts = { direction: 'CREDIT', bucket: { key: 'purchased' }, actor: { __typename: 'ApiKey', name: 'test' } };
    expect(paid).toMatchObject({ status: 'PAID', checkoutUrl: null });
    expect(paid.entries).toMatchObject([
      {
        ...parts,
        sequence: 1,
        reasonCode: 'PURCHASE',
        amount: '5000',
        balanceAfter: '5000',
        lot: { source: 'PURCHASE' },
      },
      { ...parts, sequence: 2, reasonCode: 'BONUS', amount: '500', balanceAfter: '5500', lot: { source: 'BONUS' } },
    ]);
    expect(new Set(paid.entries.map(({ transaction }) => transaction.id)).size).toBe(1);
    expect(paid.entries.map(({ transaction }) => transaction.kind)).toEqual(['PURCHASE', 'PURCHASE']);
    const paidAt = Date.parse(paid.paidAt ?? '');
    expect(paidAt).toBeGreaterThanOrEqual(Date.parse(paid.createdAt));
    await expectSoundBooks(gateway.database, organizationId);
    const { organization } = await client.run(LedgerDocument, { slug });
    expect(organization?.wallet?.ledger.edges.map(({ node }) => Date.parse(node.postedAt))).toEqual([paidAt, paidAt]);
  });

  it('makes lots that know their purchase, its price, its time and its buyer', async () => {
    const { client, slug } = await anOrganization(gateway);
    const begun = await aPurchase(client);
    await press(begun.checkoutUrl, 'pay');
    const { paidAt } = await purchase(client, begun.id);
    const bought = {
      id: begun.id,
      status: 'PAID',
      paidAt,
      price: { amountMinor: 4500, currency: 'USD' },
      actor: { __typename: 'ApiKey', name: 'test' },
    };
    const common = { bucket: { key: 'purchased' }, expiresAt: null, purchase: bought };
    expect(await lots(client, slug)).toMatchObject([
      { ...common, source: 'BONUS', granted: '500', remaining: '500' },
      { ...common, source: 'PURCHASE', granted: '5000', remaining: '5000' },
    ]);
  });

  it('makes no bonus lot where the package has no bonus', async () => {
    const { client, slug, id } = await anOrganization(gateway);
    const begun = await aPurchase(client, 'starter');
    await press(begun.checkoutUrl, 'pay');
    expect((await lots(client, slug)).map(({ source, granted }) => [source, granted])).toEqual([['PURCHASE', '1000']]);
    expect((await purchase(client, begun.id)).entries.map(({ reasonCode }) => reasonCode)).toEqual(['PURCHASE']);
    await expectSoundBooks(gateway.database, id);
  });

  it('books the purchase of a person under that person', async () => {
    const owner = gateway.as(gateway.demo.tokens.owner);
    const { purchasePackage } = await owner.run(BeginPurchaseDocument, {
      input: { organizationId: gateway.organizationId, packageId: packageId('starter'), idempotencyKey: aKey() },
    });
    if (purchasePackage.__typename !== 'PurchasePayload' || !purchasePackage.purchase?.checkoutUrl) {
      throw new Error(JSON.stringify(purchasePackage));
    }
    await press(purchasePackage.purchase.checkoutUrl, 'pay');
    const actor = { __typename: 'User', email: 'demo-owner@demo.example' };
    expect(await purchase(owner, purchasePackage.purchase.id)).toMatchObject({ actor, entries: [{ actor }] });
    await expectSoundBooks(gateway.database, gateway.organizationId);
  });

  it('burns the bonus before what was paid for', async () => {
    const { client, slug, id } = await anOrganization(gateway);
    await press((await aPurchase(client)).checkoutUrl, 'pay');
    await client.run(DebitDocument, { input: { idempotencyKey: aKey(), amount: '700' } });
    expect((await lots(client, slug)).map(({ source, remaining }) => [source, remaining])).toEqual([
      ['BONUS', '0'],
      ['PURCHASE', '4800'],
    ]);
    await expectSoundBooks(gateway.database, id);
  });

  it('is one change to those who watch the balance', async () => {
    const { client, slug, id: organizationId, secret } = await anOrganization(gateway);
    const begun = await aPurchase(client);
    const { liveCursor: after } = await wallet(client, slug);
    const socket = createClient({
      url: gateway.gateway.wsEndpoint,
      webSocketImpl: WebSocket,
      connectionParams: { authorization: `Bearer ${secret}` },
    });
    try {
      const events = socket.iterate<BalanceChangedSubscription>({
        query: print(BalanceChangedDocument),
        variables: { organizationId, after },
      });
      await press(begun.checkoutUrl, 'pay');
      const paid = (await events.next()).value;
      expect(paid?.data?.balanceChanged).toMatchObject({
        version: 1,
        sequence: 2,
        change: '5500',
        reasonCode: 'PURCHASE',
        totalAvailable: '5500',
      });
      await grant(gateway, organizationId, 'promotional', '1');
      const next = (await events.next()).value;
      expect(next?.data?.balanceChanged).toMatchObject({ version: 2, change: '1', reasonCode: 'GRANT' });
    } finally {
      await socket.dispose();
    }
  });

  it('waits on a frozen wallet: nothing is lost, nothing claimed, and the same button pays afterwards', async () => {
    const buyer = await anOrganization(gateway);
    const begun = await aPurchase(buyer.client);
    await freeze(buyer);
    const refused = await press(begun.checkoutUrl, 'pay');
    expect(refused.status).toBe(503);
    expect(refused.html).not.toContain('The credits are in the wallet');
    expect(await purchase(buyer.client, begun.id)).toMatchObject({ status: 'PENDING', entries: [] });
    await expectUntouched(buyer);
    // Whoever opens the page now must not read that the credits are there.
    expect((await page(begun.checkoutUrl)).html).not.toContain('The credits are in the wallet');
    await freeze(buyer, null);
    expect((await press(begun.checkoutUrl, 'pay')).status).toBe(200);
    await expectOneSetOfLots(buyer);
  });

  it('reaches the wallet when the page of a payment is opened whose news was lost', async () => {
    const buyer = await anOrganization(gateway);
    const begun = await aPurchase(buyer.client);
    await freeze(buyer);
    await press(begun.checkoutUrl, 'pay');
    await freeze(buyer, null);
    // Either the page reports the end again by itself, or it lets the buyer press again: it is no dead end.
    const { html } = await page(begun.checkoutUrl);
    if (html.includes('<button')) await press(begun.checkoutUrl, 'pay');
    expect(await purchase(buyer.client, begun.id)).toMatchObject({ status: 'PAID' });
    await expectOneSetOfLots(buyer);
  });
});

describe('an ended checkout', () => {
  it.each([
    { button: 'pay', status: 'PAID' },
    { button: 'decline', status: 'FAILED' },
    { button: 'cancel', status: 'EXPIRED' },
  ] as const)('stays $status whatever button is pressed after $button', async ({ button, status }) => {
    const buyer = await anOrganization(gateway);
    const begun = await aPurchase(buyer.client);
    const first = await press(begun.checkoutUrl, button);
    const ended = await purchase(buyer.client, begun.id);
    expect(ended).toMatchObject({ status, checkoutUrl: null });
    for (const again of [...BUTTONS, ...BUTTONS]) {
      const page = await press(begun.checkoutUrl, again);
      expect({ status: page.status, html: page.html }).toEqual({ status: 200, html: first.html });
    }
    const shown = await page(begun.checkoutUrl);
    // From its own address the forms lead one step further down.
    const html = shown.html.replaceAll(`action="${begun.checkoutUrl.split('/').at(-1)}/`, 'action="./');
    expect({ status: shown.status, html }).toEqual({ status: 200, html: first.html });
    expect(await purchase(buyer.client, begun.id)).toEqual(ended);
    await (status === 'PAID' ? expectOneSetOfLots(buyer) : expectUntouched(buyer));
  });

  it('offers no button', async () => {
    const { client } = await anOrganization(gateway);
    const { checkoutUrl } = await aPurchase(client);
    expect((await press(checkoutUrl, 'decline')).html).not.toContain('<button');
    expect((await page(checkoutUrl)).html).not.toContain('<button');
  });

  it('ended one way when all its buttons are pressed at once', async () => {
    const buyer = await anOrganization(gateway);
    const begun = await aPurchase(buyer.client);
    const pages = await Promise.all(
      [...BUTTONS, ...BUTTONS, ...BUTTONS].map((button) => press(begun.checkoutUrl, button)),
    );
    expect(pages.map(({ status }) => status)).toEqual(pages.map(() => 200));
    expect(new Set(pages.map(({ html }) => html)).size).toBe(1);
    const { status } = await purchase(buyer.client, begun.id);
    expect(['PAID', 'FAILED', 'EXPIRED']).toContain(status);
    await (status === 'PAID' ? expectOneSetOfLots(buyer) : expectUntouched(buyer));
  });

  it('was paid once when two gateways take payments at the same time', async () => {
    await using second = await startTestGateway({ database: gateway.database });
    const buyer = await anOrganization(gateway);
    const begun = await aPurchase(buyer.client);
    const { pathname } = new URL(begun.checkoutUrl);
    const elsewhere = new URL(pathname, second.gateway.endpoint).toString();
    const pages = await Promise.all(
      Array.from({ length: 10 }, (_, index) => press(index % 2 === 0 ? begun.checkoutUrl : elsewhere, 'pay')),
    );
    expect(pages.map(({ status }) => status)).toEqual(pages.map(() => 200));
    await expectOneSetOfLots(buyer);
  });
});

describe('events of the provider', () => {
  it.each(['in the order of payment', 'backwards', 'all at once'] as const)(
    'that are delivered five times %s make one set of lots per purchase',
    async (order) => {
      const buyer = await anOrganization(gateway);
      const purchases = [
        await aPurchase(buyer.client, 'starter'),
        await aPurchase(buyer.client, 'growth'),
        await aPurchase(buyer.client, 'volume'),
      ];
      const events = await Promise.all(purchases.map((begun) => anEvent(outcomeOf(begun, 'PAID'))));
      const fiveTimes = Array.from({ length: 5 }, () => events).flat();
      const statuses: number[] = [];
      if (order === 'all at once') statuses.push(...(await Promise.all(fiveTimes.map((event) => deliver(event)))));
      else {
        for (const event of order === 'backwards' ? fiveTimes.toReversed() : fiveTimes) {
          statuses.push(await deliver(event));
        }
      }
      expect(statuses).toEqual(fiveTimes.map(() => 200));
      expect(
        (await lots(buyer.client, buyer.slug)).map(({ granted }) => Number(granted)).toSorted((a, b) => a - b),
      ).toEqual([500, 1000, 4000, 5000, 20000]);
      expect(await wallet(buyer.client, buyer.slug)).toMatchObject({
        totalAvailable: '30500',
        sequence: 5,
        version: 3,
      });
      await expectSoundBooks(gateway.database, buyer.id);
    },
  );

  it('are the same news as the page’s buttons: pressing Pay after the event changes nothing', async () => {
    const buyer = await anOrganization(gateway);
    const begun = await aPurchase(buyer.client);
    expect(await deliver(await anEvent(outcomeOf(begun, 'PAID')))).toBe(200);
    await expectOneSetOfLots(buyer);
    expect((await press(begun.checkoutUrl, 'pay')).status).toBe(200);
    await expectOneSetOfLots(buyer);
  });

  it.each(['FAILED', 'EXPIRED'] as const)('that it was paid after it had %s lose no money', async (first) => {
    const buyer = await anOrganization(gateway);
    const begun = await aPurchase(buyer.client);
    expect(await deliver(await anEvent(outcomeOf(begun, first)))).toBe(200);
    expect(await purchase(buyer.client, begun.id)).toMatchObject({ status: first, paidAt: null });
    expect(await deliver(await anEvent(outcomeOf(begun, 'PAID')))).toBe(200);
    expect(await purchase(buyer.client, begun.id)).toMatchObject({ status: 'PAID' });
    await expectOneSetOfLots(buyer);
  });

  it.each([
    { first: 'FAILED', next: 'EXPIRED' },
    { first: 'PAID', next: 'FAILED' },
    { first: 'PAID', next: 'EXPIRED' },
  ] as const)('cannot turn $first into $next', async ({ first, next }) => {
    const buyer = await anOrganization(gateway);
    const begun = await aPurchase(buyer.client);
    expect(await deliver(await anEvent(outcomeOf(begun, first)))).toBe(200);
    const ended = await purchase(buyer.client, begun.id);
    expect(await deliver(await anEvent(outcomeOf(begun, next)))).toBe(200);
    expect(ended.status).toBe(first);
    expect(await purchase(buyer.client, begun.id)).toEqual(ended);
    await (first === 'PAID' ? expectOneSetOfLots(buyer) : expectUntouched(buyer));
  });

  it('are refused unless the sandbox signed exactly this, just now', async () => {
    const buyer = await anOrganization(gateway);
    const begun = await aPurchase(buyer.client);
    const payload = outcomeOf(begun, 'PAID');
    const minutesAway = (minutes: number) => new Date(Date.now() + minutes * 60_000);
    const genuine = await anEvent(payload);
    const { 'webhook-signature': signature = '', ...unsigned } = genuine.headers;
    const forged: Readonly<Record<string, SignedEvent>> = {
      'another’s secret': await anEvent(payload, { signer: new Webhook(randomBytes(32).toString('base64')) }),
      'an old timestamp': await anEvent(payload, { sentAt: minutesAway(-6) }),
      'a timestamp to come': await anEvent(payload, { sentAt: minutesAway(6) }),
      'a fresh timestamp on an old signature': {
        ...(await anEvent(payload, { sentAt: minutesAway(-60) })),
        headers: {
          ...(await anEvent(payload, { sentAt: minutesAway(-60) })).headers,
          'webhook-timestamp': Math.floor(Date.now() / 1000).toString(),
        },
      },
      'a tampered body': { ...genuine, body: genuine.body.replace('PAID', 'EXPIRED') },
      'a body with a space more': { ...genuine, body: `${genuine.body} ` },
      'another event’s id': { ...genuine, headers: { ...genuine.headers, 'webhook-id': 'evt_other' } },
      'no signature': { ...genuine, headers: unsigned },
      'an empty signature': { ...genuine, headers: { ...unsigned, 'webhook-signature': '' } },
      'a signature of another scheme': {
        ...genuine,
        headers: { ...unsigned, 'webhook-signature': signature.replace(/^v1,/, 'v2,') },
      },
      'no headers': { ...genuine, headers: {} },
    };
    for (const [what, event] of Object.entries(forged)) expect([what, await deliver(event)]).toEqual([what, 400]);
    expect(await purchase(buyer.client, begun.id)).toMatchObject({ status: 'PENDING', entries: [] });
    await expectUntouched(buyer);
    expect(await deliver(genuine)).toBe(200);
    await expectOneSetOfLots(buyer);
  });

  it('about purchases that do not exist or went to another provider change nothing', async () => {
    const buyer = await anOrganization(gateway);
    const begun = await aPurchase(buyer.client);
    expect(await deliver(await anEvent({ purchaseId: randomUUID(), outcome: 'PAID' }))).toBe(404);
    await query(gateway.database, `UPDATE purchase SET provider = 'stripe' WHERE id = $1`, [
      decodeId('Purchase', begun.id),
    ]);
    expect(await deliver(await anEvent(outcomeOf(begun, 'PAID')))).toBe(404);
    expect(await purchase(buyer.client, begun.id)).toMatchObject({ status: 'PENDING' });
    await expectUntouched(buyer);
  });

  it('of kinds that the gateway does not know are taken and ignored, so that the provider stops repeating them', async () => {
    const buyer = await anOrganization(gateway);
    const begun = await aPurchase(buyer.client);
    const purchaseId = decodeId('Purchase', begun.id);
    for (const payload of [
      { purchaseId, outcome: 'CHARGED_BACK' },
      { type: 'payout.created', data: { amount: 1 } },
    ]) {
      expect(await deliver(await anEvent(payload))).toBe(200);
    }
    expect(await purchase(buyer.client, begun.id)).toMatchObject({ status: 'PENDING' });
    await expectUntouched(buyer);
  });

  it('are taken at their own provider’s address only, and only posted', async () => {
    const buyer = await anOrganization(gateway);
    const begun = await aPurchase(buyer.client);
    const event = await anEvent(outcomeOf(begun, 'PAID'));
    for (const provider of ['stripe', 'sandbox/x', 'SANDBOX', '']) expect(await deliver(event, provider)).toBe(404);
    const read = await page(new URL('/webhooks/sandbox', gateway.gateway.endpoint).toString());
    expect(read.status).toBe(405);
    expect(await purchase(buyer.client, begun.id)).toMatchObject({ status: 'PENDING' });
    await expectUntouched(buyer);
  });

  it('wait for a frozen wallet: they are refused and taken when they come again', async () => {
    const buyer = await anOrganization(gateway);
    const begun = await aPurchase(buyer.client);
    const event = await anEvent(outcomeOf(begun, 'PAID'));
    await freeze(buyer);
    expect(await deliver(event)).toBeGreaterThanOrEqual(400);
    await expectUntouched(buyer);
    await freeze(buyer, null);
    expect(await deliver(event)).toBe(200);
    await expectOneSetOfLots(buyer);
  });
});

describe('the idempotency key of a purchase', () => {
  it('gives the same purchase and the same checkout again', async () => {
    const { client, slug } = await anOrganization(gateway);
    const key = aKey();
    const first = await beginPurchase(client, 'growth', key);
    expect(first).toMatchObject({ __typename: 'PurchasePayload', replayed: false });
    expect(await beginPurchase(client, 'growth', key)).toEqual({ ...first, replayed: true });
    expect((await listed(client, slug)).edges).toHaveLength(1);
  });

  it('shows the purchase as it has become', async () => {
    const buyer = await anOrganization(gateway);
    const key = aKey();
    const first = await beginPurchase(buyer.client, 'growth', key);
    if (first.__typename !== 'PurchasePayload' || !first.purchase?.checkoutUrl) throw new Error(JSON.stringify(first));
    await press(first.purchase.checkoutUrl, 'pay');
    expect(await beginPurchase(buyer.client, 'growth', key)).toMatchObject({
      purchase: { id: first.purchase.id, status: 'PAID', checkoutUrl: null },
      replayed: true,
    });
    await expectOneSetOfLots(buyer);
  });

  it('makes one purchase of calls that arrive together at two gateways', async () => {
    await using second = await startTestGateway({ database: gateway.database });
    const { client, slug, secret } = await anOrganization(gateway);
    const key = aKey();
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        beginPurchase(index % 2 === 0 ? client : second.as(secret), 'growth', key),
      ),
    );
    const begun = answers.map((answer) => {
      if (answer.__typename !== 'PurchasePayload') throw new Error(JSON.stringify(answer));
      return answer;
    });
    expect(new Set(begun.map((answer) => answer.purchase?.id)).size).toBe(1);
    expect(begun.filter(({ replayed }) => !replayed)).toHaveLength(1);
    expect((await listed(client, slug)).edges).toHaveLength(1);
    // A replay may be answered before the first call has its checkout, but what is stored is one checkout that works.
    const [only] = (await listed(client, slug)).edges;
    expect((await press(only?.node.checkoutUrl ?? '', 'pay')).status).toBe(200);
    expect(await wallet(client, slug)).toMatchObject({ totalAvailable: '5500' });
  });

  it('always comes with a checkout, also when calls arrive together', async () => {
    const { client } = await anOrganization(gateway);
    const key = aKey();
    const answers = await Promise.all(Array.from({ length: 10 }, () => beginPurchase(client, 'growth', key)));
    const urls = answers.map((answer) =>
      answer.__typename === 'PurchasePayload' ? answer.purchase?.checkoutUrl : null,
    );
    expect(urls[0]).toMatch(/^http/);
    expect(new Set(urls).size).toBe(1);
  });

  it('is refused with another package, without telling what was bought', async () => {
    const { client, slug } = await anOrganization(gateway);
    const key = aKey();
    await beginPurchase(client, 'growth', key);
    const reused = await beginPurchase(client, 'volume', key);
    expect(reused).toMatchObject({ __typename: 'IdempotencyKeyReused', idempotencyKey: key, httpStatus: 409 });
    expect(JSON.stringify(reused)).not.toMatch(/growth/i);
    expect((await listed(client, slug)).edges.map(({ node }) => node.package?.key)).toEqual(['growth']);
  });

  it('is one key with those of debits: whoever comes second is refused', async () => {
    const { client, id } = await anOrganization(gateway, { credits: { purchased: '10' } });
    const [bought, spent] = [aKey(), aKey()];
    await beginPurchase(client, 'growth', bought);
    const { debit } = await client.run(DebitDocument, { input: { idempotencyKey: bought, amount: '1' } });
    expect(debit).toMatchObject({ __typename: 'IdempotencyKeyReused', idempotencyKey: bought });
    await client.run(DebitDocument, { input: { idempotencyKey: spent, amount: '1' } });
    expect(await beginPurchase(client, 'growth', spent)).toMatchObject({ __typename: 'IdempotencyKeyReused' });
    await expectSoundBooks(gateway.database, id);
  });

  it('goes to one of a purchase and a debit that arrive together; the other is refused, not broken', async () => {
    const { client, slug, id } = await anOrganization(gateway, { credits: { purchased: '100' } });
    const rounds = await Promise.all(
      Array.from({ length: 40 }, async () => {
        const key = aKey();
        const [bought, { debit }] = await Promise.all([
          beginPurchase(client, 'growth', key),
          client.run(DebitDocument, { input: { idempotencyKey: key, amount: '1' } }),
        ]);
        return [bought.__typename, debit.__typename].toSorted().join(' + ');
      }),
    );
    const spent = rounds.filter((round) => round === 'DebitPayload + IdempotencyKeyReused').length;
    const purchased = rounds.filter((round) => round === 'IdempotencyKeyReused + PurchasePayload').length;
    expect(spent + purchased).toBe(rounds.length);
    expect(await wallet(client, slug)).toMatchObject({ totalAvailable: String(100 - spent) });
    await expectSoundBooks(gateway.database, id);
  });
});

describe('the list of purchases', () => {
  it('is paged newest first, nothing twice and nothing left out', async () => {
    const { client, slug } = await anOrganization(gateway);
    const begun: string[] = [];
    for (let count = 0; count < 5; count++) begun.push((await aPurchase(client, 'starter')).id);
    const seen: string[] = [];
    const sizes: number[] = [];
    let after: string | null = null;
    do {
      const { edges, pageInfo } = await listed(client, slug, { first: 2, after });
      seen.push(...edges.map(({ node }) => node.id));
      sizes.push(edges.length);
      expect(pageInfo.endCursor).toBe(edges.at(-1)?.cursor);
      after = pageInfo.hasNextPage ? pageInfo.endCursor : null;
    } while (after !== null);
    expect(seen).toEqual(begun.toReversed());
    expect(sizes).toEqual([2, 2, 1]);
  });

  it('keeps its place while purchases are added', async () => {
    const { client, slug } = await anOrganization(gateway);
    const begun = [(await aPurchase(client)).id, (await aPurchase(client)).id, (await aPurchase(client)).id];
    const { endCursor: after } = (await listed(client, slug, { first: 1 })).pageInfo;
    await aPurchase(client);
    const rest = await listed(client, slug, { after });
    expect(rest.edges.map(({ node }) => node.id)).toEqual([begun[1], begun[0]]);
  });

  it('is read with the same number of statements for one purchase as for eight', async () => {
    const { client, slug } = await anOrganization(gateway);
    const statementsFor = async (first: number): Promise<number> => {
      gateway.statements.length = 0;
      const { organization } = await client.run(PurchasesInDepthDocument, { slug, first });
      expect(organization?.purchases?.edges).toHaveLength(first);
      return gateway.statements.length;
    };
    for (let count = 0; count < 8; count++) await press((await aPurchase(client)).checkoutUrl, 'pay');
    const one = await statementsFor(1);
    expect(one).toBeGreaterThan(0);
    expect(await statementsFor(8)).toBe(one);
  });

  it('is empty for an organization that bought nothing', async () => {
    const { client, slug } = await anOrganization(gateway);
    expect(await listed(client, slug)).toEqual({ edges: [], pageInfo: { hasNextPage: false, endCursor: null } });
  });
});

describe('purchases of a gateway on its own database', () => {
  it('keep the price they were begun at when the gateway died before their checkout and the catalog has changed', async () => {
    const database = await createDatabase();
    const directory = await mkdtemp(join(tmpdir(), 'purser-purchases-'));
    try {
      const before = await startTestGateway({ database });
      const buyer = await anOrganization(before);
      const key = aKey();
      await beginPurchase(buyer.client, 'growth', key);
      await before[Symbol.asyncDispose]();
      // As if it had died right after it had stored the purchase.
      await query(database, 'UPDATE purchase SET checkout_url = NULL, provider_reference = NULL');
      await query(database, 'DELETE FROM sandbox_checkout');
      const dearer = (await readFile(projectPath('catalogs/demo.yaml'), 'utf8')).replace(
        'amountMinor: 4500',
        'amountMinor: 9900',
      );
      const catalog = join(directory, 'dearer.yaml');
      await writeFile(catalog, dearer);
      await using after = await startTestGateway({ database, env: { PURSER_CATALOG: catalog } });
      const again = await beginPurchase(after.as(buyer.secret), 'growth', key);
      if (again.__typename !== 'PurchasePayload' || !again.purchase?.checkoutUrl)
        throw new Error(JSON.stringify(again));
      expect(again.replayed).toBe(true);
      expect((await page(again.purchase.checkoutUrl)).html).toContain('45.00 USD');
      expect(await purchase(after.as(buyer.secret), again.purchase.id)).toMatchObject({ price: { amountMinor: 4500 } });
    } finally {
      await database[Symbol.asyncDispose]();
      await rm(directory, { recursive: true });
    }
  });

  it('survive a restart: a checkout begun before it is paid after it, at the new address', async () => {
    const database = await createDatabase();
    try {
      const before = await startTestGateway({ database });
      const buyer = await anOrganization(before);
      const begun = await aPurchase(buyer.client);
      await before[Symbol.asyncDispose]();
      await using after = await startTestGateway({ database });
      const client = after.as(buyer.secret);
      const { checkoutUrl } = await purchase(client, begun.id);
      expect(checkoutUrl).toBe(new URL(new URL(begun.checkoutUrl).pathname, after.gateway.endpoint).toString());
      expect((await press(checkoutUrl ?? '', 'pay')).status).toBe(200);
      expect(await wallet(client, buyer.slug)).toMatchObject({ totalAvailable: '5500', sequence: 2 });
      await expectSoundBooks(database, buyer.id);
    } finally {
      await database[Symbol.asyncDispose]();
    }
  });
});
