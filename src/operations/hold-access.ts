/**
 * Finds a hold for those who may resolve it. It belongs to whoever made it; a master key, an owner and an operator may
 * resolve it too. To everybody else it does not exist.
 */
import { actorOf, may, type SignedInCaller, type Tenant } from '../domain/identity/caller.ts';
import { type NotFound, notFound } from '../domain/plain-refusals.ts';
import { findHoldOwner } from '../persistence/holds.ts';
import { Forbidden } from './authorize.ts';
import type { Services } from './services.ts';

export async function tenantOfHold(
  { sql }: Pick<Services, 'sql'>,
  caller: SignedInCaller,
  holdId: string,
): Promise<Tenant | NotFound> {
  const owner = await findHoldOwner(sql, holdId);
  if (!owner || !may(caller, 'organization:see', owner.organizationId)) return notFound('hold');
  if (!may(caller, 'usage:write', owner.organizationId)) throw new Forbidden();
  const { kind, id } = actorOf(caller);
  const isMaker = owner.maker.kind === kind && owner.maker.id === id;
  if (!isMaker && !may(caller, 'organization:manage', owner.organizationId)) return notFound('hold');
  const bound = caller.kind === 'API_KEY' ? caller.projectId : null;
  if (bound !== null && owner.projectId !== bound) return notFound('hold');
  return { organizationId: owner.organizationId, walletId: owner.walletId };
}
