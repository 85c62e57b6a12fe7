/**
 * Who is calling and what they may do. The table of permissions is the published matrix of docs/permissions.md; every
 * guard, on root fields and on types, asks `may` and nothing else.
 */
import type { Actor } from '../actor.ts';

export type Role = 'OWNER' | 'ADMIN' | 'EDITOR' | 'VIEWER';
export type Scope = 'BILLING_READ' | 'BILLING_WRITE' | 'USAGE_WRITE';
export type BalanceAccess = 'FULL' | 'EARMARK_ONLY';

/** Names an organization together with its wallet, which rows of the books are keyed by. */
export interface Tenant {
  readonly organizationId: string;
  readonly walletId: string;
}

export interface ApiKeyCaller extends Tenant {
  readonly kind: 'API_KEY';
  readonly keyId: string;
  readonly master: boolean;
  readonly scopes: readonly Scope[];
  /** A key bound to a project acts for no other. */
  readonly projectId: string | null;
  /** EARMARK_ONLY where its project spends what is earmarked for it and nothing else. */
  readonly balanceAccess: BalanceAccess;
}

export interface CallerMembership extends Tenant {
  readonly role: Role;
  readonly balanceAccess: BalanceAccess;
}

export interface UserCaller {
  readonly kind: 'USER';
  readonly userId: string;
  readonly memberships: readonly CallerMembership[];
}

export interface OperatorCaller {
  readonly kind: 'OPERATOR';
  readonly userId: string;
}

export interface AnonymousCaller {
  readonly kind: 'ANONYMOUS';
}

export type SignedInCaller = ApiKeyCaller | UserCaller | OperatorCaller;
export type Caller = SignedInCaller | AnonymousCaller;

export const ANONYMOUS: AnonymousCaller = { kind: 'ANONYMOUS' };

/**
 * - `organization:see`: name, slug, time zone.
 * - `usage:write`: charge for work done, and see what the own calls did.
 * - `billing:read`: wallet, ledger, purchases, subscription, members.
 * - `billing:write`: buy, change plan and limits.
 * - `organization:manage`: keys, members, projects, settings, webhooks.
 * - `operate`: grants, adjustments, catalog, test clocks.
 */
export type Permission =
  | 'organization:see'
  | 'usage:write'
  | 'billing:read'
  | 'billing:write'
  | 'organization:manage'
  | 'operate';

const EVERYTHING_BUT_OPERATING: readonly Permission[] = [
  'organization:see',
  'usage:write',
  'billing:read',
  'billing:write',
  'organization:manage',
];

export const PERMISSIONS_OF_ROLE: Readonly<Record<Role, readonly Permission[]>> = {
  OWNER: EVERYTHING_BUT_OPERATING,
  ADMIN: ['organization:see', 'billing:read'],
  EDITOR: ['organization:see', 'billing:read'],
  VIEWER: ['organization:see', 'billing:read'],
};

export const PERMISSIONS_OF_SCOPE: Readonly<Record<Scope, readonly Permission[]>> = {
  USAGE_WRITE: ['organization:see', 'usage:write'],
  BILLING_READ: ['organization:see', 'billing:read'],
  BILLING_WRITE: ['organization:see', 'billing:read', 'billing:write'],
};

/** What the caller may do in one organization; nothing at all in one that is not theirs. */
export function may(caller: Caller, permission: Permission, organizationId: string): boolean {
  switch (caller.kind) {
    case 'ANONYMOUS':
      return false;
    case 'OPERATOR':
      return true;
    case 'API_KEY':
      return caller.organizationId === organizationId && keyMay(caller, permission);
    case 'USER': {
      const membership = caller.memberships.find((candidate) => candidate.organizationId === organizationId);
      return membership !== undefined && memberMay(membership, permission);
    }
    default: {
      const never: never = caller;
      throw new Error(`unknown caller ${JSON.stringify(never)}`);
    }
  }
}

/** Whether the caller has the permission in any organization; root rules ask it before the organization is known. */
export function mayAnywhere(caller: Caller, permission: Permission): boolean {
  switch (caller.kind) {
    case 'ANONYMOUS':
      return false;
    case 'OPERATOR':
      return true;
    case 'API_KEY':
      return keyMay(caller, permission);
    case 'USER':
      return caller.memberships.some((membership) => memberMay(membership, permission));
    default: {
      const never: never = caller;
      throw new Error(`unknown caller ${JSON.stringify(never)}`);
    }
  }
}

function keyMay({ master, scopes, balanceAccess }: ApiKeyCaller, permission: Permission): boolean {
  if (master) return EVERYTHING_BUT_OPERATING.includes(permission);
  // Whoever may not see what the wallet has may not change what becomes of it either, their own earmark least of all.
  if (balanceAccess === 'EARMARK_ONLY' && (permission === 'billing:read' || permission === 'billing:write'))
    return false;
  return permission === 'organization:see' || scopes.some((scope) => PERMISSIONS_OF_SCOPE[scope].includes(permission));
}

function memberMay({ role, balanceAccess }: CallerMembership, permission: Permission): boolean {
  // Balance access narrows what others read; an owner's cannot be narrowed.
  const isNarrowed = balanceAccess === 'EARMARK_ONLY' && role !== 'OWNER';
  if (isNarrowed && permission !== 'organization:see') return false;
  return PERMISSIONS_OF_ROLE[role].includes(permission);
}

/** The organizations a caller belongs to; an operator belongs to none and may act in all. */
export function tenantsOf(caller: Caller): readonly Tenant[] {
  switch (caller.kind) {
    case 'API_KEY':
      return [caller];
    case 'USER':
      return caller.memberships;
    default:
      return [];
  }
}

/** The organization of a row that is keyed by its wallet; undefined where it is none of the caller's. */
export function organizationOfWallet(caller: Caller, walletId: string): string | undefined {
  return tenantsOf(caller).find((tenant) => tenant.walletId === walletId)?.organizationId;
}

/** `may` for rows keyed by wallet. */
export function mayOnWallet(caller: Caller, permission: Permission, walletId: string): boolean {
  if (caller.kind === 'OPERATOR') return true;
  const organizationId = organizationOfWallet(caller, walletId);
  return organizationId !== undefined && may(caller, permission, organizationId);
}

export function actorOf(caller: SignedInCaller): Actor {
  switch (caller.kind) {
    case 'API_KEY':
      return { kind: 'API_KEY', id: caller.keyId };
    case 'USER':
      return { kind: 'USER', id: caller.userId };
    case 'OPERATOR':
      return { kind: 'OPERATOR', id: caller.userId };
    default: {
      const never: never = caller;
      throw new Error(`unknown caller ${JSON.stringify(never)}`);
    }
  }
}
