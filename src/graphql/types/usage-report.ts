/** Usage reports: what was charged for usage in a period, by whatever it is grouped by. */
import type { Decimal } from '../../domain/credits/decimal.ts';
import type { Micros } from '../../domain/credits/micros.ts';
import { builder } from '../builder.ts';
import { mayReadBilling } from '../permissions/readable.ts';

export const UsageFilterRef = builder.inputType('UsageFilter', {
  description:
    'Which usage; all that is given must hold. Lists have at most 100 values and match usage of any of them; an empty one matches nothing, like an id of nothing that the organization has.',
  fields: (t) => ({
    meters: t.stringList({ description: 'Of these meters.' }),
    models: t.stringList({ description: 'With one of these values of the dimension `model`.' }),
    userIds: t.idList({ description: 'For these members.' }),
    projectIds: t.idList({ description: 'For these projects.' }),
    taskId: t.string({ description: 'Of this task; 1–255 characters.' }),
    executionId: t.string({ description: 'Of this execution; 1–255 characters.' }),
  }),
});

export interface UsageKey {
  readonly dimension: string;
  readonly value: string | null;
}

const UsageKeyRef = builder.objectRef<UsageKey>('UsageKey').implement({
  description: 'What the usage of a row has in common.',
  fields: (t) => ({
    dimension: t.exposeString('dimension', {
      description: 'A UsageDimension by its name, or a name given in `byDimensions`.',
    }),
    value: t.exposeString('value', {
      nullable: true,
      description:
        'Its value: an opaque id for USER, PROJECT and API_KEY; numbers and booleans as text. Null for usage that has none.',
    }),
  }),
});

export interface UsageRowShape {
  readonly key: readonly UsageKey[];
  readonly quantity: Decimal | null;
  readonly credits: Micros;
  readonly events: bigint;
}

export const UsageRowRef = builder.objectRef<UsageRowShape>('UsageRow').implement({
  description: 'Usage that has its key in common.',
  fields: (t) => ({
    key: t.field({
      type: [UsageKeyRef],
      description:
        'One per dimension of `groupBy`, in the order given, then one per name of `byDimensions`. In a statement METER, MODEL, USER and PROJECT.',
      resolve: (row) => [...row.key],
    }),
    quantity: t.expose('quantity', {
      type: 'Decimal',
      nullable: true,
      description:
        'How much was used, in units of the meter; null where the row has usage of several meters, or charges by amount.',
    }),
    credits: t.expose('credits', {
      type: 'Credits',
      description: 'What was charged for it, without what was waived; refunds do not change it. Never negative.',
    }),
    events: t.expose('events', { type: 'Long', description: 'How many usage lines and charges by amount.' }),
  }),
});

export interface UsageReportShape {
  readonly organizationId: string;
  readonly totalCredits: Micros;
  readonly totalEvents: bigint;
  readonly rows: readonly UsageRowShape[];
  readonly truncated: boolean;
}

export const UsageReportRef = builder.objectRef<UsageReportShape>('UsageReport').implement({
  description:
    'What debits and captures charged for usage in a period. Usage belongs to when it occurred, else to when it was charged; free work counts with 0 credits. Readable with billing:read.',
  readableBy: mayReadBilling,
  fields: (t) => ({
    totalCredits: t.expose('totalCredits', {
      type: 'Credits',
      description: 'What was charged in total, also by rows that are not shown.',
    }),
    totalEvents: t.expose('totalEvents', {
      type: 'Long',
      description: 'How many usage lines and charges by amount in total, also of rows that are not shown.',
    }),
    rows: t.field({
      type: [UsageRowRef],
      description:
        'The first rows: by day or month, earliest first, where grouped by them, then by credits, most first, then by key.',
      resolve: (report) => [...report.rows],
    }),
    truncated: t.exposeBoolean('truncated', { description: 'True where there are more rows than are shown.' }),
  }),
});
