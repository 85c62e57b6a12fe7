/** Lists of lots in burn order, of a bucket or of a whole wallet. */
import type { GraphQLResolveInfo } from 'graphql';
import type { Prisma } from '../../generated/prisma/client.ts';
import { builder } from '../builder.ts';
import type { GraphQLContext } from '../context.ts';
import { nestedConnection } from '../loading/connections.ts';
import { type PageArguments, readPage } from '../pages.ts';
import { BURN_ORDER, type LotInBurnOrder, lotCursor, lotFilter, lotsAfter } from './lot-pages.ts';

export const LOT_LIST_ARGS = builder.args((t) => ({
  active: t.boolean({ description: 'True for lots in force with credits left, false for the others; all without it.' }),
  first: t.int({ description: 'Rows per page, at most 100; 20 without it.' }),
  after: t.string({ description: 'A cursor of this list: rows after it.' }),
}));

interface LotListArguments extends PageArguments {
  readonly active?: boolean | null | undefined;
}

/** What is read of each parent's lots: a filter, an order and a limit for Prisma. */
export type LotsOfParent = Prisma.LotFindManyArgs & { readonly include: { readonly bucket: true } };

interface ParentWithLots {
  readonly id: string;
  readonly lots: readonly LotInBurnOrder[];
}

export function lotList(
  parentId: string,
  { active, ...args }: LotListArguments,
  context: GraphQLContext,
  info: GraphQLResolveInfo,
  find: (where: { id: { in: string[] } }, lots: LotsOfParent) => Promise<readonly ParentWithLots[]>,
) {
  const page = readPage(args);
  const where = { AND: [lotFilter(active), lotsAfter(page)] };
  return nestedConnection<LotInBurnOrder>(parentId, context, info, {
    page,
    cursorOf: lotCursor,
    read: async (ids, query, take) => {
      const parents = await find({ id: { in: ids } }, { ...withBucket(query), where, orderBy: BURN_ORDER, take });
      return parents.map(({ id, lots }) => ({ id, rows: lots }));
    },
  });
}

/** Adds what the cursor of a lot is made of. */
function withBucket<Q extends object>(query: Q): Q & { include: { bucket: true } } {
  const include = 'include' in query && typeof query.include === 'object' ? query.include : {};
  return { ...query, include: { bucket: true, ...include } };
}
