/** Webhook endpoints and what was delivered to them, without secrets. */
import { builder } from '../builder.ts';
import { datedPages } from '../dated-pages.ts';
import { encodeId } from '../ids.ts';
import { nestedConnection } from '../loading/connections.ts';
import { connectionType, readPage } from '../pages.ts';
import { mayReadBilling } from '../permissions/readable.ts';
import { WebhookDeliveryStatusEnum } from './enums.ts';
import { NodeRef } from './node.ts';

export const WebhookDeliveryRef = builder.prismaObject('WebhookDelivery', {
  description:
    'One event told to one endpoint. Kept for 30 days, and for as long as it waits. Readable with billing:read.',
  interfaces: [NodeRef],
  readableBy: mayReadBilling,
  fields: (t) => ({
    id: t.id({ description: 'Opaque id.', resolve: (delivery) => encodeId('WebhookDelivery', delivery.id) }),
    webhookId: t.exposeString('eventId', {
      description: 'The id of the event, which the receiver sees as the header webhook-id; the same at every attempt.',
    }),
    event: t.exposeString('event', { description: 'The type of the event: "balance.changed".' }),
    attempts: t.exposeInt('attempts', { description: 'How often it was begun to be sent, redeliveries included.' }),
    status: t.expose('status', { type: WebhookDeliveryStatusEnum, description: 'What became of it so far.' }),
    responseStatus: t.exposeInt('responseStatus', {
      nullable: true,
      description:
        'The HTTP status that the receiver answered last; null where it did not answer, or may not be called.',
    }),
    nextAttemptAt: t.expose('nextAttemptAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it is tried next, by the real clock; null where it is delivered or given up.',
    }),
    createdAt: t.expose('createdAt', {
      type: 'DateTime',
      description: 'When the event was taken up for the endpoint, by the real clock.',
    }),
    deliveredAt: t.expose('deliveredAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the receiver accepted it, by the real clock; null where it has not.',
    }),
  }),
});

const WebhookDeliveryConnection = connectionType('WebhookDelivery', WebhookDeliveryRef, 'newest first');
const deliveryPages = datedPages({ kind: 'delivery', field: 'createdAt', order: 'desc' });

export const WebhookEndpointRef = builder.prismaObject('WebhookEndpoint', {
  description:
    'Where an organization wants to be told of events. Its secret was shown once, when it was made. Readable with billing:read.',
  interfaces: [NodeRef],
  readableBy: mayReadBilling,
  fields: (t) => ({
    id: t.id({ description: 'Opaque id.', resolve: (endpoint) => encodeId('WebhookEndpoint', endpoint.id) }),
    url: t.exposeString('url', { description: 'Events are sent to it by POST.' }),
    events: t.exposeStringList('events', { description: 'The types of events that it is told.' }),
    enabled: t.exposeBoolean('enabled', {
      description:
        'False where it is told nothing: it was disabled, or its receiver answered 410. What happens meanwhile is not told later.',
    }),
    deliveries: t.field({
      type: WebhookDeliveryConnection,
      description: 'What was and is to be delivered to it, newest first.',
      args: {
        first: t.arg.int({ description: 'Rows per page, at most 100; 20 without it.' }),
        after: t.arg.string({ description: 'A cursor of this list: rows after it.' }),
      },
      resolve: ({ id }, args, context, info) => {
        const page = readPage(args);
        return nestedConnection(id, context, info, {
          page,
          cursorOf: deliveryPages.cursorOf,
          read: async (ids, query, take) => {
            const endpoints = await context.services.prisma.webhookEndpoint.findMany({
              where: { id: { in: ids } },
              select: {
                id: true,
                deliveries: { ...query, where: deliveryPages.after(page), orderBy: deliveryPages.orderBy, take },
              },
            });
            return endpoints.map(({ id: endpointId, deliveries }) => ({ id: endpointId, rows: deliveries }));
          },
        });
      },
    }),
  }),
});
