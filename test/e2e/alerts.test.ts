/** Alerts: one event for a crossing, whoever causes it and on whichever gateway, told live and resumable. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeId } from '../../src/graphql/ids.ts';
import {
  AlertsDocument,
  ApplyCatalogDocument,
  AuditTrailDocument,
  DebitDocument,
  LowBalanceDocument,
  type LowBalanceSubscription,
  RemoveAlertDocument,
  SetAlertDocument,
  type SetAlertInput,
} from '../generated/documents.ts';
import { expectSoundBooks, query } from '../support/books.ts';
import { demoWith } from '../support/catalog-files.ts';
import { createDatabase } from '../support/database.ts';
import { startTestGateway, type TestClient, type TestGateway } from '../support/gateway.ts';
import { advanceTo, aKey, anOrganization, type Given, grant } from '../support/given.ts';
import { firstAlertCursor, forgeCursor } from './cursors.ts';
import { type Live, subscribe, TRANSPORTS, type Transport } from './streams.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway();
});
afterAll(() => gateway[Symbol.asyncDispose]());

const NOON = '2040-03-10T12:00:00.000Z';

type LowBalance = LowBalanceSubscription['lowBalance'];

function watch({ id, secret }: Given, after?: string, transport: Transport = 'sse', on = gateway) {
  const variables = { organizationId: id, ...(after === undefined ? {} : { after }) };
  return subscribe(transport, on, secret, LowBalanceDocument, variables);
}

const eventOf = async (live: Live<LowBalanceSubscription>): Promise<LowBalance> => (await live.next()).lowBalance;

const told = ({ transition, threshold, totalAvailable }: LowBalance) => [transition, threshold, totalAvailable];

async function debit(client: TestClient, amount: string): Promise<void> {
  const answer = await client.run(DebitDocument, { input: { idempotencyKey: aKey(), amount } });
  expect(answer.debit.__typename).toBe('DebitPayload');
}

async function setAlert({ client }: Pick<Given, 'client'>, input: SetAlertInput) {
  const payload = (await client.run(SetAlertDocument, { input })).setAlert;
  if (payload.__typename !== 'AlertPayload') throw new Error(JSON.stringify(payload));
  return payload.alert;
}

async function alertsOf({ client, slug }: Given) {
  return (await client.run(AlertsDocument, { slug })).organization?.alerts ?? [];
}

/** What the database keeps, in order. */
async function storedEvents({ id }: Given): Promise<unknown[]> {
  return query(
    gateway.database,
    `SELECT number::int, transition, threshold_micros::text AS threshold, total_available_micros::text AS available
     FROM alert_event JOIN wallet ON wallet.id = wallet_id WHERE organization_id = $1 ORDER BY number`,
    [decodeId('Organization', id)],
  );
}

describe.each(TRANSPORTS)('lowBalance over %s', (transport) => {
  it('tells a crossing once, nothing between 100 and 105 %, and that it is resolved', async () => {
    const organization = await anOrganization(gateway, { now: NOON, credits: { purchased: '100' } });
    const alert = await setAlert(organization, { threshold: '100' });
    expect(alert).toMatchObject({ state: 'ARMED', threshold: '100', percent: null, lastTriggeredAt: null });
    await using live = watch(organization, await firstAlertCursor(organization), transport);
    await debit(organization.client, '1'); // 99
    expect(told(await eventOf(live))).toEqual(['TRIGGERED', '100', '99']);
    await grant(gateway, organization.id, 'purchased', '2'); // 101
    await debit(organization.client, '2'); // 99
    await grant(gateway, organization.id, 'purchased', '6'); // 105
    const resolved = await eventOf(live);
    expect(told(resolved)).toEqual(['RESOLVED', '100', '105']);
    expect(resolved.alert).toMatchObject({ id: alert.id, state: 'ARMED' });
    await debit(organization.client, '50');
    expect(told(await eventOf(live))).toEqual(['TRIGGERED', '100', '55']);
    expect(await alertsOf(organization)).toEqual([
      expect.objectContaining({ id: alert.id, state: 'TRIGGERED', fromPlan: false }),
    ]);
    await expectSoundBooks(gateway.database, organization.id);
  });

  it('goes on behind a cursor without a gap', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '100' } });
    await setAlert(organization, { threshold: '50' });
    const beginning = await firstAlertCursor(organization);
    await using live = watch(organization, beginning, transport);
    await debit(organization.client, '60');
    const { cursor } = await eventOf(live);
    live.kill();
    await grant(gateway, organization.id, 'purchased', '100');
    await debit(organization.client, '100');
    await using resumed = watch(organization, cursor, transport);
    const missed = [await eventOf(resumed), await eventOf(resumed)];
    expect(missed.map(told)).toEqual([
      ['RESOLVED', '50', '140'],
      ['TRIGGERED', '50', '40'],
    ]);
    await using again = watch(organization, beginning, transport);
    expect((await again.take(3)).map(({ lowBalance }) => lowBalance.transition)).toEqual([
      'TRIGGERED',
      'RESOLVED',
      'TRIGGERED',
    ]);
  });
});

describe('a stream of alerts', () => {
  it('begins with what comes next', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '10' } });
    const { id: old } = await setAlert(organization, { threshold: '100' });
    const { id: young } = await setAlert(organization, { threshold: '5' });
    await using live = watch(organization);
    let first: LowBalance | null = null;
    const arrived = eventOf(live).then((event) => {
      first = event;
    });
    // Nobody is told when a stream is open: something happens until it tells of it.
    while (first === null) {
      await debit(organization.client, '6');
      await grant(gateway, organization.id, 'purchased', '6');
      await Promise.race([arrived, new Promise(setImmediate)]);
    }
    expect((first as LowBalance).alert.id).toBe(young);
    expect((await alertsOf(organization)).map(({ id, state }) => [id, state])).toEqual([
      [old, 'TRIGGERED'],
      [young, 'ARMED'],
    ]);
  });

  it('refuses cursors of what has not happened and of others', async () => {
    const [organization, other] = [
      await anOrganization(gateway, { credits: { purchased: '10' } }),
      await anOrganization(gateway, { credits: { purchased: '10' } }),
    ];
    await setAlert(other, { threshold: '100' });
    const cursor = await firstAlertCursor(other);
    for (const after of [forgeCursor(cursor, '2'), 'nonsense', forgeCursor(cursor, '-1')]) {
      await using live = watch(other, after);
      expect((await live.result())?.errors?.[0]?.extensions?.code).toBe('BAD_USER_INPUT');
    }
    await using live = watch(organization, cursor);
    expect((await live.result())?.errors?.[0]?.extensions?.code).toBe('BAD_USER_INPUT');
  });

  it('tells of credits that expire while somebody watches, as of when they did', async () => {
    const organization = await anOrganization(gateway, { now: NOON, credits: { purchased: '60' } });
    const expiresAt = '2040-03-12T00:00:00.000Z';
    await grant(gateway, organization.id, 'promotional', '60', expiresAt);
    await setAlert(organization, { threshold: '100' });
    await using live = watch(organization, await firstAlertCursor(organization));
    await advanceTo(gateway, organization.id, '2040-03-13T00:00:00.000Z');
    expect(await eventOf(live)).toMatchObject({
      transition: 'TRIGGERED',
      totalAvailable: '60',
      occurredAt: expiresAt,
      alert: { lastTriggeredAt: expiresAt },
    });
  });

  it('tells of credits that expire though nobody touches the wallet', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '60' } });
    const expiresAt = new Date(Date.now() + 1_500).toISOString();
    await grant(gateway, organization.id, 'promotional', '60', expiresAt);
    await setAlert(organization, { threshold: '100' });
    await using live = watch(organization, await firstAlertCursor(organization));
    expect(await eventOf(live)).toMatchObject({
      transition: 'TRIGGERED',
      totalAvailable: '60',
      occurredAt: expiresAt,
    });
  });

  it('is told of an alert that triggers as it is set, although no credits move', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '10' } });
    await using live = watch(organization, await firstAlertCursor(organization));
    const alert = await setAlert(organization, { threshold: '11' });
    expect(alert.state).toBe('TRIGGERED');
    expect(await eventOf(live)).toMatchObject({
      transition: 'TRIGGERED',
      totalAvailable: '10',
      alert: { id: alert.id },
    });
  });
});

describe('50 crossings at once', () => {
  it('over two gateways trigger once', async () => {
    await using database = await createDatabase();
    await using one = await startTestGateway({ database });
    await using another = await startTestGateway({ database });
    const organization = await anOrganization(one, { credits: { purchased: '125' } });
    await setAlert(organization, { threshold: '100' });
    const clients = [one.as(organization.secret), another.as(organization.secret)];
    await Promise.all(Array.from({ length: 50 }, (_, index) => debit(clients[index % 2] as TestClient, '1')));
    const rows = await query(
      database,
      'SELECT number::int, transition, total_available_micros::text AS left FROM alert_event',
    );
    expect(rows).toEqual([{ number: 1, transition: 'TRIGGERED', left: '99000000' }]);
    const elsewhere = { ...organization, client: one.as(organization.secret) };
    await using live = watch(elsewhere, await firstAlertCursor(elsewhere), 'sse', another);
    expect(told(await eventOf(live))).toEqual(['TRIGGERED', '100', '99']);
    await grant(one, organization.id, 'purchased', '30');
    // Told by the gateway on which it did not happen.
    expect(told(await eventOf(live))).toEqual(['RESOLVED', '100', '105']);
  });

  it('of several alerts trigger each of them once, numbered without gaps', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '60' } });
    for (const threshold of ['20', '30', '40', '50']) await setAlert(organization, { threshold });
    await Promise.all(Array.from({ length: 50 }, () => debit(organization.client, '1')));
    expect(await storedEvents(organization)).toEqual(
      ['50', '40', '30', '20'].map((threshold, index) => ({
        number: index + 1,
        transition: 'TRIGGERED',
        threshold: `${threshold}000000`,
        available: `${Number(threshold) - 1}000000`,
      })),
    );
  });
});

describe('a debit', () => {
  it('takes no statement more where there are alerts, unless one triggers', async () => {
    const [plain, watched] = [
      await anOrganization(gateway, { credits: { purchased: '100' } }),
      await anOrganization(gateway, { credits: { purchased: '100' } }),
    ];
    for (const threshold of ['50', '60']) await setAlert(watched, { threshold });
    const statementsOf = async ({ client }: Given, amount: string) => {
      gateway.statements.length = 0;
      await debit(client, amount);
      return gateway.statements.length;
    };
    // The first use of a key notes when it was used.
    for (const { client } of [plain, watched]) await debit(client, '1');
    const usual = await statementsOf(plain, '1');
    expect(await statementsOf(watched, '1')).toBe(usual);
    // Both alerts, their events, how many there are, and what the feed tells of them.
    expect(await statementsOf(watched, '60')).toBe(usual + 4);
  });
});

describe('setAlert', () => {
  it('answers the one that is there to the same again, also to many at once', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '10' } });
    const alerts = await Promise.all(Array.from({ length: 10 }, () => setAlert(organization, { threshold: '12.5' })));
    expect(new Set(alerts.map(({ id }) => id)).size).toBe(1);
    expect(await storedEvents(organization)).toHaveLength(1);
    const { organization: audited } = await organization.client.run(AuditTrailDocument, { slug: organization.slug });
    const records = (audited?.auditTrail?.edges ?? []).map(({ node }) => node);
    expect(records.filter(({ action }) => action === 'setAlert').map(({ after }) => after)).toEqual([
      { alertId: decodeId('Alert', alerts[0]?.id ?? ''), threshold: '12.5' },
    ]);
  });

  it.each<[string, SetAlertInput, string]>([
    ['neither', {}, 'threshold'],
    ['both', { threshold: '1', percent: 1 }, 'percent'],
    ['a threshold of 0', { threshold: '0' }, 'threshold'],
    ['a negative threshold', { threshold: '-1' }, 'threshold'],
    ['0 %', { percent: 0 }, 'percent'],
    ['101 %', { percent: 101 }, 'percent'],
    ['-1 %', { percent: -1 }, 'percent'],
  ])('refuses %s', async (_what, input, path) => {
    const organization = await anOrganization(gateway);
    const { setAlert: refusal } = await organization.client.run(SetAlertDocument, { input });
    expect(refusal).toMatchObject({ __typename: 'InvalidInput', path: [path] });
    expect(await alertsOf(organization)).toEqual([]);
  });

  it('takes 1 and 100 %, and 20 alerts at most', async () => {
    const organization = await anOrganization(gateway);
    for (let percent = 1; percent <= 19; percent++) await setAlert(organization, { percent });
    await setAlert(organization, { percent: 100 });
    const { setAlert: refusal } = await organization.client.run(SetAlertDocument, { input: { percent: 50 } });
    expect(refusal).toMatchObject({ __typename: 'InvalidInput' });
    expect((await alertsOf(organization)).map(({ percent }) => percent)).toHaveLength(20);
  });

  it('measures a percentage by the allowances of the plan', async () => {
    const organization = await anOrganization(gateway, { now: NOON, plan: 'free' });
    // 2,000 a month and 100 a day: 20 % of it is 420.
    await setAlert(organization, { percent: 20 });
    await debit(organization.client, '1680');
    expect(await storedEvents(organization)).toEqual([]);
    await debit(organization.client, '0.000001');
    expect(await storedEvents(organization)).toEqual([
      { number: 1, transition: 'TRIGGERED', threshold: '420000000', available: '419999999' },
    ]);
    // The next day refreshes 100, and 105 % of 420 is 441.
    await advanceTo(gateway, organization.id, '2040-03-11T12:00:00.000Z');
    expect((await alertsOf(organization))[0]?.state).toBe('ARMED');
  });
});

describe('removeAlert', () => {
  it('ends an alert: it is found no more, says nothing, and is NotFound the second time', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '100' } });
    const { id: alertId } = await setAlert(organization, { threshold: '50' });
    const { client } = organization;
    const removed = await client.run(RemoveAlertDocument, { input: { alertId } });
    expect(removed.removeAlert).toMatchObject({ __typename: 'AlertPayload', alert: { id: alertId } });
    await debit(client, '80');
    expect(await alertsOf(organization)).toEqual([]);
    expect(await storedEvents(organization)).toEqual([]);
    expect((await client.raw(`{ node(id: "${alertId}") { id } }`)).data).toEqual({ node: null });
    expect((await client.run(RemoveAlertDocument, { input: { alertId } })).removeAlert).toMatchObject({
      __typename: 'NotFound',
    });
  });
});

describe('the alerts of a plan', () => {
  it('follow the catalog by themselves, on reading too, and stay away once removed', async () => {
    await using own = await startTestGateway();
    const organization = await anOrganization(own, { plan: 'free' });
    const client = own.as(organization.secret);
    const operator = own.as(own.demo.tokens.operator);
    const alerts = async () =>
      (await client.run(AlertsDocument, { slug: organization.slug })).organization?.alerts ?? [];
    const apply = async (definition: string) => {
      const yaml = demoWith(['features: [100 free credits a day, Community support]', definition]);
      const { applyCatalog } = await operator.run(ApplyCatalogDocument, { input: { yaml } });
      expect(applyCatalog).toMatchObject({ __typename: 'ApplyCatalogPayload', applied: true });
    };
    expect(await alerts()).toEqual([]);
    await apply('alerts: [{ percent: 20 }, { credits: 50 }]');
    const defaults = await alerts();
    expect(defaults.map(({ percent, threshold, fromPlan }) => [percent, threshold, fromPlan])).toEqual([
      [20, null, true],
      [null, '50', true],
    ]);
    await client.run(RemoveAlertDocument, { input: { alertId: defaults[1]?.id ?? '' } });
    await debit(client, '2060');
    expect(await alerts()).toMatchObject([{ percent: 20, state: 'TRIGGERED' }]);
    await apply('alerts: [{ percent: 10 }, { credits: 50 }]');
    expect(await alerts()).toMatchObject([{ percent: 10, threshold: null, state: 'TRIGGERED' }]);
    await expectSoundBooks(own.database, organization.id);
  });
});
