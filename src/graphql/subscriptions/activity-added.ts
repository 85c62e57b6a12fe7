import type { Tenant } from '../../domain/identity/caller.ts';
import { publishUsage } from '../../operations/publish-usage.ts';
import { ACTIVITIES, type ActivityEvent, eventsAfter } from '../../persistence/event-sources.ts';
import { builder } from '../builder.ts';
import type { GraphQLContext } from '../context.ts';
import { followEvents } from '../live/follow-events.ts';
import { liveTenant } from '../live/tenant.ts';
import { loadWritten } from '../loading/rows.ts';
import { ActivityRef } from '../types/activity.ts';
import { activityCursor, activityNumber } from '../types/activity-pages.ts';

const ActivityAddedRef = builder.objectRef<ActivityEvent>('ActivityAdded').implement({
  description: 'One activity, as it is written.',
  fields: (t) => ({
    cursor: t.string({ description: 'The same as in pages of the activity.', resolve: activityCursor }),
    activity: t.field({
      type: ActivityRef,
      description: 'The activity.',
      resolve: ({ organizationId, number }, _args, context, info) =>
        loadWritten(context, info, (query) =>
          context.services.prisma.activity.findUnique({
            ...query,
            where: { organizationId_number: { organizationId, number } },
          }),
        ),
    }),
  }),
});

function addedActivities(
  context: GraphQLContext,
  tenant: Tenant,
  after: bigint | null,
): Promise<AsyncIterable<ActivityEvent>> {
  const { services } = context;
  return followEvents<ActivityEvent>(context, {
    type: 'activity.added',
    tenant,
    after,
    countedBy: 'organization',
    catchUp: () => publishUsage(services, [tenant.organizationId]),
    numberOf: (event) => event.number,
    load: (number, limit) => eventsAfter(services.sql, ACTIVITIES, tenant, number, limit),
  });
}

builder.subscriptionField('activityAdded', (t) =>
  t.field({
    type: ActivityAddedRef,
    description: 'Every new activity, each once and in order. Needs billing:read.',
    args: {
      organizationId: t.arg.id({ required: true, description: 'Whose activity.' }),
      after: t.arg.string({
        description: 'A cursor of this stream or of the activity: what came since then comes first.',
      }),
    },
    subscribe: async (_root, { organizationId, after }, context) => {
      const tenant = await liveTenant(context, organizationId);
      const number = after === null || after === undefined ? null : activityNumber(tenant.organizationId, after);
      return addedActivities(context, tenant, number);
    },
    resolve: (event) => event,
  }),
);
