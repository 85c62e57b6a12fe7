/**
 * What this process watches: the sources of rows that its open streams share, and the wallets these belong to. A signal
 * has the sources of its wallet look for new rows. One statement a second asks for all watched wallets at once: it backs up lost
 * signals, and has what has come due done, transitions posted and usage told, so that a watched wallet changes on time. Nothing is left
 * of a wallet that nobody watches.
 */
import type { Logger } from 'pino';
import { publishUsage } from '../../operations/publish-usage.ts';
import type { Services } from '../../operations/services.ts';
import { settleWallets } from '../../operations/settle-wallets.ts';
import type { EventType } from '../../persistence/event-sources.ts';
import { type WatchedWallet, watchedWallets } from '../../persistence/live-rows.ts';
import type { WalletSignals } from '../../persistence/signals/wallet-signals.ts';
import type { Followed } from './follow.ts';
import type { Reader } from './reader.ts';
import { type Place, Source } from './source.ts';

const POLL_MILLISECONDS = 1_000;

/** A source or reader, of whatever rows. */
type AnySource = Pick<Source<unknown>, 'load' | 'checkPace'>;
type AnyReader = Pick<Reader<unknown>, 'end'>;

interface Watched {
  readonly sources: Map<EventType, AnySource>;
  readonly unsubscribe: () => void;
  /** As the last poll found it. */
  newest: WatchedWallet['newest'] | null;
}

export interface LiveOptions {
  readonly services: Pick<Services, 'sql' | 'engine' | 'feed'>;
  readonly signals: Pick<WalletSignals, 'subscribe'>;
  readonly logger: Logger;
  /** Ends all streams when it is aborted. */
  readonly shutdown: AbortSignal;
}

export class LiveSources {
  readonly #options: LiveOptions;
  readonly #wallets = new Map<string, Watched>();
  readonly #readers = new Set<AnyReader>();
  /** Organizations whose wallet is being brought up to date, and those whose usage is being told. */
  readonly #settling = new Set<string>();
  readonly #publishing = new Set<string>();
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
    const { type, tenant } = followed;
    const known = this.#wallets.get(tenant.walletId)?.sources.get(type) as Source<Row> | undefined;
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
    const { type, tenant } = followed;
    const source: Source<Row> = new Source<Row>(followed, after, () => this.#end(followed, source));
    this.#watch(tenant.walletId).sources.set(type, source);
    this.#timer ??= setInterval(() => void this.#poll(), POLL_MILLISECONDS);
    // The wake-up is registered before the first look, so that nothing falls between.
    void source.load();
    return source;
  }

  #watch(walletId: string): Watched {
    const known = this.#wallets.get(walletId);
    if (known) return known;
    const sources = new Map<EventType, AnySource>();
    const wake = () => {
      for (const source of sources.values()) void source.load();
    };
    const watched = { sources, unsubscribe: this.#options.signals.subscribe(walletId, wake), newest: null };
    this.#wallets.set(walletId, watched);
    return watched;
  }

  #end<Row>({ type, tenant: { walletId } }: Followed<Row>, source: Source<Row>): void {
    const watched = this.#wallets.get(walletId);
    if (watched?.sources.get(type) !== source) return;
    watched.sources.delete(type);
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
      this.#loadAll();
    } finally {
      this.#polling = false;
    }
  }

  async #lookAround(): Promise<void> {
    for (const wallet of await watchedWallets(this.#options.services.sql, [...this.#wallets.keys()])) {
      const watched = this.#wallets.get(wallet.walletId);
      if (!watched) continue;
      for (const [type, source] of watched.sources) {
        if (watched.newest?.[type] !== wallet.newest[type]) void source.load();
      }
      watched.newest = wallet.newest;
      if (wallet.due) void this.#settle(wallet.organizationId);
      if (wallet.usageDue && watched.sources.has('activity.added')) void this.#publish(wallet.organizationId);
    }
  }

  #settle(organizationId: string): Promise<void> {
    return this.#bring(organizationId, this.#settling, () => settleWallets(this.#options.services, [organizationId]));
  }

  #publish(organizationId: string): Promise<void> {
    return this.#bring(organizationId, this.#publishing, () => publishUsage(this.#options.services, [organizationId]));
  }

  /** Nobody waits for it: a wallet that is busy or locked holds up no other, and is tried again as long as it is due. */
  async #bring(organizationId: string, busy: Set<string>, upToDate: () => Promise<unknown>): Promise<void> {
    if (busy.has(organizationId)) return;
    busy.add(organizationId);
    try {
      await upToDate();
    } catch (error) {
      this.#options.logger.debug({ err: error, organizationId }, 'a watched wallet could not be brought up to date');
    } finally {
      busy.delete(organizationId);
    }
  }

  #loadAll(): void {
    for (const { sources } of this.#wallets.values()) for (const source of sources.values()) void source.load();
  }

  #checkPace(): void {
    for (const { sources } of this.#wallets.values()) for (const source of sources.values()) source.checkPace();
  }
}
