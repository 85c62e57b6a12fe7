/**
 * Connections below a row, batched by `byPath`: one statement reads the page of every parent at that place of the answer,
 * each with its own LIMIT in SQL. (A Prisma cursor, or `take` in a plain nested query, reads the whole relation.)
 */
import { queryFromInfo } from '@pothos/plugin-prisma';
import type { GraphQLResolveInfo } from 'graphql';
import type { GraphQLContext } from '../context.ts';
import { type Connection, connectionOf, type Page } from '../pages.ts';
import { inOrder } from './request-loaders.ts';

interface ParentRows<T> {
  readonly id: string;
  readonly rows: readonly T[];
}

export interface NestedPage<T> {
  readonly page: Page;
  readonly cursorOf: (row: T) => string;
  /**
   * Reads up to `take` rows of each parent, in the page's direction. `query` is what the client selected of a row.
   */
  readonly read: (parentIds: string[], query: NodeQuery, take: number) => Promise<readonly ParentRows<T>[]>;
}

/** What Pothos worked out of the client's selection; spread into the Prisma query of the rows. */
export type NodeQuery = Record<string, never>;

export async function nestedConnection<T>(
  parentId: string,
  context: GraphQLContext,
  info: GraphQLResolveInfo,
  { page, cursorOf, read }: NestedPage<T>,
): Promise<Connection<T>> {
  const rows = await context.loaders.byPath(info, parentId, async (parentIds) => {
    const query = queryFromInfo({ context, info, path: ['edges', 'node'] });
    const parents = await read([...parentIds], query as NodeQuery, page.limit + 1);
    return inOrder(parentIds, parents, (parent) => parent.id);
  });
  return connectionOf(rows?.rows ?? [], page, cursorOf);
}
