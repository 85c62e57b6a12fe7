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

type Publisher = Parameters<typeof createRedisEventTarget>[0]['publishClient'];
type Subscriber = Parameters<typeof createRedisEventTarget>[0]['subscribeClient'];

export function redisSignals(redisUrl: string, logger: Logger, hear: HearWallets): SignalChannel {
  const outage = new Outage(logger);
  // What cannot be told at once is not worth telling later: by then the wallet has been polled.
  const publisher = connect(redisUrl, outage, { enableOfflineQueue: false });
  const subscriber = connect(redisUrl, outage, { maxRetriesPerRequest: null });
  let published: Promise<unknown> = Promise.resolve();
  const events = createRedisEventTarget<CustomEvent<readonly string[]>>({
    // The event target waits for neither, so that a rejection would have nobody.
    publishClient: {
      publish: (channel: string, message: string) => {
        published = publisher.publish(channel, message);
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
  redis.on('error', (error) => outage.begins(error));
  redis.on('ready', () => outage.ends());
  return redis;
}

/** Logs that Redis is away once, and once that it is back. */
class Outage {
  readonly #logger: Logger;
  #lasts = false;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  begins(error: unknown): void {
    if (this.#lasts) return;
    this.#lasts = true;
    this.#logger.warn(
      { err: error },
      'Redis cannot be reached; other processes notice changes by polling until it can',
    );
  }

  ends(): void {
    if (this.#lasts) this.#logger.info('Redis is back');
    this.#lasts = false;
  }
}
