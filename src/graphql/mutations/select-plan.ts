import { signedIn } from '../../operations/authorize.ts';
import { type SelectedPlan, selectPlan } from '../../operations/select-plan.ts';
import { builder } from '../builder.ts';
import { decodeId, decodeOptionalId } from '../ids.ts';
import { loadWritten } from '../loading/rows.ts';
import { loadSubscription } from '../loading/subscriptions.ts';
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
      description:
        'A plan on sale. The present one takes back a change that was to follow, or pays what is due for it.',
    }),
    idempotencyKey: t.string({ required: true, description: 'As for `debit`.' }),
    when: t.field({
      type: PlanChangeTimeEnum,
      description:
        'Without it: NOW for a first plan or an upgrade (a higher price per year, or at the same price more credits a month), PERIOD_END for everything else. A first plan is NOW.',
    }),
    prorationAt: t.field({
      type: 'DateTime',
      description:
        'The `prorationAt` of a preview: its price holds for 10 minutes within its billing period. Without it what is due is worked out for now.',
    }),
  }),
});

const SelectPlanPayloadRef = builder.objectRef<SelectedPlan>('SelectPlanPayload').implement({
  description: 'The subscription that was begun or changed, or what is to be paid for that.',
  fields: (t) => ({
    subscription: t.field({
      type: PlanSubscriptionRef,
      nullable: true,
      description: 'The subscription as it is now; null before a first plan is paid.',
      resolve: ({ organizationId }, _args, context, info) => loadSubscription(context, info, organizationId),
    }),
    purchase: t.field({
      type: PurchaseRef,
      nullable: true,
      description: 'What is to be paid for it at its `checkoutUrl`; the plan begins once it is. Null where nothing is.',
      resolve: ({ purchaseId: id }, _args, context, info) =>
        id === null
          ? null
          : loadWritten(context, info, (query) =>
              context.services.prisma.purchase.findUnique({ ...query, where: { id } }),
            ),
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
  'PaymentFailed',
  'PlanLimitReached',
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
      'Begins a subscription, or changes its plan now or at the end of the period. A free plan, and the trial of one with a price, begin at once; a plan with a price begins when its `purchase` is paid: in full from no plan or a free one, and for the rest of the period, less what was paid for it, from another (see `planChangePreview`). A purchase that is paid when the subscription is no longer what it was begun for goes back. A change now replaces what is unspent of the plan’s credits in each bucket by the new plan’s, where it is paid or gives more than the running period has seen; a change to a cheaper plan pays no money back. Credits that were bought, given or rolled over stay. PlanLimitReached where the organization has more than the plan allows. Needs billing:write; audited.',
    args: { input: t.arg({ type: SelectPlanInputRef, required: true, description: 'Which plan.' }) },
    resolve: (_root, { input }, { services, caller }) =>
      selectPlan(services, signedIn(caller), {
        organizationId: decodeOptionalId('Organization', input.organizationId),
        planKey: decodeId('Plan', input.planId),
        idempotencyKey: input.idempotencyKey,
        when: input.when,
        prorationAt: input.prorationAt,
      }),
  }),
);
