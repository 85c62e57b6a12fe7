import { signedIn } from '../../operations/authorize.ts';
import { autoTopUpStatuses } from '../../operations/auto-top-up-status.ts';
import { type ConfiguredAutoTopUp, configureAutoTopUp } from '../../operations/configure-auto-top-up.ts';
import { builder } from '../builder.ts';
import { decodeOptionalId } from '../ids.ts';
import { AutoTopUpRef } from '../types/auto-top-up.ts';
import { resultUnion } from '../types/result.ts';

const ConfigureAutoTopUpInputRef = builder.inputType('ConfigureAutoTopUpInput', {
  description: 'When top-ups begin by themselves and what they buy. What is left out stays as it was.',
  fields: (t) => ({
    organizationId: t.id({ description: 'For whom. An API key may leave it out.' }),
    enabled: t.boolean({
      required: true,
      description: 'True also ends a suspension and begins one at once where less than the threshold can be spent.',
    }),
    threshold: t.field({
      type: 'Credits',
      description: 'One begins when less than this can be spent. More than 0; required at first.',
    }),
    packageId: t.id({ description: 'The package to buy. It or `credits`, never both; one of them at first.' }),
    credits: t.field({
      type: 'Credits',
      description: 'The credits to buy: a whole multiple of the plan’s topUpIncrement.',
    }),
    monthlyCeilingMinor: t.field({
      type: 'Long',
      description:
        'The most that a calendar month may cost, in minor units: at least the price of one top-up; ten times that where it was never given.',
    }),
  }),
});

const AutoTopUpPayloadRef = builder.objectRef<ConfiguredAutoTopUp>('AutoTopUpPayload').implement({
  description: 'Top-ups by themselves as they are configured.',
  fields: (t) => ({
    autoTopUp: t.field({
      type: AutoTopUpRef,
      description: 'As it is now.',
      resolve: async ({ organizationId }, _args, { services }) => {
        const [status] = await autoTopUpStatuses(services, [organizationId]);
        if (!status) throw new Error('what was just configured cannot be read');
        return status;
      },
    }),
  }),
});

const AutoTopUpResult = resultUnion('AutoTopUpResult', AutoTopUpPayloadRef, ['NotFound', 'InvalidInput']);

builder.mutationField('configureAutoTopUp', (t) =>
  t.field({
    type: AutoTopUpResult,
    description:
      'Has credits bought by themselves when they run low, up to a ceiling a month, charged by the payment provider while nobody is there. Needs billing:write; audited.',
    args: { input: t.arg({ type: ConfigureAutoTopUpInputRef, required: true, description: 'When and what.' }) },
    resolve: (_root, { input }, { services, caller }) =>
      configureAutoTopUp(services, signedIn(caller), {
        ...input,
        organizationId: decodeOptionalId('Organization', input.organizationId),
        packageKey: decodeOptionalId('Package', input.packageId),
      }),
  }),
);
