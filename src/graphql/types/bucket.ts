/** Buckets: the named compartments of a wallet. */
import { micros } from '../../domain/credits/micros.ts';
import type { Allowance } from '../../generated/prisma/client.ts';
import { builder } from '../builder.ts';
import { encodeId } from '../ids.ts';
import { mayReadWallet } from '../permissions/readable.ts';
import { BucketKindEnum, RefreshIntervalEnum } from './enums.ts';
import { LotConnection } from './lot.ts';
import { LOT_LIST_ARGS, lotList } from './lot-list.ts';
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
    rolloverLimit: t.field({
      type: 'Credits',
      nullable: true,
      description: 'The most of a period’s rest that is carried into the next, for one period; null for nothing.',
      resolve: ({ rolloverLimitMicros: limit }) => (limit === null ? null : micros(limit)),
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
      args: LOT_LIST_ARGS,
      resolve: (bucket, args, context, info) =>
        lotList(bucket.id, args, context, info, (where, lots) =>
          context.services.prisma.bucket.findMany({ where, select: { id: true, lots } }),
        ),
    }),
  }),
});
