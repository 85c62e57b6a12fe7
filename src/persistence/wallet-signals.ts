/**
 * Wakes those who wait for a wallet to change: at once within the process, by NOTIFY after commit across processes. A
 * signal carries no data and may get lost; whoever waits reads the books and looks again after a while.
 */
import type { Logger } from 'pino';
import { type Listener, listen, type Sql } from './connection.ts';

/** A payload is the ids of wallets, separated by commas. */
export const WALLET_CHANNEL = 'purser_wallet';
/** A NOTIFY payload holds 8,000 bytes; a uuid and its comma take 37. */
const WALLETS_PER_NOTIFY = 200;

export class WalletSignals {
  readonly #sql: Sql;
  readonly #logger: Logger;
  readonly #waiting = new Map<string, Set<() => void>>();
  readonly #toNotify = new Set<string>();
  #notifying: Promise<void> | null = null;
  #listening: Listener | null = null;

  constructor(sql: Sql, logger: Logger) {
    this.#sql = sql;
    this.#logger = logger;
  }

  /** Starts to hear the other processes. */
  async listen(databaseUrl: string): Promise<void> {
    this.#listening = await listen(databaseUrl, WALLET_CHANNEL, (payload) => {
      for (const walletId of payload.split(',')) this.#wake(walletId);
    });
  }

  async stop(): Promise<void> {
    await this.#notifying;
    await this.#listening?.stop();
  }

  /** Called after the changes were committed. */
  published(changes: readonly { readonly walletId: string }[]): void {
    for (const { walletId } of changes) this.#toNotify.add(walletId);
    for (const walletId of new Set(changes.map((change) => change.walletId))) this.#wake(walletId);
    if (this.#toNotify.size > 0) this.#notifying ??= this.#notify();
  }

  /** Calls `wake` on every change until the returned function is called. */
  subscribe(walletId: string, wake: () => void): () => void {
    const waiting = this.#waiting.get(walletId) ?? new Set();
    this.#waiting.set(walletId, waiting.add(wake));
    return () => {
      waiting.delete(wake);
      if (waiting.size === 0) this.#waiting.delete(walletId);
    };
  }

  #wake(walletId: string): void {
    for (const wake of this.#waiting.get(walletId) ?? []) wake();
  }

  /** One statement at a time: what changes meanwhile is told by the next. */
  async #notify(): Promise<void> {
    try {
      while (this.#toNotify.size > 0) {
        const walletIds = [...this.#toNotify].slice(0, WALLETS_PER_NOTIFY);
        for (const walletId of walletIds) this.#toNotify.delete(walletId);
        await this.#sql`SELECT pg_notify(${WALLET_CHANNEL}, ${walletIds.join(',')})`;
      }
    } catch (error) {
      this.#logger.warn({ err: error }, 'other processes were not told of a change; they will notice by polling');
    } finally {
      this.#notifying = null;
    }
  }
}
