/** Composes one gateway process out of its parts, and takes it apart again. */

import { randomBytes } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { readFile } from 'node:fs/promises';
import { type Logger, pino } from 'pino';
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { Config } from './config.ts';
import { type Database, openDatabase, StartupError } from './database.ts';
import { type Demo, seedDemo } from './demo/seed.ts';
import { LiveSources } from './graphql/live/live-sources.ts';
import { Authenticator } from './http/authenticate.ts';
import { CredentialWatch } from './http/credential-watch.ts';
import { HttpServer } from './http/server.ts';
import { closeMonths } from './jobs/close-months.ts';
import { collectPayments } from './jobs/collect-payments.ts';
import { deliverWebhooks } from './jobs/deliver-webhooks.ts';
import { forgetChanges } from './jobs/forget-changes.ts';
import { publishActivity } from './jobs/publish-activity.ts';
import { reconcilePurchases } from './jobs/reconcile-purchases.ts';
import { JobRunner } from './jobs/runner.ts';
import { selfAudit } from './jobs/self-audit.ts';
import { settleDueWallets } from './jobs/settle-due-wallets.ts';
import { newId } from './new-id.ts';
import { storeCatalog } from './operations/apply-catalog.ts';
import { CatalogStore } from './operations/catalog-store.ts';
import type { Services } from './operations/services.ts';
import { SandboxProvider } from './payments/sandbox/sandbox-provider.ts';
import { StripeProvider } from './payments/stripe/stripe-provider.ts';
import { followCatalogs } from './persistence/catalogs.ts';
import { databaseNow } from './persistence/clock.ts';
import { createSql, type Sql } from './persistence/connection.ts';
import { installationSecret } from './persistence/installation-secrets.ts';
import { createPrisma } from './persistence/prisma.ts';
import { postgresSignals } from './persistence/signals/postgres-signals.ts';
import { redisSignals } from './persistence/signals/redis-signals.ts';
import { WalletSignals } from './persistence/signals/wallet-signals.ts';
import { type Poster, PostingEngine } from './posting/engine.ts';
import { projectPath } from './project-path.ts';
import { HttpWebhookSender } from './webhooks/sender.ts';

export interface Gateway {
  readonly endpoint: string;
  readonly wsEndpoint: string;
  readonly databaseUrl: string;
  /** Null in production. */
  readonly demo: Demo | null;
  readonly notices: readonly string[];
  readonly logger: Logger;
  readonly services: Services;
  /** Stops intake, finishes what is under way, closes sockets with 1001. */
  stop(): Promise<void>;
}

/** What tests look into. */
export interface GatewayHooks {
  /** Told every SQL statement that is sent. */
  readonly onStatement?: (sql: string) => void;
  /** Posts in place of the engine: benchmarks measure what everything around it costs. */
  readonly poster?: Poster;
}

const DEFAULT_CATALOG = 'catalogs/demo.yaml';
/** Measured best for callers in the tens on two cores: more lanes make smaller batches. */
const POSTING_LANES = 2;
/** Estimates read as posting does, beside it. */
const ESTIMATING_CONNECTIONS = 2;
/** Reads of sockets and streams, credentials, and the listener's own. */
const SERVING_CONNECTIONS = 12;
const READ_CONNECTIONS = 12;
const DRAIN_MILLISECONDS = 15_000;

export async function startGateway(config: Config, hooks: GatewayHooks = {}): Promise<Gateway> {
  const logger = pino({ level: config.logLevel, redact: ['*.authorization', '*.secret', '*.password'] });
  const server = new HttpServer();
  const port = await listen(server, config);
  const undo: Step[] = [() => server.stop()];
  const stop = once(() => runBackwards(undo));
  try {
    const database = await openDatabase(config);
    undo.push(() => database.stop());
    const publicUrl = config.publicUrl ?? `http://${hostInUrl(config.host)}:${port}`;
    return { ...(await serve({ config, logger, server, database, publicUrl, hooks, undo })), stop };
  } catch (error) {
    await stop().catch(() => undefined);
    throw error;
  }
}

type Step = () => Promise<unknown>;

/** The last step first, and every one of them, whatever becomes of the others; rejects with the first fault. */
async function runBackwards(steps: readonly Step[]): Promise<void> {
  const faults: unknown[] = [];
  for (const step of steps.toReversed()) await step().catch((error: unknown) => faults.push(error));
  if (faults.length > 0) throw faults[0];
}

async function listen(server: HttpServer, { port, host }: Config): Promise<number> {
  try {
    return await server.listen(port, host);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'EADDRINUSE')
      throw new StartupError(`Port ${port} is taken. Set PORT to another one, or to 0 for any.`);
    if (code === 'EACCES') throw new StartupError(`Port ${port} may not be used by this user.`);
    throw error;
  }
}

/** Where a browser on this machine reaches the address. */
const hostInUrl = (host: string): string => (host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host);

interface Parts {
  readonly config: Config;
  readonly logger: Logger;
  readonly server: HttpServer;
  readonly database: Database;
  readonly publicUrl: string;
  readonly hooks: GatewayHooks;
  /** Gets how to stop each part as soon as the part is started: a start that fails later stops what a stop does. */
  readonly undo: Step[];
}

async function serve(parts: Parts): Promise<Omit<Gateway, 'stop'>> {
  const { config, logger, server, database, publicUrl, hooks, undo } = parts;
  const { databaseUrl, jobsUrl } = database;
  const observed = hooks.onStatement ? { onStatement: hooks.onStatement } : {};
  const sql = createSql(databaseUrl, { applicationName: 'purser', maxConnections: SERVING_CONNECTIONS, ...observed });
  const postingSql = createSql(databaseUrl, {
    applicationName: 'purser-posting',
    posting: true,
    maxConnections: POSTING_LANES + ESTIMATING_CONNECTIONS,
    ...observed,
  });
  const prisma = createPrisma(databaseUrl, { maxConnections: READ_CONNECTIONS, ...observed });
  undo.push(() => Promise.all([sql.end(), postingSql.end(), prisma.$disconnect()]));
  const catalogs = await CatalogStore.load(sql);
  await applyCatalog(catalogs, sql, config);
  const secrets = await loadSecrets(sql, config);
  const { redisUrl } = config;
  const signals = new WalletSignals(logger);
  undo.push(() => signals.stop());
  await signals.connect((hear) =>
    redisUrl === undefined ? postgresSignals(sql, databaseUrl, hear) : redisSignals(redisUrl, logger, hear),
  );
  const catalogsFollowed = await followCatalogs(databaseUrl, () => {
    catalogs.refresh(sql).catch((error: unknown) => {
      logger.error({ err: error }, 'a new catalog could not be read; nothing is posted by this gateway until it can');
    });
  });
  undo.push(() => catalogsFollowed.stop());
  const engine = new PostingEngine({
    sql: postingSql,
    policies: () => catalogs.policies,
    refreshPolicies: () => catalogs.refresh(sql),
    newId,
    feed: signals,
    logger,
    lanes: POSTING_LANES,
  });
  undo.push(() => engine.stop());
  const sandbox =
    secrets.sandboxWebhook === undefined ? null : new SandboxProvider({ sql, webhookSecret: secrets.sandboxWebhook });
  const services: Services = {
    engine: hooks.poster ?? engine,
    prisma,
    sql,
    catalogs,
    payments: sandbox ?? createStripe(config, { sql, publicUrl, logger }),
    webhooks: new HttpWebhookSender({
      installationKey: async () => config.webhooksKey ?? installationSecret(sql, 'webhooks', freshSecret()),
      targets: config.webhookTargets,
      httpsOnly: config.production,
    }),
    feed: signals,
    newId,
    logger,
    requestId: null,
  };
  const demo =
    config.production || secrets.jwt === undefined ? null : await seedDemo(services, secrets.jwt, config.operatorClaim);
  const metrics = new Registry();
  collectDefaultMetrics({ register: metrics });
  const stopping = new AbortController();
  // Every open stream listens to it.
  setMaxListeners(0, stopping.signal);
  const authenticator = new Authenticator({ ...config, sql, jwtSecret: secrets.jwt, logger });
  const live = new LiveSources({ services, signals, logger, shutdown: stopping.signal });
  const credentials = new CredentialWatch(authenticator);
  countStreams(metrics, live, credentials);
  server.serve({
    services,
    live,
    authenticator,
    credentials,
    publicUrl,
    logger,
    graphiql: config.graphiql,
    introspection: config.introspection,
    sandbox,
    metrics,
    checkReady: async () => void (await databaseNow(sql)),
  });
  const runner =
    config.jobs && jobsUrl !== null
      ? new JobRunner({
          databaseUrl: jobsUrl,
          jobs: [
            settleDueWallets(services),
            collectPayments(services),
            reconcilePurchases(services),
            closeMonths(services),
            publishActivity(services),
            deliverWebhooks(services),
            forgetChanges(services, config.liveRetentionDays),
            selfAudit(services, metrics),
          ],
          logger,
        })
      : null;
  undo.push(async () => {
    stopping.abort();
    const deadline = setTimeout(() => server.destroy(), DRAIN_MILLISECONDS);
    await Promise.all([server.stop(), runner?.stop(DRAIN_MILLISECONDS)]).finally(() => clearTimeout(deadline));
  });
  runner?.start();
  return {
    endpoint: `${publicUrl}/graphql`,
    wsEndpoint: `${publicUrl.replace(/^http/, 'ws')}/graphql`,
    databaseUrl,
    demo,
    notices: database.notices,
    logger,
    services,
  };
}

/** PURSER_CATALOG is applied at every start; the demo's catalog only where there is none yet. */
async function applyCatalog(catalogs: CatalogStore, sql: Sql, { catalogPath }: Config): Promise<void> {
  if (catalogPath === undefined && catalogs.snapshot.version > 0) return;
  const path = catalogPath ?? projectPath(DEFAULT_CATALOG);
  const yaml = await readFile(path, 'utf8').catch(() => {
    throw new StartupError(`The catalog ${path} cannot be read.`);
  });
  const outcome = await storeCatalog(catalogs, sql, {
    yaml,
    actor: { kind: 'SYSTEM', id: 'start' },
    newId,
    requestId: null,
  });
  if (!('problems' in outcome)) return;
  throw new StartupError(outcome.problems.map((problem) => `${path}: ${problem}`).join('\n'));
}

/** What is open now, as Prometheus reads it. */
function countStreams(registry: Registry, live: LiveSources, credentials: CredentialWatch): void {
  const gauges: Readonly<Record<string, readonly [help: string, count: () => number]>> = {
    purser_live_streams: ['Streams that are open', () => live.size.streams],
    purser_live_wallets: ['Wallets that streams watch', () => live.size.wallets],
    purser_live_credentials: ['Credentials that streams were opened with', () => credentials.size],
  };
  for (const [name, [help, count]] of Object.entries(gauges)) {
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(count());
      },
    });
  }
}

interface StripeParts {
  readonly sql: Sql;
  readonly publicUrl: string;
  readonly logger: Logger;
}

function createStripe({ stripe }: Config, { sql, publicUrl, logger }: StripeParts): StripeProvider {
  if (!stripe) throw new Error('no payment provider is configured');
  return new StripeProvider({ ...stripe, sql, returnUrl: `${publicUrl}/billing`, logger });
}

interface Secrets {
  /** Absent where tokens are verified by JWKS. */
  readonly jwt: string | undefined;
  /** Absent where Stripe takes payments. */
  readonly sandboxWebhook: string | undefined;
}

const freshSecret = (): string => randomBytes(32).toString('base64');

/** Outside of production, secrets that the environment does not give are made once and kept in the database. */
async function loadSecrets(sql: Sql, config: Config): Promise<Secrets> {
  const sandboxWebhook = config.stripe
    ? undefined
    : (config.sandboxWebhookSecret ?? (await installationSecret(sql, 'sandbox.webhook', freshSecret())));
  if (config.jwtSecret !== undefined || config.jwksUrl !== undefined) return { jwt: config.jwtSecret, sandboxWebhook };
  return { jwt: await installationSecret(sql, 'jwt', freshSecret()), sandboxWebhook };
}

function once(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | null = null;
  return () => {
    running ??= work();
    return running;
  };
}
