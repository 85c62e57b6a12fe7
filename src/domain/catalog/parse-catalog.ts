/**
 * Reads a catalog from YAML. Numbers are taken as written, never through a float, and every problem is reported with the
 * line it stands on.
 */
import { type Document, isScalar, LineCounter, parseDocument, visit } from 'yaml';
import type { z } from 'zod';
import { ZERO_DECIMAL } from '../credits/decimal.ts';
import type { Rate } from '../pricing/rate-card.ts';
import type { Package } from '../purchases/package.ts';
import { isStorableText } from '../storable-text.ts';
import type { Catalog } from './catalog.ts';
import { catalogDocument, criterionOf, firstBucket, type RawCatalog, type RawRate } from './catalog-schema.ts';
import { checkCatalog } from './check-catalog.ts';
import { type CatalogProblem, located, type Path, type Problem } from './locate-problems.ts';

export type ParsedCatalog =
  | {
      readonly ok: true;
      readonly catalog: Catalog;
      /** A problem that is found later, with the line of what it is about: ["buckets", 0, "kind"]. */
      readonly problemAt: (path: Path, message: string) => CatalogProblem;
    }
  | { readonly ok: false; readonly problems: readonly CatalogProblem[] };

/** The largest catalogs have thousands of rates of a hundred characters each. */
const MAX_CHARACTERS = 1_000_000;

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
  const shaped = catalogDocument.safeParse(parsed.toJS() ?? {});
  const problems: readonly Problem[] = shaped.success
    ? checkCatalog(shaped.data)
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

function buildRate({ credits: price, tiers = [], minimumCredits, roundTo, rounding, ...item }: RawRate): Rate {
  return {
    ...item,
    credits: price ?? tiers[0]?.credits ?? ZERO_DECIMAL,
    tiers,
    minimum: minimumCredits,
    rounding: { increment: roundTo, mode: rounding },
  };
}
