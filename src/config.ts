/** The environment, read once and checked. Every problem is one line that names the variable. */
import { z } from 'zod';

const flag = z.enum(['0', '1', 'true', 'false', '']).transform((text) => text === '1' || text === 'true');
const url = z.url({ protocol: /^https?$/ }).transform((text) => text.replace(/\/+$/, ''));
const databaseUrl = z.url({ protocol: /^postgres(ql)?$/, error: 'must be a postgres:// URL' });
const redisUrl = z.url({ protocol: /^rediss?$/, error: 'must be a redis:// or rediss:// URL' });
const port = z
  .string()
  .regex(/^\d{1,5}$/, 'must be a port number')
  .transform(Number)
  .refine((value) => value <= 65_535, 'must be at most 65535');

const environment = z.object({
  NODE_ENV: z.string().default('development'),
  PORT: port.default(4000),
  HOST: z.string().min(1).optional(),
  PURSER_DATA_DIR: z.string().min(1).default('.purser'),
  DATABASE_URL: databaseUrl.optional(),
  DATABASE_ADMIN_URL: databaseUrl.optional(),
  REDIS_URL: redisUrl.optional(),
  PURSER_CATALOG: z.string().min(1).optional(),
  PURSER_PUBLIC_URL: url.optional(),
  PURSER_JWT_SECRET: z.string().min(32, 'must have at least 32 characters').optional(),
  PURSER_JWKS_URL: url.optional(),
  PURSER_OPERATOR_CLAIM: z.string().min(1).default('purser_operator'),
  PURSER_PAYMENTS: z.enum(['sandbox', 'stripe']).default('sandbox'),
  PURSER_SANDBOX_WEBHOOK_SECRET: z.base64().min(32).optional(),
  PURSER_ALLOW_SANDBOX: flag.default(false),
  STRIPE_SECRET_KEY: z
    .string()
    .regex(/^[sr]k_[!-~]+$/, 'must be a secret or restricted key: sk_… or rk_…')
    .optional(),
  STRIPE_WEBHOOK_SECRET: z
    .string()
    .regex(/^whsec_[!-~]+$/, 'must be the secret of a webhook endpoint: whsec_…')
    .optional(),
  STRIPE_API_HOST: z.string().min(1).optional(),
  STRIPE_API_PORT: port.optional(),
  STRIPE_API_PROTOCOL: z.enum(['http', 'https']).optional(),
  PURSER_WEBHOOKS_ALLOW_PRIVATE: flag.optional(),
  PURSER_WEBHOOKS_KEY: z.base64().min(32).optional(),
  PURSER_LIVE_RETENTION_DAYS: z
    .string()
    .regex(/^[1-9]\d{0,3}$/, 'must be a number of days from 1 to 9999')
    .transform(Number)
    .default(30),
  PURSER_JOBS: z.enum(['on', 'off']).default('on'),
  PURSER_GRAPHIQL: flag.optional(),
  PURSER_INTROSPECTION: flag.optional(),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).optional(),
});

/** What it takes to have Stripe take payments. */
export interface StripeConfig {
  readonly secretKey: string;
  readonly webhookSecret: string;
  /** Where Stripe's API is, for tests; what is absent is Stripe's own. */
  readonly api: { readonly host?: string; readonly port?: number; readonly protocol?: 'http' | 'https' };
}

export interface Config {
  readonly production: boolean;
  readonly port: number;
  readonly host: string;
  readonly dataDirectory: string;
  /** Absent for the embedded PostgreSQL. */
  readonly databaseUrl: string | undefined;
  readonly databaseAdminUrl: string | undefined;
  /** Absent where PostgreSQL tells gateways of each other's changes. */
  readonly redisUrl: string | undefined;
  /** Absent for the demo catalog on a database that has none yet. */
  readonly catalogPath: string | undefined;
  readonly publicUrl: string | undefined;
  readonly jwtSecret: string | undefined;
  readonly jwksUrl: string | undefined;
  readonly operatorClaim: string;
  /** Absent where the sandbox takes payments. */
  readonly stripe: StripeConfig | undefined;
  readonly sandboxWebhookSecret: string | undefined;
  /** Where webhooks may go: outside of production to this machine too, unless told. */
  readonly webhookTargets: 'PUBLIC' | 'LOOPBACK' | 'ANY';
  /** Encrypts the secrets of webhook endpoints; absent for one that is kept in the database. */
  readonly webhooksKey: string | undefined;
  /** For how many days a stream of balances can be resumed where it was. */
  readonly liveRetentionDays: number;
  /** Whether this process posts what comes due, beside serving. */
  readonly jobs: boolean;
  readonly graphiql: boolean;
  readonly introspection: boolean;
  readonly logLevel: string;
}

/** Thrown with everything that is wrong, a line each. */
export class ConfigInvalid extends Error {}

export function readConfig(env: NodeJS.ProcessEnv): Config {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const parsed = environment.safeParse(given);
  if (!parsed.success) {
    throw new ConfigInvalid(parsed.error.issues.map((issue) => `${issue.path.join('.')} ${issue.message}`).join('\n'));
  }
  const values = parsed.data;
  const production = values.NODE_ENV === 'production';
  const problems = [...stripeProblems(values), ...(production ? productionProblems(values) : [])];
  if (problems.length > 0) throw new ConfigInvalid(problems.join('\n'));
  return {
    production,
    port: values.PORT,
    host: values.HOST ?? (production ? '0.0.0.0' : '127.0.0.1'),
    dataDirectory: values.PURSER_DATA_DIR,
    databaseUrl: values.DATABASE_URL,
    databaseAdminUrl: values.DATABASE_ADMIN_URL,
    redisUrl: values.REDIS_URL,
    catalogPath: values.PURSER_CATALOG,
    publicUrl: values.PURSER_PUBLIC_URL,
    jwtSecret: values.PURSER_JWT_SECRET,
    jwksUrl: values.PURSER_JWKS_URL,
    operatorClaim: values.PURSER_OPERATOR_CLAIM,
    stripe: stripeConfig(values),
    sandboxWebhookSecret: values.PURSER_SANDBOX_WEBHOOK_SECRET,
    webhookTargets: webhookTargets(values.PURSER_WEBHOOKS_ALLOW_PRIVATE, production),
    webhooksKey: values.PURSER_WEBHOOKS_KEY,
    liveRetentionDays: values.PURSER_LIVE_RETENTION_DAYS,
    jobs: values.PURSER_JOBS === 'on',
    graphiql: values.PURSER_GRAPHIQL ?? !production,
    introspection: values.PURSER_INTROSPECTION ?? !production,
    logLevel: values.LOG_LEVEL ?? (production ? 'info' : 'warn'),
  };
}

type Values = z.output<typeof environment>;

function webhookTargets(allowPrivate: boolean | undefined, production: boolean): Config['webhookTargets'] {
  if (allowPrivate === undefined) return production ? 'PUBLIC' : 'LOOPBACK';
  return allowPrivate ? 'ANY' : 'PUBLIC';
}

function stripeConfig({ PURSER_PAYMENTS, ...values }: Values): StripeConfig | undefined {
  const { STRIPE_SECRET_KEY: secretKey, STRIPE_WEBHOOK_SECRET: webhookSecret } = values;
  if (PURSER_PAYMENTS !== 'stripe' || secretKey === undefined || webhookSecret === undefined) return undefined;
  const { STRIPE_API_HOST: host, STRIPE_API_PORT: apiPort, STRIPE_API_PROTOCOL: protocol } = values;
  const api = {
    ...(host === undefined ? {} : { host }),
    ...(apiPort === undefined ? {} : { port: apiPort }),
    ...(protocol === undefined ? {} : { protocol }),
  };
  return { secretKey, webhookSecret, api };
}

const whereTrue = (problems: readonly (string | false)[]): string[] => problems.filter((problem) => problem !== false);

function stripeProblems({ PURSER_PAYMENTS, STRIPE_SECRET_KEY, STRIPE_WEBHOOK_SECRET }: Values): string[] {
  if (PURSER_PAYMENTS !== 'stripe') return [];
  return whereTrue([
    STRIPE_SECRET_KEY === undefined && 'STRIPE_SECRET_KEY is required with PURSER_PAYMENTS=stripe',
    STRIPE_WEBHOOK_SECRET === undefined && 'STRIPE_WEBHOOK_SECRET is required with PURSER_PAYMENTS=stripe',
  ]);
}

function productionProblems(values: Values): string[] {
  const isSandbox = values.PURSER_PAYMENTS === 'sandbox';
  return whereTrue([
    values.DATABASE_URL === undefined && 'DATABASE_URL is required in production',
    values.PURSER_JWT_SECRET === undefined &&
      values.PURSER_JWKS_URL === undefined &&
      'PURSER_JWT_SECRET or PURSER_JWKS_URL is required in production',
    isSandbox &&
      !values.PURSER_ALLOW_SANDBOX &&
      'the sandbox payment provider takes no money: set PURSER_ALLOW_SANDBOX=1 to run it in production all the same',
    isSandbox &&
      values.PURSER_ALLOW_SANDBOX &&
      values.PURSER_SANDBOX_WEBHOOK_SECRET === undefined &&
      'PURSER_SANDBOX_WEBHOOK_SECRET (base64) is required in production',
    !isSandbox &&
      !values.PURSER_ALLOW_SANDBOX &&
      /^[sr]k_test_/.test(values.STRIPE_SECRET_KEY ?? '') &&
      'STRIPE_SECRET_KEY is a test key, which takes no money: set PURSER_ALLOW_SANDBOX=1 to use it in production all the same',
    !isSandbox &&
      values.STRIPE_API_PROTOCOL === 'http' &&
      'STRIPE_API_PROTOCOL=http would send the secret key in the clear: it is refused in production',
    values.PURSER_PUBLIC_URL === undefined && 'PURSER_PUBLIC_URL is required in production',
  ]);
}
