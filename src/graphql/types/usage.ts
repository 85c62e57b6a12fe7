/** Usage lines: how what was used was priced. */

import type { Micros } from '../../domain/credits/micros.ts';
import type { PricedLine } from '../../domain/pricing/price.ts';
import { builder } from '../builder.ts';

export const UsageLineRef = builder.objectRef<PricedLine>('UsageLine').implement({
  description:
    'One line of usage and its price, rounded once as its rate says: to 10⁻⁶ credit, half away from zero, by default.',
  fields: (t) => ({
    meter: t.exposeString('meter', { description: 'The meter.' }),
    quantity: t.expose('quantity', { type: 'Decimal', description: 'How much was used, in units of the meter.' }),
    rate: t.exposeString('rate', { description: 'The rate that matched, in words.' }),
    credits: t.expose('credits', { type: 'Credits', description: 'What was charged for it; never negative.' }),
    waivedCredits: t.expose('waived', { type: 'Credits', description: 'What it cost beyond that and was waived.' }),
    dimensions: t.field({
      type: 'JSON',
      nullable: true,
      description: 'Its dimensions.',
      resolve: (line) => line.dimensions,
    }),
    preview: t.exposeBoolean('preview', { description: 'Whether it was a preview, priced by a rate of previews.' }),
  }),
});

export interface UsageShape {
  readonly credits: Micros;
  readonly lines: readonly PricedLine[];
}

export const UsageRef = builder.objectRef<UsageShape>('Usage').implement({
  description: 'What a call used.',
  fields: (t) => ({
    credits: t.expose('credits', { type: 'Credits', description: 'Credits charged in total; never negative.' }),
    lines: t.field({
      type: [UsageLineRef],
      description: 'One per usage line; empty for a charge by amount.',
      resolve: (usage) => [...usage.lines],
    }),
  }),
});
