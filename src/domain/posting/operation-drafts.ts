/**
 * The counters of operations of one wallet within a batch, one for each cap. Each belongs to its present window; asked about
 * another window it holds nothing.
 */
import type { CapName, OperationCount } from '../limits/frequency-cap.ts';
import type { Instant } from '../time/instant.ts';

export class OperationDrafts {
  readonly #counts: Map<string, OperationCount>;
  readonly #changed = new Set<string>();

  constructor(counts: readonly OperationCount[]) {
    this.#counts = new Map(counts.map((count) => [idOf(count), count]));
  }

  get changed(): readonly OperationCount[] {
    return [...this.#counts.values()].filter((count) => this.#changed.has(idOf(count)));
  }

  /** Operations charged or reserved in the window that begins at `windowStart`. */
  counted(cap: CapName, windowStart: Instant): number {
    const count = this.#counts.get(idOf(cap));
    return count?.windowStart === windowStart ? count.operations : 0;
  }

  /** Takes room in a window. */
  take(taken: OperationCount): void {
    this.#set({ ...taken, operations: this.counted(taken, taken.windowStart) + taken.operations });
  }

  /** Gives room back to the window in which it was taken; nothing where a later one has begun. */
  giveBack(unused: OperationCount): void {
    const count = this.#counts.get(idOf(unused));
    if (count?.windowStart !== unused.windowStart || unused.operations === 0) return;
    this.#set({ ...count, operations: Math.max(0, count.operations - unused.operations) });
  }

  #set(count: OperationCount): void {
    this.#counts.set(idOf(count), count);
    this.#changed.add(idOf(count));
  }
}

const idOf = ({ key, window }: CapName): string => `${key} ${window}`;
