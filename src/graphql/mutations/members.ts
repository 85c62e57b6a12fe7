import type { GraphQLResolveInfo } from 'graphql';
import type { Membership } from '../../generated/prisma/client.ts';
import { acceptInvitation } from '../../operations/accept-invitation.ts';
import { signedIn } from '../../operations/authorize.ts';
import { changeMemberRole } from '../../operations/change-member-role.ts';
import { type InvitedMember, inviteMember } from '../../operations/invite-member.ts';
import { removeMember } from '../../operations/remove-member.ts';
import { builder } from '../builder.ts';
import type { GraphQLContext } from '../context.ts';
import { decodeId, decodeOptionalId } from '../ids.ts';
import { loadWritten } from '../loading/rows.ts';
import { BalanceAccessEnum, RoleEnum } from '../types/enums.ts';
import { MembershipRef } from '../types/membership.ts';
import { resultUnion } from '../types/result.ts';

type WithMembership = { readonly membershipId: string };

const InviteMemberInputRef = builder.inputType('InviteMemberInput', {
  description: 'Somebody to invite.',
  fields: (t) => ({
    organizationId: t.id({ description: 'To where. An API key may leave it out.' }),
    email: t.string({ required: true, description: 'Their address, at most 254 characters; kept in lower case.' }),
    role: t.field({ type: RoleEnum, required: true, description: 'What they may do once they accept.' }),
    balanceAccess: t.field({
      type: BalanceAccessEnum,
      description: 'How much of the balance they will see; FULL without it, and always for an owner.',
    }),
  }),
});

const AcceptInvitationInputRef = builder.inputType('AcceptInvitationInput', {
  description: 'An invitation to accept.',
  fields: (t) => ({ token: t.string({ required: true, description: 'The token that `inviteMember` answered.' }) }),
});

const ChangeMemberRoleInputRef = builder.inputType('ChangeMemberRoleInput', {
  description: 'Another role for a member.',
  fields: (t) => ({
    membershipId: t.id({ required: true, description: 'Whose: a member, or somebody who is invited.' }),
    role: t.field({ type: RoleEnum, required: true, description: 'What they may do from now on.' }),
  }),
});

const RemoveMemberInputRef = builder.inputType('RemoveMemberInput', {
  description: 'A member to remove, or an invitation to withdraw.',
  fields: (t) => ({ membershipId: t.id({ required: true, description: 'Which.' }) }),
});

const loadMembership = (context: GraphQLContext, info: GraphQLResolveInfo, id: string): Promise<Membership> =>
  loadWritten(context, info, (query) => context.services.prisma.membership.findUnique({ ...query, where: { id } }));

const InviteMemberPayloadRef = builder.objectRef<InvitedMember>('InviteMemberPayload').implement({
  description: 'The invitation and its token.',
  fields: (t) => ({
    membership: t.field({
      type: MembershipRef,
      description: 'The invitation: a membership that has not begun.',
      resolve: ({ membershipId }, _args, context, info) => loadMembership(context, info, membershipId),
    }),
    invitationToken: t.exposeString('invitationToken', {
      description: 'Whoever holds it may accept, within 7 days. Shown this once: send it to them.',
    }),
  }),
});

const MembershipPayloadRef = builder.objectRef<WithMembership>('MembershipPayload').implement({
  description: 'The membership.',
  fields: (t) => ({
    membership: t.field({
      type: MembershipRef,
      description: 'As it is now; as it was last where it was removed.',
      resolve: ({ membershipId }, _args, context, info) => loadMembership(context, info, membershipId),
    }),
  }),
});

const InviteMemberResult = resultUnion('InviteMemberResult', InviteMemberPayloadRef, [
  'PlanLimitReached',
  'Conflict',
  'NotFound',
  'InvalidInput',
]);
const MembershipResult = resultUnion('MembershipResult', MembershipPayloadRef, [
  'PlanLimitReached',
  'Conflict',
  'NotFound',
  'InvalidInput',
]);

/** Whoever changed what they belong to themselves is answered as what they are from then on. */
async function asNow<Result>(context: GraphQLContext, result: Result): Promise<Result> {
  context.caller = await context.reauthenticate();
  return result;
}

builder.mutationField('inviteMember', (t) =>
  t.field({
    type: InviteMemberResult,
    description:
      'Invites somebody by their address; the token for it is shown once and works for 7 days. Owners, master keys and operators; audited.',
    args: { input: t.arg({ type: InviteMemberInputRef, required: true, description: 'Whom.' }) },
    resolve: (_root, { input }, { services, caller }) =>
      inviteMember(services, signedIn(caller), {
        ...input,
        organizationId: decodeOptionalId('Organization', input.organizationId),
      }),
  }),
);

builder.mutationField('acceptInvitation', (t) =>
  t.field({
    type: MembershipResult,
    description:
      'Makes the caller a member of the organization that they are invited to, whatever their address. People only; audited.',
    args: { input: t.arg({ type: AcceptInvitationInputRef, required: true, description: 'Which invitation.' }) },
    resolve: async (_root, { input }, context) =>
      asNow(context, await acceptInvitation(context.services, signedIn(context.caller), input.token)),
  }),
);

builder.mutationField('changeMemberRole', (t) =>
  t.field({
    type: MembershipResult,
    description:
      'Gives a member another role; the last owner keeps theirs. Owners, master keys and operators; audited.',
    args: { input: t.arg({ type: ChangeMemberRoleInputRef, required: true, description: 'Whose, and which.' }) },
    resolve: async (_root, { input }, context) => {
      const membershipId = decodeId('Membership', input.membershipId);
      const { services, caller } = context;
      return asNow(context, await changeMemberRole(services, signedIn(caller), { membershipId, role: input.role }));
    },
  }),
);

builder.mutationField('removeMember', (t) =>
  t.field({
    type: MembershipResult,
    description:
      'Removes a member at once, or withdraws an invitation; the last owner stays. Owners, master keys and operators; audited.',
    args: { input: t.arg({ type: RemoveMemberInputRef, required: true, description: 'Whom.' }) },
    resolve: async (_root, { input }, context) => {
      const membershipId = decodeId('Membership', input.membershipId);
      return asNow(context, await removeMember(context.services, signedIn(context.caller), membershipId));
    },
  }),
);
