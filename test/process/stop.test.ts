/** SIGTERM: what was accepted is finished and answered, what comes later is refused, and nothing is left behind. */
import { Agent, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectSoundBooks, query } from '../support/books.ts';
import type { TestDatabase } from '../support/database.ts';
import { createDatabase } from '../support/database.ts';
import { aKey } from '../support/given.ts';
import {
  aDataDirectory,
  type DataDirectory,
  GatewayProcess,
  isAlive,
  type Manifest,
  startProcess,
} from '../support/process-gateway.ts';
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
const sessions = async (name = '^purser') =>
  (
    await query(
      database,
      'SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name ~ $1',
      [name],
    )
  ).length;

describe('SIGTERM under load', () => {
  it('ends with 0; every acknowledged debit is in the ledger, sockets close with 1001, no session stays', async () => {
    await using gateway = await startProcess(directory, env());
    const manifest = await gateway.manifest();
    const { walletId } = await tenantOf(database, manifest.organization.id);
    await using stream = await watchBalance(manifest);
    const load = new Load({
      endpoint: () => manifest.endpoint,
      token: manifest.tokens.usageKey,
      callers: 64,
      amount: '0.01',
    });
    await eventually(async () => load.acknowledged.size > 500, 'the load runs');
    await eventually(async () => (await sessions('^purser-jobs$')) > 0, 'jobs run');

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
  it('waits for it, answers its caller, and takes nothing else, not even on the connection that is open', async () => {
    await using gateway = await startProcess(directory, env());
    const manifest = await gateway.manifest();
    const { organization } = manifest;
    // One connection, which a second call waits for.
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    await using held = await holdWallet(database, organization.id);
    const answer = debitThrough(agent, manifest);
    await held.awaitWaiting(1);

    gateway.signal('SIGTERM');
    const late = debitThrough(agent, manifest).catch(() => ({ status: 0, connection: '', body: 'no answer' }));
    await eventually(
      () =>
        fetch(manifest.endpoint.replace('graphql', 'health')).then(
          () => false,
          () => true,
        ),
      'no new connection is taken',
    );
    expect(gateway.child.exitCode).toBeNull();
    const released = performance.now();
    await held.release();

    expect(await answer).toMatchObject({
      status: 200,
      body: expect.stringContaining('DebitPayload'),
      connection: 'close',
    });
    expect((await late).body).not.toContain('DebitPayload');
    expect(await gateway.ended()).toEqual({ code: 0, signal: null });
    expect((performance.now() - released) / 1000).toBeLessThan(8);
    agent.destroy();
    const { walletId } = await tenantOf(database, organization.id);
    const posted = await query(
      database,
      `SELECT 1 FROM ledger_transaction WHERE wallet_id = $1 AND task_id = 'mid-batch'`,
      [walletId],
    );
    expect(posted).toHaveLength(1);
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

interface PlainAnswer {
  readonly status: number;
  readonly connection: string | undefined;
  readonly body: string;
}

/** A debit over a connection that the test looks after itself. */
function debitThrough(agent: Agent, { endpoint, tokens }: Manifest): Promise<PlainAnswer> {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${tokens.usageKey}` };
  const input = { idempotencyKey: aKey(), amount: '1', taskId: 'mid-batch' };
  const document = 'mutation ($input: DebitInput!) { debit(input: $input) { __typename } }';
  return new Promise((resolve, reject) => {
    const sent = request(endpoint, { agent, method: 'POST', headers }, (response) => {
      text(response).then(
        (body) => resolve({ status: response.statusCode ?? 0, connection: response.headers.connection, body }),
        reject,
      );
    });
    sent.on('error', reject);
    sent.end(JSON.stringify({ query: document, variables: { input } }));
  });
}

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
