/** Lots: credits with one source and one expiry. */
import { micros } from '../../domain/credits/micros.ts';
import { builder } from '../builder.ts';
import { encodeId } from '../ids.ts';
import { connectionType } from '../pages.ts';
import { mayReadWallet } from '../permissions/readable.ts';
import { LotSourceEnum } from './enums.ts';
import { NodeRef } from './node.ts';

export const LotRef = builder.prismaObject('Lot', {
  description: 'Credits that came at once from one source. Lots are spent in burn order. Readable with billing:read.',
  interfaces: [NodeRef],
  readableBy: mayReadWallet,
  fields: (t) => ({
    id: t.id({ description: 'Opaque id.', resolve: (lot) => encodeId('Lot', lot.id) }),
    bucket: t.relation('bucket', { description: 'The bucket it lies in.' }),
    source: t.expose('source', { type: LotSourceEnum, description: 'What made it.' }),
    granted: t.field({
      type: 'Credits',
      description: 'What it had at first.',
      resolve: (lot) => micros(lot.grantedMicros),
    }),
    remaining: t.field({
      type: 'Credits',
      description: 'What is left, held credits included.',
      resolve: (lot) => micros(lot.remainingMicros),
    }),
    held: t.field({
      type: 'Credits',
      description: 'What open holds have reserved of it.',
      resolve: (lot) => micros(lot.pinnedMicros),
    }),
    effectiveAt: t.expose('effectiveAt', { type: 'DateTime', description: 'From when it can be spent.' }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      nullable: true,
      description: 'Until when, exclusive; null for ever.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was posted.' }),
    purchase: t.relation('purchase', {
      nullable: true,
      description: 'The purchase that paid for it, with its price; null for credits that were not bought.',
    }),
    allocation: t.relation('allocation', {
      nullable: true,
      description: 'The earmark that it belongs to; null where it is for nobody in particular.',
    }),
    frozen: t.exposeBoolean('frozen', {
      description: 'True while its purchase is disputed or being refunded; it cannot be spent then.',
    }),
  }),
});

export const LotConnection = connectionType('Lot', LotRef, 'in burn order');
