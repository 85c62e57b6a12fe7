/** Estimates: what usage would cost now, by the code that charges it. */
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeId } from '../../src/graphql/ids.ts';
import { DebitDocument, EstimateDocument, type EstimateQuery, type UsageInput } from '../generated/documents.ts';
import { query } from '../support/books.ts';
import { startTestGateway, type TestClient, type TestGateway } from '../support/gateway.ts';
import { advanceTo, aKey, anApiKey, anOrganization, type Given, grant } from '../support/given.ts';

const CATALOG = `
buckets:
  - { key: daily_free, name: Daily, kind: ALLOWANCE, burnPriority: 1 }
  - { key: purchased, name: Purchased, kind: PURCHASED, burnPriority: 2 }
plans:
  - { key: free, name: Free, price: { amountMinor: 0, currency: USD } }
  - { key: capped, name: Capped, price: { amountMinor: 0, currency: USD }, dailyCreditCap: 10 }
rates:
  - { meter: page, unit: page, credits: 1.5 }
  - { meter: page, unit: page, credits: 2.25, match: { render_js: true } }
  - { meter: page, unit: page, credits: 0.25, preview: true, freeUnits: 3 }
  - { meter: start, unit: start, shape: FLAT, credits: 5 }
  - { meter: tokens, unit: token, shape: PACKAGE, credits: 0.1, per: 1000 }
  - { meter: seconds, unit: second, credits: 0.0000001, minimumCredits: 0.01, roundTo: 0.01, rounding: UP }
  - meter: storage
    unit: GB-hour
    shape: GRADUATED
    freeUnits: 2.5
    tiers: [{ upTo: 10, credits: 0.3 }, { upTo: 100, credits: 0.2 }, { credits: 0.07 }]
  - meter: calls
    unit: call
    shape: VOLUME
    per: 10
    tiers: [{ upTo: 50, credits: 1 }, { credits: 0.5 }]
`;

let gateway: TestGateway;
beforeAll(async () => {
  const path = join(tmpdir(), `catalog-${randomUUID()}.yaml`);
  await writeFile(path, CATALOG);
  gateway = await startTestGateway({ env: { PURSER_CATALOG: path } });
});
afterAll(() => gateway[Symbol.asyncDispose]());

type Estimated = Extract<EstimateQuery['estimate'], { __typename: 'Estimate' }>;

async function estimate(client: TestClient, usage: readonly UsageInput[]): Promise<Estimated> {
  const answer = await client.run(EstimateDocument, { input: { usage: [...usage] } });
  if (answer.estimate.__typename !== 'Estimate') throw new Error(JSON.stringify(answer.estimate));
  return answer.estimate;
}

async function charge(client: TestClient, usage: readonly UsageInput[]) {
  return (await client.run(DebitDocument, { input: { idempotencyKey: aKey(), usage: [...usage] } })).debit;
}

const versionOf = async ({ id }: Given): Promise<unknown> =>
  query(
    gateway.database,
    `SELECT w.version, w.sequence, (SELECT count(*) FROM idempotency_record r WHERE r.organization_id = w.organization_id)
     FROM wallet w WHERE w.organization_id = $1`,
    [decodeId('Organization', id)],
  );

describe('an estimate', () => {
  it('prices each line and their total, and changes nothing', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '100' } });
    const before = await versionOf(organization);
    const found = await estimate(organization.client, [
      { meter: 'page', quantity: '600', dimensions: { render_js: true } },
      { meter: 'start' },
      { meter: 'tokens', quantity: '1001' },
    ]);
    expect(found).toMatchObject({
      credits: '1355.2',
      affordable: false,
      availableCredits: '100',
      lines: [
        { meter: 'page', quantity: '600', rate: '2.25 credits per page', credits: '1350' },
        { meter: 'start', quantity: '1', credits: '5' },
        { meter: 'tokens', quantity: '1001', credits: '0.2' },
      ],
    });
    expect(await versionOf(organization)).toEqual(before);
  });

  it('says what would refuse the charge, as the charge itself says it', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '3' } });
    const usage = [{ meter: 'page', quantity: '4' }];
    const { blockedBy, affordable } = await estimate(organization.client, usage);
    expect(affordable).toBe(false);
    expect(blockedBy).toMatchObject({
      __typename: 'InsufficientCredits',
      httpStatus: 402,
      requiredCredits: '6',
      availableCredits: '3',
      explanation: { rateCardVersion: 1, lots: [{ taken: '0', reason: expect.stringContaining('3 of it') }] },
    });
    expect(await charge(organization.client, usage)).toMatchObject({
      __typename: 'InsufficientCredits',
      message: blockedBy?.message,
    });
  });

  it('knows the daily cap of the plan, and when it resets', async () => {
    const organization = await anOrganization(gateway, { plan: 'capped', credits: { purchased: '100' } });
    await charge(organization.client, [{ meter: 'start' }]);
    const { blockedBy } = await estimate(organization.client, [{ meter: 'page', quantity: '4' }]);
    expect(blockedBy).toMatchObject({
      __typename: 'SpendLimitReached',
      limitCode: 'daily_credit_cap_exceeded',
      limit: '10',
      used: '5',
      resetsAt: expect.stringMatching(/T00:00:00\.000Z$/),
    });
    const within = await estimate(organization.client, [{ meter: 'page', quantity: '3' }]);
    expect(within).toMatchObject({ affordable: true, blockedBy: null });
  });

  it('is of the moment: what has expired by then is not counted, though nobody has touched the wallet', async () => {
    const organization = await anOrganization(gateway);
    await grant(gateway, organization.id, 'purchased', '10', new Date(Date.now() + 3_600_000).toISOString());
    expect(await estimate(organization.client, [{ meter: 'start' }])).toMatchObject({ affordable: true });
    await advanceTo(gateway, organization.id, new Date(Date.now() + 7_200_000).toISOString());
    expect(await estimate(organization.client, [{ meter: 'start' }])).toMatchObject({
      affordable: false,
      availableCredits: '0',
    });
  });

  it('tells of a lapsed subscription and of a frozen wallet', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '10' } });
    const id = decodeId('Organization', organization.id);
    const status = `UPDATE plan_subscription SET status = 'PAST_DUE' WHERE organization_id = $1`;
    await query(gateway.database, status, [id]);
    expect(await estimate(organization.client, [{ meter: 'start' }])).toMatchObject({
      credits: '5',
      blockedBy: { __typename: 'SubscriptionRequired', status: 'PAST_DUE', httpStatus: 403 },
    });
    await query(gateway.database, 'UPDATE wallet SET frozen_at = now() WHERE organization_id = $1', [id]);
    expect(await estimate(organization.client, [{ meter: 'start' }])).toMatchObject({
      credits: '5',
      blockedBy: { __typename: 'WalletFrozen', httpStatus: 423 },
    });
  });

  it.each<[string, UsageInput[], object]>([
    ['a meter without a rate', [{ meter: 'nothing' }], { __typename: 'UnknownMeter', meter: 'nothing' }],
    [
      'a meter without a rate for previews',
      [{ meter: 'start', preview: true }],
      { __typename: 'UnknownMeter', meter: 'start' },
    ],
    ['no lines', [], { __typename: 'InvalidInput', path: ['usage'] }],
    [
      'a negative quantity',
      [{ meter: 'page' }, { meter: 'page', quantity: '-1' }],
      { __typename: 'InvalidInput', path: ['usage', '1', 'quantity'] },
    ],
    [
      'more than a wallet can hold',
      [{ meter: 'page', quantity: '999999999999999999999999' }],
      { __typename: 'InvalidInput', path: ['usage', '0', 'quantity'] },
    ],
  ])('of %s is refused', async (_what, usage, refusal) => {
    const { client } = await anOrganization(gateway);
    expect((await client.run(EstimateDocument, { input: { usage } })).estimate).toMatchObject(refusal);
  });

  it('shows explanations to those who may read the wallet only', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '3' } });
    const charging = gateway.as(await anApiKey(gateway, organization.id, 'USAGE_WRITE'));
    const { blockedBy } = await estimate(charging, [{ meter: 'start' }]);
    expect(blockedBy).toMatchObject({ requiredCredits: '5', availableCredits: '3', explanation: null });
    const reading = gateway.as(await anApiKey(gateway, organization.id, 'BILLING_READ'));
    expect((await estimate(reading, [{ meter: 'start' }])).blockedBy).toMatchObject({
      explanation: { lots: [{ taken: '0' }] },
    });
  });

  it('takes the same number of statements for one line as for many', async () => {
    const { client } = await anOrganization(gateway, { credits: { purchased: '1000' } });
    const count = async (lines: number): Promise<number> => {
      gateway.statements.length = 0;
      await estimate(
        client,
        Array.from({ length: lines }, () => ({ meter: 'page' })),
      );
      // Credentials are looked up and marked as used beside it.
      return gateway.statements.filter((sql) => !sql.includes('api_key')).length;
    };
    expect(await count(100)).toBe(await count(1));
  });
});

describe('an estimate followed by the same usage', () => {
  const line = fc.oneof(
    fc.record({
      meter: fc.constantFrom('page', 'start', 'tokens', 'storage', 'calls', 'seconds'),
      quantity: fc
        .bigInt({ min: 0n, max: 40_000n })
        .map((milli) => `${milli / 1_000n}.${String(milli % 1_000n).padStart(3, '0')}`),
    }),
    fc.record({ meter: fc.constant('page'), preview: fc.constant(true), quantity: fc.nat(5).map(String) }),
    fc.record({ meter: fc.constant('page'), dimensions: fc.constant({ render_js: true, other: 'x' }) }),
  );

  it('costs the same, line by line and credit for credit, wherever tiers and free units stand', async () => {
    const { client } = await anOrganization(gateway, { credits: { purchased: '1000000' } });
    await fc.assert(
      fc.asyncProperty(fc.array(line, { minLength: 1, maxLength: 6 }), async (usage) => {
        const estimated = await estimate(client, usage);
        const charged = await charge(client, usage);
        if (charged.__typename !== 'DebitPayload') throw new Error(JSON.stringify(charged));
        expect(estimated.affordable).toBe(true);
        expect(charged.usage.credits).toBe(estimated.credits);
        expect(charged.transaction.lines).toEqual(estimated.lines);
      }),
      { numRuns: 60 },
    );
  });
});
