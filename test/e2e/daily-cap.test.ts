/** The plan's daily credit cap over the API: what is refused, what is told of it, and when it begins anew. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RecordEventsDocument } from '../generated/documents.ts';
import { expectSoundBooks } from '../support/books.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { advanceTo, aKey, anApiKey, anOrganization, type Given } from '../support/given.ts';
import {
  aCatalogFile,
  aHold,
  authorize,
  type CatalogFile,
  captured,
  charge,
  charged,
  refunded,
  release,
} from './metering.ts';

let catalog: CatalogFile;
let gateway: TestGateway;
beforeAll(async () => {
  catalog = await aCatalogFile({
    plans:
      '  - { key: capped, name: Capped, price: { amountMinor: 0, currency: USD }, dailyCreditCap: 10, overdraft: 100 }\n',
  });
  gateway = await startTestGateway({ env: { PURSER_CATALOG: catalog.path } });
});
afterAll(async () => {
  await gateway[Symbol.asyncDispose]();
  await catalog[Symbol.asyncDispose]();
});

const DAY = 86_400_000;
/** Tomorrow at noon, UTC: a day of which nothing is used, with its midnights hours away on either side. */
const noon = new Date(Math.floor(Date.now() / DAY + 1) * DAY + DAY / 2);
const midnight = new Date(noon.getTime() + DAY / 2).toISOString();

async function organization(): Promise<Given> {
  const given = await anOrganization(gateway, { plan: 'capped', credits: { purchased: '100' } });
  await advanceTo(gateway, given.id, noon.toISOString());
  return given;
}

const reached = (used: string) => ({
  __typename: 'SpendLimitReached',
  code: 'SPEND_LIMIT_REACHED',
  httpStatus: 429,
  limitCode: 'daily_credit_cap_exceeded',
  limit: '10',
  used,
  resetsAt: midnight,
});

describe('the daily cap', () => {
  it('refuses what would pass it, with what is used and when it begins anew', async () => {
    const given = await organization();
    expect(await charged(given.client, { amount: '7' })).toMatchObject({
      availableCredits: '93',
      transaction: {
        explanation: {
          limits: [{ limitCode: 'daily_credit_cap_exceeded', limit: '10', used: '0', blocked: false }],
        },
      },
    });
    expect(await charge(given.client, { usage: [{ meter: 'search', quantity: 4 }] })).toMatchObject({
      ...reached('7'),
      explanation: {
        rateCardVersion: 1,
        lines: [{ meter: 'search', credits: '4' }],
        limits: [{ limitCode: 'daily_credit_cap_exceeded', limit: '10', used: '7', blocked: true }],
        lots: [{ lot: { bucket: { key: 'purchased' } }, taken: '0' }],
      },
    });
    await charged(given.client, { amount: '3' });
    expect(await charge(given.client, { amount: '0.000001' })).toMatchObject(reached('10'));
    expect(await charged(given.client, { usage: [{ meter: 'read' }] })).toMatchObject({ usage: { credits: '0' } });
    await expectSoundBooks(gateway.database, given.id);
  });

  it('tells a key of usage:write what refused it, without an explanation', async () => {
    const given = await organization();
    const client = gateway.as(await anApiKey(gateway, given.id, 'USAGE_WRITE'));
    await charged(client, { amount: '10' });
    expect(await charge(client, { amount: '1' })).toMatchObject({ ...reached('10'), explanation: null });
    expect(await authorize(client, { amount: '1' })).toMatchObject({ ...reached('10'), explanation: null });
  });

  it('begins anew at local midnight; under its key a refusal stays', async () => {
    const given = await organization();
    await charged(given.client, { amount: '10' });
    const idempotencyKey = aKey();
    await charge(given.client, { amount: '1', idempotencyKey });
    await advanceTo(gateway, given.id, midnight);
    expect(await charge(given.client, { amount: '1', idempotencyKey })).toMatchObject(reached('10'));
    expect(await charged(given.client, { amount: '10' })).toMatchObject({ availableCredits: '80' });
  });

  it('is reserved by holds, which give back what they do not use', async () => {
    const given = await organization();
    const [one, other] = [await aHold(given.client, '6'), await aHold(given.client, '4')];
    expect(await authorize(given.client, { amount: '1' })).toMatchObject(reached('10'));
    await captured(given.client, { holdId: one, amount: '2' });
    expect(await charge(given.client, { amount: '4.5' })).toMatchObject(reached('6'));
    await release(given.client, other);
    expect(await charge(given.client, { amount: '8.5' })).toMatchObject(reached('2'));
    await charged(given.client, { amount: '8' });
    await expectSoundBooks(gateway.database, given.id);
  });

  it('does not refuse what comes beyond a hold, and counts it', async () => {
    const given = await organization();
    const holdId = await aHold(given.client, '6');
    await charged(given.client, { amount: '4' });
    expect(await captured(given.client, { holdId, amount: '9', overage: 'DEBT' })).toMatchObject({
      transaction: { amount: '-9' },
    });
    expect(await charge(given.client, { amount: '1' })).toMatchObject(reached('13'));
    await expectSoundBooks(gateway.database, given.id);
  });

  it('gets no room back by a refund', async () => {
    const given = await organization();
    const { transaction } = await charged(given.client, { amount: '10' });
    await refunded(given.client, { transactionId: transaction.id });
    expect(await charge(given.client, { amount: '1' })).toMatchObject(reached('10'));
  });

  it('is met event by event', async () => {
    const given = await organization();
    const events = Array.from({ length: 4 }, () => ({
      idempotencyKey: aKey(),
      usage: { meter: 'search', quantity: 4 },
    }));
    const { recordUsage } = await given.client.run(RecordEventsDocument, { input: { events } });
    expect(recordUsage).toMatchObject({
      accepted: 2,
      rejected: 2,
      usage: { credits: '8' },
      results: [
        { status: 'ACCEPTED' },
        { status: 'ACCEPTED' },
        { status: 'REJECTED', error: reached('8') },
        { status: 'REJECTED', error: reached('8') },
      ],
    });
  });

  it('is one for all keys: many at once never pass it', async () => {
    const given = await organization();
    const clients = await Promise.all(
      Array.from({ length: 4 }, async () => gateway.as(await anApiKey(gateway, given.id, 'USAGE_WRITE'))),
    );
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, index) => {
        const client = clients[index % 4] ?? given.client;
        return index % 3 === 0 ? authorize(client, { amount: '1' }) : charge(client, { amount: '1' });
      }),
    );
    const refusals = answers.filter((answer) => answer.__typename === 'SpendLimitReached');
    expect([answers.length - refusals.length, refusals.length]).toEqual([10, 50]);
    await expectSoundBooks(gateway.database, given.id);
  });
});
