/** SIGTERM: what was accepted is finished and answered, what comes later is refused, and nothing is left behind. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectSoundBooks, query } from '../support/books.ts';
import type { TestDatabase } from '../support/database.ts';
import { createDatabase } from '../support/database.ts';
import { aDataDirectory, type DataDirectory, GatewayProcess, isAlive, startProcess } from '../support/process-gateway.ts';
import { expectAcknowledgedInLedger, Load, post } from '../support/process-load.ts';
import { eventually, holdWallet, tenantOf, within } from '../support/process-posting.ts';
import { watchBalance } from '../support/process-stream.ts';

let database: TestDatabase;
let directory: DataDirectory;
beforeAll(async () => {
  database = await createDatabase();
  directory = await aDataDirectory();
});
afterAll(async () => {
  await directory[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
});

const env = () => ({ DATABASE_URL: database.adminUrl });
const sessions = async () =>
  (await query(database, `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name ~ '^purser'`))
    .length;

describe('SIGTERM under load', () => {
  it('ends with 0; every acknowledged debit is in the ledger, sockets close with 1001, no session stays', async () => {
    await using gateway = await startProcess(directory, env());
    const manifest = await gateway.manifest();
    const { walletId } = await tenantOf(database, manifest.organization.id);
    await using stream = await watchBalance(manifest);
    const load = new Load({ endpoint: () => manifest.endpoint, token: manifest.tokens.usageKey, callers: 64, amount: '0.01' });
    await eventually(async () => load.acknowledged.size > 500, 'the load runs');

    const begun = performance.now();
    const ended = gateway.stop();

    expect(await stream.closed()).toBe(1001);
    expect(await ended).toEqual({ code: 0, signal: null });
    // Callers who keep their connections and go on asking do not keep the gateway from ending.
    expect((performance.now() - begun) / 1000).toBeLessThan(8);
    await load.stop();
    expect(gateway.stderr).toBe('');
    // Debits whose answer a closing connection swallowed may be there; none that was acknowledged is missing.
    expect(await expectAcknowledgedInLedger(database, walletId, load)).toBeLessThanOrEqual(64);
    expect([...load.failures.keys()].filter((failure) => !/^(no answer|503 RATE_LIMITED)$/.test(failure))).toEqual([]);
    await expectSoundBooks(database, manifest.organization.id);
    await eventually(async () => (await sessions()) === 0, 'no session stays');
    await expect(post(manifest.endpoint, null, '{ plans { key } }')).rejects.toThrow();
  });
});

describe('SIGTERM in the middle of a batch', () => {
  const DEBIT = 'mutation ($input: DebitInput!) { debit(input: $input) { __typename } }';

  it('waits for it, answers its callers, and takes nobody else', async () => {
    await using gateway = await startProcess(directory, env());
    const { endpoint, organization, tokens } = await gateway.manifest();
    await using held = await holdWallet(database, organization.id);
    const debits = Array.from({ length: 5 }, (_, index) =>
      post(endpoint, tokens.usageKey, DEBIT, { input: { idempotencyKey: `mid-batch-${index}`, amount: '1' } }),
    );
    await held.awaitWaiting(1);

    gateway.signal('SIGTERM');
    await eventually(
      () =>
        post(endpoint, null, '{ plans { key } }').then(
          ({ status }) => status === 503,
          () => true,
        ),
      'nobody else is taken',
    );
    expect(gateway.child.exitCode).toBeNull();
    await held.release();

    const answers = await Promise.all(debits);
    expect(answers.map(({ status, data }) => [status, data])).toEqual(
      debits.map(() => [200, { debit: { __typename: 'DebitPayload' } }]),
    );
    expect(await gateway.ended()).toEqual({ code: 0, signal: null });
    await expectSoundBooks(database, organization.id);
  });

  it('is obeyed once: a second signal changes nothing', async () => {
    await using gateway = await startProcess(directory, env());
    gateway.signal('SIGTERM');
    gateway.signal('SIGTERM');
    gateway.signal('SIGINT');
    expect(await gateway.ended()).toEqual({ code: 0, signal: null });
    expect(gateway.stderr).toBe('');
  });
});

describe('SIGTERM while the gateway is still starting', () => {
  it('leaves no PostgreSQL running', async () => {
    await using fresh = await aDataDirectory();
    await using gateway = new GatewayProcess(fresh.path);
    let postmaster: number | undefined;
    await eventually(async () => {
      postmaster = await fresh.postmaster();
      return postmaster !== undefined;
    }, 'PostgreSQL starts');

    gateway.signal('SIGTERM');

    await gateway.ended();
    await within(
      10,
      'PostgreSQL ends',
      eventually(async () => !isAlive(postmaster ?? 0), 'PostgreSQL ends', 10),
    );
  });
});
