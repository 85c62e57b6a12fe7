/** The ledger of one wallet within a batch: numbers each entry, carries the balance and chains the hashes. */
import { type Micros, minus, plus } from '../credits/micros.ts';
import { chainHash } from '../ledger/hash-chain.ts';
import type { Instant } from '../time/instant.ts';
import type { WalletSnapshot } from '../wallet/snapshot.ts';
import type { DraftLot } from './lot-drafts.ts';
import type { Direction, PostedEntry, TransactionDetails } from './records.ts';

export interface Movement {
  readonly direction: Direction;
  readonly amount: Micros;
  readonly reasonCode: string;
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
    const entry = {
      walletId: this.#walletId,
      sequence: this.sequence,
      direction,
      amount,
      balanceAfter: this.balance,
      reasonCode,
      transactionId,
      lotId: lot?.facts.id ?? null,
      meter: singleMeter(details),
      postedAt: this.#now,
    };
    this.headHash = chainHash(this.headHash, {
      ...entry,
      kind: details.kind,
      taskId: details.attribution.taskId,
      executionId: details.attribution.executionId,
      actorKind: details.actor.kind,
      actorId: details.actor.id,
      effectiveAt: details.effectiveAt,
      occurredAt: details.occurredAt,
      metadata: details.metadata,
    });
    const bucketId = lot?.facts.bucketId ?? null;
    this.entries.push({ ...entry, bucketId, transaction: details, hash: this.headHash });
  }
}

/** An entry names a meter where all lines of its transaction share one. */
function singleMeter(details: TransactionDetails): string | null {
  const [first, ...rest] = details.lines;
  return first !== undefined && rest.every((line) => line.meter === first.meter) ? first.meter : null;
}
