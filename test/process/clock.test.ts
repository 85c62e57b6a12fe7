/** The machine’s clock is off by ten minutes, on one gateway forwards and on another backwards: the books do not notice. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  CreateApiKeyDocument,
  DebitDocument,
  GrantCreditsDocument,
  WalletStateDocument,
} from '../generated/documents.ts';
import { expectSoundBooks, query } from '../support/books.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { createClient, type TestClient } from '../support/gateway.ts';
import { aKey } from '../support/given.ts';
import {
  aDataDirectory,
  type DataDirectory,
  type GatewayProcess,
  type Manifest,
  startProcess,
} from '../support/process-gateway.ts';
import { tenantOf } from '../support/process-posting.ts';

const MINUTE = 60_000;

let database: TestDatabase;
let directories: DataDirectory[];
let gateways: GatewayProcess[];
let manifests: Manifest[];
beforeAll(async () => {
  database = await createDatabase();
  directories = [await aDataDirectory(), await aDataDirectory()];
  gateways = await Promise.all(directories.map((directory, index) => startShifted(directory, index === 0 ? 10 : -10)));
  manifests = await Promise.all(gateways.map((gateway) => gateway.manifest()));
});
afterAll(async () => {
  for (const gateway of gateways ?? []) await gateway[Symbol.asyncDispose]();
  for (const directory of directories ?? []) await directory[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
});

/** A gateway whose Date is off by some minutes. */
async function startShifted(directory: DataDirectory, minutes: number): Promise<GatewayProcess> {
  const shift = join(directory.path, 'shift-clock.mjs');
  await writeFile(
    shift,
    `const Real = Date, offset = ${minutes * MINUTE};
     globalThis.Date = class Date extends Real {
       constructor(...given) { given.length === 0 ? super(Real.now() + offset) : super(...given); }
       static now() { return Real.now() + offset; }
     };`,
  );
  return startProcess(directory, { DATABASE_URL: database.adminUrl, NODE_OPTIONS: `--import=${shift}` });
}

/** One client per gateway, the fast clock's first. */
const clients = (token: (manifest: Manifest) => string): TestClient[] =>
  manifests.map((manifest) => createClient(manifest.endpoint, token(manifest)));

async function debit(client: TestClient | undefined, input: object) {
  if (!client) throw new Error('there are two gateways');
  return (await client.run(DebitDocument, { input: { idempotencyKey: aKey(), amount: '1', ...input } })).debit;
}

const DEMO = { slug: 'demo' };

describe('two gateways whose clocks are twenty minutes apart', () => {
  it('post at the database’s time, in order', async () => {
    const [fast, slow] = clients(({ tokens }) => tokens.usageKey);
    for (let round = 0; round < 10; round++) await debit(round % 2 === 0 ? fast : slow, { taskId: 'in turns' });

    const tenant = await tenantOf(database, manifests[0]?.organization.id ?? '');
    const [row] = await query(
      database,
      `SELECT count(*)::int AS entries, bool_and(abs(extract(epoch FROM posted_at - now())) < 60) AS now,
         bool_and(posted_at >= before) AS ordered
       FROM (SELECT *, lag(posted_at) OVER (ORDER BY sequence) AS before FROM ledger_entry WHERE wallet_id = $1) e
       WHERE task_id = 'in turns'`,
      [tenant.walletId],
    );
    expect(row).toEqual({ entries: 10, now: true, ordered: true });
    await expectSoundBooks(database, manifests[0]?.organization.id ?? '');
  });

  it('agree on what has expired', async () => {
    const [fast, slow] = clients(({ tokens }) => tokens.readKey);
    const [operator] = clients(({ tokens }) => tokens.operator);
    const wallet = async (client: TestClient | undefined) =>
      (await client?.run(WalletStateDocument, DEMO))?.organization?.wallet?.totalAvailable;
    const before = Number(await wallet(slow));
    const granted = await operator?.run(GrantCreditsDocument, {
      input: {
        organizationId: manifests[0]?.organization.id ?? '',
        idempotencyKey: aKey(),
        bucketKey: 'promotional',
        credits: '5',
        reason: 'for five minutes',
        // In the past for the fast gateway.
        expiresAt: new Date(Date.now() + 5 * MINUTE).toISOString(),
      },
    });

    expect(granted?.grantCredits.__typename).toBe('GrantPayload');
    expect([Number(await wallet(fast)), Number(await wallet(slow))]).toEqual([before + 5, before + 5]);
    const [spender] = clients(({ tokens }) => tokens.usageKey);
    expect(await debit(spender, {})).toMatchObject({
      __typename: 'DebitPayload',
      availableCredits: String(before + 4),
    });
  });

  it('agree on when work may have been done', async () => {
    const both = clients(({ tokens }) => tokens.usageKey);
    for (const client of both) {
      const at = (minutes: number) => new Date(Date.now() + minutes * MINUTE).toISOString();
      expect((await debit(client, { occurredAt: at(4) })).__typename).toBe('DebitPayload');
      expect(await debit(client, { occurredAt: at(6) })).toMatchObject({
        __typename: 'InvalidInput',
        path: ['occurredAt'],
      });
      expect((await debit(client, { occurredAt: at(-7 * 24 * 60 + 5) })).__typename).toBe('DebitPayload');
      expect((await debit(client, { occurredAt: at(-7 * 24 * 60 - 5) })).__typename).toBe('InvalidInput');
    }
  });

  it('agree on how long keys live', async () => {
    const expiresAt = new Date(Date.now() + 5 * MINUTE).toISOString();
    const organizationId = manifests[0]?.organization.id ?? '';
    for (const [index, owner] of clients(({ tokens }) => tokens.owner).entries()) {
      const { createApiKey } = await owner.run(CreateApiKeyDocument, {
        input: { organizationId, name: `key ${index}`, scopes: ['USAGE_WRITE'], expiresAt },
      });
      if (createApiKey.__typename !== 'CreateApiKeyPayload') throw new Error(JSON.stringify(createApiKey));
      const { secret } = createApiKey;
      const answers = await Promise.all(clients(() => secret).map((client) => debit(client, {})));
      expect(answers.map((answer) => answer.__typename)).toEqual(['DebitPayload', 'DebitPayload']);
    }
    const [fast, slow] = clients(({ tokens }) => tokens.owner);
    const past = new Date(Date.now() - 5 * MINUTE).toISOString();
    for (const client of [fast, slow]) {
      const refused = await client?.run(CreateApiKeyDocument, {
        input: { organizationId, name: 'expired', scopes: ['USAGE_WRITE'], expiresAt: past },
      });
      expect(refused?.createApiKey).toMatchObject({ __typename: 'InvalidInput', path: ['expiresAt'] });
    }
  });
});
