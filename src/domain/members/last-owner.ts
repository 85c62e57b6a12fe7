/** The rule that an organization which has an owner keeps one. */
import type { Role } from '../identity/caller.ts';
import type { Conflict } from '../plain-refusals.ts';

export interface Place {
  readonly role: Role;
  readonly status: 'INVITED' | 'ACTIVE';
}

/**
 * Why a member cannot get another role, or be removed where `role` is null; null where they can. `owners` is how many active
 * members own the organization, this one included; an invitation owns nothing yet.
 */
export function whyOwnerMustStay(place: Place, role: Role | null, owners: number): Conflict | null {
  const stopsOwning = place.status === 'ACTIVE' && place.role === 'OWNER' && role !== 'OWNER';
  if (!stopsOwning || owners > 1) return null;
  return { code: 'CONFLICT', currentState: 'LAST_OWNER', reason: 'an organization keeps its last owner' };
}
