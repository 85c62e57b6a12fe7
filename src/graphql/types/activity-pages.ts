/** Pages and filters of an organization's activity. The cursor is the number, as in live streams. */
import { dateOf, type Instant } from '../../domain/time/instant.ts';
import type { Prisma } from '../../generated/prisma/client.ts';
import { builder } from '../builder.ts';
import { badUserInput } from '../errors.ts';
import { encodeCursor, ownNumber, type Page } from '../pages.ts';
import { ActivityKindEnum } from './enums.ts';

const CURSOR = 'activity';
const MAX_FILTER_VALUES = 100;

interface Numbered {
  readonly organizationId: string;
  readonly number: bigint;
}

export const activityCursor = ({ organizationId, number }: Numbered): string =>
  encodeCursor(CURSOR, [organizationId, number.toString()]);

export const activityNumber = (organization: string, cursor: string): bigint =>
  ownNumber(CURSOR, { organization }, cursor);

export const ActivityFilterRef = builder.inputType('ActivityFilter', {
  description: 'Which activity; all that are given must hold.',
  fields: (t) => ({
    from: t.field({ type: 'DateTime', description: 'Occurred at or after this instant.' }),
    to: t.field({ type: 'DateTime', description: 'Occurred before this instant.' }),
    kinds: t.field({ type: [ActivityKindEnum], description: 'Of one of these kinds; at most 100.' }),
    taskId: t.string({ description: 'Of this task.' }),
    executionId: t.string({ description: 'Of this execution.' }),
  }),
});

type Filter = {
  readonly from?: Instant | null | undefined;
  readonly to?: Instant | null | undefined;
  readonly kinds?: Prisma.EnumActivityKindFilter['in'] | null | undefined;
  readonly taskId?: string | null | undefined;
  readonly executionId?: string | null | undefined;
};

/**
 * How a page of an organization's activity is read: by number. In a time range by when it occurred, so that the range and the
 * order come from one index; the place of the cursor is then asked for first.
 */
export function activityPages(organizationId: string, filter: Filter | null | undefined, { cursor }: Page) {
  const number = cursor === null ? null : activityNumber(organizationId, cursor);
  const given = activityFilter(filter ?? {});
  const hasRange = isGiven(filter?.from) || isGiven(filter?.to);
  return {
    cursorOf: activityCursor,
    orderBy: [...(hasRange ? [{ occurredAt: 'desc' as const }] : []), { number: 'desc' as const }],
    async where({ activity }: Prisma.TransactionClient): Promise<Prisma.ActivityWhereInput> {
      if (number === null) return given;
      if (!hasRange) return { AND: [given, { number: { lt: number } }] };
      const place = { organizationId_number: { organizationId, number } };
      const last = await activity.findUnique({ where: place, select: { occurredAt: true } });
      if (last === null) throw badUserInput('after is not a cursor of this list.');
      const { occurredAt } = last;
      const beyond = [{ occurredAt: { lt: occurredAt } }, { occurredAt, number: { lt: number } }];
      // Said twice, for the index begins with the instant.
      return { AND: [given, { occurredAt: { lte: occurredAt } }, { OR: beyond }] };
    },
  };
}

function activityFilter({ from, to, kinds, taskId, executionId }: Filter): Prisma.ActivityWhereInput {
  if (kinds && kinds.length > MAX_FILTER_VALUES) {
    throw badUserInput(`filter.kinds must have at most ${MAX_FILTER_VALUES} values.`);
  }
  for (const [name, text] of Object.entries({ taskId, executionId })) {
    if (text?.includes('\0')) throw badUserInput(`filter.${name} must be valid text without NUL.`);
  }
  return {
    ...(isGiven(from) || isGiven(to)
      ? { occurredAt: { ...(isGiven(from) ? { gte: dateOf(from) } : {}), ...(isGiven(to) ? { lt: dateOf(to) } : {}) } }
      : {}),
    ...(isGiven(kinds) ? { kind: { in: kinds } } : {}),
    ...(isGiven(taskId) ? { taskId } : {}),
    ...(isGiven(executionId) ? { executionId } : {}),
  };
}

function isGiven<T>(value: T | null | undefined): value is T {
  return value !== null && value !== undefined;
}
