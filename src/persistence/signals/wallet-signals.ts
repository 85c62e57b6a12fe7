/**
 * Wakes those who wait for a wallet to change: at once within the process, through a channel after commit across processes. A
 * signal carries no data and may get lost; whoever waits reads the books and looks again after a while.
 */
import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { HearWallets, SignalChannel } from './signal-channel.ts';

/** A NOTIFY payload holds 8,000 bytes; a uuid and its comma take 37. */
const WALLETS_PER_SIGNAL = 200;

export class WalletSignals {
  readonly #logger: Logger;
  readonly #waiting = new Map<string, Set<() => void>>();
  readonly #toTell = new Set<string>();
  /** Leads what this process tells, which it need not hear again. */
  readonly #origin = randomUUID();
  #telling: Promise<void> | null = null;
  #channel: SignalChannel | null = null;
  #isQuiet = false;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Starts to tell and to hear the other processes. */
  async connect(open: (hear: HearWallets) => SignalChannel | Promise<SignalChannel>): Promise<void> {
    this.#channel = await open(([origin, ...walletIds]) => {
      if (origin !== this.#origin) for (const walletId of walletIds) this.#wake(walletId);
    });
  }

  async stop(): Promise<void> {
    await this.#telling;
    await this.#channel?.stop();
  }

  /** Called after the changes were committed. */
  published(changes: readonly { readonly walletId: string }[]): void {
    const walletIds = new Set(changes.map((change) => change.walletId));
    for (const walletId of walletIds) {
      this.#toTell.add(walletId);
      this.#wake(walletId);
    }
    if (this.#toTell.size > 0) this.#telling ??= this.#tell();
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

  /** One message at a time: what changes meanwhile is told by the next. */
  async #tell(): Promise<void> {
    try {
      while (this.#toTell.size > 0) {
        const walletIds = [...this.#toTell].slice(0, WALLETS_PER_SIGNAL);
        for (const walletId of walletIds) this.#toTell.delete(walletId);
        await this.#channel?.publish([this.#origin, ...walletIds]);
        this.#isQuiet = false;
      }
    } catch (error) {
      if (!this.#isQuiet) {
        this.#logger.warn({ err: error }, 'other processes were not told of a change; they notice by polling');
      }
      this.#isQuiet = true;
    } finally {
      this.#telling = null;
    }
  }
}
