/**
 * The hash chain over a wallet's ledger. Each entry's hash covers the previous hash and every field of the entry that a
 * reader relies on, length-prefixed, so that no entry can be changed, removed, inserted or reordered without breaking
 * every later link. The scheme's version is hashed along; a new scheme gets a new number.
 */
import { hash } from 'node:crypto';
import { canonicalPairs, type JsonObject, netstring } from '../canonical.ts';
import { formatInstant, type Instant } from '../time/instant.ts';

export const HASH_SCHEME = 'purser-ledger-1';

/** The hash before a wallet's first entry. */
export const GENESIS_HASH = '0'.repeat(64);

export interface HashedEntry {
  readonly walletId: string;
  readonly sequence: bigint;
  readonly kind: string;
  readonly direction: string;
  readonly amount: bigint;
  readonly balanceAfter: bigint;
  readonly reasonCode: string;
  readonly lotId: string | null;
  readonly transactionId: string;
  readonly taskId: string | null;
  readonly executionId: string | null;
  readonly meter: string | null;
  readonly actorKind: string;
  readonly actorId: string;
  readonly postedAt: Instant;
  readonly effectiveAt: Instant;
  readonly occurredAt: Instant | null;
  readonly metadata: JsonObject | null;
}

/** SHA-256, in hexadecimal, of the entry appended to the chain that ends in `previousHash`. */
export function chainHash(previousHash: string, entry: HashedEntry): string {
  const fields = [
    previousHash,
    HASH_SCHEME,
    entry.walletId,
    entry.sequence.toString(),
    entry.kind,
    entry.direction,
    entry.amount.toString(),
    entry.balanceAfter.toString(),
    entry.reasonCode,
    entry.lotId,
    entry.transactionId,
    entry.taskId,
    entry.executionId,
    entry.meter,
    entry.actorKind,
    entry.actorId,
    formatInstant(entry.postedAt),
    formatInstant(entry.effectiveAt),
    entry.occurredAt === null ? null : formatInstant(entry.occurredAt),
  ];
  return hash('sha256', fields.map(netstring).join('') + canonicalPairs(entry.metadata), 'hex');
}
