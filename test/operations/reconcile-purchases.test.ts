/** What the provider has not told, or told a process that died: it is asked, at growing distances, and credits come once. */
import { type Logger, pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeId } from '../../src/graphql/ids.ts';
import { reconcilePurchases } from '../../src/operations/reconcile-purchases.ts';
import type { Services } from '../../src/operations/services.ts';
import { type AskedPayment, PaymentProviderUnavailable } from '../../src/payments/provider.ts';
import { SandboxProvider } from '../../src/payments/sandbox/sandbox-provider.ts';
import { databaseNow } from '../../src/persistence/clock.ts';
import { keepReference } from '../../src/persistence/payments/purchases.ts';
import { expectSoundBooks, query } from '../support/books.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { aKey, anOrganization, type Given } from '../support/given.ts';
import { openSession, tenantOf } from '../support/process-posting.ts';
import { aDueCharge, askOnly, begun, comeDue, purchaseOf, walletOf } from '../support/purchases.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway();
});
afterAll(() => gateway[Symbol.asyncDispose]());

/** The sandbox, which tells nothing by itself: only its pages do. */
function sandbox(): SandboxProvider {
  const { payments } = gateway.gateway.services;
  if (!(payments instanceof SandboxProvider)) throw new Error('the sandbox takes payments');
  return payments;
}

const tokenIn = (url: string | null | undefined) => url?.split('/').at(-1) ?? '';

const reconcile = (services: Partial<Services> = {}) =>
  reconcilePurchases({ ...gateway.gateway.services, ...services });

/** A sandbox that notes what it is asked about, and answers nothing about one purchase where it is told so. */
function watchedSandbox(silentAbout: string | null = null) {
  const asked: string[] = [];
  const provider = sandbox();
  const payments = new Proxy(provider, {
    get(target, name) {
      if (name === 'lookUp') {
        return async (payment: AskedPayment) => {
          asked.push(payment.purchaseId);
          if (payment.purchaseId === silentAbout) throw new PaymentProviderUnavailable('no answer');
          return target.lookUp(payment);
        };
      }
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  return { payments, asked };
}

/** When a purchase is asked about next, in milliseconds of the database's clock. */
async function nextCheck(id: string) {
  const [row] = await query<{ check_at: Date; checks: number }>(
    gateway.database,
    'SELECT check_at, checks FROM purchase WHERE id = $1',
    [decodeId('Purchase', id)],
  );
  if (!row) throw new Error('no purchase');
  return { checkAt: row.check_at.getTime(), checks: row.checks };
}

const now = () => databaseNow(gateway.gateway.services.sql);

async function expectPaidOnce(buyer: Given, id: string, credits = '5500'): Promise<void> {
  expect(await purchaseOf(buyer, id)).toMatchObject({ status: 'PAID', receiptNumber: expect.any(String) });
  expect(await walletOf(buyer)).toMatchObject({ totalAvailable: credits, balance: credits });
  await expectSoundBooks(gateway.database, buyer.id);
}

describe('a checkout whose news got lost', () => {
  it('brings its credits once, however often and by how many the provider is asked', async () => {
    const buyer = await anOrganization(gateway);
    const { id, checkoutUrl } = await begun(buyer);
    await sandbox().pay(tokenIn(checkoutUrl), null);
    expect(await purchaseOf(buyer, id)).toMatchObject({ status: 'PENDING' });
    await comeDue(gateway.database, id);
    await Promise.all([reconcile(), reconcile()]);
    await expectPaidOnce(buyer, id);
    await comeDue(gateway.database, id);
    await reconcile();
    await fetch(checkoutUrl ?? '');
    await expectPaidOnce(buyer, id);
  });

  it.each([
    ['decline', 'FAILED', '0'],
    ['cancel', 'EXPIRED', '0'],
    ['pay', 'PAID', '5500'],
  ] as const)('that ended with %s is %s', async (action, status, balance) => {
    const buyer = await anOrganization(gateway);
    const { id, checkoutUrl } = await begun(buyer);
    await sandbox().act(tokenIn(checkoutUrl), action);
    await comeDue(gateway.database, id);
    await reconcile();
    expect(await purchaseOf(buyer, id)).toMatchObject({ status });
    expect(await walletOf(buyer)).toMatchObject({ balance });
  });

  it.each([
    [['refund'], 'REFUNDED', '0', '0'],
    [['dispute'], 'DISPUTED', '5500', '5500'],
    [['dispute', 'dispute-won'], 'PAID', '5500', '0'],
    [['dispute', 'dispute-lost'], 'REFUNDED', '0', '0'],
  ] as const)('that was paid, then %j, is %s', async (actions, status, balance, frozenCredits) => {
    const buyer = await anOrganization(gateway);
    const { id, checkoutUrl } = await begun(buyer);
    for (const action of ['pay', ...actions] as const) await sandbox().act(tokenIn(checkoutUrl), action);
    await comeDue(gateway.database, id);
    await reconcile();
    expect(await purchaseOf(buyer, id)).toMatchObject({ status });
    expect(await walletOf(buyer)).toMatchObject({ balance, frozenCredits });
    await expectSoundBooks(gateway.database, buyer.id);
  });

  it('is found out once its wallet is no longer frozen', async () => {
    const buyer = await anOrganization(gateway);
    const { id, checkoutUrl } = await begun(buyer);
    await sandbox().pay(tokenIn(checkoutUrl), null);
    const freeze = (at: string | null) =>
      query(gateway.database, 'UPDATE wallet SET frozen_at = $2 WHERE organization_id = $1', [
        decodeId('Organization', buyer.id),
        at,
      ]);
    await freeze(new Date().toISOString());
    await comeDue(gateway.database, id);
    await reconcile();
    expect(await purchaseOf(buyer, id)).toMatchObject({ status: 'PENDING' });
    await freeze(null);
    await comeDue(gateway.database, id);
    await reconcile();
    await expectPaidOnce(buyer, id);
  });
});

describe('a charge', () => {
  it('whose answer was kept by a process that died before it was posted brings its credits', async () => {
    const buyer = await anOrganization(gateway);
    const id = await aDueCharge(gateway, buyer);
    const { services } = gateway.gateway;
    const answer = await askOnly(services, await tenantOf(gateway.database, buyer.id), id);
    if (answer.status === 'DECLINED') throw new Error('the card pays');
    await comeDue(gateway.database, id);
    await reconcile();
    expect(await purchaseOf(buyer, id)).toMatchObject({ status: 'PENDING' });
    await keepReference(services.sql, decodeId('Purchase', id) ?? '', answer.reference);
    await comeDue(gateway.database, id);
    await reconcile();
    await expectPaidOnce(buyer, id, '100');
  });
});

describe('the provider is asked', () => {
  it('after five seconds, then after twice as long each time, and after six hours at most', async () => {
    const buyer = await anOrganization(gateway);
    const begins = await now();
    const { id } = await begun(buyer);
    const fresh = await nextCheck(id);
    expect(fresh.checks).toBe(0);
    expect(fresh.checkAt).toBeGreaterThanOrEqual(begins + 5_000);
    expect(fresh.checkAt).toBeLessThanOrEqual((await now()) + 5_000);
    const distances = { 0: 10, 1: 20, 2: 40, 11: 20_480, 12: 21_600, 13: 21_600, 1000000: 21_600 };
    for (const [checks, seconds] of Object.entries(distances)) {
      await comeDue(gateway.database, id, Number(checks));
      const before = await now();
      await reconcile();
      const next = await nextCheck(id);
      expect(next.checks).toBe(Number(checks) + 1);
      expect(next.checkAt).toBeGreaterThanOrEqual(before + seconds * 1000);
      expect(next.checkAt).toBeLessThanOrEqual((await now()) + seconds * 1000);
    }
  });

  it('about nothing before its time, nor about what has ended or another provider began', async () => {
    const buyer = await anOrganization(gateway);
    const [early, ended, foreign, due] = [
      await begun(buyer),
      await begun(buyer),
      await begun(buyer),
      await begun(buyer),
    ];
    await fetch(`${ended.checkoutUrl}/cancel`, { method: 'POST' });
    await query(gateway.database, `UPDATE purchase SET check_at = clock_timestamp() + interval '1 h' WHERE id = $1`, [
      decodeId('Purchase', early.id),
    ]);
    await query(gateway.database, `UPDATE purchase SET provider = 'stripe' WHERE id = $1`, [
      decodeId('Purchase', foreign.id),
    ]);
    for (const { id } of [ended, foreign, due]) await comeDue(gateway.database, id);
    const { payments, asked } = watchedSandbox();
    await reconcile({ payments });
    const about = [early, ended, foreign, due].map(
      ({ id }) => asked.filter((a) => a === decodeId('Purchase', id)).length,
    );
    expect(about).toEqual([0, 0, 0, 1]);
  });

  it('once, by whoever takes the purchase first, until all were', async () => {
    const buyer = await anOrganization(gateway);
    const purchases = await Promise.all(Array.from({ length: 25 }, () => begun(buyer)));
    for (const { id } of purchases) await comeDue(gateway.database, id, 10);
    const { payments, asked } = watchedSandbox();
    await Promise.all([reconcile({ payments }), reconcile({ payments })]);
    while ((await reconcile({ payments })).unfinished);
    const ids = purchases.map(({ id }) => decodeId('Purchase', id) ?? '');
    expect(asked.filter((id) => ids.includes(id)).toSorted()).toEqual(ids.toSorted());
  });

  it('about what an index of nothing else names, however much was sold before', async () => {
    const buyer = await anOrganization(gateway);
    await begun(buyer);
    await query(
      gateway.database,
      `INSERT INTO purchase (id, organization_id, kind, status, catalog_version, credits_micros, bonus_micros, bucket_key,
         price_minor, currency, provider, provider_reference, actor_kind, actor_id, created_at, check_at)
       SELECT gen_random_uuid(), $1, 'PACKAGE', 'EXPIRED', 1, 1, 0, 'purchased', 1, 'USD', 'sandbox', 'sold-' || n, 'SYSTEM',
         'test', now(), now() - interval '1 day'
       FROM generate_series(1, 5000) AS n`,
      [decodeId('Organization', buyer.id)],
    );
    await query(gateway.database, 'ANALYZE purchase');
    gateway.statements.length = 0;
    await reconcile();
    const taking = gateway.statements.find((sql) => sql.includes('check_at')) ?? '';
    await using session = await openSession(gateway.database);
    await session.client.query(`PREPARE taking AS ${taking}`);
    const { rows } = await session.client.query<{ 'QUERY PLAN': string }>(
      `EXPLAIN EXECUTE taking ('sandbox', 20, 5000, 21600000)`,
    );
    const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
    expect(plan).toContain('Index Scan using purchase_to_check');
    expect(plan).not.toContain('Seq Scan on purchase');
  });

  it('again later about what it did not answer; that keeps nobody else from their credits', async () => {
    const buyer = await anOrganization(gateway);
    const [mute, told] = [await begun(buyer), await begun(buyer)];
    for (const { id, checkoutUrl } of [mute, told]) {
      await sandbox().pay(tokenIn(checkoutUrl), null);
      await comeDue(gateway.database, id);
    }
    const log: { err: { message: string }; purchases: number }[] = [];
    const logger: Logger = pino({ level: 'warn' }, { write: (line: string) => log.push(JSON.parse(line)) });
    const { payments } = watchedSandbox(decodeId('Purchase', mute.id));
    await reconcile({ payments, logger });
    expect(log).toMatchObject([{ err: { message: 'no answer' }, purchases: 1 }]);
    expect(await purchaseOf(buyer, mute.id)).toMatchObject({ status: 'PENDING' });
    expect(await purchaseOf(buyer, told.id)).toMatchObject({ status: 'PAID' });
    await comeDue(gateway.database, mute.id);
    await reconcile();
    expect(await walletOf(buyer)).toMatchObject({ totalAvailable: '11000' });
  });
});

describe('a refund that a crash has cut short', () => {
  /** Begins a refund in the books alone. */
  async function begunRefund(buyer: Given) {
    const { id, checkoutUrl } = await begun(buyer);
    await fetch(`${checkoutUrl}/pay`, { method: 'POST' });
    const { engine } = gateway.gateway.services;
    const outcome = await engine.execute({
      kind: 'refund-purchase',
      ...(await tenantOf(gateway.database, buyer.id)),
      actor: { kind: 'OPERATOR', id: 'ops' },
      requestId: null,
      idempotencyKey: aKey(),
      requestHash: '00'.repeat(32),
      purchaseId: decodeId('Purchase', id) ?? '',
      description: null,
    });
    expect(outcome.status).toBe('refund-begun');
    expect(await walletOf(buyer)).toMatchObject({ totalAvailable: '0', frozenCredits: '5500' });
    return { id, token: tokenIn(checkoutUrl) };
  }

  it.each([
    ['before the provider was asked', false],
    ['after the provider had given the money back', true],
  ])('%s is completed once', async (_when, asked) => {
    const buyer = await anOrganization(gateway);
    const { id, token } = await begunRefund(buyer);
    expect(await nextCheck(id)).toMatchObject({ checks: 0 });
    if (asked) await sandbox().act(token, 'refund');
    await comeDue(gateway.database, id);
    await Promise.all([reconcile(), reconcile()]);
    expect(await purchaseOf(buyer, id)).toMatchObject({ status: 'REFUNDED' });
    expect(await sandbox().find(token)).toMatchObject({ refundEventId: expect.any(String) });
    expect(await walletOf(buyer)).toMatchObject({ totalAvailable: '0', balance: '0', debt: '0', frozenCredits: '0' });
    await expectSoundBooks(gateway.database, buyer.id);
  });

  it('is undone where the provider gives nothing back', async () => {
    const buyer = await anOrganization(gateway);
    const { id, token } = await begunRefund(buyer);
    await sandbox().act(token, 'dispute');
    await comeDue(gateway.database, id);
    await reconcile();
    expect(await purchaseOf(buyer, id)).toMatchObject({ status: 'PAID' });
    expect(await walletOf(buyer)).toMatchObject({ totalAvailable: '5500', frozenCredits: '0' });
    await expectSoundBooks(gateway.database, buyer.id);
  });
});
