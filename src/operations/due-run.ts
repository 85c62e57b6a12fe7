/**
 * Does what is due on all wallets, a page of them at a time and for some seconds. Runs any number of times and in several
 * processes at once, for what is done is safe to be done so. A wallet that fails is logged and left for a while; the others
 * have their turn. Throws where the database cannot say which are due.
 */
import type { Logger } from 'pino';
import type { Tenant } from '../domain/identity/caller.ts';
import type { DuePage } from '../persistence/due-wallets.ts';
import { Pauses } from './pauses.ts';

export interface Progress {
  /** True where there may be more to do. */
  readonly unfinished: boolean;
}

export interface DueWork {
  readonly find: (page: DuePage) => Promise<readonly Tenant[]>;
  /** Does a wallet's share of it. What it leaves is found again. */
  readonly work: (tenant: Tenant) => Promise<Progress>;
  /** Wallets that are found at a time, each of which has its share before one has a second. */
  readonly page: number;
  /** Wallets that are worked on at a time: the rest of the connections is for others. */
  readonly atOnce: number;
  /** After so long no more are begun; those under way end. */
  readonly longestMilliseconds: number;
  /** What is logged of a wallet that fails. */
  readonly failure: string;
}

/** Remembers between runs which wallets failed: those are tried again after a pause that doubles. */
export class DueRun {
  readonly #due: DueWork;
  readonly #logger: Logger;
  readonly #pauses = new Pauses();

  constructor(due: DueWork, logger: Logger) {
    this.#due = due;
    this.#logger = logger;
  }

  /** Ends early, after the wallets it is at, when the signal aborts. */
  async run(signal: AbortSignal): Promise<Progress> {
    const deadline = performance.now() + this.#due.longestMilliseconds;
    const isOver = () => signal.aborted || performance.now() >= deadline;
    let unfinished = true;
    while (unfinished && !isOver()) unfinished = await this.#runPage(isOver);
    return { unfinished };
  }

  async #runPage(isOver: () => boolean): Promise<boolean> {
    const { find, page, atOnce } = this.#due;
    const tenants = await find({ except: this.#pauses.ids, limit: page });
    let unfinished = tenants.length === page;
    for (let next = 0; next < tenants.length; next += atOnce) {
      if (isOver()) return true;
      const shares = await Promise.all(tenants.slice(next, next + atOnce).map((tenant) => this.#workOn(tenant)));
      unfinished ||= shares.some((share) => share.unfinished);
    }
    return unfinished;
  }

  async #workOn(tenant: Tenant): Promise<Progress> {
    const { walletId } = tenant;
    try {
      const progress = await this.#due.work(tenant);
      this.#pauses.succeeded(walletId);
      return progress;
    } catch (error) {
      const failures = this.#pauses.failed(walletId);
      this.#logger.warn({ err: error, walletId, failures }, this.#due.failure);
      return { unfinished: false };
    }
  }
}
