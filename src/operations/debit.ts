/**
 * Charges an organization for work done, by an amount or by metered usage.
 *
 * Refusals: InvalidInput, NotFound (organization, project, user), IdempotencyKeyReused, WalletFrozen, UnknownMeter,
 * SubscriptionRequired, PlanLimitReached (a frequency cap), SpendLimitReached, AllocationExhausted, InsufficientCredits.
 * Throws Forbidden, and the engine's faults.
 */

import type { Attribution } from '../domain/attribution.ts';
import type { JsonValue } from '../domain/canonical.ts';
import { actorOf, type SignedInCaller, type Tenant } from '../domain/identity/caller.ts';
import { callerReasonCode } from '../domain/ledger/reason-code.ts';
import type { InvalidInput } from '../domain/plain-refusals.ts';
import type { Charge, DebitCommand, OveragePolicy } from '../domain/posting/commands.ts';
import { requestHash } from '../domain/posting/request-hash.ts';
import { isRefusal, type Refusal } from '../domain/refusals.ts';
import { formatInstant, type Instant } from '../domain/time/instant.ts';
import { type AttributionInput, AttributionResolver, checkAttribution } from './attribution.ts';
import { tenantFor } from './authorize.ts';
import { checkIdempotencyKey, checkJsonObject, checkReasonCode, checkText, firstProblem } from './input-rules.ts';
import { type Answered, answerOf } from './outcome.ts';
import type { Services } from './services.ts';
import { type ChargeInput, canonicalCharge, canonicalOverage, chargeOf, objectOrNull } from './usage-input.ts';

export interface DebitInput extends AttributionInput, ChargeInput {
  readonly organizationId?: string | null | undefined;
  readonly idempotencyKey: string;
  readonly overage?: OveragePolicy | null | undefined;
  readonly reasonCode?: string | null | undefined;
  readonly description?: string | null | undefined;
  readonly occurredAt?: Instant | null | undefined;
  readonly metadata?: JsonValue | undefined;
}

const MAX_DESCRIPTION_CHARACTERS = 500;

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
export function checkDebit(input: Omit<DebitInput, keyof ChargeInput>): InvalidInput | null {
  return firstProblem(
    checkIdempotencyKey(input.idempotencyKey),
    checkReasonCode(input.reasonCode),
    checkText(['description'], input.description, MAX_DESCRIPTION_CHARACTERS),
    checkAttribution(input),
    checkJsonObject(['metadata'], input.metadata),
  );
}

interface DebitParts {
  readonly caller: SignedInCaller;
  readonly tenant: Tenant;
  readonly attribution: Attribution;
  readonly charge: Charge;
  readonly input: Omit<DebitInput, keyof ChargeInput>;
}

/** The engine's command; `operation` separates the keys of debits from those of ingested events. */
export function debitCommand(
  operation: string,
  { caller, tenant, attribution, charge, input }: DebitParts,
): DebitCommand {
  const reasonCode = typeof input.reasonCode === 'string' ? callerReasonCode(input.reasonCode) : 'USAGE';
  const overage = input.overage ?? 'REJECT';
  const metadata = objectOrNull(input.metadata);
  const occurredAt = input.occurredAt ?? null;
  const description = input.description ?? null;
  return {
    kind: 'debit',
    actor: actorOf(caller),
    idempotencyKey: input.idempotencyKey,
    requestHash: requestHash(operation, tenant.organizationId, {
      charge: canonicalCharge(charge),
      reasonCode,
      description,
      metadata,
      occurredAt: occurredAt === null ? null : formatInstant(occurredAt),
      ...canonicalOverage(overage),
      ...attribution,
    }),
    charge,
    overage,
    reasonCode,
    description,
    attribution,
    occurredAt,
    metadata,
    ...tenant,
  };
}
