/** Loads spend limits for the API: those of all organizations of an answer at once. */
import { queryFromInfo } from '@pothos/plugin-prisma';
import type { GraphQLResolveInfo } from 'graphql';
import { groupBy } from '../../domain/group-by.ts';
import { type Caller, may, mayOnWallet } from '../../domain/identity/caller.ts';
import type { SpendLimitReached } from '../../domain/refusals.ts';
import type { SpendLimit } from '../../generated/prisma/client.ts';
import { MAX_SPEND_LIMITS } from '../../operations/set-spend-limit.ts';
import type { GraphQLContext } from '../context.ts';
import type { NodeQuery } from './connections.ts';
import { loadRow } from './rows.ts';

/** Those in force, oldest first; null to those without billing:read. */
export async function loadSpendLimits(
  context: GraphQLContext,
  info: GraphQLResolveInfo,
  organizationId: string,
): Promise<readonly SpendLimit[] | null> {
  if (!may(context.caller, 'billing:read', organizationId)) return null;
  // Asked for at every organization: it also notes for its rows what their fields will find loaded.
  const query = queryFromInfo({ context, info }) as NodeQuery;
  return context.loaders.byPath(info, organizationId, async (ids) => {
    const { prisma } = context.services;
    const wallets = await prisma.wallet.findMany({
      where: { organizationId: { in: [...ids] } },
      select: { id: true, organizationId: true },
    });
    const limits = await prisma.spendLimit.findMany({
      ...query,
      where: { walletId: { in: wallets.map(({ id }) => id) }, removedAt: null },
      orderBy: [{ createdAt: 'asc' }, { id: 'asc' }],
      take: MAX_SPEND_LIMITS * ids.length,
    });
    const byWallet = groupBy(limits, ({ walletId }) => walletId);
    const byOrganization = new Map(wallets.map((wallet) => [wallet.organizationId, byWallet.get(wallet.id) ?? []]));
    return ids.map((id) => byOrganization.get(id) ?? []);
  });
}

/** The limit that refused, removed or not, for those who may read the wallet; null where the plan's cap did. */
export async function loadReachedLimit(
  context: GraphQLContext,
  info: GraphQLResolveInfo,
  { spendLimitId, explanation }: SpendLimitReached,
): Promise<SpendLimit | null> {
  if (spendLimitId === null || !mayReadLimits(context.caller, explanation.walletId)) return null;
  return loadRow(context, info, spendLimitId, (ids, query) =>
    context.services.prisma.spendLimit.findMany({ ...query, where: { id: { in: ids } } }),
  );
}

const mayReadLimits = (caller: Caller, walletId: string): boolean => mayOnWallet(caller, 'billing:read', walletId);
