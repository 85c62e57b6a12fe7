/** Builders for what a test starts from. */
import { randomUUID } from 'node:crypto';
import type { Scope } from '../../src/domain/identity/caller.ts';
import { anchoredMonthPeriod, dayOfMonth } from '../../src/domain/time/calendar.ts';
import { type Instant, instant } from '../../src/domain/time/instant.ts';
import { decodeId } from '../../src/graphql/ids.ts';
import { databaseNow } from '../../src/persistence/clock.ts';
import { findTenant } from '../../src/persistence/organizations.ts';
import { insertSubscription } from '../../src/persistence/subscriptions.ts';
import {
  AdvanceTestClockDocument,
  CreateApiKeyDocument,
  CreateOrganizationDocument,
  GrantCreditsDocument,
} from '../generated/documents.ts';
import type { TestClient, TestGateway } from './gateway.ts';

/** A key that no other test uses. */
export const aKey = (): string => randomUUID();

const TWO_DAYS = 2 * 86_400_000;
/** The next year, and the one after it while this one ends: clocks of organizations move forward only. */
export const NEXT_YEAR = new Date(Date.now() + TWO_DAYS).getUTCFullYear() + 1;

export interface Given {
  readonly id: string;
  readonly slug: string;
  /** Charges usage and reads everything. */
  readonly client: TestClient;
  readonly secret: string;
}

export interface OrganizationOptions {
  readonly timeZone?: string;
  /** To where its clock is moved before its plan begins; it stays with the real one without it. */
  readonly now?: string;
  /** The plan it is subscribed to; null for none. `free` without it. */
  readonly plan?: string | null;
  /** Credits granted into these buckets. */
  readonly credits?: Readonly<Record<string, string>>;
}

/** An organization with a test clock, a subscription, a master key and exactly the credits asked for (plus its plan's). */
export async function anOrganization(gateway: TestGateway, options: OrganizationOptions = {}): Promise<Given> {
  const { timeZone = 'UTC', now, plan = null, credits = {} } = options;
  const operator = gateway.as(gateway.demo.tokens.operator);
  const slug = `org-${randomUUID()}`;
  const { createOrganization } = await operator.run(CreateOrganizationDocument, {
    input: { slug, name: slug, timeZone, testClock: true },
  });
  if (createOrganization.__typename !== 'OrganizationPayload') throw new Error(JSON.stringify(createOrganization));
  const { id } = createOrganization.organization;
  if (now !== undefined) await advanceTo(gateway, id, now);
  const { sql } = gateway.gateway.services;
  await subscribe(gateway, id, timeZone, plan, now === undefined ? await databaseNow(sql) : instant(Date.parse(now)));
  const secret = await anApiKey(gateway, id, 'MASTER');
  for (const [bucketKey, amount] of Object.entries(credits)) await grant(gateway, id, bucketKey, amount);
  return { id, slug, secret, client: gateway.as(secret) };
}

/** Subscribes to a plan of the catalog; with null to one that grants nothing, so that a test counts only its own credits. */
async function subscribe(
  { gateway }: TestGateway,
  id: string,
  timeZone: string,
  planKey: string | null,
  now: Instant,
): Promise<void> {
  const { sql, catalogs, newId } = gateway.services;
  const tenant = await findTenant(sql, decodeId('Organization', id));
  const plan = catalogs.planByKey(planKey ?? 'free');
  if (!tenant || !plan) throw new Error('no such organization or plan');
  const anchorDay = dayOfMonth(now, timeZone);
  const { end } = anchoredMonthPeriod(now, anchorDay, timeZone);
  const granting = planKey === null ? { ...plan, allowances: [] } : plan;
  const subscription = {
    id: newId(),
    tenant,
    plan: granting,
    status: 'ACTIVE',
    anchorDay,
    periodStart: now,
    periodEnd: end,
  } as const;
  await insertSubscription(sql, subscription);
}

/** The secret of a new key. */
export async function anApiKey(
  gateway: TestGateway,
  organizationId: string,
  ...scopes: ('MASTER' | Scope)[]
): Promise<string> {
  const master = scopes.includes('MASTER');
  const { createApiKey } = await gateway.as(gateway.demo.tokens.operator).run(CreateApiKeyDocument, {
    input: {
      organizationId,
      name: 'test',
      master,
      scopes: scopes.filter((scope): scope is Scope => scope !== 'MASTER'),
    },
  });
  if (createApiKey.__typename !== 'CreateApiKeyPayload') throw new Error(JSON.stringify(createApiKey));
  return createApiKey.secret;
}

export async function grant(
  gateway: TestGateway,
  organizationId: string,
  bucketKey: string,
  credits: string,
  expiresAt?: string,
): Promise<void> {
  const { grantCredits } = await gateway.as(gateway.demo.tokens.operator).run(GrantCreditsDocument, {
    input: {
      organizationId,
      idempotencyKey: aKey(),
      bucketKey,
      credits,
      reason: 'test',
      ...(expiresAt ? { expiresAt } : {}),
    },
  });
  if (grantCredits.__typename !== 'GrantPayload') throw new Error(JSON.stringify(grantCredits));
}

/** Moves the organization's clock. */
export async function advanceTo(gateway: TestGateway, organizationId: string, to: string): Promise<void> {
  const { advanceTestClock } = await gateway.as(gateway.demo.tokens.operator).run(AdvanceTestClockDocument, {
    input: { organizationId, to },
  });
  if (advanceTestClock.__typename !== 'TestClockPayload') throw new Error(JSON.stringify(advanceTestClock));
}
