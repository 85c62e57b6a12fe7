/**
 * Plan limits through the gateway: how much organizations and people may have, how a refusal tells the way to more, and that
 * two gateways together never give away more than there is.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeId } from '../../src/graphql/ids.ts';
import {
  AcceptInvitationDocument,
  AddProjectDocument,
  ApplyCatalogDocument,
  FoundOrganizationDocument,
  InviteMemberDocument,
  LimitsOfPlansDocument,
  PlanLimitsDocument,
  RemoveMemberDocument,
} from '../generated/documents.ts';
import { query } from '../support/books.ts';
import { demoWith } from '../support/catalog-files.ts';
import { startTestGateway, type TestClient, type TestGateway } from '../support/gateway.ts';
import { anOrganization } from '../support/given.ts';
import { aFoundation, aMemberOf, anInvitation, aPerson, at, type Founded, JWT_SECRET } from '../support/people.ts';

/** What the cheapest plan allows in these tests. Team allows far more, Scale limits nothing. */
const SMALL = demoWith(
  ['organizations_owned, max: 100 }', 'organizations_owned, max: 2 }'],
  ['organizations_joined, max: 100 }', 'organizations_joined, max: 2 }'],
  ['projects, max: 100 }', 'projects, max: 2 }'],
  ['seats, max: 50 }', 'seats, max: 4 }'],
  ['pending_invitations, max: 40 }', 'pending_invitations, max: 2 }'],
);

let gateway: TestGateway;
let second: TestGateway;
beforeAll(async () => {
  const env = { PURSER_JWT_SECRET: JWT_SECRET };
  gateway = await startTestGateway({ env });
  second = await startTestGateway({ env, database: gateway.database });
  await apply(SMALL);
});
afterAll(async () => {
  await second[Symbol.asyncDispose]();
  await gateway[Symbol.asyncDispose]();
});

async function apply(yaml: string): Promise<void> {
  const operator = gateway.as(gateway.demo.tokens.operator);
  const { applyCatalog } = await operator.run(ApplyCatalogDocument, { input: { yaml } });
  expect(applyCatalog.__typename).toBe('ApplyCatalogPayload');
}

const addProject = async (client: TestClient, organizationId: string, key = `p-${randomUUID()}`) =>
  (await client.run(AddProjectDocument, { input: { organizationId, key, name: 'P' } })).createProject;
const invite = async (client: TestClient, organizationId: string, email = `${randomUUID()}@example.com`) =>
  (await client.run(InviteMemberDocument, { input: { organizationId, email, role: 'VIEWER' } })).inviteMember;
const accept = async (client: TestClient, token: string) =>
  (await client.run(AcceptInvitationDocument, { token })).acceptInvitation;
const found = async (client: TestClient) =>
  (await client.run(FoundOrganizationDocument, { input: { slug: `f-${randomUUID()}`, name: 'F' } })).createOrganization;

/** Subscribes as a paid plan's checkout or the end of a subscription would. */
async function setPlan({ id }: { readonly id: string }, planKey: string, status = 'ACTIVE'): Promise<void> {
  await query(
    gateway.database,
    `INSERT INTO plan_subscription (id, organization_id, plan_key, status, anchor_day, current_period_start, current_period_end)
     VALUES (gen_random_uuid(), $1, $2, $3::"SubscriptionStatus", 1, now(), now() + interval '1 month')
     ON CONFLICT (organization_id) DO UPDATE SET plan_key = excluded.plan_key, status = excluded.status`,
    [decodeId('Organization', id), planKey, status],
  );
}

async function limitsOf({ slug }: { readonly slug: string }, client: TestClient) {
  const { organization } = await client.run(PlanLimitsDocument, { slug });
  return organization?.limits?.map(({ key, max, current }) => [key, max, current]) ?? null;
}

const countOf = (answers: readonly { readonly __typename: string }[], name: string): number =>
  answers.filter(({ __typename }) => __typename === name).length;

/** What a refusal says to somebody whose cheapest plan allows `limit`. */
const reached = (key: string, limit: number, current = limit) => ({
  __typename: 'PlanLimitReached',
  code: 'PLAN_LIMIT_REACHED',
  httpStatus: 403,
  message: `The plan’s limit for ${key} is ${limit}, and ${current} are in use.`,
  key,
  limit,
  current,
  resetsAt: null,
  upgradePlans: [{ key: 'team' }, { key: 'scale' }],
  billingUrl: `${new URL(gateway.gateway.endpoint).origin}/billing`,
  explanation: null,
});

describe('plans', () => {
  it('tell everybody what they limit', async () => {
    const { plans } = await gateway.as().run(LimitsOfPlansDocument, {});
    expect(plans.map(({ key, limits }) => [key, limits.length])).toEqual([
      ['free', 5],
      ['team', 5],
      ['scale', 0],
    ]);
    expect(plans[0]?.limits).toContainEqual({ key: 'seats', max: 4, window: null });
  });
});

describe('projects', () => {
  it('are refused beyond the limit, with the way to more, and created after the way is taken', async () => {
    const organization = await aFoundation(gateway);
    const { client } = organization.owner;
    for (const key of ['one', 'two']) {
      expect((await addProject(client, organization.id, key)).__typename).toBe('ProjectPayload');
    }
    expect(await addProject(client, organization.id)).toEqual(reached('projects', 2));
    expect(await addProject(client, organization.id, 'one')).toMatchObject({
      __typename: 'InvalidInput',
      path: ['key'],
    });
    expect(await addProject(gateway.as(gateway.demo.tokens.operator), organization.id)).toEqual(reached('projects', 2));
    expect(await limitsOf(organization, client)).toContainEqual(['projects', 2, 2]);

    await setPlan(organization, 'team');
    expect((await addProject(client, organization.id)).__typename).toBe('ProjectPayload');
    expect(await limitsOf(organization, client)).toContainEqual(['projects', 1000, 3]);

    await setPlan(organization, 'team', 'CANCELED');
    expect(await addProject(client, organization.id)).toEqual(reached('projects', 2, 3));
    await setPlan(organization, 'scale');
    expect((await addProject(client, organization.id)).__typename).toBe('ProjectPayload');
  });

  it('are never more than the limit, whoever creates them at once at two gateways', async () => {
    const organization = await aFoundation(gateway);
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, index) =>
        addProject(at(index % 2 === 0 ? gateway : second, organization.owner), organization.id),
      ),
    );
    expect([countOf(answers, 'ProjectPayload'), countOf(answers, 'PlanLimitReached')]).toEqual([2, 10]);
    expect(await limitsOf(organization, organization.owner.client)).toContainEqual(['projects', 2, 2]);
  });

  it('leave no trace where they are refused', async () => {
    const organization = await aFoundation(gateway);
    const rows = () =>
      query(
        gateway.database,
        `SELECT (SELECT count(*) FROM project WHERE organization_id = $1) AS projects,
           (SELECT count(*) FROM membership WHERE organization_id = $1) AS members,
           (SELECT count(*) FROM audit_record WHERE organization_id = $1) AS audited`,
        [decodeId('Organization', organization.id)],
      );
    for (let n = 0; n < 2; n++) await addProject(organization.owner.client, organization.id);
    for (let n = 0; n < 2; n++) await invite(organization.owner.client, organization.id);
    const before = await rows();
    expect((await addProject(organization.owner.client, organization.id)).__typename).toBe('PlanLimitReached');
    expect((await invite(organization.owner.client, organization.id)).__typename).toBe('PlanLimitReached');
    expect(await rows()).toEqual(before);
  });
});

describe('invitations and seats', () => {
  it('are refused where too many invitations are open, until one is withdrawn or expires', async () => {
    const organization = await aFoundation(gateway);
    const { client } = organization.owner;
    const first = await anInvitation(organization);
    const expired = await anInvitation(organization, { email: 'again@example.com' });
    expect(await invite(client, organization.id)).toEqual(reached('pending_invitations', 2));
    expect(await invite(client, organization.id, 'again@example.com')).toMatchObject({ __typename: 'Conflict' });
    await client.run(RemoveMemberDocument, { membershipId: first.membershipId });
    expect((await invite(client, organization.id)).__typename).toBe('InviteMemberPayload');
    expect(await invite(client, organization.id)).toEqual(reached('pending_invitations', 2));
    await query(gateway.database, 'UPDATE membership SET invitation_expires_at = now() WHERE id = $1', [
      decodeId('Membership', expired.membershipId),
    ]);
    expect(await limitsOf(organization, client)).toContainEqual(['pending_invitations', 2, 1]);
    expect((await invite(client, organization.id, 'again@example.com')).__typename).toBe('InviteMemberPayload');
  });

  it('take a seat each, members and open invitations alike', async () => {
    const organization = await aFoundation(gateway);
    const { client } = organization.owner;
    const member = await aMemberOf(gateway, organization, 'VIEWER');
    await aMemberOf(gateway, organization, 'VIEWER');
    await anInvitation(organization);
    expect(await limitsOf(organization, client)).toEqual([
      ['organizations_owned', 2, 1],
      ['organizations_joined', 2, 0],
      ['projects', 2, 0],
      ['seats', 4, 4],
      ['pending_invitations', 2, 1],
    ]);
    expect(await invite(client, organization.id)).toEqual(reached('seats', 4));
    await client.run(RemoveMemberDocument, { membershipId: member.membershipId });
    expect((await invite(client, organization.id)).__typename).toBe('InviteMemberPayload');
  });

  it('are never more than the limit, whoever invites at once at two gateways', async () => {
    const organization = await aFoundation(gateway);
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, index) =>
        invite(at(index % 2 === 0 ? gateway : second, organization.owner), organization.id),
      ),
    );
    expect([countOf(answers, 'InviteMemberPayload'), countOf(answers, 'PlanLimitReached')]).toEqual([2, 10]);
    expect(await limitsOf(organization, organization.owner.client)).toContainEqual(['seats', 4, 3]);
  });

  it('of a plan that shrank since are taken by as many as it has room for', async () => {
    const organization = await aFoundation(gateway);
    await setPlan(organization, 'team');
    const tokens: string[] = [];
    for (let n = 0; n < 6; n++) tokens.push((await anInvitation(organization)).token);
    await setPlan(organization, 'free');
    const people = await Promise.all(tokens.map(() => aPerson(gateway)));

    const answers = await Promise.all(
      people.map((person, index) => accept(at(index % 2 === 0 ? gateway : second, person), tokens[index] ?? '')),
    );

    expect([countOf(answers, 'MembershipPayload'), countOf(answers, 'PlanLimitReached')]).toEqual([3, 3]);
    expect(answers.find(({ __typename }) => __typename === 'PlanLimitReached')).toMatchObject({
      key: 'seats',
      limit: 4,
      current: 4,
    });
    expect(await limitsOf(organization, organization.owner.client)).toContainEqual(['seats', 4, 7]);
  });
});

describe('organizations of a person', () => {
  it('are owned up to the limit, and beyond by the most generous plan among them', async () => {
    const { client } = await aPerson(gateway);
    const first = await found(client);
    expect(first.__typename).toBe('OrganizationPayload');
    expect((await found(client)).__typename).toBe('OrganizationPayload');
    expect(await found(client)).toEqual(reached('organizations_owned', 2));
    if (first.__typename !== 'OrganizationPayload') return;
    await setPlan(first.organization, 'team');
    expect((await found(client)).__typename).toBe('OrganizationPayload');
    expect(await limitsOf(first.organization, client)).toContainEqual(['organizations_owned', 500, 3]);
  });

  it('are never more than the limit, founded at once at two gateways', async () => {
    const person = await aPerson(gateway);
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, index) => found(at(index % 2 === 0 ? gateway : second, person))),
    );
    expect([countOf(answers, 'OrganizationPayload'), countOf(answers, 'PlanLimitReached')]).toEqual([2, 8]);
  });

  it('are founded in any number by an operator, who owns none', async () => {
    const operator = gateway.as(gateway.demo.tokens.operator);
    for (let n = 0; n < 4; n++) expect((await found(operator)).__typename).toBe('OrganizationPayload');
  });

  it('are joined up to the limit, those that they own not counted', async () => {
    const person = await aPerson(gateway);
    await aFoundation(gateway, person);
    await aFoundation(gateway, person);
    const hosts: Founded[] = [];
    for (let n = 0; n < 3; n++) hosts.push(await aFoundation(gateway));
    const tokens = await Promise.all(hosts.map(async (host) => (await anInvitation(host)).token));
    const [one = '', two = '', three = ''] = tokens;
    expect((await accept(person.client, one)).__typename).toBe('MembershipPayload');
    expect((await accept(person.client, two)).__typename).toBe('MembershipPayload');
    expect(await accept(person.client, three)).toEqual(reached('organizations_joined', 2));
    const last = hosts[2];
    if (!last) throw new Error('there are three hosts');
    expect(await limitsOf(last, last.owner.client)).toContainEqual(['pending_invitations', 2, 1]);
    expect((await accept((await aPerson(gateway)).client, three)).__typename).toBe('MembershipPayload');
  });

  it('are joined no more than the limit at once at two gateways', async () => {
    const person = await aPerson(gateway);
    const tokens = await Promise.all(
      Array.from({ length: 6 }, async () => (await anInvitation(await aFoundation(gateway))).token),
    );
    const answers = await Promise.all(
      tokens.map((token, index) => accept(at(index % 2 === 0 ? gateway : second, person), token)),
    );
    expect([countOf(answers, 'MembershipPayload'), countOf(answers, 'PlanLimitReached')]).toEqual([2, 4]);
  });

  it('are not owned by invitation beyond the limit either', async () => {
    const person = await aPerson(gateway);
    await aFoundation(gateway, person);
    await aFoundation(gateway, person);
    const { token } = await anInvitation(await aFoundation(gateway), { role: 'OWNER' });
    expect(await accept(person.client, token)).toEqual(reached('organizations_owned', 2));
  });
});

describe('the limits of an organization', () => {
  it('are those of its plan and what it has; only a person is told their own', async () => {
    const organization = await anOrganization(gateway, { plan: 'team' });
    expect(await limitsOf(organization, organization.client)).toEqual([
      ['projects', 1000, 0],
      ['seats', 500, 0],
      ['pending_invitations', 200, 0],
    ]);
    await setPlan(organization, 'scale');
    expect(await limitsOf(organization, organization.client)).toEqual([]);
  });

  it('are read with as many statements for many organizations as for one', async () => {
    const person = await aPerson(gateway);
    const statementsFor = async () => {
      gateway.statements.length = 0;
      const { data, errors } = await person.client.raw<{ organizations: { edges: object[] } }>(
        '{ organizations { edges { node { limits { key max current window resetsAt } } } } }',
      );
      expect(errors).toEqual([]);
      return { organizations: data?.organizations.edges.length, statements: gateway.statements.length };
    };
    await aFoundation(gateway, person);
    const one = await statementsFor();
    expect(one.organizations).toBe(1);
    const [{ token }] = await Promise.all([aFoundation(gateway).then((host) => anInvitation(host))]);
    await aFoundation(gateway, person);
    await accept(person.client, token);
    expect(await statementsFor()).toEqual({ organizations: 3, statements: one.statements });
  });

  it('follow the catalog that is in force', async () => {
    const organization = await aFoundation(gateway);
    await addProject(organization.owner.client, organization.id);
    await apply(SMALL.replace('projects, max: 2 }', 'projects, max: 1 }'));
    expect(await addProject(at(second, organization.owner), organization.id)).toMatchObject({
      key: 'projects',
      limit: 1,
    });
    await apply(SMALL);
    expect((await addProject(at(second, organization.owner), organization.id)).__typename).toBe('ProjectPayload');
  });
});
