import type { Tenant } from '../../domain/identity/caller.ts';
import type { PostedAlertEvent } from '../../domain/posting/records.ts';
import { settleAlerts } from '../../operations/settle-alerts.ts';
import { ALERT_EVENTS, eventsAfter } from '../../persistence/event-sources.ts';
import { builder } from '../builder.ts';
import type { GraphQLContext } from '../context.ts';
import { followEvents } from '../live/follow-events.ts';
import { liveTenant } from '../live/tenant.ts';
import { loadWritten } from '../loading/rows.ts';
import { loadRunway } from '../loading/runways.ts';
import { AlertRef } from '../types/alert.ts';
import { AlertTransitionEnum } from '../types/enums.ts';
import { alertCursor, alertEventOf } from '../types/live-cursor.ts';
import { RunwayRef } from '../types/runway.ts';

const LowBalanceEventRef = builder.objectRef<PostedAlertEvent>('LowBalanceEvent').implement({
  description:
    'An alert that triggered or resolved: one event for a crossing of its threshold. All fields but `alert` and `runway` are as of then.',
  fields: (t) => ({
    cursor: t.string({
      description: 'Subscribe `after` it to go on behind this event.',
      resolve: ({ walletId, number }) => alertCursor(walletId, number),
    }),
    alert: t.field({
      type: AlertRef,
      description: 'The alert as it is now; it may have been removed since.',
      resolve: ({ alertId: id }, _args, context, info) =>
        loadWritten(context, info, (query) => context.services.prisma.alert.findUnique({ ...query, where: { id } })),
    }),
    transition: t.field({
      type: AlertTransitionEnum,
      description: 'What it did.',
      resolve: (event) => event.transition,
    }),
    threshold: t.expose('threshold', {
      type: 'Credits',
      description: 'Its threshold in credits, also where it is a percentage.',
    }),
    totalAvailable: t.expose('totalAvailable', { type: 'Credits', description: 'What could be spent.' }),
    runway: t.field({
      type: RunwayRef,
      description: 'How long what is left will last, as of reading.',
      resolve: ({ walletId }, _args, context, info) => loadRunway(context, info, walletId),
    }),
    occurredAt: t.expose('occurredAt', {
      type: 'DateTime',
      description: 'When it happened: for credits that expired, when they did.',
    }),
  }),
});

function alertEvents(
  context: GraphQLContext,
  tenant: Tenant,
  after: bigint | null,
): Promise<AsyncIterable<PostedAlertEvent>> {
  const { services } = context;
  return followEvents<PostedAlertEvent>(context, {
    type: 'balance.low',
    tenant,
    after,
    countedBy: 'wallet',
    catchUp: () => settleAlerts(services, [tenant.organizationId]),
    numberOf: (event) => event.number,
    load: (number, limit) => eventsAfter(services.sql, ALERT_EVENTS, tenant, number, limit),
  });
}

builder.subscriptionField('lowBalance', (t) =>
  t.field({
    type: LowBalanceEventRef,
    description:
      'Every time that an alert of an organization triggers or resolves, each once and in order. Needs billing:read.',
    args: {
      organizationId: t.arg.id({ required: true, description: 'Whose wallet.' }),
      after: t.arg.string({
        description:
          'A cursor of this stream or a wallet’s alertCursor: events since then come first. Without it the stream begins with what comes next.',
      }),
    },
    subscribe: async (_root, { organizationId, after }, context) => {
      const tenant = await liveTenant(context, organizationId);
      const number = after === null || after === undefined ? null : alertEventOf(tenant.walletId, after);
      return alertEvents(context, tenant, number);
    },
    resolve: (event) => event,
  }),
);
