/** Statements as files: who gets them, that anybody can verify them, and that spreadsheets run nothing of them. */
import { hash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeId } from '../../src/graphql/ids.ts';
import { StatementDocument } from '../generated/documents.ts';
import { query } from '../support/books.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { advanceTo, anApiKey, anOrganization, type Given } from '../support/given.ts';
import { aFoundation, aMemberOf, JWT_SECRET } from '../support/people.ts';
import { aProject, charge } from '../support/usage.ts';

let gateway: TestGateway;
let organization: Given;
let projectId: string;
beforeAll(async () => {
  gateway = await startTestGateway({ env: { PURSER_JWT_SECRET: JWT_SECRET } });
  organization = await anOrganization(gateway, { now: '2041-01-15T12:00:00.000Z', credits: { purchased: '1000' } });
  const { client } = organization;
  projectId = await aProject(organization, 'web');
  const usage = { meter: 'llm.input_tokens', quantity: '1234.5', dimensions: { model: '=HYPERLINK("x","y")' } };
  await charge(client, { usage: [usage], projectId });
  await charge(client, { amount: '0.000001', reasonCode: 'x' });
  await advanceTo(gateway, organization.id, '2041-02-10T00:00:00.000Z');
});
afterAll(() => gateway[Symbol.asyncDispose]());

async function get(path: string, token?: string, method = 'GET') {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const response = await fetch(new URL(path, gateway.gateway.endpoint), { method, headers });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

const file = (name: string, token = organization.secret) => get(`/statements/${organization.slug}/${name}`, token);

describe('the JSON', () => {
  it('has the content that was hashed, byte by byte, and its hash', async () => {
    const { status, headers, text } = await file('2041-01.json');
    expect(status).toBe(200);
    expect(headers.get('content-type')).toBe('application/json');
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('content-disposition')).toBe(`attachment; filename="${organization.slug}-2041-01.json"`);
    const [, content = '', told] = /^\{"content":(.*),"hash":"([0-9a-f]{64})"\}\n$/s.exec(text) ?? [];
    expect(hash('sha256', content)).toBe(told);
    const { statement } = (
      await organization.client.run(StatementDocument, { slug: organization.slug, month: '2041-01' })
    ).organization ?? { statement: null };
    expect(statement?.hash).toBe(told);
    const [row] = await query<{ wallet: string }>(
      gateway.database,
      'SELECT id AS wallet FROM wallet WHERE organization_id = $1',
      [decodeId('Organization', organization.id)],
    );
    expect(JSON.parse(content)).toMatchObject({
      ...{ scheme: 'purser-statement-1', status: 'CLOSED', slug: organization.slug, walletId: row?.wallet },
      ...{
        month: '2041-01',
        timeZone: 'UTC',
        startsAt: '2041-01-01T00:00:00.000Z',
        endsAt: '2041-02-01T00:00:00.000Z',
      },
      ...{ opening: '0', closing: statement?.closing, fromSequence: 1, toSequence: 3 },
      credited: [{ reasonCode: 'GRANT', credits: '1000', entries: 1 }],
      usage: [
        { meter: 'llm.input_tokens', projectId: decodeId('Project', projectId), quantity: '1234.5', events: 1 },
        { credits: '0.000001', events: 1 },
      ],
    });
  });

  it('is canonical: read and written again with sorted keys it is the same text', async () => {
    const { text } = await file('2041-01.json');
    const { content } = JSON.parse(text) as { content: unknown };
    const sorted = (value: unknown): unknown => {
      if (Array.isArray(value)) return value.map(sorted);
      if (typeof value !== 'object' || value === null) return value;
      return Object.fromEntries(
        Object.entries(value)
          .toSorted()
          .map(([key, member]) => [key, sorted(member)]),
      );
    };
    expect(text).toContain(JSON.stringify(sorted(content)));
  });

  it('of a month that runs has no hash', async () => {
    const { status, text } = await file('2041-02.json');
    expect(status).toBe(200);
    expect(JSON.parse(text)).toMatchObject({ content: { status: 'OPEN', month: '2041-02' }, hash: null });
  });
});

describe('the CSV', () => {
  it('has a row for what it opened and closed with, each reason and all usage, exact and without formulas', async () => {
    const { status, headers, text } = await file('2041-01.csv');
    expect(status).toBe(200);
    expect(headers.get('content-type')).toBe('text/csv; charset=utf-8; header=present');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    const rows = text.split('\r\n');
    const { statement } = (
      await organization.client.run(StatementDocument, { slug: organization.slug, month: '2041-01' })
    ).organization ?? { statement: null };
    const tokens = statement?.usage.find(({ quantity }) => quantity === '1234.5')?.credits;
    expect(rows).toEqual([
      'month,section,reason_code,meter,model,user_id,project_id,quantity,credits,count',
      '2041-01,OPENING,,,,,,,0,',
      '2041-01,CREDITED,GRANT,,,,,,1000,1',
      `2041-01,DEBITED,USAGE,,,,,,${tokens},1`,
      '2041-01,DEBITED,x,,,,,,0.000001,1',
      `2041-01,CLOSING,,,,,,,${statement?.closing},`,
      `2041-01,USAGE,,llm.input_tokens,"'=HYPERLINK(""x"",""y"")",,${decodeId('Project', projectId)},1234.5,${tokens},1`,
      '2041-01,USAGE,,,,,,,0.000001,1',
      '',
    ]);
  });

  it.each(['+1', '-1', '@SUM(A1)', '\tx', '\rx', '=1', '＝1', '＋1', '－1', '＠x'])(
    'makes %j harmless',
    async (model) => {
      const given = await anOrganization(gateway, { now: '2041-01-15T12:00:00.000Z', credits: { purchased: '10' } });
      await charge(given.client, { usage: [{ meter: 'llm.input_tokens', quantity: 1, dimensions: { model } }] });
      const { text } = await get(`/statements/${given.slug}/2041-01.csv`, given.secret);
      expect(text).toContain(`'${model}`);
      expect(text).not.toMatch(/[,"][=+\-@\t\r](?!\n)/);
    },
  );

  it.each(['a\nb', 'a\rb', 'a;b', 'a,b'])('keeps %j in one field', async (model) => {
    const given = await anOrganization(gateway, { now: '2041-01-15T12:00:00.000Z', credits: { purchased: '10' } });
    await charge(given.client, { usage: [{ meter: 'llm.input_tokens', quantity: 1, dimensions: { model } }] });
    const { text } = await get(`/statements/${given.slug}/2041-01.csv`, given.secret);
    expect(text).toContain(`,"${model}",`);
  });
});

describe('a file', () => {
  it('is for those who may read the organization’s billing, and is nobody else’s', async () => {
    const name = '2041-01.csv';
    expect((await file(name, await anApiKey(gateway, organization.id, 'BILLING_READ'))).status).toBe(200);
    expect((await file(name, gateway.demo.tokens.operator)).status).toBe(200);
    expect((await file(name, await anApiKey(gateway, organization.id, 'USAGE_WRITE'))).status).toBe(403);
    expect((await file(name, gateway.demo.tokens.owner)).status).toBe(404);
    const refused = await get(`/statements/${organization.slug}/${name}`);
    expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
    expect((await file(name, 'nonsense')).status).toBe(401);
    const founded = await aFoundation(gateway);
    const narrow = await aMemberOf(gateway, founded, 'ADMIN');
    const month = new Date().toISOString().slice(0, 7);
    expect((await get(`/statements/${founded.slug}/${month}.json`, narrow.token)).status).toBe(200);
    await query(gateway.database, `UPDATE membership SET balance_access = 'EARMARK_ONLY' WHERE id = $1`, [
      decodeId('Membership', narrow.membershipId),
    ]);
    expect((await get(`/statements/${founded.slug}/${month}.json`, narrow.token)).status).toBe(403);
    expect((await get(`/statements/${founded.slug}/${month}.json`, founded.owner.token)).status).toBe(200);
  });

  it.each([
    '2041-13.csv',
    '2041-01.xml',
    '2041-01',
    '2041-1.csv',
    '2041-03.csv',
    '1999-01.json',
    '0000-01.json',
    '../2041-01.csv',
    '2041-01.csv/x',
    '',
  ])('is none under %j', async (name) => {
    expect((await file(name)).status).toBe(404);
  });

  it('is only read', async () => {
    const path = `/statements/${organization.slug}/2041-01.csv`;
    expect((await get(path, organization.secret, 'POST')).status).toBe(404);
    const head = await get(path, organization.secret, 'HEAD');
    expect([head.status, head.text]).toEqual([200, '']);
  });

  it('of an organization that does not exist is answered like a foreign one', async () => {
    const answers = [
      await get('/statements/nobody/2041-01.csv', organization.secret),
      await get('/statements/demo/2041-01.csv', organization.secret),
    ];
    expect(answers[0]?.status).toBe(404);
    expect(answers.map(({ status, text }) => [status, text])).toEqual([
      [404, answers[0]?.text],
      [404, answers[0]?.text],
    ]);
  });
});
