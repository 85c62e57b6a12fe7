/**
 * What Prisma cannot say, said by the migrations: each constraint, unique index and trigger is shown
 * refusing, to the owner of the schema. The last test compares this file with the database, so that none is forgotten.
 */
import type { Client } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { openSession, type Session } from '../support/process-posting.ts';

const CHECK_VIOLATION = '23514';
const UNIQUE_VIOLATION = '23505';
const APPEND_ONLY = 'P0401';
const BROKEN_CHAIN = 'P0402';
const FOREIGN_REFERENCE = 'P0403';

/** Ids of the rows that each test starts from, by what they are. */
const ID = {
  organization: '10000000-0000-4000-8000-000000000000',
  otherOrganization: '10000000-0000-4000-8000-000000000001',
  emptyOrganization: '10000000-0000-4000-8000-000000000002',
  wallet: '20000000-0000-4000-8000-000000000000',
  otherWallet: '20000000-0000-4000-8000-000000000001',
  bucket: '30000000-0000-4000-8000-000000000000',
  otherBucket: '30000000-0000-4000-8000-000000000001',
  lot: '40000000-0000-4000-8000-000000000000',
  otherLot: '40000000-0000-4000-8000-000000000001',
  transaction: '50000000-0000-4000-8000-000000000000',
  otherTransaction: '50000000-0000-4000-8000-000000000001',
  purchase: '60000000-0000-4000-8000-000000000000',
  membership: '70000000-0000-4000-8000-000000000000',
  subscription: '80000000-0000-4000-8000-000000000000',
  project: '90000000-0000-4000-8000-000000000000',
  key: 'a0000000-0000-4000-8000-000000000000',
  audit: 'b0000000-0000-4000-8000-000000000000',
  hold: 'c0000000-0000-4000-8000-000000000000',
  alert: 'd0000000-0000-4000-8000-000000000000',
  allocation: 'e0000000-0000-4000-8000-000000000000',
  allocationOfAnn: 'e0000000-0000-4000-8000-000000000001',
  endpoint: 'f1000000-0000-4000-8000-000000000000',
  delivery: 'f2000000-0000-4000-8000-000000000000',
} as const;

const HASH = `decode(repeat('ab', 32), 'hex')`;

/** A row of every table that has a rule, two organizations, and a wallet with one entry: a credit of 10 micros. */
const ROWS = `
  INSERT INTO user_account (id, name, email) VALUES ('ann', 'Ann', 'ann@example.org'), ('bob', 'Bob', 'bob@example.org');
  INSERT INTO organization (id, slug, name, time_zone) VALUES
    ('${ID.organization}', 'one', 'One', 'UTC'), ('${ID.otherOrganization}', 'other', 'Other', 'UTC'),
    ('${ID.emptyOrganization}', 'empty', 'Empty', 'UTC');
  INSERT INTO membership (id, organization_id, user_id, role, status, invited_email, invitation_token_hash, invitation_expires_at)
    VALUES ('${ID.membership}', '${ID.organization}', NULL, 'VIEWER', 'INVITED', 'Guest@Example.org', ${HASH}, now()),
      (gen_random_uuid(), '${ID.organization}', 'ann', 'OWNER', 'ACTIVE', NULL, NULL, NULL);
  INSERT INTO project (id, organization_id, key, name) VALUES ('${ID.project}', '${ID.organization}', 'web', 'Web');
  INSERT INTO api_key (id, organization_id, name, prefix, secret_hash)
    VALUES ('${ID.key}', '${ID.organization}', 'key', 'pk', ${HASH});
  INSERT INTO wallet (id, organization_id, head_hash, last_posted_at) VALUES
    ('${ID.wallet}', '${ID.organization}', ${HASH}, now()), ('${ID.otherWallet}', '${ID.otherOrganization}', ${HASH}, now());
  INSERT INTO bucket (id, wallet_id, key, name, kind, burn_priority) VALUES
    ('${ID.bucket}', '${ID.wallet}', 'purchased', 'Purchased', 'PURCHASED', 1),
    ('${ID.otherBucket}', '${ID.otherWallet}', 'purchased', 'Purchased', 'PURCHASED', 1);
  INSERT INTO allowance (bucket_id, wallet_id, interval, amount_micros, anchor_day, next_refresh_at)
    VALUES ('${ID.bucket}', '${ID.wallet}', 'MONTH', 1, 1, now());
  INSERT INTO plan_subscription (id, organization_id, plan_key, status, anchor_day, current_period_start, current_period_end)
    VALUES ('${ID.subscription}', '${ID.organization}', 'free', 'ACTIVE', 1, now(), now() + interval '1 month');
  INSERT INTO purchase (id, organization_id, kind, status, catalog_version, credits_micros, bonus_micros, bucket_key,
      price_minor, currency, provider, provider_reference, actor_kind, actor_id, created_at, paid_at,
      receipt_issuer, receipt_sequence)
    VALUES ('${ID.purchase}', '${ID.organization}', 'PACKAGE', 'PAID', 1, 10, 0, 'purchased', 1000, 'USD', 'sandbox', 'ref',
      'USER', 'ann', now(), now(), 'R', 1);
  INSERT INTO receipt_counter (issuer, last_number) VALUES ('R', 1);
  INSERT INTO auto_top_up (wallet_id, enabled, threshold_micros, package_key, ceiling_minor, currency, purchase_id)
    VALUES ('${ID.wallet}', true, 1, 'starter', 1000, 'USD', '${ID.purchase}');
  INSERT INTO alert (id, wallet_id, threshold_micros, state, created_at)
    VALUES ('${ID.alert}', '${ID.wallet}', 10, 'ARMED', now());
  INSERT INTO alert_event (wallet_id, number, alert_id, transition, threshold_micros, total_available_micros, version, occurred_at)
    VALUES ('${ID.wallet}', 1, '${ID.alert}', 'TRIGGERED', 10, 9, 1, now());
  INSERT INTO sandbox_checkout (token, purchase_id, description, amount_minor, currency)
    VALUES ('token', '${ID.purchase}', 'Starter', 1000, 'USD');
  INSERT INTO sandbox_card (organization_id, card) VALUES ('${ID.organization}', 'success');
  INSERT INTO payment_customer (organization_id, provider, reference) VALUES ('${ID.organization}', 'stripe', 'cus_1');
  INSERT INTO allocation (id, wallet_id, project_id, user_id, exclusive, created_at)
    VALUES ('${ID.allocation}', '${ID.wallet}', '${ID.project}', NULL, false, now()),
      ('${ID.allocationOfAnn}', '${ID.wallet}', NULL, 'ann', false, now());
  INSERT INTO lot (id, wallet_id, bucket_id, source, granted_micros, remaining_micros, paid, effective_at, in_force,
      purchase_id, created_at) VALUES
    ('${ID.lot}', '${ID.wallet}', '${ID.bucket}', 'PURCHASE', 10, 10, true, now(), true, '${ID.purchase}', now()),
    ('${ID.otherLot}', '${ID.otherWallet}', '${ID.otherBucket}', 'PROMOTION', 10, 10, true, now(), true, NULL, now());
  INSERT INTO ledger_transaction (id, wallet_id, kind, reason_code, amount_micros, lines, actor_kind, actor_id, effective_at, posted_at)
    SELECT id::uuid, wallet::uuid, 'GRANT', 'GRANT', 10, '[]', 'SYSTEM', 'test', now(), now() FROM (VALUES
      ('${ID.transaction}', '${ID.wallet}'), ('${ID.otherTransaction}', '${ID.otherWallet}')) AS made (id, wallet);
  INSERT INTO ledger_entry (wallet_id, sequence, transaction_id, direction, amount_micros, balance_after_micros, reason_code,
      lot_id, bucket_id, actor_kind, actor_id, effective_at, posted_at, hash)
    VALUES ('${ID.wallet}', 1, '${ID.transaction}', 'CREDIT', 10, 10, 'GRANT', '${ID.lot}', '${ID.bucket}', 'SYSTEM', 'test',
      now(), now(), ${HASH});
  INSERT INTO balance_change (wallet_id, version, sequence, change_micros, reason_code, total_available_micros, held_micros, occurred_at)
    VALUES ('${ID.wallet}', 1, 1, 10, 'GRANT', 10, 0, now());
  INSERT INTO idempotency_record (organization_id, key, operation, request_hash, outcome, created_at)
    VALUES ('${ID.organization}', 'used', 'debit', ${HASH}, '{}', now());
  INSERT INTO hold (id, wallet_id, status, amount_micros, captured_micros, remaining_micros, idempotency_key, lines,
      rate_card_version, actor_kind, actor_id, reservations, created_at, expires_at)
    VALUES ('${ID.hold}', '${ID.wallet}', 'OPEN', 10, 0, 10, 'hold', '[]', 1, 'SYSTEM', 'test', '[]', now(),
      now() + interval '1 hour');
  INSERT INTO hold_pin (hold_id, position, lot_id, pinned_micros) VALUES ('${ID.hold}', 0, '${ID.lot}', 10);
  INSERT INTO tier_counter (wallet_id, meter, rate, period_start, quantity) VALUES ('${ID.wallet}', 'page', '{}', now(), 1);
  INSERT INTO spend_counter (wallet_id, limit_code, window_start, used_micros)
    VALUES ('${ID.wallet}', 'daily_credit_cap_exceeded', now(), 1);
  INSERT INTO spend_limit (id, wallet_id, scope, project_id, per, credits_micros, created_at)
    VALUES (gen_random_uuid(), '${ID.wallet}', 'PROJECT', '${ID.project}', 'DAY', 1, now());
  INSERT INTO wallet_check (wallet_id) VALUES ('${ID.wallet}');
  INSERT INTO operation_counter (wallet_id, key, per, window_start, operations) VALUES ('${ID.wallet}', 'run', 'DAY', now(), 1);
  INSERT INTO usage_rollup (wallet_id, grain, starts_at, meter, model, modality, operation, user_id, project_id, api_key_id,
      quantity, credits_micros, events)
    VALUES ('${ID.wallet}', 'DAY', now(), 'page', '', '', '', '', '', '', 1, 1, 1);
  INSERT INTO statement (wallet_id, month, starts_at, ends_at, opening_micros, credited_micros, debited_micros, closing_micros,
      opening_sequence, closing_sequence, content, hash, closed_at)
    VALUES ('${ID.otherWallet}', '2000-01', '2000-01-01Z', '2000-02-01Z', 0, 0, 0, 0, 0, 0, '{}', sha256('{}'), '2000-02-01Z');
  INSERT INTO statement_draft (wallet_id, month, through_sequence, lines) VALUES ('${ID.wallet}', '2000-01', 1, '[]');
  INSERT INTO carried_usage (wallet_id, starts_at, meter, model, user_id, project_id, quantity, credits_micros, events)
    VALUES ('${ID.wallet}', now(), 'page', '', '', '', -1, -1, -1);
  INSERT INTO audit_record (id, organization_id, action, actor_kind, actor_id, occurred_at)
    VALUES ('${ID.audit}', '${ID.organization}', 'test', 'SYSTEM', 'test', now());
  INSERT INTO catalog_version (version, source, effective_at, applied_at, applied_by) VALUES (1, 'x', now(), now(), 'test');
  INSERT INTO promo_code (code) VALUES ('CODE');
  INSERT INTO promo_redemption (transaction_id, code, organization_id, redeemed_at)
    VALUES ('${ID.transaction}', 'CODE', '${ID.organization}', now());
  INSERT INTO activity_feed (organization_id, last_number) VALUES ('${ID.organization}', 1);
  INSERT INTO activity (organization_id, number, kind, summary, actor_kind, actor_id, occurred_at)
    VALUES ('${ID.organization}', 1, 'PLAN', 'Began', 'SYSTEM', 'test', now());
  INSERT INTO usage_watermark (wallet_id, posted_at, transaction_id, released_to)
    VALUES ('${ID.wallet}', now(), '${ID.transaction}', now());
  INSERT INTO open_usage (wallet_id, task_id, execution_id, grouped_actor, operations, credits_micros, actor_kind, actor_id,
      started_at, last_at, due_at)
    VALUES ('${ID.wallet}', 'task', '', '', 1, -1, 'SYSTEM', 'test', now(), now(), now());
  INSERT INTO installation_secret (name, value) VALUES ('name', 'value');
  INSERT INTO webhook_endpoint (id, organization_id, url, events, secret)
    VALUES ('${ID.endpoint}', '${ID.organization}', 'https://example.com', '{balance.changed}', '\\x00');
  INSERT INTO webhook_cursor (endpoint_id, event, position) VALUES ('${ID.endpoint}', 'balance.changed', 0);
  INSERT INTO webhook_delivery (id, endpoint_id, organization_id, event_id, event, payload, next_attempt_at)
    VALUES ('${ID.delivery}', '${ID.endpoint}', '${ID.organization}', 'event', 'balance.changed', '{}', now())`;

let database: TestDatabase;
let session: Session;
let client: Client;
/** Names of the constraints, indexes and triggers that were seen refusing. */
const seen = new Set<string>();

beforeAll(async () => {
  database = await createDatabase();
  session = await openSession(database);
  client = session.client;
  await client.query(ROWS);
  const { rows } = await client.query<{ table: string; columns: string }>(`
    SELECT table_name AS table, string_agg(quote_ident(column_name), ', ' ORDER BY ordinal_position) AS columns
    FROM information_schema.columns WHERE table_schema = 'public' AND is_generated = 'NEVER' GROUP BY 1`);
  for (const { table, columns } of rows) columnsOf.set(table, columns);
});
afterEach(async () => {
  await client.query('ROLLBACK');
});
afterAll(async () => {
  await session[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
});

interface Fault {
  readonly code?: string;
  readonly constraint?: string;
  readonly message?: string;
}

/** What the statement is refused with; undefined where it is accepted. Nothing of it stays. */
async function faultOf(sql: string): Promise<Fault | undefined> {
  await client.query('BEGIN');
  const fault = await client.query(sql).then(
    () => undefined,
    ({ code, constraint, message }: Fault) => ({ code, constraint, message }),
  );
  await client.query('ROLLBACK');
  return fault as Fault | undefined;
}

async function expectRefused(sql: string, code: string, constraint: string): Promise<void> {
  expect(await faultOf(sql), sql).toMatchObject({ code, constraint });
  seen.add(constraint);
}

async function expectAccepted(sql: string): Promise<void> {
  expect(await faultOf(sql), sql).toBeUndefined();
}

/** By table: the columns that can be written. */
const columnsOf = new Map<string, string>();

/** The rows again, with some columns changed. */
function changed(table: string, where: string, changes: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(changes).map(([column, value]) => `'${column}', ${value}`);
  return `SELECT ${columnsOf.get(table)} FROM (SELECT (jsonb_populate_record(row, jsonb_build_object(${pairs.join(', ')}))).*
    FROM ${table} row WHERE ${where}) AS changed`;
}

/** Inserts the rows once more, with some columns changed. */
function copyOf(table: string, where: string, changes: Readonly<Record<string, string>>): string {
  return `INSERT INTO ${table} (${columnsOf.get(table)}) ${changed(table, where, changes)}`;
}

describe('checks', () => {
  it.each([
    ['activity_feed_number', 'activity_feed', 'last_number = 0'],
    ['open_usage_sums', 'open_usage', 'operations = 0'],
    ['open_usage_sums', 'open_usage', 'credits_micros = 1'],
    ['open_usage_times', 'open_usage', `last_at = started_at - interval '1 ms'`],
    ['open_usage_key', 'open_usage', `task_id = ''`],
    ['open_usage_key', 'open_usage', `grouped_actor = 'USER ann'`],
    ['lot_amounts', 'lot', 'pinned_micros = -1'],
    ['lot_amounts', 'lot', 'pinned_micros = remaining_micros + 1'],
    ['lot_amounts', 'lot', 'remaining_micros = granted_micros + 1'],
    ['lot_amounts', 'lot', 'remaining_micros = -1'],
    ['lot_amounts', 'lot', 'granted_micros = 0, remaining_micros = 0'],
    ['lot_life', 'lot', 'expires_at = effective_at'],
    ['lot_life', 'lot', `expires_at = effective_at - interval '1 ms'`],
    ['bucket_amounts', 'bucket', 'available_micros = -1'],
    ['bucket_amounts', 'bucket', 'pinned_micros = -1'],
    ['bucket_amounts', 'bucket', 'frozen_micros = -1'],
    ['bucket_earmarked', 'bucket', 'earmarked_micros = -1'],
    ['bucket_earmarked', 'bucket', 'earmarked_micros = available_micros + 1'],
    ['allocation_amounts', 'allocation', 'available_micros = -1'],
    ['allocation_amounts', 'allocation', 'pinned_micros = -1'],
    ['allocation_amounts', 'allocation', 'frozen_micros = -1'],
    ['allocation_amounts', 'allocation', 'used_micros = -1'],
    ['allocation_target', 'allocation', 'project_id = NULL, user_id = NULL'],
    ['allocation_target', 'allocation', `project_id = '${ID.project}', user_id = 'ann'`],
    ['wallet_counters', 'wallet', 'debt_micros = -1'],
    ['wallet_counters', 'wallet', 'sequence = -1'],
    ['wallet_counters', 'wallet', 'version = -1'],
    ['wallet_counters', 'wallet', `head_hash = '\\x00'`],
    ['wallet_counters', 'wallet', `head_hash = head_hash || '\\x00'`],
    ['webhook_endpoint_url', 'webhook_endpoint', `url = ''`],
    ['webhook_endpoint_url', 'webhook_endpoint', `url = repeat('x', 2049)`],
    ['webhook_endpoint_events', 'webhook_endpoint', `events = '{}'`],
    ['webhook_endpoint_previous_secret', 'webhook_endpoint', 'previous_secret = secret'],
    ['webhook_endpoint_previous_secret', 'webhook_endpoint', 'previous_secret_until = now()'],
    ['webhook_endpoint_failed_in_row', 'webhook_endpoint', 'failed_in_row = -1'],
    ['webhook_cursor_position', 'webhook_cursor', 'position = -1'],
    ['webhook_delivery_attempts', 'webhook_delivery', 'retries = -1'],
    ['webhook_delivery_attempts', 'webhook_delivery', 'retries = 2, attempts = 1'],
    ['webhook_delivery_pending', 'webhook_delivery', 'next_attempt_at = NULL'],
    ['webhook_delivery_pending', 'webhook_delivery', `status = 'FAILED'`],
    ['webhook_delivery_delivered', 'webhook_delivery', 'delivered_at = now()'],
    ['webhook_delivery_delivered', 'webhook_delivery', `status = 'DELIVERED', next_attempt_at = NULL`],
    ['webhook_delivery_leased', 'webhook_delivery', `status = 'FAILED', next_attempt_at = NULL, leased_until = now()`],
    ['allowance_amount', 'allowance', 'amount_micros = -1'],
    ['allowance_amount', 'allowance', 'anchor_day = 0'],
    ['allowance_amount', 'allowance', 'anchor_day = 32'],
    ['allowance_rollover', 'allowance', 'rollover_limit_micros = 0'],
    ['allowance_rollover', 'allowance', 'rollover_limit_micros = -1'],
    ['plan_subscription_period', 'plan_subscription', 'current_period_end = current_period_start'],
    ['plan_subscription_period', 'plan_subscription', 'anchor_day = 0'],
    ['plan_subscription_period', 'plan_subscription', 'anchor_day = 32'],
    ['plan_subscription_follower', 'plan_subscription', `scheduled_plan_key = 'team', cancel_at_period_end = true`],
    ['plan_subscription_follower', 'plan_subscription', `scheduled_plan_key = 'team', status = 'CANCELED'`],
    ['plan_subscription_payment', 'plan_subscription', 'payment_due_since = now()'],
    ['plan_subscription_payment', 'plan_subscription', 'grace_ends_at = now()'],
    ['plan_subscription_payment', 'plan_subscription', 'failed_attempts = 1'],
    ['plan_subscription_payment', 'plan_subscription', 'failed_attempts = -1'],
    ['plan_subscription_payment', 'plan_subscription', 'next_attempt_at = now()'],
    ['plan_subscription_payment', 'plan_subscription', `charging_purchase_id = '${ID.purchase}'`],
    [
      'plan_subscription_payment',
      'plan_subscription',
      `payment_due_since = now(), grace_ends_at = now(), next_attempt_at = now(), charging_purchase_id = '${ID.purchase}'`,
    ],
    [
      'plan_subscription_payment',
      'plan_subscription',
      `payment_due_since = now(), grace_ends_at = now(), status = 'CANCELED'`,
    ],
    ['plan_subscription_price', 'plan_subscription', 'price_minor = 100'],
    ['plan_subscription_price', 'plan_subscription', `price_currency = 'USD'`],
    ['plan_subscription_price', 'plan_subscription', `price_minor = 0, price_currency = 'USD'`],
    ['plan_subscription_price', 'plan_subscription', `paid_by = ARRAY['${ID.purchase}']::uuid[]`],
    ['plan_subscription_price', 'plan_subscription', 'paid_by = NULL'],
    ['purchase_bucket', 'purchase', 'bucket_key = NULL'],
    ['purchase_bucket', 'purchase', `kind = 'PLAN', plan_key = 'team', plan_purpose = 'BEGINNING'`],
    ['purchase_plan', 'purchase', `plan_key = 'team', plan_purpose = 'BEGINNING'`],
    ['purchase_plan', 'purchase', `kind = 'PLAN', bucket_key = NULL, plan_key = 'team'`],
    ['purchase_plan', 'purchase', `kind = 'PLAN', bucket_key = NULL, plan_purpose = 'BEGINNING'`],
    ['purchase_plan', 'purchase', `kind = 'PLAN', bucket_key = NULL, plan_key = 'team', plan_purpose = 'GIFT'`],
    ['purchase_plan', 'purchase', `kind = 'PLAN', bucket_key = NULL, plan_key = 'team', plan_purpose = 'RENEWAL'`],
    [
      'purchase_plan',
      'purchase',
      `kind = 'PLAN', bucket_key = NULL, plan_key = 'team', plan_purpose = 'CHANGE', plan_period_start = now()`,
    ],
    ['purchase_amounts', 'purchase', 'credits_micros = -1'],
    ['purchase_amounts', 'purchase', 'bonus_micros = -1'],
    ['purchase_amounts', 'purchase', 'price_minor = -1'],
    ['purchase_amounts', 'purchase', `currency = 'usd'`],
    ['purchase_amounts', 'purchase', `currency = 'USDT'`],
    ['purchase_amounts', 'purchase', `currency = E'USD\\n'`],
    ['purchase_paid', 'purchase', 'paid_at = NULL'],
    ['purchase_paid', 'purchase', `paid_at = NULL, status = 'REFUNDED'`],
    ['purchase_paid', 'purchase', `paid_at = NULL, status = 'DISPUTED', open_disputes = '{dispute}'`],
    ['purchase_paid', 'purchase', `status = 'PENDING'`],
    ['purchase_paid', 'purchase', `status = 'FAILED'`],
    ['purchase_paid', 'purchase', `status = 'EXPIRED'`],
    ['purchase_disputed', 'purchase', `status = 'DISPUTED'`],
    ['purchase_receipt', 'purchase', 'receipt_issuer = NULL'],
    ['purchase_receipt', 'purchase', 'receipt_sequence = NULL'],
    ['purchase_receipt', 'purchase', `status = 'PENDING', paid_at = NULL`],
    ['receipt_counter_number', 'receipt_counter', 'last_number = 0'],
    ['purchase_bucket', 'purchase', 'bucket_key = NULL'],
    ['purchase_bucket', 'purchase', `kind = 'PLAN'`],
    ['auto_top_up_threshold', 'auto_top_up', 'threshold_micros = 0'],
    ['auto_top_up_choice', 'auto_top_up', 'package_key = NULL'],
    ['auto_top_up_choice', 'auto_top_up', 'credits_micros = 1'],
    ['auto_top_up_choice', 'auto_top_up', 'package_key = NULL, credits_micros = 0'],
    ['auto_top_up_ceiling', 'auto_top_up', 'ceiling_minor = 0'],
    ['auto_top_up_attempts', 'auto_top_up', 'failed_attempts = -1'],
    ['auto_top_up_wanted', 'auto_top_up', 'wanted_at = now()'],
    ['auto_top_up_wanted', 'auto_top_up', 'wanted_at = now(), purchase_id = NULL, enabled = false'],
    ['auto_top_up_wanted', 'auto_top_up', `wanted_at = now(), purchase_id = NULL, suspended_reason = 'declined'`],
    ['wallet_alert_number', 'wallet', 'alert_number = -1'],
    ['alert_criterion', 'alert', 'threshold_micros = NULL'],
    ['alert_criterion', 'alert', 'percent = 20'],
    ['alert_criterion', 'alert', 'threshold_micros = 0'],
    ['alert_criterion', 'alert', 'threshold_micros = NULL, percent = 0'],
    ['alert_criterion', 'alert', 'threshold_micros = NULL, percent = 101'],
    ['alert_triggered', 'alert', `state = 'TRIGGERED'`],
    ['alert_dismissed', 'alert', `dismissed = true, plan_key = 'team'`],
    ['alert_dismissed', 'alert', 'dismissed = true, removed_at = now()'],
    ['purchase_disputed', 'purchase', 'open_disputes = NULL'],
    ['purchase_disputed', 'purchase', 'closed_disputes = NULL'],
    ['purchase_refunding', 'purchase', `status = 'REFUNDED', refund_requested_at = now()`],
    [
      'purchase_refunding',
      'purchase',
      `status = 'FAILED', paid_at = NULL, receipt_issuer = NULL, receipt_sequence = NULL, refund_requested_at = now()`,
    ],
    ['purchase_declined', 'purchase', `decline_code = 'no', refund_requested_at = now()`],
    ['purchase_declined', 'purchase', `decline_code = 'no', status = 'REFUNDED'`],
    [
      'purchase_declined',
      'purchase',
      `decline_code = 'no', status = 'PENDING', paid_at = NULL, receipt_issuer = NULL, receipt_sequence = NULL`,
    ],
    [
      'purchase_declined',
      'purchase',
      `decline_code = 'no', status = 'EXPIRED', paid_at = NULL, receipt_issuer = NULL, receipt_sequence = NULL`,
    ],
    ['purchase_checks', 'purchase', 'checks = -1'],
    ['purchase_bucket', 'purchase', `kind = 'TOP_UP', bucket_key = NULL`],
    ['sandbox_card_card', 'sandbox_card', `card = 'stolen'`],
    ['sandbox_checkout_stage', 'sandbox_checkout', `stage = 'LOST', card = 'delayed'`],
    ['sandbox_checkout_stage', 'sandbox_checkout', `stage = 'UNDER_WAY'`],
    ['sandbox_checkout_off_session', 'sandbox_checkout', 'off_session = true'],
    ['lot_revoked', 'lot', 'revoked = true'],
    ['lot_revoked', 'lot', 'revoked = true, in_force = false, frozen = true'],
    ['membership_person', 'membership', 'user_id = NULL, invited_email = NULL'],
    ['membership_active', 'membership', `status = 'ACTIVE', user_id = NULL, invited_email = 'guest@example.org'`],
    ['membership_invited', 'membership', `status = 'INVITED', user_id = 'ann'`],
    ['membership_invited', 'membership', `status = 'INVITED', user_id = NULL, invitation_token_hash = NULL`],
    ['membership_invited', 'membership', `status = 'INVITED', user_id = NULL, invitation_expires_at = NULL`],
    ['organization_slug', 'organization', `slug = ''`],
    ['organization_slug', 'organization', `slug = 'Upper'`],
    ['organization_slug', 'organization', `slug = '-a'`],
    ['organization_slug', 'organization', `slug = 'a-'`],
    ['organization_slug', 'organization', `slug = E'a\\n'`],
    ['organization_slug', 'organization', `slug = repeat('a', 64)`],
    ['organization_test_clock', 'organization', 'test_clock_offset_ms = -1'],
    ['organization_time_zone_changes', 'organization', `time_zone_changes = '{}', time_zone_changed_at = now()`],
    ['organization_time_zone_changes', 'organization', `time_zone_changes = '[1]', time_zone_changed_at = now()`],
    [
      'organization_time_zone_changes',
      'organization',
      `time_zone_changes = '[{"from":1,"timeZone":"UTC"},{"timeZone":"UTC"}]', time_zone_changed_at = now()`,
    ],
    [
      'organization_time_zone_changes',
      'organization',
      `time_zone_changes = '[{"from":"1","timeZone":"UTC"}]', time_zone_changed_at = now()`,
    ],
    ['organization_time_zone_changes', 'organization', `time_zone_changes = '[{"from":1,"timeZone":"UTC"}]'`],
    ['organization_time_zone_changes', 'organization', 'time_zone_changed_at = now()'],
    ['hold_amounts', 'hold', 'remaining_micros = -1'],
    ['hold_amounts', 'hold', 'remaining_micros = amount_micros + 1'],
    ['hold_amounts', 'hold', 'captured_micros = -1'],
    ['hold_life', 'hold', 'expires_at = created_at'],
    ['hold_life', 'hold', `expires_at = created_at - interval '1 ms'`],
    ['hold_resolved', 'hold', 'resolved_at = now()'],
    ['hold_resolved', 'hold', `status = 'CAPTURED', remaining_micros = 0`],
    ['hold_resolved', 'hold', `status = 'RELEASED', remaining_micros = 0`],
    ['hold_resolved', 'hold', `status = 'EXPIRED', resolved_at = now()`],
    ['hold_pin_amount', 'hold_pin', 'pinned_micros = -1'],
    ['tier_counter_quantity', 'tier_counter', 'quantity = -0.000000000001'],
    ['spend_counter_used', 'spend_counter', 'used_micros = -1'],
    ['spend_limit_target', 'spend_limit', 'project_id = NULL'],
    ['spend_limit_target', 'spend_limit', `user_id = 'ann'`],
    ['spend_limit_target', 'spend_limit', `api_key_id = '${ID.key}'`],
    ['spend_limit_target', 'spend_limit', `scope = 'ORGANIZATION'`],
    ['spend_limit_target', 'spend_limit', `scope = 'USER', project_id = NULL`],
    ['spend_limit_target', 'spend_limit', `scope = 'API_KEY', project_id = NULL, user_id = 'ann'`],
    ['spend_limit_credits', 'spend_limit', 'credits_micros = -1'],
    ['wallet_check_position', 'wallet_check', 'sequence = -1'],
    ['wallet_check_position', 'wallet_check', `hash = '\\x00'`],
    ['operation_counter_per', 'operation_counter', `per = 'WEEK'`],
    ['operation_counter_operations', 'operation_counter', 'operations = -1'],
    ['hold_operations', 'hold', `status = 'RELEASED', remaining_micros = 0, resolved_at = now(), operations = '[{}]'`],
    ['usage_rollup_amounts', 'usage_rollup', 'quantity = -0.000000000001'],
    ['usage_rollup_amounts', 'usage_rollup', 'credits_micros = -1'],
    ['usage_rollup_amounts', 'usage_rollup', 'events = 0'],
    ['promo_code_redemptions', 'promo_code', 'redemptions = -1'],
  ])('%s refuses UPDATE %s SET %s', async (constraint, table, change) => {
    await expectRefused(`UPDATE ${table} SET ${change}`, CHECK_VIOLATION, constraint);
  });

  it.each([
    ['lot', 'pinned_micros = remaining_micros'],
    ['lot', 'remaining_micros = 0'],
    ['lot', `expires_at = effective_at + interval '1 ms'`],
    ['allowance', 'amount_micros = 0, anchor_day = 31'],
    ['purchase', `paid_at = NULL, status = 'PENDING', receipt_issuer = NULL, receipt_sequence = NULL`],
    ['purchase', `status = 'DISPUTED', open_disputes = '{dispute}', refund_requested_at = now()`],
    ['purchase', `status = 'DISPUTED', open_disputes = '{dispute}', decline_code = 'no'`],
    ['purchase', `decline_code = 'no'`],
    [
      'purchase',
      `decline_code = 'no', status = 'FAILED', paid_at = NULL, receipt_issuer = NULL, receipt_sequence = NULL`,
    ],
    ['sandbox_checkout', `stage = 'CONFIRMING', card = 'requires_action'`],
    [
      'purchase',
      `kind = 'PLAN', bucket_key = NULL, plan_key = 'team', plan_purpose = 'CHANGE', from_plan_key = 'free', plan_period_start = now()`,
    ],
    [
      'plan_subscription',
      `payment_due_since = now(), grace_ends_at = now(), failed_attempts = 1, charging_purchase_id = '${ID.purchase}'`,
    ],
    ['lot', 'revoked = true, in_force = false'],
    // An empty hold may stay open, and one that was exceeded has captured more than it held.
    ['hold', `remaining_micros = 0, captured_micros = amount_micros + 1, expires_at = created_at + interval '1 ms'`],
    ['hold', `status = 'EXPIRED', remaining_micros = 0, resolved_at = now()`],
    ['hold', 'amount_micros = 0, remaining_micros = 0'],
    ['webhook_endpoint', `url = repeat('x', 2048), previous_secret = secret, previous_secret_until = now()`],
    [
      'webhook_delivery',
      `status = 'DELIVERED', next_attempt_at = NULL, delivered_at = now(), attempts = 2, retries = 2`,
    ],
    ['hold_pin', 'pinned_micros = 0'],
    ['tier_counter', 'quantity = 0'],
    ['spend_counter', 'used_micros = 0'],
    ['spend_limit', 'credits_micros = 0, removed_at = now()'],
    ['spend_limit', `scope = 'ORGANIZATION', project_id = NULL`],
    ['spend_limit', `scope = 'USER', project_id = NULL, user_id = 'ann'`],
    ['operation_counter', `operations = 0, per = 'HOUR'`],
    ['hold', `operations = '[{}]'`],
    ['usage_rollup', 'quantity = 0, credits_micros = 0'],
    [
      'organization',
      `slug = CASE slug WHEN 'one' THEN 'a' WHEN 'other' THEN repeat('a', 63) ELSE slug END, test_clock_offset_ms = 0`,
    ],
  ])('accept what lies on the border: UPDATE %s SET %s', async (table, change) => {
    await expectAccepted(`UPDATE ${table} SET ${change}`);
  });

  it.each([
    ['ledger_entry_amount', { amount_micros: '0', balance_after_micros: '10' }],
    ['ledger_entry_amount', { amount_micros: '-1', balance_after_micros: '9' }],
    ['ledger_entry_amount', { hash: `'\\x00'` }],
    ['ledger_entry_order', { sequence: '0', balance_after_micros: '10' }],
    ['ledger_entry_order', { sequence: '-1', balance_after_micros: '10' }],
    ['ledger_entry_order', { posted_at: `row.effective_at - interval '1 ms'` }],
  ])('%s refuses an entry with %o', async (constraint, changes) => {
    const next = { sequence: '2', balance_after_micros: '20', ...changes };
    await expectRefused(copyOf('ledger_entry', 'true', next), CHECK_VIOLATION, constraint);
  });

  it.each([
    ['without what it refunds', { kind: `'REFUND'` }],
    ['which is none, of something', { kind: `'DEBIT'`, refunded_id: `'${ID.transaction}'` }],
  ])('ledger_transaction_refund refuses a refund %s', async (_what, changes) => {
    const fresh = { id: 'gen_random_uuid()', ...changes };
    await expectRefused(copyOf('ledger_transaction', 'true', fresh), CHECK_VIOLATION, 'ledger_transaction_refund');
    const refund = { ...fresh, kind: `'REFUND'`, refunded_id: `'${ID.transaction}'` };
    await expectAccepted(copyOf('ledger_transaction', 'true', refund));
  });

  it('ledger_transaction_refund refuses a refund to lose what it refunds, with triggers off too', async () => {
    const refund = { id: 'gen_random_uuid()', kind: `'REFUND'`, refunded_id: `'${ID.transaction}'` };
    await expectRefused(
      `SET LOCAL session_replication_role = replica; ${copyOf('ledger_transaction', 'true', refund)};
       UPDATE ledger_transaction SET refunded_id = NULL WHERE kind = 'REFUND'`,
      CHECK_VIOLATION,
      'ledger_transaction_refund',
    );
  });

  it.each([
    ['alert_event_number', { number: '0' }],
    ['alert_event_amounts', { threshold_micros: '-1' }],
    ['alert_event_amounts', { total_available_micros: '-1' }],
    ['alert_event_amounts', { version: '-1' }],
  ])('%s refuses an event with %o', async (constraint, changes) => {
    await expectRefused(copyOf('alert_event', 'true', { number: '2', ...changes }), CHECK_VIOLATION, constraint);
  });

  it.each([
    ['activity_number', { number: '0' }],
    ['activity_summary', { number: '2', summary: `''` }],
    ['activity_summary', { number: '2', summary: `repeat('x', 2001)` }],
  ])('%s refuses an activity with %o', async (constraint, changes) => {
    await expectRefused(copyOf('activity', 'true', changes), CHECK_VIOLATION, constraint);
    await expectAccepted(copyOf('activity', 'true', { number: '2', summary: `repeat('é', 2000)` }));
  });

  it.each([
    ['idempotency_record_key', `''`],
    ['idempotency_record_key', `repeat('x', 256)`],
  ])('%s refuses the key %s', async (constraint, key) => {
    await expectRefused(copyOf('idempotency_record', 'true', { key }), CHECK_VIOLATION, constraint);
    await expectAccepted(copyOf('idempotency_record', 'true', { key: `repeat('é', 255)` }));
  });
});

describe('unique', () => {
  const fresh = { id: 'gen_random_uuid()' };
  const anotherReceipt = { receipt_token: `'another'`, receipt_sequence: '2' };
  const elsewhere = { organization_id: `'${ID.emptyOrganization}'` };

  it('membership_invitation refuses a second open invitation of an address, however it is written', async () => {
    const invited = `id = '${ID.membership}'`;
    const again = { ...fresh, invited_email: `'gUEST@example.ORG'`, invitation_token_hash: `'\\x00'` };
    await expectRefused(copyOf('membership', invited, again), UNIQUE_VIOLATION, 'membership_invitation');
    await expectAccepted(copyOf('membership', invited, { ...again, organization_id: `'${ID.otherOrganization}'` }));
    await expectAccepted(
      copyOf('membership', invited, { ...again, status: `'ACTIVE'`, user_id: `'ann'`, ...elsewhere }),
    );
    await expectAccepted(copyOf('membership', invited, { ...again, removed_at: 'now()' }));
    await expectAccepted(copyOf('membership', invited, { ...again, invited_email: `'somebody@example.org'` }));
  });

  it('membership_member refuses a second place in an organization, except for who left', async () => {
    const again = copyOf('membership', 'user_id IS NOT NULL', fresh);
    await expectRefused(again, UNIQUE_VIOLATION, 'membership_member');
    await expectAccepted(copyOf('membership', 'user_id IS NOT NULL', { ...fresh, removed_at: 'now()' }));
    await expectAccepted(copyOf('membership', 'user_id IS NOT NULL', { ...fresh, ...elsewhere }));
  });

  it('alert_one_a_threshold refuses a second alert at one threshold, except for who was removed', async () => {
    await expectRefused(copyOf('alert', 'true', fresh), UNIQUE_VIOLATION, 'alert_one_a_threshold');
    await expectAccepted(copyOf('alert', 'true', { ...fresh, removed_at: 'now()' }));
    await expectAccepted(copyOf('alert', 'true', { ...fresh, threshold_micros: 'NULL', percent: '10' }));
    await expectAccepted(copyOf('alert', 'true', { ...fresh, wallet_id: `'${ID.otherWallet}'` }));
  });

  it.each<[string, string, string, Record<string, string>]>([
    ['organization_slug_key', 'organization', 'true', fresh],
    [
      'membership_invitation_token_hash_key',
      'membership',
      `id = '${ID.membership}'`,
      { ...fresh, invited_email: `'somebody@example.org'` },
    ],
    ['project_organization_id_key_key', 'project', 'true', fresh],
    ['api_key_secret_hash_key', 'api_key', 'true', fresh],
    ['wallet_organization_id_key', 'wallet', 'true', fresh],
    ['bucket_wallet_id_key_key', 'bucket', 'true', fresh],
    ['lot_purchase_source', 'lot', 'purchase_id IS NOT NULL', fresh],
    ['allocation_project', 'allocation', 'project_id IS NOT NULL', fresh],
    ['allocation_user', 'allocation', 'user_id IS NOT NULL', fresh],
    ['allocation_pkey', 'allocation', 'user_id IS NOT NULL', { user_id: `'bob'` }],
    ['plan_subscription_organization_id_key', 'plan_subscription', 'true', fresh],
    ['purchase_provider_provider_reference_key', 'purchase', 'true', { ...fresh, ...anotherReceipt }],
    [
      'purchase_receipt_token_key',
      'purchase',
      'true',
      { ...fresh, provider_reference: `'other'`, receipt_sequence: '2' },
    ],
    [
      'purchase_receipt_issuer_receipt_sequence_key',
      'purchase',
      'true',
      { ...fresh, provider_reference: `'other'`, receipt_token: `'other'` },
    ],
    ['sandbox_checkout_purchase_id_key', 'sandbox_checkout', 'true', { token: `'another'` }],
    ['user_account_pkey', 'user_account', 'true', {}],
    ['organization_pkey', 'organization', 'true', { slug: `'third'` }],
    ['membership_pkey', 'membership', 'user_id IS NOT NULL', { organization_id: `'${ID.otherOrganization}'` }],
    ['project_pkey', 'project', 'true', { key: `'other'` }],
    ['wallet_pkey', 'wallet', `id = '${ID.wallet}'`, elsewhere],
    ['plan_subscription_pkey', 'plan_subscription', 'true', elsewhere],
    ['api_key_pkey', 'api_key', 'true', { secret_hash: `'\\x00'` }],
    ['bucket_pkey', 'bucket', 'true', { key: `'other'` }],
    ['allowance_pkey', 'allowance', 'true', {}],
    ['lot_pkey', 'lot', 'true', { purchase_id: 'NULL' }],
    ['ledger_transaction_pkey', 'ledger_transaction', 'true', {}],
    ['ledger_entry_pkey', 'ledger_entry', 'true', {}],
    ['balance_change_pkey', 'balance_change', 'true', {}],
    ['idempotency_record_pkey', 'idempotency_record', 'true', {}],
    ['purchase_pkey', 'purchase', 'true', { provider_reference: `'other'`, ...anotherReceipt }],
    ['receipt_counter_pkey', 'receipt_counter', 'true', {}],
    ['alert_pkey', 'alert', 'true', { threshold_micros: '11' }],
    ['alert_event_pkey', 'alert_event', 'true', {}],
    ['auto_top_up_pkey', 'auto_top_up', 'true', { purchase_id: 'NULL' }],
    ['auto_top_up_purchase_id_key', 'auto_top_up', 'true', { wallet_id: `'${ID.otherWallet}'` }],
    ['sandbox_checkout_pkey', 'sandbox_checkout', 'true', { purchase_id: 'gen_random_uuid()' }],
    ['sandbox_card_pkey', 'sandbox_card', 'true', {}],
    ['catalog_version_pkey', 'catalog_version', 'true', {}],
    ['audit_record_pkey', 'audit_record', 'true', {}],
    ['installation_secret_pkey', 'installation_secret', 'true', {}],
    ['hold_pkey', 'hold', 'true', {}],
    ['hold_pin_pkey', 'hold_pin', 'true', {}],
    ['tier_counter_pkey', 'tier_counter', 'true', {}],
    ['spend_counter_pkey', 'spend_counter', 'true', {}],
    ['spend_limit_pkey', 'spend_limit', 'true', { per: `'MONTH'` }],
    ['spend_limit_live', 'spend_limit', 'true', fresh],
    ['operation_counter_pkey', 'operation_counter', 'true', {}],
    ['wallet_check_pkey', 'wallet_check', 'true', {}],
    ['usage_rollup_pkey', 'usage_rollup', 'true', {}],
    ['statement_draft_pkey', 'statement_draft', 'true', {}],
    ['carried_usage_pkey', 'carried_usage', 'true', {}],
    ['payment_customer_pkey', 'payment_customer', 'true', { reference: `'cus_2'` }],
    ['payment_customer_provider_reference_key', 'payment_customer', 'true', elsewhere],
    ['promo_code_pkey', 'promo_code', 'true', {}],
    ['promo_redemption_pkey', 'promo_redemption', 'true', {}],
    ['activity_feed_pkey', 'activity_feed', 'true', {}],
    ['activity_pkey', 'activity', 'true', {}],
    ['usage_watermark_pkey', 'usage_watermark', 'true', {}],
    ['open_usage_pkey', 'open_usage', 'true', {}],
    ['webhook_endpoint_pkey', 'webhook_endpoint', 'true', {}],
    ['webhook_cursor_pkey', 'webhook_cursor', 'true', {}],
    ['webhook_delivery_pkey', 'webhook_delivery', 'true', { event_id: `'other'` }],
    ['webhook_delivery_endpoint_id_event_id_key', 'webhook_delivery', 'true', fresh],
  ])('%s refuses a second row of %s where %s', async (constraint, table, where, changes) => {
    await expectRefused(copyOf(table, where, changes), UNIQUE_VIOLATION, constraint);
  });
});

describe('the generated column of the burn order', () => {
  it('says which lots can be spent from, and cannot be written', async () => {
    const spendable = async (change: string) => {
      await client.query('BEGIN');
      const { rows } = await client.query(`UPDATE lot SET ${change} WHERE id = '${ID.lot}' RETURNING spendable`);
      await client.query('ROLLBACK');
      return rows[0]?.spendable;
    };
    expect(await spendable('pinned_micros = 9')).toBe(true);
    expect(await spendable('pinned_micros = 10')).toBe(false);
    expect(await spendable('remaining_micros = 0')).toBe(false);
    expect(await spendable('frozen = true')).toBe(false);
    expect(await spendable('in_force = false')).toBe(false);
    expect(await faultOf('UPDATE lot SET spendable = true')).toMatchObject({ code: '428C9' });
  });
});

describe('append-only tables', () => {
  const tables = [
    'ledger_entry',
    'ledger_transaction',
    'audit_record',
    'idempotency_record',
    'promo_redemption',
    'alert_event',
    'statement',
    'activity',
  ];
  const columns: Record<string, string> = {
    ledger_entry: 'meter',
    ledger_transaction: 'description',
    audit_record: 'request_id',
    promo_redemption: 'code',
    alert_event: 'version',
    statement: 'content',
    activity: 'summary',
  };

  it.each(tables)('%s refuses UPDATE, DELETE and TRUNCATE, even of nothing', async (table) => {
    const target = columns[table] ?? 'created_at';
    for (const statement of [
      `UPDATE ${table} SET ${target} = ${target}`,
      `UPDATE ${table} SET ${target} = ${target} WHERE false`,
      `DELETE FROM ${table}`,
      `DELETE FROM ${table} WHERE false`,
      `TRUNCATE ${table}`,
      `TRUNCATE ${table} CASCADE`,
      `MERGE INTO ${table} USING (SELECT 1) AS one ON true WHEN MATCHED THEN DELETE`,
    ]) {
      expect(await faultOf(statement), statement).toMatchObject({ code: APPEND_ONLY });
    }
    seen.add(`${table}_append_only`);
  });

  it('are reached by no other way: TRUNCATE of what they depend on, upserts and cascades', async () => {
    for (const statement of [
      'TRUNCATE organization CASCADE',
      `INSERT INTO idempotency_record SELECT * FROM idempotency_record
         ON CONFLICT (organization_id, key) DO UPDATE SET operation = 'other'`,
      `DELETE FROM organization WHERE id = '${ID.organization}'`,
      `UPDATE organization SET id = gen_random_uuid() WHERE id = '${ID.organization}'`,
    ]) {
      const fault = await faultOf(statement);
      expect(['23001', '23503', APPEND_ONLY], statement).toContain(fault?.code);
    }
  });
});

describe('the ledger chain', () => {
  const entry = (changes: Readonly<Record<string, string>>) => copyOf('ledger_entry', 'sequence = 1', changes);
  const values = (...rows: readonly Readonly<Record<string, string>>[]) =>
    `INSERT INTO ledger_entry (${columnsOf.get('ledger_entry')}) ${rows.map((row) => changed('ledger_entry', 'sequence = 1', row)).join(' UNION ALL ')}`;

  it('goes on with the next number from the balance before, by credit and by debit', async () => {
    await expectAccepted(entry({ sequence: '2', amount_micros: '5', balance_after_micros: '15' }));
    await expectAccepted(entry({ sequence: '2', direction: `'DEBIT'`, amount_micros: '3', balance_after_micros: '7' }));
    await expectAccepted(
      entry({ sequence: '2', direction: `'DEBIT'`, amount_micros: '13', balance_after_micros: '-3' }),
    );
  });

  it('goes on with several entries of one statement, in whatever order they are given', async () => {
    const second = { sequence: '2', amount_micros: '5', balance_after_micros: '15' };
    const third = { sequence: '3', direction: `'DEBIT'`, amount_micros: '6', balance_after_micros: '9' };
    await expectAccepted(values(second, third));
    await expectAccepted(values(third, second));
  });

  const ofOther = {
    wallet_id: `'${ID.otherWallet}'`,
    transaction_id: `'${ID.otherTransaction}'`,
    lot_id: `'${ID.otherLot}'`,
    bucket_id: `'${ID.otherBucket}'`,
  };

  it.each<[string, Record<string, string>]>([
    ['a gap', { sequence: '3', balance_after_micros: '20' }],
    ['a gap that a number from nowhere fills', { sequence: '1000', balance_after_micros: '10' }],
    ['a balance that is too high', { sequence: '2', balance_after_micros: '21' }],
    ['a balance that is too low', { sequence: '2', balance_after_micros: '19' }],
    ['a debit that adds', { sequence: '2', direction: `'DEBIT'`, balance_after_micros: '20' }],
    ['a credit that takes', { sequence: '2', balance_after_micros: '0' }],
    ['a first entry that is not the first', { ...ofOther, sequence: '2', balance_after_micros: '10' }],
    ['a first entry from a balance that was never there', { ...ofOther, sequence: '1', balance_after_micros: '11' }],
  ])('refuses %s', async (_what, changes) => {
    expect(await faultOf(entry(changes))).toMatchObject({ code: BROKEN_CHAIN });
    seen.add('ledger_entry_chain');
  });

  it('refuses a statement as a whole for one entry that does not follow', async () => {
    const second = { sequence: '2', balance_after_micros: '20' };
    const gap = { sequence: '4', balance_after_micros: '30' };
    const wrong = { sequence: '3', balance_after_micros: '31' };
    expect(await faultOf(values(second, gap))).toMatchObject({ code: BROKEN_CHAIN });
    expect(await faultOf(values(second, wrong))).toMatchObject({ code: BROKEN_CHAIN });
    expect(await faultOf(values(wrong, second))).toMatchObject({ code: BROKEN_CHAIN });
    const other = { ...ofOther, sequence: '1', balance_after_micros: '11' };
    expect(await faultOf(values(second, other))).toMatchObject({ code: BROKEN_CHAIN });
  });

  it.each<[string, Record<string, string>]>([
    ['a transaction that does not exist', { transaction_id: 'gen_random_uuid()' }],
    ['a transaction of another wallet', { transaction_id: `'${ID.otherTransaction}'` }],
    ['a lot that does not exist', { lot_id: 'gen_random_uuid()' }],
    ['a lot of another wallet', { lot_id: `'${ID.otherLot}'`, bucket_id: `'${ID.otherBucket}'` }],
    ['a lot of another bucket', { bucket_id: `'${ID.otherBucket}'` }],
    ['a lot without its bucket', { bucket_id: 'NULL' }],
  ])('refuses an entry that names %s', async (_what, changes) => {
    const next = { sequence: '2', balance_after_micros: '20', ...changes };
    expect(await faultOf(entry(next))).toMatchObject({ code: FOREIGN_REFERENCE });
  });

  it('refuses an entry of a wallet that does not exist', async () => {
    const nowhere = { ...ofOther, wallet_id: 'gen_random_uuid()', lot_id: 'NULL', bucket_id: 'NULL' };
    expect(await faultOf(entry({ ...nowhere, sequence: '1' }))).toMatchObject({ code: FOREIGN_REFERENCE });
  });
});

describe('statements', () => {
  /** The next statement of a wallet without entries, with some columns changed. */
  const next = (changes: Readonly<Record<string, string>> = {}) =>
    copyOf('statement', 'true', {
      month: `'2000-02'`,
      starts_at: `'2000-02-01Z'`,
      ends_at: `'2000-03-01Z'`,
      closed_at: `'2000-03-01Z'`,
      ...changes,
    });
  /** The first statement of the wallet that has an entry of 10, over all time until a day ahead. */
  const first = (changes: Readonly<Record<string, string>> = {}) =>
    next({
      wallet_id: `'${ID.wallet}'`,
      ends_at: `now() + interval '1 day'`,
      closed_at: `now() + interval '1 day'`,
      credited_micros: '10',
      closing_micros: '10',
      closing_sequence: '1',
      ...changes,
    });

  it('follow one another and close with the ledger', async () => {
    await expectAccepted(next());
    await expectAccepted(first());
  });

  it.each<[string, Record<string, string>]>([
    ['statement_month', { month: `'2000-13'` }],
    ['statement_month', { month: `'2000-2'` }],
    ['statement_month', { month: `E'2000-02\n'` }],
    ['statement_period', { ends_at: `'2000-02-01Z'` }],
    ['statement_period', { closed_at: `'2000-02-29T23:59:59.999Z'` }],
    ['statement_equation', { opening_micros: '1' }],
    ['statement_equation', { closing_micros: '1' }],
    ['statement_equation', { credited_micros: '-1', debited_micros: '-1' }],
    ['statement_equation', { credited_micros: '2', debited_micros: '1', closing_sequence: '2' }],
    ['statement_sequences', { opening_sequence: '1' }],
    ['statement_sequences', { opening_sequence: '-1' }],
    ['statement_sequences', { credited_micros: '1', debited_micros: '1' }],
    ['statement_hash', { content: `'{"a":1}'` }],
    ['statement_hash', { hash: `'\\x00'` }],
  ])('%s refuses one with %o', async (constraint, changes) => {
    await expectRefused(next(changes), CHECK_VIOLATION, constraint);
  });

  it('are one per wallet and month, and none lies between two', async () => {
    await expectRefused(copyOf('statement', 'true', {}), UNIQUE_VIOLATION, 'statement_pkey');
    const between = { month: `'1999-12'` };
    await expectRefused(copyOf('statement', 'true', between), UNIQUE_VIOLATION, 'statement_wallet_id_starts_at_key');
  });

  it.each<[string, () => string]>([
    ['after a gap', () => next({ starts_at: `'2000-02-02Z'` })],
    ['before the end of the one before', () => next({ starts_at: `'2000-01-31Z'` })],
    ['that opens with more than the one before closed with', () => next({ opening_micros: '1', closing_micros: '1' })],
    ['that skips entries', () => next({ opening_sequence: '1', closing_sequence: '1' })],
    ['that opens with something though it is the first', () => first({ opening_micros: '5', credited_micros: '5' })],
    ['that leaves entries out', () => first({ credited_micros: '0', closing_micros: '0', closing_sequence: '0' })],
    [
      'of entries that are not there',
      () => first({ credited_micros: '20', closing_micros: '20', closing_sequence: '2' }),
    ],
    ['of entries that count later', () => first({ ends_at: `now() - interval '1 day'` })],
    ['with another balance than the ledger', () => first({ credited_micros: '11', closing_micros: '11' })],
  ])('refuse one %s', async (_what, statement) => {
    expect(await faultOf(statement())).toMatchObject({ code: BROKEN_CHAIN });
    seen.add('statement_chain');
  });
});

describe('this file', () => {
  it('has shown every check, unique index and trigger of the database refusing', async () => {
    const { rows } = await client.query<{ name: string }>(`
      SELECT conname AS name FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid
        WHERE c.contype = 'c' AND r.relnamespace = 'public'::regnamespace
      UNION SELECT i.relname FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
        WHERE x.indisunique AND i.relnamespace = 'public'::regnamespace AND i.relname <> '_prisma_migrations_pkey'
      UNION SELECT tgname FROM pg_trigger WHERE NOT tgisinternal
      ORDER BY 1`);
    expect([...seen].toSorted()).toEqual(rows.map((row) => row.name).toSorted());
  });
});
