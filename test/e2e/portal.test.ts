/** The portal of the sandbox: a page about an organization's payments, for whoever was given its address, for a while. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeId, encodeId } from '../../src/graphql/ids.ts';
import { portalToken } from '../../src/payments/sandbox/portal-token.ts';
import { databaseNow } from '../../src/persistence/clock.ts';
import { CreatePortalSessionDocument, PurchasePackageDocument } from '../generated/documents.ts';
import { query } from '../support/books.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { aKey, anOrganization, type Given } from '../support/given.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway();
});
afterAll(() => gateway[Symbol.asyncDispose]());

const MINUTES = 60_000;

async function openPortal({ client }: Given) {
  const { createPortalSession } = await client.run(CreatePortalSessionDocument, { input: {} });
  if (createPortalSession.__typename !== 'PortalSessionPayload') throw new Error(JSON.stringify(createPortalSession));
  return createPortalSession;
}

async function page(url: string, method = 'GET') {
  const response = await fetch(url, { method });
  return { status: response.status, html: await response.text() };
}

async function begin({ client }: Given): Promise<string> {
  const input = { packageId: encodeId('Package', 'growth'), idempotencyKey: aKey() };
  const { purchasePackage } = await client.run(PurchasePackageDocument, { input });
  const url = purchasePackage.__typename === 'PurchasePayload' ? purchasePackage.purchase?.checkoutUrl : null;
  if (!url) throw new Error('no checkout');
  return url;
}

describe('a portal', () => {
  it('shows what was bought with its receipts, and opens for half an hour', async () => {
    const buyer = await anOrganization(gateway);
    await page(`${await begin(buyer)}/pay`, 'POST');
    await begin(buyer);
    const before = await databaseNow(gateway.gateway.services.sql);
    const { url, expiresAt } = await openPortal(buyer);
    expect(url.startsWith(new URL('/portal/sandbox/', gateway.gateway.endpoint).toString())).toBe(true);
    expect(Date.parse(expiresAt)).toBeGreaterThanOrEqual(before + 30 * MINUTES);
    const { status, html } = await page(url);
    expect(status).toBe(200);
    expect(html).toContain(buyer.slug);
    expect(html.match(/Growth: 5500 credits, 500 of them bonus/g)).toHaveLength(2);
    expect([...html.matchAll(/<td>(PAID|PENDING)<\/td>/g)].map(([, said]) => said)).toEqual(['PENDING', 'PAID']);
    const receipts = [...html.matchAll(/href="([^"]*)"/g)].map(([, href]) => new URL(href ?? '', url).toString());
    expect(receipts).toHaveLength(1);
    expect((await page(receipts[0] ?? '')).html).toMatch(/Receipt R-/);
  });

  it('shows nothing of other organizations, and that nothing was bought', async () => {
    const [buyer, other] = [await anOrganization(gateway), await anOrganization(gateway)];
    await begin(other);
    const { html } = await page((await openPortal(buyer)).url);
    expect(html).toContain('Nothing was bought yet.');
    expect(html).not.toContain(other.slug);
  });

  it('is audited', async () => {
    const buyer = await anOrganization(gateway);
    await openPortal(buyer);
    const rows = await query(
      gateway.database,
      `SELECT actor_kind FROM audit_record WHERE organization_id = $1 AND action = 'createPortalSession'`,
      [decodeId('Organization', buyer.id)],
    );
    expect(rows).toEqual([{ actor_kind: 'API_KEY' }]);
  });

  it('of no organization, or of one that does not exist, is refused', async () => {
    const operator = gateway.as(gateway.demo.tokens.operator);
    const ask = async (input: { organizationId?: string }) =>
      (await operator.run(CreatePortalSessionDocument, { input })).createPortalSession;
    expect(await ask({})).toMatchObject({ __typename: 'InvalidInput', path: ['organizationId'] });
    expect(await ask({ organizationId: encodeId('Organization', crypto.randomUUID()) })).toMatchObject({
      __typename: 'NotFound',
    });
    expect(await ask({ organizationId: 'x' })).toMatchObject({ __typename: 'NotFound' });
  });
});

describe('no portal opens', () => {
  const tokenUrl = (token: string) => new URL(`/portal/sandbox/${token}`, gateway.gateway.endpoint).toString();

  it('with a token that names another organization, another expiry or another proof', async () => {
    const [buyer, other] = [await anOrganization(gateway), await anOrganization(gateway)];
    const token = (await openPortal(buyer)).url.split('/').at(-1) ?? '';
    const [organizationId = '', expiresAt = '', proof = ''] = token.split('.');
    expect((await page(tokenUrl(token))).status).toBe(200);
    const forged = [
      [decodeId('Organization', other.id), expiresAt, proof],
      [organizationId, String(Number(expiresAt) + 1), proof],
      [organizationId, expiresAt, randomBytes(32).toString('base64url')],
      [organizationId, expiresAt, ''],
      ['x', 'y', 'z'],
    ];
    for (const parts of forged) expect((await page(tokenUrl(parts.join('.')))).status).toBe(404);
    expect((await page(tokenUrl(token), 'POST')).status).toBe(404);
  });

  it('once it has expired', async () => {
    const buyer = await anOrganization(gateway);
    const [secret] = await query<{ value: string }>(
      gateway.database,
      `SELECT value FROM installation_secret WHERE name = 'sandbox.webhook'`,
    );
    const now = await databaseNow(gateway.gateway.services.sql);
    const organizationId = decodeId('Organization', buyer.id);
    const openUntil = (expiresAt: number) =>
      page(tokenUrl(portalToken(secret?.value ?? '', { organizationId, expiresAt: expiresAt as typeof now })));
    expect((await openUntil(now + MINUTES)).status).toBe(200);
    expect((await openUntil(now)).status).toBe(404);
  });
});
