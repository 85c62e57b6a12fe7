/** What the keys and rates of a catalog must agree on beyond their shapes. */
import { isSameCriterion } from '../alerts/alert.ts';
import { canonicalJson, type JsonObject } from '../canonical.ts';
import { compareDecimals, decimalFromMicros, formatDecimal, ONE, toMicros, ZERO_DECIMAL } from '../credits/decimal.ts';
import { formatCredits } from '../credits/micros.ts';
import { groupBy } from '../group-by.ts';
import { isSameCap, operationKey } from '../limits/frequency-cap.ts';
import { PLAN_LIMIT_KEYS, type PlanLimit } from '../limits/plan-limit.ts';
import type { BucketKind } from '../wallet/bucket.ts';
import {
  criterionOf,
  firstBucket,
  type RawBucket,
  type RawCatalog,
  type RawPlan,
  type RawRate,
  type RawTier,
} from './catalog-schema.ts';
import type { Path, Problem } from './locate-problems.ts';

export function checkCatalog(raw: RawCatalog): Problem[] {
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

type BucketsByKey = ReadonlyMap<string, RawBucket>;

function checkAllowances({ allowances }: RawPlan, plan: number, buckets: BucketsByKey): Problem[] {
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
function checkLimits({ limits }: RawPlan, plan: number, operations: ReadonlySet<string>): Problem[] {
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

function checkTopUp({ topUp }: RawPlan, index: number, raw: RawCatalog): Problem[] {
  if (topUp === null || firstBucket(raw, 'PURCHASED')) return [];
  return [{ path: ['plans', index, 'topUp'], message: 'top-ups need a bucket of kind PURCHASED' }];
}

function checkAlerts({ alerts }: RawPlan, plan: number): Problem[] {
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
