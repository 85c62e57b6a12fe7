/**
 * Loads the allocations that a batch's spenders draw on, and those that its commands set, with their first lots in burn order.
 * Where nobody is named by project or member nothing is asked.
 */
import type { AllocationSnapshot, AllocationStanding } from '../../domain/allocations/allocation.ts';
import { micros } from '../../domain/credits/micros.ts';
import { groupBy } from '../../domain/group-by.ts';
import { type Command, keyedCommands } from '../../domain/posting/commands.ts';
import type { Spender } from '../../domain/spender.ts';
import type { Queryable } from '../connection.ts';
import { fragment } from '../connection.ts';
import { LOT_COLUMNS, type LotRow, lotSnapshot } from './lot-rows.ts';

/** Whom credits may be earmarked for that a batch moves. */
export interface EarmarksWanted {
  readonly projectIds: readonly string[];
  readonly userIds: readonly string[];
  /** Holds whose spenders are not known before they are loaded. */
  readonly holdIds: readonly string[];
}

type Target = Pick<Spender, 'projectId' | 'userId'>;

export function earmarksWanted(commands: readonly Command[], spenders: readonly Target[]): EarmarksWanted {
  const targets: Target[] = [...spenders];
  const holdIds: string[] = [];
  for (const command of commands) if (command.kind === 'set-allocation') targets.push(command);
  for (const command of keyedCommands(commands)) {
    if ('attribution' in command) targets.push(command.attribution);
    if ('holdId' in command) holdIds.push(command.holdId);
  }
  const projectIds = new Set<string>();
  const userIds = new Set<string>();
  for (const { projectId, userId } of targets) {
    if (projectId !== null) projectIds.add(projectId);
    if (userId !== null) userIds.add(userId);
  }
  return { projectIds: [...projectIds], userIds: [...userIds], holdIds };
}

interface AllocationRow {
  id: string;
  wallet_id: string;
  project_id: string | null;
  user_id: string | null;
  exclusive: boolean;
  available_micros: bigint;
  pinned_micros: bigint;
  frozen_micros: bigint;
  used_micros: bigint;
}

export interface LoadedAllocation extends AllocationSnapshot {
  readonly walletId: string;
}

interface Bounds {
  readonly walletIds: readonly string[];
  readonly lotsPerAllocation: number;
}

export async function loadAllocations(
  sql: Queryable,
  { projectIds, userIds, holdIds }: EarmarksWanted,
  { walletIds, lotsPerAllocation }: Bounds,
): Promise<readonly LoadedAllocation[]> {
  if (projectIds.length + userIds.length + holdIds.length === 0) return [];
  // One arm for each index; a condition that joins them by OR would be served by none.
  const wanted = fragment`(
        SELECT id FROM allocation WHERE wallet_id = ANY(${walletIds}::uuid[]) AND project_id = ANY(${projectIds}::uuid[])
        UNION
        SELECT id FROM allocation WHERE wallet_id = ANY(${walletIds}::uuid[]) AND user_id = ANY(${userIds}::text[])
        UNION
        SELECT a.id FROM hold JOIN allocation a ON a.wallet_id = hold.wallet_id AND a.project_id = hold.project_id
        WHERE hold.id = ANY(${holdIds}::uuid[]) AND hold.wallet_id = ANY(${walletIds}::uuid[])
        UNION
        SELECT a.id FROM hold JOIN allocation a ON a.wallet_id = hold.wallet_id AND a.user_id = hold.user_id
        WHERE hold.id = ANY(${holdIds}::uuid[]) AND hold.wallet_id = ANY(${walletIds}::uuid[])
      )`;
  const [allocations, lots] = await Promise.all([
    sql<AllocationRow[]>`
      SELECT a.id, a.wallet_id, a.project_id, a.user_id, a.exclusive, a.available_micros, a.pinned_micros,
             a.frozen_micros, a.used_micros
      FROM ${wanted} AS wanted
      JOIN allocation a ON a.id = wanted.id`,
    sql<(LotRow & { allocation_id: string })[]>`
      SELECT l.*
      FROM ${wanted} AS wanted
      CROSS JOIN LATERAL (
        SELECT ${LOT_COLUMNS}
        FROM lot
        JOIN bucket b ON b.id = lot.bucket_id
        WHERE lot.allocation_id = wanted.id AND lot.spendable
        ORDER BY b.burn_priority, b.key COLLATE "C", lot.expires_at NULLS LAST, lot.paid, lot.effective_at, lot.id
        LIMIT ${lotsPerAllocation}
      ) l`,
  ]);
  const lotsOf = groupBy(lots, (row) => row.allocation_id);
  return allocations.map((row) => {
    const prefix = lotsOf.get(row.id) ?? [];
    return {
      id: row.id,
      walletId: row.wallet_id,
      projectId: row.project_id,
      userId: row.user_id,
      exclusive: row.exclusive,
      available: micros(row.available_micros),
      pinned: micros(row.pinned_micros),
      frozen: micros(row.frozen_micros),
      used: micros(row.used_micros),
      lots: prefix.map(lotSnapshot),
      truncated: prefix.length === lotsPerAllocation,
    };
  });
}

/** What bounds the allocations of a wallet; asked where they are set. */
export interface AllocationBounds {
  readonly walletId: string;
  readonly standing: AllocationStanding;
}

/** Of the wallets on which allocations are set. */
export async function loadAllocationBounds(
  sql: Queryable,
  commands: readonly Command[],
): Promise<readonly AllocationBounds[]> {
  const setting = commands.flatMap(({ kind, walletId }) => (kind === 'set-allocation' ? [walletId] : []));
  if (setting.length === 0) return [];
  const [counts, origins] = await Promise.all([
    sql<{ wallet_id: string; allocations: number; expiring_splits: number }[]>`
      SELECT w.id AS wallet_id,
             (SELECT count(*)::int FROM allocation WHERE allocation.wallet_id = w.id) AS allocations,
             (SELECT count(*)::int FROM lot
              WHERE lot.wallet_id = w.id AND lot.next_transition_at IS NOT NULL AND lot.origin_id IS NOT NULL) AS expiring_splits
      FROM wallet w
      WHERE w.id = ANY(${setting}::uuid[])`,
    sql<LotRow[]>`
      SELECT ${LOT_COLUMNS}
      FROM lot
      WHERE lot.id IN (
        SELECT split.origin_id
        FROM allocation a
        JOIN lot split ON split.allocation_id = a.id AND split.spendable
        WHERE a.wallet_id = ANY(${setting}::uuid[]))`,
  ]);
  const originsOf = groupBy(origins, (row) => row.wallet_id);
  return counts.map(({ wallet_id: walletId, allocations, expiring_splits: expiringSplits }) => ({
    walletId,
    standing: { allocations, expiringSplits, origins: (originsOf.get(walletId) ?? []).map(lotSnapshot) },
  }));
}
