/** Signals over a real Redis: heard by other processes only, and nothing but late while it is away. */
import { pino } from 'pino';
import { describe, expect, it, vi } from 'vitest';
import type { PostedChange } from '../../src/domain/posting/records.ts';
import { redisSignals } from '../../src/persistence/signals/redis-signals.ts';
import { WalletSignals } from '../../src/persistence/signals/wallet-signals.ts';
import { aFreePort } from '../support/process-gateway.ts';
import { REDIS_IS_INSTALLED, startRedis } from '../support/redis.ts';

interface Process extends AsyncDisposable {
  /** What it logged, a line each. */
  readonly log: string[];
  /** How often it was woken for a wallet. */
  woken(walletId: string): number;
  post(walletId: string): void;
}

async function aProcess(url: string): Promise<Process> {
  const log: string[] = [];
  const logger = pino({ level: 'info' }, { write: (line: string) => log.push(JSON.parse(line).msg) });
  const signals = new WalletSignals(logger);
  await signals.connect((hear) => redisSignals(url, logger, hear));
  const woken = new Map<string, number>();
  const count = (walletId: string) => {
    signals.subscribe(walletId, () => woken.set(walletId, (woken.get(walletId) ?? 0) + 1));
    woken.set(walletId, 0);
  };
  return {
    log,
    woken(walletId) {
      if (!woken.has(walletId)) count(walletId);
      return woken.get(walletId) ?? 0;
    },
    post: (walletId) => signals.published([{ walletId } as PostedChange]),
    [Symbol.asyncDispose]: () => signals.stop(),
  };
}

/** Posts until the other process hears: what is told while a connection is being made is lost, as it may be. */
async function awaitHeard(teller: Process, hearer: Process, walletId: string): Promise<void> {
  const before = hearer.woken(walletId);
  await vi.waitFor(
    () => {
      teller.post(walletId);
      expect(hearer.woken(walletId)).toBeGreaterThan(before);
    },
    { timeout: 20_000, interval: 50 },
  );
}

describe.skipIf(!REDIS_IS_INSTALLED)('signals over Redis', () => {
  it('reach the other processes that wait for the wallet, and the own one once', async () => {
    await using redis = await startRedis();
    await using teller = await aProcess(redis.url);
    await using hearer = await aProcess(redis.url);
    await awaitHeard(teller, hearer, 'one');
    expect(hearer.woken('other')).toBe(0);
    teller.woken('own');
    hearer.woken('own');
    for (let change = 0; change < 20; change++) teller.post('own');
    await vi.waitFor(() => expect(hearer.woken('own')).toBeGreaterThan(0));
    await awaitHeard(hearer, teller, 'back');
    expect(teller.woken('own')).toBe(20);
    expect(hearer.woken('other')).toBe(0);
    expect([...teller.log, ...hearer.log]).toEqual([]);
  });

  it('are back after Redis was; the log tells once that it was away', async () => {
    const redis = await startRedis();
    await using teller = await aProcess(redis.url);
    await using hearer = await aProcess(redis.url);
    await awaitHeard(teller, hearer, 'wallet');
    await redis.kill();
    await vi.waitFor(() => expect(teller.log).not.toEqual([]), { timeout: 20_000 });
    for (let change = 0; change < 50; change++) {
      teller.post('wallet');
      await new Promise(setImmediate);
    }
    await using _again = await startRedis(redis.port);
    await awaitHeard(teller, hearer, 'wallet');
    await vi.waitFor(() => expect(teller.log).toHaveLength(2));
    expect(teller.log).toEqual([expect.stringContaining('Redis cannot be reached'), 'Redis is back']);
  });

  it('begin when Redis does, where it was not there yet', async () => {
    const port = await aFreePort();
    await using teller = await aProcess(`redis://127.0.0.1:${port}`);
    await using hearer = await aProcess(`redis://127.0.0.1:${port}`);
    teller.post('wallet');
    await vi.waitFor(() => expect(teller.log).not.toEqual([]), { timeout: 20_000 });
    await using _late = await startRedis(port);
    await awaitHeard(teller, hearer, 'wallet');
  });
});
