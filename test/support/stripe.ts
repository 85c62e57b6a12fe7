/**
 * Stripe on the loopback: the endpoints that the gateway uses, with Stripe's rules about keys, idempotency and refunds, and
 * events signed by the SDK's own helper. What happens at the checkout's page is played by the methods.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import Stripe from 'stripe';

type Json = Record<string, unknown>;

/** What a customer's means of payment does when it is charged while nobody is there. */
export type Card = 'pays' | 'declined' | 'needs_authentication' | 'needs_action' | 'processing';

interface Payment {
  readonly id: string;
  readonly chargeId: string;
  readonly customer: string;
  readonly amount: number;
  readonly metadata: Readonly<Record<string, string>>;
  paid: boolean;
  /** While it is not paid. */
  status: 'requires_payment_method' | 'requires_action' | 'processing' | 'canceled';
  error: Json | null;
  refunded: number;
  disputed: boolean;
}

interface Session {
  readonly id: string;
  readonly url: string;
  readonly form: URLSearchParams;
  readonly payment: Payment;
  /** While it is not paid. */
  status: 'open' | 'complete' | 'expired';
}

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly form: URLSearchParams;
  readonly idempotencyKey: string | undefined;
  readonly version: string | undefined;
}

export interface StripeEvent {
  readonly id: string;
  readonly type: string;
  readonly data: { readonly object: Json };
}

export interface Delivery {
  readonly secret?: string;
  /** Seconds since it was signed. */
  readonly age?: number;
  /** What is posted in place of what was signed. */
  readonly body?: (signed: string) => string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** NORMAL answers; DOWN closes connections before it does anything; MUTE does what was asked and answers nothing. */
type Mood = 'NORMAL' | 'DOWN' | 'MUTE';

/** Stripe charges no less: 50 of the smallest units. */
const MINIMUM_AMOUNT = 50;

const anId = (prefix: string): string => `${prefix}_${randomBytes(12).toString('hex')}`;

class ApiError extends Error {
  readonly status: number;
  readonly body: Json;
  constructor(status: number, type: string, code: string | null, message: string, details: Json = {}) {
    super(message);
    this.status = status;
    this.body = { error: { type, message, ...(code === null ? {} : { code }), ...details } };
  }
}

const invalid = (code: string, message: string, status = 400): ApiError =>
  new ApiError(status, 'invalid_request_error', code, message);

/** Why a card is declined; null for those that are not. */
const DECLINES: Readonly<Record<Card, Json | null>> = {
  pays: null,
  declined: { code: 'card_declined', decline_code: 'insufficient_funds' },
  needs_authentication: { code: 'authentication_required', decline_code: 'authentication_required' },
  needs_action: null,
  processing: null,
};

export class StripeStandIn implements AsyncDisposable {
  readonly secretKey = anId('sk_test');
  readonly webhookSecret = anId('whsec');
  /** Every request that it has heard, in order, refused ones included. */
  readonly asked: Asked[] = [];
  readonly refunds: Json[] = [];
  mood: Mood = 'NORMAL';
  /** The requests that are carried out and not answered: this method and path. */
  unanswered: string | null = null;
  /** Whether the account has set its portal up. */
  hasPortal = true;
  /** What the next refunds become. */
  refundStatus: 'succeeded' | 'pending' | 'failed' = 'succeeded';
  readonly #sdk = new Stripe('sk_test_signing');
  readonly #server: Server;
  readonly #sessions = new Map<string, Session>();
  /** Customers by id, with the organization that each is. */
  readonly customers = new Map<string, string | undefined>();
  /** Payments without a session. */
  readonly charges: Payment[] = [];
  /** What each customer has left to be charged later, the newest first. */
  readonly #methods = new Map<string, { readonly id: string; readonly card: Card }[]>();
  readonly #answers = new Map<string, { readonly request: string; readonly status: number; readonly body: Json }>();

  private constructor() {
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch((error: unknown) => response.destroy(error as Error));
    });
  }

  static async start(): Promise<StripeStandIn> {
    const standIn = new StripeStandIn();
    standIn.#server.listen(0, '127.0.0.1');
    await once(standIn.#server, 'listening');
    return standIn;
  }

  /** The environment of a gateway that uses it. */
  get env(): NodeJS.ProcessEnv {
    const address = this.#server.address();
    return {
      PURSER_PAYMENTS: 'stripe',
      STRIPE_SECRET_KEY: this.secretKey,
      STRIPE_WEBHOOK_SECRET: this.webhookSecret,
      STRIPE_API_HOST: '127.0.0.1',
      STRIPE_API_PORT: String(typeof address === 'object' && address !== null ? address.port : 0),
      STRIPE_API_PROTOCOL: 'http',
    };
  }

  get sessions(): readonly Session[] {
    return [...this.#sessions.values()];
  }

  /** The session whose page this is. */
  sessionAt(url: string | null | undefined): Session {
    const session = this.sessions.find((candidate) => candidate.url === url);
    if (!session) throw new Error(`no session has the page ${url}`);
    return session;
  }

  /** The buyer pays on the session's page; the event that tells. Stripe keeps the card where the session asks for it. */
  pay(session: Session, card: Card = 'pays'): StripeEvent {
    const { payment, form } = session;
    payment.paid = true;
    const keeps = form.get('payment_intent_data[setup_future_usage]') === 'off_session';
    if (keeps) this.leave(payment.customer, card);
    return this.sessionEvent('checkout.session.completed', session);
  }

  leave(customer: string, card: Card): void {
    this.#methods.set(customer, [{ id: anId('pm'), card }, ...(this.#methods.get(customer) ?? [])]);
  }

  /** As Stripe does after a day. */
  forgetKeys(): void {
    this.#answers.clear();
  }

  intentEvent(type: 'succeeded' | 'payment_failed' | 'canceled', payment: Payment): StripeEvent {
    return this.event(`payment_intent.${type}`, this.#intentObject(payment));
  }

  sessionEvent(type: string, session: Session, change: Json = {}): StripeEvent {
    return this.event(type, { ...this.#sessionObject(session), ...change });
  }

  /** Somebody refunds that much of a payment by Stripe's own pages. */
  refundInDashboard({ payment }: Session, amount: number): StripeEvent {
    payment.refunded += amount;
    return this.chargeEvent('charge.refunded', payment);
  }

  chargeEvent(type: string, payment: Payment, change: Json = {}): StripeEvent {
    return this.event(type, {
      id: payment.chargeId,
      object: 'charge',
      amount: payment.amount,
      amount_refunded: payment.refunded,
      refunded: payment.refunded >= payment.amount,
      payment_intent: payment.id,
      metadata: payment.metadata,
      ...change,
    });
  }

  /** A dispute has no metadata of what it is about. */
  disputeEvent(type: 'created' | 'closed', payment: Payment, id: string, status: string): StripeEvent {
    payment.disputed = !['won', 'warning_closed'].includes(status);
    return this.event(`charge.dispute.${type}`, {
      id,
      object: 'dispute',
      amount: payment.amount,
      charge: payment.chargeId,
      payment_intent: payment.id,
      metadata: {},
      status,
    });
  }

  event(type: string, object: Json): StripeEvent {
    return { id: anId('evt'), type, data: { object: structuredClone(object) } };
  }

  /** The header that proves a body, signed at this second of the epoch. */
  sign(payload: string, timestamp: number, secret = this.webhookSecret): string {
    return this.#sdk.webhooks.generateTestHeaderString({ payload, secret, timestamp });
  }

  /** Posts the event as Stripe does; the status that the gateway answers. */
  async deliver(endpoint: string, event: StripeEvent, delivery: Delivery = {}): Promise<number> {
    const { secret, age = 0, headers } = delivery;
    const payload = JSON.stringify({ object: 'event', created: Math.floor(Date.now() / 1000), ...event });
    const signature = this.sign(payload, Math.floor(Date.now() / 1000) - age, secret);
    const response = await fetch(new URL('webhooks/stripe', endpoint), {
      method: 'POST',
      headers: headers ?? { 'content-type': 'application/json', 'stripe-signature': signature },
      body: delivery.body?.(payload) ?? payload,
    });
    await response.arrayBuffer();
    return response.status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((closed) => this.#server.close(closed));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const { method = 'GET', url: path = '/', headers } = request;
    const body = Buffer.concat(chunks).toString('utf8');
    const header = (name: string) => {
      const value = headers[name];
      return typeof value === 'string' ? value : undefined;
    };
    const asked = {
      method,
      path,
      form: new URLSearchParams(body),
      idempotencyKey: header('idempotency-key'),
      version: header('stripe-version'),
    };
    this.asked.push(asked);
    if (this.mood === 'DOWN') return void request.socket.destroy();
    const answer =
      header('authorization') === `Bearer ${this.secretKey}`
        ? this.#answerOnce(asked, body)
        : { status: 401, body: new ApiError(401, 'invalid_request_error', null, 'Invalid API Key').body };
    if (this.mood === 'MUTE' || this.unanswered === `${method} ${path}`) return void request.socket.destroy();
    response.writeHead(answer.status, { 'content-type': 'application/json', 'request-id': anId('req') });
    response.end(JSON.stringify(answer.body));
  }

  /** What was answered is answered again under its key, errors included. */
  #answerOnce(asked: Asked, body: string): { status: number; body: Json } {
    const { method, path, idempotencyKey } = asked;
    const request = `${method} ${path} ${body}`;
    const earlier = idempotencyKey === undefined ? undefined : this.#answers.get(idempotencyKey);
    if (earlier?.request === request) return earlier;
    if (earlier) {
      const message =
        'Keys for idempotent requests can only be used with the same parameters they were first used with.';
      return { status: 400, body: new ApiError(400, 'idempotency_error', null, message).body };
    }
    const answer = { request, ...this.#answerOrError(asked) };
    if (idempotencyKey !== undefined) this.#answers.set(idempotencyKey, answer);
    return answer;
  }

  #answerOrError(asked: Asked): { status: number; body: Json } {
    try {
      return { status: 200, body: this.#answer(asked) };
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return { status: error.status, body: error.body };
    }
  }

  #answer({ method, path, form }: Asked): Json {
    const { pathname, searchParams } = new URL(path, 'http://stripe');
    const [, resource, id, verb] =
      /^\/v1\/(checkout\/sessions|payment_intents|refunds|customers|billing_portal\/sessions)(?:\/(\w+)(?:\/(\w+))?)?$/.exec(
        pathname,
      ) ?? [];
    const expand = [...searchParams.values()];
    switch (`${method} ${resource}${id === undefined ? '' : '/id'}${verb === undefined ? '' : `/${verb}`}`) {
      case 'POST checkout/sessions':
        return this.#openSession(form);
      case 'GET checkout/sessions/id':
        return this.#sessionObject(this.#sessionOf(id), expand);
      case 'POST payment_intents':
        return this.#charge(form);
      case 'GET payment_intents':
        return this.#chargesOf(searchParams);
      case 'GET payment_intents/id':
        return this.#intentObject(this.#paymentOf(id), expand);
      case 'POST payment_intents/id/cancel':
        return this.#cancel(this.#paymentOf(id));
      case 'POST customers':
        return this.#makeCustomer(form);
      case 'GET customers/id/payment_methods':
        return { object: 'list', data: this.#methodsOf(id ?? '').slice(0, Number(searchParams.get('limit') ?? 10)) };
      case 'POST billing_portal/sessions':
        return this.#openPortal(form);
      case 'POST refunds':
        return this.#refund(this.#paymentOf(form.get('payment_intent') ?? undefined), form);
      default:
        throw invalid('resource_missing', `Unrecognized request URL (${method}: ${path}).`, 404);
    }
  }

  #methodsOf(customer: string): Json[] {
    return (this.#methods.get(customer) ?? []).map(({ id }) => ({ id, object: 'payment_method', customer }));
  }

  /** The newest first, those of sessions among them. */
  #chargesOf(of: URLSearchParams): Json {
    const payments = [...this.sessions.map((session) => session.payment), ...this.charges]
      .filter(({ customer }) => customer === of.get('customer'))
      .toReversed();
    const limit = Number(of.get('limit') ?? 10);
    return { object: 'list', data: payments.slice(0, limit).map((payment) => this.#intentObject(payment)) };
  }

  #charge(form: URLSearchParams): Json {
    this.#checkCustomer(form);
    const customer = form.get('customer') ?? '';
    const method = this.#methods.get(customer)?.find(({ id }) => id === form.get('payment_method'));
    if (!method) throw invalid('resource_missing', 'No such PaymentMethod');
    if (form.get('confirm') !== 'true' || form.get('off_session') !== 'true') {
      throw invalid('parameter_missing', 'Nobody is there to confirm it.');
    }
    const amount = Number(form.get('amount'));
    if (amount < MINIMUM_AMOUNT) throw invalid('amount_too_small', 'The amount is below the minimum.');
    const payment = aPayment(customer, amount, metadataIn(form, 'metadata'));
    this.charges.push(payment);
    payment.paid = method.card === 'pays';
    if (method.card === 'processing') payment.status = 'processing';
    if (method.card === 'needs_action') payment.status = 'requires_action';
    const declined = DECLINES[method.card];
    if (declined === null) return this.#intentObject(payment);
    payment.error = { type: 'card_error', ...declined };
    const details = { ...declined, payment_intent: this.#intentObject(payment) };
    throw new ApiError(402, 'card_error', null, 'Your card was declined.', details);
  }

  #cancel(payment: Payment): Json {
    if (payment.paid || ['processing', 'canceled'].includes(payment.status)) {
      throw invalid('payment_intent_unexpected_state', 'You cannot cancel this PaymentIntent.');
    }
    payment.status = 'canceled';
    return this.#intentObject(payment);
  }

  #makeCustomer(form: URLSearchParams): Json {
    const id = anId('cus');
    this.customers.set(id, metadataIn(form, 'metadata').organizationId);
    return { id, object: 'customer', name: form.get('name') };
  }

  #checkCustomer(form: URLSearchParams): void {
    const customer = form.get('customer') ?? '';
    if (!this.customers.has(customer)) throw invalid('resource_missing', `No such customer: ${customer}`);
  }

  #openPortal(form: URLSearchParams): Json {
    this.#checkCustomer(form);
    if (!this.hasPortal) throw invalid('invalid_request', 'No configuration provided.');
    const id = anId('bps');
    const created = Math.floor(Date.now() / 1000);
    return { id, object: 'billing_portal.session', created, url: `https://billing.stripe.com/p/session/${id}` };
  }

  #openSession(form: URLSearchParams): Json {
    this.#checkCustomer(form);
    const amount = Number(form.get('line_items[0][price_data][unit_amount]'));
    if (!Number.isSafeInteger(amount)) throw invalid('parameter_invalid_integer', 'Invalid integer');
    if (amount < MINIMUM_AMOUNT) throw invalid('amount_too_small', 'The amount is below the minimum.');
    for (const name of ['success_url', 'cancel_url']) {
      if (!URL.canParse(form.get(name) ?? '')) throw invalid('url_invalid', `Not a valid URL: ${name}`);
    }
    const id = anId('cs_test');
    const metadata = metadataIn(form, 'payment_intent_data[metadata]');
    const payment = aPayment(form.get('customer') ?? '', amount, metadata);
    const session: Session = { id, url: `https://checkout.stripe.com/c/pay/${id}`, form, payment, status: 'open' };
    this.#sessions.set(id, session);
    return this.#sessionObject(session);
  }

  #sessionObject({ id, url, form, payment, status }: Session, expand: readonly string[] = []): Json {
    const begun = payment.paid || status === 'complete';
    const expanded = expand.some((name) => name.startsWith('payment_intent'));
    const intent = expanded ? this.#intentObject(payment, ['latest_charge']) : payment.id;
    return {
      id,
      object: 'checkout.session',
      mode: form.get('mode'),
      url,
      client_reference_id: form.get('client_reference_id'),
      metadata: metadataIn(form, 'metadata'),
      amount_total: payment.amount,
      currency: form.get('line_items[0][price_data][currency]'),
      payment_intent: begun ? intent : null,
      payment_status: payment.paid ? 'paid' : 'unpaid',
      status: payment.paid ? 'complete' : status,
    };
  }

  #intentObject(
    { id, chargeId, customer, amount, metadata, paid, status, error, refunded }: Payment,
    expand: readonly string[] = [],
  ): Json {
    const charge = { id: chargeId, object: 'charge', refunded: refunded >= amount };
    return {
      id,
      object: 'payment_intent',
      customer,
      amount,
      metadata,
      status: paid ? 'succeeded' : status,
      last_payment_error: error,
      latest_charge: paid ? (expand.includes('latest_charge') ? charge : chargeId) : null,
    };
  }

  #refund(payment: Payment, form: URLSearchParams): Json {
    if (!payment.paid) throw invalid('payment_intent_unexpected_state', 'There is no successful charge to refund.');
    if (payment.disputed) throw invalid('charge_disputed', 'The charge has been charged back.');
    const rest = payment.amount - payment.refunded;
    if (rest === 0) throw invalid('charge_already_refunded', 'The charge has already been refunded.');
    const status = this.refundStatus;
    if (status !== 'failed') payment.refunded += rest;
    const refund = {
      id: anId('re'),
      object: 'refund',
      amount: rest,
      payment_intent: payment.id,
      metadata: metadataIn(form, 'metadata'),
      status,
      ...(status === 'failed' ? { failure_reason: 'expired_or_canceled_card' } : {}),
    };
    this.refunds.push(refund);
    return refund;
  }

  #sessionOf(id: string | undefined): Session {
    const session = this.#sessions.get(id ?? '');
    if (!session) throw invalid('resource_missing', `No such checkout.session: ${id}`, 404);
    return session;
  }

  #paymentOf(id: string | undefined): Payment {
    const payments = [...this.sessions.map((session) => session.payment), ...this.charges];
    const payment = payments.find((candidate) => candidate.id === id);
    if (!payment) throw invalid('resource_missing', `No such payment_intent: ${id}`, 404);
    return payment;
  }
}

const aPayment = (customer: string, amount: number, metadata: Payment['metadata']): Payment => ({
  id: anId('pi'),
  chargeId: anId('ch'),
  customer,
  amount,
  metadata,
  paid: false,
  status: 'requires_payment_method',
  error: null,
  refunded: 0,
  disputed: false,
});

function metadataIn(form: URLSearchParams, prefix: string): Readonly<Record<string, string>> {
  const entries = [...form].flatMap(([name, value]) =>
    name.startsWith(`${prefix}[`) ? [[name.slice(prefix.length + 1, -1), value] as const] : [],
  );
  return Object.fromEntries(entries);
}
