/**
 * What was used in a period and what a task has cost: numbers by hand, and the same as a plain sum over the transactions
 * for random usage, whichever way it is grouped and filtered.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { print } from 'graphql';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { add, type Decimal, formatDecimal, ZERO_DECIMAL } from '../../src/domain/credits/decimal.ts';
import { formatCredits, micros } from '../../src/domain/credits/micros.ts';
import type { UsageDimension } from '../../src/domain/usage/report.ts';
import { dimension } from '../../src/domain/usage/rollup.ts';
import { decodeId, encodeId } from '../../src/graphql/ids.ts';
import { decodeLines } from '../../src/persistence/line-codec.ts';
import { projectPath } from '../../src/project-path.ts';
import {
  CreateProjectDocument,
  DebitDocument,
  type DebitMutationVariables,
  RecordUsageDocument,
  SpendSummaryDocument,
  type SpendSummaryQueryVariables,
  UsageReportDocument,
  type UsageReportQueryVariables,
} from '../generated/documents.ts';
import { expectSoundBooks, query } from '../support/books.ts';
import { startTestGateway, type TestClient, type TestGateway } from '../support/gateway.ts';
import { advanceTo, aKey, anApiKey, anOrganization, type Given } from '../support/given.ts';

type DebitInput = Omit<DebitMutationVariables['input'], 'idempotencyKey'>;
type ReportArguments = Omit<UsageReportQueryVariables, 'slug'>;
type Filter = NonNullable<ReportArguments['filter']>;

/** A preview is priced apart and is usage of the same meter. */
const RATES = `
  - { meter: render, unit: page, credits: 1 }
  - { meter: render, unit: page, preview: true, credits: 0.1 }
`;

let directory: string;
let gateway: TestGateway;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'purser-usage-reports-'));
  const catalog = join(directory, 'catalog.yaml');
  await writeFile(catalog, (await readFile(projectPath('catalogs/demo.yaml'), 'utf8')) + RATES);
  gateway = await startTestGateway({ env: { PURSER_CATALOG: catalog } });
});
afterAll(async () => {
  await gateway[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

async function charge(client: TestClient, input: DebitInput): Promise<string> {
  const { debit } = await client.run(DebitDocument, { input: { idempotencyKey: aKey(), ...input } });
  if (debit.__typename !== 'DebitPayload') throw new Error(JSON.stringify(debit));
  return debit.transaction.id;
}

/** A mutation in text whose payload's field has an id. */
async function mutate(client: TestClient, name: string, input: object, field: string): Promise<string> {
  const type = `${name.charAt(0).toUpperCase()}${name.slice(1)}Input`;
  const { data, errors } = await client.raw<Record<string, Record<string, { id: string }>>>(
    `mutation($input: ${type}!) { ${name}(input: $input) { __typename ... on BillingError { message }
      ... on ${PAYLOADS[name]} { ${field} { id } } } }`,
    { input: { idempotencyKey: aKey(), ...input } },
  );
  const id = data?.[name]?.[field]?.id;
  if (id === undefined) throw new Error(JSON.stringify({ data, errors }));
  return id;
}
const PAYLOADS: Readonly<Record<string, string>> = {
  authorize: 'HoldPayload',
  capture: 'CapturePayload',
  refund: 'RefundPayload',
};
const authorize = (client: TestClient, input: object) => mutate(client, 'authorize', input, 'hold');
const capture = (client: TestClient, input: object) => mutate(client, 'capture', input, 'transaction');
const refund = (client: TestClient, input: object) => mutate(client, 'refund', input, 'transaction');

async function aProject({ client }: Given, key: string): Promise<string> {
  const { createProject } = await client.run(CreateProjectDocument, { input: { key, name: key } });
  if (createProject.__typename !== 'ProjectPayload') throw new Error(JSON.stringify(createProject));
  return createProject.project.id;
}

/** Makes a person of the demo an owner, and answers their global id. */
async function anOwner({ id }: Given, userId: string): Promise<string> {
  await query(
    gateway.database,
    "INSERT INTO membership (id, organization_id, user_id, role) VALUES (gen_random_uuid(), $1, $2, 'OWNER')",
    [decodeId('Organization', id), userId],
  );
  return encodeId('User', userId);
}

async function keyIdOf(client: TestClient): Promise<string> {
  const { data } = await client.raw<{ viewer: { apiKey: { id: string } } }>('{ viewer { apiKey { id } } }');
  return data?.viewer.apiKey.id ?? '';
}

async function reportOf(client: TestClient, slug: string, args: ReportArguments) {
  const { organization } = await client.run(UsageReportDocument, { slug, ...args });
  const report = organization?.usage;
  if (!report) throw new Error('there is no report');
  return report;
}

/** The rows of a report as [...values, quantity, credits, events]. */
async function rowsOf({ client, slug }: Pick<Given, 'client' | 'slug'>, args: ReportArguments) {
  const { rows } = await reportOf(client, slug, args);
  const names = [...(args.groupBy as readonly string[]), ...((args.byDimensions ?? []) as readonly string[])];
  for (const { key } of rows) expect(key.map((part) => part.dimension)).toEqual(names);
  return rows.map(({ key, quantity, credits, events }) => [
    ...key.map((part) => part.value),
    quantity ?? null,
    credits,
    events,
  ]);
}

async function summaryOf(
  { client, slug }: Pick<Given, 'client' | 'slug'>,
  work: Omit<SpendSummaryQueryVariables, 'slug'>,
) {
  const { organization } = await client.run(SpendSummaryDocument, { slug, ...work });
  if (!organization?.spendSummary) throw new Error('there is no summary');
  return organization.spendSummary;
}

const NOTHING = {
  credits: '0',
  refunded: '0',
  held: '0',
  netCredits: '0',
  byMeter: [],
  firstAt: null,
  lastAt: null,
  transactions: 0,
};

describe('a usage report', () => {
  const from = '2040-06-10T00:00:00Z';
  const to = '2040-06-12T00:00:00Z';
  const period = { from, to };
  let organization: Given;
  let second: TestClient;
  let ids: Record<'web' | 'app' | 'ann' | 'bob' | 'first' | 'second', string>;

  beforeAll(async () => {
    organization = await anOrganization(gateway, { credits: { purchased: '1000' } });
    const { client, id } = organization;
    second = gateway.as(await anApiKey(gateway, id, 'USAGE_WRITE'));
    const ann = await anOwner(organization, 'demo-owner');
    const bob = await anOwner(organization, 'demo-admin');
    const [web, app] = [await aProject(organization, 'web'), await aProject(organization, 'app')];
    ids = { web, app, ann, bob, first: await keyIdOf(client), second: await keyIdOf(second) };
    await advanceTo(gateway, id, '2040-06-12T12:00:00Z');
    const large = { model: 'large', modality: 'text', operation: 'chat', region: 'eu' };
    // 3 + 1.5 credits of one call, for Ann and the web project.
    await charge(client, {
      usage: [
        { meter: 'llm.input_tokens', quantity: 1000, dimensions: large },
        { meter: 'llm.output_tokens', quantity: 100, dimensions: large },
      ],
      ...{ userId: ann, projectId: web, taskId: 'task-1', executionId: 'run-1' },
      occurredAt: '2040-06-10T00:00:00Z',
    });
    // 2 credits of the small model by the other key, for Bob.
    await charge(second, {
      usage: [
        { meter: 'llm.input_tokens', quantity: 4000, dimensions: { model: 'small', modality: 'text', region: 'us' } },
      ],
      ...{ userId: bob, projectId: app, taskId: 'task-1', executionId: 'run-2' },
      occurredAt: '2040-06-11T23:59:59.999Z',
    });
    // 2 credits, twice 1.
    await charge(client, { usage: [{ meter: 'search' }, { meter: 'search' }], occurredAt: '2040-06-10T10:00:00Z' });
    // Free work, by a person.
    await charge(gateway.as(gateway.demo.tokens.owner), {
      organizationId: id,
      usage: [{ meter: 'read', quantity: 9 }],
      taskId: 'task-2',
      occurredAt: '2040-06-10T10:14:59.999Z',
    });
    // A preview and what it previewed.
    await charge(client, {
      usage: [{ meter: 'render', quantity: 3, preview: true }, { meter: 'render' }],
      occurredAt: '2040-06-10T10:15:00Z',
    });
    // An amount.
    await charge(client, { amount: '7.25', projectId: web, occurredAt: '2040-06-11T08:00:00Z' });
    // Before the period and after it.
    await charge(client, { amount: '100', occurredAt: '2040-06-09T23:59:59.999Z' });
    await charge(client, { amount: '100', occurredAt: '2040-06-12T00:00:00Z' });
  });

  it('sums up everything in one row where it is grouped by nothing', async () => {
    expect(await reportOf(organization.client, organization.slug, { ...period, groupBy: [] })).toEqual({
      totalCredits: '17.05',
      totalEvents: 9,
      truncated: false,
      rows: [{ key: [], quantity: null, credits: '17.05', events: 9 }],
    });
  });

  it('counts each meter with its quantity, free work with 0 credits, and amounts as of no meter', async () => {
    expect(await rowsOf(organization, { ...period, groupBy: ['METER'] })).toEqual([
      [null, null, '7.25', 1],
      ['llm.input_tokens', '5000', '5', 2],
      ['search', '2', '2', 2],
      ['llm.output_tokens', '100', '1.5', 1],
      ['render', '4', '1.3', 2],
      ['read', '9', '0', 1],
    ]);
  });

  it('tells no quantity where a row mixes meters', async () => {
    expect(await rowsOf(organization, { ...period, groupBy: ['MODEL'] })).toEqual([
      [null, null, '10.55', 6],
      ['large', null, '4.5', 2],
      ['small', '4000', '2', 1],
    ]);
    expect(await rowsOf(organization, { ...period, groupBy: ['OPERATION', 'MODALITY'] })).toEqual([
      [null, null, null, '10.55', 6],
      ['chat', 'text', null, '4.5', 2],
      [null, 'text', '4000', '2', 1],
    ]);
  });

  it('names members, projects and keys by their ids', async () => {
    expect(await rowsOf(organization, { ...period, groupBy: ['USER'] })).toEqual([
      [null, null, '10.55', 6],
      [ids.ann, null, '4.5', 2],
      [ids.bob, '4000', '2', 1],
    ]);
    expect(await rowsOf(organization, { ...period, groupBy: ['PROJECT'] })).toEqual([
      [ids.web, null, '11.75', 3],
      [null, null, '3.3', 5],
      [ids.app, '4000', '2', 1],
    ]);
    expect(await rowsOf(organization, { ...period, groupBy: ['API_KEY'] })).toEqual([
      [ids.first, null, '15.05', 7],
      [ids.second, '4000', '2', 1],
      [null, '9', '0', 1],
    ]);
  });

  it('groups by tasks, executions and any dimension of the lines', async () => {
    expect(await rowsOf(organization, { ...period, groupBy: ['TASK'] })).toEqual([
      [null, null, '10.55', 5],
      ['task-1', null, '6.5', 3],
      ['task-2', '9', '0', 1],
    ]);
    expect(
      await rowsOf(organization, { ...period, groupBy: ['EXECUTION', 'METER'], byDimensions: ['region', 'none'] }),
    ).toEqual([
      [null, null, null, null, null, '7.25', 1],
      ['run-1', 'llm.input_tokens', 'eu', null, '1000', '3', 1],
      [null, 'search', null, null, '2', '2', 2],
      ['run-2', 'llm.input_tokens', 'us', null, '4000', '2', 1],
      ['run-1', 'llm.output_tokens', 'eu', null, '100', '1.5', 1],
      [null, 'render', null, null, '4', '1.3', 2],
      [null, 'read', null, null, '9', '0', 1],
    ]);
  });

  it('takes all groupings at once', async () => {
    const groupBy: UsageDimension[] = [
      'MONTH',
      'TASK',
      'METER',
      'USER',
      'PROJECT',
      'API_KEY',
      'EXECUTION',
      'DAY',
      'MODEL',
      'MODALITY',
      'OPERATION',
    ];
    const rows = await rowsOf(organization, { ...period, groupBy, byDimensions: ['a', 'b', 'c', 'd', 'region'] });
    expect(rows).toHaveLength(7);
    expect(rows[0]).toEqual([
      ...['2040-06', 'task-1', 'llm.input_tokens', ids.ann, ids.web, ids.first, 'run-1', '2040-06-10'],
      ...['large', 'text', 'chat', null, null, null, null, 'eu', '1000', '3', 1],
    ]);
  });

  it('begins at `from` and ends before `to`, to the quarter hour', async () => {
    const credits = async (start: string, end: string, ...groupBy: UsageDimension[]) =>
      (await reportOf(organization.client, organization.slug, { from: start, to: end, groupBy })).totalCredits;
    for (const groupBy of [[], ['TASK'], ['DAY']] as UsageDimension[][]) {
      expect(await credits('2040-06-09T23:45:00Z', '2040-06-10T00:00:00Z', ...groupBy)).toBe('100');
      expect(await credits('2040-06-10T00:00:00Z', '2040-06-10T00:15:00Z', ...groupBy)).toBe('4.5');
      expect(await credits('2040-06-10T10:00:00Z', '2040-06-10T10:15:00Z', ...groupBy)).toBe('2');
      expect(await credits('2040-06-10T10:15:00Z', '2040-06-10T10:30:00Z', ...groupBy)).toBe('1.3');
      expect(await credits('2040-06-11T08:00:00Z', '2040-06-12T00:00:00Z', ...groupBy)).toBe('9.25');
      expect(await credits('2040-06-11T08:00:00Z', '2040-06-12T00:15:00Z', ...groupBy)).toBe('109.25');
      expect(await credits('2039-06-09T00:00:00Z', '2039-06-10T00:00:00Z', ...groupBy)).toBe('0');
    }
  });

  it.each<[string, () => Filter, string, number]>([
    ['a meter', () => ({ meters: ['search'] }), '2', 2],
    ['several meters', () => ({ meters: ['search', 'render', 'nothing'] }), '3.3', 4],
    ['a model', () => ({ models: ['large'] }), '4.5', 2],
    ['a member', () => ({ userIds: [ids.bob, ids.ann] }), '6.5', 3],
    ['a project', () => ({ projectIds: [ids.web] }), '11.75', 3],
    ['a task', () => ({ taskId: 'task-1' }), '6.5', 3],
    ['an execution', () => ({ executionId: 'run-2' }), '2', 1],
    ['an execution of a task', () => ({ taskId: 'task-1', executionId: 'run-1' }), '4.5', 2],
    ['an execution of another task', () => ({ taskId: 'task-2', executionId: 'run-1' }), '0', 0],
    ['a task, a model and a meter', () => ({ taskId: 'task-1', models: ['large'], meters: ['search'] }), '0', 0],
    ['all kinds', () => ({ meters: ['llm.input_tokens'], userIds: [ids.ann], projectIds: [ids.web] }), '3', 1],
    ['no meter', () => ({ meters: [] }), '0', 0],
    ['no member', () => ({ userIds: [] }), '0', 0],
    ['a foreign member', () => ({ userIds: [encodeId('User', 'demo-other-owner')] }), '0', 0],
    [
      'a foreign project',
      () => ({ projectIds: [encodeId('Project', '00000000-0000-7000-8000-000000000001')] }),
      '0',
      0,
    ],
    ['malformed ids', () => ({ userIds: ['', 'x', ids.web] }), '0', 0],
    ['an id of another type', () => ({ projectIds: [ids.ann] }), '0', 0],
    ['nothing', () => ({}), '17.05', 9],
    ['null', () => ({ meters: null, taskId: null }), '17.05', 9],
  ])('filters by %s', async (_what, filter, totalCredits, totalEvents) => {
    for (const groupBy of [['METER'], ['TASK']] as UsageDimension[][]) {
      const report = await reportOf(organization.client, organization.slug, { ...period, groupBy, filter: filter() });
      expect(report).toMatchObject({ totalCredits, totalEvents, truncated: false });
    }
  });

  it('shows the first rows and says that there are more; totals are of everything', async () => {
    const all = await rowsOf(organization, { ...period, groupBy: ['METER'] });
    for (const first of [1, 5, 6, 7, 1000]) {
      const args = { ...period, groupBy: ['METER' as const], first };
      expect(await rowsOf(organization, args)).toEqual(all.slice(0, first));
      const { totalCredits, totalEvents, truncated } = await reportOf(organization.client, organization.slug, args);
      expect({ totalCredits, totalEvents, truncated }).toEqual({
        totalCredits: '17.05',
        totalEvents: 9,
        truncated: first < all.length,
      });
    }
  });

  it('sorts rows by time, then credits, then key in the order asked for', async () => {
    const tied = await anOrganization(gateway, { credits: { purchased: '100' } });
    await advanceTo(gateway, tied.id, '2040-06-12T12:00:00Z');
    for (const [day, meter, model] of [
      ['11', 'search', 'a'],
      ['11', 'scrape', 'b'],
      ['10', 'search', 'b'],
      ['10', 'scrape', 'Z'],
      ['10', 'crawl', 'a'],
    ]) {
      const usage = [{ meter: meter ?? '', dimensions: { model } }];
      await charge(tied.client, { usage, occurredAt: `2040-06-${day}T12:00:00Z` });
    }
    const key = async (...groupBy: UsageDimension[]) =>
      (await rowsOf(tied, { ...period, groupBy })).map((row) => row.slice(0, groupBy.length).join(' '));
    expect(await key('METER')).toEqual(['scrape', 'search', 'crawl']);
    expect(await key('MODEL', 'METER')).toEqual(['a crawl', 'Z scrape', 'a search', 'b scrape', 'b search']);
    expect(await key('METER', 'MODEL')).toEqual(['crawl a', 'scrape Z', 'scrape b', 'search a', 'search b']);
    expect(await key('METER', 'DAY')).toEqual([
      'crawl 2040-06-10',
      'scrape 2040-06-10',
      'search 2040-06-10',
      'scrape 2040-06-11',
      'search 2040-06-11',
    ]);
  });

  it('counts captures, not holds; refunds change nothing', async () => {
    const holder = await anOrganization(gateway, { credits: { purchased: '100' } });
    await advanceTo(gateway, holder.id, '2040-06-11T12:00:00Z');
    const attribution = { taskId: 'held', projectId: await aProject(holder, 'p') };
    const holdId = await authorize(holder.client, { usage: [{ meter: 'search', quantity: 20 }], ...attribution });
    expect(await rowsOf(holder, { ...period, groupBy: ['METER'] })).toEqual([]);
    const captured = await capture(holder.client, { holdId, usage: [{ meter: 'search', quantity: 8 }], final: false });
    await capture(holder.client, { holdId, amount: '2.5' });
    const spent = [
      ['search', attribution.projectId, '8', '8', 1],
      [null, attribution.projectId, null, '2.5', 1],
    ];
    expect(await rowsOf(holder, { ...period, groupBy: ['METER', 'PROJECT'] })).toEqual(spent);
    await refund(holder.client, { transactionId: captured, amount: '5' });
    expect(await rowsOf(holder, { ...period, groupBy: ['METER', 'PROJECT'] })).toEqual(spent);
    expect(await rowsOf(holder, { ...period, groupBy: ['TASK'] })).toEqual([['held', null, '10.5', 2]]);
    await expectSoundBooks(gateway.database, holder.id);
  });

  it('counts what was charged, without what was waived', async () => {
    const capped = await anOrganization(gateway, { credits: { purchased: '5' } });
    await advanceTo(gateway, capped.id, '2040-06-11T12:00:00Z');
    await charge(capped.client, {
      usage: [
        { meter: 'search', quantity: 4 },
        { meter: 'crawl', quantity: 2 },
      ],
      overage: 'CAP',
    });
    const expected = [
      ['search', '4', '4', 1],
      ['crawl', '2', '1', 1],
    ];
    expect(await rowsOf(capped, { ...period, groupBy: ['METER'] })).toEqual(expected);
  });
});

describe('days and months of a report', () => {
  /** Charges 1 credit at each instant, in an organization whose time is shortly after the last. */
  async function charged(timeZone: string, now: string, ...moments: string[]): Promise<Given> {
    const organization = await anOrganization(gateway, { timeZone, credits: { purchased: '100' } });
    await advanceTo(gateway, organization.id, now);
    const events = moments.map((occurredAt) => ({ idempotencyKey: aKey(), usage: { meter: 'search' }, occurredAt }));
    const { recordUsage } = await organization.client.run(RecordUsageDocument, { input: { events } });
    expect(recordUsage).toMatchObject({ __typename: 'RecordUsagePayload', accepted: moments.length });
    return organization;
  }

  it.each<UsageDimension[][]>([[[]], [['TASK']]])('of 23 hours are cut where the clocks are, with %j', async (also) => {
    const organization = await charged(
      'Africa/Cairo',
      '2040-04-28T12:00:00Z',
      // 26 April ends at 22:00 UTC, 27 April an hour early.
      ...['2040-04-25T22:00:00Z', '2040-04-26T21:59:59.999Z', '2040-04-26T22:00:00Z', '2040-04-27T20:59:59.999Z'],
      ...['2040-04-27T21:00:00Z', '2040-04-27T22:00:00Z'],
    );
    const period = { from: '2040-04-20T00:00:00Z', to: '2040-04-29T00:00:00Z' };
    const none = also.map(() => null);
    expect(await rowsOf(organization, { ...period, groupBy: ['DAY', ...also] })).toEqual([
      ['2040-04-26', ...none, '2', '2', 2],
      ['2040-04-27', ...none, '2', '2', 2],
      ['2040-04-28', ...none, '2', '2', 2],
    ]);
    // The period cuts the day of 23 hours.
    const cut = { from: '2040-04-26T22:15:00Z', to: '2040-04-27T21:15:00Z' };
    expect(await rowsOf(organization, { ...cut, groupBy: ['DAY', ...also] })).toEqual([
      ['2040-04-27', ...none, '1', '1', 1],
      ['2040-04-28', ...none, '1', '1', 1],
    ]);
  });

  it.each<UsageDimension[][]>([[[]], [['EXECUTION']]])('of 25 hours and a month’s end, with %j', async (also) => {
    const organization = await charged(
      'Africa/Cairo',
      '2040-10-31T23:00:00Z',
      ...['2040-10-25T21:00:00Z', '2040-10-25T21:59:59.999Z', '2040-10-25T22:00:00Z', '2040-10-31T21:59:59.999Z'],
      ...['2040-10-31T22:00:00Z'],
    );
    const period = { from: '2040-10-24T21:00:00Z', to: '2040-11-01T22:00:00Z' };
    const none = also.map(() => null);
    expect(await rowsOf(organization, { ...period, groupBy: ['MONTH', 'DAY', ...also] })).toEqual([
      ['2040-10', '2040-10-25', ...none, '2', '2', 2],
      ['2040-10', '2040-10-26', ...none, '1', '1', 1],
      ['2040-10', '2040-10-31', ...none, '1', '1', 1],
      ['2040-11', '2040-11-01', ...none, '1', '1', 1],
    ]);
    expect(await rowsOf(organization, { ...period, groupBy: [...also, 'MONTH'] })).toEqual([
      [...none, '2040-10', '4', '4', 4],
      [...none, '2040-11', '1', '1', 1],
    ]);
  });

  it('of half an hour more, in Lord Howe', async () => {
    const organization = await charged(
      'Australia/Lord_Howe',
      '2040-04-02T00:00:00Z',
      ...['2040-03-31T12:59:59.999Z', '2040-03-31T13:00:00Z', '2040-04-01T13:29:59.999Z', '2040-04-01T13:30:00Z'],
    );
    const year = { from: '2039-12-31T13:00:00Z', to: '2040-12-31T13:00:00Z' };
    expect(await rowsOf(organization, { ...year, groupBy: ['DAY'] })).toEqual([
      ['2040-03-31', '1', '1', 1],
      ['2040-04-01', '2', '2', 2],
      ['2040-04-02', '1', '1', 1],
    ]);
    expect(await rowsOf(organization, { ...year, groupBy: ['MONTH'] })).toEqual([
      ['2040-03', '1', '1', 1],
      ['2040-04', '3', '3', 3],
    ]);
  });

  it('are those in which the work was done, however late it is charged', async () => {
    const organization = await charged('Asia/Kathmandu', '2040-06-10T12:00:00Z', '2040-06-03T18:14:59Z');
    await charge(organization.client, { usage: [{ meter: 'search' }] });
    const period = { from: '2040-06-01T00:00:00Z', to: '2040-07-01T00:00:00Z' };
    const days = [
      ['2040-06-03', '1', '1', 1],
      ['2040-06-10', '1', '1', 1],
    ];
    expect(await rowsOf(organization, { ...period, groupBy: ['DAY'] })).toEqual(days);
    expect(await rowsOf(organization, { ...period, groupBy: ['DAY'], filter: { meters: ['search'] } })).toEqual(days);
  });
});

describe('a usage report refuses', () => {
  const valid: ReportArguments = { from: '2040-06-01T00:00:00Z', to: '2040-06-02T00:00:00Z', groupBy: ['METER'] };
  const long = { to: '2040-07-02T02:15:00Z' };
  const many = Array.from({ length: 101 }, (_, index) => `m${index}`);

  it.each<[string, Partial<ReportArguments>, string]>([
    ['a start off the quarter hour', { from: '2040-06-01T00:00:00.001Z' }, 'from'],
    ['a start off the quarter hour in its zone', { from: '2040-06-01T00:05:00+00:00' }, 'from'],
    ['an end off the quarter hour', { to: '2040-06-02T00:14:59.999Z' }, 'to'],
    ['an empty period', { to: '2040-06-01T00:00:00Z' }, 'from'],
    ['a period that ends before it begins', { to: '2040-05-01T00:00:00Z' }, 'from'],
    ['more than 5 years', { to: '2045-06-08T00:00:00Z' }, 'to'],
    ['a grouping twice', { groupBy: ['METER', 'DAY', 'METER'] }, 'groupBy'],
    ['more than 5 names', { byDimensions: ['a', 'b', 'c', 'd', 'e', 'f'] }, 'byDimensions'],
    ['an empty name', { byDimensions: [''] }, 'byDimensions'],
    ['a name of 65 characters', { byDimensions: ['x'.repeat(65)] }, 'byDimensions'],
    ['a name with NUL', { byDimensions: ['a\0'] }, 'byDimensions'],
    ['a name twice', { byDimensions: ['a', 'a'] }, 'byDimensions'],
    ['no rows', { first: 0 }, 'first'],
    ['fewer', { first: -1 }, 'first'],
    ['more than 1,000 rows', { first: 1001 }, 'first'],
    ['a long period by task', { ...long, groupBy: ['TASK'] }, 'to'],
    ['a long period by execution', { ...long, groupBy: ['EXECUTION'] }, 'to'],
    ['a long period by a dimension', { ...long, byDimensions: ['region'] }, 'to'],
    ['too many meters', { filter: { meters: many } }, 'filter.meters'],
    ['too many models', { filter: { models: many } }, 'filter.models'],
    ['too many members', { filter: { userIds: many } }, 'filter.userIds'],
    ['too many projects', { filter: { projectIds: many } }, 'filter.projectIds'],
    ['an empty meter', { filter: { meters: [''] } }, 'filter.meters'],
    ['a model with NUL', { filter: { models: ['\0'] } }, 'filter.models'],
    ['an empty task', { filter: { taskId: '' } }, 'filter.taskId'],
    ['a task of 256 characters', { filter: { taskId: 'x'.repeat(256) } }, 'filter.taskId'],
    ['an execution with NUL', { filter: { executionId: 'a\0' } }, 'filter.executionId'],
  ])('%s', async (_what, args, named) => {
    const { client, slug } = demo();
    const { data, errors } = await client.raw(print(UsageReportDocument), { slug, ...valid, ...args });
    expect(data).toEqual({ organization: { usage: null } });
    expect(errors).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT' } }]);
    expect(errors[0]?.message).toMatch(new RegExp(`^${named} `));
  });

  it.each<[string, Partial<ReportArguments>]>([
    ['five years', { to: '2045-06-01T00:00:00Z', groupBy: ['MONTH'] }],
    ['31 days by task', { to: '2040-07-02T00:00:00Z', groupBy: ['TASK'] }],
    ['five years of a task', { to: '2045-06-01T00:00:00Z', groupBy: ['DAY'], filter: { taskId: 'x'.repeat(255) } }],
    ['100 meters', { filter: { meters: many.slice(1) } }],
    ['other offsets of whole quarter hours', { from: '2040-06-01T05:45:00+05:45', to: '2040-06-01T00:15:00Z' }],
    ['names of 64 characters', { byDimensions: ['🦊'.repeat(64)] }],
  ])('not %s', async (_what, args) => {
    const { client, slug } = demo();
    expect(await reportOf(client, slug, { ...valid, ...args })).toMatchObject({ totalEvents: 0, rows: [] });
  });

  const demo = () => ({ client: gateway.as(gateway.demo.tokens.readKey), slug: 'demo' });
});

describe('usage of another organization', () => {
  it('is not in a report, and its report cannot be asked for', async () => {
    const mine = await anOrganization(gateway, { credits: { purchased: '10' } });
    const other = await anOrganization(gateway, { credits: { purchased: '10' } });
    const day = { from: '2040-06-11T00:00:00Z', to: '2040-06-12T00:00:00Z' };
    for (const { id } of [mine, other]) await advanceTo(gateway, id, '2040-06-11T12:00:00Z');
    const projectId = await aProject(other, 'p');
    await charge(other.client, { amount: '3', taskId: 'same', projectId });
    for (const groupBy of [['METER'], ['TASK']] as UsageDimension[][]) {
      expect(await rowsOf(mine, { ...day, groupBy })).toEqual([]);
      expect(await rowsOf(mine, { ...day, groupBy, filter: { projectIds: [projectId] } })).toEqual([]);
    }
    expect(await summaryOf(mine, { taskId: 'same' })).toMatchObject(NOTHING);
    const { slug } = other;
    expect(await mine.client.run(UsageReportDocument, { slug, ...day, groupBy: [] })).toEqual({ organization: null });
    expect(await mine.client.run(SpendSummaryDocument, { slug, taskId: 'same' })).toEqual({ organization: null });
  });

  it('is null to those who may not read the books, whatever they ask', async () => {
    const { usageKey } = gateway.demo.tokens;
    const day = { from: '2040-06-11T00:00:01Z', to: '2040-06-12T00:00:00Z' };
    const answer = await gateway.as(usageKey).run(UsageReportDocument, { slug: 'demo', ...day, groupBy: [] });
    expect(answer).toEqual({ organization: { usage: null } });
    await query(
      gateway.database,
      `UPDATE membership SET balance_access = 'EARMARK_ONLY' WHERE user_id = 'demo-viewer'
       AND organization_id = (SELECT id FROM organization WHERE slug = 'demo')`,
    );
    const narrowed = await gateway.as(gateway.demo.tokens.viewer).raw(print(SpendSummaryDocument), { slug: 'demo' });
    expect(narrowed).toMatchObject({ data: { organization: { spendSummary: null } }, errors: [] });
  });
});

describe('a spend summary', () => {
  let organization: Given;
  let own: TestClient;
  let hold: string;

  beforeAll(async () => {
    organization = await anOrganization(gateway, { credits: { purchased: '1000' } });
    const { client, id } = organization;
    own = gateway.as(await anApiKey(gateway, id, 'USAGE_WRITE'));
    await advanceTo(gateway, id, '2040-06-11T12:00:00Z');
    const work = { taskId: 'task', executionId: 'run-1' };
    const mixed = await charge(client, {
      usage: [{ meter: 'crawl', quantity: 2 }, { meter: 'search' }, { meter: 'search', quantity: '2.5' }],
      ...{ ...work, occurredAt: '2040-06-10T00:00:00.001Z' },
    });
    const amount = await charge(own, { amount: '4', ...work, occurredAt: '2040-06-11T00:00:00Z' });
    await charge(own, { usage: [{ meter: 'read' }], taskId: 'task', occurredAt: '2040-06-11T08:00:00Z' });
    await charge(client, { amount: '50', taskId: 'other task', executionId: 'run-1' });
    await refund(client, { transactionId: mixed, amount: '1.25' });
    await refund(client, { transactionId: amount, amount: '3' });
    hold = await authorize(own, { usage: [{ meter: 'search', quantity: 9 }], ...work, expiresInSeconds: 600 });
    await capture(own, { holdId: hold, usage: [{ meter: 'search', quantity: 2 }], final: false });
    await authorize(client, { amount: '20', taskId: 'task', executionId: 'run-2', expiresInSeconds: 3_600 });
    await authorize(client, { amount: '70', taskId: 'other task' });
  });

  const row = (value: string | null, quantity: string | null, credits: string, events: number) => ({
    key: [{ dimension: 'METER', value }],
    quantity,
    credits,
    events,
  });

  it('adds up what a task was charged, got refunded and holds', async () => {
    const summary = await summaryOf(organization, { taskId: 'task' });
    expect(summary).toEqual({
      taskId: 'task',
      executionId: null,
      credits: '12.5',
      refunded: '4.25',
      held: '27',
      netCredits: '8.25',
      byMeter: [
        row('search', '5.5', '5.5', 3),
        row(null, null, '4', 1),
        row('crawl', '2', '3', 1),
        row('read', '1', '0', 1),
      ],
      firstAt: '2040-06-10T00:00:00.001Z',
      lastAt: summary.lastAt,
      transactions: 4,
    });
    expect(summary.lastAt).toMatch(/^2040-06-11T12:0/);
  });

  it('is of an execution, or of an execution of a task', async () => {
    expect(await summaryOf(organization, { executionId: 'run-1' })).toMatchObject({
      ...{ taskId: null, executionId: 'run-1', credits: '62.5', refunded: '4.25', held: '7', transactions: 4 },
    });
    expect(await summaryOf(organization, { taskId: 'task', executionId: 'run-1' })).toMatchObject({
      ...{ taskId: 'task', executionId: 'run-1', credits: '12.5', refunded: '4.25', held: '7', transactions: 3 },
    });
    expect(await summaryOf(organization, { taskId: 'task', executionId: 'run-2' })).toMatchObject({
      ...NOTHING,
      held: '20',
    });
  });

  it('shows a key without billing:read its own calls only', async () => {
    const mine = await summaryOf({ client: own, slug: organization.slug }, { taskId: 'task' });
    expect(mine).toMatchObject({
      ...{ credits: '6', refunded: '3', held: '7', netCredits: '3', transactions: 3 },
      byMeter: [row(null, null, '4', 1), row('search', '2', '2', 1), row('read', '1', '0', 1)],
      firstAt: '2040-06-11T00:00:00.000Z',
    });
    const stranger = gateway.as(await anApiKey(gateway, organization.id, 'USAGE_WRITE'));
    expect(await summaryOf({ client: stranger, slug: organization.slug }, { taskId: 'task' })).toMatchObject(NOTHING);
    const reader = gateway.as(await anApiKey(gateway, organization.id, 'USAGE_WRITE', 'BILLING_READ'));
    expect(await summaryOf({ client: reader, slug: organization.slug }, { taskId: 'task' })).toMatchObject({
      credits: '12.5',
    });
  });

  it('is zero for work that nobody knows', async () => {
    expect(await summaryOf(organization, { taskId: 'none' })).toEqual({
      ...NOTHING,
      taskId: 'none',
      executionId: null,
    });
    expect(await summaryOf(organization, { executionId: 'x'.repeat(255) })).toMatchObject(NOTHING);
  });

  it.each([
    [{}, 'taskId'],
    [{ taskId: null, executionId: null }, 'taskId'],
    [{ taskId: '' }, 'taskId'],
    [{ taskId: 'x'.repeat(256) }, 'taskId'],
    [{ taskId: 'task', executionId: 'a\0' }, 'executionId'],
  ])('refuses %j', async (work, named) => {
    const { client, slug } = organization;
    const { data, errors } = await client.raw(print(SpendSummaryDocument), { slug, ...work });
    expect(data).toEqual({ organization: { spendSummary: null } });
    expect(errors).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT' } }]);
    expect(errors[0]?.message).toContain(named);
  });

  it('does not count a hold from the instant at which it lapses', async () => {
    await advanceTo(gateway, organization.id, '2040-06-11T12:30:00Z');
    expect(await summaryOf(organization, { taskId: 'task' })).toMatchObject({ credits: '12.5', held: '20' });
    await advanceTo(gateway, organization.id, '2040-06-12T12:30:00Z');
    expect(await summaryOf(organization, { taskId: 'task' })).toMatchObject({ credits: '12.5', held: '0' });
    await expectSoundBooks(gateway.database, organization.id);
  });
});

describe('the statements of a report', () => {
  it('are as many for ten organizations as for two, whatever there was used', async () => {
    const operator = gateway.as(gateway.demo.tokens.operator);
    for (let index = 0; index < 10; index++) {
      const timeZone = index % 2 === 0 ? 'Africa/Cairo' : 'UTC';
      const { client } = await anOrganization(gateway, { timeZone, credits: { purchased: '100' } });
      for (let charges = 0; charges <= index; charges++)
        await charge(client, { amount: '1', taskId: `task-${charges}` });
    }
    const period = 'from: "2026-01-01T00:00:00Z", to: "2026-01-02T00:00:00Z"';
    const ask = async (first: number): Promise<number> => {
      gateway.statements.length = 0;
      const { errors } = await operator.raw(
        `query($first: Int!) { organizations(first: $first) { edges { node {
          usage(${period}, groupBy: [METER, DAY]) { totalCredits rows { credits key { value } } }
          byTask: usage(${period}, groupBy: [TASK]) { totalCredits rows { credits key { value } } }
          spendSummary(taskId: "task-1") { credits held byMeter { credits } }
        } } } }`,
        { first },
      );
      expect(errors).toEqual([]);
      return gateway.statements.length;
    };
    const few = await ask(2);
    expect(await ask(12)).toBe(few);
    expect(few).toBeLessThanOrEqual(7);
  });

  it('answer for each organization what it is told alone', async () => {
    const operator = gateway.as(gateway.demo.tokens.operator);
    const now = new Date(Math.floor(Date.now() / 900_000) * 900_000);
    const [from, to] = [now.getTime() - 86_400_000, now.getTime() + 900_000].map((at) => new Date(at).toISOString());
    const args = `from: "${from}", to: "${to}", groupBy: [TASK, DAY]`;
    const fields = `slug usage(${args}) { totalCredits totalEvents rows { credits key { value } } } spendSummary(taskId: "task-1") { credits }`;
    type Node = { slug: string; usage: { totalEvents: number } };
    const { data } = await operator.raw<{ organizations: { edges: { node: Node }[] } }>(
      `{ organizations(first: 100) { edges { node { ${fields} } } } }`,
    );
    const nodes = (data?.organizations.edges ?? []).map(({ node }) => node);
    expect(nodes.filter(({ usage }) => usage.totalEvents > 0).length).toBeGreaterThanOrEqual(10);
    for (const node of nodes) {
      const alone = await operator.raw(`{ organization(slug: "${node.slug}") { ${fields} } }`);
      expect(alone.data).toEqual({ organization: node });
    }
  });
});

describe('for random usage', () => {
  const ZONES = { 'Africa/Cairo': '2040-04-29T09:30:00Z', 'Australia/Lord_Howe': '2040-04-03T01:00:00Z' };
  const PROJECTS = ['p1', 'p2'];
  const USERS = ['demo-owner', 'demo-admin'];
  const MODELS = ['large', 'small', 'ä', '3', 3, 1e21, 1e-7, true, ''];
  const METERS = ['search', 'crawl', 'read', 'llm.input_tokens', 'render'];
  const worlds: { readonly given: Given; readonly timeZone: string; readonly now: number; readonly used: Used[] }[] =
    [];

  /** One line of usage as the transactions tell it, or a charge by amount. */
  interface Used {
    readonly at: Date;
    readonly values: Readonly<Record<string, string>>;
    readonly dimensions: Parameters<typeof dimension>[0];
    readonly quantity: Decimal;
    readonly credits: bigint;
  }

  const oneOf = <T>(values: readonly T[]) => fc.option(fc.constantFrom(...values), { nil: undefined });
  const aLine = fc.record(
    {
      meter: fc.constantFrom(...METERS),
      quantity: fc.constantFrom('0', '0.000000000000000001', '1', '2.5', '10000'),
      dimensions: fc.record(
        {
          model: fc.constantFrom(...MODELS),
          modality: fc.constantFrom('text', 'image'),
          operation: fc.constantFrom('chat', 'embed'),
          region: fc.constantFrom('eu', 'us', 1.5, false),
          'a name': fc.constantFrom('x', ''),
        },
        { requiredKeys: [] },
      ),
    },
    { requiredKeys: ['meter', 'dimensions'] },
  );
  const aCharge = fc.record({
    client: fc.nat({ max: 2 }),
    back: fc.nat({ max: 6 * 86_400 }),
    usage: fc.option(fc.array(aLine, { minLength: 1, maxLength: 4 }), { nil: undefined }),
    taskId: oneOf(['t1', 't2', 't3']),
    executionId: oneOf(['e1', 'e2']),
    project: oneOf(PROJECTS),
    user: oneOf(USERS),
  });

  beforeAll(async () => {
    for (const [timeZone, time] of Object.entries(ZONES)) {
      const given = await anOrganization(gateway, { timeZone, credits: { purchased: '1000000' } });
      await advanceTo(gateway, given.id, time);
      for (const user of USERS) await anOwner(given, user);
      const projects = new Map<string, string>();
      for (const key of PROJECTS) projects.set(key, await aProject(given, key));
      const key = gateway.as(await anApiKey(gateway, given.id, 'USAGE_WRITE'));
      const clients = [given.client, key, gateway.as(gateway.demo.tokens.owner)];
      const charges = fc.sample(aCharge, 120).map(async ({ client, back, usage, project, user, ...work }) => {
        const transactionId = await charge(clients[client] ?? given.client, {
          organizationId: given.id,
          ...(usage ? { usage } : { amount: '0.000123' }),
          ...work,
          ...(project === undefined ? {} : { projectId: projects.get(project) ?? '' }),
          ...(user === undefined ? {} : { userId: encodeId('User', user) }),
          occurredAt: new Date(Date.parse(time) - back * 1000).toISOString(),
        });
        if (!usage) await refund(given.client, { transactionId, amount: '0.0001' });
      });
      await Promise.all(charges);
      worlds.push({ given, timeZone, now: Date.parse(time), used: await usedBy(given) });
    }
  }, 120_000);

  async function usedBy({ id }: Given): Promise<Used[]> {
    const rows = await query<{
      at: Date;
      amount: string;
      lines: unknown;
      actor_kind: string;
      actor_id: string;
      user_id: string | null;
      project_id: string | null;
      task_id: string | null;
      execution_id: string | null;
    }>(
      gateway.database,
      `SELECT coalesce(t.occurred_at, t.effective_at) AS at, t.amount_micros AS amount, t.lines, t.actor_kind, t.actor_id,
         t.user_id, t.project_id, t.task_id, t.execution_id
       FROM ledger_transaction t JOIN wallet w ON w.id = t.wallet_id
       WHERE w.organization_id = $1 AND t.kind IN ('DEBIT', 'CAPTURE')`,
      [decodeId('Organization', id)],
    );
    return rows.flatMap((row) => {
      const lines = decodeLines(row.lines);
      const amount = { meter: '', quantity: ZERO_DECIMAL, credits: -BigInt(row.amount), dimensions: null };
      return (lines.length > 0 ? lines : [amount]).map(({ meter, quantity, credits, dimensions }) => ({
        at: row.at,
        dimensions,
        quantity,
        credits,
        values: {
          METER: meter,
          MODEL: dimension(dimensions, 'model'),
          MODALITY: dimension(dimensions, 'modality'),
          OPERATION: dimension(dimensions, 'operation'),
          USER: row.user_id ?? '',
          PROJECT: row.project_id ?? '',
          API_KEY: row.actor_kind === 'API_KEY' ? row.actor_id : '',
          TASK: row.task_id ?? '',
          EXECUTION: row.execution_id ?? '',
        },
      }));
    });
  }

  const ID_TYPES: Readonly<Record<string, string>> = { USER: 'User', PROJECT: 'Project', API_KEY: 'ApiKey' };

  /** The report by plain sums. */
  function expected(used: readonly Used[], timeZone: string, args: Required<ReportArguments>) {
    const { groupBy, byDimensions, filter, first } = args as {
      groupBy: UsageDimension[];
      byDimensions: string[];
      filter: Record<string, string[] | string | undefined>;
      first: number;
    };
    const day = new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short' });
    const valueIn = ({ values, at }: Used, by: UsageDimension): string => {
      if (by === 'DAY') return day.format(at);
      return by === 'MONTH' ? day.format(at).slice(0, 7) : (values[by] ?? '');
    };
    const isAmong = (list: unknown, value: string, type?: string) =>
      !Array.isArray(list) || list.includes(type ? encodeId(type, value) : value);
    const counted = used.filter(
      ({ at, values }) =>
        at >= new Date(String(args.from)) &&
        at < new Date(String(args.to)) &&
        isAmong(filter.meters, values.METER ?? '') &&
        isAmong(filter.models, values.MODEL ?? '') &&
        isAmong(filter.userIds, values.USER ?? '', 'User') &&
        isAmong(filter.projectIds, values.PROJECT ?? '', 'Project') &&
        (filter.taskId === undefined || filter.taskId === values.TASK) &&
        (filter.executionId === undefined || filter.executionId === values.EXECUTION),
    );
    const groups = new Map<
      string,
      { key: string[]; meters: Set<string>; quantity: Decimal; credits: bigint; events: number }
    >();
    for (const one of counted) {
      const key = [
        ...groupBy.map((by) => valueIn(one, by)),
        ...byDimensions.map((name) => dimension(one.dimensions, name)),
      ];
      const id = JSON.stringify(key);
      const group = groups.get(id) ?? { key, meters: new Set(), quantity: ZERO_DECIMAL, credits: 0n, events: 0 };
      group.meters.add(one.values.METER ?? '');
      groups.set(id, {
        ...group,
        quantity: add(group.quantity, one.quantity),
        credits: group.credits + one.credits,
        events: group.events + 1,
      });
    }
    const timeOf = (key: readonly string[]) => key[groupBy.indexOf('DAY')] ?? key[groupBy.indexOf('MONTH')] ?? '';
    const rows = [...groups.values()].sort(
      (a, b) =>
        bytes(timeOf(a.key), timeOf(b.key)) ||
        (a.credits === b.credits ? 0 : a.credits > b.credits ? -1 : 1) ||
        a.key.reduce((order, value, index) => order || bytes(value, b.key[index] ?? ''), 0),
    );
    return {
      totalCredits: formatCredits(micros(counted.reduce((total, { credits }) => total + credits, 0n))),
      totalEvents: counted.length,
      truncated: rows.length > first,
      rows: rows.slice(0, first).map(({ key, meters, quantity, credits, events }) => ({
        key: key.map((value, index) => {
          const name = groupBy[index] ?? byDimensions[index - groupBy.length] ?? '';
          const type = index < groupBy.length ? ID_TYPES[name] : undefined;
          return { dimension: name, value: value === '' ? null : type ? encodeId(type, value) : value };
        }),
        quantity: meters.size === 1 && !meters.has('') ? formatDecimal(quantity) : null,
        credits: formatCredits(micros(credits)),
        events,
      })),
    };
  }

  const bytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

  const anyOf = (...values: string[]) => fc.subarray(values, { minLength: 1 });
  const aReport = fc.record({
    world: fc.nat({ max: Object.keys(ZONES).length - 1 }),
    quarters: fc.tuple(fc.integer({ min: 96, max: 8 * 96 }), fc.integer({ min: 1, max: 9 * 96 })),
    groupBy: fc.shuffledSubarray<UsageDimension>([
      ...(['METER', 'MODEL', 'MODALITY', 'OPERATION', 'USER', 'PROJECT', 'API_KEY', 'TASK'] as const),
      ...(['EXECUTION', 'DAY', 'MONTH'] as const),
    ]),
    kept: fc.boolean(),
    byDimensions: fc.shuffledSubarray(['region', 'a name', 'model', 'none']),
    first: fc.constantFrom(1, 3, 10, 1000),
    filter: fc.oneof(
      { weight: 2, arbitrary: fc.constant({}) },
      fc.record({ meters: anyOf(...METERS, 'none') }),
      fc.record({ models: anyOf('large', '3', 'true', '1000000000000000000000', '0.0000001') }),
      fc.record({ userIds: anyOf(...[...USERS, 'nobody'].map((id) => encodeId('User', id))) }),
      fc.record({ taskId: fc.constantFrom('t1', 't2', 'none') }),
      fc.record({ executionId: fc.constantFrom('e1', 'none'), meters: anyOf(...METERS) }),
    ) as fc.Arbitrary<Filter>,
  });

  it('a report is the plain sum over the transactions, however it is grouped and filtered', async () => {
    let found = 0;
    await fc.assert(
      fc.asyncProperty(aReport, async ({ world, quarters: [back, length], kept, ...asked }) => {
        const { given, timeZone, now, used } = worlds[world] ?? {};
        if (!given || !timeZone || !now || !used) throw new Error('no such world');
        const start = Math.floor(now / 900_000) * 900_000 - back * 900_000;
        const { taskId: _task, executionId: _execution, ...keptFilter } = asked.filter;
        const args = {
          ...asked,
          // Half of the reports ask only for what rollups keep.
          ...(kept
            ? {
                byDimensions: [],
                groupBy: asked.groupBy.filter((by) => by !== 'TASK' && by !== 'EXECUTION'),
                filter: keptFilter,
              }
            : {}),
          from: new Date(start).toISOString(),
          to: new Date(start + length * 900_000).toISOString(),
        };
        const report = await reportOf(given.client, given.slug, args);
        expect(report).toEqual(expected(used, timeZone, args));
        found += report.rows.length;
        if (report.truncated) return;
        const sumOf = (values: number[]) => values.reduce((total, value) => total + value, 0);
        expect(sumOf(report.rows.map((row) => row.events))).toBe(report.totalEvents);
      }),
      { numRuns: 150 },
    );
    expect(found).toBeGreaterThan(500);
  });
});
