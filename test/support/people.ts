/** People as the identity provider vouches for them, for gateways that verify tokens with `JWT_SECRET`. */
import { randomUUID } from 'node:crypto';
import { SignJWT } from 'jose';
import { AcceptInvitationDocument, FoundOrganizationDocument, InviteMemberDocument } from '../generated/documents.ts';
import { createClient, type TestClient, type TestGateway } from './gateway.ts';

export const JWT_SECRET = 'a secret of this test, long enough to sign with';

export interface Person {
  readonly email: string;
  readonly token: string;
  readonly client: TestClient;
}

/** Somebody who signs in for the first time. */
export async function aPerson(gateway: TestGateway): Promise<Person> {
  const userId = `user-${randomUUID()}`;
  const email = `${userId}@example.com`;
  const token = await new SignJWT({ email })
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(userId)
    .setExpirationTime('1h')
    .sign(new TextEncoder().encode(JWT_SECRET));
  return { email, token, client: gateway.as(token) };
}

/** The same person at another gateway. */
export const at = ({ gateway }: TestGateway, { token }: Person): TestClient => createClient(gateway.endpoint, token);

export interface Founded {
  readonly id: string;
  readonly slug: string;
  readonly owner: Person;
}

/** An organization with its owner and nobody else. */
export async function aFoundation(gateway: TestGateway, owner?: Person): Promise<Founded> {
  const founder = owner ?? (await aPerson(gateway));
  const slug = `f-${randomUUID()}`;
  const { createOrganization } = await founder.client.run(FoundOrganizationDocument, { input: { slug, name: slug } });
  if (createOrganization.__typename !== 'OrganizationPayload') throw new Error(JSON.stringify(createOrganization));
  return { id: createOrganization.organization.id, slug, owner: founder };
}

/** An open invitation by the owner: to a new address, as a viewer, unless told. */
export async function anInvitation(
  { id, owner }: Founded,
  input: {
    readonly email?: string;
    readonly role?: 'OWNER' | 'ADMIN' | 'EDITOR' | 'VIEWER';
    readonly balanceAccess?: 'FULL' | 'EARMARK_ONLY';
  } = {},
): Promise<{ readonly token: string; readonly membershipId: string }> {
  const { inviteMember } = await owner.client.run(InviteMemberDocument, {
    input: { organizationId: id, email: `${randomUUID()}@example.com`, role: 'VIEWER', ...input },
  });
  if (inviteMember.__typename !== 'InviteMemberPayload') throw new Error(JSON.stringify(inviteMember));
  return { token: inviteMember.invitationToken, membershipId: inviteMember.membership.id };
}

/** A new person who has accepted an invitation. */
export async function aMemberOf(
  gateway: TestGateway,
  organization: Founded,
  role: 'OWNER' | 'ADMIN' | 'EDITOR' | 'VIEWER',
): Promise<Person & { readonly membershipId: string }> {
  const person = await aPerson(gateway);
  const { token, membershipId } = await anInvitation(organization, { role });
  const { acceptInvitation } = await person.client.run(AcceptInvitationDocument, { token });
  if (acceptInvitation.__typename !== 'MembershipPayload') throw new Error(JSON.stringify(acceptInvitation));
  return { ...person, membershipId };
}
