/** Loads the one row that a payload shows, with what the client selected of it. The row was written by the same request. */
import { queryFromInfo } from '@pothos/plugin-prisma';
import type { GraphQLResolveInfo } from 'graphql';
import type { GraphQLContext } from '../context.ts';
import type { NodeQuery } from './connections.ts';

export async function loadWritten<Row>(
  context: GraphQLContext,
  info: GraphQLResolveInfo,
  load: (query: NodeQuery) => Promise<Row | null>,
): Promise<Row> {
  const row = await load(queryFromInfo({ context, info }) as NodeQuery);
  if (row === null) throw new Error('a row that was just written cannot be read');
  return row;
}
