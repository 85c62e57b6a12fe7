/**
 * The PostgreSQL connections that run hand-written SQL: the posting engine's, which pipelines statements, and the live
 * streams'. Amounts and sequences arrive as bigint, instants as milliseconds.
 */
import postgres from 'postgres';
import { type Instant, instant } from '../domain/time/instant.ts';

const TIMESTAMPTZ = 1184;

const types = {
  bigint: postgres.BigInt,
  instant: {
    to: TIMESTAMPTZ,
    from: [TIMESTAMPTZ],
    serialize: (at: Instant) => new Date(at).toISOString(),
    parse: (text: string) => instant(Date.parse(text)),
  },
};

type CustomTypes = { bigint: bigint; instant: Instant };
export type Sql = postgres.Sql<CustomTypes>;
/** Whatever can run statements: a pool, a reserved connection, a transaction. */
export type Queryable = postgres.ISql<CustomTypes>;
export type ReservedSql = postgres.ReservedSql<CustomTypes>;

export interface ConnectionOptions {
  readonly applicationName: string;
  readonly maxConnections: number;
  /** Told every statement; tests count them. */
  readonly onStatement?: (sql: string) => void;
}

/** Opens nothing yet: connections are made when first used. */
export function createSql(
  databaseUrl: string,
  { applicationName, maxConnections, onStatement }: ConnectionOptions,
): Sql {
  return postgres(databaseUrl, {
    max: maxConnections,
    types,
    // Statements are few and named; notices are PostgreSQL's small talk, not ours.
    onnotice: () => undefined,
    ...(onStatement ? { debug: (_connection: number, query: string) => onStatement(query) } : {}),
    connect_timeout: 5,
    connection: { application_name: applicationName, TimeZone: 'UTC' },
  });
}
