/**
 * The PostgreSQL connections that run hand-written SQL: the posting engine's, which pipeline statements, and those of live
 * streams and small writes. Statements are template literals whose values become parameters; amounts and sequences arrive
 * as bigint, instants as milliseconds.
 */
import type { Socket } from 'node:net';
import { type Client, type ClientConfig, DatabaseError, Pool, type PoolClient, types as pgTypes } from 'pg';
import { instant } from '../domain/time/instant.ts';
import { arrayLiteral } from './array-literal.ts';
import { CONNECTING, clientFor } from './client.ts';

const TIMESTAMPTZ = 1184;
/** Bounds on how long a session may hold others up; a gateway that is stopped mid-batch lets go of its locks. */
const TIMEOUTS = ['-c statement_timeout=30s', '-c lock_timeout=10s', '-c idle_in_transaction_session_timeout=5s'];
const INDEX_PROBES_ONLY = [
  '-c plan_cache_mode=force_generic_plan',
  '-c enable_seqscan=off',
  '-c enable_hashjoin=off',
  '-c enable_mergejoin=off',
];

/** A piece of SQL with its values, to be put into statements. */
export class Fragment {
  readonly strings: readonly string[];
  readonly values: readonly unknown[];
  constructor(strings: readonly string[], values: readonly unknown[]) {
    this.strings = strings;
    this.values = values;
  }
}

export const fragment = (strings: TemplateStringsArray, ...values: unknown[]): Fragment =>
  new Fragment(strings, values);

export type Rows<Row extends readonly object[]> = Row & {
  /** How many rows were read, inserted or changed. */
  readonly count: number;
  /** The command tag: "SELECT", "COMMIT". */
  readonly command: string;
};

/** Whatever can run statements: a pool, one connection, a transaction. A statement is sent as soon as it is written. */
export type Queryable = <Row extends readonly object[] = readonly object[]>(
  strings: TemplateStringsArray,
  ...values: unknown[]
) => Promise<Rows<Row>>;

/** One connection of a pool. */
export interface Connection {
  readonly sql: Queryable;
  /** Gives it back; throws it away after a fault, for nobody knows what state it is in. */
  release(fault?: unknown): void;
}

/** The statements of one transaction. */
export interface Transaction extends Queryable {
  /** Has something done once the transaction has committed, and never where it has not. What is done does not throw. */
  afterCommit(done: () => void): void;
}

export interface Sql extends Queryable {
  /** Runs `work` in one transaction: committed when it resolves, rolled back when it rejects. */
  begin<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;
  connect(): Promise<Connection>;
  end(): Promise<void>;
}

export interface ConnectionOptions {
  readonly applicationName: string;
  readonly maxConnections: number;
  /**
   * For the posting engine: sends statements without waiting for the answers to those before, and plans index probes only.
   * Plans are kept for the life of a connection; one that was made while a table was empty would scan it for ever.
   */
  readonly posting?: boolean;
  /** Told every statement; tests count them. */
  readonly onStatement?: (sql: string) => void;
}

/** The connection or the server went away. Whether a COMMIT in flight took effect is unknown. */
export class ConnectionLost extends Error {
  constructor(cause: unknown) {
    super('the connection to PostgreSQL was lost', { cause });
  }
}

const types: ClientConfig['types'] = {
  getTypeParser: ((oid: number, format?: 'text') => {
    if (oid === pgTypes.builtins.INT8) return BigInt;
    if (oid === TIMESTAMPTZ) return (text: string) => instant(Date.parse(text));
    return pgTypes.getTypeParser(oid, format);
  }) as typeof pgTypes.getTypeParser,
};

/** Opens nothing yet: connections are made when first used. */
export function createSql(databaseUrl: string, options: ConnectionOptions): Sql {
  const { applicationName, maxConnections, posting = false, onStatement } = options;
  const pool = new Pool({
    connectionString: databaseUrl,
    max: maxConnections,
    ...CONNECTING,
    application_name: applicationName,
    options: ['-c TimeZone=UTC', '-c jit=off', ...TIMEOUTS, ...(posting ? INDEX_PROBES_ONLY : [])].join(' '),
    types,
    ...{ pipeline: posting },
  });
  // A connection that breaks tells its statements, which fail; the event besides has nobody to tell.
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
  const connect = async (): Promise<Connection> => {
    const client = await pool.connect().catch((error: unknown) => {
      throw lostUnlessAnswered(error);
    });
    const sql = queryableOf(client, onStatement);
    return { sql: posting ? inOneWrite(client, sql) : sql, release: (fault) => client.release(fault !== undefined) };
  };
  const begin = async <T>(work: (tx: Transaction) => Promise<T>): Promise<T> => {
    const { sql, release } = await connect();
    const toDo: (() => void)[] = [];
    let result: T;
    try {
      await sql`BEGIN`;
      result = await work(Object.assign(sql, { afterCommit: (done: () => void) => void toDo.push(done) }));
      await sql`COMMIT`;
      release();
    } catch (error) {
      const isClean = await sql`ROLLBACK`.then(
        () => true,
        () => false,
      );
      release(isClean ? undefined : error);
      throw error;
    }
    for (const done of toDo) done();
    return result;
  };
  return Object.assign(queryableOf(pool, onStatement), { begin, connect, end: () => pool.end() });
}

/** Reads in one transaction that sees the database as it is when it begins, for as long as it takes; it locks nothing. */
export function inSnapshot<T>(sql: Pick<Sql, 'begin'>, work: (sql: Queryable) => Promise<T>): Promise<T> {
  return sql.begin(async (tx) => {
    await tx`SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY`;
    await tx`SET LOCAL statement_timeout = 0`;
    return work(tx);
  });
}

/**
 * Hears notifications on a channel, for ever: reconnects after a pause when the connection is lost. What is sent until then
 * is never heard; `listening` is called each time from when on everything is. Rejects, and hears nothing, where it cannot begin.
 */
export function listen(
  databaseUrl: string,
  channel: string,
  hear: (payload: string) => void,
  listening: () => void = () => undefined,
): Promise<Listener> {
  const listener = new Listener(databaseUrl, channel, hear, listening);
  return listener.start().then(
    () => listener,
    async (error: unknown) => {
      await listener.stop();
      throw error;
    },
  );
}

const RECONNECT_MILLISECONDS = 500;

export class Listener {
  readonly #databaseUrl: string;
  readonly #channel: string;
  readonly #hear: (payload: string) => void;
  readonly #listening: () => void;
  #client: Client | null = null;
  #retry: NodeJS.Timeout | null = null;
  #stopped = false;

  constructor(databaseUrl: string, channel: string, hear: (payload: string) => void, listening: () => void) {
    this.#databaseUrl = databaseUrl;
    this.#channel = channel;
    this.#hear = hear;
    this.#listening = listening;
  }

  async start(): Promise<void> {
    const client = clientFor(this.#databaseUrl, { application_name: 'purser-listen' });
    this.#client = client;
    client.on('end', () => this.#reconnect());
    client.on('notification', ({ payload }) => this.#hear(payload ?? ''));
    await client.connect();
    await client.query(`LISTEN ${client.escapeIdentifier(this.#channel)}`);
    this.#listening();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#retry) clearTimeout(this.#retry);
    await this.#client?.end().catch(() => undefined);
  }

  #reconnect(): void {
    if (this.#stopped || this.#retry) return;
    this.#retry = setTimeout(() => {
      this.#retry = null;
      this.start().catch(() => this.#reconnect());
    }, RECONNECT_MILLISECONDS);
  }
}

function queryableOf(target: Pool | PoolClient, onStatement: ConnectionOptions['onStatement']): Queryable {
  return async <Row extends readonly object[]>(strings: TemplateStringsArray, ...given: unknown[]) => {
    const { text, values } = render(strings, given);
    onStatement?.(text);
    try {
      const result = await target.query({ name: statementName(text), text, values });
      return Object.assign(result.rows as unknown as Row, { count: result.rowCount ?? 0, command: result.command });
    } catch (error) {
      throw lostUnlessAnswered(error);
    }
  };
}

/** Statements of the same turn of the event loop leave in one write to the socket; a system call costs more than most of them. */
function inOneWrite(client: PoolClient, sql: Queryable): Queryable {
  const { stream } = (client as PoolClient & { readonly connection: { readonly stream: Socket } }).connection;
  let corked = false;
  return (strings, ...values) => {
    if (!corked) {
      corked = true;
      stream.cork();
      process.nextTick(() => {
        corked = false;
        stream.uncork();
      });
    }
    return sql(strings, ...values);
  };
}

/** What PostgreSQL did not answer itself means that there is no connection. */
function lostUnlessAnswered(error: unknown): unknown {
  return error instanceof DatabaseError ? error : new ConnectionLost(error);
}

function render(strings: readonly string[], given: readonly unknown[]): { text: string; values: unknown[] } {
  const values: unknown[] = [];
  const write = (parts: readonly string[], inserted: readonly unknown[]): string =>
    parts.reduce((text, part, index) => {
      const value = inserted[index - 1];
      if (value instanceof Fragment) return text + write(value.strings, value.values) + part;
      values.push(Array.isArray(value) ? arrayLiteral(value) : value);
      return `${text}$${values.length}${part}`;
    });
  return { text: write(strings, given), values };
}

const names = new Map<string, string>();

/** Statements are prepared once per connection, under a name of their text. There are as many as the code has. */
function statementName(text: string): string {
  let name = names.get(text);
  if (name === undefined) {
    name = `purser_${names.size}`;
    names.set(text, name);
  }
  return name;
}
