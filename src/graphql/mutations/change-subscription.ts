import { signedIn } from '../../operations/authorize.ts';
import {
  type ChangedSubscription,
  cancelSubscription,
  resumeSubscription,
} from '../../operations/change-subscription.ts';
import { builder } from '../builder.ts';
import { decodeOptionalId } from '../ids.ts';
import { loadWritten } from '../loading/rows.ts';
import { PlanSubscriptionRef } from '../types/plan-subscription.ts';
import { resultUnion } from '../types/result.ts';

const CancelSubscriptionInputRef = builder.inputType('CancelSubscriptionInput', {
  description: 'Which subscription ends, and when.',
  fields: (t) => ({
    organizationId: t.id({ description: 'Whose. An API key may leave it out.' }),
    atPeriodEnd: t.boolean({ description: 'True, also without it: at the end of the period. False: now.' }),
  }),
});

const ResumeSubscriptionInputRef = builder.inputType('ResumeSubscriptionInput', {
  description: 'Which subscription goes on.',
  fields: (t) => ({ organizationId: t.id({ description: 'Whose. An API key may leave it out.' }) }),
});

const SubscriptionPayloadRef = builder.objectRef<ChangedSubscription>('SubscriptionPayload').implement({
  description: 'The subscription.',
  fields: (t) => ({
    subscription: t.field({
      type: PlanSubscriptionRef,
      description: 'As it is now.',
      resolve: ({ subscriptionId: id }, _args, context, info) =>
        loadWritten(context, info, (query) =>
          context.services.prisma.planSubscription.findUnique({ ...query, where: { id } }),
        ),
    }),
  }),
});

const SubscriptionResult = resultUnion('SubscriptionResult', SubscriptionPayloadRef, [
  'Conflict',
  'NotFound',
  'InvalidInput',
]);

builder.mutationField('cancelSubscription', (t) =>
  t.field({
    type: SubscriptionResult,
    description:
      'Ends a subscription with its period, or now. Then nothing can be spent and nothing is granted; what was granted expires as it would have, and a change of plan that was to follow does not. Needs billing:write; audited.',
    args: { input: t.arg({ type: CancelSubscriptionInputRef, required: true, description: 'Which, and when.' }) },
    resolve: (_root, { input }, { services, caller }) =>
      cancelSubscription(services, signedIn(caller), {
        organizationId: decodeOptionalId('Organization', input.organizationId),
        atPeriodEnd: input.atPeriodEnd,
      }),
  }),
);

builder.mutationField('resumeSubscription', (t) =>
  t.field({
    type: SubscriptionResult,
    description: 'Lets a subscription go on that would end with its period. Needs billing:write; audited.',
    args: { input: t.arg({ type: ResumeSubscriptionInputRef, required: true, description: 'Which.' }) },
    resolve: (_root, { input }, { services, caller }) =>
      resumeSubscription(services, signedIn(caller), {
        organizationId: decodeOptionalId('Organization', input.organizationId),
      }),
  }),
);
