/** Buckets: the named compartments of a wallet. */
import { micros } from '../../domain/credits/micros.ts';
import type { Allowance } from '../../generated/prisma/client.ts';
import { builder } from '../builder.ts';
import { encodeId } from '../ids.ts';
import { nestedConnection } from '../loading/connections.ts';
import { readPage } from '../pages.ts';
import { mayReadWallet } from '../permissions/readable.ts';
import { BucketKindEnum, RefreshIntervalEnum } from './enums.ts';
import { LotConnection } from './lot.ts';
import { BURN_ORDER, type LotInBurnOrder, lotCursor, lotFilter, lotsAfter } from './lot-pages.ts';
import { NodeRef } from './node.ts';

const BucketRefreshRef = builder.objectRef<Allowance>('BucketRefresh').implement({
  description: 'How a bucket refreshes.',
  fields: (t) => ({
    interval: t.expose('interval', { type: RefreshIntervalEnum, description: 'How often.' }),
    amount: t.field({
      type: 'Credits',
      description: 'What each period grants.',
      resolve: (allowance) => micros(allowance.amountMicros),
    }),
    lastRefreshedAt: t.expose('lastRefreshedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it last refreshed; null before the first time.',
    }),
    nextRefreshAt: t.expose('nextRefreshAt', { type: 'DateTime', description: 'When it refreshes next.' }),
  }),
});

export const BucketRef = builder.prismaObject('Bucket', {
  description: 'A named compartment of a wallet. Key, name and kind come from the catalog. Readable with billing:read.',
  interfaces: [NodeRef],
  readableBy: mayReadWallet,
  fields: (t) => ({
    id: t.id({ description: 'Opaque id.', resolve: (bucket) => encodeId('Bucket', bucket.id) }),
    key: t.exposeString('key', { description: 'Its key in the catalog.' }),
    name: t.exposeString('name', { description: 'Display name.' }),
    kind: t.expose('kind', { type: BucketKindEnum, description: 'Where its credits come from.' }),
    burnPriority: t.exposeInt('burnPriority', { description: 'Buckets with a lower number are spent first.' }),
    available: t.field({
      type: 'Credits',
      description: 'What can be spent of it now: lots in force, less what is held or frozen.',
      resolve: (bucket) => micros(bucket.availableMicros),
    }),
    held: t.field({
      type: 'Credits',
      description: 'What open holds have reserved of it.',
      resolve: (bucket) => micros(bucket.pinnedMicros),
    }),
    refresh: t.field({
      type: BucketRefreshRef,
      nullable: true,
      description: 'How it refreshes; null for buckets that do not.',
      select: { allowance: true },
      resolve: (bucket) => bucket.allowance,
    }),
    lots: t.field({
      type: LotConnection,
      description: 'Its lots in burn order.',
      args: {
        active: t.arg.boolean({
          description: 'True for lots in force with credits left, false for the others; all without it.',
        }),
        first: t.arg.int({ description: 'Rows per page, at most 100; 20 without it.' }),
        after: t.arg.string({ description: 'A cursor of this list: rows after it.' }),
      },
      resolve: (bucket, { active, ...args }, context, info) => {
        const page = readPage(args);
        const where = { AND: [lotFilter(active), lotsAfter(page)] };
        return nestedConnection<LotInBurnOrder>(bucket.id, context, info, {
          page,
          cursorOf: lotCursor,
          read: async (ids, query, take) => {
            const lots = { ...withBucket(query), where, orderBy: BURN_ORDER, take };
            const rows = await context.services.prisma.bucket.findMany({
              where: { id: { in: ids } },
              select: { id: true, lots },
            });
            return rows.map(({ id, lots: ofBucket }) => ({ id, rows: ofBucket as unknown as LotInBurnOrder[] }));
          },
        });
      },
    }),
  }),
});

/** Adds what the cursor of a lot is made of. */
export function withBucket<Q extends object>(query: Q): Q & { include: { bucket: true } } {
  const include = 'include' in query && typeof query.include === 'object' ? query.include : {};
  return { ...query, include: { bucket: true, ...include } };
}
