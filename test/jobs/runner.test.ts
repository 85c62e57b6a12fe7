/** Jobs as a gateway runs them: what comes due is posted without anybody reading. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Tenant } from '../../src/domain/identity/caller.ts';
import { query } from '../support/books.ts';
import type { TestDatabase } from '../support/database.ts';
import { expiries, expiringWallets } from '../support/due-wallets.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { advanceTo, anOrganization, grant } from '../support/given.ts';
import { eventually, tenantOf } from '../support/process-posting.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway({ env: { PURSER_JOBS: 'on' } });
});
afterAll(() => gateway[Symbol.asyncDispose]());

const SOON = { timeout: 30_000, interval: 50 };

const sessions = (database: TestDatabase) =>
  query(
    database,
    `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'purser-jobs'`,
  );

const waiting = (database: TestDatabase) =>
  query<{ key: string; run_at: Date; locked: boolean }>(
    database,
    `SELECT key, run_at, locked_at IS NOT NULL AS locked FROM graphile_worker.jobs
     WHERE key = 'settle-due-wallets' ORDER BY id`,
  );

/** The only expiry of the wallet: how long after it was due it was posted, in milliseconds. */
async function lateness(database: TestDatabase, tenant: Tenant, dueAt: number): Promise<number> {
  const rows = await query<{ effective_at: Date; posted_at: Date }>(
    database,
    `SELECT effective_at, posted_at FROM ledger_entry WHERE wallet_id = $1 AND reason_code = 'EXPIRY'`,
    [tenant.walletId],
  );
  expect(rows.map((row) => row.effective_at.getTime())).toEqual([dueAt]);
  return (rows[0]?.posted_at.getTime() ?? Number.POSITIVE_INFINITY) - dueAt;
}

describe('a gateway with jobs', () => {
  it('posts the expiry of a lot that nobody looks at, effective when it was due', async () => {
    const { tenants, expiresAt } = await expiringWallets(gateway.gateway.services, 1, 1_000);
    await vi.waitFor(
      async () => expect(await expiries(gateway.database, tenants)).toEqual({ posted: 1, wallets: 1 }),
      SOON,
    );
    for (const tenant of tenants) expect(await lateness(gateway.database, tenant, expiresAt)).toBeLessThan(7_000);
  });

  it('posts it as soon as it is due where it knew of it', async () => {
    // Spread over the pause between two runs: one that did not know would be late for some of them by more than half of it.
    const due = await Promise.all(
      [7_000, 8_000, 9_000, 10_000, 11_000].map((after) => expiringWallets(gateway.gateway.services, 1, after)),
    );
    const tenants = due.flatMap((each) => each.tenants);
    await vi.waitFor(
      async () => expect(await expiries(gateway.database, tenants)).toEqual({ posted: 5, wallets: 5 }),
      SOON,
    );
    for (const { tenants, expiresAt } of due) {
      for (const tenant of tenants) expect(await lateness(gateway.database, tenant, expiresAt)).toBeLessThan(2_500);
    }
  });

  it('goes by the clock of the organization', async () => {
    const organization = await anOrganization(gateway);
    const ahead = Date.now() + 30 * 86_400_000;
    await advanceTo(gateway, organization.id, new Date(ahead).toISOString());
    const expiresAt = ahead + 2_000;
    await grant(gateway, organization.id, 'promotional', '5', new Date(expiresAt).toISOString());
    const tenant = await tenantOf(gateway.database, organization.id);
    await vi.waitFor(
      async () => expect(await expiries(gateway.database, [tenant])).toEqual({ posted: 1, wallets: 1 }),
      SOON,
    );
    expect(await lateness(gateway.database, tenant, expiresAt)).toBeLessThan(7_000);
  });

  it('has one run waiting, for five seconds at most, and two sessions at most', async () => {
    for (let look = 0; look < 20; look++) {
      const runs = (await waiting(gateway.database)).filter((run) => !run.locked);
      expect(runs.length).toBeLessThanOrEqual(1);
      for (const { run_at } of runs) {
        expect(run_at.getTime() - Date.now()).toBeLessThan(5_500);
      }
      expect((await sessions(gateway.database)).length).toBeLessThanOrEqual(2);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  });

  it('runs the queue by a role that is neither the owner nor the one that serves', async () => {
    const names = await query<{ usename: string }>(
      gateway.database,
      `SELECT DISTINCT usename FROM pg_stat_activity
       WHERE datname = current_database() AND application_name = 'purser-jobs'`,
    );
    expect(names).toEqual([{ usename: expect.stringMatching(/^purser_jobs_[0-9a-f]{12}$/) }]);
  });

  it('takes the place of a run that a dead process has locked', async () => {
    await using other = await startTestGateway({ env: { PURSER_JOBS: 'on' } });
    await eventually(async () => (await sessions(other.database)).length === 2, 'jobs run');
    await other.gateway.stop();
    await query(
      other.database,
      `UPDATE graphile_worker._private_jobs SET locked_at = now(), locked_by = 'pool-of-the-dead'`,
    );
    expect(await waiting(other.database)).toEqual([expect.objectContaining({ locked: true })]);
    await using again = await startTestGateway({ env: { PURSER_JOBS: 'on' }, database: other.database });
    const { tenants } = await expiringWallets(again.gateway.services, 1, 1_500);
    await vi.waitFor(
      async () => expect(await expiries(other.database, tenants)).toEqual({ posted: 1, wallets: 1 }),
      SOON,
    );
  });

  it('leaves no session and no lock when it stops', async () => {
    await using other = await startTestGateway({ env: { PURSER_JOBS: 'on' } });
    await eventually(async () => (await sessions(other.database)).length === 2, 'jobs run');
    await other.gateway.stop();
    await eventually(async () => (await sessions(other.database)).length === 0, 'its sessions end');
    expect(await waiting(other.database)).toEqual([expect.objectContaining({ locked: false })]);
  });

  it('stops while it is still starting', async () => {
    await using other = await startTestGateway({ env: { PURSER_JOBS: 'on' } });
    await other.gateway.stop();
    await eventually(async () => (await sessions(other.database)).length === 0, 'its sessions end');
  });
});

describe('a gateway without jobs', () => {
  it('posts nothing by itself and has no connection to the queue', async () => {
    await using other = await startTestGateway({ env: { PURSER_JOBS: 'off' } });
    const { tenants, expiresAt } = await expiringWallets(other.gateway.services, 1, 1_500);
    await eventually(async () => Date.now() > expiresAt + 6_000, 'a sweep would have been');
    expect(await expiries(other.database, tenants)).toEqual({ posted: 0, wallets: 0 });
    expect(await sessions(other.database)).toEqual([]);
    expect(await queueTables(other.database)).toBe(0);
  });
});

/** How many tables the queue has beside that of its migrations: none before jobs have run for the first time. */
async function queueTables(database: TestDatabase): Promise<number> {
  const [row] = await query<{ count: number }>(
    database,
    `SELECT count(*)::int FROM pg_tables WHERE schemaname = 'graphile_worker' AND tablename <> 'migrations'`,
  );
  return row?.count ?? -1;
}
