/**
 * Stripe, through its official SDK. A checkout is a Checkout Session on Stripe's own page; whose purchase a payment is stands
 * in the metadata of session, payment and charge. An organization is one customer, made before its first checkout, with
 * whom Stripe keeps the means of payment; what is charged later is a payment without a session. Requests carry an idempotency
 * key made of the purchase's id, so that one whose answer was lost can be sent again: Stripe keeps such keys for a day.
 */
import type { Logger } from 'pino';
import Stripe from 'stripe';
import { z } from 'zod';
import type { PurchaseNews } from '../../domain/purchases/purchase.ts';
import { instant } from '../../domain/time/instant.ts';
import type { Sql } from '../../persistence/connection.ts';
import { findCustomer, keepCustomer } from '../../persistence/payments/payment-customers.ts';
import {
  type AskedPayment,
  type ChargeAnswer,
  type ChargeRequest,
  type CheckoutAnswer,
  type CheckoutRequest,
  type Declined,
  type PaymentProvider,
  PaymentProviderUnavailable,
  type PortalSession,
  type ProviderEvent,
  type RefundAnswer,
  type RefundRequest,
  UnverifiedEvent,
} from '../provider.ts';
import { declineCodeOf, OFF_SESSION, toldByIntent, toldBySession } from './payment-intents.ts';
import { stripeAmount } from './stripe-amount.ts';
import { toldByEvent } from './told-by-event.ts';

/** Where Stripe's API is; Stripe itself without it. */
export interface StripeApi {
  readonly host?: string;
  readonly port?: number;
  readonly protocol?: 'http' | 'https';
}

export interface StripeOptions {
  readonly sql: Sql;
  readonly secretKey: string;
  /** Signs the events that Stripe posts to this installation. */
  readonly webhookSecret: string;
  readonly api: StripeApi;
  /** Where people come back to from Stripe's page, paid or not. */
  readonly returnUrl: string;
  readonly logger: Logger;
}

/** How old a signature may be, by the clock of this machine. */
const TOLERANCE_SECONDS = 300;
/** Stripe's: how long the address of a portal can be opened. */
const PORTAL_LIFE_SECONDS = 300;
/** A buyer waits for it; the SDK tries once more. */
const TIMEOUT_MILLISECONDS = 10_000;
/** Among how many of a customer's newest payments a charge is looked for that was asked for before: Stripe's most. */
const NEWEST_PAYMENTS = 100;

const eventBody = z.object({ id: z.string(), type: z.string(), data: z.object({ object: z.looseObject({}) }) });
const purchaseMetadata = z.object({ purchaseId: z.uuid() });

export class StripeProvider implements PaymentProvider {
  readonly name = 'stripe';
  readonly #stripe: Stripe;
  readonly #options: StripeOptions;
  /** Customers of Stripe's test mode do not exist in its live mode. */
  readonly #customersOf: string;

  constructor(options: StripeOptions) {
    this.#options = options;
    this.#customersOf = /^[sr]k_test_/.test(options.secretKey) ? 'stripe-test' : 'stripe';
    this.#stripe = new Stripe(options.secretKey, {
      ...options.api,
      timeout: TIMEOUT_MILLISECONDS,
      maxNetworkRetries: 1,
      telemetry: false,
    });
  }

  /** The session ends after a day, as Stripe has it: an end of our own would make each attempt another request. */
  async createCheckout(request: CheckoutRequest): Promise<CheckoutAnswer> {
    const { organizationId, purchaseId, description, amountMinor, currency } = request;
    const unitAmount = stripeAmount(amountMinor, currency);
    if (unitAmount === null) return { status: 'DECLINED', code: 'amount_not_chargeable' };
    const { returnUrl } = this.#options;
    const metadata = { purchaseId };
    const customer = await this.#customerOf(organizationId);
    return this.#ask('open a checkout', async () => {
      const session = await this.#stripe.checkout.sessions.create(
        {
          mode: 'payment',
          line_items: [
            {
              quantity: 1,
              price_data: {
                currency: currency.toLowerCase(),
                unit_amount: unitAmount,
                product_data: { name: description },
              },
            },
          ],
          client_reference_id: purchaseId,
          customer,
          metadata,
          payment_intent_data: { description, metadata, setup_future_usage: 'off_session' },
          success_url: returnUrl,
          cancel_url: returnUrl,
        },
        { idempotencyKey: `checkout:${purchaseId}` },
      );
      if (session.url === null) throw new Error(`the checkout session ${session.id} has no page`);
      return { status: 'OPEN', reference: session.id, url: session.url };
    });
  }

  /** With the means of payment that the customer left last. */
  async charge({
    organizationId,
    purchaseId,
    description,
    amountMinor,
    currency,
  }: ChargeRequest): Promise<ChargeAnswer> {
    const amount = stripeAmount(amountMinor, currency);
    if (amount === null) return { status: 'DECLINED', code: 'amount_not_chargeable' };
    const customer = await this.#customerOf(organizationId);
    return this.#ask('charge a customer', async (): Promise<ChargeAnswer> => {
      const earlier = await this.#chargeOf(customer, purchaseId);
      if (earlier) return this.#answerOf(earlier);
      const { data } = await this.#stripe.customers.listPaymentMethods(customer, { limit: 1 });
      const [method] = data;
      if (!method) return { status: 'DECLINED', code: 'no_payment_method' };
      const charge = this.#stripe.paymentIntents.create(
        {
          amount,
          currency: currency.toLowerCase(),
          customer,
          payment_method: method.id,
          off_session: true,
          confirm: true,
          description,
          metadata: { purchaseId, ...OFF_SESSION },
        },
        { idempotencyKey: `charge:${purchaseId}` },
      );
      return this.#answerOf(await charge.catch(declinedIntent));
    });
  }

  /**
   * The payment that was asked for before, if it was. The idempotency key alone would not do: it is forgotten after a day, and
   * refuses the request once the customer has left another means of payment.
   */
  async #chargeOf(customer: string, purchaseId: string): Promise<Stripe.PaymentIntent | undefined> {
    const { data } = await this.#stripe.paymentIntents.list({ customer, limit: NEWEST_PAYMENTS });
    return data.find(({ metadata }) => purchaseOf(metadata) === purchaseId);
  }

  async #answerOf(intent: Stripe.PaymentIntent): Promise<ChargeAnswer> {
    const { id: reference, status } = intent;
    switch (status) {
      case 'succeeded':
        return { status: 'PAID', reference };
      case 'processing':
        return { status: 'PENDING', reference, url: null };
      case 'canceled':
        return { status: 'DECLINED', code: declineCodeOf(intent) };
      default:
        return this.#giveUp(intent);
    }
  }

  /** Nobody is there to try another card or to confirm: a charge that waits for that is closed, and can never be paid. */
  async #giveUp(intent: Stripe.PaymentIntent): Promise<ChargeAnswer> {
    const { id: reference } = intent;
    const closed = await this.#stripe.paymentIntents.cancel(reference).catch((error: unknown) => {
      if (isRefusal(error)) return this.#stripe.paymentIntents.retrieve(reference);
      throw error;
    });
    if (closed.status === 'canceled') return { status: 'DECLINED', code: declineCodeOf(intent) };
    return closed.status === 'succeeded' ? { status: 'PAID', reference } : { status: 'PENDING', reference, url: null };
  }

  async lookUp({ reference }: AskedPayment): Promise<PurchaseNews | null> {
    const { news } = await this.#insist('tell about a payment', async () => ({
      news: isIntent(reference)
        ? toldByIntent(await this.#stripe.paymentIntents.retrieve(reference, { expand: ['latest_charge'] }))
        : toldBySession(
            await this.#stripe.checkout.sessions.retrieve(reference, { expand: ['payment_intent.latest_charge'] }),
          ),
    }));
    return news;
  }

  /** Whatever of the payment has not gone back yet, so that an earlier refund of a part is no obstacle. */
  async refund({ purchaseId, reference }: RefundRequest): Promise<RefundAnswer> {
    if (reference === null) return { status: 'DECLINED', code: 'not_paid' };
    const answer = await this.#ask('refund a payment', async (): Promise<RefundAnswer> => {
      const payment_intent = isIntent(reference) ? reference : await this.#paymentOf(reference);
      if (payment_intent === null) return { status: 'DECLINED', code: 'not_paid' };
      const refund = await this.#stripe.refunds.create(
        { payment_intent, metadata: { purchaseId } },
        { idempotencyKey: `refund:${purchaseId}` },
      );
      return refundAnswer(refund);
    });
    const isDone = answer.status === 'DECLINED' && answer.code === 'charge_already_refunded';
    return isDone ? { status: 'REFUNDED' } : answer;
  }

  /** The payment of a checkout; null where none was begun. */
  async #paymentOf(session: string): Promise<string | null> {
    const { payment_intent: intent } = await this.#stripe.checkout.sessions.retrieve(session);
    return typeof intent === 'string' ? intent : (intent?.id ?? null);
  }

  async openPortal(organizationId: string): Promise<PortalSession> {
    const customer = await this.#customerOf(organizationId);
    return this.#insist('open the portal', async () => {
      const { returnUrl: return_url } = this.#options;
      const { url, created } = await this.#stripe.billingPortal.sessions.create({ customer, return_url });
      return { url, expiresAt: instant((created + PORTAL_LIFE_SECONDS) * 1000) };
    });
  }

  /** The request says nothing that changes, so that it can be repeated under its key. */
  async #customerOf(organizationId: string): Promise<string> {
    const { sql } = this.#options;
    const known = await findCustomer(sql, organizationId, this.#customersOf);
    if (!known) throw new Error(`the organization ${organizationId} is missing`);
    const { slug: name, reference } = known;
    if (reference !== null) return reference;
    const idempotencyKey = `customer:${organizationId}`;
    const { id } = await this.#insist('make a customer', () =>
      this.#stripe.customers.create({ name, metadata: { organizationId } }, { idempotencyKey }),
    );
    return keepCustomer(sql, organizationId, this.#customersOf, id);
  }

  async verifyEvent(headers: Readonly<Record<string, string>>, rawBody: string): Promise<ProviderEvent | null> {
    const event = await this.#verified(headers, rawBody);
    const told = toldByEvent(event);
    if (told === null) return null;
    if ('warning' in told) {
      const { warning, paymentIntent } = told;
      this.#options.logger.warn({ event: event.id, paymentIntent }, warning);
      return null;
    }
    const purchaseId = purchaseOf(told.metadata) ?? (await this.#purchaseOfPayment(told.paymentIntent));
    if (purchaseId === null) return null;
    const { news, reference } = told;
    return { id: event.id, purchaseId, news, ...(reference === undefined ? {} : { reference }) };
  }

  async #verified(headers: Readonly<Record<string, string>>, rawBody: string): Promise<Stripe.Event> {
    const event = await this.#stripe.webhooks
      .constructEventAsync(rawBody, headers['stripe-signature'] ?? '', this.#options.webhookSecret, TOLERANCE_SECONDS)
      .catch((error: unknown) => {
        throw new UnverifiedEvent('the event is not signed by Stripe', { cause: error });
      });
    if (!eventBody.safeParse(event).success) throw new UnverifiedEvent('the body is no event of Stripe');
    return event;
  }

  /** Disputes do not carry the metadata of what they are about. Null for payments that are no purchase of this gateway. */
  async #purchaseOfPayment(paymentIntent: string | null): Promise<string | null> {
    if (paymentIntent === null) return null;
    const answer = await this.#ask('tell about a payment', async () => {
      const { metadata } = await this.#stripe.paymentIntents.retrieve(paymentIntent);
      return { status: 'FOUND' as const, metadata };
    });
    return answer.status === 'FOUND' ? purchaseOf(answer.metadata) : null;
  }

  /** For what Stripe has no reason to refuse: where it does, the installation is at fault and not the caller. */
  async #insist<Answer extends object>(what: string, request: () => Promise<Answer>): Promise<Answer> {
    const answer = await this.#ask(what, async () => ({ status: 'DONE' as const, value: await request() }));
    if (answer.status === 'DONE') return answer.value;
    throw new PaymentProviderUnavailable(`Stripe refused to ${what}: ${answer.code}`);
  }

  /**
   * What Stripe answers. DECLINED where it has refused the request, which then had no effect; throws
   * `PaymentProviderUnavailable` for all else, where it may have had one.
   */
  async #ask<Answer>(what: string, request: () => Promise<Answer>): Promise<Answer | Declined> {
    try {
      return await request();
    } catch (error) {
      if (!(error instanceof Stripe.errors.StripeError)) throw error;
      const { type, code, decline_code: declineCode, statusCode, requestId } = error;
      const refused = isRefusal(error);
      const level = refused ? 'warn' : 'error';
      this.#options.logger[level]({ type, code, declineCode, statusCode, requestId }, `Stripe did not ${what}`);
      if (refused) return { status: 'DECLINED', code: declineCode ?? code ?? null };
      throw new PaymentProviderUnavailable(`Stripe did not ${what}`, { cause: error });
    }
  }
}

/** Whether the request itself was at fault, or the card; not our key, our rate, another attempt under way, or the network. */
const isRefusal = (error: unknown): boolean =>
  error instanceof Stripe.errors.StripeInvalidRequestError || error instanceof Stripe.errors.StripeCardError;

/** Stripe answers a charge that is declined at once by an error, with the payment as it is then. */
function declinedIntent(error: unknown): Stripe.PaymentIntent {
  if (error instanceof Stripe.errors.StripeCardError && error.payment_intent) return error.payment_intent;
  throw error;
}

/** A charge is known by its payment, a checkout by its session. */
const isIntent = (reference: string): boolean => reference.startsWith('pi_');

function refundAnswer({ status, failure_reason }: Stripe.Refund): RefundAnswer {
  switch (status) {
    case 'succeeded':
      return { status: 'REFUNDED' };
    case 'failed':
    case 'canceled':
      return { status: 'DECLINED', code: failure_reason ?? status };
    default:
      return { status: 'PENDING' };
  }
}

function purchaseOf(metadata: Stripe.Metadata | null): string | null {
  const parsed = purchaseMetadata.safeParse(metadata);
  return parsed.success ? parsed.data.purchaseId : null;
}
