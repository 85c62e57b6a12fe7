import { signedIn } from '../../operations/authorize.ts';
import { type EventResult, type RecordedUsage, recordUsage } from '../../operations/record-usage.ts';
import { builder } from '../builder.ts';
import { decodeOptionalId, decodeSpender } from '../ids.ts';
import { answering } from '../permissions/readable.ts';
import { BillingErrorRef } from '../types/billing-error.ts';
import { OveragePolicyEnum, RecordUsageModeEnum, UsageEventStatusEnum } from '../types/enums.ts';
import { UsageInputRef } from '../types/inputs.ts';
import { resultUnion } from '../types/result.ts';
import { TransactionRef } from '../types/transaction.ts';
import { UsageRef } from '../types/usage.ts';

const UsageEventInputRef = builder.inputType('UsageEventInput', {
  description: 'One usage event.',
  fields: (t) => ({
    organizationId: t.id({ description: 'Whom to charge; the call’s organization without it.' }),
    idempotencyKey: t.string({ required: true, description: 'As for `debit`; each event has its own.' }),
    usage: t.field({ type: UsageInputRef, required: true, description: 'What was used.' }),
    overage: t.field({ type: OveragePolicyEnum, description: 'As for `debit`.' }),
    taskId: t.string({ description: 'Your task, at most 255 characters.' }),
    executionId: t.string({ description: 'Your execution, at most 255 characters.' }),
    userId: t.id({ description: 'The member who caused it.' }),
    projectId: t.id({ description: 'The project it belongs to.' }),
    occurredAt: t.field({ type: 'DateTime', description: 'When the work was done, as for `debit`.' }),
    metadata: t.field({
      type: 'JSON',
      description: 'An object that stays with the entries; at most 16,384 characters.',
    }),
  }),
});

const RecordUsageInputRef = builder.inputType('RecordUsageInput', {
  description: 'Usage events to ingest.',
  fields: (t) => ({
    organizationId: t.id({ description: 'Whom to charge for events that do not say. An API key may leave it out.' }),
    events: t.field({
      type: [UsageEventInputRef],
      required: true,
      description: '1 to 5,000 events, decided in this order.',
    }),
    mode: t.field({
      type: RecordUsageModeEnum,
      description: 'What a refused event means for the others; EACH without it.',
    }),
  }),
});

const UsageEventOutcomeRef = builder.objectRef<EventResult>('UsageEventOutcome').implement({
  description: 'What became of one event.',
  fields: (t) => ({
    idempotencyKey: t.exposeString('idempotencyKey', { description: 'The event’s key.' }),
    status: t.expose('status', { type: UsageEventStatusEnum, description: 'Accepted, a duplicate, or rejected.' }),
    credits: t.expose('credits', {
      type: 'Credits',
      description: 'What it was charged, now or the first time; 0 where it was refused.',
    }),
    transaction: t.field({
      type: TransactionRef,
      nullable: true,
      description: 'Its transaction; null where it was refused.',
      resolve: ({ transaction }) => transaction && answering(transaction()),
    }),
    error: t.field({
      type: BillingErrorRef,
      nullable: true,
      description: 'Why it was refused, now or the first time; null where it was charged.',
      resolve: (outcome) => outcome.refusal,
    }),
  }),
});

const RecordUsagePayloadRef = builder.objectRef<RecordedUsage>('RecordUsagePayload').implement({
  description: 'What became of the events.',
  fields: (t) => ({
    results: t.field({
      type: [UsageEventOutcomeRef],
      description: 'One per event, in their order.',
      resolve: (recorded) => [...recorded.results],
    }),
    usage: t.field({
      type: UsageRef,
      description: 'What the accepted events used, without duplicates.',
      resolve: ({ credits, lines }) => ({ credits, lines }),
    }),
    availableCredits: t.expose('available', {
      type: 'Credits',
      nullable: true,
      description: 'What could be spent after the last event; null where they were of several organizations.',
    }),
    accepted: t.int({
      description: 'How many were charged now.',
      resolve: ({ results }) => count(results, 'ACCEPTED'),
    }),
    duplicates: t.int({ description: 'How many were known.', resolve: ({ results }) => count(results, 'DUPLICATE') }),
    rejected: t.int({ description: 'How many were refused.', resolve: ({ results }) => count(results, 'REJECTED') }),
  }),
});

const count = (results: readonly EventResult[], status: EventResult['status']): number =>
  results.filter((outcome) => outcome.status === status).length;

const RecordUsageResult = resultUnion('RecordUsageResult', RecordUsagePayloadRef, ['NotFound', 'InvalidInput']);

builder.mutationField('recordUsage', (t) =>
  t.field({
    type: RecordUsageResult,
    description: 'Ingests usage events, each with its own key and its own outcome. Needs usage:write.',
    args: { input: t.arg({ type: RecordUsageInputRef, required: true, description: 'The events.' }) },
    resolve: (_root, { input }, { services, caller }) =>
      recordUsage(services, signedIn(caller), {
        organizationId: decodeOptionalId('Organization', input.organizationId),
        mode: input.mode,
        events: input.events.map((event) => ({
          idempotencyKey: event.idempotencyKey,
          usage: event.usage,
          overage: event.overage,
          taskId: event.taskId,
          executionId: event.executionId,
          occurredAt: event.occurredAt,
          metadata: event.metadata,
          ...decodeSpender(event),
        })),
      }),
  }),
);
