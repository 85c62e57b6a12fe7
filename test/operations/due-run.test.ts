/** How wallets that are due are walked: in pages, a bounded number at once, each with its share before one has a second. */
import { type Logger, pino } from 'pino';
import { describe, expect, it } from 'vitest';
import type { Tenant } from '../../src/domain/identity/caller.ts';
import { DueRun, type DueWork } from '../../src/operations/due-run.ts';

const RUNNING = new AbortController().signal;

/** Wallets with so many shares of work each, in the order in which they are found. */
function aRun(shares: Readonly<Record<string, number>>, options: Partial<DueWork> = {}) {
  const left = new Map(Object.entries(shares));
  const worked: string[] = [];
  const found: number[] = [];
  const log: { walletId: string; failures: number; msg: string }[] = [];
  const logger: Logger = pino({ level: 'warn' }, { write: (line: string) => log.push(JSON.parse(line)) });
  let underWay = 0;
  let most = 0;
  const run = new DueRun(
    {
      async find({ except, limit }) {
        const due = [...left].filter(([walletId, count]) => count > 0 && !except.includes(walletId)).slice(0, limit);
        found.push(due.length);
        return due.map(([walletId]): Tenant => ({ walletId, organizationId: walletId }));
      },
      async work({ walletId }) {
        underWay += 1;
        most = Math.max(most, underWay);
        await Promise.resolve();
        underWay -= 1;
        worked.push(walletId);
        const rest = (left.get(walletId) ?? 0) - 1;
        left.set(walletId, rest);
        return { unfinished: rest > 0 };
      },
      page: 3,
      atOnce: 2,
      longestMilliseconds: 60_000,
      failure: 'it could not be done',
      ...options,
    },
    logger,
  );
  return { run, worked, found, log, most: () => most };
}

describe('what is due', () => {
  it('is done page by page, a bounded number of wallets at once, until a page is not full', async () => {
    const { run, worked, found, most } = aRun({ a: 1, b: 1, c: 1, d: 1 });
    expect(await run.run(RUNNING)).toEqual({ unfinished: false });
    expect(worked).toEqual(['a', 'b', 'c', 'd']);
    expect(found).toEqual([3, 1]);
    expect(most()).toBe(2);
  });

  it('is looked for again where a wallet has more than its share, after the shares of the others', async () => {
    const { run, worked, found } = aRun({ a: 3, b: 1 });
    expect(await run.run(RUNNING)).toEqual({ unfinished: false });
    expect(worked).toEqual(['a', 'b', 'a', 'a']);
    expect(found).toEqual([2, 1, 1]);
  });

  it('costs one question where there is nothing', async () => {
    const { run, found } = aRun({});
    expect(await run.run(RUNNING)).toEqual({ unfinished: false });
    expect(found).toEqual([0]);
  });

  it('goes on past a wallet that fails, which is logged and left for a while', async () => {
    const worked: string[] = [];
    const { run, log } = aRun(
      { a: 1, b: 1 },
      {
        async work({ walletId }) {
          worked.push(walletId);
          if (walletId === 'a') throw new Error('broken');
          return { unfinished: false };
        },
      },
    );
    expect(await run.run(RUNNING)).toEqual({ unfinished: false });
    await run.run(RUNNING);
    expect(worked).toEqual(['a', 'b', 'b']);
    expect(log).toMatchObject([{ walletId: 'a', failures: 1, msg: 'it could not be done' }]);
  });

  it('is left to the next run when the signal aborts among the wallets of a page', async () => {
    const stopping = new AbortController();
    const worked: string[] = [];
    const { run } = aRun(
      { a: 1, b: 1, c: 1 },
      {
        async work({ walletId }) {
          worked.push(walletId);
          stopping.abort();
          return { unfinished: false };
        },
      },
    );
    expect(await run.run(stopping.signal)).toEqual({ unfinished: true });
    expect(worked).toEqual(['a', 'b']);
  });

  it('is left to the next run when the time is over', async () => {
    const { run, found } = aRun({ a: 1 }, { longestMilliseconds: 0 });
    expect(await run.run(RUNNING)).toEqual({ unfinished: true });
    expect(found).toEqual([]);
  });

  it('throws where nobody can say what it is', async () => {
    const { run, log } = aRun({}, { find: () => Promise.reject(new Error('the database is away')) });
    await expect(run.run(RUNNING)).rejects.toThrow('the database is away');
    expect(log).toEqual([]);
  });
});
