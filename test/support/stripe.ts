/**
 * Stripe on the loopback: the endpoints that the gateway uses, with Stripe's rules about keys, idempotency and refunds, and
 * events signed by the SDK's own helper. What happens at the checkout's page is played by the methods.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import Stripe from 'stripe';

type Json = Record<string, unknown>;

interface Payment {
  readonly id: string;
  readonly chargeId: string;
  readonly amount: number;
  readonly metadata: Readonly<Record<string, string>>;
  paid: boolean;
  refunded: number;
  disputed: boolean;
}

interface Session {
  readonly id: string;
  readonly url: string;
  readonly form: URLSearchParams;
  readonly payment: Payment;
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
  constructor(status: number, type: string, code: string | null, message: string) {
    super(message);
    this.status = status;
    this.body = { error: { type, message, ...(code === null ? {} : { code }) } };
  }
}

const invalid = (code: string, message: string, status = 400): ApiError =>
  new ApiError(status, 'invalid_request_error', code, message);

export class StripeStandIn implements AsyncDisposable {
  readonly secretKey = anId('sk_test');
  readonly webhookSecret = anId('whsec');
  /** Every request that it has heard, in order, refused ones included. */
  readonly asked: Asked[] = [];
  readonly refunds: Json[] = [];
  mood: Mood = 'NORMAL';
  /** Whether the account has set its portal up. */
  hasPortal = true;
  /** What the next refunds become. */
  refundStatus: 'succeeded' | 'pending' | 'failed' = 'succeeded';
  readonly #sdk = new Stripe('sk_test_signing');
  readonly #server: Server;
  readonly #sessions = new Map<string, Session>();
  /** Customers by id, with the organization that each is. */
  readonly customers = new Map<string, string | undefined>();
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

  /** The buyer pays on the session's page; the event that tells. */
  pay(session: Session): StripeEvent {
    session.payment.paid = true;
    return this.sessionEvent('checkout.session.completed', session);
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
    if (this.mood === 'MUTE') return void request.socket.destroy();
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
    const [, resource, id] =
      /^\/v1\/(checkout\/sessions|payment_intents|refunds|customers|billing_portal\/sessions)(?:\/(\w+))?$/.exec(
        path,
      ) ?? [];
    switch (`${method} ${resource}${id === undefined ? '' : '/id'}`) {
      case 'POST checkout/sessions':
        return this.#openSession(form);
      case 'GET checkout/sessions/id':
        return this.#sessionObject(this.#sessionOf(id));
      case 'GET payment_intents/id':
        return this.#intentObject(this.#paymentOf(id));
      case 'POST customers':
        return this.#makeCustomer(form);
      case 'POST billing_portal/sessions':
        return this.#openPortal(form);
      case 'POST refunds':
        return this.#refund(this.#paymentOf(form.get('payment_intent') ?? undefined), form);
      default:
        throw invalid('resource_missing', `Unrecognized request URL (${method}: ${path}).`, 404);
    }
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
    const payment = {
      id: anId('pi'),
      chargeId: anId('ch'),
      amount,
      metadata,
      paid: false,
      refunded: 0,
      disputed: false,
    };
    const session = { id, url: `https://checkout.stripe.com/c/pay/${id}`, form, payment };
    this.#sessions.set(id, session);
    return this.#sessionObject(session);
  }

  #sessionObject({ id, url, form, payment }: Session): Json {
    return {
      id,
      object: 'checkout.session',
      mode: form.get('mode'),
      url,
      client_reference_id: form.get('client_reference_id'),
      metadata: metadataIn(form, 'metadata'),
      amount_total: payment.amount,
      currency: form.get('line_items[0][price_data][currency]'),
      payment_intent: payment.paid ? payment.id : null,
      payment_status: payment.paid ? 'paid' : 'unpaid',
      status: payment.paid ? 'complete' : 'open',
    };
  }

  #intentObject({ id, amount, metadata, paid }: Payment): Json {
    return { id, object: 'payment_intent', amount, metadata, status: paid ? 'succeeded' : 'requires_payment_method' };
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
    const payment = this.sessions.map((session) => session.payment).find((candidate) => candidate.id === id);
    if (!payment) throw invalid('resource_missing', `No such payment_intent: ${id}`, 404);
    return payment;
  }
}

function metadataIn(form: URLSearchParams, prefix: string): Readonly<Record<string, string>> {
  const entries = [...form].flatMap(([name, value]) =>
    name.startsWith(`${prefix}[`) ? [[name.slice(prefix.length + 1, -1), value] as const] : [],
  );
  return Object.fromEntries(entries);
}
