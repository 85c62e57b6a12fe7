/** Follows a wallet's ledger link by link, each against the one before it. */
import { chainHash, GENESIS_HASH, type HashedEntry } from './hash-chain.ts';

/** Where a chain stands after an entry. */
export interface ChainPosition {
  readonly sequence: bigint;
  readonly balance: bigint;
  readonly hash: string;
}

/** Before a wallet's first entry. */
export const CHAIN_START: ChainPosition = { sequence: 0n, balance: 0n, hash: GENESIS_HASH };

/** An entry with the hash that is stored for it. */
export interface StoredLink {
  readonly entry: HashedEntry;
  readonly hash: string;
}

/** What does not follow from the entry before. */
export type LinkFault = 'sequence' | 'balance after' | 'hash';

export interface BrokenLink {
  /** The entry at which the chain breaks. */
  readonly sequence: bigint;
  readonly what: LinkFault;
  readonly expected: string;
  readonly found: string;
}

/** Where the links lead from `start`: to the last of them, or to the first that is broken. */
export function followChain(start: ChainPosition, links: readonly StoredLink[]): ChainPosition | BrokenLink {
  let position = start;
  for (const link of links) {
    const broken = faultOf(position, link);
    if (broken) return broken;
    position = { sequence: link.entry.sequence, balance: link.entry.balanceAfter, hash: link.hash };
  }
  return position;
}

export const isBroken = (end: ChainPosition | BrokenLink): end is BrokenLink => 'what' in end;

function faultOf(before: ChainPosition, { entry, hash }: StoredLink): BrokenLink | null {
  const { sequence, direction, amount, balanceAfter } = entry;
  const broken = (what: LinkFault, expected: unknown, found: unknown): BrokenLink => ({
    sequence,
    what,
    expected: String(expected),
    found: String(found),
  });
  const next = before.sequence + 1n;
  if (sequence !== next) return broken('sequence', next, sequence);
  const balance = before.balance + (direction === 'CREDIT' ? amount : -amount);
  if (balanceAfter !== balance) return broken('balance after', balance, balanceAfter);
  const expected = chainHash(before.hash, entry);
  return hash === expected ? null : broken('hash', expected, hash);
}
