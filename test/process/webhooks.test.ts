/** Webhooks across processes: kill −9 while one is on its way. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { DebitDocument } from '../generated/documents.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { createClient } from '../support/gateway.ts';
import { aKey } from '../support/given.ts';
import { aDataDirectory, type DataDirectory, startProcess } from '../support/process-gateway.ts';
import { anEndpoint, deliveriesTo, leasesEnd, verified, WebhookReceiver } from '../support/webhook-receiver.ts';

let database: TestDatabase;
let directory: DataDirectory;
let receiver: WebhookReceiver;
beforeAll(async () => {
  database = await createDatabase();
  directory = await aDataDirectory();
  receiver = await WebhookReceiver.start();
});
afterAll(async () => {
  await receiver[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
});

const SOON = { timeout: 30_000, interval: 50 };

describe('a gateway that is killed while webhooks are on their way', () => {
  it('leaves them to the next one, which sends each again under its id', async () => {
    const env = { DATABASE_URL: database.adminUrl };
    await using killed = await startProcess(directory, env);
    const before = await killed.manifest();
    const client = createClient(before.endpoint, before.tokens.masterKey);
    const { id, secret } = await anEndpoint(client, receiver.url, ['balance.changed', 'ledger_entry.posted']);
    receiver.answer = () => 'hang';
    const { debit } = await client.run(DebitDocument, { input: { idempotencyKey: aKey(), amount: '1' } });
    expect(debit.__typename).toBe('DebitPayload');
    await receiver.arrived(2);
    expect(await killed.stop('SIGKILL')).toEqual({ code: null, signal: 'SIGKILL' });
    receiver.answer = () => ({ status: 204 });
    await leasesEnd(database, id);
    await using next = await startProcess(directory, env);
    const { endpoint, tokens } = await next.manifest();
    const delivered = async () =>
      (await deliveriesTo(createClient(endpoint, tokens.masterKey), id)).map(({ status, attempts }) => [
        status,
        attempts,
      ]);
    await vi.waitFor(async () => {
      expect(await delivered()).toEqual([
        ['DELIVERED', 2],
        ['DELIVERED', 2],
      ]);
    }, SOON);
    const told = receiver.received.map((webhook) => `${webhook.id} ${verified(secret, webhook).type}`);
    expect(told.slice(2).toSorted()).toEqual(told.slice(0, 2).toSorted());
    expect(await next.stop()).toEqual({ code: 0, signal: null });
  });
});
