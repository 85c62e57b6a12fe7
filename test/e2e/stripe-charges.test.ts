/** Charges by Stripe while nobody is there to pay, and what Stripe is asked about that it has not told. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { decodeId, encodeId } from '../../src/graphql/ids.ts';
import { reconcilePurchases } from '../../src/operations/reconcile-purchases.ts';
import {
  ChangePlanDocument,
  RefundPurchaseDocument,
  SubscriptionDocument,
  TopUpDocument,
} from '../generated/documents.ts';
import { expectSoundBooks } from '../support/books.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { advanceTo, aKey, anOrganization, type Given } from '../support/given.ts';
import { tenantOf } from '../support/process-posting.ts';
import { aDueCharge, askOnly, begun, charge, comeDue, purchaseOf, walletOf } from '../support/purchases.ts';
import { type Card, type StripeEvent, StripeStandIn } from '../support/stripe.ts';

let stripe: StripeStandIn;
let gateway: TestGateway;
beforeAll(async () => {
  stripe = await StripeStandIn.start();
  gateway = await startTestGateway({ env: stripe.env });
});
afterEach(() => {
  stripe.mood = 'NORMAL';
  stripe.unanswered = null;
});
afterAll(async () => {
  await gateway[Symbol.asyncDispose]();
  await stripe[Symbol.asyncDispose]();
});

const tell = (event: StripeEvent): Promise<number> => stripe.deliver(gateway.gateway.endpoint, event);

/** An organization that has bought the growth package, 5,500 credits, and left the card that it paid with. */
async function aCustomer(card: Card) {
  const buyer = await anOrganization(gateway);
  const session = stripe.sessionAt((await begun(buyer)).checkoutUrl);
  expect(await tell(stripe.pay(session, card))).toBe(200);
  return { buyer, customer: session.payment.customer };
}

const chargesOf = (id: string) =>
  stripe.charges.filter(({ metadata }) => metadata.purchaseId === decodeId('Purchase', id));

/** The charge of a purchase, of which there is one. */
function chargeOf(id: string) {
  const [only, ...others] = chargesOf(id);
  if (!only || others.length > 0) throw new Error(`${1 + others.length} charges`);
  return only;
}

const ask = async (buyer: Given, id: string) =>
  askOnly(gateway.gateway.services, await tenantOf(gateway.database, buyer.id), id);

const reconcile = async (id: string) => {
  await comeDue(gateway.database, id);
  await reconcilePurchases(gateway.gateway.services);
};

describe('a charge', () => {
  it('takes the means of payment that the customer left last, once, and brings the credits at once', async () => {
    const { buyer, customer } = await aCustomer('declined');
    stripe.leave(customer, 'pays');
    const id = await aDueCharge(gateway, buyer);
    for (const _again of [1, 2]) await charge(gateway, buyer);
    const payment = chargeOf(id);
    const asked = stripe.asked.filter(
      ({ method, path, form }) =>
        `${method} ${path}` === 'POST /v1/payment_intents' &&
        form.get('metadata[purchaseId]') === decodeId('Purchase', id),
    );
    expect(asked).toMatchObject([{ idempotencyKey: `charge:${decodeId('Purchase', id)}` }]);
    expect(Object.fromEntries(asked[0]?.form ?? [])).toEqual({
      amount: '500',
      currency: 'usd',
      customer,
      payment_method: expect.stringMatching(/^pm_/),
      off_session: 'true',
      confirm: 'true',
      description: 'Top-up: 100 credits',
      'metadata[purchaseId]': decodeId('Purchase', id),
      'metadata[offSession]': 'true',
    });
    expect(await purchaseOf(buyer, id)).toMatchObject({ status: 'PAID', invoiceId: payment.id });
    expect(await tell(stripe.intentEvent('succeeded', payment))).toBe(200);
    expect(await walletOf(buyer)).toMatchObject({ totalAvailable: '5600' });
    await expectSoundBooks(gateway.database, buyer.id);
  });

  it.each([
    ['declined', 'insufficient_funds'],
    ['needs_authentication', 'authentication_required'],
    ['needs_action', 'authentication_required'],
  ] as const)('by a card that is %s is declined and closed: it can never be paid', async (card, code) => {
    const { buyer } = await aCustomer(card);
    const id = await aDueCharge(gateway, buyer);
    expect(await ask(buyer, id)).toEqual({ status: 'DECLINED', code });
    const payment = chargeOf(id);
    expect(payment).toMatchObject({ paid: false, status: 'canceled' });
    await charge(gateway, buyer);
    expect(await purchaseOf(buyer, id)).toMatchObject({ status: 'FAILED', checkoutUrl: null });
    expect(await tell(stripe.intentEvent('payment_failed', payment))).toBe(200);
    expect(await tell(stripe.intentEvent('canceled', payment))).toBe(200);
    expect(chargesOf(id)).toHaveLength(1);
    expect(await walletOf(buyer)).toMatchObject({ totalAvailable: '5500' });
    await expectSoundBooks(gateway.database, buyer.id);
  });

  it('is declined where the customer has left no means of payment', async () => {
    const buyer = await anOrganization(gateway);
    const id = await aDueCharge(gateway, buyer);
    expect(await ask(buyer, id)).toEqual({ status: 'DECLINED', code: 'no_payment_method' });
    await charge(gateway, buyer);
    expect(await purchaseOf(buyer, id)).toMatchObject({ status: 'FAILED' });
    expect(chargesOf(id)).toEqual([]);
  });

  it.each([
    ['succeeded', 'PAID', '5600'],
    ['payment_failed', 'FAILED', '5500'],
    ['canceled', 'FAILED', '5500'],
  ] as const)(
    'whose money takes a while is PENDING until Stripe tells that it %s: %s',
    async (news, status, credits) => {
      const { buyer } = await aCustomer('processing');
      const id = await aDueCharge(gateway, buyer);
      for (const _again of [1, 2]) await charge(gateway, buyer);
      const payment = chargeOf(id);
      expect(await purchaseOf(buyer, id)).toMatchObject({ status: 'PENDING', checkoutUrl: null });
      expect(await walletOf(buyer)).toMatchObject({ totalAvailable: '5500' });
      payment.paid = news === 'succeeded';
      for (const _again of [1, 2]) expect(await tell(stripe.intentEvent(news, payment))).toBe(200);
      expect(await purchaseOf(buyer, id)).toMatchObject({ status });
      expect(await walletOf(buyer)).toMatchObject({ totalAvailable: credits });
      await expectSoundBooks(gateway.database, buyer.id);
    },
  );

  it.each([
    ['at once', () => undefined],
    ['once Stripe has forgotten its key', () => stripe.forgetKeys()],
    ['once the customer has left another card', (customer: string) => stripe.leave(customer, 'declined')],
  ])('whose answer was lost is not made again %s', async (_when, meanwhile) => {
    const { buyer, customer } = await aCustomer('pays');
    const id = await aDueCharge(gateway, buyer);
    stripe.unanswered = 'POST /v1/payment_intents';
    await expect(charge(gateway, buyer)).rejects.toThrow('Stripe did not charge a customer');
    expect(await purchaseOf(buyer, id)).toMatchObject({ status: 'PENDING' });
    stripe.unanswered = null;
    meanwhile(customer);
    await charge(gateway, buyer);
    expect(chargesOf(id)).toHaveLength(1);
    expect(await purchaseOf(buyer, id)).toMatchObject({ status: 'PAID' });
    expect(await walletOf(buyer)).toMatchObject({ totalAvailable: '5600' });
  });

  it('that is declined while Stripe cannot be asked to close it is closed the next time', async () => {
    const { buyer } = await aCustomer('declined');
    const id = await aDueCharge(gateway, buyer);
    stripe.unanswered = 'POST /v1/payment_intents';
    await expect(charge(gateway, buyer)).rejects.toThrow('Stripe did not charge a customer');
    expect(chargeOf(id)).toMatchObject({ status: 'requires_payment_method' });
    stripe.unanswered = null;
    await charge(gateway, buyer);
    expect(chargeOf(id)).toMatchObject({ status: 'canceled' });
    expect(await purchaseOf(buyer, id)).toMatchObject({ status: 'FAILED' });
  });

  it('is given back by an operator’s refund', async () => {
    const { buyer } = await aCustomer('pays');
    const id = await aDueCharge(gateway, buyer);
    await charge(gateway, buyer);
    const input = { purchaseId: id, idempotencyKey: aKey() };
    const operator = gateway.as(gateway.demo.tokens.operator);
    expect((await operator.run(RefundPurchaseDocument, { input })).refundPurchase).toMatchObject({
      purchase: { status: 'REFUNDED' },
    });
    expect(stripe.refunds.at(-1)).toMatchObject({ payment_intent: chargeOf(id).id, amount: 500 });
    expect(await tell(stripe.chargeEvent('charge.refunded', chargeOf(id)))).toBe(200);
    expect(await walletOf(buyer)).toMatchObject({ totalAvailable: '5500', debt: '0' });
    await expectSoundBooks(gateway.database, buyer.id);
  });

  it('can be disputed', async () => {
    const { buyer } = await aCustomer('pays');
    const id = await aDueCharge(gateway, buyer);
    await charge(gateway, buyer);
    expect(await tell(stripe.disputeEvent('created', chargeOf(id), `dp_${aKey()}`, 'needs_response'))).toBe(200);
    expect(await purchaseOf(buyer, id)).toMatchObject({ status: 'DISPUTED' });
    expect(await walletOf(buyer)).toMatchObject({ totalAvailable: '5500', frozenCredits: '100' });
  });
});

describe('a plan with a price', () => {
  it('is paid on Stripe’s page and renewed with the card that was left there; declined, it is past due', async () => {
    const buyer = await anOrganization(gateway, { now: '2041-01-10T09:00:00Z' });
    const { client, slug, id } = buyer;
    const input = { planId: encodeId('Plan', 'team'), idempotencyKey: aKey() };
    const { selectPlan } = await client.run(ChangePlanDocument, { input });
    if (selectPlan.__typename !== 'SelectPlanPayload') throw new Error(JSON.stringify(selectPlan));
    const session = stripe.sessionAt(selectPlan.purchase?.checkoutUrl);
    expect(await tell(stripe.pay(session, 'pays'))).toBe(200);
    const standing = async () => (await client.run(SubscriptionDocument, { slug })).organization?.subscription;
    expect(await standing()).toMatchObject({ plan: { key: 'team' }, status: 'ACTIVE' });

    await advanceTo(gateway, id, '2041-02-10T00:00:01Z');
    expect(await standing()).toMatchObject({ status: 'ACTIVE', currentPeriodEnd: '2041-03-10T00:00:00.000Z' });
    const { customer } = session.payment;
    expect(stripe.charges.filter((payment) => payment.customer === customer)).toMatchObject([{ paid: true }]);

    stripe.leave(customer, 'declined');
    await advanceTo(gateway, id, '2041-03-10T00:00:01Z');
    expect(await standing()).toMatchObject({ status: 'PAST_DUE' });
    stripe.leave(customer, 'pays');
    await advanceTo(gateway, id, '2041-03-11T01:00:00Z');
    expect(await standing()).toMatchObject({ status: 'ACTIVE', currentPeriodEnd: '2041-04-10T00:00:00.000Z' });
    await expectSoundBooks(gateway.database, id);
  });
});

it('a top-up is paid on Stripe’s page', async () => {
  const buyer = await anOrganization(gateway, { plan: 'team' });
  const { totalAvailable: before } = await walletOf(buyer);
  const { topUp } = await buyer.client.run(TopUpDocument, { input: { credits: '500', idempotencyKey: aKey() } });
  if (topUp.__typename !== 'PurchasePayload') throw new Error(JSON.stringify(topUp));
  expect(await tell(stripe.pay(stripe.sessionAt(topUp.purchase?.checkoutUrl), 'pays'))).toBe(200);
  expect(Number((await walletOf(buyer)).totalAvailable) - Number(before)).toBe(500);
});

describe('an attempt within a checkout', () => {
  it('that fails fails no purchase: the payer may try another card there', async () => {
    const buyer = await anOrganization(gateway);
    const purchase = await begun(buyer);
    const session = stripe.sessionAt(purchase.checkoutUrl);
    expect(await tell(stripe.intentEvent('payment_failed', session.payment))).toBe(200);
    expect(await purchaseOf(buyer, purchase.id)).toMatchObject({ status: 'PENDING', checkoutUrl: session.url });
    const paid = stripe.pay(session);
    expect(await tell(stripe.intentEvent('succeeded', session.payment))).toBe(200);
    expect(await purchaseOf(buyer, purchase.id)).toMatchObject({ status: 'PENDING' });
    expect(await tell(paid)).toBe(200);
    expect(await walletOf(buyer)).toMatchObject({ totalAvailable: '5500' });
  });
});

describe('Stripe is asked about a checkout that it has told nothing of', () => {
  it.each<[string, Partial<{ paid: boolean; refunded: number }>, 'open' | 'complete' | 'expired', string, string]>([
    ['is open', {}, 'open', 'PENDING', '0'],
    ['was paid', { paid: true }, 'complete', 'PAID', '5500'],
    ['was paid and given back', { paid: true, refunded: 4500 }, 'complete', 'REFUNDED', '0'],
    ['was paid and given back in part', { paid: true, refunded: 4499 }, 'complete', 'PAID', '5500'],
    ['has expired', {}, 'expired', 'EXPIRED', '0'],
  ])('and that %s', async (_what, payment, sessionStatus, status, balance) => {
    const buyer = await anOrganization(gateway);
    const { id, checkoutUrl } = await begun(buyer);
    const session = stripe.sessionAt(checkoutUrl);
    Object.assign(session.payment, payment);
    session.status = sessionStatus;
    for (const _again of [1, 2]) await reconcile(id);
    expect(await purchaseOf(buyer, id)).toMatchObject({ status });
    expect(await walletOf(buyer)).toMatchObject({ balance });
    await expectSoundBooks(gateway.database, buyer.id);
  });

  it('and whose money takes a while, until it has come or not', async () => {
    const buyer = await anOrganization(gateway);
    const [paid, failed] = [await begun(buyer), await begun(buyer)];
    for (const { id, checkoutUrl } of [paid, failed]) {
      const session = stripe.sessionAt(checkoutUrl);
      session.status = 'complete';
      session.payment.status = 'processing';
      await reconcile(id);
      expect(await purchaseOf(buyer, id)).toMatchObject({ status: 'PENDING' });
    }
    stripe.sessionAt(paid.checkoutUrl).payment.paid = true;
    stripe.sessionAt(failed.checkoutUrl).payment.status = 'requires_payment_method';
    for (const { id } of [paid, failed]) await reconcile(id);
    expect(await purchaseOf(buyer, paid.id)).toMatchObject({ status: 'PAID' });
    expect(await purchaseOf(buyer, failed.id)).toMatchObject({ status: 'FAILED' });
    expect(await walletOf(buyer)).toMatchObject({ totalAvailable: '5500' });
  });

  it.each(['DOWN', 'MUTE'] as const)('again where it does not answer (%s)', async (mood) => {
    const buyer = await anOrganization(gateway);
    const { id, checkoutUrl } = await begun(buyer);
    stripe.pay(stripe.sessionAt(checkoutUrl));
    stripe.mood = mood;
    await reconcile(id);
    expect(await purchaseOf(buyer, id)).toMatchObject({ status: 'PENDING' });
    stripe.mood = 'NORMAL';
    await reconcile(id);
    expect(await purchaseOf(buyer, id)).toMatchObject({ status: 'PAID' });
  });
});

describe('Stripe is asked about a charge that it has told nothing of', () => {
  it.each([
    ['succeeded', 'PAID', '5600'],
    ['processing', 'PENDING', '5500'],
    ['requires_payment_method', 'FAILED', '5500'],
    ['canceled', 'FAILED', '5500'],
  ] as const)('and that is %s: %s', async (found, status, totalAvailable) => {
    const { buyer } = await aCustomer('processing');
    const id = await aDueCharge(gateway, buyer);
    await charge(gateway, buyer);
    const payment = chargeOf(id);
    if (found === 'succeeded') payment.paid = true;
    else payment.status = found;
    for (const _again of [1, 2]) await reconcile(id);
    expect(await purchaseOf(buyer, id)).toMatchObject({ status });
    expect(await walletOf(buyer)).toMatchObject({ totalAvailable });
    await expectSoundBooks(gateway.database, buyer.id);
  });

  it('whose refund a crash has cut short: the money goes back, once', async () => {
    const { buyer } = await aCustomer('pays');
    const id = await aDueCharge(gateway, buyer);
    await charge(gateway, buyer);
    const operator = gateway.as(gateway.demo.tokens.operator);
    stripe.mood = 'MUTE';
    const input = { purchaseId: id, idempotencyKey: aKey() };
    await expect(operator.run(RefundPurchaseDocument, { input })).rejects.toThrow('payment provider does not answer');
    stripe.mood = 'NORMAL';
    for (const _again of [1, 2]) await reconcile(id);
    expect(stripe.refunds.filter(({ payment_intent }) => payment_intent === chargeOf(id).id)).toHaveLength(1);
    expect(await purchaseOf(buyer, id)).toMatchObject({ status: 'REFUNDED' });
  });
});
