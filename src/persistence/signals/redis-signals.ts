/**
 * Signals by Redis, for installations with more gateways and changes than NOTIFY should carry. Redis holds nothing that
 * counts: while it is away nothing is told, watched wallets are polled, and the gateway goes on; it is reconnected to for ever.
 */
import { createRedisEventTarget } from '@graphql-yoga/redis-event-target';
import { Redis } from 'ioredis';
import type { Logger } from 'pino';
import type { HearWallets, SignalChannel } from './signal-channel.ts';

const TOPIC = 'purser:wallets';
const MAX_RECONNECT_MILLISECONDS = 2_000;
const PUBLISH_MILLISECONDS = 1_000;

type Publisher = Parameters<typeof createRedisEventTarget>[0]['publishClient'];
type Subscriber = Parameters<typeof createRedisEventTarget>[0]['subscribeClient'];

export function redisSignals(redisUrl: string, logger: Logger, hear: HearWallets): SignalChannel {
  const outage = new Outage(logger);
  // What cannot be told at once is not worth telling later: by then the wallet has been polled.
  const publisher = connect(redisUrl, outage, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    commandTimeout: PUBLISH_MILLISECONDS,
  });
  const subscriber = connect(redisUrl, outage, { maxRetriesPerRequest: null });
  let published: Promise<unknown> = Promise.resolve();
  const events = createRedisEventTarget<CustomEvent<readonly string[]>>({
    // The event target waits for neither, so that a rejection would have nobody. What fails is logged as an outage.
    publishClient: {
      publish: (channel: string, message: string) => {
        published = publisher.publish(channel, message).catch(() => undefined);
        return published;
      },
    } as unknown as Publisher,
    subscribeClient: {
      on: (event: 'message', told: (channel: string, message: string) => void) => subscriber.on(event, told),
      subscribe: (topic: string) => subscriber.subscribe(topic).catch(() => undefined),
      unsubscribe: (topic: string) => subscriber.unsubscribe(topic).catch(() => undefined),
    } as unknown as Subscriber,
  });
  const listener = ({ detail }: CustomEvent<readonly string[]>) => hear(detail);
  events.addEventListener(TOPIC, listener as never);
  return {
    async publish(walletIds) {
      if (publisher.status !== 'ready') return;
      events.dispatchEvent(new CustomEvent(TOPIC, { detail: walletIds }));
      await published;
    },
    async stop() {
      publisher.disconnect();
      subscriber.disconnect();
    },
  };
}

function connect(url: string, outage: Outage, options: object): Redis {
  const redis = new Redis(url, {
    ...options,
    retryStrategy: (attempt) => Math.min(attempt * 100, MAX_RECONNECT_MILLISECONDS),
  });
  redis.on('error', (error) => outage.begins(redis, error));
  redis.on('ready', () => outage.ends(redis));
  return redis;
}

/** Logs once that Redis is away, and once that all connections to it are back. */
class Outage {
  readonly #logger: Logger;
  readonly #away = new Set<Redis>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  begins(connection: Redis, error: unknown): void {
    const isKnown = this.#away.size > 0;
    this.#away.add(connection);
    if (isKnown) return;
    this.#logger.warn(
      { err: error },
      'Redis cannot be reached; other processes notice changes by polling until it can',
    );
  }

  ends(connection: Redis): void {
    const isOver = this.#away.delete(connection) && this.#away.size === 0;
    if (isOver) this.#logger.info('Redis is back');
  }
}
