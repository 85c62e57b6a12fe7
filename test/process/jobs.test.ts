/** Jobs across processes: downtime, several gateways, kill −9 of a gateway and of PostgreSQL, SIGTERM in a sweep. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Tenant } from '../../src/domain/identity/caller.ts';
import { startEmbeddedPostgres } from '../../src/embedded-postgres/index.ts';
import { encodeId } from '../../src/graphql/ids.ts';
import { GrantCreditsDocument } from '../generated/documents.ts';
import { expectSoundBooks, query } from '../support/books.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { expiries, expiringWallets } from '../support/due-wallets.ts';
import { createClient, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { aKey } from '../support/given.ts';
import {
  aDataDirectory,
  type DataDirectory,
  GatewayProcess,
  type Manifest,
  startProcess,
} from '../support/process-gateway.ts';
import { eventually, holdWallet, tenantOf } from '../support/process-posting.ts';

let database: TestDatabase;
let directories: [DataDirectory, DataDirectory];
/** Runs no jobs: makes what comes due. */
let gateway: TestGateway;
beforeAll(async () => {
  database = await createDatabase();
  directories = [await aDataDirectory(), await aDataDirectory()];
  gateway = await startTestGateway({ database });
});
afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  for (const directory of directories ?? []) await directory[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
});

const ENDED_WELL = { code: 0, signal: null };
const env = () => ({ DATABASE_URL: database.adminUrl });

const SOON = { timeout: 30_000, interval: 50 };

async function expectExpired(tenants: readonly Tenant[], where: TestDatabase = database): Promise<void> {
  const once = { posted: tenants.length, wallets: tenants.length };
  await vi.waitFor(async () => expect(await expiries(where, tenants)).toEqual(once), SOON);
}

/** The runs of jobs, the earliest asked for first. */
const runs = () =>
  query<{ key: string | null; locked: boolean }>(
    database,
    'SELECT key, locked_at IS NOT NULL AS locked FROM graphile_worker.jobs ORDER BY id',
  );

/** Five credits of the demo organization that expire so many milliseconds from now. */
async function expireSoon({ endpoint, tokens, organization }: Manifest, milliseconds: number): Promise<void> {
  const { grantCredits } = await createClient(endpoint, tokens.operator).run(GrantCreditsDocument, {
    input: {
      organizationId: organization.id,
      idempotencyKey: aKey(),
      bucketKey: 'promotional',
      credits: '5',
      reason: 'for a moment',
      expiresAt: new Date(Date.now() + milliseconds).toISOString(),
    },
  });
  expect(grantCredits.__typename).toBe('GrantPayload');
}

describe('what came due while no process ran jobs', () => {
  it('is posted at the next start, once, effective when it was due', async () => {
    const { tenants, expiresAt } = await expiringWallets(gateway.gateway.services, 80, 1_500);
    await eventually(async () => Date.now() > expiresAt + 500, 'they are overdue');
    expect(await expiries(database, tenants)).toEqual({ posted: 0, wallets: 0 });

    await using started = await startProcess(directories[0], env());

    await expectExpired(tenants);
    const effective = await query<{ effective_at: Date }>(
      database,
      `SELECT DISTINCT effective_at FROM ledger_entry WHERE wallet_id = ANY($1) AND reason_code = 'EXPIRY'`,
      [tenants.map((tenant) => tenant.walletId)],
    );
    expect(effective).toEqual([{ effective_at: new Date(expiresAt) }]);
    expect(await started.stop()).toEqual(ENDED_WELL);
    expect(started.stderr).toBe('');
  });
});

describe('two processes', () => {
  it('that start on an empty queue at once post each transition once', async () => {
    await using fresh = await createDatabase();
    await using source = await startTestGateway({ database: fresh });
    const of = { DATABASE_URL: fresh.adminUrl };
    await using first = new GatewayProcess(directories[0].path, of);
    await using second = new GatewayProcess(directories[1].path, of);
    await Promise.all([first.running(), second.running()]);
    const { tenants } = await expiringWallets(source.gateway.services, 200, 3_000);
    // Without the key under which one run waits, both processes have one.
    await query(
      fresh,
      `SELECT graphile_worker.add_job('settle-due-wallets', '{}', run_at := now() + interval '3 seconds')`,
    );
    await expectExpired(tenants, fresh);
    await source.gateway.stop();
    expect(await Promise.all([first.stop(), second.stop()])).toEqual([ENDED_WELL, ENDED_WELL]);
    expect([first.stderr, second.stderr]).toEqual(['', '']);
    expect(await expiries(fresh, tenants)).toEqual({ posted: 200, wallets: 200 });
    await expectSoundBooks(fresh, source.organizationId);
  });
});

describe('a gateway in the middle of a sweep', () => {
  /** A gateway whose sweep waits for a wallet on which something is due. */
  async function caughtInSweep() {
    const { tenants } = await expiringWallets(gateway.gateway.services, 1, 1_500);
    const held = await holdWallet(database, encodeId('Organization', tenants[0]?.organizationId ?? ''));
    const started = await startProcess(directories[0], env());
    await held.awaitWaiting(1);
    return { tenants, held, started };
  }

  it('does not stop the jobs of the next start by kill −9', async () => {
    const { tenants: due, held, started } = await caughtInSweep();
    await using caught = held;
    await started.stop('SIGKILL');
    expect(await runs()).toContainEqual(expect.objectContaining({ locked: true }));
    await caught.release();
    const { tenants } = await expiringWallets(gateway.gateway.services, 3, 1_500);

    await using again = await startProcess(directories[0], env());

    await expectExpired([...due, ...tenants]);
    expect(await runs()).toContainEqual({ key: null, locked: true });
    expect(again.stderr).toBe('');
  });

  it('ends it on SIGTERM and exits with 0', async () => {
    const { tenants, held, started } = await caughtInSweep();
    await using caught = held;
    const manifest = await started.manifest();
    started.signal('SIGTERM');
    await eventually(() => takesNothing(manifest), 'it takes no more requests');
    expect(started.child.exitCode).toBeNull();
    await caught.release();
    expect(await started.ended()).toEqual(ENDED_WELL);
    expect(await expiries(database, tenants)).toEqual({ posted: 1, wallets: 1 });
    expect(started.stderr).toBe('');
    const ended = (await runs()).filter((run) => run.key !== null);
    expect(ended).toContainEqual({ key: 'settle-due-wallets', locked: false });
    expect(ended.filter((run) => run.locked)).toEqual([]);
  });
});

/** True once a signal to stop has been obeyed so far that nothing new is begun: /health is refused, or answered with 503. */
const takesNothing = ({ endpoint }: Manifest): Promise<boolean> =>
  fetch(endpoint.replace('/graphql', '/health')).then(
    ({ ok }) => !ok,
    () => true,
  );

describe('kill −9 of PostgreSQL', () => {
  it('in the middle of a sweep is survived: it is told once, and jobs go on when PostgreSQL is back', async () => {
    await using directory = await aDataDirectory();
    await using started = await startProcess(directory, { LOG_LEVEL: 'debug' });
    const manifest = await started.manifest();
    const own: TestDatabase = { adminUrl: manifest.databaseUrl, [Symbol.asyncDispose]: async () => undefined };
    const tenant = await tenantOf(own, manifest.organization.id);
    const told = (what: string) => started.stdout.split(what).length - 1;
    await expireSoon(manifest, 1_500);
    const held = await holdWallet(own, manifest.organization.id);
    await held.awaitWaiting(1);
    process.kill((await directory.postmaster()) ?? 0, 'SIGKILL');
    await held.release().catch(() => undefined);
    await held[Symbol.asyncDispose]();
    await eventually(async () => told('jobs are interrupted') > 0, 'it says that jobs are interrupted');
    // The run cannot even say that it has failed.
    await eventually(async () => told('Failed task') > 0, 'the run fails');
    await eventually(async () => told('Runner stopping') > 0, 'its runner ends');
    expect(await isReady(manifest)).toBe(false);

    const restarted = await startEmbeddedPostgres({
      dataDirectory: join(directory.path, 'postgres'),
      database: 'purser',
    });
    try {
      await eventually(async () => told('jobs go on') > 0, 'it says that jobs go on', 30);
      await vi.waitFor(async () => expect(await expiries(own, [tenant])).toMatchObject({ posted: 1 }), SOON);
      await expireSoon(manifest, 1_500);
      await vi.waitFor(async () => expect(await expiries(own, [tenant])).toMatchObject({ posted: 2 }), SOON);
      expect(told('jobs are interrupted')).toBe(1);
      expect(started.child.exitCode).toBeNull();
      expect(withoutLostWorkers(started.stderr)).toBe('');
      await expectSoundBooks(own, manifest.organization.id);
      expect(await started.stop()).toEqual(ENDED_WELL);
    } finally {
      await restarted.stop();
    }
  });

  /** The library of the queue traces a worker to the console that finds the database gone while it looks for a job. */
  const withoutLostWorkers = (stderr: string) =>
    stderr.replace(/^Trace: [\s\S]*?graphile-worker\/dist\/main\.js:[^\n]*\n(?: {4}at [^\n]*\n)*/gm, '').trim();

  const isReady = async ({ endpoint }: Manifest) => (await fetch(endpoint.replace('/graphql', '/ready'))).ok;
});
