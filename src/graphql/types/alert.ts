/** Alerts on what can be spent. */
import { micros } from '../../domain/credits/micros.ts';
import { builder } from '../builder.ts';
import { encodeId } from '../ids.ts';
import { mayReadWallet } from '../permissions/readable.ts';
import { AlertStateEnum } from './enums.ts';
import { NodeRef } from './node.ts';

export const AlertRef = builder.prismaObject('Alert', {
  description:
    'Tells when less than a threshold can be spent, once, and when at least 105 % of it can again. Its events are those of `lowBalance`. Readable with billing:read.',
  interfaces: [NodeRef],
  readableBy: mayReadWallet,
  fields: (t) => ({
    id: t.id({ description: 'Opaque id.', resolve: (alert) => encodeId('Alert', alert.id) }),
    state: t.field({
      type: AlertStateEnum,
      description: 'Whether it has triggered and is not resolved yet.',
      resolve: (alert) => alert.state,
    }),
    threshold: t.field({
      type: 'Credits',
      nullable: true,
      description: 'It triggers when less than this can be spent; more than 0. Null where it is a percentage.',
      resolve: ({ thresholdMicros }) => (thresholdMicros === null ? null : micros(thresholdMicros)),
    }),
    percent: t.exposeInt('percent', {
      nullable: true,
      description:
        'The same as a percentage, 1 to 100, of what the wallet’s allowances grant at one refresh each, rounded up to 0.000001. Null where it is an amount. Without allowances it never triggers.',
    }),
    lastTriggeredAt: t.expose('lastTriggeredAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it triggered last; null where it never did.',
    }),
    fromPlan: t.boolean({
      description:
        'True for a default of the plan, which goes with it; false for one that the organization has set itself.',
      resolve: ({ planKey }) => planKey !== null,
    }),
  }),
});
