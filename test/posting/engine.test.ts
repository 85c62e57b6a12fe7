/** What the engine promises to those who wait: a fault of one command is its own, and nobody waits without bound. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EngineBusy, EngineStopped, PostingFailed } from '../../src/posting/errors.ts';
import { DebitDocument } from '../generated/documents.ts';
import { expectSoundBooks, query } from '../support/books.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { aKey, anOrganization, type Given } from '../support/given.ts';
import { post } from '../support/process-load.ts';
import { aDebit, anEngine, holdWallet, openSession, picture, tenantOf, within } from '../support/process-posting.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway();
  await using session = await openSession(gateway.database);
  // PostgreSQL chokes on the task "poison": with a fault of its own, deep inside of the batch.
  await session.client.query(`
    CREATE FUNCTION choke() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'a secret of the database' USING ERRCODE = '22012'; END $$;
    CREATE TRIGGER poison BEFORE INSERT ON ledger_entry FOR EACH ROW
      WHEN (NEW.task_id = 'poison') EXECUTE FUNCTION choke()`);
});
afterAll(() => gateway[Symbol.asyncDispose]());

const DEBIT = 'mutation ($input: DebitInput!) { debit(input: $input) { __typename } }';

/** The answer to a debit: its type, or the code of the error. */
async function attempt({ secret }: Given, taskId: string, idempotencyKey = aKey()): Promise<string> {
  const { data, errors } = await post(gateway.gateway.endpoint, secret, DEBIT, {
    input: { idempotencyKey, amount: '1', taskId },
  });
  if (errors[0]) return String(errors[0].extensions?.code);
  return (data?.debit as { __typename: string } | undefined)?.__typename ?? 'nothing';
}

describe('a poisoned command', () => {
  it('fails alone; the others of its batch are posted in their order', async () => {
    const given = await anOrganization(gateway, { credits: { purchased: '100' } });
    await using held = await holdWallet(gateway.database, given.id);
    const inFlight = attempt(given, 'before');
    await held.awaitWaiting(1);
    // All of these wait for the one in flight and form the next batch.
    const tasks = ['a', 'b', 'poison', 'c', 'd', 'e', 'poison', 'f', 'g'];
    const queued: Promise<string>[] = [];
    for (const task of tasks) {
      const known = gateway.statements.length;
      queued.push(attempt(given, task));
      // Its credential has been looked up, so that the next one arrives after it.
      while (gateway.statements.length === known) await new Promise((resolve) => setImmediate(resolve));
    }

    await held.release();

    expect(await inFlight).toBe('DebitPayload');
    expect(await Promise.all(queued)).toEqual(
      tasks.map((task) => (task === 'poison' ? 'INTERNAL_SERVER_ERROR' : 'DebitPayload')),
    );
    const { walletId } = await tenantOf(gateway.database, given.id);
    const posted = await query<{ task: string }>(
      gateway.database,
      `SELECT task_id AS task FROM ledger_entry WHERE wallet_id = $1 AND task_id IS NOT NULL ORDER BY task_id`,
      [walletId],
    );
    expect(posted.map((entry) => entry.task)).toEqual(['a', 'b', 'before', 'c', 'd', 'e', 'f', 'g']);
    await expectSoundBooks(gateway.database, given.id);
  });

  it('tells the caller nothing about the database', async () => {
    const given = await anOrganization(gateway, { credits: { purchased: '100' } });
    const answer = await given.client.raw(DEBIT, {
      input: { idempotencyKey: aKey(), amount: '1', taskId: 'poison' },
    });
    expect(answer.errors).toHaveLength(1);
    expect(JSON.stringify(answer)).not.toMatch(/secret|22012|trigger|ledger_entry/);
  });

  it('leaves nothing behind: no row, no used key', async () => {
    const given = await anOrganization(gateway, { credits: { purchased: '100' } });
    const key = aKey();
    const before = await picture(gateway.database);

    expect(await attempt(given, 'poison', key)).toBe('INTERNAL_SERVER_ERROR');

    expect(await picture(gateway.database)).toEqual(before);
    expect(await attempt(given, 'antidote', key)).toBe('DebitPayload');
    await expectSoundBooks(gateway.database, given.id);
  });

  it('does not hurt the other wallets of its batch', async () => {
    const organizations = await Promise.all(
      Array.from({ length: 6 }, () => anOrganization(gateway, { credits: { purchased: '10' } })),
    );
    const tenants = await Promise.all(organizations.map(({ id }) => tenantOf(gateway.database, id)));
    await using own = anEngine(gateway, { lanes: 1 });
    const commands = tenants.map((tenant, index) => {
      const debit = aDebit(tenant, '1');
      return index === 3 ? { ...debit, attribution: { ...debit.attribution, taskId: 'poison' } } : debit;
    });

    const outcomes = await Promise.allSettled(commands.map((command) => own.engine.execute(command)));

    expect(outcomes.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value.status : outcome.reason))).toEqual(
      ['posted', 'posted', 'posted', expect.any(PostingFailed), 'posted', 'posted'],
    );
    for (const { id } of organizations) await expectSoundBooks(gateway.database, id);
  });

  it('fails alone as well where the decision itself throws', async () => {
    const given = await anOrganization(gateway, { credits: { purchased: '10' } });
    const tenant = await tenantOf(gateway.database, given.id);
    await using own = anEngine(gateway, { lanes: 1 });
    const foreign = aDebit({ ...tenant, walletId: '00000000-0000-4000-8000-000000000000' }, '1');

    const outcomes = await Promise.allSettled(
      [aDebit(tenant, '1'), foreign, aDebit(tenant, '1')].map((command) => own.engine.execute(command)),
    );

    expect(outcomes.map((outcome) => outcome.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    await expectSoundBooks(gateway.database, given.id);
  });
});

describe('a publisher that throws', () => {
  it('fails nothing that is committed: callers are answered, nothing is posted again, and it is logged', async () => {
    const given = await anOrganization(gateway, { credits: { purchased: '10' } });
    const tenant = await tenantOf(gateway.database, given.id);
    const told: (readonly string[])[] = [];
    const feed = {
      published(changes: readonly { readonly walletId: string }[]) {
        told.push(changes.map(({ walletId }) => walletId));
        if (told.length === 1) throw new Error('nobody can be told');
      },
    };
    await using own = anEngine(gateway, { lanes: 1, feed });
    const batchOfTwo = () => Promise.all([1, 2].map(() => own.engine.execute(aDebit(tenant, '1'))));

    const outcomes = await within(10, 'the commands are answered', batchOfTwo());
    const next = await within(10, 'the next batch is answered', batchOfTwo());

    expect(outcomes).toMatchObject([
      { status: 'posted', available: 9_000_000n },
      { status: 'posted', available: 8_000_000n },
    ]);
    expect(next).toMatchObject([
      { status: 'posted', available: 7_000_000n },
      { status: 'posted', available: 6_000_000n },
    ]);
    const sql = `SELECT idempotency_key FROM ledger_transaction WHERE wallet_id = $1 AND kind = 'DEBIT'`;
    expect(await query(gateway.database, sql, [tenant.walletId])).toHaveLength(4);
    // Once a batch: none runs again, in halves or as a whole.
    expect(told).toEqual([[tenant.walletId], [tenant.walletId]]);
    expect(own.log.map((line) => JSON.parse(line))).toMatchObject([
      { msg: 'a posted batch was not published', err: { message: 'nobody can be told' } },
    ]);
    await expectSoundBooks(gateway.database, given.id);
  });
});

describe('back-pressure', () => {
  it('refuses at once what exceeds the queue, and posts all that it accepted', async () => {
    const given = await anOrganization(gateway, { credits: { purchased: '100' } });
    const tenant = await tenantOf(gateway.database, given.id);
    await using own = anEngine(gateway, { maxQueued: 10 });
    await using held = await holdWallet(gateway.database, given.id);
    const accepted = Array.from({ length: 10 }, () => own.engine.execute(aDebit(tenant, '1')));

    await expect(own.engine.execute(aDebit(tenant, '1'))).rejects.toBeInstanceOf(EngineBusy);

    await held.release();
    const outcomes = await Promise.all(accepted);
    expect(outcomes.map((outcome) => outcome.status)).toEqual(accepted.map(() => 'posted'));
    expect((await own.engine.execute(aDebit(tenant, '1'))).status).toBe('posted');
  });

  it('is 503 with Retry-After over HTTP, and passes', async () => {
    const given = await anOrganization(gateway, { credits: { purchased: '100' } });
    const tenant = await tenantOf(gateway.database, given.id);
    const { engine } = gateway.gateway.services;
    const actor = { kind: 'SYSTEM', id: 'test' } as const;
    const key = aKey();
    await using held = await holdWallet(gateway.database, given.id);
    const filling = Array.from({ length: 20_000 }, () => engine.execute({ kind: 'settle', ...tenant, actor }));

    const refused = await post(gateway.gateway.endpoint, given.secret, DEBIT, {
      input: { idempotencyKey: key, amount: '1' },
    });

    expect(refused).toMatchObject({ status: 503, retryAfter: '1', errors: [{ extensions: { code: 'RATE_LIMITED' } }] });
    await held.release();
    const settled = await within(20, 'the queue is worked off', Promise.all(filling));
    expect(settled.every((outcome) => outcome.status === 'settled')).toBe(true);
    const { debit } = await given.client.run(DebitDocument, { input: { idempotencyKey: key, amount: '1' } });
    expect(debit).toMatchObject({ __typename: 'DebitPayload', replayed: false, availableCredits: '99' });
  });
});

describe('a database clock that goes back', () => {
  it('moves no posting before the one it follows', async () => {
    const given = await anOrganization(gateway, { credits: { purchased: '100' } });
    const { walletId } = await tenantOf(gateway.database, given.id);
    // As if the clock had been ten minutes ahead when the wallet was last posted to.
    const [ahead] = await query<{ at: Date }>(
      gateway.database,
      `UPDATE wallet SET last_posted_at = now() + interval '10 minutes' WHERE id = $1 RETURNING last_posted_at AS at`,
      [walletId],
    );

    expect([await attempt(given, 'one'), await attempt(given, 'two')]).toEqual(['DebitPayload', 'DebitPayload']);

    const posted = await query<{ at: Date }>(
      gateway.database,
      `SELECT posted_at AS at FROM ledger_entry WHERE wallet_id = $1 AND task_id IN ('one', 'two')`,
      [walletId],
    );
    expect(posted).toEqual([ahead, ahead]);
    await expectSoundBooks(gateway.database, given.id);
  });
});

describe('an engine that stops', () => {
  it('answers what it has accepted and refuses what comes later', async () => {
    const given = await anOrganization(gateway, { credits: { purchased: '100' } });
    const tenant = await tenantOf(gateway.database, given.id);
    await using own = anEngine(gateway);
    await using held = await holdWallet(gateway.database, given.id);
    const accepted = Array.from({ length: 5 }, () => own.engine.execute(aDebit(tenant, '1')));
    await held.awaitWaiting(1);

    const stopped = own.engine.stop();

    await expect(own.engine.execute(aDebit(tenant, '1'))).rejects.toBeInstanceOf(EngineStopped);
    await held.release();
    await stopped;
    expect((await Promise.all(accepted)).map((outcome) => outcome.status)).toEqual(accepted.map(() => 'posted'));
    await expectSoundBooks(gateway.database, given.id);
  });
});
