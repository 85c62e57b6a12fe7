/**
 * Charges what was really used out of a hold, and releases the rest unless more captures follow.
 *
 * Refusals: InvalidInput, NotFound (hold), IdempotencyKeyReused, WalletFrozen, HoldNotOpen, UnknownMeter,
 * CaptureExceedsHold, InsufficientCredits. Throws Forbidden, and the engine's faults.
 */
import { actorOf, type SignedInCaller } from '../domain/identity/caller.ts';
import type { InvalidInput } from '../domain/plain-refusals.ts';
import type { Charge, OveragePolicy } from '../domain/posting/commands.ts';
import { requestHash } from '../domain/posting/request-hash.ts';
import { isRefusal, type Refusal } from '../domain/refusals.ts';
import { tenantOfHold } from './hold-access.ts';
import { checkIdempotencyKey } from './input-rules.ts';
import { type AnsweredCapture, captureAnswerOf } from './outcome.ts';
import type { Services } from './services.ts';
import { type ChargeInput, canonicalCharge, canonicalOverage, chargeOf } from './usage-input.ts';

export interface CaptureInput extends ChargeInput {
  readonly holdId: string;
  readonly idempotencyKey: string;
  readonly final?: boolean | null | undefined;
  readonly overage?: OveragePolicy | null | undefined;
}

export async function captureHold(
  services: Services,
  caller: SignedInCaller,
  input: CaptureInput,
): Promise<AnsweredCapture | Refusal> {
  const problem = checkIdempotencyKey(input.idempotencyKey);
  if (problem) return problem;
  const charge = captureCharge(services, input);
  if (charge !== null && isRefusal(charge)) return charge;
  const tenant = await tenantOfHold(services, caller, input.holdId);
  if (isRefusal(tenant)) return tenant;
  const { holdId, idempotencyKey } = input;
  const final = input.final ?? true;
  const overage = input.overage ?? 'REJECT';
  const outcome = await services.engine.execute({
    kind: 'capture',
    ...tenant,
    actor: actorOf(caller),
    idempotencyKey,
    requestHash: requestHash('capture', tenant.organizationId, {
      holdId,
      charge: canonicalCharge(charge),
      final,
      ...canonicalOverage(overage),
    }),
    holdId,
    charge,
    final,
    overage,
  });
  return captureAnswerOf(services, tenant, outcome);
}

/** Neither amount nor usage captures the whole rest. */
function captureCharge({ catalogs }: Services, input: CaptureInput): Charge | InvalidInput | null {
  const hasNeither = (input.amount ?? null) === null && (input.usage ?? null) === null;
  return hasNeither ? null : chargeOf(input, catalogs.policies);
}
