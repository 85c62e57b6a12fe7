/** Loads top-ups that begin by themselves for the API: those of all organizations of an answer at once. */
import type { GraphQLResolveInfo } from 'graphql';
import { may } from '../../domain/identity/caller.ts';
import { type AutoTopUpStatus, autoTopUpStatuses } from '../../operations/auto-top-up-status.ts';
import type { GraphQLContext } from '../context.ts';

/** Null where it was never configured, and to those without billing:read. */
export async function loadAutoTopUp(
  { caller, loaders, services }: GraphQLContext,
  info: GraphQLResolveInfo,
  organizationId: string,
): Promise<AutoTopUpStatus | null> {
  if (!may(caller, 'billing:read', organizationId)) return null;
  return loaders.byPath(info, organizationId, (ids) => autoTopUpStatuses(services, ids));
}
