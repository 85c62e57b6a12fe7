/**
 * The demo: an organization with a member of every role and a key of every kind, one whose subscription has lapsed, and
 * another to try isolation with. Seeded once per database; every process of the database hands out the same keys.
 */

import { randomBytes } from 'node:crypto';
import { SignJWT } from 'jose';
import { systemActor } from '../domain/actor.ts';
import type { Plan } from '../domain/catalog/catalog.ts';
import { type Micros, parseCredits, ZERO } from '../domain/credits/micros.ts';
import { hashSecret, secretFrom, shownPrefix } from '../domain/identity/api-key-secret.ts';
import type { Role, Scope, Tenant } from '../domain/identity/caller.ts';
import { cheapestFirst } from '../domain/money/money.ts';
import { requestHash } from '../domain/posting/request-hash.ts';
import type { SubscriptionStatus } from '../domain/subscriptions/subscription.ts';
import { anchoredMonthPeriod, dayOfMonth } from '../domain/time/calendar.ts';
import type { Services } from '../operations/services.ts';
import { ADVISORY_LOCKS } from '../persistence/advisory-locks.ts';
import { rememberUser } from '../persistence/callers.ts';
import { databaseNow } from '../persistence/clock.ts';
import type { Queryable } from '../persistence/connection.ts';
import { findInstallationSecret, installationSecret } from '../persistence/installation-secrets.ts';
import { insertApiKey, insertMembership } from '../persistence/members.ts';
import { insertOrganization } from '../persistence/organizations.ts';
import { insertPurchases } from '../persistence/payments/purchases.ts';
import { insertSubscription } from '../persistence/subscriptions.ts';
import { organizationClock } from '../persistence/test-clock.ts';

export interface DemoOrganization extends Tenant {
  readonly slug: string;
}

export interface Demo {
  readonly organization: DemoOrganization;
  readonly lapsed: DemoOrganization;
  readonly other: DemoOrganization;
  readonly tokens: Readonly<
    Record<'operator' | 'owner' | 'admin' | 'editor' | 'viewer' | 'masterKey' | 'usageKey' | 'readKey', string>
  >;
  readonly lapsedTokens: { readonly usageKey: string };
  readonly otherTokens: { readonly owner: string; readonly usageKey: string };
}

const MANIFEST = 'demo.manifest';
const TOKEN_LIFE = '365d';
const TIME_ZONE = 'UTC';

/** What the database remembers of the demo: ids, and secrets that only a demo may keep. */
interface Manifest {
  readonly organization: DemoOrganization;
  readonly lapsed: DemoOrganization;
  readonly other: DemoOrganization;
  readonly keys: Readonly<Record<'masterKey' | 'usageKey' | 'readKey' | 'lapsedUsageKey' | 'otherUsageKey', string>>;
}

export async function seedDemo(services: Services, jwtSecret: string, operatorClaim: string): Promise<Demo> {
  const manifest = await services.sql.begin(async (tx): Promise<Manifest> => {
    await tx`SELECT pg_advisory_xact_lock(${ADVISORY_LOCKS.demo})`;
    const known = await findInstallationSecret(tx, MANIFEST);
    if (known !== null) return JSON.parse(known) as Manifest;
    const made = await insertDemo(tx, services);
    await installationSecret(tx, MANIFEST, JSON.stringify(made));
    return made;
  });
  await addCredits(services, manifest.organization);
  await addCredits(services, manifest.lapsed);
  await addCredits(services, manifest.other);
  const token = (userId: string, claims: Record<string, unknown> = {}) => signToken(jwtSecret, userId, claims);
  return {
    organization: manifest.organization,
    lapsed: manifest.lapsed,
    other: manifest.other,
    tokens: {
      operator: await token('demo-operator', { [operatorClaim]: true }),
      owner: await token('demo-owner'),
      admin: await token('demo-admin'),
      editor: await token('demo-editor'),
      viewer: await token('demo-viewer'),
      masterKey: manifest.keys.masterKey,
      usageKey: manifest.keys.usageKey,
      readKey: manifest.keys.readKey,
    },
    lapsedTokens: { usageKey: manifest.keys.lapsedUsageKey },
    otherTokens: { owner: await token('demo-other-owner'), usageKey: manifest.keys.otherUsageKey },
  };
}

async function insertDemo(sql: Queryable, services: Services): Promise<Manifest> {
  const organization = await insertTenant(sql, services, 'demo', 'Demo', 'ACTIVE');
  const lapsed = await insertTenant(sql, services, 'demo-lapsed', 'Demo with a lapsed plan', 'CANCELED');
  const other = await insertTenant(sql, services, 'demo-other', 'Another demo', 'ACTIVE');
  await rememberUser(sql, { id: 'demo-operator', name: 'Demo operator', email: 'operator@demo.example' });
  for (const role of ['OWNER', 'ADMIN', 'EDITOR', 'VIEWER'] as const) {
    await insertMember(sql, services, organization, `demo-${role.toLowerCase()}`, role);
  }
  await insertMember(sql, services, other, 'demo-other-owner', 'OWNER');
  const key = (tenant: Tenant, name: string, master: boolean, ...scopes: Scope[]) =>
    insertKey(sql, services, tenant, { name, master, scopes });
  return {
    organization,
    lapsed,
    other,
    keys: {
      masterKey: await key(organization, 'Demo master key', true),
      usageKey: await key(organization, 'Demo usage key', false, 'USAGE_WRITE'),
      readKey: await key(organization, 'Demo read key', false, 'BILLING_READ'),
      lapsedUsageKey: await key(lapsed, 'Demo usage key', false, 'USAGE_WRITE'),
      otherUsageKey: await key(other, 'Demo usage key', false, 'USAGE_WRITE'),
    },
  };
}

async function insertTenant(
  sql: Queryable,
  { newId, catalogs }: Services,
  slug: string,
  name: string,
  status: SubscriptionStatus,
): Promise<DemoOrganization> {
  const { buckets, plans } = (await catalogs.hold(sql)).current.catalog;
  const tenant = { organizationId: newId(), walletId: newId(), slug };
  const organization = {
    id: tenant.organizationId,
    walletId: tenant.walletId,
    slug,
    name,
    timeZone: TIME_ZONE,
    testClock: true,
  };
  if (!(await insertOrganization(sql, organization, buckets))) throw new Error(`the slug ${slug} is taken`);
  const plan = demoPlan(plans);
  if (!plan) return tenant;
  const now = await databaseNow(sql);
  const anchorDay = dayOfMonth(now, TIME_ZONE);
  const { end } = anchoredMonthPeriod(now, anchorDay, TIME_ZONE);
  await insertSubscription(sql, { id: newId(), tenant, plan, status, anchorDay, periodStart: now, periodEnd: end });
  return tenant;
}

/** The first plan that costs something, else the first. */
function demoPlan(plans: readonly Plan[]): Plan | undefined {
  const sorted = cheapestFirst(plans);
  return sorted.find((plan) => plan.price.amountMinor > 0n) ?? sorted[0];
}

async function insertMember(
  sql: Queryable,
  { newId }: Services,
  { organizationId }: Tenant,
  userId: string,
  role: Role,
) {
  const name = userId.replaceAll('-', ' ').replace(/^d/, 'D');
  await rememberUser(sql, { id: userId, name, email: `${userId}@demo.example` });
  await insertMembership(sql, { id: newId(), organizationId, userId, role });
}

async function insertKey(
  sql: Queryable,
  { newId }: Services,
  { organizationId }: Tenant,
  key: { readonly name: string; readonly master: boolean; readonly scopes: readonly Scope[] },
): Promise<string> {
  const secret = secretFrom(randomBytes(32));
  const stored = { id: newId(), organizationId, projectId: null, expiresAt: null, prefix: shownPrefix(secret) };
  await insertApiKey(sql, { ...key, ...stored, secretHash: hashSecret(secret) });
  return secret;
}

const PROMOTION = parseCredits('50') ?? ZERO;
const CORRECTION = parseCredits('100') ?? ZERO;

/** Credits in every bucket that no allowance fills. Keyed, so that a second process or start adds nothing. */
async function addCredits(services: Services, tenant: DemoOrganization): Promise<void> {
  const { buckets } = services.catalogs.current.catalog;
  for (const { key, kind } of buckets) {
    if (kind === 'PROMOTIONAL') await grant(services, tenant, key, PROMOTION);
    if (kind === 'PURCHASED' && !(await buyPackage(services, tenant))) await grant(services, tenant, key, CORRECTION);
  }
}

async function grant(services: Services, tenant: Tenant, bucketKey: string, credits: Micros): Promise<void> {
  const { organizationId, walletId } = tenant;
  await services.engine.execute({
    kind: 'grant',
    organizationId,
    walletId,
    actor: systemActor('demo'),
    requestId: null,
    idempotencyKey: `demo-${bucketKey}`,
    requestHash: requestHash('demo', organizationId, { bucketKey }),
    credits,
    bucketKey,
    expiresAt: null,
    description: 'Demo credits',
  });
}

/** The smallest package, paid: its purchase has a fixed id, so that it is bought once. */
async function buyPackage(services: Services, { organizationId, walletId }: Tenant): Promise<boolean> {
  const { catalog, version } = services.catalogs.current;
  const [offer] = cheapestFirst(catalog.packages);
  if (!offer) return false;
  const name = `demo.purchase.${organizationId}`;
  const purchaseId = await services.sql.begin(async (tx) => {
    const known = await findInstallationSecret(tx, name);
    if (known !== null) return known;
    const proposed = services.newId();
    const id = await installationSecret(tx, name, proposed);
    // Another process that starts at the same time has begun the purchase.
    if (id !== proposed) return id;
    const { name: description, key: packageKey, ...sold } = offer;
    const bought = { id, organizationId, kind: 'PACKAGE', description, packageKey, catalogVersion: version } as const;
    const paid = { provider: services.payments.name, isOffSession: false, plan: null, actor: systemActor('demo') };
    const { now: createdAt } = await organizationClock(tx, organizationId);
    await insertPurchases(tx, [{ ...sold, ...bought, ...paid, createdAt }]);
    return id;
  });
  const actor = systemActor(services.payments.name);
  await services.engine.execute({
    kind: 'resolve-purchase',
    organizationId,
    walletId,
    actor,
    purchaseId,
    news: { kind: 'PAID' },
  });
  return true;
}

function signToken(secret: string, userId: string, claims: Record<string, unknown>): Promise<string> {
  return new SignJWT(claims)
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(userId)
    .setIssuedAt()
    .setExpirationTime(TOKEN_LIFE)
    .sign(new TextEncoder().encode(secret));
}
