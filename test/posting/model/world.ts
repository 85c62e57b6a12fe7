/** The database of the model test: wallets made in one statement each, a clock that stands still, and the books as they are. */
import { randomUUID } from 'node:crypto';
import { Pool } from 'pg';
import { pino } from 'pino';
import { micros } from '../../../src/domain/credits/micros.ts';
import { newId } from '../../../src/new-id.ts';
import { setSpendLimit } from '../../../src/operations/set-spend-limit.ts';
import { createSql, type Sql } from '../../../src/persistence/connection.ts';
import { PostingEngine } from '../../../src/posting/engine.ts';
import { createDatabase } from '../../support/database.ts';
import type { WalletIds } from './engine-side.ts';
import type { NaiveBooks, NaivePurchase } from './naive-books.ts';
import { monthAround } from './naive-calendar.ts';
import { allowancesOf, type ExpiredRefund, enginePolicies, type LimitRules, START } from './rules.ts';
import type { Sequence } from './wishes.ts';

export const PURCHASES: readonly Omit<NaivePurchase, 'status'>[] = [
  { amount: 90n, bonus: 9n, days: 2 },
  { amount: 50n, bonus: 0n, days: null },
  { amount: 15n, bonus: 80n, days: null },
];

export interface World extends AsyncDisposable {
  readonly pool: Pool;
  readonly sql: Sql;
  /** For the audit of the books. */
  readonly auditing: Sql;
  readonly engines: Readonly<Record<ExpiredRefund, PostingEngine>>;
}

/**
 * `clock_timestamp()` is a constant of this database: only an organization's test clock moves its time, so that the model
 * knows every instant to the millisecond.
 */
async function stopClock(pool: Pool): Promise<void> {
  const instant = new Date(START).toISOString();
  await pool.query('CREATE SCHEMA stopped');
  await pool.query(
    `CREATE FUNCTION stopped.clock_timestamp() RETURNS timestamptz LANGUAGE sql STABLE AS $$ SELECT timestamptz '${instant}' $$`,
  );
  const { rows } = await pool.query<{ name: string }>('SELECT current_database() AS name');
  await pool.query(`ALTER DATABASE ${rows[0]?.name} SET search_path = stopped, pg_catalog, public`);
}

export async function createWorld(): Promise<World> {
  const database = await createDatabase();
  const setup = new Pool({ connectionString: database.adminUrl, max: 1 });
  await stopClock(setup);
  await setup.end();
  const pool = new Pool({ connectionString: database.adminUrl, max: 4 });
  const sql = createSql(database.adminUrl, { applicationName: 'model', maxConnections: 4, posting: true });
  const auditing = createSql(database.adminUrl, { applicationName: 'audit', maxConnections: 4, posting: true });
  // One lane, so that batches are of several wallets; of the second engine they are cut short as well.
  const engine = (expiredRefund: ExpiredRefund, maxBatch: number) => {
    const policies = enginePolicies(expiredRefund);
    const feed = { published: () => undefined };
    return new PostingEngine({
      sql,
      policies: () => policies,
      refreshPolicies: async () => undefined,
      newId,
      feed,
      logger: pino({ level: 'silent' }),
      lanes: 1,
      maxBatch,
    });
  };
  const engines = { NEW_LOT: engine('NEW_LOT', 512), FORFEIT: engine('FORFEIT', 3) };
  return {
    pool,
    sql,
    auditing,
    engines,
    async [Symbol.asyncDispose]() {
      await Promise.all(Object.values(engines).map((each) => each.stop()));
      await Promise.all([sql.end(), auditing.end(), pool.end()]);
      await database[Symbol.asyncDispose]();
    },
  };
}

/** A wallet of its own for one sequence: organization, buckets, subscription, allowances that are due, purchases, limits. */
export async function createWallet({ pool }: World, sequence: Sequence): Promise<WalletIds> {
  const { timeZone, subscribed, plan, anchorDay, hasAllowances, limits } = sequence;
  const [organizationId, walletId, projectId] = [randomUUID(), newId(), randomUUID()];
  const purchases = PURCHASES.map(() => randomUUID());
  const allowances = hasAllowances ? allowancesOf(plan) : [];
  await pool.query(
    `WITH new_organization AS (
       INSERT INTO organization (id, slug, name, time_zone, test_clock_offset_ms) VALUES ($1::uuid, $1::text, 'model', $3, 0)
     ), new_wallet AS (
       INSERT INTO wallet (id, organization_id, head_hash, last_posted_at, next_transition_at)
       VALUES ($2, $1, decode(repeat('00', 32), 'hex'), $4, CASE WHEN $8::boolean THEN $4::timestamptz WHEN $7::boolean THEN $16::timestamptz END)
     ), new_bucket AS (
       INSERT INTO bucket (id, wallet_id, key, name, kind, burn_priority) VALUES
         (gen_random_uuid(), $2, 'daily_free', 'd', 'ALLOWANCE', 10), (gen_random_uuid(), $2, 'promotional', 'b', 'PROMOTIONAL', 20),
         (gen_random_uuid(), $2, 'monthly_plan', 'c', 'PLAN', 30), (gen_random_uuid(), $2, 'purchased', 'a', 'PURCHASED', 40)
       RETURNING id, key
     ), new_allowance AS (
       INSERT INTO allowance (bucket_id, wallet_id, interval, amount_micros, rollover_limit_micros, anchor_day, next_refresh_at)
       SELECT new_bucket.id, $2, a.interval, a.amount, a.rollover, $6, $4
       FROM unnest($9::text[], $10::"RefreshInterval"[], $11::bigint[], $17::bigint[]) AS a (bucket, interval, amount, rollover)
       JOIN new_bucket ON new_bucket.key = a.bucket
     ), new_project AS (
       INSERT INTO project (id, organization_id, key, name) VALUES ($18, $1, 'p', 'p')
     ), new_limit AS (
       INSERT INTO spend_limit (id, wallet_id, scope, project_id, per, credits_micros, created_at)
       SELECT gen_random_uuid(), $2, scope, CASE scope WHEN 'PROJECT' THEN $18::uuid END, per, max, $4
       FROM unnest($19::"SpendLimitScope"[], $20::"LimitWindow"[], $21::bigint[]) AS l (scope, per, max)
     ), new_purchase AS (
       INSERT INTO purchase (id, organization_id, kind, status, catalog_version, credits_micros, bonus_micros, bucket_key,
         expires_after_days, price_minor, currency, provider, actor_kind, actor_id, created_at)
       SELECT id, $1, 'PACKAGE', 'PENDING', 1, credits, bonus, 'purchased', days, 100, 'EUR', 'model', 'USER', 'buyer', $4
       FROM unnest($12::uuid[], $13::bigint[], $14::bigint[], $15::int[]) AS p (id, credits, bonus, days)
     )
     INSERT INTO plan_subscription (id, organization_id, plan_key, status, anchor_day, current_period_start, current_period_end)
     SELECT gen_random_uuid(), $1, $5, 'ACTIVE', $6, $4, $16 WHERE $7::boolean`,
    [
      organizationId,
      walletId,
      timeZone,
      new Date(START).toISOString(),
      plan,
      anchorDay,
      subscribed,
      allowances.length > 0,
      allowances.map(({ bucket }) => bucket),
      allowances.map(({ interval }) => interval),
      allowances.map(({ amount }) => `${amount}`),
      purchases,
      PURCHASES.map(({ amount }) => `${amount}`),
      PURCHASES.map(({ bonus }) => `${bonus}`),
      PURCHASES.map(({ days }) => days),
      new Date(monthAround(START, anchorDay, timeZone).end).toISOString(),
      allowances.map(({ rollover }) => rollover?.toString() ?? null),
      projectId,
      limits.map(({ scope }) => scope),
      limits.map(({ window }) => window),
      limits.map(({ max }) => `${max}`),
    ],
  );
  return { organizationId, walletId, purchases, projectId };
}

/** The same beginning for the model. */
export function beginning({ subscribed, plan, anchorDay, hasAllowances, timeZone }: Sequence): NaiveBooks {
  return {
    status: subscribed ? 'ACTIVE' : null,
    plan: subscribed ? plan : null,
    anchorDay: subscribed ? anchorDay : 1,
    periodEnd: subscribed ? monthAround(START, anchorDay, timeZone).end : null,
    ending: false,
    scheduled: null,
    debt: 0n,
    version: 0,
    allowances: hasAllowances
      ? allowancesOf(plan).map((allowance) => ({ ...allowance, anchorDay, last: null, next: START }))
      : [],
    lots: [],
    holds: [],
    transactions: [],
    purchases: PURCHASES.map((purchase) => ({ ...purchase, status: 'PENDING' })),
    repaying: [],
    units: new Map(),
    spent: new Map(),
    operations: [],
  };
}

/** Sets a limit, or changes the one that is there, as an operator does. */
export async function setLimit({ sql }: World, wallet: WalletIds, { scope, window, max }: LimitRules): Promise<void> {
  const services = { sql, newId, requestId: null, feed: { published: () => undefined } };
  const projectId = scope === 'PROJECT' ? wallet.projectId : null;
  const input = { organizationId: wallet.organizationId, scope, projectId, window, credits: micros(max) };
  const answer = await setSpendLimit(services, { kind: 'OPERATOR', userId: 'model' }, input);
  if ('code' in answer) throw new Error(`a limit was refused: ${answer.code}`);
}

export interface Circumstances {
  readonly now: number;
  readonly status: string | null;
  readonly frozen: boolean;
}

/** What changes around the engine: the organization's clock, its subscription, a freeze. */
export async function changeCircumstances(
  { pool }: World,
  { organizationId }: WalletIds,
  { now, status, frozen }: Circumstances,
): Promise<void> {
  await pool.query(
    `WITH moved AS (UPDATE organization SET test_clock_offset_ms = $2 WHERE id = $1),
       frozen AS (UPDATE wallet SET frozen_at = CASE WHEN $4::boolean THEN now() END, next_transition_at = least(next_transition_at,
         (SELECT current_period_end FROM plan_subscription s WHERE s.organization_id = $1)) WHERE organization_id = $1)
     UPDATE plan_subscription SET status = $3::"SubscriptionStatus",
       cancel_at_period_end = cancel_at_period_end AND $3 <> 'CANCELED',
       scheduled_plan_key = CASE WHEN $3 NOT IN ('CANCELED', 'PAST_DUE') THEN scheduled_plan_key END
     WHERE organization_id = $1 AND status IS DISTINCT FROM $3::"SubscriptionStatus"`,
    [organizationId, now - START, status, frozen],
  );
}
