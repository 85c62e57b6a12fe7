import { signedIn } from '../../operations/authorize.ts';
import { debit } from '../../operations/debit.ts';
import type { Answered } from '../../operations/outcome.ts';
import { builder } from '../builder.ts';
import { decodeSpender } from '../ids.ts';
import { chargedFields, toldFields } from '../types/answered.ts';
import { OveragePolicyEnum } from '../types/enums.ts';
import { UsageInputRef } from '../types/inputs.ts';
import { resultUnion } from '../types/result.ts';

const DebitInputRef = builder.inputType('DebitInput', {
  description: 'A charge. Give exactly one of `amount` and `usage`.',
  fields: (t) => ({
    organizationId: t.id({
      description: 'Whom to charge. An API key may leave it out: it charges its own organization.',
    }),
    idempotencyKey: t.string({
      required: true,
      description: '1 to 255 characters, unique in the organization over all operations. Send the same one to retry.',
    }),
    amount: t.field({ type: 'Credits', description: 'Credits to charge, more than 0.' }),
    usage: t.field({ type: [UsageInputRef], description: 'What was used, priced by the rate card; 1 to 100 lines.' }),
    overage: t.field({
      type: OveragePolicyEnum,
      description: 'What happens to a cost beyond what can be spent; REJECT without it.',
    }),
    reasonCode: t.string({
      description: 'Your own code for the ledger; USAGE without it. Codes of the system are refused.',
    }),
    description: t.string({ description: 'For people reading the ledger; at most 500 characters.' }),
    taskId: t.string({ description: 'Your task, at most 255 characters.' }),
    executionId: t.string({ description: 'Your execution, at most 255 characters.' }),
    userId: t.id({ description: 'The member who caused it.' }),
    projectId: t.id({ description: 'The project it belongs to. A key bound to a project charges that one.' }),
    occurredAt: t.field({
      type: 'DateTime',
      description:
        'When the work was done: within the catalog’s lateness, at most 5 minutes ahead. Picks the rate card.',
    }),
    metadata: t.field({
      type: 'JSON',
      description: 'An object that stays with the entries; at most 16,384 characters.',
    }),
  }),
});

const DebitPayloadRef = builder.objectRef<Answered>('DebitPayload').implement({
  description: 'What was charged.',
  fields: (t) => ({
    ...chargedFields(t),
    ...toldFields(t),
  }),
});

const DebitResult = resultUnion('DebitResult', DebitPayloadRef, [
  'InsufficientCredits',
  'SubscriptionRequired',
  'PlanLimitReached',
  'SpendLimitReached',
  'AllocationExhausted',
  'IdempotencyKeyReused',
  'UnknownMeter',
  'WalletFrozen',
  'NotFound',
  'InvalidInput',
]);

builder.mutationField('debit', (t) =>
  t.field({
    type: DebitResult,
    description: 'Charges an organization for work done. Needs usage:write.',
    args: { input: t.arg({ type: DebitInputRef, required: true, description: 'What to charge.' }) },
    resolve: (_root, { input }, { services, caller }) =>
      debit(services, signedIn(caller), {
        ...input,
        ...decodeSpender(input),
      }),
  }),
);
