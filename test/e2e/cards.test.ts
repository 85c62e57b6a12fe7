/** The sandbox's cards: what each does at a checkout, and when it is charged while nobody is there. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeId, encodeId } from '../../src/graphql/ids.ts';
import { SANDBOX_CARDS, type SandboxCard } from '../../src/persistence/payments/sandbox-cards.ts';
import { CreatePortalSessionDocument, RefundPurchaseDocument } from '../generated/documents.ts';
import { expectSoundBooks, query } from '../support/books.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { aKey, anOrganization, type Given } from '../support/given.ts';
import { tenantOf } from '../support/process-posting.ts';
import { aDueCharge, askOnly, begun, charge, purchaseOf, walletOf } from '../support/purchases.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway();
});
afterAll(() => gateway[Symbol.asyncDispose]());

async function press(url: string | null | undefined, button: string, form?: Record<string, string>) {
  const response = await fetch(`${url}/${button}`, {
    method: 'POST',
    ...(form ? { body: new URLSearchParams(form) } : {}),
  });
  return { status: response.status, url: response.url, html: await response.text() };
}

const page = async (url: string | null | undefined) => {
  const response = await fetch(url ?? '');
  return { status: response.status, html: await response.text() };
};

/** Where the forms of a page lead to that was shown at this address. */
const buttonsOf = (html: string, at: string) =>
  [...html.matchAll(/<form method="post" action="([^"]*)">/g)].map(([, action]) => new URL(action ?? '', at).href);

async function portalUrl({ client }: Given): Promise<string> {
  const { createPortalSession } = await client.run(CreatePortalSessionDocument, { input: {} });
  if (createPortalSession.__typename !== 'PortalSessionPayload') throw new Error('no portal');
  return createPortalSession.url;
}

const leaveCard = async (buyer: Given, card: string) => press(await portalUrl(buyer), 'card', { card });

async function cardOf(buyer: Given): Promise<string | undefined> {
  const { html } = await page(await portalUrl(buyer));
  expect(/while nobody is there to pay: <code>(\w+)</.exec(html)?.[1]).toBe(pickedOn(html));
  return pickedOn(html);
}

const pickedOn = (html: string) => /value="(\w+)" checked/.exec(html)?.[1];

async function expectNothingBought(buyer: Given): Promise<void> {
  expect(await walletOf(buyer)).toMatchObject({ totalAvailable: '0', balance: '0' });
  await expectSoundBooks(gateway.database, buyer.id);
}

describe('a checkout', () => {
  it('lets the payer pick one of the cards, by a labelled choice; the one that pays is picked', async () => {
    const { checkoutUrl } = await begun(await anOrganization(gateway));
    const { html } = await page(checkoutUrl);
    const choice = /<fieldset><legend>[^<]+<\/legend>[\s\S]*<\/fieldset>/.exec(html)?.[0] ?? '';
    const cards = [...choice.matchAll(/<label><input type="radio" name="card" value="(\w+)"/g)].map(([, card]) => card);
    expect(cards).toEqual(SANDBOX_CARDS);
    expect(pickedOn(html)).toBe('success');
  });

  it.each(['success', 'declined_later'])('is paid at once with %s', async (card) => {
    const buyer = await anOrganization(gateway);
    const { id, checkoutUrl } = await begun(buyer);
    const { status, html } = await press(checkoutUrl, 'pay', { card });
    expect([status, html]).toEqual([200, expect.stringContaining('Paid.')]);
    expect(await purchaseOf(buyer, id)).toMatchObject({ status: 'PAID' });
    expect(await walletOf(buyer)).toMatchObject({ totalAvailable: '5500' });
  });

  it('is declined with declined, for good', async () => {
    const buyer = await anOrganization(gateway);
    const { id, checkoutUrl } = await begun(buyer);
    expect((await press(checkoutUrl, 'pay', { card: 'declined' })).html).toContain('Declined.');
    expect((await press(checkoutUrl, 'pay', { card: 'success' })).html).toContain('Declined.');
    expect(await purchaseOf(buyer, id)).toMatchObject({ status: 'FAILED' });
    await expectNothingBought(buyer);
  });

  it('with requires_action waits for its payer, who confirms it, and can be paid no other way', async () => {
    const buyer = await anOrganization(gateway);
    const { id, checkoutUrl } = await begun(buyer);
    const waiting = await press(checkoutUrl, 'pay', { card: 'requires_action' });
    expect(waiting.html).toMatch(/role="status">Confirm the payment/);
    expect(buttonsOf(waiting.html, waiting.url)).toEqual(
      ['confirm', 'decline', 'cancel'].map((button) => `${checkoutUrl}/${button}`),
    );
    for (const [button, form] of [['pay'], ['pay', { card: 'success' }], ['settle']] as const) {
      expect((await press(checkoutUrl, button, form)).html).toContain('Confirm the payment');
    }
    expect(await purchaseOf(buyer, id)).toMatchObject({ status: 'PENDING', checkoutUrl });
    await expectNothingBought(buyer);
    for (const _again of [1, 2]) expect((await press(checkoutUrl, 'confirm')).html).toContain('Paid.');
    expect(await purchaseOf(buyer, id)).toMatchObject({ status: 'PAID' });
    expect(await walletOf(buyer)).toMatchObject({ totalAvailable: '5500' });
  });

  it.each([
    ['decline', 'FAILED'],
    ['cancel', 'EXPIRED'],
  ])('with requires_action that its payer ends with %s is %s', async (button, status) => {
    const buyer = await anOrganization(gateway);
    const { id, checkoutUrl } = await begun(buyer);
    await press(checkoutUrl, 'pay', { card: 'requires_action' });
    await press(checkoutUrl, button);
    await press(checkoutUrl, 'confirm');
    expect(await purchaseOf(buyer, id)).toMatchObject({ status });
    await expectNothingBought(buyer);
  });

  it.each([
    ['settle', 'PAID', '5500'],
    ['decline', 'FAILED', '0'],
  ])(
    'with delayed stays PENDING, cannot be canceled, and ends with %s as %s',
    async (button, status, totalAvailable) => {
      const buyer = await anOrganization(gateway);
      const { id, checkoutUrl } = await begun(buyer);
      const underWay = await press(checkoutUrl, 'pay', { card: 'delayed' });
      expect(underWay.html).toMatch(/role="status">The money is under way/);
      expect(buttonsOf(underWay.html, underWay.url)).toEqual([`${checkoutUrl}/settle`, `${checkoutUrl}/decline`]);
      for (const tooLate of ['cancel', 'pay', 'confirm']) await press(checkoutUrl, tooLate);
      expect(await purchaseOf(buyer, id)).toMatchObject({ status: 'PENDING', checkoutUrl });
      await expectNothingBought(buyer);
      await press(checkoutUrl, button);
      expect(await purchaseOf(buyer, id)).toMatchObject({ status });
      expect(await walletOf(buyer)).toMatchObject({ totalAvailable });
      await expectSoundBooks(gateway.database, buyer.id);
    },
  );

  it.each([
    ['of an unknown name', 'card=golden'],
    ['without a name', 'card='],
    ['named twice', 'card=success&card=delayed'],
    ['named like something of every object', 'card=constructor'],
  ])('refuses a card %s and stays as it was', async (_what, body) => {
    const buyer = await anOrganization(gateway);
    const { id, checkoutUrl } = await begun(buyer);
    const response = await fetch(`${checkoutUrl}/pay`, { method: 'POST', body });
    expect(response.status).toBe(400);
    expect(await response.text()).toMatch(/<h1>Unknown card<\/h1>[\s\S]*declined_later/);
    expect(await purchaseOf(buyer, id)).toMatchObject({ status: 'PENDING', checkoutUrl });
    await expectNothingBought(buyer);
    expect((await press(checkoutUrl, 'pay', { card: 'success' })).html).toContain('Paid.');
  });

  it('takes no form that is longer than any of its own', async () => {
    const { checkoutUrl } = await begun(await anOrganization(gateway));
    const response = await fetch(`${checkoutUrl}/pay`, { method: 'POST', body: `card=${'x'.repeat(10_000)}` });
    expect(response.status).toBe(413);
  });

  it('that is paid shows forms that lead to its own address', async () => {
    const { checkoutUrl } = await begun(await anOrganization(gateway));
    const paid = await press(checkoutUrl, 'pay');
    const buttons = [`${checkoutUrl}/refund`, `${checkoutUrl}/dispute`];
    expect(buttonsOf(paid.html, paid.url)).toEqual(buttons);
    expect(buttonsOf((await page(checkoutUrl)).html, checkoutUrl ?? '')).toEqual(buttons);
  });
});

describe('the card of an organization', () => {
  it('is one that pays, until a checkout is paid with another', async () => {
    const [buyer, other] = [await anOrganization(gateway), await anOrganization(gateway)];
    expect(await cardOf(buyer)).toBe('success');
    await press((await begun(buyer)).checkoutUrl, 'pay', { card: 'declined' });
    const waiting = await begun(buyer);
    await press(waiting.checkoutUrl, 'pay', { card: 'requires_action' });
    expect(await cardOf(buyer)).toBe('success');
    await press(waiting.checkoutUrl, 'confirm');
    expect(await cardOf(buyer)).toBe('requires_action');
    await press((await begun(buyer)).checkoutUrl, 'pay', { card: 'declined_later' });
    expect(await cardOf(buyer)).toBe('declined_later');
    await press((await begun(buyer)).checkoutUrl, 'pay');
    expect(await cardOf(buyer)).toBe('declined_later');
    expect(await cardOf(other)).toBe('success');
  });

  it('is changed on the portal’s page, which is shown again', async () => {
    const buyer = await anOrganization(gateway);
    const url = await portalUrl(buyer);
    const { html } = await page(url);
    expect(buttonsOf(html, url)).toEqual([`${url}/card`]);
    expect(html).toMatch(/<fieldset><legend>[^<]+<\/legend>/);
    const changed = await press(url, 'card', { card: 'delayed' });
    expect(changed).toMatchObject({ status: 200, url });
    expect(pickedOn(changed.html)).toBe('delayed');
  });

  it.each([['golden'], ['']])('stays what it was for the card “%s”', async (card) => {
    const buyer = await anOrganization(gateway);
    await leaveCard(buyer, 'delayed');
    expect(await leaveCard(buyer, card)).toMatchObject({ status: 400, html: expect.stringContaining('Unknown card') });
    expect((await press(await portalUrl(buyer), 'card')).status).toBe(400);
    expect(await cardOf(buyer)).toBe('delayed');
  });

  it('is changed by nobody without the portal’s address, nor by reading', async () => {
    const buyer = await anOrganization(gateway);
    const url = await portalUrl(buyer);
    const forged = `${url.slice(0, -4)}AAAA`;
    expect((await press(forged, 'card', { card: 'delayed' })).status).toBe(404);
    expect((await page(`${url}/card`)).status).toBe(404);
    expect(await cardOf(buyer)).toBe('success');
  });
});

describe('a charge while nobody is there', () => {
  it.each([
    ['success', 'PAID', '100'],
    ['declined', 'FAILED', '0'],
    ['declined_later', 'FAILED', '0'],
    ['requires_action', 'FAILED', '0'],
  ])('by %s is %s', async (card, status, totalAvailable) => {
    const buyer = await anOrganization(gateway);
    await leaveCard(buyer, card);
    const id = await aDueCharge(gateway, buyer);
    for (const _again of [1, 2]) await charge(gateway, buyer);
    expect(await purchaseOf(buyer, id)).toMatchObject({ status, checkoutUrl: null, kind: 'AUTO_TOP_UP' });
    expect(await walletOf(buyer)).toMatchObject({ totalAvailable });
    await expectSoundBooks(gateway.database, buyer.id);
  });

  it('is paid where the organization has never left a card', async () => {
    const buyer = await anOrganization(gateway);
    const id = await aDueCharge(gateway, buyer);
    await charge(gateway, buyer);
    expect(await purchaseOf(buyer, id)).toMatchObject({ status: 'PAID', receiptNumber: expect.any(String) });
  });

  it.each([
    ['settle', 'PAID', '100'],
    ['decline', 'FAILED', '0'],
  ])('by delayed has a page, which %s makes %s', async (button, status, totalAvailable) => {
    const buyer = await anOrganization(gateway);
    await leaveCard(buyer, 'delayed');
    const id = await aDueCharge(gateway, buyer);
    for (const _again of [1, 2]) await charge(gateway, buyer);
    const { checkoutUrl, ...pending } = await purchaseOf(buyer, id);
    expect(pending).toMatchObject({ status: 'PENDING', receiptNumber: null });
    const { html } = await page(checkoutUrl);
    expect(html).toContain('Top-up: 100 credits');
    expect(html).not.toContain('name="card"');
    await press(checkoutUrl, button);
    expect(await purchaseOf(buyer, id)).toMatchObject({ status });
    expect(await walletOf(buyer)).toMatchObject({ totalAvailable });
    await leaveCard(buyer, 'success');
    await expectSoundBooks(gateway.database, buyer.id);
  });

  it.each<[SandboxCard, SandboxCard, object]>([
    ['success', 'declined', { status: 'PAID' }],
    ['declined_later', 'success', { status: 'DECLINED', code: 'card_declined' }],
    ['requires_action', 'success', { status: 'DECLINED', code: 'authentication_required' }],
    ['delayed', 'success', { status: 'PENDING', url: expect.stringMatching(/^\/checkout\/sandbox\//) }],
  ])('that was asked for by %s is answered the same once the card is %s', async (first, second, answer) => {
    const buyer = await anOrganization(gateway);
    await leaveCard(buyer, first);
    const id = await aDueCharge(gateway, buyer);
    const tenant = await tenantOf(gateway.database, buyer.id);
    const asked = await Promise.all([1, 2, 3].map(() => askOnly(gateway.gateway.services, tenant, id)));
    await leaveCard(buyer, second);
    asked.push(await askOnly(gateway.gateway.services, tenant, id));
    expect(asked[0]).toMatchObject(answer);
    expect(asked).toEqual(Array(4).fill(asked[0]));
    expect(await purchaseOf(buyer, id)).toMatchObject({ status: 'PENDING' });
  });

  it('that settles does not bring its card back', async () => {
    const buyer = await anOrganization(gateway);
    await leaveCard(buyer, 'delayed');
    const id = await aDueCharge(gateway, buyer);
    await charge(gateway, buyer);
    await leaveCard(buyer, 'declined_later');
    await press((await purchaseOf(buyer, id)).checkoutUrl, 'settle');
    expect(await purchaseOf(buyer, id)).toMatchObject({ status: 'PAID' });
    expect(await cardOf(buyer)).toBe('declined_later');
  });

  it('is refunded and disputed like a checkout', async () => {
    const buyer = await anOrganization(gateway);
    const [refunded, disputed] = [await aDueCharge(gateway, buyer), await aDueCharge(gateway, buyer)];
    await charge(gateway, buyer);
    const input = { purchaseId: refunded, idempotencyKey: aKey() };
    const operator = gateway.as(gateway.demo.tokens.operator);
    expect((await operator.run(RefundPurchaseDocument, { input })).refundPurchase).toMatchObject({
      purchase: { status: 'REFUNDED' },
    });
    const [row] = await query<{ token: string }>(
      gateway.database,
      'SELECT token FROM sandbox_checkout WHERE purchase_id = $1',
      [decodeId('Purchase', disputed)],
    );
    const url = new URL(`/checkout/sandbox/${row?.token}`, gateway.gateway.endpoint).toString();
    await press(url, 'dispute');
    expect(await purchaseOf(buyer, disputed)).toMatchObject({ status: 'DISPUTED' });
    expect(await walletOf(buyer)).toMatchObject({ totalAvailable: '0', frozenCredits: '100' });
    await press(url, 'dispute-won');
    expect(await walletOf(buyer)).toMatchObject({ totalAvailable: '100' });
    await expectSoundBooks(gateway.database, buyer.id);
  });

  it('is shown to those who may buy and to nobody else', async () => {
    const { tokens, organization } = gateway.demo;
    const id = encodeId('Organization', organization.organizationId);
    const owner = { id, slug: organization.slug, secret: '', client: gateway.as(tokens.owner) };
    const portal = await gateway.as(tokens.owner).run(CreatePortalSessionDocument, { input: { organizationId: id } });
    const url = 'url' in portal.createPortalSession ? portal.createPortalSession.url : '';
    await press(url, 'card', { card: 'delayed' });
    const purchaseId = await aDueCharge(gateway, owner);
    await charge(gateway, owner);
    expect((await purchaseOf(owner, purchaseId)).checkoutUrl).toContain('/checkout/sandbox/');
    for (const token of [tokens.admin, tokens.editor, tokens.viewer, tokens.readKey]) {
      expect((await purchaseOf({ ...owner, client: gateway.as(token) }, purchaseId)).checkoutUrl).toBeNull();
    }
  });
});
