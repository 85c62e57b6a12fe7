import type { PlanChangePreview } from '../../domain/posting/preview-plan-change.ts';
import { signedIn } from '../../operations/authorize.ts';
import { previewPlanChange } from '../../operations/preview-plan-change.ts';
import { builder } from '../builder.ts';
import { decodeId, decodeOptionalId } from '../ids.ts';
import { PlanChangeTimeEnum } from '../types/enums.ts';
import { MoneyRef } from '../types/money.ts';
import { resultUnion } from '../types/result.ts';

const nothing = ({ renewal: { currency } }: PlanChangePreview) => ({ amountMinor: 0n, currency });

const PlanChangePreviewRef = builder.objectRef<PlanChangePreview>('PlanChangePreview').implement({
  description: 'What selecting a plan would do at this moment. Nothing is reserved.',
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
      description: 'What would be charged at once: nothing, for only free plans can be selected.',
      resolve: nothing,
    }),
    credited: t.field({
      type: MoneyRef,
      description: 'What would be credited for the rest of the period that was paid: nothing, as for `dueNow`.',
      resolve: nothing,
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
