/** Spend summaries: what a task or an execution has cost. */
import type { SpendSummary } from '../../persistence/reports/spend-summaries.ts';
import { builder } from '../builder.ts';
import { UsageRowRef } from './usage-report.ts';

export interface SpendSummaryShape extends SpendSummary {
  readonly taskId: string | null;
  readonly executionId: string | null;
}

export const SpendSummaryRef = builder.objectRef<SpendSummaryShape>('SpendSummary').implement({
  description:
    'What a task, an execution, or an execution of a task has cost so far, true at the instant of reading. Readable with billing:read; a key with usage:write alone reads what its own calls charged, hold and got refunded.',
  fields: (t) => ({
    taskId: t.exposeString('taskId', { nullable: true, description: 'The task asked for; null where none was.' }),
    executionId: t.exposeString('executionId', {
      nullable: true,
      description: 'The execution asked for; null where none was.',
    }),
    credits: t.expose('credits', { type: 'Credits', description: 'What was charged, before refunds.' }),
    refunded: t.expose('refunded', { type: 'Credits', description: 'What refunds have given back of it.' }),
    held: t.expose('held', { type: 'Credits', description: 'What its open holds still reserve.' }),
    netCredits: t.expose('netCredits', { type: 'Credits', description: 'What was charged less what was refunded.' }),
    byMeter: t.field({
      type: [UsageRowRef],
      description:
        'What was charged by meter, before refunds, most credits first; charges by amount are a row whose value is null.',
      resolve: ({ byMeter }) =>
        byMeter.map(({ key, ...row }) => ({
          ...row,
          key: key.map((value) => ({ dimension: 'METER', value })),
        })),
    }),
    firstAt: t.expose('firstAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the first of the charged work was done; null where nothing was charged.',
    }),
    lastAt: t.expose('lastAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the last of the charged work was done; null where nothing was charged.',
    }),
    transactions: t.expose('transactions', { type: 'Long', description: 'How many debits and captures.' }),
  }),
});
