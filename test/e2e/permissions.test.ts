/**
 * The published matrix of docs/permissions.md, cell by cell: every root field, every field of an organization and every
 * type, as every caller. What is missing in the document or in the requests below fails here.
 */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Caller,
  type CallerMembership,
  may,
  type Permission,
  type Role,
  type Scope,
} from '../../src/domain/identity/caller.ts';
import { decodeId } from '../../src/graphql/ids.ts';
import { encodeCursor } from '../../src/graphql/pages.ts';
import { ruleTree } from '../../src/graphql/permissions/rules.ts';
import { projectPath } from '../../src/project-path.ts';
import { ApplyCatalogDocument } from '../generated/documents.ts';
import { query } from '../support/books.ts';
import { demoWith } from '../support/catalog-files.ts';
import { type GraphQLAnswer, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { aKey, anApiKey, anOrganization, type Given } from '../support/given.ts';
import { collect } from '../support/webhook-receiver.ts';
import { fieldsOf, type IdsByType, idsOf, nodeTypes, rootFields } from './ids.ts';
import { subscribe } from './streams.ts';

/** A table of the document: rows by their first cell, each with its other cells by the column's heading. */
type Matrix = Readonly<Record<string, Readonly<Record<string, string>>>>;

function tableUnder(heading: string): Matrix {
  const document = readFileSync(projectPath('docs/permissions.md'), 'utf8');
  const section = document.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  const [titles = [], , ...rows] = section
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
  const [, ...columns] = titles;
  return Object.fromEntries(
    rows.map(([name = '', ...cells]) => [
      name,
      Object.fromEntries(columns.map((column, index) => [column, cells[index] ?? ''])),
    ]),
  );
}

const PERMISSIONS = tableUnder('Permissions');
const ROOT_FIELDS = tableUnder('Root fields');
const ORGANIZATION_FIELDS = tableUnder('Fields of an organization');
const TYPES = tableUnder('Types');

const SIGNED_IN = [
  'usage key',
  'read key',
  'write key',
  'master key',
  'viewer',
  'editor',
  'admin',
  'owner',
  'operator',
] as const;
const CALLERS = ['anonymous', ...SIGNED_IN] as const;
type CallerName = (typeof CALLERS)[number];

const cells = (matrix: Matrix): { row: string; caller: CallerName; verdict: string }[] =>
  Object.entries(matrix).flatMap(([row, verdicts]) =>
    CALLERS.filter((caller) => caller in verdicts).map((caller) => ({ row, caller, verdict: verdicts[caller] ?? '' })),
  );

let gateway: TestGateway;
let tokens: Readonly<Record<CallerName, string | undefined>>;
let ids: IdsByType;
let disposable: Given;
/** None of the callers belongs to it. */
let elsewhere: Given;

beforeAll(async () => {
  gateway = await startTestGateway();
  const { tokens: demo } = gateway.demo;
  tokens = {
    anonymous: undefined,
    'usage key': demo.usageKey,
    'read key': demo.readKey,
    'write key': await anApiKey(gateway, gateway.organizationId, 'BILLING_WRITE'),
    'master key': demo.masterKey,
    viewer: demo.viewer,
    editor: demo.editor,
    admin: demo.admin,
    owner: demo.owner,
    operator: demo.operator,
  };
  disposable = await anOrganization(gateway);
  elsewhere = await anOrganization(gateway);
  await gateway.as(demo.operator).run(ApplyCatalogDocument, {
    input: { yaml: demoWith(['code: WELCOME,', 'code: WELCOME, maxPerOrganization: 1000,']) },
  });
  const master = gateway.as(demo.masterKey);
  await master.raw('mutation { createProject(input: { key: "p", name: "P" }) { __typename } }');
  // So that there is a zone to come.
  await master.raw('mutation { updateOrganization(input: { timeZone: "Europe/Berlin" }) { __typename } }');
  await aWebhookEndpoint();
  await aHold('master key');
  await answered('master key', (await sampleOf('Mutation.setSpendLimit')).document);
  // It triggers at once, so that a stream of its events has one.
  await master.raw('mutation { setAlert(input: { threshold: "900000" }) { __typename } }');
  await collect(gateway.gateway.services);
  const { data } = await master.raw<{ organization: { projects: { edges: { node: { id: string } }[] } } }>(
    '{ organization(slug: "demo") { projects(first: 1) { edges { node { id } } } } }',
  );
  const project = data?.organization.projects.edges[0]?.node.id;
  await master.raw(`mutation { setAllocation(input: { projectId: "${project}", credits: "1" }) { __typename } }`);
  ids = await idsOf(master, 'demo');
  await answered('master key', (await sampleOf('Mutation.configureAutoTopUp')).document);
});
afterAll(() => gateway[Symbol.asyncDispose]());

interface Sample {
  readonly document: string;
  /** The type that an allowed caller gets, for mutations. */
  readonly payload?: string;
  /** Undoes what had to be done for it. */
  readonly after?: () => Promise<unknown>;
}

const fresh = () => `idempotencyKey: ${JSON.stringify(aKey())}`;
const slug = () => JSON.stringify(`s-${aKey()}`);
const here = () => `organizationId: "${gateway.organizationId}"`;

/** A request for every root field that would succeed for an allowed caller. */
const SAMPLES: Readonly<Record<string, () => Sample | Promise<Sample>>> = {
  'Query.node': () => ({ document: `{ node(id: "${ids.Organization}") { id } }` }),
  'Query.nodes': () => ({ document: `{ nodes(ids: ["${ids.Organization}"]) { id } }` }),
  'Query.viewer': () => ({ document: '{ viewer { kind scopes user { id } apiKey { id } memberships { id } } }' }),
  'Query.organization': () => ({ document: '{ organization(slug: "demo") { id } }' }),
  'Query.organizations': () => ({ document: '{ organizations(first: 1) { edges { node { id } } } }' }),
  'Query.plans': () => ({ document: '{ plans { key } }' }),
  'Query.packages': () => ({ document: '{ packages { key } }' }),
  'Query.rateCard': () => ({ document: '{ rateCard { version } }' }),
  'Mutation.debit': () => ({
    document: `mutation { debit(input: { ${here()}, ${fresh()}, amount: "1" }) { __typename } }`,
    payload: 'DebitPayload',
  }),
  'Mutation.recordUsage': () => ({
    document: `mutation { recordUsage(input: { ${here()}, events: [{ ${fresh()}, usage: { meter: "search" } }] }) { __typename } }`,
    payload: 'RecordUsagePayload',
  }),
  'Query.estimate': () => ({
    document: `{ estimate(input: { ${here()}, usage: [{ meter: "search" }] }) { __typename } }`,
    payload: 'Estimate',
  }),
  'Query.planChangePreview': async () => ({
    document: `{ planChangePreview(${here()}, planId: "${await aFreePlan()}") { __typename } }`,
    payload: 'PlanChangePreview',
  }),
  'Mutation.authorize': () => ({
    document: `mutation { authorize(input: { ${here()}, ${fresh()}, amount: "1" }) { __typename } }`,
    payload: 'HoldPayload',
  }),
  'Mutation.capture': async () => ({
    document: `mutation { capture(input: { holdId: "${await aHold()}", ${fresh()} }) { __typename } }`,
    payload: 'CapturePayload',
  }),
  'Mutation.release': async () => ({
    document: `mutation { release(input: { holdId: "${await aHold()}", ${fresh()} }) { __typename } }`,
    payload: 'HoldPayload',
  }),
  'Mutation.extendHold': async () => ({
    document: `mutation { extendHold(input: { holdId: "${await aHold()}", ${fresh()}, expiresInSeconds: 3600 }) { __typename } }`,
    payload: 'HoldPayload',
  }),
  'Mutation.refund': async () => ({
    document: `mutation { refund(input: { transactionId: "${await aCharge()}", ${fresh()} }) { __typename } }`,
    payload: 'RefundPayload',
  }),
  'Mutation.selectPlan': async () => ({
    document: `mutation { selectPlan(input: { organizationId: "${await afterItsPlan()}", ${fresh()}, planId: "${await aFreePlan()}" }) { __typename } }`,
    payload: 'SelectPlanPayload',
    after: () => setSubscription('ACTIVE'),
  }),
  'Mutation.cancelSubscription': () => ({
    document: `mutation { cancelSubscription(input: { ${here()} }) { __typename } }`,
    payload: 'SubscriptionPayload',
    after: () => setEnding(false),
  }),
  'Mutation.resumeSubscription': async () => {
    await setEnding(true);
    return {
      document: `mutation { resumeSubscription(input: { ${here()} }) { __typename } }`,
      payload: 'SubscriptionPayload',
      after: () => setEnding(false),
    };
  },
  'Mutation.redeemPromoCode': () => ({
    document: `mutation { redeemPromoCode(input: { ${here()}, ${fresh()}, code: "WELCOME" }) { __typename } }`,
    payload: 'GrantPayload',
  }),
  'Mutation.purchasePackage': () => ({
    document: `mutation { purchasePackage(input: { ${here()}, ${fresh()}, packageId: "${ids.Package}" }) { __typename } }`,
    payload: 'PurchasePayload',
  }),
  'Mutation.createPortalSession': () => ({
    document: `mutation { createPortalSession(input: { ${here()} }) { __typename } }`,
    payload: 'PortalSessionPayload',
  }),
  'Mutation.topUp': async () => ({
    document: `mutation { topUp(input: { ${await onAPlanWithTopUps()}, ${fresh()}, credits: "10" }) { __typename } }`,
    payload: 'PurchasePayload',
  }),
  // Switched off, so that no charge of another check begins one.
  'Mutation.configureAutoTopUp': () => ({
    document: `mutation { configureAutoTopUp(input: { ${here()}, enabled: false, threshold: "1", packageId: "${ids.Package}" }) { __typename } }`,
    payload: 'AutoTopUpPayload',
  }),
  'Mutation.setSpendLimit': () => ({
    document: `mutation { setSpendLimit(input: { ${here()}, scope: ORGANIZATION, window: DAY, credits: "1000000" }) { __typename } }`,
    payload: 'SpendLimitPayload',
  }),
  'Mutation.removeSpendLimit': async () => ({
    document: `mutation { removeSpendLimit(input: { spendLimitId: "${await aLimitToRemove()}" }) { __typename } }`,
    payload: 'SpendLimitPayload',
  }),
  'Mutation.setAlert': () => ({
    document: `mutation { setAlert(input: { ${here()}, percent: 1 }) { __typename } }`,
    payload: 'AlertPayload',
  }),
  'Mutation.removeAlert': async () => ({
    document: `mutation { removeAlert(input: { alertId: "${await anAlert()}" }) { __typename } }`,
    payload: 'AlertPayload',
  }),
  'Mutation.setAllocation': () => ({
    document: `mutation { setAllocation(input: { ${here()}, projectId: "${ids.Project}", credits: "1" }) { __typename } }`,
    payload: 'AllocationPayload',
  }),
  'Mutation.createOrganization': () => ({
    document: `mutation { createOrganization(input: { slug: ${slug()}, name: "N" }) { __typename } }`,
    payload: 'OrganizationPayload',
  }),
  'Mutation.createProject': () => ({
    document: `mutation { createProject(input: { ${here()}, key: ${slug()}, name: "N" }) { __typename } }`,
    payload: 'ProjectPayload',
  }),
  'Mutation.updateOrganization': () => ({
    document: `mutation { updateOrganization(input: { ${here()}, name: "Demo" }) { __typename } }`,
    payload: 'OrganizationPayload',
  }),
  'Mutation.inviteMember': () => ({
    document: `mutation { inviteMember(input: { ${here()}, email: "${aKey()}@example.com", role: VIEWER }) { __typename } }`,
    payload: 'InviteMemberPayload',
  }),
  'Mutation.acceptInvitation': async () => ({
    document: `mutation { acceptInvitation(input: { token: "${(await anInvitation(elsewhere.id)).token}" }) { __typename } }`,
    payload: 'MembershipPayload',
  }),
  'Mutation.changeMemberRole': async () => ({
    document: `mutation { changeMemberRole(input: { membershipId: "${(await anInvitation(gateway.organizationId)).id}", role: EDITOR }) { __typename } }`,
    payload: 'MembershipPayload',
  }),
  'Mutation.removeMember': async () => ({
    document: `mutation { removeMember(input: { membershipId: "${(await anInvitation(gateway.organizationId)).id}" }) { __typename } }`,
    payload: 'MembershipPayload',
  }),
  'Mutation.createApiKey': () => ({
    document: `mutation { createApiKey(input: { ${here()}, name: "N", scopes: [USAGE_WRITE] }) { __typename } }`,
    payload: 'CreateApiKeyPayload',
  }),
  'Mutation.revokeApiKey': async () => ({
    document: `mutation { revokeApiKey(input: { apiKeyId: "${await aKeyToRevoke()}" }) { __typename } }`,
    payload: 'ApiKeyPayload',
  }),
  'Mutation.createWebhookEndpoint': async () => {
    await removeWebhookEndpoints();
    return {
      document: `mutation { createWebhookEndpoint(input: { ${here()}, ${hook()} }) { __typename } }`,
      payload: 'CreateWebhookEndpointPayload',
    };
  },
  'Mutation.updateWebhookEndpoint': () => ({
    document: `mutation { updateWebhookEndpoint(input: { webhookEndpointId: "${ids.WebhookEndpoint}", enabled: true }) { __typename } }`,
    payload: 'WebhookEndpointPayload',
  }),
  'Mutation.deleteWebhookEndpoint': async () => {
    await removeWebhookEndpoints();
    return {
      document: `mutation { deleteWebhookEndpoint(input: { webhookEndpointId: "${await aWebhookEndpoint()}" }) { __typename } }`,
      payload: 'WebhookEndpointPayload',
    };
  },
  'Mutation.rotateWebhookSecret': () => ({
    document: `mutation { rotateWebhookSecret(input: { webhookEndpointId: "${ids.WebhookEndpoint}" }) { __typename } }`,
    payload: 'CreateWebhookEndpointPayload',
  }),
  'Mutation.redeliverWebhook': () => ({
    document: `mutation { redeliverWebhook(input: { webhookDeliveryId: "${ids.WebhookDelivery}" }) { __typename } }`,
    payload: 'WebhookDeliveryPayload',
  }),
  'Mutation.grantCredits': () => ({
    document: `mutation { grantCredits(input: { ${here()}, ${fresh()}, credits: "1", bucketKey: "purchased", reason: "r" }) { __typename } }`,
    payload: 'GrantPayload',
  }),
  'Mutation.adjustBalance': () => ({
    document: `mutation { adjustBalance(input: { ${here()}, ${fresh()}, credits: "1", bucketKey: "purchased", reason: "r" }) { __typename } }`,
    payload: 'AdjustPayload',
  }),
  'Mutation.revokeGrant': async () => ({
    document: `mutation { revokeGrant(input: { lotId: "${await aGrantedLot()}", ${fresh()}, reason: "r" }) { __typename } }`,
    payload: 'AdjustPayload',
  }),
  'Mutation.unfreezeWallet': async () => ({
    document: `mutation { unfreezeWallet(input: { organizationId: "${await aFrozenOrganization()}", reason: "r" }) { __typename } }`,
    payload: 'OrganizationPayload',
  }),
  'Mutation.refundPurchase': async () => ({
    document: `mutation { refundPurchase(input: { purchaseId: "${await aPaidPurchase()}", ${fresh()} }) { __typename } }`,
    payload: 'PurchasePayload',
  }),
  'Mutation.applyCatalog': () => ({
    document: `mutation { applyCatalog(input: { yaml: ${JSON.stringify(anotherCatalog())} }) { __typename } }`,
    payload: 'ApplyCatalogPayload',
  }),
  'Mutation.advanceTestClock': () => ({
    // Not the demo's clock: what is checked here must not depend on the order of the checks.
    document: `mutation { advanceTestClock(input: { organizationId: "${disposable.id}", to: "2099-01-01T00:00:00Z" }) { __typename } }`,
    payload: 'TestClockPayload',
  }),
  'Subscription.balanceChanged': () => ({ document: `subscription { balanceChanged(${here()}) { version } }` }),
  'Subscription.activityAdded': async () => ({
    document: `subscription { activityAdded(${here()}, after: "${await oldestActivityCursor()}") { cursor } }`,
  }),
  'Subscription.ledgerEntryPosted': async () => ({
    document: `subscription { ledgerEntryPosted(${here()}, after: "${await oldestEntryCursor()}") { cursor } }`,
  }),
  'Subscription.lowBalance': () => {
    const first = encodeCursor('alert', [decodeId('Wallet', ids.Wallet ?? ''), '0']);
    return { document: `subscription { lowBalance(${here()}, after: "${first}") { cursor } }` };
  },
};

/** What an operator is answered, who may do everything. */
const byOperator = <Data>(document: string): Promise<Data> => answered('operator', document);

async function answered<Data>(caller: CallerName, document: string): Promise<Data> {
  const { data, errors } = await gateway.as(tokens[caller]).raw<Data>(document);
  expect(errors).toEqual([]);
  if (data === null) throw new Error('an answer without errors has data');
  return data;
}

/** Made by the usage key unless told, which may resolve its own only. */
async function aHold(maker: CallerName = 'usage key'): Promise<string> {
  const { authorize } = await answered<{ authorize: { hold: { id: string } } }>(
    maker,
    `mutation { authorize(input: { ${here()}, ${fresh()}, amount: "1" }) { ... on HoldPayload { hold { id } } } }`,
  );
  return authorize.hold.id;
}

/** The same one until somebody removes it. */
async function anAlert(): Promise<string> {
  const { setAlert } = await byOperator<{ setAlert: { alert: { id: string } } }>(
    `mutation { setAlert(input: { ${here()}, threshold: "7" }) { ... on AlertPayload { alert { id } } } }`,
  );
  return setAlert.alert.id;
}

async function aCharge(): Promise<string> {
  const { debit } = await byOperator<{ debit: { transaction: { id: string } } }>(
    `mutation { debit(input: { ${here()}, ${fresh()}, amount: "1" }) { ... on DebitPayload { transaction { id } } } }`,
  );
  return debit.transaction.id;
}

/** The demo's organization once its subscription is over. */
async function afterItsPlan(): Promise<string> {
  await setSubscription('CANCELED');
  return gateway.organizationId;
}

function setSubscription(status: string): Promise<unknown> {
  return query(
    gateway.database,
    'UPDATE plan_subscription SET status = $2::"SubscriptionStatus" WHERE organization_id = $1',
    [decodeId('Organization', gateway.organizationId), status],
  );
}

function setEnding(ends: boolean): Promise<unknown> {
  return query(gateway.database, 'UPDATE plan_subscription SET cancel_at_period_end = $2 WHERE organization_id = $1', [
    decodeId('Organization', gateway.organizationId),
    ends,
  ]);
}

/** Somebody who is invited to the organization, by an operator. */
async function anInvitation(organizationId: string): Promise<{ readonly id: string; readonly token: string }> {
  const { inviteMember } = await byOperator<{ inviteMember: { membership: { id: string }; invitationToken: string } }>(
    `mutation { inviteMember(input: { organizationId: "${organizationId}", email: "${aKey()}@example.com", role: VIEWER }) {
      ... on InviteMemberPayload { membership { id } invitationToken }
    } }`,
  );
  return { id: inviteMember.membership.id, token: inviteMember.invitationToken };
}

async function aGrantedLot(): Promise<string> {
  const { grantCredits } = await byOperator<{ grantCredits: { lot: { id: string } } }>(
    `mutation { grantCredits(input: { ${here()}, ${fresh()}, credits: "1", bucketKey: "promotional", reason: "r" }) { ... on GrantPayload { lot { id } } } }`,
  );
  return grantCredits.lot.id;
}

async function aFrozenOrganization(): Promise<string> {
  const { id } = await anOrganization(gateway);
  await query(gateway.database, 'UPDATE wallet SET frozen_at = now() WHERE organization_id = $1', [
    decodeId('Organization', id),
  ]);
  return id;
}
async function aPaidPurchase(): Promise<string> {
  const { purchasePackage } = await byOperator<{ purchasePackage: { purchase: { id: string; checkoutUrl: string } } }>(
    `mutation { purchasePackage(input: { organizationId: "${disposable.id}", ${fresh()}, packageId: "${ids.Package}" }) { ... on PurchasePayload { purchase { id checkoutUrl } } } }`,
  );
  await fetch(`${purchasePackage.purchase.checkoutUrl}/pay`, { method: 'POST' });
  return purchasePackage.purchase.id;
}

async function onAPlanWithTopUps(): Promise<string> {
  await query(gateway.database, `UPDATE plan_subscription SET plan_key = 'team' WHERE organization_id = $1`, [
    decodeId('Organization', gateway.organizationId),
  ]);
  return here();
}

async function aFreePlan(): Promise<string> {
  const { plans } = await byOperator<{ plans: { id: string; price: { amountMinor: number } }[] }>(
    '{ plans { id price { amountMinor } } }',
  );
  return plans.find((plan) => plan.price.amountMinor === 0)?.id ?? 'no free plan';
}
/** One that differs from whichever is in force, and prices as the demo does. */
const anotherCatalog = () => demoWith(['One search request', aKey()]);

const hook = () => `url: "https://example.com/${aKey()}", events: ["balance.changed"]`;

async function aWebhookEndpoint(): Promise<string> {
  const { createWebhookEndpoint } = await byOperator<{ createWebhookEndpoint: { webhookEndpoint: { id: string } } }>(
    `mutation { createWebhookEndpoint(input: { ${here()}, ${hook()} }) { ... on CreateWebhookEndpointPayload { webhookEndpoint { id } } } }`,
  );
  return createWebhookEndpoint.webhookEndpoint.id;
}

/** All but the first: an organization has few. */
function removeWebhookEndpoints(): Promise<unknown> {
  return query(gateway.database, 'UPDATE webhook_endpoint SET deleted_at = now() WHERE id <> $1', [
    decodeId('WebhookEndpoint', ids.WebhookEndpoint ?? ''),
  ]);
}

async function aKeyToRevoke(): Promise<string> {
  const { data } = await gateway
    .as(tokens.operator)
    .raw<{ createApiKey: { apiKey: { id: string } } }>(
      `mutation { createApiKey(input: { ${here()}, name: "N", scopes: [USAGE_WRITE] }) { ... on CreateApiKeyPayload { apiKey { id } } } }`,
    );
  return data?.createApiKey.apiKey.id ?? 'no key';
}

async function aLimitToRemove(): Promise<string> {
  const { setSpendLimit } = await byOperator<{ setSpendLimit: { spendLimit: { id: string } } }>(
    `mutation { setSpendLimit(input: { ${here()}, scope: PROJECT, projectId: "${ids.Project}", window: HOUR, credits: "1000000" }) { ... on SpendLimitPayload { spendLimit { id } } } }`,
  );
  return setSpendLimit.spendLimit.id;
}

/** Entries follow it, so that a stream after it has an event at once. */
async function oldestEntryCursor(): Promise<string> {
  const { data } = await gateway
    .as(tokens.operator)
    .raw<{ organization: { wallet: { ledger: { edges: { cursor: string }[] } } } }>(
      '{ organization(slug: "demo") { wallet { ledger(last: 1) { edges { cursor } } } } }',
    );
  return data?.organization.wallet.ledger.edges[0]?.cursor ?? 'no entry';
}

/** More has happened since, so that a stream after it has an event at once. */
async function oldestActivityCursor(): Promise<string> {
  const { data } = await gateway
    .as(tokens.operator)
    .raw<{ organization: { activity: { edges: { cursor: string }[] } } }>(
      '{ organization(slug: "demo") { activity(first: 100) { edges { cursor } } } }',
    );
  return data?.organization.activity.edges.at(-1)?.cursor ?? 'no activity';
}

/** The verdict of the running gateway, in the words of the document. */
async function verdictOf(field: string, caller: CallerName): Promise<string> {
  return verdictOn(field, await sampleOf(field), caller);
}

async function sampleOf(field: string): Promise<Sample> {
  const sample = await SAMPLES[field]?.();
  if (!sample) throw new Error(`no request for ${field}`);
  return sample;
}

async function verdictOn(field: string, sample: Sample, caller: CallerName): Promise<string> {
  const answer = await ask(sample.document, tokens[caller]);
  await sample.after?.();
  const code = answer.errors[0]?.extensions.code;
  const name = field.split('.')[1] ?? '';
  switch (code) {
    case 'UNAUTHENTICATED':
      expect(answer.status).toBe(401);
      expect(answer.data?.[name] ?? null).toBeNull();
      return '401';
    case 'FORBIDDEN':
      expect(answer.data?.[name] ?? null).toBeNull();
      return 'no';
    case undefined:
      if (sample.payload) expect(answer.data?.[name]).toEqual({ __typename: sample.payload });
      else expect(answer.data?.[name]).toBeTruthy();
      return 'yes';
    default:
      throw new Error(`unexpected ${JSON.stringify(answer)}`);
  }
}

async function ask(document: string, token: string | undefined): Promise<GraphQLAnswer<Record<string, unknown>>> {
  if (!document.startsWith('subscription')) return gateway.as(token).raw(document);
  await using live = subscribe<Record<string, unknown>, object>('sse', gateway, token, document);
  const result = await live.result();
  const errors = (result?.errors ?? []) as GraphQLAnswer<unknown>['errors'];
  const isAnonymous = errors[0]?.extensions.code === 'UNAUTHENTICATED';
  return { status: isAnonymous ? 401 : 200, data: result?.data ?? null, errors };
}

describe('the published matrix is complete', () => {
  it('has every root field of the schema, and no other', async () => {
    const roots = await rootFields(gateway.as());
    expect(Object.keys(ROOT_FIELDS).toSorted()).toEqual(roots);
    expect(Object.keys(SAMPLES).toSorted()).toEqual(roots);
  });

  it('has every field of an organization, and no other', async () => {
    expect(Object.keys(ORGANIZATION_FIELDS).toSorted()).toEqual(await fieldsOf(gateway.as(), 'Organization'));
  });

  it('has every type with an id, and no other', async () => {
    const types = await nodeTypes(gateway.as());
    expect(Object.keys(TYPES).toSorted()).toEqual(types);
    expect(
      Object.keys(ids)
        .filter((type) => type in TYPES)
        .toSorted(),
    ).toEqual(types);
  });

  it('has every caller in every row', () => {
    for (const verdicts of Object.values(ROOT_FIELDS)) expect(Object.keys(verdicts)).toEqual([...CALLERS]);
    for (const matrix of [ORGANIZATION_FIELDS, TYPES]) {
      for (const verdicts of Object.values(matrix)) expect(Object.keys(verdicts)).toEqual([...SIGNED_IN]);
    }
  });

  it('has a rule in the code for every root field, and denies what has none', () => {
    for (const [type, rules] of Object.entries(ruleTree)) {
      const { '*': fallback, ...fields } = rules as Record<string, unknown>;
      expect(fallback).toBe(ruleTree.Query['*']);
      const published = Object.keys(ROOT_FIELDS).filter((field) => field.startsWith(`${type}.`));
      expect(
        Object.keys(fields)
          .map((field) => `${type}.${field}`)
          .toSorted(),
      ).toEqual(published.toSorted());
    }
  });
});

describe('permissions', () => {
  const ORGANIZATION = { organizationId: 'o', walletId: 'w' };
  const key = (master: boolean, ...scopes: Scope[]): Caller => ({
    kind: 'API_KEY',
    ...ORGANIZATION,
    keyId: 'k',
    master,
    scopes,
    projectId: null,
    balanceAccess: 'FULL',
  });
  const member = (role: Role, balanceAccess: CallerMembership['balanceAccess'] = 'FULL'): Caller => ({
    kind: 'USER',
    userId: 'u',
    memberships: [{ ...ORGANIZATION, role, balanceAccess }],
  });
  const HOLDERS: Readonly<Record<string, readonly Caller[]>> = {
    'scope USAGE_WRITE': [key(false, 'USAGE_WRITE')],
    'scope BILLING_READ': [key(false, 'BILLING_READ')],
    'scope BILLING_WRITE': [key(false, 'BILLING_WRITE')],
    'master key': [key(true)],
    'role VIEWER': [member('VIEWER')],
    'role EDITOR': [member('EDITOR')],
    'role ADMIN': [member('ADMIN')],
    'role OWNER': [member('OWNER')],
    'member EARMARK_ONLY': (['VIEWER', 'EDITOR', 'ADMIN'] as const).map((role) => member(role, 'EARMARK_ONLY')),
    'owner EARMARK_ONLY': [member('OWNER', 'EARMARK_ONLY')],
    operator: [{ kind: 'OPERATOR', userId: 'u' }],
  };

  it('of every scope and role are those of the document', () => {
    expect(Object.keys(PERMISSIONS).toSorted()).toEqual(Object.keys(HOLDERS).toSorted());
    for (const [holder, permissions] of Object.entries(PERMISSIONS)) {
      for (const [permission, published] of Object.entries(permissions)) {
        for (const caller of HOLDERS[holder] ?? []) {
          const allowed = may(caller, permission as Permission, ORGANIZATION.organizationId);
          expect(allowed ? 'yes' : 'no', `${holder}: ${permission}`).toBe(published);
        }
      }
    }
  });

  it('of nobody but an operator reach another organization', () => {
    for (const [holder, callers] of Object.entries(HOLDERS)) {
      for (const permission of Object.keys(PERMISSIONS[holder] ?? {})) {
        for (const caller of callers) {
          expect(may(caller, permission as Permission, 'another'), `${holder}: ${permission}`).toBe(
            holder === 'operator',
          );
        }
      }
    }
  });

  it('nobody has without a credential', () => {
    for (const permission of Object.keys(PERMISSIONS.operator ?? {})) {
      expect(may({ kind: 'ANONYMOUS' }, permission as Permission, 'o')).toBe(false);
    }
  });
});

describe('root fields', () => {
  it.each(cells(ROOT_FIELDS))('$row as $caller: $verdict', async ({ row, caller, verdict }) => {
    expect(await verdictOf(row, caller)).toBe(verdict);
  });

  it('leave no trace where they are refused', async () => {
    const refused = cells(ROOT_FIELDS).filter(({ row, verdict }) => verdict !== 'yes' && row.startsWith('Mutation.'));
    // What they name is made before: only what the refused ones leave is looked for.
    const samples = new Map<string, Sample>();
    for (const { row } of refused) if (!samples.has(row)) samples.set(row, await sampleOf(row));
    const before = await rowCounts();
    for (const { row, caller } of refused) {
      const sample = samples.get(row);
      if (sample) await verdictOn(row, sample, caller);
    }
    expect(await rowCounts()).toEqual(before);
  });

  it('refuse to revoke as they refuse anything: the key stays alive', async () => {
    const apiKeyId = await aKeyToRevoke();
    for (const caller of CALLERS.filter((name) => ROOT_FIELDS['Mutation.revokeApiKey']?.[name] !== 'yes')) {
      const { errors } = await gateway
        .as(tokens[caller])
        .raw(`mutation { revokeApiKey(input: { apiKeyId: "${apiKeyId}" }) { __typename } }`);
      expect(errors).toHaveLength(1);
    }
    const { data } = await gateway
      .as(tokens.operator)
      .raw(`{ node(id: "${apiKeyId}") { ... on ApiKey { revokedAt } } }`);
    expect(data).toEqual({ node: { revokedAt: null } });
  });

  it('whoever creates an organization owns it from that answer on', async () => {
    const client = gateway.as(tokens.viewer);
    const { data, errors } = await client.raw<{ createOrganization: { organization: { id: string } } }>(
      `mutation { createOrganization(input: { slug: ${slug()}, name: "Mine" }) {
        ... on OrganizationPayload { organization { id testClock wallet { balance } members { edges { node { role user { email } } } } } }
      } }`,
    );
    expect(errors).toEqual([]);
    const id = data?.createOrganization.organization.id;
    const member = { role: 'OWNER', user: { email: 'demo-viewer@demo.example' } };
    expect(data?.createOrganization.organization).toEqual({
      id,
      testClock: false,
      wallet: { balance: '0' },
      members: { edges: [{ node: member }] },
    });
    const made = await client.raw(
      `mutation { createApiKey(input: { organizationId: "${id}", name: "N", master: true }) { __typename } }`,
    );
    expect(made.data).toEqual({ createApiKey: { __typename: 'CreateApiKeyPayload' } });
    const elsewhere = await client.raw(
      `mutation { createApiKey(input: { ${here()}, name: "N", master: true }) { __typename } }`,
    );
    expect(elsewhere.errors[0]?.extensions.code).toBe('FORBIDDEN');
  });

  it('a test clock is the operators’, also to those who may create an organization', async () => {
    const document = () =>
      `mutation { createOrganization(input: { slug: ${slug()}, name: "N", testClock: true }) { __typename } }`;
    for (const caller of ['viewer', 'owner'] as const) {
      const { errors } = await gateway.as(tokens[caller]).raw(document());
      expect(errors[0]?.extensions.code).toBe('FORBIDDEN');
    }
    const { data } = await gateway.as(tokens.operator).raw(document());
    expect(data).toEqual({ createOrganization: { __typename: 'OrganizationPayload' } });
  });
});

/** How many rows every table has that an operation could write. */
async function rowCounts(): Promise<unknown> {
  const tables = [
    'organization',
    'membership',
    'project',
    'api_key',
    'webhook_endpoint',
    'ledger_transaction',
    'ledger_entry',
    'lot',
    'hold',
    'allocation',
    'purchase',
    'alert',
    'alert_event',
    'idempotency_record',
    'audit_record',
    'catalog_version',
    'spend_limit',
  ];
  const counts = tables.map((table) => `(SELECT count(*) FROM ${table}) AS ${table}`);
  return query(gateway.database, `SELECT ${counts.join(', ')}, (SELECT sum(version) FROM wallet) AS versions`);
}

describe('fields of an organization', () => {
  const selection: Readonly<Record<string, string>> = {
    wallet: 'wallet { id }',
    subscription: 'subscription { id }',
    limits: 'limits { key }',
    statement: `statement(month: "${new Date().toISOString().slice(0, 7)}") { closing }`,
    statements: 'statements { closing }',
    autoTopUp: 'autoTopUp { enabled }',
    spendLimits: 'spendLimits { id used }',
    alerts: 'alerts { id }',
    webhookEndpoints: 'webhookEndpoints { id }',
    allocations: 'allocations { id }',
    usage: 'usage(from: "2026-11-01T00:00:00Z", to: "2026-12-01T00:00:00Z", groupBy: [METER]) { totalCredits }',
    spendSummary: 'spendSummary(taskId: "task") { credits }',
    ...Object.fromEntries(
      ['purchases', 'activity', 'auditTrail', 'members', 'projects', 'apiKeys'].map((list) => [
        list,
        `${list}(first: 1) { edges { node { id } } }`,
      ]),
    ),
  };

  it.each(cells(ORGANIZATION_FIELDS))('$row as $caller: $verdict', async ({ row, caller, verdict }) => {
    const { data, errors } = await gateway
      .as(tokens[caller])
      .raw<{ organization: Record<string, unknown> }>(`{ organization(slug: "demo") { ${selection[row] ?? row} } }`);
    expect(errors).toEqual([]);
    expect(data?.organization[row] === null ? 'null' : 'yes').toBe(verdict);
  });
});

describe('types', () => {
  it.each(cells(TYPES))('$row as $caller: $verdict', async ({ row, caller, verdict }) => {
    const { data, errors } = await gateway
      .as(tokens[caller])
      .raw(`{ node(id: "${ids[row]}") { __typename id } nodes(ids: ["${ids[row]}"]) { __typename id } }`);
    expect(errors).toEqual([]);
    const node = verdict === 'null' ? null : { __typename: row, id: ids[row] };
    expect(data).toEqual({ node, nodes: [node] });
  });
});
