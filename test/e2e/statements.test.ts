/** Statements of months: where they begin and end, what they tell, when they close, and that closed ones never change. */

import { hash } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { instant } from '../../src/domain/time/instant.ts';
import { decodeId, encodeId } from '../../src/graphql/ids.ts';
import { moveTestClock } from '../../src/persistence/test-clock.ts';
import { balancesAt } from '../../src/persistence/wallets.ts';
import {
  BalanceAtDocument,
  BalancesDocument,
  StatementDocument,
  StatementsOfAllDocument,
} from '../generated/documents.ts';
import { query } from '../support/books.ts';
import { startTestGateway, type TestClient, type TestGateway } from '../support/gateway.ts';
import { advanceTo, aKey, anOrganization, type Given, grant } from '../support/given.ts';
import { awaitBlocked, openSession } from '../support/process-posting.ts';
import { expectSoundStatements, lines, statementsOf, usageRows } from '../support/statements.ts';
import { anOwner, aProject, charge, rowsOf } from '../support/usage.ts';
import { aCatalogFile, type CatalogFile, refunded } from './metering.ts';

let catalog: CatalogFile;
let gateway: TestGateway;
let second: TestGateway;
beforeAll(async () => {
  catalog = await aCatalogFile({ rates: '  - { meter: ping, unit: ping, credits: 0 }\n' });
  gateway = await startTestGateway({ env: { PURSER_CATALOG: catalog.path } });
  second = await startTestGateway({ database: gateway.database });
});
afterAll(async () => {
  await second[Symbol.asyncDispose]();
  await gateway[Symbol.asyncDispose]();
  await catalog[Symbol.asyncDispose]();
});

const statementOf = async ({ client, slug }: Given, month: string) =>
  (await client.run(StatementDocument, { slug, month })).organization?.statement ?? null;

/** What is posted from now on is stamped with this instant until the organization's clock passes it. */
async function stampAt({ id }: Given, at: string | number): Promise<void> {
  await query(gateway.database, 'UPDATE wallet SET last_posted_at = $2 WHERE organization_id = $1', [
    decodeId('Organization', id),
    new Date(at),
  ]);
}

const MILLISECOND = 1;
const NOON_OF_A_LATER_DAY = '2050-01-01T12:00:00.000Z';

const balanceAt = async ({ client, slug }: Given, at: string): Promise<string> =>
  (await client.run(BalanceAtDocument, { slug, at })).organization?.wallet?.balanceAt ?? '';

describe('a month', () => {
  it.each([
    // In daylight saving time from 26 April to the last Thursday of October.
    ['Africa/Cairo', '2041-04', '2041-03-31T22:00:00.000Z', '2041-04-30T21:00:00.000Z'],
    ['Africa/Cairo', '2041-10', '2041-09-30T21:00:00.000Z', '2041-10-31T22:00:00.000Z'],
    // Half an hour of daylight saving time, which ends on the first Sunday of April.
    ['Australia/Lord_Howe', '2041-04', '2041-03-31T13:00:00.000Z', '2041-04-30T13:30:00.000Z'],
    ['Australia/Lord_Howe', '2041-10', '2041-09-30T13:30:00.000Z', '2041-10-31T13:00:00.000Z'],
    ['UTC', '2041-02', '2041-02-01T00:00:00.000Z', '2041-03-01T00:00:00.000Z'],
  ])(
    'in %s, %s, reaches from local midnight to local midnight to the millisecond',
    async (timeZone, month, start, end) => {
      const before = new Date(Date.parse(start) - 3_600_000).toISOString();
      const organization = await anOrganization(gateway, { timeZone, now: before, credits: { purchased: '100' } });
      const { client } = organization;
      await stampAt(organization, Date.parse(start) - MILLISECOND);
      await charge(client, { amount: '1' });
      await stampAt(organization, start);
      await charge(client, { amount: '2' });
      await stampAt(organization, Date.parse(end) - MILLISECOND);
      await charge(client, { amount: '4' });
      await stampAt(organization, end);
      await charge(client, { amount: '8' });

      expect(await statementOf(organization, month)).toMatchObject({
        ...{ month, startsAt: start, endsAt: end, status: 'CLOSED' },
        ...{ opening: '99', credited: [], debited: [{ reasonCode: 'USAGE', credits: '6', entries: 2 }], closing: '93' },
        ...{ fromSequence: 3, toSequence: 4, closedAt: end, hash: expect.stringMatching(/^[0-9a-f]{64}$/) },
      });
      const [running, , previous] = await statementsOf(organization);
      expect(running).toMatchObject({
        ...{ status: 'OPEN', opening: '93', closing: '85', fromSequence: 5, toSequence: 5, closedAt: null, hash: null },
      });
      expect(previous).toMatchObject({ status: 'CLOSED', opening: '0', closing: '99', fromSequence: 1, toSequence: 2 });
      await expectSoundStatements(gateway, organization);
    },
  );
});

const NOON = '2041-01-15T12:00:00.000Z';
const FEBRUARY = '2041-02-01T00:00:00.000Z';

describe('what a statement tells', () => {
  it('is what came and went by reason, with expiries and refunds apart from usage', async () => {
    const organization = await anOrganization(gateway, { now: NOON, credits: { purchased: '100' } });
    await grant(gateway, organization.id, 'promotional', '20', '2041-01-20T00:00:00.000Z');
    const debit = await charge(organization.client, { amount: '5.000001', reasonCode: 'setup' });
    await refunded(organization.client, { transactionId: debit, amount: '1' });
    await advanceTo(gateway, organization.id, FEBRUARY);

    const statement = await statementOf(organization, '2041-01');
    expect(lines(statement?.credited ?? [])).toEqual([
      ['GRANT', '120', 2],
      ['REFUND', '1', 1],
    ]);
    expect(lines(statement?.debited ?? [])).toEqual([
      ['EXPIRY', '15.999999', 1],
      ['setup', '5.000001', 1],
    ]);
    expect(statement).toMatchObject({ opening: '0', closing: '100' });
    await expectSoundStatements(gateway, organization);
  });

  it('adds quantities up to more digits than any one of them may have', async () => {
    const organization = await anOrganization(gateway, { now: NOON, credits: { purchased: '100' } });
    const most = `${'9'.repeat(24)}.${'9'.repeat(18)}`;
    for (let nth = 0; nth < 2; nth++) await charge(organization.client, { usage: [{ meter: 'ping', quantity: most }] });
    const sum = `1${'9'.repeat(24)}.${'9'.repeat(17)}8`;
    const usage = [{ quantity: sum, credits: '0', events: 2 }];
    expect((await statementsOf(organization))[0]).toMatchObject({ status: 'OPEN', usage });
    await advanceTo(gateway, organization.id, FEBRUARY);
    expect(await statementOf(organization, '2041-01')).toMatchObject({ status: 'CLOSED', usage });
    await expectSoundStatements(gateway, organization);
  });

  it('is usage by meter, model, user and project with quantity and cost, and charges by amount of no meter', async () => {
    const organization = await anOrganization(gateway, { now: NOON, credits: { purchased: '1000' } });
    const { client } = organization;
    const userId = await anOwner(gateway, organization, 'demo-owner');
    const projectId = await aProject(organization, 'web');
    const tokens = (model: string, quantity: number) => ({
      meter: 'llm.input_tokens',
      quantity,
      dimensions: { model },
    });
    await charge(client, { usage: [tokens('large', 1_000), { meter: 'search', quantity: 2 }], userId, projectId });
    await charge(client, { usage: [tokens('large', 3_000)], userId, projectId });
    await charge(client, { usage: [tokens('small', 500)] });
    const refundable = await charge(client, { amount: '7' });
    await refunded(client, { transactionId: refundable });
    await advanceTo(gateway, organization.id, FEBRUARY);

    const statement = await statementOf(organization, '2041-01');
    if (!statement) throw new Error('no statement');
    const report = await rowsOf(organization, {
      from: '2041-01-01T00:00:00Z',
      to: FEBRUARY,
      groupBy: ['METER', 'MODEL', 'USER', 'PROJECT'],
    });
    expect(usageRows(statement)).toEqual(report);
    expect(usageRows(statement)).toHaveLength(4);
    expect(usageRows(statement)).toContainEqual([null, null, null, null, null, '7', 1]);
    expect(usageRows(statement)).toContainEqual([
      ...['llm.input_tokens', 'large', userId, projectId, '4000'],
      ...[expect.any(String), 2],
    ]);
    expect(statement.usage[0]?.key.map(({ dimension }) => dimension)).toEqual(['METER', 'MODEL', 'USER', 'PROJECT']);
    await expectSoundStatements(gateway, organization);
  });

  it('goes by when usage was charged, where reports go by when it occurred', async () => {
    const organization = await anOrganization(gateway, { now: NOON, credits: { purchased: '1000' } });
    const { client } = organization;
    const search = (quantity: number, occurredAt?: string) =>
      charge(client, { usage: [{ meter: 'search', quantity }], ...(occurredAt ? { occurredAt } : {}) });
    await advanceTo(gateway, organization.id, '2041-01-31T23:58:00.000Z');
    await search(1);
    await search(2, '2041-02-01T00:01:00.000Z');
    await advanceTo(gateway, organization.id, '2041-02-01T00:30:00.000Z');
    await search(4, '2041-01-31T23:50:00.000Z');
    await search(8, '2041-01-31T23:50:30.000Z');
    await search(16, '2041-02-01T00:10:00.000Z');

    const quantities = async (month: string) => usageRows((await statementOf(organization, month)) ?? { usage: [] });
    expect(await quantities('2041-01')).toEqual([['search', null, null, null, '3', '3', 2]]);
    expect(await quantities('2041-02')).toEqual([['search', null, null, null, '28', '28', 3]]);
    const report = { groupBy: ['MONTH' as const], from: '2041-01-01T00:00:00Z', to: '2041-03-01T00:00:00Z' };
    expect(await rowsOf(organization, report)).toEqual([
      ['2041-01', '13', '13', 3],
      ['2041-02', '18', '18', 2],
    ]);
    await expectSoundStatements(gateway, organization);
  });

  it('tells 1,000 rows of usage at most, and what is left by meter alone', async () => {
    const organization = await anOrganization(gateway, { now: NOON });
    await query(
      gateway.database,
      `INSERT INTO usage_rollup (wallet_id, grain, starts_at, meter, model, modality, operation, user_id, project_id,
         api_key_id, quantity, credits_micros, events)
       SELECT w.id, 'DAY', '2041-01-10Z', CASE WHEN n % 2 = 0 THEN 'even' ELSE 'odd' END, '', '', '', 'user-' || n, '', '',
         n, n * 1000000, 1
       FROM wallet w, generate_series(1, 1005) AS n WHERE w.organization_id = $1`,
      [decodeId('Organization', organization.id)],
    );
    const usage = (await statementOf(organization, '2041-01'))?.usage ?? [];
    expect(usage).toHaveLength(1_002);
    expect(usage[0]).toMatchObject({ quantity: '1005', credits: '1005', events: 1 });
    expect(usage[0]?.key).toHaveLength(4);
    expect(usage.slice(1_000)).toEqual([
      { key: [{ dimension: 'METER', value: 'odd' }], quantity: '9', credits: '9', events: 3 },
      { key: [{ dimension: 'METER', value: 'even' }], quantity: '6', credits: '6', events: 2 },
    ]);
  });

  it('is the balance throughout a month in which nothing happened', async () => {
    const organization = await anOrganization(gateway, { now: NOON, credits: { purchased: '10' } });
    await advanceTo(gateway, organization.id, '2041-04-02T00:00:00.000Z');
    expect(await statementOf(organization, '2041-02')).toMatchObject({
      ...{ status: 'CLOSED', opening: '10', closing: '10', credited: [], debited: [], usage: [] },
      ...{ fromSequence: null, toSequence: null },
    });
    await expectSoundStatements(gateway, organization);
  });

  it('is what it owes where it owes', async () => {
    const organization = await anOrganization(gateway, { now: NOON, plan: 'team' });
    const amount = (Number(await balanceAt(organization, NOON_OF_A_LATER_DAY)) + 50).toString();
    await charge(organization.client, { amount, overage: 'DEBT' });
    await advanceTo(gateway, organization.id, FEBRUARY);
    expect(await statementOf(organization, '2041-01')).toMatchObject({ opening: '0', closing: '-50' });
    expect(await statementOf(organization, '2041-02')).toMatchObject({ opening: '-50' });
    await expectSoundStatements(gateway, organization);
  });
});

describe('a closed month', () => {
  const bytesOf = async ({ id }: Given, month: string) => {
    const [row] = await query<{ content: string; hash: string }>(
      gateway.database,
      `SELECT content, encode(hash, 'hex') AS hash FROM statement s JOIN wallet w ON w.id = s.wallet_id
       WHERE w.organization_id = $1 AND month = $2`,
      [decodeId('Organization', id), month],
    );
    return row;
  };

  it('stays as it is to the byte whatever is corrected later', async () => {
    const organization = await anOrganization(gateway, { now: NOON, credits: { purchased: '100' } });
    const transactionId = await charge(organization.client, { usage: [{ meter: 'search', quantity: 9 }] });
    await advanceTo(gateway, organization.id, FEBRUARY);
    const before = await statementOf(organization, '2041-01');
    const bytes = await bytesOf(organization, '2041-01');
    await refunded(organization.client, { transactionId });
    await charge(organization.client, {
      usage: [{ meter: 'search', quantity: 3 }],
      occurredAt: '2041-01-31T12:00:00.000Z',
    });

    expect(await statementOf(organization, '2041-01')).toEqual(before);
    expect(await bytesOf(organization, '2041-01')).toEqual(bytes);
    expect(before).toMatchObject({ hash: bytes?.hash, closing: '91' });
    expect(await statementOf(organization, '2041-02')).toMatchObject({
      ...{ opening: '91', closing: '97', credited: [{ reasonCode: 'REFUND', credits: '9', entries: 1 }] },
      ...{ debited: [{ reasonCode: 'USAGE', credits: '3', entries: 1 }] },
    });
    await expectSoundStatements(gateway, organization);
  });

  it('has what was stamped before midnight and committed after, and is closed only then', async () => {
    const organization = await anOrganization(gateway, { now: NOON, credits: { purchased: '100' } });
    await stampAt(organization, Date.parse(FEBRUARY) - MILLISECOND);
    // The batch has read the clock when it waits for the lot.
    await using session = await openSession(gateway.database);
    await session.client.query('BEGIN');
    await session.client.query(
      'SELECT 1 FROM lot WHERE wallet_id = (SELECT id FROM wallet WHERE organization_id = $1) FOR UPDATE',
      [decodeId('Organization', organization.id)],
    );
    const debit = charge(organization.client, { amount: '3' });
    await awaitBlocked(gateway.database, 1);
    const { sql } = gateway.gateway.services;
    await moveTestClock(sql, decodeId('Organization', organization.id), instant(Date.parse(FEBRUARY) + 1_000));
    const reading = statementOf({ ...organization, client: second.as(organization.secret) }, '2041-01');
    await awaitBlocked(gateway.database, 2);
    await session.client.query('COMMIT');

    await debit;
    expect(await reading).toMatchObject({ status: 'CLOSED', closing: '97', fromSequence: 1, toSequence: 2 });
    expect(await statementOf(organization, '2041-02')).toMatchObject({
      opening: '97',
      closing: '97',
      toSequence: null,
    });
    await expectSoundStatements(gateway, organization);
  });

  it('has everything that was due in it, posted first', async () => {
    const organization = await anOrganization(gateway, { now: NOON, plan: 'free' });
    await query(
      gateway.database,
      'UPDATE organization SET test_clock_offset_ms = test_clock_offset_ms + $2 WHERE id = $1',
      [decodeId('Organization', organization.id), 90 * 86_400_000],
    );
    expect(await statementOf(organization, '2041-03')).toMatchObject({ status: 'CLOSED' });
    await expectSoundStatements(gateway, organization);
  });

  it('gets nothing more where the database’s clock goes back', async () => {
    const organization = await anOrganization(gateway, { now: NOON, credits: { purchased: '100' } });
    const setClock = (to: string) =>
      query(
        gateway.database,
        `UPDATE organization SET test_clock_offset_ms = $2::bigint - floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint
         WHERE id = $1`,
        [decodeId('Organization', organization.id), Date.parse(to)],
      );
    await setClock('2041-02-01T00:00:05.000Z');
    const closed = await statementOf(organization, '2041-01');
    expect(closed).toMatchObject({ status: 'CLOSED', closing: '100' });
    await setClock('2041-01-31T12:00:00.000Z');
    await charge(organization.client, { amount: '3' });
    expect(await statementOf(organization, '2041-01')).toEqual(closed);
    expect(await statementOf(organization, '2041-02')).toMatchObject({
      opening: '100',
      closing: '97',
      fromSequence: 2,
    });
    await expectSoundStatements(gateway, organization);
  });

  it('is closed once, by whichever gateways ask at once', async () => {
    const organization = await anOrganization(gateway, { now: NOON, credits: { purchased: '100' } });
    await advanceTo(gateway, organization.id, '2041-06-15T00:00:00.000Z');
    const clients = [gateway, second].map((one) => one.as(organization.secret));
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        statementOf({ ...organization, client: clients[index % 2] ?? organization.client }, '2041-05'),
      ),
    );
    expect(new Set(answers.map((answer) => answer?.hash)).size).toBe(1);
    expect(answers[0]).toMatchObject({ status: 'CLOSED', opening: '100', closing: '100' });
    await expectSoundStatements(gateway, organization);
  });

  it('names the one before and the ledger by their hashes', async () => {
    const organization = await anOrganization(gateway, { now: NOON, credits: { purchased: '100' } });
    await advanceTo(gateway, organization.id, '2041-03-15T00:00:00.000Z');
    const january = await statementOf(organization, '2041-01');
    const bytes = await bytesOf(organization, '2041-02');
    const [entry] = await query<{ hash: string }>(
      gateway.database,
      `SELECT encode(e.hash, 'hex') AS hash FROM ledger_entry e JOIN wallet w ON w.id = e.wallet_id
       WHERE w.organization_id = $1`,
      [decodeId('Organization', organization.id)],
    );
    expect(JSON.parse(bytes?.content ?? '')).toMatchObject({ previousHash: january?.hash, ledgerHash: entry?.hash });
    expect(bytes?.hash).toBe(hash('sha256', bytes?.content ?? ''));
  });

  it('waits while its wallet is frozen, and shows what it stands at', async () => {
    const organization = await anOrganization(gateway, { now: NOON, credits: { purchased: '100' } });
    const freeze = (at: string | null) =>
      query(gateway.database, 'UPDATE wallet SET frozen_at = $2 WHERE organization_id = $1', [
        decodeId('Organization', organization.id),
        at,
      ]);
    await freeze(NOON);
    await advanceTo(gateway, organization.id, '2041-02-15T00:00:00.000Z');
    expect(await statementOf(organization, '2041-01')).toMatchObject({ status: 'OPEN', closing: '100', hash: null });
    await freeze(null);
    expect(await statementOf(organization, '2041-01')).toMatchObject({ status: 'CLOSED', closing: '100' });
  });
});

describe('the balance at an instant', () => {
  it('is 0 before the first entry, counts an entry from its instant on, and is the present one ahead of the clock', async () => {
    const organization = await anOrganization(gateway, { now: NOON });
    await stampAt(organization, '2041-01-16T00:00:00.000Z');
    await grant(gateway, organization.id, 'purchased', '10');
    await stampAt(organization, '2041-01-17T00:00:00.000Z');
    await charge(organization.client, { amount: '3' });
    await charge(organization.client, { amount: '2' });
    expect(await balanceAt(organization, '0001-01-01T00:00:00Z')).toBe('0');
    expect(await balanceAt(organization, '2041-01-15T23:59:59.999Z')).toBe('0');
    expect(await balanceAt(organization, '2041-01-16T00:00:00Z')).toBe('10');
    expect(await balanceAt(organization, '2041-01-16T23:59:59.999Z')).toBe('10');
    expect(await balanceAt(organization, '2041-01-17T00:00:00Z')).toBe('5');
    expect(await balanceAt(organization, '9999-12-31T23:59:59.999Z')).toBe('5');
  });

  it('knows of what has come due by now, also where nobody has touched the wallet since', async () => {
    const organization = await anOrganization(gateway, { now: NOON, credits: { purchased: '10' } });
    await grant(gateway, organization.id, 'promotional', '5', '2041-01-20T00:00:00.000Z');
    await moveTestClock(
      gateway.gateway.services.sql,
      decodeId('Organization', organization.id),
      instant(Date.parse(FEBRUARY)),
    );
    expect(await balanceAt(organization, '2041-01-19T23:59:59.999Z')).toBe('15');
    expect(await balanceAt(organization, '2041-01-20T00:00:00Z')).toBe('10');
  });

  it('is what a fold over the ledger says, at any instant, and reads one entry of it', async () => {
    const organization = await anOrganization(gateway, { now: NOON, credits: { purchased: '1000' } });
    await query(
      gateway.database,
      `WITH w AS (SELECT w.id, w.sequence, t.id AS transaction_id FROM wallet w
         JOIN ledger_transaction t ON t.wallet_id = w.id WHERE w.organization_id = $1)
       INSERT INTO ledger_entry (wallet_id, sequence, transaction_id, direction, amount_micros, balance_after_micros,
         reason_code, actor_kind, actor_id, effective_at, posted_at, hash)
       SELECT w.id, n + 1, w.transaction_id, 'DEBIT', 1000, 1000000000 - n * 1000, 'USAGE', 'SYSTEM', 'test',
         timestamptz '2041-01-15T13:00:00Z' + (n / 3) * interval '1 minute', '2041-03-01', decode(repeat('ab', 32), 'hex')
       FROM w, generate_series(1, 20000) AS n`,
      [decodeId('Organization', organization.id)],
    );
    const entries = await query<{ effective_at: Date; balance_after_micros: string; wallet_id: string }>(
      gateway.database,
      `SELECT e.* FROM ledger_entry e JOIN wallet w ON w.id = e.wallet_id WHERE w.organization_id = $1 ORDER BY sequence`,
      [decodeId('Organization', organization.id)],
    );
    const { sql } = gateway.gateway.services;
    const walletId = entries[0]?.wallet_id ?? '';
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: -60_000, max: 8_000 * 60_000 }), async (milliseconds) => {
        const at = instant(Date.parse('2041-01-15T13:00:00Z') + milliseconds);
        const last = entries.findLast(({ effective_at: effectiveAt }) => effectiveAt.getTime() <= at);
        expect(await balancesAt(sql, [walletId], at)).toEqual([BigInt(last?.balance_after_micros ?? 0)]);
      }),
    );
    const plan = await query<{ 'QUERY PLAN': string }>(
      gateway.database,
      `EXPLAIN (ANALYZE, BUFFERS OFF, TIMING OFF, SUMMARY OFF) ${gateway.statements.findLast((text) => text.includes('WITH ORDINALITY AS w (id, place)'))}`,
      [[walletId], '2041-01-20T00:00:00Z'],
    );
    const text = plan.map((row) => row['QUERY PLAN']).join('\n');
    expect(text).toContain('Index Scan Backward using ledger_entry_effective');
    expect(text).not.toContain('Seq Scan');
    expect(text).toMatch(/ledger_entry_effective.*rows=1(?:\.00)? /);
  });

  it('of all wallets of an answer is asked for by as many SQL statements as that of one', async () => {
    const operator = gateway.as(gateway.demo.tokens.operator);
    const count = async (first: number): Promise<number> => {
      gateway.statements.length = 0;
      await operator.run(BalancesDocument, { first });
      return gateway.statements.length;
    };
    await count(10);
    expect(await count(10)).toBe(await count(1));
  });
});

describe('the time zone', () => {
  it('of a month is the one in which it was cut, and months follow one another through a change', async () => {
    const organization = await anOrganization(gateway, { now: NOON, credits: { purchased: '100' } });
    const { data } = await organization.client.raw(
      'mutation { updateOrganization(input: { timeZone: "Asia/Tokyo" }) { ... on OrganizationPayload { organization { timeZoneChangesAt } } } }',
    );
    expect(data).toEqual({ updateOrganization: { organization: { timeZoneChangesAt: expect.any(String) } } });
    await advanceTo(gateway, organization.id, '2041-04-15T00:00:00.000Z');
    expect((await statementsOf(organization, { year: 2041 })).map(({ month, endsAt }) => [month, endsAt])).toEqual([
      ['2041-04', '2041-04-30T15:00:00.000Z'],
      ['2041-03', '2041-03-31T15:00:00.000Z'],
      ['2041-02', expect.any(String)],
      ['2041-01', expect.any(String)],
    ]);
    await expectSoundStatements(gateway, organization);
  });
});

describe('asking', () => {
  let organization: Given;
  beforeAll(async () => {
    organization = await anOrganization(gateway, { now: '2041-03-15T12:00:00.000Z', credits: { purchased: '100' } });
  });

  it('answers null for months before the organization was created and for those to come', async () => {
    const created = new Date((await organizationOf(organization)).createdAt);
    const name = (months: number) =>
      new Date(Date.UTC(created.getUTCFullYear(), created.getUTCMonth() + months)).toISOString().slice(0, 7);
    expect(await statementOf(organization, name(-1))).toBeNull();
    expect(await statementOf(organization, name(0))).toMatchObject({ opening: '0', closing: '0' });
    expect(await statementOf(organization, '2041-03')).toMatchObject({ status: 'OPEN', closing: '100' });
    expect(await statementOf(organization, '2041-04')).toBeNull();
    expect(await statementOf(organization, '9999-12')).toBeNull();
  });

  it('lists newest first, by year, by month of the year, and both', async () => {
    const months = async (filter: object) => (await statementsOf(organization, filter)).map(({ month }) => month);
    expect((await months({})).slice(0, 4)).toEqual(['2041-03', '2041-02', '2041-01', '2040-12']);
    expect(await months({ year: 2041 })).toEqual(['2041-03', '2041-02', '2041-01']);
    expect((await months({ month: 3 })).slice(0, 2)).toEqual(['2041-03', '2040-03']);
    expect(await months({ year: 2040, month: 12 })).toEqual(['2040-12']);
    expect(await months({ year: 2042 })).toEqual([]);
  });

  it('lists 120 at most', async () => {
    const old = await anOrganization(gateway, { now: '2041-03-15T12:00:00.000Z' });
    expect(await statementsOf(old)).toHaveLength(120);
  });

  it.each([
    ['statement(month: "2041-13")', 'YearMonth'],
    ['statement(month: "2041-1")', 'YearMonth'],
    ['statement(month: "0000-01")', 'YearMonth'],
    ['statement(month: " 2041-01")', 'YearMonth'],
    ['statement(month: "2041-01-01")', 'YearMonth'],
    ['statement(month: 204101)', 'YearMonth'],
    ['statements(month: 0)', 'month'],
    ['statements(month: 13)', 'month'],
    ['statements(year: 0)', 'year'],
    ['statements(year: 10000)', 'year'],
  ])('refuses %s and names the argument', async (field, named) => {
    const { errors } = await organization.client.raw(
      `{ organization(slug: "${organization.slug}") { ${field} { month } } }`,
    );
    expect(errors).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT' }, message: expect.stringContaining(named) }]);
  });

  it('finds a statement by its id, and none by a foreign or a made-up one', async () => {
    const statement = await statementOf(organization, '2041-02');
    const stranger = await anOrganization(gateway);
    const read = async (client: TestClient, id: string | undefined) =>
      (await client.raw<{ node: unknown }>(`{ node(id: "${id}") { __typename ... on Statement { month hash } } }`)).data
        ?.node;
    const expected = { __typename: 'Statement', month: '2041-02', hash: statement?.hash };
    expect(await read(organization.client, statement?.id)).toEqual(expected);
    expect(await read(gateway.as(gateway.demo.tokens.operator), statement?.id)).toEqual(expected);
    expect(await read(stranger.client, statement?.id)).toBeNull();
    const [wallet = ''] = decodeId('Statement', statement?.id ?? '').split('.');
    for (const key of [
      `${wallet}.2041-13`,
      `${wallet}.2050-01`,
      wallet,
      `${wallet}.`,
      'x.2041-02',
      `${aKey()}.2041-02`,
    ]) {
      expect(await read(organization.client, encodeId('Statement', key))).toBeNull();
    }
  });

  it('sends as many SQL statements for ten years as for one month', async () => {
    const count = async (filter: object): Promise<number> => {
      gateway.statements.length = 0;
      await statementsOf(organization, filter);
      return gateway.statements.length;
    };
    await statementsOf(organization);
    const one = await count({ year: 2041, month: 3 });
    expect(await count({})).toBe(one);
    expect(one).toBeLessThan(20);
  });

  it('sends as many SQL statements for many organizations as for one', async () => {
    const operator = gateway.as(gateway.demo.tokens.operator);
    const count = async (first: number): Promise<number> => {
      gateway.statements.length = 0;
      await operator.run(StatementsOfAllDocument, { first });
      return gateway.statements.length;
    };
    await count(10);
    expect(await count(10)).toBe(await count(1));
  });
});

const organizationOf = async ({ client, slug }: Given) => {
  const { data } = await client.raw<{ organization: { createdAt: string } }>(
    `{ organization(slug: "${slug}") { createdAt } }`,
  );
  if (!data) throw new Error('no organization');
  return data.organization;
};
