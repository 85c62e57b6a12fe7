/** The HTTP server: the GraphQL endpoint, webhooks, the sandbox's checkout, the billing page, health and metrics. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Registry } from 'prom-client';
import { receiveProviderEvent } from '../operations/receive-provider-event.ts';
import { UnverifiedEvent } from '../payments/provider.ts';
import type { SandboxProvider } from '../payments/sandbox/sandbox-provider.ts';
import { isUnavailable } from '../persistence/errors.ts';
import { billingPage } from './billing-page.ts';
import { BodyTooLarge, boundChunkedBody, declaredLength, readBody } from './body.ts';
import { createEndpoint, type EndpointOptions, type GraphQLEndpoint } from './graphql-endpoint.ts';
import { MAX_BODY_BYTES, MAX_WEBHOOK_BYTES } from './limits.ts';
import { PAGE_HEADERS } from './pages.ts';
import { serveReceipt } from './receipt-page.ts';
import { type DeliverEvent, serveSandboxCheckout } from './sandbox-checkout.ts';
import { serveSandboxPortal } from './sandbox-portal.ts';
import { serveStatement } from './statement-export.ts';
import { serveWebSocket, type WebSocketEndpoint } from './websocket.ts';

export interface GatewayHandlers extends EndpointOptions {
  /** Null where another provider takes payments. */
  readonly sandbox: SandboxProvider | null;
  readonly metrics: Registry;
  /** Resolves where the database answers. */
  readonly checkReady: () => Promise<void>;
}

/** The server that listens from the first moment, so that a taken port is known before anything else is started. */
export class HttpServer {
  readonly #server: Server;
  #route: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
  #onFault: (error: unknown, response: ServerResponse) => void = (_error, response) => response.destroy();
  #sockets: WebSocketEndpoint | null = null;
  readonly #underWay = new Set<ServerResponse>();
  #stopped: Promise<void> | null = null;

  constructor() {
    this.#route = async (_request, response) => plain(response, 503, 'starting', { 'retry-after': '1' });
    this.#server = createServer((request, response) => {
      this.#track(response);
      this.#route(request, response).catch((error: unknown) => this.#onFault(error, response));
    });
    // One HTTP request of a batch of 5,000 events may take its time; nobody needs more than this.
    this.#server.requestTimeout = 60_000;
  }

  /** Rejects where the port is taken. The port that was asked for, or a free one for 0. */
  listen(port: number, host: string): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, () => {
        this.#server.removeListener('error', reject);
        const address = this.#server.address();
        resolve(typeof address === 'object' && address !== null ? address.port : port);
      });
    });
  }

  /** Begins to serve. */
  serve(handlers: GatewayHandlers): void {
    const endpoint = createEndpoint(handlers);
    this.#sockets = serveWebSocket(this.#server, endpoint, handlers);
    this.#route = router(endpoint, handlers);
    this.#onFault = faultAnswer(handlers);
  }

  /**
   * Takes no new connection or request, closes sockets with 1001, and resolves when what was under way has been answered.
   * Connections that are kept alive end with their next answer.
   */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#route = async (_request, response) => plain(response, 503, 'shutting down', { 'retry-after': '1' });
    for (const response of this.#underWay) endConnectionAfter(response);
    await this.#sockets?.close();
    this.#server.closeIdleConnections();
    await closed;
  }

  #track(response: ServerResponse): void {
    this.#underWay.add(response);
    if (this.#stopped) endConnectionAfter(response);
    response.on('close', () => {
      this.#underWay.delete(response);
      if (this.#stopped) this.#server.closeIdleConnections();
    });
  }

  /** Cuts whatever is still connected. */
  destroy(): void {
    this.#server.closeAllConnections();
  }
}

/** Faults of the plain routes; GraphQL masks its own. */
function faultAnswer({ logger }: GatewayHandlers) {
  return (error: unknown, response: ServerResponse): void => {
    if (!(error instanceof BodyTooLarge)) logger.error({ err: error }, 'unexpected error');
    if (response.headersSent) response.destroy();
    else if (error instanceof BodyTooLarge) plain(response, 413, error.message);
    else if (isUnavailable(error)) plain(response, 503, 'the database cannot be reached', { 'retry-after': '1' });
    else plain(response, 500, 'unexpected error');
  };
}

/** Tells the client not to send another request on this connection. */
function endConnectionAfter(response: ServerResponse): void {
  if (!response.headersSent) response.setHeader('connection', 'close');
}

function router(endpoint: GraphQLEndpoint, handlers: GatewayHandlers) {
  const { services, sandbox, metrics, checkReady } = handlers;
  const deliver: DeliverEvent = (headers, body) => webhookStatus(handlers, headers, body);
  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
    if (path === '/graphql') {
      if ((declaredLength(request) ?? 0) > MAX_BODY_BYTES) return plain(response, 413, 'the request body is too large');
      boundChunkedBody(request, MAX_BODY_BYTES);
      return endpoint(request, response) as Promise<void>;
    }
    if (path === `/webhooks/${services.payments.name}`) return serveWebhook(handlers, request, response);
    if (sandbox !== null && path.startsWith('/checkout/sandbox/')) {
      return serveSandboxCheckout(sandbox, deliver, request, response);
    }
    if (sandbox !== null && path.startsWith('/portal/sandbox/')) {
      return serveSandboxPortal(sandbox, path, request, response);
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') return plain(response, 404, 'not found');
    if (path.startsWith('/statements/')) return serveStatement(handlers, path, request, response);
    if (path.startsWith('/receipts/')) return serveReceipt(services.sql, path, response);
    switch (path) {
      case '/':
        response.writeHead(302, { location: 'graphql' }).end();
        return;
      case '/billing':
        response.writeHead(200, PAGE_HEADERS).end(billingPage(services.catalogs.current.catalog));
        return;
      case '/health':
        return plain(response, 200, 'ok');
      case '/ready':
        return checkReady().then(
          () => plain(response, 200, 'ready'),
          () => plain(response, 503, 'the database does not answer', { 'retry-after': '1' }),
        );
      case '/metrics':
        response.writeHead(200, { 'content-type': metrics.contentType }).end(await metrics.metrics());
        return;
      default:
        return plain(response, 404, 'not found');
    }
  };
}

async function serveWebhook(
  handlers: GatewayHandlers,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (request.method !== 'POST') return plain(response, 405, 'webhooks are posted');
  if ((declaredLength(request) ?? 0) > MAX_WEBHOOK_BYTES) return plain(response, 413, 'the request body is too large');
  const headers = Object.fromEntries(
    Object.entries(request.headers).flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : [])),
  );
  const status = await webhookStatus(handlers, headers, await readBody(request, MAX_WEBHOOK_BYTES));
  return plain(response, status, status < 300 ? 'ok' : 'refused');
}

/** 2xx tells the provider not to repeat the event. */
async function webhookStatus(
  { services, logger }: GatewayHandlers,
  headers: Readonly<Record<string, string>>,
  body: string,
): Promise<number> {
  try {
    const answer = await receiveProviderEvent(services, headers, body);
    return answer === 'handled' || answer === 'ignored' ? 200 : answer === 'unknown-purchase' ? 404 : 409;
  } catch (error) {
    if (error instanceof UnverifiedEvent) return 400;
    logger.error({ err: error }, 'payment event could not be handled');
    return 503;
  }
}

function plain(response: ServerResponse, status: number, text: string, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', ...headers }).end(`${text}\n`);
}
