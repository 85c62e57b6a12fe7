/** How live events are delivered: shared by all who watch a wallet, bounded for those who do not read, ended with a credential. */
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseId } from '../../src/graphql/ids.ts';
import {
  BalanceChangedDocument,
  type BalanceChangedSubscription,
  DebitDocument,
  RecordUsageDocument,
  RevokeApiKeyDocument,
} from '../generated/documents.ts';
import { query } from '../support/books.ts';
import { startTestGateway, type TestClient, type TestGateway } from '../support/gateway.ts';
import { aKey, anApiKey, anOrganization, type Given } from '../support/given.ts';
import { aFoundation, aMemberOf, JWT_SECRET } from '../support/people.ts';
import { BareSocket, type Live, type ProtocolMessage, subscribe, TRANSPORTS, type Transport } from './streams.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway({ env: { PURSER_JWT_SECRET: JWT_SECRET } });
});
afterAll(() => gateway[Symbol.asyncDispose]());

type Change = BalanceChangedSubscription['balanceChanged'];

async function debit(client: TestClient, amount = '1'): Promise<void> {
  const answer = await client.run(DebitDocument, { input: { idempotencyKey: aKey(), amount } });
  expect(answer.debit.__typename).toBe('DebitPayload');
}

/** Charges one credit `count` times, each as a transaction of its own. */
async function charge(client: TestClient, count: number): Promise<void> {
  const events = Array.from({ length: count }, () => ({ idempotencyKey: aKey(), usage: { meter: 'search' } }));
  const { recordUsage } = await client.run(RecordUsageDocument, { input: { events } });
  expect(recordUsage).toMatchObject({ __typename: 'RecordUsagePayload', accepted: count });
}

const watch = (transport: Transport, { id, secret }: Pick<Given, 'id' | 'secret'>, variables: object = {}) =>
  subscribe(transport, gateway, secret, BalanceChangedDocument, { organizationId: id, ...variables });

const changeOf = async (live: Live<BalanceChangedSubscription>): Promise<Change> => (await live.next()).balanceChanged;

const upTo = (first: number, last: number): number[] => Array.from({ length: last - first + 1 }, (_, i) => first + i);

/** Killed with their block. */
const all = <Data>(streams: readonly Live<Data>[]) => ({
  streams,
  async [Symbol.asyncDispose]() {
    for (const stream of streams) stream.kill();
  },
});

describe('streams of one wallet', () => {
  it('cause no more reads, 200 of them, than one does', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '100' } });
    await using lives = all(Array.from({ length: 200 }, () => watch('sse', organization)));
    await Promise.all(lives.streams.map((live) => live.next()));
    gateway.statements.length = 0;
    const startedAt = performance.now();
    for (let round = 0; round < 10; round++) {
      await debit(organization.client);
      const changes = await Promise.all(lives.streams.map(changeOf));
      expect(new Set(changes.map(({ version }) => version))).toEqual(new Set([round + 2]));
    }
    const seconds = Math.ceil((performance.now() - startedAt) / 1_000);
    const reads = gateway.statements.filter((sql) => /FROM balance_change\b/.test(sql));
    const checks = gateway.statements.filter((sql) => /FROM api_key\b/.test(sql));
    // A signal causes a look, and the second's poll may cause another; a debit checks its own credential.
    expect(reads.length).toBeLessThanOrEqual(10 * 2 + seconds);
    expect(checks.length).toBeLessThanOrEqual(10 + seconds * 7);
  });

  it('share what is nested below an event, too', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '100' } });
    const document = `subscription { balanceChanged(organizationId: "${organization.id}") {
      version wallet { totalAvailable buckets { key available } } transaction { amount }
    } }`;
    interface Event {
      readonly balanceChanged: { readonly version: number; readonly wallet: { readonly totalAvailable: string } };
    }
    const open = (secret: string, count: number) =>
      all(Array.from({ length: count }, () => subscribe<Event, object>('sse', gateway, secret, document)));
    await using many = open(organization.secret, 50);
    await using one = open(await anApiKey(gateway, organization.id, 'BILLING_READ'), 1);
    const streams = [...many.streams, ...one.streams];
    await Promise.all(streams.map((live) => live.next()));
    gateway.statements.length = 0;
    await debit(organization.client);
    for (const { balanceChanged } of await Promise.all(streams.map((live) => live.next()))) {
      expect(balanceChanged).toMatchObject({
        version: 2,
        wallet: { totalAvailable: '99' },
        transaction: { amount: '-1' },
      });
    }
    const read = gateway.statements.filter((sql) => /FROM "public"\."ledger_transaction"/.test(sql));
    expect(read.length).toBeGreaterThanOrEqual(1);
    expect(read.length).toBeLessThanOrEqual(10);
  });

  it('leave nothing behind: what /metrics counts of them is 0 again', async () => {
    const metric = async (name: string) => {
      const text = await (await fetch(gateway.gateway.endpoint.replace('/graphql', '/metrics'))).text();
      return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1]);
    };
    const counts = async () => [
      await metric('purser_live_streams'),
      await metric('purser_live_wallets'),
      await metric('purser_live_credentials'),
    ];
    await expect.poll(counts).toEqual([0, 0, 0]);
    const organization = await anOrganization(gateway, { credits: { purchased: '100' } });
    const lives = TRANSPORTS.flatMap((transport) => [watch(transport, organization), watch(transport, organization)]);
    await Promise.all(lives.map((live) => live.next()));
    expect(await counts()).toEqual([4, 1, 1]);
    for (const live of lives) live.kill();
    await expect.poll(counts, { timeout: 10_000 }).toEqual([0, 0, 0]);
  });
});

describe.each(TRANSPORTS)('a stream that coalesces over %s', (transport) => {
  it('tells the newest state and by how much it differs from what it told before', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '5000' } });
    await using live = watch(transport, organization, { coalesce: true });
    expect(await changeOf(live)).toMatchObject({ reasonCode: 'SNAPSHOT', version: 1, totalAvailable: '5000' });
    await charge(organization.client, 1_000);
    let [version, available, net, events] = [1, 5_000, 0, 0];
    while (version < 1_001) {
      const change = await changeOf(live);
      expect(change.version).toBeGreaterThan(version);
      expect(Number(change.totalAvailable)).toBe(5_000 - (change.version - 1));
      expect(Number(change.change)).toBe(Number(change.totalAvailable) - available);
      [version, available, net, events] = [
        change.version,
        Number(change.totalAvailable),
        net + Number(change.change),
        events + 1,
      ];
    }
    expect(net).toBe(-1_000);
    expect(events).toBeLessThan(1_000);
  });

  it('resumes with one event for all that it missed, then goes on', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '5000' } });
    await using before = watch(transport, organization);
    const { cursor } = await changeOf(before);
    await charge(organization.client, 1_000);
    await using live = watch(transport, organization, { coalesce: true, after: cursor });
    expect(await changeOf(live)).toMatchObject({
      version: 1_001,
      change: '-1000',
      totalAvailable: '4000',
      reasonCode: 'USAGE',
    });
    await debit(organization.client, '5');
    const next = await changeOf(live);
    expect(next).toMatchObject({ version: 1_002, change: '-5', totalAvailable: '3995' });
    await using current = watch(transport, organization, { coalesce: true, after: next.cursor });
    await debit(organization.client, '2');
    expect(await changeOf(current)).toMatchObject({ version: 1_003, change: '-2', totalAvailable: '3993' });
  });
});

describe('a reader that does not read', () => {
  /** Some 4 KB an event, so that a few thousand of them are more than the system buffers. */
  const BULKY = Array.from({ length: 45 }, (_, index) => `c${index}: cursor`).join(' ');
  const document = (id: string) =>
    `subscription { balanceChanged(organizationId: "${id}") { cursor version ${BULKY} } }`;
  const CHARGES = 8;

  interface Event {
    readonly cursor: string;
    readonly version: number;
  }

  /** What a quick reader of the same wallet sees while the other one stalls. */
  async function expectUnaffected(quick: Live<BalanceChangedSubscription>, organization: Given): Promise<void> {
    for (let call = 0; call < CHARGES; call++) {
      await charge(organization.client, 1_000);
      const seen = (await quick.take(1_000)).map(({ balanceChanged }) => balanceChanged.version);
      expect(seen).toEqual(upTo(call * 1_000 + 2, call * 1_000 + 1_001));
    }
  }

  /** Resumes behind the last event: together they have every version once. */
  async function expectResumes(transport: Transport, organization: Given, events: readonly Event[]): Promise<void> {
    expect(events.map(({ version }) => version)).toEqual(upTo(1, events.length));
    const newest = CHARGES * 1_000 + 1;
    expect(events.length).toBeLessThan(newest);
    await using resumed = watch(transport, organization, { after: events.at(-1)?.cursor });
    const rest = (await resumed.take(newest - events.length)).map(({ balanceChanged }) => balanceChanged.version);
    expect(rest).toEqual(upTo(events.length + 1, newest));
  }

  it('over WebSocket is closed with 4429 and resumes; others see everything meanwhile', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '90000' } });
    await using quick = watch('websocket', organization);
    await quick.next();
    await using slow = await BareSocket.initialized(gateway, organization.secret);
    slow.subscribe('1', document(organization.id));
    const eventIn = ({ payload }: ProtocolMessage) =>
      (payload as { data: { balanceChanged: Event } }).data.balanceChanged;
    const events = [eventIn(await slow.messageOf('next'))];
    slow.pause();
    await expectUnaffected(quick, organization);
    await isGone();
    slow.resume();
    expect(await slow.closed).toEqual({ code: 4429, reason: 'Too slow' });
    for (;;) {
      const message = await slow.messageOf('next').catch(() => null);
      if (message === null) break;
      events.push(eventIn(message));
    }
    await expectResumes('websocket', organization, events);
  });

  it('over SSE is told TOO_SLOW as its last event and resumes; others see everything meanwhile', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '90000' } });
    await using quick = watch('sse', organization);
    await quick.next();
    const response = await openSse(organization.secret, document(organization.id));
    await once(response, 'readable');
    await expectUnaffected(quick, organization);
    await isGone();
    let text = '';
    for await (const chunk of response.setEncoding('utf8')) text += chunk;
    const results = text
      .split('\n')
      .filter((line) => line.startsWith('data: {'))
      .map(
        (line) => JSON.parse(line.slice('data: '.length)) as { data?: { balanceChanged: Event }; errors?: object[] },
      );
    expect(results.pop()).toMatchObject({ errors: [{ extensions: { code: 'TOO_SLOW' } }] });
    const events = results.map(({ data }) => data?.balanceChanged as Event);
    await expectResumes('sse', organization, events);
  });

  /** Resolves when the gateway holds nothing of the slow stream any more: only the quick one is left. */
  const isGone = () =>
    expect
      .poll(
        async () => {
          const metrics = await fetch(gateway.gateway.endpoint.replace('/graphql', '/metrics'));
          return /^purser_live_streams (\d+)$/m.exec(await metrics.text())?.[1];
        },
        { timeout: 30_000, interval: 200 },
      )
      .toBe('1');

  /** A response that nobody reads yet. */
  async function openSse(secret: string, query: string): Promise<IncomingMessage> {
    const headers = {
      accept: 'text/event-stream',
      'content-type': 'application/json',
      authorization: `Bearer ${secret}`,
    };
    const sent = request(gateway.gateway.endpoint, { method: 'POST', headers });
    sent.end(JSON.stringify({ query }));
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    return response;
  }
});

describe('an idle stream whose credential ends', () => {
  interface Ending {
    readonly id: string;
    readonly secret: string;
    readonly code: 'UNAUTHENTICATED' | 'FORBIDDEN';
    end(): Promise<unknown>;
  }

  const ENDINGS: Readonly<Record<string, () => Promise<Ending>>> = {
    'a revoked key': async () => {
      const organization = await anOrganization(gateway, { credits: { purchased: '10' } });
      const secret = await anApiKey(gateway, organization.id, 'BILLING_READ');
      const { data } = await gateway
        .as(secret)
        .raw<{ viewer: { apiKey: { id: string } } }>('{ viewer { apiKey { id } } }');
      const apiKeyId = data?.viewer.apiKey.id ?? '';
      const end = () => organization.client.run(RevokeApiKeyDocument, { input: { apiKeyId } });
      return { id: organization.id, secret, code: 'UNAUTHENTICATED', end };
    },
    'a removed member': async () => {
      const organization = await aFoundation(gateway);
      const { token, membershipId } = await aMemberOf(gateway, organization, 'VIEWER');
      const end = () =>
        organization.owner.client.raw(
          `mutation { removeMember(input: { membershipId: "${membershipId}" }) { __typename } }`,
        );
      return { id: organization.id, secret: token, code: 'FORBIDDEN', end };
    },
    'a member who may see their earmark only from now on': async () => {
      const organization = await aFoundation(gateway);
      const { token, membershipId } = await aMemberOf(gateway, organization, 'ADMIN');
      const end = () =>
        query(gateway.database, "UPDATE membership SET balance_access = 'EARMARK_ONLY' WHERE id = $1", [
          parseId(membershipId)?.key,
        ]);
      return { id: organization.id, secret: token, code: 'FORBIDDEN', end };
    },
    'a token that expires': async () => {
      const organization = await anOrganization(gateway, { credits: { purchased: '10' } });
      const secret = await new SignJWT({ purser_operator: true })
        .setProtectedHeader({ alg: 'HS256' })
        .setSubject('an-operator')
        .setExpirationTime(new Date(Date.now() + 3_000))
        .sign(new TextEncoder().encode(JWT_SECRET));
      return { id: organization.id, secret, code: 'UNAUTHENTICATED', end: async () => undefined };
    },
  };

  const balance = (id: string) => `subscription { balanceChanged(organizationId: "${id}") { version } }`;
  const ledger = (id: string) => `subscription { ledgerEntryPosted(organizationId: "${id}") { cursor } }`;

  it.each(Object.entries(ENDINGS))(
    'closes its socket with 4403 within 5 s, whatever is open on it: %s',
    async (_name, make) => {
      const { id, secret, end } = await make();
      await using socket = await BareSocket.initialized(gateway, secret);
      socket.subscribe('1', balance(id));
      socket.subscribe('2', ledger(id));
      await socket.messageOf('next', '1');
      await end();
      const endedAt = performance.now();
      expect(await socket.closed).toEqual({ code: 4403, reason: 'Forbidden' });
      expect(performance.now() - endedAt).toBeLessThan(5_000);
    },
  );

  it.each(Object.entries(ENDINGS))('ends over SSE with an error that says so: %s', async (_name, make) => {
    const { id, secret, code, end } = await make();
    await using live = subscribe('sse', gateway, secret, balance(id));
    await live.next();
    await end();
    expect(await live.result()).toMatchObject({ errors: [{ extensions: { code } }] });
    expect(await live.result()).toBeNull();
  });

  it('leaves the streams of another credential alone', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '10' } });
    const secret = await anApiKey(gateway, organization.id, 'BILLING_READ');
    await using staying = watch('websocket', organization);
    await using ending = watch('sse', { id: organization.id, secret });
    await Promise.all([staying.next(), ending.next()]);
    const { data } = await gateway
      .as(secret)
      .raw<{ viewer: { apiKey: { id: string } } }>('{ viewer { apiKey { id } } }');
    await organization.client.run(RevokeApiKeyDocument, { input: { apiKeyId: data?.viewer.apiKey.id ?? '' } });
    expect(await ending.result()).toMatchObject({ errors: [{ extensions: { code: 'UNAUTHENTICATED' } }] });
    await debit(organization.client);
    expect((await changeOf(staying)).version).toBe(2);
  });
});
