/**
 * Refusals that carry names and numbers only. Any part of the domain may answer with them; `refusals.ts` has them all.
 */
import type { JsonObject } from './canonical.ts';
import type { Micros } from './credits/micros.ts';

export type UnknownMeter = {
  readonly code: 'UNKNOWN_METER';
  readonly meter: string;
  readonly dimensions: JsonObject | null;
};
export type InvalidIncrement = {
  readonly code: 'INVALID_INCREMENT';
  readonly increment: Micros;
  /** Null where the next amount below is nothing. */
  readonly nearestBelow: Micros | null;
  readonly nearestAbove: Micros;
};
export type Conflict = { readonly code: 'CONFLICT'; readonly currentState: string; readonly reason: string };
export type NotFound = { readonly code: 'NOT_FOUND'; readonly what: string };
export type InvalidInput = {
  readonly code: 'INVALID_INPUT';
  readonly path: readonly string[];
  readonly reason: string;
};

export const notFound = (what: string): NotFound => ({ code: 'NOT_FOUND', what });
export const invalidInput = (path: readonly string[], reason: string): InvalidInput => ({
  code: 'INVALID_INPUT',
  path,
  reason,
});
