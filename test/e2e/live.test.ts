/** Live streams over both transports: nothing is lost, repeated or out of order, whatever happens to the connection. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  BalanceChangedDocument,
  type BalanceChangedSubscription,
  DebitDocument,
  LedgerDocument,
  LedgerEntryPostedDocument,
  RecordUsageDocument,
  WalletStateDocument,
} from '../generated/documents.ts';
import { createDatabase } from '../support/database.ts';
import { startTestGateway, type TestClient, type TestGateway } from '../support/gateway.ts';
import { advanceTo, aKey, anOrganization, type Given, grant } from '../support/given.ts';
import { forgeCursor } from './cursors.ts';
import { BareSocket, type Live, type ProtocolMessage, subscribe, TRANSPORTS, type Transport } from './streams.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway();
});
afterAll(() => gateway[Symbol.asyncDispose]());

type Change = BalanceChangedSubscription['balanceChanged'];

function watch(transport: Transport, { id, secret }: Given, after?: string, on = gateway) {
  const variables = { organizationId: id, ...(after === undefined ? {} : { after }) };
  return subscribe(transport, on, secret, BalanceChangedDocument, variables);
}

function watchLedger(transport: Transport, { id, secret }: Given, after?: string, on = gateway) {
  const variables = { organizationId: id, ...(after === undefined ? {} : { after }) };
  return subscribe(transport, on, secret, LedgerEntryPostedDocument, variables);
}

const changeOf = async (live: Live<BalanceChangedSubscription>): Promise<Change> => (await live.next()).balanceChanged;

async function changesOf(live: Live<BalanceChangedSubscription>, count: number): Promise<Change[]> {
  return (await live.take(count)).map((event) => event.balanceChanged);
}

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

async function liveCursorOf({ client, slug }: Given): Promise<string> {
  const { organization } = await client.run(WalletStateDocument, { slug });
  return organization?.wallet?.liveCursor ?? 'no wallet';
}

const upTo = (first: number, last: number): number[] => Array.from({ length: last - first + 1 }, (_, i) => first + i);

describe.each(TRANSPORTS)('balanceChanged over %s', (transport) => {
  it('opens with the state now, then tells every change as of its version', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '10' } });
    await using live = watch(transport, organization);
    const opening = await changeOf(live);
    expect(opening).toMatchObject({
      version: 1,
      sequence: 1,
      change: '0',
      reasonCode: 'SNAPSHOT',
      totalAvailable: '10',
      held: '0',
    });
    await debit(organization.client, '2.5');
    expect(await changeOf(live)).toMatchObject({
      version: 2,
      sequence: 2,
      change: '-2.5',
      reasonCode: 'USAGE',
      totalAvailable: '7.5',
    });
    await grant(gateway, organization.id, 'promotional', '4');
    expect(await changeOf(live)).toMatchObject({
      version: 3,
      sequence: 3,
      change: '4',
      reasonCode: 'GRANT',
      totalAvailable: '11.5',
    });
  });

  it('resumed after 1,000 changes delivers each once and in order, then goes on live', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '5000' } });
    const before = await liveCursorOf(organization);
    await charge(organization.client, 1_000);
    await using live = watch(transport, organization, before);
    const missed = await changesOf(live, 1_000);
    expect(missed.map((change) => change.version)).toEqual(upTo(2, 1_001));
    expect(missed.map((change) => change.totalAvailable)).toEqual(
      upTo(1, 1_000).map((spent) => (5_000 - spent).toString()),
    );
    await debit(organization.client, '7');
    expect(await changeOf(live)).toMatchObject({ version: 1_002, change: '-7', totalAvailable: '3993' });
  });

  it('leaves no gap between a wallet’s liveCursor and the first event, while debits go on', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '1000' } });
    const debits = Array.from({ length: 60 }, () => debit(organization.client));
    const { organization: seen } = await organization.client.run(WalletStateDocument, { slug: organization.slug });
    const { liveCursor = '', version = 0 } = seen?.wallet ?? {};
    await using live = watch(transport, organization, liveCursor);
    await Promise.all(debits);
    const changes = await changesOf(live, 61 - version);
    expect(changes.map((change) => change.version)).toEqual(upTo(version + 1, 61));
    expect(changes.at(-1)?.totalAvailable ?? '940').toBe('940');
  });

  it('loses and repeats nothing when it is killed and resumed again and again during debits', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '1000' } });
    let cursor = await liveCursorOf(organization);
    const seen: Change[] = [];
    const spending = (async () => {
      for (let round = 0; round < 20; round++) {
        await Promise.all(Array.from({ length: 10 }, () => debit(organization.client)));
      }
    })();
    for (const portion of [1, 2, 31, 5, 1, 60, 17, 3, 40, 29, 11]) {
      const live = watch(transport, organization, cursor);
      const changes = await changesOf(live, portion);
      live.kill();
      seen.push(...changes);
      cursor = seen.at(-1)?.cursor ?? cursor;
    }
    await spending;
    expect(seen.map((change) => change.version)).toEqual(upTo(2, 201));
    expect(seen.map((change) => change.totalAvailable)).toEqual(
      upTo(1, 200).map((spent) => (1_000 - spent).toString()),
    );
  });

  it('delivers every event to every watcher, whoever leaves', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '10' } });
    await using staying = watch(transport, organization);
    const leaving = watch(transport, organization);
    await Promise.all([changeOf(staying), changeOf(leaving)]);
    await debit(organization.client);
    expect((await changeOf(leaving)).version).toBe(2);
    leaving.kill();
    await debit(organization.client);
    expect((await changesOf(staying, 2)).map((change) => change.version)).toEqual([2, 3]);
  });

  it('shows an event’s wallet as it is now and its transaction as it was', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '10' } });
    const before = await liveCursorOf(organization);
    await debit(organization.client, '1');
    await debit(organization.client, '2');
    await using live = subscribe<{ balanceChanged: unknown }, object>(
      transport,
      gateway,
      organization.secret,
      `subscription { balanceChanged(organizationId: "${organization.id}", after: "${before}") {
        version totalAvailable wallet { version totalAvailable } transaction { kind amount }
      } }`,
    );
    const wallet = { version: 3, totalAvailable: '7' };
    expect((await live.take(2)).map((event) => event.balanceChanged)).toEqual([
      { version: 2, totalAvailable: '9', wallet, transaction: { kind: 'DEBIT', amount: '-1' } },
      { version: 3, totalAvailable: '7', wallet, transaction: { kind: 'DEBIT', amount: '-2' } },
    ]);
  });

  it('reads what is nested below an event anew for every event', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '10' } });
    await using live = subscribe<{ balanceChanged: unknown }, object>(
      transport,
      gateway,
      organization.secret,
      `subscription { balanceChanged(organizationId: "${organization.id}") { version wallet {
        buckets { key available lots(active: true) { edges { node { remaining } } } }
        ledger(first: 1) { edges { node { sequence balanceAfter lot { remaining } transaction { amount } } } }
      } } }`,
    );
    for (const spent of [0, 1, 2, 3]) {
      if (spent > 0) await debit(organization.client);
      const remaining = String(10 - spent);
      const bucket = (key: string, available: string, lots: object[]) => ({ key, available, lots: { edges: lots } });
      expect((await live.next()).balanceChanged).toEqual({
        version: 1 + spent,
        wallet: {
          buckets: [
            bucket('daily_free', '0', []),
            bucket('promotional', '0', []),
            bucket('monthly_plan', '0', []),
            bucket('purchased', remaining, [{ node: { remaining } }]),
          ],
          ledger: {
            edges: [
              {
                node: {
                  sequence: 1 + spent,
                  balanceAfter: remaining,
                  lot: { remaining },
                  transaction: { amount: spent === 0 ? '10' : '-1' },
                },
              },
            ],
          },
        },
      });
    }
  });

  it('tells the expiry of a watched lot when it is due, though nobody touches the wallet', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '10' } });
    const expiresAt = new Date(Date.now() + 1_500).toISOString();
    await grant(gateway, organization.id, 'promotional', '5', expiresAt);
    await using live = watch(transport, organization);
    expect(await changeOf(live)).toMatchObject({ reasonCode: 'SNAPSHOT', totalAvailable: '15' });
    const expiry = await changeOf(live);
    expect(expiry).toMatchObject({ change: '-5', reasonCode: 'EXPIRY', totalAvailable: '10', occurredAt: expiresAt });
    expect(Date.now() - Date.parse(expiresAt)).toBeLessThan(5_000);
  });

  it('tells a watched allowance’s refresh when it is due by the organization’s clock', async () => {
    const organization = await anOrganization(gateway, { plan: 'free' });
    const { organization: read } = await organization.client.run(WalletStateDocument, { slug: organization.slug });
    const daily = read?.wallet?.buckets.find((bucket) => bucket.key === 'daily_free');
    const refreshAt = daily?.refresh?.nextRefreshAt ?? '';
    await debit(organization.client, '30');
    await advanceTo(gateway, organization.id, new Date(Date.parse(refreshAt) - 1_500).toISOString());
    await using live = watch(transport, organization);
    expect(await changeOf(live)).toMatchObject({ reasonCode: 'SNAPSHOT', totalAvailable: '2070' });
    let change = await changeOf(live);
    while (change.reasonCode !== 'ALLOWANCE') change = await changeOf(live);
    expect(change).toMatchObject({ totalAvailable: '2100', occurredAt: refreshAt });
  });

  it('refuses a cursor that is malformed, of the future or of another stream', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '10' } });
    await debit(organization.client);
    const newest = await liveCursorOf(organization);
    const { organization: read } = await organization.client.run(LedgerDocument, { slug: organization.slug, first: 1 });
    const cursors = [
      '',
      'x',
      'ÿ',
      ...['-1', '1.5', '9'.repeat(30), 2, null, '', ' 2', '3'].map((version) => forgeCursor(newest, version)),
      read?.wallet?.ledger.edges[0]?.cursor ?? 'no entry',
    ];
    for (const after of cursors) {
      await using live = watch(transport, organization, after);
      const result = await live.result();
      expect(result?.data ?? null, after).toBeNull();
      expect(result?.errors?.[0]?.extensions?.code, after).toBe('BAD_USER_INPUT');
      expect(result?.errors?.[0]?.message, after).toMatch(/\bafter\b/);
    }
  });

  it('refuses a cursor of another wallet, whose versions mean other changes', async () => {
    const other = await anOrganization(gateway, { credits: { purchased: '10' } });
    const organization = await anOrganization(gateway, { credits: { purchased: '10' } });
    await debit(organization.client);
    await using live = watch(transport, organization, await liveCursorOf(other));
    const result = await live.result();
    expect(result?.data ?? null).toBeNull();
    expect(result?.errors?.[0]?.extensions?.code).toBe('BAD_USER_INPUT');
  });

  it('answers for another organization as for one that does not exist', async () => {
    const other = await anOrganization(gateway);
    const organization = await anOrganization(gateway);
    const answers = [];
    for (const id of [other.id, 'nonsense', gateway.organizationId]) {
      await using live = watch(transport, { ...organization, id });
      answers.push(await live.result());
    }
    expect(answers[0]?.errors?.[0]?.extensions?.code).toBe('BAD_USER_INPUT');
    expect(answers[1]).toEqual(answers[0]);
    expect(answers[2]).toEqual(answers[0]);
  });
});

describe.each(TRANSPORTS)('ledgerEntryPosted over %s', (transport) => {
  it('tells entries from now on where no cursor is given', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '1000' } });
    await charge(organization.client, 20);
    await using live = watchLedger(transport, organization);
    const first = live.next();
    let arrived = false;
    const settled = first.finally(() => {
      arrived = true;
    });
    // There is no opening event to wait for: some debit is the first that the stream sees.
    while (!arrived) await debit(organization.client);
    await settled;
    expect((await first).ledgerEntryPosted.entry).toMatchObject({ direction: 'DEBIT', amount: '1' });
    expect((await first).ledgerEntryPosted.entry.sequence).toBeGreaterThan(21);
  });

  it('tells every entry of a transaction, in order', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '10', promotional: '5' } });
    const { organization: read } = await organization.client.run(LedgerDocument, { slug: organization.slug, first: 1 });
    const newest = read?.wallet?.ledger.edges[0]?.cursor;
    await using live = watchLedger(transport, organization, newest);
    await debit(organization.client, '6');
    expect((await live.take(2)).map(({ ledgerEntryPosted: { entry } }) => entry)).toEqual([
      { sequence: 3, direction: 'DEBIT', amount: '5', balanceAfter: '10', reasonCode: 'USAGE' },
      { sequence: 4, direction: 'DEBIT', amount: '1', balanceAfter: '9', reasonCode: 'USAGE' },
    ]);
  });

  it('has the cursors of the ledger’s pages, and resumes at any of them', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '1000' } });
    await charge(organization.client, 50);
    const { organization: read } = await organization.client.run(LedgerDocument, {
      slug: organization.slug,
      first: 51,
    });
    const newestFirst = read?.wallet?.ledger.edges ?? [];
    const oldestFirst = newestFirst.toReversed();
    await using live = watchLedger(transport, organization, oldestFirst[10]?.cursor);
    const events = (await live.take(40)).map((event) => event.ledgerEntryPosted);
    expect(events.map(({ entry }) => entry.sequence)).toEqual(upTo(12, 51));
    expect(events.map(({ cursor }) => cursor)).toEqual(oldestFirst.slice(11).map(({ cursor }) => cursor));
  });

  it('loses and repeats nothing when it is killed and resumed during debits', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '1000' } });
    const { organization: read } = await organization.client.run(LedgerDocument, { slug: organization.slug, first: 1 });
    let cursor = read?.wallet?.ledger.edges[0]?.cursor;
    const sequences: number[] = [];
    const spending = Promise.all(Array.from({ length: 100 }, () => debit(organization.client)));
    for (const portion of [1, 30, 4, 50, 15]) {
      const live = watchLedger(transport, organization, cursor);
      for (const { ledgerEntryPosted } of await live.take(portion)) {
        sequences.push(ledgerEntryPosted.entry.sequence);
        cursor = ledgerEntryPosted.cursor;
      }
      live.kill();
    }
    await spending;
    expect(sequences).toEqual(upTo(2, 101));
  });

  it('refuses a cursor that is malformed, of the future or of another stream', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '10' } });
    const { organization: read } = await organization.client.run(LedgerDocument, { slug: organization.slug, first: 1 });
    const newest = read?.wallet?.ledger.edges[0]?.cursor ?? 'no entry';
    const forged = ['-1', '1.5', '9'.repeat(30), 1, null, '2'].map((sequence) => forgeCursor(newest, sequence));
    const cursors = ['', 'x', ...forged, await liveCursorOf(organization)];
    for (const after of cursors) {
      await using live = watchLedger(transport, organization, after);
      const result = await live.result();
      expect(result?.data ?? null, after).toBeNull();
      expect(result?.errors?.[0]?.extensions?.code, after).toBe('BAD_USER_INPUT');
    }
  });

  it('refuses a cursor of another wallet, whose sequence means other entries', async () => {
    const other = await anOrganization(gateway, { credits: { purchased: '10' } });
    const organization = await anOrganization(gateway, { credits: { purchased: '10' } });
    await debit(organization.client);
    const { organization: foreign } = await other.client.run(LedgerDocument, { slug: other.slug, first: 1 });
    await using live = watchLedger(transport, organization, foreign?.wallet?.ledger.edges[0]?.cursor ?? 'no entry');
    const result = await live.result();
    expect(result?.data ?? null).toBeNull();
    expect(result?.errors?.[0]?.extensions?.code).toBe('BAD_USER_INPUT');
  });
});

describe('a stream', () => {
  /** Waits until the gateway has nothing to ask of its database: nothing happening is no event to wait for. */
  const becomesQuiet = () =>
    vi.waitFor(
      async () => {
        gateway.statements.length = 0;
        await new Promise((resolve) => setTimeout(resolve, 1_500));
        expect(gateway.statements).toEqual([]);
      },
      { timeout: 12_000, interval: 0 },
    );

  it.each(TRANSPORTS)(
    'ends with its client over %s: nobody asks for a wallet that nobody watches',
    async (transport) => {
      await becomesQuiet();
      const organization = await anOrganization(gateway, { credits: { purchased: '10' } });
      const lives = Array.from({ length: 10 }, () => watch(transport, organization));
      await Promise.all(lives.map((live) => live.next()));
      const { organization: read } = await organization.client.run(LedgerDocument, {
        slug: organization.slug,
        first: 1,
      });
      const entries = watchLedger(transport, organization, read?.wallet?.ledger.edges[0]?.cursor);
      await debit(organization.client);
      await entries.next();
      for (const live of [...lives, entries]) live.kill();
      await becomesQuiet();
    },
  );

  it('ends when its client says so, and the socket goes on', async () => {
    await becomesQuiet();
    const organization = await anOrganization(gateway, { credits: { purchased: '10' } });
    await using socket = await BareSocket.initialized(gateway, organization.secret);
    for (const id of ['1', '2', '3']) {
      socket.subscribe(id, `subscription { balanceChanged(organizationId: "${organization.id}") { version } }`);
      await socket.messageOf('next', id);
      socket.send({ type: 'complete', id });
    }
    await becomesQuiet();
    socket.subscribe('4', '{ rateCard { version } }');
    expect((await socket.messageOf('next', '4')).payload).toEqual({ data: { rateCard: { version: 1 } } });
  });
});

describe('many streams', () => {
  it('of one wallet all see every change, hundreds of them', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '100' } });
    const document = `subscription { balanceChanged(organizationId: "${organization.id}") { version } }`;
    const versionIn = ({ payload }: ProtocolMessage) =>
      (payload as { data: { balanceChanged: { version: number } } }).data.balanceChanged.version;
    const open: BareSocket[] = [];
    for (let socket = 0; socket < 4; socket++) open.push(await BareSocket.initialized(gateway, organization.secret));
    const seen = new Map<string, number[]>();
    const read = async (socket: BareSocket, index: number, events: number) => {
      for (let event = 0; event < events; event++) {
        const message = await socket.messageOf('next');
        const stream = `${index}.${message.id}`;
        seen.set(stream, [...(seen.get(stream) ?? []), versionIn(message)]);
      }
    };
    for (const socket of open) for (let id = 0; id < 75; id++) socket.subscribe(String(id), document);
    await Promise.all(open.map((socket, index) => read(socket, index, 75)));
    for (let round = 0; round < 3; round++) await debit(organization.client);
    await Promise.all(open.map((socket, index) => read(socket, index, 75 * 3)));
    expect(seen.size).toBe(300);
    for (const versions of seen.values()) expect(versions).toEqual([1, 2, 3, 4]);
    for (const socket of open) await socket[Symbol.asyncDispose]();
  });

  it('are not held up by a reader that pauses, who then finds everything in order', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '5000' } });
    await using slow = await BareSocket.initialized(gateway, organization.secret);
    slow.subscribe('1', `subscription { balanceChanged(organizationId: "${organization.id}") { version } }`);
    await slow.messageOf('next');
    slow.pause();
    await using quick = watch('websocket', organization);
    await changeOf(quick);
    for (let batch = 0; batch < 3; batch++) await charge(organization.client, 1_000);
    expect((await changesOf(quick, 3_000)).map((change) => change.version)).toEqual(upTo(2, 3_001));
    slow.resume();
    for (let version = 2; version <= 3_001; version++) {
      expect(await slow.messageOf('next')).toMatchObject({ payload: { data: { balanceChanged: { version } } } });
    }
  });
});

describe('two gateways on one database', () => {
  it.each(TRANSPORTS)('a debit on one reaches a stream of the other over %s', async (transport) => {
    await using database = await createDatabase();
    await using charging = await startTestGateway({ database });
    await using watching = await startTestGateway({ database });
    const organization = await anOrganization(charging, { credits: { purchased: '100' } });
    await using live = watch(transport, organization, undefined, watching);
    const { organization: read } = await organization.client.run(LedgerDocument, { slug: organization.slug, first: 1 });
    await using entries = watchLedger(transport, organization, read?.wallet?.ledger.edges[0]?.cursor, watching);
    expect((await changeOf(live)).totalAvailable).toBe('100');
    await Promise.all(Array.from({ length: 30 }, () => debit(organization.client)));
    const changes = await changesOf(live, 30);
    expect(changes.map((change) => change.version)).toEqual(upTo(2, 31));
    expect(changes.at(-1)?.totalAvailable).toBe('70');
    const posted = await entries.take(30);
    expect(posted.map(({ ledgerEntryPosted }) => ledgerEntryPosted.entry.sequence)).toEqual(upTo(2, 31));
  });

  it('a stream that was cut with its gateway is resumed on the other', async () => {
    await using database = await createDatabase();
    await using staying = await startTestGateway({ database });
    const leaving = await startTestGateway({ database });
    const organization = await anOrganization(staying, { credits: { purchased: '100' } });
    const socket = await BareSocket.initialized(leaving, organization.secret);
    socket.subscribe('1', `subscription { balanceChanged(organizationId: "${organization.id}") { cursor } }`);
    const { payload } = await socket.messageOf('next', '1');
    const { cursor } = (payload as { data: { balanceChanged: { cursor: string } } }).data.balanceChanged;
    await leaving[Symbol.asyncDispose]();
    expect((await socket.closed).code).toBe(1001);
    await debit(organization.client);
    await using live = watch('websocket', organization, cursor, staying);
    expect(await changeOf(live)).toMatchObject({ version: 2, totalAvailable: '99' });
  });
});
