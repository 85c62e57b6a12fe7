/** Activity: what happened in an organization, in words. */
import { micros } from '../../domain/credits/micros.ts';
import { builder } from '../builder.ts';
import { encodeId } from '../ids.ts';
import { connectionType } from '../pages.ts';
import { mayReadBilling } from '../permissions/readable.ts';
import { ActorRef, resolveActor } from './actor.ts';
import { ActivityKindEnum } from './enums.ts';
import { NodeRef } from './node.ts';

export const ActivityRef = builder.prismaObject('Activity', {
  description: 'One thing that happened, never changed after it was written. Readable with billing:read.',
  interfaces: [NodeRef],
  readableBy: mayReadBilling,
  fields: (t) => ({
    id: t.id({
      description: 'Opaque id.',
      resolve: ({ organizationId, number }) => encodeId('Activity', `${organizationId}.${number}`),
    }),
    kind: t.expose('kind', { type: ActivityKindEnum, description: 'What it is about.' }),
    summary: t.exposeString('summary', {
      description:
        'One line of plain text in English: "12 operations of task crawl-7: 24 credits". Names in it are as they were.',
    }),
    credits: t.field({
      type: 'Credits',
      nullable: true,
      description: 'Credits that moved: negative for spending, 0 for free work; null where none moved, as for holds.',
      resolve: ({ creditsMicros }) => (creditsMicros === null ? null : micros(creditsMicros)),
    }),
    actor: t.field({
      type: ActorRef,
      description: 'Who caused it; of usage, who charged first.',
      resolve: (activity, _args, context) => resolveActor(activity, context),
    }),
    taskId: t.exposeString('taskId', { nullable: true, description: 'The caller’s task.' }),
    executionId: t.exposeString('executionId', { nullable: true, description: 'The caller’s execution.' }),
    occurredAt: t.expose('occurredAt', {
      type: 'DateTime',
      description: 'When, by the organization’s clock; of usage, when it was charged last.',
    }),
  }),
});

export const ActivityConnection = connectionType('Activity', ActivityRef, 'newest first');
