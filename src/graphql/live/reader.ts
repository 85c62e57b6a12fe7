/**
 * One open stream. It reads on its own until it is where the source of its wallet is, then shares that source's rows: first
 * those after its cursor, then each new one, in order and once. It ends with its client, its credential or the gateway,
 * whatever it is waiting for, and holds no more than its place while its client does not read.
 */
import { may } from '../../domain/identity/caller.ts';
import type { GraphQLContext } from '../context.ts';
import { forbidden, tooSlow, unauthenticated } from '../errors.ts';
import { CLOSE_FORBIDDEN, CLOSE_TOO_SLOW, type WatchedCredential } from './connection.ts';
import type { Followed } from './follow.ts';
import { type Attached, PAGE_ROWS, type Place, type Source } from './source.ts';

/** A client that is further behind, and does not read, has to resume. */
export const MAX_ROWS_BEHIND = 1_000;
export const MAX_BACKLOG_BYTES = 1024 * 1024;
/** Seconds in a row. One is no sign: a burst of changes takes a moment to be read. */
const SLOW_CHECKS = 3;

const DONE = { done: true, value: undefined } as const;

export class Reader<Row> implements AsyncIterableIterator<Row>, Attached<Row> {
  place: Place<Row> | null = null;
  readonly #context: GraphQLContext;
  readonly #followed: Followed<Row>;
  #state: 'new' | 'open' | 'failed' | 'ended' = 'new';
  #fault: unknown;
  #after: bigint;
  #opening: readonly Row[];
  #opened = 0;
  /** What it has read on its own, before it is where the source is. */
  #own: readonly Row[] = [];
  #ownOffset = 0;
  #ownPageWasFull = true;
  #source: Source<Row> | null = null;
  #credential: WatchedCredential | null = null;
  #last: Row | null;
  #slowChecks = 0;
  #rang = false;
  #awake: (() => void) | null = null;

  constructor(context: GraphQLContext, followed: Followed<Row>) {
    this.#context = context;
    this.#followed = followed;
    this.#after = followed.after;
    this.#opening = followed.opening;
    this.#last = followed.coalesce?.from ?? null;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Row, undefined>> {
    try {
      if (this.#state === 'new') this.#open();
      while (this.#state === 'open') {
        const row = await this.#take();
        if (row === null) {
          await this.#wait();
          continue;
        }
        await this.#checkAllowed();
        if (this.#isOpen()) return { done: false, value: row };
      }
      if (this.#state === 'failed') throw this.#fault;
      return DONE;
    } catch (error) {
      // Nobody listens any more: what fails while a stream is being left has nobody to tell.
      if (this.#state === 'ended') return DONE;
      this.end();
      throw error;
    }
  }

  async return(): Promise<IteratorResult<Row, undefined>> {
    this.end();
    return DONE;
  }

  async throw(): Promise<IteratorResult<Row, undefined>> {
    return this.return();
  }

  /** Ends the stream without an error. */
  end(): void {
    if (this.#state !== 'failed') this.#leave();
    this.#state = 'ended';
    this.wake();
  }

  /** Ends the stream with an error, which its client is told when it next reads. */
  fail(error: unknown): void {
    if (this.#state !== 'open') return;
    this.#state = 'failed';
    this.#fault = error;
    this.#leave();
    this.wake();
  }

  wake(): void {
    this.#rang = true;
    this.#awake?.();
  }

  checkPace(behind: number): void {
    const { connection } = this.#context;
    // Who asks for the newest state only is never behind.
    if (!connection || this.#followed.coalesce) return;
    const backlog = connection.backlogBytes();
    const isSlow = backlog > 0 && (behind > MAX_ROWS_BEHIND || backlog > MAX_BACKLOG_BYTES);
    this.#slowChecks = isSlow ? this.#slowChecks + 1 : 0;
    if (this.#slowChecks < SLOW_CHECKS) return;
    this.fail(tooSlow());
    connection.close(CLOSE_TOO_SLOW, 'Too slow');
  }

  #isOpen(): boolean {
    return this.#state === 'open';
  }

  #open(): void {
    this.#state = 'open';
    this.#context.live.enter(this);
    // The gateway may be stopping.
    if (!this.#isOpen()) return;
    this.#credential = this.#context.watchCredential((caller) => this.#allow(caller));
  }

  /** Lets go of everything that is shared. */
  #leave(): void {
    this.#credential?.stop();
    this.#context.live.leave(this, this.#source, this.#followed);
    this.#source = null;
    this.place = null;
    this.#own = [];
    this.#opening = [];
  }

  /** The next row; null where there is none yet. */
  async #take(): Promise<Row | null> {
    const opening = this.#opening[this.#opened];
    if (opening !== undefined) {
      this.#opened += 1;
      return opening;
    }
    while (!this.#source) {
      const own = this.#own[this.#ownOffset];
      if (own !== undefined) {
        this.#ownOffset += 1;
        return this.#merged(own);
      }
      if (this.#attach()) break;
      const rows = await this.#followed.load(this.#after, PAGE_ROWS);
      if (!this.#isOpen()) return null;
      this.#own = rows;
      this.#ownOffset = 0;
      this.#ownPageWasFull = rows.length === PAGE_ROWS;
    }
    return this.#takeShared(this.#source);
  }

  /** Joins the source where it has the rows that come next; begins one where this reader is the first that is up to date. */
  #attach(): boolean {
    const { source, place } = this.#context.live.join(this.#followed, this.#after, !this.#ownPageWasFull);
    if (!source || !place) return false;
    this.#own = [];
    this.#source = source;
    this.place = place;
    source.readers.add(this);
    return true;
  }

  async #takeShared(source: Source<Row> | null): Promise<Row | null> {
    const { place } = this;
    if (!source || !place) return null;
    if (this.#followed.coalesce) return this.#takeNewest(source);
    for (;;) {
      if (place.offset < place.page.count) {
        const rows = source.rowsOf(place.page);
        const row = (rows instanceof Promise ? await rows : rows)[place.offset];
        if (!this.#isOpen() || row === undefined) return null;
        place.offset += 1;
        // A reader may be ahead of what its source has read.
        if (this.#followed.numberOf(row) > this.#after) return this.#merged(row);
      } else if (place.page.next) {
        place.page = place.page.next;
        place.offset = 0;
      } else return null;
    }
  }

  #takeNewest(source: Source<Row>): Row | null {
    const { newest } = source;
    this.place = source.end();
    return newest !== null && this.#followed.numberOf(newest) > this.#after ? this.#merged(newest) : null;
  }

  #merged(row: Row): Row {
    const { coalesce, numberOf } = this.#followed;
    this.#after = numberOf(row);
    const merged = coalesce && this.#last !== null ? coalesce.merge(this.#last, row) : row;
    this.#last = coalesce ? row : null;
    return merged;
  }

  async #checkAllowed(): Promise<void> {
    const caller = this.#credential?.current();
    if (caller) this.#allow(caller instanceof Promise ? await caller : caller);
  }

  /** A stream ends with its credential: before its next event, and within a second where nothing happens. */
  #allow(caller: GraphQLContext['caller']): void {
    if (!this.#isOpen()) return;
    this.#context.caller = caller;
    const isAllowed = may(caller, 'billing:read', this.#followed.tenant.organizationId);
    if (isAllowed) return;
    this.fail(caller.kind === 'ANONYMOUS' ? unauthenticated() : forbidden());
    this.#context.connection?.close(CLOSE_FORBIDDEN, 'Forbidden');
  }

  /** Until it is woken, or at once where it was since the last wait. */
  async #wait(): Promise<void> {
    if (!this.#rang) {
      await new Promise<void>((resolve) => {
        this.#awake = resolve;
      });
    }
    this.#awake = null;
    this.#rang = false;
  }
}
