/** The wallet that a subscription watches; a foreign or unknown organization ends the stream with an error. */
import { GraphQLError } from 'graphql';
import type { Tenant } from '../../domain/identity/caller.ts';
import { isRefusal } from '../../domain/refusals.ts';
import { signedIn, tenantFor } from '../../operations/authorize.ts';
import type { GraphQLContext } from '../context.ts';
import { decodeId } from '../ids.ts';

export async function liveTenant({ services, caller }: GraphQLContext, organizationId: string): Promise<Tenant> {
  const meant = decodeId('Organization', organizationId);
  const tenant = await tenantFor(services, signedIn(caller), 'billing:read', meant);
  if (isRefusal(tenant)) {
    throw new GraphQLError('There is no such organization.', { extensions: { code: 'BAD_USER_INPUT' } });
  }
  return tenant;
}
