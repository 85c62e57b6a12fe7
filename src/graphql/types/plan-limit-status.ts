/** How much of what a plan limits is used. */
import type { PlanLimitUse } from '../../domain/limits/plan-limit.ts';
import { builder } from '../builder.ts';
import { LimitWindowEnum } from './enums.ts';

export const PlanLimitStatusRef = builder.objectRef<PlanLimitUse>('PlanLimitStatus').implement({
  description: 'A limit of the plan, and how much of it is used.',
  fields: (t) => ({
    key: t.exposeString('key', { description: 'Which limit, as in `Plan.limits`.' }),
    max: t.exposeInt('max', { description: 'The most there may be.' }),
    current: t.exposeInt('current', {
      description: 'How much there is; more than `max` where there was more before the plan changed.',
    }),
    window: t.field({
      type: LimitWindowEnum,
      nullable: true,
      description: 'The window it counts in; null for what is counted as it stands.',
      resolve: () => null,
    }),
    resetsAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When the next window begins; null for what is counted as it stands.',
      resolve: () => null,
    }),
  }),
});
