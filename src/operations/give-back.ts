/**
 * Asks the payment provider to give the money of a purchase back whose refund was begun, and posts what it says. Can be
 * repeated: the provider gives it back once and answers the same.
 *
 * Refusals: WalletFrozen, PaymentFailed (the provider gives nothing back: the refund is undone). Throws the provider's faults
 * and the engine's; the refund then stays begun.
 */
import type { Actor } from '../domain/actor.ts';
import type { Tenant } from '../domain/identity/caller.ts';
import type { Refusal } from '../domain/refusals.ts';
import { findRefundable } from '../persistence/payments/purchases.ts';
import { refusalOf } from './outcome.ts';
import type { Services } from './services.ts';

/** Null once the money is given back, or will be by the provider's later news. */
export async function giveBack(
  { engine, payments, sql }: Pick<Services, 'engine' | 'payments' | 'sql'>,
  actor: Actor,
  tenant: Tenant,
  purchaseId: string,
): Promise<Refusal | null> {
  const refundable = await findRefundable(sql, purchaseId);
  if (!refundable) throw new Error(`the purchase ${purchaseId} is missing`);
  const { status, isRequested, declineCode, ...request } = refundable;
  if (status === 'REFUNDED') return null;
  // It was asked before, under this key, and the provider said no.
  if (!isRequested) return { code: 'PAYMENT_FAILED', declineCode };
  const answer = await payments.refund({ purchaseId, ...request });
  if (answer.status === 'PENDING') return null;
  const of = { ...tenant, actor, purchaseId };
  const outcome = await engine.execute(
    answer.status === 'DECLINED'
      ? { kind: 'cancel-refund', ...of, declineCode: answer.code }
      : { kind: 'resolve-purchase', ...of, news: { kind: 'REFUNDED' } },
  );
  if (outcome.status !== 'purchase-resolved') return refusalOf(outcome);
  return answer.status === 'DECLINED' ? { code: 'PAYMENT_FAILED', declineCode: answer.code } : null;
}
