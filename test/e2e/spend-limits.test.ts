/** Spend limits over the API: who sets them, what they refuse and count, and what is shown of them. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeId, encodeId } from '../../src/graphql/ids.ts';
import { newId } from '../../src/new-id.ts';
import {
  CreateProjectDocument,
  EstimateDocument,
  LimitedDebitDocument,
  LimitedUsageDocument,
  LimitsInAuditDocument,
  RemoveSpendLimitDocument,
  SetSpendLimitDocument,
  type SetSpendLimitMutationVariables,
  SpendLimitNodeDocument,
  SpendLimitsOfDocument,
} from '../generated/documents.ts';
import { expectSoundBooks, query } from '../support/books.ts';
import { createClient, startTestGateway, type TestClient, type TestGateway } from '../support/gateway.ts';
import { advanceTo, aKey, anApiKey, anOrganization, type Given } from '../support/given.ts';
import { aBoundKey, aHold, authorize, captured, charge, charged, refunded, release } from './metering.ts';

let gateway: TestGateway;
let second: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway();
  second = await startTestGateway({ database: gateway.database });
});
afterAll(async () => {
  await second[Symbol.asyncDispose]();
  await gateway[Symbol.asyncDispose]();
});

const DAY = 86_400_000;
/** The day after tomorrow at noon, UTC: a day of which nothing is used, with its midnights hours away on either side. */
const noon = new Date(Math.floor(Date.now() / DAY + 2) * DAY + DAY / 2);
const midnight = new Date(noon.getTime() + DAY / 2).toISOString();
const hoursAfterNoon = (hours: number): string => new Date(noon.getTime() + hours * 3_600_000).toISOString();

async function organization(timeZone = 'UTC'): Promise<Given> {
  const given = await anOrganization(gateway, { timeZone, credits: { purchased: '1000' } });
  await advanceTo(gateway, given.id, noon.toISOString());
  return given;
}

type LimitInput = SetSpendLimitMutationVariables['input'];

const setting = async (client: TestClient, input: LimitInput) =>
  (await client.run(SetSpendLimitDocument, { input })).setSpendLimit;

async function setLimit(client: TestClient, input: LimitInput) {
  const answer = await setting(client, input);
  if (answer.__typename !== 'SpendLimitPayload') throw new Error(JSON.stringify(answer));
  return answer.spendLimit;
}

const removing = async (client: TestClient, id: string) =>
  (await client.run(RemoveSpendLimitDocument, { id })).removeSpendLimit;

async function limitsOf({ id, client }: Pick<Given, 'id' | 'client'>) {
  return (await client.run(SpendLimitsOfDocument, { id })).organization?.spendLimits;
}

const debitOf = async (client: TestClient, amount: string, who: { userId?: string; projectId?: string } = {}) =>
  (await client.run(LimitedDebitDocument, { input: { amount, idempotencyKey: aKey(), ...who } })).debit;

/** Somebody who belongs to the organization; their id. */
async function aMember({ id }: Pick<Given, 'id'>): Promise<string> {
  const userId = `user-${randomUUID()}`;
  await query(gateway.database, `INSERT INTO user_account (id, name, email) VALUES ($1, 'Kim', 'kim@example.com')`, [
    userId,
  ]);
  await query(
    gateway.database,
    `INSERT INTO membership (id, organization_id, user_id, role) VALUES ($1, $2, $3, 'VIEWER')`,
    [newId(), decodeId('Organization', id), userId],
  );
  return encodeId('User', userId);
}

async function aProject({ client }: Pick<Given, 'client'>): Promise<string> {
  const { createProject } = await client.run(CreateProjectDocument, {
    input: { key: `p-${randomUUID()}`, name: 'a project' },
  });
  if (createProject.__typename !== 'ProjectPayload') throw new Error(JSON.stringify(createProject));
  return createProject.project.id;
}

/** A key of the organization that only charges, with its id. */
async function aUsageKey({ id }: Given): Promise<{ readonly id: string; readonly client: TestClient }> {
  const secret = await anApiKey(gateway, id, 'USAGE_WRITE');
  const key = gateway.as(secret);
  const { data } = await key.raw<{ viewer: { apiKey: { id: string } } }>('{ viewer { apiKey { id } } }');
  return { id: data?.viewer.apiKey.id ?? 'none', client: key };
}

describe('a spend limit', () => {
  it('is set, shown, changed and removed, and leaves a record of each', async () => {
    const given = await organization();
    const userId = await aMember(given);
    const set = await setLimit(given.client, { scope: 'USER', userId, window: 'DAY', credits: '10' });
    expect(set).toEqual({
      id: expect.any(String),
      scope: 'USER',
      window: 'DAY',
      credits: '10',
      used: '0',
      resetsAt: midnight,
      project: null,
      user: { id: userId },
      apiKey: null,
    });
    await charged(given.client, { amount: '4', userId });
    expect(await limitsOf(given)).toEqual([{ ...set, used: '4' }]);
    const changed = await setLimit(given.client, { scope: 'USER', userId, window: 'DAY', credits: '3' });
    expect(changed).toEqual({ ...set, credits: '3', used: '4' });
    await setLimit(given.client, { scope: 'USER', userId, window: 'DAY', credits: '3' });
    expect((await given.client.run(SpendLimitNodeDocument, { id: set.id })).node).toEqual({
      __typename: 'SpendLimit',
      ...changed,
    });

    expect(await removing(given.client, set.id)).toEqual({ __typename: 'SpendLimitPayload', spendLimit: changed });
    expect(await limitsOf(given)).toEqual([]);
    expect((await given.client.run(SpendLimitNodeDocument, { id: set.id })).node).toBeNull();
    expect(await removing(given.client, set.id)).toMatchObject({ __typename: 'NotFound', httpStatus: 404 });
    await charged(given.client, { amount: '4', userId });

    const audit = await given.client.run(LimitsInAuditDocument, { id: given.id });
    const records = audit.organization?.auditTrail?.edges.map(({ node }) => node) ?? [];
    const described = {
      spendLimitId: decodeId('SpendLimit', set.id),
      scope: 'USER',
      userId: decodeId('User', userId),
      window: 'DAY',
    };
    expect(records.filter(({ action }) => action.endsWith('SpendLimit'))).toEqual([
      { action: 'removeSpendLimit', before: { ...described, credits: '3' }, after: null },
      { action: 'setSpendLimit', before: { ...described, credits: '10' }, after: { ...described, credits: '3' } },
      { action: 'setSpendLimit', before: null, after: { ...described, credits: '10' } },
    ]);
    await expectSoundBooks(gateway.database, given.id);
  });

  it('refuses what would pass it: which, what is used, when it resets, and the limit itself', async () => {
    const given = await organization();
    const projectId = await aProject(given);
    const set = await setLimit(given.client, { scope: 'PROJECT', projectId, window: 'MONTH', credits: '10' });
    await charged(given.client, { amount: '7', projectId });
    expect(await charge(given.client, { amount: '4', projectId })).toMatchObject({
      __typename: 'SpendLimitReached',
      httpStatus: 429,
      limitCode: 'project_monthly_limit_exceeded',
      limit: '10',
      used: '7',
      resetsAt: set.resetsAt,
      explanation: { limits: [{ limitCode: 'project_monthly_limit_exceeded', limit: '10', used: '7', blocked: true }] },
    });
    expect(await debitOf(given.client, '4', { projectId })).toMatchObject({ spendLimit: { ...set, used: '7' } });
    expect(await charged(given.client, { amount: '3', projectId })).toMatchObject({
      transaction: {
        explanation: {
          limits: [{ limitCode: 'project_monthly_limit_exceeded', limit: '10', used: '7', blocked: false }],
        },
      },
    });
    await charged(given.client, { amount: '100' });
    expect(await charged(given.client, { usage: [{ meter: 'read' }], projectId })).toMatchObject({
      usage: { credits: '0' },
    });
  });

  it('of 0 stops everything that costs something', async () => {
    const given = await organization();
    await setLimit(given.client, { scope: 'ORGANIZATION', window: 'HOUR', credits: '0' });
    expect(await debitOf(given.client, '0.000001')).toMatchObject({ limitCode: 'organization_hourly_limit_exceeded' });
    expect(await authorize(given.client, { amount: '1' })).toMatchObject({
      limitCode: 'organization_hourly_limit_exceeded',
      used: '0',
      resetsAt: hoursAfterNoon(1),
    });
    await charged(given.client, { usage: [{ meter: 'read' }] });
  });

  it('stays with a refusal under its key, also when it is gone', async () => {
    const given = await organization();
    const set = await setLimit(given.client, { scope: 'ORGANIZATION', window: 'DAY', credits: '5' });
    const idempotencyKey = aKey();
    const input = { amount: '6', idempotencyKey };
    const first = (await given.client.run(LimitedDebitDocument, { input })).debit;
    expect(first).toMatchObject({ limitCode: 'organization_daily_limit_exceeded', spendLimit: set });
    await removing(given.client, set.id);
    expect((await given.client.run(LimitedDebitDocument, { input })).debit).toEqual(first);
    await charged(given.client, { amount: '6' });
  });

  it('is named before an earmark that is used up, and before the funds', async () => {
    const given = await organization();
    const userId = await aMember(given);
    await given.client.raw(
      `mutation { setAllocation(input: { userId: "${userId}", credits: "10", exclusive: true }) { __typename } }`,
    );
    const set = await setLimit(given.client, { scope: 'USER', userId, window: 'DAY', credits: '5' });
    const refusedFor = async (amount: string, who: object) => (await debitOf(given.client, amount, who)).__typename;
    expect(await refusedFor('11', { userId })).toBe('SpendLimitReached');
    const whole = await setLimit(given.client, { scope: 'ORGANIZATION', window: 'DAY', credits: '5' });
    expect(await refusedFor('5000', {})).toBe('SpendLimitReached');
    for (const { id } of [set, whole]) await removing(given.client, id);
    expect(await refusedFor('11', { userId })).toBe('AllocationExhausted');
    expect(await refusedFor('5000', {})).toBe('InsufficientCredits');
  });

  it('begins anew at local midnight, and by the new zone once that is in force', async () => {
    const given = await organization('America/New_York');
    const set = await setLimit(given.client, { scope: 'ORGANIZATION', window: 'DAY', credits: '10' });
    const localMidnight = new Date(set.resetsAt as string).getTime();
    expect(localMidnight % DAY).not.toBe(0);
    await charged(given.client, { amount: '10' });
    await advanceTo(gateway, given.id, new Date(localMidnight - 60_000).toISOString());
    expect(await debitOf(given.client, '1')).toMatchObject({ spendLimit: { used: '10', resetsAt: set.resetsAt } });
    await advanceTo(gateway, given.id, new Date(localMidnight).toISOString());
    expect(await limitsOf(given)).toMatchObject([{ used: '0' }]);
    await charged(given.client, { amount: '10' });
    const { data } = await given.client.raw<{ updateOrganization: { organization: { timeZoneChangesAt: string } } }>(
      'mutation { updateOrganization(input: { timeZone: "Asia/Tokyo" }) { ... on OrganizationPayload { organization { timeZoneChangesAt } } } }',
    );
    await advanceTo(gateway, given.id, data?.updateOrganization.organization.timeZoneChangesAt ?? '');
    const [shown] = (await limitsOf(given)) ?? [];
    expect(shown).toMatchObject({ used: '0', resetsAt: expect.stringContaining('T15:00:00') });
  });

  it('is met by the events of a call one by one: those of others go on', async () => {
    const given = await organization();
    const [kim, lee] = [await aMember(given), await aMember(given)];
    const set = await setLimit(given.client, { scope: 'USER', userId: kim, window: 'DAY', credits: '5' });
    const event = (userId: string) => ({
      idempotencyKey: aKey(),
      usage: { meter: 'search', quantity: '2' },
      userId,
    });
    const run = async (mode: 'EACH' | 'UNTIL_BLOCKED') => {
      const events = [event(kim), event(lee), event(kim), event(kim), event(lee)];
      const { recordUsage } = await given.client.run(LimitedUsageDocument, { input: { events, mode } });
      return 'results' in recordUsage ? recordUsage.results : [];
    };
    const reached = {
      status: 'REJECTED',
      error: { __typename: 'SpendLimitReached', limitCode: 'user_daily_limit_exceeded', spendLimit: { id: set.id } },
    };
    const accepted = { status: 'ACCEPTED', error: null };
    expect(await run('EACH')).toEqual([accepted, accepted, accepted, reached, accepted]);
    const notAttempted = { status: 'REJECTED', error: { __typename: 'NotAttempted' } };
    expect(await run('UNTIL_BLOCKED')).toEqual([reached, notAttempted, notAttempted, notAttempted, notAttempted]);
    await expectSoundBooks(gateway.database, given.id);
  });

  it('counts what a key bound to a project charges for that project, named or not', async () => {
    const given = await organization();
    const { projectId, client } = await aBoundKey(gateway, given);
    await setLimit(given.client, { scope: 'PROJECT', projectId, window: 'DAY', credits: '5' });
    await charged(client, { amount: '5' });
    expect(await debitOf(client, '1')).toMatchObject({ limitCode: 'project_daily_limit_exceeded' });
    expect(await debitOf(given.client, '1', { projectId })).toMatchObject({
      limitCode: 'project_daily_limit_exceeded',
    });
    await charged(given.client, { amount: '1' });
  });

  it('is told by estimates, for the key that asks and for whom it names', async () => {
    const given = await organization();
    const userId = await aMember(given);
    const key = await aUsageKey(given);
    await setLimit(given.client, { scope: 'USER', userId, window: 'DAY', credits: '5' });
    await setLimit(given.client, { scope: 'API_KEY', apiKeyId: key.id, window: 'HOUR', credits: '8' });
    const blockedBy = async (client: TestClient, quantity: string, who: { userId?: string } = {}) => {
      const input = { usage: [{ meter: 'search', quantity }], ...who };
      const { estimate } = await client.run(EstimateDocument, { input });
      if (estimate.__typename !== 'Estimate') throw new Error(JSON.stringify(estimate));
      return estimate.blockedBy;
    };
    expect(await blockedBy(given.client, '6')).toBeNull();
    expect(await blockedBy(given.client, '6', { userId })).toMatchObject({ limitCode: 'user_daily_limit_exceeded' });
    expect(await blockedBy(key.client, '8')).toBeNull();
    expect(await blockedBy(key.client, '9', { userId })).toMatchObject({ limitCode: 'user_daily_limit_exceeded' });
    expect(await blockedBy(key.client, '9')).toMatchObject({
      limitCode: 'api_key_hourly_limit_exceeded',
      limit: '8',
      used: '0',
      resetsAt: hoursAfterNoon(1),
    });
    await charged(key.client, { amount: '8' });
    expect(await debitOf(key.client, '1')).toEqual({
      __typename: 'SpendLimitReached',
      limitCode: 'api_key_hourly_limit_exceeded',
      message: expect.stringContaining('limit of 8 credits'),
      spendLimit: null,
    });
  });
});

describe('holds and refunds under spend limits', () => {
  it('a hold reserves room and gives back what it does not use, also when it lapses unseen', async () => {
    const given = await organization();
    await setLimit(given.client, { scope: 'ORGANIZATION', window: 'MONTH', credits: '10' });
    const holdId = await aHold(given.client, '6');
    expect(await debitOf(given.client, '5')).toMatchObject({ spendLimit: { used: '6' } });
    await captured(given.client, { holdId, amount: '2' });
    expect(await limitsOf(given)).toMatchObject([{ used: '2' }]);
    await aHold(given.client, '8', { expiresInSeconds: 60 });
    expect(await limitsOf(given)).toMatchObject([{ used: '10' }]);
    await advanceClockUnseen(given, 61);
    expect(await limitsOf(given)).toMatchObject([{ used: '2' }]);
    await charged(given.client, { amount: '8' });
    await expectSoundBooks(gateway.database, given.id);
  });

  it('a hold of another member lapses and gives back in a batch that charges for somebody else', async () => {
    const given = await organization();
    const [kim, lee] = [await aMember(given), await aMember(given)];
    await setLimit(given.client, { scope: 'USER', userId: kim, window: 'MONTH', credits: '10' });
    await aHold(given.client, '10', { userId: kim, expiresInSeconds: 60 });
    await advanceClockUnseen(given, 61);
    await charged(given.client, { amount: '1', userId: lee });
    expect(await limitsOf(given)).toMatchObject([{ used: '0' }]);
    const other = await aHold(given.client, '10', { userId: kim });
    await release(given.client, other);
    expect(await limitsOf(given)).toMatchObject([{ used: '0' }]);
  });

  it('a refund gives room back within the window of the charge, whoever asks for it', async () => {
    const given = await organization();
    const userId = await aMember(given);
    await setLimit(given.client, { scope: 'USER', userId, window: 'DAY', credits: '10' });
    const { transaction } = await charged(given.client, { amount: '10', userId });
    await refunded(given.client, { transactionId: transaction.id, amount: '4' });
    expect(await limitsOf(given)).toMatchObject([{ used: '6' }]);
    await charged(given.client, { amount: '4', userId });
    await advanceTo(gateway, given.id, midnight);
    await charged(given.client, { amount: '3', userId });
    await refunded(given.client, { transactionId: transaction.id });
    expect(await limitsOf(given)).toMatchObject([{ used: '3' }]);
  });
});

/** Moves the clock without anybody looking at what has come due. */
async function advanceClockUnseen({ id }: Given, seconds: number): Promise<void> {
  await query(
    gateway.database,
    'UPDATE organization SET test_clock_offset_ms = test_clock_offset_ms + $2 WHERE id = $1',
    [decodeId('Organization', id), seconds * 1_000],
  );
}

describe('a limit that is set in the middle of its window', () => {
  it('counts what was charged in it by its target, less what was refunded, and what open holds reserve', async () => {
    const given = await organization();
    const [kim, lee] = [await aMember(given), await aMember(given)];
    const before = await aHold(given.client, '30', { userId: kim, expiresInSeconds: 86_400 });
    await charged(given.client, { amount: '50', userId: kim });
    await advanceTo(gateway, given.id, hoursAfterNoon(13));
    const [hold, other] = [await aHold(given.client, '20', { userId: kim }), await aHold(given.client, '9')];
    const { transaction } = await charged(given.client, { amount: '10', userId: kim });
    await refunded(given.client, { transactionId: transaction.id, amount: '4' });
    await charged(given.client, { amount: '7', userId: lee });
    // Work of the day before that is charged today counts today; a hold of that day counts there.
    await charged(given.client, { amount: '2', userId: kim, occurredAt: hoursAfterNoon(11) });
    await captured(given.client, { holdId: before, amount: '5' });
    await captured(given.client, { holdId: hold, amount: '3', final: false });
    // Its month has then nothing of the day before.
    const isFirstOfMonth = new Date(midnight).getUTCDate() === 1;
    const used = async () => (await limitsOf(given))?.map((limit) => limit.used);

    await setLimit(given.client, { scope: 'USER', userId: kim, window: 'DAY', credits: '100' });
    await setLimit(given.client, { scope: 'ORGANIZATION', window: 'DAY', credits: '100' });
    await setLimit(given.client, { scope: 'USER', userId: kim, window: 'MONTH', credits: '100' });
    expect(await used()).toEqual(['28', '44', isFirstOfMonth ? '28' : '83']);

    // From here on all of it gives back as if the limits had been there.
    await refunded(given.client, { transactionId: transaction.id });
    await captured(given.client, { holdId: hold, amount: '4' });
    await release(given.client, other);
    expect((await used())?.slice(0, 2)).toEqual(['9', '16']);
    expect(await debitOf(given.client, '92', { userId: kim })).toMatchObject({
      limitCode: 'organization_daily_limit_exceeded',
    });
    await charged(given.client, { amount: '84', userId: lee });
    await expectSoundBooks(gateway.database, given.id);
  });

  it('of a key counts what it captured of its own holds, whoever captured', async () => {
    const given = await organization();
    const key = await aUsageKey(given);
    const holdId = await aHold(key.client, '6');
    await captured(given.client, { holdId, amount: '6' });
    await charged(given.client, { amount: '5' });
    const set = await setLimit(given.client, { scope: 'API_KEY', apiKeyId: key.id, window: 'DAY', credits: '10' });
    expect(set).toMatchObject({ used: '6', apiKey: { id: key.id } });
  });

  it('counts anew when it was removed and is set again', async () => {
    const given = await organization();
    const set = await setLimit(given.client, { scope: 'ORGANIZATION', window: 'DAY', credits: '10' });
    await charged(given.client, { amount: '6' });
    await removing(given.client, set.id);
    await charged(given.client, { amount: '7' });
    const again = await setLimit(given.client, { scope: 'ORGANIZATION', window: 'DAY', credits: '10' });
    expect(again).toMatchObject({ used: '13' });
    expect(again.id).not.toBe(set.id);
    expect(await debitOf(given.client, '1')).toMatchObject({ spendLimit: { id: again.id } });
  });
});

describe('what is asked of a limit', () => {
  it.each([
    ['no project', { scope: 'PROJECT' }, ['projectId']],
    ['no member', { scope: 'USER' }, ['userId']],
    ['no key', { scope: 'API_KEY' }, ['apiKeyId']],
    ['a project for an organization', { scope: 'ORGANIZATION', projectId: 'x' }, ['projectId']],
    ['a member for a project', { scope: 'PROJECT', projectId: 'x', userId: 'x' }, ['userId']],
    ['a key for a member', { scope: 'USER', userId: 'x', apiKeyId: 'x' }, ['apiKeyId']],
    ['negative credits', { scope: 'ORGANIZATION', credits: '-0.000001' }, ['credits']],
  ] as const)('%s is invalid', async (_what, input, path) => {
    const { client } = await organization();
    expect(await setting(client, { window: 'DAY', credits: '1', ...input })).toMatchObject({
      __typename: 'InvalidInput',
      path,
    });
  });

  it('what another organization has does not exist', async () => {
    const [given, other] = [await organization(), await organization()];
    const foreign = await setLimit(other.client, { scope: 'ORGANIZATION', window: 'DAY', credits: '1' });
    const common = { window: 'DAY', credits: '1' } as const;
    const inputs: LimitInput[] = [
      { ...common, scope: 'PROJECT', projectId: await aProject(other) },
      { ...common, scope: 'USER', userId: await aMember(other) },
      { ...common, scope: 'API_KEY', apiKeyId: (await aUsageKey(other)).id },
      { ...common, scope: 'PROJECT', projectId: 'nonsense' },
      { ...common, scope: 'USER', userId: encodeId('User', 'nobody') },
      { ...common, scope: 'ORGANIZATION', organizationId: other.id },
    ];
    for (const input of inputs) {
      expect(await setting(given.client, input), JSON.stringify(input)).toMatchObject({ __typename: 'NotFound' });
    }
    expect(await removing(given.client, foreign.id)).toMatchObject({ __typename: 'NotFound' });
    expect(await removing(given.client, 'nonsense')).toMatchObject({ __typename: 'NotFound' });
    expect((await given.client.run(SpendLimitNodeDocument, { id: foreign.id })).node).toBeNull();
    expect(await limitsOf(other)).toEqual([foreign]);
  });

  it('a key that is bound to a project has a say about that project only', async () => {
    const given = await organization();
    const [bound, projectId] = [await aBoundKey(gateway, given), await aProject(given)];
    const common = { window: 'DAY', credits: '1' } as const;
    const own = await setLimit(bound.client, { ...common, scope: 'PROJECT', projectId: bound.projectId });
    const others = await setLimit(given.client, { ...common, scope: 'PROJECT', projectId });
    const whole = await setLimit(given.client, { ...common, scope: 'ORGANIZATION' });
    expect(await setting(bound.client, { ...common, scope: 'PROJECT', projectId })).toMatchObject({
      __typename: 'NotFound',
    });
    expect(await removing(bound.client, others.id)).toMatchObject({ __typename: 'NotFound' });
    for (const mutation of [
      'setSpendLimit(input: { scope: ORGANIZATION, window: DAY, credits: "900" })',
      `removeSpendLimit(input: { spendLimitId: "${whole.id}" })`,
    ]) {
      const { errors } = await bound.client.raw(`mutation { ${mutation} { __typename } }`);
      expect(errors.map(({ extensions }) => extensions.code)).toEqual(['FORBIDDEN']);
    }
    expect(await removing(bound.client, own.id)).toMatchObject({ __typename: 'SpendLimitPayload' });
    expect((await limitsOf(given))?.map(({ id }) => id)).toEqual([others.id, whole.id]);
  });

  it('an organization has at most 1,000 of them', async () => {
    const given = await organization();
    const organizationId = decodeId('Organization', given.id);
    await query(
      gateway.database,
      `WITH added AS (INSERT INTO project (id, organization_id, key, name)
         SELECT gen_random_uuid(), $1, 'many-' || n, 'p' FROM generate_series(1, 999) n RETURNING id)
       INSERT INTO spend_limit (id, wallet_id, scope, project_id, per, credits_micros, created_at)
       SELECT gen_random_uuid(), w.id, 'PROJECT', added.id, 'DAY', 5, now() FROM added, wallet w WHERE w.organization_id = $1`,
      [organizationId],
    );
    await setLimit(given.client, { scope: 'ORGANIZATION', window: 'DAY', credits: '5' });
    expect(await setting(given.client, { scope: 'ORGANIZATION', window: 'HOUR', credits: '5' })).toMatchObject({
      __typename: 'InvalidInput',
      path: ['scope'],
    });
    await setLimit(given.client, { scope: 'ORGANIZATION', window: 'DAY', credits: '6' });
    await charged(given.client, { amount: '1' });
  });
});

describe('many at once', () => {
  const both = (secret: string) => [
    createClient(gateway.gateway.endpoint, secret),
    createClient(second.gateway.endpoint, secret),
  ];

  it('two members under one limit never pass it, from two gateways', async () => {
    const given = await organization();
    const projectId = await aProject(given);
    const members = [await aMember(given), await aMember(given)];
    await setLimit(given.client, { scope: 'PROJECT', projectId, window: 'DAY', credits: '20' });
    const clients = both(given.secret);
    const answers = await Promise.all(
      Array.from({ length: 80 }, (_, index) => {
        const who = { projectId, userId: members[index % 2] };
        return debitOf(clients[(index >> 1) % 2] ?? given.client, '1', who as { projectId: string; userId: string });
      }),
    );
    const reached = answers.filter(({ __typename }) => __typename === 'SpendLimitReached');
    expect([answers.length - reached.length, reached.length]).toEqual([20, 60]);
    expect(await limitsOf(given)).toMatchObject([{ used: '20' }]);
    await expectSoundBooks(gateway.database, given.id);
  });

  it('a limit that is set while charges go on counts every one of them once', async () => {
    const given = await organization();
    const clients = both(given.secret);
    const charging = Array.from({ length: 60 }, (_, index) => debitOf(clients[index % 2] ?? given.client, '1'));
    const setting = Array.from({ length: 4 }, (_, index) =>
      setLimit(clients[index % 2] ?? given.client, { scope: 'ORGANIZATION', window: 'DAY', credits: '30' }),
    );
    const answers = await Promise.all(charging);
    const set = await Promise.all(setting);
    expect(new Set(set.map(({ id }) => id)).size).toBe(1);
    const paid = answers.filter(({ __typename }) => __typename === 'DebitPayload').length;
    // Those that were there before the limit may be more than it allows; from then on nothing passes it.
    expect(await limitsOf(given)).toMatchObject([{ used: String(paid) }]);
    for (let left = 30 - paid; left > 0; left--) await charged(given.client, { amount: '1' });
    expect(await debitOf(given.client, '1')).toMatchObject({ limitCode: 'organization_daily_limit_exceeded' });
    await expectSoundBooks(gateway.database, given.id);
  });
});

describe('what it costs', () => {
  const statementsOf = async (work: () => Promise<unknown>): Promise<readonly string[]> => {
    gateway.statements.length = 0;
    await work();
    return gateway.statements.filter((sql) => /spend_limit\b|spend_counter/.test(sql) && !/FROM wallet w/.test(sql));
  };

  it('a charge asks nothing more where there are no limits, and once where there are some', async () => {
    const [free, limited] = [await organization(), await organization()];
    await setLimit(limited.client, { scope: 'ORGANIZATION', window: 'DAY', credits: '10' });
    expect(await statementsOf(() => charged(free.client, { amount: '1' }))).toEqual([]);
    const asked = await statementsOf(() => charged(limited.client, { amount: '1' }));
    expect(asked.filter((sql) => /FROM spend_limit/.test(sql))).toHaveLength(1);
  });

  it('setting a limit sums its window up before it takes the wallet’s lock, and changing one not at all', async () => {
    const given = await organization();
    await charged(given.client, { amount: '2' });
    const steps = async (credits: string) => {
      gateway.statements.length = 0;
      const set = await setLimit(given.client, { scope: 'ORGANIZATION', window: 'MONTH', credits });
      const taken = gateway.statements.flatMap((sql) => {
        if (/FROM ledger_entry e/.test(sql)) return ['sum'];
        return /FROM wallet WHERE id = .* FOR UPDATE/.test(sql) ? ['lock'] : [];
      });
      return [set.used, ...taken];
    };
    expect(await steps('10')).toEqual(['2', 'sum', 'lock', 'sum']);
    expect(await steps('20')).toEqual(['2', 'lock']);
  });

  it('a list of limits is read by as many statements as one limit', async () => {
    const [one, many] = [await organization(), await organization()];
    await setLimit(one.client, { scope: 'USER', userId: await aMember(one), window: 'DAY', credits: '10' });
    for (let n = 0; n < 5; n++) {
      await setLimit(many.client, { scope: 'USER', userId: await aMember(many), window: 'DAY', credits: '10' });
    }
    const countOf = async (given: Given) => {
      gateway.statements.length = 0;
      await limitsOf(given);
      return gateway.statements.length;
    };
    expect(await countOf(many)).toBe(await countOf(one));
  });
});
