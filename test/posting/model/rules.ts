/** The catalog of the model test: what both the engine and the model are told about plans, buckets and lives. */

import { micros } from '../../../src/domain/credits/micros.ts';
import type { Policies } from '../../../src/domain/posting/decide-batch.ts';
import type { PlanOnSale } from '../../../src/domain/posting/decide-subscribe.ts';
import { policies } from '../../support/builders-books.ts';
import { DAY, HOUR } from './naive-calendar.ts';
import { rateCards } from './naive-rates.ts';

/** Half an hour before the last midnight but one of winter time in Berlin; a billing period ends on the 31st. */
export const START = Date.parse('2026-03-27T22:30:00Z');
export const CEILING = 500n;
export const LATENESS = 7 * DAY;
export const AHEAD = 5 * 60_000;
export const DEFAULT_LIFE = 15 * 60_000;
export const MAX_LIFE = 2 * DAY;
export const HELD_GRACE = HOUR;
export const REFUND_GRACE_DAYS = 2;
export const SECOND_CARD_FROM = START + 2 * DAY;
/** Days until what is granted into a bucket expires, where the grant does not say. */
export const DEFAULT_EXPIRY_DAYS: Readonly<Record<string, number>> = { promotional: 3 };

/** So many operations of a meter, or of its previews, an hour or a day. */
export interface OperationCap {
  readonly key: string;
  readonly max: number;
  readonly window: 'HOUR' | 'DAY';
}

export interface PlanRules {
  readonly cap: bigint | null;
  readonly overdraft: bigint;
  readonly operations: readonly OperationCap[];
}

/** Free work is capped as well. */
const CALLS = { key: 'call', max: 4, window: 'DAY' } as const;
const READS = { key: 'read', max: 3, window: 'HOUR' } as const;
const PREVIEWS = { key: 'call:preview', max: 1, window: 'HOUR' } as const;

export const PLANS: Readonly<Record<string, PlanRules>> = {
  plain: { cap: null, overdraft: 0n, operations: [] },
  capped: { cap: 90n, overdraft: 0n, operations: [CALLS, READS] },
  indebted: { cap: null, overdraft: 150n, operations: [PREVIEWS, { ...CALLS, max: 2 }] },
  both: { cap: 200n, overdraft: 80n, operations: [] },
};

export const ALLOWANCES = [
  { bucket: 'daily_free', interval: 'DAY', amount: 40n },
  { bucket: 'monthly_plan', interval: 'MONTH', amount: 70n },
] as const;

const PLAN_ON_SALE: PlanOnSale = {
  isFree: true,
  interval: 'MONTH',
  allowances: ALLOWANCES.map(({ bucket: bucketKey, interval, amount }) => ({
    bucketKey,
    interval,
    credits: micros(amount),
  })),
};

/** What becomes of a refund whose lot has expired. */
export type ExpiredRefund = 'NEW_LOT' | 'FORFEIT';

export function enginePolicies(expiredRefund: ExpiredRefund): Policies {
  const terms = Object.entries(PLANS).map(
    ([key, { cap, overdraft, operations: frequencyCaps }]) =>
      [
        key,
        { dailyCreditCap: cap === null ? null : micros(cap), overdraft: micros(overdraft), frequencyCaps },
      ] as const,
  );
  return {
    ...policies({
      latenessDays: LATENESS / DAY,
      expiryDays: DEFAULT_EXPIRY_DAYS,
      maxHoldSeconds: MAX_LIFE / 1_000,
      heldGraceSeconds: HELD_GRACE / 1_000,
      expiredLotRefund:
        expiredRefund === 'FORFEIT' ? { kind: 'FORFEIT' } : { kind: 'NEW_LOT', graceDays: REFUND_GRACE_DAYS },
    }),
    rateCards: rateCards(SECOND_CARD_FROM),
    commandCeiling: micros(CEILING),
    planTerms: new Map(terms),
    plansOnSale: new Map(Object.keys(PLANS).map((key) => [key, PLAN_ON_SALE])),
    countsUnits: true,
    countsSpending: true,
    countsOperations: true,
  };
}
