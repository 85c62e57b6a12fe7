/** Memberships: who belongs to an organization, and as what. */
import { builder } from '../builder.ts';
import { encodeId } from '../ids.ts';
import { connectionType } from '../pages.ts';
import { BalanceAccessEnum, MembershipStatusEnum, RoleEnum } from './enums.ts';
import { NodeRef } from './node.ts';

export const MembershipRef = builder.prismaObject('Membership', {
  description: 'A person’s place in an organization, or an invitation to one.',
  interfaces: [NodeRef],
  fields: (t) => ({
    id: t.id({ description: 'Opaque id.', resolve: (membership) => encodeId('Membership', membership.id) }),
    role: t.expose('role', { type: RoleEnum, description: 'What they may do.' }),
    balanceAccess: t.expose('balanceAccess', {
      type: BalanceAccessEnum,
      description: 'How much of the balance they see.',
    }),
    status: t.expose('status', { type: MembershipStatusEnum, description: 'Whether it has begun.' }),
    user: t.relation('user', { nullable: true, description: 'The person; null until an invitation is accepted.' }),
    organization: t.relation('organization', { description: 'Where.' }),
    invitedEmail: t.exposeString('invitedEmail', {
      nullable: true,
      description: 'The address that was invited, in lower case; null for who was not.',
    }),
    invitationExpiresAt: t.expose('invitationExpiresAt', {
      type: 'DateTime',
      nullable: true,
      description:
        'Until when the invitation can or could be accepted, by the real clock; null for who was not invited.',
    }),
    removedAt: t.expose('removedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the member was removed or the invitation withdrawn, by the real clock; null until then.',
    }),
  }),
});

export const MembershipConnection = connectionType('Membership', MembershipRef, 'oldest first');
