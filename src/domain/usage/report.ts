/**
 * Usage reports: which usage counts, what it is grouped by, and how its period is read. The period is cut into windows, one
 * per local day or month where a report is grouped by it. Rollups cover a window with as few rows as there can be: whole
 * UTC days by the rollups of days, the edges by those of quarter hours.
 */
import { calendarPeriods, type Interval, type Period } from '../time/calendar.ts';
import { type Instant, instant } from '../time/instant.ts';
import type { Zone } from '../time/zone.ts';
import { DAY_MILLISECONDS, QUARTER_HOUR_MILLISECONDS, type RollupGrain } from './rollup.ts';

export const USAGE_DIMENSIONS = [
  'METER',
  'MODEL',
  'MODALITY',
  'OPERATION',
  'USER',
  'PROJECT',
  'API_KEY',
  'TASK',
  'EXECUTION',
  'DAY',
  'MONTH',
] as const;
export type UsageDimension = (typeof USAGE_DIMENSIONS)[number];

/** A task, an execution, or an execution of a task. */
export interface Work {
  readonly taskId: string | null;
  readonly executionId: string | null;
}

/** Which usage; all that is given must hold. A list that is given and empty matches nothing. */
export interface UsageFilter extends Work {
  readonly meters: readonly string[] | null;
  readonly models: readonly string[] | null;
  readonly userIds: readonly string[] | null;
  readonly projectIds: readonly string[] | null;
}

export interface UsageQuery {
  readonly period: Period;
  readonly groupBy: readonly UsageDimension[];
  /** Names of further dimensions of usage lines. */
  readonly byDimensions: readonly string[];
  readonly filter: UsageFilter;
  /** Rows of a report. */
  readonly limit: number;
}

/** Five years of any calendar. */
export const MAX_PERIOD_MILLISECONDS = 5 * 366 * DAY_MILLISECONDS;
/** 31 local days, whose clocks may have been set back by up to two hours. */
export const MAX_SCANNED_MILLISECONDS = (31 * 24 + 2) * 60 * 60_000;

/** More would make rows that nobody reads; each is a column of the statement. */
export const MAX_NAMED_DIMENSIONS = 5;

export const isQuarterHour = (at: Instant): boolean => at % QUARTER_HOUR_MILLISECONDS === 0;

/** What the single transactions must be read for: no rollup keeps it. */
export function needsLines({ groupBy, byDimensions, filter }: UsageQuery): boolean {
  const isByWork = groupBy.includes('TASK') || groupBy.includes('EXECUTION');
  return isByWork || byDimensions.length > 0 || isOfWork(filter);
}

/** True where a task or an execution is named, whose transactions have an index of their own. */
export const isOfWork = ({ taskId, executionId }: Work): boolean => taskId !== null || executionId !== null;

/** A part of a report's period in which its rows are summed up; named where it is a local day or month. */
export interface ReportWindow extends Period {
  readonly name: string | null;
}

/** Days where a report is grouped by day, also by day and month: each day lies in one month. */
export function reportWindows({ period, groupBy }: UsageQuery, zone: Zone): readonly ReportWindow[] {
  const interval = shortestInterval(groupBy);
  return interval === null ? [{ ...period, name: null }] : calendarPeriods(interval, period, zone);
}

function shortestInterval(groupBy: readonly UsageDimension[]): Interval | null {
  if (groupBy.includes('DAY')) return 'DAY';
  return groupBy.includes('MONTH') ? 'MONTH' : null;
}

/** The month in the name of a day or month. */
export const monthOf = ({ name }: ReportWindow): string | null => name?.slice(0, '2026-11'.length) ?? null;

/** Rollups of one grain that start in a period. */
export interface RollupRange extends Period {
  readonly grain: RollupGrain;
}

/** The fewest rollups that make up a window. */
export function rollupRanges({ start, end }: Period): readonly RollupRange[] {
  const firstDay = instant(Math.ceil(start / DAY_MILLISECONDS) * DAY_MILLISECONDS);
  const lastDay = instant(Math.floor(end / DAY_MILLISECONDS) * DAY_MILLISECONDS);
  if (firstDay >= lastDay) return [{ grain: 'QUARTER_HOUR', start, end }];
  const ranges: readonly RollupRange[] = [
    { grain: 'QUARTER_HOUR', start, end: firstDay },
    { grain: 'DAY', start: firstDay, end: lastDay },
    { grain: 'QUARTER_HOUR', start: lastDay, end },
  ];
  return ranges.filter((range) => range.start < range.end);
}
