/**
 * Reads a catalog from YAML. Numbers are taken as written, never through a float, and every problem is reported with the
 * line it stands on.
 */
import { type Document, isMap, isScalar, LineCounter, parseDocument, visit } from 'yaml';
import { z } from 'zod';
import { type Decimal, parseDecimal } from '../credits/decimal.ts';
import { type Micros, parseCredits, ZERO } from '../credits/micros.ts';
import { canonicalJson } from '../ledger/canonical.ts';
import type { Rate } from '../pricing/rate-card.ts';
import type { Catalog, Package } from './catalog.ts';

export interface CatalogProblem {
  /** 1-based line of the file. */
  readonly line: number;
  /** Where in the document: "plans.0.price". */
  readonly path: string;
  readonly message: string;
}

export type ParsedCatalog =
  | { readonly ok: true; readonly catalog: Catalog }
  | { readonly ok: false; readonly problems: readonly CatalogProblem[] };

export function formatProblem({ line, path, message }: CatalogProblem): string {
  return `line ${line}: ${path === '' ? '' : `${path}: `}${message}`;
}

const key = z.string().regex(/^[a-z][a-z0-9_.-]{0,62}$/, 'must be a key: a letter, then up to 62 of a–z 0–9 _ . -');
const label = z.string().min(1, 'must not be empty').max(200);
const wholeNumber = z
  .string()
  .regex(/^\d{1,9}$/, 'must be a whole number')
  .transform(Number);
const minorUnits = z
  .string()
  .regex(/^\d{1,15}$/, 'must be a whole number of minor units, not negative')
  .transform(BigInt);

const credits = z.string().transform((text, context): Micros => {
  const amount = parseCredits(text);
  if (amount !== undefined && amount >= ZERO) return amount;
  context.addIssue({ code: 'custom', message: 'must be credits: not negative, at most 6 fraction digits' });
  return z.NEVER;
});

const decimal = z.string().transform((text, context): Decimal => {
  const value = parseDecimal(text);
  if (value !== undefined && value.coefficient >= 0n) return value;
  context.addIssue({ code: 'custom', message: 'must be a decimal: not negative, at most 18 fraction digits' });
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
  expiresAfterDays: wholeNumber.nullable().default(null),
});

const plan = z.strictObject({
  key,
  name: label,
  description: z.string().max(2_000).nullable().default(null),
  price: money,
  interval: z.enum(['MONTH', 'YEAR']).default('MONTH'),
  trialDays: wholeNumber.default(0),
  allowances: z
    .array(z.strictObject({ bucket: key, interval: z.enum(['DAY', 'MONTH']), credits }))
    .max(20)
    .default([]),
  features: z.array(label).max(100).default([]),
});

const offer = z.strictObject({
  key,
  name: label,
  price: money,
  credits: credits.refine((amount) => amount > ZERO, 'must be more than 0'),
  bonusCredits: credits.default(ZERO),
  bucket: key.optional(),
  expiresAfterDays: wholeNumber.nullable().default(null),
});

const rate = z.strictObject({
  meter: key,
  description: z.string().max(2_000).nullable().default(null),
  unit: label,
  shape: z.enum(['FLAT', 'PER_UNIT']).default('PER_UNIT'),
  match: z.record(z.string().min(1).max(64), dimensionValue).nullable().default(null),
  credits: decimal,
  per: decimal.refine((value) => value.coefficient > 0n, 'must be more than 0').default({ coefficient: 1n, scale: 0 }),
});

const document = z.strictObject({
  buckets: z.array(bucket).min(1, 'a catalog needs at least one bucket').max(50),
  plans: z.array(plan).max(100).default([]),
  packages: z.array(offer).max(200).default([]),
  rates: z.array(rate).max(5_000).default([]),
  policies: z
    .strictObject({
      commandCeiling: credits.refine((amount) => amount > ZERO, 'must be more than 0'),
      latenessDays: wholeNumber,
    })
    .partial()
    .default({}),
});

type RawCatalog = z.output<typeof document>;
type Path = readonly PropertyKey[];
type Problem = { readonly path: Path; readonly message: string };

const DEFAULT_COMMAND_CEILING = parseCredits('1000000000') ?? ZERO;
const DEFAULT_LATENESS_DAYS = 7;

export function parseCatalog(yaml: string): ParsedCatalog {
  const lines = new LineCounter();
  const parsed = parseDocument(yaml, { lineCounter: lines, uniqueKeys: true });
  const [fault] = parsed.errors;
  if (fault) {
    const [message = fault.message] = fault.message.split('\n');
    return { ok: false, problems: [{ line: lines.linePos(fault.pos[0]).line, path: '', message }] };
  }
  keepNumbersAsWritten(parsed);
  const shaped = document.safeParse(parsed.toJS({ maxAliasCount: 100 }) ?? {});
  const problems: readonly Problem[] = shaped.success ? checkReferences(shaped.data) : shaped.error.issues;
  if (!shaped.success || problems.length > 0) {
    return { ok: false, problems: problems.map((problem) => located(problem, parsed, lines)) };
  }
  return { ok: true, catalog: build(shaped.data) };
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
  for (let length = path.length; length >= 0; length--) {
    const node = length === 0 ? parsed.contents : parsed.getIn(path.slice(0, length), true);
    const range = isScalar(node) || isMap(node) ? node.range : (node as { range?: [number] } | undefined)?.range;
    if (range) return { line: lines.linePos(range[0]).line, path: path.map(String).join('.'), message };
  }
  return { line: 1, path: path.map(String).join('.'), message };
}

function checkReferences(raw: RawCatalog): Problem[] {
  const bucketsByKey = new Map(raw.buckets.map((item) => [item.key, item]));
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
      raw.rates.map((item) => `${item.meter} ${canonicalJson(item.match ?? {})}`),
      'rates',
    ),
    ...raw.plans.flatMap((item, index) => checkAllowances(item, index, bucketsByKey)),
    ...raw.packages.flatMap((item, index) => checkOffer(item, index, raw, bucketsByKey)),
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

const purchasedBucket = (raw: RawCatalog) => raw.buckets.find((item) => item.kind === 'PURCHASED');

function checkOffer(
  item: RawCatalog['packages'][number],
  index: number,
  raw: RawCatalog,
  buckets: BucketsByKey,
): Problem[] {
  const target = item.bucket === undefined ? purchasedBucket(raw) : buckets.get(item.bucket);
  if (target?.kind === 'PURCHASED') return [];
  return [{ path: ['packages', index], message: 'packages need a bucket of kind PURCHASED' }];
}

function build(raw: RawCatalog): Catalog {
  const defaultBucket = purchasedBucket(raw)?.key ?? '';
  return {
    buckets: raw.buckets,
    plans: raw.plans.map((item) => ({
      ...item,
      allowances: item.allowances.map(({ bucket: bucketKey, ...allowance }) => ({ bucketKey, ...allowance })),
    })),
    packages: raw.packages.map(({ bucket: bucketKey = defaultBucket, ...item }): Package => ({ ...item, bucketKey })),
    rates: raw.rates satisfies Rate[],
    policies: {
      commandCeiling: raw.policies.commandCeiling ?? DEFAULT_COMMAND_CEILING,
      latenessDays: raw.policies.latenessDays ?? DEFAULT_LATENESS_DAYS,
    },
  };
}
