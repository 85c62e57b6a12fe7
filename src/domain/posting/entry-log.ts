/** The ledger of one wallet within a batch: numbers each entry, carries the balance and chains the hashes. */

import { type Micros, minus, plus } from '../credits/micros.ts';
import { chainHash } from '../ledger/hash-chain.ts';
import type { ReasonCode } from '../ledger/reason-code.ts';
import type { Instant } from '../time/instant.ts';
import type { DraftLot } from './lot-drafts.ts';
import type { Direction, PostedEntry, TransactionDetails } from './records.ts';
import type { WalletSnapshot } from './wallet-snapshot.ts';

export interface Movement {
  readonly direction: Direction;
  readonly amount: Micros;
  readonly reasonCode: ReasonCode;
  /** Null for what is owed. */
  readonly lot: DraftLot | null;
}

export class EntryLog {
  readonly entries: PostedEntry[] = [];
  balance: Micros;
  sequence: bigint;
  headHash: string;
  readonly #walletId: string;
  readonly #now: Instant;

  constructor({ id, now, balance, sequence, headHash }: WalletSnapshot) {
    this.#walletId = id;
    this.#now = now;
    this.balance = balance;
    this.sequence = sequence;
    this.headHash = headHash;
  }

  enter(transactionId: string, details: TransactionDetails, { direction, amount, reasonCode, lot }: Movement): void {
    this.sequence += 1n;
    this.balance = direction === 'CREDIT' ? plus(this.balance, amount) : minus(this.balance, amount);
    const { taskId, executionId } = details.attribution;
    const lotId = lot?.facts.id ?? null;
    const meter = singleMeter(details);
    // Written out field by field: an entry is made for every row of the ledger, and copies of objects are slow.
    this.headHash = chainHash(this.headHash, {
      walletId: this.#walletId,
      sequence: this.sequence,
      kind: details.kind,
      direction,
      amount,
      balanceAfter: this.balance,
      reasonCode,
      lotId,
      transactionId,
      taskId,
      executionId,
      meter,
      actorKind: details.actor.kind,
      actorId: details.actor.id,
      postedAt: this.#now,
      effectiveAt: details.effectiveAt,
      occurredAt: details.occurredAt,
      metadata: details.metadata,
    });
    this.entries.push({
      walletId: this.#walletId,
      sequence: this.sequence,
      transaction: details,
      transactionId,
      direction,
      amount,
      balanceAfter: this.balance,
      reasonCode,
      lotId,
      bucketId: lot?.facts.bucketId ?? null,
      meter,
      postedAt: this.#now,
      hash: this.headHash,
    });
  }
}

/** An entry names a meter where all lines of its transaction share one. */
function singleMeter(details: TransactionDetails): string | null {
  const [first, ...rest] = details.lines;
  return first !== undefined && rest.every((line) => line.meter === first.meter) ? first.meter : null;
}
