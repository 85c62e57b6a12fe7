/** How much of what a plan limits is used. */
import type { PlanLimitStatus } from '../../domain/limits/plan-limit.ts';
import { builder } from '../builder.ts';
import { LimitWindowEnum } from './enums.ts';

export const PlanLimitStatusRef = builder.objectRef<PlanLimitStatus>('PlanLimitStatus').implement({
  description: 'A limit of the plan, and how much of it is used.',
  fields: (t) => ({
    key: t.exposeString('key', { description: 'Which limit, as in `Plan.limits`.' }),
    max: t.exposeInt('max', { description: 'The most there may be; of operations, in one window.' }),
    current: t.exposeInt('current', {
      description:
        'How much there is, or how many operations were done or are reserved in the window; more than `max` where there was more before the plan changed, and where captures went beyond their holds.',
    }),
    window: t.field({
      type: LimitWindowEnum,
      nullable: true,
      description: 'The window it counts in; null for what is counted as it stands.',
      resolve: ({ window }) => window,
    }),
    resetsAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When the next window begins; null for what is counted as it stands.',
      resolve: ({ resetsAt }) => resetsAt,
    }),
  }),
});
