/** The modes of recordUsage over the API: what a refused event means for the others, and what each one is answered. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeId } from '../../src/graphql/ids.ts';
import { RecordEventsDocument, type RecordEventsMutationVariables } from '../generated/documents.ts';
import { expectSoundBooks, query } from '../support/books.ts';
import { startTestGateway, type TestClient, type TestGateway } from '../support/gateway.ts';
import { aKey, anApiKey, anOrganization, type Given } from '../support/given.ts';
import { aHold, charge } from './metering.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway();
});
afterAll(() => gateway[Symbol.asyncDispose]());

type Input = RecordEventsMutationVariables['input'];
type EventInput = Input['events'] extends readonly (infer Event)[] | infer Event ? Event : never;

const organization = (purchased = '10') => anOrganization(gateway, { credits: { purchased } });
/** An event that costs as many credits as its quantity. */
const searches = (quantity: number, rest: Partial<EventInput> = {}): EventInput => ({
  idempotencyKey: aKey(),
  usage: { meter: 'search', quantity },
  ...rest,
});
const flying = (): EventInput => ({ idempotencyKey: aKey(), usage: { meter: 'fly' } });

async function record(client: TestClient, mode: Input['mode'], events: EventInput[], rest: Partial<Input> = {}) {
  return (await client.run(RecordEventsDocument, { input: { mode: mode ?? null, events, ...rest } })).recordUsage;
}

async function recorded(client: TestClient, mode: Input['mode'], events: EventInput[], rest: Partial<Input> = {}) {
  const answer = await record(client, mode, events, rest);
  if (answer.__typename !== 'RecordUsagePayload') throw new Error(JSON.stringify(answer));
  return answer;
}

const told = ({ results }: Awaited<ReturnType<typeof recorded>>): string[] =>
  results.map(({ status, error }) => (error ? `${status} ${error.__typename}` : status));

/** Keys that the organization has used, and its transactions other than grants. */
async function traces({ id }: Given): Promise<{ records: number; charges: number }> {
  const [row] = await query<{ records: number; charges: number }>(
    gateway.database,
    `SELECT (SELECT count(*)::int FROM idempotency_record WHERE organization_id = $1 AND operation <> 'grant') AS records,
       (SELECT count(*)::int FROM ledger_transaction t JOIN wallet w ON w.id = t.wallet_id
        WHERE w.organization_id = $1 AND t.kind = 'DEBIT') AS charges`,
    [decodeId('Organization', id)],
  );
  if (!row) throw new Error('no traces');
  return row;
}

describe('EACH', () => {
  it('is the default: each event is decided for itself, and the sums are of the accepted ones', async () => {
    const given = await organization();
    const duplicate = searches(2);
    await recorded(given.client, 'EACH', [duplicate]);
    for (const mode of [undefined, 'EACH'] as const) {
      const answer = await recorded(given.client, mode, [
        duplicate,
        searches(3),
        searches(30),
        flying(),
        searches(-1),
        searches(1),
      ]);
      expect(told(answer)).toEqual([
        'DUPLICATE',
        'ACCEPTED',
        'REJECTED InsufficientCredits',
        'REJECTED UnknownMeter',
        'REJECTED InvalidInput',
        'ACCEPTED',
      ]);
      expect(answer).toMatchObject({ accepted: 2, duplicates: 1, rejected: 3, usage: { credits: '4' } });
      expect(answer.results.map(({ credits }) => credits)).toEqual(['2', '3', '0', '0', '0', '1']);
      expect(answer.results[4]?.error).toMatchObject({ path: ['events', '4', 'usage', 'quantity'] });
      expect(answer.usage.lines.map(({ credits }) => credits)).toEqual(['3', '1']);
    }
    await expectSoundBooks(gateway.database, given.id);
  });

  it('answers a refusal that sticks again as a duplicate, with its error', async () => {
    const given = await organization();
    const events = [searches(30), searches(1)];
    await recorded(given.client, 'EACH', events);
    const again = await recorded(given.client, 'EACH', events);
    expect(told(again)).toEqual(['DUPLICATE InsufficientCredits', 'DUPLICATE']);
    expect(again).toMatchObject({ accepted: 0, duplicates: 2, rejected: 0, usage: { credits: '0', lines: [] } });
    expect(again.results[0]?.error).toMatchObject({ requiredCredits: '30', availableCredits: '10' });
    expect(again.results[1]).toMatchObject({ credits: '1', transaction: { amount: '-1' } });
  });

  it('takes a key twice in a call as a duplicate, and with another payload as a misuse', async () => {
    const given = await organization();
    const idempotencyKey = aKey();
    const answer = await recorded(given.client, 'EACH', [
      searches(1, { idempotencyKey }),
      searches(1, { idempotencyKey }),
      searches(2, { idempotencyKey }),
    ]);
    expect(told(answer)).toEqual(['ACCEPTED', 'DUPLICATE', 'REJECTED IdempotencyKeyReused']);
    expect(answer.results[0]?.transaction?.id).toBe(answer.results[1]?.transaction?.id);
    expect(answer).toMatchObject({ usage: { credits: '1' }, availableCredits: '9' });
  });

  it('explains refusals to those who may read the wallet, and to nobody else', async () => {
    const given = await organization();
    const reader = await recorded(given.client, 'EACH', [searches(30)]);
    expect(reader.results[0]?.error).toMatchObject({ explanation: { lines: [{ meter: 'search' }], lots: [{}] } });
    const client = gateway.as(await anApiKey(gateway, given.id, 'USAGE_WRITE'));
    const writer = await recorded(client, 'EACH', [searches(30)]);
    expect(writer.results[0]?.error).toMatchObject({ availableCredits: '10', explanation: null });
  });
});

describe('UNTIL_BLOCKED', () => {
  it('stops after the first refusal: later events store nothing and can be sent again', async () => {
    const given = await organization();
    const later = searches(2);
    const answer = await recorded(given.client, 'UNTIL_BLOCKED', [searches(4), searches(7), later, flying()]);
    expect(told(answer)).toEqual([
      'ACCEPTED',
      'REJECTED InsufficientCredits',
      'REJECTED NotAttempted',
      'REJECTED NotAttempted',
    ]);
    expect(answer.results[2]?.error).toMatchObject({ code: 'NOT_ATTEMPTED', httpStatus: 424 });
    expect(answer).toMatchObject({ accepted: 1, rejected: 3, usage: { credits: '4' }, availableCredits: '6' });
    expect(await traces(given)).toEqual({ records: 2, charges: 1 });
    expect(told(await recorded(given.client, 'UNTIL_BLOCKED', [later]))).toEqual(['ACCEPTED']);
    await expectSoundBooks(gateway.database, given.id);
  });

  it('stops over the bound of one transaction as well', async () => {
    const given = await organization('620');
    const events = Array.from({ length: 1_200 }, () => searches(1));
    const answer = await recorded(given.client, 'UNTIL_BLOCKED', events);
    expect(answer).toMatchObject({ accepted: 620, duplicates: 0, rejected: 580, availableCredits: '0' });
    expect(told(answer).slice(619, 622)).toEqual(['ACCEPTED', 'REJECTED InsufficientCredits', 'REJECTED NotAttempted']);
    expect(await traces(given)).toEqual({ records: 621, charges: 620 });
    await expectSoundBooks(gateway.database, given.id);
  });

  it('stops each organization for itself', async () => {
    const [poor, rich] = [await organization('1'), await organization('100')];
    const operator = gateway.as(gateway.demo.tokens.operator);
    const events = [
      searches(2, { organizationId: poor.id }),
      searches(2, { organizationId: rich.id }),
      searches(1, { organizationId: poor.id }),
      searches(3, { organizationId: rich.id }),
    ];
    const answer = await recorded(operator, 'UNTIL_BLOCKED', events);
    expect(told(answer)).toEqual(['REJECTED InsufficientCredits', 'ACCEPTED', 'REJECTED NotAttempted', 'ACCEPTED']);
    expect(answer).toMatchObject({ usage: { credits: '5' }, availableCredits: null });
  });
});

describe('ALL_OR_NOTHING', () => {
  it('charges all of them, in one commit however many they are', async () => {
    const given = await organization('2000');
    const events = Array.from({ length: 1_500 }, () => searches(1));
    const answer = await recorded(given.client, 'ALL_OR_NOTHING', events);
    expect(answer).toMatchObject({ accepted: 1_500, rejected: 0, usage: { credits: '1500' }, availableCredits: '500' });
    const [row] = await query<{ commits: number }>(
      gateway.database,
      `SELECT count(DISTINCT t.xmin::text)::int AS commits FROM ledger_transaction t JOIN wallet w ON w.id = t.wallet_id
       WHERE w.organization_id = $1 AND t.kind = 'DEBIT'`,
      [decodeId('Organization', given.id)],
    );
    expect(row).toEqual({ commits: 1 });
    await expectSoundBooks(gateway.database, given.id);
  });

  it('leaves nothing but the record of the one that was refused for good', async () => {
    const given = await organization();
    const events = [searches(4), searches(7), searches(1)];
    const answer = await recorded(given.client, 'ALL_OR_NOTHING', events);
    expect(told(answer)).toEqual(['REJECTED NotAttempted', 'REJECTED InsufficientCredits', 'REJECTED NotAttempted']);
    expect(answer).toMatchObject({
      accepted: 0,
      rejected: 3,
      usage: { credits: '0', lines: [] },
      availableCredits: '10',
    });
    expect(await traces(given)).toEqual({ records: 1, charges: 0 });
    expect(told(await recorded(given.client, 'EACH', events))).toEqual([
      'ACCEPTED',
      'DUPLICATE InsufficientCredits',
      'ACCEPTED',
    ]);
    await expectSoundBooks(gateway.database, given.id);
  });

  it('says what can be spent where the last event is the refused one', async () => {
    const given = await organization();
    const answer = await recorded(given.client, 'ALL_OR_NOTHING', [searches(4), searches(7)]);
    expect(answer.availableCredits).toBe('10');
  });

  it('leaves nothing at all where the refusal does not stick', async () => {
    const given = await organization();
    expect(told(await recorded(given.client, 'ALL_OR_NOTHING', [searches(1), flying()]))).toEqual([
      'REJECTED NotAttempted',
      'REJECTED UnknownMeter',
    ]);
    expect(told(await recorded(given.client, 'ALL_OR_NOTHING', [searches(1), searches(-1), searches(1)]))).toEqual([
      'REJECTED NotAttempted',
      'REJECTED InvalidInput',
      'REJECTED NotAttempted',
    ]);
    expect(await traces(given)).toEqual({ records: 0, charges: 0 });
  });

  it('takes one organization', async () => {
    const [one, other] = [await organization(), await organization()];
    const operator = gateway.as(gateway.demo.tokens.operator);
    const events = [searches(1, { organizationId: one.id }), searches(1, { organizationId: other.id })];
    expect(await record(operator, 'ALL_OR_NOTHING', events)).toMatchObject({
      __typename: 'InvalidInput',
      path: ['mode'],
    });
    expect(await traces(one)).toEqual({ records: 0, charges: 0 });
    const ofOne = [searches(1, { organizationId: one.id }), searches(1)];
    expect(told(await recorded(operator, 'ALL_OR_NOTHING', ofOne, { organizationId: one.id }))).toEqual([
      'ACCEPTED',
      'ACCEPTED',
    ]);
  });

  it('is known in full when it is sent again', async () => {
    const given = await organization();
    const events = [searches(4), searches(5)];
    await recorded(given.client, 'ALL_OR_NOTHING', events);
    const again = await recorded(given.client, 'ALL_OR_NOTHING', events);
    expect(told(again)).toEqual(['DUPLICATE', 'DUPLICATE']);
    expect(again).toMatchObject({ usage: { credits: '0' }, availableCredits: '1' });
  });

  it('beside other calls on the same wallet undoes only itself', async () => {
    const given = await organization('100');
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        index % 2 === 0
          ? recorded(given.client, 'ALL_OR_NOTHING', [searches(1), flying()])
          : recorded(given.client, 'ALL_OR_NOTHING', [searches(1), searches(2)]),
      ),
    );
    for (const [index, answer] of answers.entries()) {
      expect(told(answer)).toEqual(
        index % 2 === 0 ? ['REJECTED NotAttempted', 'REJECTED UnknownMeter'] : ['ACCEPTED', 'ACCEPTED'],
      );
    }
    expect(await traces(given)).toEqual({ records: 20, charges: 20 });
    await expectSoundBooks(gateway.database, given.id);
  });
});

describe('an event', () => {
  it('with an overage policy follows it', async () => {
    const given = await organization('3');
    const answer = await recorded(given.client, 'EACH', [searches(5, { overage: 'CAP' }), searches(1)]);
    expect(told(answer)).toEqual(['ACCEPTED', 'REJECTED InsufficientCredits']);
    expect(answer.results[0]).toMatchObject({ credits: '3', transaction: { amount: '-3' } });
    expect(answer.usage).toMatchObject({ credits: '3', lines: [{ credits: '3', waivedCredits: '2' }] });
    await expectSoundBooks(gateway.database, given.id);
  });

  it('shares its key with debits and holds, and says nothing of them', async () => {
    const given = await organization();
    const [debited, held] = [aKey(), aKey()];
    await charge(given.client, { amount: '1', idempotencyKey: debited });
    await aHold(given.client, '1', { idempotencyKey: held });
    const events = [searches(1, { idempotencyKey: debited }), searches(1, { idempotencyKey: held })];
    const answer = await recorded(given.client, 'EACH', events);
    expect(told(answer)).toEqual(['REJECTED IdempotencyKeyReused', 'REJECTED IdempotencyKeyReused']);
    expect(answer.results.map(({ transaction }) => transaction)).toEqual([null, null]);
  });

  it.each([
    ['none', 0],
    ['too many', 5_001],
  ])('is one of 1 to 5,000: %s are refused as a call', async (_name, count) => {
    const given = await organization();
    const events = Array.from({ length: count }, (_, index) => ({
      idempotencyKey: `${index}`,
      usage: { meter: 'search' },
    }));
    expect(await record(given.client, 'EACH', events)).toMatchObject({ __typename: 'InvalidInput', path: ['events'] });
    expect(await traces(given)).toEqual({ records: 0, charges: 0 });
  });
});
