/**
 * Sends webhooks: signed by Standard Webhooks, once, without following redirects, to allowed addresses only and for a bounded
 * time. Addresses are judged as they are connected to, after the name was resolved, so that a name that changes its mind
 * between two looks leads nowhere.
 */
import { randomBytes } from 'node:crypto';
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { RequestFilteringHttpAgent, RequestFilteringHttpsAgent } from 'request-filtering-agent';
import { Webhook } from 'standardwebhooks';
import { dateOf, type Instant } from '../domain/time/instant.ts';
import { SecretSeal } from './secret-seal.ts';
import { LOOPBACK_ADDRESSES, type TargetRules, type WebhookTargets, whyNoTarget } from './targets.ts';

export interface WebhookMessage {
  readonly endpointId: string;
  readonly url: string;
  readonly eventId: string;
  readonly payload: string;
  /** Sealed; a signature by each of them. */
  readonly secrets: readonly Buffer[];
  /** The time of the attempt, which is signed too. */
  readonly at: Instant;
}

export interface WebhookAnswer {
  /** Null where there was no answer. */
  readonly status: number | null;
  readonly retryAfterMilliseconds: number | null;
}

/** The port of operations to those who receive webhooks. */
export interface WebhookSender {
  /** What is wrong with a URL, for whoever wrote it; null where nothing is. */
  whyNoTarget(url: string): string | null;
  /** A fresh secret for an endpoint, as its owner sees it this once and as it is stored. */
  newSecret(endpointId: string): Promise<{ readonly secret: string; readonly sealed: Buffer }>;
  /** Makes one attempt. Ends early, without an answer, when the signal aborts. Throws where a secret cannot be opened. */
  send(message: WebhookMessage, signal: AbortSignal): Promise<WebhookAnswer>;
}

export interface HttpWebhookSenderOptions extends TargetRules {
  /** What seals secrets; asked for when the first is made or used, and once it has answered not again. */
  readonly installationKey: () => Promise<string>;
  /** How long an attempt may take in all; 10 s without it. */
  readonly timeoutMilliseconds?: number;
}

const TIMEOUT_MILLISECONDS = 10_000;
/** What is read of an answer, for politeness, before the connection is cut. */
const MAX_ANSWER_BYTES = 65_536;
const SECRET_BYTES = 32;
const NO_ANSWER: WebhookAnswer = { status: null, retryAfterMilliseconds: null };

const FILTERS: Readonly<Record<WebhookTargets, object>> = {
  PUBLIC: {},
  LOOPBACK: { allowIPAddressList: LOOPBACK_ADDRESSES },
  ANY: { allowPrivateIPAddress: true },
};

export class HttpWebhookSender implements WebhookSender {
  readonly #rules: TargetRules;
  readonly #installationKey: () => Promise<string>;
  #seal: SecretSeal | null = null;
  readonly #timeout: number;
  readonly #httpAgent: RequestFilteringHttpAgent;
  readonly #httpsAgent: RequestFilteringHttpsAgent;

  constructor({ installationKey, timeoutMilliseconds = TIMEOUT_MILLISECONDS, ...rules }: HttpWebhookSenderOptions) {
    this.#rules = rules;
    this.#installationKey = installationKey;
    this.#timeout = timeoutMilliseconds;
    this.#httpAgent = new RequestFilteringHttpAgent(FILTERS[rules.targets]);
    this.#httpsAgent = new RequestFilteringHttpsAgent(FILTERS[rules.targets]);
  }

  whyNoTarget(url: string): string | null {
    return whyNoTarget(url, this.#rules);
  }

  async newSecret(endpointId: string): Promise<{ readonly secret: string; readonly sealed: Buffer }> {
    const secret = `whsec_${randomBytes(SECRET_BYTES).toString('base64')}`;
    return { secret, sealed: (await this.#sealing()).seal(secret, endpointId) };
  }

  async #sealing(): Promise<SecretSeal> {
    this.#seal ??= new SecretSeal(await this.#installationKey());
    return this.#seal;
  }

  async send(message: WebhookMessage, signal: AbortSignal): Promise<WebhookAnswer> {
    const secrets = openSecrets(await this.#sealing(), message);
    // The rules may have become stricter since the URL was written.
    if (this.whyNoTarget(message.url) !== null) return NO_ANSWER;
    const ending = new AbortController();
    const end = () => ending.abort();
    const timer = setTimeout(end, this.#timeout);
    signal.addEventListener('abort', end);
    if (signal.aborted) end();
    try {
      return await answerTo(this.#request(message, secrets, ending.signal), message.payload);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
    }
  }

  #request({ url, eventId, payload, at }: WebhookMessage, secrets: readonly string[], signal: AbortSignal) {
    const sentAt = dateOf(at);
    const signatures = secrets.map((secret) => new Webhook(secret).sign(eventId, sentAt, payload));
    const target = new URL(url);
    const options = {
      method: 'POST',
      signal,
      headers: {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(payload),
        'user-agent': 'Purser-Webhooks/1.0',
        'webhook-id': eventId,
        'webhook-timestamp': Math.floor(at / 1_000).toString(),
        'webhook-signature': signatures.join(' '),
      },
    };
    return target.protocol === 'https:'
      ? httpsRequest(target, { ...options, agent: this.#httpsAgent })
      : httpRequest(target, { ...options, agent: this.#httpAgent });
  }
}

/** The newest must open; one before it that is sealed with a key of before signs no more. */
function openSecrets(seal: SecretSeal, { secrets: [newest, ...others], endpointId }: WebhookMessage): string[] {
  if (newest === undefined) throw new Error('a webhook endpoint has a secret');
  const open = (sealed: Buffer) => seal.open(sealed, endpointId);
  return [open(newest), ...others.flatMap((sealed) => orNothing(() => open(sealed)))];
}

function orNothing<T>(read: () => T): T[] {
  try {
    return [read()];
  } catch {
    return [];
  }
}

/** Resolves once the answer has ended or been cut; its head alone counts. */
function answerTo(request: ClientRequest, payload: string): Promise<WebhookAnswer> {
  return new Promise((resolve) => {
    let answer = NO_ANSWER;
    request.on('response', (response) => {
      answer = readHead(response);
      drain(response);
    });
    request.on('error', () => resolve(answer));
    request.on('close', () => resolve(answer));
    request.end(payload);
  });
}

function readHead({ statusCode, headers }: IncomingMessage): WebhookAnswer {
  return { status: statusCode ?? null, retryAfterMilliseconds: readRetryAfter(headers['retry-after']) };
}

function drain(response: IncomingMessage): void {
  let bytes = 0;
  response.on('error', () => undefined);
  response.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > MAX_ANSWER_BYTES) response.destroy();
  });
}

/** In seconds, or a date; null for anything else and for what has passed. */
function readRetryAfter(text: string | undefined): number | null {
  if (text === undefined) return null;
  const milliseconds = /^\d{1,9}$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - Date.now();
  return milliseconds > 0 ? milliseconds : null;
}
