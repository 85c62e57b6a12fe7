import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Caller } from '../../src/domain/identity/caller.ts';
import type { GraphQLContext } from '../../src/graphql/context.ts';
import { type Followed, follow } from '../../src/graphql/live/follow.ts';
import { LiveSources } from '../../src/graphql/live/live-sources.ts';

const OPERATOR = { kind: 'OPERATOR', userId: 'operator' } as const;
const tenant = { organizationId: 'organization', walletId: 'wallet' };

/** What a gateway gives its streams, with rows of the test's own in place of a database. */
class World {
  readonly signals = new Set<() => void>();
  readonly shutdown = new AbortController();
  readonly told = new Set<(caller: Caller) => void>();
  readonly loads: { readonly after: bigint; readonly limit: number }[] = [];
  caller: Caller = OPERATOR;
  newest = 0n;
  /** Where it is set, what the next look for rows waits for. */
  held: Promise<void> | null = null;
  readonly live: LiveSources;

  constructor() {
    this.live = new LiveSources({
      services: { sql: (async () => []) as never, engine: null as never, feed: null as never },
      signals: {
        subscribe: (_walletId, wake) => {
          this.signals.add(wake);
          return () => this.signals.delete(wake);
        },
      },
      logger: pino({ level: 'silent' }),
      shutdown: this.shutdown.signal,
    });
  }

  follow(options: Partial<Followed<bigint>> & { readonly backlog?: () => number; readonly closed?: number[] } = {}) {
    const { backlog = () => 0, closed = [], ...followed } = options;
    const context: Partial<GraphQLContext> = {
      caller: this.caller,
      live: this.live,
      watchCredential: (told) => {
        this.told.add(told);
        return { current: () => this.caller, stop: () => this.told.delete(told) };
      },
      connection: { backlogBytes: backlog, close: (code) => void closed.push(code), tellsErrorsAsEvents: false },
    };
    const rows = follow<bigint>(context as GraphQLContext, {
      type: 'balance.changed',
      tenant,
      opening: [],
      after: 0n,
      numberOf: (row) => row,
      load: (after, limit) => this.load(after, limit),
      ...followed,
    });
    return rows[Symbol.asyncIterator]() as AsyncIterableIterator<bigint>;
  }

  async load(after: bigint, limit: number): Promise<bigint[]> {
    this.loads.push({ after, limit });
    const { newest, held } = this;
    await held;
    const count = Math.max(0, Math.min(limit, Number(newest - after)));
    return Array.from({ length: count }, (_, index) => after + 1n + BigInt(index));
  }

  /** Adds rows and tells so. */
  post(count: number): void {
    this.newest += BigInt(count);
    for (const wake of this.signals) wake();
  }

  async isIdle(): Promise<void> {
    expect(this.live.size).toEqual({ streams: 0, wallets: 0 });
    expect(this.signals.size).toBe(0);
    expect(this.told.size).toBe(0);
  }
}

async function take(stream: AsyncIterator<bigint>, count: number): Promise<bigint[]> {
  const rows: bigint[] = [];
  while (rows.length < count) {
    const { value, done } = await stream.next();
    if (done) throw new Error(`the stream ended after ${rows.length} rows`);
    rows.push(value);
  }
  return rows;
}

const upTo = (first: number, last: number): bigint[] =>
  Array.from({ length: last - first + 1 }, (_, index) => BigInt(first + index));

describe('streams of one wallet', () => {
  it('share what is read: each row once, however many there are', async () => {
    const world = new World();
    const streams = Array.from({ length: 200 }, () => world.follow());
    const first = streams.map((stream) => take(stream, 10));
    await new Promise(setImmediate);
    world.loads.length = 0;
    for (let row = 0; row < 10; row++) {
      world.post(1);
      await new Promise(setImmediate);
    }
    for (const rows of await Promise.all(first)) expect(rows).toEqual(upTo(1, 10));
    expect(world.loads.length).toBeLessThanOrEqual(10);
    for (const stream of streams) await stream.return?.();
    await world.isIdle();
  });

  it('bring every row once and in order to whoever joins behind, at and ahead of the others', async () => {
    const world = new World();
    world.newest = 7_300n;
    const starts = [7_300n, 0n, 3_210n, 7_299n, 7_000n, 0n];
    const streams = starts.map((after) => world.follow({ after }));
    const read = streams.map((stream, index) => take(stream, 9_000 - Number(starts[index])));
    for (let posted = 7_300; posted < 9_000; posted += 100) {
      world.post(100);
      await new Promise(setImmediate);
    }
    const rows = await Promise.all(read);
    starts.forEach((start, index) => {
      expect(rows[index]).toEqual(upTo(Number(start) + 1, 9_000));
    });
    for (const stream of streams) await stream.return?.();
    await world.isIdle();
  });

  it('let one fall behind by any number of rows and find all of them when it reads on', async () => {
    const world = new World();
    const [quick, slow] = [world.follow(), world.follow()];
    const first = [take(quick, 1), take(slow, 1)];
    await new Promise(setImmediate);
    world.post(1);
    await Promise.all(first);
    world.post(20_000);
    expect(await take(quick, 20_000)).toEqual(upTo(2, 20_001));
    expect(await take(slow, 20_000)).toEqual(upTo(2, 20_001));
  });

  it('end without a trace when the gateway stops', async () => {
    const world = new World();
    const streams = Array.from({ length: 5 }, () => world.follow());
    const ends = streams.map((stream) => stream.next());
    await new Promise(setImmediate);
    world.shutdown.abort();
    for (const end of await Promise.all(ends)) expect(end.done).toBe(true);
    await world.isIdle();
  });
});

describe('a stream that coalesces', () => {
  const coalesce = { from: 0n, merge: (last: bigint, newest: bigint) => newest * 1_000_000n + last };

  it('brings the newest row with what it has seen before', async () => {
    const world = new World();
    const stream = world.follow({ coalesce });
    const first = stream.next();
    await new Promise(setImmediate);
    world.post(1);
    expect((await first).value).toBe(1_000_000n);
    world.post(5_000);
    await vi.waitFor(() => expect(world.loads.at(-1)?.after).toBe(5_001n));
    expect((await stream.next()).value).toBe(5_001_000_001n);
  });
});

describe('a reader that does not read', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }));
  afterEach(() => void vi.useRealTimers());

  /** Three checks of its pace, a second apart. */
  const hasBeenChecked = () => vi.advanceTimersByTimeAsync(3_000);

  it('is told to go when it is far behind and its socket is full, and the others go on', async () => {
    const world = new World();
    const closed: number[] = [];
    const [stalled, quick] = [world.follow({ backlog: () => 1, closed }), world.follow()];
    const first = [take(stalled, 1), take(quick, 1)];
    await new Promise(setImmediate);
    world.post(1);
    await Promise.all(first);
    world.post(1_100);
    expect(await take(quick, 1_100)).toEqual(upTo(2, 1_101));
    await hasBeenChecked();
    expect(closed).toEqual([4429]);
    await expect(stalled.next()).rejects.toMatchObject({ extensions: { code: 'TOO_SLOW' } });
    world.post(1);
    expect(await take(quick, 1)).toEqual([1_102n]);
    await quick.return?.();
    await world.isIdle();
  });

  it('stays where its socket takes what is written, where it is not far behind, and where it coalesces', async () => {
    const world = new World();
    const closed: number[] = [];
    const coalesce = { from: 0n, merge: (_last: bigint, newest: bigint) => newest };
    const streams = [
      world.follow({ backlog: () => 0, closed }),
      world.follow({ backlog: () => 1, closed, coalesce }),
      world.follow({ backlog: () => 1, closed, after: 200n }),
    ];
    world.newest = 200n;
    const opened = [take(streams[0] as AsyncIterator<bigint>, 200), take(streams[1] as AsyncIterator<bigint>, 1)];
    const last = take(streams[2] as AsyncIterator<bigint>, 1);
    await Promise.all(opened);
    world.post(1);
    await last;
    world.post(1_000);
    await hasBeenChecked();
    expect(closed).toEqual([]);
  });
});

describe('a stream whose read fails', () => {
  /** A stream whose first read is under way and fails when told to. */
  function aStreamThatReads() {
    let fail: (error: Error) => void = () => undefined;
    const reading = new Promise<readonly bigint[]>((_, reject) => {
      fail = reject;
    });
    const stream = new World().follow({ load: () => reading });
    return { stream, fail: () => fail(new Error('the connection was lost')) };
  }

  it('tells the client that waits for the next row', async () => {
    const { stream, fail } = aStreamThatReads();
    const next = stream.next();
    fail();
    await expect(next).rejects.toThrow('the connection was lost');
  });

  it('tells nobody once its client has left', async () => {
    const { stream, fail } = aStreamThatReads();
    const next = stream.next();
    const left = stream.return?.();
    fail();
    await expect(next).resolves.toMatchObject({ done: true });
    await expect(left).resolves.toMatchObject({ done: true });
  });

  it('tells all who share the read, and the next who comes begins anew', async () => {
    const world = new World();
    let isBroken = false;
    const load: Followed<bigint>['load'] = async (after, limit) => {
      if (isBroken) throw new Error('the connection was lost');
      return world.load(after, limit);
    };
    const waiting = Array.from({ length: 3 }, () => world.follow({ load }).next());
    await new Promise(setImmediate);
    isBroken = true;
    world.post(1);
    for (const next of waiting) await expect(next).rejects.toThrow('the connection was lost');
    await world.isIdle();
    isBroken = false;
    expect(await take(world.follow({ load }), 1)).toEqual([1n]);
  });
});

describe('a credential that ends', () => {
  const CASES = {
    'that is not valid any more': [{ kind: 'ANONYMOUS' }, 'UNAUTHENTICATED'],
    'that may not read the wallet any more': [{ kind: 'USER', userId: 'u', memberships: [] }, 'FORBIDDEN'],
  } as const;

  it.each(Object.entries(CASES))('ends an idle stream with 4403: one %s', async (_name, [caller, code]) => {
    const world = new World();
    const closed: number[] = [];
    const next = world.follow({ closed }).next();
    await new Promise(setImmediate);
    for (const told of [...world.told]) told(caller);
    await expect(next).rejects.toMatchObject({ extensions: { code } });
    expect(closed).toEqual([4403]);
    await world.isIdle();
  });

  it.each(Object.entries(CASES))('keeps back the event that is there: one %s', async (_name, [caller, code]) => {
    const world = new World();
    const closed: number[] = [];
    const next = world.follow({ closed }).next();
    await new Promise(setImmediate);
    world.caller = caller;
    world.post(1);
    await expect(next).rejects.toMatchObject({ extensions: { code } });
    expect(closed).toEqual([4403]);
  });
});
