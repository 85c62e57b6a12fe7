/** Receipts: a number without gaps for what is paid, and a page that traces the money to the ledger. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeId, encodeId } from '../../src/graphql/ids.ts';
import { PurchasePackageDocument, type PurchasePartsFragment, PurchasesDocument } from '../generated/documents.ts';
import { query } from '../support/books.ts';
import { startTestGateway, type TestClient, type TestGateway } from '../support/gateway.ts';
import { aKey, anOrganization, type Given } from '../support/given.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway();
});
afterAll(() => gateway[Symbol.asyncDispose]());

async function aPurchase(client: TestClient, packageKey = 'growth'): Promise<PurchasePartsFragment> {
  const input = { packageId: encodeId('Package', packageKey), idempotencyKey: aKey() };
  const { purchasePackage } = await client.run(PurchasePackageDocument, { input });
  if (purchasePackage.__typename !== 'PurchasePayload' || !purchasePackage.purchase) throw new Error('not begun');
  return purchasePackage.purchase;
}

async function newest({ client, slug }: Given): Promise<PurchasePartsFragment> {
  const { organization } = await client.run(PurchasesDocument, { slug, first: 1 });
  const node = organization?.purchases?.edges[0]?.node;
  if (!node) throw new Error('no purchase');
  return node;
}

const pay = ({ checkoutUrl }: PurchasePartsFragment) => fetch(`${checkoutUrl}/pay`, { method: 'POST' });

/** A paid purchase with its receipt. */
async function paid(given: Given, packageKey?: string) {
  expect((await pay(await aPurchase(given.client, packageKey))).status).toBe(200);
  const { receiptUrl, ...purchase } = await newest(given);
  if (!receiptUrl) throw new Error('no receipt');
  return { ...purchase, receiptUrl };
}

const numbers = async (): Promise<number[]> => {
  const rows = await query<{ receipt_sequence: string }>(
    gateway.database,
    'SELECT receipt_sequence FROM purchase WHERE receipt_sequence IS NOT NULL ORDER BY receipt_sequence',
  );
  return rows.map((row) => Number(row.receipt_sequence));
};

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

describe('a receipt', () => {
  it('comes with payment, not before it', async () => {
    const buyer = await anOrganization(gateway);
    const begun = await aPurchase(buyer.client);
    expect(begun).toMatchObject({ receiptNumber: null, receiptUrl: null, invoiceId: null });
    await pay(begun);
    const purchase = await newest(buyer);
    expect(purchase.receiptNumber).toMatch(/^R-\d{6}$/);
    expect(purchase.invoiceId).toBe(decodeId('Purchase', begun.id));
    expect(purchase.receiptUrl).toMatch(new RegExp(`^${new URL('/receipts/', gateway.gateway.endpoint)}[0-9a-f]{64}$`));
  });

  it('keeps its number when the news comes again', async () => {
    const buyer = await anOrganization(gateway);
    const begun = await aPurchase(buyer.client);
    await pay(begun);
    const first = await newest(buyer);
    await pay(begun);
    expect(await newest(buyer)).toEqual(first);
  });

  it('never skips a number: payments at two gateways at once, some of which fail, some that are told twice', async () => {
    await using second = await startTestGateway({ database: gateway.database });
    const buyers = await Promise.all(Array.from({ length: 6 }, () => anOrganization(gateway)));
    const begun = (
      await Promise.all(buyers.map(({ client }) => Promise.all(upTo(4).map(() => aPurchase(client)))))
    ).flat();
    const poisoned = begun.filter((_, index) => index % 5 === 0).map(({ id }) => decodeId('Purchase', id));
    await query(gateway.database, `UPDATE purchase SET bucket_key = 'nowhere' WHERE id = ANY($1)`, [poisoned]);
    const before = (await numbers()).length;
    const elsewhere = ({ checkoutUrl }: PurchasePartsFragment) =>
      fetch(new URL(`${new URL(checkoutUrl ?? '').pathname}/pay`, second.gateway.endpoint), { method: 'POST' });
    const answers = await Promise.all(
      begun.flatMap((purchase, index) => [
        index % 2 === 0 ? pay(purchase) : elsewhere(purchase),
        ...(index % 3 === 0 ? [elsewhere(purchase)] : []),
      ]),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 503]));
    expect(await numbers()).toEqual(upTo(before + begun.length - poisoned.length));
    await query(gateway.database, `UPDATE purchase SET bucket_key = 'purchased' WHERE id = ANY($1)`, [poisoned]);
    for (const purchase of begun) await pay(purchase);
    expect(await numbers()).toEqual(upTo(before + begun.length));
  });
});

describe('the page of a receipt', () => {
  it('says who bought what for how much and when, and which entries it made', async () => {
    const buyer = await anOrganization(gateway, { timeZone: 'Asia/Tokyo' });
    const { id, receiptNumber, receiptUrl, paidAt, entries } = await paid(buyer);
    const response = await fetch(receiptUrl);
    const html = await response.text();
    expect(response.status).toBe(200);
    for (const said of [
      ...[`Receipt ${receiptNumber}`, buyer.slug, id, decodeId('Purchase', id), 'Growth: 5500 credits', '45.00 USD'],
      ...['5000 credits', '500 bonus credits', 'Asia/Tokyo', paidAt ?? 'no instant'],
    ]) {
      expect(html).toContain(said);
    }
    expect(entries.map(({ sequence, reasonCode }) => [sequence, reasonCode])).toEqual([
      [1, 'PURCHASE'],
      [2, 'BONUS'],
    ]);
    for (const { sequence, reasonCode } of entries) {
      expect(html).toContain(`<th scope="row">${sequence}</th><td>${reasonCode}</td>`);
    }
  });

  it('can be read without seeing it and printed: language, title, one heading, captions, no script', async () => {
    const { receiptUrl } = await paid(await anOrganization(gateway));
    const response = await fetch(receiptUrl);
    const html = await response.text();
    expect(html).toMatch(/<html lang="en">/);
    expect(html).toMatch(/<title>Receipt R-\d+ · Purser<\/title>/);
    expect(html.match(/<h1/g)).toHaveLength(1);
    expect(html.match(/<table/g)?.length).toBe(html.match(/<caption/g)?.length);
    expect(html).toContain('<tr><th scope="row">Bought by</th><td>API key ');
    expect(html).toContain('@media print');
    expect(html).not.toContain('<script');
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
      'content-security-policy': expect.stringContaining("default-src 'none'"),
    });
  });

  it('shows names as they are written, never as markup', async () => {
    const buyer = await anOrganization(gateway);
    await query(gateway.database, 'UPDATE organization SET name = $2 WHERE id = $1', [
      decodeId('Organization', buyer.id),
      '<b>Bold & "Co"</b>',
    ]);
    const html = await (await fetch((await paid(buyer)).receiptUrl)).text();
    expect(html).toContain('&lt;b&gt;Bold &amp; &quot;Co&quot;&lt;/b&gt;');
    expect(html).not.toContain('<b>Bold');
  });

  it('opens with its own token only, and not before payment', async () => {
    const buyer = await anOrganization(gateway);
    const { id, receiptUrl } = await paid(buyer);
    const unpaid = await aPurchase(buyer.client);
    const [row] = await query<{ receipt_token: string }>(
      gateway.database,
      'SELECT receipt_token FROM purchase WHERE id = $1',
      [decodeId('Purchase', unpaid.id)],
    );
    const base = receiptUrl.slice(0, receiptUrl.lastIndexOf('/') + 1);
    const tokens = [row?.receipt_token ?? '', randomBytes(32).toString('hex'), decodeId('Purchase', id) ?? '', 'x', ''];
    for (const token of tokens) expect((await fetch(base + token)).status, token).toBe(404);
    expect((await fetch(receiptUrl, { method: 'POST' })).status).toBe(404);
    expect((await fetch(receiptUrl)).status).toBe(200);
  });
});
