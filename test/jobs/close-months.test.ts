/** What the job closes, what it leaves, and what becomes of it where it dies, fails or meets another one. */
import { type Logger, pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { unclosedMonths } from '../../src/domain/statements/months.ts';
import { closingOfDueMonths } from '../../src/operations/close-due-months.ts';
import { closeMonths, ofWallet } from '../../src/operations/close-months.ts';
import type { Sql } from '../../src/persistence/connection.ts';
import { addUpAhead } from '../../src/persistence/reports/statement-figures.ts';
import { findStatedWallets } from '../../src/persistence/reports/statements.ts';
import type { Poster } from '../../src/posting/engine.ts';
import { query } from '../support/books.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { advanceTo, anOrganization, type Given, NEXT_YEAR } from '../support/given.ts';
import { awaitBlocked, openSession, tenantOf, within } from '../support/process-posting.ts';
import { expectSoundStatements } from '../support/statements.ts';
import { charge } from '../support/usage.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway();
});
afterAll(() => gateway[Symbol.asyncDispose]());

const RUNNING = new AbortController().signal;

interface CloserOptions {
  readonly sql?: Sql;
  /** The wallet whose posting fails. */
  readonly failing?: string;
}

/** A closer of the test's own, with what it logged. */
function aCloser({ sql = gateway.gateway.services.sql, failing }: CloserOptions = {}) {
  const { engine } = gateway.gateway.services;
  const log: { walletId: string; failures: number }[] = [];
  const logger: Logger = pino({ level: 'warn' }, { write: (line: string) => log.push(JSON.parse(line)) });
  const watched: Poster = {
    estimate: (...usage) => engine.estimate(...usage),
    preview: (...selection) => engine.preview(...selection),
    async execute(command) {
      if (command.walletId === failing) throw new Error('it cannot be posted to');
      return engine.execute(command);
    },
  };
  return { closer: closingOfDueMonths({ sql, engine: watched, logger }), log };
}

/** The closed months of an organization, oldest first. */
async function closedMonths({ id }: Given): Promise<{ month: string; hash: string }[]> {
  const { walletId } = await tenantOf(gateway.database, id);
  return query(
    gateway.database,
    `SELECT month, encode(hash, 'hex') AS hash FROM statement WHERE wallet_id = $1 ORDER BY month`,
    [walletId],
  );
}

/** An organization that has come so far without a statement being asked for. */
async function anOrganizationIn(now: string): Promise<Given> {
  const organization = await anOrganization(gateway, {
    now: `${NEXT_YEAR}-01-15T12:00:00.000Z`,
    credits: { purchased: '100' },
  });
  await charge(organization.client, { usage: [{ meter: 'search', quantity: 2 }] });
  await advanceTo(gateway, organization.id, now);
  return organization;
}

/** Keeps everybody off what is added up ahead, which closing reads and charging does not, until it is released. */
async function holdDrafts() {
  const session = await openSession(gateway.database);
  await session.client.query('BEGIN; LOCK TABLE statement_draft');
  return {
    release: () => session.client.query('ROLLBACK'),
    [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
  };
}

describe('the job', () => {
  it('closes every month that is over, of every wallet, once', async () => {
    const organizations = await Promise.all(
      [`${NEXT_YEAR}-02-01T00:00:00.000Z`, `${NEXT_YEAR}-04-10T00:00:00.000Z`, `${NEXT_YEAR}-01-20T00:00:00.000Z`].map(
        anOrganizationIn,
      ),
    );
    const { closer, log } = aCloser();
    expect(await closer.run(RUNNING)).toEqual({ unfinished: false });
    const last = await Promise.all(organizations.map(async (one) => (await closedMonths(one)).at(-1)?.month));
    expect(last).toEqual([`${NEXT_YEAR}-01`, `${NEXT_YEAR}-03`, `${NEXT_YEAR - 1}-12`]);
    const before = await Promise.all(organizations.map(closedMonths));

    gateway.statements.length = 0;
    await closer.run(RUNNING);
    expect(gateway.statements).toHaveLength(1);
    expect(await Promise.all(organizations.map(closedMonths))).toEqual(before);
    expect(log).toEqual([]);
    for (const organization of organizations) await expectSoundStatements(gateway, organization);
  });

  it('closes a hundred years in bounded pieces', async () => {
    const organization = await anOrganization(gateway, { now: '2126-01-15T12:00:00.000Z' });
    const { closer } = aCloser();
    while ((await closer.run(RUNNING)).unfinished);
    expect((await closedMonths(organization)).at(-1)?.month).toBe('2125-12');
    const pieces = await query(gateway.database, 'SELECT DISTINCT xmin FROM statement WHERE wallet_id = $1', [
      (await tenantOf(gateway.database, organization.id)).walletId,
    ]);
    expect(pieces.length).toBeGreaterThanOrEqual(10);
  });

  it('closes nothing twice beside others', async () => {
    const organizations = await Promise.all(
      [`${NEXT_YEAR}-06-01`, `${NEXT_YEAR + 1}-06-01`, `${NEXT_YEAR + 2}-06-01`].map((day) =>
        anOrganizationIn(`${day}T00:00:00Z`),
      ),
    );
    await Promise.all([1, 2, 3].map(() => aCloser().closer.run(RUNNING)));
    for (const organization of organizations) await expectSoundStatements(gateway, organization);
    expect((await closedMonths(organizations[0] as Given)).at(-1)?.month).toBe(`${NEXT_YEAR}-05`);
  });

  it('lets charges go on while a month is added up, after the month', async () => {
    const organization = await anOrganizationIn(`${NEXT_YEAR}-02-10T00:00:00.000Z`);
    await using drafts = await holdDrafts();
    const closing = aCloser().closer.run(RUNNING);
    await awaitBlocked(gateway.database, 1);
    await within(5, 'a charge', charge(organization.client, { amount: '1' }));
    expect(await closedMonths(organization)).toEqual([]);
    await drafts.release();
    expect(await closing).toEqual({ unfinished: false });
    expect((await closedMonths(organization)).at(-1)?.month).toBe(`${NEXT_YEAR}-01`);
    await expectSoundStatements(gateway, organization);
  });

  it('leaves what another one has closed since it added up', async () => {
    const organization = await anOrganizationIn(`${NEXT_YEAR}-04-10T00:00:00.000Z`);
    const { services } = gateway.gateway;
    const tenant = await tenantOf(gateway.database, organization.id);
    await using drafts = await holdDrafts();
    const closing = Promise.all([1, 2].map(() => closeMonths(services, tenant)));
    await awaitBlocked(gateway.database, 2);
    await drafts.release();
    expect((await closing).map(({ unfinished }) => unfinished).toSorted()).toEqual([false, true]);
    expect(await closeMonths(services, tenant)).toEqual({ unfinished: false });
    expect((await closedMonths(organization)).at(-1)?.month).toBe(`${NEXT_YEAR}-03`);
    await expectSoundStatements(gateway, organization);
  });

  it('keeps nothing of what was added up ahead of months that are closed', async () => {
    const organization = await anOrganizationIn(`${NEXT_YEAR}-01-20T12:00:00.000Z`);
    const { services } = gateway.gateway;
    const tenant = await tenantOf(gateway.database, organization.id);
    for (let nth = 0; nth < 3; nth++) await charge(organization.client, { amount: '1' });
    const [wallet] = await findStatedWallets(services.sql, [tenant.organizationId]);
    if (!wallet) throw new Error('no wallet');
    await addUpAhead(services.sql, ofWallet(wallet, unclosedMonths(wallet)), 2n);
    const draftedMonths = () =>
      query(gateway.database, 'SELECT month FROM statement_draft WHERE wallet_id = $1', [tenant.walletId]);
    expect(await draftedMonths()).toEqual([{ month: `${NEXT_YEAR}-01` }]);
    await advanceTo(gateway, organization.id, `${NEXT_YEAR}-02-10T00:00:00.000Z`);
    await closeMonths(services, tenant);
    expect(await draftedMonths()).toEqual([]);
    await expectSoundStatements(gateway, organization);
  });

  it('that dies before it commits leaves nothing, and the next one closes the same', async () => {
    const organization = await anOrganizationIn(`${NEXT_YEAR}-03-10T00:00:00.000Z`);
    const { sql } = gateway.gateway.services;
    const dying: Sql = Object.assign((...statement: Parameters<Sql>) => sql(...statement), {
      connect: sql.connect,
      end: sql.end,
      begin: <T>(work: Parameters<typeof sql.begin<T>>[0]) =>
        sql.begin(async (tx) => {
          await work(tx);
          throw new Error('it dies');
        }),
    }) as Sql;
    const { closer, log } = aCloser({ sql: dying });
    await closer.run(RUNNING);
    const { walletId } = await tenantOf(gateway.database, organization.id);
    expect(log).toMatchObject([{ walletId, failures: 1 }]);
    expect(await closedMonths(organization)).toEqual([]);

    await aCloser().closer.run(RUNNING);
    expect((await closedMonths(organization)).at(-1)?.month).toBe(`${NEXT_YEAR}-02`);
    await expectSoundStatements(gateway, organization);
  });

  it('closes the others’ months where one wallet fails, and leaves that one for a while', async () => {
    const failing = await anOrganizationIn(`${NEXT_YEAR}-03-10T00:00:00.000Z`);
    const other = await anOrganizationIn(`${NEXT_YEAR}-03-10T00:00:00.000Z`);
    const { walletId } = await tenantOf(gateway.database, failing.id);
    const { closer, log } = aCloser({ failing: walletId });
    expect(await closer.run(RUNNING)).toEqual({ unfinished: false });
    expect((await closedMonths(other)).at(-1)?.month).toBe(`${NEXT_YEAR}-02`);
    expect(await closedMonths(failing)).toEqual([]);
    await closer.run(RUNNING);
    expect(log).toMatchObject([{ walletId, failures: 1 }]);
  });

  it('leaves frozen wallets until they are not', async () => {
    const organization = await anOrganizationIn(`${NEXT_YEAR}-03-10T00:00:00.000Z`);
    const { walletId } = await tenantOf(gateway.database, organization.id);
    await query(gateway.database, 'UPDATE wallet SET frozen_at = now() WHERE id = $1', [walletId]);
    await aCloser().closer.run(RUNNING);
    expect(await closedMonths(organization)).toEqual([]);
    await query(gateway.database, 'UPDATE wallet SET frozen_at = NULL WHERE id = $1', [walletId]);
    await aCloser().closer.run(RUNNING);
    expect((await closedMonths(organization)).at(-1)?.month).toBe(`${NEXT_YEAR}-02`);
  });

  it('looks at a new wallet once, and again when its month ends', async () => {
    const organization = await anOrganization(gateway, { now: `${NEXT_YEAR}-01-15T12:00:00.000Z` });
    await aCloser().closer.run(RUNNING);
    const { walletId } = await tenantOf(gateway.database, organization.id);
    const [wallet] = await query<{ at: Date }>(
      gateway.database,
      'SELECT next_close_at AS at FROM wallet WHERE id = $1',
      [walletId],
    );
    expect(wallet?.at.toISOString()).toBe(`${NEXT_YEAR}-02-01T00:00:00.000Z`);
  });

  it('ends when it is told to', async () => {
    const organization = await anOrganizationIn(`${NEXT_YEAR}-03-10T00:00:00.000Z`);
    expect(await aCloser().closer.run(AbortSignal.abort())).toEqual({ unfinished: true });
    expect(await closedMonths(organization)).toEqual([]);
  });

  it('finds what there is to close by an index', async () => {
    const plan = await gateway.gateway.services.sql<{ 'QUERY PLAN': string }[]>`
      EXPLAIN SELECT id FROM wallet WHERE next_close_at <= now() AND frozen_at IS NULL ORDER BY next_close_at LIMIT 4`;
    expect(plan.map((row) => row['QUERY PLAN']).join('\n')).toContain('wallet_next_close');
  });
});
