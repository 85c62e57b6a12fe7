/** Payments by Stripe: from the offer over Stripe's checkout and its signed events to the credits, and the way back. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { decodeId, encodeId } from '../../src/graphql/ids.ts';
import {
  BoughtAndKeptDocument,
  CreatePortalSessionDocument,
  PurchasePackageDocument,
  type PurchasePartsFragment,
  PurchasesDocument,
  RefundPurchaseDocument,
} from '../generated/documents.ts';
import { expectSoundBooks } from '../support/books.ts';
import { demoWith } from '../support/catalog-files.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { aKey, anOrganization, type Given } from '../support/given.ts';
import { type Delivery, type StripeEvent, StripeStandIn } from '../support/stripe.ts';

let stripe: StripeStandIn;
let gateway: TestGateway;
beforeAll(async () => {
  stripe = await StripeStandIn.start();
  gateway = await startTestGateway({ env: stripe.env });
});
afterEach(() => {
  stripe.mood = 'NORMAL';
  stripe.refundStatus = 'succeeded';
  stripe.hasPortal = true;
});
afterAll(async () => {
  await gateway[Symbol.asyncDispose]();
  await stripe[Symbol.asyncDispose]();
});

const tell = (event: StripeEvent, delivery?: Delivery): Promise<number> =>
  stripe.deliver(gateway.gateway.endpoint, event, delivery);

const packageInput = (packageKey: string, idempotencyKey: string) => ({
  input: { packageId: encodeId('Package', packageKey), idempotencyKey },
});

/** The growth package: 5,000 credits and 500 of bonus for 45.00 USD. */
async function buy({ client }: Given, idempotencyKey = aKey(), packageKey = 'growth') {
  return (await client.run(PurchasePackageDocument, packageInput(packageKey, idempotencyKey))).purchasePackage;
}

async function begun(buyer: Given) {
  const answer = await buy(buyer);
  if (answer.__typename !== 'PurchasePayload' || !answer.purchase) throw new Error(JSON.stringify(answer));
  return { purchase: answer.purchase, session: stripe.sessionAt(answer.purchase.checkoutUrl) };
}

async function bought(buyer: Given) {
  const { purchase, session } = await begun(buyer);
  expect(await tell(stripe.pay(session))).toBe(200);
  return { purchase, session, payment: session.payment };
}

async function purchasesOf({ client, slug }: Given): Promise<readonly PurchasePartsFragment[]> {
  const { organization } = await client.run(PurchasesDocument, { slug });
  return organization?.purchases?.edges.map(({ node }) => node) ?? [];
}

const statusesOf = async (buyer: Given) => (await purchasesOf(buyer)).map(({ status }) => status);

async function wallet({ client, slug }: Given) {
  const { organization } = await client.run(BoughtAndKeptDocument, { slug });
  if (!organization?.wallet) throw new Error('no wallet');
  return organization.wallet;
}

async function refund({ id }: PurchasePartsFragment, idempotencyKey = aKey()) {
  const input = { purchaseId: id, idempotencyKey };
  return (await gateway.as(gateway.demo.tokens.operator).run(RefundPurchaseDocument, { input })).refundPurchase;
}

const openPortal = async ({ client }: Given) =>
  (await client.run(CreatePortalSessionDocument, { input: {} })).createPortalSession;

/** The customers that Stripe has for the organization. */
const customersOf = ({ id }: Given): string[] =>
  [...stripe.customers].filter(([, of]) => of === decodeId('Organization', id)).map(([customer]) => customer);

const askedFor = (path: string) => stripe.asked.filter((asked) => asked.path === path);

describe('a purchase', () => {
  it('is paid on Stripe’s page and brings its credits by the signed event', async () => {
    const buyer = await anOrganization(gateway);
    const { purchase, session } = await begun(buyer);
    const purchaseId = decodeId('Purchase', purchase.id);
    expect(purchase).toMatchObject({ status: 'PENDING', checkoutUrl: session.url, invoiceId: null });
    const asked = askedFor('/v1/checkout/sessions').filter(
      ({ form }) => form.get('metadata[purchaseId]') === purchaseId,
    );
    expect(asked).toHaveLength(1);
    expect(asked[0]).toMatchObject({ method: 'POST', idempotencyKey: `checkout:${purchaseId}` });
    expect(Object.fromEntries(asked[0]?.form ?? [])).toEqual({
      mode: 'payment',
      'line_items[0][quantity]': '1',
      'line_items[0][price_data][currency]': 'usd',
      'line_items[0][price_data][unit_amount]': '4500',
      'line_items[0][price_data][product_data][name]': 'Growth: 5500 credits, 500 of them bonus',
      client_reference_id: purchaseId,
      customer: customersOf(buyer)[0],
      'metadata[purchaseId]': purchaseId,
      'payment_intent_data[description]': 'Growth: 5500 credits, 500 of them bonus',
      'payment_intent_data[metadata][purchaseId]': purchaseId,
      'payment_intent_data[setup_future_usage]': 'off_session',
      success_url: new URL('/billing', gateway.gateway.endpoint).toString(),
      cancel_url: new URL('/billing', gateway.gateway.endpoint).toString(),
    });

    expect(await tell(stripe.pay(session))).toBe(200);
    expect(await purchasesOf(buyer)).toMatchObject([
      { id: purchase.id, status: 'PAID', checkoutUrl: null, invoiceId: session.id, receiptNumber: expect.any(String) },
    ]);
    expect(await wallet(buyer)).toMatchObject({ totalAvailable: '5500', purchasedCredits: '5500' });
    await expectSoundBooks(gateway.database, buyer.id);
  });

  it('by a slow method is paid once the money has come, not when the checkout completes', async () => {
    const buyer = await anOrganization(gateway);
    const { session } = await begun(buyer);
    expect(await tell(stripe.sessionEvent('checkout.session.completed', session))).toBe(200);
    expect(await statusesOf(buyer)).toEqual(['PENDING']);
    session.payment.paid = true;
    expect(await tell(stripe.sessionEvent('checkout.session.async_payment_succeeded', session))).toBe(200);
    expect(await statusesOf(buyer)).toEqual(['PAID']);
  });

  it.each([
    ['checkout.session.async_payment_failed', 'FAILED'],
    ['checkout.session.expired', 'EXPIRED'],
  ])('of which %s is told is %s and leaves no credits', async (type, status) => {
    const buyer = await anOrganization(gateway);
    const { session } = await begun(buyer);
    expect(await tell(stripe.sessionEvent(type, session))).toBe(200);
    expect(await statusesOf(buyer)).toEqual([status]);
    expect(await wallet(buyer)).toMatchObject({ balance: '0', lots: { edges: [] } });
  });

  it.each([
    ['as they happened', [0, 1, 2, 3, 4]],
    ['the other way round', [4, 3, 2, 1, 0]],
    ['mixed up', [2, 4, 0, 3, 1]],
  ])('of which five callbacks come %s, each twice, is credited once', async (_order, order) => {
    const buyer = await anOrganization(gateway);
    const { session } = await begun(buyer);
    const unpaid = stripe.sessionEvent('checkout.session.completed', session);
    const failed = stripe.sessionEvent('checkout.session.async_payment_failed', session);
    const paid = stripe.pay(session);
    const events = [
      unpaid,
      failed,
      paid,
      stripe.sessionEvent('checkout.session.async_payment_succeeded', session),
      stripe.sessionEvent('checkout.session.expired', session),
    ];
    for (const index of [...order, ...order]) expect(await tell(events[index] ?? paid)).toBe(200);
    expect(await statusesOf(buyer)).toEqual(['PAID']);
    const after = await wallet(buyer);
    expect(after).toMatchObject({ balance: '5500', totalAvailable: '5500' });
    expect(after.lots.edges.map(({ node }) => node.source).toSorted()).toEqual(['BONUS', 'PURCHASE']);
    await expectSoundBooks(gateway.database, buyer.id);
  });

  it('of which the same callback comes eight times at once is credited once', async () => {
    const buyer = await anOrganization(gateway);
    const { session } = await begun(buyer);
    const paid = stripe.pay(session);
    expect(await Promise.all(Array.from({ length: 8 }, () => tell(paid)))).toEqual(Array(8).fill(200));
    expect(await wallet(buyer)).toMatchObject({ balance: '5500' });
    await expectSoundBooks(gateway.database, buyer.id);
  });
});

describe('an event is refused with 400 and does nothing where', () => {
  const forgeries: readonly (readonly [string, Delivery])[] = [
    ['another secret signed it', { secret: 'whsec_another' }],
    ['it was signed too long ago', { age: 301 }],
    ['its body was changed', { body: (signed) => signed.replace('4500', '1') }],
    ['a space was added to its body', { body: (signed) => ` ${signed}` }],
    ['it has no signature', { headers: { 'content-type': 'application/json' } }],
    ['its signature is none', { headers: { 'stripe-signature': 'v1=00' } }],
  ];
  it.each(forgeries)('%s', async (_what, forgery) => {
    const buyer = await anOrganization(gateway);
    const { session } = await begun(buyer);
    const paid = stripe.pay(session);
    expect(await tell(paid, forgery)).toBe(400);
    expect(await statusesOf(buyer)).toEqual(['PENDING']);
    expect(await wallet(buyer)).toMatchObject({ balance: '0' });
  });

  it.each(['null', '[]', '{}', '{"id":"evt_1","type":"charge.refunded"}', 'no JSON', ''])(
    'what was signed is no event: %s',
    async (payload) => {
      const timestamp = Math.floor(Date.now() / 1000);
      const signature = stripe.sign(payload, timestamp);
      const headers = { 'stripe-signature': signature };
      expect(await tell(stripe.event('x', {}), { body: () => payload, headers })).toBe(400);
    },
  );

  it('is taken just before it is too old', async () => {
    const buyer = await anOrganization(gateway);
    const { session } = await begun(buyer);
    expect(await tell(stripe.pay(session), { age: 240 })).toBe(200);
    expect(await statusesOf(buyer)).toEqual(['PAID']);
  });
});

describe('an event is ignored with 200 where', () => {
  it.each(['customer.created', 'payment_intent.succeeded', 'charge.dispute.updated', 'a.type.to.come'])(
    'it is a %s',
    async (type) => {
      const buyer = await anOrganization(gateway);
      const { session } = await begun(buyer);
      expect(await tell(stripe.sessionEvent(type, session))).toBe(200);
      expect(await statusesOf(buyer)).toEqual(['PENDING']);
    },
  );

  it('its session names the purchase in nothing but what a buyer could have set', async () => {
    const buyer = await anOrganization(gateway);
    const { session } = await begun(buyer);
    const paid = stripe.sessionEvent('checkout.session.completed', session, { metadata: {}, payment_status: 'paid' });
    expect(paid.data.object).toMatchObject({ client_reference_id: expect.any(String) });
    expect(await tell(paid)).toBe(200);
    expect(await statusesOf(buyer)).toEqual(['PENDING']);
  });

  it.each([[{ purchaseId: 'x' }], [{ order: '1' }], [null]])(
    'it is about another seller’s payment: %j',
    async (metadata) => {
      const paid = { object: 'checkout.session', payment_status: 'paid', metadata, payment_intent: null };
      expect(await tell(stripe.event('checkout.session.completed', paid))).toBe(200);
      const dispute = { id: 'dp_1', metadata: {}, payment_intent: 'pi_unknown', status: 'lost' };
      expect(await tell(stripe.event('charge.dispute.closed', dispute))).toBe(200);
    },
  );
});

it('an event about a purchase that nobody knows is answered with 404', async () => {
  const paid = { payment_status: 'paid', metadata: { purchaseId: randomUUID() }, payment_intent: null };
  expect(await tell(stripe.event('checkout.session.completed', paid))).toBe(404);
});

describe('a checkout that Stripe does not answer about', () => {
  it.each([
    ['is asked for again under the same key, when Stripe can be reached', 'DOWN', 0],
    ['is the one that Stripe has opened, when only the answer was lost', 'MUTE', 1],
  ] as const)('%s', async (_what, mood, opened) => {
    const buyer = await anOrganization(gateway);
    await openPortal(buyer);
    const sessions = stripe.sessions.length;
    const key = aKey();
    stripe.mood = mood;
    const query = `mutation { purchasePackage(input: { packageId: "${encodeId('Package', 'growth')}", idempotencyKey: "${key}" }) { __typename } }`;
    const failed = await buyer.client.raw(query);
    expect(failed).toMatchObject({
      status: 503,
      errors: [
        { message: expect.stringMatching(/payment provider does not answer/), extensions: { code: 'RATE_LIMITED' } },
      ],
    });
    expect(stripe.sessions.length - sessions).toBe(opened);
    expect(await purchasesOf(buyer)).toMatchObject([{ status: 'PENDING', checkoutUrl: null }]);

    stripe.mood = 'NORMAL';
    const answer = await buy(buyer, key);
    expect(stripe.sessions.length - sessions).toBe(1);
    const session = stripe.sessions.at(-1);
    expect(answer).toMatchObject({ replayed: true, purchase: { status: 'PENDING', checkoutUrl: session?.url } });
    expect(await buy(buyer, key)).toMatchObject({ purchase: { checkoutUrl: session?.url } });
    expect(stripe.sessions.length - sessions).toBe(1);
    if (session) await tell(stripe.pay(session));
    expect(await statusesOf(buyer)).toEqual(['PAID']);
    expect(await wallet(buyer)).toMatchObject({ balance: '5500' });
  });

  it('nor about who buys makes one customer, when it is asked again', async () => {
    const buyer = await anOrganization(gateway);
    const key = aKey();
    stripe.mood = 'MUTE';
    await expect(buy(buyer, key)).rejects.toThrow('payment provider does not answer');
    expect(customersOf(buyer)).toHaveLength(1);
    stripe.mood = 'NORMAL';
    expect(await buy(buyer, key)).toMatchObject({ replayed: true, purchase: { checkoutUrl: expect.any(String) } });
    expect(customersOf(buyer)).toHaveLength(1);
  });

  it('because the key of the installation is wrong says nothing of it to the buyer', async () => {
    const env = { ...stripe.env, STRIPE_SECRET_KEY: 'sk_test_wrong' };
    await using other = await startTestGateway({ env, database: gateway.database });
    const buyer = await anOrganization(gateway);
    const at = other.as(buyer.secret);
    const answer = await at.raw(
      `mutation { purchasePackage(input: { packageId: "${encodeId('Package', 'growth')}", idempotencyKey: "${aKey()}" }) { __typename } }`,
    );
    expect(answer).toMatchObject({ status: 503, data: null });
    expect(JSON.stringify(answer)).not.toContain('sk_test');
    expect(await statusesOf(buyer)).toEqual(['PENDING']);
  });
});

it('a purchase that another provider has begun gets no checkout at Stripe, which could not tell of its payment', async () => {
  await using sandbox = await startTestGateway({ database: gateway.database });
  const buyer = await anOrganization(sandbox);
  const { payments } = sandbox.gateway.services;
  vi.spyOn(payments, 'createCheckout').mockRejectedValueOnce(new Error('it ended before the checkout was there'));
  const key = aKey();
  await expect(buy(buyer, key)).rejects.toThrow('INTERNAL_SERVER_ERROR');
  const sessions = stripe.sessions.length;
  const answer = await buy({ ...buyer, client: gateway.as(buyer.secret) }, key);
  expect(answer).toMatchObject({ replayed: true, purchase: { status: 'PENDING', checkoutUrl: null } });
  expect(stripe.sessions).toHaveLength(sessions);
  expect(await buy(buyer, key)).toMatchObject({
    purchase: { checkoutUrl: expect.stringContaining('/checkout/sandbox/') },
  });
});

describe('a checkout that cannot be opened', () => {
  let directory: string;
  let odd: TestGateway;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'purser-stripe-'));
    const path = join(directory, 'odd.yaml');
    const odder = demoWith(
      ['amountMinor: 1000, currency: USD', 'amountMinor: 49, currency: USD'],
      ['amountMinor: 4500, currency: USD', 'amountMinor: 5124, currency: KWD'],
      ['amountMinor: 16000, currency: USD', 'amountMinor: 9990, currency: HUF'],
    );
    await writeFile(path, odder);
    odd = await startTestGateway({ env: { ...stripe.env, PURSER_CATALOG: path } });
  });
  afterAll(async () => {
    await odd[Symbol.asyncDispose]();
    await rm(directory, { recursive: true });
  });

  it.each([
    ['starter', 'amount_too_small', 1],
    ['growth', 'amount_not_chargeable', 0],
  ])('makes the purchase of %s FAILED, and stays so under its key', async (packageKey, declineCode, asked) => {
    const buyer = await anOrganization(odd);
    const before = askedFor('/v1/checkout/sessions').length;
    const key = aKey();
    const first = await buy(buyer, key, packageKey);
    expect(first).toMatchObject({ __typename: 'PaymentFailed', declineCode });
    expect(await buy(buyer, key, packageKey)).toEqual(first);
    expect(askedFor('/v1/checkout/sessions').length - before).toBe(asked);
    expect(await purchasesOf(buyer)).toMatchObject([{ status: 'FAILED', checkoutUrl: null, entries: [] }]);
    await expectSoundBooks(odd.database, buyer.id);
  });

  it('is no matter of the currency: what people read is what Stripe is told to charge', async () => {
    const answer = await buy(await anOrganization(odd), aKey(), 'volume');
    expect(answer).toMatchObject({ purchase: { price: { amountMinor: 9990, currency: 'HUF' } } });
    const form = stripe.sessions.at(-1)?.form;
    expect(form?.get('line_items[0][price_data][currency]')).toBe('huf');
    expect(form?.get('line_items[0][price_data][unit_amount]')).toBe('999000');
  });
});

describe('an operator’s refund', () => {
  it('gives all of the payment back, once; Stripe’s own event of it changes nothing more', async () => {
    const buyer = await anOrganization(gateway);
    const { purchase, payment } = await bought(buyer);
    const before = stripe.refunds.length;
    const key = aKey();
    expect(await refund(purchase, key)).toMatchObject({ purchase: { status: 'REFUNDED' }, replayed: false });
    expect(await refund(purchase, key)).toMatchObject({ purchase: { status: 'REFUNDED' }, replayed: true });
    const purchaseId = decodeId('Purchase', purchase.id);
    expect(stripe.refunds.slice(before)).toMatchObject([
      { payment_intent: payment.id, amount: 4500, metadata: { purchaseId } },
    ]);
    expect(askedFor('/v1/refunds').at(-1)).toMatchObject({ idempotencyKey: `refund:${purchaseId}` });
    expect(await tell(stripe.chargeEvent('charge.refunded', payment))).toBe(200);
    expect(await wallet(buyer)).toMatchObject({ balance: '0', debt: '0', frozenCredits: '0' });
    await expectSoundBooks(gateway.database, buyer.id);
  });

  it.each(['DOWN', 'MUTE'] as const)(
    'that Stripe does not answer (%s) keeps the credits frozen; the same call completes it',
    async (mood) => {
      const buyer = await anOrganization(gateway);
      const { purchase } = await bought(buyer);
      const before = stripe.refunds.length;
      const key = aKey();
      stripe.mood = mood;
      await expect(refund(purchase, key)).rejects.toThrow('payment provider does not answer');
      expect(await wallet(buyer)).toMatchObject({ totalAvailable: '0', balance: '5500', frozenCredits: '5500' });
      stripe.mood = 'NORMAL';
      expect(await refund(purchase, key)).toMatchObject({ replayed: true, purchase: { status: 'REFUNDED' } });
      expect(stripe.refunds.length - before).toBe(1);
      expect(await wallet(buyer)).toMatchObject({ balance: '0', frozenCredits: '0' });
      await expectSoundBooks(gateway.database, buyer.id);
    },
  );

  it('that takes its time leaves the credits frozen until Stripe tells of it', async () => {
    const buyer = await anOrganization(gateway);
    const { purchase, payment } = await bought(buyer);
    stripe.refundStatus = 'pending';
    expect(await refund(purchase)).toMatchObject({ purchase: { status: 'PAID' } });
    expect(await wallet(buyer)).toMatchObject({ totalAvailable: '0', frozenCredits: '5500' });
    expect(await tell(stripe.chargeEvent('charge.refunded', payment))).toBe(200);
    expect(await statusesOf(buyer)).toEqual(['REFUNDED']);
    expect(await wallet(buyer)).toMatchObject({ balance: '0', frozenCredits: '0' });
  });

  it('that Stripe declines leaves everything as it was', async () => {
    const buyer = await anOrganization(gateway);
    const { purchase, payment } = await bought(buyer);
    payment.disputed = true;
    expect(await refund(purchase)).toMatchObject({ __typename: 'PaymentFailed', declineCode: 'charge_disputed' });
    expect(await statusesOf(buyer)).toEqual(['PAID']);
    expect(await wallet(buyer)).toMatchObject({ totalAvailable: '5500', frozenCredits: '0' });
  });

  it('that fails at the bank leaves everything as it was', async () => {
    const buyer = await anOrganization(gateway);
    const { purchase } = await bought(buyer);
    stripe.refundStatus = 'failed';
    const declineCode = 'expired_or_canceled_card';
    expect(await refund(purchase)).toMatchObject({ __typename: 'PaymentFailed', declineCode });
    expect(await wallet(buyer)).toMatchObject({ totalAvailable: '5500', frozenCredits: '0' });
  });

  it('of what was refunded by hand, whose event is still under way, is done', async () => {
    const buyer = await anOrganization(gateway);
    const { purchase, session } = await bought(buyer);
    stripe.refundInDashboard(session, 4500);
    expect(await refund(purchase)).toMatchObject({ purchase: { status: 'REFUNDED' } });
    expect(await wallet(buyer)).toMatchObject({ balance: '0' });
  });

  it('after a part was refunded by hand gives the rest back', async () => {
    const buyer = await anOrganization(gateway);
    const { purchase, session } = await bought(buyer);
    expect(await tell(stripe.refundInDashboard(session, 1500))).toBe(200);
    expect(await refund(purchase)).toMatchObject({ purchase: { status: 'REFUNDED' } });
    expect(stripe.refunds.at(-1)).toMatchObject({ amount: 3000 });
  });
});

describe('news of money that goes back by Stripe’s own pages', () => {
  it('takes the credits back once nothing of the payment is left; a part leaves them', async () => {
    const buyer = await anOrganization(gateway);
    const { session } = await bought(buyer);
    expect(await tell(stripe.refundInDashboard(session, 4499))).toBe(200);
    expect(await statusesOf(buyer)).toEqual(['PAID']);
    expect(await wallet(buyer)).toMatchObject({ totalAvailable: '5500' });
    expect(await tell(stripe.refundInDashboard(session, 1))).toBe(200);
    expect(await statusesOf(buyer)).toEqual(['REFUNDED']);
    expect(await wallet(buyer)).toMatchObject({ totalAvailable: '0', balance: '0' });
    await expectSoundBooks(gateway.database, buyer.id);
  });

  it('is understood for charges without metadata of their own, and before the payment is', async () => {
    const buyer = await anOrganization(gateway);
    const { session } = await begun(buyer);
    const paid = stripe.pay(session);
    session.payment.refunded = session.payment.amount;
    expect(await tell(stripe.chargeEvent('charge.refunded', session.payment, { metadata: {} }))).toBe(200);
    expect(await tell(paid)).toBe(200);
    expect(await statusesOf(buyer)).toEqual(['REFUNDED']);
    expect(await wallet(buyer)).toMatchObject({ balance: '0', debt: '0' });
  });

  it('that did not go back after all changes nothing', async () => {
    const buyer = await anOrganization(gateway);
    const { payment } = await bought(buyer);
    const failed = { id: 're_1', object: 'refund', payment_intent: payment.id, status: 'failed' };
    expect(await tell(stripe.event('refund.failed', failed))).toBe(200);
    expect(await statusesOf(buyer)).toEqual(['PAID']);
  });
});

describe('a dispute', () => {
  it.each([
    ['won', 'needs_response', 'won', 'PAID', '5500'],
    ['an inquiry that is closed', 'warning_needs_response', 'warning_closed', 'PAID', '5500'],
    ['lost', 'needs_response', 'lost', 'REFUNDED', '0'],
    ['prevented by giving the money back', 'warning_needs_response', 'prevented', 'REFUNDED', '0'],
  ])('%s: freezes the credits, then decides about them', async (_what, opened, closed, status, balance) => {
    const buyer = await anOrganization(gateway);
    const { payment } = await bought(buyer);
    const id = `dp_${randomUUID()}`;
    expect(await tell(stripe.disputeEvent('created', payment, id, opened))).toBe(200);
    expect(await statusesOf(buyer)).toEqual(['DISPUTED']);
    expect(await wallet(buyer)).toMatchObject({ totalAvailable: '0', frozenCredits: '5500' });
    expect(await tell(stripe.disputeEvent('closed', payment, id, closed))).toBe(200);
    expect(await statusesOf(buyer)).toEqual([status]);
    expect(await wallet(buyer)).toMatchObject({ totalAvailable: balance, balance, frozenCredits: '0' });
    await expectSoundBooks(gateway.database, buyer.id);
  });

  it('whose beginning is told after its end does not begin again', async () => {
    const buyer = await anOrganization(gateway);
    const { payment } = await bought(buyer);
    const id = `dp_${randomUUID()}`;
    expect(await tell(stripe.disputeEvent('closed', payment, id, 'won'))).toBe(200);
    expect(await tell(stripe.disputeEvent('created', payment, id, 'needs_response'))).toBe(200);
    expect(await statusesOf(buyer)).toEqual(['PAID']);
    expect(await wallet(buyer)).toMatchObject({ totalAvailable: '5500' });
  });

  it('whose payment cannot be looked up is to be told again, and is understood then', async () => {
    const buyer = await anOrganization(gateway);
    const { payment } = await bought(buyer);
    const opened = stripe.disputeEvent('created', payment, `dp_${randomUUID()}`, 'needs_response');
    stripe.mood = 'DOWN';
    expect(await tell(opened)).toBe(503);
    expect(await statusesOf(buyer)).toEqual(['PAID']);
    stripe.mood = 'NORMAL';
    expect(await tell(opened)).toBe(200);
    expect(await statusesOf(buyer)).toEqual(['DISPUTED']);
  });
});

describe('an organization', () => {
  it('is one customer of Stripe, however much it buys, also at the same time', async () => {
    const buyer = await anOrganization(gateway);
    await Promise.all([begun(buyer), begun(buyer), openPortal(buyer)]);
    await begun(buyer);
    const [customer, ...others] = customersOf(buyer);
    expect(others).toEqual([]);
    const asked = stripe.asked.filter(({ form }) => form.get('customer') === customer);
    expect(asked.map(({ path }) => path).toSorted()).toEqual([
      '/v1/billing_portal/sessions',
      ...Array(3).fill('/v1/checkout/sessions'),
    ]);
  });

  it('has Stripe’s own portal, for five minutes, before it has bought anything too', async () => {
    const before = Date.now();
    const buyer = await anOrganization(gateway);
    const opened = await openPortal(buyer);
    expect(opened).toMatchObject({ url: expect.stringMatching(/^https:\/\/billing\.stripe\.com\/p\/session\//) });
    const expiresAt = opened.__typename === 'PortalSessionPayload' ? Date.parse(opened.expiresAt) : 0;
    expect(Math.abs(expiresAt - before - 300_000)).toBeLessThan(60_000);
    const asked = askedFor('/v1/billing_portal/sessions').at(-1);
    expect(Object.fromEntries(asked?.form ?? [])).toEqual({
      customer: customersOf(buyer)[0],
      return_url: new URL('/billing', gateway.gateway.endpoint).toString(),
    });
  });

  it.each([
    [
      'Stripe does not answer',
      () => {
        stripe.mood = 'DOWN';
      },
    ],
    [
      'the account has no portal',
      () => {
        stripe.hasPortal = false;
      },
    ],
  ])('has no portal while %s: a fault that may be repeated', async (_what, arrange) => {
    const buyer = await anOrganization(gateway);
    arrange();
    const answer = await buyer.client.raw('mutation { createPortalSession(input: {}) { __typename } }');
    expect(answer).toMatchObject({ status: 503, errors: [{ extensions: { code: 'RATE_LIMITED' } }] });
    stripe.mood = 'NORMAL';
    stripe.hasPortal = true;
    expect(await openPortal(buyer)).toMatchObject({ __typename: 'PortalSessionPayload' });
    expect(customersOf(buyer)).toHaveLength(1);
  });
});

it('the sandbox is not there', async () => {
  const at = (path: string, method: string) => fetch(new URL(path, gateway.gateway.endpoint), { method });
  expect((await at('/webhooks/sandbox', 'POST')).status).toBe(404);
  expect((await at(`/checkout/sandbox/${'x'.repeat(43)}`, 'GET')).status).toBe(404);
  expect((await at('/portal/sandbox/x', 'GET')).status).toBe(404);
  expect((await at(`/checkout/sandbox/${'x'.repeat(43)}/pay`, 'POST')).status).toBe(404);
  expect((await at('/webhooks/stripe', 'GET')).status).toBe(405);
});
