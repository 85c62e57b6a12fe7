/** Money that goes back: refunds by an operator or the provider, disputes and their verdicts, and grants that are revoked. */
import { randomUUID } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { decodeId, encodeId } from '../../src/graphql/ids.ts';
import {
  BoughtAndKeptDocument,
  PurchasePackageDocument,
  type PurchasePartsFragment,
  PurchasesDocument,
  RefundPurchaseDocument,
  RevokeGrantDocument,
} from '../generated/documents.ts';
import { expectSoundBooks, query } from '../support/books.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { aKey, anOrganization, type Given, grant } from '../support/given.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway();
});
afterAll(() => gateway[Symbol.asyncDispose]());

const operator = () => gateway.as(gateway.demo.tokens.operator);

type Button = 'pay' | 'refund' | 'dispute' | 'dispute-won' | 'dispute-lost';
const press = async ({ checkoutUrl }: PurchasePartsFragment, button: Button) => {
  const response = await fetch(`${checkoutUrl}/${button}`, { method: 'POST' });
  return { status: response.status, html: await response.text() };
};

async function begun({ client }: Given, packageKey = 'growth'): Promise<PurchasePartsFragment> {
  const input = { packageId: encodeId('Package', packageKey), idempotencyKey: aKey() };
  const { purchasePackage } = await client.run(PurchasePackageDocument, { input });
  if (purchasePackage.__typename !== 'PurchasePayload' || !purchasePackage.purchase) throw new Error('not begun');
  return purchasePackage.purchase;
}

/** A purchase that was paid; 5,000 credits and 500 of bonus without another package. */
async function bought(given: Given, packageKey?: string): Promise<PurchasePartsFragment> {
  const purchase = await begun(given, packageKey);
  await press(purchase, 'pay');
  return purchase;
}

async function statusOf({ client, slug }: Given, { id }: PurchasePartsFragment) {
  const { organization } = await client.run(PurchasesDocument, { slug });
  return organization?.purchases?.edges.find(({ node }) => node.id === id)?.node.status;
}

async function books({ client, slug }: Given) {
  const { organization } = await client.run(BoughtAndKeptDocument, { slug });
  if (!organization?.wallet) throw new Error('no wallet');
  const { lots, ...wallet } = organization.wallet;
  return {
    ...wallet,
    lots: lots.edges.map(({ node }) => node),
    audits: organization.auditTrail?.edges.map(({ node }) => node) ?? [],
  };
}

async function refund({ id }: PurchasePartsFragment, idempotencyKey = aKey()) {
  const input = { purchaseId: id, idempotencyKey, reason: 'asked for it' };
  return (await operator().run(RefundPurchaseDocument, { input })).refundPurchase;
}

const debit = ({ client }: Given, amount: string) =>
  client.raw(`mutation { debit(input: { idempotencyKey: "${aKey()}", amount: "${amount}" }) { __typename } }`);

const authorized = async ({ client }: Given, amount: string): Promise<string> => {
  const { data } = await client.raw<{ authorize: { hold: { id: string } } }>(
    `mutation { authorize(input: { idempotencyKey: "${aKey()}", amount: "${amount}" }) { ... on HoldPayload { hold { id } } } }`,
  );
  return data?.authorize.hold.id ?? 'no hold';
};

const resolve = async ({ client }: Given, how: 'capture' | 'release', holdId: string) => {
  const { data } = await client.raw<Record<string, { __typename: string }>>(
    `mutation { it: ${how}(input: { holdId: "${holdId}", idempotencyKey: "${aKey()}" }) { __typename } }`,
  );
  return data?.it?.__typename;
};

/** News as the provider signs and sends it. */
async function tell(purchaseId: string, outcome: string, dispute?: string): Promise<number> {
  const [secret] = await query<{ value: string }>(
    gateway.database,
    `SELECT value FROM installation_secret WHERE name = 'sandbox.webhook'`,
  );
  const body = JSON.stringify({ purchaseId: decodeId('Purchase', purchaseId), outcome, dispute });
  const [id, sentAt] = [`evt_${randomUUID()}`, new Date()];
  const response = await fetch(new URL('/webhooks/sandbox', gateway.gateway.endpoint), {
    method: 'POST',
    body,
    headers: {
      'webhook-id': id,
      'webhook-timestamp': Math.floor(sentAt.getTime() / 1000).toString(),
      'webhook-signature': new Webhook(secret?.value ?? '').sign(id, sentAt, body),
    },
  });
  return response.status;
}

describe('an operator’s refund', () => {
  it('gives the money back and revokes the credits, bonus and all, once and audited', async () => {
    const buyer = await anOrganization(gateway);
    const purchase = await bought(buyer);
    const key = aKey();
    const refunded = await refund(purchase, key);
    expect(refunded).toMatchObject({
      __typename: 'PurchasePayload',
      replayed: false,
      purchase: { status: 'REFUNDED', entries: [{}, {}, { reasonCode: 'REVOKE' }, { reasonCode: 'REVOKE' }] },
    });
    expect(await refund(purchase, key)).toMatchObject({ replayed: true, purchase: { status: 'REFUNDED' } });
    const { audits, ...after } = await books(buyer);
    expect(after).toMatchObject({ totalAvailable: '0', balance: '0', debt: '0', frozenCredits: '0' });
    expect(audits.filter(({ action }) => action === 'refundPurchase')).toMatchObject([
      { action: 'refundPurchase', after: { purchaseId: decodeId('Purchase', purchase.id), reason: 'asked for it' } },
    ]);
    expect(await refund(purchase)).toMatchObject({ __typename: 'Conflict', currentState: 'REFUNDED' });
    expect((await (await fetch(purchase.checkoutUrl ?? '')).text()).includes('Refunded')).toBe(true);
    await expectSoundBooks(gateway.database, buyer.id);
  });

  it('is refused where credits were spent', async () => {
    const buyer = await anOrganization(gateway);
    const purchase = await bought(buyer);
    await debit(buyer, '1');
    const refused = await refund(purchase);
    expect(refused).toMatchObject({ __typename: 'Conflict', currentState: 'PAID', httpStatus: 409 });
    expect('message' in refused && refused.message).toContain('have been spent');
    expect(await books(buyer)).toMatchObject({ totalAvailable: '5499', frozenCredits: '0' });
    expect(await press(purchase, 'pay')).toMatchObject({ html: expect.not.stringContaining('Refunded') });
  });

  it('is refused while holds have reserved credits, and possible once they are released', async () => {
    const buyer = await anOrganization(gateway);
    const purchase = await bought(buyer);
    const hold = await authorized(buyer, '10');
    const refused = await refund(purchase);
    expect(refused).toMatchObject({ __typename: 'Conflict', currentState: 'PAID' });
    expect('message' in refused && refused.message).toContain('holds have reserved');
    await resolve(buyer, 'release', hold);
    expect(await refund(purchase)).toMatchObject({ purchase: { status: 'REFUNDED' } });
    await expectSoundBooks(gateway.database, buyer.id);
  });

  it('is refused for purchases that are not paid or disputed', async () => {
    const buyer = await anOrganization(gateway);
    expect(await refund(await begun(buyer))).toMatchObject({ __typename: 'Conflict', currentState: 'PENDING' });
    const purchase = await bought(buyer);
    await press(purchase, 'dispute');
    expect(await refund(purchase)).toMatchObject({ __typename: 'Conflict', currentState: 'DISPUTED' });
  });

  it('of what does not exist is not found', async () => {
    for (const purchaseId of [encodeId('Purchase', randomUUID()), 'x', gateway.organizationId]) {
      const input = { purchaseId, idempotencyKey: aKey() };
      const { refundPurchase } = await operator().run(RefundPurchaseDocument, { input });
      expect(refundPurchase).toMatchObject({ __typename: 'NotFound' });
    }
  });

  it('that the provider declines leaves everything as it was, and stays declined under its key', async () => {
    const buyer = await anOrganization(gateway);
    const purchase = await begun(buyer);
    // Paid as far as the gateway was told; the provider itself knows of no payment.
    expect(await tell(purchase.id, 'PAID')).toBe(200);
    const key = aKey();
    const first = await refund(purchase, key);
    expect(first).toMatchObject({ __typename: 'PaymentFailed', declineCode: 'not_paid' });
    expect(await books(buyer)).toMatchObject({ totalAvailable: '5500', frozenCredits: '0' });
    expect(await statusOf(buyer, purchase)).toBe('PAID');
    expect(await refund(purchase, key)).toEqual(first);
    await expectSoundBooks(gateway.database, buyer.id);
  });

  it('that is cut short after the provider has said yes keeps the credits frozen; the same call completes it', async () => {
    const buyer = await anOrganization(gateway);
    const purchase = await bought(buyer);
    const { payments } = gateway.gateway.services;
    const asked = payments.refund.bind(payments);
    const lost = vi.spyOn(payments, 'refund').mockImplementationOnce(async (request) => {
      await asked(request);
      throw new Error('the answer of the provider was lost');
    });
    const key = aKey();
    await expect(refund(purchase, key)).rejects.toThrow('INTERNAL_SERVER_ERROR');
    lost.mockRestore();
    expect(await books(buyer)).toMatchObject({ totalAvailable: '0', balance: '5500', frozenCredits: '5500' });
    expect(await statusOf(buyer, purchase)).toBe('PAID');
    expect(await refund(purchase, key)).toMatchObject({ replayed: true, purchase: { status: 'REFUNDED' } });
    expect(await books(buyer)).toMatchObject({ balance: '0', debt: '0', frozenCredits: '0' });
    await expectSoundBooks(gateway.database, buyer.id);
  });

  it('happens once when it is asked for at two gateways at the same time', async () => {
    await using second = await startTestGateway({ database: gateway.database });
    const buyer = await anOrganization(gateway);
    const purchase = await bought(buyer);
    const elsewhere = second.as(gateway.demo.tokens.operator);
    const answers = await Promise.all(
      Array.from({ length: 6 }, (_, index) => {
        const input = { purchaseId: purchase.id, idempotencyKey: aKey() };
        return (index % 2 === 0 ? operator() : elsewhere).run(RefundPurchaseDocument, { input });
      }),
    );
    const types = answers.map(({ refundPurchase }) => refundPurchase.__typename);
    expect(types).toContain('PurchasePayload');
    expect(types.every((type) => type === 'PurchasePayload' || type === 'Conflict')).toBe(true);
    expect(await books(buyer)).toMatchObject({ balance: '0', debt: '0', frozenCredits: '0' });
    await expectSoundBooks(gateway.database, buyer.id);
  });
});

describe('the provider’s news', () => {
  it('of a refund takes back the rest and books what was spent as debt, which the next credits repay', async () => {
    const buyer = await anOrganization(gateway);
    const purchase = await bought(buyer);
    await debit(buyer, '700');
    expect((await press(purchase, 'refund')).html).toContain('Refunded. The credits were taken back.');
    expect(await statusOf(buyer, purchase)).toBe('REFUNDED');
    expect(await books(buyer)).toMatchObject({ totalAvailable: '0', balance: '-700', debt: '700' });
    await grant(gateway, buyer.id, 'promotional', '1000');
    expect(await books(buyer)).toMatchObject({ totalAvailable: '300', debt: '0' });
    await expectSoundBooks(gateway.database, buyer.id);
  });

  it('of a dispute freezes what was bought; won, it can be spent again', async () => {
    const buyer = await anOrganization(gateway, { credits: { promotional: '5' } });
    const purchase = await bought(buyer);
    const hold = await authorized(buyer, '105');
    expect((await press(purchase, 'dispute')).html).toContain('Disputed. The credits are frozen.');
    expect(await statusOf(buyer, purchase)).toBe('DISPUTED');
    const disputed = await books(buyer);
    expect(disputed).toMatchObject({ totalAvailable: '0', purchasedCredits: '0', frozenCredits: '5500', held: '105' });
    expect(
      disputed.lots
        .filter(({ frozen }) => frozen)
        .map(({ source }) => source)
        .toSorted(),
    ).toEqual(['BONUS', 'PURCHASE']);
    expect(await resolve(buyer, 'capture', hold)).toBe('CapturePayload');
    await press(purchase, 'dispute-won');
    expect(await statusOf(buyer, purchase)).toBe('PAID');
    expect(await books(buyer)).toMatchObject({ totalAvailable: '5500', frozenCredits: '0', held: '0' });
    await expectSoundBooks(gateway.database, buyer.id);
  });

  it('of a dispute that is lost takes back the rest, from holds too, and books what was spent', async () => {
    const buyer = await anOrganization(gateway);
    const purchase = await bought(buyer);
    await debit(buyer, '600');
    const hold = await authorized(buyer, '100');
    await press(purchase, 'dispute');
    expect((await press(purchase, 'dispute-lost')).html).toContain('The dispute is lost.');
    expect(await statusOf(buyer, purchase)).toBe('REFUNDED');
    expect(await books(buyer)).toMatchObject({ balance: '-600', debt: '600', held: '0', frozenCredits: '0' });
    expect(await resolve(buyer, 'release', hold)).toBe('HoldPayload');
    await expectSoundBooks(gateway.database, buyer.id);
  });

  it.each([
    ['in order', ['PAID', 'DISPUTE_OPENED', 'DISPUTE_WON', 'REFUNDED']],
    ['backwards', ['REFUNDED', 'DISPUTE_WON', 'DISPUTE_OPENED', 'PAID']],
    ['mixed', ['DISPUTE_OPENED', 'REFUNDED', 'PAID', 'DISPUTE_WON']],
  ])('in any order, five times, ends in the same books: %s', async (_order, kinds) => {
    const buyer = await anOrganization(gateway);
    const purchase = await begun(buyer, 'volume');
    for (let time = 0; time < 5; time++) {
      for (const kind of kinds) {
        expect(await tell(purchase.id, kind, kind.startsWith('DISPUTE') ? 'dp_1' : undefined)).toBe(200);
      }
    }
    expect(await statusOf(buyer, purchase)).toBe('REFUNDED');
    const { lots, ...after } = await books(buyer);
    expect(after).toMatchObject({ balance: '0', debt: '0', frozenCredits: '0' });
    expect(lots.map(({ source, remaining }) => [source, remaining]).toSorted()).toEqual([
      ['BONUS', '0'],
      ['PURCHASE', '0'],
    ]);
    await expectSoundBooks(gateway.database, buyer.id);
  });

  it.each([
    ['in order', ['PAID', 'DISPUTE_OPENED', 'DISPUTE_WON']],
    ['the verdict first', ['DISPUTE_WON', 'DISPUTE_OPENED', 'PAID']],
    ['the end of the checkout first', ['EXPIRED', 'DISPUTE_OPENED', 'FAILED', 'DISPUTE_WON', 'PAID']],
  ])('of a dispute that is won credits 20,000 and 4,000 of bonus once: %s', async (_order, kinds) => {
    const buyer = await anOrganization(gateway);
    const purchase = await begun(buyer, 'volume');
    for (let time = 0; time < 5; time++) {
      await Promise.all(kinds.map((kind) => tell(purchase.id, kind, kind.startsWith('DISPUTE') ? 'dp_1' : undefined)));
    }
    expect(await statusOf(buyer, purchase)).toBe('PAID');
    expect(await books(buyer)).toMatchObject({ totalAvailable: '24000', balance: '24000', frozenCredits: '0' });
    await expectSoundBooks(gateway.database, buyer.id);
  });
});

describe('the sandbox’s page of a payment', () => {
  it('does what can still happen and tells the same again for what cannot', async () => {
    const buyer = await anOrganization(gateway);
    const purchase = await bought(buyer);
    const buttonsOf = ({ html }: { html: string }) =>
      [...html.matchAll(/\/([\w-]+)"><button/g)].map(([, name]) => name);
    expect(buttonsOf(await press(purchase, 'dispute-won'))).toEqual(['refund', 'dispute']);
    expect(buttonsOf(await press(purchase, 'dispute'))).toEqual(['dispute-won', 'dispute-lost']);
    expect(buttonsOf(await press(purchase, 'refund'))).toEqual(['dispute-won', 'dispute-lost']);
    expect(buttonsOf(await press(purchase, 'dispute-won'))).toEqual(['refund']);
    expect(buttonsOf(await press(purchase, 'dispute-lost'))).toEqual(['refund']);
    const end = await press(purchase, 'refund');
    expect(buttonsOf(end)).toEqual([]);
    expect(await press(purchase, 'dispute')).toEqual(end);
    expect(await statusOf(buyer, purchase)).toBe('REFUNDED');
  });
});

describe('revoking a grant', () => {
  const revoke = async (lotId: string, idempotencyKey = aKey()) => {
    const input = { lotId, idempotencyKey, reason: 'by mistake' };
    return (await operator().run(RevokeGrantDocument, { input })).revokeGrant;
  };
  const grantedLot = async (given: Given): Promise<string> => {
    const lot = (await books(given)).lots.find(({ source }) => source === 'PROMOTION');
    return lot?.id ?? 'no lot';
  };

  it('takes what is left; what was spent stays spent', async () => {
    const given = await anOrganization(gateway, { credits: { promotional: '100' } });
    const lot = await grantedLot(given);
    await debit(given, '30');
    const key = aKey();
    const payload = {
      __typename: 'AdjustPayload',
      transaction: { kind: 'REVERSAL', amount: '-70', entries: [{ reasonCode: 'REVOKE', direction: 'DEBIT' }] },
    };
    expect(await revoke(lot, key)).toEqual({ ...payload, replayed: false });
    expect(await revoke(lot, key)).toEqual({ ...payload, replayed: true });
    const { audits, ...after } = await books(given);
    expect(after).toMatchObject({ totalAvailable: '0', balance: '0', debt: '0' });
    expect(audits.filter(({ action }) => action === 'revokeGrant')).toMatchObject([
      { after: { credits: '-70', reason: 'by mistake' } },
    ]);
    expect(await revoke(lot)).toMatchObject({ __typename: 'InsufficientCredits', requiredCredits: '100' });
    await expectSoundBooks(gateway.database, given.id);
  });

  it('leaves what holds have reserved with them and takes what they give back', async () => {
    const given = await anOrganization(gateway, { credits: { promotional: '100' } });
    const lot = await grantedLot(given);
    const holds = [await authorized(given, '20'), await authorized(given, '30')];
    expect(await revoke(lot)).toMatchObject({ transaction: { amount: '-50' } });
    expect(await revoke(lot)).toMatchObject({
      __typename: 'InsufficientCredits',
      requiredCredits: '50',
      availableCredits: '0',
      heldCredits: '50',
    });
    expect(await resolve(given, 'capture', holds[0] ?? '')).toBe('CapturePayload');
    expect(await resolve(given, 'release', holds[1] ?? '')).toBe('HoldPayload');
    expect(await books(given)).toMatchObject({ totalAvailable: '0', balance: '0', held: '0' });
    await expectSoundBooks(gateway.database, given.id);
  });

  it('is for what operators gave: what was bought is refunded, what does not exist not found', async () => {
    const given = await anOrganization(gateway);
    await bought(given);
    const lot = (await books(given)).lots.find(({ source }) => source === 'BONUS');
    expect(await revoke(lot?.id ?? '')).toMatchObject({ __typename: 'InvalidInput', path: ['lotId'] });
    expect(await revoke(encodeId('Lot', randomUUID()))).toMatchObject({ __typename: 'NotFound' });
  });
});
