import type { PlanChangePreview } from '../../domain/posting/preview-plan-change.ts';
import { signedIn } from '../../operations/authorize.ts';
import { previewPlanChange } from '../../operations/preview-plan-change.ts';
import { builder } from '../builder.ts';
import { decodeId, decodeOptionalId } from '../ids.ts';
import { PlanChangeTimeEnum } from '../types/enums.ts';
import { MoneyRef } from '../types/money.ts';
import { resultUnion } from '../types/result.ts';

const PlanChangePreviewRef = builder.objectRef<PlanChangePreview>('PlanChangePreview').implement({
  description:
    'What selecting a plan would do at this moment. `prorationAt` given to `selectPlan` keeps the price for 10 minutes.',
  fields: (t) => ({
    prorationAt: t.field({
      type: 'DateTime',
      description: 'The instant that this is worked out for.',
      resolve: ({ at }) => new Date(at),
    }),
    effectiveAt: t.field({
      type: 'DateTime',
      description: 'When the plan would begin.',
      resolve: ({ effectiveAt }) => new Date(effectiveAt),
    }),
    dueNow: t.field({
      type: MoneyRef,
      description:
        'What is to be paid for the plan to begin: its price, and from another plan with a price the difference for the rest of the period by whole seconds, rounded up. 0 for free plans, trials, and what follows at the end of the period.',
      resolve: ({ dueNow }) => dueNow,
    }),
    credited: t.field({
      type: MoneyRef,
      description:
        'What was paid for the rest of the present period and counts towards `dueNow` already, rounded down. Nothing is paid out.',
      resolve: ({ credited }) => credited,
    }),
    nextRenewal: t.field({
      type: MoneyRef,
      description: 'What the plan costs when it renews.',
      resolve: ({ renewal }) => renewal,
    }),
    nextRenewalAt: t.field({
      type: 'DateTime',
      description: 'The end of the billing period.',
      resolve: ({ nextRenewalAt }) => new Date(nextRenewalAt),
    }),
    creditsGranted: t.expose('creditsGranted', {
      type: 'Credits',
      description: 'What the plan would grant as it begins.',
    }),
    creditsForfeited: t.expose('creditsForfeited', {
      type: 'Credits',
      description: 'What is unspent of the present plan’s credits and would be replaced.',
    }),
  }),
});

const PlanChangePreviewResult = resultUnion('PlanChangePreviewResult', PlanChangePreviewRef, [
  'NotFound',
  'InvalidInput',
]);

builder.queryField('planChangePreview', (t) =>
  t.field({
    type: PlanChangePreviewResult,
    description:
      'What `selectPlan` would do now, by the code that does it: when the plan begins, what it costs, which credits come and go. Needs billing:read.',
    args: {
      organizationId: t.arg.id({ description: 'Whose plan. An API key may leave it out.' }),
      planId: t.arg.id({ required: true, description: 'The plan that would be selected.' }),
      when: t.arg({ type: PlanChangeTimeEnum, description: 'As for `selectPlan`.' }),
    },
    resolve: (_root, { organizationId, planId, when }, { services, caller }) =>
      previewPlanChange(services, signedIn(caller), {
        organizationId: decodeOptionalId('Organization', organizationId),
        planKey: decodeId('Plan', planId),
        when,
      }),
  }),
);
