/**
 * Frequency caps of plans over the API: what is refused with the way to more, how holds take part, what is told of the caps,
 * and that two gateways together never pass one.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EstimateDocument, PlanLimitsDocument, RecordEventsDocument } from '../generated/documents.ts';
import { expectSoundBooks } from '../support/books.ts';
import { startTestGateway, type TestClient, type TestGateway } from '../support/gateway.ts';
import { advanceTo, aKey, anApiKey, anOrganization, type Given } from '../support/given.ts';
import {
  aCatalogFile,
  authorize,
  type CatalogFile,
  captured,
  charge,
  charged,
  held,
  refunded,
  release,
} from './metering.ts';

const PLANS = `
  - key: capped
    name: Capped
    price: { amountMinor: 0, currency: USD }
    dailyCreditCap: 40
    limits:
      - { key: seats, max: 5 }
      - { key: search, max: 10, window: DAY }
      - { key: read, max: 2, window: HOUR }
  - key: roomier
    name: Roomier
    price: { amountMinor: 500, currency: USD }
    limits: [{ key: search, max: 12, window: DAY }]
`;

let catalog: CatalogFile;
let gateway: TestGateway;
let second: TestGateway;
beforeAll(async () => {
  catalog = await aCatalogFile({ plans: PLANS });
  const env = { PURSER_CATALOG: catalog.path };
  gateway = await startTestGateway({ env });
  second = await startTestGateway({ env, database: gateway.database });
});
afterAll(async () => {
  await second[Symbol.asyncDispose]();
  await gateway[Symbol.asyncDispose]();
  await catalog[Symbol.asyncDispose]();
});

const DAY = 86_400_000;
/** Tomorrow at noon, UTC: a day of which nothing is used, with its midnights hours away on either side. */
const noon = new Date(Math.floor(Date.now() / DAY + 1) * DAY + DAY / 2);
const midnight = new Date(noon.getTime() + DAY / 2).toISOString();

async function organization(credits = '100'): Promise<Given> {
  const given = await anOrganization(gateway, { plan: 'capped', credits: { purchased: credits } });
  await advanceTo(gateway, given.id, noon.toISOString());
  return given;
}

const searches = (count: number) => Array.from({ length: count }, () => ({ meter: 'search', quantity: 1 }));
const search = (client: TestClient, count = 1) => charge(client, { usage: searches(count) });

/** The plans on sale that have room, in the order of their price. */
const ABOVE = [{ key: 'free' }, { key: 'roomier' }, { key: 'team' }, { key: 'scale' }];

const reached = (current: number) => ({
  __typename: 'PlanLimitReached',
  code: 'PLAN_LIMIT_REACHED',
  httpStatus: 429,
  message: `The plan’s limit for search is 10, and ${current} are in use; it resets at ${midnight}.`,
  key: 'search',
  planLimit: 10,
  current,
  reset: midnight,
});

async function limitsOf({ slug }: Given, client: TestClient) {
  const { organization: found } = await client.run(PlanLimitsDocument, { slug });
  return found?.limits ?? null;
}

describe('a frequency cap', () => {
  it('refuses what would pass it, with what was done, when it begins anew and the plans that allow it', async () => {
    const given = await organization();
    await charged(given.client, { usage: searches(9) });
    expect(await search(given.client, 2)).toMatchObject({
      ...reached(9),
      upgradePlans: ABOVE,
      billingUrl: `${new URL(gateway.gateway.endpoint).origin}/billing`,
      explanation: {
        rateCardVersion: 1,
        lines: [{ meter: 'search' }, { meter: 'search' }],
        limits: [{ limitCode: 'daily_credit_cap_exceeded', used: '9', blocked: false }],
        lots: [{ lot: { bucket: { key: 'purchased' } }, taken: '0' }],
      },
    });
    await charged(given.client, { usage: searches(1) });
    expect(await search(given.client, 3)).toMatchObject({
      ...reached(10),
      upgradePlans: ABOVE.filter(({ key }) => key !== 'roomier'),
    });
    await charged(given.client, { amount: '1' });
    await expectSoundBooks(gateway.database, given.id);
  });

  it('caps free work, with no credits at all', async () => {
    const given = await organization('0.000001');
    await charged(given.client, { usage: [{ meter: 'read' }, { meter: 'read' }] });
    expect(await charge(given.client, { usage: [{ meter: 'read' }] })).toMatchObject({
      __typename: 'PlanLimitReached',
      key: 'read',
      current: 2,
      reset: new Date(noon.getTime() + DAY / 24).toISOString(),
    });
  });

  it('tells a key of usage:write what refused it, without an explanation', async () => {
    const given = await organization();
    const client = gateway.as(await anApiKey(gateway, given.id, 'USAGE_WRITE'));
    await charged(client, { usage: searches(10) });
    expect(await search(client)).toMatchObject({ ...reached(10), upgradePlans: ABOVE, explanation: null });
    expect(await authorize(client, { usage: searches(1) })).toMatchObject({ ...reached(10), explanation: null });
  });

  it('begins anew at local midnight; under its key a refusal stays, whole', async () => {
    const given = await organization();
    await charged(given.client, { usage: searches(10) });
    const input = { usage: searches(1), idempotencyKey: aKey() };
    const first = await charge(given.client, input);
    await advanceTo(gateway, given.id, midnight);
    expect(await charge(given.client, input)).toEqual(first);
    expect(first).toMatchObject({ ...reached(10), upgradePlans: ABOVE });
    expect(await charge(second.as(given.secret), input)).toMatchObject(reached(10));
    await charged(given.client, { usage: searches(10) });
  });

  it('is reserved by holds, which give back what was not done', async () => {
    const given = await organization();
    const [one, other] = [
      await held(given.client, { usage: searches(6) }),
      await held(given.client, { usage: searches(4) }),
    ];
    expect(await authorize(given.client, { usage: searches(1) })).toMatchObject(reached(10));
    await captured(given.client, { holdId: one.hold.id, usage: searches(2), final: false });
    await captured(given.client, { holdId: one.hold.id, usage: searches(1) });
    expect(await search(given.client, 4)).toMatchObject(reached(7));
    await release(second.as(given.secret), other.hold.id);
    expect(await search(given.client, 8)).toMatchObject(reached(3));
    await charged(given.client, { usage: searches(7) });
    await expectSoundBooks(gateway.database, given.id);
  });

  it('does not refuse what is done beyond a hold, and counts it', async () => {
    const given = await organization();
    const { hold } = await held(given.client, { usage: searches(9) });
    await charged(given.client, { usage: searches(1) });
    const beyond = Array.from({ length: 11 }, () => ({ meter: 'search', quantity: 0 }));
    await captured(given.client, { holdId: hold.id, usage: beyond });
    expect(await search(given.client)).toMatchObject(reached(12));
  });

  it('gets no room back by a refund', async () => {
    const given = await organization();
    const { transaction } = await charged(given.client, { usage: searches(10) });
    await refunded(given.client, { transactionId: transaction.id });
    expect(await search(given.client)).toMatchObject(reached(10));
  });

  it('stops a batch where it is reached, and what came before stays charged', async () => {
    const given = await organization();
    await charged(given.client, { usage: searches(8) });
    const events = Array.from({ length: 4 }, () => ({
      idempotencyKey: aKey(),
      usage: { meter: 'search', quantity: 1 },
    }));
    const { recordUsage } = await given.client.run(RecordEventsDocument, { input: { events, mode: 'UNTIL_BLOCKED' } });
    expect(recordUsage).toMatchObject({
      accepted: 2,
      rejected: 2,
      usage: { credits: '2' },
      results: [
        { status: 'ACCEPTED' },
        { status: 'ACCEPTED' },
        { status: 'REJECTED', error: { ...reached(10), upgradePlans: ABOVE } },
        { status: 'REJECTED', error: { __typename: 'NotAttempted' } },
      ],
    });
  });

  it('blocks an estimate', async () => {
    const given = await organization();
    await charged(given.client, { usage: searches(9) });
    const estimateOf = async (count: number) =>
      (await given.client.run(EstimateDocument, { input: { usage: searches(count) } })).estimate;
    expect(await estimateOf(1)).toMatchObject({ affordable: true, blockedBy: null });
    expect(await estimateOf(2)).toMatchObject({
      affordable: false,
      blockedBy: { ...reached(9), upgradePlans: ABOVE },
    });
  });

  it('is one for all keys and gateways: many at once never pass it', async () => {
    const given = await organization();
    const secrets = await Promise.all(Array.from({ length: 4 }, () => anApiKey(gateway, given.id, 'USAGE_WRITE')));
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, index) => {
        const client = (index % 2 === 0 ? gateway : second).as(secrets[index % 4] ?? given.secret);
        return index % 3 === 0 ? authorize(client, { usage: searches(1) }) : search(client);
      }),
    );
    const refusals = answers.filter((answer) => answer.__typename === 'PlanLimitReached');
    expect([answers.length - refusals.length, refusals.length]).toEqual([10, 50]);
    expect(await limitsOf(given, given.client)).toContainEqual({
      key: 'search',
      max: 10,
      current: 10,
      window: 'DAY',
      resetsAt: midnight,
    });
    await expectSoundBooks(gateway.database, given.id);
  });
});

describe('the limits of an organization', () => {
  const caps = (searched: number, read: number, hour: number) => [
    { key: 'search', max: 10, current: searched, window: 'DAY', resetsAt: midnight },
    { key: 'read', max: 2, current: read, window: 'HOUR', resetsAt: new Date(hour).toISOString() },
  ];

  it('show how much of each cap is used in its present window', async () => {
    const given = await organization();
    await charged(given.client, { usage: [...searches(3), { meter: 'read' }] });
    const hour = noon.getTime() + DAY / 24;
    expect((await limitsOf(given, given.client))?.slice(-2)).toEqual(caps(3, 1, hour));
    await advanceTo(gateway, given.id, new Date(hour).toISOString());
    expect((await limitsOf(given, given.client))?.slice(-2)).toEqual(caps(3, 0, hour + DAY / 24));
  });

  it('count a hold until it lapses, whoever notices first', async () => {
    const given = await organization();
    await held(given.client, { usage: searches(4), expiresInSeconds: 60 });
    expect(await limitsOf(given, given.client)).toContainEqual(expect.objectContaining({ key: 'search', current: 4 }));
    await advanceTo(gateway, given.id, new Date(noon.getTime() + DAY / 48).toISOString());
    expect(await limitsOf(given, given.client)).toContainEqual(expect.objectContaining({ key: 'search', current: 0 }));
  });

  it('are for those who may read billing, of that organization', async () => {
    const [given, other] = [await organization(), await organization()];
    const [reader, writer] = await Promise.all([
      anApiKey(gateway, given.id, 'BILLING_READ'),
      anApiKey(gateway, given.id, 'USAGE_WRITE'),
    ]);
    expect(await limitsOf(given, gateway.as(reader))).toContainEqual(expect.objectContaining({ key: 'search' }));
    expect(await limitsOf(given, gateway.as(writer))).toBeNull();
    expect(await limitsOf(given, other.client)).toBeNull();
  });
});
