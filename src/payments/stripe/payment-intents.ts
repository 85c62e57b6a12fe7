/** What a payment of Stripe says about a purchase: a charge that nobody was there to pay, or that of a checkout. */
import type Stripe from 'stripe';
import type { PurchaseNews } from '../../domain/purchases/purchase.ts';

/**
 * In the metadata of charges that nobody was there to pay. An attempt within a checkout may fail and the next one succeed:
 * only of these does a failure end the purchase.
 */
export const OFF_SESSION = { offSession: 'true' } as const;

export const isOffSession = ({ metadata }: Stripe.PaymentIntent): boolean =>
  metadata.offSession === OFF_SESSION.offSession;

/** Why it was not paid, where Stripe says so. */
export function declineCodeOf({ status, last_payment_error: error }: Stripe.PaymentIntent): string | null {
  if (status === 'requires_action') return 'authentication_required';
  return error?.decline_code ?? error?.code ?? null;
}

/** What has become of a charge; null while its money is under way. */
export function toldByIntent(intent: Stripe.PaymentIntent): PurchaseNews | null {
  switch (intent.status) {
    case 'succeeded':
      return { kind: isRefunded(intent) ? 'REFUNDED' : 'PAID' };
    case 'requires_payment_method':
    case 'canceled':
      return { kind: 'FAILED', declineCode: declineCodeOf(intent) };
    default:
      return null;
  }
}

/** What has become of a checkout, whose payment is expanded; null while it is open or its money is under way. */
export function toldBySession({
  status,
  payment_status,
  payment_intent,
}: Stripe.Checkout.Session): PurchaseNews | null {
  const intent = typeof payment_intent === 'string' ? null : payment_intent;
  if (payment_status !== 'unpaid') return { kind: intent !== null && isRefunded(intent) ? 'REFUNDED' : 'PAID' };
  if (status === 'expired') return { kind: 'EXPIRED' };
  return status === 'complete' && intent !== null ? toldByIntent(intent) : null;
}

/** Parts add up: `refunded` is true once nothing of the payment is left. */
function isRefunded({ latest_charge: charge }: Stripe.PaymentIntent): boolean {
  return charge !== null && typeof charge !== 'string' && charge.refunded;
}
