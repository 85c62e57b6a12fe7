import { signedIn } from '../../operations/authorize.ts';
import { type SelectedPlan, selectPlan } from '../../operations/select-plan.ts';
import { builder } from '../builder.ts';
import { decodeId, decodeOptionalId } from '../ids.ts';
import { loadWritten } from '../loading/rows.ts';
import { loadWallet } from '../loading/wallets.ts';
import { PlanChangeTimeEnum } from '../types/enums.ts';
import { PlanSubscriptionRef } from '../types/plan-subscription.ts';
import { PurchaseRef } from '../types/purchase.ts';
import { resultUnion } from '../types/result.ts';
import { WalletRef } from '../types/wallet.ts';

const SelectPlanInputRef = builder.inputType('SelectPlanInput', {
  description: 'Which plan.',
  fields: (t) => ({
    organizationId: t.id({ description: 'Who subscribes. An API key may leave it out.' }),
    planId: t.id({
      required: true,
      description: 'A free plan on sale. The present one takes back a change that was to follow.',
    }),
    idempotencyKey: t.string({ required: true, description: 'As for `debit`.' }),
    when: t.field({
      type: PlanChangeTimeEnum,
      description:
        'Without it: NOW for a first plan or an upgrade (a higher price per year, or at the same price more credits a month), PERIOD_END for everything else. A first plan is NOW.',
    }),
  }),
});

const SelectPlanPayloadRef = builder.objectRef<SelectedPlan>('SelectPlanPayload').implement({
  description: 'The subscription that was begun or changed.',
  fields: (t) => ({
    subscription: t.field({
      type: PlanSubscriptionRef,
      nullable: true,
      description: 'The subscription as it is now.',
      resolve: ({ subscriptionId: id }, _args, context, info) =>
        loadWritten(context, info, (query) =>
          context.services.prisma.planSubscription.findUnique({ ...query, where: { id } }),
        ),
    }),
    purchase: t.field({
      type: PurchaseRef,
      nullable: true,
      description: 'What has to be paid for it; null for a free plan.',
      resolve: () => null,
    }),
    wallet: t.field({
      type: WalletRef,
      nullable: true,
      description: 'The wallet as it is now.',
      resolve: ({ organizationId }, _args, context, info) => loadWallet(context, info, organizationId),
    }),
    replayed: t.exposeBoolean('replayed', { description: 'True where this is the first answer given again.' }),
  }),
});

const SelectPlanResult = resultUnion('SelectPlanResult', SelectPlanPayloadRef, [
  'IdempotencyKeyReused',
  'WalletFrozen',
  'Conflict',
  'NotFound',
  'InvalidInput',
]);

builder.mutationField('selectPlan', (t) =>
  t.field({
    type: SelectPlanResult,
    description:
      'Begins a subscription to a free plan, or changes its plan now or at the end of the period. A change now replaces what is unspent of the plan’s credits in each bucket that the new plan fills with more than the running period has seen, by the new plan’s; other buckets refresh with the next period. Credits that were bought, given or rolled over stay. Needs billing:write; audited.',
    args: { input: t.arg({ type: SelectPlanInputRef, required: true, description: 'Which plan.' }) },
    resolve: (_root, { input }, { services, caller }) =>
      selectPlan(services, signedIn(caller), {
        organizationId: decodeOptionalId('Organization', input.organizationId),
        planKey: decodeId('Plan', input.planId),
        idempotencyKey: input.idempotencyKey,
        when: input.when,
      }),
  }),
);
