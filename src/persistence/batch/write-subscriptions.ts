/** Writes the subscriptions that a batch changed and the allowances that it refreshed or replaced. */
import type { WalletBook } from '../../domain/posting/wallet-book.ts';
import { amounts, amountsOrNull, instants } from '../columns.ts';
import type { Queryable } from '../connection.ts';

/** Allowances that take the place of all there were are written after this. */
export function writeSubscriptions(sql: Queryable, books: readonly WalletBook[]) {
  const replaced = books.filter((book) => book.allowancesReplaced).map((book) => book.snapshot.id);
  return [
    upsertSubscriptions(sql, books),
    replaced.length === 0 ? null : sql`DELETE FROM allowance WHERE wallet_id = ANY(${replaced}::uuid[])`,
  ];
}

function upsertSubscriptions(sql: Queryable, books: readonly WalletBook[]) {
  const rows = books.flatMap(({ snapshot, subscription }) =>
    subscription && subscription !== snapshot.subscription
      ? [{ organizationId: snapshot.organizationId, ...subscription }]
      : [],
  );
  if (rows.length === 0) return null;
  return sql`
    INSERT INTO plan_subscription (id, organization_id, plan_key, status, anchor_day, current_period_start,
      current_period_end, trial_ends_at, cancel_at_period_end, scheduled_plan_key, payment_due_since, grace_ends_at,
      failed_attempts, next_attempt_at, charging_purchase_id, price_minor, price_currency, paid_by)
    SELECT id, organization_id, plan_key, status, anchor_day, period_start, period_end, trial_ends_at, cancels, follower,
      due_since, grace_ends_at, failed_attempts, next_attempt_at, charging, price, currency,
      ARRAY(SELECT jsonb_array_elements_text(paid_by)::uuid)
    FROM unnest(
      ${rows.map((row) => row.id)}::uuid[],
      ${rows.map((row) => row.organizationId)}::uuid[],
      ${rows.map((row) => row.planKey)}::text[],
      ${rows.map((row) => row.status)}::"SubscriptionStatus"[],
      ${rows.map((row) => row.anchorDay)}::int[],
      ${instants(rows.map((row) => row.period.start))}::timestamptz[],
      ${instants(rows.map((row) => row.period.end))}::timestamptz[],
      ${instants(rows.map((row) => row.trialEndsAt))}::timestamptz[],
      ${rows.map((row) => row.cancelAtPeriodEnd)}::boolean[],
      ${rows.map((row) => row.scheduledPlanKey)}::text[],
      ${instants(rows.map(({ payment }) => payment?.since ?? null))}::timestamptz[],
      ${instants(rows.map(({ payment }) => payment?.graceEndsAt ?? null))}::timestamptz[],
      ${rows.map(({ payment }) => payment?.failedAttempts ?? 0)}::int[],
      ${instants(rows.map(({ payment }) => payment?.nextAttemptAt ?? null))}::timestamptz[],
      ${rows.map(({ payment }) => payment?.purchaseId ?? null)}::uuid[],
      ${amountsOrNull(rows.map(({ price }) => price?.amountMinor ?? null))}::bigint[],
      ${rows.map(({ price }) => price?.currency ?? null)}::text[],
      ${rows.map((row) => JSON.stringify(row.paidBy))}::jsonb[]
    ) AS changed (id, organization_id, plan_key, status, anchor_day, period_start, period_end, trial_ends_at, cancels,
      follower, due_since, grace_ends_at, failed_attempts, next_attempt_at, charging, price, currency, paid_by)
    ON CONFLICT (organization_id) DO UPDATE
    SET plan_key = excluded.plan_key, status = excluded.status, anchor_day = excluded.anchor_day,
        current_period_start = excluded.current_period_start, current_period_end = excluded.current_period_end,
        trial_ends_at = excluded.trial_ends_at, cancel_at_period_end = excluded.cancel_at_period_end,
        scheduled_plan_key = excluded.scheduled_plan_key, payment_due_since = excluded.payment_due_since,
        grace_ends_at = excluded.grace_ends_at, failed_attempts = excluded.failed_attempts,
        next_attempt_at = excluded.next_attempt_at, charging_purchase_id = excluded.charging_purchase_id,
        price_minor = excluded.price_minor, price_currency = excluded.price_currency, paid_by = excluded.paid_by`;
}

export function writeAllowances(sql: Queryable, books: readonly WalletBook[]) {
  const rows = books.flatMap(({ snapshot: { id: walletId }, allowances, allowancesReplaced, refreshedBuckets }) =>
    allowances
      .filter((row) => allowancesReplaced || refreshedBuckets.has(row.bucketId))
      .map((row) => ({ walletId, ...row })),
  );
  if (rows.length === 0) return null;
  return sql`
    INSERT INTO allowance (bucket_id, wallet_id, interval, amount_micros, rollover_limit_micros, anchor_day,
      last_refreshed_at, next_refresh_at)
    SELECT * FROM unnest(
      ${rows.map((row) => row.bucketId)}::uuid[],
      ${rows.map((row) => row.walletId)}::uuid[],
      ${rows.map((row) => row.interval)}::"RefreshInterval"[],
      ${amounts(rows.map((row) => row.amount))}::bigint[],
      ${amountsOrNull(rows.map((row) => row.rolloverLimit))}::bigint[],
      ${rows.map((row) => row.anchorDay)}::int[],
      ${instants(rows.map((row) => row.lastRefreshedAt))}::timestamptz[],
      ${instants(rows.map((row) => row.nextRefreshAt))}::timestamptz[])
    ON CONFLICT (bucket_id) DO UPDATE
    SET last_refreshed_at = excluded.last_refreshed_at, next_refresh_at = excluded.next_refresh_at`;
}
