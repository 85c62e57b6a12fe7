/** Holds: credits reserved for work under way. */
import { micros } from '../../domain/credits/micros.ts';
import { builder } from '../builder.ts';
import { encodeId } from '../ids.ts';
import { connectionType } from '../pages.ts';
import { mayReadCall } from '../permissions/readable.ts';
import { HoldStatusEnum } from './enums.ts';
import { NodeRef } from './node.ts';

export const HoldRef = builder.prismaObject('Hold', {
  description: 'Credits reserved for work under way. Readable with billing:read, and by the key that made it.',
  interfaces: [NodeRef],
  readableBy: mayReadCall,
  fields: (t) => ({
    id: t.id({ description: 'Opaque id.', resolve: (hold) => encodeId('Hold', hold.id) }),
    status: t.expose('status', { type: HoldStatusEnum, description: 'Its state.' }),
    amount: t.field({
      type: 'Credits',
      description: 'What it reserved when it was made; 0 for free work.',
      resolve: (hold) => micros(hold.amountMicros),
    }),
    captured: t.field({
      type: 'Credits',
      description: 'What has been charged out of it and, where a policy allowed it, beyond it.',
      resolve: (hold) => micros(hold.capturedMicros),
    }),
    remaining: t.field({
      type: 'Credits',
      description: 'What it still reserves; 0 once it is not open.',
      resolve: (hold) => micros(hold.remainingMicros),
    }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      description: 'It can be used before this instant and lapses at it.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
    taskId: t.exposeString('taskId', { nullable: true, description: 'The caller’s task.' }),
    executionId: t.exposeString('executionId', { nullable: true, description: 'The caller’s execution.' }),
  }),
});

export const HoldConnection = connectionType('Hold', HoldRef, 'newest first');
