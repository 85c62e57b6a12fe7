/**
 * Live events: thousands of subscribers of one wallet, each with a socket of its own, against a named floor: a plain server
 * that sends the same bytes to as many sockets. Subscribers are in this process; they count what arrives, and one in fifty reads
 * when it was made.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { WebSocket } from 'ws';
import { type BenchServer, median, NODE_FLAGS } from './bench-server.ts';
import type { Manifest } from './http-debits.ts';

const SUBSCRIBERS = Number(process.env.BENCH_SUBSCRIBERS ?? 5_000);
/** Changes at once, for the throughput. */
const BURST = 40;
/** Changes with a pause after each, for the latency. */
const PACED = 20;
const OPENING_AT_ONCE = 50;
const READING = 50;

/** Those who listen, on whichever server. */
class Audience {
  readonly latencies: number[] = [];
  received = 0;
  sample = '';
  readonly #sockets: WebSocket[] = [];
  readonly #madeAt: (text: string) => number;
  #awaited: { readonly count: number; readonly arrived: () => void } | null = null;

  constructor(madeAt: (text: string) => number) {
    this.#madeAt = madeAt;
  }

  async open(connect: () => Promise<WebSocket>): Promise<void> {
    let left = SUBSCRIBERS;
    const openSome = async () => {
      while (left > 0) {
        left -= 1;
        this.#add(await connect());
      }
    };
    await Promise.all(Array.from({ length: OPENING_AT_ONCE }, openSome));
  }

  /** Resolves when every subscriber has received so many more. */
  awaitEach(count: number): Promise<void> {
    return new Promise((arrived) => {
      this.#awaited = { count: this.received + count * SUBSCRIBERS, arrived };
    });
  }

  async close(): Promise<void> {
    await Promise.all(
      this.#sockets.map((socket) => {
        socket.terminate();
        return socket.readyState === WebSocket.CLOSED ? null : once(socket, 'close');
      }),
    );
  }

  #add(socket: WebSocket): void {
    const reads = this.#sockets.push(socket) % READING === 0;
    socket.on('message', (data) => {
      this.received += 1;
      if (reads) {
        this.sample = data.toString();
        this.latencies.push(Date.now() - this.#madeAt(this.sample));
      }
      if (this.received === this.#awaited?.count) this.#awaited.arrived();
    });
  }
}

interface Measured {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
}

/** `change` makes so many events for each of the audience. */
async function measure(audience: Audience, change: (times: number) => Promise<void> | void): Promise<Measured> {
  const startedAt = performance.now();
  const burst = audience.awaitEach(BURST);
  await Promise.all([change(BURST), burst]);
  const perSecond = (BURST * SUBSCRIBERS * 1_000) / (performance.now() - startedAt);
  audience.latencies.length = 0;
  for (let event = 0; event < PACED; event++) {
    const arrived = audience.awaitEach(1);
    await Promise.all([change(1), arrived]);
    await delay(100);
  }
  const sorted = audience.latencies.toSorted((a, b) => a - b);
  const quantile = (share: number) => sorted[Math.floor(sorted.length * share)] ?? Number.NaN;
  return { perSecond, p50: quantile(0.5), p99: quantile(0.99) };
}

async function ask(endpoint: string, secret: string, query: string): Promise<string> {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${secret}` };
  const answer = await fetch(endpoint, { method: 'POST', headers, body: JSON.stringify({ query }) });
  return answer.text();
}

let keys = 0;

async function gatewayTurn({
  endpoint,
  secrets: [secret = ''],
}: Manifest): Promise<Measured & { readonly text: string }> {
  const organization = await ask(endpoint, secret, '{ organization(slug: "bench-0") { id } }');
  const id = /"id":"([^"]+)"/.exec(organization)?.[1];
  const query = `subscription { balanceChanged(organizationId: "${id}") { cursor version change reasonCode totalAvailable held occurredAt } }`;
  // The instant of the batch, which is before its commit.
  const audience = new Audience((text) => Date.parse(/"occurredAt":"([^"]+)"/.exec(text)?.[1] ?? ''));
  await audience.open(() => subscriber(endpoint.replace(/^http/, 'ws'), secret, query));
  const debit = async () => {
    keys += 1;
    const input = `{ idempotencyKey: "live-${process.pid}-${keys}", amount: "0.000001" }`;
    const answer = await ask(endpoint, secret, `mutation { debit(input: ${input}) { __typename } }`);
    if (!answer.includes('DebitPayload')) throw new Error(`unexpected answer: ${answer}`);
  };
  const measured = await measure(audience, async (times) => {
    await Promise.all(Array.from({ length: times }, debit));
  });
  await audience.close();
  return { ...measured, text: audience.sample };
}

/** Subscribed, and past the event that the stream opens with. */
async function subscriber(url: string, secret: string, query: string): Promise<WebSocket> {
  const socket = new WebSocket(url, 'graphql-transport-ws');
  await once(socket, 'open');
  socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${secret}` } }));
  await once(socket, 'message');
  socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query } }));
  await once(socket, 'message');
  return socket;
}

async function plainTurn(plain: ChildProcess, port: number, text: string): Promise<Measured> {
  const audience = new Audience((received) => Number.parseInt(received, 10));
  await audience.open(async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}`);
    await once(socket, 'open');
    return socket;
  });
  const measured = await measure(audience, (times) => void plain.send({ text, times }));
  await audience.close();
  return measured;
}

export async function live({ manifest }: BenchServer, rounds: number): Promise<void> {
  const plain = fork(fileURLToPath(new URL('./plain-fan-out.js', import.meta.url)), { execArgv: NODE_FLAGS });
  const [port] = (await once(plain, 'message')) as [number];
  const gateway: Measured[] = [];
  const floor: Measured[] = [];
  for (let round = 0; round < rounds; round++) {
    const { text, ...measured } = await gatewayTurn(manifest);
    gateway.push(measured);
    floor.push(await plainTurn(plain, port, text));
  }
  plain.send('stop');
  const summary = (workload: string, turns: readonly Measured[]) => ({
    workload,
    'events per second': Math.round(median(turns.map(({ perSecond }) => perSecond))),
    'p50 ms': median(turns.map(({ p50 }) => p50)),
    'p99 ms': median(turns.map(({ p99 }) => p99)),
    'ratio to plain': median(
      turns.map(({ perSecond }, round) => perSecond / (floor[round]?.perSecond ?? Number.NaN)),
    ).toFixed(2),
  });
  console.log(`\nLive events, ${SUBSCRIBERS} sockets with one subscription each, medians of ${rounds} turns:`);
  console.table([summary('plain ws, the same bytes', floor), summary('balanceChanged of one wallet', gateway)]);
}
