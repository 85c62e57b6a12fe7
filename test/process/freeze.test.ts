/**
 * A process that freezes (SIGSTOP, a stalled machine, a pulled cable) holds its locks without ending. The other gateways
 * must not wait for it without bound, and when it thaws nothing of what it was doing may be done twice.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectSoundBooks, query } from '../support/books.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { aKey } from '../support/given.ts';
import { aDataDirectory, type DataDirectory, type GatewayProcess, startProcess } from '../support/process-gateway.ts';
import { expectAcknowledgedInLedger, Load, post } from '../support/process-load.ts';
import { tenantOf, within } from '../support/process-posting.ts';

let database: TestDatabase;
let directories: DataDirectory[];
let gateways: GatewayProcess[];
beforeAll(async () => {
  database = await createDatabase();
  directories = [await aDataDirectory(), await aDataDirectory()];
  gateways = await Promise.all(directories.map((each) => startProcess(each, { DATABASE_URL: database.adminUrl })));
});
afterAll(async () => {
  for (const gateway of gateways ?? []) gateway.signal('SIGCONT');
  for (const gateway of gateways ?? []) await gateway[Symbol.asyncDispose]();
  for (const directory of directories ?? []) await directory[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
});

const DEBIT = 'mutation ($input: DebitInput!) { debit(input: $input) { __typename } }';

/** Whether a batch has been begun whose process does nothing about it. */
async function isHoldingLocks(): Promise<boolean> {
  const idle = `SELECT pid, xact_start FROM pg_stat_activity WHERE datname = current_database()
    AND application_name = 'purser-posting' AND state = 'idle in transaction'`;
  const [before] = await query<{ pid: number; xact_start: Date }>(database, idle);
  const [after] = await query<{ pid: number; xact_start: Date }>(database, idle);
  return (
    before !== undefined && before.pid === after?.pid && before.xact_start.getTime() === after.xact_start.getTime()
  );
}

/** Freezes the process at a moment when it holds locks. */
async function freezeInBatch(gateway: GatewayProcess): Promise<void> {
  for (let attempt = 0; attempt < 500; attempt++) {
    gateway.signal('SIGSTOP');
    if (await isHoldingLocks()) return;
    gateway.signal('SIGCONT');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error('it was never caught in the middle of a batch');
}

describe('a gateway that freezes in the middle of a batch', () => {
  it('delays the others for seconds at most, and does nothing twice when it thaws', async () => {
    const [frozen, other] = gateways;
    if (!frozen || !other) throw new Error('there are two');
    const [manifest, { endpoint, tokens }] = [await frozen.manifest(), await other.manifest()];
    const { walletId } = await tenantOf(database, manifest.organization.id);
    const load = new Load({
      endpoint: () => manifest.endpoint,
      token: manifest.tokens.usageKey,
      callers: 32,
      amount: '0.01',
    });
    await freezeInBatch(frozen);

    const input = { idempotencyKey: aKey(), amount: '1' };
    const answers: unknown[] = [];
    await within(
      30,
      'the other gateway charges',
      (async () => {
        for (;;) {
          const { status, data } = await post(endpoint, tokens.usageKey, DEBIT, { input });
          answers.push(status, data);
          if (status === 200) return;
        }
      })(),
    );
    expect(answers.slice(-2)).toEqual([200, { debit: { __typename: 'DebitPayload' } }]);

    frozen.signal('SIGCONT');
    await within(30, 'the callers of the thawed gateway are answered', load.settle());
    expect(frozen.child.exitCode).toBeNull();
    expect(frozen.stderr).toBe('');
    // The one debit that was not the load's.
    expect(await expectAcknowledgedInLedger(database, walletId, load)).toBe(1);
    await expectSoundBooks(database, manifest.organization.id);
  });
});
