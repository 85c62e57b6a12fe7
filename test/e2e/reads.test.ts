/**
 * Reading the books: the same answer whichever way it is paged or filtered, in a number of statements that depends on the
 * query and not on the rows, and as fast with a million entries as with a hundred.
 */
import { randomUUID } from 'node:crypto';
import { print } from 'graphql';
import { SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { instant } from '../../src/domain/time/instant.ts';
import { reportWindows, type UsageQuery } from '../../src/domain/usage/report.ts';
import { compareBuckets, compareBurnOrder } from '../../src/domain/wallet/burn-order.ts';
import { decodeId, encodeId } from '../../src/graphql/ids.ts';
import type { Queryable } from '../../src/persistence/connection.ts';
import { spendSummaries } from '../../src/persistence/reports/spend-summaries.ts';
import { usageOfLines, usageOfRollups } from '../../src/persistence/reports/usage-reports.ts';
import {
  BalanceAtDocument,
  BucketLotsDocument,
  DebitDocument,
  LedgerDocument,
  type LedgerQuery,
  type LedgerQueryVariables,
  LotsDocument,
  NestedReadDocument,
  OrganizationsReadDocument,
  PurchasePackageDocument,
  RecordUsageDocument,
  StatementsDocument,
  WalletStateDocument,
} from '../generated/documents.ts';
import { query } from '../support/books.ts';
import { startTestGateway, type TestClient, type TestGateway } from '../support/gateway.ts';
import { advanceTo, aKey, anApiKey, anOrganization, type Given, grant } from '../support/given.ts';
import { countPages, pagesOf } from '../support/pages.ts';

const JWT_SECRET = 'a secret of this test, long enough to sign with';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway({ env: { PURSER_JWT_SECRET: JWT_SECRET } });
});
afterAll(() => gateway[Symbol.asyncDispose]());

async function debit(client: TestClient, input: object = {}): Promise<void> {
  const answer = await client.run(DebitDocument, { input: { idempotencyKey: aKey(), amount: '1', ...input } });
  expect(answer.debit.__typename).toBe('DebitPayload');
}

/** Charges the meter's price `count` times, each as a transaction of its own. */
async function charge(
  client: TestClient,
  count: number,
  usage: { meter: string; quantity?: number } = { meter: 'search' },
) {
  const events = Array.from({ length: count }, () => ({ idempotencyKey: aKey(), usage }));
  const { recordUsage } = await client.run(RecordUsageDocument, { input: { events } });
  expect(recordUsage).toMatchObject({ __typename: 'RecordUsagePayload', accepted: count });
}

type Wallet = NonNullable<NonNullable<LedgerQuery['organization']>['wallet']>;
type Entry = Wallet['ledger']['edges'][number]['node'];

async function ledgerPage({ client, slug }: Given, page: Omit<LedgerQueryVariables, 'slug'> = {}) {
  const { organization } = await client.run(LedgerDocument, { slug, ...page });
  const ledger = organization?.wallet?.ledger;
  if (!ledger) throw new Error('there is no ledger');
  return { ...ledger, entries: ledger.edges.map((edge) => edge.node) };
}

/** All entries, newest first, in pages. */
async function allEntries(
  organization: Given,
  filter: LedgerQueryVariables['filter'] = null,
  first = 100,
  between: () => Promise<void> = async () => undefined,
): Promise<Entry[]> {
  const entries: Entry[] = [];
  let after: string | null = null;
  do {
    const page: Awaited<ReturnType<typeof ledgerPage>> = await ledgerPage(organization, { filter, first, after });
    expect(page.pageInfo.hasPreviousPage).toBe(after !== null);
    entries.push(...page.entries);
    after = page.pageInfo.hasNextPage ? (page.pageInfo.endCursor ?? null) : null;
    await between();
  } while (after !== null);
  return entries;
}

const sequencesOf = (entries: readonly Entry[]): number[] => entries.map((entry) => entry.sequence);
const downFrom = (last: number, first = 1): number[] => Array.from({ length: last - first + 1 }, (_, i) => last - i);

describe('the nested query', () => {
  async function statementsFor(ask: () => Promise<unknown>): Promise<string[]> {
    await ask();
    gateway.statements.length = 0;
    await ask();
    return [...gateway.statements];
  }

  it('answers organization, wallet, buckets, lots, entries, transactions and lines', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '10', promotional: '5' } });
    await charge(organization.client, 1, { meter: 'scrape', quantity: 7 });
    const read = await organization.client.run(NestedReadDocument, { slug: organization.slug, lots: 5, entries: 2 });
    const wallet = read.organization?.wallet;
    expect(wallet?.totalAvailable).toBe('8');
    expect(
      wallet?.buckets.map((bucket) => [
        bucket.key,
        bucket.available,
        bucket.lots.edges.map((edge) => edge.node.remaining),
      ]),
    ).toEqual([
      ['daily_free', '0', []],
      ['promotional', '0', ['0']],
      ['monthly_plan', '0', []],
      ['purchased', '8', ['8']],
    ]);
    const lines = [{ meter: 'scrape', credits: '7' }];
    const entries = [{ sequence: 3 }, { sequence: 4 }];
    expect(wallet?.ledger.edges.map(({ node }) => [node.sequence, node.bucket?.key, node.transaction])).toEqual([
      [4, 'purchased', { kind: 'DEBIT', lines, entries }],
      [3, 'promotional', { kind: 'DEBIT', lines, entries }],
    ]);
  });

  it('takes as many statements for 2 rows of each kind as for 50', async () => {
    const organization = await anOrganization(gateway, { plan: 'free', credits: { purchased: '1000' } });
    for (let lot = 0; lot < 60; lot++) await grant(gateway, organization.id, 'purchased', '1');
    await charge(organization.client, 60);
    const { client, slug } = organization;
    const few = await statementsFor(() => client.run(NestedReadDocument, { slug, lots: 2, entries: 2 }));
    const many = await statementsFor(() => client.run(NestedReadDocument, { slug, lots: 50, entries: 50 }));
    expect(many).toHaveLength(few.length);
    expect(many.length).toBeLessThan(15);
  });

  it('takes as many statements for 5 organizations as for 50', async () => {
    await Promise.all(
      Array.from({ length: 50 }, async (_, index) => {
        const made = await anOrganization(gateway, { plan: 'free', credits: { purchased: '10' } });
        await charge(made.client, 1 + (index % 7));
      }),
    );
    const operator = gateway.as(gateway.demo.tokens.operator);
    const few = await statementsFor(() => operator.run(OrganizationsReadDocument, { first: 5 }));
    const many = await statementsFor(() => operator.run(OrganizationsReadDocument, { first: 50 }));
    expect(many).toHaveLength(few.length);
    expect(many.length).toBeLessThan(18);
    const { organizations } = await operator.run(OrganizationsReadDocument, { first: 50 });
    expect(organizations.edges).toHaveLength(50);
    for (const { node } of organizations.edges) {
      expect(node.wallet?.ledger.edges.length).toBeLessThanOrEqual(5);
      expect(node.wallet?.buckets.map((bucket) => bucket.key)).toEqual([
        'daily_free',
        'promotional',
        'monthly_plan',
        'purchased',
      ]);
    }
  });

  it('takes as many statements for every list of 5 organizations as of 50', async () => {
    const operator = gateway.as(gateway.demo.tokens.operator);
    const ask = (first: number) => () =>
      operator.raw(
        `query($first: Int!) { organizations(first: $first) { edges { node {
          members(first: 3) { edges { node { role user { name } } } }
          projects(first: 3) { edges { node { key } } }
          apiKeys(first: 3) { edges { node { name project { key } } } }
          alerts { state }
          auditTrail(first: 3) { edges { node { action actor { __typename } } } }
          activity(first: 3) { edges { node { summary actor { __typename } } } }
          purchases(first: 3) { edges { node { status actor { __typename } package { key } entries { sequence } } } }
        } } } }`,
        { first },
      );
    const few = await statementsFor(ask(5));
    const many = await statementsFor(ask(50));
    expect(many).toHaveLength(few.length);
    expect(many.length).toBeLessThan(18);
  });

  it('takes as many statements for a member of 3 organizations as for one of 40', async () => {
    const ask = async (memberships: number): Promise<string[]> => {
      const client = gateway.as(await aMemberOf(memberships));
      return statementsFor(async () => {
        const { data, errors } = await client.raw<{ viewer: { memberships: unknown[] } }>(
          '{ viewer { memberships { role organization { slug wallet { totalAvailable ledger(first: 2) { edges { node { amount } } } } } } } }',
        );
        expect(errors).toEqual([]);
        expect(data?.viewer.memberships).toHaveLength(memberships);
      });
    };
    expect(await ask(40)).toHaveLength((await ask(3)).length);
  });

  it('takes as many statements for 2 nodes of a type as for 50', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '1000' } });
    for (let lot = 0; lot < 50; lot++) await grant(gateway, organization.id, 'purchased', '1');
    const { organization: read } = await organization.client.run(LotsDocument, { slug: organization.slug, first: 50 });
    const ids = read?.wallet?.lots.edges.map((edge) => edge.node.id) ?? [];
    expect(ids).toHaveLength(50);
    const ask = (count: number) => () =>
      organization.client.raw(
        'query($ids: [ID!]!) { nodes(ids: $ids) { id ... on Lot { remaining bucket { key } } } }',
        {
          ids: ids.slice(0, count),
        },
      );
    expect(await statementsFor(ask(50))).toHaveLength((await statementsFor(ask(2))).length);
  });

  /** The token of a new member of that many organizations. */
  async function aMemberOf(organizations: number): Promise<string> {
    const userId = `user-${aKey()}`;
    await query(gateway.database, "INSERT INTO user_account (id, name, email) VALUES ($1, 'Member', 'm@example.com')", [
      userId,
    ]);
    await query(
      gateway.database,
      `INSERT INTO membership (id, organization_id, user_id, role)
       SELECT gen_random_uuid(), id, $1, 'VIEWER' FROM organization WHERE slug LIKE 'org-%' ORDER BY created_at LIMIT $2`,
      [userId, organizations],
    );
    return new SignJWT({})
      .setProtectedHeader({ alg: 'HS256' })
      .setSubject(userId)
      .setExpirationTime('1h')
      .sign(new TextEncoder().encode(JWT_SECRET));
  }

  it('bounds every list in SQL: none is read whole and cut afterwards', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '100' } });
    await charge(organization.client, 3);
    const { client, slug } = organization;
    const operator = gateway.as(gateway.demo.tokens.operator);
    const statements = [
      ...(await statementsFor(() => client.run(NestedReadDocument, { slug, lots: 2, entries: 2 }))),
      ...(await statementsFor(() => operator.run(OrganizationsReadDocument, { first: 5 }))),
    ];
    const count = (sql: string, pattern: RegExp): number => (sql.match(pattern) ?? []).length;
    const withLists = statements.filter((sql) => sql.includes('/* middle select */'));
    expect(withLists.filter((sql) => sql.includes('"ledger_entry"')).length).toBeGreaterThanOrEqual(2);
    expect(withLists.filter((sql) => sql.includes('"lot"')).length).toBeGreaterThanOrEqual(3);
    for (const sql of withLists) {
      // The totals of a wallet add up all of its buckets, which are as many as the catalog says.
      const added = count(sql, /FROM "public"\."bucket" AS "t1" WHERE "t0"\."id" = "t1"\."wallet_id"/g);
      const limited = count(sql, /LIMIT \$\d+ \/\* middle select \*\//g);
      expect(limited, sql).toBeGreaterThanOrEqual(count(sql, /\/\* middle select \*\//g) - added);
    }
    for (const sql of statements.filter((text) =>
      /FROM "public"\."(ledger_entry|lot|organization)" AS "t0"/.test(text),
    )) {
      // By their ids, or a page.
      expect(sql).toMatch(/LIMIT \$\d+|"id" IN \(|"sequence" = /);
    }
  });

  it('shows one instant: the sums of a wallet agree with each other while it is debited', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '500', promotional: '500' } });
    let spending = true;
    const debits = (async () => {
      for (let round = 0; round < 40; round++)
        await Promise.all(Array.from({ length: 5 }, () => debit(organization.client)));
    })().finally(() => {
      spending = false;
    });
    let reads = 0;
    while (spending) {
      const { organization: read } = await organization.client.run(WalletStateDocument, { slug: organization.slug });
      const wallet = read?.wallet;
      const buckets = (wallet?.buckets ?? []).reduce((total, bucket) => total + Number(bucket.available), 0);
      const spent = 1_000 - Number(wallet?.balance);
      expect([Number(wallet?.totalAvailable), buckets, wallet?.version]).toEqual([
        1_000 - spent,
        1_000 - spent,
        2 + spent,
      ]);
      reads++;
    }
    await debits;
    expect(reads).toBeGreaterThan(5);
  });
});

describe('the ledger’s filters', () => {
  let organization: Given;
  let everything: Entry[];
  let actors: Record<string, string>;

  beforeAll(async () => {
    organization = await anOrganization(gateway, { credits: { purchased: '100', promotional: '20' } });
    const { client, id, slug } = organization;
    const second = gateway.as(await anApiKey(gateway, id, 'USAGE_WRITE'));
    await query(
      gateway.database,
      "INSERT INTO membership (id, organization_id, user_id, role) VALUES (gen_random_uuid(), $1, 'demo-owner', 'OWNER')",
      [decodeId('Organization', id)],
    );
    const owner = gateway.as(gateway.demo.tokens.owner);
    const { organization: read } = await client.run(LedgerDocument, { slug });
    const start = Date.parse(read?.wallet?.ledger.edges[0]?.node.effectiveAt ?? '');
    for (const [hour, charging] of [client, second, owner, client].entries()) {
      await advanceTo(gateway, id, new Date(start + (hour + 1) * 3_600_000).toISOString());
      const organizationId = id;
      await debit(charging, { organizationId, taskId: 'task-1', executionId: `run-${hour}` });
      await debit(charging, { organizationId, taskId: 'task-2', reasonCode: 'research' });
      await debit(charging, { organizationId, amount: '7', reasonCode: 'research', executionId: 'run-1' });
      await grant(gateway, id, hour % 2 === 0 ? 'promotional' : 'purchased', '3');
    }
    everything = await allEntries(organization);
    const keys = everything.flatMap(({ actor }) => (actor.__typename === 'ApiKey' ? [actor.id] : []));
    const [newestKey = '', otherKey = ''] = [...new Set(keys)];
    actors = {
      'the master key': newestKey,
      'another key': otherKey,
      'a person': encodeId('User', 'demo-owner'),
      nobody: encodeId('User', 'nobody'),
    };
  });

  const actorIdOf = ({ actor }: Entry): string | null => (actor.__typename === 'SystemActor' ? null : actor.id);

  /** What the filter asks for, said again in plain JavaScript. */
  function matches(entry: Entry, filter: NonNullable<LedgerQueryVariables['filter']>): boolean {
    const { from, to, taskId, executionId, direction, reasonCodes, bucketKeys, actorId } = filter;
    return (
      (!from || entry.effectiveAt >= from) &&
      (!to || entry.effectiveAt < to) &&
      (!taskId || entry.taskId === taskId) &&
      (!executionId || entry.executionId === executionId) &&
      (!direction || entry.direction === direction) &&
      (!reasonCodes || reasonCodes.includes(entry.reasonCode)) &&
      (!bucketKeys || (entry.bucket !== null && entry.bucket !== undefined && bucketKeys.includes(entry.bucket.key))) &&
      (!actorId || actorIdOf(entry) === actorId)
    );
  }

  async function expectFiltered(filter: NonNullable<LedgerQueryVariables['filter']>): Promise<number> {
    const expected = sequencesOf(everything.filter((entry) => matches(entry, filter)));
    expect(sequencesOf(await allEntries(organization, filter)), JSON.stringify(filter)).toEqual(expected);
    return expected.length;
  }

  /** One choice per filter; those with a value find something and leave something out. */
  function choices(): Record<string, NonNullable<LedgerQueryVariables['filter']>[]> {
    const middle = everything[Math.floor(everything.length / 2)]?.effectiveAt ?? '';
    const early = everything.at(-5)?.effectiveAt ?? '';
    return {
      from: [{ from: middle }],
      to: [{ to: middle }],
      range: [{ from: early, to: middle }],
      taskId: [{ taskId: 'task-1' }],
      executionId: [{ executionId: 'run-1' }],
      direction: [{ direction: 'DEBIT' }, { direction: 'CREDIT' }],
      reasonCodes: [{ reasonCodes: ['research'] }, { reasonCodes: ['GRANT', 'USAGE'] }],
      bucketKeys: [{ bucketKeys: ['promotional'] }, { bucketKeys: ['purchased', 'daily_free'] }],
      actorId: [{ actorId: actors['the master key'] ?? '' }, { actorId: actors['a person'] ?? '' }],
    };
  }

  it('has rows of every kind to tell apart', () => {
    expect(everything.length).toBeGreaterThan(18);
    expect(new Set(everything.map((entry) => entry.reasonCode))).toEqual(new Set(['GRANT', 'USAGE', 'research']));
    expect(new Set(everything.map((entry) => entry.bucket?.key))).toEqual(new Set(['promotional', 'purchased']));
    expect(new Set(everything.map((entry) => entry.actor.__typename))).toEqual(
      new Set(['ApiKey', 'User', 'SystemActor']),
    );
  });

  it.each(['from', 'to', 'range', 'taskId', 'executionId', 'direction', 'reasonCodes', 'bucketKeys', 'actorId'])(
    '%s finds what it says, and nothing else',
    async (name) => {
      for (const filter of choices()[name] ?? []) {
        const found = await expectFiltered(filter);
        expect(found).toBeGreaterThan(0);
        expect(found).toBeLessThan(everything.length);
      }
    },
  );

  it('all of them together mean all of them', async () => {
    const names = Object.keys(choices());
    const sets = Object.values(choices());
    let combinations = 0;
    for (let a = 0; a < names.length; a++) {
      for (let b = a + 1; b < names.length; b++) {
        for (const first of sets[a] ?? []) {
          for (const second of sets[b] ?? []) {
            await expectFiltered({ ...first, ...second });
            combinations++;
          }
        }
      }
    }
    expect(combinations).toBeGreaterThan(60);
    const everyOne = Object.assign({}, ...sets.map((set) => set[0])) as NonNullable<LedgerQueryVariables['filter']>;
    await expectFiltered(everyOne);
  });

  it('tells actors apart, and finds none for nobody', async () => {
    for (const actorId of Object.values(actors)) await expectFiltered({ actorId });
    expect(await expectFiltered({ actorId: actors.nobody ?? '' })).toBe(0);
    expect(await expectFiltered({ actorId: actors['another key'] ?? '' })).toBe(3);
  });

  it('takes a range as half-open: from its first instant to before its last', async () => {
    const at = everything[0]?.effectiveAt ?? '';
    const ofThatInstant = everything.filter((entry) => entry.effectiveAt === at).length;
    expect(await expectFiltered({ from: at })).toBe(ofThatInstant);
    expect(await expectFiltered({ to: at })).toBe(everything.length - ofThatInstant);
    expect(await expectFiltered({ from: at, to: at })).toBe(0);
    const after = new Date(Date.parse(at) + 1).toISOString();
    expect(await expectFiltered({ from: at, to: after })).toBe(ofThatInstant);
  });

  it('takes an empty list as none of them, and an empty text as one that nothing has', async () => {
    for (const filter of [{ reasonCodes: [] }, { bucketKeys: [] }, { taskId: '' }]) {
      expect((await ledgerPage(organization, { filter })).entries).toEqual([]);
    }
  });

  it('takes null as not given', async () => {
    const filter = {
      from: null,
      to: null,
      taskId: null,
      direction: null,
      reasonCodes: null,
      bucketKeys: null,
      actorId: null,
    };
    expect(sequencesOf(await allEntries(organization, filter))).toEqual(sequencesOf(everything));
  });

  it.each([1, 2, 3])('pages through what it finds, %d at a time, as if it were all there is', async (first) => {
    const filter = { reasonCodes: ['research'], direction: 'DEBIT' } as const;
    const expected = sequencesOf(
      everything.filter((entry) => matches(entry, { ...filter, reasonCodes: ['research'] })),
    );
    expect(sequencesOf(await allEntries(organization, { ...filter, reasonCodes: ['research'] }, first))).toEqual(
      expected,
    );
  });
});

describe('pages of the ledger', () => {
  it('read newest first, and name their ends', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '100' } });
    await charge(organization.client, 4);
    const whole = await ledgerPage(organization);
    expect(sequencesOf(whole.entries)).toEqual([5, 4, 3, 2, 1]);
    expect(whole.pageInfo).toMatchObject({
      hasNextPage: false,
      hasPreviousPage: false,
      startCursor: whole.edges[0]?.cursor,
      endCursor: whole.edges[4]?.cursor,
    });
    const middle = await ledgerPage(organization, { first: 2, after: whole.edges[1]?.cursor ?? null });
    expect(sequencesOf(middle.entries)).toEqual([3, 2]);
    expect(middle.pageInfo).toMatchObject({ hasNextPage: true, hasPreviousPage: true });
    const oldest = await ledgerPage(organization, { last: 2 });
    expect(sequencesOf(oldest.entries)).toEqual([2, 1]);
    expect(oldest.pageInfo).toMatchObject({ hasNextPage: false, hasPreviousPage: true });
    const before = await ledgerPage(organization, { last: 2, before: oldest.pageInfo.startCursor ?? null });
    expect(sequencesOf(before.entries)).toEqual([4, 3]);
    expect(before.pageInfo).toMatchObject({ hasNextPage: true, hasPreviousPage: true });
  });

  it('have no neighbour beyond the last entry on either side', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '100' } });
    await charge(organization.client, 3);
    const first = await ledgerPage(organization, { first: 4 });
    expect(first.pageInfo.hasNextPage).toBe(false);
    const beyond = await ledgerPage(organization, { after: first.pageInfo.endCursor ?? null });
    expect(beyond.edges).toEqual([]);
    expect(beyond.pageInfo).toMatchObject({ hasNextPage: false, startCursor: null, endCursor: null });
    const newer = await ledgerPage(organization, { last: 5, before: first.pageInfo.startCursor ?? null });
    expect(newer.edges).toEqual([]);
    expect(newer.pageInfo).toMatchObject({ hasPreviousPage: false, startCursor: null, endCursor: null });
  });

  it.each([1, 7, 10, 100])('skip and repeat nothing forwards, %d at a time, while entries are added', async (first) => {
    const organization = await anOrganization(gateway, { credits: { purchased: '10000' } });
    await charge(organization.client, 49);
    const seen = await allEntries(organization, null, first, () => charge(organization.client, 3));
    expect(sequencesOf(seen)).toEqual(downFrom(50));
  });

  it.each([3, 7, 10, 100])('skip and repeat nothing backwards, %d at a time, while entries are added', async (last) => {
    const organization = await anOrganization(gateway, { credits: { purchased: '10000' } });
    await charge(organization.client, 49);
    const seen: number[] = [];
    let before: string | null = null;
    for (let added = 0; ; added++) {
      const page: Awaited<ReturnType<typeof ledgerPage>> = await ledgerPage(organization, { last, before });
      seen.unshift(...sequencesOf(page.entries));
      before = page.pageInfo.startCursor ?? null;
      if (!page.pageInfo.hasPreviousPage) break;
      if (added < 20) await charge(organization.client, 2);
    }
    expect(seen).toEqual(downFrom(seen.length));
    const newest = (await ledgerPage(organization, { first: 1 })).entries[0]?.sequence;
    expect(seen[0]).toBe(newest);
  });

  it('are complete at any time while debits come in from all sides', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '10000' } });
    let spending = true;
    const debits = (async () => {
      for (let round = 0; round < 25; round++)
        await Promise.all(Array.from({ length: 8 }, () => debit(organization.client)));
    })().finally(() => {
      spending = false;
    });
    while (spending) {
      const entries = await allEntries(organization, null, 40);
      expect(sequencesOf(entries)).toEqual(downFrom(entries.length));
      const chained = entries.map((entry) => Number(entry.balanceAfter));
      expect(chained).toEqual(entries.map((entry) => 10_000 - (entry.sequence - 1)));
    }
    await debits;
    expect(sequencesOf(await allEntries(organization))).toEqual(downFrom(201));
  });
});

describe('lots', () => {
  interface LotKeys {
    readonly id: string;
    readonly bucket: { readonly key: string; readonly burnPriority: number };
    readonly expiresAt: string | null;
    readonly effectiveAt: string;
    readonly paid: boolean;
    readonly active: boolean;
  }

  let organization: Given;
  let inBurnOrder: LotKeys[];

  /** Lots with all the ties there can be, put in by hand: the books of this organization are for reading only. */
  beforeAll(async () => {
    organization = await anOrganization(gateway);
    const now = Date.now();
    const at = (hours: number) => new Date(Math.floor(now / 1_000) * 1_000 + hours * 3_600_000).toISOString();
    const expiries = [at(24), at(48), null];
    const effects = [at(-2), at(-1)];
    const rows = ['promotional', 'purchased'].flatMap((bucket) =>
      expiries.flatMap((expiresAt) =>
        effects.flatMap((effectiveAt) =>
          [true, false].flatMap((paid) =>
            [0, 1, 2].map((kind) => ({ bucket, expiresAt, effectiveAt, paid, remaining: kind === 2 ? 0 : 5 })),
          ),
        ),
      ),
    );
    for (const { bucket, expiresAt, effectiveAt, paid, remaining } of rows) {
      await query(
        gateway.database,
        `INSERT INTO lot (id, wallet_id, bucket_id, source, granted_micros, remaining_micros, paid, effective_at, expires_at, in_force, created_at)
         SELECT $1, w.id, b.id, 'PROMOTION', 5, $2, $3, $4, $5, true, now()
         FROM wallet w JOIN bucket b ON b.wallet_id = w.id AND b.key = $6 WHERE w.organization_id = $7`,
        [randomUUID(), remaining, paid, effectiveAt, expiresAt, bucket, decodeId('Organization', organization.id)],
      );
    }
    const stored = await query<{
      id: string;
      key: string;
      priority: number;
      expires_at: Date | null;
      effective_at: Date;
      paid: boolean;
      active: boolean;
    }>(
      gateway.database,
      `SELECT l.id, b.key, b.burn_priority AS priority, l.expires_at, l.effective_at, l.paid, remaining_micros > 0 AND in_force AS active
       FROM lot l JOIN bucket b ON b.id = l.bucket_id JOIN wallet w ON w.id = l.wallet_id WHERE w.organization_id = $1`,
      [decodeId('Organization', organization.id)],
    );
    const instantOf = (date: Date | null) => (date === null ? null : instant(date.getTime()));
    inBurnOrder = stored
      .toSorted(
        (a, b) =>
          compareBuckets({ burnPriority: a.priority, key: a.key }, { burnPriority: b.priority, key: b.key }) ||
          compareBurnOrder(
            {
              id: a.id,
              paid: a.paid,
              expiresAt: instantOf(a.expires_at),
              effectiveAt: instant(a.effective_at.getTime()),
            },
            {
              id: b.id,
              paid: b.paid,
              expiresAt: instantOf(b.expires_at),
              effectiveAt: instant(b.effective_at.getTime()),
            },
          ),
      )
      .map((row) => ({
        id: encodeId('Lot', row.id),
        bucket: { key: row.key, burnPriority: row.priority },
        expiresAt: row.expires_at?.toISOString() ?? null,
        effectiveAt: row.effective_at.toISOString(),
        paid: row.paid,
        active: row.active,
      }));
    expect(inBurnOrder).toHaveLength(72);
  });

  async function allLots(active: boolean | null, first: number): Promise<string[]> {
    const ids: string[] = [];
    let after: string | null = null;
    do {
      const variables: { slug: string; active: boolean | null; first: number; after: string | null } = {
        slug: organization.slug,
        active,
        first,
        after,
      };
      const { organization: read } = await organization.client.run(LotsDocument, variables);
      const page = read?.wallet?.lots;
      if (!page) throw new Error('there are no lots');
      ids.push(...page.edges.map((edge) => edge.node.id));
      after = page.pageInfo.hasNextPage ? (page.pageInfo.endCursor ?? null) : null;
    } while (after !== null);
    return ids;
  }

  it.each([1, 5, 7, 100])('of a wallet are paged in burn order, %d at a time, whatever ties', async (first) => {
    expect(await allLots(null, first)).toEqual(inBurnOrder.map((lot) => lot.id));
  });

  it.each([true, false])('are those with credits left or the others: active %s', async (active) => {
    const expected = inBurnOrder.filter((lot) => lot.active === active).map((lot) => lot.id);
    expect(expected.length).toBeGreaterThan(20);
    expect(await allLots(active, 10)).toEqual(expected);
  });

  it.each([1, 5, 100])('of each bucket are paged by themselves, %d at a time', async (first) => {
    for (const key of ['promotional', 'purchased', 'daily_free']) {
      const ids: string[] = [];
      let after: string | null = null;
      do {
        const variables: { slug: string; first: number; after: string | null } = {
          slug: organization.slug,
          first,
          after,
        };
        const { organization: read } = await organization.client.run(BucketLotsDocument, variables);
        const page = read?.wallet?.buckets.find((bucket) => bucket.key === key)?.lots;
        ids.push(...(page?.edges ?? []).map((edge) => edge.node.id));
        after = page?.pageInfo.hasNextPage ? (page.pageInfo.endCursor ?? null) : null;
      } while (after !== null);
      expect(ids).toEqual(inBurnOrder.filter((lot) => lot.bucket.key === key).map((lot) => lot.id));
    }
  });

  it('are spent in the order in which they are listed', async () => {
    const spender = await anOrganization(gateway);
    const soon = new Date(Date.now() + 3_600_000).toISOString();
    const later = new Date(Date.now() + 7_200_000).toISOString();
    for (const [bucket, expiresAt] of [
      ['purchased', undefined],
      ['purchased', later],
      ['promotional', later],
      ['promotional', soon],
      ['promotional', soon],
      ['purchased', soon],
    ] as const) {
      await grant(gateway, spender.id, bucket, '2', expiresAt);
    }
    const { organization: read } = await spender.client.run(LotsDocument, { slug: spender.slug, active: true });
    const listed = read?.wallet?.lots.edges.map((edge) => edge.node.id) ?? [];
    await debit(spender.client, { amount: '12' });
    const spent = (await ledgerPage(spender, { filter: { direction: 'DEBIT' } })).entries.map((entry) => entry.lot?.id);
    expect(spent.toReversed()).toEqual(listed);
  });
});

describe('views of the balance', () => {
  const balanceOf = async ({ client, slug }: Given) => {
    const { organization } = await client.run(WalletStateDocument, { slug });
    const wallet = organization?.wallet;
    const { totalAvailable, subscriptionCredits, purchasedCredits, balance, held, debt, frozenCredits } = wallet ?? {};
    const buckets = Object.fromEntries((wallet?.buckets ?? []).map((bucket) => [bucket.key, bucket.available]));
    return { totalAvailable, subscriptionCredits, purchasedCredits, balance, held, debt, frozenCredits, buckets };
  };
  const NONE = { held: '0', debt: '0', frozenCredits: '0' };

  it('of an organization with nothing are zero, not nothing', async () => {
    const organization = await anOrganization(gateway);
    expect(await balanceOf(organization)).toEqual({
      totalAvailable: '0',
      subscriptionCredits: '0',
      purchasedCredits: '0',
      balance: '0',
      ...NONE,
      buckets: { daily_free: '0', promotional: '0', monthly_plan: '0', purchased: '0' },
    });
  });

  it('tell what came with the plan from what was bought; promotions count in the total only', async () => {
    const organization = await anOrganization(gateway, {
      plan: 'free',
      credits: { purchased: '10.5', promotional: '5' },
    });
    expect(await balanceOf(organization)).toEqual({
      totalAvailable: '2115.5',
      subscriptionCredits: '2100',
      purchasedCredits: '10.5',
      balance: '2115.5',
      ...NONE,
      buckets: { daily_free: '100', promotional: '5', monthly_plan: '2000', purchased: '10.5' },
    });
    await debit(organization.client, { amount: '2107' });
    expect(await balanceOf(organization)).toEqual({
      totalAvailable: '8.5',
      subscriptionCredits: '0',
      purchasedCredits: '8.5',
      balance: '8.5',
      ...NONE,
      buckets: { daily_free: '0', promotional: '0', monthly_plan: '0', purchased: '8.5' },
    });
  });

  it('count a bonus as bought', async () => {
    const organization = await anOrganization(gateway);
    const { purchasePackage } = await organization.client.run(PurchasePackageDocument, {
      input: { idempotencyKey: aKey(), packageId: encodeId('Package', 'growth') },
    });
    if (purchasePackage.__typename !== 'PurchasePayload') throw new Error(JSON.stringify(purchasePackage));
    expect(await balanceOf(organization)).toMatchObject({ totalAvailable: '0' });
    const paid = await fetch(`${purchasePackage.purchase?.checkoutUrl}/pay`, { method: 'POST' });
    expect(paid.status).toBe(200);
    expect(await balanceOf(organization)).toMatchObject({
      totalAvailable: '5500',
      purchasedCredits: '5500',
      subscriptionCredits: '0',
    });
  });

  it('are true at the instant of reading: what has expired is gone, what has refreshed is there', async () => {
    const organization = await anOrganization(gateway, { plan: 'free' });
    const { organization: read } = await organization.client.run(WalletStateDocument, { slug: organization.slug });
    const refreshAt = read?.wallet?.buckets.find((bucket) => bucket.key === 'daily_free')?.refresh?.nextRefreshAt ?? '';
    await debit(organization.client, { amount: '60' });
    await grant(gateway, organization.id, 'promotional', '7', refreshAt);
    expect(await balanceOf(organization)).toMatchObject({ totalAvailable: '2047', subscriptionCredits: '2040' });
    await advanceTo(gateway, organization.id, refreshAt);
    expect(await balanceOf(organization)).toMatchObject({
      totalAvailable: '2100',
      subscriptionCredits: '2100',
      buckets: { daily_free: '100', promotional: '0', monthly_plan: '2000', purchased: '0' },
    });
  });
});

describe('a wallet with 1,000,000 entries', () => {
  const LOADED = 1_000_000;
  const ENTRIES_PER_TRANSACTION = 10;
  /** What the entries pay for was used over a year. */
  const USED_FROM = '2025-07-01T00:00:00Z';
  const USED_EVERY = (365 * 86_400_000 * ENTRIES_PER_TRANSACTION) / LOADED;
  let organization: Given;
  /** When the first of the loaded entries counts; one follows every millisecond. */
  let start: number;

  beforeAll(async () => {
    // Its entries follow one another every millisecond from now on: all in one month, whatever day it is.
    const today = new Date();
    const now = new Date(Date.UTC(today.getUTCFullYear(), today.getUTCMonth() + 1, 10, 12)).toISOString();
    organization = await anOrganization(gateway, { now, credits: { promotional: '5', purchased: '100000' } });
    const organizationId = decodeId('Organization', organization.id);
    const [wallet] = await query<{ id: string; sequence: string; lot: string; bucket: string; at: Date }>(
      gateway.database,
      `SELECT w.id, w.sequence, l.id AS lot, b.id AS bucket, w.last_posted_at AS at
       FROM wallet w JOIN bucket b ON b.wallet_id = w.id AND b.key = 'purchased' JOIN lot l ON l.bucket_id = b.id
       WHERE w.organization_id = $1`,
      [organizationId],
    );
    if (!wallet) throw new Error('there is no wallet');
    start = wallet.at.getTime();
    await countPages(gateway.database);
    await query(gateway.database, 'ALTER TABLE ledger_entry DISABLE TRIGGER ledger_entry_chain');
    await query(
      gateway.database,
      `INSERT INTO ledger_transaction (id, wallet_id, kind, reason_code, amount_micros, lines, actor_kind, actor_id, task_id,
         occurred_at, effective_at, posted_at)
       SELECT ('00000000-0000-7000-8000-' || lpad(i::text, 12, '0'))::uuid, $1, 'DEBIT', 'USAGE', -$3, jsonb_build_array(
           jsonb_build_object('meter', 'llm', 'quantity', '0.5', 'rate', 'one', 'credits', $3::int::text, 'waived', '0',
             'dimensions', jsonb_build_object('model', 'model-' || i % 5))), 'SYSTEM', 'load', 'work-' || i / 1000,
         $5::timestamptz + i * $6::bigint * interval '1 millisecond',
         $2::timestamptz + i * $3 * interval '1 millisecond', $2::timestamptz + i * $3 * interval '1 millisecond'
       FROM generate_series(0, $4::int / $3::int) i`,
      [wallet.id, wallet.at, ENTRIES_PER_TRANSACTION, LOADED, USED_FROM, USED_EVERY],
    );
    for (const [grain, seconds] of [
      ['QUARTER_HOUR', 900],
      ['DAY', 86_400],
    ]) {
      await query(
        gateway.database,
        `INSERT INTO usage_rollup (wallet_id, grain, starts_at, meter, model, modality, operation, user_id, project_id,
           api_key_id, quantity, credits_micros, events)
         SELECT wallet_id, $2::"RollupGrain", date_bin($3 * interval '1 second', used_at, '2000-01-01T00:00:00Z'),
           lines -> 0 ->> 'meter', lines -> 0 -> 'dimensions' ->> 'model', '', '', '', '', '',
           sum((lines -> 0 ->> 'quantity')::numeric), sum(-amount_micros), count(*)
         FROM ledger_transaction WHERE wallet_id = $1 AND actor_id = 'load' GROUP BY 1, 2, 3, 4, 5`,
        [wallet.id, grain, seconds],
      );
    }
    await query(
      gateway.database,
      `INSERT INTO ledger_entry (wallet_id, sequence, transaction_id, direction, amount_micros, balance_after_micros, reason_code,
         lot_id, bucket_id, meter, task_id, execution_id, actor_kind, actor_id, effective_at, posted_at, hash)
       SELECT $1, $2::bigint + i, ('00000000-0000-7000-8000-' || lpad((i / $6)::text, 12, '0'))::uuid, 'DEBIT', 1, 100005000000 - i,
         CASE WHEN i % 100000 = 0 THEN 'rare' ELSE 'USAGE' END, $3, $4, 'search', 'task-' || (i / 100), 'run-' || (i / 10),
         'SYSTEM', 'load', $5::timestamptz + i * interval '1 millisecond', $5::timestamptz + i * interval '1 millisecond', decode(repeat('00', 32), 'hex')
       FROM generate_series(1, $7) i`,
      [wallet.id, wallet.sequence, wallet.lot, wallet.bucket, wallet.at, ENTRIES_PER_TRANSACTION, LOADED],
    );
    await query(gateway.database, 'ALTER TABLE ledger_entry ENABLE TRIGGER ledger_entry_chain');
    await query(
      gateway.database,
      `WITH spent AS (UPDATE lot SET remaining_micros = remaining_micros - $2 WHERE id = $3),
            less AS (UPDATE bucket SET available_micros = available_micros - $2 WHERE id = $4)
       UPDATE wallet SET sequence = sequence + $2, balance_micros = balance_micros - $2,
         last_posted_at = last_posted_at + $2 * interval '1 millisecond' WHERE id = $1`,
      [wallet.id, LOADED, wallet.lot, wallet.bucket],
    );
    await query(gateway.database, 'ANALYZE ledger_entry, ledger_transaction, usage_rollup, wallet, lot, bucket');
  }, 180_000);

  const after = (milliseconds: number): string => new Date(start + milliseconds).toISOString();

  /** What is found by an index, however long the history is; one pass over an index; one over the table. */
  const FEW_PAGES = 2_000;
  const PAGES_OF_AN_INDEX = 6_000;
  const PAGES_OF_A_TABLE = 45_000;

  /** Asked before, so that nothing is looked up for the first time. */
  async function expectPages(ask: () => Promise<unknown>, atMost = FEW_PAGES): Promise<void> {
    await ask();
    const pages = await pagesOf(gateway.database, ask);
    expect(pages).toBeGreaterThan(0);
    expect(pages).toBeLessThan(atMost);
  }

  it('answers its first page, its last and one from its middle at once', async () => {
    const newest = await ledgerPage(organization, { first: 50 });
    expect(sequencesOf(newest.entries)).toEqual(downFrom(LOADED + 2, LOADED - 47));
    await expectPages(() => ledgerPage(organization, { first: 50 }));
    const oldest = await ledgerPage(organization, { last: 50 });
    expect(sequencesOf(oldest.entries)).toEqual(downFrom(50));
    await expectPages(() => ledgerPage(organization, { last: 50 }));
    const [middle] = (await ledgerPage(organization, { first: 1, filter: { taskId: 'task-5000' } })).edges;
    const deep = () => ledgerPage(organization, { first: 50, after: middle?.cursor ?? null });
    expect(sequencesOf((await deep()).entries)).toEqual(downFrom(500_100, 500_051));
    await expectPages(deep);
  });

  it('answers the nested query at once, from bounded lists', async () => {
    const { client, slug } = organization;
    const ask = () => client.run(NestedReadDocument, { slug, lots: 50, entries: 50 });
    const { organization: read } = await ask();
    expect(read?.wallet?.ledger.edges).toHaveLength(50);
    expect(read?.wallet?.ledger.edges[20]?.node.transaction.entries).toHaveLength(ENTRIES_PER_TRANSACTION);
    await expectPages(ask);
    gateway.statements.length = 0;
    await ask();
    const ofEntries = gateway.statements.filter((sql) => sql.includes('ledger_entry'));
    expect(ofEntries.length).toBeGreaterThan(0);
    for (const sql of ofEntries) expect(sql).toMatch(/LIMIT/);
  });

  it.each([
    ['a task', () => ({ taskId: 'task-70' }), 100],
    ['a task that is none', () => ({ taskId: 'none' }), 0],
    ['an execution', () => ({ executionId: 'run-7' }), 10],
    ['a rare reason', () => ({ reasonCodes: ['rare'] }), 10],
    ['a reason that is none', () => ({ reasonCodes: ['none'] }), 0],
    ['an early range', () => ({ from: after(1_000), to: after(1_040) }), 40],
    ['a long early range', () => ({ to: after(20_000) }), 100],
    ['a range before everything', () => ({ to: after(-60_000) }), 0],
    ['a range after everything', () => ({ from: after(LOADED + 60_000) }), 0],
    [
      'a task in a direction and a bucket',
      () => ({ taskId: 'task-70', direction: 'DEBIT' as const, bucketKeys: ['purchased'] }),
      100,
    ],
  ])('answers for %s at once', async (_name, filter, found) => {
    expect((await ledgerPage(organization, { first: 100, filter: filter() })).entries).toHaveLength(found);
    await expectPages(() => ledgerPage(organization, { first: 100, filter: filter() }));
  });

  it('answers for the balance at any instant at once', async () => {
    const { client, slug } = organization;
    const balanceAt = async (milliseconds: number) =>
      (await client.run(BalanceAtDocument, { slug, at: after(milliseconds) })).organization?.wallet?.balanceAt;
    expect(await balanceAt(400_000)).toBe('100004.6');
    expect(await balanceAt(LOADED + 60_000)).toBe('100004');
    await expectPages(() => balanceAt(500_000));
  });

  it('adds the statement of the running month up once, and answers for it at once from then on', async () => {
    const { client, slug } = organization;
    const ask = async () => (await client.run(StatementsDocument, { slug })).organization?.statements?.[0];
    const statement = await ask();
    expect(statement).toMatchObject({ status: 'OPEN', closing: '100004', toSequence: LOADED + 2 });
    expect(statement?.debited).toEqual([
      { reasonCode: 'USAGE', credits: '0.99999', entries: LOADED - 10 },
      { reasonCode: 'rare', credits: '0.00001', entries: 10 },
    ]);
    await expectPages(ask);
  });

  it('answers for a deep page of a range that is nearly everything at once', async () => {
    const filter = { from: after(1), to: after(LOADED) };
    const [middle] = (await ledgerPage(organization, { first: 1, filter: { taskId: 'task-5000' } })).edges;
    const deep = () => ledgerPage(organization, { first: 50, filter, after: middle?.cursor ?? null });
    expect(sequencesOf((await deep()).entries)).toEqual(downFrom(500_100, 500_051));
    await expectPages(deep, PAGES_OF_AN_INDEX);
    const back = () => ledgerPage(organization, { last: 50, filter, before: middle?.cursor ?? null });
    expect(sequencesOf((await back()).entries)).toEqual(downFrom(500_151, 500_102));
    await expectPages(back, PAGES_OF_AN_INDEX);
  });

  it.each([
    ['a rare bucket', () => ({ bucketKeys: ['promotional'] }), 1],
    ['a rare direction', () => ({ direction: 'CREDIT' as const }), 2],
    ['an actor that is nobody', () => ({ actorId: encodeId('User', 'nobody') }), 0],
  ])('answers for %s by reading each page once at most', async (_name, filter, found) => {
    expect((await ledgerPage(organization, { first: 100, filter: filter() })).entries).toHaveLength(found);
    await expectPages(() => ledgerPage(organization, { first: 100, filter: filter() }), PAGES_OF_A_TABLE);
  });

  /** How many pages a statement looks at, and which big tables it reads from end to end. */
  async function costOf(read: (sql: Queryable) => Promise<unknown>): Promise<{ pages: number; scanned: string[] }> {
    const cost = { pages: 0, scanned: [] as string[] };
    const explaining: Queryable = async <Row extends readonly object[]>(
      [first = '', ...others]: readonly string[],
      ...values: unknown[]
    ) => {
      const explained = [
        `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${first}`,
        ...others,
      ] as unknown as TemplateStringsArray;
      const [row] = await gateway.gateway.services.sql<{ 'QUERY PLAN': Explained[] }[]>(explained, ...values);
      for (const { Plan } of row?.['QUERY PLAN'] ?? []) {
        cost.pages += Plan['Shared Hit Blocks'] + Plan['Shared Read Blocks'];
        cost.scanned = tablesScanned(Plan).filter((table) => BIG_TABLES.includes(table));
      }
      return Object.assign([] as unknown as Row, { count: 0, command: 'EXPLAIN' });
    };
    await read(explaining);
    return cost;
  }

  const BIG_TABLES = ['usage_rollup', 'ledger_transaction', 'ledger_entry'];

  async function costOfReport(read: typeof usageOfRollups, query: UsageQuery, timeZone: string) {
    const walletId = await walletIdOf(organization);
    return costOf((sql) => read(sql, query, [{ walletId, windows: reportWindows(query, timeZone) }]));
  }

  async function walletIdOf({ id }: Given): Promise<string> {
    const [wallet] = await query<{ id: string }>(gateway.database, 'SELECT id FROM wallet WHERE organization_id = $1', [
      decodeId('Organization', id),
    ]);
    return wallet?.id ?? '';
  }

  interface Explained {
    readonly Plan: PlanNode;
  }
  interface PlanNode {
    readonly 'Node Type': string;
    readonly 'Relation Name'?: string;
    readonly 'Shared Hit Blocks': number;
    readonly 'Shared Read Blocks': number;
    readonly Plans?: readonly PlanNode[];
  }

  const tablesScanned = (node: PlanNode): string[] => [
    ...(node['Node Type'] === 'Seq Scan' ? [node['Relation Name'] ?? ''] : []),
    ...(node.Plans ?? []).flatMap(tablesScanned),
  ];

  const A_YEAR: UsageQuery = {
    period: { start: instant(Date.parse(USED_FROM)), end: instant(Date.parse('2026-07-01T00:00:00Z')) },
    groupBy: ['MONTH', 'MODEL'],
    byDimensions: [],
    filter: { meters: null, models: null, userIds: null, projectIds: null, taskId: null, executionId: null },
    limit: 100,
  };

  it('reports a year by month and model from rollups of days', async () => {
    const { data, errors } = await organization.client.raw<{
      organization: {
        usage: { totalCredits: string; totalEvents: number; rows: { credits: string; quantity: string }[] };
      };
    }>(
      `{ organization(slug: "${organization.slug}") {
        usage(from: "${USED_FROM}", to: "2026-07-01T00:00:00Z", groupBy: [MONTH, MODEL]) {
          totalCredits totalEvents rows { key { value } quantity credits }
        }
      } }`,
    );
    expect(errors).toEqual([]);
    const usage = data?.organization.usage;
    expect(usage).toMatchObject({ totalCredits: '1', totalEvents: 100_000 });
    expect(usage?.rows).toHaveLength(60);
    expect(usage?.rows.reduce((total, { quantity }) => total + Number(quantity), 0)).toBe(50_000);
  });

  it.each(['UTC', 'Africa/Cairo', 'Australia/Lord_Howe', 'Asia/Kathmandu'])(
    'reads hardly more than a row per day and model for that in %s',
    async (timeZone) => {
      const { pages, scanned } = await costOfReport(usageOfRollups, A_YEAR, timeZone);
      expect(scanned).toEqual([]);
      expect(pages).toBeLessThan(FEW_PAGES);
    },
  );

  it('reports 31 days by execution by the time of use', async () => {
    const period = { start: instant(Date.parse('2026-01-01')), end: instant(Date.parse('2026-02-01')) };
    const byExecution: UsageQuery = { ...A_YEAR, period, groupBy: ['DAY', 'EXECUTION'] };
    const { pages, scanned } = await costOfReport(usageOfLines, byExecution, 'Africa/Cairo');
    expect(scanned).toEqual([]);
    expect(pages).toBeLessThan(FEW_PAGES);
  });

  it('reports a year of a task, and sums it up, by the index of tasks', async () => {
    const ofTask: UsageQuery = { ...A_YEAR, filter: { ...A_YEAR.filter, taskId: 'work-7' } };
    const organizationId = decodeId('Organization', organization.id);
    const work = { taskId: 'work-7', executionId: null };
    for (const { pages, scanned } of [
      await costOfReport(usageOfLines, ofTask, 'Africa/Cairo'),
      await costOf((sql) => spendSummaries(sql, [organizationId], work, null)),
      await costOf((sql) => spendSummaries(sql, [organizationId], work, organizationId)),
    ]) {
      expect(scanned).toEqual([]);
      expect(pages).toBeLessThan(FEW_PAGES);
    }
  });

  it('is charged by as many statements as a new wallet, each of few pages', async () => {
    const fresh = await anOrganization(gateway, { credits: { purchased: '10' } });
    const statementsOf = async ({ client }: Given): Promise<number> => {
      await debit(client);
      gateway.statements.length = 0;
      await debit(client);
      return gateway.statements.length;
    };
    expect(await statementsOf(organization)).toBe(await statementsOf(fresh));
    await expectPages(() => debit(organization.client));
    expect((await ledgerPage(organization, { first: 1 })).entries[0]).toMatchObject({
      amount: '1',
      reasonCode: 'USAGE',
    });
  });
});

describe('the published documents', () => {
  it('ask for nothing that the limits would refuse', async () => {
    for (const document of [LedgerDocument, LotsDocument, NestedReadDocument, OrganizationsReadDocument]) {
      const { errors } = await gateway
        .as(gateway.demo.tokens.operator)
        .raw(print(document), { slug: 'demo', first: 50, lots: 50, entries: 50 });
      expect(errors).toEqual([]);
    }
  });
});
