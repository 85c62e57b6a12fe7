/** The catalog of the model test: what both the engine and the model are told about plans, buckets and lives. */

import { micros } from '../../../src/domain/credits/micros.ts';
import type { Policies } from '../../../src/domain/posting/policies.ts';
import type { PlanOffer } from '../../../src/domain/subscriptions/plan-offer.ts';
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

/** So many credits an hour, day or calendar month, of the organization or of its one project. */
export interface LimitRules {
  readonly scope: 'ORGANIZATION' | 'PROJECT';
  readonly window: 'HOUR' | 'DAY' | 'MONTH';
  readonly max: bigint;
}

export const CAP_CODE = 'daily_credit_cap_exceeded';
const ADVERBS = { HOUR: 'hourly', DAY: 'daily', MONTH: 'monthly' } as const;

export const codeOf = ({ scope, window }: Omit<LimitRules, 'max'>): string =>
  `${scope.toLowerCase()}_${ADVERBS[window]}_limit_exceeded`;

export interface PlanRules {
  readonly cap: bigint | null;
  readonly overdraft: bigint;
  readonly operations: readonly OperationCap[];
  readonly allowances: readonly AllowanceRules[];
}

export interface AllowanceRules {
  readonly bucket: 'daily_free' | 'monthly_plan';
  readonly interval: 'DAY' | 'MONTH';
  readonly amount: bigint;
  /** The most that is carried over; null for nothing. */
  readonly rollover: bigint | null;
}

/** Free work is capped as well. */
const CALLS = { key: 'call', max: 4, window: 'DAY' } as const;
const READS = { key: 'read', max: 3, window: 'HOUR' } as const;
const PREVIEWS = { key: 'call:preview', max: 1, window: 'HOUR' } as const;

const daily = (amount: bigint, rollover: bigint | null = null): AllowanceRules => ({
  bucket: 'daily_free',
  interval: 'DAY',
  amount,
  rollover,
});
const monthly = (amount: bigint, rollover: bigint | null = null): AllowanceRules => ({
  bucket: 'monthly_plan',
  interval: 'MONTH',
  amount,
  rollover,
});

export const PLANS: Readonly<Record<string, PlanRules>> = {
  plain: { cap: null, overdraft: 0n, operations: [], allowances: [daily(40n), monthly(70n)] },
  capped: { cap: 90n, overdraft: 0n, operations: [CALLS, READS], allowances: [daily(40n, 25n), monthly(70n, 30n)] },
  indebted: {
    cap: null,
    overdraft: 150n,
    operations: [PREVIEWS, { ...CALLS, max: 2 }],
    allowances: [monthly(70n, 500n)],
  },
  both: { cap: 200n, overdraft: 80n, operations: [], allowances: [daily(60n, 60n), monthly(50n)] },
};

export const allowancesOf = (plan: string | null): readonly AllowanceRules[] =>
  (plan === null ? undefined : PLANS[plan]?.allowances) ?? [];

const offers = new Map(
  Object.entries(PLANS).map(([key, { allowances }]): [string, PlanOffer] => [
    key,
    {
      name: key,
      price: { amountMinor: 0n, currency: 'EUR' },
      interval: 'MONTH',
      trialDays: 0,
      allowances: allowances.map(({ bucket: bucketKey, interval, amount, rollover }) => ({
        bucketKey,
        interval,
        credits: micros(amount),
        rolloverLimit: rollover === null ? null : micros(rollover),
      })),
    },
  ]),
);

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
    plansOnSale: offers,
    plansEverSold: offers,
    countsUnits: true,
    countsSpending: true,
    countsOperations: true,
  };
}
