/** A job: work that is done by itself, at times that it names. */
import type { Instant } from '../domain/time/instant.ts';

export interface Job {
  /** The name of its task, and the key under which at most one run of it waits. */
  readonly name: string;
  /**
   * Does what there is to do and answers when to run next, by the database's clock. Must be safe to run twice, and at once
   * in two processes. Ends early when the signal aborts. Where it throws, it is run again after a pause.
   */
  readonly run: (signal: AbortSignal) => Promise<Instant>;
}
