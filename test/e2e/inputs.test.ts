/**
 * What clients send: numbers, instants, keys, metadata, pages. What cannot be parsed is BAD_USER_INPUT and names the field;
 * what parses and may not be is InvalidInput with its path; nothing is ever read as something else.
 */
import { type GraphQLScalarType, isScalarType, parseValue, valueFromAST } from 'graphql';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { encodeId } from '../../src/graphql/ids.ts';
import { encodeCursor } from '../../src/graphql/pages.ts';
import { buildSchema } from '../../src/graphql/schema.ts';
import { CreateProjectDocument, LedgerDocument, PurchasePackageDocument } from '../generated/documents.ts';
import { expectSoundBooks, query } from '../support/books.ts';
import { type GraphQLAnswer, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { aKey, anOrganization, type Given } from '../support/given.ts';
import { anEndpoint, collect } from '../support/webhook-receiver.ts';
import { forgeCursor } from './cursors.ts';

let gateway: TestGateway;
let payer: Given;
beforeAll(async () => {
  gateway = await startTestGateway();
  payer = await anOrganization(gateway, { credits: { purchased: '1000000' } });
});
afterAll(() => gateway[Symbol.asyncDispose]());

type Answer = GraphQLAnswer<Record<string, unknown>>;

const REFUSAL = `__typename ... on BillingError { code message } ... on InvalidInput { path }`;
const DEBIT = `mutation($input: DebitInput!) { debit(input: $input) { ${REFUSAL}
  ... on DebitPayload { usage { credits } replayed transaction { id idempotencyKey } } } }`;

/** A debit whose variables are this JSON text, written as it is: clients may write numbers that JavaScript does not. */
async function debitWith(json: string): Promise<Answer> {
  const text = json.includes('"idempotencyKey"') ? json : `"idempotencyKey": "${aKey()}", ${json}`;
  const body = `{ "query": ${JSON.stringify(DEBIT)}, "variables": { "input": { ${text} } } }`;
  const response = await fetch(gateway.gateway.endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${payer.secret}` },
    body,
  });
  const { data = null, errors = [] } = (await response.json()) as Partial<Answer>;
  return { status: response.status, data, errors };
}

/** The same with the input written as literals of GraphQL. */
function debitLiteral(input: string): Promise<Answer> {
  return payer.client.raw(
    `mutation { debit(input: { idempotencyKey: "${aKey()}", ${input} }) { ${REFUSAL} ... on DebitPayload { usage { credits } } } }`,
  );
}

/** One top-level error that says which field is at fault, and no data. */
function expectUnreadable({ data, errors }: Answer, field: string): void {
  expect(data).toBeNull();
  expect(errors).toHaveLength(1);
  expect(errors[0]?.extensions).toEqual({ code: 'BAD_USER_INPUT' });
  expect(errors[0]?.message).toMatch(new RegExp(`\\b${field}\\b`));
}

function expectInvalid({ data, errors }: Answer, ...path: string[]): void {
  expect(errors).toEqual([]);
  const [refusal] = Object.values(data ?? {}) as { message?: string }[];
  expect(refusal).toMatchObject({ __typename: 'InvalidInput', code: 'INVALID_INPUT', path });
  expect(refusal?.message).toContain(path.join('.'));
}

function expectCharged({ data, errors }: Answer, credits: string): void {
  expect(errors).toEqual([]);
  expect(data).toMatchObject({ debit: { __typename: 'DebitPayload', usage: { credits } } });
}

/** Numbers in neither a literal's nor JSON's quotes. */
const NO_EXACT_NUMBERS = ['1.5', '-1.5', '0.0000001', '1e-3', '1e400', '-1e400', `1${'0'.repeat(30)}`, 'true'];
/** In quotes. */
const NO_NUMBERS = [
  '',
  ' ',
  ' 5 ',
  '5 ',
  '\\t5',
  '5\\n',
  '1,5',
  '1.5.5',
  '1_000',
  '1 000',
  '1e3',
  '1E3',
  '0x10',
  '0b1',
  '0o7',
  'NaN',
  'Infinity',
  '-Infinity',
  '--1',
  '+1',
  '−1',
  '.5',
  '5.',
  '.',
  '-',
  '٣',
  '５',
  '½',
  '1n',
  'null',
  'true',
  '1\\u0000',
  `1${'0'.repeat(30)}`,
];

describe('Credits', () => {
  it.each([
    ...NO_EXACT_NUMBERS,
    'NaN',
    'Infinity',
    'five',
    '[1, 2]',
    '{ micros: 1 }',
    '[]',
    '0x10',
    '1.0',
    '1e3',
    '9007199254740991',
  ])('the literal %s is unreadable', async (literal) => {
    const answer = await debitLiteral(`amount: ${literal}`);
    if (literal === '0x10') expect(answer.errors[0]?.extensions).toEqual({ code: 'BAD_USER_INPUT' });
    else expectUnreadable(answer, 'amount');
  });

  it.each([...NO_EXACT_NUMBERS, '9007199254740991', '9007199254740993', '[1, 2]', '{"micros": 1}', '[]', '{}'])(
    'the variable %s is unreadable',
    async (json) => {
      expectUnreadable(await debitWith(`"amount": ${json}`), 'amount');
    },
  );

  it.each([...NO_NUMBERS, '0.0000001', '1.1234567', '9223372036854.775808', '-9223372036854.775808'])(
    'the text "%s" is unreadable as literal and variable',
    async (text) => {
      expectUnreadable(await debitLiteral(`amount: "${text}"`), 'amount');
      expectUnreadable(await debitWith(`"amount": "${text}"`), 'amount');
    },
  );

  it.each(['0', '-1', '-0', '"0"', '"-0"', '"0.000000"', '"-1"', '"-0.000001"', '"-9223372036854.775807"'])(
    '%s can be read and not be charged',
    async (amount) => {
      expectInvalid(await debitLiteral(`amount: ${amount}`), 'amount');
      expectInvalid(await debitWith(`"amount": ${amount}`), 'amount');
    },
  );

  it.each([
    ['1', '1'],
    ['"1"', '1'],
    ['"1.0"', '1'],
    ['"01.500000"', '1.5'],
    ['"0.000001"', '0.000001'],
    ['"12.345678"', '12.345678'],
  ])('%s is charged as %s', async (amount, credits) => {
    expectCharged(await debitLiteral(`amount: ${amount}`), credits);
    expectCharged(await debitWith(`"amount": ${amount}`), credits);
  });

  it('a JSON number without a fraction is an integer, however it is written', async () => {
    expectCharged(await debitWith('"amount": 1.0'), '1');
    expectCharged(await debitWith('"amount": 1e2'), '100');
  });

  it.each(['"1000000.000001"', '"9223372036854.775807"'])('%s is more than one command may move', async (amount) => {
    expectInvalid(await debitWith(`"amount": ${amount}`), 'amount');
  });

  it('is exact on the way out, too', async () => {
    const { client, slug } = await anOrganization(gateway, { credits: { purchased: '0.3' } });
    for (const amount of ['0.1', '0.1', '0.099999']) {
      await client.raw(
        `mutation { debit(input: { idempotencyKey: "${aKey()}", amount: "${amount}" }) { __typename } }`,
      );
    }
    const { organization } = await client.run(LedgerDocument, { slug });
    expect(organization?.wallet?.ledger.edges.map(({ node }) => node.balanceAfter)).toEqual([
      '0.000001',
      '0.1',
      '0.2',
      '0.3',
    ]);
  });
});

describe('Decimal', () => {
  const usage = (quantity: string) => `usage: [{ meter: "search", quantity: ${quantity} }]`;
  const usageJson = (quantity: string) => `"usage": [{ "meter": "search", "quantity": ${quantity} }]`;

  it.each(NO_EXACT_NUMBERS)('%s is unreadable as literal and variable', async (number) => {
    expectUnreadable(await debitLiteral(usage(number)), 'quantity');
    expectUnreadable(await debitWith(usageJson(number)), 'quantity');
  });

  it.each([...NO_NUMBERS, `0.${'0'.repeat(18)}1`, '1'.repeat(25)])(
    'the text "%s" is unreadable as literal and variable',
    async (text) => {
      expectUnreadable(await debitLiteral(usage(`"${text}"`)), 'quantity');
      expectUnreadable(await debitWith(usageJson(`"${text}"`)), 'quantity');
    },
  );

  it.each(['-1', '"-0.000000000000000001"'])('%s can be read and not be used', async (quantity) => {
    expectInvalid(await debitLiteral(usage(quantity)), 'usage', '0', 'quantity');
    expectInvalid(await debitWith(usageJson(quantity)), 'usage', '0', 'quantity');
  });

  it.each([`"${'9'.repeat(24)}"`, `"${'9'.repeat(24)}.${'9'.repeat(18)}"`, '9007199254740991'])(
    '%s costs more than any wallet holds',
    async (quantity) => {
      expectInvalid(await debitWith(usageJson(quantity)), 'usage', '0', 'quantity');
    },
  );

  it('more than one command may move is refused as a whole', async () => {
    expectInvalid(await debitWith(usageJson('"1000001"')), 'usage');
  });

  it.each([
    ['0', '0'],
    ['"-0"', '0'],
    ['"0.0000001"', '0'],
    ['"0.0000005"', '0.000001'],
    ['"0.000000499999999999"', '0'],
    ['"1.50"', '1.5'],
    ['2', '2'],
  ])('%s of a meter that costs 1 is rounded once, half away from zero: %s', async (quantity, credits) => {
    expectCharged(await debitWith(usageJson(quantity)), credits);
  });
});

describe('DateTime', () => {
  const NO_INSTANTS = [
    '""',
    '"now"',
    '"2026-01-01"',
    '"2026-01-01T00:00:00"',
    '"2026-01-01 00:00:00Z"',
    '"20260101T000000Z"',
    '"2026-02-30T00:00:00Z"',
    '"2023-02-29T00:00:00Z"',
    '"2026-13-01T00:00:00Z"',
    '"2026-00-01T00:00:00Z"',
    '"2026-01-00T00:00:00Z"',
    '"2026-01-01T24:00:00Z"',
    '"2026-01-01T23:60:00Z"',
    '"2026-01-01T23:59:60Z"',
    '"2026-01-01T00:00:00+24:00"',
    '"2026-01-01T00:00:00+0100"',
    '"2026-01-01T00:00:00.Z"',
    '"+002026-01-01T00:00:00Z"',
    '"-002026-01-01T00:00:00Z"',
    '"0000-01-01T00:00:00Z"',
    '"0001-01-01T00:00:00+00:01"',
    '"9999-12-31T23:59:59-23:59"',
    '"2026-W01-1T00:00:00Z"',
    '"Thu, 01 Jan 2026 00:00:00 GMT"',
    '" 2026-01-01T00:00:00Z"',
    '"2026-01-01T00:00:00Z\\u0000"',
    '0',
    '1767225600000',
    '1767225600.5',
    'true',
  ];

  it.each(NO_INSTANTS)('%s is unreadable as literal and variable', async (value) => {
    expectUnreadable(await debitLiteral(`amount: 1, occurredAt: ${value}`), 'occurredAt');
    expectUnreadable(await debitWith(`"amount": 1, "occurredAt": ${value}`), 'occurredAt');
  });

  it.each([
    ['2096-02-29T12:00:00Z', '2096-02-29T12:00:00.000Z'],
    ['2094-01-01T00:00:00.123456789Z', '2094-01-01T00:00:00.123Z'],
    ['2094-01-01T00:00:00+05:30', '2093-12-31T18:30:00.000Z'],
    ['2094-01-01T00:00:00-23:59', '2094-01-01T23:59:00.000Z'],
    ['9999-12-31T23:59:59.999Z', '9999-12-31T23:59:59.999Z'],
  ])('%s is kept as %s', async (expiresAt, kept) => {
    const { data, errors } = await gateway.as(gateway.demo.tokens.operator).raw(
      `mutation { grantCredits(input: { organizationId: "${payer.id}", idempotencyKey: "${aKey()}", credits: 1,
         bucketKey: "promotional", reason: "r", expiresAt: "${expiresAt}" }) { ... on GrantPayload { lot { expiresAt } } } }`,
    );
    expect(errors).toEqual([]);
    expect(data).toEqual({ grantCredits: { lot: { expiresAt: kept } } });
  });

  it.each(['0001-01-01T00:00:00Z', '1969-12-31T23:59:59Z', '2000-01-01T00:00:00Z'])(
    'an expiry of %s can be read and not be granted',
    async (expiresAt) => {
      const answer = await gateway.as(gateway.demo.tokens.operator).raw(
        `mutation { grantCredits(input: { organizationId: "${payer.id}", idempotencyKey: "${aKey()}", credits: 1,
           bucketKey: "promotional", reason: "r", expiresAt: "${expiresAt}" }) { ${REFUSAL} } }`,
      );
      expectInvalid(answer, 'expiresAt');
    },
  );

  it.each(['0001-01-01T00:00:00Z', '9999-12-31T23:59:59.999Z'])(
    '%s bounds the ledger and the rate card like any other',
    async (at) => {
      const { errors } = await payer.client.raw(
        `{ organization(slug: "${payer.slug}") { wallet { ledger(first: 1, filter: { from: "${at}", to: "${at}" }) { edges { cursor } } } } }`,
      );
      expect(errors).toEqual([]);
      const card = await payer.client.raw(`{ rateCard(at: "${at}") { version } }`);
      expect(card.errors.filter((error) => error.extensions.code === 'INTERNAL_SERVER_ERROR')).toEqual([]);
    },
  );
});

describe('Long', () => {
  // No argument takes a Long yet; whatever will, reads it like this.
  const long = buildSchema().getType('Long') as GraphQLScalarType;
  const read = (value: unknown): unknown => long.parseValue(value);
  const readLiteral = (text: string): unknown => valueFromAST(parseValue(text), long);

  it('is a scalar', () => {
    expect(isScalarType(long)).toBe(true);
  });

  it.each([0, 1, -1, 2 ** 53 - 1, -(2 ** 53 - 1)])('%d is itself', (value) => {
    expect(read(value)).toBe(BigInt(value));
    expect(readLiteral(value.toString())).toBe(BigInt(value));
  });

  it.each([1.5, 2 ** 53, -(2 ** 53), Number.POSITIVE_INFINITY, Number.NaN, '1', '0x10', ' 5 ', null, true, [1], {}])(
    'the variable %j is unreadable',
    (value) => {
      expect(() => read(value)).toThrow('Long must be an integer');
    },
  );

  it.each(['1.5', '1e3', '9007199254740992', `1${'0'.repeat(30)}`, '"1"', 'NaN', 'true', '[1]'])(
    'the literal %s is unreadable',
    (text) => {
      expect(readLiteral(text)).toBeUndefined();
    },
  );

  it('is a JSON number on the way out', async () => {
    const { data } = await payer.client.raw<{ organization: { wallet: { sequence: unknown } } }>(
      `{ organization(slug: "${payer.slug}") { wallet { sequence } } }`,
    );
    expect(data?.organization.wallet.sequence).toBeTypeOf('number');
  });
});

describe('amount and usage', () => {
  const line = '{ meter: "search" }';
  it.each([
    ['both', `amount: 1, usage: [${line}]`, ['usage']],
    ['both, of which one is empty', 'amount: 1, usage: []', ['usage']],
    ['neither', 'taskId: "t"', ['amount']],
    ['neither, as null', 'amount: null, usage: null', ['amount']],
    ['no line', 'usage: []', ['usage']],
    ['101 lines', `usage: [${Array.from({ length: 101 }, () => line)}]`, ['usage']],
    ['a line without a name', 'usage: [{ meter: "" }]', ['usage', '0', 'meter']],
    ['a second line with a name too long', `usage: [${line}, { meter: "${'m'.repeat(65)}" }]`, ['usage', '1', 'meter']],
    ['a name with NUL', 'usage: [{ meter: "a\\u0000" }]', ['usage', '0', 'meter']],
    [
      'a dimension that is an object',
      'usage: [{ meter: "search", dimensions: { a: { b: 1 } } }]',
      ['usage', '0', 'dimensions', 'a'],
    ],
    [
      'a model with a name that no report would show',
      `usage: [{ meter: "search", dimensions: { model: "${'m'.repeat(129)}" } }]`,
      ['usage', '0', 'dimensions', 'model'],
    ],
    ['dimensions that are a list', 'usage: [{ meter: "search", dimensions: [1] }]', ['usage', '0', 'dimensions']],
  ])('refuses %s', async (_name, input, path) => {
    expectInvalid(await debitLiteral(input), ...path);
  });

  it('takes 100 lines', async () => {
    expectCharged(await debitLiteral(`usage: [${Array.from({ length: 100 }, () => line)}]`), '100');
  });

  it('changes nothing where it is refused: the key stays free', async () => {
    const key = aKey();
    expectInvalid(await debitWith(`"idempotencyKey": "${key}", "amount": 0`), 'amount');
    const accepted = await debitWith(`"idempotencyKey": "${key}", "amount": 1`);
    expect(accepted.data).toMatchObject({ debit: { __typename: 'DebitPayload', replayed: false } });
  });
});

describe('idempotency keys', () => {
  const BAD_KEYS: [string, string][] = [
    ['no character', ''],
    ['256 characters', 'k'.repeat(256)],
    ['256 characters of two units', '💥'.repeat(256)],
    ['10,000 characters', 'k'.repeat(10_000)],
    ['NUL', 'a\\u0000b'],
    ['only NUL', '\\u0000'],
    ['half a character', 'a\\ud83d'],
    ['halves in the wrong order', '\\udca5\\ud83d'],
  ];

  it.each(BAD_KEYS)('of %s are refused', async (_name, key) => {
    expectInvalid(await debitWith(`"idempotencyKey": "${key}", "amount": 1`), 'idempotencyKey');
  });

  it.each(BAD_KEYS)('of %s are refused by every operation', async (_name, escaped) => {
    const key = JSON.parse(`"${escaped}"`) as string;
    const operator = gateway.as(gateway.demo.tokens.operator);
    const organizationId = payer.id;
    const credits = { organizationId, idempotencyKey: key, credits: 1, bucketKey: 'purchased', reason: 'r' };
    const answers = [
      await payer.client.raw(
        `mutation($input: PurchasePackageInput!) { purchasePackage(input: $input) { ${REFUSAL} } }`,
        { input: { idempotencyKey: key, packageId: encodeId('Package', 'starter') } },
      ),
      await operator.raw(`mutation($input: GrantCreditsInput!) { grantCredits(input: $input) { ${REFUSAL} } }`, {
        input: credits,
      }),
      await operator.raw(`mutation($input: AdjustBalanceInput!) { adjustBalance(input: $input) { ${REFUSAL} } }`, {
        input: credits,
      }),
    ];
    for (const answer of answers) expectInvalid(answer, 'idempotencyKey');
    const events = [{ idempotencyKey: key, usage: { meter: 'search' } }];
    const { data } = await payer.client.raw(
      `mutation($input: RecordUsageInput!) { recordUsage(input: $input) {
        ... on RecordUsagePayload { accepted results { status error { ${REFUSAL} } } }
      } }`,
      { input: { events } },
    );
    expect(data).toMatchObject({
      recordUsage: { accepted: 0, results: [{ status: 'REJECTED', error: { __typename: 'InvalidInput' } }] },
    });
  });

  it.each([
    ['1 character', 'k'],
    ['255 characters', 'k'.repeat(255)],
    ['255 characters of two bytes', 'ü'.repeat(255)],
    ['255 characters of two units', '💥'.repeat(255)],
    ['spaces', '  '],
    ['control characters', '\\u0001\\t\\n'],
    ['SQL', "'; DROP TABLE wallet; --"],
    ['escapes', '\\\\u0000 \\\\x00 %00 &amp;'],
  ])('of %s are kept and recognized', async (_name, key) => {
    const first = await debitWith(`"idempotencyKey": "${key}", "amount": 1`);
    const idempotencyKey = JSON.parse(`"${key}"`) as string;
    expect(first.data).toMatchObject({ debit: { replayed: false, transaction: { idempotencyKey } } });
    const again = await debitWith(`"idempotencyKey": "${key}", "amount": "1.0"`);
    expect(again.data).toEqual({ debit: { ...(first.data?.debit as object), replayed: true } });
  });

  it('are compared by bytes: case, spaces and ways to write a letter make another', async () => {
    const id = aKey();
    for (const key of [`${id}É`, `${id}é`, `${id}E\\u0301`, `${id}É `, ` ${id}É`]) {
      const { data } = await debitWith(`"idempotencyKey": "${key}", "amount": 1`);
      expect(data).toMatchObject({ debit: { replayed: false } });
    }
  });

  it('are required', async () => {
    for (const input of [
      '{ "amount": 1 }',
      '{ "idempotencyKey": null, "amount": 1 }',
      '{ "idempotencyKey": 5, "amount": 1 }',
    ]) {
      const answer = await payer.client.raw(DEBIT, { input: JSON.parse(input) as object });
      expectUnreadable(answer, 'idempotencyKey');
    }
  });
});

describe('texts of a debit', () => {
  it.each([
    ['taskId', ''],
    ['taskId', 'x'.repeat(256)],
    ['taskId', 'a\\u0000'],
    ['executionId', ''],
    ['executionId', 'x'.repeat(256)],
    ['executionId', '\\ud800'],
    ['description', ''],
    ['description', 'x'.repeat(501)],
    ['description', 'a\\u0000'],
    ['reasonCode', ''],
    ['reasonCode', 'x'.repeat(65)],
    ['reasonCode', '1st'],
    ['reasonCode', 'two words'],
    ['reasonCode', 'Ä'],
    ['reasonCode', 'a\\u0000'],
    ['reasonCode', 'a\\n'],
  ])('%s may not be "%s"', async (field, text) => {
    expectInvalid(await debitWith(`"amount": 1, "${field}": "${text}"`), field);
  });

  it('are kept as they are', async () => {
    const { client, slug } = await anOrganization(gateway, { credits: { purchased: '10' } });
    const input = {
      idempotencyKey: aKey(),
      amount: '1',
      taskId: `'; DROP TABLE wallet; --${'x'.repeat(231)}`,
      executionId: '=HYPERLINK("https://evil.example")',
      description: '<script>alert(1)</script> 💥 \u202e \t',
      reasonCode: 'Team.research:web-2_x',
    };
    await client.raw(DEBIT, { input });
    const { organization } = await client.run(LedgerDocument, { slug, first: 1 });
    const { taskId, executionId, description, reasonCode } = input;
    expect(organization?.wallet?.ledger.edges[0]?.node).toMatchObject({ taskId, executionId, description, reasonCode });
  });

  it.each([
    ['PURCHASE', 'BONUS', 'PLAN_GRANT', 'ALLOWANCE', 'ROLLOVER', 'REFUND', 'EXPIRY', 'ADJUSTMENT', 'REVOKE', 'GRANT'],
    ['ALLOCATION', 'SNAPSHOT', 'LOT_STARTED'],
  ])('reason codes of the system are the system’s: %s …', async (...codes) => {
    for (const code of [...codes, ...codes.map((code) => code.toLowerCase())]) {
      expectInvalid(await debitWith(`"amount": 1, "reasonCode": "${code}"`), 'reasonCode');
    }
  });

  it('USAGE is everybody’s reason code', async () => {
    expectCharged(await debitWith('"amount": 1, "reasonCode": "USAGE"'), '1');
  });
});

describe('metadata', () => {
  /** Stores it, reads it back from the ledger, as JSON text on both ways. */
  async function roundTrip(json: string): Promise<unknown> {
    const { client, slug, secret } = await anOrganization(gateway, { credits: { purchased: '10' } });
    const body = `{ "query": ${JSON.stringify(DEBIT)}, "variables": { "input": { "idempotencyKey": "k", "amount": 1, "metadata": ${json} } } }`;
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${secret}` };
    const answer = await fetch(gateway.gateway.endpoint, { method: 'POST', headers, body });
    expect(await answer.json()).toMatchObject({ data: { debit: { __typename: 'DebitPayload' } } });
    const { data } = await client.raw<{
      organization: { wallet: { ledger: { edges: { node: { metadata: unknown } }[] } } };
    }>(`{ organization(slug: "${slug}") { wallet { ledger(first: 1) { edges { node { metadata } } } } } }`);
    return data?.organization.wallet.ledger.edges[0]?.node.metadata;
  }

  const deep = (levels: number, of = '1'): string => '{"d":'.repeat(levels) + of + '}'.repeat(levels);

  it.each([
    ['nothing', '{}'],
    ['every kind of value', '{"s":"x","n":-1.5,"t":true,"f":false,"z":null,"l":[1,[2,{"a":[]}]],"o":{"p":{}}}'],
    [
      'numbers at their limits',
      '{"a":0.1,"b":1e21,"c":5e-324,"d":1.7976931348623157e308,"e":9007199254740991,"f":1e-7}',
    ],
    [
      'names of prototypes',
      '{"__proto__":{"polluted":true},"constructor":{"prototype":{"x":1}},"toString":"x","hasOwnProperty":null}',
    ],
    [
      'SQL and markup',
      `{"a":"'; DROP TABLE ledger_entry; --","b":"<script>","c":"=cmd|' /C calc'!A0","d":"$1 $$ \\\\"}`,
    ],
    [
      'any letters',
      '{"":"empty name","💥":"\\ud83d\\udca5","e\\u0301":"\\u00e9","rtl":"\\u202e","tab\\t":"\\r\\n","slash":"\\\\u0000"}',
    ],
    ['8 levels', deep(8)],
    ['100 names', JSON.stringify(Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`k${i}`, i])))],
    ['16,384 characters', `{"a":"${'x'.repeat(16_384 - 8)}"}`],
  ])('of %s comes back exactly', async (_name, json) => {
    const back = await roundTrip(json);
    expect(JSON.parse(JSON.stringify(back))).toEqual(JSON.parse(json));
    expect(Object.keys(back as object).toSorted()).toEqual(Object.keys(JSON.parse(json) as object).toSorted());
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });

  it('of a literal comes back exactly', async () => {
    const { client, slug } = await anOrganization(gateway, { credits: { purchased: '10' } });
    await client.raw(
      `mutation { debit(input: { idempotencyKey: "k", amount: 1, metadata: { a: [1, 2.5, "x", null, true], __proto__: { b: "c" } } }) { __typename } }`,
    );
    const { data } = await client.raw<Record<string, unknown>>(
      `{ organization(slug: "${slug}") { wallet { ledger(first: 1) { edges { node { metadata } } } } } }`,
    );
    expect(JSON.stringify(data)).toContain('"metadata":{"a":[1,2.5,"x",null,true],"__proto__":{"b":"c"}}');
  });

  it.each([
    ['a list', '[1]'],
    ['a text', '"x"'],
    ['a number', '1'],
    ['true', 'true'],
    ['9 levels', deep(9)],
    ['9 levels of lists', `{"a":${'['.repeat(8)}${']'.repeat(8)}}`],
    ['50,000 levels', deep(50_000)],
    ['101 names', JSON.stringify(Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`k${i}`, i])))],
    ['16,385 characters', `{"a":"${'x'.repeat(16_385 - 8)}"}`],
    ['2 million characters', `{"a":"${'x'.repeat(2_000_000)}"}`],
    ['NUL in a value', '{"a":"b\\u0000"}'],
    ['NUL in a name', '{"a\\u0000":1}'],
    ['NUL far down', '{"a":[{"b":["\\u0000"]}]}'],
    ['half a character', '{"a":"\\ud800"}'],
    ['half a character in a name', '{"\\udfff":1}'],
    ['a number beyond all numbers', '{"a":1e400}'],
    ['a number beyond all numbers, far down', '{"a":[{"b":-1e999}]}'],
  ])('may not be %s', async (_name, json) => {
    expectInvalid(await debitWith(`"amount": 1, "metadata": ${json}`), 'metadata');
  });

  it('may not be a number beyond all numbers as a literal either', async () => {
    expectInvalid(await debitLiteral('amount: 1, metadata: { a: 1e400 }'), 'metadata');
  });

  it('is the same payload in another order of its names, and another with another value', async () => {
    const key = aKey();
    const send = (metadata: string) => debitWith(`"idempotencyKey": "${key}", "amount": 1, "metadata": ${metadata}`);
    expect((await send('{"a":1,"b":{"c":2,"d":3}}')).data).toMatchObject({ debit: { replayed: false } });
    expect((await send('{"b":{"d":3.0,"c":2},"a":1}')).data).toMatchObject({ debit: { replayed: true } });
    expect((await send('{"a":1,"b":{"c":2,"d":4}}')).data).toMatchObject({
      debit: { __typename: 'IdempotencyKeyReused' },
    });
    expect((await send('{"a":1,"b":{"c":2,"d":"3"}}')).data).toMatchObject({
      debit: { __typename: 'IdempotencyKeyReused' },
    });
  });

  it('and whatever else was refused here left the books sound', async () => {
    await expectSoundBooks(gateway.database, payer.id);
  });
});

describe('pages', () => {
  let organization: Given;
  beforeAll(async () => {
    organization = await anOrganization(gateway, { credits: { purchased: '10', promotional: '5' } });
    const { client } = organization;
    await client.run(CreateProjectDocument, { input: { key: 'p', name: 'P' } });
    const input = { idempotencyKey: aKey(), packageId: encodeId('Package', 'starter') };
    await client.run(PurchasePackageDocument, { input });
    await anEndpoint(client, 'https://example.com/hook', ['balance.changed']);
    for (const amount of ['1', '2', '3']) {
      const held = `mutation { authorize(input: { idempotencyKey: "${aKey()}", amount: "${amount}" }) { __typename } }`;
      expect((await client.raw(held)).data).toEqual({ authorize: { __typename: 'HoldPayload' } });
    }
    await query(
      gateway.database,
      `INSERT INTO membership (id, organization_id, user_id, role) SELECT gen_random_uuid(), id, 'demo-viewer', 'VIEWER' FROM organization WHERE slug = $1`,
      [organization.slug],
    );
    await collect(gateway.gateway.services);
  });

  /** Every connection, as the path to it. */
  const LISTS: Readonly<Record<string, (list: (args: string) => string, slug: string) => string>> = {
    organizations: (list) => `{ ${list('organizations')} }`,
    ledger: (list, slug) => `{ organization(slug: "${slug}") { wallet { ${list('ledger')} } } }`,
    lots: (list, slug) => `{ organization(slug: "${slug}") { wallet { ${list('lots')} } } }`,
    'lots of buckets': (list, slug) => `{ organization(slug: "${slug}") { wallet { buckets { ${list('lots')} } } } }`,
    holds: (list, slug) => `{ organization(slug: "${slug}") { wallet { ${list('holds')} } } }`,
    purchases: (list, slug) => `{ organization(slug: "${slug}") { ${list('purchases')} } }`,
    activity: (list, slug) => `{ organization(slug: "${slug}") { ${list('activity')} } }`,
    auditTrail: (list, slug) => `{ organization(slug: "${slug}") { ${list('auditTrail')} } }`,
    members: (list, slug) => `{ organization(slug: "${slug}") { ${list('members')} } }`,
    projects: (list, slug) => `{ organization(slug: "${slug}") { ${list('projects')} } }`,
    deliveries: (list, slug) => `{ organization(slug: "${slug}") { webhookEndpoints { ${list('deliveries')} } } }`,
    apiKeys: (list, slug) => `{ organization(slug: "${slug}") { ${list('apiKeys')} } }`,
  };

  async function page(list: string, args: string): Promise<{ text: string; answer: Answer }> {
    const select = (field: string) =>
      `${field}${args} { edges { cursor } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } }`;
    const document = LISTS[list]?.(select, organization.slug) ?? '';
    const answer = await organization.client.raw(document);
    return { text: JSON.stringify(answer.data), answer };
  }

  function expectRefused({ data, errors }: Answer, naming: string): void {
    expect(JSON.stringify(data)).not.toContain('edges');
    expect(errors.length).toBeGreaterThan(0);
    for (const error of errors) {
      expect(error.extensions).toEqual({ code: 'BAD_USER_INPUT' });
      expect(error.message).toMatch(naming === '' ? /./ : new RegExp(`\\b${naming}\\b`));
    }
  }

  it('are of every connection of the schema', async () => {
    const { data } = await gateway.as().raw<{
      __schema: {
        types: {
          name: string;
          fields: { name: string; type: { ofType: { name: string } | null; name: string | null } }[] | null;
        }[];
      };
    }>('{ __schema { types { name fields { name type { name ofType { name } } } } } }');
    const connections = (data?.__schema.types ?? []).flatMap((type) =>
      (type.fields ?? [])
        .filter((field) => (field.type.name ?? field.type.ofType?.name ?? '').endsWith('Connection'))
        .map((field) => (type.name === 'Bucket' ? `${field.name} of buckets` : field.name)),
    );
    expect(connections.toSorted()).toEqual(Object.keys(LISTS).toSorted());
  });

  describe.each(Object.keys(LISTS))('of %s', (list) => {
    it('have rows to page through', async () => {
      const { text, answer } = await page(list, '(first: 1)');
      expect(answer.errors).toEqual([]);
      expect(text).toMatch(/"cursor":"[\w-]+"/);
    });

    it('may be empty: none is asked for and none is given', async () => {
      const { text, answer } = await page(list, '(first: 0)');
      expect(answer.errors).toEqual([]);
      expect(text).toContain(
        '{"edges":[],"pageInfo":{"hasNextPage":true,"hasPreviousPage":false,"startCursor":null,"endCursor":null}}',
      );
    });

    it.each(['101', '-1', '-2147483648', '2147483647', '1000000000', '10000000000', '1e9', '1.5', '"1"'])(
      'may not have %s rows',
      async (first) => {
        const { answer } = await page(list, `(first: ${first})`);
        // What is too costly is refused as a whole, before its arguments are looked at.
        expectRefused(answer, Number(first) >= 1_000 && !first.includes('e') ? '' : 'first');
      },
    );

    it('begin at the start with null as with nothing', async () => {
      expect((await page(list, '(first: null, after: null)')).answer).toEqual((await page(list, '')).answer);
    });

    it.each([
      '',
      'x',
      '💥',
      'null',
      '____',
      Buffer.from('[').toString('base64url'),
      encodeCursor('', []),
      encodeCursor('nothing', ['1']),
      Buffer.from('{"0":"entry"}').toString('base64url'),
      'A'.repeat(50_000),
    ])('may not begin after "%s"', async (after) => {
      expectRefused((await page(list, `(after: "${after}")`)).answer, 'after');
    });

    it('may not begin after a cursor of another list', async () => {
      for (const other of Object.keys(LISTS)) {
        if (other.startsWith('lots') === list.startsWith('lots') && (other === list || list.startsWith('lots')))
          continue;
        const cursor = /"cursor":"([\w-]+)"/.exec((await page(other, '(first: 1)')).text)?.[1];
        expectRefused((await page(list, `(after: "${cursor}")`)).answer, 'after');
      }
    });
  });

  describe('with forged cursors', () => {
    const uuid = '01a1fd48-674a-75f6-9b6d-c9f16d81d956';
    const dashes = '-'.repeat(36);
    it.each([
      ['lots', encodeCursor('lot', [1e300, 'a', null, false, 0, uuid])],
      ['lots', encodeCursor('lot', [1.5, 'a', null, false, 0, uuid])],
      ['lots', encodeCursor('lot', [2 ** 31, 'a', null, false, 0, uuid])],
      ['lots', encodeCursor('lot', ['1', 'a', null, false, 0, uuid])],
      ['lots', encodeCursor('lot', [1, 'a\0', null, false, 0, uuid])],
      ['lots', encodeCursor('lot', [1, 'a', null, false, 0, dashes])],
      ['lots', encodeCursor('lot', [1, 'a', -8.64e15, false, -8.64e15, uuid])],
      ['lots', encodeCursor('lot', [1, 'a', 8.65e15, false, 0, uuid])],
      ['lots', encodeCursor('lot', [1, 'a', null, 'false', 0, uuid])],
      ['lots', encodeCursor('lot', [])],
      ['organizations', encodeCursor('organization', ['2026-01-01', dashes])],
      ['organizations', encodeCursor('organization', ['-100000-01-01T00:00:00.000Z', uuid])],
      ['organizations', encodeCursor('organization', ['0000-01-01T00:00:00.000Z', uuid])],
      ['organizations', encodeCursor('organization', ['yesterday', uuid])],
      ['organizations', encodeCursor('organization', [0, uuid])],
      ['purchases', encodeCursor('purchase', ['2026-01-01T00:00:00Z', "' OR true; --"])],
    ])('%s after %s: refused', async (list, cursor) => {
      expectRefused((await page(list, `(after: "${cursor}")`)).answer, 'after');
    });
  });

  it.each(['-1', '1e3', '1.5', '', ' 1', '9'.repeat(19), 1, null])(
    'ledger after the made-up sequence %j: refused',
    async (made) => {
      const real = /"cursor":"([\w-]+)"/.exec((await page('ledger', '(first: 1)')).text)?.[1] ?? '';
      expectRefused((await page('ledger', `(after: "${forgeCursor(real, made)}")`)).answer, 'after');
      expectRefused((await page('ledger', `(before: "${forgeCursor(real, made)}")`)).answer, 'before');
    },
  );

  describe('of the ledger, from the other end', () => {
    it.each(['101', '-1', '-2147483648'])('may not have %s rows', async (last) => {
      expectRefused((await page('ledger', `(last: ${last})`)).answer, 'last');
    });

    it.each(['first: 1, last: 1', 'first: 1, before: "x"', 'after: "x", last: 1', 'after: "x", before: "x"'])(
      'may not be asked from both ends: %s',
      async (args) => {
        const { answer } = await page('ledger', `(${args})`);
        expectRefused(answer, 'first');
        expectRefused(answer, 'last');
      },
    );

    it('may not end before something that is no cursor of the ledger', async () => {
      const lot = /"cursor":"([\w-]+)"/.exec((await page('lots', '(first: 1)')).text)?.[1];
      for (const before of ['', 'x', lot]) {
        expectRefused((await page('ledger', `(before: "${before}")`)).answer, 'before');
      }
    });
  });
});

describe('organization(id, slug)', () => {
  it.each([
    '',
    '(id: null)',
    '(slug: null)',
    '(id: null, slug: null)',
    '(id: "x", slug: "demo")',
    '(id: "", slug: "")',
  ])('takes exactly one: not %s', async (args) => {
    const { data, errors } = await payer.client.raw(`{ organization${args} { id } }`);
    expect(data).toEqual({ organization: null });
    expect(errors).toHaveLength(1);
    expect(errors[0]?.extensions).toEqual({ code: 'BAD_USER_INPUT' });
    expect(errors[0]?.message).toMatch(/\bid\b.*\bslug\b/);
  });

  it.each(['', ' ', 'DEMO', "demo' OR '1'='1", 'demo\\u0000', '\\u0000', '%', '\\uD800', 'x'.repeat(10_000)])(
    'finds nothing by the slug "%s"',
    async (slug) => {
      const operator = gateway.as(gateway.demo.tokens.operator);
      const { data, errors } = await operator.raw(`{ organization(slug: "${slug}") { id } }`);
      expect(errors.filter((error) => error.extensions.code !== 'BAD_USER_INPUT')).toEqual([]);
      expect(data?.organization ?? null).toBeNull();
    },
  );

  it('takes either', async () => {
    const { data, errors } = await payer.client.raw(
      `{ a: organization(id: "${payer.id}") { slug } b: organization(slug: "${payer.slug}", id: null) { id } }`,
    );
    expect(errors).toEqual([]);
    expect(data).toEqual({ a: { slug: payer.slug }, b: { id: payer.id } });
  });
});

describe('lists', () => {
  const list = (length: number, item = '"x"') => `[${Array.from({ length }, () => item)}]`;
  const ledger = (filter: string) =>
    `query($slug: String) { organization(slug: $slug) { wallet { ledger(filter: { ${filter} }) { edges { cursor } } } } }`;

  const ask = (document: string) => payer.client.raw(document, { slug: payer.slug });

  it.each([
    ['ids', `{ nodes(ids: ${list(101)}) { id } }`],
    ['reasonCodes', ledger(`reasonCodes: ${list(101)}`)],
    ['bucketKeys', ledger(`bucketKeys: ${list(101)}`)],
  ])('of %s hold at most 100', async (field, document) => {
    const { errors } = await ask(document);
    expect(errors).toHaveLength(1);
    expect(errors[0]?.extensions).toEqual({ code: 'BAD_USER_INPUT' });
    expect(errors[0]?.message).toMatch(new RegExp(`\\b${field}\\b`));
  });

  it.each([
    ['nodes', `{ nodes(ids: ${list(100)}) { id } }`],
    ['nodes', '{ nodes(ids: []) { id } }'],
    ['reasonCodes', ledger(`reasonCodes: ${list(100)}`)],
    ['bucketKeys', ledger(`bucketKeys: ${list(100)}`)],
    ['reasonCodes', ledger('reasonCodes: []')],
  ])('of %s may hold that many, or none', async (_field, document) => {
    expect((await ask(document)).errors).toEqual([]);
  });

  it('of scopes hold at most 100', async () => {
    const answer = await payer.client.raw(
      `mutation { createApiKey(input: { name: "k", scopes: ${list(101, 'USAGE_WRITE')} }) { ${REFUSAL} } }`,
    );
    expectInvalid(answer, 'scopes');
  });

  it('of events hold 1 to 5,000', async () => {
    const send = (length: number) =>
      payer.client.raw(`mutation($input: RecordUsageInput!) { recordUsage(input: $input) { ${REFUSAL} } }`, {
        input: { events: Array.from({ length }, () => ({ idempotencyKey: 'e', usage: { meter: 'read' } })) },
      });
    expectInvalid(await send(0), 'events');
    expectInvalid(await send(5_001), 'events');
    expect((await send(1)).data).toEqual({ recordUsage: { __typename: 'RecordUsagePayload' } });
  });

  it.each(['reasonCodes', 'bucketKeys'])('of %s hold valid text', async (field) => {
    for (const text of ['\\u0000', 'a\\u0000b']) {
      const { errors } = await ask(ledger(`${field}: ["${text}"]`));
      expect(errors[0]?.extensions).toEqual({ code: 'BAD_USER_INPUT' });
      expect(errors[0]?.message).toContain(field);
    }
  });

  it.each(['taskId', 'executionId'])('nor does the filter by %s take NUL', async (field) => {
    const { errors } = await ask(ledger(`${field}: "a\\u0000"`));
    expect(errors[0]?.extensions).toEqual({ code: 'BAD_USER_INPUT' });
    expect(errors[0]?.message).toContain(field);
  });

  it('hold no null and no value of another type', async () => {
    for (const [document, field] of [
      ['{ nodes(ids: [null]) { id } }', 'ids'],
      ['{ nodes(ids: [1.5]) { id } }', 'ids'],
      [ledger('reasonCodes: [null]'), 'reasonCodes'],
      [ledger('direction: UP'), 'direction'],
    ] as const) {
      const { data, errors } = await ask(document);
      expect(data).toBeNull();
      expect(errors[0]?.extensions).toEqual({ code: 'BAD_USER_INPUT' });
      expect(errors[0]?.message).toMatch(new RegExp(`\\b${field}\\b`));
    }
  });
});

describe('what nobody expected', () => {
  it('is told by an id that stands in the log, and by nothing else', async () => {
    await using broken = await startTestGateway();
    const logged = vi.spyOn(broken.gateway.logger, 'error').mockReturnValue();
    await query(broken.database, 'ALTER TABLE audit_record RENAME COLUMN action TO gone');
    const { status, data, errors } = await broken
      .as(broken.demo.tokens.owner)
      .raw('{ organization(slug: "demo") { name auditTrail { edges { node { action } } } } }');
    expect({ status, data }).toEqual({ status: 200, data: { organization: { name: 'Demo', auditTrail: null } } });
    const errorId = errors[0]?.extensions.errorId;
    expect(errors).toEqual([
      {
        message: `Unexpected error ${String(errorId)}.`,
        path: ['organization', 'auditTrail'],
        locations: [expect.anything()],
        extensions: { code: 'INTERNAL_SERVER_ERROR', errorId: expect.stringMatching(/^[0-9a-f-]{36}$/) },
      },
    ]);
    expect(logged).toHaveBeenCalledWith(expect.objectContaining({ errorId }), expect.any(String));
  });
});
