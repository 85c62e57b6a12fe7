/** How processes tell each other that wallets have changed. */
export interface SignalChannel {
  /** Rejects where it could not be told; whoever watches finds out by polling. */
  publish(walletIds: readonly string[]): Promise<void>;
  stop(): Promise<void>;
}

/** Called with what any process has told, this one included. */
export type HearWallets = (walletIds: readonly string[]) => void;
