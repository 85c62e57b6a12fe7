/** The table of docs/permissions.md, cell by cell. */
import { describe, expect, it } from 'vitest';
import {
  ANONYMOUS,
  type ApiKeyCaller,
  actorOf,
  type BalanceAccess,
  type Caller,
  type CallerMembership,
  may,
  mayAnywhere,
  mayOnWallet,
  organizationOfWallet,
  type Permission,
  type Role,
  type Scope,
  tenantsOf,
  type UserCaller,
} from '../../../src/domain/identity/caller.ts';

const HOME = { organizationId: 'home', walletId: 'home-wallet' };
const FOREIGN = { organizationId: 'foreign', walletId: 'foreign-wallet' };

const aKey = (...scopes: readonly Scope[]): ApiKeyCaller => ({
  kind: 'API_KEY',
  keyId: 'key-1',
  master: false,
  scopes,
  projectId: null,
  balanceAccess: 'FULL',
  ...HOME,
});
const member = (role: Role, balanceAccess: BalanceAccess = 'FULL'): CallerMembership => ({
  role,
  balanceAccess,
  ...HOME,
});
const aUser = (...memberships: readonly CallerMembership[]): UserCaller => ({
  kind: 'USER',
  userId: 'user-1',
  memberships,
});

const PERMISSIONS: readonly Permission[] = [
  'organization:see',
  'usage:write',
  'billing:read',
  'billing:write',
  'organization:manage',
  'operate',
];

/** One letter per permission, in the order above: y for may. */
const MATRIX: readonly (readonly [string, Caller, string])[] = [
  ['nobody', ANONYMOUS, '------'],
  ['a key without scopes', aKey(), 'y-----'],
  ['a key with usage:write', aKey('USAGE_WRITE'), 'yy----'],
  ['a key with billing:read', aKey('BILLING_READ'), 'y-y---'],
  ['a key with billing:write, which implies read', aKey('BILLING_WRITE'), 'y-yy--'],
  ['a key with usage:write and billing:read', aKey('USAGE_WRITE', 'BILLING_READ'), 'yyy---'],
  ['a key with every scope', aKey('USAGE_WRITE', 'BILLING_READ', 'BILLING_WRITE'), 'yyyy--'],
  ['a key bound to a project', { ...aKey('USAGE_WRITE'), projectId: 'project-1' }, 'yy----'],
  [
    'a key with every scope whose project spends an earmark and nothing else',
    { ...aKey('USAGE_WRITE', 'BILLING_READ', 'BILLING_WRITE'), projectId: 'project-1', balanceAccess: 'EARMARK_ONLY' },
    'yy----',
  ],
  ['a master key', { ...aKey(), master: true }, 'yyyyy-'],
  ['an owner', aUser(member('OWNER')), 'yyyyy-'],
  ['an admin', aUser(member('ADMIN')), 'y-y---'],
  ['an editor', aUser(member('EDITOR')), 'y-y---'],
  ['a viewer', aUser(member('VIEWER')), 'y-y---'],
  ['an owner, whose balance access limits nothing', aUser(member('OWNER', 'EARMARK_ONLY')), 'yyyyy-'],
  ['an admin with an earmark only', aUser(member('ADMIN', 'EARMARK_ONLY')), 'y-----'],
  ['an editor with an earmark only', aUser(member('EDITOR', 'EARMARK_ONLY')), 'y-----'],
  ['a viewer with an earmark only', aUser(member('VIEWER', 'EARMARK_ONLY')), 'y-----'],
  ['a user without memberships', aUser(), '------'],
  ['an operator', { kind: 'OPERATOR', userId: 'operator-1' }, 'yyyyyy'],
];

const cells = MATRIX.flatMap(([who, caller, row]) =>
  PERMISSIONS.map((permission, index) => ({ who, caller, permission, expected: row[index] === 'y' })),
);

describe('in the own organization', () => {
  it.each(cells)('$who — $permission: $expected', ({ caller, permission, expected }) => {
    expect(may(caller, permission, HOME.organizationId)).toBe(expected);
    expect(mayOnWallet(caller, permission, HOME.walletId)).toBe(expected);
    expect(mayAnywhere(caller, permission)).toBe(expected);
  });

  it('covers every role, scope and permission', () => {
    expect(cells).toHaveLength(MATRIX.length * PERMISSIONS.length);
    expect(MATRIX.every(([, , row]) => row.length === PERMISSIONS.length)).toBe(true);
  });
});

describe('in an organization that is not theirs', () => {
  it.each(MATRIX)('%s may nothing, unless an operator', (_who, caller) => {
    for (const permission of PERMISSIONS) {
      const isOperator = caller.kind === 'OPERATOR';
      expect(may(caller, permission, FOREIGN.organizationId)).toBe(isOperator);
      expect(mayOnWallet(caller, permission, FOREIGN.walletId)).toBe(isOperator);
    }
  });

  it('an organization’s id is not a wallet’s and the other way round', () => {
    const owner = aUser(member('OWNER'));
    expect(may(owner, 'billing:read', HOME.walletId)).toBe(false);
    expect(mayOnWallet(owner, 'billing:read', HOME.organizationId)).toBe(false);
  });
});

describe('a user of several organizations', () => {
  const user = aUser(member('VIEWER'), { role: 'OWNER', balanceAccess: 'FULL', ...FOREIGN });

  it('has in each what the membership there gives, and no more', () => {
    expect(may(user, 'billing:write', HOME.organizationId)).toBe(false);
    expect(may(user, 'billing:write', FOREIGN.organizationId)).toBe(true);
    expect(mayOnWallet(user, 'billing:write', HOME.walletId)).toBe(false);
    expect(mayOnWallet(user, 'billing:write', FOREIGN.walletId)).toBe(true);
    expect(mayAnywhere(user, 'billing:write')).toBe(true);
    expect(mayAnywhere(user, 'operate')).toBe(false);
  });

  it('finds whose wallet a row belongs to', () => {
    expect(organizationOfWallet(user, FOREIGN.walletId)).toBe('foreign');
    expect(organizationOfWallet(user, 'unknown')).toBeUndefined();
    expect(tenantsOf(user).map((tenant) => tenant.organizationId)).toEqual(['home', 'foreign']);
  });
});

describe('tenants', () => {
  it('are a key’s one organization, and none for operators and nobody', () => {
    expect(tenantsOf(aKey()).map(({ organizationId, walletId }) => ({ organizationId, walletId }))).toEqual([HOME]);
    expect(tenantsOf({ kind: 'OPERATOR', userId: 'operator-1' })).toEqual([]);
    expect(tenantsOf(ANONYMOUS)).toEqual([]);
  });
});

describe('the actor in the books', () => {
  it.each([
    [aKey(), { kind: 'API_KEY', id: 'key-1' }],
    [aUser(), { kind: 'USER', id: 'user-1' }],
    [{ kind: 'OPERATOR', userId: 'operator-1' } as const, { kind: 'OPERATOR', id: 'operator-1' }],
  ])('%# names who acted', (caller, actor) => {
    expect(actorOf(caller)).toEqual(actor);
  });
});
