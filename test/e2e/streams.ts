/**
 * Clients of live streams: GraphQL over SSE with fetch, over WebSocket with graphql-ws, and a bare socket for what no
 * proper client would send. Every wait is for something on the wire, never for time to pass.
 */
import type { TypedDocumentNode } from '@graphql-typed-document-node/core';
import { type GraphQLFormattedError, print } from 'graphql';
import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import type { Gateway } from '../../src/compose.ts';

export type Transport = 'websocket' | 'sse';
export const TRANSPORTS: readonly Transport[] = ['websocket', 'sse'];

export interface Result<Data> {
  readonly data?: Data | null | undefined;
  readonly errors?: readonly GraphQLFormattedError[] | undefined;
}

/** One open subscription. */
export class Live<Data> implements AsyncDisposable {
  readonly #results: AsyncIterator<Result<Data>>;
  readonly #cut: () => void;

  constructor(results: AsyncIterator<Result<Data>>, cut: () => void) {
    this.#results = results;
    this.#cut = cut;
  }

  /** The next answer, be it an event or an error; null where the stream has ended. */
  async result(): Promise<Result<Data> | null> {
    const { value, done } = await this.#results.next();
    return done ? null : value;
  }

  /** The next event. Throws where the stream brings an error or ends. */
  async next(): Promise<Data> {
    const result = await this.result();
    if (!result?.data || result.errors) throw new Error(`no event but ${JSON.stringify(result)}`);
    return result.data;
  }

  async take(count: number): Promise<Data[]> {
    const events: Data[] = [];
    while (events.length < count) events.push(await this.next());
    return events;
  }

  /** Cuts the connection without a word. */
  kill(): void {
    this.#cut();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#cut();
  }
}

/** A gateway of this process or of another. */
export interface Reachable {
  readonly gateway: Pick<Gateway, 'endpoint' | 'wsEndpoint'>;
}

/** Subscribes; anonymously without a token. */
export function subscribe<Data, Variables extends object>(
  transport: Transport,
  { gateway }: Reachable,
  token: string | undefined,
  document: TypedDocumentNode<Data, Variables> | string,
  variables?: Variables,
): Live<Data> {
  const query = typeof document === 'string' ? document : print(document);
  const request = { query, variables: { ...variables } };
  return transport === 'sse'
    ? overSse(gateway.endpoint, token, request)
    : overWebSocket(gateway.wsEndpoint, token, request);
}

interface Request {
  readonly query: string;
  readonly variables: Record<string, unknown>;
}

const bearer = (token: string | undefined) => (token === undefined ? {} : { authorization: `Bearer ${token}` });

function overWebSocket<Data>(url: string, token: string | undefined, request: Request): Live<Data> {
  let socket: WebSocket | null = null;
  class Observed extends WebSocket {
    constructor(address: string, protocol: string) {
      super(address, protocol);
      socket = this;
      // Cut while it was connecting.
      this.on('error', () => undefined);
    }
  }
  const client = createClient({ url, webSocketImpl: Observed, connectionParams: bearer(token), retryAttempts: 0 });
  return new Live<Data>(readSocket(client.iterate<Data>(request)), () => socket?.terminate());
}

/** An `error` message of the protocol, which the client throws as a list, is an answer like any other. */
async function* readSocket<Data>(results: AsyncIterable<Result<Data>>): AsyncGenerator<Result<Data>> {
  try {
    yield* results;
  } catch (error) {
    if (!Array.isArray(error)) throw error;
    yield { errors: error as readonly GraphQLFormattedError[] };
  }
}

function overSse<Data>(url: string, token: string | undefined, request: Request): Live<Data> {
  const abort = new AbortController();
  return new Live<Data>(readSse<Data>(url, token, request, abort.signal), () => abort.abort());
}

async function* readSse<Data>(
  url: string,
  token: string | undefined,
  request: Request,
  signal: AbortSignal,
): AsyncGenerator<Result<Data>> {
  const headers = { accept: 'text/event-stream', 'content-type': 'application/json', ...bearer(token) };
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(request), signal });
  if (!response.headers.get('content-type')?.startsWith('text/event-stream')) {
    yield (await response.json()) as Result<Data>;
    return;
  }
  let received = '';
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    received += decoder.decode(chunk, { stream: true });
    const messages = received.split('\n\n');
    received = messages.pop() ?? '';
    for (const message of messages) {
      const lines = message.split('\n');
      if (lines.includes('event: complete')) return;
      const data = lines.find((line) => line.startsWith('data: {'));
      if (data) yield JSON.parse(data.slice('data: '.length)) as Result<Data>;
    }
  }
}

export interface Closed {
  readonly code: number;
  readonly reason: string;
}

export interface ProtocolMessage {
  readonly type: string;
  readonly id?: string;
  readonly payload?: unknown;
}

/** A socket that says exactly what it is told to, in the graphql-transport-ws protocol or not. */
export class BareSocket implements AsyncDisposable {
  readonly closed: Promise<Closed>;
  readonly #socket: WebSocket;
  readonly #received: ProtocolMessage[] = [];
  #arrived: () => void = () => undefined;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    this.closed = new Promise((resolve) => {
      socket.on('close', (code, reason) => {
        resolve({ code, reason: reason.toString() });
        this.#arrived();
      });
    });
    socket.on('message', (data) => {
      this.#received.push(JSON.parse(data.toString()) as ProtocolMessage);
      this.#arrived();
    });
  }

  static async open({ gateway }: Reachable, headers: Record<string, string> = {}): Promise<BareSocket> {
    const socket = new WebSocket(gateway.wsEndpoint, 'graphql-transport-ws', { headers });
    const bare = new BareSocket(socket);
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
    return bare;
  }

  /** Opened and acknowledged. */
  static async initialized(gateway: Reachable, token?: string): Promise<BareSocket> {
    const socket = await BareSocket.open(gateway);
    socket.send({ type: 'connection_init', payload: bearer(token) });
    await socket.messageOf('connection_ack');
    return socket;
  }

  send(message: ProtocolMessage | string): void {
    this.#socket.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  /** Stops to read from the connection. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  subscribe(id: string, query: string): void {
    this.send({ type: 'subscribe', id, payload: { query } });
  }

  /** The next message of one of the types (and id); earlier others are passed over. Throws where the socket closes. */
  async messageOf(type: string, id?: string): Promise<ProtocolMessage> {
    for (;;) {
      const message = this.#received.shift();
      if (message) {
        if (message.type === type && (id === undefined || message.id === id)) return message;
        continue;
      }
      if (this.#socket.readyState >= WebSocket.CLOSING) {
        const { code, reason } = await this.closed;
        throw new Error(`the socket was closed with ${code} ${reason} while waiting for ${type}`);
      }
      await new Promise<void>((resolve) => {
        this.#arrived = resolve;
      });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.terminate();
    await this.closed;
  }
}
