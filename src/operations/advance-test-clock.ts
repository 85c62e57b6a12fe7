/**
 * Moves an organization's test clock forward, and posts and charges everything that has become due, in order.
 *
 * Refusals: NotFound, InvalidInput (no test clock, or not forward). Throws Forbidden, WalletBusy, the payment provider's faults
 * and the engine's: the clock then stands where it has come to, and the same call goes on from there.
 */
import type { SignedInCaller, Tenant } from '../domain/identity/caller.ts';
import { type InvalidInput, invalidInput, type NotFound } from '../domain/plain-refusals.ts';
import { isRefusal } from '../domain/refusals.ts';
import { formatInstant, type Instant, instant } from '../domain/time/instant.ts';
import { databaseNow } from '../persistence/clock.ts';
import { upcomingCharge } from '../persistence/payments/charges.ts';
import { moveTestClock, organizationClock } from '../persistence/test-clock.ts';
import { audit } from './audit.ts';
import { tenantFor } from './authorize.ts';
import { collectPayments } from './collect-payments.ts';
import type { Services } from './services.ts';
import { ROUNDS_OF_A_CLOCK, settleWallets } from './settle-wallets.ts';

/** Far enough for any test, and within every calendar. */
const MAX_AHEAD_MILLISECONDS = 100 * 365 * 86_400_000;

export async function advanceTestClock(
  services: Services,
  caller: SignedInCaller,
  { organizationId, to }: { readonly organizationId: string; readonly to: Instant },
): Promise<{ readonly organizationId: string; readonly now: Instant } | NotFound | InvalidInput> {
  const tenant = await tenantFor(services, caller, 'operate', organizationId);
  if (isRefusal(tenant)) return tenant;
  const furthest = instant((await databaseNow(services.sql)) + MAX_AHEAD_MILLISECONDS);
  if (to > furthest) return invalidInput(['to'], 'must be within a century of the real time');
  const { hasTestClock, now } = await organizationClock(services.sql, organizationId);
  if (!hasTestClock) return invalidInput(['organizationId'], 'this organization has no test clock');
  if (to < now) return invalidInput(['to'], 'the test clock only moves forward');
  const after = { to: formatInstant(to) };
  const record = { organizationId, action: 'advanceTestClock', before: { now: formatInstant(now) }, after };
  await services.sql.begin((tx) => audit(services, tx, caller, record));
  await stopAtCharges(services, tenant, to);
  await moveTestClock(services.sql, organizationId, to);
  await catchUp(services, tenant);
  return { organizationId, now: to };
}

/**
 * Nobody can be charged in hindsight: the clock stops wherever a charge is due before its end, so that renewals follow one
 * another as they would have.
 */
async function stopAtCharges(services: Services, tenant: Tenant, to: Instant): Promise<void> {
  const { organizationId } = tenant;
  // A charge whose answer somebody else awaits is waited for as well.
  await catchUp(services, tenant);
  for (let last: Instant | null = null; ; ) {
    const at = await upcomingCharge(services.sql, organizationId);
    if (at === null || at >= to || at === last) return;
    await moveTestClock(services.sql, organizationId, at);
    await catchUp(services, tenant);
    last = at;
  }
}

async function catchUp(services: Services, tenant: Tenant): Promise<void> {
  await settleWallets(services, [tenant.organizationId], ROUNDS_OF_A_CLOCK);
  await collectPayments(services, tenant);
}
