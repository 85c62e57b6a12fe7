/** Pages and filters of a wallet's ledger. The cursor is the sequence, as in live streams. */

import type { Instant } from '../../domain/time/instant.ts';
import { dateOf } from '../../domain/time/instant.ts';
import type { Prisma } from '../../generated/prisma/client.ts';
import { builder } from '../builder.ts';
import { badUserInput } from '../errors.ts';
import { parseId } from '../ids.ts';
import { encodeCursor, type Page, walletNumber } from '../pages.ts';
import { DirectionEnum } from './enums.ts';

const KIND = 'entry';
const MAX_FILTER_VALUES = 100;

export const ledgerCursor = ({
  walletId,
  sequence,
}: {
  readonly walletId: string;
  readonly sequence: bigint;
}): string => encodeCursor(KIND, [walletId, sequence.toString()]);

export const sequenceOf = (walletId: string, cursor: string, argument = 'after'): bigint =>
  walletNumber(KIND, walletId, cursor, argument);

export const LedgerFilterRef = builder.inputType('LedgerFilter', {
  description: 'Which entries; all that are given must hold.',
  fields: (t) => ({
    from: t.field({ type: 'DateTime', description: 'Effective at or after this instant.' }),
    to: t.field({ type: 'DateTime', description: 'Effective before this instant.' }),
    taskId: t.string({ description: 'Of this task.' }),
    executionId: t.string({ description: 'Of this execution.' }),
    direction: t.field({ type: DirectionEnum, description: 'In this direction.' }),
    reasonCodes: t.stringList({ description: 'With one of these reason codes; at most 100.' }),
    bucketKeys: t.stringList({ description: 'In one of these buckets; at most 100.' }),
    actorId: t.id({ description: 'Caused by this user or API key.' }),
  }),
});

interface LedgerFilter {
  readonly from?: Instant | null | undefined;
  readonly to?: Instant | null | undefined;
  readonly taskId?: string | null | undefined;
  readonly executionId?: string | null | undefined;
  readonly direction?: 'CREDIT' | 'DEBIT' | null | undefined;
  readonly reasonCodes?: string[] | null | undefined;
  readonly bucketKeys?: string[] | null | undefined;
  readonly actorId?: string | null | undefined;
}

export function ledgerFilter(filter: LedgerFilter | null | undefined): Prisma.LedgerEntryWhereInput {
  if (!filter) return {};
  const { from, to, taskId, executionId, direction, reasonCodes, bucketKeys, actorId } = filter;
  for (const [name, values] of Object.entries({ reasonCodes, bucketKeys })) {
    if (values && values.length > MAX_FILTER_VALUES) {
      throw badUserInput(`filter.${name} must have at most ${MAX_FILTER_VALUES} values.`);
    }
  }
  for (const [name, texts] of Object.entries({
    taskId: [taskId],
    executionId: [executionId],
    reasonCodes,
    bucketKeys,
  })) {
    if (texts?.some((text) => text?.includes('\0')))
      throw badUserInput(`filter.${name} must be valid text without NUL.`);
  }
  return {
    ...(isGiven(from) || isGiven(to)
      ? { effectiveAt: { ...(isGiven(from) ? { gte: dateOf(from) } : {}), ...(isGiven(to) ? { lt: dateOf(to) } : {}) } }
      : {}),
    ...(isGiven(taskId) ? { taskId } : {}),
    ...(isGiven(executionId) ? { executionId } : {}),
    ...(isGiven(direction) ? { direction } : {}),
    ...(isGiven(reasonCodes) ? { reasonCode: { in: reasonCodes } } : {}),
    ...(isGiven(bucketKeys) ? { bucket: { key: { in: bucketKeys } } } : {}),
    ...(isGiven(actorId) ? actorFilter(actorId) : {}),
  };
}

function actorFilter(actorId: string): Prisma.LedgerEntryWhereInput {
  const decoded = parseId(actorId);
  switch (decoded?.type) {
    case 'User':
      return { actorKind: 'USER', actorId: decoded.key };
    case 'ApiKey':
      return { actorKind: 'API_KEY', actorId: decoded.key };
    default:
      // An id of nobody: nothing was caused by it.
      return { actorKind: 'USER', actorId: '' };
  }
}

/**
 * By sequence. In a time range by effective instant before it, which is the same order, for effective instants never
 * decrease; said this way the range and the order come from one index.
 */
export function ledgerOrder(
  filter: LedgerFilter | null | undefined,
  { backwards }: Page,
): Prisma.LedgerEntryOrderByWithRelationInput[] {
  const direction = backwards ? 'asc' : 'desc';
  const hasRange = isGiven(filter?.from) || isGiven(filter?.to);
  return [...(hasRange ? [{ effectiveAt: direction } as const] : []), { sequence: direction }];
}

export function entriesBeyond(walletId: string, { cursor, backwards }: Page): Prisma.LedgerEntryWhereInput {
  if (cursor === null) return {};
  const sequence = sequenceOf(walletId, cursor, backwards ? 'before' : 'after');
  return { sequence: backwards ? { gt: sequence } : { lt: sequence } };
}

function isGiven<T>(value: T | null | undefined): value is T {
  return value !== null && value !== undefined;
}
