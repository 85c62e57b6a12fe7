/** Holds as rows: made from what was just decided, or read back for replays and captures. */
import type { Actor, ActorKind } from '../domain/actor.ts';
import type { HoldFacts, HoldState } from '../domain/holds/hold.ts';
import type { Tenant } from '../domain/identity/caller.ts';
import type { AnsweredHold } from '../domain/posting/idempotency.ts';
import type { HoldView } from '../domain/posting/outcomes.ts';
import { dateOf } from '../domain/time/instant.ts';
import type { Hold, Prisma } from '../generated/prisma/client.ts';
import { encodeLines, encodeOperations, encodeReservations } from './batch/line-codec.ts';
import type { Queryable } from './connection.ts';
import type { Prisma as PrismaClient } from './prisma.ts';

export type HoldRow = Hold;

/** The row that the posting transaction wrote. When it ended is not told: an answer shows the state. */
export function holdRowOf({ facts, state, operations }: HoldView): HoldRow {
  const reserved = encodeOperations(operations) as Prisma.JsonArray;
  return { ...factColumns(facts), ...stateColumns(state), operations: reserved, resolvedAt: null };
}

function factColumns({ actor, attribution, lines, reservations, amount, metadata, createdAt, ...rest }: HoldFacts) {
  return {
    ...rest,
    ...attribution,
    amountMicros: amount,
    lines: encodeLines(lines) as Prisma.JsonArray,
    reservations: encodeReservations(reservations) as Prisma.JsonArray,
    actorKind: actor.kind,
    actorId: actor.id,
    metadata: metadata as Prisma.JsonObject | null,
    createdAt: dateOf(createdAt),
  };
}

const stateColumns = ({ status, captured, remaining, expiresAt }: HoldState) => ({
  status,
  capturedMicros: captured,
  remainingMicros: remaining,
  expiresAt: dateOf(expiresAt),
});

/** Whose a hold is: its organization, who made it and for which project. */
export interface HoldOwner extends Tenant {
  readonly maker: Actor;
  readonly projectId: string | null;
}

export async function findHoldOwner(sql: Queryable, id: string): Promise<HoldOwner | null> {
  const [row] = await sql<
    {
      organization_id: string;
      wallet_id: string;
      actor_kind: ActorKind;
      actor_id: string;
      project_id: string | null;
    }[]
  >`SELECT w.organization_id, h.wallet_id, h.actor_kind, h.actor_id, h.project_id
    FROM hold h JOIN wallet w ON w.id = h.wallet_id WHERE h.id = ${id}`;
  if (!row) return null;
  const maker = { kind: row.actor_kind, id: row.actor_id };
  return { organizationId: row.organization_id, walletId: row.wallet_id, maker, projectId: row.project_id };
}

/** The hold as an earlier answer showed it, whatever has become of it since. */
export async function holdAsAnswered(prisma: PrismaClient, { id, ...state }: AnsweredHold): Promise<HoldRow> {
  const row = await prisma.hold.findUnique({ where: { id } });
  if (!row) throw new Error(`the hold ${id} of a stored answer is missing`);
  return { ...row, ...stateColumns(state) };
}
