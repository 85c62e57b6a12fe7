/**
 * The port to payment providers. A provider hosts the checkout and reports what becomes of the payment by signed events; the
 * gateway trusts nothing else. Providers repeat, reorder and delay their events, and the gateway is built for that.
 */
import type { PurchaseNews } from '../domain/purchases/purchase.ts';
import type { Instant } from '../domain/time/instant.ts';

export interface CheckoutRequest {
  /** Who pays. */
  readonly organizationId: string;
  readonly purchaseId: string;
  readonly description: string;
  readonly amountMinor: bigint;
  readonly currency: string;
}

export interface Checkout {
  /** The provider's own id of it. */
  readonly reference: string;
  /** Where to pay; one that begins with a slash is a page of this gateway, wherever it is reached. */
  readonly url: string;
}

/** What a provider has refused, with its reason where it gives one; nothing has changed. */
export interface Declined {
  readonly status: 'DECLINED';
  readonly code: string | null;
}

/** A payment that is asked for while nobody is there to pay it. */
export type ChargeRequest = CheckoutRequest;

/** PENDING: an event tells later whether it was paid. */
export type ChargeAnswer =
  | { readonly status: 'PAID'; readonly reference: string }
  /** With the provider's page of it where somebody can do something about it, as that of a checkout. */
  | { readonly status: 'PENDING'; readonly reference: string; readonly url: string | null }
  | Declined;

/** A checkout or a charge that the provider was asked for. */
export interface AskedPayment {
  readonly purchaseId: string;
  /** The provider's own id of it. */
  readonly reference: string;
}

export type CheckoutAnswer = ({ readonly status: 'OPEN' } & Checkout) | Declined;

export interface RefundRequest {
  readonly purchaseId: string;
  /** The provider's own id of the checkout or charge; null where there is none. */
  readonly reference: string | null;
  /** All that was paid. */
  readonly amountMinor: bigint;
  readonly currency: string;
}

/** PENDING: an event tells later whether the money was given back. */
export type RefundAnswer = { readonly status: 'REFUNDED' | 'PENDING' } | Declined;

export interface ProviderEvent {
  readonly id: string;
  readonly purchaseId: string;
  /** The provider's own id of the charge; absent where it is known already, as that of a checkout is. */
  readonly reference?: string;
  readonly news: PurchaseNews;
}

export interface PortalSession {
  /** A page of this gateway where it begins with a slash, like that of a checkout. */
  readonly url: string;
  /** By when it must be opened, by the real clock. */
  readonly expiresAt: Instant;
}

/** Every method that asks the provider throws `PaymentProviderUnavailable`. */
export interface PaymentProvider {
  /** As in `/webhooks/<name>`. */
  readonly name: string;
  /** Asked twice for one purchase it answers the same checkout. */
  createCheckout(request: CheckoutRequest): Promise<CheckoutAnswer>;
  /**
   * Charges the means of payment that the organization has left with the provider. Asked twice for one purchase it charges
   * once and answers the same.
   */
  charge(request: ChargeRequest): Promise<ChargeAnswer>;
  /** What has become of a payment, for news that got lost; null where nothing has yet. */
  lookUp(payment: AskedPayment): Promise<PurchaseNews | null>;
  /** Gives the money back. Asked twice for one purchase it gives it back once and answers the same. */
  refund(request: RefundRequest): Promise<RefundAnswer>;
  /** Opens the provider's own page about the payments of an organization. */
  openPortal(organizationId: string): Promise<PortalSession>;
  /** The event in a webhook's raw body; null for events that the gateway has no use for. Throws `UnverifiedEvent`. */
  verifyEvent(headers: Readonly<Record<string, string>>, rawBody: string): Promise<ProviderEvent | null>;
}

/** Thrown for a webhook whose signature, age or form is wrong. */
export class UnverifiedEvent extends Error {}

/** Thrown where the provider did not answer, or could not: what was asked may have happened, and may be asked again. */
export class PaymentProviderUnavailable extends Error {}
