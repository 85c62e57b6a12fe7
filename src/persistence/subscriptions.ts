/** Subscriptions to plans and the allowances that follow from them. */
import type { Plan } from '../domain/catalog/catalog.ts';
import type { Tenant } from '../domain/identity/caller.ts';
import type { Instant } from '../domain/time/instant.ts';
import type { SubscriptionStatus } from '../domain/wallet/snapshot.ts';
import type { Queryable } from './connection.ts';

export interface NewSubscription {
  readonly id: string;
  readonly tenant: Tenant;
  readonly plan: Plan;
  readonly status: SubscriptionStatus;
  readonly anchorDay: number;
  readonly periodStart: Instant;
  readonly periodEnd: Instant;
}

/**
 * Subscribes an organization. The plan's allowances are due at once where the subscription may spend; the posting engine
 * grants them when the wallet is next touched.
 */
export async function insertSubscription(sql: Queryable, subscription: NewSubscription): Promise<void> {
  const { id, tenant, plan, status, anchorDay, periodStart, periodEnd } = subscription;
  await sql`
    INSERT INTO plan_subscription (id, organization_id, plan_key, status, anchor_day, current_period_start, current_period_end)
    VALUES (${id}, ${tenant.organizationId}, ${plan.key}, ${status}::"SubscriptionStatus", ${anchorDay},
      ${timestamp(periodStart)}, ${timestamp(periodEnd)})`;
  if (status === 'CANCELED' || status === 'PAST_DUE') return;
  for (const { bucketKey, interval, credits } of plan.allowances) {
    await sql`
      INSERT INTO allowance (bucket_id, wallet_id, interval, amount_micros, anchor_day, next_refresh_at)
      SELECT id, wallet_id, ${interval}::"RefreshInterval", ${credits.toString()}, ${anchorDay}, ${timestamp(periodStart)}
      FROM bucket WHERE wallet_id = ${tenant.walletId} AND key = ${bucketKey}`;
  }
  await sql`UPDATE wallet SET next_transition_at = ${timestamp(periodStart)} WHERE id = ${tenant.walletId}`;
}

const timestamp = (at: Instant): string => new Date(at).toISOString();
