/** Scenario 4: organization workspaces that run tools, on catalogs/workspace.yaml. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeId, encodeId } from '../../../src/graphql/ids.ts';
import {
  AcceptInvitationDocument,
  AddProjectDocument,
  AllocationsDocument,
  ChangePlanDocument,
  FoundOrganizationDocument,
  InviteMemberDocument,
  PlanLimitsDocument,
  PurchasesDocument,
  SetAllocationDocument,
  SpendForDocument,
  TopUpDocument,
  TopUpTermsDocument,
  type UsageInput,
} from '../../generated/documents.ts';
import { expectSoundBooks, query } from '../../support/books.ts';
import type { TestClient, TestGateway } from '../../support/gateway.ts';
import { aKey, type Given } from '../../support/given.ts';
import { aFoundation, aMemberOf, anInvitation, aPerson, type Founded, JWT_SECRET } from '../../support/people.ts';
import {
  aCustomer,
  as,
  authorize,
  captured,
  charged,
  debit,
  estimate,
  held,
  ledger,
  record,
  startScenario,
  wallet,
} from './play.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startScenario('workspace', { PURSER_JWT_SECRET: JWT_SECRET });
});
afterAll(() => gateway[Symbol.asyncDispose]());

const run = (tool: string): UsageInput => ({ meter: 'tool.run', dimensions: { tool } });
const runs = (tool: string, count: number): UsageInput[] => Array.from({ length: count }, () => run(tool));

/** The plans above Free. */
const ABOVE = [{ key: 'studio' }, { key: 'enterprise' }];

describe('the matrix of tools', () => {
  it.each([
    ['lookup', '0.5'],
    ['summarize', '2'],
    ['translate', '3'],
    ['transcribe', '6'],
    ['research', '12.5'],
    ['review', '0'],
    ['a tool that the matrix does not name', '1'],
  ])('a standard run of %s is expected to cost %s, and does', async (tool, credits) => {
    const customer = await aCustomer(gateway, { plan: 'studio' });
    expect(await estimate(customer.client, [run(tool)])).toMatchObject({ credits, affordable: true, blockedBy: null });
    const { usage, availableCredits } = await charged(customer.client, { usage: [run(tool)] });
    expect([usage.credits, availableCredits]).toEqual([credits, String(5_050 - Number(credits))]);
    await expectSoundBooks(gateway.database, customer.id);
  });
});

describe('rates by modality', () => {
  it.each<[string, UsageInput, string]>([
    ['text by started batch of tokens', { meter: 'text.tokens', quantity: 2_001 }, '0.6'],
    ['text of a full batch', { meter: 'text.tokens', quantity: 1_000 }, '0.2'],
    ['text of the large model', { meter: 'text.tokens', quantity: 1_001, dimensions: { model: 'large' } }, '3'],
    ['images by asset', { meter: 'image.assets', quantity: 3 }, '12'],
    ['an image of the large model', { meter: 'image.assets', dimensions: { model: 'large' } }, '10'],
    ['video by second', { meter: 'video.seconds', quantity: '7.5' }, '15'],
    ['video of the large model', { meter: 'video.seconds', quantity: 4, dimensions: { model: 'large' } }, '30'],
  ])('charge %s', async (_what, usage, credits) => {
    const { client } = await aCustomer(gateway, { plan: 'studio' });
    expect(await estimate(client, [usage])).toMatchObject({ credits });
    expect((await charged(client, { usage: [usage] })).usage.credits).toBe(credits);
  });
});

describe('the roles of a workspace', () => {
  const MUTATIONS: Readonly<Record<string, (organizationId: string) => object>> = {
    topUp: (organizationId) => ({ organizationId, credits: '10', idempotencyKey: aKey() }),
    purchasePackage: (organizationId) => ({
      organizationId,
      packageId: encodeId('Package', 'pack_100'),
      idempotencyKey: aKey(),
    }),
    selectPlan: (organizationId) => ({ organizationId, planId: encodeId('Plan', 'free'), idempotencyKey: aKey() }),
    redeemPromoCode: (organizationId) => ({ organizationId, code: 'NO-SUCH-CODE', idempotencyKey: aKey() }),
  };

  /** What becomes of the mutation: the type of its answer, or the code of the error. */
  async function attempt(client: TestClient, name: string, organizationId: string) {
    const type = `${name.charAt(0).toUpperCase()}${name.slice(1)}Input`;
    const text = `mutation($input: ${type}!) { ${name}(input: $input) { __typename } }`;
    const { data, errors } = await client.raw<Record<string, { __typename: string } | null>>(text, {
      input: MUTATIONS[name]?.(organizationId),
    });
    return errors?.[0]?.extensions.code ?? data?.[name]?.__typename;
  }

  it('let owners mutate billing, and everybody else read it', async () => {
    const founded = await aFoundation(gateway);
    const { id, slug, owner } = founded;
    const outcomes = async (client: TestClient) => {
      const found: unknown[] = [];
      for (const name of ['selectPlan', 'topUp', 'purchasePackage', 'redeemPromoCode']) {
        found.push(await attempt(client, name, id));
      }
      return found;
    };
    expect(await outcomes(owner.client)).toEqual([
      'SelectPlanPayload',
      'PurchasePayload',
      'PurchasePayload',
      'NotFound',
    ]);
    const now = Math.floor(Date.now() / 900_000) * 900_000;
    const period = `from: "${new Date(now - 900_000).toISOString()}", to: "${new Date(now).toISOString()}"`;
    for (const role of ['ADMIN', 'EDITOR', 'VIEWER'] as const) {
      const { client } = await aMemberOf(gateway, founded, role);
      expect(await outcomes(client), role).toEqual(Array.from({ length: 4 }, () => 'FORBIDDEN'));
      const { data } = await client.raw(
        `query($slug: String!) { organization(slug: $slug) { subscription { status plan { key } } wallet { totalAvailable }
          limits { key } usage(${period}, groupBy: [METER]) { totalCredits } purchases { edges { node { status } } } } }`,
        { slug },
      );
      expect(data?.organization, role).toEqual({
        subscription: { status: 'ACTIVE', plan: { key: 'free' } },
        wallet: { totalAvailable: '220' },
        limits: expect.arrayContaining([{ key: 'seats' }, { key: 'tool.run' }]),
        usage: { totalCredits: '0' },
        purchases: { edges: [{ node: { status: 'PENDING' } }, { node: { status: 'PENDING' } }] },
      });
    }
  });
});

describe('pools that are earmarked to operators of tools', () => {
  it('are spent by them alone, run by run, and show them no balance', async () => {
    const founded = await aFoundation(gateway);
    const { id: organizationId, slug, owner } = founded;
    const free = { organizationId, planId: encodeId('Plan', 'free'), idempotencyKey: aKey() };
    as('SelectPlanPayload', (await owner.client.run(ChangePlanDocument, { input: free })).selectPlan);
    const person = await aPerson(gateway);
    const { token } = await anInvitation(founded, { role: 'EDITOR', balanceAccess: 'EARMARK_ONLY' });
    await person.client.run(AcceptInvitationDocument, { token });
    const userId = encodeId('User', person.email.replace(/@.*/, ''));
    const { setAllocation } = await owner.client.run(SetAllocationDocument, {
      input: { organizationId, userId, credits: '20', exclusive: true },
    });
    expect(setAllocation).toMatchObject({ wallet: { totalAvailable: '220', unallocated: '200' } });
    const runOf = (tool: string, count: number) =>
      owner.client.run(SpendForDocument, {
        input: { organizationId, userId, usage: runs(tool, count), idempotencyKey: aKey() },
      });
    expect((await runOf('research', 1)).debit).toMatchObject({ availableCredits: '7.5' });
    expect((await runOf('research', 1)).debit).toMatchObject({
      __typename: 'AllocationExhausted',
      requiredCredits: '12.5',
      allocation: { credits: '20', used: '12.5', remaining: '7.5' },
    });
    const { organization } = await person.client.run(AllocationsDocument, { slug });
    expect(organization).toMatchObject({
      wallet: null,
      allocations: [{ user: { id: userId }, credits: '20', used: '12.5', held: '0', remaining: '7.5' }],
    });
    await expectSoundBooks(gateway.database, organizationId);
  });
});

describe('top-ups', () => {
  const topUp = async (client: TestClient, credits: string) =>
    (await client.run(TopUpDocument, { input: { credits, idempotencyKey: aKey() } })).topUp;

  it('come in blocks of 10 that every plan spells out before checkout', async () => {
    const { plans } = await gateway.as().run(TopUpTermsDocument, {});
    expect(plans.map(({ key, topUpIncrement, topUpUnitPrice }) => [key, topUpIncrement, topUpUnitPrice])).toEqual([
      ['free', '10', { amountMinor: 150, currency: 'USD' }],
      ['studio', '10', { amountMinor: 120, currency: 'USD' }],
      ['enterprise', '10', { amountMinor: 100, currency: 'USD' }],
    ]);
  });

  it('of 15 are refused with the increments that apply, and nothing is bought', async () => {
    const customer = await aCustomer(gateway);
    expect(await topUp(customer.client, '15')).toMatchObject({
      __typename: 'InvalidIncrement',
      httpStatus: 422,
      increment: '10',
      nearestBelow: '10',
      nearestAbove: '20',
    });
    const { organization } = await customer.client.run(PurchasesDocument, { slug: customer.slug });
    expect(organization?.purchases?.edges).toEqual([]);
  });

  it('have receipts that trace to ledger entries by slug, invoice and instant', async () => {
    const customer = await aCustomer(gateway);
    const begun = as('PurchasePayload', await topUp(customer.client, '20')).purchase;
    expect(begun).toMatchObject({ status: 'PENDING', credits: '20', price: { amountMinor: 300, currency: 'USD' } });
    expect((await fetch(`${begun?.checkoutUrl}/pay`, { method: 'POST' })).status).toBe(200);

    const { organization } = await customer.client.run(PurchasesDocument, { slug: customer.slug });
    const paid = organization?.purchases?.edges[0]?.node;
    expect(paid).toMatchObject({ status: 'PAID', receiptNumber: expect.stringMatching(/^WS-\d{6}$/) });
    expect(paid?.invoiceId).toBe(decodeId('Purchase', begun?.id ?? ''));
    const receipt = await (await fetch(paid?.receiptUrl ?? '')).text();
    for (const said of [customer.slug, paid?.invoiceId, paid?.paidAt, paid?.receiptNumber, '3.00 USD']) {
      expect(receipt).toContain(said ?? 'nothing');
    }
    const entries = await ledger(customer, { reasonCodes: ['PURCHASE'] });
    expect(entries).toMatchObject([{ direction: 'CREDIT', amount: '20', postedAt: paid?.paidAt }]);
    expect(paid?.entries.map(({ sequence }) => sequence)).toEqual(entries.map(({ sequence }) => sequence));
    expect((await wallet(customer)).purchasedCredits).toBe('20');
    await expectSoundBooks(gateway.database, customer.id);
  });
});

describe('guardrails on what there may be', () => {
  const reached = (key: string, limit: number) => ({
    __typename: 'PlanLimitReached',
    httpStatus: 403,
    message: `The plan’s limit for ${key} is ${limit}, and ${limit} are in use.`,
    key,
    limit,
    current: limit,
    resetsAt: null,
    upgradePlans: ABOVE,
    billingUrl: `${new URL(gateway.gateway.endpoint).origin}/billing`,
  });

  /** As the payment of a plan's checkout does. */
  async function setPlan({ id }: Founded, planKey: string): Promise<void> {
    await query(
      gateway.database,
      `INSERT INTO plan_subscription (id, organization_id, plan_key, status, anchor_day, current_period_start, current_period_end)
       VALUES (gen_random_uuid(), $1, $2, 'ACTIVE', 1, now(), now() + interval '1 month')`,
      [decodeId('Organization', id), planKey],
    );
  }

  const found = async (client: TestClient) =>
    (await client.run(FoundOrganizationDocument, { input: { slug: `f-${randomUUID()}`, name: 'F' } }))
      .createOrganization;
  const addProject = async ({ id, owner }: Founded) =>
    (await owner.client.run(AddProjectDocument, { input: { organizationId: id, key: `p-${randomUUID()}`, name: 'P' } }))
      .createProject;
  const invite = async ({ id, owner }: Founded) => {
    const input = { organizationId: id, email: `${randomUUID()}@example.com`, role: 'VIEWER' as const };
    return (await owner.client.run(InviteMemberDocument, { input })).inviteMember;
  };
  const accept = async (client: TestClient, { token }: { readonly token: string }) =>
    (await client.run(AcceptInvitationDocument, { token })).acceptInvitation;

  it('count the organizations that a person owns', async () => {
    const person = await aPerson(gateway);
    const [first] = [await aFoundation(gateway, person), await aFoundation(gateway, person)];
    expect(await found(person.client)).toMatchObject(reached('organizations_owned', 2));
    await setPlan(first, 'studio');
    expect((await found(person.client)).__typename).toBe('OrganizationPayload');
  });

  it('count the organizations that a person has joined', async () => {
    const person = await aPerson(gateway);
    const invitations = await Promise.all(
      Array.from({ length: 4 }, async () => anInvitation(await aFoundation(gateway))),
    );
    const answers = [];
    for (const invitation of invitations) answers.push(await accept(person.client, invitation));
    expect(answers.slice(0, 3).map(({ __typename }) => __typename)).toEqual(Array(3).fill('MembershipPayload'));
    expect(answers[3]).toMatchObject(reached('organizations_joined', 3));
  });

  it('count projects, and let more in after the upgrade', async () => {
    const organization = await aFoundation(gateway);
    for (let count = 0; count < 3; count++) {
      expect((await addProject(organization)).__typename).toBe('ProjectPayload');
    }
    expect(await addProject(organization)).toMatchObject(reached('projects', 3));
    await setPlan(organization, 'studio');
    expect((await addProject(organization)).__typename).toBe('ProjectPayload');
  });

  it('count pending invitations and seats', async () => {
    const organization = await aFoundation(gateway);
    for (let count = 0; count < 2; count++) expect((await invite(organization)).__typename).toBe('InviteMemberPayload');
    expect(await invite(organization)).toMatchObject(reached('pending_invitations', 2));

    const full = await aFoundation(gateway);
    for (const role of ['ADMIN', 'EDITOR', 'VIEWER', 'VIEWER'] as const) await aMemberOf(gateway, full, role);
    expect(await invite(full)).toMatchObject(reached('seats', 5));
    await setPlan(full, 'enterprise');
    expect((await invite(full)).__typename).toBe('InviteMemberPayload');
  });
});

describe('guardrails on how often something may be done', () => {
  const MIDNIGHT = '2040-03-11T00:00:00.000Z';
  const refusal = {
    __typename: 'PlanLimitReached',
    code: 'PLAN_LIMIT_REACHED',
    httpStatus: 429,
    key: 'tool.run',
    planLimit: 50,
    current: 50,
    reset: MIDNIGHT,
    upgradePlans: ABOVE,
  };
  const capsOf = async ({ client, slug }: Given) => {
    const { organization } = await client.run(PlanLimitsDocument, { slug });
    return organization?.limits?.filter(({ window }) => window !== null);
  };

  it('refuse the run beyond the tier’s, name the limit, its value and the way to upgrade, and charge nothing', async () => {
    const customer = await aCustomer(gateway);
    expect((await charged(customer.client, { usage: runs('lookup', 49) })).usage.credits).toBe('24.5');
    await charged(customer.client, { usage: [run('review')] });
    const before = await wallet(customer);
    expect(await debit(customer.client, { usage: [run('review')] })).toMatchObject(refusal);
    expect(await authorize(customer.client, { usage: [run('lookup')] })).toMatchObject(refusal);
    expect(await estimate(customer.client, [run('lookup')])).toMatchObject({ affordable: false, blockedBy: refusal });
    expect(await wallet(customer)).toEqual(before);
    // Other meters go on, and have caps of their own.
    await charged(customer.client, { usage: [{ meter: 'video.seconds', quantity: 3 }, { meter: 'video.seconds' }] });
    expect(await debit(customer.client, { usage: [{ meter: 'video.seconds' }] })).toMatchObject({
      __typename: 'PlanLimitReached',
      key: 'video.seconds',
      planLimit: 2,
      reset: '2040-03-10T11:00:00.000Z',
    });
    expect(await capsOf(customer)).toEqual([
      { key: 'tool.run', max: 50, current: 50, window: 'DAY', resetsAt: MIDNIGHT },
      { key: 'image.assets', max: 10, current: 0, window: 'DAY', resetsAt: MIDNIGHT },
      { key: 'video.seconds', max: 2, current: 2, window: 'HOUR', resetsAt: '2040-03-10T11:00:00.000Z' },
    ]);
    await expectSoundBooks(gateway.database, customer.id);
  });

  it('stop a batch of runs where it is reached', async () => {
    const customer = await aCustomer(gateway);
    await charged(customer.client, { usage: runs('review', 48) });
    const events = Array.from({ length: 4 }, () => ({ idempotencyKey: aKey(), usage: run('lookup') }));
    expect(await record(customer.client, { events, mode: 'UNTIL_BLOCKED' })).toMatchObject({
      accepted: 2,
      rejected: 2,
      usage: { credits: '1' },
      results: [{}, {}, { error: refusal }, { error: { __typename: 'NotAttempted' } }],
    });
  });

  it('count a held run once', async () => {
    const customer = await aCustomer(gateway);
    const { hold } = await held(customer.client, { usage: runs('research', 3) });
    await captured(customer.client, { holdId: hold.id, usage: runs('research', 2) });
    expect(await capsOf(customer)).toContainEqual(expect.objectContaining({ key: 'tool.run', current: 2 }));
  });

  it('are wider for Studio, and none for Enterprise', async () => {
    const [studio, enterprise] = [
      await aCustomer(gateway, { plan: 'studio' }),
      await aCustomer(gateway, { plan: 'enterprise' }),
    ];
    await charged(studio.client, { usage: runs('lookup', 51) });
    await charged(studio.client, { usage: Array.from({ length: 20 }, () => ({ meter: 'video.seconds' })) });
    expect(await debit(studio.client, { usage: [{ meter: 'video.seconds' }] })).toMatchObject({
      __typename: 'PlanLimitReached',
      planLimit: 20,
      upgradePlans: [{ key: 'enterprise' }],
    });
    await charged(enterprise.client, { usage: Array.from({ length: 21 }, () => ({ meter: 'video.seconds' })) });
    expect(await capsOf(enterprise)).toEqual([]);
  });
});
