import { describe, expect, it } from 'vitest';
import type { Role } from '../../../src/domain/identity/caller.ts';
import { whyOwnerMustStay } from '../../../src/domain/members/last-owner.ts';

const OWNER = { role: 'OWNER', status: 'ACTIVE' } as const;
const OTHER_ROLES: readonly Role[] = ['ADMIN', 'EDITOR', 'VIEWER'];

describe('the last owner', () => {
  it.each([...OTHER_ROLES, null])('does not become %s', (role) => {
    expect(whyOwnerMustStay(OWNER, role, 1)).toMatchObject({ code: 'CONFLICT', currentState: 'LAST_OWNER' });
  });

  it('may be made an owner again', () => {
    expect(whyOwnerMustStay(OWNER, 'OWNER', 1)).toBeNull();
  });
});

describe('everybody else', () => {
  it.each([...OTHER_ROLES, null])('among two owners may become %s', (role) => {
    expect(whyOwnerMustStay(OWNER, role, 2)).toBeNull();
  });

  it.each(OTHER_ROLES)('who is %s may go, and an invitation to own may be withdrawn', (role) => {
    expect(whyOwnerMustStay({ role, status: 'ACTIVE' }, null, 1)).toBeNull();
    expect(whyOwnerMustStay({ role: 'OWNER', status: 'INVITED' }, null, 1)).toBeNull();
    expect(whyOwnerMustStay({ role: 'OWNER', status: 'INVITED' }, role, 1)).toBeNull();
  });
});
