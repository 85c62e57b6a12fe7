/** What the passing of time does to a wallet, seen by those who come back to it: expiry, allowances, test clocks. */
import { randomUUID } from 'node:crypto';
import { print } from 'graphql';
import { createClient } from 'graphql-ws';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { type Micros, parseCredits } from '../../src/domain/credits/micros.ts';
import type { PlanAllowance } from '../../src/domain/subscriptions/plan-offer.ts';
import { anchoredMonthPeriod } from '../../src/domain/time/calendar.ts';
import { decodeId, encodeId } from '../../src/graphql/ids.ts';
import { findTenant } from '../../src/persistence/organizations.ts';
import { insertSubscription } from '../../src/persistence/subscriptions.ts';
import { moveTestClock } from '../../src/persistence/test-clock.ts';
import {
  AdvanceTestClockDocument,
  AuditTrailDocument,
  BalanceChangedDocument,
  type BalanceChangedSubscription,
  CreateApiKeyDocument,
  CreateOrganizationDocument,
  DebitDocument,
  HeldDocument,
  LedgerDocument,
  LotsDocument,
  OrganizationTimeDocument,
  ViewerDocument,
  WalletIdsDocument,
  WalletStateDocument,
} from '../generated/documents.ts';
import { expectSoundBooks, query } from '../support/books.ts';
import { at } from '../support/builders-values.ts';
import { startTestGateway, type TestClient, type TestGateway } from '../support/gateway.ts';
import { advanceTo, aKey, anApiKey, anOrganization, type Given, grant } from '../support/given.ts';

let gateway: TestGateway;
let operator: TestClient;
beforeAll(async () => {
  gateway = await startTestGateway();
  operator = gateway.as(gateway.demo.tokens.operator);
});
afterAll(() => gateway[Symbol.asyncDispose]());

const text = (instant: number): string => new Date(instant).toISOString();
const HOUR = 3_600_000;

interface Dated {
  /** Where the organization's clock stands. */
  readonly now: string;
  readonly timeZone?: string;
  /** What its plan grants; nothing without them. */
  readonly allowances?: readonly {
    readonly bucket: string;
    readonly interval: 'DAY' | 'MONTH';
    readonly credits: string;
  }[];
  /** The day of the month its plan began. */
  readonly anchorDay?: number;
}

/** An organization whose plan begins at a given instant of its own clock. */
async function anOrganizationAt({ now, timeZone = 'UTC', allowances = [], anchorDay = 1 }: Dated): Promise<Given> {
  const slug = `org-${randomUUID()}`;
  const { createOrganization } = await operator.run(CreateOrganizationDocument, {
    input: { slug, name: slug, timeZone, testClock: true },
  });
  if (createOrganization.__typename !== 'OrganizationPayload') throw new Error(JSON.stringify(createOrganization));
  const { id } = createOrganization.organization;
  await advanceTo(gateway, id, now);
  const { sql, catalogs, newId } = gateway.gateway.services;
  const tenant = await findTenant(sql, decodeId('Organization', id));
  const free = catalogs.planByKey('free');
  if (!tenant || !free) throw new Error('no tenant or plan');
  const plan = { ...free, allowances: allowances.map(asInCatalog) };
  const periodStart = at(now);
  const { end: periodEnd } = anchoredMonthPeriod(periodStart, anchorDay, timeZone);
  await insertSubscription(sql, { id: newId(), tenant, plan, status: 'ACTIVE', anchorDay, periodStart, periodEnd });
  const secret = await anApiKey(gateway, id, 'MASTER');
  return { id, slug, secret, client: gateway.as(secret) };
}

const asInCatalog = ({ bucket, interval, credits }: NonNullable<Dated['allowances']>[number]): PlanAllowance => ({
  bucketKey: bucket,
  interval,
  credits: credit(credits),
  rolloverLimit: null,
});

function credit(amount: string): Micros {
  const micros = parseCredits(amount);
  if (micros === undefined) throw new Error(`${amount} are no credits`);
  return micros;
}

const DAILY = { bucket: 'daily_free', interval: 'DAY', credits: '100' } as const;
const MONTHLY = { bucket: 'monthly_plan', interval: 'MONTH', credits: '2000' } as const;

/** The organization's clock goes on to the instant and nobody touches the wallet meanwhile. */
async function sleepUntil({ id }: Pick<Given, 'id'>, instant: string): Promise<void> {
  const { moved } = await moveTestClock(gateway.gateway.services.sql, decodeId('Organization', id), at(instant));
  if (!moved) throw new Error('the clock has not moved');
}

/**
 * Makes the instant of the wallet's next batch exactly this one. A wallet's time is never before its newest posting, so
 * while the organization's clock is behind, it stands still there.
 */
async function holdClockAt({ id }: Pick<Given, 'id'>, instant: number): Promise<void> {
  await query(gateway.database, 'UPDATE wallet SET last_posted_at = $2 WHERE organization_id = $1', [
    decodeId('Organization', id),
    text(instant),
  ]);
}

async function debit(client: TestClient, amount: string) {
  return (await client.run(DebitDocument, { input: { idempotencyKey: aKey(), amount } })).debit;
}

async function wallet(client: TestClient, slug: string) {
  const { organization } = await client.run(WalletStateDocument, { slug });
  if (!organization?.wallet) throw new Error(`no wallet of ${slug}`);
  return organization.wallet;
}

async function refreshOf(client: TestClient, slug: string, bucketKey: string) {
  return (await wallet(client, slug)).buckets.find(({ key }) => key === bucketKey)?.refresh;
}

/** The ledger, oldest first, as [reason, signed amount, effectiveAt]. */
async function history(client: TestClient, slug: string): Promise<[string, string, string][]> {
  const entries = await ledger(client, slug);
  return entries.map(({ reasonCode, direction, amount, effectiveAt }) => [
    reasonCode,
    direction === 'DEBIT' ? `-${amount}` : amount,
    effectiveAt,
  ]);
}

async function ledger(client: TestClient, slug: string) {
  const { organization } = await client.run(LedgerDocument, { slug, first: 100 });
  return (organization?.wallet?.ledger.edges ?? []).map(({ node }) => node).toReversed();
}

async function lots(client: TestClient, slug: string) {
  const { organization } = await client.run(LotsDocument, { slug, first: 100 });
  return organization?.wallet?.lots.edges.map(({ node }) => node) ?? [];
}

async function storedSequence({ id }: Pick<Given, 'id'>): Promise<number> {
  const [row] = await query<{ sequence: string }>(
    gateway.database,
    'SELECT sequence FROM wallet WHERE organization_id = $1',
    [decodeId('Organization', id)],
  );
  return Number(row?.sequence);
}

describe('a lot', () => {
  const START = '2040-06-01T12:00:00.000Z';
  const EXPIRY = '2040-06-02T12:00:00.000Z';

  it('can be spent to the last millisecond before its expiry', async () => {
    const given = await anOrganizationAt({ now: START });
    await grant(gateway, given.id, 'purchased', '10', EXPIRY);
    await holdClockAt(given, at(EXPIRY) - 1);
    expect(await debit(given.client, '4')).toMatchObject({
      __typename: 'DebitPayload',
      transaction: { postedAt: '2040-06-02T11:59:59.999Z' },
      availableCredits: '6',
    });
    expect((await history(given.client, given.slug)).map(([reason, amount]) => [reason, amount])).toEqual([
      ['GRANT', '10'],
      ['USAGE', '-4'],
    ]);
    await expectSoundBooks(gateway.database, given.id);
  });

  it.each([
    ['at its expiry', 0],
    ['one millisecond after it', 1],
    ['an hour after it', HOUR],
  ])('cannot be spent %s: it is taken out, effective when it was due', async (_when, late) => {
    const given = await anOrganizationAt({ now: START });
    await grant(gateway, given.id, 'purchased', '10', EXPIRY);
    await holdClockAt(given, at(EXPIRY) + late);
    expect(await debit(given.client, '4')).toMatchObject({
      __typename: 'InsufficientCredits',
      requiredCredits: '4',
      availableCredits: '0',
    });
    const [, expiry, ...others] = await ledger(given.client, given.slug);
    expect(expiry).toMatchObject({
      sequence: 2,
      direction: 'DEBIT',
      amount: '10',
      balanceAfter: '0',
      reasonCode: 'EXPIRY',
      effectiveAt: EXPIRY,
      postedAt: text(at(EXPIRY) + late),
      transaction: { kind: 'EXPIRY', idempotencyKey: null },
      actor: { __typename: 'SystemActor', name: 'purser' },
    });
    expect(others).toEqual([]);
    await expectSoundBooks(gateway.database, given.id);
  });

  it('loses at its expiry what is left of it, and nothing where nothing is left', async () => {
    const given = await anOrganizationAt({ now: START });
    await grant(gateway, given.id, 'purchased', '3', EXPIRY);
    await grant(gateway, given.id, 'purchased', '5', text(at(EXPIRY) + 1));
    await debit(given.client, '4.5');
    await sleepUntil(given, '2040-07-01T00:00:00Z');
    expect(await wallet(given.client, given.slug)).toMatchObject({ totalAvailable: '0', balance: '0' });
    expect((await history(given.client, given.slug)).slice(2)).toEqual([
      ['USAGE', '-3', expect.any(String)],
      ['USAGE', '-1.5', expect.any(String)],
      ['EXPIRY', '-3.5', text(at(EXPIRY) + 1)],
    ]);
    expect((await lots(given.client, given.slug)).map(({ granted, remaining }) => [granted, remaining])).toEqual([
      ['3', '0'],
      ['5', '0'],
    ]);
    await expectSoundBooks(gateway.database, given.id);
  });

  it('leaves the others to be spent when it has expired unseen', async () => {
    const given = await anOrganizationAt({ now: START });
    await grant(gateway, given.id, 'promotional', '10', EXPIRY);
    await grant(gateway, given.id, 'purchased', '10', EXPIRY);
    await grant(gateway, given.id, 'purchased', '10');
    await sleepUntil(given, '2040-06-10T00:00:00Z');
    expect(await debit(given.client, '10.000001')).toMatchObject({
      code: 'INSUFFICIENT_CREDITS',
      availableCredits: '10',
    });
    expect(await debit(given.client, '10')).toMatchObject({ __typename: 'DebitPayload', availableCredits: '0' });
    await expectSoundBooks(gateway.database, given.id);
  });

  it('is taken out in the order of what was due, whatever order it was granted in', async () => {
    const given = await anOrganizationAt({ now: START });
    const days = [5, 2, 9, 3, 2];
    for (const day of days) await grant(gateway, given.id, 'purchased', String(day), `2040-06-0${day}T00:00:00Z`);
    await sleepUntil(given, '2040-06-08T00:00:00Z');
    expect(await wallet(given.client, given.slug)).toMatchObject({ totalAvailable: '9', sequence: 9, version: 9 });
    const entries = (await ledger(given.client, given.slug)).slice(days.length);
    expect(
      entries.map(({ amount, effectiveAt, balanceAfter }) => [amount, effectiveAt.slice(0, 10), balanceAfter]),
    ).toEqual([
      ['2', '2040-06-02', '19'],
      ['2', '2040-06-02', '17'],
      ['3', '2040-06-03', '14'],
      ['5', '2040-06-05', '9'],
    ]);
    expect(new Set(entries.map(({ postedAt }) => postedAt)).size).toBe(1);
    await expectSoundBooks(gateway.database, given.id);
  });

  it('expires together with hundreds of others without any being lost, however many calls it takes', async () => {
    const given = await anOrganizationAt({ now: START });
    const count = 600;
    const grants = Array.from({ length: count }, (_, index) =>
      grant(gateway, given.id, 'purchased', '1', text(at(EXPIRY) + (index % 3))),
    );
    await Promise.all(grants);
    await grant(gateway, given.id, 'purchased', '7');
    await sleepUntil(given, '2040-07-01T00:00:00Z');
    // A wallet with more due than one batch may post says so, and has come closer each time.
    const answers = [];
    do answers.push(await given.client.raw(print(WalletStateDocument), { slug: given.slug }));
    while (answers.at(-1)?.errors.length && answers.length < 3);
    for (const busy of answers.slice(0, -1)) {
      expect(busy).toMatchObject({ status: 503, errors: [{ extensions: { code: 'RATE_LIMITED' } }] });
    }
    expect(await wallet(given.client, given.slug)).toMatchObject({ totalAvailable: '7', sequence: 2 * count + 1 });
    await expectSoundBooks(gateway.database, given.id);
  });

  it('is either spent or expired, to the last credit, when debits race its expiry', async () => {
    const given = await anOrganizationAt({ now: START });
    await grant(gateway, given.id, 'purchased', '50', EXPIRY);
    await sleepUntil(given, text(at(EXPIRY) - 60));
    const answers = await Promise.all(Array.from({ length: 80 }, () => debit(given.client, '1')));
    await sleepUntil(given, text(at(EXPIRY) + HOUR));
    const accepted = answers.filter((answer) => answer.__typename === 'DebitPayload');
    for (const { transaction } of accepted) expect(at(transaction.postedAt)).toBeLessThan(at(EXPIRY));
    expect(await wallet(given.client, given.slug)).toMatchObject({ totalAvailable: '0', balance: '0' });
    const expired = (await ledger(given.client, given.slug)).filter(({ reasonCode }) => reasonCode === 'EXPIRY');
    const left = 50 - accepted.length;
    expect(expired.map(({ amount }) => amount)).toEqual(left === 0 ? [] : [String(left)]);
    await expectSoundBooks(gateway.database, given.id);
  });
});

describe('a daily allowance', () => {
  it.each([
    // Clocks go forward at 2:00: 23 hours.
    ['Europe/Berlin', '2040-03-24T23:00:00.000Z', '2040-03-25T22:00:00.000Z'],
    // Clocks go back at 3:00: 25 hours.
    ['Europe/Berlin', '2040-10-27T22:00:00.000Z', '2040-10-28T23:00:00.000Z'],
    // Half an hour either way.
    ['Australia/Lord_Howe', '2040-03-31T13:00:00.000Z', '2040-04-01T13:30:00.000Z'],
    ['Australia/Lord_Howe', '2040-10-06T13:30:00.000Z', '2040-10-07T13:00:00.000Z'],
    // Clocks go forward at midnight: the day begins at 1:00.
    ['Asia/Beirut', '2040-03-24T22:00:00.000Z', '2040-03-25T21:00:00.000Z'],
    // Clocks go back to midnight: the day begins at the first one.
    ['America/Havana', '2040-11-04T04:00:00.000Z', '2040-11-05T05:00:00.000Z'],
    ['Asia/Kathmandu', '2040-05-31T18:15:00.000Z', '2040-06-01T18:15:00.000Z'],
    ['Pacific/Kiritimati', '2040-05-31T10:00:00.000Z', '2040-06-01T10:00:00.000Z'],
  ])('in %s is granted once for the local day from %s to %s', async (timeZone, start, end) => {
    const given = await anOrganizationAt({ now: text(at(start) - 6 * HOUR), timeZone, allowances: [DAILY] });
    const { client, slug } = given;
    expect(await debit(client, '40')).toMatchObject({ availableCredits: '60' });
    await holdClockAt(given, at(start) - 1);
    expect(await debit(client, '5')).toMatchObject({ availableCredits: '55' });
    await holdClockAt(given, at(start));
    expect(await debit(client, '30')).toMatchObject({ availableCredits: '70', transaction: { postedAt: start } });
    expect(await refreshOf(client, slug, 'daily_free')).toEqual({
      interval: 'DAY',
      amount: '100',
      lastRefreshedAt: start,
      nextRefreshAt: end,
    });
    await holdClockAt(given, at(end) - 1);
    expect(await debit(client, '30')).toMatchObject({ availableCredits: '40' });
    await holdClockAt(given, at(end));
    expect(await wallet(client, slug)).toMatchObject({ totalAvailable: '100' });
    expect((await history(client, slug)).slice(3)).toEqual([
      ['EXPIRY', '-55', start],
      ['ALLOWANCE', '100', start],
      ['USAGE', '-30', start],
      ['USAGE', '-30', text(at(end) - 1)],
      ['EXPIRY', '-40', end],
      ['ALLOWANCE', '100', end],
    ]);
    await expectSoundBooks(gateway.database, given.id);
  });

  it('is granted in full when a plan begins in the middle of a day, until that day ends', async () => {
    const now = '2040-06-01T15:00:00.000Z';
    const { client, slug, id } = await anOrganizationAt({ now, timeZone: 'Europe/Berlin', allowances: [DAILY] });
    expect(await wallet(client, slug)).toMatchObject({ totalAvailable: '100', subscriptionCredits: '100' });
    expect(await lots(client, slug)).toMatchObject([
      { source: 'ALLOWANCE', granted: '100', effectiveAt: now, expiresAt: '2040-06-01T22:00:00.000Z' },
    ]);
    expect(await refreshOf(client, slug, 'daily_free')).toMatchObject({
      lastRefreshedAt: now,
      nextRefreshAt: '2040-06-01T22:00:00.000Z',
    });
    await expectSoundBooks(gateway.database, id);
  });

  it('is granted once, for the current day, to a wallet that slept for three days', async () => {
    const given = await anOrganizationAt({ now: '2040-06-01T12:00:00Z', allowances: [DAILY] });
    const { client, slug } = given;
    await debit(client, '30');
    await sleepUntil(given, '2040-06-04T09:30:00Z');
    expect(await wallet(client, slug)).toMatchObject({ totalAvailable: '100', sequence: 4 });
    expect((await history(client, slug)).slice(2)).toEqual([
      ['EXPIRY', '-70', '2040-06-02T00:00:00.000Z'],
      ['ALLOWANCE', '100', '2040-06-04T00:00:00.000Z'],
    ]);
    expect(await refreshOf(client, slug, 'daily_free')).toMatchObject({
      lastRefreshedAt: '2040-06-04T00:00:00.000Z',
      nextRefreshAt: '2040-06-05T00:00:00.000Z',
    });
    await expectSoundBooks(gateway.database, given.id);
  });

  it('is not granted twice within a day, however often the wallet is touched', async () => {
    const given = await anOrganizationAt({ now: '2040-06-01T00:30:00Z', allowances: [DAILY] });
    for (const hour of ['06', '12', '18', '23']) {
      await sleepUntil(given, `2040-06-01T${hour}:30:00Z`);
      await debit(given.client, '10');
      await wallet(given.client, given.slug);
    }
    expect(await wallet(given.client, given.slug)).toMatchObject({ totalAvailable: '60', sequence: 5 });
    await expectSoundBooks(gateway.database, given.id);
  });

  it('belongs to a local day, so that organizations in different zones refresh at different instants', async () => {
    const now = '2040-06-01T12:00:00Z';
    const tokyo = await anOrganizationAt({ now, timeZone: 'Asia/Tokyo', allowances: [DAILY] });
    const lima = await anOrganizationAt({ now, timeZone: 'America/Lima', allowances: [DAILY] });
    for (const given of [tokyo, lima]) {
      await debit(given.client, '100');
      await sleepUntil(given, '2040-06-01T16:00:00Z');
    }
    expect(await wallet(tokyo.client, tokyo.slug)).toMatchObject({ totalAvailable: '100' });
    expect(await wallet(lima.client, lima.slug)).toMatchObject({ totalAvailable: '0' });
  });
});

describe('a monthly allowance', () => {
  it.each([
    {
      anchorDay: 31,
      timeZone: 'UTC',
      starts: [
        '2043-01-31T00:00:00.000Z',
        '2043-02-28T00:00:00.000Z',
        '2043-03-31T00:00:00.000Z',
        '2043-04-30T00:00:00.000Z',
      ],
    },
    {
      anchorDay: 30,
      timeZone: 'UTC',
      starts: ['2044-01-30T00:00:00.000Z', '2044-02-29T00:00:00.000Z', '2044-03-30T00:00:00.000Z'],
    },
    {
      anchorDay: 29,
      timeZone: 'UTC',
      starts: [
        '2044-12-29T00:00:00.000Z',
        '2045-01-29T00:00:00.000Z',
        '2045-02-28T00:00:00.000Z',
        '2045-03-29T00:00:00.000Z',
      ],
    },
    {
      anchorDay: 1,
      timeZone: 'America/New_York',
      starts: ['2040-02-01T05:00:00.000Z', '2040-03-01T05:00:00.000Z', '2040-04-01T04:00:00.000Z'],
    },
    {
      anchorDay: 15,
      timeZone: 'Pacific/Auckland',
      starts: ['2040-03-14T11:00:00.000Z', '2040-04-14T12:00:00.000Z', '2040-05-14T12:00:00.000Z'],
    },
  ])('anchored to day $anchorDay in $timeZone begins at $starts', async ({ anchorDay, timeZone, starts }) => {
    const [first = '', ...later] = starts;
    const given = await anOrganizationAt({ now: first, timeZone, anchorDay, allowances: [MONTHLY] });
    const { client, slug } = given;
    await debit(client, '500');
    for (const [index, start] of later.entries()) {
      await holdClockAt(given, at(start) - 1);
      expect(await refreshOf(client, slug, 'monthly_plan')).toMatchObject({
        lastRefreshedAt: starts[index],
        nextRefreshAt: start,
      });
      await holdClockAt(given, at(start));
      expect(await debit(client, '500')).toMatchObject({ availableCredits: '1500' });
    }
    expect((await history(client, slug)).filter(([reason]) => reason !== 'USAGE')).toEqual([
      ['PLAN_GRANT', '2000', first],
      ...later.flatMap((start) => [
        ['EXPIRY', '-1500', start],
        ['PLAN_GRANT', '2000', start],
      ]),
    ]);
    await expectSoundBooks(gateway.database, given.id);
  });

  it('is granted once, for the current period, to a wallet that slept for months', async () => {
    const given = await anOrganizationAt({ now: '2043-01-31T10:00:00Z', anchorDay: 31, allowances: [MONTHLY] });
    const { client, slug } = given;
    await debit(client, '1');
    await sleepUntil(given, '2043-06-15T00:00:00Z');
    expect(await wallet(client, slug)).toMatchObject({ totalAvailable: '2000', subscriptionCredits: '2000' });
    expect((await history(client, slug)).slice(2)).toEqual([
      ['EXPIRY', '-1999', '2043-02-28T00:00:00.000Z'],
      ['PLAN_GRANT', '2000', '2043-05-31T00:00:00.000Z'],
    ]);
    expect(await refreshOf(client, slug, 'monthly_plan')).toMatchObject({ nextRefreshAt: '2043-06-30T00:00:00.000Z' });
    await expectSoundBooks(gateway.database, given.id);
  });
});

describe('a wallet that slept', () => {
  it('catches up on everything in the order it was due', async () => {
    const given = await anOrganizationAt({
      now: '2040-06-01T12:00:00.000Z',
      anchorDay: 5,
      allowances: [DAILY, MONTHLY],
    });
    const { client, slug } = given;
    await grant(gateway, given.id, 'promotional', '7', '2040-06-06T06:00:00Z');
    await grant(gateway, given.id, 'purchased', '3', '2040-06-03T06:00:00Z');
    await grant(gateway, given.id, 'purchased', '1');
    await sleepUntil(given, '2040-06-07T08:00:00Z');
    expect(await wallet(client, slug)).toMatchObject({ totalAvailable: '2101', subscriptionCredits: '2100' });
    const past = await history(client, slug);
    expect(past.slice(5)).toEqual([
      ['EXPIRY', '-100', '2040-06-02T00:00:00.000Z'],
      ['EXPIRY', '-3', '2040-06-03T06:00:00.000Z'],
      ['EXPIRY', '-2000', '2040-06-05T00:00:00.000Z'],
      ['PLAN_GRANT', '2000', '2040-06-05T00:00:00.000Z'],
      ['EXPIRY', '-7', '2040-06-06T06:00:00.000Z'],
      ['ALLOWANCE', '100', '2040-06-07T00:00:00.000Z'],
    ]);
    const instants = past.map(([, , effectiveAt]) => effectiveAt);
    expect(instants).toEqual(instants.toSorted());
    await expectSoundBooks(gateway.database, given.id);
  });

  it('has caught up before a debit is decided, also one that is refused', async () => {
    const given = await anOrganizationAt({ now: '2040-06-01T12:00:00Z', allowances: [DAILY] });
    await debit(given.client, '100');
    await sleepUntil(given, '2040-06-02T12:00:00Z');
    expect(await debit(given.client, '100.5')).toMatchObject({ code: 'INSUFFICIENT_CREDITS', availableCredits: '100' });
    expect(await storedSequence(given)).toBe(3);
    expect(await debit(given.client, '100')).toMatchObject({ availableCredits: '0' });
    await expectSoundBooks(gateway.database, given.id);
  });

  it('has a version and a live event for each thing that was due', async () => {
    const given = await anOrganizationAt({ now: '2040-06-01T12:00:00Z', allowances: [DAILY] });
    const { client, slug, id: organizationId } = given;
    const { liveCursor: after, version } = await wallet(client, slug);
    await sleepUntil(given, '2040-06-02T12:00:00Z');
    const socket = createClient({
      url: gateway.gateway.wsEndpoint,
      webSocketImpl: WebSocket,
      connectionParams: { authorization: `Bearer ${given.secret}` },
    });
    try {
      const events = socket.iterate<BalanceChangedSubscription>({
        query: print(BalanceChangedDocument),
        variables: { organizationId, after },
      });
      const midnight = { occurredAt: '2040-06-02T00:00:00.000Z' };
      expect((await events.next()).value?.data?.balanceChanged).toMatchObject({
        ...midnight,
        version: version + 1,
        reasonCode: 'EXPIRY',
        change: '-100',
        totalAvailable: '0',
      });
      expect((await events.next()).value?.data?.balanceChanged).toMatchObject({
        ...midnight,
        version: version + 2,
        reasonCode: 'ALLOWANCE',
        change: '100',
        totalAvailable: '100',
      });
      // A wallet that is watched changes on time, although nobody asks for it.
      await sleepUntil(given, '2040-06-03T00:00:00Z');
      expect((await events.next()).value?.data?.balanceChanged).toMatchObject({
        version: version + 3,
        reasonCode: 'EXPIRY',
        occurredAt: '2040-06-03T00:00:00.000Z',
      });
    } finally {
      await socket.dispose();
    }
  });
});

describe('reading posts what is due', () => {
  interface Known {
    readonly wallet: string;
    readonly bucket: string;
    readonly lot: string;
    readonly entry: string;
    readonly transaction: string;
  }

  /** A wallet with a lot of 10 that has expired unseen, and the ids under which a client knows it. */
  async function aWalletWithAnUnseenExpiry(): Promise<{ given: Given; ids: Known }> {
    const given = await anOrganizationAt({ now: '2040-06-01T12:00:00Z' });
    await grant(gateway, given.id, 'purchased', '10', '2040-06-01T13:00:00Z');
    const { organization } = await given.client.run(WalletIdsDocument, { slug: given.slug });
    const [entry] = organization?.wallet?.ledger.edges ?? [];
    const ids = {
      wallet: organization?.wallet?.id ?? '',
      bucket: organization?.wallet?.buckets.find(({ key }) => key === 'purchased')?.id ?? '',
      lot: organization?.wallet?.lots.edges[0]?.node.id ?? '',
      entry: entry?.node.id ?? '',
      transaction: entry?.node.transaction.id ?? '',
    };
    await sleepUntil(given, '2040-06-02T12:00:00Z');
    expect(await storedSequence(given)).toBe(1);
    return { given, ids };
  }

  const expired = { lot: { remaining: '0' }, bucket: { available: '0' } };
  it.each<[keyof Known, object]>([
    ['wallet', { __typename: 'Wallet', totalAvailable: '0', sequence: 2 }],
    ['bucket', { __typename: 'Bucket', available: '0' }],
    ['lot', { __typename: 'Lot', remaining: '0' }],
    ['entry', { __typename: 'LedgerEntry', ...expired }],
    ['transaction', { __typename: 'Transaction', entries: [expired] }],
  ])('through node(id) of the %s', async (kind, seen) => {
    const { given, ids } = await aWalletWithAnUnseenExpiry();
    expect((await given.client.run(HeldDocument, { id: ids[kind] })).node).toMatchObject(seen);
    expect(await storedSequence(given)).toBe(2);
    await expectSoundBooks(gateway.database, given.id);
  });

  it.each<[string, (client: TestClient, slug: string) => Promise<unknown>, unknown]>([
    ['wallet', wallet, expect.objectContaining({ totalAvailable: '0', balance: '0', sequence: 2 })],
    ['lots', lots, [expect.objectContaining({ granted: '10', remaining: '0' })]],
    ['ledger', history, [expect.anything(), ['EXPIRY', '-10', '2040-06-01T13:00:00.000Z']]],
  ])('through the organization’s %s', async (_what, read, seen) => {
    const { given } = await aWalletWithAnUnseenExpiry();
    expect(await read(given.client, given.slug)).toEqual(seen);
    expect(await storedSequence(given)).toBe(2);
    await expectSoundBooks(gateway.database, given.id);
  });

  it('for whoever may read it, and for nobody who may not', async () => {
    const { given, ids } = await aWalletWithAnUnseenExpiry();
    const stranger = gateway.as(gateway.demo.otherTokens.owner);
    const usageKey = gateway.as(await anApiKey(gateway, given.id, 'USAGE_WRITE'));
    for (const client of [stranger, usageKey]) {
      for (const id of Object.values(ids)) expect((await client.run(HeldDocument, { id })).node).toBeNull();
    }
    expect(await storedSequence(given)).toBe(1);
    const reader = gateway.as(await anApiKey(gateway, given.id, 'BILLING_READ'));
    expect(await wallet(reader, given.slug)).toMatchObject({ totalAvailable: '0', sequence: 2 });
  });

  it('but not to a frozen wallet, which waits', async () => {
    const { given } = await aWalletWithAnUnseenExpiry();
    const organizationId = decodeId('Organization', given.id);
    await query(gateway.database, 'UPDATE wallet SET frozen_at = now() WHERE organization_id = $1', [organizationId]);
    expect(await wallet(given.client, given.slug)).toMatchObject({ sequence: 1 });
    await query(gateway.database, 'UPDATE wallet SET frozen_at = NULL WHERE organization_id = $1', [organizationId]);
    expect(await wallet(given.client, given.slug)).toMatchObject({ totalAvailable: '0', sequence: 2 });
    await expectSoundBooks(gateway.database, given.id);
  });
});

describe('how a bucket refreshes', () => {
  it('is told for buckets that do and null for those that do not', async () => {
    const { client, slug } = await anOrganizationAt({
      now: '2040-06-10T12:00:00.000Z',
      anchorDay: 3,
      allowances: [DAILY, MONTHLY],
    });
    const refreshes = (await wallet(client, slug)).buckets.map(({ key, refresh }) => [key, refresh]);
    expect(refreshes).toEqual([
      [
        'daily_free',
        {
          interval: 'DAY',
          amount: '100',
          lastRefreshedAt: '2040-06-10T12:00:00.000Z',
          nextRefreshAt: '2040-06-11T00:00:00.000Z',
        },
      ],
      ['promotional', null],
      [
        'monthly_plan',
        {
          interval: 'MONTH',
          amount: '2000',
          lastRefreshedAt: '2040-06-10T12:00:00.000Z',
          nextRefreshAt: '2040-07-03T00:00:00.000Z',
        },
      ],
      ['purchased', null],
    ]);
  });
});

describe('a test clock', () => {
  async function advance(client: TestClient, organizationId: string, to: string) {
    return (await client.run(AdvanceTestClockDocument, { input: { organizationId, to } })).advanceTestClock;
  }

  async function now(client: TestClient, slug: string): Promise<number> {
    return at((await client.run(OrganizationTimeDocument, { slug })).organization?.now ?? '');
  }

  it('goes to the instant asked for and on from there', async () => {
    const { client, slug, id } = await anOrganization(gateway);
    const to = '2041-05-06T07:08:09.010Z';
    expect(await advance(operator, id, to)).toMatchObject({
      __typename: 'TestClockPayload',
      now: to,
      organization: { id },
    });
    const first = await now(client, slug);
    expect(first).toBeGreaterThanOrEqual(at(to));
    expect(first).toBeLessThan(at(to) + 60_000);
    expect(await now(client, slug)).toBeGreaterThanOrEqual(first);
    expect(await client.run(OrganizationTimeDocument, { slug })).toMatchObject({ organization: { testClock: true } });
  });

  it('posts what is due by then', async () => {
    const given = await anOrganizationAt({ now: '2040-06-01T12:00:00Z', allowances: [DAILY] });
    await advance(operator, given.id, '2040-06-01T13:00:00Z');
    expect(await storedSequence(given)).toBe(1);
    await advance(operator, given.id, '2040-06-02T00:00:00Z');
    expect(await storedSequence(given)).toBe(3);
    await expectSoundBooks(gateway.database, given.id);
  });

  it('never goes back', async () => {
    const { client, slug, id } = await anOrganization(gateway);
    await advance(operator, id, '2041-01-01T00:00:00Z');
    for (const to of ['2040-12-31T23:59:59.999Z', '2041-01-01T00:00:00Z', '1999-01-01T00:00:00Z']) {
      expect(await advance(operator, id, to)).toMatchObject({
        __typename: 'InvalidInput',
        path: ['to'],
        httpStatus: 422,
      });
    }
    expect(await now(client, slug)).toBeGreaterThanOrEqual(at('2041-01-01T00:00:00Z'));
  });

  it('goes no further than calendars do', async () => {
    const { client, slug, id } = await anOrganizationAt({ now: '2040-06-01T12:00:00Z', allowances: [DAILY] });
    expect(await advance(operator, id, '9999-12-31T22:00:00Z')).toMatchObject({
      __typename: 'InvalidInput',
      path: ['to'],
    });
    expect(await now(client, slug)).toBeLessThan(at('2040-06-02T00:00:00Z'));
    expect(await wallet(client, slug)).toMatchObject({ totalAvailable: '100' });
  });

  it('is had only by organizations that were created with one', async () => {
    const slug = `org-${randomUUID()}`;
    const { createOrganization } = await operator.run(CreateOrganizationDocument, { input: { slug, name: slug } });
    if (createOrganization.__typename !== 'OrganizationPayload') throw new Error(JSON.stringify(createOrganization));
    const { id } = createOrganization.organization;
    expect(await advance(operator, id, '2041-01-01T00:00:00Z')).toMatchObject({
      __typename: 'InvalidInput',
      path: ['organizationId'],
    });
    expect(await operator.run(OrganizationTimeDocument, { slug })).toMatchObject({
      organization: { testClock: false },
    });
    expect(await now(operator, slug)).toBeLessThan(at('2041-01-01T00:00:00Z'));
  });

  it('is of nobody else’s organization', async () => {
    const to = '2041-01-01T00:00:00Z';
    for (const id of [encodeId('Organization', randomUUID()), 'nonsense']) {
      expect(await advance(operator, id, to)).toMatchObject({ __typename: 'NotFound' });
    }
    const { owner, viewer, masterKey, usageKey } = gateway.demo.tokens;
    for (const token of [owner, viewer, masterKey, usageKey]) {
      const input = { organizationId: gateway.organizationId, to };
      const { data, errors } = await gateway.as(token).raw(print(AdvanceTestClockDocument), { input });
      expect({ data, codes: errors.map(({ extensions }) => extensions.code) }).toEqual({
        data: null,
        codes: ['FORBIDDEN'],
      });
    }
    expect(await now(operator, gateway.demo.organization.slug)).toBeLessThan(at(to));
  });

  it('moves one organization and no other', async () => {
    const start = '2040-06-01T12:00:00Z';
    const [moved, still] = [await anOrganizationAt({ now: start }), await anOrganizationAt({ now: start })];
    for (const { id } of [moved, still]) await grant(gateway, id, 'purchased', '10', '2040-06-02T00:00:00Z');
    await advance(operator, moved.id, '2040-07-01T00:00:00Z');
    expect(await wallet(moved.client, moved.slug)).toMatchObject({ totalAvailable: '0', sequence: 2 });
    expect(await wallet(still.client, still.slug)).toMatchObject({ totalAvailable: '10', sequence: 1 });
    expect(await now(still.client, still.slug)).toBeLessThan(at('2040-06-02T00:00:00Z'));
    expect(await debit(still.client, '10')).toMatchObject({ __typename: 'DebitPayload' });
  });

  it('does not make credentials older', async () => {
    const { id, secret } = await anOrganization(gateway);
    const expiresAt = text(Date.now() + 24 * HOUR);
    const { createApiKey } = await operator.run(CreateApiKeyDocument, {
      input: { organizationId: id, name: 'for a day', scopes: ['BILLING_READ'], expiresAt },
    });
    if (createApiKey.__typename !== 'CreateApiKeyPayload') throw new Error(JSON.stringify(createApiKey));
    await advance(operator, id, '2050-01-01T00:00:00Z');
    for (const token of [secret, createApiKey.secret]) {
      expect(await gateway.as(token).run(ViewerDocument, {})).toMatchObject({ viewer: { kind: 'API_KEY' } });
    }
  });

  it('is moved on record', async () => {
    const { client, slug, id } = await anOrganization(gateway);
    await advance(operator, id, '2041-01-01T00:00:00Z');
    await advance(operator, id, '2040-01-01T00:00:00Z');
    const { organization } = await client.run(AuditTrailDocument, { slug });
    const moves = organization?.auditTrail?.edges.filter(({ node }) => node.action === 'advanceTestClock') ?? [];
    expect(moves.map(({ node }) => [node.actor, node.after])).toEqual([
      [{ __typename: 'SystemActor', name: 'operator' }, { to: '2041-01-01T00:00:00.000Z' }],
    ]);
  });
});

describe('two gateways on one database', () => {
  it('post what is due on a wallet once when both touch it at the same time', async () => {
    await using second = await startTestGateway({ database: gateway.database });
    const given = await anOrganizationAt({ now: '2040-06-01T12:00:00Z', anchorDay: 2, allowances: [DAILY, MONTHLY] });
    await grant(gateway, given.id, 'purchased', '10', '2040-06-01T18:00:00Z');
    await sleepUntil(given, '2040-06-02T12:00:00Z');
    const clients = [given.client, second.as(given.secret)];
    const touches = Array.from({ length: 10 }, () =>
      clients.map(async (client) => (await wallet(client, given.slug)).totalAvailable),
    ).flat();
    expect(await Promise.all(touches)).toEqual(touches.map(() => '2100'));
    expect((await history(given.client, given.slug)).slice(3)).toEqual([
      ['EXPIRY', '-10', '2040-06-01T18:00:00.000Z'],
      ['EXPIRY', '-100', '2040-06-02T00:00:00.000Z'],
      ['EXPIRY', '-2000', '2040-06-02T00:00:00.000Z'],
      ['ALLOWANCE', '100', '2040-06-02T00:00:00.000Z'],
      ['PLAN_GRANT', '2000', '2040-06-02T00:00:00.000Z'],
    ]);
    await expectSoundBooks(gateway.database, given.id);
  });

  it('spend a refreshed allowance once between them', async () => {
    await using second = await startTestGateway({ database: gateway.database });
    const given = await anOrganizationAt({ now: '2040-06-01T12:00:00Z', allowances: [DAILY] });
    await debit(given.client, '100');
    await sleepUntil(given, '2040-06-02T12:00:00Z');
    const clients = [given.client, second.as(given.secret)];
    const answers = await Promise.all(
      Array.from({ length: 60 }, () => clients.map((client) => debit(client, '1'))).flat(),
    );
    expect(answers.filter(({ __typename }) => __typename === 'DebitPayload')).toHaveLength(100);
    expect(answers.filter(({ __typename }) => __typename === 'InsufficientCredits')).toHaveLength(20);
    expect(await wallet(given.client, given.slug)).toMatchObject({ totalAvailable: '0', sequence: 103 });
    await expectSoundBooks(gateway.database, given.id);
  });
});
