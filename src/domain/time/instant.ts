/**
 * Instants are milliseconds since 1970 UTC, the precision of every `timestamptz(3)` column. The domain never asks for the
 * time: the posting engine reads the database's clock once per batch, under the wallets' locks, and hands it in.
 */
declare const unit: unique symbol;

export type Instant = number & { readonly [unit]: 'instant' };

export const instant = (epochMilliseconds: number): Instant => Math.floor(epochMilliseconds) as Instant;
const FIRST = Date.parse('0001-01-01T00:00:00.000Z');
const LAST = Date.parse('9999-12-31T23:59:59.999Z');

/** Years 1 to 9999: what RFC 3339 can write and PostgreSQL can store. */
export const isInCalendar = (epochMilliseconds: number): boolean =>
  epochMilliseconds >= FIRST && epochMilliseconds <= LAST;

export const instantOf = (date: Date): Instant => instant(date.getTime());
export const dateOf = (at: Instant): Date => new Date(at);
export const formatInstant = (at: Instant): string => new Date(at).toISOString();
export const later = (a: Instant, b: Instant): Instant => (a > b ? a : b);

export function earliest(...candidates: readonly (Instant | null)[]): Instant | null {
  let first: Instant | null = null;
  for (const at of candidates) if (at !== null && (first === null || at < first)) first = at;
  return first;
}
