/** The life of a subscription: its periods, what they grant and carry over, its end, another plan in its place. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeId, encodeId } from '../../src/graphql/ids.ts';
import { moveTestClock } from '../../src/persistence/test-clock.ts';
import {
  PlanChangePreviewDocument,
  ResumeSubscriptionDocument,
  type SubscriptionStateFragment,
} from '../generated/documents.ts';
import {
  type Account,
  anAccount,
  cancel,
  debit,
  historyOf,
  select,
  standingOf,
  startWithPlans,
} from '../support/accounts.ts';
import { expectSoundBooks, query } from '../support/books.ts';
import { at } from '../support/builders-values.ts';

import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { advanceTo, anApiKey, grant } from '../support/given.ts';

/** Free plans beside the demo's: with rollover, larger, smaller, by the year, on trial. */
const PLANS = `plans:
  - key: rolling
    name: Rolling
    price: { amountMinor: 0, currency: USD }
    allowances: [{ bucket: monthly_plan, interval: MONTH, credits: 100, rolloverLimit: 30 }]
  - key: larger
    name: Larger
    price: { amountMinor: 0, currency: USD }
    allowances: [{ bucket: monthly_plan, interval: MONTH, credits: 300, rolloverLimit: 30 }]
  - key: smaller
    name: Smaller
    price: { amountMinor: 0, currency: USD }
    allowances: [{ bucket: monthly_plan, interval: MONTH, credits: 50 }]
  - key: yearly
    name: Yearly
    price: { amountMinor: 0, currency: USD }
    interval: YEAR
    allowances: [{ bucket: monthly_plan, interval: MONTH, credits: 100 }]
  - key: trial
    name: Trial
    price: { amountMinor: 0, currency: USD }
    trialDays: 10
    allowances: [{ bucket: monthly_plan, interval: MONTH, credits: 100 }]
`;

let gateway: TestGateway;
let second: TestGateway;
beforeAll(async () => {
  gateway = await startWithPlans(PLANS);
  second = await startTestGateway({ database: gateway.database });
});
afterAll(async () => {
  await second?.[Symbol.asyncDispose]();
  await gateway[Symbol.asyncDispose]();
});

/** An account with a plan that began at an instant. */
async function subscribed(plan: string, now: string, timeZone?: string): Promise<Account> {
  const account = await anAccount(gateway, now, timeZone);
  expect(await select(account, plan)).toMatchObject({ __typename: 'SelectPlanPayload' });
  return account;
}

const resume = async ({ client }: Account) =>
  (await client.run(ResumeSubscriptionDocument, { input: {} })).resumeSubscription;
async function subscriptionOf(account: Account): Promise<SubscriptionStateFragment> {
  const subscription = await standingOf(account);
  if (!subscription) throw new Error(`no subscription of ${account.slug}`);
  return subscription;
}

async function periodOf(account: Account): Promise<[string, string]> {
  const { currentPeriodStart, currentPeriodEnd } = await subscriptionOf(account);
  return [currentPeriodStart, currentPeriodEnd];
}

/** The clock goes on and nobody touches the wallet meanwhile. */
async function sleepUntil({ id }: Account, instant: string): Promise<void> {
  const moving = moveTestClock(gateway.gateway.services.sql, decodeId('Organization', id), at(instant));
  expect((await moving).moved).toBe(true);
}

/** What a refresh posts: the end of what was carried over before, what is carried over now, the rest, the new credits. */
interface Refresh {
  readonly lost?: number;
  readonly carried?: number;
  readonly expired?: number;
  readonly granted: number;
}

const refreshOf = ({ lost, carried, expired, granted }: Refresh, at: string): string[] => [
  ...(lost ? [`EXPIRY -${lost} ${at}`] : []),
  ...(carried ? [`ROLLOVER -${carried} ${at}`, `ROLLOVER ${carried} ${at}`] : []),
  ...(expired ? [`EXPIRY -${expired} ${at}`] : []),
  `PLAN_GRANT ${granted} ${at}`,
];

describe('a year of a subscription', () => {
  it('anchored on the 31st in Berlin grants, carries over and expires as the table says', async () => {
    const account = await subscribed('rolling', '2041-01-31T09:00:00Z', 'Europe/Berlin');
    expect((await periodOf(account))[1]).toBe('2041-02-27T23:00:00.000Z');
    // From local midnight of the anchor day, in UTC; what the refresh posts; what is spent afterwards. Clocks change on
    // 31 March and 27 October. What was carried over burns first.
    const table: [start: string, end: string, refresh: Refresh, spent: number][] = [
      ['2041-02-27T23:00', '2041-03-30T23:00', { carried: 30, expired: 70, granted: 100 }, 90],
      ['2041-03-30T23:00', '2041-04-29T22:00', { carried: 30, expired: 10, granted: 100 }, 10],
      ['2041-04-29T22:00', '2041-05-30T22:00', { lost: 20, carried: 30, expired: 70, granted: 100 }, 75],
      ['2041-05-30T22:00', '2041-06-29T22:00', { carried: 30, expired: 25, granted: 100 }, 0],
      ['2041-06-29T22:00', '2041-07-30T22:00', { lost: 30, carried: 30, expired: 70, granted: 100 }, 130],
      ['2041-07-30T22:00', '2041-08-30T22:00', { granted: 100 }, 100],
      ['2041-08-30T22:00', '2041-09-29T22:00', { granted: 100 }, 40],
      ['2041-09-29T22:00', '2041-10-30T23:00', { carried: 30, expired: 30, granted: 100 }, 20],
      ['2041-10-30T23:00', '2041-11-29T23:00', { lost: 10, carried: 30, expired: 70, granted: 100 }, 60],
      ['2041-11-29T23:00', '2041-12-30T23:00', { carried: 30, expired: 40, granted: 100 }, 75],
      ['2041-12-30T23:00', '2042-01-30T23:00', { carried: 30, expired: 25, granted: 100 }, 105],
      ['2042-01-30T23:00', '2042-02-27T23:00', { carried: 25, granted: 100 }, 1],
    ];
    const expected = ['PLAN_GRANT 100 2041-01-31T09:00'];
    for (const [start, end, refresh, spent] of table) {
      await advanceTo(gateway, account.id, `${start}:00Z`);
      expect(await periodOf(account)).toEqual([`${start}:00.000Z`, `${end}:00.000Z`]);
      if (spent > 0) expect(await debit(account, `${spent}`)).toMatchObject({ __typename: 'DebitPayload' });
      expected.push(...refreshOf(refresh, start));
    }
    const posted = await historyOf(account, 'minute');
    expect(posted.filter((entry) => !entry.startsWith('USAGE'))).toEqual(expected);
    await expectSoundBooks(gateway.database, account.id);
  });

  it('of a yearly plan that began on 29 February renews on the last day of February, and grants by the month', async () => {
    const account = await subscribed('yearly', '2040-02-29T12:00:00Z');
    const periods: [string, string][] = [await periodOf(account)];
    for (const now of ['2041-02-28T00:00:00Z', '2042-02-28T00:00:00Z', '2044-03-01T00:00:00Z']) {
      await sleepUntil(account, now);
      periods.push(await periodOf(account));
    }
    expect(periods.map((period) => period.map((at) => at.slice(0, 16)))).toEqual([
      ['2040-02-29T12:00', '2041-02-28T00:00'],
      ['2041-02-28T00:00', '2042-02-28T00:00'],
      ['2042-02-28T00:00', '2043-02-28T00:00'],
      ['2044-02-29T00:00', '2045-02-28T00:00'],
    ]);
    expect((await historyOf(account, 'minute')).filter((entry) => entry.startsWith('PLAN_GRANT'))).toEqual([
      'PLAN_GRANT 100 2040-02-29T12:00',
      'PLAN_GRANT 100 2041-02-28T00:00',
      'PLAN_GRANT 100 2042-02-28T00:00',
      'PLAN_GRANT 100 2044-02-29T00:00',
    ]);
    await expectSoundBooks(gateway.database, account.id);
  });
});

describe('a period that ends unseen', () => {
  it('is over and refreshed once, also where nothing ran for three days and two gateways wake up at once', async () => {
    const account = await subscribed('rolling', '2041-05-10T09:00:00Z');
    await debit(account, '80');
    await sleepUntil(account, '2041-06-12T15:00:00Z');
    const elsewhere = { ...account, client: second.as(await anApiKey(gateway, account.id, 'MASTER')) };
    const seen = await Promise.all(
      Array.from({ length: 16 }, (_, index) => periodOf(index % 2 === 0 ? account : elsewhere)),
    );
    expect(new Set(seen.map((period) => period.join()))).toEqual(
      new Set(['2041-06-10T00:00:00.000Z,2041-07-10T00:00:00.000Z']),
    );
    expect(await historyOf(account, 'minute')).toEqual([
      'PLAN_GRANT 100 2041-05-10T09:00',
      'USAGE -80 2041-05-10T09:00',
      ...refreshOf({ carried: 20, granted: 100 }, '2041-06-10T00:00'),
    ]);
    await expectSoundBooks(gateway.database, account.id);
  });

  it('with others carries over once what the last of them would have left', async () => {
    const account = await subscribed('rolling', '2041-05-10T09:00:00Z');
    await debit(account, '95');
    await sleepUntil(account, '2041-09-01T00:00:00Z');
    expect(await periodOf(account)).toEqual(['2041-08-10T00:00:00.000Z', '2041-09-10T00:00:00.000Z']);
    expect(await historyOf(account, 'minute')).toEqual([
      'PLAN_GRANT 100 2041-05-10T09:00',
      'USAGE -95 2041-05-10T09:00',
      'EXPIRY -5 2041-06-10T00:00',
      'ROLLOVER 30 2041-08-10T00:00',
      'PLAN_GRANT 100 2041-08-10T00:00',
    ]);
    await expectSoundBooks(gateway.database, account.id);
  });
});

describe('canceling', () => {
  const NOW = '2041-05-10T09:00:00Z';
  const END = '2041-06-10T00:00:00.000Z';

  it('lets the period end, and then refuses to spend and grants no more', async () => {
    const account = await subscribed('rolling', NOW);
    await grant(gateway, account.id, 'purchased', '7');
    expect(await cancel(account)).toMatchObject({
      __typename: 'SubscriptionPayload',
      subscription: { status: 'ACTIVE', cancelAtPeriodEnd: true, currentPeriodEnd: END },
    });
    expect(await debit(account, '1')).toMatchObject({ __typename: 'DebitPayload' });
    await sleepUntil(account, '2041-06-09T23:00:00Z');
    expect(await debit(account, '1')).toMatchObject({ __typename: 'DebitPayload' });
    await sleepUntil(account, '2041-08-12T00:00:00Z');
    expect(await debit(account, '1')).toMatchObject({ __typename: 'SubscriptionRequired', status: 'CANCELED' });
    expect(await subscriptionOf(account)).toMatchObject({
      status: 'CANCELED',
      cancelAtPeriodEnd: false,
      currentPeriodEnd: END,
    });
    expect((await historyOf(account, 'minute')).slice(-1)).toEqual(['EXPIRY -98 2041-06-10T00:00']);
    await expectSoundBooks(gateway.database, account.id);
  });

  it('now refuses to spend at once; what was granted expires as it would have', async () => {
    const account = await subscribed('rolling', NOW);
    expect(await cancel(account, false)).toMatchObject({ subscription: { status: 'CANCELED' } });
    expect(await debit(account, '1')).toMatchObject({ __typename: 'SubscriptionRequired', status: 'CANCELED' });
    expect(await historyOf(account, 'minute')).toHaveLength(1);
    await sleepUntil(account, END);
    expect((await historyOf(account, 'minute')).slice(1)).toEqual(['EXPIRY -100 2041-06-10T00:00']);
  });

  it('is taken back before the period has ended, and not after', async () => {
    const account = await subscribed('rolling', NOW);
    await cancel(account);
    expect(await resume(account)).toMatchObject({ subscription: { status: 'ACTIVE', cancelAtPeriodEnd: false } });
    await sleepUntil(account, END);
    expect(await subscriptionOf(account)).toMatchObject({ status: 'ACTIVE', currentPeriodStart: END });
    await cancel(account);
    await sleepUntil(account, '2041-07-10T00:00:00Z');
    expect(await resume(account)).toMatchObject({ __typename: 'Conflict', currentState: 'CANCELED', httpStatus: 409 });
  });

  it('is refused in states that forbid it', async () => {
    const none = await anAccount(gateway, NOW);
    for (const refused of [await cancel(none), await cancel(none, false), await resume(none)]) {
      expect(refused).toMatchObject({ __typename: 'Conflict', currentState: 'NONE' });
    }
    const account = await subscribed('rolling', NOW);
    expect(await resume(account)).toMatchObject({ __typename: 'Conflict', currentState: 'ACTIVE' });
    await cancel(account);
    expect(await cancel(account)).toMatchObject({ __typename: 'Conflict', currentState: 'ACTIVE_ENDING' });
    expect(await select(account, 'larger')).toMatchObject({ __typename: 'Conflict', currentState: 'ACTIVE_ENDING' });
    await cancel(account, false);
    expect(await cancel(account, false)).toMatchObject({ __typename: 'Conflict', currentState: 'CANCELED' });
    const freeze = 'UPDATE wallet SET frozen_at = now() WHERE organization_id = $1';
    await query(gateway.database, freeze, [decodeId('Organization', account.id)]);
    expect(await cancel(account)).toMatchObject({ __typename: 'Conflict', currentState: 'WALLET_FROZEN' });
  });

  it('and resuming leave records in the audit trail', async () => {
    const account = await subscribed('rolling', NOW);
    await cancel(account);
    await resume(account);
    await cancel(account, false);
    const trail = `SELECT action, after ->> 'atPeriodEnd' AS at_end FROM audit_record
      WHERE organization_id = $1 AND action LIKE '%Subscription' ORDER BY id`;
    expect(await query(gateway.database, trail, [decodeId('Organization', account.id)])).toEqual([
      { action: 'cancelSubscription', at_end: 'true' },
      { action: 'resumeSubscription', at_end: null },
      { action: 'cancelSubscription', at_end: 'false' },
    ]);
  });

  it('and selecting again within the period grants nothing twice, whatever plan that gives no more', async () => {
    const account = await subscribed('rolling', NOW);
    await debit(account, '60');
    await sleepUntil(account, '2041-05-20T00:00:00Z');
    for (const plan of ['rolling', 'smaller', 'rolling']) {
      await cancel(account, false);
      expect(await select(account, plan)).toMatchObject({
        wallet: { totalAvailable: '40' },
        subscription: { status: 'ACTIVE', anchorDay: 10, currentPeriodEnd: END, plan: { key: plan } },
      });
    }
    await sleepUntil(account, END);
    expect((await historyOf(account, 'minute')).slice(2)).toEqual(
      refreshOf({ carried: 30, expired: 10, granted: 100 }, END.slice(0, 16)),
    );
    await expectSoundBooks(gateway.database, account.id);
  });

  it('and selecting again after the period begins anew, with another anchor', async () => {
    const account = await subscribed('rolling', NOW);
    await cancel(account);
    await sleepUntil(account, '2041-06-15T12:00:00Z');
    expect(await select(account, 'rolling')).toMatchObject({
      wallet: { totalAvailable: '100' },
      subscription: {
        anchorDay: 15,
        currentPeriodStart: expect.stringMatching(/^2041-06-15T12:00/),
        currentPeriodEnd: '2041-07-15T00:00:00.000Z',
      },
    });
  });
});

describe('changing the plan', () => {
  const NOW = '2041-05-10T09:00:00Z';
  const END = '2041-06-10T00:00';

  it('to a larger one replaces at once what is unspent of the plan’s credits, and nothing else', async () => {
    const account = await subscribed('rolling', '2041-04-10T09:00:00Z');
    await grant(gateway, account.id, 'purchased', '7');
    await grant(gateway, account.id, 'promotional', '5');
    await sleepUntil(account, NOW);
    await debit(account, '65');
    // Of 5 promotional, 30 carried over and 100 granted: 70 granted ones are left.
    expect(await select(account, 'larger')).toMatchObject({
      subscription: { plan: { key: 'larger' }, scheduledPlan: null, currentPeriodEnd: `${END}:00.000Z` },
      wallet: { totalAvailable: '307', subscriptionCredits: '300' },
    });
    expect((await historyOf(account, 'minute')).slice(-2).map((entry) => entry.slice(0, -17))).toEqual([
      'PLAN_CHANGE -70',
      'PLAN_GRANT 300',
    ]);
    await expectSoundBooks(gateway.database, account.id);
  });

  it('does not touch what was carried over', async () => {
    const account = await subscribed('rolling', '2041-04-10T09:00:00Z');
    await sleepUntil(account, NOW);
    expect(await select(account, 'larger')).toMatchObject({ wallet: { totalAvailable: '330' } });
  });

  it('to a smaller one waits for the end of the period', async () => {
    const account = await subscribed('larger', NOW);
    expect(await select(account, 'smaller')).toMatchObject({
      subscription: { plan: { key: 'larger' }, scheduledPlan: { key: 'smaller' } },
      wallet: { totalAvailable: '300' },
    });
    await sleepUntil(account, '2041-07-20T00:00:00Z');
    expect(await subscriptionOf(account)).toMatchObject({
      plan: { key: 'smaller' },
      scheduledPlan: null,
      currentPeriodStart: '2041-07-10T00:00:00.000Z',
    });
    expect((await historyOf(account, 'minute')).slice(1)).toEqual([
      `EXPIRY -300 ${END}`,
      'PLAN_GRANT 50 2041-07-10T00:00',
    ]);
  });

  it('that was to follow is taken back by selecting the present one, and dropped by canceling', async () => {
    const account = await subscribed('larger', NOW);
    await select(account, 'smaller');
    expect(await select(account, 'larger')).toMatchObject({ subscription: { scheduledPlan: null } });
    expect(await select(account, 'larger')).toMatchObject({ __typename: 'Conflict', currentState: 'ACTIVE' });
    await select(account, 'smaller');
    await cancel(account);
    expect(await subscriptionOf(account)).toMatchObject({ cancelAtPeriodEnd: true, scheduledPlan: null });
  });

  it('back and forth grants no more than the largest of them', async () => {
    const account = await subscribed('rolling', NOW);
    await debit(account, '100');
    await select(account, 'larger', { when: 'NOW' });
    await debit(account, '300');
    for (const plan of ['smaller', 'larger', 'rolling', 'larger']) {
      expect(await select(account, plan, { when: 'NOW' })).toMatchObject({ wallet: { totalAvailable: '0' } });
    }
    await sleepUntil(account, `${END}:00Z`);
    expect((await historyOf(account, 'minute')).slice(-1)).toEqual([`PLAN_GRANT 300 ${END}`]);
    await expectSoundBooks(gateway.database, account.id);
  });

  it('at the end of the period carries over what the plan that begins lets it', async () => {
    const account = await subscribed('smaller', NOW);
    await select(account, 'rolling', { when: 'PERIOD_END' });
    await sleepUntil(account, `${END}:00Z`);
    expect((await historyOf(account, 'minute')).slice(1)).toEqual(
      refreshOf({ carried: 30, expired: 20, granted: 100 }, END),
    );
  });

  it('to one that is billed by the year begins a new period', async () => {
    const account = await subscribed('smaller', NOW);
    expect(await select(account, 'yearly', { when: 'NOW' })).toMatchObject({
      subscription: { currentPeriodEnd: '2042-05-10T00:00:00.000Z', anchorDay: 10 },
    });
  });
});

describe('the preview of a change of plan', () => {
  const NOW = '2041-05-10T09:00:00Z';
  const END = '2041-06-10T00:00:00.000Z';
  const preview = async ({ client }: Account, plan: string, when?: 'NOW' | 'PERIOD_END') => {
    const variables = { planId: encodeId('Plan', plan), ...(when ? { when } : {}) };
    return (await client.run(PlanChangePreviewDocument, variables)).planChangePreview;
  };
  const FREE_OF_CHARGE = {
    dueNow: { amountMinor: 0, currency: 'USD' },
    credited: { amountMinor: 0 },
    nextRenewal: { amountMinor: 0 },
  };

  it('says what the change then does, and changes nothing', async () => {
    const account = await subscribed('rolling', NOW);
    await debit(account, '65');
    const before = await historyOf(account, 'minute');
    const shown = await preview(account, 'larger');
    expect(shown).toMatchObject({
      ...FREE_OF_CHARGE,
      creditsGranted: '300',
      creditsForfeited: '35',
      nextRenewalAt: END,
      effectiveAt: expect.stringMatching(/^2041-05-10T09/),
    });
    expect(await historyOf(account, 'minute')).toEqual(before);
    expect(await subscriptionOf(account)).toMatchObject({ plan: { key: 'rolling' }, scheduledPlan: null });
    await select(account, 'larger');
    const amounts = (await historyOf(account, 'minute'))
      .slice(before.length)
      .map((entry) => entry.split(' ').slice(0, 2));
    expect(amounts).toEqual([
      ['PLAN_CHANGE', '-35'],
      ['PLAN_GRANT', '300'],
    ]);
  });

  it('of a first plan tells of its first credits', async () => {
    const account = await anAccount(gateway, NOW);
    expect(await preview(account, 'rolling')).toMatchObject({
      ...FREE_OF_CHARGE,
      creditsGranted: '100',
      creditsForfeited: '0',
      nextRenewalAt: END,
    });
  });

  it('of one that waits tells of the end of the period, and forfeits nothing', async () => {
    const account = await subscribed('larger', NOW);
    expect(await preview(account, 'smaller')).toMatchObject({
      effectiveAt: END,
      creditsGranted: '50',
      creditsForfeited: '0',
    });
    expect(await preview(account, 'smaller', 'NOW')).toMatchObject({
      effectiveAt: expect.stringMatching(/^2041-05-10T09/),
      creditsGranted: '0',
      creditsForfeited: '0',
    });
  });

  it('is refused for what cannot be selected', async () => {
    const account = await subscribed('rolling', NOW);
    expect(await preview(account, 'rolling')).toMatchObject({ __typename: 'InvalidInput', path: ['planId'] });
    expect(await preview(account, 'none')).toMatchObject({ __typename: 'NotFound' });
    const none = await anAccount(gateway, NOW);
    expect(await preview(none, 'rolling', 'PERIOD_END')).toMatchObject({ __typename: 'InvalidInput', path: ['when'] });
  });
});

describe('a trial', () => {
  it('may spend, ends by itself, and there is one', async () => {
    const account = await anAccount(gateway, '2041-05-10T09:00:00Z');
    expect(await select(account, 'trial')).toMatchObject({ subscription: { status: 'TRIALING' } });
    const { trialEndsAt } = await subscriptionOf(account);
    expect(trialEndsAt).toMatch(/^2041-05-20T09:00:/);
    expect(await debit(account, '1')).toMatchObject({ __typename: 'DebitPayload' });
    await sleepUntil(account, '2041-05-20T08:00:00Z');
    expect(await subscriptionOf(account)).toMatchObject({ status: 'TRIALING' });
    await sleepUntil(account, String(trialEndsAt));
    expect(await subscriptionOf(account)).toMatchObject({
      status: 'ACTIVE',
      currentPeriodEnd: '2041-06-10T00:00:00.000Z',
    });
    await cancel(account, false);
    expect(await select(account, 'trial')).toMatchObject({ subscription: { status: 'ACTIVE', trialEndsAt: null } });
  });

  it('that is canceled ends with its period', async () => {
    const account = await subscribed('trial', '2041-05-10T09:00:00Z');
    await cancel(account);
    await sleepUntil(account, '2041-06-09T00:00:00Z');
    expect(await subscriptionOf(account)).toMatchObject({ status: 'ACTIVE', cancelAtPeriodEnd: true });
    await sleepUntil(account, '2041-06-10T00:00:00Z');
    expect(await subscriptionOf(account)).toMatchObject({ status: 'CANCELED' });
  });
});
