/** What tests of the posting engine share: wallets held up on purpose, engines of the test's own, and what the books hold. */
import { Client } from 'pg';
import { type Logger, pino } from 'pino';
import { parseCredits } from '../../src/domain/credits/micros.ts';
import type { Tenant } from '../../src/domain/identity/caller.ts';
import type {
  AuthorizeCommand,
  CaptureCommand,
  DebitCommand,
  GrantCommand,
  ReleaseCommand,
} from '../../src/domain/posting/commands.ts';
import { NO_ATTRIBUTION } from '../../src/domain/posting/records.ts';
import { requestHash } from '../../src/domain/posting/request-hash.ts';
import { decodeId } from '../../src/graphql/ids.ts';
import { createSql } from '../../src/persistence/connection.ts';
import { type EngineOptions, PostingEngine } from '../../src/posting/engine.ts';
import { query } from './books.ts';
import type { TestDatabase } from './database.ts';
import type { TestGateway } from './gateway.ts';
import { aKey } from './given.ts';

/** A session of the schema's owner, ended with its block. */
export interface Session extends AsyncDisposable {
  readonly client: Client;
}

export async function openSession(database: TestDatabase): Promise<Session> {
  const client = new Client({ connectionString: database.adminUrl });
  client.on('error', () => undefined);
  await client.connect();
  return { client, [Symbol.asyncDispose]: () => client.end().catch(() => undefined) };
}

export async function tenantOf(database: TestDatabase, organizationId: string): Promise<Tenant> {
  const id = decodeId('Organization', organizationId);
  const [row] = await query<{ id: string }>(database, 'SELECT id FROM wallet WHERE organization_id = $1', [id]);
  if (!id || !row) throw new Error('no such organization');
  return { organizationId: id, walletId: row.id };
}

export interface HeldWallet extends AsyncDisposable {
  /** Lets everybody who waits for the wallet go on. */
  release(): Promise<void>;
  /** Resolves when as many sessions wait for the wallet. */
  awaitWaiting(count: number): Promise<void>;
}

/** Locks the wallet as a posting batch does, so that batches on it wait until it is released. */
export async function holdWallet(database: TestDatabase, organizationId: string): Promise<HeldWallet> {
  const { walletId } = await tenantOf(database, organizationId);
  const session = await openSession(database);
  await session.client.query('BEGIN');
  await session.client.query('SELECT 1 FROM wallet WHERE id = $1 FOR UPDATE', [walletId]);
  let released = false;
  const release = async () => {
    if (released) return;
    released = true;
    await session.client.query('COMMIT');
  };
  return {
    release,
    awaitWaiting: (count) => awaitBlocked(database, count),
    async [Symbol.asyncDispose]() {
      await release();
      await session[Symbol.asyncDispose]();
    },
  };
}

/** Resolves when as many sessions of the database wait for a lock. */
export async function awaitBlocked(database: TestDatabase, count: number): Promise<void> {
  await eventually(async () => {
    const [row] = await query<{ waiting: number }>(
      database,
      `SELECT count(*)::int AS waiting FROM pg_stat_activity
       WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    );
    return (row?.waiting ?? 0) >= count;
  }, `${count} sessions wait for a lock`);
}

/** Asks again and again, for at most `seconds`. */
export async function eventually(check: () => Promise<boolean>, what: string, seconds = 30): Promise<void> {
  const deadline = performance.now() + seconds * 1000;
  while (!(await check())) {
    if (performance.now() > deadline) throw new Error(`not within ${seconds} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Rejects where the promise takes longer: a hang is a failure with a name. */
export async function within<T>(seconds: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${seconds} s: ${what}`)), seconds * 1000);
  });
  return Promise.race([promise, timeout]).finally(() => clearTimeout(timer));
}

export interface TestEngine extends AsyncDisposable {
  readonly engine: PostingEngine;
  /** What it logged, a line each. */
  readonly log: readonly string[];
}

/** An engine beside the gateway's, as another process would have it. */
export function anEngine(
  gateway: TestGateway,
  options: Partial<Omit<EngineOptions, 'sql'>> & { readonly databaseUrl?: string } = {},
): TestEngine {
  const { databaseUrl = gateway.gateway.databaseUrl, ...engineOptions } = options;
  const { services } = gateway.gateway;
  const sql = createSql(databaseUrl, {
    applicationName: 'purser-posting',
    maxConnections: engineOptions.lanes ?? 4,
    posting: true,
  });
  const log: string[] = [];
  const logger: Logger = pino({ level: 'warn' }, { write: (line: string) => log.push(line) });
  const engine = new PostingEngine({
    sql,
    policies: () => services.catalogs.policies,
    refreshPolicies: () => services.catalogs.refresh(services.sql),
    newId: services.newId,
    feed: { published: () => undefined },
    logger,
    ...engineOptions,
  });
  return {
    engine,
    log,
    async [Symbol.asyncDispose]() {
      await within(20, 'the engine stops', engine.stop());
      await sql.end();
    },
  };
}

const ACTOR = { kind: 'SYSTEM', id: 'test' } as const;

function credits(amount: string) {
  const micros = parseCredits(amount);
  if (micros === undefined) throw new Error(`${amount} is no amount of credits`);
  return micros;
}

/** A command as the debit operation makes it. */
export function aDebit(tenant: Tenant, amount: string, idempotencyKey = aKey()): DebitCommand {
  return {
    kind: 'debit',
    ...tenant,
    actor: ACTOR,
    idempotencyKey,
    requestHash: requestHash('debit', tenant.organizationId, { amount }),
    charge: { kind: 'amount', amount: credits(amount) },
    overage: 'REJECT',
    reasonCode: 'USAGE',
    description: null,
    attribution: NO_ATTRIBUTION,
    occurredAt: null,
    metadata: null,
  };
}

/** A command as the authorize operation makes it. */
export function anAuthorization(tenant: Tenant, amount: string, lifeSeconds = 3_600): AuthorizeCommand {
  const idempotencyKey = aKey();
  return {
    kind: 'authorize',
    ...tenant,
    actor: ACTOR,
    idempotencyKey,
    requestHash: requestHash('authorize', tenant.organizationId, { amount, lifeSeconds }),
    charge: { kind: 'amount', amount: credits(amount) },
    life: lifeSeconds * 1_000,
    attribution: NO_ATTRIBUTION,
    metadata: null,
  };
}

/** Captures an amount of a hold; all that is left of it without one. */
export function aCapture(tenant: Tenant, holdId: string, amount: string | null = null): CaptureCommand {
  return {
    kind: 'capture',
    ...tenant,
    actor: ACTOR,
    idempotencyKey: aKey(),
    requestHash: requestHash('capture', tenant.organizationId, { holdId, amount }),
    holdId,
    charge: amount === null ? null : { kind: 'amount', amount: credits(amount) },
    final: true,
    overage: 'REJECT',
  };
}

export function aRelease(tenant: Tenant, holdId: string): ReleaseCommand {
  const hash = requestHash('release', tenant.organizationId, { holdId });
  return { kind: 'release', ...tenant, actor: ACTOR, idempotencyKey: aKey(), requestHash: hash, holdId };
}

export interface GrantOptions {
  readonly bucketKey: string;
  /** Milliseconds since 1970; never without it. */
  readonly expiresAt?: GrantCommand['expiresAt'];
}

export function aGrant(tenant: Tenant, amount: string, { bucketKey, expiresAt = null }: GrantOptions): GrantCommand {
  const idempotencyKey = aKey();
  return {
    kind: 'grant',
    ...tenant,
    actor: ACTOR,
    requestId: null,
    idempotencyKey,
    requestHash: requestHash('grantCredits', tenant.organizationId, { idempotencyKey }),
    credits: credits(amount),
    bucketKey,
    expiresAt,
    description: 'test',
  };
}

/** How many rows each table of the books holds, and the wallets as they are: equal before and after where nothing happened. */
export async function picture(database: TestDatabase): Promise<object> {
  const [row] = await query<{ picture: object }>(
    database,
    `SELECT jsonb_build_object(
       'transactions', (SELECT count(*) FROM ledger_transaction), 'entries', (SELECT count(*) FROM ledger_entry),
       'changes', (SELECT count(*) FROM balance_change), 'records', (SELECT count(*) FROM idempotency_record),
       'audits', (SELECT count(*) FROM audit_record), 'purchases', (SELECT count(*) FROM purchase),
       'wallets', (SELECT jsonb_agg(to_jsonb(w) ORDER BY id) FROM wallet w),
       'buckets', (SELECT jsonb_agg(to_jsonb(b) ORDER BY id) FROM bucket b),
       'lots', (SELECT jsonb_agg(to_jsonb(l) ORDER BY id) FROM lot l)) AS picture`,
  );
  if (!row) throw new Error('no picture');
  return row.picture;
}
