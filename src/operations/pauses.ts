/** Remembers what failed, so that it is tried again after a pause that doubles. */

const FIRST_PAUSE_MILLISECONDS = 5_000;
const LONGEST_PAUSE_MILLISECONDS = 5 * 60_000;
/** Failures that are remembered; beyond it the oldest is forgotten and tried again early. */
const MAX_PAUSED = 10_000;

interface Pause {
  readonly failures: number;
  /** By the process's monotonic clock. */
  readonly until: number;
}

export class Pauses {
  readonly #paused = new Map<string, Pause>();

  /** All that are left for a while. */
  get ids(): readonly string[] {
    return [...this.#paused.keys()].filter((id) => this.has(id));
  }

  has(id: string): boolean {
    return (this.#paused.get(id)?.until ?? 0) > performance.now();
  }

  /** How often in a row it has failed, this time included. */
  failed(id: string): number {
    const failures = (this.#paused.get(id)?.failures ?? 0) + 1;
    const pause = Math.min(FIRST_PAUSE_MILLISECONDS * 2 ** (failures - 1), LONGEST_PAUSE_MILLISECONDS);
    this.#paused.delete(id);
    this.#paused.set(id, { failures, until: performance.now() + pause });
    const [oldest] = this.#paused.keys();
    if (this.#paused.size > MAX_PAUSED && oldest !== undefined) this.#paused.delete(oldest);
    return failures;
  }

  succeeded(id: string): void {
    this.#paused.delete(id);
  }
}
