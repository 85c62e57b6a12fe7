/** Plans with a price: paid at a checkout, renewed by charges that nobody is there for, changed for what is left of a period. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeId } from '../../src/graphql/ids.ts';
import { collectPayments } from '../../src/operations/collect-payments.ts';
import { reconcilePurchases } from '../../src/operations/reconcile-purchases.ts';
import type { ChargeAnswer, PaymentProvider } from '../../src/payments/provider.ts';
import {
  ApplyCatalogDocument,
  CreateProjectDocument,
  PlanChangePreviewDocument,
  type PurchasePartsFragment,
  PurchasesDocument,
  WalletStateDocument,
} from '../generated/documents.ts';
import {
  type Account,
  anAccount,
  type Choice,
  cancel,
  debit,
  historyOf,
  select,
  standingOf,
  startWithPlans,
} from '../support/accounts.ts';
import { expectSoundBooks } from '../support/books.ts';

import { demoWith } from '../support/catalog-files.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { advanceTo, aKey, grant } from '../support/given.ts';

const PLANS = `plans:
  - key: basic
    name: Basic
    price: { amountMinor: 1000, currency: USD }
    allowances: [{ bucket: monthly_plan, interval: MONTH, credits: 100, rolloverLimit: 40 }]
  - key: plus
    name: Plus
    price: { amountMinor: 3000, currency: USD }
    allowances:
      - { bucket: monthly_plan, interval: MONTH, credits: 400 }
      - { bucket: daily_free, interval: DAY, credits: 5 }
  - key: plus_yearly
    name: Plus, yearly
    price: { amountMinor: 30000, currency: USD }
    interval: YEAR
    allowances: [{ bucket: monthly_plan, interval: MONTH, credits: 400 }]
  - key: europe
    name: Europe
    price: { amountMinor: 2000, currency: EUR }
    allowances: []
  - key: tried
    name: Tried
    price: { amountMinor: 2000, currency: USD }
    trialDays: 14
    allowances: [{ bucket: monthly_plan, interval: MONTH, credits: 200 }]
  - key: gratis
    name: Gratis
    price: { amountMinor: 0, currency: USD }
    allowances: [{ bucket: monthly_plan, interval: MONTH, credits: 10 }]
    limits: [{ key: projects, max: 1 }]
`;

/** Answers charges as a test says; everything else is the sandbox's. */
class ScriptedCharges {
  answers: (ChargeAnswer | 'UNAVAILABLE' | 'LOST')[] = [];
  readonly asked: string[] = [];

  script(payments: PaymentProvider): void {
    const charge = payments.charge.bind(payments);
    payments.charge = async (request) => {
      this.asked.push(request.purchaseId);
      const answer = this.answers.shift();
      if (answer === 'UNAVAILABLE') throw new Error('the provider is away');
      if (answer === 'LOST') {
        await charge(request);
        throw new Error('the answer was lost');
      }
      return answer ?? charge(request);
    };
  }
}

const DECLINED: ChargeAnswer = { status: 'DECLINED', code: 'card_declined' };
const START = '2041-01-10T09:00:00Z';

let gateway: TestGateway;
const charges = new ScriptedCharges();
beforeAll(async () => {
  gateway = await startWithPlans(PLANS);
  charges.script(gateway.gateway.services.payments);
});
afterAll(async () => {
  await gateway[Symbol.asyncDispose]();
});

/** Under a catalog in which one thing of the plans is written otherwise. */
async function repriced(at: TestGateway, from: string, to: string, work: () => Promise<void>): Promise<void> {
  const operator = at.as(at.demo.tokens.operator);
  const apply = (plans: string) =>
    operator.run(ApplyCatalogDocument, { input: { yaml: demoWith(['plans:\n', plans]) } });
  await apply(PLANS.replace(from, to));
  try {
    await work();
  } finally {
    await apply(PLANS);
  }
}

/** The purchase that selecting the plan begins. */
async function toPay(account: Account, plan: string, choice?: Choice): Promise<PurchasePartsFragment> {
  const answer = await select(account, plan, choice);
  if (answer.__typename !== 'SelectPlanPayload' || !answer.purchase) throw new Error(JSON.stringify(answer));
  return answer.purchase;
}

async function press({ checkoutUrl }: Pick<PurchasePartsFragment, 'checkoutUrl'>, button: string): Promise<void> {
  const { status } = await fetch(`${checkoutUrl}/${button}`, { method: 'POST' });
  expect(status).toBe(200);
}

/** An account whose plan is paid. */
async function paying(plan: string, now = START, timeZone?: string): Promise<Account> {
  const account = await anAccount(gateway, now, timeZone);
  await press(await toPay(account, plan), 'pay');
  return account;
}

/** Newest first. */
async function purchasesOf({ client, slug }: Account): Promise<PurchasePartsFragment[]> {
  const { organization } = await client.run(PurchasesDocument, { slug, first: 50 });
  return (organization?.purchases?.edges ?? []).map(({ node }) => node);
}

/** What has become of the purchases, newest first, once what is open was looked after. */
async function afterReconciling(account: Account): Promise<string[]> {
  const { services } = gateway.gateway;
  await services.sql`
    UPDATE purchase SET check_at = clock_timestamp() - interval '1 second'
    WHERE organization_id = (SELECT id FROM organization WHERE slug = ${account.slug})`;
  while ((await reconcilePurchases(services)).unfinished);
  return (await purchasesOf(account)).map(({ status }) => status);
}

async function balance({ client, slug }: Account): Promise<string | undefined> {
  const { organization } = await client.run(WalletStateDocument, { slug });
  return organization?.wallet?.totalAvailable;
}

const preview = async ({ id, client }: Account, plan: string, when?: 'NOW' | 'PERIOD_END') =>
  (
    await client.run(PlanChangePreviewDocument, {
      organizationId: id,
      planId: encodeId('Plan', plan),
      ...(when ? { when } : {}),
    })
  ).planChangePreview;

describe('a first plan with a price', () => {
  it('is shown before, begins when its checkout is paid, and names its receipt and entries', async () => {
    const account = await anAccount(gateway, START);
    expect(await preview(account, 'basic')).toMatchObject({
      dueNow: { amountMinor: 1000 },
      credited: { amountMinor: 0 },
      nextRenewal: { amountMinor: 1000 },
      nextRenewalAt: '2041-02-10T00:00:00.000Z',
      creditsGranted: '100',
    });
    const answer = await select(account, 'basic');
    expect(answer).toMatchObject({
      __typename: 'SelectPlanPayload',
      subscription: null,
      purchase: { kind: 'PLAN', status: 'PENDING', price: { amountMinor: 1000 }, receiptNumber: null, credits: '0' },
    });
    expect(await debit(account, '1')).toMatchObject({ __typename: 'SubscriptionRequired' });
    const [purchase] = await purchasesOf(account);
    if (!purchase) throw new Error('no purchase');
    await press(purchase, 'pay');
    await press(purchase, 'pay');
    expect(await standingOf(account)).toMatchObject({
      plan: { key: 'basic' },
      status: 'ACTIVE',
      anchorDay: 10,
      currentPeriodEnd: '2041-02-10T00:00:00.000Z',
    });
    const [paid] = await purchasesOf(account);
    expect(paid).toMatchObject({ status: 'PAID', entries: [{ reasonCode: 'PLAN_GRANT', amount: '100' }] });
    expect(paid?.receiptNumber).toMatch(/^R-\d+$/);
    const receipt = await (await fetch(paid?.receiptUrl ?? '')).text();
    expect(receipt).toContain('Basic plan: a month');
    expect(await balance(account)).toBe('100');
    await expectSoundBooks(gateway.database, account.id);
  });

  it('is one purchase under one key, and stays a refusal where its checkout is declined', async () => {
    const account = await anAccount(gateway, START);
    const idempotencyKey = aKey();
    const first = await toPay(account, 'basic', { idempotencyKey });
    expect(await select(account, 'basic', { idempotencyKey })).toMatchObject({
      replayed: true,
      purchase: { id: first.id, checkoutUrl: first.checkoutUrl },
    });
    expect(await select(account, 'plus', { idempotencyKey })).toMatchObject({ __typename: 'IdempotencyKeyReused' });
    await press(first, 'decline');
    expect(await standingOf(account)).toBeNull();
    expect((await purchasesOf(account)).map(({ status }) => status)).toEqual(['FAILED']);
  });

  it('that is paid twice begins once; the money of the other goes back', async () => {
    const account = await anAccount(gateway, START);
    const [one, other] = [await toPay(account, 'basic'), await toPay(account, 'plus')];
    await press(one, 'pay');
    await press(other, 'pay');
    expect(await standingOf(account)).toMatchObject({ plan: { key: 'basic' }, status: 'ACTIVE' });
    expect(await balance(account)).toBe('100');
    expect(await afterReconciling(account)).toEqual(['REFUNDED', 'PAID']);
  });

  it('takes the place of a free one in full, with a period of its own', async () => {
    const account = await anAccount(gateway, START);
    await select(account, 'gratis');
    await advanceTo(gateway, account.id, '2041-01-20T00:00:00Z');
    expect(await preview(account, 'basic')).toMatchObject({
      dueNow: { amountMinor: 1000 },
      creditsGranted: '100',
      creditsForfeited: '10',
      nextRenewalAt: '2041-02-20T00:00:00.000Z',
    });
    await press(await toPay(account, 'basic'), 'pay');
    expect(await standingOf(account)).toMatchObject({
      anchorDay: 20,
      currentPeriodEnd: '2041-02-20T00:00:00.000Z',
    });
    expect(await balance(account)).toBe('100');
  });
});

describe('a renewal', () => {
  it('charges at the boundary, once a period, and grants from there; what rolls over does so first', async () => {
    const account = await paying('basic', '2041-01-31T09:00:00Z', 'Europe/Berlin');
    await debit(account, '20');
    await advanceTo(gateway, account.id, '2041-04-01T00:00:00Z');
    expect(await historyOf(account, 'day')).toEqual([
      'PLAN_GRANT 100 2041-01-31',
      'USAGE -20 2041-01-31',
      'ROLLOVER -40 2041-02-27',
      'ROLLOVER 40 2041-02-27',
      'EXPIRY -40 2041-02-27',
      'PLAN_GRANT 100 2041-02-27',
      'EXPIRY -40 2041-03-30',
      'ROLLOVER -40 2041-03-30',
      'ROLLOVER 40 2041-03-30',
      'EXPIRY -60 2041-03-30',
      'PLAN_GRANT 100 2041-03-30',
    ]);
    expect(
      (await purchasesOf(account)).map(({ kind, status, price }) => `${kind} ${status} ${price.amountMinor}`),
    ).toEqual(['PLAN PAID 1000', 'PLAN PAID 1000', 'PLAN PAID 1000']);
    expect(await standingOf(account)).toMatchObject({
      status: 'ACTIVE',
      currentPeriodStart: '2041-03-30T23:00:00.000Z',
      currentPeriodEnd: '2041-04-29T22:00:00.000Z',
    });
    await expectSoundBooks(gateway.database, account.id);
  });

  it('follows the table through a year from 29 February on', async () => {
    const account = await paying('basic', '2044-02-29T09:00:00Z');
    // What the renewal posts; what is spent afterwards. What was carried over burns first.
    const table: [start: string, lost: number, carried: number, expired: number, spent: number][] = [
      ['2044-02-29', 0, 0, 0, 30],
      ['2044-03-29', 0, 40, 30, 140],
      ['2044-04-29', 0, 0, 0, 90],
      ['2044-05-29', 0, 10, 0, 0],
      ['2044-06-29', 10, 40, 60, 60],
      ['2044-07-29', 0, 40, 40, 20],
      ['2044-08-29', 20, 40, 60, 40],
      ['2044-09-29', 0, 40, 60, 125],
      ['2044-10-29', 0, 15, 0, 115],
      ['2044-11-29', 0, 0, 0, 1],
      ['2044-12-29', 0, 40, 59, 139],
      ['2045-01-29', 0, 1, 0, 0],
      ['2045-02-28', 1, 40, 60, 0],
      ['2045-03-29', 40, 40, 60, 0],
    ];
    const expected: string[] = [];
    for (const [index, [start, lost, carried, expired, spent]] of table.entries()) {
      if (index > 0) await advanceTo(gateway, account.id, `${start}T12:00:00Z`);
      expect(await standingOf(account)).toMatchObject({
        status: 'ACTIVE',
        currentPeriodEnd: `${table[index + 1]?.[0] ?? '2045-04-29'}T00:00:00.000Z`,
      });
      if (spent > 0) expect(await debit(account, `${spent}`)).toMatchObject({ __typename: 'DebitPayload' });
      if (lost > 0) expected.push(`EXPIRY -${lost} ${start}`);
      if (carried > 0) expected.push(`ROLLOVER -${carried} ${start}`, `ROLLOVER ${carried} ${start}`);
      if (expired > 0) expected.push(`EXPIRY -${expired} ${start}`);
      expected.push(`PLAN_GRANT 100 ${start}`);
    }
    expect((await historyOf(account, 'day')).filter((entry) => !entry.startsWith('USAGE'))).toEqual(expected);
    const purchases = await purchasesOf(account);
    expect(purchases.map(({ status, price }) => `${status} ${price.amountMinor}`)).toEqual(
      table.map(() => 'PAID 1000'),
    );
    expect(new Set(purchases.map(({ receiptNumber }) => receiptNumber)).size).toBe(table.length);
    await expectSoundBooks(gateway.database, account.id);
  });

  it('is charged once, however many look at once', async () => {
    const account = await paying('basic');
    await using second = await startTestGateway({ database: gateway.database });
    const { sql } = gateway.gateway.services;
    const [tenant] = await sql<{ id: string; organization_id: string }[]>`
      UPDATE organization o
      SET test_clock_offset_ms = test_clock_offset_ms + 31 * 86400000::bigint
      FROM wallet w WHERE o.slug = ${account.slug} AND w.organization_id = o.id
      RETURNING w.id, w.organization_id`;
    if (!tenant) throw new Error('no such organization');
    const of = { walletId: tenant.id, organizationId: tenant.organization_id };
    const before = charges.asked.length;
    await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        collectPayments((index % 2 === 0 ? gateway : second).gateway.services, of),
      ),
    );
    expect((await purchasesOf(account)).map(({ status }) => status)).toEqual(['PAID', 'PAID']);
    expect(new Set(charges.asked.slice(before)).size).toBeLessThanOrEqual(1);
    expect(await balance(account)).toBe('140');
  });

  it('of a year leaves its months alone', async () => {
    const account = await paying('plus_yearly');
    await advanceTo(gateway, account.id, '2042-01-09T00:00:00Z');
    expect(await purchasesOf(account)).toHaveLength(1);
    expect((await historyOf(account, 'day')).at(-1)).toBe('PLAN_GRANT 400 2041-12-10');
    await advanceTo(gateway, account.id, '2042-01-10T00:00:01Z');
    expect(await purchasesOf(account)).toHaveLength(2);
    expect(await standingOf(account)).toMatchObject({ currentPeriodEnd: '2043-01-10T00:00:00.000Z' });
  });

  it('that is declined makes it past due: nothing is granted or spent, and each retry follows its schedule', async () => {
    const account = await paying('plus');
    await grant(gateway, account.id, 'purchased', '50');
    charges.answers = [DECLINED];
    await advanceTo(gateway, account.id, '2041-02-10T00:00:01Z');
    expect(await standingOf(account)).toMatchObject({ status: 'PAST_DUE' });
    expect(await debit(account, '1')).toMatchObject({ __typename: 'SubscriptionRequired' });
    expect(await balance(account)).toBe('50');
    charges.answers = [DECLINED];
    await advanceTo(gateway, account.id, '2041-02-11T12:00:00Z');
    expect((await purchasesOf(account)).map(({ status }) => status)).toEqual(['FAILED', 'FAILED', 'PAID']);
    await advanceTo(gateway, account.id, '2041-02-13T12:00:00Z');
    expect((await purchasesOf(account)).map(({ status }) => status)).toEqual(['PAID', 'FAILED', 'FAILED', 'PAID']);
    expect(await standingOf(account)).toMatchObject({
      status: 'ACTIVE',
      currentPeriodStart: '2041-02-10T00:00:00.000Z',
      currentPeriodEnd: '2041-03-10T00:00:00.000Z',
    });
    expect(await balance(account)).toBe('455');
  });

  it('that is declined to the end of the days of grace ends it, after a bounded number of attempts', async () => {
    const account = await paying('basic');
    charges.answers = Array.from({ length: 20 }, () => DECLINED);
    await advanceTo(gateway, account.id, '2041-02-16T23:00:00Z');
    expect(await standingOf(account)).toMatchObject({ status: 'PAST_DUE' });
    await advanceTo(gateway, account.id, '2041-06-01T00:00:00Z');
    charges.answers = [];
    expect(await standingOf(account)).toMatchObject({ status: 'CANCELED' });
    expect((await purchasesOf(account)).filter(({ status }) => status === 'FAILED')).toHaveLength(4);
  });

  it('can be paid at a checkout while it is past due', async () => {
    const account = await paying('basic');
    charges.answers = [DECLINED];
    await advanceTo(gateway, account.id, '2041-02-10T06:00:00Z');
    expect(await select(account, 'plus')).toMatchObject({ __typename: 'Conflict', currentState: 'PAST_DUE' });
    await press(await toPay(account, 'basic'), 'pay');
    expect(await standingOf(account)).toMatchObject({
      status: 'ACTIVE',
      currentPeriodEnd: '2041-03-10T00:00:00.000Z',
    });
    expect(await balance(account)).toBe('140');
    await advanceTo(gateway, account.id, '2041-03-01T00:00:00Z');
    expect((await purchasesOf(account)).map(({ status }) => status)).toEqual(['PAID', 'FAILED', 'PAID']);
  });

  it.each(['UNAVAILABLE', 'LOST'] as const)('whose answer does not come (%s) is charged once', async (failure) => {
    const account = await paying('basic');
    charges.answers = [failure];
    await expect(advanceTo(gateway, account.id, '2041-02-10T00:00:01Z')).rejects.toThrow();
    expect(await standingOf(account)).toMatchObject({ status: 'ACTIVE' });
    await advanceTo(gateway, account.id, '2041-02-10T00:00:05Z');
    expect((await purchasesOf(account)).map(({ status }) => status)).toEqual(['PAID', 'PAID']);
    expect(await balance(account)).toBe('140');
  });

  it('brings what the plan gives by then', async () => {
    const account = await paying('basic');
    const daily = 'credits: 100, rolloverLimit: 40 }, { bucket: daily_free, interval: DAY, credits: 3 }]';
    await repriced(gateway, 'credits: 100, rolloverLimit: 40 }]', daily, async () => {
      await advanceTo(gateway, account.id, '2041-02-10T00:00:01Z');
      expect(await balance(account)).toBe('143');
    });
  });

  it('of a plan that costs nothing any more is not charged', async () => {
    const account = await paying('basic');
    charges.answers = [DECLINED];
    await advanceTo(gateway, account.id, '2041-02-10T06:00:00Z');
    await repriced(gateway, 'amountMinor: 1000', 'amountMinor: 0', async () => {
      expect(await select(account, 'basic')).toMatchObject({ purchase: null, subscription: { status: 'ACTIVE' } });
    });
    expect(await balance(account)).toBe('140');
  });

  it('is not charged where it is canceled at the end of the period', async () => {
    const account = await paying('basic');
    await cancel(account, true);
    await advanceTo(gateway, account.id, '2041-02-10T00:00:01Z');
    expect(await standingOf(account)).toMatchObject({ status: 'CANCELED' });
    expect(await purchasesOf(account)).toHaveLength(1);
  });

  it('goes on after months in which nobody was there with the period of now', async () => {
    const account = await paying('plus');
    await gateway.gateway.services.sql`
      UPDATE organization SET test_clock_offset_ms = test_clock_offset_ms + 100 * 86400000::bigint WHERE slug = ${account.slug}`;
    await advanceTo(gateway, account.id, '2041-04-21T00:00:00Z');
    expect(await purchasesOf(account)).toHaveLength(2);
    expect(await standingOf(account)).toMatchObject({
      status: 'ACTIVE',
      currentPeriodStart: '2041-04-10T00:00:00.000Z',
      currentPeriodEnd: '2041-05-10T00:00:00.000Z',
    });
    expect(await balance(account)).toBe('405');
  });
});

describe('a change of plan', () => {
  it('upward costs the difference for the rest of the period, as its preview says, and replaces what is unspent', async () => {
    const account = await paying('basic');
    await grant(gateway, account.id, 'purchased', '7');
    await debit(account, '30');
    await advanceTo(gateway, account.id, '2041-01-25T12:00:00Z');
    const shown = await preview(account, 'plus');
    if (shown.__typename !== 'PlanChangePreview') throw new Error(JSON.stringify(shown));
    // 15.5 of 30.625 days: 2,000 × 0.506122… is 1,012.24…
    expect(shown).toMatchObject({
      dueNow: { amountMinor: 1013, currency: 'USD' },
      credited: { amountMinor: 506 },
      nextRenewal: { amountMinor: 3000 },
      nextRenewalAt: '2041-02-10T00:00:00.000Z',
      creditsGranted: '405',
      creditsForfeited: '70',
    });
    await advanceTo(gateway, account.id, '2041-01-25T12:09:00Z');
    const purchase = await toPay(account, 'plus', { prorationAt: String(shown.prorationAt) });
    expect(purchase.price.amountMinor).toBe(1013);
    expect(await standingOf(account)).toMatchObject({ plan: { key: 'basic' } });
    await press(purchase, 'pay');
    expect(await standingOf(account)).toMatchObject({
      plan: { key: 'plus' },
      currentPeriodEnd: '2041-02-10T00:00:00.000Z',
    });
    expect(await balance(account)).toBe('412');
    await expectSoundBooks(gateway.database, account.id);
  });

  it('does not keep the price of a preview for more than 10 minutes, or of one to come', async () => {
    const account = await paying('basic');
    await advanceTo(gateway, account.id, '2041-01-25T12:00:00Z');
    const path = { __typename: 'InvalidInput', path: ['prorationAt'] };
    expect(await select(account, 'plus', { prorationAt: '2041-01-25T11:49:00Z' })).toMatchObject(path);
    expect(await select(account, 'plus', { prorationAt: '2041-01-25T13:00:00Z' })).toMatchObject(path);
  });

  it('that is paid after its period has ended goes back', async () => {
    const account = await paying('basic');
    await advanceTo(gateway, account.id, '2041-02-09T23:00:00Z');
    const purchase = await toPay(account, 'plus');
    expect(Number(purchase.price.amountMinor)).toBeLessThan(10);
    await advanceTo(gateway, account.id, '2041-02-11T00:00:00Z');
    await press(purchase, 'pay');
    expect(await standingOf(account)).toMatchObject({ plan: { key: 'basic' }, status: 'ACTIVE' });
    expect(await balance(account)).toBe('140');
    expect((await afterReconciling(account)).toSorted()).toEqual(['PAID', 'PAID', 'REFUNDED']);
  });

  it('downward follows at the end of the period by itself; now it pays nothing back and takes nothing away', async () => {
    const account = await paying('plus');
    expect(await select(account, 'basic')).toMatchObject({
      purchase: null,
      subscription: { plan: { key: 'plus' }, scheduledPlan: { key: 'basic' } },
    });
    expect(await select(account, 'basic', { when: 'NOW' })).toMatchObject({
      purchase: null,
      subscription: { plan: { key: 'basic' }, scheduledPlan: null },
    });
    expect(await balance(account)).toBe('405');
    await advanceTo(gateway, account.id, '2041-02-10T00:00:01Z');
    expect((await purchasesOf(account)).map(({ price }) => price.amountMinor)).toEqual([1000, 3000]);
  });

  it('that follows at the end of the period is charged at its own price', async () => {
    const account = await paying('basic');
    await select(account, 'plus', { when: 'PERIOD_END' });
    expect(await preview(account, 'plus', 'PERIOD_END')).toMatchObject({
      dueNow: { amountMinor: 0 },
      nextRenewal: { amountMinor: 3000 },
    });
    await advanceTo(gateway, account.id, '2041-02-10T00:00:01Z');
    expect(await standingOf(account)).toMatchObject({ plan: { key: 'plus' }, status: 'ACTIVE' });
    expect((await purchasesOf(account)).map(({ price }) => price.amountMinor)).toEqual([3000, 1000]);
    expect(await balance(account)).toBe('405');
  });

  it('downward and up again is paid once, and fills once', async () => {
    const account = await paying('basic');
    await press(await toPay(account, 'plus'), 'pay');
    await debit(account, '400');
    for (let round = 0; round < 3; round++) {
      await select(account, 'basic', { when: 'NOW' });
      expect(await select(account, 'plus', { when: 'NOW' })).toMatchObject({ purchase: null });
    }
    expect(await balance(account)).toBe('5');
    await select(account, 'gratis', { when: 'NOW' });
    expect((await toPay(account, 'plus')).price.amountMinor).toBe(3000);
  });

  it('counts what was paid, whatever the plan costs by now', async () => {
    const account = await paying('basic');
    await repriced(gateway, 'amountMinor: 1000', 'amountMinor: 2900', async () => {
      await advanceTo(gateway, account.id, '2041-01-25T12:00:00Z');
      expect(await preview(account, 'plus')).toMatchObject({
        dueNow: { amountMinor: 1013 },
        credited: { amountMinor: 506 },
      });
    });
  });

  it('to a yearly plan begins a year, less what is left of the month', async () => {
    const account = await paying('plus');
    await advanceTo(gateway, account.id, '2041-01-25T12:00:00Z');
    const purchase = await toPay(account, 'plus_yearly', { when: 'NOW' });
    // 3,000 × 0.506122… is 1,518.36…
    expect(Number(purchase.price.amountMinor)).toBeGreaterThanOrEqual(30_000 - 1_518);
    expect(Number(purchase.price.amountMinor)).toBeLessThan(30_000 - 1_510);
    await press(purchase, 'pay');
    expect(await standingOf(account)).toMatchObject({
      plan: { key: 'plus_yearly' },
      currentPeriodEnd: '2042-01-25T00:00:00.000Z',
    });
  });

  it('to another currency waits for the end of the period', async () => {
    const account = await paying('basic');
    expect(await select(account, 'europe', { when: 'NOW' })).toMatchObject({ currentState: 'OTHER_CURRENCY' });
    expect(await select(account, 'europe', { when: 'PERIOD_END' })).toMatchObject({
      subscription: { scheduledPlan: { key: 'europe' } },
    });
  });

  it('to a plan that allows less than there is names the limit, for good under its key', async () => {
    const account = await paying('basic');
    for (const key of ['one', 'two']) await account.client.run(CreateProjectDocument, { input: { key, name: key } });
    const idempotencyKey = aKey();
    const refusal = { __typename: 'PlanLimitReached', key: 'projects', limit: 1, current: 2 };
    expect(await select(account, 'gratis', { idempotencyKey })).toMatchObject(refusal);
    expect(await select(account, 'plus', { idempotencyKey })).toMatchObject({ __typename: 'IdempotencyKeyReused' });
    await repriced(gateway, 'key: projects, max: 1', 'key: projects, max: 9', async () => {
      expect(await select(account, 'gratis', { idempotencyKey })).toMatchObject(refusal);
      expect(await select(account, 'gratis')).toMatchObject({ subscription: { scheduledPlan: { key: 'gratis' } } });
      await select(account, 'basic');
    });
    expect(await preview(account, 'gratis')).toMatchObject({ __typename: 'InvalidInput', path: ['planId'] });
  });
});

describe('the trial of a plan with a price', () => {
  it('begins without a payment and becomes active by one', async () => {
    const account = await anAccount(gateway, START);
    expect(await preview(account, 'tried')).toMatchObject({ dueNow: { amountMinor: 0 } });
    expect(await select(account, 'tried')).toMatchObject({ purchase: null, subscription: { status: 'TRIALING' } });
    await debit(account, '50');
    await advanceTo(gateway, account.id, '2041-01-25T00:00:00Z');
    expect(await standingOf(account)).toMatchObject({
      status: 'ACTIVE',
      anchorDay: 24,
      currentPeriodEnd: '2041-02-24T00:00:00.000Z',
    });
    expect(await balance(account)).toBe('200');
    expect((await purchasesOf(account)).map(({ price }) => price.amountMinor)).toEqual([2000]);
  });

  it('ends canceled where the payment is declined', async () => {
    const account = await anAccount(gateway, START);
    await select(account, 'tried');
    charges.answers = [DECLINED];
    await advanceTo(gateway, account.id, '2041-01-25T00:00:00Z');
    expect(await standingOf(account)).toMatchObject({ status: 'CANCELED' });
  });

  it('is its first period: told before, and the end of it where it is canceled', async () => {
    const account = await anAccount(gateway, START);
    expect(await preview(account, 'tried')).toMatchObject({
      nextRenewal: { amountMinor: 2000 },
      nextRenewalAt: expect.stringMatching(/^2041-01-24T09:00:/),
    });
    await select(account, 'tried');
    await cancel(account, true);
    const { currentPeriodEnd, trialEndsAt } = (await standingOf(account)) ?? {};
    expect(currentPeriodEnd).toBe(trialEndsAt);
    await advanceTo(gateway, account.id, '2041-01-24T10:00:00Z');
    expect(await standingOf(account)).toMatchObject({ status: 'CANCELED' });
  });

  it.each(['gratis', 'basic'])(
    'is followed at its end by another plan that was selected for then: %s',
    async (plan) => {
      const account = await anAccount(gateway, START);
      await select(account, 'tried');
      expect(await select(account, plan, { when: 'PERIOD_END' })).toMatchObject({
        subscription: { plan: { key: 'tried' }, scheduledPlan: { key: plan } },
      });
      await advanceTo(gateway, account.id, '2041-01-24T10:00:00Z');
      expect(await standingOf(account)).toMatchObject({ plan: { key: plan }, status: 'ACTIVE', scheduledPlan: null });
      expect((await purchasesOf(account)).map(({ price }) => price.amountMinor)).toEqual(
        plan === 'basic' ? [1000] : [],
      );
    },
  );

  it('is given up for a free plan at once, whose period begins then', async () => {
    const account = await anAccount(gateway, START);
    await select(account, 'tried');
    await advanceTo(gateway, account.id, '2041-01-14T12:00:00Z');
    expect(await select(account, 'gratis', { when: 'NOW' })).toMatchObject({
      subscription: { plan: { key: 'gratis' }, status: 'ACTIVE' },
    });
    expect(await standingOf(account)).toMatchObject({
      status: 'ACTIVE',
      anchorDay: 10,
      currentPeriodStart: expect.stringMatching(/^2041-01-14T12:00:/),
      currentPeriodEnd: '2041-02-10T00:00:00.000Z',
    });
    await advanceTo(gateway, account.id, '2041-02-10T00:00:00Z');
    expect(await standingOf(account)).toMatchObject({ status: 'ACTIVE', currentPeriodEnd: '2041-03-10T00:00:00.000Z' });
    expect(await balance(account)).toBe('10');
    expect(await purchasesOf(account)).toEqual([]);
  });

  it('leaves what it granted to the free plan that follows, which grants with the next period, as foretold', async () => {
    const account = await anAccount(gateway, START);
    await select(account, 'tried');
    const { trialEndsAt } = (await standingOf(account)) ?? {};
    expect(await preview(account, 'gratis', 'PERIOD_END')).toMatchObject({
      effectiveAt: trialEndsAt,
      creditsGranted: '0',
      creditsForfeited: '0',
    });
    expect(await preview(account, 'basic', 'PERIOD_END')).toMatchObject({
      effectiveAt: trialEndsAt,
      creditsGranted: '100',
    });
    await select(account, 'gratis', { when: 'PERIOD_END' });
    await advanceTo(gateway, account.id, '2041-01-24T12:00:00Z');
    expect(await standingOf(account)).toMatchObject({
      plan: { key: 'gratis' },
      status: 'ACTIVE',
      currentPeriodStart: trialEndsAt,
      currentPeriodEnd: '2041-02-10T00:00:00.000Z',
    });
    expect(await balance(account)).toBe('200');
    await advanceTo(gateway, account.id, '2041-02-10T00:00:00Z');
    expect(await balance(account)).toBe('10');
  });

  it('can be paid before it ends, and is not charged where it is canceled', async () => {
    const [paid, canceled] = [await anAccount(gateway, START), await anAccount(gateway, START)];
    for (const account of [paid, canceled]) await select(account, 'tried');
    await press(await toPay(paid, 'tried'), 'pay');
    await cancel(canceled, true);
    expect(await standingOf(paid)).toMatchObject({
      status: 'ACTIVE',
      currentPeriodEnd: '2041-02-10T00:00:00.000Z',
    });
    for (const account of [paid, canceled]) await advanceTo(gateway, account.id, '2041-01-26T00:00:00Z');
    expect(await purchasesOf(paid)).toHaveLength(1);
    expect(await standingOf(canceled)).toMatchObject({ status: 'CANCELED' });
    expect(await purchasesOf(canceled)).toEqual([]);
  });
});

describe('the money of a plan', () => {
  it('that was paid to change it and goes back leaves the plan before', async () => {
    const account = await paying('basic');
    const upgrade = await toPay(account, 'plus');
    await press(upgrade, 'pay');
    await debit(account, '30');
    await press(upgrade, 'refund');
    expect(await standingOf(account)).toMatchObject({ plan: { key: 'basic' }, status: 'ACTIVE' });
    // 25 of the 30 were of the upgrade's 400, 5 of its daily ones: all are owed.
    expect(await balance(account)).toBe('0');
    await expectSoundBooks(gateway.database, account.id);
  });

  it('that paid for a year is that of all its months: what is left of them is revoked, what was spent is owed', async () => {
    const account = await anAccount(gateway, START);
    const purchase = await toPay(account, 'plus_yearly');
    await press(purchase, 'pay');
    await debit(account, '100');
    await advanceTo(gateway, account.id, '2041-03-15T00:00:00Z');
    await debit(account, '50');
    await grant(gateway, account.id, 'purchased', '500');
    await press(purchase, 'dispute');
    expect(await balance(account)).toBe('500');
    await press(purchase, 'dispute-lost');
    expect(await balance(account)).toBe('350');
    expect(await standingOf(account)).toMatchObject({ status: 'CANCELED' });
    await expectSoundBooks(gateway.database, account.id);
  });

  it('for which nothing can be given goes back, however often the provider says no', async () => {
    const account = await paying('basic');
    const { payments } = gateway.gateway.services;
    const refund = payments.refund.bind(payments);
    const stale = await toPay(account, 'plus');
    await advanceTo(gateway, account.id, '2041-01-12T00:00:00Z');
    await press(stale, 'pay');
    expect(await standingOf(account)).toMatchObject({ plan: { key: 'basic' } });
    payments.refund = async () => ({ status: 'DECLINED', code: 'not_now' });
    expect(await afterReconciling(account)).toEqual(['PAID', 'PAID']);
    payments.refund = refund;
    expect(await afterReconciling(account)).toEqual(['REFUNDED', 'PAID']);
  });

  it('that is disputed freezes what it granted; once it is lost the plan ends', async () => {
    const account = await anAccount(gateway, START);
    const purchase = await toPay(account, 'basic');
    await press(purchase, 'pay');
    await grant(gateway, account.id, 'purchased', '7');
    await press(purchase, 'dispute');
    expect(await balance(account)).toBe('7');
    await press(purchase, 'dispute-lost');
    expect(await balance(account)).toBe('7');
    expect(await standingOf(account)).toMatchObject({ status: 'CANCELED' });
    expect((await purchasesOf(account)).map(({ status }) => status)).toEqual(['REFUNDED']);
    await expectSoundBooks(gateway.database, account.id);
  });
});
