/** Charging by metered usage, one command or thousands of events at a time. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { print } from 'graphql';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeId, encodeId } from '../../src/graphql/ids.ts';
import { projectPath } from '../../src/project-path.ts';
import {
  CreateOrganizationDocument,
  CreateProjectDocument,
  DebitDocument,
  type DebitMutationVariables,
  IngestUsageDocument,
  type IngestUsageMutationVariables,
  LedgerDocument,
  WalletStateDocument,
} from '../generated/documents.ts';
import { expectSoundBooks, query } from '../support/books.ts';
import { createDatabase } from '../support/database.ts';
import { startTestGateway, type TestClient, type TestGateway } from '../support/gateway.ts';
import { advanceTo, aKey, anApiKey, anOrganization, type Given, grant } from '../support/given.ts';

type DebitInput = Omit<DebitMutationVariables['input'], 'idempotencyKey'> & { readonly idempotencyKey?: string };
type Usage = NonNullable<DebitMutationVariables['input']['usage']>;
type EventInput = IngestUsageMutationVariables['input']['events'] extends readonly (infer Event)[] | infer Event
  ? Event
  : never;

/** Rates beside those of the demo: prices that do not divide, and several that match one line. */
const RATES = `
  - { meter: third, unit: part, credits: 1, per: 3 }
  - { meter: render, unit: page, credits: 1 }
  - { meter: render, unit: page, match: { js: true }, credits: 2 }
  - { meter: render, unit: page, match: { js: true, proxy: "home" }, credits: 5 }
  - { meter: speech, unit: second, match: { voice: "anna" }, credits: 3 }
  - { meter: render, unit: page, preview: true, credits: 0.1 }
  - { meter: batch, unit: token, shape: PACKAGE, credits: 2, per: 1000, freeUnits: 500 }
  - { meter: bandwidth, unit: GB, shape: VOLUME, tiers: [{ upTo: 10, credits: 1 }, { credits: 0.5 }] }
  - meter: storage
    unit: GB-hour
    shape: GRADUATED
    per: 10
    tiers:
      - { upTo: 100, credits: 1 }
      - { credits: 0.5 }
    minimumCredits: 0.25
    roundTo: 0.25
    rounding: UP
`;
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

let directory: string;
let gateway: TestGateway;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'purser-usage-'));
  gateway = await startTestGateway({ env: { PURSER_CATALOG: await aCatalog('first', RATES) } });
});
afterAll(async () => {
  await gateway[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

/** A file with the demo's catalog and these rates after its own. */
async function aCatalog(name: string, rates: string): Promise<string> {
  const path = join(directory, `${name}.yaml`);
  await writeFile(path, (await readFile(projectPath('catalogs/demo.yaml'), 'utf8')) + rates);
  return path;
}

async function debit(client: TestClient, input: DebitInput) {
  return (await client.run(DebitDocument, { input: { idempotencyKey: aKey(), ...input } })).debit;
}

async function charged(client: TestClient, input: DebitInput) {
  const answer = await debit(client, input);
  if (answer.__typename !== 'DebitPayload') throw new Error(JSON.stringify(answer));
  return answer;
}

async function ingest(client: TestClient, events: readonly EventInput[], organizationId?: string) {
  const input = { ...(organizationId === undefined ? {} : { organizationId }), events: [...events] };
  return (await client.run(IngestUsageDocument, { input })).recordUsage;
}

async function recorded(client: TestClient, events: readonly EventInput[], organizationId?: string) {
  const answer = await ingest(client, events, organizationId);
  if (answer.__typename !== 'RecordUsagePayload') throw new Error(JSON.stringify(answer));
  return answer;
}

/** An event that costs as many credits as its quantity. */
const searches = (quantity: number | string, idempotencyKey = aKey()): EventInput => ({
  idempotencyKey,
  usage: { meter: 'search', quantity },
});

async function wallet(client: TestClient, slug: string) {
  const { organization } = await client.run(WalletStateDocument, { slug });
  if (!organization?.wallet) throw new Error(`no wallet of ${slug}`);
  return organization.wallet;
}

async function ledger(client: TestClient, slug: string, first = 20) {
  const { organization } = await client.run(LedgerDocument, { slug, first });
  return organization?.wallet?.ledger.edges.map(({ node }) => node) ?? [];
}

async function transactionsUnder({ id }: Pick<Given, 'id'>, idempotencyKey: string): Promise<number> {
  const rows = await query(
    gateway.database,
    `SELECT 1 FROM ledger_transaction t JOIN wallet w ON w.id = t.wallet_id
     WHERE w.organization_id = $1 AND t.idempotency_key = $2`,
    [decodeId('Organization', id), idempotencyKey],
  );
  return rows.length;
}

async function setSubscription({ id }: Pick<Given, 'id'>, status: string): Promise<void> {
  await query(gateway.database, 'UPDATE plan_subscription SET status = $2 WHERE organization_id = $1', [
    decodeId('Organization', id),
    status,
  ]);
}

async function freeze({ id }: Pick<Given, 'id'>): Promise<void> {
  await query(gateway.database, 'UPDATE wallet SET frozen_at = now() WHERE organization_id = $1', [
    decodeId('Organization', id),
  ]);
}

/** An organization that never had a plan. */
async function anUnsubscribedOrganization(): Promise<Omit<Given, 'secret'>> {
  const slug = `org-${randomUUID()}`;
  const { createOrganization } = await gateway
    .as(gateway.demo.tokens.operator)
    .run(CreateOrganizationDocument, { input: { slug, name: slug, testClock: true } });
  if (createOrganization.__typename !== 'OrganizationPayload') throw new Error(JSON.stringify(createOrganization));
  const { id } = createOrganization.organization;
  return { id, slug, client: gateway.as(await anApiKey(gateway, id, 'MASTER')) };
}

describe('debit by usage', () => {
  it.each<[string, Usage[number], string, string]>([
    ['per unit, one where no quantity is given', { meter: 'crawl' }, '1.5', '1.5 credits per page'],
    ['per unit', { meter: 'crawl', quantity: 7 }, '10.5', '1.5 credits per page'],
    [
      'per thousand, in proportion',
      { meter: 'llm.input_tokens', quantity: 1234567 },
      '617.2835',
      '0.5 credits per 1000 token',
    ],
    ['by a fraction of a unit', { meter: 'scrape', quantity: '0.25' }, '0.25', '1 credits per page'],
    ['flat, whatever the quantity', { meter: 'agent.start', quantity: '12.5' }, '5', '5 credits flat'],
    ['nothing for a quantity of 0', { meter: 'crawl', quantity: 0 }, '0', '1.5 credits per page'],
    ['nothing for 0 of a flat rate', { meter: 'agent.start', quantity: '0' }, '0', '5 credits flat'],
    ['a third, rounded to the millionth', { meter: 'third' }, '0.333333', '1 credits per 3 part'],
    ['two thirds, rounded to the millionth', { meter: 'third', quantity: 2 }, '0.666667', '1 credits per 3 part'],
    ['half a millionth as a whole one', { meter: 'scrape', quantity: '0.0000005' }, '0.000001', '1 credits per page'],
    [
      'by started packages',
      { meter: 'batch', quantity: 2501 },
      '6',
      'package of 1000 token for 2 credits, free until 500 token',
    ],
    [
      'nothing within the free units',
      { meter: 'batch', quantity: 500 },
      '0',
      'package of 1000 token for 2 credits, free until 500 token',
    ],
    [
      'by the tiers that the units fall into, rounded as the rate says',
      { meter: 'storage', quantity: 121 },
      '11.25',
      'graduated from 1 credits per 10 GB-hour, at least 0.25 credits',
    ],
    [
      'the minimum',
      { meter: 'storage', quantity: '0.001' },
      '0.25',
      'graduated from 1 credits per 10 GB-hour, at least 0.25 credits',
    ],
    [
      'by the tier that the quantity reaches',
      { meter: 'bandwidth', quantity: 12 },
      '6',
      'volume from 1 credits per GB',
    ],
    [
      'a preview, by a rate of previews',
      { meter: 'render', quantity: 5, preview: true },
      '0.5',
      '0.1 credits per page',
    ],
    ['less than half a millionth as nothing', { meter: 'scrape', quantity: '0.00000049' }, '0', '1 credits per page'],
  ])('charges %s', async (_what, line, credits, rate) => {
    const { client, slug, id } = await anOrganization(gateway, { credits: { purchased: '1000' } });
    const answer = await charged(client, { usage: [line] });
    expect(answer.usage).toEqual({ credits, lines: [{ meter: line.meter, credits }] });
    expect(answer.transaction).toMatchObject({ kind: 'DEBIT', amount: credits === '0' ? '0' : `-${credits}` });
    expect(answer.transaction.lines).toMatchObject([{ meter: line.meter, rate, credits, waivedCredits: '0' }]);
    expect((await wallet(client, slug)).totalAvailable).toBe(answer.availableCredits);
    await expectSoundBooks(gateway.database, id);
  });

  it('takes a quantity as a string or an integer, and gives it back in its shortest form', async () => {
    const { client } = await anOrganization(gateway, { credits: { purchased: '100' } });
    for (const quantity of [3, '3', '3.0', '3.000000000000000000', '03']) {
      const { transaction } = await charged(client, { usage: [{ meter: 'search', quantity }] });
      expect(transaction.lines).toMatchObject([{ quantity: '3', credits: '3' }]);
    }
  });

  it.each([1.5, '1e3', ' 1', '', '1,5', '0x10', 'NaN', '1'.repeat(25), '0.1234567890123456789'])(
    'takes no quantity of %j',
    async (quantity) => {
      const { client, slug } = await anOrganization(gateway, { credits: { purchased: '100' } });
      const variables = { input: { idempotencyKey: aKey(), usage: [{ meter: 'search', quantity }] } };
      const { data, errors } = await client.raw(print(DebitDocument), variables);
      expect(data).toBeNull();
      expect(errors).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT' } }]);
      expect(errors[0]?.message).toContain('quantity');
      expect(await wallet(client, slug)).toMatchObject({ totalAvailable: '100', sequence: 1 });
    },
  );

  it.each<[string, Usage[number]['dimensions'], string]>([
    ['the general rate without dimensions', null, '1'],
    ['the general rate for dimensions that no rate asks for', { country: 'de' }, '1'],
    ['the general rate where a value differs', { js: false }, '1'],
    ['the general rate where a value only looks alike', { js: 'true' }, '1'],
    ['the rate of one dimension', { js: true }, '2'],
    ['the rate of one dimension where the second differs', { js: true, proxy: 'office' }, '2'],
    ['the most specific rate', { proxy: 'home', js: true }, '5'],
    ['the most specific rate beside other dimensions', { proxy: 'home', country: 'de', js: true }, '5'],
  ])('prices by %s', async (_what, dimensions, credits) => {
    const { client } = await anOrganization(gateway, { credits: { purchased: '10' } });
    const { transaction } = await charged(client, { usage: [{ meter: 'render', dimensions }] });
    expect(transaction.lines).toMatchObject([{ credits, dimensions }]);
  });

  it('says of each line whether it was a preview, and refuses a preview that no rate prices', async () => {
    const { client, id } = await anOrganization(gateway, { credits: { purchased: '10' } });
    const usage = [{ meter: 'render', preview: true }, { meter: 'render' }];
    const { transaction } = await charged(client, { usage });
    expect(transaction.lines).toMatchObject([
      { credits: '0.1', preview: true },
      { credits: '1', preview: false },
    ]);
    const refused = await debit(client, { usage: [{ meter: 'crawl', preview: true }] });
    expect(refused).toMatchObject({ __typename: 'UnknownMeter', meter: 'crawl' });
    await expectSoundBooks(gateway.database, id);
  });

  it('takes a preview left out, null and false for one payload, and true for another', async () => {
    const { client } = await anOrganization(gateway, { credits: { purchased: '10' } });
    const idempotencyKey = aKey();
    const first = await charged(client, { idempotencyKey, usage: [{ meter: 'render' }] });
    for (const preview of [false, null]) {
      const again = await charged(client, { idempotencyKey, usage: [{ meter: 'render', preview }] });
      expect(again).toMatchObject({ replayed: true, transaction: { id: first.transaction.id } });
    }
    const other = await debit(client, { idempotencyKey, usage: [{ meter: 'render', preview: true }] });
    expect(other).toMatchObject({ code: 'IDEMPOTENCY_KEY_REUSED' });
  });

  it('publishes its rates whole', async () => {
    const { data } = await gateway.as().raw(`{
      rateCard { rates {
        meter shape preview credits per tiers { upTo credits } freeUnits minimumCredits roundTo rounding
      } }
    }`);
    const { rates } = (data as { rateCard: { rates: { meter: string }[] } }).rateCard;
    expect(rates.find(({ meter }) => meter === 'storage')).toEqual({
      meter: 'storage',
      shape: 'GRADUATED',
      preview: false,
      credits: '1',
      per: '10',
      tiers: [
        { upTo: '100', credits: '1' },
        { upTo: null, credits: '0.5' },
      ],
      freeUnits: '0',
      minimumCredits: '0.25',
      roundTo: '0.25',
      rounding: 'UP',
    });
    expect(rates.find(({ meter }) => meter === 'batch')).toMatchObject({
      shape: 'PACKAGE',
      tiers: [],
      freeUnits: '500',
      minimumCredits: '0',
      roundTo: '0.000001',
      rounding: 'HALF_UP',
    });
  });

  it('charges the exact sum of many lines, each rounded once', async () => {
    const { client, slug, id } = await anOrganization(gateway, { credits: { purchased: '100' } });
    const usage = [
      ...Array.from({ length: 50 }, () => ({ meter: 'third' })),
      ...Array.from({ length: 30 }, () => ({ meter: 'api_call' })),
      ...Array.from({ length: 20 }, () => ({ meter: 'llm.output_tokens', quantity: 7 })),
    ];
    const { transaction, availableCredits } = await charged(client, { usage });
    // 50 × 0.333333 + 30 × 0.1 + 20 × 0.0105
    expect(transaction.amount).toBe('-19.87665');
    expect(transaction.lines).toHaveLength(100);
    expect(availableCredits).toBe('80.12335');
    expect((await ledger(client, slug))[0]).toMatchObject({
      amount: '19.87665',
      balanceAfter: '80.12335',
      meter: null,
    });
    await expectSoundBooks(gateway.database, id);
  });

  it('takes from as many lots as it needs, in burn order, to the last millionth', async () => {
    const { client, slug, id } = await anOrganization(gateway);
    const days = Array.from({ length: 60 }, (_, index) => ((index * 7) % 60) + 1);
    const expiries = days.map((day) => new Date(Date.now() + day * DAY).toISOString());
    await Promise.all(expiries.map((expiresAt) => grant(gateway, id, 'purchased', '0.333333', expiresAt)));
    const { transaction } = await charged(client, { usage: [{ meter: 'api_call', quantity: '199.9' }] });
    const entries = (await ledger(client, slug, 100)).filter((entry) => entry.transaction.id === transaction.id);
    expect(transaction.amount).toBe('-19.99');
    expect(entries).toHaveLength(60);
    expect(entries[0]).toMatchObject({ amount: '0.323353', balanceAfter: '0.00998' });
    expect(new Set(entries.slice(1).map(({ amount }) => amount))).toEqual(new Set(['0.333333']));
    expect(await debit(client, { amount: '0.009981' })).toMatchObject({ code: 'INSUFFICIENT_CREDITS' });
    expect(await debit(client, { amount: '0.00998' })).toMatchObject({ availableCredits: '0' });
    await expectSoundBooks(gateway.database, id);
  });

  it('takes at most 100 lines and at least one', async () => {
    const { client, slug } = await anOrganization(gateway, { credits: { purchased: '1000' } });
    const lines = (length: number) => Array.from({ length }, () => ({ meter: 'search' }));
    for (const usage of [[], lines(101)]) {
      expect(await debit(client, { usage })).toMatchObject({ __typename: 'InvalidInput', path: ['usage'] });
    }
    expect(await debit(client, { usage: lines(2), amount: '2' })).toMatchObject({ path: ['usage'] });
    expect(await debit(client, {})).toMatchObject({ __typename: 'InvalidInput' });
    expect(await wallet(client, slug)).toMatchObject({ totalAvailable: '1000', sequence: 1 });
  });

  it('names the meter in the ledger, with the rate card’s version', async () => {
    const { client, slug } = await anOrganization(gateway, { credits: { purchased: '10' } });
    await charged(client, { usage: [{ meter: 'search' }, { meter: 'search', quantity: 2 }] });
    await charged(client, { amount: '1' });
    expect(await ledger(client, slug)).toMatchObject([
      { meter: null, rateCardVersion: null, reasonCode: 'USAGE', amount: '1' },
      { meter: 'search', rateCardVersion: 1, reasonCode: 'USAGE', amount: '3' },
      { reasonCode: 'GRANT' },
    ]);
  });

  it.each<[string, Usage[number]]>([
    ['that the rate card does not have', { meter: 'teleport', dimensions: { to: 'Mars' } }],
    ['that differs in case', { meter: 'Search' }],
    ['whose rates all ask for dimensions', { meter: 'speech', quantity: 4 }],
    ['whose rates ask for another value', { meter: 'speech', dimensions: { voice: 'bert' } }],
    ['of the name of something in every object', { meter: 'constructor' }],
  ])('refuses a meter %s, with the line’s meter and dimensions', async (_what, line) => {
    const { client, slug } = await anOrganization(gateway, { credits: { purchased: '10' } });
    const key = aKey();
    expect(await debit(client, { idempotencyKey: key, usage: [{ meter: 'search' }, line] })).toMatchObject({
      __typename: 'UnknownMeter',
      meter: line.meter,
      dimensions: line.dimensions ?? null,
      httpStatus: 422,
    });
    expect(await wallet(client, slug)).toMatchObject({ totalAvailable: '10', sequence: 1, version: 1 });
    // Not kept under its key: the same work can be charged once it has a rate.
    expect(await debit(client, { idempotencyKey: key, amount: '1' })).toMatchObject({ replayed: false });
  });

  it('refuses what costs more than one command may charge, and more than any wallet can hold', async () => {
    const { client, slug } = await anOrganization(gateway, { credits: { purchased: '10' } });
    const costly: [Usage, string[]][] = [
      [[{ meter: 'search', quantity: '1000000.000001' }], ['usage']],
      [
        [{ meter: 'read' }, { meter: 'search', quantity: '9'.repeat(24) }],
        ['usage', '1', 'quantity'],
      ],
      [Array.from({ length: 100 }, () => ({ meter: 'search', quantity: '9000000000000' })), ['usage']],
    ];
    for (const [usage, path] of costly) {
      expect(await debit(client, { usage })).toMatchObject({ __typename: 'InvalidInput', path });
    }
    expect(await debit(client, { amount: '1000000.000001' })).toMatchObject({ path: ['amount'] });
    expect(await wallet(client, slug)).toMatchObject({ totalAvailable: '10', sequence: 1 });
  });
});

describe('free work', () => {
  it('stores a transaction with its lines, and neither entry nor version', async () => {
    const { client, slug, id } = await anOrganization(gateway, { credits: { purchased: '10' } });
    const key = aKey();
    const answer = await charged(client, { idempotencyKey: key, usage: [{ meter: 'read', quantity: 40 }] });
    expect(answer).toMatchObject({
      transaction: { kind: 'DEBIT', amount: '0', idempotencyKey: key },
      usage: { credits: '0', lines: [{ meter: 'read', credits: '0' }] },
      availableCredits: '10',
      replayed: false,
    });
    expect(answer.transaction.lines).toMatchObject([{ meter: 'read', quantity: '40', credits: '0' }]);
    expect(await wallet(client, slug)).toMatchObject({ totalAvailable: '10', sequence: 1, version: 1 });
    expect(await transactionsUnder({ id }, key)).toBe(1);
    expect(await debit(client, { idempotencyKey: key, usage: [{ meter: 'read', quantity: 40 }] })).toEqual({
      ...answer,
      replayed: true,
    });
    expect(await transactionsUnder({ id }, key)).toBe(1);
    await expectSoundBooks(gateway.database, id);
  });

  it('passes with a balance of 0', async () => {
    const { client, slug, id } = await anOrganization(gateway);
    expect(await debit(client, { usage: [{ meter: 'read' }] })).toMatchObject({ availableCredits: '0' });
    expect(await debit(client, { usage: [{ meter: 'read' }, { meter: 'search' }] })).toMatchObject({
      __typename: 'InsufficientCredits',
      requiredCredits: '1',
    });
    expect(await wallet(client, slug)).toMatchObject({ sequence: 0, version: 0 });
    await expectSoundBooks(gateway.database, id);
  });

  it('needs a subscription all the same', async () => {
    const { client, id } = await anUnsubscribedOrganization();
    const key = aKey();
    expect(await debit(client, { idempotencyKey: key, usage: [{ meter: 'read' }] })).toMatchObject({
      __typename: 'SubscriptionRequired',
    });
    expect(await transactionsUnder({ id }, key)).toBe(0);
  });
});

describe('the subscription', () => {
  it('is missed with its status where it has lapsed', async () => {
    const lapsed = gateway.as(gateway.demo.lapsedTokens.usageKey);
    const refusal = { __typename: 'SubscriptionRequired', status: 'CANCELED', httpStatus: 403 };
    expect(await debit(lapsed, { amount: '1' })).toMatchObject(refusal);
    expect(await debit(lapsed, { usage: [{ meter: 'search' }] })).toMatchObject(refusal);
  });

  it('is missed without a status where there never was one', async () => {
    const { id, client } = await anUnsubscribedOrganization();
    await grant(gateway, id, 'purchased', '10');
    expect(await debit(client, { amount: '1' })).toMatchObject({ __typename: 'SubscriptionRequired', status: null });
    await expectSoundBooks(gateway.database, id);
  });

  it.each([
    ['ACTIVE', true],
    ['TRIALING', true],
    ['PAST_DUE', false],
    ['CANCELED', false],
  ] as const)('in the state %s lets credits be spent: %s', async (status, spends) => {
    const given = await anOrganization(gateway, { credits: { purchased: '10' } });
    const key = aKey();
    await setSubscription(given, status);
    expect(await debit(given.client, { idempotencyKey: key, amount: '4' })).toMatchObject(
      spends ? { __typename: 'DebitPayload' } : { __typename: 'SubscriptionRequired', status },
    );
    expect(await wallet(given.client, given.slug)).toMatchObject({ totalAvailable: spends ? '6' : '10' });
    await setSubscription(given, 'ACTIVE');
    expect(await debit(given.client, { idempotencyKey: key, amount: '4' })).toMatchObject({ replayed: spends });
    expect(await wallet(given.client, given.slug)).toMatchObject({ totalAvailable: '6' });
  });
});

describe('when the work was done', () => {
  const ago = (milliseconds: number): string => new Date(Date.now() - milliseconds).toISOString();

  it('may be up to seven days ago and five minutes ahead', async () => {
    const { client, slug } = await anOrganization(gateway, { credits: { purchased: '10' } });
    const refused = [ago(7 * DAY + HOUR), ago(400 * DAY), '1970-01-01T00:00:00Z', ago(-6 * 60_000), ago(-365 * DAY)];
    for (const occurredAt of refused) {
      const answer = await debit(client, { amount: '1', occurredAt });
      expect(answer).toMatchObject({ __typename: 'InvalidInput', path: ['occurredAt'] });
    }
    const taken = [ago(7 * DAY - HOUR), ago(1_000), ago(-4 * 60_000)];
    for (const occurredAt of taken) await charged(client, { amount: '1', occurredAt });
    const entries = await ledger(client, slug);
    expect(entries.slice(0, 3).map(({ occurredAt }) => occurredAt)).toEqual(taken.toReversed());
    // What is late counts when it is posted.
    for (const { postedAt, effectiveAt } of entries) expect(effectiveAt).toBe(postedAt);
    expect(await wallet(client, slug)).toMatchObject({ totalAvailable: '7' });
  });

  it('is measured by the organization’s own clock', async () => {
    const { client, id } = await anOrganization(gateway, { credits: { purchased: '10' } });
    await advanceTo(gateway, id, '2040-06-15T12:00:00Z');
    expect(await debit(client, { amount: '1', occurredAt: ago(0) })).toMatchObject({ path: ['occurredAt'] });
    for (const occurredAt of ['2040-06-08T13:00:00Z', '2040-06-15T14:03:00+02:00']) {
      await charged(client, { amount: '1', occurredAt });
    }
    for (const occurredAt of ['2040-06-08T11:00:00Z', '2040-06-15T12:20:00Z']) {
      expect(await debit(client, { amount: '1', occurredAt })).toMatchObject({ path: ['occurredAt'] });
    }
  });

  it('does not keep a charge from being answered again when it has become too old', async () => {
    const { client, id } = await anOrganization(gateway, { credits: { purchased: '10' } });
    const input = { idempotencyKey: aKey(), amount: '1', occurredAt: ago(HOUR) };
    const first = await charged(client, input);
    await advanceTo(gateway, id, ago(-30 * DAY));
    expect(await debit(client, input)).toEqual({ ...first, replayed: true });
  });

  it('picks the rate, and what was priced stays priced', async () => {
    const database = await createDatabase();
    try {
      const before = await startTestGateway({ database, env: { PURSER_CATALOG: await aCatalog('old', RATES) } });
      const given = await anOrganization(before, { credits: { purchased: '100' } });
      const usage = [{ meter: 'third', quantity: 3 }];
      const atOldPrice = await charged(given.client, { usage });
      await before[Symbol.asyncDispose]();
      const dearer = RATES.replace('credits: 1, per: 3', 'credits: 4, per: 3');
      await using after = await startTestGateway({ database, env: { PURSER_CATALOG: await aCatalog('new', dearer) } });
      const client = after.as(given.secret);
      const late = await charged(client, { usage, occurredAt: ago(HOUR) });
      const now = await charged(client, { usage });
      expect(atOldPrice.usage.credits).toBe('1');
      expect(late.usage.credits).toBe('1');
      expect(now.usage.credits).toBe('4');
      expect(
        (await ledger(client, given.slug)).map(({ amount, rateCardVersion }) => [amount, rateCardVersion]),
      ).toEqual([
        ['4', 2],
        ['1', 1],
        ['1', 1],
        ['100', null],
      ]);
      await expectSoundBooks(database, given.id);
    } finally {
      await database[Symbol.asyncDispose]();
    }
  });
});

describe('of several reasons to refuse', () => {
  const nobody = encodeId('Organization', randomUUID());
  const noProject = encodeId('Project', randomUUID());

  it('an invalid input comes before whatever does not exist', async () => {
    const { client } = await anOrganization(gateway);
    const invalid: DebitInput[] = [
      { amount: '0' },
      { amount: '-1' },
      { amount: '1000000.000001' },
      { usage: [{ meter: 'search' }, { meter: 'search', quantity: -1 }] },
      { usage: [{ meter: '' }] },
      { usage: [{ meter: 'search', dimensions: [1] }] },
      { amount: '1', reasonCode: 'PURCHASE' },
      { amount: '1', taskId: '' },
      { amount: '1', metadata: 'text' },
      { amount: '1', idempotencyKey: '' },
    ];
    for (const input of invalid) {
      for (const missing of [{ organizationId: nobody }, { projectId: noProject }]) {
        expect([input, await debit(client, { ...input, ...missing })]).toMatchObject([
          input,
          { code: 'INVALID_INPUT' },
        ]);
      }
    }
  });

  it('an invalid input comes before the frozen wallet', async () => {
    const given = await anOrganization(gateway, { credits: { purchased: '10' } });
    await freeze(given);
    const invalid: DebitInput[] = [
      { amount: '0' },
      { amount: '1000000.000001' },
      { amount: '1', occurredAt: '2020-01-01T00:00:00Z' },
      { usage: [{ meter: 'search', quantity: '-0.1' }] },
    ];
    for (const input of invalid) {
      expect([input, await debit(given.client, input)]).toMatchObject([input, { code: 'INVALID_INPUT' }]);
    }
  });

  it('what does not exist comes before the key’s earlier use', async () => {
    const { client } = await anOrganization(gateway, { credits: { purchased: '10' } });
    const { transaction } = await charged(client, { amount: '1' });
    const reused = { idempotencyKey: transaction.idempotencyKey ?? '', amount: '2' };
    expect(await debit(client, reused)).toMatchObject({ code: 'IDEMPOTENCY_KEY_REUSED' });
    for (const missing of [
      { projectId: noProject },
      { userId: encodeId('User', 'stranger') },
      { organizationId: nobody },
    ]) {
      expect(await debit(client, { ...reused, ...missing })).toMatchObject({ code: 'NOT_FOUND' });
    }
  });

  it('the key’s earlier use comes before the frozen wallet', async () => {
    const given = await anOrganization(gateway, { credits: { purchased: '10' } });
    const input = { idempotencyKey: aKey(), amount: '1' };
    const first = await charged(given.client, input);
    await freeze(given);
    expect(await debit(given.client, input)).toEqual({ ...first, replayed: true });
    expect(await debit(given.client, { ...input, amount: '2' })).toMatchObject({ code: 'IDEMPOTENCY_KEY_REUSED' });
  });

  it('the frozen wallet comes before meter, subscription and funds', async () => {
    const given = await anOrganization(gateway);
    await freeze(given);
    await setSubscription(given, 'CANCELED');
    for (const input of [{ usage: [{ meter: 'teleport' }] }, { amount: '1' }]) {
      expect(await debit(given.client, input)).toMatchObject({ __typename: 'WalletFrozen', httpStatus: 423 });
    }
  });

  it('the unknown meter comes before subscription and funds', async () => {
    const given = await anOrganization(gateway);
    await setSubscription(given, 'CANCELED');
    expect(
      await debit(given.client, { usage: [{ meter: 'search', quantity: 9 }, { meter: 'teleport' }] }),
    ).toMatchObject({
      __typename: 'UnknownMeter',
      meter: 'teleport',
    });
  });

  it('the subscription comes before the funds', async () => {
    const given = await anOrganization(gateway);
    expect(await debit(given.client, { amount: '5' })).toMatchObject({ code: 'INSUFFICIENT_CREDITS' });
    await setSubscription(given, 'PAST_DUE');
    expect(await debit(given.client, { amount: '5' })).toMatchObject({ code: 'SUBSCRIPTION_REQUIRED' });
  });
});

describe('recordUsage', () => {
  it('answers each event for itself, in order', async () => {
    const { client, slug, id } = await anOrganization(gateway, { credits: { purchased: '10' } });
    const known = searches(2);
    const [first] = (await recorded(client, [known])).results;
    const free: EventInput = { idempotencyKey: aKey(), usage: { meter: 'read' } };
    const unknown: EventInput = { idempotencyKey: aKey(), usage: { meter: 'teleport', dimensions: { to: 'Mars' } } };
    const accepted = searches('0.5');
    const tooMuch = searches(100);
    const answer = await recorded(client, [known, accepted, unknown, tooMuch, free]);
    expect(answer).toMatchObject({ accepted: 2, duplicates: 1, rejected: 2, availableCredits: '7.5' });
    expect(answer.results).toMatchObject([
      {
        idempotencyKey: known.idempotencyKey,
        status: 'DUPLICATE',
        credits: '2',
        transaction: first?.transaction,
        error: null,
      },
      {
        idempotencyKey: accepted.idempotencyKey,
        status: 'ACCEPTED',
        credits: '0.5',
        transaction: { amount: '-0.5' },
        error: null,
      },
      {
        idempotencyKey: unknown.idempotencyKey,
        status: 'REJECTED',
        credits: '0',
        transaction: null,
        error: { code: 'UNKNOWN_METER', meter: 'teleport', dimensions: { to: 'Mars' } },
      },
      {
        idempotencyKey: tooMuch.idempotencyKey,
        status: 'REJECTED',
        credits: '0',
        transaction: null,
        error: { code: 'INSUFFICIENT_CREDITS', requiredCredits: '100', availableCredits: '7.5' },
      },
      {
        idempotencyKey: free.idempotencyKey,
        status: 'ACCEPTED',
        credits: '0',
        transaction: { amount: '0' },
        error: null,
      },
    ]);
    expect(await wallet(client, slug)).toMatchObject({ totalAvailable: '7.5', sequence: 3, version: 3 });
    await expectSoundBooks(gateway.database, id);
  });

  it('sums the usage of accepted events only', async () => {
    const { client } = await anOrganization(gateway, { credits: { purchased: '10' } });
    const known = searches(2);
    await recorded(client, [known]);
    const { usage } = await recorded(client, [searches('1.25'), known, searches(50), searches('0.5')]);
    expect(usage).toEqual({
      credits: '1.75',
      lines: [
        { meter: 'search', quantity: '1.25', credits: '1.25' },
        { meter: 'search', quantity: '0.5', credits: '0.5' },
      ],
    });
  });

  it('tells what can be spent after the call, also when its last event was known before', async () => {
    const { client, slug } = await anOrganization(gateway, { credits: { purchased: '10' } });
    const known = searches(1);
    await recorded(client, [known]);
    await charged(client, { amount: '5' });
    const { availableCredits } = await recorded(client, [searches(1), known]);
    expect(availableCredits).toBe((await wallet(client, slug)).totalAvailable);
    expect(availableCredits).toBe('3');
  });

  it('knows a key that it met before in the same call', async () => {
    const { client, slug, id } = await anOrganization(gateway, { credits: { purchased: '10' } });
    const key = aKey();
    const spelledOtherwise: EventInput = {
      idempotencyKey: key,
      usage: { meter: 'search', quantity: '2.0', dimensions: null },
    };
    const { results, ...counts } = await recorded(client, [
      searches(2, key),
      spelledOtherwise,
      searches(3, key),
      searches(2, key),
    ]);
    expect(counts).toMatchObject({ accepted: 1, duplicates: 2, rejected: 1, usage: { credits: '2' } });
    const [first] = results;
    expect(results).toMatchObject([
      { status: 'ACCEPTED', credits: '2' },
      { status: 'DUPLICATE', credits: '2', transaction: first?.transaction, error: null },
      {
        status: 'REJECTED',
        credits: '0',
        transaction: null,
        error: { code: 'IDEMPOTENCY_KEY_REUSED', idempotencyKey: key },
      },
      { status: 'DUPLICATE', credits: '2', transaction: first?.transaction, error: null },
    ]);
    expect(await wallet(client, slug)).toMatchObject({ totalAvailable: '8', sequence: 2 });
    expect(await transactionsUnder({ id }, key)).toBe(1);
  });

  it('decides in the order given: what comes after a refusal may still be paid', async () => {
    const { client, slug, id } = await anOrganization(gateway, { credits: { purchased: '10' } });
    const { results, availableCredits } = await recorded(
      client,
      [6, 6, 4, 1].map((quantity) => searches(quantity)),
    );
    expect(results.map(({ status }) => status)).toEqual(['ACCEPTED', 'REJECTED', 'ACCEPTED', 'REJECTED']);
    expect(results.map(({ error }) => error)).toMatchObject([
      null,
      { requiredCredits: '6', availableCredits: '4' },
      null,
      { requiredCredits: '1', availableCredits: '0' },
    ]);
    expect(availableCredits).toBe('0');
    expect((await ledger(client, slug)).map(({ balanceAfter }) => balanceAfter)).toEqual(['0', '4', '10']);
    await expectSoundBooks(gateway.database, id);
  });

  it('takes 5,000 events in one call, in order until the funds end', async () => {
    const { client, slug, id } = await anOrganization(gateway, { credits: { purchased: '4321' } });
    const events = Array.from({ length: 5_000 }, () => searches(1));
    const answer = await recorded(client, events);
    expect(answer).toMatchObject({ accepted: 4_321, duplicates: 0, rejected: 679, availableCredits: '0' });
    expect(answer.usage.credits).toBe('4321');
    expect(answer.usage.lines).toHaveLength(4_321);
    expect(answer.results.map(({ idempotencyKey }) => idempotencyKey)).toEqual(
      events.map(({ idempotencyKey }) => idempotencyKey),
    );
    expect(answer.results.findIndex(({ status }) => status === 'REJECTED')).toBe(4_321);
    expect(answer.results.findLastIndex(({ status }) => status === 'ACCEPTED')).toBe(4_320);
    expect(await wallet(client, slug)).toMatchObject({ totalAvailable: '0', sequence: 4_322, version: 4_322 });
    await expectSoundBooks(gateway.database, id);
    expect(await recorded(client, events)).toMatchObject({
      accepted: 0,
      duplicates: 5_000,
      rejected: 0,
      usage: { credits: '0' },
    });
    expect(await wallet(client, slug)).toMatchObject({ sequence: 4_322, version: 4_322 });
  });

  it('takes neither 5,001 events nor none', async () => {
    const { client, slug } = await anOrganization(gateway, { credits: { purchased: '10' } });
    for (const events of [Array.from({ length: 5_001 }, () => searches(1)), []]) {
      expect(await ingest(client, events)).toMatchObject({ __typename: 'InvalidInput', path: ['events'] });
    }
    expect(await wallet(client, slug)).toMatchObject({ totalAvailable: '10', sequence: 1 });
  });

  it('names the field of an invalid event by its way through the input, and takes the others', async () => {
    const { client, slug } = await anOrganization(gateway, { credits: { purchased: '10' } });
    const answer = await recorded(client, [
      searches(1),
      searches(-1),
      searches(1, ''),
      { ...searches(1), taskId: 'x'.repeat(256) },
      { idempotencyKey: aKey(), usage: { meter: 'search', dimensions: { nested: {} } } },
      { ...searches(1), occurredAt: '2020-01-01T00:00:00Z' },
      searches(1),
    ]);
    expect(answer).toMatchObject({ accepted: 2, rejected: 5, availableCredits: '8' });
    expect(answer.results.map(({ error }) => (error && 'path' in error ? error.path : error))).toEqual([
      null,
      ['events', '1', 'usage', 'quantity'],
      ['events', '2', 'idempotencyKey'],
      ['events', '3', 'taskId'],
      ['events', '4', 'usage', 'dimensions', 'nested'],
      ['events', '5', 'occurredAt'],
      null,
    ]);
    expect(await wallet(client, slug)).toMatchObject({ totalAvailable: '8', sequence: 3 });
  });

  it('gives a refusal for funds again under its key, as a duplicate, after a top-up too', async () => {
    const { client, slug, id } = await anOrganization(gateway, { credits: { purchased: '1' } });
    const event = searches(5);
    const [refused] = (await recorded(client, [event])).results;
    await grant(gateway, id, 'purchased', '100');
    const again = await recorded(client, [event, searches(5)]);
    expect(again).toMatchObject({ accepted: 1, duplicates: 1, rejected: 0, usage: { credits: '5' } });
    expect(again.results[0]).toEqual({ ...refused, status: 'DUPLICATE' });
    expect(refused).toMatchObject({ credits: '0', error: { requiredCredits: '5', availableCredits: '1' } });
    expect(await wallet(client, slug)).toMatchObject({ totalAvailable: '96' });
  });

  it('rejects events without a subscription one by one, and takes them when there is one', async () => {
    const given = await anOrganization(gateway, { credits: { purchased: '10' } });
    const events = [searches(1), searches(2)];
    await setSubscription(given, 'PAST_DUE');
    const rejected = await recorded(given.client, events);
    expect(rejected).toMatchObject({ accepted: 0, rejected: 2, usage: { credits: '0', lines: [] } });
    expect(rejected.results).toMatchObject([
      { error: { code: 'SUBSCRIPTION_REQUIRED', status: 'PAST_DUE' } },
      { error: { code: 'SUBSCRIPTION_REQUIRED', status: 'PAST_DUE' } },
    ]);
    await setSubscription(given, 'ACTIVE');
    expect(await recorded(given.client, events)).toMatchObject({ accepted: 2, availableCredits: '7' });
  });

  it('is open to a key that may only charge usage', async () => {
    const { id } = await anOrganization(gateway, { credits: { purchased: '10' } });
    const usageKey = gateway.as(await anApiKey(gateway, id, 'USAGE_WRITE'));
    expect(await recorded(usageKey, [searches(1), searches(20)])).toMatchObject({
      accepted: 1,
      rejected: 1,
      availableCredits: '9',
      usage: { credits: '1' },
      results: [{ transaction: { amount: '-1' } }, { error: { code: 'INSUFFICIENT_CREDITS', availableCredits: '9' } }],
    });
  });

  it('lets an operator record for several organizations, each by its own keys and funds', async () => {
    const operator = gateway.as(gateway.demo.tokens.operator);
    const rich = await anOrganization(gateway, { credits: { purchased: '100' } });
    const poor = await anOrganization(gateway, { credits: { purchased: '1' } });
    const key = aKey();
    const answer = await recorded(
      operator,
      [
        { ...searches(5, key), organizationId: rich.id },
        { ...searches(1, key), organizationId: poor.id },
        { ...searches(1), organizationId: poor.id },
        searches(2),
      ],
      rich.id,
    );
    expect(answer).toMatchObject({
      accepted: 3,
      duplicates: 0,
      rejected: 1,
      availableCredits: null,
      usage: { credits: '8' },
    });
    expect(answer.results.map(({ status }) => status)).toEqual(['ACCEPTED', 'ACCEPTED', 'REJECTED', 'ACCEPTED']);
    expect(await wallet(rich.client, rich.slug)).toMatchObject({ totalAvailable: '93', sequence: 3 });
    expect(await wallet(poor.client, poor.slug)).toMatchObject({ totalAvailable: '0', sequence: 2 });
    await expectSoundBooks(gateway.database, rich.id);
    await expectSoundBooks(gateway.database, poor.id);
  });

  it('looks a project up once for all events of a call', async () => {
    const { client, id } = await anOrganization(gateway, { credits: { purchased: '1000' } });
    const { createProject } = await gateway
      .as(gateway.demo.tokens.operator)
      .run(CreateProjectDocument, { input: { organizationId: id, key: 'research', name: 'Research' } });
    if (createProject.__typename !== 'ProjectPayload') throw new Error(JSON.stringify(createProject));
    const projectId = createProject.project.id;
    const events = Array.from({ length: 250 }, () => ({ ...searches(1), projectId }));
    gateway.statements.length = 0;
    expect(await recorded(client, events)).toMatchObject({ accepted: 250 });
    expect(gateway.statements.length).toBeGreaterThan(0);
    expect(gateway.statements.length).toBeLessThan(100);
  });

  it('stores nothing of a call that names an organization which is not the caller’s', async () => {
    const own = await anOrganization(gateway, { credits: { purchased: '10' } });
    const foreign = await anOrganization(gateway, { credits: { purchased: '10' } });
    for (const organizationId of [foreign.id, encodeId('Organization', randomUUID()), 'nonsense']) {
      const answer = await ingest(own.client, [searches(1), { ...searches(1), organizationId }]);
      expect(answer).toMatchObject({ __typename: 'NotFound', httpStatus: 404 });
      expect(await ingest(own.client, [searches(1)], organizationId)).toMatchObject({ __typename: 'NotFound' });
    }
    expect(await wallet(own.client, own.slug)).toMatchObject({ totalAvailable: '10', sequence: 1 });
    expect(await wallet(foreign.client, foreign.slug)).toMatchObject({ totalAvailable: '10', sequence: 1 });
  });

  it('needs to be told the organization by a caller who may belong to many', async () => {
    expect(await ingest(gateway.as(gateway.demo.tokens.operator), [searches(1)])).toMatchObject({
      __typename: 'InvalidInput',
      path: ['organizationId'],
    });
  });

  it('charges an event once when the same call reaches two gateways', async () => {
    await using second = await startTestGateway({ database: gateway.database });
    const { client, slug, id, secret } = await anOrganization(gateway, { credits: { purchased: '1000' } });
    const events = Array.from({ length: 200 }, () => searches(1));
    const answers = await Promise.all(
      [client, second.as(secret), client, second.as(secret)].map((caller) => recorded(caller, events)),
    );
    expect(answers.reduce((total, { accepted }) => total + accepted, 0)).toBe(200);
    expect(answers.reduce((total, { duplicates }) => total + duplicates, 0)).toBe(600);
    for (const [index, { idempotencyKey }] of events.entries()) {
      const transactions = new Set(answers.map(({ results }) => results[index]?.transaction?.id));
      expect([idempotencyKey, transactions.size]).toEqual([idempotencyKey, 1]);
    }
    expect(await wallet(client, slug)).toMatchObject({ totalAvailable: '800', sequence: 201 });
    await expectSoundBooks(gateway.database, id);
  });
});
