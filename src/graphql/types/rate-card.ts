/** The rate card: what usage costs. */
import type { Rate, RateCard } from '../../domain/pricing/rate-card.ts';
import { builder } from '../builder.ts';
import { RateShapeEnum } from './enums.ts';

const RateRef = builder.objectRef<Rate>('Rate').implement({
  description: 'What one meter costs, for usage with certain dimensions or for any.',
  fields: (t) => ({
    meter: t.exposeString('meter', { description: 'The meter.' }),
    description: t.exposeString('description', { nullable: true, description: 'One sentence for people.' }),
    unit: t.exposeString('unit', { description: 'What one unit of quantity is.' }),
    shape: t.expose('shape', { type: RateShapeEnum, description: 'How quantity is turned into credits.' }),
    match: t.field({
      type: 'JSON',
      nullable: true,
      description: 'Dimensions that usage must have for this rate; null for any. The most specific match wins.',
      resolve: (rate) => rate.match,
    }),
    credits: t.expose('credits', { type: 'Decimal', description: 'Credits for `per` units.' }),
    per: t.expose('per', { type: 'Decimal', description: 'The number of units that `credits` pays for.' }),
  }),
});

export const RateCardRef = builder.objectRef<RateCard>('RateCard').implement({
  description: 'All rates in force from an instant on.',
  fields: (t) => ({
    version: t.exposeInt('version', { description: 'Its number; entries name the version that priced them.' }),
    effectiveAt: t.expose('effectiveAt', { type: 'DateTime', description: 'From when it prices usage.' }),
    rates: t.field({
      type: [RateRef],
      description: 'Its rates, as in the catalog.',
      resolve: (card) => [...card.rates],
    }),
  }),
});
