/**
 * What no honest client sends. Documents that would cost too much are refused before anything of them is executed, in
 * little time and for one operation only; what came the wrong way is not read at all.
 */
import { randomBytes } from 'node:crypto';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Gateway, startGateway } from '../../src/compose.ts';
import { AuditTrailDocument } from '../generated/documents.ts';
import { query } from '../support/books.ts';
import { createDatabase } from '../support/database.ts';
import { createClient, startTestGateway, type TestClient, type TestGateway, testConfig } from '../support/gateway.ts';
import { aKey, anOrganization, type Given } from '../support/given.ts';
import { BareSocket, subscribe } from './streams.ts';

/** Generous for a busy machine; what is not bounded takes minutes or for ever. */
const QUICKLY_MILLISECONDS = 5_000;

let gateway: TestGateway;
let organization: Given;
beforeAll(async () => {
  gateway = await startTestGateway();
  organization = await anOrganization(gateway, { credits: { purchased: '1000' } });
});
afterAll(() => gateway[Symbol.asyncDispose]());

const repeat = (times: number, text: (index: number) => string): string =>
  Array.from({ length: times }, (_, index) => text(index)).join(' ');

/** Fragments that spread the next one `width` times each, `depth` deep, around one leaf. */
function fanOut(depth: number, width: number, on: string, wrap: (spreads: string) => string, leaf: string): string {
  const fragments = repeat(
    depth,
    (index) => `fragment F${index} on ${on} { ${wrap(repeat(width, () => `...F${index + 1}`))} }`,
  );
  return `${fragments} fragment F${depth} on ${on} { ${leaf} }`;
}

const same = (spreads: string): string => spreads;
const nested = (spreads: string): string => `purchases { edges { node { organization { ${spreads} } } } }`;
const MEGABYTE = 1024 * 1024;

const COSTLY: Readonly<Record<string, string>> = {
  'a depth of 17': `{ organization(slug: "x") { ${repeat(4, () => 'purchases { edges { node { organization {')} id ${repeat(4, () => '} } } }')} } }`,
  'a depth of hundreds': `{ organization(slug: "x") { ${repeat(60, () => 'purchases { edges { node { organization {')} id ${repeat(60, () => '} } } }')} } }`,
  'a depth reached through fragments': `{ organization(slug: "x") { ...F0 } } ${fanOut(8, 1, 'Organization', nested, 'id')}`,
  'a depth reached through inline fragments': `{ organization(slug: "x") { ${repeat(5, () => '... on Organization { purchases { edges { node { organization {')} id ${repeat(5, () => '} } } } }')} } }`,
  '60 aliases': `{ ${repeat(60, (index) => `a${index}: plans { key }`)} }`,
  '60 aliases in fragments': `{ ...F0 } ${repeat(6, (index) => `fragment F${index} on Query { ${repeat(10, (alias) => `a${index}x${alias}: plans { key }`)} ${index < 5 ? `...F${index + 1}` : ''} }`)}`,
  'a fragment within itself': '{ ...A } fragment A on Query { plans { key } ...A }',
  'a fragment within itself by another':
    '{ ...A } fragment A on Query { ...B } fragment B on Query { ...C } fragment C on Query { ...A }',
  'a fragment within itself at every level':
    '{ organization(slug: "x") { ...A } } fragment A on Organization { purchases { edges { node { organization { ...A ...A } } } } }',
  'a fragment cycle that nothing spreads':
    '{ plans { key } } fragment A on Query { ...B } fragment B on Query { ...A }',
  'fragments that double 100 times': `{ ...F0 } ${fanOut(100, 2, 'Query', same, 'plans { key }')}`,
  'fragments that double through fields': `{ organization(slug: "x") { ...F0 } } ${fanOut(20, 2, 'Organization', nested, 'id')}`,
  'fragments that multiply by 40, 6 deep': `{ ...F0 } ${fanOut(6, 40, 'Query', same, 'plans { key }')}`,
  'fragments that multiply by 100, 5 deep': `{ ...F0 } ${fanOut(5, 100, 'Query', same, 'plans { key }')}`,
  '10,000 tokens': `{ ${repeat(10_000, () => '__typename')} }`,
  '10,000 tokens of one list': `{ nodes(ids: [${repeat(10_000, () => '"x"')}]) { id } }`,
  '500 directives': `{ plans { key ${repeat(500, () => '@skip(if: false)')} } }`,
  '500 short directives': `{ plans { key ${repeat(500, () => '@a')} } }`,
  '100 directives on 100 fields': `{ plans { ${repeat(100, () => 'key @include(if: true)')} } }`,
  '1 MB of tokens': `{ ${'plans { key } '.repeat(MEGABYTE / 14)} }`,
  '1 MB of comment': `{ plans { key } } #${'x'.repeat(MEGABYTE)}`,
  '1 MB of comments': `{ plans { key } }\n${'#x\n'.repeat(MEGABYTE / 3)}`,
  '1 MB of spaces': `{ plans { key }${' '.repeat(MEGABYTE)} }`,
  '1 MB of one string': `{ nodes(ids: ["${'x'.repeat(MEGABYTE)}"]) { id } }`,
  '1 MB of one name': `{ ${'x'.repeat(MEGABYTE)} }`,
  '900 brackets': `{ node(id: ${'['.repeat(900)}${']'.repeat(900)}) { id } }`,
  'a variable of 900 brackets': `query($a: ${'['.repeat(900)}Int${']'.repeat(900)}) { plans { key } }`,
  '1,950 brackets that never close': `{ nodes(ids: ${'['.repeat(1_950)}`,
  '650 objects within one another': `{ nodes(ids: ${'{a:'.repeat(650)}`,
  'braces that never close': '{'.repeat(1_900),
  'pages of pages of pages': `{ organizations(first: 100) { edges { node { purchases(first: 100) { edges { node { organization { apiKeys(first: 100) { edges { node { id name prefix } } } } } } } } } } }`,
  'introspection in circles': `{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } }`,
  '300 operations': repeat(300, (index) => `query Q${index} { plans { key } }`),
};

describe('a document with', () => {
  it.each(Object.entries(COSTLY))(
    '%s is refused quickly, without a statement in the database',
    async (_name, document) => {
      gateway.statements.length = 0;
      const before = performance.now();
      const { data, errors } = await gateway.as().raw(document);
      expect(performance.now() - before).toBeLessThan(QUICKLY_MILLISECONDS);
      expect(data).toBeNull();
      expect(errors.length).toBeGreaterThan(0);
      for (const error of errors) expect(error.extensions).toEqual({ code: 'BAD_USER_INPUT' });
      expect(gateway.statements).toEqual([]);
    },
  );

  it.each(Object.entries(COSTLY))('%s is refused on a socket too, which goes on', async (_name, document) => {
    await using socket = await BareSocket.initialized(gateway, organization.secret);
    socket.subscribe('before', `subscription { balanceChanged(organizationId: "${organization.id}") { version } }`);
    await socket.messageOf('next', 'before');
    const before = performance.now();
    if (Buffer.byteLength(document) < 900_000) {
      socket.subscribe('costly', document);
      const { payload } = await socket.messageOf('error', 'costly');
      expect(performance.now() - before).toBeLessThan(QUICKLY_MILLISECONDS);
      for (const error of payload as { extensions: unknown }[])
        expect(error.extensions).toEqual({ code: 'BAD_USER_INPUT' });
      await organization.client.raw(
        `mutation { debit(input: { idempotencyKey: "${aKey()}", amount: 1 }) { __typename } }`,
      );
      await socket.messageOf('next', 'before');
    } else {
      // Larger than any message may be: who sends it loses the socket.
      socket.subscribe('costly', document);
      expect((await socket.closed).code).toBe(1009);
    }
  });

  it('201 brackets within one another is refused for that, one with 200 is read', async () => {
    const nested = (times: number) => `${'{...'.repeat(times - 2)} { plans { key } } ${'}'.repeat(times - 2)}`;
    const refused = 'The document nests more than 200 brackets.';
    expect((await gateway.as().raw(nested(200))).errors.map(({ message }) => message)).not.toContain(refused);
    expect((await gateway.as().raw(nested(201))).errors.map(({ message }) => message)).toEqual([refused]);
  });

  it('all that an honest client needs is answered', async () => {
    const { errors } = await organization.client.raw(
      `query($slug: String!) {
        organization(slug: $slug) { wallet { buckets { lots(first: 5) { edges { node {
          bucket { key } purchase { entries { transaction { lines { meter } entries { lot { id } } } } }
        } } } } ledger(first: 20) { edges { node { transaction { lines { meter quantity rate credits } } lot { bucket { name } } } } } } }
        organizations(first: 50) { edges { node { name wallet { totalAvailable ledger(first: 5) { edges { node { amount } } } lots(first: 5) { edges { node { remaining } } } } } } }
      }`,
      { slug: organization.slug },
    );
    expect(errors).toEqual([]);
  });
});

interface RawAnswer {
  readonly status: number;
  readonly body: string;
}

/** Sends a body with node:http, so that a connection that is cut is told from an answer. */
function post(body: string | Buffer, headers: Record<string, string>, chunked = false): Promise<RawAnswer | 'cut'> {
  const { hostname, port, pathname } = new URL(gateway.gateway.endpoint);
  return new Promise((resolve) => {
    const sent = request({ hostname, port, path: pathname, method: 'POST', headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
    });
    sent.on('error', () => resolve('cut'));
    if (chunked)
      for (let start = 0; start < body.length; start += MEGABYTE) sent.write(body.slice(start, start + MEGABYTE));
    sent.end(chunked ? undefined : body);
  });
}

const charge = () => `mutation { debit(input: { idempotencyKey: "${aKey()}", amount: 1 }) { __typename } }`;
const authorization = () => `Bearer ${organization.secret}`;

/** Nothing was charged since. */
async function chargesOf({ slug, client }: Given): Promise<unknown> {
  return (await client.raw(`{ organization(slug: "${slug}") { wallet { version sequence balance } } }`)).data;
}

describe('a request', () => {
  it('with 20 MB is refused by its declared length', async () => {
    const body = JSON.stringify({ query: charge(), variables: { x: 'x'.repeat(20 * MEGABYTE) } });
    const headers = { 'content-type': 'application/json', authorization: authorization() };
    const before = await chargesOf(organization);
    const answer = await post(body, { ...headers, 'content-length': String(Buffer.byteLength(body)) });
    expect(answer === 'cut' ? 413 : answer.status).toBe(413);
    expect(await chargesOf(organization)).toEqual(before);
  });

  it('with 20 MB that declares nothing is refused as it grows', async () => {
    const body = Buffer.from(JSON.stringify({ query: charge(), variables: { x: 'x'.repeat(20 * MEGABYTE) } }));
    const headers = { 'content-type': 'application/json', authorization: authorization() };
    const before = await chargesOf(organization);
    const answer = await post(body, headers, true);
    expect(answer === 'cut' ? 413 : answer.status).toBe(413);
    expect(await chargesOf(organization)).toEqual(before);
    expect((await gateway.as().raw('{ plans { key } }')).status).toBe(200);
  });

  it('may not be a list of requests', async () => {
    const before = await chargesOf(organization);
    for (const batch of [[], [{ query: charge() }], [{ query: charge() }, { query: charge() }]]) {
      const answer = await post(JSON.stringify(batch), {
        'content-type': 'application/json',
        authorization: authorization(),
      });
      expect(answer).toMatchObject({ status: 400 });
    }
    expect(await chargesOf(organization)).toEqual(before);
  });

  it('may not be a mutation by GET', async () => {
    const before = await chargesOf(organization);
    const url = `${gateway.gateway.endpoint}?query=${encodeURIComponent(charge())}`;
    for (const method of ['GET', 'HEAD']) {
      const response = await fetch(url, { method, headers: { authorization: authorization() } });
      expect(response.status).toBe(405);
      expect(response.headers.get('allow')).toContain('POST');
    }
    expect(await chargesOf(organization)).toEqual(before);
  });

  it.each([
    ['a form', 'application/x-www-form-urlencoded', () => `query=${encodeURIComponent(charge())}`],
    [
      'a form with a charset',
      'application/x-www-form-urlencoded; charset=utf-8',
      () => `query=${encodeURIComponent(charge())}`,
    ],
    [
      'a form with files',
      'multipart/form-data; boundary=b',
      () =>
        `--b\r\ncontent-disposition: form-data; name="operations"\r\n\r\n${JSON.stringify({ query: charge() })}\r\n--b--\r\n`,
    ],
    ['plain text', 'text/plain', () => JSON.stringify({ query: charge() })],
    ['plain text in capitals', 'TEXT/PLAIN', () => JSON.stringify({ query: charge() })],
    ['plain text that says it is JSON', 'text/plain; application/json', () => JSON.stringify({ query: charge() })],
    [
      'plain text that has JSON as its charset',
      'text/plain; charset=application/json',
      () => JSON.stringify({ query: charge() }),
    ],
    ['XML', 'application/xml', () => `<query>${charge()}</query>`],
    ['something unheard of', 'x', () => JSON.stringify({ query: charge() })],
    ['nothing that it says', '', () => JSON.stringify({ query: charge() })],
  ])('may not be %s', async (_name, type, body) => {
    const before = await chargesOf(organization);
    const answer = await post(body(), {
      authorization: authorization(),
      ...(type === '' ? {} : { 'content-type': type }),
    });
    expect(answer).toMatchObject({ status: 415 });
    expect(await chargesOf(organization)).toEqual(before);
  });

  it.each([
    ['no object', 'null'],
    ['a number', '5'],
    ['cut off', '{"query": "{ plans'],
    ['without a query', '{}'],
    ['with a query that is none', '{"query": 5}'],
    ['with variables in a list', '{"query": "{ plans { key } }", "variables": []}'],
    ['with variables in a text', '{"query": "{ plans { key } }", "variables": "{}"}'],
    ['of an operation that is not there', '{"query": "query A { plans { key } }", "operationName": "B"}'],
    ['of two operations without saying which', '{"query": "query A { plans { key } } query B { plans { key } }"}'],
    ['with more than GraphQL has', '{"query": "{ plans { key } }", "admin": true}'],
    ['with a prototype', '{"query": "{ plans { key } }", "__proto__": {"admin": true}}'],
  ])('is BAD_USER_INPUT where it is %s', async (_name, body) => {
    const answer = await post(body, { 'content-type': 'application/json' });
    if (answer === 'cut') throw new Error('the connection was cut');
    const { data = null, errors } = JSON.parse(answer.body) as { data?: unknown; errors: { extensions: unknown }[] };
    expect(data).toBeNull();
    expect(errors.map((error) => error.extensions)).toEqual([{ code: 'BAD_USER_INPUT' }]);
  });

  it.each(['variables=x', 'extensions=x', 'variables={', 'variables=5', 'variables=[]', 'extensions="a"'])(
    'by GET is BAD_USER_INPUT with ?%s',
    async (parameter) => {
      const url = `${gateway.gateway.endpoint}?query={viewer{kind}}&${parameter}`;
      for (const accept of ['application/json', 'application/graphql-response+json', 'text/event-stream']) {
        const response = await fetch(url, { headers: { accept } });
        const body = await response.text();
        expect(body).toContain('"extensions":{"code":"BAD_USER_INPUT"}');
        expect(body).not.toContain('"data"');
        if (accept === 'application/graphql-response+json') expect(response.status).toBe(400);
      }
    },
  );

  it('from another site is told nothing that its page could read', async () => {
    const headers = { origin: 'https://evil.example', 'content-type': 'application/json' };
    const preflight = await fetch(gateway.gateway.endpoint, {
      method: 'OPTIONS',
      headers: {
        ...headers,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization',
      },
    });
    const posted = await fetch(gateway.gateway.endpoint, {
      method: 'POST',
      headers,
      body: '{"query":"{ plans { key } }"}',
    });
    for (const response of [preflight, posted]) {
      expect([...response.headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([]);
    }
    expect(preflight.ok).toBe(false);
  });

  it('may say its id; what is no plain one is replaced', async () => {
    const { client, slug, secret } = await anOrganization(gateway);
    const makeProject = (key: string, requestId: string) =>
      post(
        JSON.stringify({ query: `mutation { createProject(input: { key: "${key}", name: "N" }) { __typename } }` }),
        { 'content-type': 'application/json', authorization: `Bearer ${secret}`, 'x-request-id': requestId },
      );
    await makeProject('a', 'my-request.1');
    await makeProject('b', '<script>');
    await makeProject('c', 'x'.repeat(101));
    const { organization: read } = await client.run(AuditTrailDocument, { slug, first: 3 });
    const [c, b, a] = read?.auditTrail?.edges.map((edge) => edge.node.requestId) ?? [];
    expect(a).toBe('my-request.1');
    expect([b, c]).toEqual([expect.stringMatching(/^[0-9a-f-]{36}$/), expect.stringMatching(/^[0-9a-f-]{36}$/)]);
  });
});

describe('a socket', () => {
  it('that never says who it is is closed', async () => {
    await using socket = await BareSocket.open(gateway);
    expect(await socket.closed).toEqual({ code: 4408, reason: 'Connection initialisation timeout' });
  });

  it('that asks before it says who it is is closed', async () => {
    await using socket = await BareSocket.open(gateway);
    socket.subscribe('1', '{ plans { key } }');
    expect((await socket.closed).code).toBe(4401);
  });

  it('that says it twice is closed', async () => {
    await using socket = await BareSocket.initialized(gateway);
    socket.send({ type: 'connection_init' });
    expect((await socket.closed).code).toBe(4429);
  });

  it('that uses an id twice at once is closed', async () => {
    await using socket = await BareSocket.initialized(gateway, organization.secret);
    const document = `subscription { balanceChanged(organizationId: "${organization.id}") { version } }`;
    socket.subscribe('1', document);
    socket.subscribe('1', document);
    expect((await socket.closed).code).toBe(4409);
  });

  it('may use an id again once it is free', async () => {
    await using socket = await BareSocket.initialized(gateway);
    for (let round = 0; round < 3; round++) {
      socket.subscribe('1', '{ rateCard { version } }');
      expect((await socket.messageOf('next', '1')).payload).toEqual({ data: { rateCard: { version: 1 } } });
      await socket.messageOf('complete', '1');
    }
  });

  it.each([
    ['no JSON', 'hello'],
    ['JSON that is no message', '5'],
    ['a list of messages', '[{"type":"ping"}]'],
    ['a type that is none', '{"type":"execute","id":"1"}'],
    ['an operation without an id', '{"type":"subscribe","payload":{"query":"{plans{key}}"}}'],
    ['an operation of a number', '{"type":"subscribe","id":"1","payload":{"query":5}}'],
    ['variables in a list', '{"type":"subscribe","id":"1","payload":{"query":"{plans{key}}","variables":"x"}}'],
  ])('that sends %s is closed', async (_name, message) => {
    await using socket = await BareSocket.initialized(gateway);
    socket.send(message);
    expect((await socket.closed).code).toBe(4400);
  });

  it('that sends 2 MB is closed', async () => {
    await using socket = await BareSocket.initialized(gateway);
    socket.subscribe('1', `{ plans { key } } #${'x'.repeat(2 * MEGABYTE)}`);
    expect((await socket.closed).code).toBe(1009);
  });

  it('carries 100 operations; the next is refused, the others go on, and one that ends makes room', async () => {
    const watched = await anOrganization(gateway, { credits: { purchased: '10' } });
    await using socket = await BareSocket.initialized(gateway, watched.secret);
    const document = `subscription { balanceChanged(organizationId: "${watched.id}") { version } }`;
    for (let id = 1; id <= 100; id++) {
      socket.subscribe(String(id), document);
      await socket.messageOf('next', String(id));
    }
    socket.subscribe('101', document);
    const { payload } = await socket.messageOf('error', '101');
    expect(payload).toMatchObject([{ extensions: { code: 'RATE_LIMITED' } }]);
    await watched.client.raw(charge());
    const told = new Set<string | undefined>();
    while (told.size < 100) told.add((await socket.messageOf('next')).id);
    socket.send({ type: 'complete', id: '1' });
    socket.subscribe('102', '{ rateCard { version } }');
    expect((await socket.messageOf('next', '102')).payload).toEqual({ data: { rateCard: { version: 1 } } });
  });

  it.each([
    ['that is not there', { query: 'query A { plans { key } }', operationName: 'B' }],
    ['without saying which', { query: 'query A { plans { key } } query B { plans { key } }' }],
    ['without a name', { query: '{ plans { key } }', operationName: '' }],
    ['where there are fragments only', { query: 'fragment F on Query { plans { key } }' }],
    ['of a syntax of its own', { query: 'plans' }],
  ])('that asks for an operation %s is told BAD_USER_INPUT, and goes on', async (_name, payload) => {
    await using socket = await BareSocket.initialized(gateway);
    socket.send({ type: 'subscribe', id: '1', payload });
    const { payload: errors } = await socket.messageOf('error', '1');
    expect((errors as { extensions: unknown }[])[0]?.extensions).toEqual({ code: 'BAD_USER_INPUT' });
    socket.subscribe('2', '{ rateCard { version } }');
    await socket.messageOf('next', '2');
  });

  it('is told the field of a wrong value once, as is who asks by HTTP, however often it is asked', async () => {
    await using socket = await BareSocket.initialized(gateway);
    socket.subscribe('1', '{ organization(slug: 5) { id } }');
    const { payload } = await socket.messageOf('error', '1');
    const { errors } = await gateway.as().raw('{ organization(slug: 5) { id } }');
    const message = 'String cannot represent a non string value: 5 (slug)';
    expect(payload).toMatchObject([{ message }]);
    expect(errors).toMatchObject([{ message }]);
  });

  it('of another protocol is refused', async () => {
    const { hostname, port, pathname } = new URL(gateway.gateway.endpoint);
    const status = await new Promise<number | undefined>((resolve) => {
      const upgrade = request({
        hostname,
        port,
        path: pathname,
        headers: {
          connection: 'Upgrade',
          upgrade: 'websocket',
          'sec-websocket-version': '13',
          'sec-websocket-key': randomBytes(16).toString('base64'),
          'sec-websocket-protocol': 'graphql-ws',
        },
      });
      upgrade.on('upgrade', (response, socket) => {
        socket.destroy();
        resolve(response.headers['sec-websocket-protocol'] === undefined ? undefined : 101);
      });
      upgrade.on('response', (response) => resolve(response.statusCode));
      upgrade.on('error', () => resolve(undefined));
      upgrade.end();
    });
    expect(status).not.toBe(101);
  });

  it.each([
    ['NUL', 'a\u0000b'],
    ['100,000 characters', 'x'.repeat(100_000)],
    ['markup', '<script>'],
    ['half a character', 'half \ud800'],
  ])('may name an operation as it likes: no trouble with %s', async (_name, id) => {
    const { secret, client, slug } = await anOrganization(gateway);
    await using socket = await BareSocket.initialized(gateway, secret);
    socket.subscribe(id, 'mutation { createProject(input: { key: "p", name: "N" }) { __typename } }');
    const { payload } = await socket.messageOf('next');
    expect(payload).toEqual({ data: { createProject: { __typename: 'ProjectPayload' } } });
    const { organization: read } = await client.run(AuditTrailDocument, { slug, first: 1 });
    expect(read?.auditTrail?.edges[0]?.node.requestId).toMatch(/^[\w.-]{1,100}$/);
  });
});

describe('a subscription', () => {
  it('asked for by GET over SSE is answered like one by POST', async () => {
    const document = `subscription { balanceChanged(organizationId: "${organization.id}") { reasonCode } }`;
    const abort = new AbortController();
    const response = await fetch(`${gateway.gateway.endpoint}?query=${encodeURIComponent(document)}`, {
      headers: { accept: 'text/event-stream', authorization: authorization() },
      signal: abort.signal,
    });
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    abort.abort();
  });

  it('that would be too costly is refused before it begins', async () => {
    const fields = repeat(60, (index) => `a${index}: version`);
    const document = `subscription { balanceChanged(organizationId: "${organization.id}") { ${fields} } }`;
    for (const transport of ['sse', 'websocket'] as const) {
      await using live = subscribe(transport, gateway, organization.secret, document);
      const result = await live.result();
      expect(result?.data ?? null).toBeNull();
      expect(result?.errors?.[0]?.extensions).toEqual({ code: 'BAD_USER_INPUT' });
    }
  });

  it('has one root field', async () => {
    const one = `balanceChanged(organizationId: "${organization.id}") { version }`;
    const { data, errors } = await organization.client.raw(`subscription { ${one} b: ${one} }`);
    expect(data).toBeNull();
    expect(errors[0]?.extensions).toEqual({ code: 'BAD_USER_INPUT' });
  });
});

const WATCHED = 'balanceChanged(organizationId: $id)';
const CONDITIONAL: Readonly<Record<string, string>> = {
  'its root field': `subscription($id: ID!) { ${WATCHED} @skip(if: true) { version } }`,
  'its root field, which would be told': `subscription($id: ID!) { ${WATCHED} @include(if: true) { version } }`,
  'its root field, by a variable': `subscription($id: ID!, $off: Boolean = false) { ${WATCHED} @skip(if: $off) { version } }`,
  'a fragment': `subscription($id: ID!) { ... @skip(if: true) { ${WATCHED} { version } } }`,
  'a fragment within a fragment': `subscription($id: ID!) { ... { ... on Subscription @include(if: false) { ${WATCHED} { version } } } }`,
  'a spread': `subscription($id: ID!) { ...F @skip(if: true) } fragment F on Subscription { ${WATCHED} { version } }`,
  'the root field of a spread': `subscription($id: ID!) { ...F ...F } fragment F on Subscription { ...G } fragment G on Subscription { ${WATCHED} @skip(if: true) { version } }`,
  'a fragment within itself': 'subscription { ...F } fragment F on Subscription { ...F @skip(if: true) }',
};

describe('a subscription that is conditional by', () => {
  it.each(Object.entries(CONDITIONAL))('%s is BAD_USER_INPUT', async (_name, document) => {
    const { id, client, secret } = organization;
    const posted = await client.raw(document, { id });
    expect(posted.data).toBeNull();
    await using stream = subscribe('sse', gateway, secret, document, { id });
    const streamed = await stream.result();
    await using socket = await BareSocket.initialized(gateway, secret);
    socket.subscribe('before', `subscription { balanceChanged(organizationId: "${id}") { version } }`);
    await socket.messageOf('next', 'before');
    socket.send({ type: 'subscribe', id: '1', payload: { query: document, variables: { id } } });
    const { payload } = await socket.messageOf('error', '1');
    for (const errors of [posted.errors, streamed?.errors, payload as { extensions: unknown }[]]) {
      expect(errors?.length).toBeGreaterThan(0);
      for (const error of errors ?? []) expect(error.extensions).toEqual({ code: 'BAD_USER_INPUT' });
    }
    await client.raw(charge());
    await socket.messageOf('next', 'before');
  });

  it('what is below its root field is a stream like any other', async () => {
    const document = `subscription($id: ID!) { ${WATCHED} { version @skip(if: true) ...F @include(if: true) } }
      fragment F on BalanceChange { totalAvailable }`;
    await using live = subscribe('websocket', gateway, organization.secret, document, { id: organization.id });
    expect(await live.next()).toEqual({ balanceChanged: { totalAvailable: expect.any(String) } });
  });
});

describe('in production', () => {
  const JWT_SECRET = 'a secret of this test, long enough to sign with';
  let production: Gateway;
  let operator: TestClient;
  let stop: () => Promise<void>;

  beforeAll(async () => {
    const database = await createDatabase();
    const port = await aFreePort();
    const env = {
      NODE_ENV: 'production',
      HOST: '127.0.0.1',
      PORT: String(port),
      PURSER_PUBLIC_URL: `http://127.0.0.1:${port}`,
      PURSER_JWT_SECRET: JWT_SECRET,
      PURSER_ALLOW_SANDBOX: '1',
      PURSER_SANDBOX_WEBHOOK_SECRET: randomBytes(32).toString('base64'),
    };
    production = await startGateway(testConfig(database, env));
    const token = await new SignJWT({ purser_operator: true })
      .setProtectedHeader({ alg: 'HS256' })
      .setSubject('operator')
      .setExpirationTime('1h')
      .sign(new TextEncoder().encode(JWT_SECRET));
    operator = createClient(production.endpoint, token);
    stop = async () => {
      await production.stop();
      await database[Symbol.asyncDispose]();
    };
    await operator.raw('mutation { createOrganization(input: { slug: "acme", name: "Acme" }) { __typename } }');
    // What nobody expects: every record of the audit trail fails.
    await query(database, 'ALTER TABLE audit_record RENAME COLUMN before TO gone');
  });
  afterAll(() => stop());

  it.each([
    '{ __schema { types { name } } }',
    '{ __schema { queryType { name } } }',
    '{ __type(name: "Wallet") { name } }',
    'query A { ...F } fragment F on Query { __schema { directives { name } } }',
    '{ viewer { kind } s: __schema { types { name } } }',
  ])('the schema is not told: %s', async (document) => {
    for (const client of [operator, createClient(production.endpoint)]) {
      const { data, errors } = await client.raw(document);
      expect(data).toBeNull();
      expect(errors[0]?.extensions).toEqual({ code: 'BAD_USER_INPUT' });
    }
  });

  it('a type’s own name is told', async () => {
    expect((await operator.raw('{ __typename viewer { __typename } }')).data).toEqual({
      __typename: 'Query',
      viewer: { __typename: 'Viewer' },
    });
  });

  it.each<[string, string, object]>([
    ['a field', '{ plan { key } }', {}],
    ['a field of a type', '{ plans { kee } }', {}],
    ['an argument', '{ organization(slag: "x") { id } }', {}],
    ['a type', 'query($a: DebitInputs) { plans { key } }', {}],
    ['a fragment’s type', '{ ...A } fragment A on Querry { plans { key } }', {}],
    ['a directive', '{ plans @includes(if: true) { key } }', {}],
    ['an input’s field', 'mutation { debit(input: { idempotencyKey: "k", amounts: 1 }) { __typename } }', {}],
    [
      'an enum’s value',
      '{ organization(slug: "x") { wallet { ledger(filter: { direction: DEBITS }) { edges { cursor } } } } }',
      {},
    ],
    [
      'a variable’s field',
      'mutation($i: DebitInput!) { debit(input: $i) { __typename } }',
      { i: { idempotencyKey: 'k', amounts: 1 } },
    ],
    [
      'a variable’s value',
      'query($f: LedgerFilter) { organization(slug: "x") { wallet { ledger(filter: $f) { edges { cursor } } } } }',
      { f: { direction: 'DEBITS' } },
    ],
    [
      'a scope',
      'mutation($i: CreateApiKeyInput!) { createApiKey(input: $i) { __typename } }',
      { i: { name: 'n', scopes: ['USAGE_WRTE'] } },
    ],
  ])('no name is suggested for %s', async (_name, document, variables) => {
    const { data, errors } = await operator.raw(document, variables);
    expect(data).toBeNull();
    expect(errors.length).toBeGreaterThan(0);
    expect(errors[0]?.extensions).toEqual({ code: 'BAD_USER_INPUT' });
    expect(JSON.stringify(errors)).not.toMatch(/did you mean/i);
  });

  it('no name is suggested on a socket', async () => {
    await using socket = await BareSocket.initialized({ gateway: production } as TestGateway);
    socket.subscribe('1', '{ plan { key } }');
    const { payload } = await socket.messageOf('error', '1');
    expect(JSON.stringify(payload)).not.toMatch(/did you mean/i);
    socket.subscribe('2', '{ __schema { types { name } } }');
    const refused = (await socket.messageOf('error', '2')).payload as { extensions: unknown }[];
    expect(refused.map((error) => error.extensions)).toEqual(refused.map(() => ({ code: 'BAD_USER_INPUT' })));
  });

  it('no page to try queries on is served', async () => {
    const response = await fetch(production.endpoint, { headers: { accept: 'text/html' } });
    expect(await response.text()).not.toMatch(/<html|graphiql/i);
  });

  it('no demo is there', () => {
    expect(production.demo).toBeNull();
  });

  it('a fault tells no stack, no path, no SQL', async () => {
    const answers = [
      await operator.raw('mutation { createOrganization(input: { slug: "other", name: "Other" }) { __typename } }'),
      await operator.raw('{ organization(slug: "acme") { name auditTrail { edges { node { before } } } } }'),
    ];
    expect(answers.map((answer) => answer.errors.length)).toEqual([1, 1]);
    for (const error of answers.flatMap((answer) => answer.errors)) {
      const errorId = error.extensions.errorId;
      expect(error.extensions).toEqual({
        code: 'INTERNAL_SERVER_ERROR',
        errorId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      });
      expect(error.message).toBe(`Unexpected error ${String(errorId)}.`);
      expect(Object.keys(error).toSorted()).toEqual(['extensions', 'locations', 'message', 'path']);
    }
  });
});

async function aFreePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (typeof address !== 'object' || address === null) throw new Error('the server has no port');
  return address.port;
}

describe('PURSER_INTROSPECTION=0', () => {
  it('hides the schema in development too, and 1 shows it', async () => {
    await using hiding = await startTestGateway({ env: { PURSER_INTROSPECTION: '0' } });
    expect((await hiding.as().raw('{ __schema { types { name } } }')).data).toBeNull();
    expect((await hiding.as().raw('{ plans { kee } }')).errors[0]?.message).not.toMatch(/did you mean/i);
    expect((await gateway.as().raw('{ __schema { queryType { name } } }')).data).toEqual({
      __schema: { queryType: { name: 'Query' } },
    });
  });
});

describe('other paths', () => {
  const ask = async (path: string, init: RequestInit = {}) => {
    const response = await fetch(new URL(path, gateway.gateway.endpoint), { redirect: 'manual', ...init });
    return { status: response.status, body: await response.text(), headers: response.headers };
  };

  it('/health and /ready say so', async () => {
    expect(await ask('/health')).toMatchObject({ status: 200, body: 'ok\n' });
    expect(await ask('/ready')).toMatchObject({ status: 200, body: 'ready\n' });
    expect((await ask('/health', { method: 'HEAD' })).status).toBe(200);
  });

  it('/metrics counts, and names nobody', async () => {
    const { status, body, headers } = await ask('/metrics');
    expect(status).toBe(200);
    expect(headers.get('content-type')).toContain('text/plain');
    expect(body).toContain('process_cpu_seconds_total');
    expect(body).not.toContain(organization.slug);
    expect(body).not.toContain('psk_');
  });

  it('/webhooks knows the payment provider only, by POST and with its signature', async () => {
    for (const path of ['/webhooks', '/webhooks/', '/webhooks/unknown', '/webhooks/stripe', '/webhooks/sandbox/x']) {
      for (const method of ['GET', 'POST']) expect((await ask(path, { method })).status, `${method} ${path}`).toBe(404);
    }
    expect((await ask('/webhooks/sandbox')).status).toBe(405);
    expect((await ask('/webhooks/sandbox', { method: 'POST', body: '{}' })).status).toBe(400);
    expect((await ask('/webhooks/sandbox', { method: 'POST', body: 'x'.repeat(2 * MEGABYTE) })).status).toBe(413);
  });

  it.each([
    '/graphql/',
    '/graphql/x',
    '/GRAPHQL',
    '/admin',
    '/.env',
    '/../package.json',
    '/%2e%2e/package.json',
    '/health/x',
    '//health',
  ])('%s is not there', async (path) => {
    const { hostname, port } = new URL(gateway.gateway.endpoint);
    const status = await new Promise((resolve) => {
      request({ hostname, port, path }, (response) => resolve(response.resume().statusCode)).end();
    });
    expect(status).toBe(404);
  });

  it('are not there by other methods', async () => {
    for (const path of ['/', '/health', '/ready', '/metrics', '/billing']) {
      for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
        expect((await ask(path, { method })).status, `${method} ${path}`).toBe(404);
      }
    }
    for (const method of ['PUT', 'DELETE', 'PATCH']) expect((await ask('/graphql', { method })).status).toBe(405);
  });
});
