/**
 * One canonical text per value, so that hashes depend on meaning and not on spelling: netstrings ("5:hello") for fields,
 * sorted keys for objects, absent and null alike. A verifier in any language can rebuild it from the columns.
 */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | { readonly [key: string]: JsonValue };
export type JsonObject = { readonly [key: string]: JsonValue };

/** A field with its length in UTF-8 bytes before it; "-" where there is no value. */
export function netstring(value: string | null): string {
  return value === null ? '-' : `${Buffer.byteLength(value)}:${value}`;
}

/** JSON with keys sorted by code unit, nulls inside objects dropped, and numbers as JavaScript writes them. */
export function canonicalJson(value: JsonValue): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  let pairs = '';
  for (const key of Object.keys(value).sort()) {
    const member = value[key];
    if (member === null || member === undefined) continue;
    pairs += `${pairs === '' ? '' : ','}${JSON.stringify(key)}:${canonicalJson(member)}`;
  }
  return `{${pairs}}`;
}

/** Metadata as its number of pairs and sorted, length-prefixed keys and values. */
export function canonicalPairs(metadata: JsonObject | null): string {
  if (metadata === null) return netstring(null);
  const keys = Object.keys(metadata).sort();
  return `${keys.length}[${keys.map((key) => netstring(key) + netstring(canonicalJson(metadata[key] ?? null))).join('')}]`;
}

function isArray(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}
