/** Earmarked credits through the API: who sees and spends what, in parallel over two gateways, and what is refused. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeId } from '../../src/graphql/ids.ts';
import {
  type AllocationStateFragment,
  AllocationsDocument,
  AuditTrailDocument,
  CreateApiKeyDocument,
  CreateProjectDocument,
  SetAllocationDocument,
  type SetAllocationInput,
  SpendForDocument,
} from '../generated/documents.ts';
import { expectSoundBooks } from '../support/books.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { createClient, startTestGateway, type TestClient, type TestGateway } from '../support/gateway.ts';
import { advanceTo, aKey, anOrganization, type Given } from '../support/given.ts';
import { aFoundation, aMemberOf, anInvitation, aPerson, JWT_SECRET } from '../support/people.ts';

let database: TestDatabase;
let gateway: TestGateway;
/** On the same database. */
let second: TestGateway;
beforeAll(async () => {
  database = await createDatabase();
  gateway = await startTestGateway({ env: { PURSER_JWT_SECRET: JWT_SECRET }, database });
  second = await startTestGateway({ env: { PURSER_JWT_SECRET: JWT_SECRET }, database });
});
afterAll(async () => {
  await second[Symbol.asyncDispose]();
  await gateway[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
});

async function aProject(client: TestClient, organizationId?: string): Promise<string> {
  const { createProject } = await client.run(CreateProjectDocument, {
    input: { key: `p-${aKey()}`, name: 'P', ...(organizationId ? { organizationId } : {}) },
  });
  if (createProject.__typename !== 'ProjectPayload') throw new Error(JSON.stringify(createProject));
  return createProject.project.id;
}

const set = async (client: TestClient, input: SetAllocationInput) =>
  (await client.run(SetAllocationDocument, { input })).setAllocation;

async function spend(client: TestClient, amount: string, input: { projectId?: string; organizationId?: string } = {}) {
  return (await client.run(SpendForDocument, { input: { amount, idempotencyKey: aKey(), ...input } })).debit;
}

async function seen(client: TestClient, { slug }: { readonly slug: string }) {
  return (await client.run(AllocationsDocument, { slug })).organization;
}

const amounts = ({ credits, used, held, remaining }: AllocationStateFragment) => ({ credits, used, held, remaining });

/** 100 bought, 50 promotional, and a project. */
async function aCustomer(): Promise<Given & { readonly projectId: string }> {
  const customer = await anOrganization(gateway, { credits: { purchased: '100', promotional: '50' } });
  return { ...customer, projectId: await aProject(customer.client) };
}

describe('an allocation', () => {
  it('earmarks credits that its project spends first and nobody else, and explains them', async () => {
    const { client, projectId, id, slug } = await aCustomer();
    expect(await set(client, { projectId, credits: '120' })).toMatchObject({
      allocation: { exclusive: false, credits: '120', used: '0', held: '0', remaining: '120' },
      wallet: { totalAvailable: '150', unallocated: '30' },
    });
    expect(await spend(client, '31')).toMatchObject({
      __typename: 'InsufficientCredits',
      requiredCredits: '31',
      availableCredits: '30',
    });
    const spent = await spend(client, '125', { projectId });
    expect(spent).toMatchObject({ __typename: 'DebitPayload', availableCredits: '25' });
    if (spent.__typename !== 'DebitPayload') throw new Error('it was charged');
    const lots = spent.transaction.explanation?.lots ?? [];
    expect(lots.map(({ taken, lot }) => [taken, lot.allocation !== null])).toEqual([
      ['20', true],
      ['100', true],
      ['5', false],
    ]);
    expect(lots[0]?.reason).toMatch(/^earmarked for the project or member/);
    const organization = await seen(client, { slug });
    expect(organization?.allocations?.map(amounts)).toEqual([
      { credits: '120', used: '120', held: '0', remaining: '0' },
    ]);
    expect(organization?.wallet).toMatchObject({ totalAvailable: '25', unallocated: '25' });
    await expectSoundBooks(database, id);
  });

  it('that is exclusive refuses what goes beyond it, and says which', async () => {
    const { client, projectId, id } = await aCustomer();
    await set(client, { projectId, credits: '10', exclusive: true });
    expect(await spend(client, '11', { projectId })).toMatchObject({
      __typename: 'AllocationExhausted',
      code: 'ALLOCATION_EXHAUSTED',
      httpStatus: 402,
      requiredCredits: '11',
      allocation: { exclusive: true, remaining: '10' },
      explanation: { lots: [{ reason: expect.stringMatching(/^earmarked/) }] },
    });
    expect(await spend(client, '4', { projectId })).toMatchObject({ availableCredits: '6' });
    expect(await spend(client, '140')).toMatchObject({ __typename: 'DebitPayload', availableCredits: '0' });
    await expectSoundBooks(database, id);
  });

  it('is raised, lowered, given back and taken up again; nothing is made or lost', async () => {
    const { client, projectId, id, slug } = await aCustomer();
    for (const credits of ['40', '90', '15.5', '0', '150']) {
      const answer = await set(client, { projectId, credits });
      expect(answer).toMatchObject({
        allocation: { credits, remaining: credits },
        wallet: { totalAvailable: '150', unallocated: `${150 - Number(credits)}` },
      });
    }
    expect((await seen(client, { slug }))?.allocations).toHaveLength(1);
    await set(client, { projectId, credits: '0' });
    expect((await seen(client, { slug }))?.allocations).toEqual([]);
    await expectSoundBooks(database, id);
  });

  it('shrinks as its lots expire', async () => {
    const now = '2040-03-10T10:00:00.000Z';
    const customer = await anOrganization(gateway, { now, plan: 'free' });
    const projectId = await aProject(customer.client);
    const before = await seen(customer.client, customer);
    const all = before?.wallet?.totalAvailable ?? '';
    await set(customer.client, { projectId, credits: all });
    await advanceTo(gateway, customer.id, '2040-05-10T10:00:00.000Z');
    const after = await seen(customer.client, customer);
    expect(Number(after?.allocations?.[0]?.credits ?? 0)).toBeLessThan(Number(all));
    await expectSoundBooks(database, customer.id);
  });

  it('is for members too, also for those who have left, to be given back', async () => {
    const organization = await aFoundation(gateway);
    const { owner, id: organizationId } = organization;
    const member = await aMemberOf(gateway, organization, 'VIEWER');
    const userId = encodeId('User', member.email.replace(/@.*/, ''));
    expect(await set(owner.client, { organizationId, userId, credits: '0', exclusive: true })).toMatchObject({
      __typename: 'AllocationPayload',
      allocation: { exclusive: true, credits: '0', user: { id: userId } },
    });
    await owner.client.raw(
      `mutation { removeMember(input: { membershipId: "${member.membershipId}" }) { __typename } }`,
    );
    expect(await set(owner.client, { organizationId, userId, credits: '0' })).toMatchObject({
      __typename: 'AllocationPayload',
    });
    const stranger = await aPerson(gateway);
    await stranger.client.raw('{ viewer { kind } }');
    expect(
      await set(owner.client, {
        organizationId,
        userId: encodeId('User', stranger.email.replace(/@.*/, '')),
        credits: '0',
      }),
    ).toMatchObject({ __typename: 'NotFound' });
  });

  it('is audited', async () => {
    const { client, projectId, slug } = await aCustomer();
    await set(client, { projectId, credits: '10' });
    const { organization } = await client.run(AuditTrailDocument, { slug });
    expect(organization?.auditTrail?.edges[0]?.node).toMatchObject({
      action: 'setAllocation',
      after: { credits: '10' },
    });
  });
});

describe('what is refused', () => {
  it.each<[string, (customer: { projectId: string }) => SetAllocationInput, object]>([
    ['nobody', () => ({ credits: '1' }), { __typename: 'InvalidInput', path: ['projectId'] }],
    [
      'a project and a member',
      ({ projectId }) => ({ projectId, userId: encodeId('User', 'u'), credits: '1' }),
      { __typename: 'InvalidInput', path: ['userId'] },
    ],
    ['a negative amount', ({ projectId }) => ({ projectId, credits: '-1' }), { path: ['credits'] }],
    [
      'more than there is',
      ({ projectId }) => ({ projectId, credits: '150.000001' }),
      { __typename: 'InsufficientCredits', requiredCredits: '150.000001', availableCredits: '150' },
    ],
    ['no such project', () => ({ projectId: encodeId('Project', aKey()), credits: '1' }), { __typename: 'NotFound' }],
    ['a malformed id', () => ({ projectId: 'nonsense', credits: '1' }), { __typename: 'NotFound' }],
  ])('%s', async (_name, input, refusal) => {
    const customer = await aCustomer();
    expect(await set(customer.client, input(customer))).toMatchObject(refusal);
    expect((await seen(customer.client, customer))?.wallet?.unallocated).toBe('150');
  });

  it('less than is used and held', async () => {
    const { client, projectId, id } = await aCustomer();
    await set(client, { projectId, credits: '50' });
    await spend(client, '20', { projectId });
    await client.raw(
      `mutation { authorize(input: { idempotencyKey: "${aKey()}", amount: "10", projectId: "${projectId}" }) { __typename } }`,
    );
    for (const credits of ['29.999999', '0']) {
      expect(await set(client, { projectId, credits })).toMatchObject({
        __typename: 'Conflict',
        currentState: 'IN_USE',
      });
    }
    expect(await set(client, { projectId, credits: '30' })).toMatchObject({
      allocation: { credits: '30', used: '20', held: '10', remaining: '0' },
    });
    await expectSoundBooks(database, id);
  });
});

describe('who sees it', () => {
  it('a member limited to an earmark sees it, and neither the wallet nor what is for others', async () => {
    const organization = await aFoundation(gateway);
    const { owner, id: organizationId, slug } = organization;
    const person = await aPerson(gateway);
    const { token } = await anInvitation(organization, { role: 'VIEWER', balanceAccess: 'EARMARK_ONLY' });
    await person.client.raw(`mutation { acceptInvitation(input: { token: "${token}" }) { __typename } }`);
    const userId = encodeId('User', person.email.replace(/@.*/, ''));
    const projectId = await aProject(owner.client, organizationId);
    await set(owner.client, { organizationId, userId, credits: '0', exclusive: true });
    await set(owner.client, { organizationId, projectId, credits: '0', exclusive: true });
    expect(await seen(owner.client, { slug })).toMatchObject({ allocations: [{}, {}], wallet: {} });
    const theirs = await seen(person.client, { slug });
    expect(theirs).toMatchObject({ allocations: [{ user: { id: userId }, exclusive: true }], wallet: null });
    const [own] = theirs?.allocations ?? [];
    const all = (await seen(owner.client, { slug }))?.allocations ?? [];
    const other = all.find(({ project }) => project !== null);
    const { data } = await person.client.raw(
      `{ own: node(id: "${own?.id}") { id } other: node(id: "${other?.id}") { id } }`,
    );
    expect(data).toEqual({ own: { id: own?.id }, other: null });
  });

  it('who spends an earmark and nothing else sees that, not the wallet, for as long as it lasts', async () => {
    const organization = await aFoundation(gateway);
    const { owner, id: organizationId, slug } = organization;
    const member = await aMemberOf(gateway, organization, 'ADMIN');
    const userId = encodeId('User', member.email.replace(/@.*/, ''));
    const projectId = await aProject(owner.client, organizationId);
    const { createApiKey } = await owner.client.run(CreateApiKeyDocument, {
      input: { organizationId, name: 'team', scopes: ['USAGE_WRITE', 'BILLING_READ'], projectId },
    });
    if (createApiKey.__typename !== 'CreateApiKeyPayload') throw new Error(JSON.stringify(createApiKey));
    const spenders = [
      { client: member.client, of: { userId } },
      { client: createClient(gateway.gateway.endpoint, createApiKey.secret), of: { projectId } },
    ];
    for (const { client, of } of spenders) {
      expect(await seen(client, { slug })).toMatchObject({ wallet: {} });
      await set(owner.client, { organizationId, ...of, credits: '0', exclusive: true });
      expect(await seen(client, { slug })).toMatchObject({ allocations: [{ exclusive: true }], wallet: null });
      await set(owner.client, { organizationId, ...of, credits: '0', exclusive: false });
      expect(await seen(client, { slug })).toMatchObject({ wallet: {} });
    }
  });

  it('a key that spends an earmark and nothing else changes nothing of the wallet, and its earmark least of all', async () => {
    const { client, projectId, id, slug } = await aCustomer();
    const { createApiKey } = await client.run(CreateApiKeyDocument, {
      input: { name: 'team', scopes: ['USAGE_WRITE', 'BILLING_WRITE'], projectId },
    });
    if (createApiKey.__typename !== 'CreateApiKeyPayload') throw new Error(JSON.stringify(createApiKey));
    const key = createClient(gateway.gateway.endpoint, createApiKey.secret);
    await set(client, { projectId, credits: '10', exclusive: true });
    const before = await seen(client, { slug });
    for (const mutation of [
      `setAllocation(input: { projectId: "${projectId}", credits: "20" }) { __typename }`,
      `setAllocation(input: { projectId: "${projectId}", credits: "10", exclusive: false }) { __typename }`,
      'setAlert(input: { threshold: "1" }) { __typename }',
      `setSpendLimit(input: { scope: PROJECT, projectId: "${projectId}", window: DAY, credits: "5" }) { __typename }`,
      'cancelSubscription(input: {}) { __typename }',
      `redeemPromoCode(input: { code: "WELCOME", idempotencyKey: "${aKey()}" }) { __typename }`,
    ]) {
      const { data, errors } = await key.raw(`mutation { ${mutation} }`);
      expect(errors.map(({ extensions }) => extensions.code)).toEqual(['FORBIDDEN']);
      expect(data).toBeNull();
    }
    expect(await seen(client, { slug })).toEqual(before);
    await expectSoundBooks(database, id);
  });

  it('a key bound to a project sees and spends what is for that', async () => {
    const { client, projectId, id, slug } = await aCustomer();
    const { createApiKey } = await client.run(CreateApiKeyDocument, {
      input: { name: 'team', scopes: ['USAGE_WRITE'], projectId },
    });
    if (createApiKey.__typename !== 'CreateApiKeyPayload') throw new Error(JSON.stringify(createApiKey));
    const key = createClient(gateway.gateway.endpoint, createApiKey.secret);
    await set(client, { projectId, credits: '10', exclusive: true });
    await set(client, { projectId: await aProject(client), credits: '5' });
    expect(await seen(key, { slug })).toMatchObject({ allocations: [{ credits: '10' }], wallet: null });
    expect(await spend(key, '11')).toMatchObject({
      __typename: 'AllocationExhausted',
      allocation: { remaining: '10' },
      explanation: null,
    });
    expect(await spend(key, '3')).toMatchObject({ __typename: 'DebitPayload', availableCredits: '7' });
    await expectSoundBooks(database, id);
  });
});

describe('a key bound to a project', () => {
  it('sets what is earmarked for it, and for nobody else', async () => {
    const { client, projectId, slug } = await aCustomer();
    const other = await aProject(client);
    await set(client, { projectId: other, credits: '20' });
    const { createApiKey } = await client.run(CreateApiKeyDocument, {
      input: { name: 'team', scopes: ['BILLING_WRITE'], projectId },
    });
    if (createApiKey.__typename !== 'CreateApiKeyPayload') throw new Error(JSON.stringify(createApiKey));
    const key = createClient(gateway.gateway.endpoint, createApiKey.secret);
    expect(await set(key, { projectId, credits: '5' })).toMatchObject({ allocation: { credits: '5' } });
    expect(await set(key, { projectId: other, credits: '0' })).toMatchObject({ __typename: 'NotFound' });
    const ofMember =
      'mutation($userId: ID!) { setAllocation(input: { userId: $userId, credits: "1" }) { __typename } }';
    const { errors } = await key.raw(ofMember, { userId: encodeId('User', 'demo-viewer') });
    expect(errors[0]?.extensions.code).toBe('FORBIDDEN');
    expect((await seen(client, { slug }))?.allocations).toMatchObject([{ credits: '20' }, { credits: '5' }]);
  });
});

describe('in parallel, over two gateways', () => {
  it('neither the project nor the others take a credit too many, while the earmark changes', async () => {
    const { client, projectId, id, slug, secret } = await aCustomer();
    await set(client, { projectId, credits: '60' });
    const clients = [client, createClient(second.gateway.endpoint, secret)];
    const answers = await Promise.all([
      ...Array.from({ length: 120 }, (_, index) =>
        spend(clients[index % 2] ?? client, '1', index % 3 === 0 ? { projectId } : {}),
      ),
      ...['80', '70', '90', '60'].map((credits, index) =>
        set(clients[index % 2] ?? client, { projectId, credits }).then(() => null),
      ),
    ]);
    const spent = answers.filter((answer) => answer?.__typename === 'DebitPayload').length;
    const organization = await seen(client, { slug });
    expect(Number(organization?.wallet?.totalAvailable)).toBe(150 - spent);
    expect(spent).toBeGreaterThanOrEqual(40);
    const [allocation] = organization?.allocations ?? [];
    expect(Number(allocation?.used)).toBe(40);
    await expectSoundBooks(database, id);
  });
});
