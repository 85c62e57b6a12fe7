/** One key, one effect: whichever process, operation or moment the second call comes at. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeId } from '../../src/graphql/ids.ts';
import {
  DebitDocument,
  type DebitMutation,
  PurchasePackageDocument,
  RecordUsageDocument,
  WalletStateDocument,
} from '../generated/documents.ts';
import { expectSoundBooks, query } from '../support/books.ts';
import { createClient, startTestGateway, type TestClient, type TestGateway } from '../support/gateway.ts';
import { aKey, anOrganization, type Given, grant } from '../support/given.ts';
import { awaitBlocked, holdWallet, openSession, picture, tenantOf } from '../support/process-posting.ts';

let first: TestGateway;
let second: TestGateway;
beforeAll(async () => {
  first = await startTestGateway();
  second = await startTestGateway({ database: first.database });
});
afterAll(async () => {
  await second[Symbol.asyncDispose]();
  await first[Symbol.asyncDispose]();
});

const STARTER = encodeId('Package', 'starter');

type DebitAnswer = DebitMutation['debit'];

async function debit(client: TestClient, idempotencyKey: string, amount: string): Promise<DebitAnswer> {
  return (await client.run(DebitDocument, { input: { idempotencyKey, amount } })).debit;
}

const onSecond = ({ secret }: Given): TestClient => createClient(second.gateway.endpoint, secret);

function payload(answer: DebitAnswer | undefined) {
  if (answer?.__typename !== 'DebitPayload') throw new Error(`expected a payload, got ${JSON.stringify(answer)}`);
  return answer;
}

async function totalAvailable({ client, slug }: Given): Promise<string | undefined> {
  return (await client.run(WalletStateDocument, { slug })).organization?.wallet?.totalAvailable;
}

describe('the same key on two gateways at the same time', () => {
  it('has one effect and identical answers, one of them not replayed', async () => {
    const given = await anOrganization(first, { credits: { purchased: '100' } });
    const keys = Array.from({ length: 25 }, aKey);

    const pairs = await Promise.all(
      keys.map((key) => Promise.all([debit(given.client, key, '1'), debit(onSecond(given), key, '1')])),
    );

    for (const pair of pairs) {
      const [one, other] = pair.map(payload);
      expect({ ...other, replayed: null }).toEqual({ ...one, replayed: null });
      expect([one?.replayed, other?.replayed].toSorted()).toEqual([false, true]);
    }
    expect(await totalAvailable(given)).toBe('75');
    await expectSoundBooks(first.database, given.id);
  });

  it('answers alike even if both wait for the wallet', async () => {
    const given = await anOrganization(first, { credits: { purchased: '100' } });
    const key = aKey();
    await using held = await holdWallet(first.database, given.id);
    const answers = Promise.all([debit(given.client, key, '7'), debit(onSecond(given), key, '7')]);
    await held.awaitWaiting(2);

    await held.release();

    const [one, other] = (await answers).map(payload);
    expect(other?.transaction).toEqual(one?.transaction);
    expect([one?.replayed, other?.replayed].toSorted()).toEqual([false, true]);
    expect(await totalAvailable(given)).toBe('93');
  });
});

describe('the same 500 events ingested through two gateways at the same time', () => {
  it('are accepted once each, and duplicates with the same credits at the other', async () => {
    const given = await anOrganization(first, { credits: { purchased: '2000' } });
    const events = Array.from({ length: 500 }, (_, index) => ({
      idempotencyKey: `event-${index}`,
      usage: { meter: 'search', quantity: 1 + (index % 3) },
    }));

    const answers = await Promise.all(
      [given.client, onSecond(given)].map((client) => client.run(RecordUsageDocument, { input: { events } })),
    );

    const [one, other] = answers.map(({ recordUsage }) => {
      if (recordUsage.__typename !== 'RecordUsagePayload') throw new Error(JSON.stringify(recordUsage));
      return recordUsage;
    });
    expect((one?.accepted ?? 0) + (other?.accepted ?? 0)).toBe(500);
    expect((one?.duplicates ?? 0) + (other?.duplicates ?? 0)).toBe(500);
    const told = (answer: typeof one) => answer?.results.map(({ credits, transaction }) => [credits, transaction?.id]);
    expect(told(other)).toEqual(told(one));
    expect(await totalAvailable(given)).toBe(String(2000 - (167 * 1 + 167 * 2 + 166 * 3)));
    await expectSoundBooks(first.database, given.id);
  });
});

describe('calls in flight with one key on one gateway', () => {
  it('are answered with the one transaction, in the same batch and in different ones', async () => {
    const given = await anOrganization(first, { credits: { purchased: '100' } });
    const key = aKey();
    await using held = await holdWallet(first.database, given.id);
    const inFlight = debit(given.client, key, '5');
    await held.awaitWaiting(1);
    const queued = Array.from({ length: 8 }, () => debit(given.client, key, '5'));

    await held.release();

    const answers = (await Promise.all([inFlight, ...queued])).map(payload);
    expect(answers.map((answer) => answer.replayed)).toEqual([false, ...queued.map(() => true)]);
    expect(new Set(answers.map((answer) => JSON.stringify([answer.transaction, answer.availableCredits]))).size).toBe(
      1,
    );
    expect(await totalAvailable(given)).toBe('95');
  });
});

describe('a key that was used for something else', () => {
  it('is refused for another amount without telling the stored one', async () => {
    const given = await anOrganization(first, { credits: { purchased: '100' } });
    const key = aKey();
    const stored = payload(await debit(given.client, key, '3.141592'));
    const before = await picture(first.database);

    const answer = await debit(onSecond(given), key, '4');

    expect(answer).toMatchObject({ __typename: 'IdempotencyKeyReused', idempotencyKey: key, httpStatus: 409 });
    for (const secret of ['3.141592', '96.858408', stored.transaction.id]) {
      expect(JSON.stringify(answer)).not.toContain(secret);
    }
    expect(await picture(first.database)).toEqual(before);
  });

  it('is refused for another operation', async () => {
    const given = await anOrganization(first, { credits: { purchased: '100' } });
    const key = aKey();
    await debit(given.client, key, '1');
    const before = await picture(first.database);

    const events = [{ idempotencyKey: key, usage: { meter: 'search', quantity: 1 } }];
    const { recordUsage } = await given.client.run(RecordUsageDocument, { input: { events } });
    const { purchasePackage } = await given.client.run(PurchasePackageDocument, {
      input: { idempotencyKey: key, packageId: STARTER },
    });

    expect(recordUsage).toMatchObject({
      accepted: 0,
      rejected: 1,
      results: [{ status: 'REJECTED', credits: '0', transaction: null, error: { __typename: 'IdempotencyKeyReused' } }],
    });
    expect(purchasePackage.__typename).toBe('IdempotencyKeyReused');
    expect(await picture(first.database)).toEqual(before);
  });

  it('is refused for a debit after it bought a package', async () => {
    const given = await anOrganization(first, { credits: { purchased: '100' } });
    const key = aKey();
    const input = { idempotencyKey: key, packageId: STARTER };
    expect((await given.client.run(PurchasePackageDocument, { input })).purchasePackage.__typename).toBe(
      'PurchasePayload',
    );

    expect((await debit(given.client, key, '1')).__typename).toBe('IdempotencyKeyReused');
    expect(await totalAvailable(given)).toBe('100');
  });

  it('goes to one of three operations that race for it, and the others are refused', async () => {
    const given = await anOrganization(first, { credits: { purchased: '100' } });
    const client = onSecond(given);
    const race = async (key: string): Promise<(string | undefined)[]> => {
      const events = [{ idempotencyKey: key, usage: { meter: 'search', quantity: 1 } }];
      const input = { idempotencyKey: key, packageId: STARTER };
      const [charged, recorded, bought] = await Promise.all([
        debit(given.client, key, '1'),
        client.run(RecordUsageDocument, { input: { events } }),
        given.client.run(PurchasePackageDocument, { input }),
      ]);
      const { recordUsage } = recorded;
      const result = recordUsage.__typename === 'RecordUsagePayload' ? recordUsage.results[0] : undefined;
      return [charged.__typename, result?.error?.__typename ?? result?.status, bought.purchasePackage.__typename];
    };

    const races = await Promise.all(Array.from({ length: 20 }, () => race(aKey())));

    const winners = ['DebitPayload', 'ACCEPTED', 'PurchasePayload'];
    for (const answers of races) {
      expect(answers.filter((answer) => winners.includes(answer ?? ''))).toHaveLength(1);
      expect(answers.filter((answer) => answer === 'IdempotencyKeyReused')).toHaveLength(2);
    }
    await expectSoundBooks(first.database, given.id);
  });

  it('is refused for a debit that had looked it up before a purchase took it', async () => {
    const given = await anOrganization(first, { credits: { purchased: '100' } });
    const key = aKey();
    // The debit stops between reading the records and writing its own.
    await using gate = await openSession(first.database);
    await gate.client.query(`
      CREATE FUNCTION wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN NEW; END $$;
      CREATE TRIGGER gate BEFORE INSERT ON ledger_transaction FOR EACH ROW
        WHEN (NEW.task_id = 'at the gate') EXECUTE FUNCTION wait_at_gate();
      SELECT pg_advisory_lock(4711)`);
    const charged = given.client.run(DebitDocument, {
      input: { idempotencyKey: key, amount: '1', taskId: 'at the gate' },
    });
    const settled = charged.catch(() => undefined);
    await awaitBlocked(first.database, 1);
    const input = { idempotencyKey: key, packageId: STARTER };
    const { purchasePackage } = await given.client.run(PurchasePackageDocument, { input });
    await gate.client.query('SELECT pg_advisory_unlock(4711)');
    await settled;
    await gate.client.query('DROP TRIGGER gate ON ledger_transaction; DROP FUNCTION wait_at_gate');

    expect(purchasePackage.__typename).toBe('PurchasePayload');
    expect((await charged).debit).toMatchObject({ __typename: 'IdempotencyKeyReused', idempotencyKey: key });
    expect(await totalAvailable(given)).toBe('100');
    await expectSoundBooks(first.database, given.id);
  });
});

describe('a refusal for funds', () => {
  it('stays under its key after a top-up, while a new key works', async () => {
    const given = await anOrganization(first, { credits: { purchased: '3' } });
    const key = aKey();
    const refused = await debit(given.client, key, '10');
    await grant(first, given.id, 'purchased', '50');

    const again = await debit(onSecond(given), key, '10');

    expect(refused).toMatchObject({
      __typename: 'InsufficientCredits',
      requiredCredits: '10',
      availableCredits: '3',
      httpStatus: 402,
    });
    // The address of the billing page is each gateway's own.
    expect({ ...again, billingUrl: null }).toEqual({ ...refused, billingUrl: null });
    expect(payload(await debit(given.client, aKey(), '10')).availableCredits).toBe('43');
    await expectSoundBooks(first.database, given.id);
  });
});

describe('what was refused for its form or by the state of the organization', () => {
  it('stores nothing, so that the key works once the call is mended', async () => {
    const given = await anOrganization(first, { credits: { purchased: '10' } });
    const key = aKey();
    const before = await picture(first.database);

    const zero = await debit(given.client, key, '0');
    const negative = await debit(given.client, key, '-1');
    const tooMuch = await debit(given.client, key, '9000000');
    const unknown = await given.client.run(DebitDocument, {
      input: { idempotencyKey: key, usage: [{ meter: 'no-such-meter', quantity: 1 }] },
    });

    expect([zero, negative, tooMuch, unknown.debit].map((answer) => answer.__typename)).toEqual([
      'InvalidInput',
      'InvalidInput',
      'InvalidInput',
      'UnknownMeter',
    ]);
    expect(await picture(first.database)).toEqual(before);
    expect(payload(await debit(given.client, key, '1')).replayed).toBe(false);
  });

  it('leaves the key free for the time after the subscription is back', async () => {
    const given = await anOrganization(first, { credits: { purchased: '10' } });
    const { organizationId } = await tenantOf(first.database, given.id);
    const setStatus = (status: string) =>
      query(first.database, `UPDATE plan_subscription SET status = $2 WHERE organization_id = $1`, [
        organizationId,
        status,
      ]);
    const key = aKey();
    await setStatus('PAST_DUE');
    const refused = await debit(given.client, key, '1');
    await setStatus('ACTIVE');

    expect(refused).toMatchObject({ __typename: 'SubscriptionRequired', status: 'PAST_DUE' });
    expect(payload(await debit(given.client, key, '1')).replayed).toBe(false);
  });
});

describe('a key', () => {
  it('belongs to its organization: the same one elsewhere is another', async () => {
    const one = await anOrganization(first, { credits: { purchased: '10' } });
    const other = await anOrganization(first, { credits: { purchased: '10' } });
    const key = aKey();

    const answers = [await debit(one.client, key, '1'), await debit(other.client, key, '2')].map(payload);

    expect(answers.map(({ replayed, availableCredits }) => [replayed, availableCredits])).toEqual([
      [false, '9'],
      [false, '8'],
    ]);
  });

  it('is bound to what the payload means, not to how it is spelled', async () => {
    const given = await anOrganization(first, { credits: { purchased: '10' } });
    const key = aKey();
    const spellings = [
      { amount: '1', metadata: { a: 1, b: [1, { c: 'd', e: 'f' }] } },
      { amount: 1, metadata: { b: [1, { e: 'f', c: 'd' }], a: 1 }, description: null },
      { amount: '1.000000', metadata: { a: 1, b: [1, { c: 'd', e: 'f' }] }, taskId: null },
    ];

    const answers: DebitAnswer[] = [];
    for (const spelling of spellings) {
      answers.push((await given.client.run(DebitDocument, { input: { idempotencyKey: key, ...spelling } })).debit);
    }

    expect(answers.map((answer) => payload(answer).replayed)).toEqual([false, true, true]);
    expect(await totalAvailable(given)).toBe('9');
  });

  it('is compared by its bytes: case, blanks and Unicode forms make others', async () => {
    const given = await anOrganization(first, { credits: { purchased: '10' } });
    const keys = ['key', 'KEY', 'key ', 'é', 'e\u0301'];

    const answers = await Promise.all(keys.map((key) => debit(given.client, key, '1')));

    expect(answers.map((answer) => payload(answer).replayed)).toEqual(keys.map(() => false));
    expect(await totalAvailable(given)).toBe('5');
  });
});
