/** Usage reports: numbers by hand, local days and months, filters, refusals, and how many statements they take. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { print } from 'graphql';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { UsageDimension } from '../../src/domain/usage/report.ts';
import { encodeId } from '../../src/graphql/ids.ts';
import { projectPath } from '../../src/project-path.ts';
import { RecordUsageDocument, SpendSummaryDocument, UsageReportDocument } from '../generated/documents.ts';
import { expectSoundBooks, query } from '../support/books.ts';
import { startTestGateway, type TestClient, type TestGateway } from '../support/gateway.ts';
import { advanceTo, aKey, anApiKey, anOrganization, type Given } from '../support/given.ts';
import {
  anOwner,
  aProject,
  authorize,
  capture,
  charge,
  keyIdOf,
  NOTHING,
  type ReportArguments,
  type ReportFilter,
  refund,
  reportOf,
  rowsOf,
  summaryOf,
} from '../support/usage.ts';

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
    const ann = await anOwner(gateway, organization, 'demo-owner');
    const bob = await anOwner(gateway, organization, 'demo-admin');
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

  it.each<[string, () => ReportFilter, string, number]>([
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
    const rows = 'totalCredits totalEvents rows { credits key { value } }';
    const fields = `slug usage(from: "${from}", to: "${to}", groupBy: [MONTH, METER]) { ${rows} }
      byTask: usage(from: "${from}", to: "${to}", groupBy: [TASK, DAY]) { ${rows} }
      spendSummary(taskId: "task-1") { credits }`;
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
