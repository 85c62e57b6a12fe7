/**
 * Members of an organization through the gateway: invited, accepting, given other roles, removed. Two gateways share the
 * database where callers race.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeId } from '../../src/graphql/ids.ts';
import {
  AcceptInvitationDocument,
  AuditTrailDocument,
  ChangeMemberRoleDocument,
  CreateApiKeyDocument,
  InviteMemberDocument,
  MembersDocument,
  RemoveMemberDocument,
  UpdateOrganizationDocument,
} from '../generated/documents.ts';
import { query } from '../support/books.ts';
import { startTestGateway, type TestClient, type TestGateway } from '../support/gateway.ts';
import { anApiKey } from '../support/given.ts';
import { aFoundation, aMemberOf, anInvitation, aPerson, at, type Founded, JWT_SECRET } from '../support/people.ts';

const WEEK = 7 * 86_400_000;

let gateway: TestGateway;
let second: TestGateway;
beforeAll(async () => {
  const env = { PURSER_JWT_SECRET: JWT_SECRET };
  gateway = await startTestGateway({ env });
  second = await startTestGateway({ env, database: gateway.database });
});
afterAll(async () => {
  await second[Symbol.asyncDispose]();
  await gateway[Symbol.asyncDispose]();
});

const invite = async (client: TestClient, organizationId: string, email: string, more: object = {}) =>
  (await client.run(InviteMemberDocument, { input: { organizationId, email, role: 'EDITOR', ...more } })).inviteMember;
const accept = async (client: TestClient, token: string) =>
  (await client.run(AcceptInvitationDocument, { token })).acceptInvitation;
const setRole = async (client: TestClient, membershipId: string, role: 'OWNER' | 'ADMIN' | 'EDITOR' | 'VIEWER') =>
  (await client.run(ChangeMemberRoleDocument, { input: { membershipId, role } })).changeMemberRole;
const remove = async (client: TestClient, membershipId: string) =>
  (await client.run(RemoveMemberDocument, { membershipId })).removeMember;

async function membersOf({ slug, owner }: Founded) {
  const { organization } = await owner.client.run(MembersDocument, { slug });
  return organization?.members?.edges.map(({ node }) => node) ?? [];
}

async function membershipOfOwner(organization: Founded): Promise<string> {
  const found = (await membersOf(organization)).find(({ user }) => user?.email === organization.owner.email);
  return found?.id ?? 'no owner';
}

/** The newest records of the audit trail, oldest first. */
async function auditOf({ slug, owner }: Founded, count: number) {
  const { organization } = await owner.client.run(AuditTrailDocument, { slug, first: count });
  return (organization?.auditTrail?.edges ?? [])
    .map(({ node: { action, before, after, actor } }) => ({ action, before, after, actor }))
    .toReversed();
}

const expire = (membershipId: string) =>
  query(gateway.database, 'UPDATE membership SET invitation_expires_at = now() WHERE id = $1', [
    decodeId('Membership', membershipId),
  ]);

describe('an invitation', () => {
  it('is a membership that has not begun, and its token is shown once and stored nowhere', async () => {
    const organization = await aFoundation(gateway);
    const before = Date.now();

    const answer = await invite(organization.owner.client, organization.id, '  Kim.Ö@Example.COM ', {
      balanceAccess: 'EARMARK_ONLY',
    });

    if (answer.__typename !== 'InviteMemberPayload') throw new Error(JSON.stringify(answer));
    const { membership, invitationToken } = answer;
    expect(membership).toMatchObject({
      role: 'EDITOR',
      balanceAccess: 'EARMARK_ONLY',
      status: 'INVITED',
      invitedEmail: 'kim.ö@example.com',
      user: null,
      removedAt: null,
      organization: { slug: organization.slug },
    });
    const life = Date.parse(membership.invitationExpiresAt ?? '') - before;
    expect(life).toBeGreaterThanOrEqual(WEEK - 1_000);
    expect(life).toBeLessThanOrEqual(WEEK + 60_000);
    // 32 random bytes.
    expect(Buffer.from(invitationToken.replace(/^pin_/, ''), 'base64url')).toHaveLength(32);
    const [stored] = await query<{ rows: string }>(
      gateway.database,
      'SELECT (SELECT json_agg(m)::text FROM membership m) || (SELECT json_agg(a)::text FROM audit_record a) AS rows',
    );
    expect(stored?.rows).toContain('kim.ö@example.com');
    expect(stored?.rows).not.toContain(invitationToken);
    expect(await membersOf(organization)).toHaveLength(2);
  });

  it('makes whoever holds its token a member, as it says, in that very answer', async () => {
    const organization = await aFoundation(gateway);
    const { token, membershipId } = await anInvitation(organization, { role: 'ADMIN' });
    const person = await aPerson(gateway);
    expect(await person.client.run(MembersDocument, { slug: organization.slug })).toEqual({ organization: null });

    const answer = await accept(person.client, token);

    expect(answer).toMatchObject({
      __typename: 'MembershipPayload',
      membership: {
        id: membershipId,
        role: 'ADMIN',
        balanceAccess: 'FULL',
        status: 'ACTIVE',
        user: { email: person.email },
        organization: { slug: organization.slug },
      },
    });
    const { organization: seen } = await person.client.run(MembersDocument, { slug: organization.slug });
    expect(seen?.members?.edges).toHaveLength(2);
  });

  it('narrows what is seen of the balance where it says so', async () => {
    const organization = await aFoundation(gateway);
    const { token } = await anInvitation(organization, { role: 'ADMIN', balanceAccess: 'EARMARK_ONLY' });
    const person = await aPerson(gateway);
    const { data } = await person.client.raw(
      `mutation { acceptInvitation(input: { token: "${token}" }) {
        ... on MembershipPayload { membership { organization { slug wallet { balance } limits { key } } } } } }`,
    );
    expect(data).toEqual({
      acceptInvitation: { membership: { organization: { slug: organization.slug, wallet: null, limits: null } } },
    });
  });

  it('is accepted once, by whomever', async () => {
    const organization = await aFoundation(gateway);
    const { token } = await anInvitation(organization);
    const person = await aPerson(gateway);
    await accept(person.client, token);
    for (const client of [person.client, (await aPerson(gateway)).client]) {
      expect(await accept(client, token)).toMatchObject({
        __typename: 'Conflict',
        httpStatus: 409,
        currentState: 'INVITATION_ACCEPTED',
      });
    }
    expect(await membersOf(organization)).toHaveLength(2);
  });

  it('is accepted by one of ten who try at once at two gateways', async () => {
    const organization = await aFoundation(gateway);
    const { token } = await anInvitation(organization);
    const people = await Promise.all(Array.from({ length: 10 }, () => aPerson(gateway)));

    const answers = await Promise.all(
      people.map((person, index) => accept(at(index % 2 === 0 ? gateway : second, person), token)),
    );

    expect(answers.map(({ __typename }) => __typename).toSorted()).toEqual([
      ...Array.from({ length: 9 }, () => 'Conflict'),
      'MembershipPayload',
    ]);
    expect(await membersOf(organization)).toHaveLength(2);
  });

  it('that has expired is refused, and may be made anew with another token', async () => {
    const organization = await aFoundation(gateway);
    const email = 'late@example.com';
    const old = await anInvitation(organization, { email });
    await expire(old.membershipId);
    const person = await aPerson(gateway);
    expect(await accept(person.client, old.token)).toMatchObject({
      __typename: 'Conflict',
      currentState: 'INVITATION_EXPIRED',
    });
    const young = await anInvitation(organization, { email });
    expect(await accept(person.client, old.token)).toMatchObject({ __typename: 'NotFound' });
    expect(await accept(person.client, young.token)).toMatchObject({ __typename: 'MembershipPayload' });
    expect(await membersOf(organization)).toHaveLength(2);
  });

  it('that was withdrawn is as if it had never been', async () => {
    const organization = await aFoundation(gateway);
    const { token, membershipId } = await anInvitation(organization, { email: 'gone@example.com' });
    expect(await remove(organization.owner.client, membershipId)).toMatchObject({
      __typename: 'MembershipPayload',
      membership: { id: membershipId, status: 'INVITED', removedAt: expect.any(String) },
    });
    const person = await aPerson(gateway);
    const refused = await accept(person.client, token);
    expect(refused).toMatchObject({ __typename: 'NotFound', httpStatus: 404 });
    for (const unknown of ['', 'pin_unknown', '\u0000', 'x'.repeat(10_000)]) {
      expect(await accept(person.client, unknown)).toEqual(refused);
    }
    expect(await membersOf(organization)).toHaveLength(1);
    await anInvitation(organization, { email: 'gone@example.com' });
  });

  it('is a conflict for an address that is invited, however written, or a member’s', async () => {
    const organization = await aFoundation(gateway);
    const { client, email } = organization.owner;
    await anInvitation(organization, { email: 'twice@example.com' });
    expect(await invite(client, organization.id, 'TWICE@example.com ')).toMatchObject({
      __typename: 'Conflict',
      currentState: 'ALREADY_INVITED',
    });
    expect(await invite(client, organization.id, email.toUpperCase())).toMatchObject({
      __typename: 'Conflict',
      currentState: 'ALREADY_MEMBER',
    });
    const elsewhere = await aFoundation(gateway);
    expect(await invite(elsewhere.owner.client, elsewhere.id, 'twice@example.com')).toMatchObject({
      __typename: 'InviteMemberPayload',
    });
  });

  it('to one address is made once by ten calls at once at two gateways', async () => {
    const organization = await aFoundation(gateway);
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        invite(at(index % 2 === 0 ? gateway : second, organization.owner), organization.id, 'race@example.com'),
      ),
    );
    const made = answers.filter(({ __typename }) => __typename === 'InviteMemberPayload');
    const conflicts = answers.filter(({ __typename }) => __typename === 'Conflict');
    expect([made.length, conflicts.length]).toEqual([1, 9]);
    expect(await membersOf(organization)).toHaveLength(2);
  });

  it('does not make a member twice of somebody', async () => {
    const organization = await aFoundation(gateway);
    const member = await aMemberOf(gateway, organization, 'VIEWER');
    const { token, membershipId } = await anInvitation(organization, { role: 'OWNER' });
    expect(await accept(member.client, token)).toMatchObject({
      __typename: 'Conflict',
      currentState: 'ALREADY_MEMBER',
    });
    const open = (await membersOf(organization)).find(({ id }) => id === membershipId);
    expect(open?.status).toBe('INVITED');
  });

  it.each([
    ['an empty address', { email: ' ' }, 'email'],
    ['no address', { email: 'kim' }, 'email'],
    ['two addresses', { email: 'a@example.com, b@example.com' }, 'email'],
    ['an address with a line break', { email: 'a@example.com\nBcc: b@example.com' }, 'email'],
    ['an address that cannot be stored', { email: 'a\u0000@example.com' }, 'email'],
    ['an address that is too long', { email: `${'a'.repeat(60)}@${'b'.repeat(200)}.com` }, 'email'],
    ['an owner who would not see the balance', { role: 'OWNER', balanceAccess: 'EARMARK_ONLY' }, 'balanceAccess'],
  ])('of %s is invalid', async (_what, wrong, field) => {
    const organization = await aFoundation(gateway);
    const answer = await invite(organization.owner.client, organization.id, 'fine@example.com', wrong);
    expect(answer).toMatchObject({ __typename: 'InvalidInput', path: [field] });
    expect(await membersOf(organization)).toHaveLength(1);
  });

  it('is accepted by nobody but a person who is signed in', async () => {
    const organization = await aFoundation(gateway);
    const { token } = await anInvitation(organization);
    const document = `mutation { acceptInvitation(input: { token: "${token}" }) { __typename } }`;
    const { operator, masterKey } = gateway.demo.tokens;
    const codes = [];
    for (const credential of [undefined, operator, masterKey]) {
      codes.push((await gateway.as(credential).raw(document)).errors[0]?.extensions.code);
    }
    expect(codes).toEqual(['UNAUTHENTICATED', 'FORBIDDEN', 'FORBIDDEN']);
    expect(await membersOf(organization)).toMatchObject([{ status: 'ACTIVE' }, { status: 'INVITED' }]);
  });
});

describe('a role', () => {
  it('changes what a member may do from the next request on', async () => {
    const organization = await aFoundation(gateway);
    const member = await aMemberOf(gateway, organization, 'VIEWER');
    const rename = () =>
      member.client.raw(
        `mutation { updateOrganization(input: { organizationId: "${organization.id}", name: "X" }) { __typename } }`,
      );
    expect((await rename()).errors[0]?.extensions.code).toBe('FORBIDDEN');
    expect(await setRole(organization.owner.client, member.membershipId, 'OWNER')).toMatchObject({
      membership: { role: 'OWNER', status: 'ACTIVE' },
    });
    expect((await rename()).data).toEqual({ updateOrganization: { __typename: 'OrganizationPayload' } });
    await setRole(organization.owner.client, member.membershipId, 'EDITOR');
    expect((await rename()).errors[0]?.extensions.code).toBe('FORBIDDEN');
  });

  it('of an invitation is what it is accepted with', async () => {
    const organization = await aFoundation(gateway);
    const { token, membershipId } = await anInvitation(organization);
    await setRole(organization.owner.client, membershipId, 'ADMIN');
    const person = await aPerson(gateway);
    expect(await accept(person.client, token)).toMatchObject({ membership: { role: 'ADMIN' } });
  });

  it('of the last owner stays, with other members, invited owners and other organizations beside', async () => {
    const organization = await aFoundation(gateway);
    await aMemberOf(gateway, organization, 'ADMIN');
    await anInvitation(organization, { role: 'OWNER' });
    await aFoundation(gateway, organization.owner);
    const own = await membershipOfOwner(organization);
    const before = await membersOf(organization);
    const { client } = organization.owner;
    const operator = gateway.as(gateway.demo.tokens.operator);
    for (const answer of [
      await setRole(client, own, 'ADMIN'),
      await remove(client, own),
      await setRole(operator, own, 'VIEWER'),
      await remove(operator, own),
    ]) {
      expect(answer).toMatchObject({ __typename: 'Conflict', httpStatus: 409, currentState: 'LAST_OWNER' });
    }
    expect(await setRole(client, own, 'OWNER')).toMatchObject({ __typename: 'MembershipPayload' });
    expect(await membersOf(organization)).toEqual(before);
  });

  it('of two owners who demote each other at once: one stays an owner', async () => {
    for (let round = 0; round < 5; round++) {
      const organization = await aFoundation(gateway);
      const other = await aMemberOf(gateway, organization, 'OWNER');
      const own = await membershipOfOwner(organization);

      const answers = await Promise.all([
        setRole(at(gateway, organization.owner), other.membershipId, 'VIEWER'),
        setRole(at(second, other), own, 'VIEWER').catch(() => ({ __typename: 'FORBIDDEN' })),
      ]);

      expect(answers.filter(({ __typename }) => __typename === 'MembershipPayload')).toHaveLength(1);
      const owners = (await membersOf(organization)).filter(({ role }) => role === 'OWNER');
      expect(owners).toHaveLength(1);
    }
  });
});

describe('removal', () => {
  it('of two owners by each other at once leaves one', async () => {
    for (let round = 0; round < 5; round++) {
      const organization = await aFoundation(gateway);
      const other = await aMemberOf(gateway, organization, 'OWNER');
      const own = await membershipOfOwner(organization);

      // Whoever has been removed by then is a stranger, whose call is forbidden.
      await Promise.allSettled([
        remove(at(gateway, organization.owner), other.membershipId),
        remove(at(second, other), own),
      ]);

      const rows = await query(
        gateway.database,
        "SELECT id FROM membership WHERE organization_id = $1 AND role = 'OWNER' AND removed_at IS NULL",
        [decodeId('Organization', organization.id)],
      );
      expect(rows).toHaveLength(1);
    }
  });

  it('makes a stranger of a member at once, who may be invited and join again', async () => {
    const organization = await aFoundation(gateway);
    const member = await aMemberOf(gateway, organization, 'ADMIN');
    const removed = await remove(organization.owner.client, member.membershipId);
    expect(removed).toMatchObject({
      __typename: 'MembershipPayload',
      membership: { id: member.membershipId, user: { email: member.email }, removedAt: expect.any(String) },
    });
    expect(await member.client.run(MembersDocument, { slug: organization.slug })).toEqual({ organization: null });
    const { data } = await member.client.raw('{ viewer { memberships { id } } }');
    expect(data).toEqual({ viewer: { memberships: [] } });
    expect(await membersOf(organization)).toHaveLength(1);
    const nodes = await organization.owner.client.raw(`{ node(id: "${member.membershipId}") { id } }`);
    expect(nodes.data).toEqual({ node: null });
    expect(await remove(organization.owner.client, member.membershipId)).toMatchObject({ __typename: 'NotFound' });
    expect(await setRole(organization.owner.client, member.membershipId, 'OWNER')).toMatchObject({
      __typename: 'NotFound',
    });

    const { token } = await anInvitation(organization, { email: member.email, role: 'EDITOR' });
    expect(await accept(member.client, token)).toMatchObject({ membership: { role: 'EDITOR' } });
    expect(await membersOf(organization)).toHaveLength(2);
  });

  it('of oneself is answered as to a stranger', async () => {
    const organization = await aFoundation(gateway);
    const other = await aMemberOf(gateway, organization, 'OWNER');
    const { data } = await other.client.raw(
      `mutation { removeMember(input: { membershipId: "${other.membershipId}" }) {
        ... on MembershipPayload { membership { organization { wallet { balance } members { edges { node { id } } } } } } } }`,
    );
    expect(data).toEqual({ removeMember: { membership: { organization: { wallet: null, members: null } } } });
  });

  it('takes away the attribution of charges to somebody', async () => {
    const organization = await aFoundation(gateway);
    const member = await aMemberOf(gateway, organization, 'VIEWER');
    const { data } = await member.client.raw<{ viewer: { user: { id: string } } }>('{ viewer { user { id } } }');
    const estimate = `{ estimate(input: { organizationId: "${organization.id}", userId: "${data?.viewer.user.id}", usage: [{ meter: "search" }] }) { __typename } }`;
    const asked = async () =>
      (await organization.owner.client.raw<{ estimate: object | null }>(estimate)).data?.estimate;
    expect(await asked()).toEqual({ __typename: 'Estimate' });
    await remove(organization.owner.client, member.membershipId);
    expect(await asked()).not.toEqual({ __typename: 'Estimate' });
  });
});

describe('the members', () => {
  it('are listed oldest first, invitations too, in pages', async () => {
    const organization = await aFoundation(gateway);
    const member = await aMemberOf(gateway, organization, 'VIEWER');
    const gone = await aMemberOf(gateway, organization, 'VIEWER');
    const { membershipId } = await anInvitation(organization);
    await remove(organization.owner.client, gone.membershipId);
    const ids: string[] = [];
    let after: string | undefined;
    do {
      const page = await organization.owner.client.run(MembersDocument, {
        slug: organization.slug,
        first: 1,
        ...(after === undefined ? {} : { after }),
      });
      const [edge] = page.organization?.members?.edges ?? [];
      after = edge?.cursor;
      if (edge) ids.push(edge.node.id);
    } while (after !== undefined);
    expect(ids).toEqual([await membershipOfOwner(organization), member.membershipId, membershipId]);
  });

  it('are changed by a master key, with every change in the audit trail', async () => {
    const organization = await aFoundation(gateway);
    const master = gateway.as(await anApiKey(gateway, organization.id, 'MASTER'));
    const made = await master.run(InviteMemberDocument, { input: { email: 'audited@example.com', role: 'EDITOR' } });
    if (made.inviteMember.__typename !== 'InviteMemberPayload') throw new Error(JSON.stringify(made));
    const { membership, invitationToken } = made.inviteMember;
    const membershipId = decodeId('Membership', membership.id);
    const person = await aPerson(gateway);
    await accept(person.client, invitationToken);
    await setRole(organization.owner.client, membership.id, 'VIEWER');
    await setRole(organization.owner.client, membership.id, 'VIEWER');
    await remove(master, membership.id);

    const userId = decodeId('User', (await userIdOf(person.client)) ?? '');
    const place = { role: 'EDITOR', balanceAccess: 'FULL' };
    expect(await auditOf(organization, 4)).toEqual([
      {
        action: 'inviteMember',
        before: null,
        after: { membershipId, email: 'audited@example.com', ...place },
        actor: { __typename: 'ApiKey' },
      },
      {
        action: 'acceptInvitation',
        before: { membershipId, status: 'INVITED' },
        after: { membershipId, status: 'ACTIVE', userId, ...place },
        actor: { __typename: 'User', email: person.email },
      },
      {
        action: 'changeMemberRole',
        before: { membershipId, role: 'EDITOR' },
        after: { membershipId, role: 'VIEWER' },
        actor: { __typename: 'User', email: organization.owner.email },
      },
      {
        action: 'removeMember',
        before: {
          membershipId,
          ...place,
          role: 'VIEWER',
          status: 'ACTIVE',
          userId,
          invitedEmail: 'audited@example.com',
        },
        after: { membershipId, status: 'REMOVED' },
        actor: { __typename: 'ApiKey' },
      },
    ]);
  });

  it('are not changed by a master key that is bound to a project, nor is the name', async () => {
    const organization = await aFoundation(gateway);
    const { token: _token, membershipId } = await anInvitation(organization);
    const { client } = organization.owner;
    const { data } = await client.raw<{ createProject: { project: { id: string } } }>(
      `mutation { createProject(input: { organizationId: "${organization.id}", key: "p", name: "P" }) { ... on ProjectPayload { project { id } } } }`,
    );
    const { createApiKey } = await client.run(CreateApiKeyDocument, {
      input: {
        organizationId: organization.id,
        name: 'bound',
        master: true,
        projectId: data?.createProject.project.id ?? '',
      },
    });
    if (createApiKey.__typename !== 'CreateApiKeyPayload') throw new Error(JSON.stringify(createApiKey));
    const bound = gateway.as(createApiKey.secret);
    const before = await membersOf(organization);
    for (const mutation of [
      'inviteMember(input: { email: "me@example.com", role: OWNER })',
      `changeMemberRole(input: { membershipId: "${membershipId}", role: OWNER })`,
      `removeMember(input: { membershipId: "${membershipId}" })`,
      'updateOrganization(input: { name: "Mine" })',
    ]) {
      const { errors } = await bound.raw(`mutation { ${mutation} { __typename } }`);
      expect(errors[0]?.extensions.code, mutation).toBe('FORBIDDEN');
    }
    expect(await membersOf(organization)).toEqual(before);
  });
});

async function userIdOf(client: TestClient): Promise<string | undefined> {
  const { data } = await client.raw<{ viewer: { user: { id: string } } }>('{ viewer { user { id } } }');
  return data?.viewer.user.id;
}

describe('the name of an organization', () => {
  it('is changed with a record of what it was, and stays where nothing new is given', async () => {
    const organization = await aFoundation(gateway);
    const { client } = organization.owner;
    const rename = async (input: object) =>
      (await client.run(UpdateOrganizationDocument, { input: { organizationId: organization.id, ...input } }))
        .updateOrganization;
    expect(await rename({ name: 'Ümlaut & Co' })).toMatchObject({ organization: { name: 'Ümlaut & Co' } });
    const [record] = await auditOf(organization, 1);
    expect(record).toMatchObject({
      action: 'updateOrganization',
      before: { name: organization.slug },
      after: { name: 'Ümlaut & Co' },
    });
    const counted = await auditOf(organization, 100);
    expect(await rename({})).toMatchObject({ organization: { name: 'Ümlaut & Co' } });
    expect(await rename({ name: 'Ümlaut & Co' })).toMatchObject({ organization: { name: 'Ümlaut & Co' } });
    expect(await auditOf(organization, 100)).toEqual(counted);
  });

  it.each(['', 'x'.repeat(201), 'a\u0000b'])('is not %j', async (name) => {
    const organization = await aFoundation(gateway);
    const { updateOrganization } = await organization.owner.client.run(UpdateOrganizationDocument, {
      input: { organizationId: organization.id, name },
    });
    expect(updateOrganization).toMatchObject({ __typename: 'InvalidInput', path: ['name'] });
  });
});
