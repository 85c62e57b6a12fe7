/** A job: work that is done by itself, at times that it names. */
import { type Instant, instant } from '../domain/time/instant.ts';
import { databaseNow } from '../persistence/clock.ts';
import type { Queryable } from '../persistence/connection.ts';

export interface Job {
  /** The name of its task, and the key under which at most one run of it waits. */
  readonly name: string;
  /**
   * Does what there is to do and answers when to run next, by the database's clock. Must be safe to run twice, and at once
   * in two processes. Ends early when the signal aborts. Where it throws, it is run again after a pause.
   */
  readonly run: (signal: AbortSignal) => Promise<Instant>;
}

export interface Repetition {
  readonly name: string;
  readonly pauseMilliseconds: number;
  readonly run: (signal: AbortSignal) => Promise<{ readonly unfinished: boolean }>;
}

/** A job that runs again after a pause, and at once where it has left something. */
export function repeated(sql: Queryable, { name, pauseMilliseconds, run }: Repetition): Job {
  return {
    name,
    async run(signal) {
      const { unfinished } = await run(signal);
      return instant((await databaseNow(sql)) + (unfinished ? 0 : pauseMilliseconds));
    },
  };
}
