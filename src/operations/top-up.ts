/**
 * Starts a top-up: credits in the increments of the plan that the organization is subscribed to. A PENDING purchase with a
 * checkout at the payment provider; credits follow payment.
 *
 * Refusals: InvalidInput, NotFound (organization), IdempotencyKeyReused, WalletFrozen, Conflict (no subscription that may
 * spend, a plan without top-ups), InvalidIncrement, PaymentFailed (the provider opens no checkout: a new key tries again).
 * Throws Forbidden, the provider's faults and the engine's.
 */

import { formatCredits, type Micros, ZERO } from '../domain/credits/micros.ts';
import type { SignedInCaller } from '../domain/identity/caller.ts';
import { formatMoney } from '../domain/money/format-money.ts';
import type { Conflict } from '../domain/plain-refusals.ts';
import { priceTopUp } from '../domain/purchases/top-up.ts';
import { isRefusal, type Refusal } from '../domain/refusals.ts';
import { maySpend, type SubscriptionStatus } from '../domain/subscriptions/subscription.ts';
import { findSubscription } from '../persistence/subscriptions.ts';
import { tenantFor } from './authorize.ts';
import type { CatalogSnapshot } from './catalog-store.ts';
import { checkCeiling, checkIdempotencyKey, checkPositive, firstProblem } from './input-rules.ts';
import type { Services } from './services.ts';
import { settleWallets } from './settle-wallets.ts';
import { type Sale, type StartedPurchase, startPurchase } from './start-purchase.ts';

export interface TopUpInput {
  readonly organizationId?: string | null | undefined;
  readonly credits: Micros;
  readonly idempotencyKey: string;
}

export async function topUp(
  services: Services,
  caller: SignedInCaller,
  { organizationId, credits, idempotencyKey }: TopUpInput,
): Promise<StartedPurchase | Refusal> {
  const problem = firstProblem(
    checkIdempotencyKey(idempotencyKey),
    checkPositive(['credits'], credits),
    checkCeiling(['credits'], credits, services.catalogs.policies),
  );
  if (problem) return problem;
  const tenant = await tenantFor(services, caller, 'billing:write', organizationId);
  if (isRefusal(tenant)) return tenant;
  // The plan of now sells: one that has ended or changed by time alone does not.
  await settleWallets(services, [tenant.organizationId]);
  const onSale = await services.catalogs.refresh(services.sql);
  return startPurchase(services, caller, {
    tenant,
    operation: 'topUp',
    idempotencyKey,
    input: { credits: formatCredits(credits) },
    sell: async (tx) => sell(onSale, await findSubscription(tx, tenant.organizationId), credits),
  });
}

interface Subscribed {
  readonly planKey: string;
  readonly status: SubscriptionStatus;
}

function sell(onSale: CatalogSnapshot, subscription: Subscribed | null, credits: Micros): Sale | Refusal {
  if (subscription === null || !maySpend(subscription.status)) return unsubscribed(onSale, subscription);
  const plan = onSale.planByKey(subscription.planKey);
  const bucket = onSale.current.catalog.buckets.find(({ kind }) => kind === 'PURCHASED');
  if (!plan?.topUp || !bucket) return withoutTopUps(onSale, plan?.name ?? subscription.planKey);
  const priced = priceTopUp(plan.topUp, credits);
  if (isRefusal(priced)) return priced;
  return {
    kind: 'TOP_UP',
    name: 'Top-up',
    packageKey: null,
    catalogVersion: onSale.version,
    credits,
    bonusCredits: ZERO,
    bucketKey: bucket.key,
    expiresAfterDays: bucket.expiresAfterDays,
    price: priced.price,
  };
}

function unsubscribed(onSale: CatalogSnapshot, subscription: Subscribed | null): Conflict {
  const currentState = subscription?.status ?? 'NO_SUBSCRIPTION';
  const reason = `top-ups need an active subscription to a plan that has them: ${plansWithTopUps(onSale)}`;
  return { code: 'CONFLICT', currentState, reason };
}

function withoutTopUps(onSale: CatalogSnapshot, plan: string): Conflict {
  const reason = `the plan ${plan} has no top-ups; buy a package, or change to a plan that has them: ${plansWithTopUps(onSale)}`;
  return { code: 'CONFLICT', currentState: 'NO_TOP_UPS', reason };
}

/** "Team (10 credits for 0.10 USD)" */
function plansWithTopUps({ current }: CatalogSnapshot): string {
  const offers = current.catalog.plans.flatMap(({ name, topUp: terms }) =>
    terms ? [`${name} (${formatCredits(terms.increment)} credits for ${formatMoney(terms.unitPrice)})`] : [],
  );
  return offers.length === 0 ? 'none does at present' : offers.join(', ');
}
