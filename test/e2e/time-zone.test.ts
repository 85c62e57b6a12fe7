/** An organization changes its time zone: when it applies, and that caps, allowances and reports follow it without a gap. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeId, encodeId } from '../../src/graphql/ids.ts';
import { moveTestClock } from '../../src/persistence/test-clock.ts';
import {
  AuditTrailDocument,
  ChangePlanDocument,
  CreateOrganizationDocument,
  LedgerDocument,
  PlanLimitsDocument,
  SubscriptionDocument,
  UpdateOrganizationDocument,
  type UpdateOrganizationMutation,
  WalletStateDocument,
} from '../generated/documents.ts';
import { expectSoundBooks, query } from '../support/books.ts';
import { startTestGateway, type TestClient, type TestGateway } from '../support/gateway.ts';
import { advanceTo, aKey, anApiKey, anOrganization, type Given } from '../support/given.ts';
import { aFoundation, aMemberOf, aPerson, JWT_SECRET } from '../support/people.ts';
import { awaitBlocked, openSession } from '../support/process-posting.ts';
import { begun, purchaseOf } from '../support/purchases.ts';
import { rowsOf } from '../support/usage.ts';
import { aCatalogFile, type CatalogFile, charge, charged, held, release } from './metering.ts';

const PLANS = `
  - key: capped
    name: Capped
    price: { amountMinor: 0, currency: USD }
    dailyCreditCap: 10
    limits: [{ key: search, max: 2, window: MONTH }]
  - key: daily
    name: Daily
    price: { amountMinor: 0, currency: USD }
    allowances: [{ bucket: daily_free, interval: DAY, credits: 100 }]
  - key: by_the_year
    name: By the year
    price: { amountMinor: 0, currency: USD }
    interval: YEAR
    allowances: [{ bucket: monthly_plan, interval: MONTH, credits: 100 }]
  - key: monthly
    name: Monthly
    price: { amountMinor: 0, currency: USD }
    allowances: [{ bucket: monthly_plan, interval: MONTH, credits: 100, rolloverLimit: 30 }]
`;

let catalog: CatalogFile;
let gateway: TestGateway;
let second: TestGateway;
beforeAll(async () => {
  catalog = await aCatalogFile({ plans: PLANS });
  const env = { PURSER_CATALOG: catalog.path, PURSER_JWT_SECRET: JWT_SECRET };
  gateway = await startTestGateway({ env });
  second = await startTestGateway({ env, database: gateway.database });
});
afterAll(async () => {
  await second[Symbol.asyncDispose]();
  await gateway[Symbol.asyncDispose]();
  await catalog[Symbol.asyncDispose]();
});

const text = (instant: number): string => new Date(instant).toISOString();

/** Noon of a Wednesday in Berlin, in the middle of its month. */
const NOON = '2040-11-21T11:00:00.000Z';
/** The end of November in Berlin. */
const SWITCH = '2040-11-30T23:00:00.000Z';

type Answer = UpdateOrganizationMutation['updateOrganization'];

async function change(client: TestClient, timeZone: string): Promise<Answer> {
  return (await client.run(UpdateOrganizationDocument, { input: { timeZone } })).updateOrganization;
}

/** What is shown of its zones, by an update that changes nothing. */
const zoneOf = async ({ client }: Given) =>
  (await client.run(UpdateOrganizationDocument, { input: {} })).updateOrganization;

const inBerlin = (plan: string | null, now = NOON, credits = {}): Promise<Given> =>
  anOrganization(gateway, { timeZone: 'Europe/Berlin', now, plan, credits });

const accepted = (timeZone: string, timeZoneChangesAt = SWITCH) => ({
  __typename: 'OrganizationPayload',
  organization: { timeZone: 'Europe/Berlin', nextTimeZone: timeZone, timeZoneChangesAt },
});
const settled = (timeZone: string) => ({ organization: { timeZone, nextTimeZone: null, timeZoneChangesAt: null } });

/** The organization's clock goes on to the instant and nobody touches the wallet meanwhile. */
async function sleepUntil({ id }: Given, instant: string): Promise<void> {
  const { moved } = await moveTestClock(
    gateway.gateway.services.sql,
    decodeId('Organization', id),
    Date.parse(instant) as Parameters<typeof moveTestClock>[2],
  );
  if (!moved) throw new Error('the clock has not moved');
}

/** Makes the instant of the wallet's next batch exactly this one: its time is never before its newest posting. */
async function holdClockAt({ id }: Given, instant: string | number): Promise<void> {
  await query(gateway.database, 'UPDATE wallet SET last_posted_at = $2 WHERE organization_id = $1', [
    decodeId('Organization', id),
    new Date(instant).toISOString(),
  ]);
}

/** The ledger, oldest first, as [reason, signed amount, effectiveAt]. */
async function history({ client, slug }: Given): Promise<[string, string, string][]> {
  const { organization } = await client.run(LedgerDocument, { slug, first: 100 });
  return (organization?.wallet?.ledger.edges ?? [])
    .toReversed()
    .map(({ node: { reasonCode, direction, amount, effectiveAt } }) => [
      reasonCode,
      direction === 'DEBIT' ? `-${amount}` : amount,
      effectiveAt,
    ]);
}

async function walletOf({ client, slug }: Given) {
  const { organization } = await client.run(WalletStateDocument, { slug });
  if (!organization?.wallet) throw new Error(`no wallet of ${slug}`);
  return organization.wallet;
}

const refreshOf = async (given: Given, bucket: string) =>
  (await walletOf(given)).buckets.find(({ key }) => key === bucket)?.refresh;

describe('a change of the time zone', () => {
  it('in the middle of a day is accepted at once and applies from the end of the month', async () => {
    const given = await inBerlin(null);
    expect(await change(given.client, 'Asia/Kolkata')).toMatchObject(
      accepted('Asia/Kolkata', '2040-12-20T23:00:00.000Z'),
    );
    await sleepUntil(given, '2040-12-20T22:59:00Z');
    expect(await zoneOf(given)).toMatchObject(accepted('Asia/Kolkata', '2040-12-20T23:00:00.000Z'));
    await sleepUntil(given, '2040-12-20T23:00:00Z');
    expect(await zoneOf(given)).toMatchObject(settled('Asia/Kolkata'));
  });

  it('is audited with the instant from which it applies, and with the name where both change', async () => {
    const given = await inBerlin(null, '2040-11-01T11:00:00Z');
    const { updateOrganization } = await given.client.run(UpdateOrganizationDocument, {
      input: { timeZone: 'America/Los_Angeles', name: 'Moved' },
    });
    expect(updateOrganization).toMatchObject({ organization: { name: 'Moved', nextTimeZone: 'America/Los_Angeles' } });
    const { organization } = await given.client.run(AuditTrailDocument, { slug: given.slug, first: 1 });
    expect(organization?.auditTrail?.edges[0]?.node).toMatchObject({
      action: 'updateOrganization',
      before: { timeZone: 'Europe/Berlin', name: given.slug },
      after: { timeZone: 'America/Los_Angeles', timeZoneChangesAt: SWITCH, name: 'Moved' },
    });
  });

  it('changes nothing where the zone is in force or on its way, and leaves no record', async () => {
    const given = await inBerlin(null);
    const records = async () =>
      (await given.client.run(AuditTrailDocument, { slug: given.slug, first: 100 })).organization?.auditTrail?.edges
        .length;
    const before = await records();
    expect(await change(given.client, 'Europe/Berlin')).toMatchObject(settled('Europe/Berlin'));
    expect(await records()).toBe(before);
    await change(given.client, 'Asia/Kolkata');
    expect(await change(given.client, 'Asia/Calcutta')).toMatchObject({
      organization: { nextTimeZone: 'Asia/Kolkata' },
    });
    expect(await records()).toBe((before ?? 0) + 1);
  });

  it('is refused for 30 days after the last, and while one is still to apply, naming when it is allowed', async () => {
    const given = await inBerlin(null, '2040-11-01T11:00:00Z');
    await holdClockAt(given, '2040-11-01T12:00:00Z');
    expect(await change(given.client, 'Asia/Kolkata')).toMatchObject(accepted('Asia/Kolkata'));
    // 30 days on by the clock of Berlin; the change has applied since.
    const allowed = Date.parse('2040-12-01T12:00:00Z');
    const message = expect.stringContaining('2040-12-01T12:00:00.000Z');
    for (const [instant, zone, currentState] of [
      [NOON, 'Europe/Berlin', 'TIME_ZONE_CHANGE_PENDING'],
      [NOON, 'America/Los_Angeles', 'TIME_ZONE_CHANGE_PENDING'],
      [text(allowed - 1), 'Europe/Berlin', 'TIME_ZONE_CHANGED'],
    ] as const) {
      await holdClockAt(given, instant);
      const answer = await given.client.run(UpdateOrganizationDocument, {
        input: { timeZone: zone, name: 'Not this' },
      });
      expect(answer.updateOrganization).toMatchObject({
        __typename: 'Conflict',
        httpStatus: 409,
        message,
        currentState,
      });
    }
    expect(await zoneOf(given)).toMatchObject({ organization: { name: given.slug, nextTimeZone: 'Asia/Kolkata' } });
    await sleepUntil(given, text(allowed));
    expect(await change(given.client, 'Europe/Berlin')).toMatchObject({
      organization: {
        timeZone: 'Asia/Kolkata',
        nextTimeZone: 'Europe/Berlin',
        timeZoneChangesAt: '2040-12-31T18:30:00.000Z',
      },
    });
  });

  it('is one of two that are asked for at once, at two gateways', async () => {
    const given = await inBerlin(null);
    const clients = [given.client, second.as(given.secret)];
    const zones = ['Asia/Kolkata', 'America/Los_Angeles', 'Pacific/Apia', 'Asia/Tokyo', 'UTC', 'Asia/Beirut'];
    const answers = await Promise.all(zones.map((zone, index) => change(clients[index % 2] ?? given.client, zone)));
    const names = answers.map(({ __typename }) => __typename);
    expect(names.filter((name) => name === 'OrganizationPayload')).toHaveLength(1);
    expect(names.filter((name) => name === 'Conflict')).toHaveLength(zones.length - 1);
    expect(await zoneOf(given)).toMatchObject({
      organization: { nextTimeZone: zones[names.indexOf('OrganizationPayload')] },
    });
  });

  it('waits for a batch in flight, and applies from the end of the windows that it may have opened', async () => {
    const given = await inBerlin(null, '2040-11-01T11:00:00Z');
    await using batch = await openSession(gateway.database);
    await batch.client.query('BEGIN');
    await batch.client.query(`UPDATE wallet SET last_posted_at = '2040-12-05T12:00:00Z' WHERE organization_id = $1`, [
      decodeId('Organization', given.id),
    ]);
    const changing = change(given.client, 'Asia/Kolkata');
    await awaitBlocked(gateway.database, 1);
    await batch.client.query('COMMIT');
    expect(await changing).toMatchObject(accepted('Asia/Kolkata', '2040-12-31T23:00:00.000Z'));
  });

  it.each(['', '+02:00', 'Mars/Olympus', 'Europe/Berlin\0', 'x'.repeat(300)])('is none to %j', async (timeZone) => {
    const given = await inBerlin(null);
    const { updateOrganization } = await given.client.run(UpdateOrganizationDocument, {
      input: { timeZone, name: 'Not this' },
    });
    expect(updateOrganization).toMatchObject({ __typename: 'InvalidInput', path: ['timeZone'] });
    expect(await zoneOf(given)).toMatchObject({ organization: { name: given.slug, nextTimeZone: null } });
  });

  it('is made by owners, master keys and operators, and by nobody else', async () => {
    const organization = await aFoundation(gateway);
    const ask = (client: TestClient) =>
      client.raw<{ updateOrganization: { __typename: string } }>(
        `mutation { updateOrganization(input: { organizationId: "${organization.id}", timeZone: "Asia/Tokyo" }) { __typename } }`,
      );
    const members = await Promise.all(
      (['ADMIN', 'EDITOR', 'VIEWER'] as const).map((role) => aMemberOf(gateway, organization, role)),
    );
    const key = gateway.as(await anApiKey(gateway, organization.id, 'BILLING_WRITE', 'USAGE_WRITE'));
    for (const client of [...members.map((member) => member.client), key]) {
      expect((await ask(client)).errors[0]?.extensions.code).toBe('FORBIDDEN');
    }
    expect((await ask((await aPerson(gateway)).client)).errors[0]?.extensions.code).toBe('FORBIDDEN');
    const other = await aFoundation(gateway);
    const otherMaster = gateway.as(await anApiKey(gateway, other.id, 'MASTER'));
    for (const client of [other.owner.client, otherMaster]) {
      expect((await ask(client)).data?.updateOrganization).toEqual({ __typename: 'NotFound' });
    }
    const master = gateway.as(await anApiKey(gateway, organization.id, 'MASTER'));
    for (const client of [organization.owner.client, master, gateway.as(gateway.demo.tokens.operator)]) {
      expect((await ask(client)).data?.updateOrganization).toEqual({ __typename: 'OrganizationPayload' });
    }
  });
});

describe('a daily cap', () => {
  it('holds to the end of the day in which the zone was changed, and for one day at the change', async () => {
    const given = await inBerlin('capped', '2040-11-01T11:00:00Z', { purchased: '100' });
    await holdClockAt(given, NOON);
    await charged(given.client, { amount: '10' });
    await change(given.client, 'Asia/Kolkata');
    const reached = (resetsAt: string) => ({ limitCode: 'daily_credit_cap_exceeded', used: '10', resetsAt });
    // In Kolkata the next day begins at 18:30.
    await holdClockAt(given, '2040-11-21T18:30:00Z');
    expect(await charge(given.client, { amount: '1' })).toMatchObject(reached('2040-11-21T23:00:00.000Z'));
    await holdClockAt(given, Date.parse(SWITCH) - 1);
    await charged(given.client, { amount: '10' });
    expect(await charge(given.client, { amount: '1' })).toMatchObject(reached(SWITCH));
    // The first of December begins as it was to and ends in Kolkata.
    await holdClockAt(given, SWITCH);
    await charged(given.client, { amount: '10' });
    expect(await charge(given.client, { amount: '1' })).toMatchObject(reached('2040-12-01T18:30:00.000Z'));
    await holdClockAt(given, '2040-12-01T18:30:00Z');
    await charged(given.client, { amount: '10' });
    expect(await charge(given.client, { amount: '1' })).toMatchObject(reached('2040-12-02T18:30:00.000Z'));
    await expectSoundBooks(gateway.database, given.id);
  });

  it('takes back into its window what a hold had reserved before the change', async () => {
    const given = await inBerlin('capped', '2040-11-01T11:00:00Z', { purchased: '100' });
    await change(given.client, 'America/Los_Angeles');
    await holdClockAt(given, '2040-12-01T00:00:00Z');
    const { hold } = await held(given.client, { amount: '10', expiresInSeconds: 86_400 });
    // Midnight in Berlin: the day in Los Angeles lasts nine hours more.
    await holdClockAt(given, '2040-12-01T23:00:00Z');
    expect(await charge(given.client, { amount: '1' })).toMatchObject({ resetsAt: '2040-12-02T08:00:00.000Z' });
    await release(given.client, hold.id);
    await charged(given.client, { amount: '10' });
    await expectSoundBooks(gateway.database, given.id);
  });
});

describe('a cap on the operations of a month', () => {
  it('is not given twice at the change', async () => {
    // The anchored month ends on the 15th, in the middle of a calendar month.
    const given = await inBerlin('capped', '2040-11-15T11:00:00Z', { purchased: '100' });
    expect(await change(given.client, 'Pacific/Apia')).toMatchObject({
      organization: { timeZoneChangesAt: '2040-12-14T23:00:00.000Z' },
    });
    await holdClockAt(given, '2040-12-10T12:00:00Z');
    await charged(given.client, { usage: [{ meter: 'search', quantity: 1 }] });
    await charged(given.client, { usage: [{ meter: 'search', quantity: 1 }] });
    const full = { __typename: 'PlanLimitReached', key: 'search', current: 2 };
    for (const instant of ['2040-12-14T23:00:00Z', '2040-12-31T10:59:59.999Z']) {
      await holdClockAt(given, instant);
      expect(await charge(given.client, { usage: [{ meter: 'search', quantity: 1 }] })).toMatchObject(full);
    }
    await holdClockAt(given, '2040-12-31T11:00:00Z');
    await charged(given.client, { usage: [{ meter: 'search', quantity: 1 }] });
  });
});

describe('a daily allowance', () => {
  it.each([
    ['Asia/Kolkata', '2040-12-01T18:30:00.000Z', '2040-12-02T18:30:00.000Z'],
    ['America/Los_Angeles', '2040-12-02T08:00:00.000Z', '2040-12-03T08:00:00.000Z'],
    ['Pacific/Apia', '2040-12-01T11:00:00.000Z', '2040-12-02T11:00:00.000Z'],
  ])('is granted once for each local day on the way to %s', async (zone, secondDay, thirdDay) => {
    const given = await inBerlin('daily', '2040-11-01T11:00:00Z');
    await change(given.client, zone);
    await holdClockAt(given, Date.parse(SWITCH) - 1);
    await charged(given.client, { amount: '1' });
    const before = await history(given);
    for (const start of [SWITCH, secondDay, thirdDay]) {
      // Not by a millisecond too early, and once.
      await holdClockAt(given, Date.parse(start) - 1);
      const sequence = (await walletOf(given)).sequence;
      await holdClockAt(given, start);
      expect(await walletOf(given)).toMatchObject({ totalAvailable: '100', sequence: sequence + 2 });
      await charged(given.client, { amount: '1' });
    }
    expect((await history(given)).slice(before.length)).toEqual(
      [SWITCH, secondDay, thirdDay].flatMap((start) => [
        ['EXPIRY', '-99', start],
        ['ALLOWANCE', '100', start],
        ['USAGE', '-1', start],
      ]),
    );
    await expectSoundBooks(gateway.database, given.id);
  });

  it('of a wallet that sleeps over the change is that of the day in which it wakes', async () => {
    const given = await inBerlin('daily', '2040-11-01T11:00:00Z');
    await charged(given.client, { amount: '30' });
    await change(given.client, 'America/Los_Angeles');
    await sleepUntil(given, '2040-12-20T07:59:00Z');
    expect(await walletOf(given)).toMatchObject({ totalAvailable: '100' });
    expect((await history(given)).slice(2)).toEqual([
      ['EXPIRY', '-70', '2040-11-01T23:00:00.000Z'],
      ['ALLOWANCE', '100', '2040-12-19T08:00:00.000Z'],
    ]);
    expect(await refreshOf(given, 'daily_free')).toMatchObject({ nextRefreshAt: '2040-12-20T08:00:00.000Z' });
    await expectSoundBooks(gateway.database, given.id);
  });

  it('of a wallet that wakes on the very day of the change began by the zone before', async () => {
    const given = await inBerlin('daily', '2040-11-01T11:00:00Z');
    await change(given.client, 'America/Los_Angeles');
    // It is the second of December in Berlin and the first in Los Angeles.
    await sleepUntil(given, '2040-12-02T01:00:00Z');
    expect((await walletOf(given)).totalAvailable).toBe('100');
    expect((await history(given)).at(-1)).toEqual(['ALLOWANCE', '100', SWITCH]);
    expect(await refreshOf(given, 'daily_free')).toMatchObject({
      lastRefreshedAt: SWITCH,
      nextRefreshAt: '2040-12-02T08:00:00.000Z',
    });
  });
});

describe('a monthly allowance', () => {
  it.each([
    ['Asia/Kolkata', '2041-01-14T18:30:00.000Z'],
    ['America/Los_Angeles', '2041-01-15T08:00:00.000Z'],
    ['Pacific/Apia', '2041-01-14T11:00:00.000Z'],
  ])(
    'keeps its anchor on the way to %s, with its rollover, and so does the subscription',
    async (zone, secondMonth) => {
      const given = await inBerlin('monthly', '2040-11-15T11:00:00Z');
      const firstMonth = '2040-12-14T23:00:00.000Z';
      expect(await change(given.client, zone)).toMatchObject(accepted(zone, firstMonth));
      for (const [index, start] of [firstMonth, secondMonth].entries()) {
        await holdClockAt(given, Date.parse(start) - 1);
        await charged(given.client, { amount: index === 0 ? '80' : '100' });
        await holdClockAt(given, start);
        // 20 are left of the first month; of the second the 20 that were carried are gone, and 20 of its own are left.
        expect(await walletOf(given)).toMatchObject({ totalAvailable: '120' });
      }
      const grants = (await history(given)).filter(([reason]) => reason === 'PLAN_GRANT' || reason === 'ROLLOVER');
      expect(grants).toEqual([
        ['PLAN_GRANT', '100', '2040-11-15T11:00:00.000Z'],
        ['ROLLOVER', '-20', firstMonth],
        ['ROLLOVER', '20', firstMonth],
        ['PLAN_GRANT', '100', firstMonth],
        ['ROLLOVER', '-20', secondMonth],
        ['ROLLOVER', '20', secondMonth],
        ['PLAN_GRANT', '100', secondMonth],
      ]);
      const { organization } = await given.client.run(SubscriptionDocument, { slug: given.slug });
      expect(organization?.subscription).toMatchObject({ currentPeriodStart: secondMonth });
      await expectSoundBooks(gateway.database, given.id);
    },
  );
});

describe('a wallet that sleeps', () => {
  it('over two changes wakes with the allowance of the day that it is', async () => {
    const given = await inBerlin('daily', '2040-11-01T11:00:00Z');
    expect(await walletOf(given)).toMatchObject({ sequence: 1 });
    await change(given.client, 'Asia/Kolkata');
    await sleepUntil(given, '2040-12-10T12:00:00Z');
    // Nothing is posted by a change of settings: the wallet sleeps on.
    expect(await change(given.client, 'America/Los_Angeles')).toMatchObject({
      organization: { timeZone: 'Asia/Kolkata', timeZoneChangesAt: '2040-12-31T18:30:00.000Z' },
    });
    await sleepUntil(given, '2041-01-01T12:00:00Z');
    expect(await walletOf(given)).toMatchObject({ totalAvailable: '100', sequence: 3 });
    expect((await history(given)).slice(1)).toEqual([
      ['EXPIRY', '-100', '2040-11-01T23:00:00.000Z'],
      // The first of January began in Kolkata, and ends in Los Angeles.
      ['ALLOWANCE', '100', '2040-12-31T18:30:00.000Z'],
    ]);
    expect(await refreshOf(given, 'daily_free')).toMatchObject({ nextRefreshAt: '2041-01-02T08:00:00.000Z' });
    await expectSoundBooks(gateway.database, given.id);
  });

  it('over the change carries over what is left of the month that it missed, once', async () => {
    const given = await inBerlin('monthly', '2040-11-15T11:00:00Z');
    await charged(given.client, { amount: '60' });
    await change(given.client, 'America/Los_Angeles');
    await sleepUntil(given, '2041-01-20T12:00:00Z');
    expect(await walletOf(given)).toMatchObject({ totalAvailable: '130' });
    expect((await history(given)).slice(2)).toEqual([
      ['EXPIRY', '-40', '2040-12-14T23:00:00.000Z'],
      ['ROLLOVER', '30', '2041-01-15T08:00:00.000Z'],
      ['PLAN_GRANT', '100', '2041-01-15T08:00:00.000Z'],
    ]);
    await expectSoundBooks(gateway.database, given.id);
  });
});

describe('a plan by the year', () => {
  it('ends its year when it was to; then months and years go on in the new zone', async () => {
    const slug = `org-${aKey()}`;
    const { createOrganization } = await gateway.as(gateway.demo.tokens.operator).run(CreateOrganizationDocument, {
      input: { slug, name: slug, timeZone: 'Europe/Berlin', testClock: true },
    });
    if (createOrganization.__typename !== 'OrganizationPayload') throw new Error('not created');
    const { id } = createOrganization.organization;
    await advanceTo(gateway, id, '2040-03-15T11:00:00Z');
    const secret = await anApiKey(gateway, id, 'MASTER');
    const given: Given = { id, slug, secret, client: gateway.as(secret) };
    const input = { planId: encodeId('Plan', 'by_the_year'), idempotencyKey: aKey() };
    expect((await given.client.run(ChangePlanDocument, { input })).selectPlan).toMatchObject({
      subscription: { currentPeriodEnd: '2041-03-14T23:00:00.000Z' },
    });
    expect(await change(given.client, 'America/Los_Angeles')).toMatchObject({
      organization: { timeZoneChangesAt: '2041-03-14T23:00:00.000Z' },
    });
    await sleepUntil(given, '2041-04-15T06:59:00Z');
    const subscription = async () =>
      (await given.client.run(SubscriptionDocument, { slug })).organization?.subscription;
    expect(await subscription()).toMatchObject({
      currentPeriodStart: '2041-03-14T23:00:00.000Z',
      currentPeriodEnd: '2042-03-15T07:00:00.000Z',
    });
    expect(await refreshOf(given, 'monthly_plan')).toMatchObject({
      lastRefreshedAt: '2041-03-14T23:00:00.000Z',
      nextRefreshAt: '2041-04-15T07:00:00.000Z',
    });
    await sleepUntil(given, '2042-03-15T07:00:00Z');
    expect(await subscription()).toMatchObject({
      currentPeriodStart: '2042-03-15T07:00:00.000Z',
      currentPeriodEnd: '2043-03-15T07:00:00.000Z',
    });
    await expectSoundBooks(gateway.database, id);
  });
});

describe('what is shown', () => {
  it('of frequency caps counts and ends by the month that is cut at the change', async () => {
    const given = await inBerlin('capped', '2040-11-01T11:00:00Z', { purchased: '100' });
    await change(given.client, 'America/Los_Angeles');
    await advanceTo(gateway, given.id, SWITCH);
    await charged(given.client, { usage: [{ meter: 'search', quantity: 1 }] });
    const limits = async () => (await given.client.run(PlanLimitsDocument, { slug: given.slug })).organization?.limits;
    const counted = { key: 'search', current: 1, resetsAt: '2041-01-01T08:00:00.000Z' };
    expect(await limits()).toContainEqual(expect.objectContaining(counted));
    await sleepUntil(given, '2041-01-01T07:59:00Z');
    expect(await limits()).toContainEqual(expect.objectContaining(counted));
    await sleepUntil(given, '2041-01-01T08:00:00Z');
    expect(await limits()).toContainEqual(expect.objectContaining({ key: 'search', current: 0 }));
  });

  it('of usage is by days that follow one another, in the zone that was in force', async () => {
    const given = await inBerlin(null, '2040-11-01T11:00:00Z', { purchased: '100' });
    await change(given.client, 'America/Los_Angeles');
    for (const [instant, amount] of [
      ['2040-11-30T22:59:59.999Z', '1'],
      [SWITCH, '2'],
      ['2040-12-02T07:59:59.999Z', '4'],
      ['2040-12-02T08:00:00Z', '8'],
    ] as const) {
      await holdClockAt(given, instant);
      await charged(given.client, { amount });
    }
    const period = { from: '2040-11-30T00:00:00Z', to: '2040-12-03T00:00:00Z' };
    expect((await rowsOf(given, { ...period, groupBy: ['DAY'] })).toSorted()).toEqual([
      ['2040-11-30', null, '1', 1],
      ['2040-12-01', null, '6', 2],
      ['2040-12-02', null, '8', 1],
    ]);
    expect((await rowsOf(given, { ...period, groupBy: ['MONTH'] })).toSorted()).toEqual([
      ['2040-11', null, '1', 1],
      ['2040-12', null, '14', 3],
    ]);
  });

  it('on a receipt is the time in the zone in which it was paid', async () => {
    const given = await inBerlin(null, '2040-11-01T11:00:00Z');
    await change(given.client, 'Asia/Kolkata');
    const receipt = async () => {
      const { id, checkoutUrl } = await begun(given);
      expect((await fetch(`${checkoutUrl}/pay`, { method: 'POST' })).status).toBe(200);
      return (await purchaseOf(given, id)).receiptUrl ?? '';
    };
    const before = await receipt();
    await advanceTo(gateway, given.id, '2040-12-01T12:00:00Z');
    const after = await receipt();
    expect(await (await fetch(before)).text()).toContain('Paid, in Europe/Berlin');
    expect(await (await fetch(after)).text()).toContain('Paid, in Asia/Kolkata');
  });
});
