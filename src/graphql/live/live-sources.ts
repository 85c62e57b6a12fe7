/**
 * What this process watches: the sources of rows that its open streams share, and the wallets these belong to. A signal
 * has the sources of its wallet look for new rows. One statement a second asks for all watched wallets at once: it backs up lost
 * signals, and has the engine post transitions that have come due, so that a watched wallet changes on time. Nothing is left
 * of a wallet that nobody watches.
 */
import type { Logger } from 'pino';
import type { Services } from '../../operations/services.ts';
import { settleWallets } from '../../operations/settle-wallets.ts';
import { watchedWallets } from '../../persistence/live-rows.ts';
import type { WalletSignals } from '../../persistence/wallet-signals.ts';
import type { Followed } from './follow.ts';
import type { Reader } from './reader.ts';
import { type Place, Source } from './source.ts';

const POLL_MILLISECONDS = 1_000;

/** A source or reader, of whatever rows. */
type AnySource = Pick<Source<unknown>, 'load' | 'checkPace'>;
type AnyReader = Pick<Reader<unknown>, 'end'>;

interface WatchedSource {
  readonly source: AnySource;
  readonly comesWithVersion: boolean;
}

interface Watched {
  /** By the name of their stream. */
  readonly sources: Map<string, WatchedSource>;
  readonly unsubscribe: () => void;
  /** Version and sequence as the last poll found them. */
  seen: string;
}

export interface LiveOptions {
  readonly services: Pick<Services, 'sql' | 'engine'>;
  readonly signals: Pick<WalletSignals, 'subscribe'>;
  readonly logger: Logger;
  /** Ends all streams when it is aborted. */
  readonly shutdown: AbortSignal;
}

export class LiveSources {
  readonly #options: LiveOptions;
  readonly #wallets = new Map<string, Watched>();
  readonly #readers = new Set<AnyReader>();
  /** Organizations whose wallet is being brought up to date. */
  readonly #settling = new Set<string>();
  #timer: NodeJS.Timeout | null = null;
  #polling = false;

  constructor(options: LiveOptions) {
    this.#options = options;
    options.shutdown.addEventListener('abort', () => {
      for (const reader of [...this.#readers]) reader.end();
    });
  }

  /** How many streams are open, and of how many wallets. */
  get size(): { readonly streams: number; readonly wallets: number } {
    return { streams: this.#readers.size, wallets: this.#wallets.size };
  }

  /** Remembers an open stream. */
  enter<Row>(reader: Reader<Row>): void {
    this.#readers.add(reader);
    if (this.#options.shutdown.aborted) reader.end();
  }

  /**
   * The source of a stream, and where in it a reader goes on that has read up to `after`; no place where the source does not
   * keep what comes next. Where there is no source yet one begins, if the reader is up to date.
   */
  join<Row>(
    followed: Followed<Row>,
    after: bigint,
    isUpToDate: boolean,
  ): { readonly source: Source<Row> | null; readonly place: Place<Row> | null } {
    const { stream, tenant } = followed;
    const known = this.#wallets.get(tenant.walletId)?.sources.get(stream)?.source as Source<Row> | undefined;
    const source = known ?? (isUpToDate ? this.#begin(followed, after) : null);
    return { source, place: source?.placeAfter(after) ?? null };
  }

  /** Forgets a stream, and its source and wallet where it was the last of them. */
  leave<Row>(reader: Reader<Row>, source: Source<Row> | null, followed: Followed<Row>): void {
    this.#readers.delete(reader);
    source?.readers.delete(reader);
    if (source?.readers.size === 0) this.#end(followed, source);
  }

  #begin<Row>(followed: Followed<Row>, after: bigint): Source<Row> {
    const { stream, tenant, comesWithVersion = false } = followed;
    const source: Source<Row> = new Source<Row>(followed, after, () => this.#end(followed, source));
    this.#watch(tenant.walletId).sources.set(stream, { source, comesWithVersion });
    this.#timer ??= setInterval(() => void this.#poll(), POLL_MILLISECONDS);
    // The wake-up is registered before the first look, so that nothing falls between.
    void source.load();
    return source;
  }

  #watch(walletId: string): Watched {
    const known = this.#wallets.get(walletId);
    if (known) return known;
    const sources = new Map<string, WatchedSource>();
    const wake = () => {
      for (const { source } of sources.values()) void source.load();
    };
    const watched = { sources, unsubscribe: this.#options.signals.subscribe(walletId, wake), seen: '' };
    this.#wallets.set(walletId, watched);
    return watched;
  }

  #end<Row>({ stream, tenant: { walletId } }: Followed<Row>, source: Source<Row>): void {
    const watched = this.#wallets.get(walletId);
    if (watched?.sources.get(stream)?.source !== source) return;
    watched.sources.delete(stream);
    if (watched.sources.size > 0) return;
    watched.unsubscribe();
    this.#wallets.delete(walletId);
    if (this.#wallets.size > 0 || !this.#timer) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }

  async #poll(): Promise<void> {
    this.#checkPace();
    if (this.#polling) return;
    this.#polling = true;
    try {
      await this.#lookAround();
    } catch (error) {
      this.#options.logger.debug({ err: error }, 'watched wallets could not be asked for; the next second tries again');
      this.#load(() => true);
    } finally {
      this.#polling = false;
    }
  }

  async #lookAround(): Promise<void> {
    const { services } = this.#options;
    const moved = new Set<string>();
    for (const wallet of await watchedWallets(services.sql, [...this.#wallets.keys()])) {
      const watched = this.#wallets.get(wallet.walletId);
      if (!watched) continue;
      const seen = `${wallet.version} ${wallet.sequence}`;
      if (watched.seen !== seen) moved.add(wallet.walletId);
      watched.seen = seen;
      if (wallet.due) void this.#settle(wallet.organizationId);
    }
    this.#load((walletId, { comesWithVersion }) => !comesWithVersion || moved.has(walletId));
  }

  /** Nobody waits for it: a wallet that is busy or locked holds up no other, and is tried again as long as it is due. */
  async #settle(organizationId: string): Promise<void> {
    if (this.#settling.has(organizationId)) return;
    this.#settling.add(organizationId);
    try {
      await settleWallets(this.#options.services, [organizationId]);
    } catch (error) {
      this.#options.logger.debug({ err: error, organizationId }, 'a watched wallet could not be brought up to date');
    } finally {
      this.#settling.delete(organizationId);
    }
  }

  #load(which: (walletId: string, source: WatchedSource) => boolean): void {
    for (const [walletId, { sources }] of this.#wallets) {
      for (const watched of sources.values()) if (which(walletId, watched)) void watched.source.load();
    }
  }

  #checkPace(): void {
    for (const { sources } of this.#wallets.values()) for (const { source } of sources.values()) source.checkPace();
  }
}
