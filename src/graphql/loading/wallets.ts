/** Loads wallets for the API: settled first, so that what is read is true now, and all of an answer at once. */
import { queryFromInfo } from '@pothos/plugin-prisma';
import type { GraphQLResolveInfo } from 'graphql';
import type { Micros } from '../../domain/credits/micros.ts';
import { may } from '../../domain/identity/caller.ts';
import type { Instant } from '../../domain/time/instant.ts';
import type { Wallet } from '../../generated/prisma/client.ts';
import { settleWallets } from '../../operations/settle-wallets.ts';
import { balancesAt } from '../../persistence/wallets.ts';
import type { GraphQLContext } from '../context.ts';
import type { NodeQuery } from './connections.ts';
import { inOrder } from './request-loaders.ts';

/** The organization's wallet with what the client selected of it; null to those without billing:read. */
export async function loadWallet(
  context: GraphQLContext,
  info: GraphQLResolveInfo,
  organizationId: string,
): Promise<Wallet | null> {
  if (!may(context.caller, 'billing:read', organizationId)) return null;
  return context.loaders.byPath(info, organizationId, async (ids) => {
    await settleWallets(context.services, ids);
    const query = queryFromInfo({ context, info }) as NodeQuery;
    const rows = await context.services.prisma.wallet.findMany({
      ...query,
      where: { organizationId: { in: [...ids] } },
    });
    return inOrder(ids, rows, (wallet) => wallet.organizationId);
  });
}

/** What the wallet held at an instant, together with all wallets at this place of the answer. */
export function loadBalanceAt(
  { loaders, services }: GraphQLContext,
  info: GraphQLResolveInfo,
  { id, organizationId }: Pick<Wallet, 'id' | 'organizationId'>,
  at: Instant,
): Promise<Micros> {
  return loaders.byPath(info, `${id}.${organizationId}`, async (keys) => {
    const wallets = keys.map((key) => key.split('.'));
    await settleWallets(
      services,
      wallets.map(([, ofOrganization = '']) => ofOrganization),
    );
    return balancesAt(
      services.sql,
      wallets.map(([walletId = '']) => walletId),
      at,
    );
  });
}
