/** Who may read the objects of guarded types. Given to types as `readableBy`. */
import { type Caller, may, mayOnWallet, organizationOfWallet } from '../../domain/identity/caller.ts';

/** Objects that belong to an organization: its wallet, purchases, subscription. */
export function mayReadBilling({ organizationId }: { readonly organizationId: string }, caller: Caller): boolean {
  return may(caller, 'billing:read', organizationId);
}

/** Objects that belong to a wallet: buckets, lots, entries. */
export function mayReadWallet({ walletId }: { readonly walletId: string }, caller: Caller): boolean {
  return mayOnWallet(caller, 'billing:read', walletId);
}

const ANSWER = Symbol('answer to a call');

interface ReadableCall {
  readonly walletId: string;
  readonly actorKind: string;
  readonly actorId: string;
  readonly [ANSWER]?: true;
}

/** Marks the transaction or hold that answers a call: whoever may make the call sees it, another key's replay included. */
export const answering = <Row extends object>(row: Row): Row => ({ ...row, [ANSWER]: true });

/** Transactions and holds: a key with usage:write sees those that its own calls made or were answered with. */
export function mayReadCall(call: ReadableCall, caller: Caller): boolean {
  const { walletId, actorKind, actorId, [ANSWER]: isAnswer = false } = call;
  if (mayOnWallet(caller, 'billing:read', walletId)) return true;
  const isOwn = caller.kind === 'API_KEY' && actorKind === 'API_KEY' && actorId === caller.keyId;
  return (isOwn || isAnswer) && mayOnWallet(caller, 'usage:write', walletId);
}

interface ReadableAllocation {
  readonly walletId: string;
  readonly projectId: string | null;
  readonly userId: string | null;
}

/** Earmarks: with billing:read all, else what is for oneself, or for the project that a key is bound to. */
export function mayReadAllocation({ walletId, projectId, userId }: ReadableAllocation, caller: Caller): boolean {
  if (mayOnWallet(caller, 'billing:read', walletId)) return true;
  if (organizationOfWallet(caller, walletId) === undefined) return false;
  if (caller.kind === 'USER') return caller.userId === userId;
  return caller.kind === 'API_KEY' && caller.projectId !== null && caller.projectId === projectId;
}

/** Audit records; those of the platform itself are the operators'. */
export function mayReadAudit({ organizationId }: { readonly organizationId: string | null }, caller: Caller): boolean {
  return organizationId === null ? caller.kind === 'OPERATOR' : may(caller, 'billing:read', organizationId);
}
