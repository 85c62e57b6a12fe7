/** What a sweep settles, what it leaves, and what it does with wallets that cannot be settled. */
import { type Logger, pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Tenant } from '../../src/domain/identity/caller.ts';
import { instant } from '../../src/domain/time/instant.ts';
import { DueWalletSettler } from '../../src/operations/settle-due-wallets.ts';
import { databaseNow } from '../../src/persistence/clock.ts';
import { walletsToSettle } from '../../src/persistence/wallets.ts';
import type { Poster } from '../../src/posting/engine.ts';
import { expectSoundBooks, query } from '../support/books.ts';
import { expiries, expiringWallets, leave, use, walletInstant } from '../support/due-wallets.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { advanceTo, anOrganization, type Given, grant } from '../support/given.ts';
import { tenantOf } from '../support/process-posting.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway();
});
afterAll(() => gateway[Symbol.asyncDispose]());

const RUNNING = new AbortController().signal;

/** A settler of the test's own, with what it posted and logged. */
function aSettler() {
  const { engine, sql } = gateway.gateway.services;
  const settled: string[] = [];
  const log: { walletId: string; failures: number }[] = [];
  const logger: Logger = pino({ level: 'warn' }, { write: (line: string) => log.push(JSON.parse(line)) });
  const watched: Poster = {
    estimate: (...usage) => engine.estimate(...usage),
    preview: (...selection) => engine.preview(...selection),
    execute(command) {
      settled.push(command.walletId);
      return engine.execute(command);
    },
  };
  return { settler: new DueWalletSettler({ sql, engine: watched, logger }), settled, log };
}

/** Resolves when the database's clock has passed the instant. */
async function past(at: number): Promise<void> {
  while ((await databaseNow(gateway.gateway.services.sql)) <= at)
    await new Promise((resolve) => setTimeout(resolve, 20));
}

/** Everybody whom a sweep would settle by then, in its order. */
async function dueBy(at: number): Promise<string[]> {
  const page = { by: instant(at), after: null, limit: 10_000 };
  return (await walletsToSettle(gateway.gateway.services.sql, page)).map((wallet) => wallet.walletId);
}

describe('a sweep', () => {
  it('settles every wallet that is due, beyond one page, once, and says when the next comes due', async () => {
    const { services } = gateway.gateway;
    const later = await expiringWallets(services, 1, 3_600_000);
    const { tenants, expiresAt } = await expiringWallets(services, 150, 1_500);
    await past(expiresAt);
    const { settler, settled } = aSettler();

    const first = await settler.sweep(RUNNING);

    expect(first.unfinished).toBe(false);
    expect(first.nextDueAt).toBeGreaterThan(expiresAt);
    expect(first.nextDueAt).toBeLessThanOrEqual(later.expiresAt);
    expect(settled.toSorted()).toEqual(tenants.map((tenant) => tenant.walletId).toSorted());
    expect(await expiries(gateway.database, tenants)).toEqual({ posted: 150, wallets: 150 });
    const [wrong] = await query<{ count: number }>(
      gateway.database,
      `SELECT count(*)::int FROM ledger_entry WHERE wallet_id = ANY($1) AND reason_code = 'EXPIRY'
         AND effective_at <> $2`,
      [tenants.map((tenant) => tenant.walletId), new Date(expiresAt)],
    );
    expect(wrong).toEqual({ count: 0 });

    settled.length = 0;
    await settler.sweep(RUNNING);
    expect(settled).toEqual([]);
  });

  it('posts nothing twice beside another one', async () => {
    const { tenants, expiresAt } = await expiringWallets(gateway.gateway.services, 100, 1_500);
    await past(expiresAt);
    await Promise.all([aSettler().settler.sweep(RUNNING), aSettler().settler.sweep(RUNNING)]);
    expect(await expiries(gateway.database, tenants)).toEqual({ posted: 100, wallets: 100 });
  });

  it('ends when it is told to, and says that something is left', async () => {
    const { tenants, expiresAt } = await expiringWallets(gateway.gateway.services, 1, 1_500);
    await past(expiresAt);
    const { settler, settled } = aSettler();
    expect(await settler.sweep(AbortSignal.abort())).toMatchObject({ unfinished: true });
    expect(settled).toEqual([]);
    await settler.sweep(RUNNING);
    expect(await expiries(gateway.database, tenants)).toEqual({ posted: 1, wallets: 1 });
  });

  it('leaves frozen wallets until they are thawed', async () => {
    const { tenants, expiresAt } = await expiringWallets(gateway.gateway.services, 2, 1_500);
    const [frozen, other] = tenants as [Tenant, Tenant];
    const freeze = (at: string) =>
      query(gateway.database, `UPDATE wallet SET frozen_at = ${at} WHERE id = $1`, [frozen.walletId]);
    await freeze('now()');
    await past(expiresAt);
    const { settler, settled } = aSettler();

    await settler.sweep(RUNNING);
    expect(settled).toEqual([other.walletId]);

    await freeze('NULL');
    await settler.sweep(RUNNING);
    expect(await expiries(gateway.database, tenants)).toEqual({ posted: 2, wallets: 2 });
  });

  it('settles the others where one cannot be, logs it, and does not try that one again at once', async () => {
    const { tenants, expiresAt } = await expiringWallets(gateway.gateway.services, 20, 1_500);
    const broken = tenants[7] as Tenant;
    const number = (change: string) =>
      query(gateway.database, `UPDATE wallet SET sequence = sequence ${change} WHERE id = $1`, [broken.walletId]);
    // The ledger refuses what does not follow its last entry.
    await number('+ 1');
    await past(expiresAt);
    const { settler, settled, log } = aSettler();

    await settler.sweep(RUNNING);
    expect(await expiries(gateway.database, tenants)).toEqual({ posted: 19, wallets: 19 });
    expect(log).toEqual([expect.objectContaining({ walletId: broken.walletId, failures: 1 })]);

    settled.length = 0;
    for (let again = 0; again < 5; again++) await settler.sweep(RUNNING);
    expect(settled).toEqual([]);

    await number('- 1');
    await aSettler().settler.sweep(RUNNING);
    expect(await expiries(gateway.database, tenants)).toEqual({ posted: 20, wallets: 20 });
  });

  it('fails where the database is away, before it has asked for every wallet', async () => {
    const { services } = gateway.gateway;
    const { tenants, expiresAt } = await expiringWallets(services, 70, 1_500);
    await past(expiresAt);
    const asked: string[] = [];
    const away = Object.assign(new Error('the database cannot be reached'), {
      cause: Object.assign(new Error('terminated'), { code: '57P01' }),
    });
    const engine: Poster = {
      estimate: async () => null,
      preview: async () => null,
      async execute({ walletId }) {
        asked.push(walletId);
        throw away;
      },
    };
    const settler = new DueWalletSettler({ sql: services.sql, engine, logger: services.logger });
    await expect(settler.sweep(RUNNING)).rejects.toBe(away);
    expect(asked.length).toBeLessThan(70);
    await aSettler().settler.sweep(RUNNING);
    expect(await expiries(gateway.database, tenants)).toEqual({ posted: 70, wallets: 70 });
  });
});

describe('refreshes', () => {
  const DAY = 86_400_000;
  const tenant = (organization: Given) => tenantOf(gateway.database, organization.id);

  /** An organization on the free plan whose day's allowance has been granted. */
  async function subscribed(): Promise<{ organization: Given; wallet: Tenant }> {
    const organization = await anOrganization(gateway, { plan: 'free' });
    await advanceTo(gateway, organization.id, new Date((await now()) + 1_000).toISOString());
    return { organization, wallet: await tenant(organization) };
  }
  const now = () => databaseNow(gateway.gateway.services.sql);

  it('are posted for a wallet that was used since the last one, and left to the next reader of one that was not', async () => {
    const [active, idle] = [await subscribed(), await subscribed()];
    await use(gateway.database, active.wallet);
    await leave(gateway.database, idle.wallet);

    const due = await walletInstant(gateway.database, active.wallet, 'next_transition_at');
    expect(due).toBe(await walletInstant(gateway.database, idle.wallet, 'next_transition_at'));
    expect(await walletInstant(gateway.database, active.wallet, 'settle_at')).toBe(due);
    // The lot of the last allowance expires then, and it alone is no reason to grant the next.
    expect(await walletInstant(gateway.database, idle.wallet, 'settle_at')).toBeNull();
    const settledThen = await dueBy(due ?? 0);
    expect(settledThen).toContain(active.wallet.walletId);
    expect(settledThen).not.toContain(idle.wallet.walletId);
  });

  it('are posted once more after the last use, and then no more', async () => {
    const { wallet } = await subscribed();
    await use(gateway.database, wallet);
    const due = (await walletInstant(gateway.database, wallet, 'next_transition_at')) ?? 0;
    await setClock(wallet, due + 1);

    await aSettler().settler.sweep(RUNNING);

    expect(await walletInstant(gateway.database, wallet, 'last_refreshed_at')).toBe(due);
    expect(await walletInstant(gateway.database, wallet, 'next_transition_at')).toBe(due + DAY);
    expect(await walletInstant(gateway.database, wallet, 'settle_at')).toBeNull();
  });

  it('wait for the next lot that comes due of itself, and are posted along with it', async () => {
    const { organization, wallet } = await subscribed();
    const due = (await walletInstant(gateway.database, wallet, 'next_transition_at')) ?? 0;
    const expiresAt = due + 3_600_000;
    await grant(gateway, organization.id, 'promotional', '5', new Date(expiresAt).toISOString());
    await leave(gateway.database, wallet);
    expect(await walletInstant(gateway.database, wallet, 'settle_at')).toBe(expiresAt);

    await setClock(wallet, expiresAt - 60_000);
    await aSettler().settler.sweep(RUNNING);
    expect(await walletInstant(gateway.database, wallet, 'next_transition_at')).toBe(due);

    await setClock(wallet, expiresAt + 1);
    await aSettler().settler.sweep(RUNNING);
    expect(await walletInstant(gateway.database, wallet, 'last_refreshed_at')).toBe(due);
    expect(await walletInstant(gateway.database, wallet, 'next_transition_at')).toBe(due + DAY);
    await expectSoundBooks(gateway.database, organization.id);
  });

  /** Moves the test clock without settling, as time passes. */
  async function setClock({ organizationId }: Tenant, to: number): Promise<void> {
    await query(gateway.database, 'UPDATE organization SET test_clock_offset_ms = $2 WHERE id = $1', [
      organizationId,
      String(to - (await now())),
    ]);
  }
});
