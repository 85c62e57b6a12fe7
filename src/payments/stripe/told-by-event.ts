/** What an event of Stripe says about a purchase. Stripe's events are snapshots: an object as it was when they happened. */
import type Stripe from 'stripe';
import type { PurchaseNews } from '../../domain/purchases/purchase.ts';
import { declineCodeOf, isOffSession } from './payment-intents.ts';

export interface ToldNews {
  readonly news: PurchaseNews;
  /** Stripe's id of a charge; a checkout's is known already. */
  readonly reference?: string;
  /** Of the object that the event is about. */
  readonly metadata: Stripe.Metadata | null;
  /** The id of the payment, whose metadata name the purchase where the object's own do not. */
  readonly paymentIntent: string | null;
}

/** What changes no purchase and somebody should know. */
export interface ToldWarning {
  readonly warning: string;
  readonly paymentIntent: string | null;
}

/** Null for events that the gateway has no use for. */
export function toldByEvent(event: Stripe.Event): ToldNews | ToldWarning | null {
  switch (event.type) {
    // A checkout completes before the money of slow payment methods has come; what costs nothing needs none.
    case 'checkout.session.completed':
      return event.data.object.payment_status === 'unpaid' ? null : ofSession(event.data.object, 'PAID');
    case 'checkout.session.async_payment_succeeded':
      return ofSession(event.data.object, 'PAID');
    case 'checkout.session.async_payment_failed':
      return ofSession(event.data.object, 'FAILED');
    case 'checkout.session.expired':
      return ofSession(event.data.object, 'EXPIRED');
    case 'payment_intent.succeeded':
      return ofCharge(event.data.object, { kind: 'PAID' });
    case 'payment_intent.payment_failed':
    case 'payment_intent.canceled':
      return ofCharge(event.data.object, { kind: 'FAILED', declineCode: declineCodeOf(event.data.object) });
    case 'charge.refunded':
      return ofRefundedCharge(event.data.object);
    case 'refund.failed':
      return {
        warning: 'a refund has failed: the money did not go back, and credits that were revoked for it stay revoked',
        paymentIntent: idOf(event.data.object.payment_intent),
      };
    case 'charge.dispute.created':
    case 'charge.dispute.closed':
      return ofDispute(event.data.object);
    default:
      return null;
  }
}

/** `client_reference_id` is not read: whoever opens a payment link may set it, and only metadata are the seller's alone. */
function ofSession(session: Stripe.Checkout.Session, kind: 'PAID' | 'FAILED' | 'EXPIRED'): ToldNews {
  return { news: { kind }, metadata: session.metadata, paymentIntent: idOf(session.payment_intent) };
}

/** Payments of checkouts are told of by their sessions. */
function ofCharge(intent: Stripe.PaymentIntent, news: PurchaseNews): ToldNews | null {
  if (!isOffSession(intent)) return null;
  return { news, reference: intent.id, metadata: intent.metadata, paymentIntent: intent.id };
}

/** Parts add up: `refunded` is true once nothing of the payment is left. */
function ofRefundedCharge(charge: Stripe.Charge): ToldNews | ToldWarning {
  const paymentIntent = idOf(charge.payment_intent);
  if (charge.refunded) return { news: { kind: 'REFUNDED' }, metadata: charge.metadata, paymentIntent };
  return { warning: 'a payment was refunded in part: its credits stay as they are', paymentIntent };
}

function ofDispute({ id, status, metadata, payment_intent }: Stripe.Dispute): ToldNews {
  return { news: { kind: disputeNews(status), dispute: id }, metadata, paymentIntent: idOf(payment_intent) };
}

/** An inquiry freezes as a dispute does, for it may become one. Prevented means that the money was given back beforehand. */
function disputeNews(status: Stripe.Dispute.Status): 'DISPUTE_OPENED' | 'DISPUTE_WON' | 'DISPUTE_LOST' {
  switch (status) {
    case 'won':
    case 'warning_closed':
      return 'DISPUTE_WON';
    case 'lost':
    case 'prevented':
      return 'DISPUTE_LOST';
    default:
      return 'DISPUTE_OPENED';
  }
}

const idOf = (reference: string | { readonly id: string } | null): string | null =>
  typeof reference === 'string' ? reference : (reference?.id ?? null);
