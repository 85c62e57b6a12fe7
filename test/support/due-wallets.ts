/** Wallets on which something comes due, made without a request each, and what was posted on them. */
import type { Tenant } from '../../src/domain/identity/caller.ts';
import { type Instant, instant } from '../../src/domain/time/instant.ts';
import type { Services } from '../../src/operations/services.ts';
import { databaseNow } from '../../src/persistence/clock.ts';
import { insertOrganization } from '../../src/persistence/organizations.ts';
import { query } from './books.ts';
import type { TestDatabase } from './database.ts';
import { aGrant } from './process-posting.ts';

export interface ExpiringWallets {
  readonly tenants: readonly Tenant[];
  readonly expiresAt: Instant;
}

/** How often the time to grant in is doubled before it is given up. */
const DOUBLINGS = 4;

/**
 * Organizations without a plan that hold ten credits each, which expire so many milliseconds after they are made; later on
 * a machine that cannot make them in that time.
 */
export async function expiringWallets(
  services: Services,
  count: number,
  milliseconds: number,
): Promise<ExpiringWallets> {
  for (let doubled = 0; doubled <= DOUBLINGS; doubled++) {
    const made = await tryExpiringWallets(services, count, milliseconds * 2 ** doubled);
    if (made) return made;
  }
  throw new Error(`granting to ${count} wallets took more than ${milliseconds * 2 ** DOUBLINGS} ms`);
}

/** Null where the credits would have expired before all of them were granted; those wallets are out of every sweep's way. */
async function tryExpiringWallets(
  { sql, engine, catalogs, newId }: Services,
  count: number,
  milliseconds: number,
): Promise<ExpiringWallets | null> {
  const tenants = Array.from({ length: count }, () => ({ organizationId: newId(), walletId: newId() }));
  for (const { organizationId, walletId } of tenants) {
    const organization = { id: organizationId, walletId, slug: `due-${organizationId}`, name: 'due', timeZone: 'UTC' };
    await insertOrganization(sql, { ...organization, testClock: false }, catalogs.current.catalog.buckets);
  }
  const expiresAt = instant((await databaseNow(sql)) + milliseconds);
  const granted = await Promise.all(
    tenants.map((tenant) => engine.execute(aGrant(tenant, '10', { bucketKey: 'promotional', expiresAt }))),
  );
  if (granted.every(({ status }) => status === 'posted')) return { tenants, expiresAt };
  await sql`UPDATE wallet SET frozen_at = now() WHERE id = ANY(${tenants.map(({ walletId }) => walletId)}::uuid[])`;
  return null;
}

/** How often something has expired on these wallets and how many of them that were. */
export async function expiries(
  database: TestDatabase,
  tenants: readonly Tenant[],
): Promise<{ readonly posted: number; readonly wallets: number }> {
  const [row] = await query<{ posted: number; wallets: number }>(
    database,
    `SELECT count(*)::int AS posted, count(DISTINCT wallet_id)::int AS wallets FROM ledger_transaction
     WHERE kind = 'EXPIRY' AND wallet_id = ANY($1::uuid[])`,
    [tenants.map((tenant) => tenant.walletId)],
  );
  return row ?? { posted: 0, wallets: 0 };
}

/** A number of a wallet's row, or an instant of it in milliseconds. */
export async function walletInstant(
  database: TestDatabase,
  { walletId }: Tenant,
  column: 'settle_at' | 'next_transition_at' | 'last_refreshed_at',
): Promise<number | null> {
  const [row] = await query<{ at: Date | null }>(database, `SELECT ${column} AS at FROM wallet WHERE id = $1`, [
    walletId,
  ]);
  return row?.at?.getTime() ?? null;
}

/** As if its owner had just used it. */
export async function use(database: TestDatabase, { walletId }: Tenant): Promise<void> {
  await query(database, 'UPDATE wallet SET last_active_at = last_posted_at WHERE id = $1', [walletId]);
}

/** As if nobody had ever used it. */
export async function leave(database: TestDatabase, { walletId }: Tenant): Promise<void> {
  await query(database, 'UPDATE wallet SET last_active_at = NULL WHERE id = $1', [walletId]);
}
