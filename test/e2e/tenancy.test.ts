/**
 * Organizations do not know of each other: whatever names something of another one is answered exactly as if it named
 * nothing at all, on every path. Within an organization, whoever may not read the books finds none.
 */
import { randomUUID } from 'node:crypto';
import { SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeId, encodeId } from '../../src/graphql/ids.ts';
import {
  CreateProjectDocument,
  DebitDocument,
  PurchasePackageDocument,
  SetAllocationDocument,
} from '../generated/documents.ts';
import { expectSoundBooks, query } from '../support/books.ts';
import { startTestGateway, type TestClient, type TestGateway } from '../support/gateway.ts';
import { aKey, anApiKey, anOrganization, type Given } from '../support/given.ts';
import { anEndpoint, collect } from '../support/webhook-receiver.ts';
import { type IdsByType, idsOf, nodeTypes, rootFields } from './ids.ts';
import { subscribe } from './streams.ts';

const JWT_SECRET = 'a secret of this test, long enough to sign with';
const TOMORROW = new Date(Date.now() + 86_400_000).toISOString();
/** Public: everybody may read them. */
const OF_THE_CATALOG = ['Plan', 'Package'];

let gateway: TestGateway;
/** Whose ids are tried. */
let theirs: Given;
let theirIds: IdsByType;
/** Who tries. */
let mine: Given;

beforeAll(async () => {
  gateway = await startTestGateway({ env: { PURSER_JWT_SECRET: JWT_SECRET } });
  theirs = await aFurnishedOrganization();
  const found = await idsOf(theirs.client, theirs.slug);
  theirIds = Object.fromEntries(Object.entries(found).filter(([type]) => !OF_THE_CATALOG.includes(type)));
  mine = await aFurnishedOrganization();
});
afterAll(() => gateway[Symbol.asyncDispose]());

/** With something of every type. */
async function aFurnishedOrganization(): Promise<Given> {
  const organization = await anOrganization(gateway, { credits: { purchased: '100', promotional: '50' } });
  const { client, id } = organization;
  const projectId = await aProject(client);
  await client.run(SetAllocationDocument, { input: { projectId, credits: '5' } });
  await aMember(id, 'OWNER');
  await anEndpoint(client, 'https://example.com/hook');
  await debit(client);
  await client.raw('mutation { setAlert(input: { threshold: "1" }) { __typename } }');
  await collect(gateway.gateway.services);
  await client.raw(`mutation { authorize(input: { idempotencyKey: "${aKey()}", amount: "1" }) { __typename } }`);
  const { purchasePackage } = await client.run(PurchasePackageDocument, {
    input: { idempotencyKey: aKey(), packageId: encodeId('Package', 'starter') },
  });
  expect(purchasePackage.__typename).toBe('PurchasePayload');
  await client.raw(
    'mutation { setSpendLimit(input: { scope: ORGANIZATION, window: MONTH, credits: "1000000" }) { __typename } }',
  );
  return organization;
}

async function aProject(client: TestClient): Promise<string> {
  const { createProject } = await client.run(CreateProjectDocument, { input: { key: `p-${aKey()}`, name: 'P' } });
  if (createProject.__typename !== 'ProjectPayload') throw new Error(JSON.stringify(createProject));
  return createProject.project.id;
}

/** The token of a new person with this place in the organization, which the identity provider and an owner would give. */
async function aMember(
  organizationId: string,
  role: string,
  { balanceAccess = 'FULL', userId = `user-${randomUUID()}` } = {},
): Promise<string> {
  await query(
    gateway.database,
    `INSERT INTO user_account (id, name, email) VALUES ($1, $1, $1 || '@example.com') ON CONFLICT DO NOTHING`,
    [userId],
  );
  await query(
    gateway.database,
    'INSERT INTO membership (id, organization_id, user_id, role, balance_access) VALUES (gen_random_uuid(), $1, $2, $3, $4)',
    [decodeId('Organization', organizationId), userId, role, balanceAccess],
  );
  return aToken(userId);
}

function aToken(userId: string): Promise<string> {
  const token = new SignJWT({}).setProtectedHeader({ alg: 'HS256' }).setSubject(userId).setExpirationTime('1h');
  return token.sign(new TextEncoder().encode(JWT_SECRET));
}

async function debit(client: TestClient, input: object = {}): Promise<string> {
  const answer = await client.run(DebitDocument, { input: { idempotencyKey: aKey(), amount: '1', ...input } });
  if (answer.debit.__typename !== 'DebitPayload') throw new Error(JSON.stringify(answer.debit));
  return answer.debit.transaction.id;
}

/** Ids of the same types that nothing has. */
function ofNothing(ids: IdsByType): IdsByType {
  return Object.fromEntries(
    Object.keys(ids).map((type) => {
      const key = type === 'LedgerEntry' || type === 'Activity' ? `${randomUUID()}.1` : randomUUID();
      return [type, encodeId(type, key)];
    }),
  );
}

/** The whole answer to a document, streams included. */
async function ask(token: string, document: string): Promise<unknown> {
  if (!document.startsWith('subscription')) return gateway.as(token).raw(document);
  await using live = subscribe<unknown, object>('sse', gateway, token, document);
  return await live.result();
}

/** How the other organization looks from inside; it must look the same after everything that was tried. */
async function stateOf({ id }: Given): Promise<unknown> {
  const organizationId = decodeId('Organization', id);
  return query(
    gateway.database,
    `SELECT w.version, w.sequence, w.balance_micros, o.name, o.test_clock_offset_ms,
       (SELECT count(*) FROM api_key WHERE organization_id = o.id) AS keys,
       (SELECT count(*) FROM api_key WHERE organization_id = o.id AND revoked_at IS NOT NULL) AS revoked,
       (SELECT count(*) FROM project WHERE organization_id = o.id) AS projects,
       (SELECT count(*) FROM membership WHERE organization_id = o.id AND removed_at IS NULL) AS members,
       (SELECT string_agg(role::text, ',' ORDER BY id) FROM membership WHERE organization_id = o.id) AS roles,
       (SELECT count(*) FROM purchase WHERE organization_id = o.id) AS purchases,
       (SELECT count(*) FROM spend_limit WHERE wallet_id = w.id AND removed_at IS NULL) AS limits,
       (SELECT count(*) FROM idempotency_record WHERE organization_id = o.id) AS keys_used,
       (SELECT count(*) FROM audit_record WHERE organization_id = o.id) AS audited,
       (SELECT count(*) FROM alert WHERE wallet_id = w.id AND removed_at IS NULL) AS alerts,
       (SELECT string_agg(to_jsonb(e)::text, ',' ORDER BY id) FROM webhook_endpoint e WHERE organization_id = o.id) AS hooks,
       (SELECT string_agg(status::text, ',' ORDER BY id) FROM webhook_delivery WHERE organization_id = o.id) AS deliveries
     FROM organization o JOIN wallet w ON w.organization_id = o.id WHERE o.id = $1`,
    [organizationId],
  );
}

/**
 * For every root field each way to name something of an organization in it; none for those that name nothing.
 */
const NAMINGS: Readonly<Record<string, readonly ((ids: IdsByType) => string)[]>> = {
  'Query.node': [({ Wallet }) => `{ node(id: "${Wallet}") { __typename id } }`],
  'Query.nodes': [
    (ids) =>
      `{ nodes(ids: [${Object.values(ids).map((id) => `"${id}"`)}]) { __typename ... on Transaction { lines { meter } } } }`,
  ],
  'Query.viewer': [],
  'Query.organization': [
    ({ Organization }) => `{ organization(id: "${Organization}") { id name wallet { balance } } }`,
  ],
  'Query.organizations': [],
  'Query.plans': [],
  'Query.packages': [],
  'Query.rateCard': [],
  'Query.planChangePreview': [
    ({ Organization }) =>
      `{ it: planChangePreview(organizationId: "${Organization}", planId: "${encodeId('Plan', 'free')}") { ${REFUSAL} ... on PlanChangePreview { effectiveAt } } }`,
  ],
  'Mutation.debit': [
    inDebit(({ Organization }) => `organizationId: "${Organization}"`),
    inDebit(({ Project }) => `projectId: "${Project}"`),
    inDebit(({ User }) => `userId: "${User}"`),
    inDebit(({ Organization }) => `organizationId: "${Organization}", taskId: "", userId: "x"`),
  ],
  'Mutation.recordUsage': [
    inUsage(({ Organization }) => ({ call: `organizationId: "${Organization}"` })),
    inUsage(({ Organization }) => ({ event: `organizationId: "${Organization}"` })),
    inUsage(({ Project }) => ({ event: `projectId: "${Project}"` })),
    inUsage(({ User }) => ({ event: `userId: "${User}"` })),
  ],
  'Query.estimate': [
    inEstimate(({ Organization }) => `organizationId: "${Organization}"`),
    inEstimate(({ Project }) => `projectId: "${Project}"`),
    inEstimate(({ User }) => `userId: "${User}"`),
  ],
  'Mutation.authorize': [
    inMutation('authorize', ({ Organization }) => `organizationId: "${Organization}", ${CHARGE}`),
    inMutation('authorize', ({ Project }) => `projectId: "${Project}", ${CHARGE}`),
    inMutation('authorize', ({ User }) => `userId: "${User}", ${CHARGE}`),
  ],
  'Mutation.capture': [inMutation('capture', ({ Hold }) => `holdId: "${Hold}", idempotencyKey: "foreign"`)],
  'Mutation.release': [inMutation('release', ({ Hold }) => `holdId: "${Hold}", idempotencyKey: "foreign"`)],
  'Mutation.extendHold': [
    inMutation('extendHold', ({ Hold }) => `holdId: "${Hold}", idempotencyKey: "foreign", expiresInSeconds: 60`),
  ],
  'Mutation.refund': [
    inMutation('refund', ({ Transaction }) => `transactionId: "${Transaction}", idempotencyKey: "foreign"`),
  ],
  'Mutation.selectPlan': [
    inMutation(
      'selectPlan',
      ({ Organization }) =>
        `organizationId: "${Organization}", planId: "${encodeId('Plan', 'free')}", idempotencyKey: "foreign"`,
    ),
  ],
  'Mutation.cancelSubscription': [
    inMutation('cancelSubscription', ({ Organization }) => `organizationId: "${Organization}"`),
  ],
  'Mutation.resumeSubscription': [
    inMutation('resumeSubscription', ({ Organization }) => `organizationId: "${Organization}"`),
  ],
  'Mutation.redeemPromoCode': [
    inMutation(
      'redeemPromoCode',
      ({ Organization }) => `organizationId: "${Organization}", code: "WELCOME", idempotencyKey: "foreign"`,
    ),
  ],
  'Mutation.purchasePackage': [
    inMutation(
      'purchasePackage',
      ({ Organization }) =>
        `organizationId: "${Organization}", packageId: "${encodeId('Package', 'starter')}", idempotencyKey: "foreign"`,
    ),
  ],
  'Mutation.createPortalSession': [
    inMutation('createPortalSession', ({ Organization }) => `organizationId: "${Organization}"`),
  ],
  'Mutation.topUp': [
    inMutation(
      'topUp',
      ({ Organization }) => `organizationId: "${Organization}", credits: "10", idempotencyKey: "foreign"`,
    ),
  ],
  'Mutation.configureAutoTopUp': [
    inMutation(
      'configureAutoTopUp',
      ({ Organization }) =>
        `organizationId: "${Organization}", enabled: true, threshold: "1", packageId: "${encodeId('Package', 'starter')}"`,
    ),
  ],
  'Mutation.setSpendLimit': [
    inMutation(
      'setSpendLimit',
      ({ Organization }) => `organizationId: "${Organization}", scope: ORGANIZATION, window: DAY, credits: "1"`,
    ),
    inMutation('setSpendLimit', ({ Project }) => `scope: PROJECT, projectId: "${Project}", window: DAY, credits: "1"`),
    inMutation('setSpendLimit', ({ User }) => `scope: USER, userId: "${User}", window: DAY, credits: "1"`),
    inMutation('setSpendLimit', ({ ApiKey }) => `scope: API_KEY, apiKeyId: "${ApiKey}", window: DAY, credits: "1"`),
  ],
  'Mutation.removeSpendLimit': [inMutation('removeSpendLimit', ({ SpendLimit }) => `spendLimitId: "${SpendLimit}"`)],
  'Mutation.setAlert': [
    inMutation('setAlert', ({ Organization }) => `organizationId: "${Organization}", threshold: "5"`),
  ],
  'Mutation.removeAlert': [inMutation('removeAlert', ({ Alert }) => `alertId: "${Alert}"`)],
  'Mutation.setAllocation': [
    inMutation(
      'setAllocation',
      ({ Organization, Project }) => `organizationId: "${Organization}", projectId: "${Project}", credits: "1"`,
    ),
    inMutation('setAllocation', ({ Project }) => `projectId: "${Project}", credits: "1"`),
    inMutation('setAllocation', ({ User }) => `userId: "${User}", credits: "1"`),
  ],
  'Mutation.createOrganization': [],
  'Mutation.createProject': [
    inMutation('createProject', ({ Organization }) => `organizationId: "${Organization}", key: "k", name: "N"`),
  ],
  'Mutation.updateOrganization': [
    inMutation('updateOrganization', ({ Organization }) => `organizationId: "${Organization}", name: "Mine"`),
  ],
  'Mutation.inviteMember': [
    inMutation(
      'inviteMember',
      ({ Organization }) => `organizationId: "${Organization}", email: "me@example.com", role: OWNER`,
    ),
  ],
  'Mutation.acceptInvitation': [],
  'Mutation.changeMemberRole': [
    inMutation('changeMemberRole', ({ Membership }) => `membershipId: "${Membership}", role: VIEWER`),
  ],
  'Mutation.removeMember': [inMutation('removeMember', ({ Membership }) => `membershipId: "${Membership}"`)],
  'Mutation.createApiKey': [
    inMutation('createApiKey', ({ Organization }) => `organizationId: "${Organization}", name: "N", master: true`),
    inMutation('createApiKey', ({ Project }) => `projectId: "${Project}", name: "N", scopes: [USAGE_WRITE]`),
  ],
  'Mutation.revokeApiKey': [inMutation('revokeApiKey', ({ ApiKey }) => `apiKeyId: "${ApiKey}"`)],
  'Mutation.createWebhookEndpoint': [
    inMutation(
      'createWebhookEndpoint',
      ({ Organization }) =>
        `organizationId: "${Organization}", url: "https://example.com", events: ["balance.changed"]`,
    ),
  ],
  'Mutation.updateWebhookEndpoint': [
    inMutation(
      'updateWebhookEndpoint',
      ({ WebhookEndpoint }) => `webhookEndpointId: "${WebhookEndpoint}", url: "https://mine.example.com"`,
    ),
  ],
  'Mutation.deleteWebhookEndpoint': [
    inMutation('deleteWebhookEndpoint', ({ WebhookEndpoint }) => `webhookEndpointId: "${WebhookEndpoint}"`),
  ],
  'Mutation.rotateWebhookSecret': [
    inMutation('rotateWebhookSecret', ({ WebhookEndpoint }) => `webhookEndpointId: "${WebhookEndpoint}"`),
  ],
  'Mutation.redeliverWebhook': [
    inMutation('redeliverWebhook', ({ WebhookDelivery }) => `webhookDeliveryId: "${WebhookDelivery}"`),
  ],
  'Mutation.grantCredits': [
    inMutation(
      'grantCredits',
      ({ Organization }) =>
        `organizationId: "${Organization}", idempotencyKey: "foreign", credits: "1", bucketKey: "purchased", reason: "r"`,
    ),
  ],
  'Mutation.revokeGrant': [
    inMutation('revokeGrant', ({ Lot }) => `lotId: "${Lot}", idempotencyKey: "foreign", reason: "r"`),
  ],
  'Mutation.unfreezeWallet': [
    inMutation('unfreezeWallet', ({ Organization }) => `organizationId: "${Organization}", reason: "r"`),
  ],
  'Mutation.refundPurchase': [
    inMutation('refundPurchase', ({ Purchase }) => `purchaseId: "${Purchase}", idempotencyKey: "foreign"`),
  ],
  'Mutation.adjustBalance': [
    inMutation(
      'adjustBalance',
      ({ Organization }) =>
        `organizationId: "${Organization}", idempotencyKey: "foreign", credits: "1", bucketKey: "purchased", reason: "r"`,
    ),
  ],
  'Mutation.applyCatalog': [],
  'Mutation.advanceTestClock': [
    inMutation('advanceTestClock', ({ Organization }) => `organizationId: "${Organization}", to: "${TOMORROW}"`),
  ],
  'Subscription.balanceChanged': [
    ({ Organization }) => `subscription { balanceChanged(organizationId: "${Organization}") { version } }`,
  ],
  'Subscription.activityAdded': [
    ({ Organization }) => `subscription { activityAdded(organizationId: "${Organization}") { cursor } }`,
  ],
  'Subscription.ledgerEntryPosted': [
    ({ Organization }) => `subscription { ledgerEntryPosted(organizationId: "${Organization}") { cursor } }`,
  ],
  'Subscription.lowBalance': [
    ({ Organization }) => `subscription { lowBalance(organizationId: "${Organization}") { cursor } }`,
  ],
};

/** `__typename`, and what a refusal says. */
const REFUSAL = '__typename ... on BillingError { code message httpStatus }';

function inMutation(field: string, input: (ids: IdsByType) => string): (ids: IdsByType) => string {
  return (ids) => `mutation { ${field}(input: { ${input(ids)} }) { ${REFUSAL} } }`;
}

const CHARGE = 'amount: "1", idempotencyKey: "foreign"';

function inEstimate(name: (ids: IdsByType) => string): (ids: IdsByType) => string {
  return (ids) => `{ estimate(input: { usage: [{ meter: "search" }], ${name(ids)} }) { ${REFUSAL} } }`;
}

function inDebit(name: (ids: IdsByType) => string): (ids: IdsByType) => string {
  return (ids) => `mutation { debit(input: { idempotencyKey: "foreign", amount: "1", ${name(ids)} }) { ${REFUSAL} } }`;
}

function inUsage(name: (ids: IdsByType) => { call?: string; event?: string }): (ids: IdsByType) => string {
  return (ids) => {
    const { call = '', event = '' } = name(ids);
    const events = `[{ idempotencyKey: "foreign", usage: { meter: "search" }, ${event} }]`;
    return `mutation { recordUsage(input: { ${call}, events: ${events} }) {
      ${REFUSAL} ... on RecordUsagePayload { accepted results { status error { code message } } }
    } }`;
  };
}

describe('what names something of another organization', () => {
  it('is tried at every root field and for every type', async () => {
    expect(Object.keys(NAMINGS).toSorted()).toEqual(await rootFields(gateway.as()));
    const types = await nodeTypes(gateway.as());
    expect(Object.keys(theirIds).toSorted()).toEqual(types.filter((type) => !OF_THE_CATALOG.includes(type)));
  });

  it.each(Object.entries(NAMINGS).filter(([, namings]) => namings.length > 0))(
    '%s answers as for what does not exist, and changes nothing',
    async (_field, namings) => {
      const tokens = [mine.secret, await anApiKey(gateway, mine.id, 'USAGE_WRITE'), await aMember(mine.id, 'OWNER')];
      const before = await stateOf(theirs);
      const own = await stateOf(mine);
      for (const naming of namings) {
        for (const token of tokens) {
          const [foreign, unknown] = [
            await ask(token, naming(theirIds)),
            await ask(token, naming(ofNothing(theirIds))),
          ];
          expect(foreign).toEqual(unknown);
        }
      }
      expect(await stateOf(theirs)).toEqual(before);
      expect(await stateOf(mine)).toEqual(own);
    },
  );

  it('is null in queries, NotFound in mutations and an error in subscriptions', async () => {
    const master = mine.secret;
    const { organizationId, packageId } = {
      organizationId: theirIds.Organization,
      packageId: encodeId('Package', 'starter'),
    };
    const ids = Object.values(theirIds).map((id) => `"${id}"`);
    const query = `{ organization(id: "${organizationId}") { id } nodes(ids: [${ids}]) { id } }`;
    expect(await ask(master, query)).toEqual({
      status: 200,
      errors: [],
      data: { organization: null, nodes: ids.map(() => null) },
    });
    const notFound = { __typename: 'NotFound', code: 'NOT_FOUND', httpStatus: 404 };
    for (const mutation of [
      `debit(input: { organizationId: "${organizationId}", idempotencyKey: "k", amount: "1" })`,
      `debit(input: { projectId: "${theirIds.Project}", idempotencyKey: "k", amount: "1" })`,
      `debit(input: { userId: "${theirIds.User}", idempotencyKey: "k", amount: "1" })`,
      `recordUsage(input: { organizationId: "${organizationId}", events: [{ idempotencyKey: "k", usage: { meter: "search" } }] })`,
      `purchasePackage(input: { organizationId: "${organizationId}", idempotencyKey: "k", packageId: "${packageId}" })`,
      `topUp(input: { organizationId: "${organizationId}", idempotencyKey: "k", credits: "10" })`,
      `configureAutoTopUp(input: { organizationId: "${organizationId}", enabled: true, threshold: "1", packageId: "${packageId}" })`,
      `setSpendLimit(input: { organizationId: "${organizationId}", scope: ORGANIZATION, window: DAY, credits: "1" })`,
      `setSpendLimit(input: { scope: API_KEY, apiKeyId: "${theirIds.ApiKey}", window: DAY, credits: "1" })`,
      `removeSpendLimit(input: { spendLimitId: "${theirIds.SpendLimit}" })`,
      `setAlert(input: { organizationId: "${organizationId}", threshold: "5" })`,
      `removeAlert(input: { alertId: "${theirIds.Alert}" })`,
      `setAllocation(input: { organizationId: "${organizationId}", projectId: "${theirIds.Project}", credits: "1" })`,
      `createPortalSession(input: { organizationId: "${organizationId}" })`,
      `createProject(input: { organizationId: "${organizationId}", key: "k", name: "N" })`,
      `updateOrganization(input: { organizationId: "${organizationId}", name: "N" })`,
      `inviteMember(input: { organizationId: "${organizationId}", email: "me@example.com", role: OWNER })`,
      `changeMemberRole(input: { membershipId: "${theirIds.Membership}", role: VIEWER })`,
      `removeMember(input: { membershipId: "${theirIds.Membership}" })`,
      `createApiKey(input: { organizationId: "${organizationId}", name: "N", master: true })`,
      `createApiKey(input: { projectId: "${theirIds.Project}", name: "N", scopes: [USAGE_WRITE] })`,
      `revokeApiKey(input: { apiKeyId: "${theirIds.ApiKey}" })`,
      `createWebhookEndpoint(input: { organizationId: "${organizationId}", url: "https://example.com", events: ["balance.changed"] })`,
      `updateWebhookEndpoint(input: { webhookEndpointId: "${theirIds.WebhookEndpoint}", enabled: false })`,
      `deleteWebhookEndpoint(input: { webhookEndpointId: "${theirIds.WebhookEndpoint}" })`,
      `rotateWebhookSecret(input: { webhookEndpointId: "${theirIds.WebhookEndpoint}" })`,
      `redeliverWebhook(input: { webhookDeliveryId: "${theirIds.WebhookDelivery}" })`,
      `authorize(input: { organizationId: "${organizationId}", idempotencyKey: "k", amount: "1" })`,
      `capture(input: { holdId: "${theirIds.Hold}", idempotencyKey: "k" })`,
      `release(input: { holdId: "${theirIds.Hold}", idempotencyKey: "k" })`,
      `extendHold(input: { holdId: "${theirIds.Hold}", idempotencyKey: "k", expiresInSeconds: 60 })`,
      `refund(input: { transactionId: "${theirIds.Transaction}", idempotencyKey: "k" })`,
      `cancelSubscription(input: { organizationId: "${organizationId}" })`,
      `resumeSubscription(input: { organizationId: "${organizationId}" })`,
      `redeemPromoCode(input: { organizationId: "${organizationId}", idempotencyKey: "k", code: "WELCOME" })`,
      `selectPlan(input: { organizationId: "${organizationId}", idempotencyKey: "k", planId: "${encodeId('Plan', 'free')}" })`,
    ]) {
      const answer = await ask(master, `mutation { it: ${mutation} { ${REFUSAL} } }`);
      expect(answer, mutation).toMatchObject({ data: { it: notFound } });
    }
    for (const stream of ['balanceChanged', 'ledgerEntryPosted', 'lowBalance', 'activityAdded']) {
      const answer = await ask(master, `subscription { ${stream}(organizationId: "${organizationId}") { cursor } }`);
      expect(answer, stream).toMatchObject({ errors: [{ extensions: { code: 'BAD_USER_INPUT' } }] });
    }
  });

  it('is found by nobody’s slug or list', async () => {
    const { data } = await mine.client.raw<{ organizations: { edges: { node: { id: string } }[] } }>(
      `{ organization(slug: "${theirs.slug}") { id } organizations(first: 100) { edges { node { id } } } }`,
    );
    expect(data).toEqual({ organization: null, organizations: { edges: [{ node: { id: mine.id } }] } });
    const stranger = gateway.as(await aToken(`stranger-${randomUUID()}`));
    expect(
      (await stranger.raw('{ organizations { edges { node { id } } } viewer { memberships { id } } }')).data,
    ).toEqual({
      organizations: { edges: [] },
      viewer: { memberships: [] },
    });
  });

  it('is found by no list even after a cursor of its own', async () => {
    const operator = gateway.as(gateway.demo.tokens.operator);
    const { data } = await operator.raw<{ organizations: { edges: { cursor: string }[] } }>(
      '{ organizations(first: 1) { edges { cursor } } }',
    );
    const after = data?.organizations.edges[0]?.cursor;
    const answer = await mine.client.raw(`{ organizations(after: "${after}") { edges { node { id } } } }`);
    expect(answer.data).toEqual({ organizations: { edges: [{ node: { id: mine.id } }] } });
  });

  it('is NotFound to an operator only where it does not exist', async () => {
    const operator = gateway.demo.tokens.operator;
    for (const [organizationId, typename] of [
      [mine.id, 'GrantPayload'],
      [encodeId('Organization', randomUUID()), 'NotFound'],
    ]) {
      const input = `organizationId: "${organizationId}", idempotencyKey: "${aKey()}", credits: "1", bucketKey: "promotional", reason: "r"`;
      const answer = await ask(operator, `mutation { grantCredits(input: { ${input} }) { __typename } }`);
      expect(answer).toMatchObject({ data: { grantCredits: { __typename: typename } } });
    }
  });

  it('has idempotency keys of its own: the same key means nothing here', async () => {
    const input = { idempotencyKey: aKey(), amount: '1' };
    await theirs.client.run(DebitDocument, { input });
    const { debit: answer } = await mine.client.run(DebitDocument, { input: { ...input, amount: '2' } });
    expect(answer).toMatchObject({ __typename: 'DebitPayload', replayed: false, usage: { credits: '2' } });
    await expectSoundBooks(gateway.database, mine.id);
  });
});

describe('ids that are none', () => {
  const uuid = randomUUID();
  const malformed = (): string[] => [
    '',
    'x',
    '💥',
    uuid,
    '1',
    `${theirIds.Organization}=`,
    `${theirIds.Organization}\n`,
    encodeId('Organization', ''),
    encodeId('Organization', uuid.toUpperCase()),
    encodeId('Organization', '-'.repeat(36)),
    encodeId('Organization', "' OR '1'='1"),
    encodeId('Organization', `${uuid}\0`),
    encodeId('organization', uuid),
    encodeId('__proto__', uuid),
    encodeId('constructor', uuid),
    encodeId('Activity', `${'-'.repeat(36)}.1`),
    encodeId('Activity', `${uuid}.${'9'.repeat(30)}`),
    encodeId('LedgerEntry', `${'-'.repeat(36)}.1`),
    encodeId('LedgerEntry', `${uuid}.${'9'.repeat(30)}`),
    encodeId('User', 'a\0b'),
    encodeId('Plan', '__proto__'),
    encodeId('Package', 'toString'),
    'A'.repeat(100_000),
  ];

  it('are null to node and nodes', async () => {
    const ids = malformed();
    const { data, errors } = await mine.client.raw('query($ids: [ID!]!) { nodes(ids: $ids) { id } }', { ids });
    expect(errors).toEqual([]);
    expect(data).toEqual({ nodes: ids.map(() => null) });
    for (const id of ids) {
      const answer = await mine.client.raw('query($id: ID!) { node(id: $id) { id } organization(id: $id) { id } }', {
        id,
      });
      expect(answer, id).toEqual({ status: 200, errors: [], data: { node: null, organization: null } });
    }
  });

  it('are refused in mutations as what does not exist, those of another type too', async () => {
    const types = Object.entries(theirIds).filter(([type]) => type !== 'Organization');
    const ownProject = await aProject(mine.client);
    for (const id of [...malformed(), ...types.map(([, other]) => other), ownProject]) {
      const { data, errors } = await mine.client.raw(
        `mutation($id: ID!) {
          a: debit(input: { organizationId: $id, idempotencyKey: "m", amount: "1" }) { ${REFUSAL} }
          b: createProject(input: { organizationId: $id, key: "m", name: "M" }) { ${REFUSAL} }
          c: revokeApiKey(input: { apiKeyId: $id }) { ${REFUSAL} }
          d: purchasePackage(input: { packageId: $id, idempotencyKey: "m" }) { ${REFUSAL} }
          e: debit(input: { userId: $id, idempotencyKey: "m", amount: "1" }) { ${REFUSAL} }
        }`,
        { id },
      );
      expect(errors).toEqual([]);
      for (const [field, answer] of Object.entries(data ?? {})) {
        expect(answer, `${field}: ${id}`).toMatchObject({ __typename: 'NotFound' });
      }
    }
  });

  it('find no entries in the ledger’s filter by actor', async () => {
    for (const actorId of [...malformed(), theirIds.ApiKey, theirIds.User, theirIds.Wallet]) {
      const { data, errors } = await mine.client.raw(
        `query($actorId: ID) { organization(slug: "${mine.slug}") { wallet {
          ledger(filter: { actorId: $actorId }) { edges { cursor } }
        } } }`,
        { actorId },
      );
      expect(errors, actorId).toEqual([]);
      expect(data, actorId).toEqual({ organization: { wallet: { ledger: { edges: [] } } } });
    }
  });
});

describe('a key that only charges', () => {
  const SEEN = `__typename ... on DebitPayload {
    transaction { id kind amount lines { meter credits } entries { id } }
    usage { credits lines { meter credits } } availableCredits wallet { balance } replayed
  }`;

  it('sees what its own call did, and nothing of the wallet', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '10' } });
    const client = gateway.as(await anApiKey(gateway, organization.id, 'USAGE_WRITE'));
    const usage = '[{ meter: "scrape", quantity: 3 }]';
    const { data, errors } = await client.raw<{ debit: { transaction: { id: string } } }>(
      `mutation { debit(input: { idempotencyKey: "own", usage: ${usage} }) { ${SEEN} } }`,
    );
    expect(errors).toEqual([]);
    const lines = [{ meter: 'scrape', credits: '3' }];
    const id = data?.debit.transaction.id;
    expect(data?.debit).toEqual({
      __typename: 'DebitPayload',
      transaction: { id, kind: 'DEBIT', amount: '-3', lines, entries: null },
      usage: { credits: '3', lines },
      availableCredits: '7',
      wallet: null,
      replayed: false,
    });
    const seen = await client.raw(
      `{ node(id: "${id}") { ... on Transaction { amount lines { meter credits } entries { id } } }
         organization(slug: "${organization.slug}") { name wallet { id } subscription { id } purchases { pageInfo { endCursor } } statements { id } } }`,
    );
    expect(seen).toEqual({
      status: 200,
      errors: [],
      data: {
        node: { amount: '-3', lines, entries: null },
        organization: { name: organization.slug, wallet: null, subscription: null, purchases: null, statements: null },
      },
    });
  });

  it('sees the transactions of its events, with their lines', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '10' } });
    const client = gateway.as(await anApiKey(gateway, organization.id, 'USAGE_WRITE'));
    const { data, errors } = await client.raw(
      `mutation { recordUsage(input: { events: [{ idempotencyKey: "e", usage: { meter: "search" } }] }) {
        ... on RecordUsagePayload { availableCredits results { transaction { amount entries { id } lines { meter } } } }
      } }`,
    );
    expect(errors).toEqual([]);
    expect(data).toEqual({
      recordUsage: {
        availableCredits: '9',
        results: [{ transaction: { amount: '-1', entries: null, lines: [{ meter: 'search' }] } }],
      },
    });
  });

  it('sees the transactions of nobody else in its organization', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '10' } });
    const secrets = [
      await anApiKey(gateway, organization.id, 'USAGE_WRITE'),
      await anApiKey(gateway, organization.id, 'USAGE_WRITE'),
    ];
    const [first, second] = secrets.map((secret) => gateway.as(secret));
    if (!first || !second) throw new Error('two keys were made');
    const [ofFirst, ofSecond, ofMaster] = [await debit(first), await debit(second), await debit(organization.client)];
    const see = (client: TestClient) =>
      client.raw('query($ids: [ID!]!) { nodes(ids: $ids) { id } }', { ids: [ofFirst, ofSecond, ofMaster] });
    expect((await see(first)).data).toEqual({ nodes: [{ id: ofFirst }, null, null] });
    expect((await see(second)).data).toEqual({ nodes: [null, { id: ofSecond }, null] });
    expect((await see(organization.client)).data).toEqual({
      nodes: [{ id: ofFirst }, { id: ofSecond }, { id: ofMaster }],
    });
  });

  it('reads itself and no other key, and is no person', async () => {
    const organization = await anOrganization(gateway);
    const client = gateway.as(await anApiKey(gateway, organization.id, 'USAGE_WRITE'));
    const { data } = await client.raw<{ viewer: { apiKey: { id: string } } }>(
      '{ viewer { kind scopes user { id } memberships { id } apiKey { id name } } }',
    );
    const own = data?.viewer.apiKey.id;
    expect(data?.viewer).toEqual({
      kind: 'API_KEY',
      scopes: ['USAGE_WRITE'],
      user: null,
      memberships: [],
      apiKey: { id: own, name: 'test' },
    });
    const keys = await organization.client.raw<{ organization: { apiKeys: { edges: { node: { id: string } }[] } } }>(
      `{ organization(slug: "${organization.slug}") { apiKeys { edges { node { id } } } } }`,
    );
    const ids = keys.data?.organization.apiKeys.edges.map((edge) => edge.node.id) ?? [];
    expect(ids).toHaveLength(2);
    const seen = await client.raw('query($ids: [ID!]!) { nodes(ids: $ids) { id } }', { ids });
    expect(seen.data).toEqual({ nodes: ids.map((id) => (id === own ? { id } : null)) });
  });
});

describe('a key bound to a project', () => {
  /** Two projects and a key of the given kind for the first. */
  async function aBoundKey(kind: string) {
    const organization = await anOrganization(gateway, { credits: { purchased: '100' } });
    const [own, other] = [await aProject(organization.client), await aProject(organization.client)];
    const { data } = await organization.client.raw<{ createApiKey: { secret: string } }>(
      `mutation { createApiKey(input: { name: "bound", projectId: "${own}", ${kind} }) { ... on CreateApiKeyPayload { secret } } }`,
    );
    const client = gateway.as(data?.createApiKey.secret);
    return { organization, own, other, client };
  }

  const projectsCharged = async ({ id }: Given) =>
    (
      await query<{ project_id: string | null }>(
        gateway.database,
        `SELECT project_id FROM ledger_transaction t JOIN wallet w ON w.id = t.wallet_id
         WHERE w.organization_id = $1 AND kind = 'DEBIT' ORDER BY t.id`,
        [decodeId('Organization', id)],
      )
    ).map((row) => row.project_id);

  it('charges that project, named or not', async () => {
    const { organization, own, client } = await aBoundKey('scopes: [USAGE_WRITE]');
    await debit(client);
    await debit(client, { projectId: own });
    await client.raw(
      'mutation { recordUsage(input: { events: [{ idempotencyKey: "e", usage: { meter: "search" } }] }) { __typename } }',
    );
    const project = decodeId('Project', own);
    expect(await projectsCharged(organization)).toEqual([project, project, project]);
  });

  it('charges no other: that does not exist for it', async () => {
    const { organization, other, client } = await aBoundKey('scopes: [USAGE_WRITE]');
    const charge = (projectId: string) =>
      client.raw(`mutation {
        debit(input: { idempotencyKey: "d", amount: "1", projectId: "${projectId}" }) { ${REFUSAL} }
        recordUsage(input: { events: [{ idempotencyKey: "e", usage: { meter: "search" }, projectId: "${projectId}" }] }) {
          ... on RecordUsagePayload { accepted results { status error { code message } } }
        }
      }`);
    const refused = await charge(other);
    expect(refused).toMatchObject({
      data: {
        debit: { __typename: 'NotFound' },
        recordUsage: { accepted: 0, results: [{ status: 'REJECTED', error: { code: 'NOT_FOUND' } }] },
      },
    });
    expect(await charge(encodeId('Project', randomUUID()))).toEqual(refused);
    expect(await charge(theirIds.Project ?? '')).toEqual(refused);
    expect(await projectsCharged(organization)).toEqual([]);
  });

  it('makes keys for that project only, also where it is a master key', async () => {
    const { own, other, client } = await aBoundKey('master: true');
    const make = (projectId: string) =>
      client.raw(
        `mutation { createApiKey(input: { name: "N", scopes: [USAGE_WRITE] ${projectId} }) {
          ${REFUSAL} ... on CreateApiKeyPayload { apiKey { project { id } } }
        } }`,
      );
    const bound = { createApiKey: { __typename: 'CreateApiKeyPayload', apiKey: { project: { id: own } } } };
    expect((await make('')).data).toEqual(bound);
    expect((await make(`, projectId: "${own}"`)).data).toEqual(bound);
    expect((await make(', projectId: null')).data).toEqual(bound);
    expect((await make(`, projectId: "${other}"`)).data).toMatchObject({ createApiKey: { __typename: 'NotFound' } });
  });
});

describe('a person', () => {
  it('may in each organization what their role there allows, whatever they are elsewhere', async () => {
    const userId = `user-${randomUUID()}`;
    const [owned, viewed] = [await aFurnishedOrganization(), await aFurnishedOrganization()];
    await aMember(owned.id, 'OWNER', { userId });
    const client = gateway.as(await aMember(viewed.id, 'VIEWER', { userId }));
    const charge = (id: string) =>
      client.raw(
        `mutation { debit(input: { organizationId: "${id}", idempotencyKey: "${aKey()}", amount: "1" }) { __typename } }`,
      );
    expect((await charge(owned.id)).data).toEqual({ debit: { __typename: 'DebitPayload' } });
    const before = await stateOf(viewed);
    for (const mutation of [
      `debit(input: { organizationId: "${viewed.id}", idempotencyKey: "v", amount: "1" })`,
      `recordUsage(input: { organizationId: "${viewed.id}", events: [{ idempotencyKey: "v", usage: { meter: "search" } }] })`,
      `recordUsage(input: { organizationId: "${owned.id}", events: [{ organizationId: "${viewed.id}", idempotencyKey: "v", usage: { meter: "search" } }] })`,
      `purchasePackage(input: { organizationId: "${viewed.id}", idempotencyKey: "v", packageId: "${encodeId('Package', 'starter')}" })`,
      `configureAutoTopUp(input: { organizationId: "${viewed.id}", enabled: true, threshold: "1", packageId: "${encodeId('Package', 'starter')}" })`,
      `setSpendLimit(input: { organizationId: "${viewed.id}", scope: ORGANIZATION, window: DAY, credits: "1" })`,
      `removeSpendLimit(input: { spendLimitId: "${(await idsOf(viewed.client, viewed.slug)).SpendLimit}" })`,
      `setAlert(input: { organizationId: "${viewed.id}", threshold: "5" })`,
      `removeAlert(input: { alertId: "${(await idsOf(viewed.client, viewed.slug)).Alert}" })`,
      `createProject(input: { organizationId: "${viewed.id}", key: "k", name: "N" })`,
      `createApiKey(input: { organizationId: "${viewed.id}", name: "N", master: true })`,
      `revokeApiKey(input: { apiKeyId: "${(await idsOf(viewed.client, viewed.slug)).ApiKey}" })`,
    ]) {
      const { errors } = await client.raw(`mutation { it: ${mutation} { __typename } }`);
      expect(errors[0]?.extensions.code, mutation).toBe('FORBIDDEN');
    }
    expect(await stateOf(viewed)).toEqual(before);
    const { data } = await client.raw(
      `{ a: organization(slug: "${owned.slug}") { wallet { balance } } b: organization(slug: "${viewed.slug}") { wallet { balance } } }`,
    );
    expect(data).toEqual({ a: { wallet: { balance: '148' } }, b: { wallet: { balance: '149' } } });
  });

  it('sees the checkout of a purchase only where they may buy', async () => {
    const organization = await aFurnishedOrganization();
    const read = async (role: string) => {
      const { data } = await gateway
        .as(await aMember(organization.id, role))
        .raw<{ organization: { purchases: { edges: { node: { checkoutUrl: string | null } }[] } } }>(
          `{ organization(slug: "${organization.slug}") { purchases { edges { node { status checkoutUrl } } } } }`,
        );
      return data?.organization.purchases.edges[0]?.node.checkoutUrl;
    };
    expect(await read('VIEWER')).toBeNull();
    expect(await read('ADMIN')).toBeNull();
    expect(await read('OWNER')).toMatch(/\/checkout\/sandbox\/[\w-]{22,}$/);
  });

  it('reaches no foreign wallet through nested paths', async () => {
    const organization = await aFurnishedOrganization();
    const client = gateway.as(await aMember(organization.id, 'VIEWER'));
    const { data, errors } = await client.raw<Record<string, unknown>>(
      `{ viewer { memberships { organization { id wallet { id lots { edges { node { purchase { organization { id wallet { id } } } } } } } } } }
         organization(slug: "${organization.slug}") {
           members { edges { node { organization { id } user { id } } } }
           purchases { edges { node { organization { id wallet { id } } actor { ... on ApiKey { id } } } } }
           wallet { ledger { edges { node { transaction { entries { lot { purchase { organization { id } } } actor { ... on User { id } } } } } } } }
         } }`,
    );
    expect(errors).toEqual([]);
    const organizations = [...JSON.stringify(data).matchAll(/"organization":{"id":"([^"]+)"/g)].map(
      (match) => match[1],
    );
    expect(new Set(organizations)).toEqual(new Set([organization.id]));
  });

  it('with EARMARK_ONLY sees the organization and nothing of its books, on any path', async () => {
    const organization = await aFurnishedOrganization();
    const ids = await idsOf(organization.client, organization.slug);
    const client = gateway.as(await aMember(organization.id, 'ADMIN', { balanceAccess: 'EARMARK_ONLY' }));
    const books = `wallet { id } subscription { id } purchases { pageInfo { endCursor } } auditTrail { pageInfo { endCursor } } spendLimits { id } statements { id } activity { pageInfo { endCursor } }`;
    const nothing = {
      wallet: null,
      subscription: null,
      purchases: null,
      auditTrail: null,
      spendLimits: null,
      statements: null,
      activity: null,
    };
    const { data, errors } = await client.raw(
      `query($ids: [ID!]!) {
        viewer { memberships { balanceAccess organization { id ${books} } } }
        organization(slug: "${organization.slug}") { id ${books} }
        nodes(ids: $ids) { __typename }
      }`,
      {
        ids: [
          'Wallet',
          'Bucket',
          'Lot',
          'LedgerEntry',
          'Transaction',
          'Purchase',
          'PlanSubscription',
          'AuditRecord',
          'SpendLimit',
          'Statement',
          'Activity',
          'Alert',
          'Allocation',
          'WebhookEndpoint',
          'WebhookDelivery',
        ].map((type) => ids[type]),
      },
    );
    expect(errors).toEqual([]);
    expect(data).toEqual({
      viewer: { memberships: [{ balanceAccess: 'EARMARK_ONLY', organization: { id: organization.id, ...nothing } }] },
      organization: { id: organization.id, ...nothing },
      nodes: Array.from({ length: 15 }, () => null),
    });
  });

  it('with EARMARK_ONLY watches nothing, be they somebody elsewhere or not', async () => {
    const [owned, narrowed] = [await anOrganization(gateway), await anOrganization(gateway)];
    const userId = `user-${randomUUID()}`;
    await aMember(owned.id, 'OWNER', { userId });
    const tokens = [
      await aMember(narrowed.id, 'ADMIN', { userId, balanceAccess: 'EARMARK_ONLY' }),
      await aMember(narrowed.id, 'ADMIN', { balanceAccess: 'EARMARK_ONLY' }),
    ];
    for (const token of tokens) {
      for (const stream of ['balanceChanged', 'ledgerEntryPosted', 'lowBalance', 'activityAdded']) {
        const answer = await ask(token, `subscription { ${stream}(organizationId: "${narrowed.id}") { cursor } }`);
        expect(answer).toMatchObject({ errors: [{ extensions: { code: 'FORBIDDEN' } }] });
      }
    }
  });
});

describe('inputs that assign more than they may', () => {
  it.each([
    'createOrganization(input: { slug: "s", name: "N", role: OWNER })',
    'createOrganization(input: { slug: "s", name: "N", balance: "100" })',
    'createProject(input: { key: "k", name: "N", id: "x" })',
    'createApiKey(input: { name: "N", scopes: [USAGE_WRITE], secret: "psk_x" })',
    'debit(input: { idempotencyKey: "k", amount: "1", actorId: "x" })',
    'debit(input: { idempotencyKey: "k", amount: "1", walletId: "x" })',
  ])('are refused: %s', async (mutation) => {
    const before = await stateOf(mine);
    const { data, errors } = await mine.client.raw(`mutation { ${mutation} { __typename } }`);
    expect(data).toBeNull();
    expect(errors[0]?.extensions.code).toBe('BAD_USER_INPUT');
    expect(await stateOf(mine)).toEqual(before);
  });
});
