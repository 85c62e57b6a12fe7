/**
 * Gives back what a debit or capture charged, in full or in part, to the lots it was spent from.
 *
 * Refusals: InvalidInput, NotFound (transaction), IdempotencyKeyReused, WalletFrozen, Conflict (not a charge),
 * RefundExceedsOriginal. Throws Forbidden, and the engine's faults.
 */
import { formatCredits, type Micros } from '../domain/credits/micros.ts';
import { actorOf, may, type SignedInCaller } from '../domain/identity/caller.ts';
import { notFound } from '../domain/plain-refusals.ts';
import { requestHash } from '../domain/posting/request-hash.ts';
import type { Refusal } from '../domain/refusals.ts';
import { findTransactionOwner } from '../persistence/transactions.ts';
import { Forbidden } from './authorize.ts';
import { checkIdempotencyKey, checkPositive, checkText, firstProblem } from './input-rules.ts';
import { type Answered, answerOf } from './outcome.ts';
import type { Services } from './services.ts';

export interface RefundInput {
  readonly transactionId: string;
  readonly idempotencyKey: string;
  readonly amount?: Micros | null | undefined;
  readonly reason?: string | null | undefined;
}

const MAX_REASON_CHARACTERS = 500;

export async function refund(
  services: Services,
  caller: SignedInCaller,
  input: RefundInput,
): Promise<Answered | Refusal> {
  const amount = input.amount ?? null;
  const description = input.reason ?? null;
  const problem = firstProblem(
    checkIdempotencyKey(input.idempotencyKey),
    amount === null ? null : checkPositive(['amount'], amount),
    checkText(['reason'], description, MAX_REASON_CHARACTERS),
  );
  if (problem) return problem;
  const { transactionId } = input;
  const owner = await findTransactionOwner(services.sql, transactionId);
  if (!owner || !may(caller, 'organization:see', owner.organizationId)) return notFound('transaction');
  if (!may(caller, 'billing:write', owner.organizationId)) throw new Forbidden();
  const bound = caller.kind === 'API_KEY' ? caller.projectId : null;
  if (bound !== null && owner.projectId !== bound) return notFound('transaction');
  const tenant = { organizationId: owner.organizationId, walletId: owner.walletId };
  const outcome = await services.engine.execute({
    kind: 'refund',
    ...tenant,
    actor: actorOf(caller),
    requestId: services.requestId,
    idempotencyKey: input.idempotencyKey,
    requestHash: requestHash('refund', tenant.organizationId, {
      transactionId,
      amount: amount === null ? null : formatCredits(amount),
      reason: description,
    }),
    transactionId,
    amount,
    description,
  });
  return answerOf(services, tenant, outcome);
}
