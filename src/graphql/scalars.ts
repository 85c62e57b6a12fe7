/**
 * Scalars. Each refuses what it cannot represent exactly; the GraphQL error names the field. Amounts are strings on the
 * way out, so that no client's number type rounds them.
 */
import { GraphQLError, Kind, type ValueNode, valueFromASTUntyped } from 'graphql';
import type { JsonValue } from '../domain/canonical.ts';
import { type Decimal, formatDecimal, parseDecimal } from '../domain/credits/decimal.ts';
import { formatCredits, type Micros, micros, parseCredits } from '../domain/credits/micros.ts';
import { parseYearMonth, type YearMonth } from '../domain/statements/year-month.ts';
import { type Instant, parseInstant } from '../domain/time/instant.ts';
import { builder } from './builder.ts';
import { badUserInput } from './errors.ts';

/** Reads exact numbers: strings and integers. A float has lost its digits before we see it. */
function exactText(value: unknown): string | null {
  if (typeof value === 'string') return value;
  return typeof value === 'number' && Number.isSafeInteger(value) ? value.toString() : null;
}

function exactLiteral(node: ValueNode): string | null {
  return node.kind === Kind.STRING || node.kind === Kind.INT ? node.value : null;
}

function orRefuse<T>(value: T | undefined | null, expected: string, node?: ValueNode): T {
  if (value !== undefined && value !== null) return value;
  throw badUserInput(expected, node ? { nodes: node } : undefined);
}

const CREDITS_EXPECTED =
  'Credits must be an exact decimal with at most 6 fraction digits, as a string or an integer, like "12.5".';
const DECIMAL_EXPECTED =
  'Decimal must be exact, with at most 24 integer and 18 fraction digits, as a string or an integer, like "0.05".';
const DATE_TIME_EXPECTED = 'DateTime must be RFC 3339 with an offset, like "2026-11-21T07:30:00Z".';
const YEAR_MONTH_EXPECTED = 'YearMonth must be a year and a month, like "2026-11".';
const LONG_EXPECTED = 'Long must be an integer between −(2^53 − 1) and 2^53 − 1.';

builder.scalarType('Credits', {
  description:
    'An exact amount of credits: a decimal with at most 6 fraction digits, written as a string without trailing zeros ("450", "0.125"). Inputs are strings or integer literals; floats, exponents, NaN and hexadecimal are refused. Signed only where a field says so.',
  serialize: (value) => formatCredits(typeof value === 'bigint' ? micros(value) : value),
  parseValue: (value) => orRefuse(readCredits(exactText(value)), CREDITS_EXPECTED),
  parseLiteral: (node) => orRefuse(readCredits(exactLiteral(node)), CREDITS_EXPECTED, node),
});

builder.scalarType('Decimal', {
  description:
    'An exact decimal, for quantities and rates, written as a string ("0.0005"). Inputs are strings or integer literals of at most 24 integer and 18 fraction digits; rates and sums have as many as it takes.',
  serialize: (value) => formatDecimal(value),
  parseValue: (value) => orRefuse(readDecimal(exactText(value)), DECIMAL_EXPECTED),
  parseLiteral: (node) => orRefuse(readDecimal(exactLiteral(node)), DECIMAL_EXPECTED, node),
});

builder.scalarType('DateTime', {
  description: 'An instant: RFC 3339, in UTC on the way out, with millisecond precision ("2026-11-21T07:30:00.000Z").',
  serialize: (value) => (typeof value === 'number' ? new Date(value) : value).toISOString(),
  parseValue: (value) => orRefuse(readInstant(value), DATE_TIME_EXPECTED),
  parseLiteral: (node) =>
    orRefuse(readInstant(node.kind === Kind.STRING ? node.value : null), DATE_TIME_EXPECTED, node),
});

builder.scalarType('Long', {
  description: 'An integer of up to 2^53 − 1 in magnitude, a JSON number.',
  serialize: (value) => {
    const number = Number(value);
    if (!Number.isSafeInteger(number)) throw new GraphQLError('a Long left its range');
    return number;
  },
  parseValue: (value) => orRefuse(typeof value === 'number' ? readLong(value) : null, LONG_EXPECTED),
  parseLiteral: (node) => orRefuse(node.kind === Kind.INT ? readLong(Number(node.value)) : null, LONG_EXPECTED, node),
});

builder.scalarType('YearMonth', {
  description: 'A calendar month: four digits of the year, a hyphen and two digits of the month ("2026-11").',
  serialize: (value) => value,
  parseValue: (value) => orRefuse(readYearMonth(value), YEAR_MONTH_EXPECTED),
  parseLiteral: (node) =>
    orRefuse(readYearMonth(node.kind === Kind.STRING ? node.value : null), YEAR_MONTH_EXPECTED, node),
});

builder.scalarType('JSON', {
  description: 'Any JSON value. Used for metadata and dimensions only, which are objects of at most 16,384 characters.',
  serialize: (value) => value,
  parseValue: (value) => value as JsonValue,
  parseLiteral: (node, variables) => valueFromASTUntyped(node, variables) as JsonValue,
});

const readCredits = (text: string | null): Micros | undefined => (text === null ? undefined : parseCredits(text));
const readDecimal = (text: string | null): Decimal | undefined => (text === null ? undefined : parseDecimal(text));
const readLong = (value: number): bigint | null => (Number.isSafeInteger(value) ? BigInt(value) : null);

const readInstant = (value: unknown): Instant | undefined =>
  typeof value === 'string' ? parseInstant(value) : undefined;

const readYearMonth = (value: unknown): YearMonth | undefined =>
  typeof value === 'string' ? parseYearMonth(value) : undefined;
