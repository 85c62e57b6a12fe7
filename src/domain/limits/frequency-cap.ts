/**
 * Frequency caps: how many operations of one meter a plan allows in a window of the organization's calendar. A usage line is
 * one operation, whatever its quantity and its price. Previews have quotas of their own: they count under a key that says so,
 * and towards no other cap.
 */
import type { Instant } from '../time/instant.ts';
import type { LimitedPlan, LimitWindow, PlanLimit } from './plan-limit.ts';

export interface FrequencyCap extends PlanLimit {
  /** An `operationKey`. */
  readonly key: string;
  readonly window: LimitWindow;
}

/** A plan has one cap at most for each key and window; they name its counter. */
export type CapName = Pick<FrequencyCap, 'key' | 'window'>;

/** What a counter of operations holds for the window that begins at `windowStart`. */
export interface OperationCount extends CapName {
  readonly windowStart: Instant;
  readonly operations: number;
}

/** A plan on sale, as the way out of a cap. */
export interface CappedOffer {
  readonly planKey: string;
  readonly frequencyCaps: readonly FrequencyCap[];
}

type LimitName = Pick<PlanLimit, 'key' | 'window'>;

/** What the operations of a meter count under: "tool.run", and "tool.run:preview" for its previews. */
export const operationKey = ({ meter, preview }: { readonly meter: string; readonly preview: boolean }): string =>
  preview ? `${meter}:preview` : meter;

/** A plan has one limit at most for each key and window. */
export const isSameCap = (a: LimitName, b: LimitName): boolean => a.key === b.key && a.window === b.window;

export const frequencyCapsOf = ({ limits }: Pick<LimitedPlan, 'limits'>): readonly FrequencyCap[] =>
  limits.flatMap(({ key, max, window }) => (window === null ? [] : [{ key, max, window }]));

/** How many operations there are of each key. */
export function countOperations(
  lines: readonly { readonly meter: string; readonly preview: boolean }[],
): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const line of lines) {
    const key = operationKey(line);
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}

/** The plans on sale, cheapest first, whose cap has room for so many in one window. */
export function plansWithRoom(offers: readonly CappedOffer[], cap: FrequencyCap, operations: number): string[] {
  const hasRoom = ({ frequencyCaps }: CappedOffer) =>
    frequencyCaps.every((other) => !isSameCap(other, cap) || other.max >= operations);
  return offers.filter(hasRoom).map(({ planKey }) => planKey);
}
