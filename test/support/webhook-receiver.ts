/** Somebody who receives webhooks: a server on this machine that keeps what it is sent and answers as a test tells it to. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Webhook } from 'standardwebhooks';
import { decodeId } from '../../src/graphql/ids.ts';
import { WebhookDeliverer } from '../../src/operations/deliver-webhooks.ts';
import type { Services } from '../../src/operations/services.ts';
import type { Transaction } from '../../src/persistence/connection.ts';
import { type TakeBounds, takeDue } from '../../src/persistence/webhooks/webhook-deliveries.ts';
import { collectEvents } from '../../src/persistence/webhooks/webhook-outbox.ts';
import { WEBHOOK_SOURCES } from '../../src/persistence/webhooks/webhook-sources.ts';
import { CreateWebhookEndpointDocument, WebhookDeliveriesDocument } from '../generated/documents.ts';
import { query } from './books.ts';
import type { TestDatabase } from './database.ts';
import type { TestClient, TestGateway } from './gateway.ts';

export interface ReceivedWebhook {
  /** The event's id: the header `webhook-id`. */
  readonly id: string;
  readonly path: string;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** An answer by its status; `cut` ends the connection without one, `hang` keeps it until the receiver is closed. */
export type Answer = 'cut' | 'hang' | { readonly status: number; readonly headers?: Readonly<Record<string, string>> };

export class WebhookReceiver implements AsyncDisposable {
  readonly received: ReceivedWebhook[] = [];
  /** What it answers to each; 204 until a test says otherwise. */
  answer: (webhook: ReceivedWebhook) => Answer = () => ({ status: 204 });
  readonly #server = createServer((request, response) => void this.#receive(request, response));
  #arrived: () => void = () => undefined;

  static async start(): Promise<WebhookReceiver> {
    const receiver = new WebhookReceiver();
    await new Promise<void>((resolve) => receiver.#server.listen(0, '127.0.0.1', resolve));
    return receiver;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/hook`;
  }

  /** Resolves once so many have arrived in all. */
  async arrived(count: number): Promise<void> {
    while (this.received.length < count) await new Promise<void>((resolve) => (this.#arrived = resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const headers = request.headers as Record<string, string>;
    const body = Buffer.concat(chunks).toString();
    const webhook = { id: headers['webhook-id'] ?? '', path: request.url ?? '', body, headers };
    this.received.push(webhook);
    const answer = this.answer(webhook);
    if (answer === 'cut') response.destroy();
    else if (answer !== 'hang') response.writeHead(answer.status, answer.headers).end('thank you');
    this.#arrived();
  }
}

/** The event, by the library that receivers use; throws where the signature is not by this secret. */
export const verified = (secret: string, { body, headers }: ReceivedWebhook) =>
  new Webhook(secret).verify(body, { ...headers }) as {
    readonly type: string;
    readonly timestamp: string;
    readonly data: Readonly<Record<string, unknown>>;
  };

export interface AnEndpoint {
  readonly id: string;
  readonly secret: string;
}

export async function anEndpoint(
  client: TestClient,
  url: string,
  events: readonly string[] = ['ledger_entry.posted'],
): Promise<AnEndpoint> {
  const { createWebhookEndpoint } = await client.run(CreateWebhookEndpointDocument, {
    input: { url, events: [...events] },
  });
  if (createWebhookEndpoint.__typename !== 'CreateWebhookEndpointPayload') {
    throw new Error(JSON.stringify(createWebhookEndpoint));
  }
  return { id: createWebhookEndpoint.webhookEndpoint.id, secret: createWebhookEndpoint.secret };
}

/** Everything that is due, collected and sent, as a process of its own would. */
export async function deliver(services: Services, signal = new AbortController().signal): Promise<void> {
  const deliverer = new WebhookDeliverer(services);
  let unfinished = true;
  while (unfinished) {
    ({ unfinished } = await deliverer.run(signal));
    await deliverer.settled();
  }
}

/** Makes deliveries of what has happened, and sends none. */
export async function collect({ sql, newId }: Services, pending = 1_000): Promise<void> {
  for (const source of Object.entries(WEBHOOK_SOURCES)) {
    await collectEvents(sql, source, { endpoints: 1_000, events: 250, pending }, newId);
  }
}

/** What was and is to be delivered to an endpoint, newest first. */
export async function deliveriesTo(client: TestClient, id: string) {
  const { node } = await client.run(WebhookDeliveriesDocument, { id, first: 100 });
  if (!node || !('deliveries' in node)) throw new Error('no such endpoint');
  return node.deliveries.edges.map((edge) => edge.node);
}

/** Lets the time pass that an endpoint's deliveries wait for. */
export const comeDue = (database: TestDatabase, endpointId: string) =>
  query(
    database,
    `UPDATE webhook_delivery SET next_attempt_at = now() - interval '1 ms' WHERE endpoint_id = $1 AND status = 'PENDING'`,
    [decodeId('WebhookEndpoint', endpointId)],
  );

/** Takes what is due and dies before anything becomes of it; within a transaction that is not committed yet, or in its own. */
export function takeAndDie({ gateway }: TestGateway, bounds: Partial<TakeBounds> = {}, within?: Transaction) {
  const lease = { deliveries: 100, perEndpoint: 100, failingAfter: 5, leaseMilliseconds: 30_000 };
  const take = (tx: Transaction) => takeDue(tx, { ...lease, ...bounds });
  return within ? take(within) : gateway.services.sql.begin(take);
}

/** Lets the leases of an endpoint's deliveries run out. */
export const leasesEnd = (database: TestDatabase, endpointId: string) =>
  query(
    database,
    `UPDATE webhook_delivery SET leased_until = now() - interval '1 ms' WHERE endpoint_id = $1 AND leased_until IS NOT NULL`,
    [decodeId('WebhookEndpoint', endpointId)],
  );
