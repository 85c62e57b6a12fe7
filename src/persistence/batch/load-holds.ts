/** Holds with their pins and the lots that these pin, read under the wallets' locks. */
import type { ActorKind } from '../../domain/actor.ts';
import type { JsonObject } from '../../domain/canonical.ts';
import { micros } from '../../domain/credits/micros.ts';
import { groupBy } from '../../domain/group-by.ts';
import type { HoldSnapshot, HoldStatus, Pin } from '../../domain/holds/hold.ts';
import type { Instant } from '../../domain/time/instant.ts';
import type { Queryable } from '../connection.ts';
import { decodeLines, decodeOperations, decodeReservations } from './line-codec.ts';
import { LOT_COLUMNS, type LotRow, lotSnapshot } from './lot-rows.ts';

interface HoldRow {
  id: string;
  wallet_id: string;
  status: HoldStatus;
  amount_micros: bigint;
  captured_micros: bigint;
  remaining_micros: bigint;
  idempotency_key: string;
  lines: unknown;
  rate_card_version: number;
  actor_kind: ActorKind;
  actor_id: string;
  user_id: string | null;
  project_id: string | null;
  task_id: string | null;
  execution_id: string | null;
  metadata: JsonObject | null;
  reservations: unknown;
  operations: unknown;
  created_at: Instant;
  expires_at: Instant;
}

interface PinRow extends LotRow {
  hold_id: string;
  pin_micros: bigint;
}

/** Those of these holds that belong to one of the wallets. */
export async function loadHolds(
  sql: Queryable,
  ids: readonly string[],
  walletIds: readonly string[],
): Promise<HoldSnapshot[]> {
  if (ids.length === 0) return [];
  const [holds, pins] = await Promise.all([
    sql<HoldRow[]>`
      SELECT id, wallet_id, status, amount_micros, captured_micros, remaining_micros, idempotency_key, lines,
             rate_card_version, actor_kind, actor_id, user_id, project_id, task_id, execution_id, metadata, reservations,
             operations, created_at, expires_at
      FROM hold WHERE id = ANY(${ids}::uuid[]) AND wallet_id = ANY(${walletIds}::uuid[])`,
    sql<PinRow[]>`
      SELECT pin.hold_id, pin.pinned_micros AS pin_micros, ${LOT_COLUMNS}
      FROM hold_pin pin JOIN lot ON lot.id = pin.lot_id
      WHERE pin.hold_id = ANY(${ids}::uuid[])
      ORDER BY pin.hold_id, pin.position`,
  ]);
  const pinsByHold = groupBy(pins, (row) => row.hold_id);
  return holds.map((row) => holdSnapshot(row, (pinsByHold.get(row.id) ?? []).map(pinOf)));
}

const pinOf = (row: PinRow): Pin => ({ lot: lotSnapshot(row), pinned: micros(row.pin_micros) });

function holdSnapshot(row: HoldRow, pins: readonly Pin[]): HoldSnapshot {
  return {
    facts: {
      id: row.id,
      walletId: row.wallet_id,
      amount: micros(row.amount_micros),
      idempotencyKey: row.idempotency_key,
      lines: decodeLines(row.lines),
      rateCardVersion: row.rate_card_version,
      actor: { kind: row.actor_kind, id: row.actor_id },
      attribution: {
        userId: row.user_id,
        projectId: row.project_id,
        taskId: row.task_id,
        executionId: row.execution_id,
      },
      metadata: row.metadata,
      reservations: decodeReservations(row.reservations),
      createdAt: row.created_at,
    },
    state: {
      status: row.status,
      captured: micros(row.captured_micros),
      remaining: micros(row.remaining_micros),
      expiresAt: row.expires_at,
    },
    operations: decodeOperations(row.operations),
    pins,
  };
}
