import { signedIn } from '../../operations/authorize.ts';
import { type AllocationSetAnswer, setAllocation } from '../../operations/set-allocation.ts';
import { builder } from '../builder.ts';
import { decodeSpender } from '../ids.ts';
import { loadWritten } from '../loading/rows.ts';
import { loadWallet } from '../loading/wallets.ts';
import { AllocationRef } from '../types/allocation.ts';
import { resultUnion } from '../types/result.ts';
import { WalletRef } from '../types/wallet.ts';

const SetAllocationInputRef = builder.inputType('SetAllocationInput', {
  description: 'How much is earmarked, and for whom: a project or a member.',
  fields: (t) => ({
    organizationId: t.id({ description: 'Whose credits. An API key may leave it out.' }),
    projectId: t.id({ description: 'The project that it is for. It or `userId`, never both.' }),
    userId: t.id({ description: 'The member whom it is for.' }),
    credits: t.field({
      type: 'Credits',
      required: true,
      description:
        'What is to be earmarked in all, used and held credits included. 0 gives everything back and begins the count of use anew.',
    }),
    exclusive: t.boolean({
      description:
        'True: the project or member spends the earmark and nothing else. Left out it stays as it was; false at first.',
    }),
  }),
});

const AllocationPayloadRef = builder.objectRef<AllocationSetAnswer>('AllocationPayload').implement({
  description: 'What is earmarked now.',
  fields: (t) => ({
    allocation: t.field({
      type: AllocationRef,
      description: 'As it is now.',
      resolve: ({ allocationId: id }, _args, context, info) =>
        loadWritten(context, info, (query) =>
          context.services.prisma.allocation.findUnique({ ...query, where: { id } }),
        ),
    }),
    wallet: t.field({
      type: WalletRef,
      nullable: true,
      description: 'The wallet as it is now.',
      resolve: ({ organizationId }, _args, context, info) => loadWallet(context, info, organizationId),
    }),
  }),
});

const AllocationResult = resultUnion('AllocationResult', AllocationPayloadRef, [
  'InsufficientCredits',
  'WalletFrozen',
  'Conflict',
  'NotFound',
  'InvalidInput',
]);

builder.mutationField('setAllocation', (t) =>
  t.field({
    type: AllocationResult,
    description:
      'Earmarks credits for a project or member, takes some of them back, or ends it. Credits of the buckets that burn last are earmarked first. Needs billing:write; audited.',
    args: { input: t.arg({ type: SetAllocationInputRef, required: true, description: 'How much and for whom.' }) },
    resolve: (_root, { input }, { services, caller }) =>
      setAllocation(services, signedIn(caller), {
        ...input,
        ...decodeSpender(input),
      }),
  }),
);
