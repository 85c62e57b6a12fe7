/**
 * What differs between two catalogs, value by value. They are compared as parsed: spelling, comments and the order of
 * items that are known by a key do not count. A field that is added to the catalog appears here by itself.
 */

import { canonicalJson, type JsonObject } from '../canonical.ts';
import { type Decimal, formatDecimal } from '../credits/decimal.ts';
import { formatCredits, micros } from '../credits/micros.ts';
import { formatInstant, type Instant } from '../time/instant.ts';
import type { Catalog } from './catalog.ts';

export interface CatalogChange {
  /** By keys: `plans.free.price.amountMinor`, `rates.scrape{"render_js":true}.credits`. */
  readonly path: string;
  /** As people write it; null where there was none. */
  readonly before: string | null;
  /** Null where there is none any more. */
  readonly after: string | null;
}

/** One change per value that differs, sorted by path. Null stands for no catalog at all. */
export function diffCatalogs(before: Catalog | null, after: Catalog | null): CatalogChange[] {
  const [old, young] = [valuesOf(before), valuesOf(after)];
  const places = [...new Set([...old.keys(), ...young.keys()])].sort();
  return places.flatMap((place): CatalogChange[] => {
    const [was, is] = [old.get(place), young.get(place)];
    const path = (is ?? was)?.path.join('.') ?? '';
    return was?.text === is?.text ? [] : [{ path, before: was?.text ?? null, after: is?.text ?? null }];
  });
}

interface Value {
  readonly path: readonly string[];
  readonly text: string;
}

/** The values by their place. Keys may hold dots, so that a place is not told by the path as it is written. */
function valuesOf(catalog: Catalog | null): ReadonlyMap<string, Value> {
  const values = flatten(catalog, []);
  return new Map(values.map((value) => [value.path.join('\0'), value]));
}

/** Nothing, an empty list and an empty object are all nothing. */
function flatten(value: unknown, path: readonly string[]): Value[] {
  if (value === null || value === undefined) return [];
  if (Array.isArray(value)) return flattenList(value, path);
  if (!isObject(value)) return [{ path, text: textOf(value, path.at(-1) ?? '') }];
  if (isDecimal(value)) return [{ path, text: formatDecimal(value) }];
  return Object.entries(value).flatMap(([name, member]) => flatten(member, [...path, WRITTEN_AS[name] ?? name]));
}

/** Fields that are called otherwise in YAML. */
const WRITTEN_AS: Readonly<Record<string, string>> = { bucketKey: 'bucket', threshold: 'credits' };

function flattenList(list: readonly unknown[], path: readonly string[]): Value[] {
  if (list.length === 0) return [];
  // A list of texts is one value: its order is what people see.
  if (!list.some(isObject)) return [{ path, text: JSON.stringify(list) }];
  return list.flatMap((item, index) => {
    const { name, rest } = isObject(item) ? identify(item) : { name: null, rest: item };
    return flatten(rest, [...path, name ?? String(index + 1)]);
  });
}

interface Identified {
  /** Null for an item that is known by its place in the list only, like a tier. */
  readonly name: string | null;
  /** What is not part of the name. */
  readonly rest: Readonly<Record<string, unknown>>;
}

/** Items are known by their key, frequency caps by key and window, rates by what they match, promo codes by their code, allowances by their bucket, alerts by their threshold. */
function identify(item: Readonly<Record<string, unknown>>): Identified {
  if (typeof item.key === 'string') {
    const { key, window, ...rest } = item;
    return { name: typeof window === 'string' ? `${key}(${window})` : key, rest };
  }
  if (typeof item.meter === 'string') {
    const { meter, match, preview = false, ...rest } = item;
    const dimensions = canonicalJson((match ?? {}) as JsonObject);
    return { name: `${meter}${dimensions === '{}' ? '' : dimensions}${preview === true ? '(preview)' : ''}`, rest };
  }
  if (typeof item.code === 'string') {
    const { code, ...rest } = item;
    return { name: code, rest };
  }
  if (typeof item.bucketKey === 'string') {
    const { bucketKey, ...rest } = item;
    return { name: bucketKey, rest };
  }
  if ('threshold' in item && 'percent' in item) {
    const { threshold, percent } = item;
    return { name: typeof threshold === 'bigint' ? textOf(threshold, '') : `${percent}%`, rest: item };
  }
  return { name: null, rest: item };
}

/** The unit of an amount stands at the end of its name: minor units of money, else credits. Instants end in "At". */
function textOf(value: unknown, name: string): string {
  if (typeof value === 'bigint') return name.endsWith('Minor') ? value.toString() : formatCredits(micros(value));
  if (typeof value === 'number' && name.endsWith('At')) return formatInstant(value as Instant);
  return String(value);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function isDecimal(value: Readonly<Record<string, unknown>>): value is Readonly<Record<string, unknown>> & Decimal {
  return typeof value.coefficient === 'bigint' && typeof value.scale === 'number';
}
