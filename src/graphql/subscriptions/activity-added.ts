import type { Tenant } from '../../domain/identity/caller.ts';
import { publishUsage } from '../../operations/publish-usage.ts';
import { activitiesAfter, newestActivity } from '../../persistence/activities.ts';
import { builder } from '../builder.ts';
import type { GraphQLContext } from '../context.ts';
import { badUserInput } from '../errors.ts';
import { follow } from '../live/follow.ts';
import { liveTenant } from '../live/tenant.ts';
import { loadWritten } from '../loading/rows.ts';
import { ActivityRef } from '../types/activity.ts';
import { activityCursor, activityNumber } from '../types/activity-pages.ts';

interface ActivityEvent {
  readonly organizationId: string;
  readonly number: bigint;
}

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

async function addedActivities(
  context: GraphQLContext,
  tenant: Tenant,
  after: bigint | null,
): Promise<AsyncIterable<ActivityEvent>> {
  const { organizationId } = tenant;
  const { sql } = context.services;
  const newest = await newestActivity(sql, organizationId);
  if (after !== null && after > newest) throw badUserInput('after is not a cursor of this organization.');
  return follow<ActivityEvent>(context, {
    stream: 'activityAdded',
    tenant,
    opening: [],
    after: after ?? newest,
    numberOf: (event) => event.number,
    load: async (number, limit) => {
      await publishUsage(context.services, [organizationId]);
      const rows = await activitiesAfter(sql, organizationId, number, limit);
      return rows.map((row) => ({ organizationId, number: row.number }));
    },
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
