/** Loads alerts for the API: settled first, so that their state is that of now, and those of all organizations at once. */
import type { GraphQLResolveInfo } from 'graphql';
import { groupBy } from '../../domain/group-by.ts';
import { may } from '../../domain/identity/caller.ts';
import type { Alert } from '../../generated/prisma/client.ts';
import { settleAlerts } from '../../operations/settle-alerts.ts';
import type { GraphQLContext } from '../context.ts';

/** Those in force, oldest first; null to those without billing:read. */
export async function loadAlerts(
  { caller, loaders, services }: GraphQLContext,
  info: GraphQLResolveInfo,
  organizationId: string,
): Promise<readonly Alert[] | null> {
  if (!may(caller, 'billing:read', organizationId)) return null;
  return loaders.byPath(info, organizationId, async (ids) => {
    await settleAlerts(services, ids);
    const rows = await services.prisma.alert.findMany({
      where: { removedAt: null, wallet: { organizationId: { in: [...ids] } } },
      include: { wallet: { select: { organizationId: true } } },
      orderBy: [{ createdAt: 'asc' }, { id: 'asc' }],
    });
    const byOrganization = groupBy(rows, ({ wallet }) => wallet.organizationId);
    return ids.map((id) => byOrganization.get(id) ?? []);
  });
}
