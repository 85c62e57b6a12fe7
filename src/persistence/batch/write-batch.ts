/**
 * Writes what a batch decided: one set-based statement per table, all sent at once and followed by COMMIT, one round trip.
 * If one of them fails PostgreSQL refuses the rest and the COMMIT rolls back; the caller learns of the first failure.
 */

import type { BatchDecision } from '../../domain/posting/decide-batch.ts';
import { usageDueAt } from '../../domain/posting/usage-due.ts';
import type { WalletBook } from '../../domain/posting/wallet-book.ts';
import { upcomingEvent } from '../../domain/subscriptions/subscription.ts';
import { lotTransitionAt } from '../../domain/wallet/lot.ts';
import { writeAlerts } from '../alerts.ts';
import { amounts, instants, jsonOrNull } from '../columns.ts';
import { fragment, type Queryable } from '../connection.ts';
import { writeAutoTopUps } from '../payments/auto-top-ups.ts';
import { insertPurchases } from '../payments/purchases.ts';
import { writeRedemptions } from '../redemptions.ts';
import { writeActivities } from '../reports/activities.ts';
import { encodeAnswer } from './answer-codec.ts';
import { encodeLimits, encodeLines } from './line-codec.ts';
import { insertAllocations, updateAllocations } from './write-allocations.ts';
import { writeCounters } from './write-counters.ts';
import { writeHolds } from './write-holds.ts';
import { addRollups, carryUsage } from './write-rollups.ts';
import { writeAllowances, writeSubscriptions } from './write-subscriptions.ts';

export async function writeAndCommit(sql: Queryable, decision: BatchDecision): Promise<void> {
  const books = decision.books.filter(hasChanged);
  const statements = [
    insertPurchases(
      sql,
      books.flatMap((book) => book.newPurchases),
    ),
    insertTransactions(sql, books),
    insertAllocations(sql, books),
    insertLots(sql, books),
    updateLots(sql, books),
    restateLots(sql, books),
    ...writeHolds(sql, books),
    ...writeCounters(sql, books),
    addRollups(sql, books),
    carryUsage(sql, books),
    ...writeSubscriptions(sql, books),
    insertEntries(sql, books),
    insertChanges(sql, books),
    updateBuckets(sql, books),
    updateAllocations(sql, books),
    writeAllowances(sql, books),
    ...writeRedemptions(sql, decision),
    // After the purchases that they name.
    writeAutoTopUps(sql, books),
    ...writeAlerts(sql, books),
    insertRecords(sql, decision),
    insertAudits(sql, decision),
    updateWallets(sql, books),
    // After all rows that operations lock: whoever gives activities their numbers holds the feed until the commit.
    decision.activities.length > 0 ? writeActivities(sql, decision.activities) : null,
    // Last: whoever gives a receipt its number holds the issuer's counter until the commit.
    updatePurchases(sql, decision),
  ].filter((statement) => statement !== null);
  const committing = sql`COMMIT`;
  await Promise.all([...statements, committing]);
  const { command } = await committing;
  if (command !== 'COMMIT') throw new Error(`expected the batch to commit, PostgreSQL answered ${command}`);
}

/** Gives up what `beginAndLoad` began. */
export async function rollBack(sql: Queryable): Promise<void> {
  await sql`ROLLBACK`;
}

function hasChanged(book: WalletBook): boolean {
  return (
    book.active ||
    book.newPurchases.length > 0 ||
    book.autoTopUp !== book.snapshot.autoTopUp ||
    book.alerts.hasChanged ||
    book.transactions.length > 0 ||
    book.transitionsChanged ||
    book.changes.length > 0
  );
}

function insertTransactions(sql: Queryable, books: readonly WalletBook[]) {
  const rows = books.flatMap((book) => book.transactions);
  if (rows.length === 0) return null;
  return sql`
    INSERT INTO ledger_transaction (id, wallet_id, kind, reason_code, idempotency_key, amount_micros, lines,
      rate_card_version, actor_kind, actor_id, user_id, project_id, task_id, execution_id, description, metadata,
      occurred_at, effective_at, posted_at, purchase_id, hold_id, refunded_id, limits)
    SELECT * FROM unnest(
      ${rows.map((row) => row.id)}::uuid[],
      ${rows.map((row) => row.walletId)}::uuid[],
      ${rows.map((row) => row.kind)}::"TransactionKind"[],
      ${rows.map((row) => row.reasonCode)}::text[],
      ${rows.map((row) => row.idempotencyKey)}::text[],
      ${amounts(rows.map((row) => row.amount))}::bigint[],
      ${rows.map((row) => JSON.stringify(encodeLines(row.lines)))}::jsonb[],
      ${rows.map((row) => row.rateCardVersion)}::int[],
      ${rows.map((row) => row.actor.kind)}::"ActorKind"[],
      ${rows.map((row) => row.actor.id)}::text[],
      ${rows.map((row) => row.attribution.userId)}::text[],
      ${rows.map((row) => row.attribution.projectId)}::uuid[],
      ${rows.map((row) => row.attribution.taskId)}::text[],
      ${rows.map((row) => row.attribution.executionId)}::text[],
      ${rows.map((row) => row.description)}::text[],
      ${rows.map((row) => jsonOrNull(row.metadata))}::jsonb[],
      ${instants(rows.map((row) => row.occurredAt))}::timestamptz[],
      ${instants(rows.map((row) => row.effectiveAt))}::timestamptz[],
      ${instants(rows.map((row) => row.postedAt))}::timestamptz[],
      ${rows.map((row) => row.purchaseId)}::uuid[],
      ${rows.map((row) => row.holdId)}::uuid[],
      ${rows.map((row) => row.refundedId)}::uuid[],
      ${rows.map((row) => jsonOrNull(encodeLimits(row.limits)))}::jsonb[])`;
}

function insertEntries(sql: Queryable, books: readonly WalletBook[]) {
  const rows = books.flatMap((book) => book.entries);
  if (rows.length === 0) return null;
  return sql`
    INSERT INTO ledger_entry (wallet_id, sequence, transaction_id, direction, amount_micros, balance_after_micros,
      reason_code, lot_id, bucket_id, meter, task_id, execution_id, actor_kind, actor_id, occurred_at, effective_at,
      posted_at, hash)
    SELECT wallet_id, sequence, transaction_id, direction, amount_micros, balance_after_micros, reason_code, lot_id,
      bucket_id, meter, task_id, execution_id, actor_kind, actor_id, occurred_at, effective_at, posted_at,
      decode(hash, 'hex')
    FROM unnest(
      ${rows.map((row) => row.walletId)}::uuid[],
      ${amounts(rows.map((row) => row.sequence))}::bigint[],
      ${rows.map((row) => row.transactionId)}::uuid[],
      ${rows.map((row) => row.direction)}::"Direction"[],
      ${amounts(rows.map((row) => row.amount))}::bigint[],
      ${amounts(rows.map((row) => row.balanceAfter))}::bigint[],
      ${rows.map((row) => row.reasonCode)}::text[],
      ${rows.map((row) => row.lotId)}::uuid[],
      ${rows.map((row) => row.bucketId)}::uuid[],
      ${rows.map((row) => row.meter)}::text[],
      ${rows.map((row) => row.transaction.attribution.taskId)}::text[],
      ${rows.map((row) => row.transaction.attribution.executionId)}::text[],
      ${rows.map((row) => row.transaction.actor.kind)}::"ActorKind"[],
      ${rows.map((row) => row.transaction.actor.id)}::text[],
      ${instants(rows.map((row) => row.transaction.occurredAt))}::timestamptz[],
      ${instants(rows.map((row) => row.transaction.effectiveAt))}::timestamptz[],
      ${instants(rows.map((row) => row.postedAt))}::timestamptz[],
      ${rows.map((row) => row.hash)}::text[]
    ) AS entry (wallet_id, sequence, transaction_id, direction, amount_micros, balance_after_micros, reason_code,
      lot_id, bucket_id, meter, task_id, execution_id, actor_kind, actor_id, occurred_at, effective_at, posted_at, hash)`;
}

function insertChanges(sql: Queryable, books: readonly WalletBook[]) {
  const rows = books.flatMap((book) => book.changes);
  if (rows.length === 0) return null;
  return sql`
    INSERT INTO balance_change (wallet_id, version, sequence, change_micros, reason_code, total_available_micros,
      held_micros, transaction_id, occurred_at)
    SELECT * FROM unnest(
      ${rows.map((row) => row.walletId)}::uuid[],
      ${amounts(rows.map((row) => row.version))}::bigint[],
      ${amounts(rows.map((row) => row.sequence))}::bigint[],
      ${amounts(rows.map((row) => row.change))}::bigint[],
      ${rows.map((row) => row.reasonCode)}::text[],
      ${amounts(rows.map((row) => row.totalAvailable))}::bigint[],
      ${amounts(rows.map((row) => row.held))}::bigint[],
      ${rows.map((row) => row.transactionId)}::uuid[],
      ${instants(rows.map((row) => row.occurredAt))}::timestamptz[])`;
}

function insertLots(sql: Queryable, books: readonly WalletBook[]) {
  const rows = books.flatMap((book) => book.newLots.map((lot) => ({ walletId: book.snapshot.id, now: book.now, lot })));
  if (rows.length === 0) return null;
  return sql`
    INSERT INTO lot (id, wallet_id, bucket_id, source, granted_micros, remaining_micros, pinned_micros, paid,
      effective_at, expires_at, in_force, frozen, revoked, next_transition_at, purchase_id, allocation_id, origin_id,
      created_at)
    SELECT * FROM unnest(
      ${rows.map(({ lot }) => lot.facts.id)}::uuid[],
      ${rows.map((row) => row.walletId)}::uuid[],
      ${rows.map(({ lot }) => lot.facts.bucketId)}::uuid[],
      ${rows.map(({ lot }) => lot.facts.source)}::"LotSource"[],
      ${amounts(rows.map(({ lot }) => lot.facts.granted))}::bigint[],
      ${amounts(rows.map(({ lot }) => lot.remaining))}::bigint[],
      ${amounts(rows.map(({ lot }) => lot.pinned))}::bigint[],
      ${rows.map(({ lot }) => lot.facts.paid)}::boolean[],
      ${instants(rows.map(({ lot }) => lot.facts.effectiveAt))}::timestamptz[],
      ${instants(rows.map(({ lot }) => lot.facts.expiresAt))}::timestamptz[],
      ${rows.map(({ lot }) => lot.inForce)}::boolean[],
      ${rows.map(({ lot }) => lot.frozen)}::boolean[],
      ${rows.map(({ lot }) => lot.revoked)}::boolean[],
      ${instants(rows.map(({ lot }) => nextTransition(lot)))}::timestamptz[],
      ${rows.map(({ lot }) => lot.facts.purchaseId)}::uuid[],
      ${rows.map(({ lot }) => lot.facts.allocationId)}::uuid[],
      ${rows.map(({ lot }) => lot.facts.originId)}::uuid[],
      ${instants(rows.map((row) => row.now))}::timestamptz[])`;
}

function updateLots(sql: Queryable, books: readonly WalletBook[]) {
  const rows = books.flatMap((book) => [...book.changedLots]);
  if (rows.length === 0) return null;
  return sql`
    UPDATE lot
    SET remaining_micros = changed.remaining, pinned_micros = changed.pinned, in_force = changed.in_force,
        next_transition_at = changed.next_transition_at
    FROM unnest(
      ${rows.map((lot) => lot.facts.id)}::uuid[],
      ${amounts(rows.map((lot) => lot.remaining))}::bigint[],
      ${amounts(rows.map((lot) => lot.pinned))}::bigint[],
      ${rows.map((lot) => lot.inForce)}::boolean[],
      ${instants(rows.map((lot) => nextTransition(lot)))}::timestamptz[]
    ) AS changed (id, remaining, pinned, in_force, next_transition_at)
    WHERE lot.id = changed.id`;
}

/** What disputes and refunds do to lots, apart from what every charge does to them. */
function restateLots(sql: Queryable, books: readonly WalletBook[]) {
  const rows = books.flatMap((book) => [...book.lots.restatedLots]);
  if (rows.length === 0) return null;
  return sql`
    UPDATE lot
    SET frozen = restated.frozen, revoked = restated.revoked, expires_at = restated.expires_at
    FROM unnest(
      ${rows.map((lot) => lot.facts.id)}::uuid[],
      ${rows.map((lot) => lot.frozen)}::boolean[],
      ${rows.map((lot) => lot.revoked)}::boolean[],
      ${instants(rows.map((lot) => lot.facts.expiresAt))}::timestamptz[]
    ) AS restated (id, frozen, revoked, expires_at)
    WHERE lot.id = restated.id`;
}

function nextTransition(lot: WalletBook['newLots'][number]) {
  if (lot.closed) return null;
  return lotTransitionAt({ ...lot.facts, remaining: lot.remaining, inForce: lot.inForce });
}

function updateBuckets(sql: Queryable, books: readonly WalletBook[]) {
  const rows = books.flatMap((book) =>
    book.buckets.filter(
      ({ facts, ...now }) =>
        now.available !== facts.available ||
        now.pinned !== facts.pinned ||
        now.frozen !== facts.frozen ||
        now.earmarked !== facts.earmarked,
    ),
  );
  if (rows.length === 0) return null;
  return sql`
    UPDATE bucket
    SET available_micros = changed.available, pinned_micros = changed.pinned, frozen_micros = changed.frozen,
        earmarked_micros = changed.earmarked
    FROM unnest(
      ${rows.map((bucket) => bucket.facts.id)}::uuid[],
      ${amounts(rows.map((bucket) => bucket.available))}::bigint[],
      ${amounts(rows.map((bucket) => bucket.pinned))}::bigint[],
      ${amounts(rows.map((bucket) => bucket.frozen))}::bigint[],
      ${amounts(rows.map((bucket) => bucket.earmarked))}::bigint[]
    ) AS changed (id, available, pinned, frozen, earmarked)
    WHERE bucket.id = changed.id`;
}

/** Purchases that were paid get the next numbers of their issuer, in the order of the batch. */
function updatePurchases(sql: Queryable, { changedPurchases: rows }: BatchDecision) {
  if (rows.length === 0) return null;
  return sql`
    WITH changed AS (
      SELECT *, count(*) OVER (PARTITION BY issuer) - row_number() OVER (PARTITION BY issuer ORDER BY position) AS behind
      FROM unnest(
        ${rows.map((row) => row.facts.id)}::uuid[],
        ${rows.map((row) => row.state.status)}::"PurchaseStatus"[],
        ${instants(rows.map((row) => row.paidAt))}::timestamptz[],
        ${instants(rows.map((row) => row.refundRequestedAt))}::timestamptz[],
        ${rows.map((row) => row.declineCode)}::text[],
        ${rows.map(({ state }) => JSON.stringify({ open: state.openDisputes, closed: state.closedDisputes }))}::jsonb[],
        ${rows.map((row) => row.receiptIssuer)}::text[],
        ${rows.map((row) => row.reference)}::text[]
      ) WITH ORDINALITY
        AS changed (id, status, paid_at, refund_requested_at, decline_code, disputes, issuer, reference, position)
    ), counter AS (
      INSERT INTO receipt_counter (issuer, last_number)
      SELECT issuer, count(*) FROM changed WHERE issuer IS NOT NULL GROUP BY issuer
      ON CONFLICT (issuer) DO UPDATE SET last_number = receipt_counter.last_number + excluded.last_number
      RETURNING issuer, last_number
    )
    UPDATE purchase
    SET status = changed.status, paid_at = changed.paid_at, refund_requested_at = changed.refund_requested_at,
        decline_code = changed.decline_code,
        open_disputes = ARRAY(SELECT jsonb_array_elements_text(changed.disputes -> 'open')),
        closed_disputes = ARRAY(SELECT jsonb_array_elements_text(changed.disputes -> 'closed')),
        provider_reference = coalesce(provider_reference, changed.reference),
        receipt_issuer = coalesce(changed.issuer, receipt_issuer),
        receipt_sequence = coalesce(counter.last_number - changed.behind, receipt_sequence),
        check_at = DEFAULT, checks = DEFAULT
    FROM changed LEFT JOIN counter ON counter.issuer = changed.issuer
    WHERE purchase.id = changed.id`;
}

function insertRecords(sql: Queryable, { newRecords: rows }: BatchDecision) {
  if (rows.length === 0) return null;
  return sql`
    INSERT INTO idempotency_record (organization_id, key, operation, request_hash, outcome, created_at)
    SELECT organization_id, key, operation, decode(request_hash, 'hex'), outcome,
      date_trunc('milliseconds', clock_timestamp())
    FROM unnest(
      ${rows.map((row) => row.organizationId)}::uuid[],
      ${rows.map((row) => row.idempotencyKey)}::text[],
      ${rows.map((row) => row.operation)}::text[],
      ${rows.map((row) => row.requestHash)}::text[],
      ${rows.map((row) => JSON.stringify(encodeAnswer(row.answer)))}::jsonb[]
    ) AS record (organization_id, key, operation, request_hash, outcome)`;
}

function insertAudits(sql: Queryable, { audits: rows }: BatchDecision) {
  if (rows.length === 0) return null;
  return sql`
    INSERT INTO audit_record (id, organization_id, action, actor_kind, actor_id, before, after, request_id, occurred_at)
    SELECT * FROM unnest(
      ${rows.map((row) => row.id)}::uuid[],
      ${rows.map((row) => row.organizationId)}::uuid[],
      ${rows.map((row) => row.action)}::text[],
      ${rows.map((row) => row.actor.kind)}::"ActorKind"[],
      ${rows.map((row) => row.actor.id)}::text[],
      ${rows.map((row) => jsonOrNull(row.before))}::jsonb[],
      ${rows.map((row) => JSON.stringify(row.after))}::jsonb[],
      ${rows.map((row) => row.requestId)}::text[],
      ${instants(rows.map((row) => row.occurredAt))}::timestamptz[])`;
}

const NEXT_LAPSE = fragment`(
          SELECT min(hold.expires_at) FROM hold WHERE hold.wallet_id = changed.id AND hold.status = 'OPEN')`;

/** The next transition is looked up again only where one was posted or a lot, hold or allowance has changed. */
function updateWallets(sql: Queryable, books: readonly WalletBook[]) {
  if (books.length === 0) return null;
  return sql`
    UPDATE wallet
    SET balance_micros = changed.balance, debt_micros = changed.debt, sequence = changed.sequence,
        version = changed.version, head_hash = decode(changed.head_hash, 'hex'), last_posted_at = changed.posted_at,
        next_charge_at = changed.next_charge_at, usage_due_at = least(wallet.usage_due_at, changed.usage_due_at),
        last_active_at = CASE WHEN changed.active THEN changed.posted_at ELSE last_active_at END,
        next_transition_at = CASE WHEN changed.transitions THEN least(
          (SELECT min(next_transition_at) FROM lot WHERE lot.wallet_id = changed.id AND NOT frozen),
          ${NEXT_LAPSE},
          (SELECT min(next_refresh_at) FROM allowance WHERE allowance.wallet_id = changed.id),
          changed.subscription_at)
          ELSE next_transition_at END,
        next_lot_or_hold_at = CASE WHEN changed.transitions THEN ${NEXT_LOT_OR_HOLD} ELSE next_lot_or_hold_at END,
        last_refreshed_at = CASE WHEN changed.transitions
          THEN (SELECT max(last_refreshed_at) FROM allowance WHERE allowance.wallet_id = changed.id)
          ELSE wallet.last_refreshed_at END
    FROM unnest(
      ${books.map((book) => book.snapshot.id)}::uuid[],
      ${amounts(books.map((book) => book.balance))}::bigint[],
      ${amounts(books.map((book) => book.debt))}::bigint[],
      ${amounts(books.map((book) => book.sequence))}::bigint[],
      ${amounts(books.map((book) => book.version))}::bigint[],
      ${books.map((book) => book.headHash)}::text[],
      ${instants(books.map((book) => book.now))}::timestamptz[],
      ${books.map((book) => book.active)}::boolean[],
      ${books.map((book) => book.transitionsChanged)}::boolean[],
      ${instants(books.map((book) => book.nextChargeAt))}::timestamptz[],
      ${instants(books.map(({ subscription }) => (subscription && upcomingEvent(subscription))?.at ?? null))}::timestamptz[],
      ${instants(books.map(usageDueAt))}::timestamptz[]
    ) AS changed (id, balance, debt, sequence, version, head_hash, posted_at, active, transitions, next_charge_at,
      subscription_at, usage_due_at)
    WHERE wallet.id = changed.id`;
}

/**
 * What jobs post on time whoever uses the wallet: lapses of holds, starts and expiries of lots. A lot that expires at the
 * instant at which its bucket refreshes goes with the refresh: else an idle wallet would be granted its allowance every
 * night because the night before's had expired.
 */
const NEXT_LOT_OR_HOLD = fragment`least((
          SELECT lot.next_transition_at FROM lot
          WHERE lot.wallet_id = changed.id AND NOT lot.frozen AND lot.next_transition_at IS NOT NULL
            AND NOT EXISTS (
              SELECT 1 FROM allowance
              WHERE allowance.bucket_id = lot.bucket_id AND lot.in_force AND allowance.next_refresh_at = lot.expires_at)
          ORDER BY lot.next_transition_at LIMIT 1), ${NEXT_LAPSE})`;
