/** Plans of the catalog. */
import type { Plan } from '../../domain/catalog/catalog.ts';
import type { PlanLimit } from '../../domain/limits/plan-limit.ts';
import type { PlanAllowance } from '../../domain/subscriptions/plan-offer.ts';
import { builder } from '../builder.ts';
import { encodeId } from '../ids.ts';
import { BillingIntervalEnum, LimitWindowEnum, RefreshIntervalEnum } from './enums.ts';
import { MoneyRef } from './money.ts';
import { NodeRef } from './node.ts';

const PlanAllowanceRef = builder.objectRef<PlanAllowance>('PlanAllowance').implement({
  description: 'Credits that a plan grants into a bucket every period.',
  fields: (t) => ({
    bucketKey: t.exposeString('bucketKey', { description: 'The bucket.' }),
    interval: t.expose('interval', { type: RefreshIntervalEnum, description: 'How often.' }),
    credits: t.expose('credits', { type: 'Credits', description: 'How much, each period.' }),
    rolloverLimit: t.expose('rolloverLimit', {
      type: 'Credits',
      nullable: true,
      description: 'The most of a period’s rest that is carried into the next, for one period; null for nothing.',
    }),
  }),
});

const PlanLimitRef = builder.objectRef<PlanLimit>('PlanLimit').implement({
  description: 'How much of something a plan allows, or how often something may be done.',
  fields: (t) => ({
    key: t.exposeString('key', {
      description:
        'What: organizations_owned, organizations_joined, projects, seats or pending_invitations; with a window the meter whose operations are capped, with ":preview" after it for its previews.',
    }),
    max: t.exposeInt('max', { description: 'The most there may be, not negative; of operations, in one window.' }),
    window: t.field({
      type: LimitWindowEnum,
      nullable: true,
      description: 'The window it counts in; null for what is counted as it stands.',
      resolve: ({ window }) => window,
    }),
  }),
});

export const PlanRef = builder.objectRef<Plan>('Plan').implement({
  description: 'What an organization can subscribe to.',
  interfaces: [NodeRef],
  fields: (t) => ({
    id: t.id({ description: 'Opaque id.', resolve: (plan) => encodeId('Plan', plan.key) }),
    key: t.exposeString('key', { description: 'Its key in the catalog.' }),
    name: t.exposeString('name', { description: 'Display name.' }),
    description: t.exposeString('description', { nullable: true, description: 'One sentence for whom it is.' }),
    price: t.field({ type: MoneyRef, description: 'Per interval; 0 for a free plan.', resolve: (plan) => plan.price }),
    interval: t.expose('interval', { type: BillingIntervalEnum, description: 'How often it is paid.' }),
    trialDays: t.exposeInt('trialDays', { description: 'Days of trial before the first payment; 0 for none.' }),
    allowances: t.field({
      type: [PlanAllowanceRef],
      description: 'Credits it grants every period.',
      resolve: (plan) => [...plan.allowances],
    }),
    dailyCreditCap: t.expose('dailyCreditCap', {
      type: 'Credits',
      nullable: true,
      description: 'The most that may be charged a local day; null for no cap.',
    }),
    overdraft: t.expose('overdraft', {
      type: 'Credits',
      description: 'How far a charge with the overage policy DEBT may go into debt; 0 for not at all.',
    }),
    limits: t.field({
      type: [PlanLimitRef],
      description: 'How much it allows to have; what is not named here is not limited.',
      resolve: (plan) => [...plan.limits],
    }),
    topUpIncrement: t.field({
      type: 'Credits',
      nullable: true,
      description: 'Top-ups are whole multiples of it; null where the plan has none.',
      resolve: ({ topUp }) => topUp?.increment,
    }),
    topUpUnitPrice: t.field({
      type: MoneyRef,
      nullable: true,
      description: 'What one increment costs; null where the plan has no top-ups.',
      resolve: ({ topUp }) => topUp?.unitPrice,
    }),
    features: t.stringList({ description: 'What to tell people about it.', resolve: (plan) => [...plan.features] }),
  }),
});
