/** One effect per idempotency key: what counts as the same request, what a replay answers, and which refusals stay. */
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeId, encodeId } from '../../src/graphql/ids.ts';
import { encodeAnswer } from '../../src/persistence/batch/answer-codec.ts';
import { databaseNow } from '../../src/persistence/clock.ts';
import {
  AdjustBalanceDocument,
  ApplyCatalogDocument,
  BeginPurchaseDocument,
  CreateApiKeyDocument,
  CreateProjectDocument,
  DebitDocument,
  type DebitMutationVariables,
  GrantCreditsDocument,
  IngestUsageDocument,
  LedgerDocument,
  PurchasesDocument,
  RedeemPromoCodeDocument,
  WalletStateDocument,
} from '../generated/documents.ts';
import { expectSoundBooks, query } from '../support/books.ts';
import { demoWith } from '../support/catalog-files.ts';
import { startTestGateway, type TestClient, type TestGateway } from '../support/gateway.ts';
import { aKey, anApiKey, anOrganization, type Given, grant } from '../support/given.ts';

type DebitInput = Omit<DebitMutationVariables['input'], 'idempotencyKey'> & { readonly idempotencyKey?: string };

let gateway: TestGateway;
let operator: TestClient;
beforeAll(async () => {
  gateway = await startTestGateway();
  operator = gateway.as(gateway.demo.tokens.operator);
  const yaml = demoWith(['code: WELCOME,', 'code: WELCOME, maxPerOrganization: 1000,']);
  await operator.run(ApplyCatalogDocument, { input: { yaml } });
});
afterAll(() => gateway[Symbol.asyncDispose]());

const aFundedOrganization = (): Promise<Given> => anOrganization(gateway, { credits: { purchased: '100' } });

async function debit(client: TestClient, input: DebitInput) {
  return (await client.run(DebitDocument, { input: { idempotencyKey: aKey(), ...input } })).debit;
}

async function charged(client: TestClient, input: DebitInput) {
  const answer = await debit(client, input);
  if (answer.__typename !== 'DebitPayload') throw new Error(JSON.stringify(answer));
  return answer;
}

async function wallet({ client, slug }: Given) {
  const { organization } = await client.run(WalletStateDocument, { slug });
  if (!organization?.wallet) throw new Error(`no wallet of ${slug}`);
  return organization.wallet;
}

async function aProject(organizationId: string): Promise<string> {
  const { createProject } = await operator.run(CreateProjectDocument, {
    input: { organizationId, key: 'research', name: 'Research' },
  });
  if (createProject.__typename !== 'ProjectPayload') throw new Error(JSON.stringify(createProject));
  return createProject.project.id;
}

interface Answer {
  readonly __typename: string;
  readonly code?: string;
  readonly replayed?: boolean;
}

/** Every operation that takes a key, doing a little of what it does. */
const OPERATIONS: Readonly<Record<string, (given: Given, idempotencyKey: string) => Promise<Answer>>> = {
  debit: ({ client }, idempotencyKey) => debit(client, { idempotencyKey, usage: [{ meter: 'search' }] }),
  recordUsage: async ({ client }, idempotencyKey) => {
    const input = { events: [{ idempotencyKey, usage: { meter: 'search' } }] };
    const { recordUsage } = await client.run(IngestUsageDocument, { input });
    if (recordUsage.__typename !== 'RecordUsagePayload') throw new Error(JSON.stringify(recordUsage));
    const [result] = recordUsage.results;
    if (!result) throw new Error('an event has a result');
    return result.error ?? { __typename: 'ACCEPTED', ...result, status: null, replayed: result.status === 'DUPLICATE' };
  },
  grantCredits: async ({ id: organizationId }, idempotencyKey) => {
    const input = { organizationId, idempotencyKey, credits: '1', bucketKey: 'purchased', reason: 'x' };
    const { grantCredits } = await operator.run(GrantCreditsDocument, { input });
    return grantCredits.__typename === 'GrantPayload' ? { ...grantCredits, wallet: null } : grantCredits;
  },
  adjustBalance: async ({ id: organizationId }, idempotencyKey) => {
    const input = { organizationId, idempotencyKey, credits: '1', bucketKey: 'purchased', reason: 'x' };
    const { adjustBalance } = await operator.run(AdjustBalanceDocument, { input });
    return adjustBalance.__typename === 'AdjustPayload' ? { ...adjustBalance, wallet: null } : adjustBalance;
  },
  redeemPromoCode: async ({ client }, idempotencyKey) => {
    const { redeemPromoCode } = await client.run(RedeemPromoCodeDocument, {
      input: { code: 'WELCOME', idempotencyKey },
    });
    return redeemPromoCode.__typename === 'GrantPayload'
      ? { ...redeemPromoCode, lot: redeemPromoCode.lot.id, wallet: null }
      : redeemPromoCode;
  },
  purchasePackage: async ({ client }, idempotencyKey) => {
    const input = { packageId: encodeId('Package', 'starter'), idempotencyKey };
    return (await client.run(BeginPurchaseDocument, { input })).purchasePackage;
  },
};
const NAMES = Object.keys(OPERATIONS);

function perform(name: string, given: Given, idempotencyKey: string): Promise<Answer> {
  const operation = OPERATIONS[name];
  if (!operation) throw new Error(`no operation ${name}`);
  return operation(given, idempotencyKey);
}

describe('the same request under the same key', () => {
  it.each(NAMES)('%s is answered as the first time, ids included, and marked', async (name) => {
    const given = await aFundedOrganization();
    const key = aKey();
    const first = await perform(name, given, key);
    await debit(given.client, { amount: '30' });
    const before = await wallet(given);
    expect(first.replayed).toBe(false);
    for (let count = 0; count < 3; count++) {
      expect(await perform(name, given, key)).toEqual({ ...first, replayed: true });
    }
    expect(await wallet(given)).toEqual(before);
    const { organization } = await given.client.run(PurchasesDocument, { slug: given.slug });
    expect(organization?.purchases?.edges).toHaveLength(name === 'purchasePackage' ? 1 : 0);
    await expectSoundBooks(gateway.database, given.id);
  });

  it('tells what could be spent right after the first time, and the wallet as it is now', async () => {
    const { client } = await aFundedOrganization();
    const document = `mutation ($input: DebitInput!) {
      debit(input: $input) { ... on DebitPayload { availableCredits replayed wallet { totalAvailable } } }
    }`;
    const input = { idempotencyKey: aKey(), amount: '1' };
    expect((await client.raw(document, { input })).data).toEqual({
      debit: { availableCredits: '99', replayed: false, wallet: { totalAvailable: '99' } },
    });
    await charged(client, { amount: '50' });
    expect((await client.raw(document, { input })).data).toEqual({
      debit: { availableCredits: '99', replayed: true, wallet: { totalAvailable: '49' } },
    });
  });

  it('is answered to any key of the organization that may charge, as after a change of keys', async () => {
    const { id } = await aFundedOrganization();
    const before = gateway.as(await anApiKey(gateway, id, 'USAGE_WRITE'));
    const after = gateway.as(await anApiKey(gateway, id, 'USAGE_WRITE'));
    const input = { idempotencyKey: aKey(), usage: [{ meter: 'search', quantity: 2 }] };
    const first = await charged(before, input);
    expect(await debit(after, input)).toEqual({ ...first, replayed: true });
  });

  it('is answered as a duplicate event to any key of the organization that may charge', async () => {
    const { id } = await aFundedOrganization();
    const before = gateway.as(await anApiKey(gateway, id, 'USAGE_WRITE'));
    const after = gateway.as(await anApiKey(gateway, id, 'USAGE_WRITE'));
    const input = { events: [{ idempotencyKey: aKey(), usage: { meter: 'search', quantity: 2 } }] };
    const ingest = async (client: TestClient) => {
      const { recordUsage } = await client.run(IngestUsageDocument, { input });
      return recordUsage.__typename === 'RecordUsagePayload' ? recordUsage.results[0] : null;
    };
    const first = await ingest(before);
    expect(first).toMatchObject({ status: 'ACCEPTED', transaction: { amount: '-2' } });
    expect(await ingest(after)).toEqual({ ...first, status: 'DUPLICATE' });
  });

  it.each(NAMES)('%s has one effect and one first answer when it reaches two gateways at once', async (name) => {
    await using second = await startTestGateway({ database: gateway.database });
    const given = await aFundedOrganization();
    const key = aKey();
    const before = await wallet(given);
    const elsewhere = { ...given, client: second.as(given.secret) };
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, index) => perform(name, index % 2 === 0 ? given : elsewhere, key)),
    );
    expect(answers.filter(({ replayed }) => replayed === false)).toHaveLength(1);
    expect(answers.filter(({ replayed }) => replayed === true)).toHaveLength(11);
    const moved = name === 'purchasePackage' ? 0 : 1;
    expect((await wallet(given)).sequence).toBe(before.sequence + moved);
    if (name !== 'purchasePackage') {
      const [reference] = answers;
      for (const answer of answers) expect({ ...answer, replayed: null }).toEqual({ ...reference, replayed: null });
    }
    await expectSoundBooks(gateway.database, given.id);
  });
});

describe('the record of a key', () => {
  it('says when it was made by the real clock, whatever was done and however far the organization’s clock is ahead', async () => {
    const given = await anOrganization(gateway, { now: '2040-03-10T12:00:00.000Z', credits: { purchased: '100' } });
    const from = await databaseNow(gateway.gateway.services.sql);
    const keys = new Map(NAMES.map((name) => [aKey(), name]));
    for (const [key, name] of keys) expect(await perform(name, given, key)).toMatchObject({ replayed: false });
    const until = await databaseNow(gateway.gateway.services.sql);
    const records = await query<{ key: string; at: Date }>(
      gateway.database,
      'SELECT key, created_at AS at FROM idempotency_record WHERE organization_id = $1',
      [decodeId('Organization', given.id)],
    );
    const made = records.filter(({ key }) => keys.has(key));
    const outside = made.filter(({ at }) => at.getTime() < from || at.getTime() > until);
    expect(outside.map(({ key }) => keys.get(key))).toEqual([]);
    expect(made).toHaveLength(NAMES.length);
  });
});

describe('spelling', () => {
  const OMITTED = { amount: '1' };
  const NULLS = {
    ...OMITTED,
    organizationId: null,
    usage: null,
    reasonCode: null,
    description: null,
    taskId: null,
    executionId: null,
    userId: null,
    projectId: null,
    occurredAt: null,
    metadata: null,
  };
  const occurredAt = new Date(Date.now() - 60_000).toISOString();
  const sameInstant = new Date(Date.parse(occurredAt) + 2 * 3_600_000).toISOString().replace('Z', '+02:00');

  it.each<[string, DebitInput, DebitInput]>([
    ['a number and a string', { amount: 1 }, { amount: '1' }],
    ['trailing zeros', { amount: '1.5' }, { amount: '1.500000' }],
    ['leading zeros', { amount: '1' }, { amount: '001.0' }],
    ['what is left out and what is null', OMITTED, NULLS],
    ['the reason code that is the default', OMITTED, { ...OMITTED, reasonCode: 'USAGE' }],
    [
      'the quantity that is the default',
      { usage: [{ meter: 'search' }] },
      { usage: [{ meter: 'search', quantity: '1.00' }] },
    ],
    ['a quantity', { usage: [{ meter: 'search', quantity: 2 }] }, { usage: [{ meter: 'search', quantity: '2.0' }] }],
    ['no dimensions', { usage: [{ meter: 'search' }] }, { usage: [{ meter: 'search', dimensions: null }] }],
    [
      'the order of dimensions',
      { usage: [{ meter: 'search', dimensions: { a: 1, b: 'x' } }] },
      { usage: [{ meter: 'search', dimensions: { b: 'x', a: 1 } }] },
    ],
    [
      'the order of keys in metadata, at any depth',
      { ...OMITTED, metadata: { a: 1, b: { c: [1, 2], d: null } } },
      { ...OMITTED, metadata: { b: { d: null, c: [1, 2] }, a: 1 } },
    ],
    ['the offset of an instant', { ...OMITTED, occurredAt }, { ...OMITTED, occurredAt: sameInstant }],
  ])('does not count: %s', async (_what, one, other) => {
    for (const [first, second] of [
      [one, other],
      [other, one],
    ] as const) {
      const { client, id } = await aFundedOrganization();
      const key = aKey();
      const answer = await charged(client, { ...first, idempotencyKey: key });
      expect(await debit(client, { ...second, idempotencyKey: key })).toEqual({ ...answer, replayed: true });
      await expectSoundBooks(gateway.database, id);
    }
  });

  it('does not count: naming the organization and the project that the API key stands for', async () => {
    const { id } = await aFundedOrganization();
    const projectId = await aProject(id);
    const { createApiKey } = await operator.run(CreateApiKeyDocument, {
      input: { organizationId: id, name: 'bound', scopes: ['USAGE_WRITE'], projectId },
    });
    if (createApiKey.__typename !== 'CreateApiKeyPayload') throw new Error(JSON.stringify(createApiKey));
    const bound = gateway.as(createApiKey.secret);
    const input = { idempotencyKey: aKey(), amount: '1' };
    const first = await charged(bound, input);
    expect(await debit(bound, { ...input, organizationId: id, projectId })).toEqual({ ...first, replayed: true });
  });
});

describe('another request under the same key', () => {
  it.each<[string, DebitInput]>([
    ['another amount', { amount: '2.000001' }],
    ['usage of the same price', { amount: null, usage: [{ meter: 'search', quantity: 2 }] }],
    ['another reason code', { reasonCode: 'RESEARCH' }],
    ['a description', { description: 'two' }],
    ['another task', { taskId: 'task-2' }],
    ['another execution', { executionId: 'execution-1' }],
    ['other metadata', { metadata: { secret: 'value', n: 2 } }],
    ['a number for a text in metadata', { metadata: { secret: 'value', n: '1' } }],
    ['less metadata', { metadata: { secret: 'value' } }],
    ['no metadata', { metadata: null }],
    ['an instant', { occurredAt: new Date().toISOString() }],
  ])('is refused: %s', async (_what, difference) => {
    const given = await aFundedOrganization();
    const input = { idempotencyKey: aKey(), amount: '2', taskId: 'task-1', metadata: { secret: 'value', n: 1 } };
    const first = await charged(given.client, input);
    const before = await wallet(given);
    const reused = await debit(given.client, { ...input, ...difference });
    expect(reused).toEqual({
      __typename: 'IdempotencyKeyReused',
      code: 'IDEMPOTENCY_KEY_REUSED',
      httpStatus: 409,
      idempotencyKey: input.idempotencyKey,
      message: expect.not.stringMatching(/98|secret|value|task/),
    });
    expect(await wallet(given)).toEqual(before);
    expect(await debit(given.client, input)).toEqual({ ...first, replayed: true });
  });

  it.each<[string, NonNullable<DebitInput['usage']>]>([
    [
      'another quantity',
      [
        { meter: 'search', quantity: 2 },
        { meter: 'crawl', dimensions: { deep: true } },
      ],
    ],
    ['another order of lines', [{ meter: 'crawl', dimensions: { deep: true } }, { meter: 'search' }]],
    ['one line more', [{ meter: 'search' }, { meter: 'crawl', dimensions: { deep: true } }, { meter: 'read' }]],
    ['another meter', [{ meter: 'scrape' }, { meter: 'crawl', dimensions: { deep: true } }]],
    ['other dimensions', [{ meter: 'search' }, { meter: 'crawl', dimensions: { deep: 'true' } }]],
  ])('is refused: usage with %s', async (_what, usage) => {
    const { client } = await aFundedOrganization();
    const idempotencyKey = aKey();
    await charged(client, {
      idempotencyKey,
      usage: [{ meter: 'search' }, { meter: 'crawl', dimensions: { deep: true } }],
    });
    expect(await debit(client, { idempotencyKey, usage })).toMatchObject({ __typename: 'IdempotencyKeyReused' });
  });

  it.each(NAMES)('is refused: any other operation after %s', async (name) => {
    const given = await aFundedOrganization();
    for (const other of NAMES.filter((candidate) => candidate !== name)) {
      const key = aKey();
      const first = await perform(name, given, key);
      const before = await wallet(given);
      expect([other, await perform(other, given, key)]).toMatchObject([other, { code: 'IDEMPOTENCY_KEY_REUSED' }]);
      expect(await wallet(given)).toEqual(before);
      expect(await perform(name, given, key)).toEqual({ ...first, replayed: true });
    }
    await expectSoundBooks(gateway.database, given.id);
  });
});

describe('keys', () => {
  it.each(NAMES)('of %s belong to one organization', async (name) => {
    const [one, other] = [await aFundedOrganization(), await aFundedOrganization()];
    const key = aKey();
    expect(await perform(name, one, key)).toMatchObject({ replayed: false });
    expect(await perform(name, other, key)).toMatchObject({ replayed: false });
    expect(await perform(name, other, key)).toMatchObject({ replayed: true });
  });

  it('are compared byte by byte', async () => {
    const { client, slug } = await aFundedOrganization();
    const alike = [
      'order-é',
      'order-e\u0301',
      'Order-é',
      'ORDER-É',
      'order-é ',
      ' order-é',
      'order-é\u200b',
      'order-é\n',
      'order-ｅ',
      'straße',
      'strasse',
      '%',
      '_',
      '__proto__',
      'constructor',
      "'; DROP TABLE wallet; --",
      '\u{1f9ee}',
    ];
    const ids = new Map<string, string>();
    for (const idempotencyKey of alike) {
      const answer = await charged(client, { idempotencyKey, amount: '1' });
      expect([idempotencyKey, answer.replayed]).toEqual([idempotencyKey, false]);
      expect(answer.transaction.idempotencyKey).toBe(idempotencyKey);
      ids.set(idempotencyKey, answer.transaction.id);
    }
    for (const idempotencyKey of alike) {
      const { replayed, transaction } = await charged(client, { idempotencyKey, amount: '1' });
      expect([replayed, transaction.id]).toEqual([true, ids.get(idempotencyKey)]);
    }
    const { organization } = await client.run(LedgerDocument, { slug, first: 100 });
    expect(organization?.wallet?.ledger.edges).toHaveLength(alike.length + 1);
  });

  it('have 1 to 255 characters, whatever their bytes', async () => {
    const { client } = await aFundedOrganization();
    for (const character of ['k', 'é', '漢', '\u{1f9ee}']) {
      const input = { idempotencyKey: character.repeat(255), amount: '1' };
      const first = await charged(client, input);
      expect(await debit(client, input)).toEqual({ ...first, replayed: true });
      const tooLong = { idempotencyKey: character.repeat(256), amount: '1' };
      expect(await debit(client, tooLong)).toMatchObject({ __typename: 'InvalidInput', path: ['idempotencyKey'] });
    }
  });

  it('are valid text without NUL', async () => {
    const given = await aFundedOrganization();
    for (const idempotencyKey of ['', '\0', 'a\0b', '\ud800', 'a\udfffb']) {
      expect(await debit(given.client, { idempotencyKey, amount: '1' })).toMatchObject({
        __typename: 'InvalidInput',
        path: ['idempotencyKey'],
      });
    }
    expect(await wallet(given)).toMatchObject({ totalAvailable: '100', sequence: 1 });
  });
});

describe('a refusal', () => {
  it('for funds stays with its key, with what was required and available then, after a top-up', async () => {
    const given = await anOrganization(gateway, { credits: { purchased: '3' } });
    const input = { idempotencyKey: aKey(), amount: '10', taskId: 'task-1' };
    const refused = await debit(given.client, input);
    expect(refused).toMatchObject({ __typename: 'InsufficientCredits', requiredCredits: '10', availableCredits: '3' });
    await grant(gateway, given.id, 'purchased', '50');
    for (let count = 0; count < 3; count++) {
      expect(await debit(given.client, { ...input, amount: '10.0' })).toEqual(refused);
    }
    expect(await wallet(given)).toMatchObject({ totalAvailable: '53', sequence: 2, version: 2 });
    expect(await debit(given.client, { ...input, amount: '9' })).toMatchObject({ code: 'IDEMPOTENCY_KEY_REUSED' });
    expect(await debit(given.client, { ...input, idempotencyKey: aKey() })).toMatchObject({ availableCredits: '43' });
    await expectSoundBooks(gateway.database, given.id);
  });

  it('for funds is one refusal to all who ask at once', async () => {
    await using second = await startTestGateway({ database: gateway.database });
    const given = await anOrganization(gateway, { credits: { purchased: '3' } });
    const input = { idempotencyKey: aKey(), amount: '10' };
    const clients = [given.client, second.as(given.secret)];
    const asked = Array.from({ length: 5 }, () => clients.map((client) => debit(client, input))).flat();
    await grant(gateway, given.id, 'purchased', '50');
    const answers = await Promise.all(asked);
    expect(new Set(answers.map((answer) => answer.__typename)).size).toBe(1);
    // Each gateway names its own address.
    const said = answers.map((answer) => JSON.stringify({ ...answer, replayed: null, billingUrl: null }));
    expect(new Set(said).size).toBe(1);
    await expectSoundBooks(gateway.database, given.id);
  });

  it('for the state of the wallet or the subscription leaves the key free', async () => {
    const given = await aFundedOrganization();
    const organizationId = decodeId('Organization', given.id);
    const input = { idempotencyKey: aKey(), amount: '10' };
    const set = (sql: string) => query(gateway.database, `${sql} WHERE organization_id = $1`, [organizationId]);
    await set('UPDATE wallet SET frozen_at = now()');
    expect(await debit(given.client, input)).toMatchObject({ code: 'WALLET_FROZEN' });
    await set('UPDATE wallet SET frozen_at = NULL');
    await set(`UPDATE plan_subscription SET status = 'PAST_DUE'`);
    expect(await debit(given.client, input)).toMatchObject({ code: 'SUBSCRIPTION_REQUIRED' });
    await set(`UPDATE plan_subscription SET status = 'ACTIVE'`);
    expect(await debit(given.client, input)).toMatchObject({ replayed: false, availableCredits: '90' });
    expect(await debit(given.client, input)).toMatchObject({ replayed: true, availableCredits: '90' });
  });

  it('for what is wrong with the request leaves the key to the corrected one', async () => {
    const given = await aFundedOrganization();
    const key = aKey();
    const wrong: [DebitInput, string][] = [
      [{ amount: '0' }, 'INVALID_INPUT'],
      [{ amount: '1', occurredAt: '2020-01-01T00:00:00Z' }, 'INVALID_INPUT'],
      [{ amount: '1', projectId: encodeId('Project', 'nonsense') }, 'NOT_FOUND'],
      [{ amount: '1', userId: encodeId('User', 'stranger') }, 'NOT_FOUND'],
      [{ usage: [{ meter: 'teleport' }] }, 'UNKNOWN_METER'],
      [{ usage: [{ meter: 'search', quantity: '1000001' }] }, 'INVALID_INPUT'],
    ];
    for (const [input, code] of wrong) {
      expect(await debit(given.client, { ...input, idempotencyKey: key })).toMatchObject({ code });
    }
    expect(await debit(given.client, { amount: '1', idempotencyKey: key })).toMatchObject({ replayed: false });
    expect(await wallet(given)).toMatchObject({ totalAvailable: '99', sequence: 2 });
  });
});

describe('a key that is claimed while a debit is under way', () => {
  /** A second connection, as another process has one. */
  async function aConnection() {
    const client = new Client({ connectionString: gateway.database.adminUrl });
    await client.connect();
    return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() });
  }

  /** How many statements of this database wait for a lock. */
  async function waiting(): Promise<number> {
    const rows = await query(
      gateway.database,
      `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    );
    return rows.length;
  }

  it('by a purchase that is not committed yet makes the debit wait, and refuses it', async () => {
    const given = await aFundedOrganization();
    await using other = await aConnection();
    const key = aKey();
    const answer = encodeAnswer({ purchaseId: '00000000-0000-7000-8000-000000000000' });
    await other.query('BEGIN');
    await other.query(
      `INSERT INTO idempotency_record (organization_id, key, operation, request_hash, outcome, created_at)
       VALUES ($1, $2, 'purchasePackage', decode(repeat('ab', 32), 'hex'), $3, now())`,
      [decodeId('Organization', given.id), key, JSON.stringify(answer)],
    );
    const answers = Promise.all([
      debit(given.client, { idempotencyKey: key, amount: '1' }),
      debit(given.client, { amount: '2' }),
    ]);
    await expect.poll(waiting, { timeout: 20_000 }).toBeGreaterThan(0);
    await other.query('COMMIT');
    expect(await answers).toMatchObject([{ code: 'IDEMPOTENCY_KEY_REUSED' }, { __typename: 'DebitPayload' }]);
    expect(await wallet(given)).toMatchObject({ totalAvailable: '98', sequence: 2 });
    await expectSoundBooks(gateway.database, given.id);
  });

  it('by a purchase that fails after all leaves it to the debit', async () => {
    const given = await aFundedOrganization();
    await using other = await aConnection();
    const key = aKey();
    await other.query('BEGIN');
    await other.query(
      `INSERT INTO idempotency_record (organization_id, key, operation, request_hash, outcome, created_at)
       VALUES ($1, $2, 'purchasePackage', decode(repeat('ab', 32), 'hex'), '{}', now())`,
      [decodeId('Organization', given.id), key],
    );
    const answer = debit(given.client, { idempotencyKey: key, amount: '1' });
    await expect.poll(waiting, { timeout: 20_000 }).toBeGreaterThan(0);
    await other.query('ROLLBACK');
    expect(await answer).toMatchObject({ __typename: 'DebitPayload', replayed: false });
    expect(await wallet(given)).toMatchObject({ totalAvailable: '99', sequence: 2 });
  });

  it('by a purchase while the debit waits for its wallet refuses the debit', async () => {
    const given = await aFundedOrganization();
    await using other = await aConnection();
    const key = aKey();
    await other.query('BEGIN');
    await other.query('SELECT 1 FROM wallet WHERE organization_id = $1 FOR UPDATE', [
      decodeId('Organization', given.id),
    ]);
    const debited = debit(given.client, { idempotencyKey: key, amount: '1' });
    await expect.poll(waiting, { timeout: 20_000 }).toBeGreaterThan(0);
    expect(await perform('purchasePackage', given, key)).toMatchObject({ replayed: false });
    await other.query('COMMIT');
    expect(await debited).toMatchObject({ code: 'IDEMPOTENCY_KEY_REUSED' });
    expect(await wallet(given)).toMatchObject({ totalAvailable: '100', sequence: 1 });
  });
});
