/** A queue with one batch in flight: what arrives meanwhile is the next batch. */
import { type Command, isUndoable, weightOf } from '../domain/posting/commands.ts';
import type { Outcome } from '../domain/posting/outcomes.ts';

export interface PendingCommand {
  readonly command: Command;
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (error: unknown) => void;
}

export class Lane {
  readonly #maxBatch: number;
  /** Answers every command of the batch. */
  readonly #run: (batch: readonly PendingCommand[]) => Promise<void>;
  #queue: PendingCommand[] = [];
  #draining: Promise<void> | null = null;

  constructor(maxBatch: number, run: (batch: readonly PendingCommand[]) => Promise<void>) {
    this.#maxBatch = maxBatch;
    this.#run = run;
  }

  push(pending: PendingCommand): void {
    this.#queue.push(pending);
    this.#draining ??= this.#drain();
  }

  /** Resolves when everything that was pushed has been answered. */
  async idle(): Promise<void> {
    while (this.#draining) await this.#draining;
  }

  async #drain(): Promise<void> {
    // Commands pushed in the same turn of the event loop belong to the first batch.
    await Promise.resolve();
    try {
      while (this.#queue.length > 0) {
        const batch = this.#queue.slice(0, this.#batchLength());
        this.#queue = this.#queue.slice(batch.length);
        await this.#run(batch).catch((error: unknown) => batch.forEach((pending) => void pending.reject(error)));
      }
    } finally {
      this.#draining = null;
    }
  }

  /**
   * As many commands as the bound allows, and one at least: a call of all or nothing is never split. One such call at most,
   * for each that fails has its batch decided again.
   */
  #batchLength(): number {
    let weight = 0;
    let undoable = 0;
    const over = this.#queue.findIndex(({ command }) => {
      weight += weightOf(command);
      undoable += isUndoable(command) ? 1 : 0;
      return weight > this.#maxBatch || undoable > 1;
    });
    return over < 0 ? this.#queue.length : Math.max(over, 1);
  }
}
