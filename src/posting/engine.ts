/**
 * The posting engine: the only way credits move. Callers hand it commands and wait; commands that arrive while a batch is
 * in flight form the next one, so that the batch size follows the load without a timer. A wallet always goes to the same
 * lane of a process; between processes the wallets' row locks decide.
 *
 * Errors that `execute` throws: `EngineBusy`, `EngineStopped`, `DatabaseUnavailable` and `CatalogUnreadable`, after which the
 * same key may be sent again, and `PostingFailed`, which is a defect.
 */

import type { InvalidInput, NotFound, UnknownMeter } from '../domain/plain-refusals.ts';
import { type Command, weightOf } from '../domain/posting/commands.ts';
import type { Estimate, Estimated } from '../domain/posting/decide-estimate.ts';
import type { Selection } from '../domain/posting/decide-subscribe.ts';
import type { Outcome } from '../domain/posting/outcomes.ts';
import type { PlanChangePreview } from '../domain/posting/preview-plan-change.ts';
import { isConnectionLoss, isUnavailable } from '../persistence/errors.ts';
import { DatabaseUnavailable, EngineBusy, EngineStopped } from './errors.ts';
import { estimate, preview } from './estimate.ts';
import { Lane, type PendingCommand } from './lane.ts';
import { type BatchRunner, runBatch } from './run-batch.ts';

export interface EngineOptions extends BatchRunner {
  /** Connections that post at the same time. */
  readonly lanes?: number;
  readonly maxBatch?: number;
  /** Commands that may wait in one process; more are refused at once. */
  readonly maxQueued?: number;
}

const DEFAULT_LANES = 2;
const DEFAULT_MAX_BATCH = 512;
const DEFAULT_MAX_QUEUED = 20_000;

/** Whoever posts commands. */
export interface Poster {
  /** Resolves with the command's outcome once it is committed (or refused). */
  execute(command: Command): Promise<Outcome>;
  /** What usage would cost the wallet now; null while it catches up with what is due. Posts and locks nothing. */
  estimate(walletId: string, estimated: Estimated): Promise<Estimate | UnknownMeter | InvalidInput | null>;
  /** What selecting a plan would do now; null while the wallet catches up with what is due. Posts and locks nothing. */
  preview(walletId: string, selection: Selection): Promise<PlanChangePreview | NotFound | InvalidInput | null>;
}

export class PostingEngine implements Poster {
  readonly #options: EngineOptions;
  readonly #lanes: readonly Lane[];
  readonly #maxQueued: number;
  #waiting = 0;
  #stopped = false;

  constructor(options: EngineOptions) {
    const { lanes = DEFAULT_LANES, maxBatch = DEFAULT_MAX_BATCH, maxQueued = DEFAULT_MAX_QUEUED } = options;
    this.#options = options;
    this.#maxQueued = maxQueued;
    this.#lanes = Array.from({ length: lanes }, () => new Lane(maxBatch, (batch) => runBatch(options, batch)));
  }

  async execute(command: Command): Promise<Outcome> {
    if (this.#stopped) throw new EngineStopped();
    const weight = weightOf(command);
    if (this.#waiting >= this.#maxQueued) throw new EngineBusy();
    this.#waiting += weight;
    try {
      return await new Promise<Outcome>((resolve, reject) => {
        const pending: PendingCommand = { command, resolve, reject };
        this.#laneOf(command.walletId).push(pending);
      });
    } finally {
      this.#waiting -= weight;
    }
  }

  async estimate(walletId: string, estimated: Estimated) {
    return this.#read(() => estimate(this.#options, walletId, estimated));
  }

  async preview(walletId: string, selection: Selection) {
    return this.#read(() => preview(this.#options, walletId, selection));
  }

  async #read<Answer>(read: () => Promise<Answer>): Promise<Answer> {
    if (this.#stopped) throw new EngineStopped();
    return read().catch((error: unknown) => {
      throw isConnectionLoss(error) || isUnavailable(error) ? new DatabaseUnavailable(error) : error;
    });
  }

  /** Refuses new commands and resolves when those accepted have been answered. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#lanes.map((lane) => lane.idle()));
  }

  #laneOf(walletId: string): Lane {
    // Wallet ids end in random hexadecimal digits.
    const index = Number.parseInt(walletId.slice(-6), 16) % this.#lanes.length;
    const lane = this.#lanes[index];
    if (!lane) throw new Error(`no lane for wallet ${walletId}`);
    return lane;
  }
}
