/** Subscriptions of organizations to plans. */

import { builder } from '../builder.ts';
import { encodeId } from '../ids.ts';
import { mayReadBilling } from '../permissions/readable.ts';
import { SubscriptionStatusEnum } from './enums.ts';
import { NodeRef } from './node.ts';
import { PlanRef } from './plan.ts';

export const PlanSubscriptionRef = builder.prismaObject('PlanSubscription', {
  description: 'An organization’s subscription to a plan. Readable with billing:read.',
  interfaces: [NodeRef],
  readableBy: mayReadBilling,
  fields: (t) => ({
    id: t.id({ description: 'Opaque id.', resolve: (subscription) => encodeId('PlanSubscription', subscription.id) }),
    plan: t.field({
      type: PlanRef,
      description: 'The plan, also where it is no longer on sale.',
      resolve: ({ planKey }, _args, { services }) => {
        const plan = services.catalogs.planByKey(planKey);
        if (!plan) throw new Error(`no version of the catalog has the plan ${planKey}`);
        return plan;
      },
    }),
    status: t.expose('status', { type: SubscriptionStatusEnum, description: 'Its state.' }),
    currentPeriodStart: t.expose('currentPeriodStart', {
      type: 'DateTime',
      description: 'Start of the billing period, inclusive; the last one’s once it is canceled.',
    }),
    currentPeriodEnd: t.expose('currentPeriodEnd', { type: 'DateTime', description: 'End of the period, exclusive.' }),
    trialEndsAt: t.expose('trialEndsAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When its trial ends or has ended; null without one.',
    }),
    cancelAtPeriodEnd: t.exposeBoolean('cancelAtPeriodEnd', { description: 'True where it ends with the period.' }),
    scheduledPlan: t.field({
      type: PlanRef,
      nullable: true,
      description: 'The plan that follows at the end of the period; null for the same.',
      resolve: ({ scheduledPlanKey: key }, _args, { services }) =>
        key === null ? null : (services.catalogs.planByKey(key) ?? null),
    }),
    paymentDueSince: t.expose('paymentDueSince', {
      type: 'DateTime',
      nullable: true,
      description:
        'Since when the next period is to be paid; null where nothing is. `selectPlan` of the same plan pays it.',
    }),
    nextAttemptAt: t.expose('nextAttemptAt', {
      type: 'DateTime',
      nullable: true,
      description:
        'When the payment that is due is tried again by itself; null where none is, or an answer is awaited.',
    }),
    graceEndsAt: t.expose('graceEndsAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the subscription ends for want of the payment that is due; null where none is.',
    }),
    anchorDay: t.exposeInt('anchorDay', { description: 'Day of the month on which its periods begin, 1 to 31.' }),
  }),
});
