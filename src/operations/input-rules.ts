/**
 * The form of inputs that several operations share. Each rule answers the refusal that names the field, or null. What is
 * checked here holds at any time; what depends on the books or the clock is decided by the posting engine.
 */

import type { JsonObject, JsonValue } from '../domain/canonical.ts';
import type { Decimal } from '../domain/credits/decimal.ts';
import { formatCredits, type Micros, ZERO } from '../domain/credits/micros.ts';
import { hasReasonCodeForm, isSystemReasonCode } from '../domain/ledger/reason-code.ts';
import { type InvalidInput, invalidInput } from '../domain/plain-refusals.ts';
import type { Policies } from '../domain/posting/policies.ts';
import { isStorableText } from '../domain/storable-text.ts';
import { isTimeZone } from '../domain/time/calendar.ts';

type Path = readonly string[];

const MAX_KEY_CHARACTERS = 255;
/** Longer than any text that has a bound here. */
const MAX_COUNTED_CHARACTERS = 2_000;
const MAX_JSON_CHARACTERS = 16_384;
const MAX_JSON_DEPTH = 8;
const MAX_JSON_KEYS = 100;
/** Returns the first refusal among the checks. */
export function firstProblem(...checks: readonly (InvalidInput | null)[]): InvalidInput | null {
  return checks.find((check) => check !== null) ?? null;
}

/** Code points, as PostgreSQL counts them; hopelessly long text is not counted out. */
function characters(text: string): number {
  return text.length > 2 * MAX_COUNTED_CHARACTERS ? text.length : [...text].length;
}

/** A zone of the IANA database. */
export function checkTimeZone(name: string | null | undefined): InvalidInput | null {
  if (name === null || name === undefined || isTimeZone(name)) return null;
  return invalidInput(['timeZone'], 'must be an IANA time zone like Europe/Berlin');
}

export function checkText(path: Path, text: string | null | undefined, maxCharacters: number): InvalidInput | null {
  if (text === null || text === undefined) return null;
  if (text.length === 0) return invalidInput(path, 'must not be empty');
  if (characters(text) > maxCharacters) return invalidInput(path, `must have at most ${maxCharacters} characters`);
  return isStorableText(text) ? null : invalidInput(path, 'must be valid text without NUL');
}

export function checkIdempotencyKey(key: string, path: Path = ['idempotencyKey']): InvalidInput | null {
  return checkText(path, key, MAX_KEY_CHARACTERS);
}

export function checkPositive(path: Path, amount: Micros): InvalidInput | null {
  return amount > ZERO ? null : invalidInput(path, 'must be more than 0');
}

/** No single command moves more than the catalog's ceiling. */
export function checkCeiling(path: Path, amount: Micros, { commandCeiling }: Policies): InvalidInput | null {
  if (amount <= commandCeiling) return null;
  return invalidInput(path, `is more than the ${formatCredits(commandCeiling)} credits that one command may move`);
}

/** More seconds than any catalog allows; what a hold may really last is decided with the catalog's policy. */
const MAX_LIFETIME_SECONDS = 31_536_000;

export function checkLifetime(seconds: number | null | undefined): InvalidInput | null {
  if (seconds === null || seconds === undefined) return null;
  const path = ['expiresInSeconds'];
  if (seconds < 1) return invalidInput(path, 'must be at least 1');
  return seconds > MAX_LIFETIME_SECONDS ? invalidInput(path, `must be at most ${MAX_LIFETIME_SECONDS}`) : null;
}

export function checkQuantity(path: Path, quantity: Decimal): InvalidInput | null {
  return quantity.coefficient < 0n ? invalidInput(path, 'must not be negative') : null;
}

export function checkReasonCode(reasonCode: string | null | undefined): InvalidInput | null {
  if (reasonCode === null || reasonCode === undefined) return null;
  if (!hasReasonCodeForm(reasonCode)) {
    return invalidInput(['reasonCode'], 'must be a letter and up to 63 letters, digits and _ . : -');
  }
  return isSystemReasonCode(reasonCode) ? invalidInput(['reasonCode'], 'is a reason code of the system') : null;
}

/** Metadata and dimensions: a JSON object of bounded size and depth whose text PostgreSQL can store. */
export function checkJsonObject(path: Path, value: JsonValue | undefined): InvalidInput | null {
  if (value === null || value === undefined) return null;
  if (!isJsonObject(value)) return invalidInput(path, 'must be a JSON object');
  if (Object.keys(value).length > MAX_JSON_KEYS) return invalidInput(path, `must have at most ${MAX_JSON_KEYS} keys`);
  if (!isShallow(value, MAX_JSON_DEPTH)) return invalidInput(path, `must be at most ${MAX_JSON_DEPTH} levels deep`);
  if (!hasFiniteNumbers(value)) return invalidInput(path, 'must hold numbers that JSON can write');
  const text = JSON.stringify(value);
  if (text.length > MAX_JSON_CHARACTERS) {
    return invalidInput(path, `must have at most ${MAX_JSON_CHARACTERS} characters as JSON`);
  }
  // JSON.stringify writes NUL and lone surrogates as escapes, which PostgreSQL's jsonb refuses.
  return /\\u0000|\\ud[89a-f]/i.test(text.replaceAll('\\\\', ''))
    ? invalidInput(path, 'must hold valid text without NUL')
    : null;
}

/** Reports group by these dimensions; the database keeps their values in a key, whose size it bounds. */
const REPORTED_DIMENSIONS = ['model', 'modality', 'operation'];
const MAX_REPORTED_CHARACTERS = 128;

/** Dimensions are matched by value: text, numbers and booleans. */
export function checkDimensions(path: Path, value: JsonValue | undefined): InvalidInput | null {
  const problem = checkJsonObject(path, value);
  if (problem || value === null || value === undefined || !isJsonObject(value)) return problem;
  const nested = Object.entries(value).find(([, member]) => typeof member === 'object');
  if (nested) return invalidInput([...path, nested[0]], 'must be text, a number or a boolean');
  const isLong = (name: string) => typeof value[name] === 'string' && characters(value[name]) > MAX_REPORTED_CHARACTERS;
  const long = REPORTED_DIMENSIONS.find((name) => Object.hasOwn(value, name) && isLong(name));
  return long === undefined
    ? null
    : invalidInput([...path, long], `must have at most ${MAX_REPORTED_CHARACTERS} characters`);
}

export function isJsonObject(value: JsonValue): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A number like 1e400 has become infinite before we see it, and JSON would write null. */
function hasFiniteNumbers(value: JsonValue): boolean {
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'object' || value === null) return true;
  return Object.values(value).every((member: JsonValue) => hasFiniteNumbers(member));
}

function isShallow(value: JsonValue, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (levels === 0) return false;
  return Object.values(value).every((member: JsonValue) => isShallow(member, levels - 1));
}
