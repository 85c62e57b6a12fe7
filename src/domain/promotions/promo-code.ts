/** Promo codes: credits that an organization gives itself by knowing a code. */
import type { Micros } from '../credits/micros.ts';
import type { Instant } from '../time/instant.ts';

export interface PromoCode {
  /** In capitals. */
  readonly code: string;
  readonly bucketKey: string;
  readonly credits: Micros;
  /** Days after redemption until its credits expire; null takes the bucket's default. */
  readonly expiresAfterDays: number | null;
  /** By all organizations together; null for no bound. */
  readonly maxRedemptions: number | null;
  readonly maxPerOrganization: number;
  /** From when it can be redeemed; null for always. */
  readonly startsAt: Instant | null;
  /** Until before when; null for ever. */
  readonly endsAt: Instant | null;
}

/** How a code is kept and compared. */
export const normalizeCode = (text: string): string => text.trim().toUpperCase();
