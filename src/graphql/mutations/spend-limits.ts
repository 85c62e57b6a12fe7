import { signedIn } from '../../operations/authorize.ts';
import { removeSpendLimit } from '../../operations/remove-spend-limit.ts';
import { MAX_SPEND_LIMITS, setSpendLimit } from '../../operations/set-spend-limit.ts';
import { builder } from '../builder.ts';
import { decodeId, decodeOptionalId, decodeSpender } from '../ids.ts';
import { loadWritten } from '../loading/rows.ts';
import { LimitWindowEnum, SpendLimitScopeEnum } from '../types/enums.ts';
import { resultUnion } from '../types/result.ts';
import { SpendLimitRef } from '../types/spend-limit.ts';

const SetSpendLimitInputRef = builder.inputType('SetSpendLimitInput', {
  description: 'A limit to set. The one that is there for the same target and window is changed.',
  fields: (t) => ({
    organizationId: t.id({ description: 'Whose. An API key may leave it out.' }),
    scope: t.field({ type: SpendLimitScopeEnum, required: true, description: 'Whose spending is limited.' }),
    projectId: t.id({ description: 'The project, for the scope PROJECT and no other.' }),
    userId: t.id({ description: 'The member, for the scope USER and no other.' }),
    apiKeyId: t.id({ description: 'The key, for the scope API_KEY and no other.' }),
    window: t.field({
      type: LimitWindowEnum,
      required: true,
      description: 'What it counts by, in the organization’s time zone.',
    }),
    credits: t.field({
      type: 'Credits',
      required: true,
      description: 'The most that may be spent in one window, at least 0; 0 stops all that costs something.',
    }),
  }),
});

const RemoveSpendLimitInputRef = builder.inputType('RemoveSpendLimitInput', {
  description: 'A limit to remove.',
  fields: (t) => ({ spendLimitId: t.id({ required: true, description: 'Which.' }) }),
});

const SpendLimitPayloadRef = builder.objectRef<{ readonly spendLimitId: string }>('SpendLimitPayload').implement({
  description: 'The limit.',
  fields: (t) => ({
    spendLimit: t.field({
      type: SpendLimitRef,
      description: 'As it is now; of a removal, as it was.',
      resolve: ({ spendLimitId: id }, _args, context, info) =>
        loadWritten(context, info, (query) =>
          context.services.prisma.spendLimit.findUnique({ ...query, where: { id } }),
        ),
    }),
  }),
});

const SpendLimitResult = resultUnion('SpendLimitResult', SpendLimitPayloadRef, ['NotFound', 'InvalidInput']);

builder.mutationField('setSpendLimit', (t) =>
  t.field({
    type: SpendLimitResult,
    description: `Limits what is spent an hour, a day or a month, from the next charge on; an organization has at most ${MAX_SPEND_LIMITS} limits. Needs billing:write; audited. A key that is bound to a project sets limits of that project only.`,
    args: { input: t.arg({ type: SetSpendLimitInputRef, required: true, description: 'What to limit.' }) },
    resolve: (_root, { input }, { services, caller }) =>
      setSpendLimit(services, signedIn(caller), {
        ...input,
        ...decodeSpender(input),
        apiKeyId: decodeOptionalId('ApiKey', input.apiKeyId),
      }),
  }),
);

builder.mutationField('removeSpendLimit', (t) =>
  t.field({
    type: SpendLimitResult,
    description:
      'Removes a spend limit, from the next charge on. Needs billing:write; audited. A key that is bound to a project removes limits of that project only.',
    args: { input: t.arg({ type: RemoveSpendLimitInputRef, required: true, description: 'Which.' }) },
    resolve: (_root, { input }, { services, caller }) =>
      removeSpendLimit(services, signedIn(caller), decodeId('SpendLimit', input.spendLimitId)),
  }),
);
