/**
 * One sweep: posts what has come due on the wallets that jobs settle, the one due longest first, until nothing is left
 * that was due when the sweep began. Doing it twice, or in two processes at once, posts nothing twice: the engine decides
 * under the wallet's lock.
 *
 * A wallet that fails is logged and left for a while; the others are settled. Throws where the database is away: a later
 * sweep does the rest.
 */
import { databaseNow } from '../persistence/clock.ts';
import { isUnavailable } from '../persistence/errors.ts';
import { type DueWallet, type Upcoming, upcomingSettlement, walletsToSettle } from '../persistence/wallets.ts';
import { Pauses } from './pauses.ts';
import type { Services } from './services.ts';
import { settleWallet } from './settle-wallets.ts';

/** Wallets that are settled at a time: few batches of the engine, among which those of callers find room. */
const PAGE = 64;
/** Batches that a sweep gives one wallet before it leaves the rest to the next: ten thousand transitions. */
const ROUNDS = 20;
/** One wallet that the database cannot answer for may be locked by somebody; so many one after the other mean an outage. */
const MAX_FAILURES_IN_A_ROW = 3;

export interface Sweep extends Upcoming {
  /** True where the sweep left something that was due: it was stopped, or a wallet has more than its share. */
  readonly unfinished: boolean;
}

/** Remembers between sweeps which wallets failed: those are tried again after a pause that doubles. */
export class DueWalletSettler {
  readonly #services: Pick<Services, 'sql' | 'engine' | 'logger'>;
  readonly #pauses = new Pauses();

  constructor(services: Pick<Services, 'sql' | 'engine' | 'logger'>) {
    this.#services = services;
  }

  /** Ends early, after the wallets it is at, when the signal aborts. */
  async sweep(signal: AbortSignal): Promise<Sweep> {
    const { sql } = this.#services;
    const by = await databaseNow(sql);
    let unfinished = false;
    for (let after: DueWallet | null = null; ; ) {
      if (signal.aborted) {
        unfinished = true;
        break;
      }
      const page: DueWallet[] = await walletsToSettle(sql, { by, after, limit: PAGE });
      if (!(await this.#settlePage(page.filter((wallet) => !this.#pauses.has(wallet.walletId))))) unfinished = true;
      after = page.at(-1) ?? null;
      if (page.length < PAGE) break;
    }
    return { ...(await upcomingSettlement(sql, by)), unfinished };
  }

  /** False where a wallet has more due than its share. */
  async #settlePage(wallets: readonly DueWallet[]): Promise<boolean> {
    const settled = await Promise.allSettled(wallets.map((wallet) => this.#settle(wallet)));
    // A batch can fail as a whole for the one wallet whose lock somebody keeps: each is tried again by itself.
    const alone = wallets.filter((_, index) => settled[index]?.status === 'rejected');
    let finished = settled.every((result) => result.status === 'rejected' || result.value);
    let failuresInARow = 0;
    for (const wallet of alone) {
      try {
        finished = (await this.#settle(wallet)) && finished;
        failuresInARow = 0;
      } catch (error) {
        failuresInARow = isOfTheDatabase(error) ? failuresInARow + 1 : 0;
        if (failuresInARow === MAX_FAILURES_IN_A_ROW) throw error;
        this.#pause(wallet, error);
      }
    }
    return finished;
  }

  async #settle(wallet: DueWallet): Promise<boolean> {
    const finished = await settleWallet(this.#services.engine, wallet, ROUNDS);
    this.#pauses.succeeded(wallet.walletId);
    return finished;
  }

  #pause({ walletId }: DueWallet, error: unknown): void {
    const failures = this.#pauses.failed(walletId);
    this.#services.logger.warn({ err: error, walletId, failures }, 'what is due on a wallet could not be posted');
  }
}

/** The engine's errors have what PostgreSQL said as their cause. */
const isOfTheDatabase = (error: unknown): boolean => error instanceof Error && isUnavailable(error.cause);
