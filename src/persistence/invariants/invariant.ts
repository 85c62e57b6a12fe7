/**
 * What must hold in the books, as one query that returns the rows that break it. The same text asks it of a few wallets or of
 * all: the tables that it names are then those rows of them that belong to these wallets.
 *
 * Amounts are in millionths of a credit, as they are stored. The chain of hashes is no query: operations/verify-ledger.ts
 * walks it.
 */
import type { Fragment } from '../connection.ts';

export interface Invariant {
  /** What holds, in the words in which it is reported. */
  readonly name: string;
  /** True where asking takes longer the more entries, transactions or keys a wallet has had. */
  readonly readsHistory: boolean;
  /** False for what is kept beside the books: where it drifts no credit is at stake, and no wallet is frozen. */
  readonly freezes: boolean;
  /** Rows of (wallet_id, subject, expected, found). */
  readonly offences: Fragment;
}
