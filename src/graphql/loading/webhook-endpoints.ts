/** Loads the webhook endpoints of organizations: all of an answer at once. An organization has ten at most. */
import { queryFromInfo } from '@pothos/plugin-prisma';
import type { GraphQLResolveInfo } from 'graphql';
import { may } from '../../domain/identity/caller.ts';
import type { WebhookEndpoint } from '../../generated/prisma/client.ts';
import type { GraphQLContext } from '../context.ts';
import type { NodeQuery } from './connections.ts';

/** The oldest first; null to those without billing:read. */
export async function loadWebhookEndpoints(
  context: GraphQLContext,
  info: GraphQLResolveInfo,
  organizationId: string,
): Promise<WebhookEndpoint[] | null> {
  if (!may(context.caller, 'billing:read', organizationId)) return null;
  return context.loaders.byPath(info, organizationId, async (ids) => {
    const query = queryFromInfo({ context, info }) as NodeQuery;
    const rows: WebhookEndpoint[] = await context.services.prisma.webhookEndpoint.findMany({
      ...query,
      where: { organizationId: { in: [...ids] }, deletedAt: null },
      orderBy: [{ createdAt: 'asc' }, { id: 'asc' }],
    });
    return ids.map((id) => rows.filter((row) => row.organizationId === id));
  });
}
