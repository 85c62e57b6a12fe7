/**
 * The one door to live streams: follows the rows of one wallet from a cursor, each once and in order. Whatever streams of
 * the same name and wallet are open share one source of rows ([source.ts](source.ts)).
 */
import type { Tenant } from '../../domain/identity/caller.ts';
import type { EventType } from '../../persistence/event-sources.ts';
import type { GraphQLContext } from '../context.ts';
import { Reader } from './reader.ts';

export interface Followed<Row> {
  /** What is followed. Streams of one type and wallet share what they read, so that `load` is the same for all. */
  readonly type: EventType;
  readonly tenant: Tenant;
  /** Sent before everything else. */
  readonly opening: readonly Row[];
  /** Rows after this number. */
  readonly after: bigint;
  readonly numberOf: (row: Row) => bigint;
  /** Rows that are never changed, the next ones after a number. */
  readonly load: (after: bigint, limit: number) => Promise<readonly Row[]>;
  /** For a reader who wants the newest state only: rows that it did not get are merged into the one that it gets. */
  readonly coalesce?: {
    /** What it knows when the stream begins. */
    readonly from: Row;
    /** The newest row as it looks to who has seen `last` before it. */
    readonly merge: (last: Row, newest: Row) => Row;
  };
}

export function follow<Row>(context: GraphQLContext, followed: Followed<Row>): AsyncIterable<Row> {
  return new Reader(context, followed);
}
