/** Organizations with a subscription, an API key and more credits than a benchmark spends, three lots each. */
import { randomBytes } from 'node:crypto';
import { systemActor } from '../src/domain/actor.ts';
import { parseCredits, ZERO } from '../src/domain/credits/micros.ts';
import { hashSecret, secretFrom, shownPrefix } from '../src/domain/identity/api-key-secret.ts';
import type { Tenant } from '../src/domain/identity/caller.ts';
import { addDays } from '../src/domain/time/calendar.ts';
import type { Services } from '../src/operations/services.ts';
import { databaseNow } from '../src/persistence/clock.ts';
import { insertApiKey } from '../src/persistence/members.ts';
import { insertOrganization } from '../src/persistence/organizations.ts';
import { insertSubscription } from '../src/persistence/subscriptions.ts';

const LOTS = ['daily_free', 'promotional', 'purchased'];
const CREDITS = parseCredits('900000') ?? ZERO;

export interface FundedWallet extends Tenant {
  readonly secret: string;
}

export async function fundedWallets(services: Services, count: number): Promise<FundedWallet[]> {
  const { sql, newId, catalogs } = services;
  const [plan] = catalogs.current.catalog.plans;
  if (!plan) throw new Error('the catalog has no plan');
  const wallets: FundedWallet[] = [];
  await sql.begin(async (tx) => {
    const now = await databaseNow(tx);
    const period = { periodStart: now, periodEnd: addDays(now, 30, 'UTC'), anchorDay: 1 };
    for (let index = 0; index < count; index++) {
      const tenant = { organizationId: newId(), walletId: newId() };
      const slug = `bench-${index}`;
      const organization = {
        id: tenant.organizationId,
        walletId: tenant.walletId,
        slug,
        name: slug,
        timeZone: 'UTC',
        testClock: false,
      };
      await insertOrganization(tx, organization, catalogs.current.catalog.buckets);
      const subscription = {
        id: newId(),
        tenant,
        plan: { ...plan, allowances: [] },
        status: 'ACTIVE',
        ...period,
      } as const;
      await insertSubscription(tx, subscription);
      const secret = secretFrom(randomBytes(32));
      await insertApiKey(tx, {
        id: newId(),
        organizationId: tenant.organizationId,
        name: 'bench',
        prefix: shownPrefix(secret),
        secretHash: hashSecret(secret),
        master: true,
        scopes: [],
        projectId: null,
        expiresAt: null,
      });
      wallets.push({ ...tenant, secret });
    }
  });
  await Promise.all(wallets.flatMap((wallet) => LOTS.map((bucketKey) => grant(services, wallet, bucketKey))));
  await sql`ANALYZE`.catch(() => undefined);
  return wallets;
}

async function grant({ engine }: Services, { organizationId, walletId }: Tenant, bucketKey: string): Promise<void> {
  const outcome = await engine.execute({
    kind: 'grant',
    organizationId,
    walletId,
    actor: systemActor('bench'),
    requestId: null,
    idempotencyKey: `bench-${bucketKey}`,
    requestHash: '00',
    credits: CREDITS,
    bucketKey,
    expiresAt: null,
    description: 'bench',
  });
  if (outcome.status !== 'posted') throw new Error(`a grant was answered with ${outcome.status}`);
}
