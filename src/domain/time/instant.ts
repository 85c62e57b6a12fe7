/**
 * Instants are milliseconds since 1970 UTC, the precision of every `timestamptz(3)` column. The domain never asks for the
 * time: the posting engine reads the database's clock once per batch, under the wallets' locks, and hands it in.
 */
declare const unit: unique symbol;

export type Instant = number & { readonly [unit]: 'instant' };

export const instant = (epochMilliseconds: number): Instant => Math.floor(epochMilliseconds) as Instant;
export const instantOf = (date: Date): Instant => instant(date.getTime());
export const dateOf = (at: Instant): Date => new Date(at);
export const formatInstant = (at: Instant): string => new Date(at).toISOString();
export const later = (a: Instant, b: Instant): Instant => (a > b ? a : b);

export function earliest(...candidates: readonly (Instant | null)[]): Instant | null {
  let first: Instant | null = null;
  for (const at of candidates) if (at !== null && (first === null || at < first)) first = at;
  return first;
}
