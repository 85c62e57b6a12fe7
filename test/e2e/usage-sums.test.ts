/** A report is a plain sum over the transactions, for random usage, whichever way it is grouped and filtered. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { add, type Decimal, formatDecimal, ZERO_DECIMAL } from '../../src/domain/credits/decimal.ts';
import { formatCredits, micros } from '../../src/domain/credits/micros.ts';
import type { UsageDimension } from '../../src/domain/usage/report.ts';
import { dimension } from '../../src/domain/usage/rollup.ts';
import { decodeId, encodeId } from '../../src/graphql/ids.ts';
import { decodeLines } from '../../src/persistence/batch/line-codec.ts';
import { query } from '../support/books.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { advanceTo, anApiKey, anOrganization, type Given } from '../support/given.ts';
import {
  anOwner,
  aProject,
  charge,
  type ReportArguments,
  type ReportFilter,
  refund,
  reportOf,
} from '../support/usage.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway();
});
afterAll(() => gateway[Symbol.asyncDispose]());

describe('of random usage', () => {
  const ZONES = { 'Africa/Cairo': '2040-04-29T09:30:00Z', 'Australia/Lord_Howe': '2040-04-03T01:00:00Z' };
  const PROJECTS = ['p1', 'p2'];
  const USERS = ['demo-owner', 'demo-admin'];
  const MODELS = ['large', 'small', 'ä', '3', 3, 1e21, 1e-7, true, ''];
  const METERS = ['search', 'crawl', 'read', 'llm.input_tokens', 'scrape'];
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
      for (const user of USERS) await anOwner(gateway, given, user);
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
    ) as fc.Arbitrary<ReportFilter>,
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
