/** Loads single rows with what the client selected of them. */
import { queryFromInfo } from '@pothos/plugin-prisma';
import type { GraphQLResolveInfo } from 'graphql';
import type { GraphQLContext } from '../context.ts';
import type { NodeQuery } from './connections.ts';
import { inOrder } from './request-loaders.ts';

/** The one row that a payload shows, which the same request has written. */
export async function loadWritten<Row>(
  context: GraphQLContext,
  info: GraphQLResolveInfo,
  load: (query: NodeQuery) => Promise<Row | null>,
): Promise<Row> {
  const row = await load(queryFromInfo({ context, info }) as NodeQuery);
  if (row === null) throw new Error('a row that was just written cannot be read');
  return row;
}

/** A row that another one names, read together with those of all rows at this place of the answer. */
export async function loadRow<Row extends { readonly id: string }>(
  context: GraphQLContext,
  info: GraphQLResolveInfo,
  id: string,
  load: (ids: string[], query: NodeQuery) => Promise<Row[]>,
): Promise<Row> {
  // Asked for at every row: it also notes for that row what its fields will find loaded and need not load again.
  const query = queryFromInfo({ context, info }) as NodeQuery;
  const row = await context.loaders.byPath(info, id, async (ids) => {
    const rows = await load([...ids], query);
    return inOrder(ids, rows, (found) => found.id);
  });
  if (row === null) throw new Error(`the row ${id} that another one names is missing`);
  return row;
}
