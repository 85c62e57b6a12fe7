/** Loads subscriptions for the API: settled first, so that plan, status and period are those of now. */
import { queryFromInfo } from '@pothos/plugin-prisma';
import type { GraphQLResolveInfo } from 'graphql';
import { may } from '../../domain/identity/caller.ts';
import type { PlanSubscription } from '../../generated/prisma/client.ts';
import { settleWallets } from '../../operations/settle-wallets.ts';
import type { GraphQLContext } from '../context.ts';
import type { NodeQuery } from './connections.ts';
import { inOrder } from './request-loaders.ts';

/** Null where there never was one, and to those without billing:read. */
export async function loadSubscription(
  context: GraphQLContext,
  info: GraphQLResolveInfo,
  organizationId: string,
): Promise<PlanSubscription | null> {
  if (!may(context.caller, 'billing:read', organizationId)) return null;
  return context.loaders.byPath(info, organizationId, async (ids) => {
    await settleWallets(context.services, ids);
    const query = queryFromInfo({ context, info }) as NodeQuery;
    const rows = await context.services.prisma.planSubscription.findMany({
      ...query,
      where: { organizationId: { in: [...ids] } },
    });
    return inOrder(ids, rows, (subscription) => subscription.organizationId);
  });
}
