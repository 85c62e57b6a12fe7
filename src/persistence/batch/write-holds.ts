/** Writes the holds that a batch made and changed, with their pins. */
import type { DraftHold } from '../../domain/posting/hold-drafts.ts';
import { remainingOf } from '../../domain/posting/hold-drafts.ts';
import type { WalletBook } from '../../domain/posting/wallet-book.ts';
import { amounts, instants, jsonOrNull } from '../columns.ts';
import type { Queryable } from '../connection.ts';
import { encodeLines, encodeOperations, encodeReservations } from './line-codec.ts';

export function writeHolds(sql: Queryable, books: readonly WalletBook[]) {
  const opened = books.flatMap((book) => book.holds.opened);
  const changed = books.flatMap((book) => book.holds.changed);
  return [insertHolds(sql, opened), insertPins(sql, opened), updateHolds(sql, changed), updatePins(sql, changed)];
}

function insertHolds(sql: Queryable, rows: readonly DraftHold[]) {
  if (rows.length === 0) return null;
  return sql`
    INSERT INTO hold (id, wallet_id, status, amount_micros, captured_micros, remaining_micros, idempotency_key, lines,
      rate_card_version, actor_kind, actor_id, user_id, project_id, task_id, execution_id, metadata, reservations,
      operations, created_at, expires_at, resolved_at)
    SELECT * FROM unnest(
      ${rows.map(({ facts }) => facts.id)}::uuid[],
      ${rows.map(({ facts }) => facts.walletId)}::uuid[],
      ${rows.map((row) => row.status)}::"HoldStatus"[],
      ${amounts(rows.map(({ facts }) => facts.amount))}::bigint[],
      ${amounts(rows.map((row) => row.captured))}::bigint[],
      ${amounts(rows.map(remainingOf))}::bigint[],
      ${rows.map(({ facts }) => facts.idempotencyKey)}::text[],
      ${rows.map(({ facts }) => JSON.stringify(encodeLines(facts.lines)))}::jsonb[],
      ${rows.map(({ facts }) => facts.rateCardVersion)}::int[],
      ${rows.map(({ facts }) => facts.actor.kind)}::"ActorKind"[],
      ${rows.map(({ facts }) => facts.actor.id)}::text[],
      ${rows.map(({ facts }) => facts.attribution.userId)}::text[],
      ${rows.map(({ facts }) => facts.attribution.projectId)}::uuid[],
      ${rows.map(({ facts }) => facts.attribution.taskId)}::text[],
      ${rows.map(({ facts }) => facts.attribution.executionId)}::text[],
      ${rows.map(({ facts }) => jsonOrNull(facts.metadata))}::jsonb[],
      ${rows.map(({ facts }) => JSON.stringify(encodeReservations(facts.reservations)))}::jsonb[],
      ${rows.map(operationsOf)}::jsonb[],
      ${instants(rows.map(({ facts }) => facts.createdAt))}::timestamptz[],
      ${instants(rows.map((row) => row.expiresAt))}::timestamptz[],
      ${instants(rows.map((row) => row.resolvedAt))}::timestamptz[])`;
}

const operationsOf = ({ operations }: DraftHold): string => JSON.stringify(encodeOperations(operations));

const pinsOf = (holds: readonly DraftHold[]) =>
  holds.flatMap(({ facts, pins }) => pins.map((pin) => ({ holdId: facts.id, ...pin })));

function insertPins(sql: Queryable, holds: readonly DraftHold[]) {
  const rows = pinsOf(holds);
  if (rows.length === 0) return null;
  return sql`
    INSERT INTO hold_pin (hold_id, position, lot_id, pinned_micros)
    SELECT * FROM unnest(
      ${rows.map((pin) => pin.holdId)}::uuid[],
      ${rows.map((pin) => pin.position)}::int[],
      ${rows.map((pin) => pin.lot.facts.id)}::uuid[],
      ${amounts(rows.map((pin) => pin.pinned))}::bigint[])`;
}

function updateHolds(sql: Queryable, rows: readonly DraftHold[]) {
  if (rows.length === 0) return null;
  return sql`
    UPDATE hold
    SET status = changed.status, captured_micros = changed.captured, remaining_micros = changed.remaining,
        operations = changed.operations, expires_at = changed.expires_at, resolved_at = changed.resolved_at
    FROM unnest(
      ${rows.map(({ facts }) => facts.id)}::uuid[],
      ${rows.map((row) => row.status)}::"HoldStatus"[],
      ${amounts(rows.map((row) => row.captured))}::bigint[],
      ${amounts(rows.map(remainingOf))}::bigint[],
      ${rows.map(operationsOf)}::jsonb[],
      ${instants(rows.map((row) => row.expiresAt))}::timestamptz[],
      ${instants(rows.map((row) => row.resolvedAt))}::timestamptz[]
    ) AS changed (id, status, captured, remaining, operations, expires_at, resolved_at)
    WHERE hold.id = changed.id`;
}

function updatePins(sql: Queryable, holds: readonly DraftHold[]) {
  const rows = pinsOf(holds);
  if (rows.length === 0) return null;
  return sql`
    UPDATE hold_pin
    SET pinned_micros = changed.pinned
    FROM unnest(
      ${rows.map((pin) => pin.holdId)}::uuid[],
      ${rows.map((pin) => pin.position)}::int[],
      ${amounts(rows.map((pin) => pin.pinned))}::bigint[]
    ) AS changed (hold_id, position, pinned)
    WHERE hold_pin.hold_id = changed.hold_id AND hold_pin.position = changed.position`;
}
