/**
 * The shapes of a catalog in YAML: which keys there are, what each may hold, and what stands where one is left out. What
 * they must agree on among themselves is asked by check-catalog.ts.
 */
import { z } from 'zod';
import { type AlertCriterion, MAX_PERCENT } from '../alerts/alert.ts';
import { canonicalJson, type JsonObject } from '../canonical.ts';
import { type Decimal, ONE, parseRateDecimal, TO_THE_MICRO, ZERO_DECIMAL } from '../credits/decimal.ts';
import { MICROS_PER_CREDIT, type Micros, micros, parseCredits, ZERO } from '../credits/micros.ts';
import { normalizeCode } from '../promotions/promo-code.ts';
import { type Instant, parseInstant } from '../time/instant.ts';
import type { BucketKind } from '../wallet/bucket.ts';

/** Far below what a wallet holds, so that nothing the catalog grants can overflow one. */
const MAX_CREDITS = micros(1_000_000_000n * MICROS_PER_CREDIT);

/** A century: enough for any promise, and within every calendar. */
const MAX_DAYS = 36_500;

/** The dimensions of a rate are part of the key of its counters, which a database index holds. */
const MAX_MATCH_BYTES = 1_000;

const MAX_TIERS = 50;

/** Every subscriber has them, and every command asks them. */
const MAX_PLAN_ALERTS = 5;

/** A year: no work takes longer. */
const MAX_SECONDS = 31_536_000;

const key = z.string().regex(/^[a-z][a-z0-9_.-]{0,62}$/, 'must be a key: a letter, then up to 62 of a–z 0–9 _ . -');
const label = z.string().min(1, 'must not be empty').max(200);
const wholeNumber = z
  .string()
  .regex(/^\d{1,9}$/, 'must be a whole number')
  .transform(Number);
const days = wholeNumber.refine((value) => value >= 1 && value <= MAX_DAYS, `must be 1 to ${MAX_DAYS} days`);
const seconds = wholeNumber.refine(
  (value) => value >= 1 && value <= MAX_SECONDS,
  `must be 1 to ${MAX_SECONDS} seconds`,
);
const minorUnits = z
  .string()
  .regex(/^\d{1,15}$/, 'must be a whole number of minor units, not negative')
  .transform(BigInt);

const credits = z.string().transform((text, context): Micros => {
  const amount = parseCredits(text);
  if (amount !== undefined && amount >= ZERO && amount <= MAX_CREDITS) return amount;
  const message = 'must be credits: not negative, at most 6 fraction digits and 1,000,000,000';
  context.addIssue({ code: 'custom', message });
  return z.NEVER;
});

const decimal = z.string().transform((text, context): Decimal => {
  const value = parseRateDecimal(text);
  if (value !== undefined && value.coefficient >= 0n) return value;
  const message = 'must be a decimal: not negative, at most 24 integer and 100 fraction digits';
  context.addIssue({ code: 'custom', message });
  return z.NEVER;
});

const instantWithZone = z.string().transform((text, context): Instant => {
  const at = parseInstant(text);
  if (at !== undefined) return at;
  const message = 'must be an instant with its zone, like 2027-01-01T00:00:00Z';
  context.addIssue({ code: 'custom', message });
  return z.NEVER;
});

const currency = z.string().regex(/^[A-Z]{3}$/, 'must be an ISO 4217 code, like USD');
const money = z.strictObject({ amountMinor: minorUnits, currency });
const dimensionValue = z.union([z.string(), z.number(), z.boolean()]);

const bucket = z.strictObject({
  key,
  name: label,
  kind: z.enum(['ALLOWANCE', 'PLAN', 'PURCHASED', 'PROMOTIONAL']),
  burnPriority: wholeNumber,
  expiresAfterDays: days.nullable().default(null),
});

const plan = z.strictObject({
  key,
  name: label,
  description: z.string().max(2_000).nullable().default(null),
  price: money,
  interval: z.enum(['MONTH', 'YEAR']).default('MONTH'),
  trialDays: wholeNumber.default(0),
  allowances: z
    .array(
      z.strictObject({
        bucket: key,
        interval: z.enum(['DAY', 'MONTH']),
        credits,
        rolloverLimit: credits
          .refine((amount) => amount > ZERO, 'must be more than 0; none without it')
          .nullable()
          .default(null),
      }),
    )
    .max(20)
    .default([]),
  dailyCreditCap: credits.nullable().default(null),
  overdraft: credits.default(ZERO),
  limits: z
    .array(
      z.strictObject({
        key: z.string(),
        max: wholeNumber,
        window: z.enum(['HOUR', 'DAY', 'MONTH']).nullable().default(null),
      }),
    )
    .max(100)
    .default([]),
  topUp: z
    .strictObject({
      increment: credits.refine((amount) => amount > ZERO, 'must be more than 0'),
      unitPrice: money.refine(({ amountMinor }) => amountMinor > 0n, {
        path: ['amountMinor'],
        message: 'must be more than 0',
      }),
    })
    .nullable()
    .default(null),
  features: z.array(label).max(100).default([]),
  alerts: z
    .array(
      z
        .strictObject({
          credits: credits.refine((amount) => amount > ZERO, 'must be more than 0').optional(),
          percent: wholeNumber
            .refine((value) => value >= 1 && value <= MAX_PERCENT, `must be 1 to ${MAX_PERCENT}`)
            .optional(),
        })
        .refine((alert) => (alert.credits === undefined) !== (alert.percent === undefined), {
          message: 'must have credits or percent, one of the two',
        }),
    )
    .max(MAX_PLAN_ALERTS)
    .default([]),
});

const positiveCredits = credits.refine((amount) => amount > ZERO, 'must be more than 0');

const offer = z.strictObject({
  key,
  name: label,
  price: money,
  credits: positiveCredits,
  bonusCredits: credits.default(ZERO),
  bucket: key.optional(),
  expiresAfterDays: days.nullable().default(null),
});

const promoCode = z
  .strictObject({
    code: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{3,63}$/, 'must be 4 to 64 of A–Z 0–9 _ -, beginning with a letter or digit')
      .transform(normalizeCode),
    bucket: key.optional(),
    credits: positiveCredits,
    expiresAfterDays: days.nullable().default(null),
    maxRedemptions: wholeNumber.nullable().default(null),
    maxPerOrganization: wholeNumber.default(1),
    startsAt: instantWithZone.nullable().default(null),
    endsAt: instantWithZone.nullable().default(null),
  })
  .refine(({ startsAt, endsAt }) => startsAt === null || endsAt === null || startsAt < endsAt, {
    path: ['endsAt'],
    message: 'must lie after startsAt',
  });

const positiveDecimal = decimal.refine((value) => value.coefficient > 0n, 'must be more than 0');

const tier = z.strictObject({ upTo: positiveDecimal.nullable().default(null), credits: decimal });

const isShort = (match: JsonObject): boolean => Buffer.byteLength(canonicalJson(match)) <= MAX_MATCH_BYTES;

const rate = z.strictObject({
  meter: key,
  description: z.string().max(2_000).nullable().default(null),
  unit: label,
  shape: z.enum(['FLAT', 'PER_UNIT', 'PACKAGE', 'GRADUATED', 'VOLUME']).default('PER_UNIT'),
  match: z
    .record(z.string().min(1).max(64), dimensionValue)
    .refine(isShort, `must have at most ${MAX_MATCH_BYTES} bytes as JSON`)
    .nullable()
    .default(null),
  preview: z.boolean().default(false),
  credits: decimal.optional(),
  per: positiveDecimal.default(ONE),
  tiers: z.array(tier).min(1, 'needs at least one tier').max(MAX_TIERS).optional(),
  freeUnits: decimal.default(ZERO_DECIMAL),
  minimumCredits: credits.default(ZERO),
  roundTo: positiveCredits.default(TO_THE_MICRO.increment),
  rounding: z.enum(['HALF_UP', 'UP', 'DOWN']).default(TO_THE_MICRO.mode),
});

export const catalogDocument = z.strictObject({
  buckets: z.array(bucket).min(1, 'a catalog needs at least one bucket').max(50),
  plans: z.array(plan).max(100).default([]),
  packages: z.array(offer).max(200).default([]),
  promoCodes: z.array(promoCode).max(5_000).default([]),
  rates: z.array(rate).max(5_000).default([]),
  policies: z
    .strictObject({
      commandCeiling: positiveCredits.default(MAX_CREDITS),
      latenessDays: wholeNumber.default(7),
      holds: z
        .strictObject({
          defaultSeconds: seconds.default(15 * 60),
          maxSeconds: seconds.default(7 * 24 * 60 * 60),
          graceSeconds: seconds.default(24 * 60 * 60),
        })
        .refine((holds) => holds.defaultSeconds <= holds.maxSeconds, {
          path: ['defaultSeconds'],
          message: 'must not be more than maxSeconds',
        })
        .prefault({}),
      renewals: z
        .strictObject({
          retryDays: z.array(days).max(10).default([1, 2, 3]),
          graceDays: days.default(7),
        })
        .refine((renewals) => renewals.retryDays.reduce((sum, gap) => sum + gap, 0) < renewals.graceDays, {
          path: ['retryDays'],
          message: 'must come to less than graceDays in all',
        })
        .prefault({}),
      receipts: z
        .strictObject({
          issuer: z
            .string()
            .regex(/^[A-Z][A-Z0-9-]{0,19}$/, 'must be a capital letter, then up to 19 of A–Z 0–9 -')
            .default('R'),
        })
        .prefault({}),
      refunds: z
        .strictObject({
          expiredLots: z.enum(['NEW_LOT', 'FORFEIT']).default('NEW_LOT'),
          graceDays: days.default(30),
          spentCredits: z.enum(['REFUSE', 'DEBT']).default('REFUSE'),
        })
        .prefault({}),
    })
    .prefault({}),
  ratesEffectiveAt: instantWithZone.nullable().default(null),
});

/** A catalog whose values are read and whose keys and rates are not yet compared. */
export type RawCatalog = z.output<typeof catalogDocument>;
export type RawBucket = RawCatalog['buckets'][number];
export type RawPlan = RawCatalog['plans'][number];
export type RawRate = RawCatalog['rates'][number];
export type RawTier = NonNullable<RawRate['tiers']>[number];

/** Where goods of a kind go that name no bucket. */
export const firstBucket = (raw: RawCatalog, kind: BucketKind) => raw.buckets.find((item) => item.kind === kind);

export function criterionOf({ credits: threshold, percent }: RawPlan['alerts'][number]): AlertCriterion {
  if (threshold !== undefined) return { threshold, percent: null };
  return { threshold: null, percent: percent ?? 0 };
}
