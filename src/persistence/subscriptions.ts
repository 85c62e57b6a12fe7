/** Subscriptions to plans and the allowances that follow from them. */
import type { Plan } from '../domain/catalog/catalog.ts';
import type { ChangedAllowance } from '../domain/catalog/decide-catalog.ts';
import type { Tenant } from '../domain/identity/caller.ts';
import type { SubscriptionStatus } from '../domain/subscriptions/subscription.ts';
import type { Instant } from '../domain/time/instant.ts';
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
 * Subscribes an organization whose period is paid. The plan's allowances are due at once where the subscription may spend; the posting engine
 * grants them when the wallet is next touched.
 */
export async function insertSubscription(sql: Queryable, subscription: NewSubscription): Promise<void> {
  const { id, tenant, plan, status, anchorDay, periodStart, periodEnd } = subscription;
  const price = plan.price.amountMinor > 0n ? plan.price : null;
  await sql`
    INSERT INTO plan_subscription (id, organization_id, plan_key, status, anchor_day, current_period_start,
      current_period_end, price_minor, price_currency)
    VALUES (${id}, ${tenant.organizationId}, ${plan.key}, ${status}::"SubscriptionStatus", ${anchorDay},
      ${timestamp(periodStart)}, ${timestamp(periodEnd)}, ${price?.amountMinor.toString() ?? null}::bigint,
      ${price?.currency ?? null})`;
  if (status === 'CANCELED' || status === 'PAST_DUE') return;
  for (const { bucketKey, interval, credits, rolloverLimit } of plan.allowances) {
    await sql`
      INSERT INTO allowance (bucket_id, wallet_id, interval, amount_micros, rollover_limit_micros, anchor_day,
        next_refresh_at)
      SELECT id, wallet_id, ${interval}::"RefreshInterval", ${credits.toString()}, ${rolloverLimit?.toString() ?? null}::bigint, ${anchorDay}, ${timestamp(periodStart)}
      FROM bucket WHERE wallet_id = ${tenant.walletId} AND key = ${bucketKey}`;
  }
  await sql`UPDATE wallet SET next_transition_at = ${timestamp(periodStart)} WHERE id = ${tenant.walletId}`;
}

/** What an organization is subscribed to, now or before; null where it never was. */
export async function findSubscription(
  sql: Queryable,
  organizationId: string,
): Promise<{ readonly planKey: string; readonly status: SubscriptionStatus } | null> {
  const [row] = await sql<{ plan_key: string; status: SubscriptionStatus }[]>`
    SELECT plan_key, status FROM plan_subscription WHERE organization_id = ${organizationId}`;
  return row ? { planKey: row.plan_key, status: row.status } : null;
}

/**
 * Gives the subscribers of plans other amounts from their next refresh on; lots that were granted stay. Locks their wallets
 * as posting batches do, and those of subscribers to be: the batch that lets such a plan begin may be under way.
 */
export async function changeAllowances(sql: Queryable, changed: readonly ChangedAllowance[]): Promise<void> {
  if (changed.length === 0) return;
  const planKeys = changed.map((allowance) => allowance.planKey);
  await sql`
    SELECT 1 FROM wallet
    WHERE organization_id IN (
      SELECT organization_id FROM plan_subscription
      WHERE plan_key = ANY(${planKeys}::text[]) OR scheduled_plan_key = ANY(${planKeys}::text[])
    )
    ORDER BY id FOR UPDATE`;
  await sql`
    UPDATE allowance
    SET amount_micros = changed.amount_micros, rollover_limit_micros = changed.rollover_limit_micros
    FROM unnest(
      ${planKeys}::text[],
      ${changed.map((allowance) => allowance.bucketKey)}::text[],
      ${changed.map((allowance) => allowance.interval)}::"RefreshInterval"[],
      ${changed.map((allowance) => allowance.credits.toString())}::bigint[],
      ${changed.map((allowance) => allowance.rolloverLimit?.toString() ?? null)}::bigint[]
    ) AS changed (plan_key, bucket_key, interval, amount_micros, rollover_limit_micros)
    JOIN plan_subscription s ON s.plan_key = changed.plan_key
    JOIN wallet w ON w.organization_id = s.organization_id
    JOIN bucket b ON b.wallet_id = w.id AND b.key = changed.bucket_key
    WHERE allowance.bucket_id = b.id AND allowance.interval = changed.interval
      AND (allowance.amount_micros, allowance.rollover_limit_micros)
        IS DISTINCT FROM (changed.amount_micros, changed.rollover_limit_micros)`;
}

const timestamp = (at: Instant): string => new Date(at).toISOString();
