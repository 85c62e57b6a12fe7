/**
 * Reads a catalog from YAML. Numbers are taken as written, never through a float, and every problem is reported with the
 * line it stands on.
 */
import { type Document, isMap, isNode, isScalar, LineCounter, parseDocument, visit } from 'yaml';
import { z } from 'zod';
import { type AlertCriterion, isSameCriterion, MAX_PERCENT } from '../alerts/alert.ts';
import { canonicalJson, type JsonObject } from '../canonical.ts';
import {
  compareDecimals,
  type Decimal,
  decimalFromMicros,
  formatDecimal,
  ONE,
  parseRateDecimal,
  TO_THE_MICRO,
  toMicros,
  ZERO_DECIMAL,
} from '../credits/decimal.ts';
import { formatCredits, MICROS_PER_CREDIT, type Micros, micros, parseCredits, ZERO } from '../credits/micros.ts';
import { groupBy } from '../group-by.ts';
import { isSameCap, operationKey } from '../limits/frequency-cap.ts';
import { PLAN_LIMIT_KEYS, type PlanLimit } from '../limits/plan-limit.ts';
import type { Rate } from '../pricing/rate-card.ts';
import { normalizeCode } from '../promotions/promo-code.ts';
import type { Package } from '../purchases/package.ts';
import { isStorableText } from '../storable-text.ts';
import { type Instant, parseInstant } from '../time/instant.ts';
import type { BucketKind } from '../wallet/bucket.ts';
import type { Catalog } from './catalog.ts';

export interface CatalogProblem {
  /** 1-based line of the file. */
  readonly line: number;
  /** Where in the document: "plans.0.price". */
  readonly path: string;
  readonly message: string;
}

export type ParsedCatalog =
  | {
      readonly ok: true;
      readonly catalog: Catalog;
      /** A problem that is found later, with the line of what it is about: ["buckets", 0, "kind"]. */
      readonly problemAt: (path: readonly PropertyKey[], message: string) => CatalogProblem;
    }
  | { readonly ok: false; readonly problems: readonly CatalogProblem[] };

export function formatProblem({ line, path, message }: CatalogProblem): string {
  return `line ${line}: ${path === '' ? '' : `${path}: `}${message}`;
}

/** The largest catalogs have thousands of rates of a hundred characters each. */
const MAX_CHARACTERS = 1_000_000;

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

const document = z.strictObject({
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

type RawCatalog = z.output<typeof document>;
type Path = readonly PropertyKey[];
type Problem = { readonly path: Path; readonly message: string };

export function parseCatalog(yaml: string): ParsedCatalog {
  const unfit = unfitText(yaml);
  if (unfit !== null) return { ok: false, problems: [{ line: 1, path: '', message: unfit }] };
  const lines = new LineCounter();
  const parsed = parseDocument(yaml, { lineCounter: lines, uniqueKeys: true });
  const [fault] = parsed.errors;
  if (fault) {
    const [message = fault.message] = fault.message.split('\n');
    return { ok: false, problems: [{ line: lines.linePos(fault.pos[0]).line, path: '', message }] };
  }
  const oddities = findOddities(parsed, lines);
  if (oddities.length > 0) return { ok: false, problems: oddities };
  keepNumbersAsWritten(parsed);
  const shaped = document.safeParse(parsed.toJS() ?? {});
  const problems: readonly Problem[] = shaped.success
    ? checkReferences(shaped.data)
    : shaped.error.issues.flatMap(problemsOf);
  if (!shaped.success || problems.length > 0) {
    return { ok: false, problems: problems.map((problem) => located(problem, parsed, lines)) };
  }
  const problemAt = (path: Path, message: string) => located({ path, message }, parsed, lines);
  return { ok: true, catalog: build(shaped.data), problemAt };
}

/** Why a text is neither read as YAML nor stored; null where it may be. */
function unfitText(yaml: string): string | null {
  if (yaml.length > MAX_CHARACTERS) return 'a catalog has at most 1,000,000 characters';
  return isStorableText(yaml) ? null : 'a catalog is valid text without NUL';
}

/**
 * What YAML allows and a catalog does not: aliases, which hide what is granted, keys that are no names, and text that cannot
 * be stored.
 */
function findOddities(parsed: Document, lines: LineCounter): CatalogProblem[] {
  const problems: CatalogProblem[] = [];
  const report = (node: { readonly range?: readonly number[] | null | undefined }, message: string) =>
    problems.push({ line: lines.linePos(node.range?.[0] ?? 0).line, path: '', message });
  visit(parsed, {
    Alias: (_, node) => void report(node, `the alias *${node.source} is not allowed: write the value out`),
    Pair(_, { key: name }) {
      if (isScalar(name) && name.value === '__proto__') report(name, '__proto__ is not a key');
    },
    Scalar(_, node) {
      const { value } = node;
      if (typeof value === 'string' && !isStorableText(value)) report(node, 'must be valid text without NUL');
    },
  });
  return problems;
}

/** An unknown key is a problem of its own line. */
function problemsOf(issue: z.core.$ZodIssue): Problem[] {
  if (issue.code !== 'unrecognized_keys') return [issue];
  return issue.keys.map((name) => ({ path: [...issue.path, name], message: 'is not known here' }));
}

/** Turns numbers into the text they were written as, except under `match`, whose values are compared as JSON. */
function keepNumbersAsWritten(parsed: Document): void {
  visit(parsed, {
    Pair(_, pair) {
      return isScalar(pair.key) && pair.key.value === 'match' ? visit.SKIP : undefined;
    },
    Scalar(position, node) {
      if (position !== 'key' && typeof node.value === 'number') node.value = node.source ?? String(node.value);
    },
  });
}

function located({ path, message }: Problem, parsed: Document, lines: LineCounter): CatalogProblem {
  const text = path.map(String).join('.');
  for (let length = path.length; length >= 0; length--) {
    const position = keyPosition(parsed, path.slice(0, length)) ?? nodePosition(parsed, path.slice(0, length));
    if (position !== undefined) return { line: lines.linePos(position).line, path: text, message };
  }
  return { line: 1, path: text, message };
}

/** Where the key of a pair stands. */
function keyPosition(parsed: Document, path: Path): number | undefined {
  const parent = path.length === 1 ? parsed.contents : parsed.getIn(path.slice(0, -1), true);
  if (path.length === 0 || !isMap(parent)) return undefined;
  const pair = parent.items.find(({ key: name }) => isScalar(name) && name.value === path.at(-1));
  return isScalar(pair?.key) ? pair.key.range?.[0] : undefined;
}

function nodePosition(parsed: Document, path: Path): number | undefined {
  const node = path.length === 0 ? parsed.contents : parsed.getIn(path, true);
  return isNode(node) ? node.range?.[0] : undefined;
}

function checkReferences(raw: RawCatalog): Problem[] {
  const bucketsByKey = new Map(raw.buckets.map((item) => [item.key, item]));
  const operations = new Set(raw.rates.map(operationKey));
  return [
    ...repeated(
      raw.buckets.map((item) => item.key),
      'buckets',
    ),
    ...repeated(
      raw.plans.map((item) => item.key),
      'plans',
    ),
    ...repeated(
      raw.packages.map((item) => item.key),
      'packages',
    ),
    ...repeated(
      raw.promoCodes.map((item) => item.code),
      'promoCodes',
    ),
    ...raw.rates.flatMap((item, index) => [...checkPrice(item, index), ...checkMinimum(item, index)]),
    ...checkAmbiguity(raw.rates),
    ...raw.plans.flatMap((item, index) => checkAllowances(item, index, bucketsByKey)),
    ...raw.plans.flatMap((item, index) => checkLimits(item, index, operations)),
    ...raw.plans.flatMap((item, index) => checkTopUp(item, index, raw)),
    ...raw.plans.flatMap((item, index) => checkAlerts(item, index)),
    ...raw.packages.flatMap((item, index) =>
      checkTarget(['packages', index], item.bucket, { kind: 'PURCHASED', goods: 'packages' }, raw),
    ),
    ...raw.promoCodes.flatMap((item, index) =>
      checkTarget(['promoCodes', index], item.bucket, { kind: 'PROMOTIONAL', goods: 'promo codes' }, raw),
    ),
  ];
}

function repeated(keys: readonly string[], list: string): Problem[] {
  return keys.flatMap((item, index) =>
    keys.indexOf(item) < index ? [{ path: [list, index], message: `repeats ${item}, which stands above` }] : [],
  );
}

type BucketsByKey = ReadonlyMap<string, RawCatalog['buckets'][number]>;

function checkAllowances({ allowances }: RawCatalog['plans'][number], plan: number, buckets: BucketsByKey): Problem[] {
  return allowances.flatMap((allowance, index): Problem[] => {
    const path = ['plans', plan, 'allowances', index];
    const target = buckets.get(allowance.bucket);
    if (!target) return [{ path: [...path, 'bucket'], message: `there is no bucket ${allowance.bucket}` }];
    if (target.kind !== 'ALLOWANCE' && target.kind !== 'PLAN') {
      return [{ path: [...path, 'bucket'], message: 'allowances go to buckets of kind ALLOWANCE or PLAN' }];
    }
    const first = allowances.findIndex((other) => other.bucket === allowance.bucket);
    return first < index ? [{ path, message: 'a plan has at most one allowance per bucket' }] : [];
  });
}

/** Without a window a limit is on what there may be; with one it is on the operations of a meter that has rates. */
function checkLimits(
  { limits }: RawCatalog['plans'][number],
  plan: number,
  operations: ReadonlySet<string>,
): Problem[] {
  return limits.flatMap((limit, index): Problem[] => {
    const path = ['plans', plan, 'limits', index];
    const message = limitFault(limit, operations);
    if (message !== null) return [{ path: [...path, 'key'], message }];
    const first = limits.findIndex((other) => isSameCap(other, limit));
    const named = limit.window === null ? limit.key : `${limit.key} a ${limit.window}`;
    return first === index ? [] : [{ path, message: `repeats ${named}, which stands above` }];
  });
}

function limitFault({ key, window }: PlanLimit, operations: ReadonlySet<string>): string | null {
  if (window !== null) {
    return operations.has(key) ? null : `there is no rate for the meter ${key}: a window is for meters that have one`;
  }
  if (PLAN_LIMIT_KEYS.some((known) => known === key)) return null;
  if (operations.has(key)) return 'a limit on a meter needs a window: HOUR, DAY or MONTH';
  return `must be one of ${PLAN_LIMIT_KEYS.join(', ')}, or a meter with a window`;
}

const firstBucket = (raw: RawCatalog, kind: BucketKind) => raw.buckets.find((item) => item.kind === kind);

function checkTopUp({ topUp }: RawCatalog['plans'][number], index: number, raw: RawCatalog): Problem[] {
  if (topUp === null || firstBucket(raw, 'PURCHASED')) return [];
  return [{ path: ['plans', index, 'topUp'], message: 'top-ups need a bucket of kind PURCHASED' }];
}

function checkAlerts({ alerts }: RawCatalog['plans'][number], plan: number): Problem[] {
  const criteria = alerts.map(criterionOf);
  return criteria.flatMap((criterion, index): Problem[] => {
    const first = criteria.findIndex((other) => isSameCriterion(other, criterion));
    return first === index ? [] : [{ path: ['plans', plan, 'alerts', index], message: 'repeats an alert above' }];
  });
}

/** What is sold or given goes to a bucket of one kind; to the first of that kind where it names none. */
function checkTarget(
  path: Path,
  named: string | undefined,
  { kind, goods }: { readonly kind: BucketKind; readonly goods: string },
  raw: RawCatalog,
): Problem[] {
  const target = named === undefined ? firstBucket(raw, kind) : raw.buckets.find((item) => item.key === named);
  if (target?.kind === kind) return [];
  if (named === undefined) return [{ path, message: `${goods} need a bucket of kind ${kind}` }];
  const message = target ? `${goods} go to buckets of kind ${kind}` : `there is no bucket ${named}`;
  return [{ path: [...path, 'bucket'], message }];
}

type RawRate = RawCatalog['rates'][number];
type RawTier = NonNullable<RawRate['tiers']>[number];

/** A price stands in one place: in the tiers of a rate that has them, in `credits` otherwise. */
function checkPrice({ shape, credits: price, tiers }: RawRate, index: number): Problem[] {
  const path = ['rates', index];
  if (shape === 'GRADUATED' || shape === 'VOLUME') {
    const problems: Problem[] = tiers ? checkTiers(tiers, [...path, 'tiers']) : [];
    if (!tiers) problems.push({ path: [...path, 'tiers'], message: `a ${shape} rate needs tiers` });
    if (price) problems.push({ path: [...path, 'credits'], message: `the tiers of a ${shape} rate have its prices` });
    return problems;
  }
  const problems: Problem[] = [];
  if (!price) problems.push({ path: [...path, 'credits'], message: `a ${shape} rate needs credits` });
  if (tiers) problems.push({ path: [...path, 'tiers'], message: `a ${shape} rate has no tiers` });
  return problems;
}

/** Bounds rise, and only the last tier has none: every unit then stands in exactly one tier. */
function checkTiers(tiers: readonly RawTier[], path: Path): Problem[] {
  return tiers.flatMap(({ upTo }, index): Problem[] => {
    const isLast = index === tiers.length - 1;
    const at = [...path, index, 'upTo'];
    if (isLast) return upTo === null ? [] : [{ path: at, message: 'the last tier has no end: leave upTo out' }];
    if (upTo === null) return [{ path: at, message: 'every tier but the last needs upTo' }];
    const before = tiers[index - 1]?.upTo ?? ZERO_DECIMAL;
    if (compareDecimals(upTo, before) > 0) return [];
    return [{ path: at, message: `must be more than ${formatDecimal(before)}, where the tier before ends` }];
  });
}

/** A minimum that rounding would lower is none. */
function checkMinimum({ minimumCredits, roundTo, rounding }: RawRate, index: number): Problem[] {
  const rounded = toMicros(decimalFromMicros(minimumCredits), ONE, { increment: roundTo, mode: rounding });
  if (rounded === undefined || rounded >= minimumCredits) return [];
  const message = `would be rounded to ${formatCredits(rounded)}: make it a multiple of roundTo`;
  return [{ path: ['rates', index, 'minimumCredits'], message }];
}

/**
 * Two rates of one meter that can match the same usage with equally many dimensions: neither is the most specific, unless a
 * third one matches all such usage more closely.
 */
function checkAmbiguity(rates: readonly RawRate[]): Problem[] {
  const byMeter = groupBy(rates, (rate) => rate.meter);
  return rates.flatMap((later, index): Problem[] => {
    const others = byMeter.get(later.meter) ?? [];
    const earlier = others
      .slice(0, others.indexOf(later))
      .find((other) => isAmbiguous(other, later) && !others.some((third) => settles(third, other, later)));
    if (!earlier) return [];
    const dimensions = `${canonicalJson(earlier.match ?? {})}${earlier.preview ? ' as a preview' : ''}`;
    return [{ path: ['rates', index], message: `is ambiguous with the rate for ${later.meter} ${dimensions} above` }];
  });
}

function isAmbiguous(a: RawRate, b: RawRate): boolean {
  if (a.preview !== b.preview) return false;
  const [first, second] = [Object.entries(a.match ?? {}), b.match ?? {}];
  if (first.length !== Object.keys(second).length) return false;
  return first.every(([name, value]) => !Object.hasOwn(second, name) || second[name] === value);
}

/** True where a rate wins wherever both of two equally specific ones match. */
function settles(third: RawRate, a: RawRate, b: RawRate): boolean {
  const both: JsonObject = { ...a.match, ...b.match };
  const dimensions = Object.entries(third.match ?? {});
  const isCloser = dimensions.length > Object.keys(a.match ?? {}).length;
  return isCloser && third.preview === a.preview && dimensions.every(([name, value]) => both[name] === value);
}

function build(raw: RawCatalog): Catalog {
  const forPurchases = firstBucket(raw, 'PURCHASED')?.key ?? '';
  const forPromotions = firstBucket(raw, 'PROMOTIONAL')?.key ?? '';
  return {
    buckets: raw.buckets,
    plans: raw.plans.map((item) => ({
      ...item,
      allowances: item.allowances.map(({ bucket: bucketKey, ...allowance }) => ({ bucketKey, ...allowance })),
      alerts: item.alerts.map(criterionOf),
    })),
    packages: raw.packages.map(({ bucket: bucketKey = forPurchases, ...item }): Package => ({ ...item, bucketKey })),
    promoCodes: raw.promoCodes.map(({ bucket: bucketKey = forPromotions, ...item }) => ({ ...item, bucketKey })),
    rates: raw.rates.map(buildRate),
    policies: raw.policies,
    ratesEffectiveAt: raw.ratesEffectiveAt,
  };
}

function criterionOf({ credits: threshold, percent }: RawCatalog['plans'][number]['alerts'][number]): AlertCriterion {
  if (threshold !== undefined) return { threshold, percent: null };
  return { threshold: null, percent: percent ?? 0 };
}

function buildRate({ credits: price, tiers = [], minimumCredits, roundTo, rounding, ...item }: RawRate): Rate {
  return {
    ...item,
    credits: price ?? tiers[0]?.credits ?? ZERO_DECIMAL,
    tiers,
    minimum: minimumCredits,
    rounding: { increment: roundTo, mode: rounding },
  };
}
