/** Who calls: credentials that are none are told apart by nobody, those that end end at once, and secrets are shown once. */
import { createHash, generateKeyPairSync } from 'node:crypto';
import { type CryptoKey, generateKeyPair, type JWTPayload, SignJWT } from 'jose';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Gateway, startGateway } from '../../src/compose.ts';
import { decodeId, encodeId } from '../../src/graphql/ids.ts';
import {
  AuditTrailDocument,
  BalanceChangedDocument,
  CreateApiKeyDocument,
  type CreateApiKeyMutationVariables,
  DebitDocument,
  RevokeApiKeyDocument,
  ViewerDocument,
} from '../generated/documents.ts';
import { query } from '../support/books.ts';
import { createClient, startTestGateway, type TestClient, type TestGateway, testConfig } from '../support/gateway.ts';
import { aKey, anApiKey, anOrganization, type Given } from '../support/given.ts';
import { anIdentityProvider, type IdentityProvider } from '../support/identity-provider.ts';
import { eventually } from '../support/process-posting.ts';
import { BareSocket, subscribe, TRANSPORTS, type Transport } from './streams.ts';

const JWT_SECRET = 'a secret of this test, long enough to sign with';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway({ env: { PURSER_JWT_SECRET: JWT_SECRET } });
});
afterAll(() => gateway[Symbol.asyncDispose]());

interface Signing {
  readonly secret?: string;
  readonly alg?: string;
  readonly expires?: string | number;
}

function aToken(claims: Record<string, unknown>, { secret = JWT_SECRET, alg = 'HS256', expires = '1h' }: Signing = {}) {
  const token = new SignJWT(claims as JWTPayload).setProtectedHeader({ alg }).setIssuedAt().setExpirationTime(expires);
  return token.sign(new TextEncoder().encode(secret));
}

interface MadeKey {
  readonly id: string;
  readonly secret: string;
}

async function makeKey(client: TestClient, input: CreateApiKeyMutationVariables['input']): Promise<MadeKey> {
  const { createApiKey } = await client.run(CreateApiKeyDocument, { input });
  if (createApiKey.__typename !== 'CreateApiKeyPayload') throw new Error(JSON.stringify(createApiKey));
  return { id: createApiKey.apiKey.id, secret: createApiKey.secret };
}

async function revoke(client: TestClient, apiKeyId: string): Promise<void> {
  const { revokeApiKey } = await client.run(RevokeApiKeyDocument, { input: { apiKeyId } });
  expect(revokeApiKey.__typename).toBe('ApiKeyPayload');
}

/** A response byte for byte, without what HTTP itself adds. */
async function rawResponse(authorization: string, init: RequestInit & { path?: string } = {}) {
  const { path = '', ...rest } = init;
  const response = await fetch(`${gateway.gateway.endpoint}${path}`, {
    method: 'POST',
    body: JSON.stringify({ query: '{ plans { key } }' }),
    ...rest,
    headers: { 'content-type': 'application/json', authorization, ...rest.headers },
  });
  const headers = Object.fromEntries(
    [...response.headers].filter(([name]) => !['date', 'connection', 'keep-alive'].includes(name)),
  );
  return { status: response.status, headers, body: await response.text() };
}

/** Everything that is no credential, each in its own way. */
async function badCredentials(): Promise<Record<string, string>> {
  const { client, id } = await anOrganization(gateway);
  const revoked = await makeKey(client, { name: 'revoked', master: true });
  await revoke(client, revoked.id);
  const expired = await makeKey(client, {
    name: 'expired',
    master: true,
    expiresAt: new Date(Date.now() + 60_000).toISOString(),
  });
  await query(gateway.database, "UPDATE api_key SET expires_at = now() - interval '1 second' WHERE id = $1", [
    decodeId('ApiKey', expired.id),
  ]);
  const live = await anApiKey(gateway, id, 'MASTER');
  const token = await aToken({ sub: 'somebody' });
  const [header, payload = '', signature] = token.split('.');
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${payload}.`;
  const asOperator = Buffer.from(JSON.stringify({ sub: 'somebody', purser_operator: true, exp: 4e9 })).toString(
    'base64url',
  );
  return {
    'a revoked key': `Bearer ${revoked.secret}`,
    'an expired key': `Bearer ${expired.secret}`,
    'a key that never was': `Bearer psk_${'A'.repeat(43)}`,
    'a key cut short': `Bearer ${live.slice(0, -1)}`,
    'a key with more behind it': `Bearer ${live}x`,
    'a key in capitals': `Bearer ${live.toUpperCase()}`,
    'a key’s prefix': `Bearer ${live.slice(0, 12)}`,
    'a key’s hash': `Bearer psk_${createHash('sha256').update(live).digest('hex')}`,
    'a key without its scheme': live,
    'a key in another scheme': `Basic ${live}`,
    'a key twice': `Bearer ${live} ${live}`,
    'a key in quotes': `Bearer "${live}"`,
    'no key at all': 'Bearer',
    'no text': 'Bearer  ',
    SQL: "Bearer psk_' OR '1'='1",
    'an expired token': `Bearer ${await aToken({ sub: 'somebody' }, { expires: 1_000_000_000 })}`,
    'a token of another secret': `Bearer ${await aToken({ sub: 'somebody' }, { secret: `${JWT_SECRET}?` })}`,
    'a token of another algorithm': `Bearer ${await aToken({ sub: 'somebody' }, { alg: 'HS512', secret: JWT_SECRET.repeat(2) })}`,
    'a token of an asymmetric key': `Bearer ${await new SignJWT({ sub: 'somebody' }).setProtectedHeader({ alg: 'RS256' }).sign(privateKey)}`,
    'an unsigned token': `Bearer ${unsigned}`,
    'a token with another payload': `Bearer ${header}.${asOperator}.${signature}`,
    'a token without its signature': `Bearer ${header}.${payload}`,
    'a token not yet valid': `Bearer ${await aToken({ sub: 'somebody', nbf: 4_000_000_000 })}`,
    'a token of nobody': `Bearer ${await aToken({})}`,
    'a token of an empty name': `Bearer ${await aToken({ sub: '' })}`,
    'a token of a number': `Bearer ${await aToken({ sub: 5 })}`,
    'a token of an object': `Bearer ${await aToken({ sub: { id: 'somebody' } })}`,
    'a token of a list': `Bearer ${await aToken({ sub: ['somebody'] })}`,
    'a token of a name with NUL': `Bearer ${await aToken({ sub: 'some\0body' })}`,
    'a token of a name with half a character': `Bearer ${await aToken({ sub: 'some\ud800body' })}`,
    'a token of a name that is too long': `Bearer ${await aToken({ sub: 'x'.repeat(201) })}`,
    'a token that is none': 'Bearer a.b.c',
  };
}

describe('a credential that is not valid', () => {
  it('is one 401, whatever is wrong with it', async () => {
    const answers = Object.entries(await badCredentials()).map(async ([name, authorization]) => ({
      name,
      answer: await rawResponse(authorization),
    }));
    const expected = await rawResponse('Bearer nonsense');
    expect(expected).toMatchObject({ status: 401, headers: { 'www-authenticate': 'Bearer' } });
    expect(JSON.parse(expected.body)).toEqual({
      errors: [{ message: 'Sign in with a valid API key or token.', extensions: { code: 'UNAUTHENTICATED' } }],
    });
    for (const { name, answer } of await Promise.all(answers)) expect(answer, name).toEqual(expected);
  });

  it.each([
    ['a private query', { body: JSON.stringify({ query: '{ viewer { kind } }' }) }],
    [
      'a mutation',
      {
        body: JSON.stringify({
          query: 'mutation { debit(input: { idempotencyKey: "k", amount: "1" }) { __typename } }',
        }),
      },
    ],
    ['a document that is invalid', { body: JSON.stringify({ query: '{ nothing }' }) }],
    ['a document that is none', { body: JSON.stringify({ query: '{' }) }],
    ['introspection', { body: JSON.stringify({ query: '{ __schema { types { name } } }' }) }],
    ['no JSON', { body: '{' }],
    ['no body', { body: '' }],
    ['a list of queries', { body: '[]' }],
    ['a GET', { method: 'GET', body: null, path: '?query=%7Bplans%7Bkey%7D%7D' }],
    ['a form', { headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: 'query={plans{key}}' }],
    ['a stream', { headers: { accept: 'text/event-stream' } }],
  ])('is that same 401 with %s', async (_name, init) => {
    expect(await rawResponse('Bearer nonsense', init)).toEqual(await rawResponse('Bearer nonsense'));
  });

  it('closes a WebSocket with 4403, be it in the parameters or in the header', async () => {
    for (const [name, authorization] of Object.entries(await badCredentials())) {
      await using socket = await BareSocket.open(gateway);
      socket.send({ type: 'connection_init', payload: { authorization } });
      expect(await socket.closed, name).toEqual({ code: 4403, reason: 'Forbidden' });
    }
    await using socket = await BareSocket.open(gateway, { authorization: 'Bearer nonsense' });
    socket.send({ type: 'connection_init' });
    expect(await socket.closed).toEqual({ code: 4403, reason: 'Forbidden' });
  });
});

describe('no credential', () => {
  const anonymous = () => gateway.as();

  it('is enough for what is public', async () => {
    const answer = await anonymous().raw('{ __typename plans { key } packages { key } rateCard { version } }');
    expect(answer).toMatchObject({ status: 200, errors: [], data: { __typename: 'Query', rateCard: { version: 1 } } });
  });

  it('is 401 only where a field needs one, and shows what is public beside it', async () => {
    const { status, data, errors } = await anonymous().raw('{ plans { key } organization(slug: "demo") { id } }');
    expect(status).toBe(401);
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatchObject({ path: ['organization'], extensions: { code: 'UNAUTHENTICATED' } });
    expect(data).toEqual({ plans: expect.arrayContaining([{ key: 'free' }]), organization: null });
  });

  it('is told what is wrong with a document, not to sign in', async () => {
    for (const document of ['{', '{ nothing }', '{ organization(slug: 5) { id } }']) {
      const { status, errors } = await anonymous().raw(document);
      expect(status).not.toBe(401);
      expect(errors[0]?.extensions.code).toBe('BAD_USER_INPUT');
    }
  });

  it('does not stop at an empty header', async () => {
    expect(await rawResponse('')).toMatchObject({ status: 200 });
  });

  it.each([
    'debit(input: { idempotencyKey: "k", amount: "1" })',
    'recordUsage(input: { events: [] })',
    'purchasePackage(input: { idempotencyKey: "k", packageId: "x" })',
    'createOrganization(input: { slug: "", name: "" })',
    'createProject(input: { key: "", name: "" })',
    'createApiKey(input: { name: "" })',
    'revokeApiKey(input: { apiKeyId: "x" })',
    'grantCredits(input: { organizationId: "x", idempotencyKey: "", credits: 0, bucketKey: "", reason: "" })',
    'adjustBalance(input: { organizationId: "x", idempotencyKey: "", credits: 0, bucketKey: "", reason: "" })',
    'advanceTestClock(input: { organizationId: "x", to: "1970-01-01T00:00:00Z" })',
  ])('is refused before the input is looked at: %s', async (mutation) => {
    const { status, data, errors } = await anonymous().raw(`mutation { ${mutation} { __typename } }`);
    expect({ status, data }).toEqual({ status: 401, data: null });
    expect(errors.map((error) => error.extensions)).toEqual([{ code: 'UNAUTHENTICATED' }]);
  });

  it.each(TRANSPORTS)('opens no stream over %s', async (transport) => {
    for (const field of ['balanceChanged', 'ledgerEntryPosted', 'activityAdded']) {
      const document = `subscription { ${field}(organizationId: "${gateway.organizationId}") { cursor } }`;
      await using live = subscribe(transport, gateway, undefined, document);
      const result = await live.result();
      expect(result?.data ?? null).toBeNull();
      expect(result?.errors?.map((error) => error.extensions)).toEqual([{ code: 'UNAUTHENTICATED' }]);
    }
  });

  it('asks the public things over WebSocket too', async () => {
    await using socket = await BareSocket.initialized(gateway);
    socket.subscribe('1', '{ rateCard { version } }');
    expect((await socket.messageOf('next', '1')).payload).toEqual({ data: { rateCard: { version: 1 } } });
  });
});

describe('a credential that ends', () => {
  const isRefused = async (client: TestClient) => (await client.raw('{ plans { key } }')).status === 401;

  it('is refused from the next request on: a revoked key', async () => {
    const organization = await anOrganization(gateway);
    const { id, secret } = await makeKey(organization.client, { name: 'k', scopes: ['USAGE_WRITE'] });
    const client = gateway.as(secret);
    for (let request = 0; request < 3; request++) expect(await isRefused(client)).toBe(false);
    await revoke(organization.client, id);
    expect(await isRefused(client)).toBe(true);
  });

  it('is refused by every process: a revoked key on another gateway', async () => {
    const { database } = gateway;
    await using elsewhere = await startTestGateway({ database, env: { PURSER_JWT_SECRET: JWT_SECRET } });
    const organization = await anOrganization(gateway);
    const { id, secret } = await makeKey(organization.client, { name: 'k', scopes: ['USAGE_WRITE'] });
    expect(await isRefused(elsewhere.as(secret))).toBe(false);
    await revoke(organization.client, id);
    expect(await isRefused(elsewhere.as(secret))).toBe(true);
  });

  it('may be the one that revokes: its own answer is its last', async () => {
    const organization = await anOrganization(gateway);
    const { id, secret } = await makeKey(organization.client, { name: 'k', master: true });
    await revoke(gateway.as(secret), id);
    expect(await isRefused(gateway.as(secret))).toBe(true);
  });

  it('is refused on a socket that was opened before', async () => {
    const organization = await anOrganization(gateway);
    const { id, secret } = await makeKey(organization.client, { name: 'k', scopes: ['BILLING_READ'] });
    await using socket = await BareSocket.initialized(gateway, secret);
    socket.subscribe('1', '{ plans { key } }');
    await socket.messageOf('complete', '1');
    await revoke(organization.client, id);
    socket.subscribe('2', '{ plans { key } }');
    expect((await socket.closed).code).toBe(4403);
  });

  it.each(TRANSPORTS)('ends its open streams before their next event over %s: a revoked key', async (transport) => {
    const organization = await anOrganization(gateway, { credits: { purchased: '10' } });
    const { id, secret } = await makeKey(organization.client, { name: 'k', scopes: ['BILLING_READ'] });
    await using live = subscribe(transport, gateway, secret, BalanceChangedDocument, {
      organizationId: organization.id,
    });
    await live.next();
    await revoke(organization.client, id);
    await organization.client.run(DebitDocument, { input: { idempotencyKey: aKey(), amount: '1' } });
    expect(await eventAfterTheEnd(live)).toBeNull();
  });

  it.each(TRANSPORTS)('ends their open streams before the next event over %s: a removed member', async (transport) => {
    const organization = await anOrganization(gateway, { credits: { purchased: '10' } });
    const { userId, token } = await aMember(organization, 'VIEWER');
    await using live = subscribe(transport, gateway, token, BalanceChangedDocument, {
      organizationId: organization.id,
    });
    await live.next();
    await query(gateway.database, 'DELETE FROM membership WHERE user_id = $1', [userId]);
    await organization.client.run(DebitDocument, { input: { idempotencyKey: aKey(), amount: '1' } });
    expect(await eventAfterTheEnd(live)).toBeNull();
  });

  it('loses what a role gave as soon as the role is another', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '10' } });
    const { userId, token } = await aMember(organization, 'OWNER');
    const charge = () =>
      gateway
        .as(token)
        .raw(
          `mutation { debit(input: { organizationId: "${organization.id}", idempotencyKey: "${aKey()}", amount: "1" }) { __typename } }`,
        );
    expect((await charge()).data).toEqual({ debit: { __typename: 'DebitPayload' } });
    await query(gateway.database, "UPDATE membership SET role = 'VIEWER' WHERE user_id = $1", [userId]);
    expect((await charge()).errors[0]?.extensions.code).toBe('FORBIDDEN');
    await query(gateway.database, 'DELETE FROM membership WHERE user_id = $1', [userId]);
    expect((await charge()).errors[0]?.extensions.code).toBe('FORBIDDEN');
    const { data } = await gateway.as(token).raw(`{ organization(slug: "${organization.slug}") { id } }`);
    expect(data).toEqual({ organization: null });
  });

  async function aMember({ id }: Given, role: string): Promise<{ userId: string; token: string }> {
    const userId = `user-${aKey()}`;
    const token = await aToken({ sub: userId });
    // The first request makes the person known.
    await gateway.as(token).run(ViewerDocument, {});
    await query(
      gateway.database,
      'INSERT INTO membership (id, organization_id, user_id, role) VALUES (gen_random_uuid(), $1, $2, $3)',
      [decodeId('Organization', id), userId, role],
    );
    return { userId, token };
  }
});

/** The event that a stream brings although its credential has ended; null where it ends, with an error or without. */
async function eventAfterTheEnd(live: { result(): Promise<{ data?: unknown } | null> }): Promise<unknown> {
  try {
    return (await live.result())?.data ?? null;
  } catch {
    return null;
  }
}

describe('a retry', () => {
  it('with the key that replaced another gets the first answer', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '10' } });
    const [old, next] = [
      await makeKey(organization.client, { name: 'old', scopes: ['USAGE_WRITE'] }),
      await makeKey(organization.client, { name: 'next', scopes: ['USAGE_WRITE'] }),
    ];
    const input = { idempotencyKey: aKey(), amount: '4' };
    const first = await gateway.as(old.secret).run(DebitDocument, { input });
    await revoke(organization.client, old.id);
    const again = await gateway.as(next.secret).run(DebitDocument, { input });
    expect(again).toEqual({ debit: { ...first.debit, replayed: true } });
  });
});

describe('a token', () => {
  it('makes an operator only where the claim is true itself', async () => {
    for (const claim of ['true', 1, 'yes', {}, [], null, false]) {
      const client = gateway.as(await aToken({ sub: 'climber', purser_operator: claim }));
      const { viewer } = await client.run(ViewerDocument, {});
      expect(viewer.kind, JSON.stringify(claim)).toBe('USER');
    }
    const { viewer } = await gateway.as(await aToken({ sub: 'op', purser_operator: true })).run(ViewerDocument, {});
    expect(viewer).toMatchObject({ kind: 'OPERATOR', memberships: [], scopes: [] });
  });

  it('signs somebody in whatever else the identity provider says of them', async () => {
    for (const claims of [
      { email: 'with\0nul@example.com', name: 'a\0b' },
      { email: 5, name: { first: 'x' } },
      { email: 'half\ud800', name: 'x'.repeat(10_000) },
      { email: '', name: '' },
    ]) {
      const sub = `user-${aKey()}`;
      const { status, data, errors } = await gateway
        .as(await aToken({ sub, ...claims }))
        .raw('{ viewer { user { id } } }');
      expect({ status, errors }).toEqual({ status: 200, errors: [] });
      expect(data).toEqual({ viewer: { user: { id: encodeId('User', sub) } } });
    }
  });

  it('may be given with the scheme in any case', async () => {
    const token = await aToken({ sub: 'somebody' });
    for (const scheme of ['bearer', 'BEARER', 'Bearer'])
      expect((await rawResponse(`${scheme} ${token}`)).status).toBe(200);
  });
});

describe('tokens of an identity provider', () => {
  let provider: IdentityProvider;
  /** On the database of the other one, which has the demo. */
  let served: Gateway;
  beforeAll(async () => {
    provider = await anIdentityProvider();
    served = await startGateway(testConfig(gateway.database, { PURSER_JWKS_URL: provider.jwksUrl }));
  });
  afterAll(async () => {
    await served.stop();
    await provider[Symbol.asyncDispose]();
  });
  afterEach(() => {
    provider.trouble = null;
  });

  const viewerOf = async (token: string) => createClient(served.endpoint, token).raw('{ viewer { kind user { id } } }');

  it('sign people and operators in, by any of its keys', async () => {
    for (const alg of ['RS256', 'ES256'] as const) {
      const user = { id: encodeId('User', 'somebody') };
      expect((await viewerOf(await provider.sign('somebody', {}, alg))).data).toEqual({
        viewer: { kind: 'USER', user },
      });
      const operator = await provider.sign('somebody', { purser_operator: true }, alg);
      expect((await viewerOf(operator)).data).toEqual({ viewer: { kind: 'OPERATOR', user } });
    }
  });

  it('are refused where another key signed them, or its public half as a secret', async () => {
    const unknown = await generateKeyPair('RS256');
    const { privateKey, publicPem } = provider.keys.RS256;
    const signed = (key: CryptoKey | Uint8Array, alg: string, kid: string) =>
      new SignJWT({}).setProtectedHeader({ alg, kid }).setSubject('somebody').setExpirationTime('1h').sign(key);
    for (const token of [
      await signed(unknown.privateKey, 'RS256', 'RS256'),
      await signed(unknown.privateKey, 'RS256', 'unknown'),
      await signed(privateKey, 'RS256', 'ES256'),
      await signed(new TextEncoder().encode(publicPem), 'HS256', 'RS256'),
      await signed(new TextEncoder().encode(JWT_SECRET), 'HS256', 'RS256'),
    ]) {
      expect(await viewerOf(token)).toMatchObject({
        status: 401,
        errors: [{ extensions: { code: 'UNAUTHENTICATED' } }],
      });
    }
  });

  describe('that is away', () => {
    beforeAll(() => void vi.useFakeTimers({ toFake: ['Date'] }));
    afterAll(() => void vi.useRealTimers());

    const later = (minutes: number) => vi.setSystemTime(Date.now() + minutes * 60_000);
    /** The gateway keeps keys for ten minutes. */
    const whenKeysAreOld = () => later(11);

    it('are asked to come again, with 503 and never 401, and as soon as it is back they sign in', async () => {
      const { slug, secret } = await anOrganization(gateway);
      const token = await provider.sign('somebody');
      whenKeysAreOld();
      await provider.takeDown();
      try {
        const authorization = `Bearer ${token}`;
        const headers = { 'content-type': 'application/json', authorization };
        const response = await fetch(served.endpoint, {
          method: 'POST',
          headers,
          body: '{"query":"{ plans { key } }"}',
        });
        expect({ status: response.status, retryAfter: response.headers.get('retry-after') }).toEqual({
          status: 503,
          retryAfter: '1',
        });
        expect(await response.json()).toEqual({
          errors: [
            { message: 'The identity provider does not answer. Try again.', extensions: { code: 'RATE_LIMITED' } },
          ],
        });
        const statement = served.endpoint.replace('graphql', `statements/${slug}/2026-01.csv`);
        expect((await fetch(statement, { headers })).status).toBe(503);
        await using socket = await BareSocket.open({ gateway: served });
        socket.send({ type: 'connection_init', payload: { authorization } });
        expect((await socket.closed).code).toBe(1013);
        // Keys are the gateway's own.
        expect((await viewerOf(secret)).status).toBe(200);
      } finally {
        await provider.bringBack();
      }
      expect((await viewerOf(token)).data).toMatchObject({ viewer: { kind: 'USER' } });
    });

    /** A stream of somebody whose token cannot be verified again for now. */
    async function anOpenStream(transport: Transport) {
      const organization = await anOrganization(gateway, { credits: { purchased: '10' } });
      const userId = `user-${aKey()}`;
      const token = await provider.sign(userId);
      await viewerOf(token);
      await query(
        gateway.database,
        "INSERT INTO membership (id, organization_id, user_id, role) VALUES (gen_random_uuid(), $1, $2, 'VIEWER')",
        [decodeId('Organization', organization.id), userId],
      );
      const live = subscribe(transport, { gateway: served }, token, BalanceChangedDocument, {
        organizationId: organization.id,
      });
      await live.next();
      provider.trouble = 'fails';
      whenKeysAreOld();
      /** Resolves when the credential has been checked a few times more. */
      const checked = async () => {
        const { asked } = provider;
        await eventually(async () => provider.asked >= asked + 3, 'the provider is asked for its keys');
      };
      const charge = async () => {
        await organization.client.run(DebitDocument, { input: { idempotencyKey: aKey(), amount: '1' } });
      };
      return { live, userId, checked, charge };
    }

    it.each(TRANSPORTS)('keep the streams that they have opened over %s', async (transport) => {
      const { live, checked, charge } = await anOpenStream(transport);
      await using _ = live;
      await checked();
      await charge();
      expect((await live.next()).balanceChanged.change).toBe('-1');
      provider.trouble = null;
      await charge();
      expect((await live.next()).balanceChanged.change).toBe('-1');
    });

    it.each(TRANSPORTS)('do not outlive their expiry over %s', async (transport) => {
      const { live, checked } = await anOpenStream(transport);
      await using _ = live;
      await checked();
      later(90);
      expect(await eventAfterTheEnd(live)).toBeNull();
    });

    it.each(TRANSPORTS)('do not outlive a membership over %s', async (transport) => {
      const { live, userId, checked, charge } = await anOpenStream(transport);
      await using _ = live;
      await checked();
      await query(gateway.database, 'DELETE FROM membership WHERE user_id = $1', [userId]);
      await charge();
      expect(await eventAfterTheEnd(live)).toBeNull();
    });
  });
});

describe('a key’s secret', () => {
  it('is shown once, and stored as a hash only', async () => {
    const { client, slug } = await anOrganization(gateway);
    const { createApiKey } = await client.run(CreateApiKeyDocument, { input: { name: 'k', master: true } });
    if (createApiKey.__typename !== 'CreateApiKeyPayload') throw new Error('no key was made');
    const { secret, apiKey } = createApiKey;
    expect(secret).toMatch(/^psk_[\w-]{43}$/);
    expect(apiKey.prefix).toBe(secret.slice(0, 12));
    const [row] = await query<{ hash: string }>(
      gateway.database,
      "SELECT encode(secret_hash, 'hex') AS hash FROM api_key WHERE id = $1",
      [decodeId('ApiKey', apiKey.id)],
    );
    expect(row?.hash).toBe(createHash('sha256').update(secret).digest('hex'));
    expect(await tablesThatHold(secret.slice(12))).toEqual([]);
    expect(await tablesThatHold(apiKey.prefix)).toEqual(['api_key']);
    const everything = await client.raw(
      `{ organization(slug: "${slug}") {
        apiKeys { edges { node { id name prefix scopes master } } } auditTrail { edges { node { before after } } }
      } }`,
    );
    expect(JSON.stringify(everything)).not.toContain(secret.slice(12));
  });

  it('is another for every key', async () => {
    const { client } = await anOrganization(gateway);
    const keys = await Promise.all(
      Array.from({ length: 20 }, () => makeKey(client, { name: 'k', scopes: ['USAGE_WRITE'] })),
    );
    expect(new Set(keys.map((key) => key.secret)).size).toBe(20);
  });

  /** Every table with a row whose text has it. */
  async function tablesThatHold(text: string): Promise<string[]> {
    const tables = await query<{ name: string }>(
      gateway.database,
      "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'",
    );
    expect(tables.length).toBeGreaterThan(15);
    const found = await Promise.all(
      tables.map(async ({ name }) => ({
        name,
        rows: await query(gateway.database, `SELECT 1 FROM "${name}" AS row WHERE strpos(row::text, $1) > 0`, [text]),
      })),
    );
    return found.filter(({ rows }) => rows.length > 0).map(({ name }) => name);
  }
});

describe('createApiKey', () => {
  const attempt = async (input: CreateApiKeyMutationVariables['input']) => {
    const { client } = await anOrganization(gateway);
    return (await client.run(CreateApiKeyDocument, { input })).createApiKey;
  };

  it('makes a key that may what its scopes say, until it expires', async () => {
    const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
    const made = await attempt({ name: 'Ünïcödé 💥', scopes: ['USAGE_WRITE', 'BILLING_READ'], expiresAt });
    expect(made).toMatchObject({
      __typename: 'CreateApiKeyPayload',
      apiKey: {
        name: 'Ünïcödé 💥',
        master: false,
        scopes: ['USAGE_WRITE', 'BILLING_READ'],
        expiresAt,
        revokedAt: null,
      },
    });
    if (made.__typename !== 'CreateApiKeyPayload') throw new Error('no key was made');
    const { viewer } = await gateway.as(made.secret).run(ViewerDocument, {});
    expect(viewer).toMatchObject({ kind: 'API_KEY', scopes: ['USAGE_WRITE', 'BILLING_READ'], user: null });
  });

  it('makes a master key, which has every scope and lists none', async () => {
    const made = await attempt({ name: 'k', master: true });
    expect(made).toMatchObject({ __typename: 'CreateApiKeyPayload', apiKey: { master: true, scopes: [] } });
    if (made.__typename !== 'CreateApiKeyPayload') throw new Error('no key was made');
    const { viewer } = await gateway.as(made.secret).run(ViewerDocument, {});
    expect(viewer.scopes.toSorted()).toEqual(['BILLING_READ', 'BILLING_WRITE', 'USAGE_WRITE']);
  });

  const PAST = new Date(Date.now() - 1_000).toISOString();
  it.each<[string, CreateApiKeyMutationVariables['input'], string[]]>([
    ['no scope', { name: 'k' }, ['scopes']],
    ['an empty list of scopes', { name: 'k', scopes: [] }, ['scopes']],
    ['a master key with scopes', { name: 'k', master: true, scopes: ['BILLING_READ'] }, ['scopes']],
    ['an empty name', { name: '', master: true }, ['name']],
    ['a name of 201 characters', { name: 'x'.repeat(201), master: true }, ['name']],
    ['a name with NUL', { name: 'a\0b', master: true }, ['name']],
    ['a name with half a character', { name: 'a\ud800', master: true }, ['name']],
    ['an expiry that has passed', { name: 'k', master: true, expiresAt: PAST }, ['expiresAt']],
  ])('refuses %s', async (_name, input, path) => {
    expect(await attempt(input)).toMatchObject({ __typename: 'InvalidInput', path });
  });

  it('wants people to say for which organization', async () => {
    const { createApiKey } = await gateway
      .as(gateway.demo.tokens.owner)
      .run(CreateApiKeyDocument, { input: { name: 'k', master: true } });
    expect(createApiKey).toMatchObject({ __typename: 'InvalidInput', path: ['organizationId'] });
  });

  it('leaves a record of who made and revoked which key, without the secret', async () => {
    const { client, slug } = await anOrganization(gateway);
    const { id, secret } = await makeKey(client, { name: 'recorded', scopes: ['USAGE_WRITE'] });
    await revoke(client, id);
    const { organization } = await client.run(AuditTrailDocument, { slug, first: 2 });
    const [revoked, created] = organization?.auditTrail?.edges.map((edge) => edge.node) ?? [];
    expect(created).toMatchObject({
      action: 'createApiKey',
      actor: { __typename: 'ApiKey' },
      after: { name: 'recorded', master: false, scopes: ['USAGE_WRITE'] },
    });
    expect(revoked).toMatchObject({ action: 'revokeApiKey', actor: { __typename: 'ApiKey' } });
    expect(JSON.stringify([created, revoked])).not.toContain(secret.slice(12));
  });
});

describe('revokeApiKey', () => {
  it('revokes once: the second time changes nothing', async () => {
    const { client } = await anOrganization(gateway);
    const { id } = await makeKey(client, { name: 'k', scopes: ['USAGE_WRITE'] });
    const first = await client.run(RevokeApiKeyDocument, { input: { apiKeyId: id } });
    const again = await client.run(RevokeApiKeyDocument, { input: { apiKeyId: id } });
    expect(first).toMatchObject({
      revokeApiKey: { __typename: 'ApiKeyPayload', apiKey: { revokedAt: expect.any(String) } },
    });
    expect(again).toEqual(first);
  });

  it('does not know a key that does not exist', async () => {
    const { client } = await anOrganization(gateway);
    const { revokeApiKey } = await client.run(RevokeApiKeyDocument, {
      input: { apiKeyId: encodeId('ApiKey', aKey()) },
    });
    expect(revokeApiKey).toMatchObject({ __typename: 'NotFound' });
  });
});
