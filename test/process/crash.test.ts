/**
 * kill −9 under load: of the gateway, and of its PostgreSQL. What was acknowledged stays, nothing is half-done, and
 * callers who repeat their calls under the same keys get their answers.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/embedded-postgres/index.ts';
import { AdjustBalanceDocument, GrantCreditsDocument } from '../generated/documents.ts';
import { expectSoundBooks, query } from '../support/books.ts';
import type { TestDatabase } from '../support/database.ts';
import { createClient } from '../support/gateway.ts';
import { aKey } from '../support/given.ts';
import {
  aDataDirectory,
  type DataDirectory,
  type GatewayProcess,
  type Manifest,
  startProcess,
} from '../support/process-gateway.ts';
import { expectAcknowledgedInLedger, Load, post } from '../support/process-load.ts';
import { eventually, tenantOf, within } from '../support/process-posting.ts';
import { watchBalance } from '../support/process-stream.ts';

const CALLERS = 64;

let directory: DataDirectory;
let gateway: GatewayProcess;
let manifest: Manifest;
let walletId: string;
/** As the serving role: enough to read the books. */
let database: TestDatabase;
let restarted: EmbeddedPostgres | undefined;
beforeAll(async () => {
  directory = await aDataDirectory();
  gateway = await startProcess(directory);
  manifest = await gateway.manifest();
  database = { adminUrl: manifest.databaseUrl, [Symbol.asyncDispose]: async () => undefined };
  ({ walletId } = await tenantOf(database, manifest.organization.id));
  await createClient(manifest.endpoint, manifest.tokens.operator).run(GrantCreditsDocument, {
    input: {
      organizationId: manifest.organization.id,
      idempotencyKey: aKey(),
      bucketKey: 'purchased',
      credits: '900000',
      reason: 'load',
    },
  });
});
afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await restarted?.stop();
  await directory?.[Symbol.asyncDispose]();
});

const aLoad = () =>
  new Load({ endpoint: () => manifest.endpoint, token: manifest.tokens.usageKey, callers: CALLERS, amount: '0.01' });

const running = (load: Load, count = 500) =>
  eventually(async () => load.acknowledged.size >= count, `${count} debits are acknowledged`);

/** All debits of the load are answered and each stands in the ledger once; nobody else debits meanwhile. */
async function expectAccounted(load: Load, before: number): Promise<void> {
  await expectAcknowledgedInLedger(database, walletId, load);
  expect(await debits()).toBe(before + load.acknowledged.size);
  await expectSoundBooks(database, manifest.organization.id);
}

async function debits(): Promise<number> {
  const [row] = await query<{ count: number }>(
    database,
    `SELECT count(*)::int FROM ledger_transaction WHERE wallet_id = $1 AND kind = 'DEBIT'`,
    [walletId],
  );
  return row?.count ?? 0;
}

describe('kill −9 of the gateway', () => {
  it('loses no acknowledged debit and posts none by half; the next start adopts PostgreSQL and answers every retry', async () => {
    const before = await debits();
    const postmaster = await directory.postmaster();
    const load = aLoad();
    await running(load);

    expect(await gateway.stop('SIGKILL')).toEqual({ code: null, signal: 'SIGKILL' });

    const acknowledged = load.acknowledged.size;
    // Whatever was under way ends, one way or the other, when PostgreSQL notices that nobody is there.
    await eventually(
      async () =>
        (await query(database, `SELECT 1 FROM pg_stat_activity WHERE application_name = 'purser-posting'`)).length ===
        0,
      'the sessions of the dead gateway end',
    );
    const unacknowledged = await expectAcknowledgedInLedger(database, walletId, load);
    expect(unacknowledged).toBeLessThanOrEqual(CALLERS);
    await expectSoundBooks(database, manifest.organization.id);

    gateway = await startProcess(directory);
    manifest = await gateway.manifest();
    expect(await directory.postmaster()).toBe(postmaster);
    expect(gateway.stdout).toContain(`still running from an earlier start (process ${postmaster})`);
    expect(gateway.stderr).toBe('');
    await running(load, acknowledged + 200);
    await load.settle();
    await expectAccounted(load, before);
  });
});

describe('kill −9 of PostgreSQL', () => {
  it('is answered with errors until it is back; the gateway then goes on by itself and has lost nothing acknowledged', async () => {
    const before = await debits();
    const { pid } = manifest;
    const origin = manifest.endpoint.replace('/graphql', '');
    await using stream = await watchBalance(manifest);
    const load = aLoad();
    await running(load);

    process.kill((await directory.postmaster()) ?? 0, 'SIGKILL');

    await eventually(async () => (load.failures.get('503 RATE_LIMITED') ?? 0) > 0, 'debits are refused as busy');
    expect((await fetch(`${origin}/ready`)).status).toBe(503);
    expect((await fetch(`${origin}/health`)).status).toBe(200);
    const read = await within(
      10,
      'a read is answered',
      post(manifest.endpoint, manifest.tokens.readKey, '{ viewer { kind } organization(slug: "demo") { name } }'),
    );
    expect(read).toMatchObject({ status: 503, retryAfter: expect.any(String) });

    restarted = await startEmbeddedPostgres({ dataDirectory: join(directory.path, 'postgres'), database: 'purser' });
    expect(new URL(restarted.adminUrl).port).toBe(new URL(manifest.databaseUrl).port);
    const answered = load.acknowledged.size;
    await running(load, answered + 500);
    await load.settle();

    expect(gateway.child.exitCode).toBeNull();
    expect(gateway.child.pid).toBe(pid);
    expect((await fetch(`${origin}/ready`)).status).toBe(200);
    await expectAccounted(load, before);
    await expectStreamsGoOn(stream);
  });

  /** The stream that was open goes on, or was ended so that its client resumes; a new one works. */
  async function expectStreamsGoOn(old: Awaited<ReturnType<typeof watchBalance>>): Promise<void> {
    await using fresh = await watchBalance(manifest);
    await createClient(manifest.endpoint, manifest.tokens.operator).run(AdjustBalanceDocument, {
      input: {
        organizationId: manifest.organization.id,
        idempotencyKey: aKey(),
        bucketKey: 'purchased',
        credits: '-1',
        reason: 'a sign',
      },
    });
    await fresh.awaitEvent((event) => event.reasonCode === 'ADJUSTMENT', 'a new stream hears of it');
    await Promise.race([
      old.awaitEvent((event) => event.reasonCode === 'ADJUSTMENT', 'the old stream hears of it'),
      old.ended(),
    ]);
    const versions = old.events.map((event) => event.version);
    expect(versions.slice(1)).toEqual(versions.slice(1).map((_, index) => (versions[0] ?? 0) + index + 1));
  }
});
