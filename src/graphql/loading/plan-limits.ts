/** Loads what plans limit for the API: that of all organizations of an answer at once. */
import type { GraphQLResolveInfo } from 'graphql';
import { may } from '../../domain/identity/caller.ts';
import type { PlanLimitStatus } from '../../domain/limits/plan-limit.ts';
import { limitsInUse } from '../../operations/plan-limits.ts';
import type { GraphQLContext } from '../context.ts';

/** Null to those without billing:read. */
export async function loadPlanLimits(
  { caller, loaders, services }: GraphQLContext,
  info: GraphQLResolveInfo,
  organizationId: string,
): Promise<PlanLimitStatus[] | null> {
  if (!may(caller, 'billing:read', organizationId)) return null;
  const userId = caller.kind === 'USER' ? caller.userId : null;
  return loaders.byPath(info, organizationId, (ids) => limitsInUse(services, ids, userId));
}
