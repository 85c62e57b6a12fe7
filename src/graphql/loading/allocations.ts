/** Loads what is earmarked, for the API: settled first, for lots that expire make it less. */
import { queryFromInfo } from '@pothos/plugin-prisma';
import type { GraphQLResolveInfo } from 'graphql';
import { groupBy } from '../../domain/group-by.ts';
import { type Caller, may } from '../../domain/identity/caller.ts';
import type { Allocation } from '../../generated/prisma/client.ts';
import { settleWallets } from '../../operations/settle-wallets.ts';
import type { GraphQLContext } from '../context.ts';
import { mayReadAllocation } from '../permissions/readable.ts';
import type { NodeQuery } from './connections.ts';

/** Everything was given back, and its project or member may spend the pool. */
const ENDED = { availableMicros: 0n, pinnedMicros: 0n, frozenMicros: 0n, usedMicros: 0n, exclusive: false };

/** Those of the organization that the caller may read, oldest first; null to those who may read none. */
export async function loadAllocations(
  context: GraphQLContext,
  info: GraphQLResolveInfo,
  organizationId: string,
): Promise<Allocation[] | null> {
  const { caller, loaders, services } = context;
  if (!maySeeSome(caller, organizationId)) return null;
  const query = queryFromInfo({ context, info }) as NodeQuery;
  const found = await loaders.byPath(info, organizationId, async (ids) => {
    await settleWallets(services, ids);
    const wallets = await services.prisma.wallet.findMany({
      where: { organizationId: { in: [...ids] } },
      select: { id: true, organizationId: true },
    });
    const rows = await services.prisma.allocation.findMany({
      ...query,
      where: { walletId: { in: wallets.map(({ id }) => id) }, NOT: ENDED },
      orderBy: [{ createdAt: 'asc' }, { id: 'asc' }],
    });
    const ofWallet = groupBy(rows, (row) => row.walletId);
    const byOrganization = new Map(wallets.map((wallet) => [wallet.organizationId, ofWallet.get(wallet.id) ?? []]));
    return ids.map((id) => byOrganization.get(id) ?? []);
  });
  return found.filter((row) => mayReadAllocation(row, caller));
}

/** Members see at least what is earmarked for them, keys that are bound to a project what is for that. */
function maySeeSome(caller: Caller, organizationId: string): boolean {
  if (may(caller, 'billing:read', organizationId)) return true;
  if (!may(caller, 'organization:see', organizationId)) return false;
  return caller.kind === 'USER' || (caller.kind === 'API_KEY' && caller.projectId !== null);
}
