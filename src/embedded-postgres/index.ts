/**
 * A PostgreSQL of the gateway's own, for people who want to try Purser without installing a database. The server comes
 * from an npm package, keeps its files in one directory, and outlives the gateway: a later start adopts it or starts it
 * again, and the data stay.
 */
export { EmbeddedPostgresError } from './error.ts';
export type { EmbeddedPostgres, EmbeddedPostgresOptions } from './start.ts';
export { startEmbeddedPostgres } from './start.ts';
export { temporaryDataDirectory } from './temporary.ts';
