/**
 * The standing audit of all books, a bounded part of it a run. A run looks at the next wallets by their ids: it asks them
 * every invariant that does not read history, and walks on along their hash chains. Besides, it takes the wallets whose
 * history was asked about longest ago, asks them everything, and has their chains walked anew.
 *
 * What is seen without a lock is a suspicion. It is looked at once more under the wallet's lock, where nobody can be at
 * work on it, and only what is wrong there freezes that wallet, with an audit record that names the invariant. The others
 * go on. Where that cannot be answered in seconds the lock is let go, for charges wait for it, and the wallet is asked again
 * later. What freezes nothing is reported as it was seen, without a lock. Frozen wallets are left alone until an operator
 * unfreezes them.
 */
import { systemActor } from '../domain/actor.ts';
import type { ChainPosition } from '../domain/ledger/verify-chain.ts';
import { formatInstant } from '../domain/time/instant.ts';
import { insertAudit } from '../persistence/audit.ts';
import { inSnapshot, type Queryable } from '../persistence/connection.ts';
import { isConnectionLoss, isUnavailable } from '../persistence/errors.ts';
import { allowSeconds, lockWallet, setFrozen } from '../persistence/freezes.ts';
import { INVARIANTS } from '../persistence/invariants/all-invariants.ts';
import { findOffences, type Offence } from '../persistence/invariants/find-offences.ts';
import type { Invariant } from '../persistence/invariants/invariant.ts';
import { ledgerEnds } from '../persistence/ledger-chain.ts';
import {
  type CheckedWallet,
  saveSwept,
  saveWalked,
  walkedTo,
  walletsToCheck,
  walletsToSweep,
} from '../persistence/wallet-checks.ts';
import { offenceOf, UNBROKEN_CHAIN } from './audit-books.ts';
import { Pauses } from './pauses.ts';
import type { Services } from './services.ts';
import { type BrokenChain, walkChain } from './verify-ledger.ts';

/** Wallets that a run looks at. */
const PAGE = 200;
/** Entries whose hashes a run computes, and those among them of one wallet: tens of milliseconds of work. */
const ENTRIES = 5_000;
const ENTRIES_OF_A_WALLET = 2_500;
/** How long a run goes on to take wallets whose history it asks about; a large one takes as long as it takes. */
const SWEEP_MILLISECONDS = 200;
/** How often all of a wallet's history is asked about. */
const SWEEP_HOURS = 24;
/** How long a question may take under a wallet's lock. */
const LOCKED_SECONDS = 3;
/** Suspicions of one kind that a run follows up; the others are there in the next round. */
const SUSPICIONS = 20;

const BOUNDED = INVARIANTS.filter(({ readsHistory }) => !readsHistory);
const OF_HISTORY = INVARIANTS.filter(({ readsHistory }) => readsHistory);

/** Told what is found; counters of the metrics. */
export interface AuditObserver {
  readonly checked: (wallets: number, entries: number) => void;
  readonly swept: (wallets: number) => void;
  /** An invariant does not hold, as seen under the wallet's lock where it freezes. */
  readonly offended: (invariant: string) => void;
  readonly froze: () => void;
}

export interface AuditRun {
  /** True where the run has come to the last wallet, with nothing left to catch up with. */
  readonly roundEnded: boolean;
}

/** Asks again under the wallet's lock; null where everything is as it should be. */
type Doubt = (tx: Queryable) => Promise<Offence | null>;

export class SelfAuditor {
  readonly #services: Pick<Services, 'sql' | 'newId' | 'logger'>;
  readonly #observer: AuditObserver;
  /** Wallets that could not be looked at. */
  readonly #pauses = new Pauses();
  #after: string | null = null;

  constructor(services: Pick<Services, 'sql' | 'newId' | 'logger'>, observer: AuditObserver) {
    this.#services = services;
    this.#observer = observer;
  }

  /** Ends early, after the wallet it is at, when the signal aborts. Throws where the database is away. */
  async run(signal: AbortSignal): Promise<AuditRun> {
    const page = await walletsToCheck(this.#services.sql, this.#after, PAGE);
    await this.#askBounded(page.map(({ walletId }) => walletId));
    const { walked, behind } = await this.#walkOn(page, signal);
    const isLastPage = page.length < PAGE && walked === page.length;
    this.#after = isLastPage ? null : (page[walked - 1]?.walletId ?? this.#after);
    const isSwept = await this.#sweep(signal);
    return { roundEnded: isLastPage && !behind && isSwept };
  }

  async #askBounded(walletIds: readonly string[]): Promise<void> {
    if (walletIds.length === 0) return;
    const suspected = await inSnapshot(this.#services.sql, async (tx) => {
      const found: [Invariant, Offence][] = [];
      for (const invariant of BOUNDED) {
        const { offences } = await findOffences(tx, invariant, walletIds, SUSPICIONS);
        found.push(...firstOfWallets(offences).map((offence): [Invariant, Offence] => [invariant, offence]));
      }
      return found;
    });
    for (const [invariant, offence] of suspected) await this.#followUp(invariant, offence);
  }

  /** Walks on along the chains of these wallets, as far as a run goes: how many it came to, and whether one has more. */
  async #walkOn(page: readonly CheckedWallet[], signal: AbortSignal): Promise<{ walked: number; behind: boolean }> {
    let left = ENTRIES;
    let walked = 0;
    let behind = false;
    for (const wallet of page) {
      if (left <= 0 || signal.aborted) break;
      const entries = await this.#walk(wallet, Math.min(left, ENTRIES_OF_A_WALLET));
      left -= entries;
      walked += 1;
      behind ||= wallet.walked.sequence + BigInt(entries) < wallet.newest;
    }
    this.#observer.checked(walked, ENTRIES - left);
    return { walked, behind };
  }

  /** How many entries were good. */
  async #walk(wallet: CheckedWallet, limit: number): Promise<number> {
    const { walletId, walked } = wallet;
    const { sql } = this.#services;
    const end = await walkChain(sql, wallet, walked, limit);
    if (isBrokenChain(end)) {
      await this.#confirm(walletId, UNBROKEN_CHAIN, (tx) => walkAgain(tx, walletId, walked, end));
      return 0;
    }
    if (end.sequence !== walked.sequence) await saveWalked(sql, walletId, walked, end);
    return Number(end.sequence - walked.sequence);
  }

  /** Asks wallets about all of their history. True where none is left whose turn it is. */
  async #sweep(signal: AbortSignal): Promise<boolean> {
    const { sql } = this.#services;
    const until = performance.now() + SWEEP_MILLISECONDS;
    let swept = 0;
    let finished = false;
    while (!signal.aborted && performance.now() < until) {
      const [walletId] = await walletsToSweep(sql, { hours: SWEEP_HOURS, except: this.#pauses.ids, limit: 1 });
      finished = walletId === undefined;
      if (walletId === undefined) break;
      await this.#sweepWallet(walletId, signal);
      swept += 1;
    }
    this.#observer.swept(swept);
    return finished;
  }

  async #sweepWallet(walletId: string, signal: AbortSignal): Promise<void> {
    const { sql } = this.#services;
    let isHeld = false;
    for (const invariant of OF_HISTORY) {
      if (signal.aborted) return;
      // A snapshot each: one that is kept for long keeps PostgreSQL from clearing away old versions of rows that change all the time.
      const { offences } = await inSnapshot(sql, (tx) => findOffences(tx, invariant, [walletId], 1));
      if (offences[0]) isHeld = (await this.#followUp(invariant, offences[0])) || isHeld;
    }
    const rewritten = await rewrittenSince(sql, walletId);
    if (rewritten) {
      const again: Doubt = (tx) => rewrittenSince(tx, walletId);
      isHeld = (await this.#confirm(walletId, UNBROKEN_CHAIN, again)) || isHeld;
    }
    // What is frozen stays where it is, so that everything is asked again when it is unfrozen.
    if (!isHeld) await saveSwept(sql, walletId);
  }

  /** True where the wallet is frozen or could not be looked at again. */
  async #followUp(invariant: Invariant, offence: Offence): Promise<boolean> {
    if (invariant.freezes) {
      return this.#confirm(offence.walletId, invariant.name, async (tx) => {
        const { offences } = await findOffences(tx, invariant, [offence.walletId], 1);
        return offences[0] ?? null;
      });
    }
    this.#observer.offended(invariant.name);
    this.#services.logger.error({ invariant: invariant.name, ...offence }, 'a report does not hold');
    return false;
  }

  /** Looks again under the wallet's lock, and freezes it for what is still wrong. True where it is frozen or could not be. */
  async #confirm(walletId: string, invariant: string, again: Doubt): Promise<boolean> {
    const { sql, logger } = this.#services;
    if (this.#pauses.has(walletId)) return true;
    try {
      const offence = await sql.begin((tx) => this.#freezeFor(tx, walletId, invariant, again));
      this.#pauses.succeeded(walletId);
      if (!offence) return false;
      this.#observer.offended(invariant);
      this.#observer.froze();
      logger.error({ invariant, ...offence }, 'the books of a wallet do not hold: it is frozen');
      return true;
    } catch (error) {
      // Locked by others for long, or not answered in time: the others are looked at, this one a while later.
      if (isConnectionLoss(error) || !isUnavailable(error)) throw error;
      const failures = this.#pauses.failed(walletId);
      logger.warn({ err: error, walletId, invariant, failures }, 'a suspicion about a wallet could not be followed up');
      return true;
    }
  }

  async #freezeFor(tx: Queryable, walletId: string, invariant: string, again: Doubt): Promise<Offence | null> {
    const wallet = await lockWallet(tx, walletId);
    if (!wallet || wallet.frozenAt !== null) return null;
    await allowSeconds(tx, LOCKED_SECONDS);
    const offence = await again(tx);
    if (!offence) return null;
    await setFrozen(tx, walletId, wallet.now);
    await insertAudit(tx, {
      id: this.#services.newId(),
      organizationId: wallet.organizationId,
      action: 'freezeWallet',
      actor: systemActor('self-audit'),
      before: { frozenAt: null },
      after: { frozenAt: formatInstant(wallet.now), invariant, subject: offence.subject },
      requestId: null,
    });
    return offence;
  }
}

/** One offence of each wallet is enough to look at it again. */
function firstOfWallets(offences: readonly Offence[]): Offence[] {
  return offences.filter(({ walletId }, index) => offences.findIndex((other) => other.walletId === walletId) === index);
}

const isBrokenChain = (end: ChainPosition | BrokenChain): end is BrokenChain => 'what' in end;

/** Walks the part again in which a link was broken, to the wallet's head as it is now. */
async function walkAgain(
  tx: Queryable,
  walletId: string,
  walked: ChainPosition,
  broken: BrokenChain,
): Promise<Offence | null> {
  const [ends] = await ledgerEnds(tx, [walletId]);
  if (!ends) return null;
  const limit = broken.what === 'head' ? Number.POSITIVE_INFINITY : Number(broken.sequence - walked.sequence) + 1;
  const end = await walkChain(tx, ends, walked, limit);
  return isBrokenChain(end) ? offenceOf(end) : null;
}

/** Whether the entry that a chain was walked to is another one since. */
async function rewrittenSince(sql: Queryable, walletId: string): Promise<Offence | null> {
  const found = await walkedTo(sql, walletId);
  if (!found || found.hash === found.walked.hash) return null;
  const { sequence, hash: expected } = found.walked;
  return { walletId, subject: `entry ${sequence}, its hash since it was checked`, expected, found: found.hash };
}
