import type { Estimate } from '../../domain/posting/decide-estimate.ts';
import { signedIn } from '../../operations/authorize.ts';
import { estimateUsage } from '../../operations/estimate-usage.ts';
import { builder } from '../builder.ts';
import { decodeSpender } from '../ids.ts';
import { BillingErrorRef } from '../types/billing-error.ts';
import { UsageInputRef } from '../types/inputs.ts';
import { resultUnion } from '../types/result.ts';
import { UsageLineRef } from '../types/usage.ts';

const EstimateInputRef = builder.inputType('EstimateInput', {
  description: 'Usage to estimate.',
  fields: (t) => ({
    organizationId: t.id({ description: 'Whose wallet. An API key may leave it out.' }),
    usage: t.field({ type: [UsageInputRef], required: true, description: 'What would be used; 1 to 100 lines.' }),
    userId: t.id({ description: 'The member who would cause it.' }),
    projectId: t.id({ description: 'The project it would belong to.' }),
  }),
});

const EstimateRef = builder.objectRef<Estimate>('Estimate').implement({
  description: 'What usage would cost at this moment. Nothing is reserved: see `authorize`.',
  fields: (t) => ({
    credits: t.expose('credits', { type: 'Credits', description: 'The cost of all lines; never negative.' }),
    lines: t.field({
      type: [UsageLineRef],
      description: 'How each line is priced: quantity × rate.',
      resolve: ({ lines }) => [...lines],
    }),
    affordable: t.boolean({
      description: 'True where the same usage would be charged now.',
      resolve: ({ blockedBy }) => blockedBy === null,
    }),
    blockedBy: t.field({
      type: BillingErrorRef,
      nullable: true,
      description: 'What would refuse it, as `debit` would say it; null where it is affordable.',
      resolve: ({ blockedBy }) => blockedBy,
    }),
    availableCredits: t.expose('available', {
      type: 'Credits',
      description: 'What can be spent now by those whom it is for: what is earmarked for others is not in it.',
    }),
  }),
});

const EstimateResult = resultUnion('EstimateResult', EstimateRef, ['UnknownMeter', 'NotFound', 'InvalidInput']);

builder.queryField('estimate', (t) =>
  t.field({
    type: EstimateResult,
    description:
      'What usage would cost now, by the code that charges it, and whether it is affordable. Needs usage:write or billing:read.',
    args: { input: t.arg({ type: EstimateInputRef, required: true, description: 'What would be used.' }) },
    resolve: (_root, { input }, { services, caller }) =>
      estimateUsage(services, signedIn(caller), {
        usage: input.usage,
        ...decodeSpender(input),
      }),
  }),
);
