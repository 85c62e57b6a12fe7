/** Allocations: credits earmarked for a project or member. */
import { type AllocationAmounts, creditsOf } from '../../domain/allocations/allocation.ts';
import { micros } from '../../domain/credits/micros.ts';
import type { Allocation } from '../../generated/prisma/client.ts';
import { builder } from '../builder.ts';
import { encodeId } from '../ids.ts';
import { mayReadAllocation } from '../permissions/readable.ts';
import { NodeRef } from './node.ts';

const amountsOf = (row: Allocation): AllocationAmounts => ({
  available: micros(row.availableMicros),
  pinned: micros(row.pinnedMicros),
  frozen: micros(row.frozenMicros),
  used: micros(row.usedMicros),
});

export const AllocationRef = builder.prismaObject('Allocation', {
  description:
    'Credits earmarked for one project or member: nobody else spends them. Readable with billing:read, by the member whom it is for, and by keys bound to its project.',
  interfaces: [NodeRef],
  readableBy: mayReadAllocation,
  fields: (t) => ({
    id: t.id({ description: 'Opaque id.', resolve: ({ id }) => encodeId('Allocation', id) }),
    project: t.relation('project', { nullable: true, description: 'The project that it is for; null for a member’s.' }),
    user: t.relation('user', { nullable: true, description: 'The member whom it is for; null for a project’s.' }),
    exclusive: t.exposeBoolean('exclusive', {
      description: 'True where this project or member spends it and nothing else, and sees it and not the wallet.',
    }),
    credits: t.field({
      type: 'Credits',
      description: 'What is earmarked: used, held and remaining, and what is frozen of it. Expiry makes it less.',
      resolve: (row) => creditsOf(amountsOf(row)),
    }),
    used: t.field({
      type: 'Credits',
      description: 'What was charged to it and not refunded, since everything was given back last.',
      resolve: (row) => micros(row.usedMicros),
    }),
    held: t.field({
      type: 'Credits',
      description: 'What open holds have reserved of it.',
      resolve: (row) => micros(row.pinnedMicros),
    }),
    remaining: t.field({
      type: 'Credits',
      description: 'What of it can be spent now, unless the wallet owes more than what is for nobody in particular.',
      resolve: (row) => micros(row.availableMicros),
    }),
  }),
});
