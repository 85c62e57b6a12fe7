/** What callers say was used or is to be charged, read into the domain's terms. */

import type { JsonObject, JsonValue } from '../domain/canonical.ts';
import { type Decimal, formatDecimal, ONE } from '../domain/credits/decimal.ts';
import { formatCredits, type Micros } from '../domain/credits/micros.ts';
import { type InvalidInput, invalidInput } from '../domain/plain-refusals.ts';
import type { Charge, OveragePolicy } from '../domain/posting/commands.ts';
import type { Policies } from '../domain/posting/policies.ts';
import type { UsageQuantity } from '../domain/pricing/price.ts';
import {
  checkCeiling,
  checkDimensions,
  checkPositive,
  checkQuantity,
  checkText,
  firstProblem,
  isJsonObject,
} from './input-rules.ts';

export interface UsageInput {
  readonly meter: string;
  readonly quantity?: Decimal | null | undefined;
  readonly dimensions?: JsonValue | undefined;
  readonly preview?: boolean | null | undefined;
}

export interface ChargeInput {
  readonly amount?: Micros | null | undefined;
  readonly usage?: readonly UsageInput[] | null | undefined;
}

const MAX_LINES = 100;
const MAX_METER_CHARACTERS = 64;

/** Exactly one of `amount` and `usage`. */
export function chargeOf({ amount, usage }: ChargeInput, policies: Policies): Charge | InvalidInput {
  const hasAmount = amount !== null && amount !== undefined;
  const hasUsage = usage !== null && usage !== undefined;
  if (hasAmount && hasUsage) return invalidInput(['usage'], 'give either amount or usage, not both');
  if (hasAmount) {
    const problem = firstProblem(checkPositive(['amount'], amount), checkCeiling(['amount'], amount, policies));
    return problem ?? { kind: 'amount', amount };
  }
  if (!hasUsage) return invalidInput(['amount'], 'give either amount or usage');
  return checkUsageLines(usage) ?? { kind: 'usage', usage: usage.map(quantityOf) };
}

export function checkUsageLines(usage: readonly UsageInput[]): InvalidInput | null {
  if (usage.length === 0) return invalidInput(['usage'], 'must have at least one line');
  if (usage.length > MAX_LINES) return invalidInput(['usage'], `must have at most ${MAX_LINES} lines`);
  return firstProblem(...usage.map((line, index) => checkUsage(line, ['usage', String(index)])));
}

function checkUsage(line: UsageInput, path: readonly string[]): InvalidInput | null {
  return firstProblem(
    checkText([...path, 'meter'], line.meter, MAX_METER_CHARACTERS),
    line.quantity ? checkQuantity([...path, 'quantity'], line.quantity) : null,
    checkDimensions([...path, 'dimensions'], line.dimensions),
  );
}

export function quantityOf({ meter, quantity, dimensions, preview }: UsageInput): UsageQuantity {
  return { meter, quantity: quantity ?? ONE, dimensions: objectOrNull(dimensions), preview: preview ?? false };
}

/** A JSON object that has been checked to be one. */
export function objectOrNull(value: JsonValue | undefined): JsonObject | null {
  return value !== undefined && isJsonObject(value) ? value : null;
}

/** A charge as the payload of an idempotency key: spelling does not count. */
export function canonicalCharge(charge: Charge | null): JsonValue {
  if (charge === null) return null;
  if (charge.kind === 'amount') return formatCredits(charge.amount);
  return charge.usage.map(({ meter, quantity, dimensions, preview }) => ({
    meter,
    quantity: formatDecimal(quantity),
    dimensions,
    // Left out where it says nothing, as an absent input is.
    ...(preview ? { preview } : {}),
  }));
}

/** The policy as the payload of an idempotency key: the default says nothing. */
export const canonicalOverage = (overage: OveragePolicy): JsonObject => (overage === 'REJECT' ? {} : { overage });
