/**
 * Walks hash chains: every entry of a wallet from the first to the newest, against the one before it and what it says it
 * hashes. Entries are read in pages, so that a ledger of any length takes the same memory, and no lock or snapshot is held:
 * what the wallet says at the beginning is where the walk must arrive.
 */
import {
  type BrokenLink,
  CHAIN_START,
  type ChainPosition,
  followChain,
  isBroken,
} from '../domain/ledger/verify-chain.ts';
import type { Queryable } from '../persistence/connection.ts';
import { type LedgerEnds, ledgerEnds, ledgerEndsAfter, linksBetween } from '../persistence/ledger-chain.ts';

const PAGE = 2_000;
const WALLETS = 500;

/** The first link of a wallet at which its chain breaks. */
export interface BrokenChain extends Omit<BrokenLink, 'what'> {
  readonly walletId: string;
  /** "head" where the entries hold together and the wallet says otherwise. */
  readonly what: BrokenLink['what'] | 'head';
}

export interface VerifiedLedger {
  readonly walletId: string;
  readonly entries: bigint;
  readonly broken: BrokenChain | null;
}

/** One wallet, or every one after the other. Ends early, after the wallet it is at, where nobody asks for more. */
export async function* verifyLedgers(sql: Queryable, walletId: string | null): AsyncGenerator<VerifiedLedger> {
  if (walletId !== null) {
    for (const ends of await ledgerEnds(sql, [walletId])) yield await verifyLedger(sql, ends);
    return;
  }
  for (let after: string | null = null; ; ) {
    const page: LedgerEnds[] = await ledgerEndsAfter(sql, after, WALLETS);
    for (const ends of page) yield await verifyLedger(sql, ends);
    after = page.at(-1)?.walletId ?? null;
    if (page.length < WALLETS) return;
  }
}

async function verifyLedger(sql: Queryable, ends: LedgerEnds): Promise<VerifiedLedger> {
  const { walletId } = ends;
  const end = await walkChain(sql, ends, CHAIN_START);
  if ('walletId' in end) return { walletId, entries: end.sequence, broken: end };
  return { walletId, entries: end.sequence, broken: null };
}

/** Walks on from `start`, to the wallet's head or for `limit` entries at most. */
export async function walkChain(
  sql: Queryable,
  { walletId, head, newest }: LedgerEnds,
  start: ChainPosition,
  limit = Number.POSITIVE_INFINITY,
): Promise<ChainPosition | BrokenChain> {
  let position = start;
  for (let left = limit; left > 0 && position.sequence < newest; ) {
    const page = await linksBetween(sql, walletId, {
      after: position.sequence,
      until: newest,
      limit: Math.min(PAGE, left),
    });
    const end = followChain(position, page);
    if (isBroken(end)) return { walletId, ...end };
    if (page.length === 0) return vanished(walletId, position.sequence + 1n);
    position = end;
    left -= page.length;
  }
  return position.sequence < newest ? position : (headFault(walletId, head, position) ?? position);
}

/** An entry that was there when the walk began. */
const vanished = (walletId: string, sequence: bigint): BrokenChain => ({
  walletId,
  sequence,
  what: 'sequence',
  expected: `${sequence}`,
  found: 'nothing',
});

/** Null where the wallet says the same of its newest entry as the entry itself. */
function headFault(walletId: string, head: ChainPosition, end: ChainPosition): BrokenChain | null {
  if (head.sequence === end.sequence && head.balance === end.balance && head.hash === end.hash) return null;
  const tell = ({ sequence, balance, hash }: ChainPosition) => `entry ${sequence}, balance ${balance}, ${hash}`;
  return { walletId, sequence: end.sequence, what: 'head', expected: tell(end), found: tell(head) };
}
