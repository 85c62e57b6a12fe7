/**
 * The rows of one stream of one wallet as all its readers in this process share them: read once after a signal, kept in
 * pages, each page linked to the next. A reader holds its place and no rows, so that it costs the same however far it is
 * behind. The newest pages are kept; an older one is read again where somebody is still there, once for all of them.
 */
export interface RowsOf<Row> {
  readonly numberOf: (row: Row) => bigint;
  readonly load: (after: bigint, limit: number) => Promise<readonly Row[]>;
}

/** A reader as its source knows it. */
export interface Attached<Row> {
  /** Where it reads on; null where it is not at the source's pages yet. */
  readonly place: Place<Row> | null;
  wake(): void;
  fail(error: unknown): void;
  /** Called every second. */
  checkPace(behind: number): void;
}

/** The next row of a reader: one of the page, or the first of the page after it. */
export interface Place<Row> {
  page: Page<Row>;
  offset: number;
}

export const PAGE_ROWS = 500;
const KEPT_PAGES = 8;
/** Pages that were let go and read again for readers that are behind. */
const REREAD_PAGES = 4;

export class Page<Row> {
  /** Its rows come after this number. */
  readonly after: bigint;
  /** How many rows of the source were before it. */
  readonly index: number;
  count = 0;
  next: Page<Row> | null = null;
  /** Null where they were let go. */
  rows: Row[] | null = [];
  rereading: Promise<readonly Row[]> | null = null;

  constructor(after: bigint, index: number) {
    this.after = after;
    this.index = index;
  }
}

export class Source<Row> {
  readonly readers = new Set<Attached<Row>>();
  readonly #of: RowsOf<Row>;
  readonly #failed: (error: unknown) => void;
  readonly #kept: Page<Row>[];
  readonly #reread: Page<Row>[] = [];
  #last: Page<Row>;
  #head: bigint;
  #newest: Row | null = null;
  #loading = false;
  #again = false;

  /** Holds the rows after `after`; `failed` is told when it cannot be read any more, after its readers are. */
  constructor(of: RowsOf<Row>, after: bigint, failed: (error: unknown) => void) {
    this.#of = of;
    this.#failed = failed;
    this.#head = after;
    this.#last = new Page(after, 0);
    this.#kept = [this.#last];
  }

  get newest(): Row | null {
    return this.#newest;
  }

  /** How many rows it has read. */
  get total(): number {
    return this.#last.index + this.#last.count;
  }

  /** Where a reader goes on that has read up to a number; null where the rows behind it are not kept. */
  placeAfter(number: bigint): Place<Row> | null {
    const page = this.#kept.findLast((kept) => kept.after <= number);
    if (!page) return null;
    const offset = (page.rows ?? []).findIndex((row) => this.#of.numberOf(row) > number);
    return { page, offset: offset === -1 ? page.count : offset };
  }

  /** Behind everything that it has read. */
  end(): Place<Row> {
    return { page: this.#last, offset: this.#last.count };
  }

  /** Looks for new rows; while it does, for those that came meanwhile. */
  async load(): Promise<void> {
    this.#again = true;
    if (this.#loading) return;
    this.#loading = true;
    try {
      while (this.#again) {
        this.#again = false;
        const rows = await this.#of.load(this.#head, PAGE_ROWS);
        if (rows.length === PAGE_ROWS) this.#again = true;
        this.#append(rows);
      }
    } catch (error) {
      for (const reader of [...this.readers]) reader.fail(error);
      this.#failed(error);
    } finally {
      this.#loading = false;
    }
  }

  /** The rows of a page; those that were let go are read again. */
  rowsOf(page: Page<Row>): readonly Row[] | Promise<readonly Row[]> {
    if (page.rows) return page.rows;
    page.rereading ??= this.#rereadPage(page).finally(() => {
      page.rereading = null;
    });
    return page.rereading;
  }

  /** Tells every reader how far it is behind. */
  checkPace(): void {
    for (const reader of [...this.readers]) {
      if (reader.place) reader.checkPace(this.total - reader.place.page.index - reader.place.offset);
    }
  }

  #append(rows: readonly Row[]): void {
    for (const row of rows) {
      if (this.#last.count === PAGE_ROWS) this.#turnPage();
      this.#last.rows?.push(row);
      this.#last.count += 1;
      this.#head = this.#of.numberOf(row);
      this.#newest = row;
    }
    if (rows.length > 0) for (const reader of this.readers) reader.wake();
  }

  #turnPage(): void {
    const page = new Page<Row>(this.#head, this.total);
    this.#last.next = page;
    this.#last = page;
    this.#kept.push(page);
    if (this.#kept.length > KEPT_PAGES) letGo(this.#kept.shift());
  }

  async #rereadPage(page: Page<Row>): Promise<readonly Row[]> {
    const rows = await this.#of.load(page.after, page.count);
    page.rows = [...rows];
    this.#reread.push(page);
    if (this.#reread.length > REREAD_PAGES) letGo(this.#reread.shift());
    return rows;
  }
}

function letGo<Row>(page: Page<Row> | undefined): void {
  if (page) page.rows = null;
}
