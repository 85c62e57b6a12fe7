/** Usage is published once, whoever publishes, however often they are cut short, and while charges go on. */
import fc from 'fast-check';
import { type Logger, pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { publicationOfDueUsage } from '../../src/operations/publish-due-usage.ts';
import { publishUsage, publishUsageOf } from '../../src/operations/publish-usage.ts';
import { createSql, type Queryable, type Sql, type Transaction } from '../../src/persistence/connection.ts';
import { RecordUsageDocument, ReleaseDocument } from '../generated/documents.ts';
import { activityOf, rest, sumsOf } from '../support/activity.ts';
import { expectSoundBooks, query } from '../support/books.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { aKey, anOrganization, type Given } from '../support/given.ts';
import { eventually, tenantOf } from '../support/process-posting.ts';
import { authorize, capture, charge } from '../support/usage.ts';

let gateway: TestGateway;
/** The connections of another process. */
let elsewhere: Sql;
beforeAll(async () => {
  gateway = await startTestGateway();
  elsewhere = createSql(gateway.gateway.databaseUrl, { applicationName: 'elsewhere', maxConnections: 4 });
});
afterAll(async () => {
  await elsewhere.end();
  await gateway[Symbol.asyncDispose]();
});

const RUNNING = new AbortController().signal;
const here = () => gateway.gateway.services.sql;
const feed = { published: () => undefined };

/** Charges a tenth of a credit `count` times, each as a transaction of its own. */
async function chargeMany({ client }: Given, count: number, taskId: string): Promise<void> {
  for (let rest = count; rest > 0; rest -= 5_000) {
    const events = Array.from({ length: Math.min(rest, 5_000) }, () => ({
      idempotencyKey: aKey(),
      usage: { meter: 'api_call' },
      taskId,
    }));
    const { recordUsage } = await client.run(RecordUsageDocument, { input: { events } });
    expect(recordUsage).toMatchObject({ accepted: events.length });
  }
}

/** Publishes all that is due, in portions. */
async function publishAll(sql: Sql, { id }: Given): Promise<void> {
  const tenant = await tenantOf(gateway.database, id);
  for (let round = 0; round < 20; round++) if (await publishUsageOf({ sql, feed }, tenant)) return;
  throw new Error('there is no end to it');
}

/** Fails with the nth statement of every transaction, as where the process is killed before it. */
function failing(sql: Sql, nth: number): Sql {
  return Object.assign(((...statement: Parameters<Queryable>) => sql(...statement)) as Queryable, {
    connect: () => sql.connect(),
    end: () => sql.end(),
    begin: <T>(work: (tx: Transaction) => Promise<T>) =>
      sql.begin((tx) => {
        let count = 0;
        const statements = (async (...statement: Parameters<Queryable>) => {
          count += 1;
          if (count === nth) throw new Error('killed');
          return tx(...statement);
        }) as Queryable;
        return work(Object.assign(statements, { afterCommit: tx.afterCommit }));
      }),
  });
}

describe('publishing usage', () => {
  it('reads more than one portion, and adds up', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '1000' } });
    await chargeMany(organization, 5_400, 'big');
    await rest(gateway, organization.id, 6);
    await publishAll(here(), organization);
    const sums = await sumsOf(gateway, organization.id);
    expect(sums).toMatchObject({ charged: '-540000000', told: '-540000000', operations: '5400', open: '0' });
    expect((await activityOf(organization, 'USAGE')).map(({ summary }) => summary)).toEqual([
      '5400 operations of task big: 540 credits',
    ]);
  });

  it('does nothing twice in two processes at once, while charges go on', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '1000' } });
    const { id } = organization;
    const charging = { done: false };
    const charges = (async () => {
      for (let round = 0; round < 6; round++) {
        await chargeMany(organization, 50, `task-${round % 2}`);
        const holdId = await authorize(organization.client, { amount: '1', executionId: `run-${round}` });
        await capture(organization.client, { holdId });
        await rest(gateway, id, round % 3 === 2 ? 6 : 1);
      }
      charging.done = true;
    })();
    const publishers = [here(), elsewhere, here(), elsewhere].map(async (sql) => {
      while (!charging.done) await publishAll(sql, organization);
    });
    await Promise.all([charges, ...publishers]);
    await rest(gateway, id, 6);
    await Promise.all([publishAll(here(), organization), publishAll(elsewhere, organization)]);
    const { charged, told, charges: count, operations, count: written, highest, open } = await sumsOf(gateway, id);
    expect({ told, operations, written, open }).toEqual({
      told: charged,
      operations: count,
      written: highest,
      open: '0',
    });
    await expectSoundBooks(gateway.database, id);
  });

  it('leaves nothing of a run that is killed at any statement, and the next does all of it and tells who watches', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '100' } });
    const { id, client } = organization;
    const tenant = await tenantOf(gateway.database, id);
    await charge(client, { amount: '1', taskId: 'a' });
    await publishAll(here(), organization);
    await charge(client, { amount: '2', taskId: 'b' });
    await rest(gateway, id, 6);
    await charge(client, { amount: '4', taskId: 'b' });
    const before = await sumsOf(gateway, id);
    let statements = 0;
    const told: unknown[] = [];
    const watched = { published: (changes: unknown) => told.push(changes) };
    gateway.statements.length = 0;
    for (let nth = 1; ; nth++) {
      statements = nth;
      const killed = await publishUsageOf({ sql: failing(here(), nth), feed: watched }, tenant).then(
        () => false,
        (error: Error) => error.message === 'killed',
      );
      if (!killed) break;
      expect(await sumsOf(gateway, id)).toEqual(before);
      expect(told).toEqual([]);
    }
    expect(told).toEqual([[tenant]]);
    expect(gateway.statements.filter((statement) => /pg_notify/i.test(statement))).toEqual([]);
    expect(statements).toBeGreaterThan(8);
    expect((await activityOf(organization, 'USAGE')).map(({ summary }) => summary).toSorted()).toEqual([
      '1 operation of task a: 1 credit',
      '1 operation of task b: 2 credits',
    ]);
    expect(await sumsOf(gateway, id)).toMatchObject({ told: '-3000000', open: '1' });
  });

  it('is not asked again about a wallet where nothing was charged since', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '100' } });
    const due = async () => {
      const { walletId } = await tenantOf(gateway.database, organization.id);
      const [row] = await query<{ usage_due_at: Date | null }>(
        gateway.database,
        'SELECT usage_due_at FROM wallet WHERE id = $1',
        [walletId],
      );
      return row?.usage_due_at ?? null;
    };
    expect(await due()).toBeNull();
    await charge(organization.client, { amount: '1' });
    const first = await due();
    await charge(organization.client, { amount: '1' });
    expect(await due()).toEqual(first);
    await rest(gateway, organization.id, 6);
    await publishUsage(
      { sql: here(), feed },
      (await tenantOf(gateway.database, organization.id)).organizationId.split(','),
    );
    expect(await due()).toBeNull();
  });

  it('puts every charge into one activity, whatever is done in whatever order', async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('debit' as const), task: fc.constantFrom('a', 'b', null) }),
      fc.record({ kind: fc.constant('authorize' as const), task: fc.constantFrom('a', 'b') }),
      fc.record({ kind: fc.constant('capture' as const), final: fc.boolean() }),
      fc.record({ kind: fc.constant('release' as const) }),
      fc.record({ kind: fc.constant('rest' as const), minutes: fc.constantFrom(1, 4, 5, 61) }),
      fc.record({ kind: fc.constant('publish' as const), process: fc.constantFrom('here', 'elsewhere') }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 25 }), async (steps) => {
        const organization = await anOrganization(gateway, { credits: { purchased: '500' } });
        const { client, id } = organization;
        const holds: string[] = [];
        const publishing: Promise<void>[] = [];
        for (const one of steps) {
          const holdId = holds.at(-1);
          if (one.kind === 'debit') await charge(client, { amount: '1', ...(one.task ? { taskId: one.task } : {}) });
          else if (one.kind === 'authorize') {
            const life = { expiresInSeconds: 36_000 };
            holds.push(await authorize(client, { amount: '5', taskId: one.task, ...life }));
          } else if (one.kind === 'rest') await rest(gateway, id, one.minutes);
          else if (one.kind === 'publish') {
            publishing.push(publishAll(one.process === 'here' ? here() : elsewhere, organization));
          } else if (holdId !== undefined && one.kind === 'capture') {
            // What is captured to the end is resolved by it.
            await capture(client, { holdId, amount: '1', final: one.final }).catch(() => undefined);
            if (one.final) holds.pop();
          } else if (holdId !== undefined) {
            await client.run(ReleaseDocument, { input: { holdId, idempotencyKey: aKey() } });
            holds.pop();
          }
        }
        await Promise.all(publishing);
        await rest(gateway, id, 61);
        await publishAll(elsewhere, organization);
        const { charged, charges, told, operations, count, highest, open } = await sumsOf(gateway, id);
        expect({ told, operations, count, open }).toEqual({
          told: charged,
          operations: charges,
          count: highest,
          open: '0',
        });
      }),
      { numRuns: 12 },
    );
  }, 120_000);
});

describe('the job', () => {
  it('publishes all wallets that are due, and leaves one that fails for a while', async () => {
    const organizations = await Promise.all(
      [1, 2, 3].map(() => anOrganization(gateway, { credits: { purchased: '10' } })),
    );
    for (const { client, id } of organizations) {
      await charge(client, { amount: '1', taskId: 'job' });
      await rest(gateway, id, 6);
    }
    const [broken, ...others] = organizations as [Given, ...Given[]];
    const { walletId } = await tenantOf(gateway.database, broken.id);
    const log: { walletId: string; failures: number }[] = [];
    const logger: Logger = pino({ level: 'warn' }, { write: (line: string) => log.push(JSON.parse(line)) });
    const sql = failing(here(), 0);
    const poisoned: Sql = Object.assign(
      (async (strings: TemplateStringsArray, ...values: unknown[]) => {
        if (values[0] === walletId) throw new Error('broken');
        return sql(strings, ...values);
      }) as Queryable,
      { begin: sql.begin, connect: sql.connect, end: sql.end },
    );
    const publisher = publicationOfDueUsage({ sql: poisoned, feed, logger });

    expect(await publisher.run(RUNNING)).toEqual({ unfinished: false });
    for (const { id } of others) expect(await sumsOf(gateway, id)).toMatchObject({ told: '-1000000' });
    expect(await sumsOf(gateway, broken.id)).toMatchObject({ told: '0' });
    expect(log).toMatchObject([{ walletId, failures: 1 }]);

    await publisher.run(RUNNING);
    expect(log).toHaveLength(1);
    await publicationOfDueUsage({ sql: here(), feed, logger }).run(RUNNING);
    expect(await sumsOf(gateway, broken.id)).toMatchObject({ told: '-1000000' });
  });

  it('ends when it is told to, and says that something is left', async () => {
    const organization = await anOrganization(gateway, { credits: { purchased: '10' } });
    await charge(organization.client, { amount: '1' });
    await rest(gateway, organization.id, 6);
    const { logger } = gateway.gateway.services;
    const publisher = publicationOfDueUsage({ sql: here(), feed, logger });
    expect(await publisher.run(AbortSignal.abort())).toEqual({ unfinished: true });
    expect(await sumsOf(gateway, organization.id)).toMatchObject({ told: '0' });
    await publisher.run(RUNNING);
    expect(await sumsOf(gateway, organization.id)).toMatchObject({ told: '-1000000' });
  });

  it('runs in a gateway that runs jobs, without anybody who reads', async () => {
    await using working = await startTestGateway({ env: { PURSER_JOBS: 'on' } });
    const organization = await anOrganization(working, { credits: { purchased: '10' } });
    const holdId = await authorize(organization.client, { amount: '2', executionId: 'run' });
    await capture(organization.client, { holdId });
    await eventually(async () => (await sumsOf(working, organization.id)).told === '-2000000', 'usage is published');
  });
});
