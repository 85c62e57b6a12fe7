/** Arguments of usage reports and spend summaries: checked strictly, nothing is clamped. */
import type { Instant } from '../domain/time/instant.ts';
import {
  isOfWork,
  isQuarterHour,
  MAX_NAMED_DIMENSIONS,
  MAX_PERIOD_MILLISECONDS,
  MAX_SCANNED_MILLISECONDS,
  needsLines,
  type UsageDimension,
  type UsageQuery,
  type Work,
} from '../domain/usage/report.ts';
import { checkText } from '../operations/input-rules.ts';
import { badUserInput } from './errors.ts';
import { decodeId } from './ids.ts';

const DEFAULT_ROWS = 100;
const MAX_ROWS = 1_000;
const MAX_FILTER_VALUES = 100;
const MAX_NAME_CHARACTERS = 64;
const MAX_WORK_CHARACTERS = 255;

type Optional<T> = T | null | undefined;

export interface UsageArguments {
  readonly from: Instant;
  readonly to: Instant;
  readonly groupBy: readonly UsageDimension[];
  readonly byDimensions?: Optional<readonly string[]>;
  readonly filter?: Optional<{
    readonly meters?: Optional<readonly string[]>;
    readonly models?: Optional<readonly string[]>;
    readonly userIds?: Optional<readonly string[]>;
    readonly projectIds?: Optional<readonly string[]>;
    readonly taskId?: Optional<string>;
    readonly executionId?: Optional<string>;
  }>;
  readonly first?: Optional<number>;
}

export function readUsageQuery({ from, to, groupBy, byDimensions, filter, first }: UsageArguments): UsageQuery {
  const { meters, models, userIds, projectIds } = filter ?? {};
  const query: UsageQuery = {
    period: { start: from, end: to },
    groupBy: withoutRepeats('groupBy', groupBy),
    byDimensions: names(byDimensions ?? []),
    filter: {
      meters: texts('filter.meters', meters),
      models: texts('filter.models', models),
      userIds: values('filter.userIds', userIds)?.map((id) => decodeId('User', id)) ?? null,
      projectIds: values('filter.projectIds', projectIds)?.map((id) => decodeId('Project', id)) ?? null,
      ...readWork(filter ?? {}, 'filter.'),
    },
    limit: rows(first ?? DEFAULT_ROWS),
  };
  checkPeriod(query);
  return query;
}

/** At least one of task and execution. */
export function readSpendOf(work: Parameters<typeof readWork>[0]): Work {
  const read = readWork(work, '');
  if (!isOfWork(read)) throw badUserInput('Give taskId, executionId or both.');
  return read;
}

function readWork(
  { taskId, executionId }: { readonly taskId?: Optional<string>; readonly executionId?: Optional<string> },
  path: string,
): Work {
  return {
    taskId: text(`${path}taskId`, taskId, MAX_WORK_CHARACTERS),
    executionId: text(`${path}executionId`, executionId, MAX_WORK_CHARACTERS),
  };
}

function checkPeriod(query: UsageQuery): void {
  const { start, end } = query.period;
  for (const [name, at] of Object.entries({ from: start, to: end })) {
    if (!isQuarterHour(at))
      throw badUserInput(`${name} must be a whole quarter of an hour, like "2026-11-21T07:30:00Z".`);
  }
  if (start >= end) throw badUserInput('from must be before to.');
  if (end - start > MAX_PERIOD_MILLISECONDS) throw badUserInput('to must be at most 5 years after from.');
  if (needsLines(query) && !isOfWork(query.filter) && end - start > MAX_SCANNED_MILLISECONDS) {
    throw badUserInput(
      'to must be at most 31 days after from where usage is grouped by task, execution or byDimensions and filter names no task or execution.',
    );
  }
}

function rows(first: number): number {
  if (first < 1 || first > MAX_ROWS) throw badUserInput(`first must be from 1 to ${MAX_ROWS}.`);
  return first;
}

function names(given: readonly string[]): readonly string[] {
  if (given.length > MAX_NAMED_DIMENSIONS) {
    throw badUserInput(`byDimensions must have at most ${MAX_NAMED_DIMENSIONS} names.`);
  }
  for (const name of given) text('byDimensions', name, MAX_NAME_CHARACTERS);
  return withoutRepeats('byDimensions', given);
}

function withoutRepeats<T>(name: string, given: readonly T[]): readonly T[] {
  if (new Set(given).size < given.length) throw badUserInput(`${name} must not repeat a value.`);
  return given;
}

function values(name: string, given: Optional<readonly string[]>): readonly string[] | null {
  if (given === null || given === undefined) return null;
  if (given.length > MAX_FILTER_VALUES) throw badUserInput(`${name} must have at most ${MAX_FILTER_VALUES} values.`);
  return given;
}

/** Any text that can be stored; longer than any value is, it matches nothing. */
function texts(name: string, given: Optional<readonly string[]>): readonly string[] | null {
  const read = values(name, given);
  for (const value of read ?? []) text(name, value, Number.POSITIVE_INFINITY);
  return read;
}

function text(name: string, value: Optional<string>, maxCharacters: number): string | null {
  const problem = checkText([name], value, maxCharacters);
  if (problem) throw badUserInput(`${name} ${problem.reason}.`);
  return value ?? null;
}
