/**
 * Every mutation leaves one record: who, what it was, what it became, and the request that the log names. What charges
 * usage leaves none: it is in the ledger with its actor.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeId, encodeId } from '../../src/graphql/ids.ts';
import { query } from '../support/books.ts';
import { demoWith } from '../support/catalog-files.ts';
import { startTestGateway, type TestClient, type TestGateway } from '../support/gateway.ts';
import { aKey, anOrganization, type Given, grant } from '../support/given.ts';
import { aPerson, JWT_SECRET, type Person } from '../support/people.ts';
import { begun } from '../support/purchases.ts';
import { aProject, authorize, charge } from '../support/usage.ts';
import { collect } from '../support/webhook-receiver.ts';
import { fieldsOf } from './ids.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway({ env: { PURSER_JWT_SECRET: JWT_SECRET } });
});
afterAll(() => gateway[Symbol.asyncDispose]());

interface AuditRow {
  readonly action: string;
  readonly actor: string;
  readonly organization_id: string | null;
  readonly before: object | null;
  readonly after: object | null;
}

/** The records of one request. */
const recordsOf = (requestId: string) =>
  query<AuditRow>(
    gateway.database,
    'SELECT action, actor_kind AS actor, organization_id, before, after FROM audit_record WHERE request_id = $1',
    [requestId],
  );

/** Sends a mutation under a request id of its own. */
async function send(token: string, name: string, input: object) {
  const requestId = `audit-${randomUUID()}`;
  const type = `${name.charAt(0).toUpperCase()}${name.slice(1)}Input`;
  const selection = FIELDS[name] ?? '';
  const response = await fetch(gateway.gateway.endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}`, 'x-request-id': requestId },
    body: JSON.stringify({
      query: `mutation($input: ${type}!) { ${name}(input: $input) { __typename ${selection} ... on BillingError { message } } }`,
      variables: { input },
    }),
  });
  const { data, errors } = (await response.json()) as {
    data?: Record<string, Record<string, unknown>>;
    errors?: unknown;
  };
  const answer = data?.[name];
  if (!answer || 'message' in answer) throw new Error(JSON.stringify({ name, input, answer, errors }));
  return { answer, requestId };
}

/** What else is asked of an answer: what must not be on record. */
const FIELDS: Readonly<Record<string, string>> = {
  createApiKey: '... on CreateApiKeyPayload { secret apiKey { id } }',
  inviteMember: '... on InviteMemberPayload { invitationToken membership { id } }',
  createPortalSession: '... on PortalSessionPayload { url }',
  createWebhookEndpoint: '... on CreateWebhookEndpointPayload { secret webhookEndpoint { id } }',
  rotateWebhookSecret: '... on CreateWebhookEndpointPayload { secret }',
  setSpendLimit: '... on SpendLimitPayload { spendLimit { id } }',
  setAlert: '... on AlertPayload { alert { id } }',
};

/** One call, and its record. */
interface Case {
  readonly input: object;
  readonly by?: string;
  readonly actor?: string;
  readonly before: object | null;
  readonly after: object | null;
  /** Of no organization. */
  readonly isOfAll?: boolean;
  /** An organization that is there only after the call. */
  readonly isFounding?: boolean;
}

const operator = () => gateway.demo.tokens.operator;
const keyed = () => ({ idempotencyKey: aKey() });
const raw = (type: Parameters<typeof encodeId>[0], id: unknown) => decodeId(type, String(id));
const free = { subscriptionId: expect.any(String), planKey: 'free', status: 'ACTIVE' };

async function invited(given: Given): Promise<{ token: string; membershipId: string }> {
  const { answer } = await send(given.secret, 'inviteMember', { email: `${aKey()}@example.com`, role: 'EDITOR' });
  const { id } = answer.membership as { id: string };
  return { token: String(answer.invitationToken), membershipId: id };
}

async function member(given: Given): Promise<{ person: Person; membershipId: string }> {
  const [person, { token, membershipId }] = [await aPerson(gateway), await invited(given)];
  await send(person.token, 'acceptInvitation', { token });
  return { person, membershipId };
}

async function paid(given: Given): Promise<string> {
  const { id, checkoutUrl } = await begun(given);
  await fetch(`${checkoutUrl}/pay`, { method: 'POST' });
  return id;
}

async function aGrantedLot(given: Given): Promise<string> {
  await grant(gateway, given.id, 'promotional', '3');
  const [row] = await query<{ id: string }>(
    gateway.database,
    `SELECT l.id FROM lot l JOIN wallet w ON w.id = l.wallet_id WHERE w.organization_id = $1 AND l.granted_micros = 3000000`,
    [decodeId('Organization', given.id)],
  );
  return encodeId('Lot', row?.id ?? '');
}

async function anEndpoint({ secret }: Given): Promise<{ id: string; webhookEndpointId: string }> {
  const { answer } = await send(secret, 'createWebhookEndpoint', {
    url: 'https://example.com/hook',
    events: ['balance.changed'],
  });
  const { id } = answer.webhookEndpoint as { id: string };
  return { id, webhookEndpointId: raw('WebhookEndpoint', id) };
}

/** Each mutation that is no usage charge. */
const CASES: Readonly<Record<string, (given: Given) => Promise<Case> | Case>> = {
  createOrganization: () => {
    const slug = `a-${randomUUID()}`;
    return {
      input: { slug, name: 'New' },
      by: operator(),
      actor: 'OPERATOR',
      before: null,
      after: { slug, name: 'New' },
      isFounding: true,
    };
  },
  updateOrganization: ({ slug }) => ({ input: { name: 'Other' }, before: { name: slug }, after: { name: 'Other' } }),
  createProject: () => ({
    input: { key: 'p', name: 'P' },
    before: null,
    after: { projectId: expect.any(String), key: 'p', name: 'P' },
  }),
  inviteMember: () => ({
    input: { email: 'kim@example.com', role: 'VIEWER' },
    before: null,
    after: { membershipId: expect.any(String), email: 'kim@example.com', role: 'VIEWER', balanceAccess: 'FULL' },
  }),
  acceptInvitation: async (given) => {
    const { token, membershipId } = await invited(given);
    const id = raw('Membership', membershipId);
    const { token: by } = await aPerson(gateway);
    return {
      ...{ input: { token }, by, actor: 'USER' },
      before: { membershipId: id, status: 'INVITED' },
      after: { membershipId: id, status: 'ACTIVE', role: 'EDITOR' },
    };
  },
  changeMemberRole: async (given) => {
    const { membershipId } = await member(given);
    const id = raw('Membership', membershipId);
    return {
      input: { membershipId, role: 'ADMIN' },
      before: { membershipId: id, role: 'EDITOR' },
      after: { membershipId: id, role: 'ADMIN' },
    };
  },
  removeMember: async (given) => {
    const { membershipId } = await member(given);
    const id = raw('Membership', membershipId);
    return {
      input: { membershipId },
      before: { membershipId: id, role: 'EDITOR', status: 'ACTIVE' },
      after: { membershipId: id, status: 'REMOVED' },
    };
  },
  createApiKey: () => ({
    input: { name: 'k', scopes: ['USAGE_WRITE'] },
    before: null,
    after: { keyId: expect.any(String), name: 'k', master: false, scopes: ['USAGE_WRITE'], projectId: null },
  }),
  revokeApiKey: async ({ secret }) => {
    const { answer } = await send(secret, 'createApiKey', { name: 'k', scopes: ['USAGE_WRITE'] });
    const { id } = answer.apiKey as { id: string };
    const keyId = raw('ApiKey', id);
    return {
      input: { apiKeyId: id },
      before: { keyId, revokedAt: null },
      after: { keyId, revokedAt: expect.any(String) },
    };
  },
  purchasePackage: () => ({
    input: { packageId: encodeId('Package', 'growth'), ...keyed() },
    before: null,
    after: { purchaseId: expect.any(String) },
  }),
  topUp: async ({ id }) => {
    // The free plan has none.
    await query(gateway.database, "UPDATE plan_subscription SET plan_key = 'team' WHERE organization_id = $1", [
      decodeId('Organization', id),
    ]);
    return { input: { credits: '100', ...keyed() }, before: null, after: { purchaseId: expect.any(String) } };
  },
  configureAutoTopUp: async ({ secret }) => {
    const packageId = encodeId('Package', 'growth');
    await send(secret, 'configureAutoTopUp', { enabled: true, threshold: '5', packageId });
    return {
      input: { enabled: false, threshold: '7' },
      before: { enabled: true, threshold: '5', packageKey: 'growth' },
      after: { enabled: false, threshold: '7', packageKey: 'growth' },
    };
  },
  setAllocation: async (given) => {
    const projectId = await aProject(given, 'team');
    await send(given.secret, 'setAllocation', { projectId, credits: '5' });
    const whom = { projectId: raw('Project', projectId) };
    return {
      input: { projectId, credits: '8', exclusive: true },
      before: { ...whom, credits: '5', exclusive: false },
      after: { ...whom, credits: '8', exclusive: true },
    };
  },
  setSpendLimit: async ({ secret }) => {
    await send(secret, 'setSpendLimit', { scope: 'ORGANIZATION', window: 'DAY', credits: '5' });
    const limit = { spendLimitId: expect.any(String), scope: 'ORGANIZATION', window: 'DAY' };
    return {
      input: { scope: 'ORGANIZATION', window: 'DAY', credits: '8' },
      before: { ...limit, credits: '5' },
      after: { ...limit, credits: '8' },
    };
  },
  removeSpendLimit: async ({ secret }) => {
    const { answer } = await send(secret, 'setSpendLimit', { scope: 'ORGANIZATION', window: 'DAY', credits: '5' });
    const { id } = answer.spendLimit as { id: string };
    return {
      input: { spendLimitId: id },
      before: { spendLimitId: raw('SpendLimit', id), scope: 'ORGANIZATION', credits: '5' },
      after: null,
    };
  },
  setAlert: () => ({ input: { percent: 7 }, before: null, after: { alertId: expect.any(String), percent: 7 } }),
  removeAlert: async ({ secret }) => {
    const { answer } = await send(secret, 'setAlert', { threshold: '5' });
    const { id } = answer.alert as { id: string };
    const alertId = raw('Alert', id);
    return { input: { alertId: id }, before: { alertId, threshold: '5' }, after: { alertId, removed: true } };
  },
  createWebhookEndpoint: () => ({
    input: { url: 'https://example.com/hook', events: ['balance.low'] },
    before: null,
    after: { webhookEndpointId: expect.any(String), url: 'https://example.com/hook', events: ['balance.low'] },
  }),
  updateWebhookEndpoint: async (given) => {
    const { id, webhookEndpointId } = await anEndpoint(given);
    return {
      input: { webhookEndpointId: id, enabled: false },
      before: { webhookEndpointId, enabled: true },
      after: { webhookEndpointId, enabled: false },
    };
  },
  deleteWebhookEndpoint: async (given) => {
    const { id, webhookEndpointId } = await anEndpoint(given);
    return {
      input: { webhookEndpointId: id },
      before: { webhookEndpointId, url: 'https://example.com/hook' },
      after: null,
    };
  },
  rotateWebhookSecret: async (given) => {
    const { id, webhookEndpointId } = await anEndpoint(given);
    return { input: { webhookEndpointId: id }, before: null, after: { webhookEndpointId } };
  },
  redeliverWebhook: async (given) => {
    const { webhookEndpointId } = await anEndpoint(given);
    await charge(given.client, { amount: '1' });
    await collect(gateway.gateway.services);
    const [row] = await query<{ id: string }>(
      gateway.database,
      'SELECT id FROM webhook_delivery WHERE endpoint_id = $1',
      [webhookEndpointId],
    );
    return {
      input: { webhookDeliveryId: encodeId('WebhookDelivery', row?.id ?? '') },
      before: null,
      after: { webhookDeliveryId: row?.id, webhookEndpointId },
    };
  },
  selectPlan: () => ({
    input: { planId: encodeId('Plan', 'scale'), when: 'NOW', ...keyed() },
    before: free,
    after: { purchaseId: expect.any(String), planKey: 'scale', when: 'NOW' },
  }),
  cancelSubscription: () => ({
    input: {},
    before: { ...free, cancelAtPeriodEnd: false },
    after: { ...free, cancelAtPeriodEnd: true, atPeriodEnd: true },
  }),
  resumeSubscription: async ({ secret }) => {
    await send(secret, 'cancelSubscription', {});
    return {
      input: {},
      before: { ...free, cancelAtPeriodEnd: true },
      after: { ...free, cancelAtPeriodEnd: false },
    };
  },
  redeemPromoCode: () => ({
    input: { code: 'WELCOME', ...keyed() },
    before: { balance: '2150' },
    after: { transactionId: expect.any(String), code: 'WELCOME', balance: '2250' },
  }),
  createPortalSession: () => ({ input: {}, before: null, after: null }),
  refund: async ({ client }) => {
    const transactionId = await charge(client, { amount: '4' });
    return {
      input: { transactionId, amount: '3', reason: 'slow', ...keyed() },
      before: { balance: '2146' },
      after: { refundedId: raw('Transaction', transactionId), credits: '3', reason: 'slow', balance: '2149' },
    };
  },
  grantCredits: ({ id: organizationId }) => ({
    ...{ input: { organizationId, credits: '2', bucketKey: 'promotional', reason: 'r', ...keyed() }, by: operator() },
    actor: 'OPERATOR',
    before: { balance: '2150' },
    after: { credits: '2', bucketKey: 'promotional', reason: 'r', balance: '2152' },
  }),
  adjustBalance: ({ id: organizationId }) => ({
    ...{ input: { organizationId, credits: '-2', bucketKey: 'purchased', reason: 'r', ...keyed() }, by: operator() },
    actor: 'OPERATOR',
    before: { balance: '2150' },
    after: { credits: '-2', bucketKey: 'purchased', reason: 'r', balance: '2148' },
  }),
  revokeGrant: async (given) => {
    const lotId = await aGrantedLot(given);
    return {
      ...{ input: { lotId, reason: 'r', ...keyed() }, by: operator(), actor: 'OPERATOR' },
      before: { balance: '2153' },
      after: { lotId: raw('Lot', lotId), credits: '-3', reason: 'r', balance: '2150' },
    };
  },
  refundPurchase: async (given) => {
    const purchaseId = await paid(given);
    const id = raw('Purchase', purchaseId);
    return {
      ...{ input: { purchaseId, reason: 'r', ...keyed() }, by: operator(), actor: 'OPERATOR' },
      before: { purchaseId: id, status: 'PAID', refundRequestedAt: null },
      after: { purchaseId: id, reason: 'r', refundRequestedAt: expect.any(String) },
    };
  },
  unfreezeWallet: async ({ id: organizationId }) => {
    await query(gateway.database, 'UPDATE wallet SET frozen_at = now() WHERE organization_id = $1', [
      decodeId('Organization', organizationId),
    ]);
    return {
      ...{ input: { organizationId, reason: 'mended' }, by: operator(), actor: 'OPERATOR' },
      before: { frozenAt: expect.any(String) },
      after: { frozenAt: null, reason: 'mended' },
    };
  },
  applyCatalog: () => ({
    ...{ input: { yaml: demoWith(['amountMinor: 2900', 'amountMinor: 3100']) }, by: operator(), actor: 'OPERATOR' },
    before: { rateCardVersion: 1 },
    after: { rateCardVersion: 2, changes: 1 },
    isOfAll: true,
  }),
  advanceTestClock: ({ id: organizationId }) => ({
    ...{ input: { organizationId, to: '2060-01-01T00:00:00.000Z' }, by: operator(), actor: 'OPERATOR' },
    before: { now: expect.any(String) },
    after: { to: '2060-01-01T00:00:00.000Z' },
  }),
};

/** In the ledger with its actor, or in the hold that it is of. */
const CHARGES = ['authorize', 'capture', 'debit', 'extendHold', 'recordUsage', 'release'];

describe('the audit trail', () => {
  it('is asked about every mutation there is', async () => {
    const mutations = await fieldsOf(gateway.as(operator()), 'Mutation');
    expect([...Object.keys(CASES), ...CHARGES].toSorted()).toEqual(mutations);
  });

  it.each(Object.entries(CASES))('has one record of %s', async (name, prepare) => {
    const given = await anOrganization(gateway, { plan: 'free', credits: { purchased: '50' } });
    const { input, by = given.secret, actor = 'API_KEY', before, after, isOfAll, isFounding } = await prepare(given);
    const { answer, requestId } = await send(by, name, input);
    const records = await recordsOf(requestId);
    const organizationId = isFounding ? expect.any(String) : decodeId('Organization', given.id);
    expect(records).toEqual([
      {
        action: name,
        actor,
        organization_id: isOfAll ? null : organizationId,
        before: before && expect.objectContaining(before),
        after: after && expect.objectContaining(after),
      },
    ]);
    const text = JSON.stringify(records);
    for (const secret of [answer.secret, answer.invitationToken, answer.url, given.secret]) {
      if (secret !== undefined) expect(text).not.toContain(String(secret).slice(12));
    }
  });

  it.each(['createProject', 'purchasePackage', 'grantCredits'])(
    'has no record of a refused or repeated %s',
    async (name) => {
      const given = await anOrganization(gateway);
      const { input, by = given.secret } = (await CASES[name]?.(given)) ?? { input: {} };
      const count = async () =>
        (
          await query(gateway.database, 'SELECT 1 FROM audit_record WHERE organization_id = $1', [
            decodeId('Organization', given.id),
          ])
        ).length;
      await send(by, name, input);
      const before = await count();
      await send(by, name, input).catch(() => undefined);
      expect(await count()).toBe(before);
    },
  );

  it('has none of what charges usage', async () => {
    const { client, id } = await anOrganization(gateway, { credits: { purchased: '50' } });
    const actions = async () =>
      query(gateway.database, 'SELECT action FROM audit_record WHERE organization_id = $1', [
        decodeId('Organization', id),
      ]);
    const before = await actions();
    await charge(client, { amount: '1' });
    await authorize(client, { amount: '1' });
    expect(await actions()).toEqual(before);
  });

  it('is read newest first, page by page', async () => {
    const { client, id, slug } = await anOrganization(gateway);
    for (let nth = 0; nth < 7; nth++) {
      await send(operator(), 'grantCredits', {
        ...{ organizationId: id, credits: '1', bucketKey: 'promotional', reason: `${nth}` },
        ...keyed(),
      });
    }
    const reasons: unknown[] = [];
    let after: string | null = null;
    do {
      const page: TrailPage = await pageOf(client, slug, after);
      reasons.push(...page.edges.map(({ node }) => node.after.reason).filter((reason) => reason !== undefined));
      after = page.pageInfo.hasNextPage ? page.pageInfo.endCursor : null;
    } while (after !== null);
    expect(reasons).toEqual(['6', '5', '4', '3', '2', '1', '0']);
  });
});

interface TrailPage {
  readonly edges: readonly { readonly node: { readonly after: { readonly reason?: string } } }[];
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null };
}

async function pageOf(client: TestClient, slug: string, after: string | null): Promise<TrailPage> {
  const { data } = await client.raw<{ organization: { auditTrail: TrailPage } }>(
    `query($slug: String!, $after: String) { organization(slug: $slug) { auditTrail(first: 3, after: $after) {
      edges { node { after } } pageInfo { hasNextPage endCursor } } } }`,
    { slug, after },
  );
  if (!data) throw new Error('no audit trail');
  return data.organization.auditTrail;
}
