/**
 * Charges an organization for work done, by an amount or by metered usage.
 *
 * Refusals: InvalidInput, NotFound (organization, project, user), IdempotencyKeyReused, WalletFrozen, UnknownMeter,
 * SubscriptionRequired, InsufficientCredits. Throws Forbidden, and the engine's faults.
 */
import { type Decimal, formatDecimal, ONE } from '../domain/credits/decimal.ts';
import { formatCredits, type Micros } from '../domain/credits/micros.ts';
import { actorOf, type SignedInCaller, type Tenant } from '../domain/identity/caller.ts';
import type { JsonObject, JsonValue } from '../domain/ledger/canonical.ts';
import type { Attribution, Charge, DebitCommand } from '../domain/posting/commands.ts';
import type { Policies } from '../domain/posting/decide-batch.ts';
import { requestHash } from '../domain/posting/request-hash.ts';
import type { UsageQuantity } from '../domain/pricing/price.ts';
import { type InvalidInput, invalidInput, isRefusal, type Refusal } from '../domain/refusals.ts';
import { formatInstant, type Instant } from '../domain/time/instant.ts';
import { type AttributionInput, AttributionResolver, checkAttribution } from './attribution.ts';
import { tenantFor } from './authorize.ts';
import {
  checkCeiling,
  checkDimensions,
  checkIdempotencyKey,
  checkJsonObject,
  checkPositive,
  checkQuantity,
  checkReasonCode,
  checkText,
  firstProblem,
  isJsonObject,
} from './input-rules.ts';
import { type Answered, answerOf } from './outcome.ts';
import type { Services } from './services.ts';

export interface UsageInput {
  readonly meter: string;
  readonly quantity?: Decimal | null | undefined;
  readonly dimensions?: JsonValue | undefined;
  readonly preview?: boolean | null | undefined;
}

export interface DebitInput extends AttributionInput {
  readonly organizationId?: string | null | undefined;
  readonly idempotencyKey: string;
  readonly amount?: Micros | null | undefined;
  readonly usage?: readonly UsageInput[] | null | undefined;
  readonly reasonCode?: string | null | undefined;
  readonly description?: string | null | undefined;
  readonly occurredAt?: Instant | null | undefined;
  readonly metadata?: JsonValue | undefined;
}

const MAX_LINES = 100;
const MAX_DESCRIPTION_CHARACTERS = 500;
const MAX_METER_CHARACTERS = 64;
const DEFAULT_REASON_CODE = 'USAGE';

export async function debit(
  services: Services,
  caller: SignedInCaller,
  input: DebitInput,
): Promise<Answered | Refusal> {
  const charge = chargeOf(input, services.catalogs.policies);
  const problem = checkDebit(input);
  if (problem) return problem;
  if (isRefusal(charge)) return charge;
  const tenant = await tenantFor(services, caller, 'usage:write', input.organizationId);
  if (isRefusal(tenant)) return tenant;
  const attribution = await new AttributionResolver(services, caller).resolve(tenant, input);
  if (isRefusal(attribution)) return attribution;
  const command = debitCommand('debit', { caller, tenant, attribution, charge, input });
  return answerOf(services, tenant, await services.engine.execute(command));
}

/** Everything about a debit's input that can be refused without looking anything up. */
export function checkDebit(input: DebitInput): InvalidInput | null {
  return firstProblem(
    checkIdempotencyKey(input.idempotencyKey),
    checkReasonCode(input.reasonCode),
    checkText(['description'], input.description, MAX_DESCRIPTION_CHARACTERS),
    checkAttribution(input),
    checkJsonObject(['metadata'], input.metadata),
  );
}

/** Exactly one of `amount` and `usage`. */
export function chargeOf(
  { amount, usage }: Pick<DebitInput, 'amount' | 'usage'>,
  policies: Policies,
): Charge | InvalidInput {
  const hasAmount = amount !== null && amount !== undefined;
  const hasUsage = usage !== null && usage !== undefined;
  if (hasAmount && hasUsage) return invalidInput(['usage'], 'give either amount or usage, not both');
  if (hasAmount) {
    const problem = firstProblem(checkPositive(['amount'], amount), checkCeiling(['amount'], amount, policies));
    return problem ?? { kind: 'amount', amount };
  }
  if (!hasUsage) return invalidInput(['amount'], 'give either amount or usage');
  if (usage.length === 0) return invalidInput(['usage'], 'must have at least one line');
  if (usage.length > MAX_LINES) return invalidInput(['usage'], `must have at most ${MAX_LINES} lines`);
  const problem = firstProblem(...usage.map((line, index) => checkUsage(line, ['usage', String(index)])));
  return problem ?? { kind: 'usage', usage: usage.map(quantityOf) };
}

export function checkUsage(line: UsageInput, path: readonly string[]): InvalidInput | null {
  return firstProblem(
    checkText([...path, 'meter'], line.meter, MAX_METER_CHARACTERS),
    line.quantity ? checkQuantity([...path, 'quantity'], line.quantity) : null,
    checkDimensions([...path, 'dimensions'], line.dimensions),
  );
}

export function quantityOf({ meter, quantity, dimensions, preview }: UsageInput): UsageQuantity {
  const given = dimensions !== undefined && isJsonObject(dimensions ?? null) ? (dimensions as JsonObject) : null;
  return { meter, quantity: quantity ?? ONE, dimensions: given, preview: preview ?? false };
}

interface DebitParts {
  readonly caller: SignedInCaller;
  readonly tenant: Tenant;
  readonly attribution: Attribution;
  readonly charge: Charge;
  readonly input: DebitInput;
}

/** The engine's command; `operation` separates the keys of debits from those of ingested events. */
export function debitCommand(
  operation: string,
  { caller, tenant, attribution, charge, input }: DebitParts,
): DebitCommand {
  const reasonCode = input.reasonCode ?? DEFAULT_REASON_CODE;
  const metadata =
    input.metadata !== undefined && isJsonObject(input.metadata ?? null) ? (input.metadata as JsonObject) : null;
  const occurredAt = input.occurredAt ?? null;
  const description = input.description ?? null;
  return {
    kind: 'debit',
    ...tenant,
    actor: actorOf(caller),
    idempotencyKey: input.idempotencyKey,
    requestHash: requestHash(operation, tenant.organizationId, {
      charge: canonicalCharge(charge),
      reasonCode,
      description,
      metadata,
      occurredAt: occurredAt === null ? null : formatInstant(occurredAt),
      ...attribution,
    }),
    charge,
    reasonCode,
    description,
    attribution,
    occurredAt,
    metadata,
  };
}

/** A line that is no preview says nothing about it: absent and false are one payload. */
function canonicalCharge(charge: Charge): JsonValue {
  if (charge.kind === 'amount') return formatCredits(charge.amount);
  return charge.usage.map(({ meter, quantity, dimensions, preview }) => ({
    meter,
    quantity: formatDecimal(quantity),
    dimensions,
    preview: preview || null,
  }));
}
