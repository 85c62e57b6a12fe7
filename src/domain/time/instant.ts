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

const RFC_3339 =
  /^(\d{4})-(\d{2})-(\d{2})T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;

/** Reads RFC 3339 with an offset, cut to milliseconds; undefined for anything else and for days that do not exist. */
export function parseInstant(text: string): Instant | undefined {
  const match = RFC_3339.exec(text);
  if (!match) return undefined;
  const [, year, month, day] = match.map(Number);
  // Date.parse turns 31 February into March; a day that its month does not have is refused.
  const daysInMonth = new Date(Date.UTC(year ?? 0, month ?? 0, 0)).getUTCDate();
  const milliseconds = Date.parse(text);
  return isInCalendar(milliseconds) && (day ?? 0) <= daysInMonth ? instant(milliseconds) : undefined;
}

export const dateOf = (at: Instant): Date => new Date(at);
export const formatInstant = (at: Instant): string => new Date(at).toISOString();
export const later = (a: Instant, b: Instant): Instant => (a > b ? a : b);

export function earliest(...candidates: readonly (Instant | null)[]): Instant | null {
  let first: Instant | null = null;
  for (const at of candidates) if (at !== null && (first === null || at < first)) first = at;
  return first;
}
